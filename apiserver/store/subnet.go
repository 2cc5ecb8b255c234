package store

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

const selectSubnet = `
SELECT s.id, s.network_id, s.project_id, s.name, s.description, s.cidr, s.gateway_ip, s.enable_dhcp, s.dns_servers,
       s.route_destinations, s.route_hops, s.ra_mode, s.address_mode, s.created_at, s.updated_at, s.revision, s.tags,
       s.subnetpool_id, s.service_types,
       ARRAY(SELECT host(p.first) || ' ' || host(p.last) FROM pools p WHERE p.subnet_id = s.id ORDER BY p.first) AS pools
FROM subnets s`

type subnetRow struct {
	ID           uuid.UUID
	NetworkID    uuid.UUID `db:"network_id"`
	ProjectID    string    `db:"project_id"`
	Name         string
	Description  string
	CIDR         prefix
	GatewayIP    addr   `db:"gateway_ip"`
	EnableDHCP   bool   `db:"enable_dhcp"`
	DNSServers   array  `db:"dns_servers"`
	Destinations array  `db:"route_destinations"`
	Hops         array  `db:"route_hops"`
	RAMode       string `db:"ra_mode"`
	AddressMode  string `db:"address_mode"`
	Pools        array
	SubnetPoolID uuid.NullUUID `db:"subnetpool_id"`
	ServiceTypes array         `db:"service_types"`
	Tags         array
	metaRow
}

func (r *subnetRow) subnet() (s signalbox.Subnet, err error) {
	s = signalbox.Subnet{
		ID: r.ID, NetworkID: r.NetworkID, ProjectID: r.ProjectID, Name: r.Name, Description: r.Description,
		CIDR: r.CIDR.Prefix, GatewayIP: r.GatewayIP.Addr, EnableDHCP: r.EnableDHCP,
		RAMode: signalbox.IPv6Mode(r.RAMode), AddressMode: signalbox.IPv6Mode(r.AddressMode), Tags: tags(r.Tags), Meta: r.meta(),
		SubnetPoolID: r.SubnetPoolID.UUID, ServiceTypes: tags(r.ServiceTypes),
	}
	if s.Pools, err = each(r.Pools, readRange); err != nil {
		return s, err
	}
	if s.DNSServers, err = each(r.DNSServers, parseAddr); err != nil {
		return s, err
	}
	s.HostRoutes, err = readRoutes(r.Destinations, r.Hops)
	return s, err
}

// routes splits routes into the two arrays that hold them.
func routes(of []signalbox.Route) (destinations, hops pq.StringArray) {
	destinations, hops = pq.StringArray{}, pq.StringArray{}
	for _, r := range of {
		destinations = append(destinations, r.Destination.String())
		hops = append(hops, r.NextHop.String())
	}
	return destinations, hops
}

func readRoutes(destinations, hops []string) (out []signalbox.Route, err error) {
	for i := range destinations {
		var to prefix
		if err := to.Scan(destinations[i]); err != nil {
			return nil, err
		}
		hop, err := parseAddr(hops[i])
		if err != nil {
			return nil, err
		}
		out = append(out, signalbox.Route{Destination: to.Prefix, NextHop: hop})
	}
	return out, nil
}

// InsertSubnet writes a subnet with its pools and fills its Meta. Invalid ReasonOverlappingCIDR when another subnet
// of the network holds some of its addresses, Conflict ReasonPoolTaken when one of its subnet pool does.
func (tx *Tx) InsertSubnet(ctx context.Context, s *signalbox.Subnet) error {
	destinations, hops := routes(s.HostRoutes)
	var got metaRow
	err := tx.get(ctx, &got, `
		INSERT INTO subnets (id, network_id, project_id, name, description, cidr, gateway_ip, enable_dhcp, dns_servers,
		                     route_destinations, route_hops, ra_mode, address_mode, subnetpool_id, service_types)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, coalesce($15::text[], '{}')) RETURNING created_at, updated_at, revision`,
		s.ID, s.NetworkID, s.ProjectID, s.Name, s.Description, prefix{s.CIDR}, addr{s.GatewayIP}, s.EnableDHCP,
		texts(s.DNSServers), destinations, hops, string(s.RAMode), string(s.AddressMode), optional(s.SubnetPoolID), pq.StringArray(s.ServiceTypes))
	if err != nil {
		return wrap("insert subnet", err)
	}
	s.Meta = got.meta()
	return tx.insertPools(ctx, s)
}

// Subnet is the subnet with that id, or NotFound.
func (tx *Tx) Subnet(ctx context.Context, id uuid.UUID) (*signalbox.Subnet, error) {
	return tx.subnet(ctx, id, selectSubnet+` WHERE s.id = $1`)
}

// SubnetForUpdate is Subnet, alone: others who want to change the row, and those who claim an address by name or release
// one, wait for this transaction. Those who take the lowest address do not, as long as free rows are left.
func (tx *Tx) SubnetForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Subnet, error) {
	if _, err := tx.exec(ctx, lockSubnet, id); err != nil {
		return nil, wrap("lock subnet", err)
	}
	return tx.Subnet(ctx, id)
}

const lockSubnet = `SELECT FROM subnets WHERE id = $1 FOR NO KEY UPDATE`

func (tx *Tx) subnet(ctx context.Context, id uuid.UUID, text string) (*signalbox.Subnet, error) {
	var r subnetRow
	if err := tx.get(ctx, &r, text, id); isNoRows(err) {
		return nil, notFound("read subnet", "subnet", id)
	} else if err != nil {
		return nil, wrap("read subnet", err)
	}
	s, err := r.subnet()
	return &s, wrap("read subnet", err)
}

// Subnets are the subnets that the query asks for.
func (tx *Tx) Subnets(ctx context.Context, q Query) ([]signalbox.Subnet, error) {
	rows, err := list[subnetRow](ctx, tx, subnetList, q)
	if err != nil {
		return nil, err
	}
	return subnets(rows)
}

func subnets(rows []subnetRow) (out []signalbox.Subnet, err error) {
	out = make([]signalbox.Subnet, len(rows))
	for i := range rows {
		if out[i], err = rows[i].subnet(); err != nil {
			return nil, wrap("read subnets", err)
		}
	}
	return out, nil
}

// UpdateSubnet writes what may change of a subnet (not its network or CIDR) and renews its Meta. Where the pools are
// others than before, addresses are given out from the new ones; allocated ones stay with their ports.
func (tx *Tx) UpdateSubnet(ctx context.Context, s *signalbox.Subnet) error {
	destinations, hops := routes(s.HostRoutes)
	var got metaRow
	err := tx.get(ctx, &got, `
		UPDATE subnets SET name = $2, description = $3, gateway_ip = $4, enable_dhcp = $5, dns_servers = $6,
		       route_destinations = $7, route_hops = $8, ra_mode = $9, address_mode = $10, project_id = $11, service_types = coalesce($12::text[], '{}'),
		       updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING created_at, updated_at, revision`,
		s.ID, s.Name, s.Description, addr{s.GatewayIP}, s.EnableDHCP, texts(s.DNSServers), destinations, hops,
		string(s.RAMode), string(s.AddressMode), s.ProjectID, pq.StringArray(s.ServiceTypes))
	if isNoRows(err) {
		return notFound("update subnet", "subnet", s.ID)
	} else if err != nil {
		return wrap("update subnet", err)
	}
	s.Meta = got.meta()

	var pools pq.StringArray
	err = tx.get(ctx, &pools, `
		SELECT ARRAY(SELECT host(first) || ' ' || host(last) FROM pools WHERE subnet_id = $1 ORDER BY first)`, s.ID)
	if err != nil {
		return wrap("update subnet", err)
	}
	if now, err := each(pools, readRange); err != nil {
		return wrap("update subnet", err)
	} else if slices.Equal(now, s.Pools) {
		return nil
	}
	return tx.replacePools(ctx, s)
}

// DeleteSubnet deletes a subnet. Conflict ReasonSubnetInUse while any port has an address of it.
func (tx *Tx) DeleteSubnet(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM subnets WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonSubnetInUse, "subnet", id)
	}
	if n == 0 {
		return notFound("delete subnet", "subnet", id)
	}
	return nil
}
