package store

import (
	"cmp"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// The types below stand between PostgreSQL's text forms and the vocabulary's values.

// addr is an inet column that holds one address; NULL is the zero Addr.
type addr struct{ netip.Addr }

func (a *addr) Scan(src any) error {
	s, err := text(src)
	if err != nil || s == "" {
		a.Addr = netip.Addr{}
		return err
	}
	a.Addr, err = parseAddr(s)
	return err
}

func (a addr) Value() (driver.Value, error) {
	if !a.IsValid() {
		return nil, nil
	}
	return a.String(), nil
}

// parseAddr reads an inet of full length, with or without it.
func parseAddr(s string) (netip.Addr, error) {
	host, _, _ := strings.Cut(s, "/")
	return netip.ParseAddr(host)
}

// prefix is a cidr column.
type prefix struct{ netip.Prefix }

func (p *prefix) Scan(src any) error {
	s, err := text(src)
	if err != nil {
		return err
	}
	p.Prefix, err = netip.ParsePrefix(s)
	return err
}

func (p prefix) Value() (driver.Value, error) { return p.String(), nil }

// mac is a macaddr column.
type mac struct{ signalbox.MAC }

func (m *mac) Scan(src any) error {
	s, err := text(src)
	if err != nil {
		return err
	}
	m.MAC, err = signalbox.ParseMAC(s)
	return err
}

func (m mac) Value() (driver.Value, error) { return m.String(), nil }

// mappings is a jsonb object of strings.
type mappings map[string]string

func (m *mappings) Scan(src any) error {
	s, err := text(src)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(s), m)
}

func (m mappings) Value() (driver.Value, error) {
	if m == nil {
		return "{}", nil
	}
	b, err := json.Marshal(map[string]string(m))
	return string(b), err
}

func text(src any) (string, error) {
	switch v := src.(type) {
	case nil:
		return "", nil
	case []byte:
		return string(v), nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("cannot read a %T", src)
}

// array is a column that is an array of texts. Most are empty, and cost nothing.
type array []string

func (a *array) Scan(src any) error {
	if b, ok := src.([]byte); ok && string(b) == "{}" {
		*a = nil
		return nil
	}
	return (*pq.StringArray)(a).Scan(src)
}

// uuids is an array parameter, which may be long.
type uuids []uuid.UUID

func (ids uuids) Value() (driver.Value, error) {
	b := make([]byte, 0, len("{}")+len(ids)*33)
	for i, id := range ids {
		b = hex.AppendEncode(append(b, "{,"[min(i, 1)]), id[:])
	}
	if len(ids) == 0 {
		b = append(b, '{')
	}
	return string(append(b, '}')), nil
}

// texts gives an array parameter: each element's text form, in order.
func texts[T fmt.Stringer](of []T) pq.StringArray {
	a := make(pq.StringArray, len(of))
	for i, v := range of {
		a[i] = v.String()
	}
	return a
}

// each reads an array of text with one element's reader.
func each[T any](a []string, read func(string) (T, error)) ([]T, error) {
	if len(a) == 0 {
		return nil, nil
	}
	out := make([]T, len(a))
	for i, s := range a {
		v, err := read(s)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// pair reads "a b" with a reader for each half.
func pair[A, B any](s string, a func(string) (A, error), b func(string) (B, error)) (x A, y B, err error) {
	left, right, _ := strings.Cut(s, " ")
	if x, err = a(left); err != nil {
		return x, y, err
	}
	y, err = b(right)
	return x, y, err
}

func readFixedIP(s string) (f signalbox.FixedIP, err error) {
	f.SubnetID, f.Addr, err = pair(s, uuid.Parse, parseAddr)
	return f, err
}

func readRange(s string) (r signalbox.AddrRange, err error) {
	r.First, r.Last, err = pair(s, parseAddr, parseAddr)
	return r, err
}

// datapath is a datapath id in the text form of ovs-vsctl.
type datapath struct{ signalbox.DatapathID }

func (d *datapath) Scan(src any) error {
	s, err := text(src)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(s, 16, 64)
	d.DatapathID = signalbox.DatapathID(n)
	return err
}

// sent reads what PostgreSQL's send functions have written: values one after the other, in network order.
type sent struct {
	rest []byte
	err  error // the first
}

func (r *sent) more() bool { return len(r.rest) > 0 && r.err == nil }

// next is the next n bytes; zeros when there are not so many.
func (r *sent) next(n int) []byte {
	if len(r.rest) < n {
		r.rest, r.err = nil, cmp.Or(r.err, io.ErrUnexpectedEOF)
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *sent) uuid() uuid.UUID { return uuid.UUID(r.next(16)) }

// addr reads an inet: its family, prefix length, whether it is a cidr, how many bytes, and these.
func (r *sent) addr() netip.Addr {
	a, ok := netip.AddrFromSlice(r.next(int(r.next(4)[3])))
	if !ok {
		r.err = cmp.Or(r.err, errors.New("an inet is neither of IPv4 nor of IPv6"))
	}
	return a
}
