package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

const selectRouter = `
SELECT r.id, r.key, r.project_id, r.name, r.description, r.admin_state_up, r.route_destinations, r.route_hops,
       r.created_at, r.updated_at, r.revision, r.tags, r.zone_hints,
       g.port_id AS gateway_port_id, g.network_id AS gateway_network_id, coalesce(g.enable_snat, false) AS gateway_enable_snat,
       coalesce(g.zone, 0) AS gateway_zone, g.host_id AS gateway_host_id,
       ARRAY(SELECT a.subnet_id || ' ' || host(a.ip) FROM allocations a WHERE a.port_id = g.port_id ORDER BY a.ord) AS gateway_fixed_ips
FROM routers r LEFT JOIN router_gateways g ON g.router_id = r.id`

type routerRow struct {
	ID           uuid.UUID
	Key          int64
	ProjectID    string `db:"project_id"`
	Name         string
	Description  string
	AdminStateUp bool  `db:"admin_state_up"`
	Destinations array `db:"route_destinations"`
	Hops         array `db:"route_hops"`
	Tags         array
	ZoneHints    array `db:"zone_hints"`
	gatewayRow
	metaRow
}

func (r *routerRow) router() (out signalbox.Router, err error) {
	out = signalbox.Router{
		ID: r.ID, Key: signalbox.RouterKey(r.Key), ProjectID: r.ProjectID, Name: r.Name, Description: r.Description,
		AdminStateUp: r.AdminStateUp, ZoneHints: tags(r.ZoneHints), Tags: tags(r.Tags), Meta: r.meta(),
	}
	if out.Routes, err = readRoutes(r.Destinations, r.Hops); err != nil {
		return out, err
	}
	out.Gateway, err = r.gateway()
	return out, err
}

// InsertRouter writes a router and fills its Key and Meta. Its gateway is written by SetGateway.
func (tx *Tx) InsertRouter(ctx context.Context, r *signalbox.Router) error {
	destinations, hops := routes(r.Routes)
	var got keyedMeta
	err := tx.get(ctx, &got, `
		INSERT INTO routers (id, project_id, name, description, admin_state_up, route_destinations, route_hops, zone_hints)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING key, created_at, updated_at, revision`,
		r.ID, r.ProjectID, r.Name, r.Description, r.AdminStateUp, destinations, hops, hints(r.ZoneHints))
	if err != nil {
		return wrap("insert router", err)
	}
	r.Key, r.Meta = signalbox.RouterKey(got.Key), got.meta()
	return nil
}

// Router is the router with that id, or NotFound.
func (tx *Tx) Router(ctx context.Context, id uuid.UUID) (*signalbox.Router, error) {
	var row routerRow
	if err := tx.get(ctx, &row, selectRouter+` WHERE r.id = $1`, id); isNoRows(err) {
		return nil, notFound("read router", "router", id)
	} else if err != nil {
		return nil, wrap("read router", err)
	}
	r, err := row.router()
	return &r, wrap("read router", err)
}

// RouterForUpdate is Router, alone: others who want to change it, or its interfaces, wait for this transaction.
// Who locks networks, ports or subnets as well locks the router first.
func (tx *Tx) RouterForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Router, error) {
	if _, err := tx.exec(ctx, `SELECT FROM routers WHERE id = $1 FOR UPDATE`, id); err != nil {
		return nil, wrap("lock router", err)
	}
	return tx.Router(ctx, id)
}

// RouterForShare is Router, and keeps the router with its interfaces and its gateway from being changed until the transaction
// ends. Many may hold it. It is locked before networks, as by RouterForUpdate.
func (tx *Tx) RouterForShare(ctx context.Context, id uuid.UUID) (*signalbox.Router, error) {
	if _, err := tx.exec(ctx, `SELECT FROM routers WHERE id = $1 FOR SHARE`, id); err != nil {
		return nil, wrap("lock router", err)
	}
	return tx.Router(ctx, id)
}

// Routers are the routers that the query asks for.
func (tx *Tx) Routers(ctx context.Context, q Query) ([]signalbox.Router, error) {
	rows, err := list[routerRow](ctx, tx, routerList, q)
	if err != nil {
		return nil, err
	}
	return routers(rows)
}

func routers(rows []routerRow) (out []signalbox.Router, err error) {
	out = make([]signalbox.Router, len(rows))
	for i := range rows {
		if out[i], err = rows[i].router(); err != nil {
			return nil, wrap("read routers", err)
		}
	}
	return out, nil
}

// UpdateRouter writes what may change of a router (not its key, nor its gateway: see UpdateGateway) and renews its Meta.
func (tx *Tx) UpdateRouter(ctx context.Context, r *signalbox.Router) error {
	destinations, hops := routes(r.Routes)
	var got metaRow
	err := tx.get(ctx, &got, `
		UPDATE routers SET project_id = $2, name = $3, description = $4, admin_state_up = $5, route_destinations = $6,
		       route_hops = $7, zone_hints = $8, updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING created_at, updated_at, revision`,
		r.ID, r.ProjectID, r.Name, r.Description, r.AdminStateUp, destinations, hops, hints(r.ZoneHints))
	if isNoRows(err) {
		return notFound("update router", "router", r.ID)
	} else if err != nil {
		return wrap("update router", err)
	}
	r.Meta = got.meta()
	return nil
}

// DeleteRouter deletes a router. Conflict ReasonRouterInUse while it has interfaces or a gateway.
func (tx *Tx) DeleteRouter(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM routers WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonRouterInUse, "router", id)
	}
	if n == 0 {
		return notFound("delete router", "router", id)
	}
	return nil
}

// RouterPorts are the router's interfaces, oldest first. The gateway's port is not among them.
func (tx *Tx) RouterPorts(ctx context.Context, router uuid.UUID) ([]signalbox.Port, error) {
	var rows []portRow
	err := tx.all(ctx, &rows, selectPort+` WHERE p.router_id = $1 AND p.role = $2 ORDER BY p.created_at, p.id`,
		router, string(signalbox.RoleRouterInterface))
	if err != nil {
		return nil, wrap("read router ports", err)
	}
	return ports(rows)
}

// AttachPort makes a port, as it was written or read before in the transaction, an interface of the router, and fills what
// that changes of it. It is one until it is deleted. Invalid ReasonBadRequest when the router has an interface on one
// of the port's subnets, or on a subnet that overlaps one.
func (tx *Tx) AttachPort(ctx context.Context, p *signalbox.Port, router uuid.UUID) error {
	if _, err := tx.exec(ctx, `
		INSERT INTO router_subnets (router_id, subnet_id, port_id, cidr)
		SELECT $2, s.id, $1, s.cidr FROM allocations a JOIN subnets s ON s.id = a.subnet_id WHERE a.port_id = $1`, p.ID, router); err != nil {
		return wrap("attach port", err)
	}
	return tx.own(ctx, p, router, signalbox.RoleRouterInterface, signalbox.DeviceOwnerRouterInterface)
}

// own makes a port a router's, to which no security group applies.
func (tx *Tx) own(ctx context.Context, p *signalbox.Port, router uuid.UUID, role signalbox.Role, owner string) error {
	var got metaRow
	err := tx.get(ctx, &got, `
		UPDATE ports SET role = $3, router_id = $2, device_id = $4, device_owner = $5,
		       updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING created_at, updated_at, revision`, p.ID, router, string(role), router.String(), owner)
	if isNoRows(err) {
		return notFound("attach port", "port", p.ID)
	} else if err != nil {
		return wrap("attach port", err)
	}
	p.Role, p.RouterID, p.DeviceID, p.DeviceOwner = role, router, router.String(), owner
	p.Meta = got.meta()
	had := p.SecurityGroups
	p.SecurityGroups = nil
	return wrap("attach port", tx.replaceGroups(ctx, p, had))
}
