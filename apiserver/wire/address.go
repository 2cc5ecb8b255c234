package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// Bounds on the lists of a request. Neutron has the first two; without the others one request could hold
// tens of thousands of addresses.
const (
	maxDNSServers = 5
	maxHostRoutes = 20
	maxPools      = 64
	maxFixedIPs   = 64
)

// parseAddr reads an IPv4 or IPv6 address. Zones and IPv4 in an IPv6 dress are refused: PostgreSQL's inet and
// the flow tables know neither.
func parseAddr(v any) (netip.Addr, error) {
	s, _ := v.(string)
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("'%s' is not a valid IP address", shown(v))
	}
	return a, nil
}

func parsePrefix(v any) (netip.Prefix, bool) {
	s, _ := v.(string)
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil && !p.Addr().Is4In6()
}

func appendAddr(b []byte, a netip.Addr) []byte {
	b = append(b, '"')
	b = a.AppendTo(b)
	return append(b, '"')
}

func appendPrefix(b []byte, p netip.Prefix) []byte {
	b = append(b, '"')
	b = p.AppendTo(b)
	return append(b, '"')
}

func appendMAC(b []byte, m signalbox.MAC) []byte {
	b = append(b, '"')
	b = m.AppendTo(b)
	return append(b, '"')
}

// address is one IP address.
func address() Kind {
	return Kind{
		Schema: Schema{Type: "string", Format: "ip"},
		read:   func(v any) (any, error) { return parseAddr(v) },
		write:  func(b []byte, v any) []byte { return appendAddr(b, v.(netip.Addr)) },
	}
}

// block is a CIDR. Bits of the host part are dropped, as Neutron does.
func block() Kind {
	return Kind{
		Schema: Schema{Type: "string", Format: "cidr"},
		read: func(v any) (any, error) {
			p, ok := parsePrefix(v)
			if !ok {
				return nil, unconvertible("%s is not in a CIDR format.", shown(v))
			}
			return p, nil
		},
		write: func(b []byte, v any) []byte { return appendPrefix(b, v.(netip.Prefix)) },
		filter: func(s string) (any, error) {
			p, err := netip.ParsePrefix(s)
			return p, err
		},
	}
}

// macAddress is an Ethernet address. The group bit is allowed, as in Neutron; the two addresses that no
// interface can own are not.
func macAddress() Kind {
	return Kind{
		Schema: Schema{Type: "string", Format: "mac"},
		read: func(v any) (any, error) {
			s, _ := v.(string)
			m, err := signalbox.ParseMAC(s)
			if err != nil || m == (signalbox.MAC{}) || m == signalbox.Broadcast {
				return nil, fmt.Errorf("'%s' is not a valid MAC address", shown(v))
			}
			return m, nil
		},
		write: func(b []byte, v any) []byte { return appendMAC(b, v.(signalbox.MAC)) },
	}
}

// nameservers is a list of different addresses.
func nameservers() Kind {
	one := address()
	return Kind{
		Schema: Schema{Type: "array", Items: &one.Schema, MaxItems: maxDNSServers},
		read: func(v any) (any, error) {
			return readList(v, maxDNSServers, func(v any) (netip.Addr, error) {
				a, err := parseAddr(v)
				if err != nil {
					err = fmt.Errorf("'%s' is not a valid nameserver. %w", shown(v), err)
				}
				return a, err
			}, func(a netip.Addr) string { return "nameserver '" + a.String() + "'" })
		},
		write: func(b []byte, v any) []byte { return appendList(b, v.([]netip.Addr), appendAddr) },
	}
}

// pools is a list of address ranges, each {"start", "end"}. Whether they fit their subnet is for ipam to say.
func pools() Kind {
	item := Schema{Type: "object", Properties: map[string]Schema{"start": address().Schema, "end": address().Schema}}
	return Kind{
		Schema: Schema{Type: "array", Items: &item, MaxItems: maxPools},
		read: func(v any) (any, error) {
			return readList(v, maxPools, func(v any) (r signalbox.AddrRange, err error) {
				o, err := readObject(v, "start", "end")
				if err != nil {
					return r, err
				}
				if r.First, err = parseAddr(o["start"]); err == nil {
					r.Last, err = parseAddr(o["end"])
				}
				return r, err
			}, nil)
		},
		write: func(b []byte, v any) []byte {
			return appendList(b, v.([]signalbox.AddrRange), func(b []byte, r signalbox.AddrRange) []byte {
				b = appendAddr(append(b, `{"start":`...), r.First)
				b = appendAddr(append(b, `,"end":`...), r.Last)
				return append(b, '}')
			})
		},
	}
}

// routes is a list of at most max different routes, each {"destination", "nexthop"}.
func routes(max int) Kind {
	item := Schema{Type: "object", Properties: map[string]Schema{"destination": block().Schema, "nexthop": address().Schema}}
	return Kind{
		Schema: Schema{Type: "array", Items: &item, MaxItems: max},
		read: func(v any) (any, error) {
			return readList(v, max, readRoute, func(r signalbox.Route) string {
				return fmt.Sprintf("hostroute '%s via %s'", r.Destination, r.NextHop)
			})
		},
		write: func(b []byte, v any) []byte {
			return appendList(b, v.([]signalbox.Route), func(b []byte, r signalbox.Route) []byte {
				b = appendPrefix(append(b, `{"destination":`...), r.Destination)
				b = appendAddr(append(b, `,"nexthop":`...), r.NextHop)
				return append(b, '}')
			})
		},
	}
}

func readRoute(v any) (r signalbox.Route, err error) {
	o, err := readObject(v, "destination", "nexthop")
	if err != nil {
		return r, err
	}
	var ok bool
	if r.Destination, ok = parsePrefix(o["destination"]); !ok {
		return r, fmt.Errorf("'%s' is not a valid CIDR", shown(o["destination"]))
	}
	r.NextHop, err = parseAddr(o["nexthop"])
	return r, err
}

// fixedIPs is a list of {"subnet_id", "ip_address"}, of which a request gives at least one: the zero UUID and
// the zero Addr stand for what it left to us.
func fixedIPs() Kind {
	item := Schema{Type: "object", Properties: map[string]Schema{"subnet_id": id().Schema, "ip_address": address().Schema}}
	return Kind{
		Schema: Schema{Type: "array", Items: &item, MaxItems: maxFixedIPs},
		read: func(v any) (any, error) {
			return readList(v, maxFixedIPs, readFixedIP, func(f signalbox.FixedIP) string {
				if !f.Addr.IsValid() {
					return "" // the same subnet twice means two addresses of it
				}
				return "IP address '" + f.Addr.String() + "'"
			})
		},
		write: func(b []byte, v any) []byte {
			return appendList(b, v.([]signalbox.FixedIP), func(b []byte, f signalbox.FixedIP) []byte {
				b = appendID(append(b, `{"subnet_id":`...), f.SubnetID)
				b = appendAddr(append(b, `,"ip_address":`...), f.Addr)
				return append(b, '}')
			})
		},
		filter: filterFixedIP,
	}
}

func readFixedIP(v any) (f signalbox.FixedIP, err error) {
	o, ok := v.(object)
	if !ok || len(o) == 0 {
		return f, fmt.Errorf("'%s' is not an object with subnet_id or ip_address", shown(v))
	}
	for key, v := range o {
		switch key {
		case "subnet_id":
			var u any
			if u, err = id().read(v); err == nil {
				f.SubnetID = u.(uuid.UUID)
			}
		case "ip_address":
			f.Addr, err = parseAddr(v)
		default:
			err = fmt.Errorf("unexpected key '%s'", shown(key))
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// filterFixedIP reads the query form subnet_id=UUID, ip_address=ADDRESS or ip_address_substr=PART, and writes the value
// canonically, but for the last: what is part of an address is part of its canonical form.
func filterFixedIP(s string) (any, error) {
	key, value, _ := strings.Cut(s, "=")
	switch {
	case key == "ip_address_substr" && len(value) <= len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"):
		return strings.ToLower(s), nil // as addresses are shown
	case key != "subnet_id" && key != "ip_address":
		return nil, unconvertible("'%s' is not subnet_id=…, ip_address=… or ip_address_substr=….", shown(s))
	}
	f, err := readFixedIP(object{key: value})
	if err != nil {
		return nil, err
	}
	if key == "subnet_id" {
		return key + "=" + f.SubnetID.String(), nil
	}
	return key + "=" + f.Addr.String(), nil
}

// readList reads a list of at most max values. name says what an item is called in the refusal of its second
// appearance; items it calls "" may appear again, and so may all where name is nil.
func readList[T any](v any, max int, read func(any) (T, error), name func(T) string) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("'%s' is not a list", shown(v))
	}
	if len(list) > max {
		return nil, fmt.Errorf("%d are too many, the most is %d", len(list), max)
	}
	out := make([]T, 0, len(list))
	var seen []string
	for _, v := range list {
		item, err := read(v)
		if err != nil {
			return nil, err
		}
		if name != nil {
			if n := name(item); n != "" {
				if slices.Contains(seen, n) {
					return nil, errors.New("Duplicate " + n)
				}
				seen = append(seen, n)
			}
		}
		out = append(out, item)
	}
	return out, nil
}

// readObject reads an object that has exactly the keys.
func readObject(v any, keys ...string) (object, error) {
	o, ok := v.(object)
	if ok && len(o) == len(keys) {
		for _, k := range keys {
			if _, has := o[k]; !has {
				ok = false
			}
		}
		if ok {
			return o, nil
		}
	}
	return nil, fmt.Errorf("'%s' is not an object of just %s", shown(v), strings.Join(keys, " and "))
}
