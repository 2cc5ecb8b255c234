package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// Who locks a floating IP locked before it whatever else it locks: routers, networks, ports, subnets, and then floating IPs.
// For a port that is deleted takes its floating IPs' rows with it, and so do addresses that a port gives up. So who
// associates one reads it, finds and locks the router and the port, locks the floating IP, and looks again whether
// it is what it was.

const selectFloatingIP = `
SELECT f.id, f.project_id, f.description, f.network_id, f.own_port_id, a.ip AS addr, p.mac, t.port_id, f.fixed_ip, f.router_id,
       f.status, f.dns_name, f.dns_domain, f.created_at, f.updated_at, f.revision, f.tags
FROM floatingips f JOIN ports p ON p.id = f.own_port_id JOIN allocations a ON a.port_id = f.own_port_id
     LEFT JOIN allocations t ON t.subnet_id = f.subnet_id AND t.ip = f.fixed_ip`

type floatingRow struct {
	ID          uuid.UUID
	ProjectID   string `db:"project_id"`
	Description string
	NetworkID   uuid.UUID `db:"network_id"`
	OwnPortID   uuid.UUID `db:"own_port_id"`
	Addr        addr
	MAC         mac
	PortID      uuid.NullUUID `db:"port_id"`
	FixedIP     addr          `db:"fixed_ip"`
	RouterID    uuid.NullUUID `db:"router_id"`
	Status      string
	DNSName     string `db:"dns_name"`
	DNSDomain   string `db:"dns_domain"`
	Tags        array
	metaRow
}

func (r *floatingRow) floatingIP() signalbox.FloatingIP {
	return signalbox.FloatingIP{
		ID: r.ID, ProjectID: r.ProjectID, Description: r.Description, NetworkID: r.NetworkID, OwnPortID: r.OwnPortID,
		Addr: r.Addr.Addr, MAC: r.MAC.MAC, PortID: r.PortID.UUID, FixedAddr: r.FixedIP.Addr, RouterID: r.RouterID.UUID,
		Status: signalbox.Status(r.Status), DNSName: r.DNSName, DNSDomain: r.DNSDomain, Tags: tags(r.Tags), Meta: r.meta(),
	}
}

func floatingIPs(rows []floatingRow) []signalbox.FloatingIP {
	out := make([]signalbox.FloatingIP, len(rows))
	for i := range rows {
		out[i] = rows[i].floatingIP()
	}
	return out
}

// InsertFloatingIP writes a floating IP, whose own port was written before with RoleFloatingIP and one address, and fills
// its NetworkID, Addr, MAC, Status and Meta. It is Down. Refusals of the association are those of UpdateFloatingIP.
func (tx *Tx) InsertFloatingIP(ctx context.Context, f *signalbox.FloatingIP) error {
	target, err := tx.target(ctx, f)
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, `
		INSERT INTO floatingips (id, project_id, description, network_id, own_port_id, subnet_id, fixed_ip, router_id, dns_name, dns_domain)
		SELECT $1, $2, $3, p.network_id, p.id, $5, $6, $7, $9, $10
		FROM ports p WHERE p.id = $4 AND p.role = $8 AND (SELECT count(*) FROM allocations a WHERE a.port_id = p.id) = 1`,
		f.ID, f.ProjectID, f.Description, f.OwnPortID, target.subnet, target.addr, target.router, string(signalbox.RoleFloatingIP),
		f.DNSName, f.DNSDomain)
	if err != nil {
		return wrap("insert floating IP", err)
	}
	if n == 0 {
		return notFound("insert floating IP", "port", f.OwnPortID)
	}
	got, err := tx.FloatingIP(ctx, f.ID)
	if err == nil {
		*f = *got
	}
	return err
}

// target is what a floating IP stands for, as it is written.
type target struct {
	subnet uuid.NullUUID
	addr   addr
	router uuid.NullUUID
}

// target finds the subnet of the fixed address.
func (tx *Tx) target(ctx context.Context, f *signalbox.FloatingIP) (t target, err error) {
	if !f.Associated() {
		return t, nil
	}
	t.addr, t.router = addr{f.FixedAddr}, uuid.NullUUID{UUID: f.RouterID, Valid: true}
	err = tx.get(ctx, &t.subnet, `SELECT subnet_id FROM allocations WHERE port_id = $1 AND ip = $2`, f.PortID, t.addr)
	if isNoRows(err) {
		return t, &signalbox.Error{Kind: signalbox.NotFound, Op: "associate floating IP", Resource: "port", ID: f.PortID.String(),
			Msg: "port " + f.PortID.String() + " has no address " + f.FixedAddr.String()}
	}
	return t, wrap("associate floating IP", err)
}

// FloatingIP is the floating IP with that id, or NotFound.
func (tx *Tx) FloatingIP(ctx context.Context, id uuid.UUID) (*signalbox.FloatingIP, error) {
	var r floatingRow
	if err := tx.get(ctx, &r, selectFloatingIP+` WHERE f.id = $1`, id); isNoRows(err) {
		return nil, notFound("read floating IP", "floatingip", id)
	} else if err != nil {
		return nil, wrap("read floating IP", err)
	}
	f := r.floatingIP()
	return &f, nil
}

// FloatingIPForUpdate is FloatingIP, alone: others who want the row wait for this transaction.
func (tx *Tx) FloatingIPForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.FloatingIP, error) {
	if _, err := tx.exec(ctx, `SELECT FROM floatingips WHERE id = $1 FOR UPDATE`, id); err != nil {
		return nil, wrap("lock floating IP", err)
	}
	return tx.FloatingIP(ctx, id)
}

// FloatingIPs are the floating IPs that the query asks for.
func (tx *Tx) FloatingIPs(ctx context.Context, q Query) ([]signalbox.FloatingIP, error) {
	rows, err := list[floatingRow](ctx, tx, floatingIPList, q)
	if err != nil {
		return nil, err
	}
	return floatingIPs(rows), nil
}

// FloatingIPsBehind are the floating IPs that need the router's interface on the subnet, oldest first.
func (tx *Tx) FloatingIPsBehind(ctx context.Context, router, subnet uuid.UUID) ([]signalbox.FloatingIP, error) {
	var rows []floatingRow
	err := tx.all(ctx, &rows, selectFloatingIP+` WHERE f.router_id = $1 AND f.subnet_id = $2 ORDER BY f.created_at, f.id`, router, subnet)
	return floatingIPs(rows), wrap("list floating IPs", err)
}

// UpdateFloatingIP writes what may change of a floating IP: its project, description, and the port, fixed address and
// router, all three of them or (PortID is Nil) none. It renews Status, which is Down where the association is another, and
// Meta. NotFound when the port has not that address; NotFound ReasonNoPath when the router has no interface on the address'
// subnet, or no gateway on the floating IP's network; Conflict ReasonFloatingInUse when the address has a floating IP of
// that network.
func (tx *Tx) UpdateFloatingIP(ctx context.Context, f *signalbox.FloatingIP) error {
	target, err := tx.target(ctx, f)
	if err != nil {
		return err
	}
	var got struct {
		Status string
		metaRow
	}
	err = tx.get(ctx, &got, `
		UPDATE floatingips SET project_id = $2, description = $3, subnet_id = $4, fixed_ip = $5, router_id = $6,
		       updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING status, created_at, updated_at, revision`,
		f.ID, f.ProjectID, f.Description, target.subnet, target.addr, target.router)
	if isNoRows(err) {
		return notFound("update floating IP", "floatingip", f.ID)
	} else if err != nil {
		return wrap("update floating IP", err)
	}
	f.Status, f.Meta = signalbox.Status(got.Status), got.meta()
	return nil
}

// DeleteFloatingIP deletes a floating IP and its own port, whose address is free again.
func (tx *Tx) DeleteFloatingIP(ctx context.Context, id uuid.UUID) error {
	var port uuid.UUID
	err := tx.get(ctx, &port, `DELETE FROM floatingips WHERE id = $1 RETURNING own_port_id`, id)
	if isNoRows(err) {
		return notFound("delete floating IP", "floatingip", id)
	} else if err != nil {
		return wrap("delete floating IP", err)
	}
	return tx.DeletePort(ctx, port)
}

// SetFloatingStatus writes floating IPs' statuses, in one transaction. Those that are gone are passed over; one that stands
// for no port is not made Active; one that has the status already keeps its revision. The feed says nothing of it: the
// controller is the only author.
func (db *DB) SetFloatingStatus(ctx context.Context, statuses map[uuid.UUID]signalbox.Status) error {
	if len(statuses) == 0 {
		return nil
	}
	ids, words := statusColumns(statuses)
	return db.retry(ctx, func(tx *Tx) error { // without ringing
		_, err := tx.exec(ctx, `
			WITH locked AS (SELECT id FROM floatingips WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE)
			UPDATE floatingips f SET status = t.status, revision = revision + 1, updated_at = clock_timestamp()
			FROM locked, unnest($1::uuid[], $2::text[]) AS t(id, status)
			WHERE f.id = locked.id AND f.id = t.id AND f.status <> t.status AND (f.fixed_ip IS NOT NULL OR t.status <> $3)`,
			ids, words, string(signalbox.Active))
		return wrap("set floating status", err)
	})
}
