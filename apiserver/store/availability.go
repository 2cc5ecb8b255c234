package store

import (
	"context"
	"math/big"
	"net/netip"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

var availabilityList = listing{
	resource: "network", table: "n", sel: "\nSELECT n.id, n.name, n.project_id\nFROM networks n",
	columns: map[string]column{
		"network_id":   {expr: "n.id", typ: "uuid"},
		"network_name": {expr: "n.name", typ: "text"},
		"project_id":   {expr: "n.project_id", typ: "text"},
	},
}

// Availabilities are how full the networks are that the query asks for. The filter ip_version leaves networks with subnets of
// that version, and of them these subnets.
func (tx *Tx) Availabilities(ctx context.Context, q Query) ([]signalbox.Availability, error) {
	type row struct {
		ID        uuid.UUID
		Name      string
		ProjectID string `db:"project_id"`
	}
	rows, err := list[row](ctx, tx, availabilityList, q)
	if err != nil {
		return nil, err
	}
	out := make([]signalbox.Availability, len(rows))
	at := make(map[uuid.UUID]int, len(rows))
	ids := make(pq.StringArray, len(rows))
	for i, r := range rows {
		out[i] = signalbox.Availability{NetworkID: r.ID, Name: r.Name, ProjectID: r.ProjectID}
		at[r.ID], ids[i] = i, r.ID.String()
	}
	versions := pq.StringArray{"4", "6"}
	if asked, narrowed := q.Filters["ip_version"]; narrowed {
		versions = valueTexts("bigint", asked)
	}
	var subnets []struct {
		ID        uuid.UUID
		NetworkID uuid.UUID `db:"network_id"`
		Name      string
		CIDR      prefix
		Used      int64
		First     array
		Last      array
	}
	err = tx.all(ctx, &subnets, `
		SELECT s.id, s.network_id, s.name, s.cidr, (SELECT count(*) FROM allocations a WHERE a.subnet_id = s.id) AS used,
		       ARRAY(SELECT host(p.first) FROM pools p WHERE p.subnet_id = s.id ORDER BY p.first) AS first,
		       ARRAY(SELECT host(p.last) FROM pools p WHERE p.subnet_id = s.id ORDER BY p.first) AS last
		FROM subnets s WHERE s.network_id = ANY($1::uuid[]) AND family(s.cidr) = ANY($2::bigint[])
		ORDER BY s.created_at, s.id`, ids, versions)
	if err != nil {
		return nil, wrap("read subnets", err)
	}
	for _, r := range subnets {
		s := signalbox.SubnetAvailability{SubnetID: r.ID, Name: r.Name, CIDR: r.CIDR.Prefix, Used: r.Used, Total: new(big.Int)}
		for i := range r.First {
			n, err := addressesIn(r.First[i], r.Last[i])
			if err != nil {
				return nil, wrap("read pools", err)
			}
			s.Total.Add(s.Total, n)
		}
		n := &out[at[r.NetworkID]]
		n.Subnets = append(n.Subnets, s)
	}
	return out, nil
}

// addressesIn is how many addresses there are from first to last, which of IPv6 no integer column could hold.
func addressesIn(first, last string) (*big.Int, error) {
	a, err := netip.ParseAddr(first)
	if err != nil {
		return nil, err
	}
	b, err := netip.ParseAddr(last)
	if err != nil {
		return nil, err
	}
	n := new(big.Int).SetBytes(b.AsSlice())
	n.Sub(n, new(big.Int).SetBytes(a.AsSlice()))
	return n.Add(n, big.NewInt(1)), nil
}
