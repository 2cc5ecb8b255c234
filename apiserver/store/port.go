package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

const (
	portFields = `
SELECT p.id, p.key, p.network_id, p.project_id, p.name, p.description, p.admin_state_up, p.mac, p.device_id, p.device_owner,
       p.role, p.router_id, p.status, p.created_at, p.updated_at, p.revision, p.tags,
       p.unsecured, p.pair_macs, p.pair_prefixes, p.dhcp_options, p.host, p.vnic_type, p.profile, p.dns_name,
       b.host_id, b.interface, b.bound_by, b.zone`

	// portParts are what a port has in other tables.
	portParts = `,
       ARRAY(SELECT a.subnet_id || ' ' || host(a.ip) FROM allocations a WHERE a.port_id = p.id ORDER BY a.ord) AS fixed_ips,
       ARRAY(SELECT m.group_id::text FROM port_security_groups m WHERE m.port_id = p.id ORDER BY m.group_id) AS security_groups`

	// apiPort is what the API tells of a port beside: what the hosts table says of its host, and its network's domain.
	apiPort = `, h.name AS held_by, w.dns_domain AS domain,
       CASE p.host WHEN '' THEN h.datapath_type ELSE (SELECT min(k.datapath_type) FROM hosts k WHERE k.name = p.host) END AS datapath
FROM ports p JOIN networks w ON w.id = p.network_id LEFT JOIN bindings b ON b.port_id = p.id LEFT JOIN hosts h ON h.id = b.host_id`

	selectPort  = portFields + portParts + apiPort
	selectPorts = portFields + apiPort // their parts are read after them

	// selectFedPort is a port as followers are told of it: a change of a host is no news of its ports.
	selectFedPort = portFields + portParts + `
FROM ports p LEFT JOIN bindings b ON b.port_id = p.id`
)

type portRow struct {
	ID           uuid.UUID
	Key          int64
	NetworkID    uuid.UUID `db:"network_id"`
	ProjectID    string    `db:"project_id"`
	Name         string
	Description  string
	AdminStateUp bool `db:"admin_state_up"`
	MAC          mac
	DeviceID     string `db:"device_id"`
	DeviceOwner  string `db:"device_owner"`
	Role         string
	RouterID     uuid.NullUUID `db:"router_id"`
	Status       string
	HostID       uuid.NullUUID `db:"host_id"`
	Interface    sql.NullString
	BoundBy      sql.NullString `db:"bound_by"`
	Zone         sql.NullInt32
	FixedIPs     array `db:"fixed_ips"`
	Tags         array
	Groups       array `db:"security_groups"`
	attributesRow
	metaRow
}

func (r *portRow) port() (p signalbox.Port, err error) {
	p = signalbox.Port{
		ID: r.ID, Key: signalbox.PortKey(r.Key), NetworkID: r.NetworkID, ProjectID: r.ProjectID, Name: r.Name,
		Description: r.Description, AdminStateUp: r.AdminStateUp, MAC: r.MAC.MAC, DeviceID: r.DeviceID,
		DeviceOwner: r.DeviceOwner, Role: signalbox.Role(r.Role), RouterID: r.RouterID.UUID, Status: signalbox.Status(r.Status),
		Tags: tags(r.Tags), Meta: r.meta(),
	}
	if r.HostID.Valid {
		p.Binding = &signalbox.Binding{PortID: r.ID, HostID: r.HostID.UUID, Interface: r.Interface.String,
			By: signalbox.BoundBy(r.BoundBy.String)}
		p.Zone = signalbox.Zone(r.Zone.Int32)
	}
	if p.FixedIPs, err = each(r.FixedIPs, readFixedIP); err != nil {
		return p, err
	}
	if p.SecurityGroups, err = each(r.Groups, uuid.Parse); err != nil {
		return p, err
	}
	return p, r.attributes(&p)
}

// fixedIPs splits addresses into the two arrays that a statement takes; the zero Addr is the empty text.
func fixedIPs(of []signalbox.FixedIP) (subnets, addrs pq.StringArray) {
	subnets, addrs = make(pq.StringArray, len(of)), make(pq.StringArray, len(of))
	for i, f := range of {
		subnets[i] = f.SubnetID.String()
		if f.Addr.IsValid() {
			addrs[i] = f.Addr.String()
		}
	}
	return subnets, addrs
}

// insertPorts writes ports, their allocations and their memberships in groups; an address that is not named is the lowest free one of its subnet.
const insertPorts = `
WITH made AS (
	INSERT INTO ports (id, network_id, project_id, name, description, admin_state_up, mac, device_id, device_owner, role, status,
		unsecured, pair_macs, pair_prefixes, dhcp_options, host, vnic_type, profile, dns_name)
	SELECT id, n, pr, nm, de, up, mac, di, dw, ro, st, un, pm::macaddr[], pp::cidr[], dh::text[], ho, vn, pf, dn
	FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::macaddr[], $8::text[], $9::text[],
		$10::text[], $11::text[], $18::boolean[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[])
		AS t(id, n, pr, nm, de, up, mac, di, dw, ro, st, un, pm, pp, dh, ho, vn, pf, dn)
	RETURNING id, key, created_at, updated_at, revision),
addresses AS (
	INSERT INTO allocations (subnet_id, ip, port_id, ord)
	SELECT s, coalesce(nullif(a, '')::inet, take_address(s)), p, n
	FROM unnest($12::uuid[], $13::text[], $14::uuid[], $15::smallint[]) AS t(s, a, p, n) RETURNING port_id, ip, ord),
memberships AS (INSERT INTO port_security_groups (port_id, group_id) SELECT * FROM unnest($16::uuid[], $17::uuid[]))
SELECT id, key, created_at, updated_at, revision,
	ARRAY(SELECT host(ip) FROM addresses WHERE port_id = made.id ORDER BY ord) AS addresses FROM made`

// portColumns are ports as the arrays that insertPorts takes.
type portColumns struct {
	id, network, project, name, description, mac, device, owner, role, status pq.StringArray
	up                                                                        pq.BoolArray
	attributeColumns
	// of their addresses:
	subnet, addr, port pq.StringArray
	ord                pq.Int64Array
	// of their memberships:
	member, group pq.StringArray
}

func (c *portColumns) add(p *signalbox.Port) {
	c.id = append(c.id, p.ID.String())
	c.network = append(c.network, p.NetworkID.String())
	c.project, c.name, c.description = append(c.project, p.ProjectID), append(c.name, p.Name), append(c.description, p.Description)
	c.up, c.mac = append(c.up, p.AdminStateUp), append(c.mac, p.MAC.String())
	c.device, c.owner = append(c.device, p.DeviceID), append(c.owner, p.DeviceOwner)
	c.role, c.status = append(c.role, string(p.Role)), append(c.status, string(p.Status))
	c.attributeColumns.add(p)
	subnets, addrs := fixedIPs(p.FixedIPs)
	c.subnet, c.addr = append(c.subnet, subnets...), append(c.addr, addrs...)
	for n := range p.FixedIPs {
		c.port, c.ord = append(c.port, p.ID.String()), append(c.ord, int64(n+1))
	}
	for _, g := range p.SecurityGroups {
		c.member, c.group = append(c.member, p.ID.String()), append(c.group, g.String())
	}
}

// InsertPort is InsertPorts of one.
func (tx *Tx) InsertPort(ctx context.Context, p *signalbox.Port) error {
	return tx.InsertPorts(ctx, []*signalbox.Port{p})
}

// InsertPorts writes ports with their addresses and security groups, and fills their Key and Meta; what it does not say
// of its status and its VIF is filled in. A FixedIP
// whose Addr is zero gets the lowest free address of its subnet, in the order of the ports: TakeAddress without its round
// trip, for who has no other subnet to fall back to. Conflict ReasonMACInUse, ReasonIPInUse or ReasonIPExhausted, which
// does not say of which port. Bindings are not written: see DB.Bind.
func (tx *Tx) InsertPorts(ctx context.Context, ports []*signalbox.Port) error {
	var c portColumns
	byID := make(map[uuid.UUID]*signalbox.Port, len(ports))
	for _, p := range ports {
		if err := tx.claim(ctx, p.FixedIPs); err != nil {
			return wrap("insert ports", err)
		}
		p.Status, p.VNIC, p.Profile = cmp.Or(p.Status, signalbox.Down), cmp.Or(p.VNIC, signalbox.VNICNormal), cmp.Or(p.Profile, "{}")
		byID[p.ID] = p
		c.add(p)
	}
	var got []struct {
		ID uuid.UUID
		keyedMeta
		Addresses array
	}
	err := tx.all(ctx, &got, insertPorts, c.id, c.network, c.project, c.name, c.description, c.up, c.mac, c.device, c.owner, c.role, c.status,
		c.subnet, c.addr, c.port, c.ord, c.member, c.group,
		c.unsecured, c.pairMACs, c.pairPrefixes, c.dhcpOptions, c.host, c.vnic, c.profile, c.dnsName)
	for _, made := range got {
		p := byID[made.ID]
		p.Key, p.Meta = signalbox.PortKey(made.Key), made.meta()
		for i := range p.FixedIPs {
			if p.FixedIPs[i].Addr, err = parseAddr(made.Addresses[i]); err != nil {
				return wrap("insert ports", err)
			}
		}
	}
	if err == nil {
		err = tx.tagPorts(ctx, ports)
	}
	return wrap("insert ports", err)
}

// tagPorts writes the tags of new ports, few of which have any.
func (tx *Tx) tagPorts(ctx context.Context, ports []*signalbox.Port) error {
	var ids, all pq.StringArray
	for _, p := range ports {
		if len(p.Tags) == 0 {
			continue
		}
		tags, err := pq.StringArray(p.Tags).Value()
		if err != nil {
			return err
		}
		ids, all = append(ids, p.ID.String()), append(all, tags.(string))
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.exec(ctx, `
		UPDATE ports p SET tags = t.tags::text[] FROM unnest($1::uuid[], $2::text[]) AS t(id, tags) WHERE p.id = t.id`, ids, all)
	return err
}

// Port is the port with that id, or NotFound.
func (tx *Tx) Port(ctx context.Context, id uuid.UUID) (*signalbox.Port, error) {
	return tx.port(ctx, id, selectPort+` WHERE p.id = $1`)
}

// PortForUpdate is Port, alone: others who want the row wait for this transaction.
func (tx *Tx) PortForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Port, error) {
	if _, err := tx.exec(ctx, `SELECT FROM ports WHERE id = $1 FOR UPDATE`, id); err != nil {
		return nil, wrap("lock port", err)
	}
	return tx.Port(ctx, id)
}

func (tx *Tx) port(ctx context.Context, id uuid.UUID, text string) (*signalbox.Port, error) {
	var r portRow
	if err := tx.get(ctx, &r, text, id); isNoRows(err) {
		return nil, notFound("read port", "port", id)
	} else if err != nil {
		return nil, wrap("read port", err)
	}
	p, err := r.port()
	return &p, wrap("read port", err)
}

var (
	addressPart = part{"SELECT uuid_send(port_id) || uuid_send(subnet_id) || inet_send(ip) AS part FROM allocations", "port_id", "ord"}
	groupPart   = part{"SELECT uuid_send(port_id) || uuid_send(group_id) AS part FROM port_security_groups", "port_id", "group_id"}
)

// Ports are the ports that the query asks for. Their addresses and groups are those that they have when a statement of its own asks:
// outside of Read another transaction's change can come between.
func (tx *Tx) Ports(ctx context.Context, q Query) (out []signalbox.Port, err error) {
	var r portRow
	var ids uuids
	if err := tx.walk(ctx, &r, portList, q, func() error {
		p, err := r.port()
		out, ids = append(grown(out), p), append(ids, p.ID)
		return err
	}); err != nil {
		return nil, err
	}
	addresses, err := tx.parts(ctx, q, ids, addressPart)
	if err != nil {
		return nil, wrap(portList.op(), err)
	}
	groups, err := tx.parts(ctx, q, ids, groupPart)
	if err != nil {
		return nil, wrap(portList.op(), err)
	}
	return out, wrap(portList.op(), join(out, addresses, groups))
}

// join gives ports their addresses and groups, as parts gives them; those of others are passed over.
func join(ports []signalbox.Port, addresses, groups []byte) error {
	other := new(signalbox.Port)
	byID := make(map[uuid.UUID]*signalbox.Port, len(ports))
	for i := range ports {
		byID[ports[i].ID] = &ports[i]
	}
	for r := (sent{addresses, nil}); r.more(); {
		p := cmp.Or(byID[r.uuid()], other)
		p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: r.uuid(), Addr: r.addr()})
		if r.err != nil {
			return r.err
		}
	}
	for r := (sent{groups, nil}); r.more(); {
		p := cmp.Or(byID[r.uuid()], other)
		p.SecurityGroups = append(p.SecurityGroups, r.uuid())
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

func ports(rows []portRow) (out []signalbox.Port, err error) {
	out = make([]signalbox.Port, len(rows))
	for i := range rows {
		if out[i], err = rows[i].port(); err != nil {
			return nil, wrap("read ports", err)
		}
	}
	return out, nil
}

// UpdatePort writes what may change of a port, its addresses and groups among it, and renews its Meta. It does not touch
// the port's key, network, role, status and binding, nor what is read only of it. Conflict ReasonMACInUse or ReasonIPInUse. Who computes the new port from the old
// one read it with PortForUpdate.
func (tx *Tx) UpdatePort(ctx context.Context, p *signalbox.Port) error {
	var got struct {
		metaRow
		FixedIPs array `db:"fixed_ips"`
		Groups   array `db:"security_groups"`
	}
	macs, prefixes := pairs(p.Pairs)
	err := tx.get(ctx, &got, `
		UPDATE ports p SET name = $2, description = $3, admin_state_up = $4, mac = $5, device_id = $6, device_owner = $7,
		       project_id = $8, unsecured = $9, pair_macs = $10, pair_prefixes = $11, dhcp_options = $12, host = $13, vnic_type = $14, profile = $15, dns_name = $16,
		       updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1
		RETURNING created_at, updated_at, revision,
		          ARRAY(SELECT a.subnet_id || ' ' || host(a.ip) FROM allocations a WHERE a.port_id = p.id ORDER BY a.ord) AS fixed_ips,
		          ARRAY(SELECT m.group_id::text FROM port_security_groups m WHERE m.port_id = p.id ORDER BY m.group_id) AS security_groups`,
		p.ID, p.Name, p.Description, p.AdminStateUp, mac{p.MAC}, p.DeviceID, p.DeviceOwner, p.ProjectID,
		p.Unsecured, macs, prefixes, dhcpOptions(p.DHCPOptions), p.Host, string(p.VNIC), p.Profile, p.DNSName)
	if isNoRows(err) {
		return notFound("update port", "port", p.ID)
	} else if err != nil {
		return wrap("update port", err)
	}
	p.Meta = got.meta()
	had, err := each(got.FixedIPs, readFixedIP)
	if err != nil {
		return wrap("update port", err)
	}
	was, err := each(got.Groups, uuid.Parse)
	if err == nil {
		err = tx.replaceGroups(ctx, p, was)
	}
	if err != nil || slices.Equal(had, p.FixedIPs) {
		return wrap("update port", err)
	}
	return wrap("update port", tx.replaceAddresses(ctx, p, had))
}

// replaceAddresses makes the port's allocations those that p names; had are those it has, while its row is locked.
func (tx *Tx) replaceAddresses(ctx context.Context, p *signalbox.Port, had []signalbox.FixedIP) error {
	var fresh []signalbox.FixedIP
	for _, f := range p.FixedIPs {
		if !slices.Contains(had, f) {
			fresh = append(fresh, f)
		}
	}
	if err := tx.claim(ctx, fresh); err != nil {
		return err
	}
	subnets, addrs := fixedIPs(p.FixedIPs)
	if _, err := tx.exec(ctx, `
		DELETE FROM allocations WHERE port_id = $1
		AND (subnet_id, ip) NOT IN (SELECT * FROM unnest($2::uuid[], $3::inet[]))`, p.ID, subnets, addrs); err != nil {
		return err
	}
	n, err := tx.exec(ctx, `
		INSERT INTO allocations AS mine (subnet_id, ip, port_id, ord)
		SELECT s, a, $1, n FROM unnest($2::uuid[], $3::inet[]) WITH ORDINALITY AS t(s, a, n)
		ON CONFLICT ON CONSTRAINT allocations_address DO UPDATE SET ord = excluded.ord WHERE mine.port_id = excluded.port_id`,
		p.ID, subnets, addrs)
	if err == nil && n < int64(len(p.FixedIPs)) {
		refusal := refusals[constraintAllocations]
		err = &refusal
	}
	if err == nil && strings.HasPrefix(p.DeviceOwner, "compute:") {
		_, err = tx.exec(ctx, `SELECT tell_nova('network-changed', $1, $2, $3)`, p.ID, p.DeviceOwner, p.DeviceID)
	}
	return err
}

// DeletePort deletes a port; its addresses are free again and its binding goes with it.
func (tx *Tx) DeletePort(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM ports WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonPortInUse, "port", id)
	}
	if n == 0 {
		return notFound("delete port", "port", id)
	}
	return nil
}
