package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// attributesRow is what a port may say beside its own addresses, what DHCP tells it, how it is to be plugged in, and its name.
type attributesRow struct {
	Unsecured    bool
	PairMACs     array `db:"pair_macs"`
	PairPrefixes array `db:"pair_prefixes"`
	DHCPOptions  array `db:"dhcp_options"`
	Host         string
	VNICType     string `db:"vnic_type"`
	Profile      string
	DNSName      string         `db:"dns_name"`
	HeldBy       sql.NullString `db:"held_by"`
	Datapath     sql.NullString
	Domain       string // where it is read
}

func (r *attributesRow) attributes(p *signalbox.Port) (err error) {
	p.Unsecured, p.DNSName, p.Domain = r.Unsecured, r.DNSName, r.Domain
	p.VIF = signalbox.VIF{Host: r.Host, VNIC: signalbox.VNICType(r.VNICType), Profile: r.Profile,
		HeldBy: r.HeldBy.String, Datapath: r.Datapath.String}
	if p.Pairs, err = readPairs(r.PairMACs, r.PairPrefixes); err != nil {
		return err
	}
	p.DHCPOptions, err = each(r.DHCPOptions, readDHCPOption)
	return err
}

// attributeColumns are the same as the arrays that insertPorts takes. An array of arrays is one of texts.
type attributeColumns struct {
	unsecured                                                         pq.BoolArray
	pairMACs, pairPrefixes, dhcpOptions, host, vnic, profile, dnsName pq.StringArray
}

func (c *attributeColumns) add(p *signalbox.Port) {
	macs, prefixes := pairs(p.Pairs)
	c.unsecured = append(c.unsecured, p.Unsecured)
	c.pairMACs, c.pairPrefixes = append(c.pairMACs, literal(macs)), append(c.pairPrefixes, literal(prefixes))
	c.dhcpOptions = append(c.dhcpOptions, literal(dhcpOptions(p.DHCPOptions)))
	c.host, c.vnic, c.profile = append(c.host, p.Host), append(c.vnic, string(p.VNIC)), append(c.profile, p.Profile)
	c.dnsName = append(c.dnsName, p.DNSName)
}

// literal is an array as PostgreSQL writes it.
func literal(a pq.StringArray) string {
	v, _ := a.Value() // of texts it never fails
	s, _ := v.(string)
	return s
}

func pairs(of []signalbox.AddressPair) (macs, prefixes pq.StringArray) {
	macs, prefixes = pq.StringArray{}, pq.StringArray{}
	for _, p := range of {
		macs, prefixes = append(macs, p.MAC.String()), append(prefixes, p.Prefix.String())
	}
	return macs, prefixes
}

func readPairs(macs, prefixes []string) (out []signalbox.AddressPair, err error) {
	for i := range macs {
		var m mac
		var p prefix
		if err := m.Scan(macs[i]); err != nil {
			return nil, err
		}
		if err := p.Scan(prefixes[i]); err != nil {
			return nil, err
		}
		out = append(out, signalbox.AddressPair{MAC: m.MAC, Prefix: p.Prefix})
	}
	return out, nil
}

func dhcpOptions(of []signalbox.DHCPOption) pq.StringArray {
	out := make(pq.StringArray, len(of))
	for i, o := range of {
		out[i] = fmt.Sprintf("%d %s %s", o.Version, o.Name, o.Value)
	}
	return out
}

// readDHCPOption reads "4 mtu 1400": no name has a space.
func readDHCPOption(s string) (o signalbox.DHCPOption, err error) {
	version, rest, _ := strings.Cut(s, " ")
	o.Name, o.Value, _ = strings.Cut(rest, " ")
	o.Version, err = strconv.Atoi(version)
	return o, err
}

// DatapathOf is the datapath type of the host of that name; "" when there is none.
func (tx *Tx) DatapathOf(ctx context.Context, host string) (string, error) {
	var datapath sql.NullString
	err := tx.get(ctx, &datapath, `SELECT min(datapath_type) FROM hosts WHERE name = $1`, host)
	return datapath.String, wrap("read host", err)
}

// hostFilter is the condition that a port's VIF.HostName is one of the values.
func hostFilter(st *statement, values []any) string {
	names := anyOf(st, column{expr: "k.name", typ: "text"}, values)
	either := []string{
		"p.host <> '' AND " + anyOf(st, column{expr: "p.host", typ: "text"}, values),
		"p.host = '' AND p.id = ANY(ARRAY(SELECT c.port_id FROM bindings c JOIN hosts k ON k.id = c.host_id WHERE " + names + "))",
	}
	for _, v := range values {
		if v == "" {
			either = append(either, "p.host = '' AND b.host_id IS NULL")
		}
	}
	return "(" + strings.Join(either, " OR ") + ")"
}
