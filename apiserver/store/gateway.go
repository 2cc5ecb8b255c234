package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// A router's gateway is part of the router: whatever changes of it, but its place, gives the router a new revision, and the feed
// tells of the router. Who changes a gateway locked the router before (see RouterForUpdate).

// gatewayRow is a router's gateway, all NULL where it has none.
type gatewayRow struct {
	PortID     uuid.NullUUID `db:"gateway_port_id"`
	NetworkID  uuid.NullUUID `db:"gateway_network_id"`
	EnableSNAT bool          `db:"gateway_enable_snat"`
	Zone       int32         `db:"gateway_zone"`
	HostID     uuid.NullUUID `db:"gateway_host_id"`
	FixedIPs   array         `db:"gateway_fixed_ips"`
}

func (r *gatewayRow) gateway() (*signalbox.Gateway, error) {
	if !r.PortID.Valid {
		return nil, nil
	}
	fixed, err := each(r.FixedIPs, readFixedIP)
	return &signalbox.Gateway{PortID: r.PortID.UUID, NetworkID: r.NetworkID.UUID, FixedIPs: fixed, EnableSNAT: r.EnableSNAT,
		Zone: signalbox.Zone(r.Zone), Host: r.HostID.UUID}, err
}

// SetGateway makes a port, as it was written or read before in the transaction, the gateway of a router that has none, and
// fills r.Gateway, r.Meta and what that changes of the port. The port's network is the gateway's. Conflict ReasonRouterInUse
// when the router has a gateway; Conflict when every conntrack zone is taken.
func (tx *Tx) SetGateway(ctx context.Context, r *signalbox.Router, p *signalbox.Port, snat bool) error {
	var zone int32
	err := tx.get(ctx, &zone, `
		INSERT INTO router_gateways (router_id, port_id, network_id, enable_snat)
		SELECT $1, id, network_id, $3 FROM ports WHERE id = $2 RETURNING zone`, r.ID, p.ID, snat)
	if isNoRows(err) {
		return notFound("set gateway", "port", p.ID)
	} else if err != nil {
		return wrap("set gateway", err)
	}
	if err := tx.own(ctx, p, r.ID, signalbox.RoleRouterGateway, signalbox.DeviceOwnerRouterGateway); err != nil {
		return err
	}
	r.Gateway = &signalbox.Gateway{PortID: p.ID, NetworkID: p.NetworkID, FixedIPs: p.FixedIPs, EnableSNAT: snat, Zone: signalbox.Zone(zone)}
	return tx.touchRouter(ctx, r)
}

// UpdateGateway writes what may change of a router's gateway, which is r.Gateway.EnableSNAT, and renews r.Meta and
// r.Gateway.FixedIPs. Call it as well after UpdatePort gave the gateway's port other addresses: they are the router's. NotFound
// when the router has no gateway.
func (tx *Tx) UpdateGateway(ctx context.Context, r *signalbox.Router) error {
	if r.Gateway == nil {
		return noGateway("update gateway", r.ID)
	}
	var fixed pq.StringArray
	err := tx.get(ctx, &fixed, `
		UPDATE router_gateways g SET enable_snat = $2 WHERE router_id = $1
		RETURNING ARRAY(SELECT a.subnet_id || ' ' || host(a.ip) FROM allocations a WHERE a.port_id = g.port_id ORDER BY a.ord)`,
		r.ID, r.Gateway.EnableSNAT)
	if isNoRows(err) {
		return noGateway("update gateway", r.ID)
	} else if err != nil {
		return wrap("update gateway", err)
	}
	if r.Gateway.FixedIPs, err = each(fixed, readFixedIP); err != nil {
		return wrap("update gateway", err)
	}
	return tx.touchRouter(ctx, r)
}

// ClearGateway takes a router's gateway away and deletes its port with the addresses; r.Gateway is nil then, and r.Meta new.
// NotFound when the router has none; Conflict ReasonGatewayNeeded while floating IPs go by it.
func (tx *Tx) ClearGateway(ctx context.Context, r *signalbox.Router) error {
	var port uuid.UUID
	err := tx.get(ctx, &port, `DELETE FROM router_gateways WHERE router_id = $1 RETURNING port_id`, r.ID)
	if isNoRows(err) {
		return noGateway("clear gateway", r.ID)
	} else if err != nil {
		return inUse(err, signalbox.ReasonGatewayNeeded, "router", r.ID)
	}
	if err := tx.DeletePort(ctx, port); err != nil {
		return err
	}
	r.Gateway = nil
	return tx.touchRouter(ctx, r)
}

func noGateway(op string, router uuid.UUID) error {
	return &signalbox.Error{Kind: signalbox.NotFound, Op: op, Resource: "gateway", ID: router.String(),
		Msg: "router " + router.String() + " has no gateway"}
}

// touchRouter gives a router a new revision.
func (tx *Tx) touchRouter(ctx context.Context, r *signalbox.Router) error {
	var got metaRow
	err := tx.get(ctx, &got, `
		UPDATE routers SET updated_at = clock_timestamp(), revision = revision + 1 WHERE id = $1
		RETURNING created_at, updated_at, revision`, r.ID)
	if isNoRows(err) {
		return notFound("update router", "router", r.ID)
	}
	r.Meta = got.meta()
	return wrap("update router", err)
}

// HasGateway reports whether any router has its gateway on the network.
func (tx *Tx) HasGateway(ctx context.Context, network uuid.UUID) (yes bool, err error) {
	err = tx.get(ctx, &yes, `SELECT EXISTS (SELECT FROM router_gateways WHERE network_id = $1)`, network)
	return yes, wrap("read gateways", err)
}

// RouterBetween is the router that has an interface on the subnet and its gateway on the external network, or Nil when
// there is none. Of several it is the one that has the subnet's gateway address, else the oldest. It is not locked: who
// counts on it locks it with RouterForShare and asks again.
func (tx *Tx) RouterBetween(ctx context.Context, subnet, external uuid.UUID) (uuid.UUID, error) {
	var id uuid.UUID
	err := tx.get(ctx, &id, `
		SELECT r.id
		FROM router_subnets i JOIN router_gateways g ON g.router_id = i.router_id JOIN routers r ON r.id = i.router_id
		     JOIN subnets s ON s.id = i.subnet_id
		     LEFT JOIN allocations a ON a.subnet_id = s.id AND a.ip = s.gateway_ip AND a.port_id = i.port_id
		WHERE i.subnet_id = $1 AND g.network_id = $2
		ORDER BY a.ip IS NULL, r.created_at, r.id LIMIT 1`, subnet, external)
	if isNoRows(err) {
		return uuid.Nil, nil
	}
	return id, wrap("find router", err)
}

// PlaceGateways says which hosts routers' gateways are at, in one transaction; uuid.Nil is none. Routers that have no
// gateway and hosts that are gone are passed over. The feed tells of the routers whose gateway is elsewhere now; it
// is no new revision of them.
func (db *DB) PlaceGateways(ctx context.Context, places map[uuid.UUID]uuid.UUID) error {
	if len(places) == 0 {
		return nil
	}
	var routers, hosts pq.StringArray
	for router, host := range places {
		routers, hosts = append(routers, router.String()), append(hosts, host.String())
	}
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `
			WITH locked AS (SELECT router_id FROM router_gateways WHERE router_id = ANY($1::uuid[]) ORDER BY router_id FOR NO KEY UPDATE),
			there AS (SELECT id FROM hosts WHERE id = ANY($2::uuid[]) ORDER BY id FOR KEY SHARE)
			UPDATE router_gateways g SET host_id = there.id
			FROM locked JOIN unnest($1::uuid[], $2::uuid[]) AS t(router, host) ON t.router = locked.router_id
			     LEFT JOIN there ON there.id = t.host
			WHERE g.router_id = locked.router_id AND g.host_id IS DISTINCT FROM there.id
			  AND (there.id IS NOT NULL OR t.host = $3)`, routers, hosts, uuid.Nil)
		return wrap("place gateways", err)
	})
}
