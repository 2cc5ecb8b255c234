package wire

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// maxGroups is how many security groups a port can be in.
const maxGroups = 64

// SecurityGroups is the security group of the API reference. Every group is stateful.
func SecurityGroups() *Resource[signalbox.SecurityGroup] {
	type G = signalbox.SecurityGroup
	return &Resource[G]{Name: "security_group", Collection: "security_groups", Attributes: slices.Concat([]Attribute[G]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(g *G) any { return g.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(g *G) any { return g.Name }},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(g *G) any { return g.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(g *G) any { return g.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(g *G) any { return g.ProjectID }},
		{Name: "stateful", Kind: stateful(), Access: Create | Update | Filter | Sort, Value: func(*G) any { return true }},
		{Name: "shared", Kind: boolean(), Access: Filter, Value: func(g *G) any { return g.Shared }},
		{Name: "security_group_rules", Kind: rules(), Value: func(g *G) any { return g.Rules }},
	},
		tagged(0, func(g *G) []string { return g.Tags }),
		stamped(func(g *G) *signalbox.Meta { return &g.Meta }),
	)}
}

// stateful is true: whatever a rule lets pass, its replies pass as well.
func stateful() Kind {
	k := boolean()
	read := k.read
	k.filter = func(s string) (any, error) { return read(s) }
	k.read = func(v any) (any, error) {
		b, err := read(v)
		if err == nil && b != true {
			err = unconvertible("Stateless security groups are not supported.")
		}
		return b, err
	}
	return k
}

// SecurityGroupRules is the security group rule of the API reference. Once made, it does not change.
func SecurityGroupRules() *Resource[signalbox.SecurityGroupRule] {
	type R = signalbox.SecurityGroupRule
	noGroup, noPrefix, anyProtocol := uuid.Nil, netip.Prefix{}, signalbox.Protocol("")
	normalized := remotePrefix().showsNull(noPrefix)
	return &Resource[R]{Name: "security_group_rule", Collection: "security_group_rules", Attributes: slices.Concat([]Attribute[R]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(r *R) any { return r.ID }},
		{Name: "description", Kind: text(255), Access: Create | Filter | Sort, Default: "", Value: func(r *R) any { return r.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(r *R) any { return r.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(r *R) any { return r.ProjectID }},
		{Name: "security_group_id", Kind: id(), Access: Create | Required | Filter | Sort, Value: func(r *R) any { return r.GroupID }},
		{Name: "direction", Kind: oneOf(signalbox.Ingress, signalbox.Egress), Access: Create | Required | Filter | Sort, Value: func(r *R) any { return r.Direction }},
		{Name: "ethertype", Kind: etherType(), Access: Create | Filter | Sort, Default: signalbox.IPv4, Value: func(r *R) any { return r.EtherType }},
		{Name: "protocol", Kind: protocol().takesNull(anyProtocol).showsNull(anyProtocol), Access: Create | Filter | Sort, Default: anyProtocol, Value: func(r *R) any { return r.Protocol }},
		{Name: "port_range_min", Kind: portBound().takesNull(signalbox.NoPort).showsNull(signalbox.NoPort), Access: Create | Filter | Sort, Default: signalbox.NoPort, Value: func(r *R) any { return r.PortMin }},
		{Name: "port_range_max", Kind: portBound().takesNull(signalbox.NoPort).showsNull(signalbox.NoPort), Access: Create | Filter | Sort, Default: signalbox.NoPort, Value: func(r *R) any { return r.PortMax }},
		{Name: "remote_group_id", Kind: id().takesNull(noGroup).showsNull(noGroup), Access: Create | Filter | Sort, Default: noGroup, Value: func(r *R) any { return r.RemoteGroupID }},
		{Name: "remote_ip_prefix", Kind: remotePrefix().takesNull(noPrefix).showsNull(noPrefix), Access: Create | Filter | Sort, Default: noPrefix, Value: func(r *R) any { return r.RemotePrefix }},
		{Name: "normalized_cidr", Kind: normalized, Access: Filter, Value: func(r *R) any { return r.RemotePrefix.Masked() }},
	}, stamped(func(r *R) *signalbox.Meta { return &r.Meta }))}
}

// rules is a group's rules, which requests make and delete one by one.
func rules() Kind {
	of := SecurityGroupRules()
	shown := of.shown(View{})
	item := Schema{Type: "object", Properties: map[string]Schema{}}
	for i := range of.Attributes {
		item.Properties[of.Attributes[i].Name] = of.Attributes[i].Kind.Schema
	}
	return Kind{
		Schema: Schema{Type: "array", Items: &item},
		write: func(b []byte, v any) []byte {
			b = append(b, '[')
			rules := v.([]signalbox.SecurityGroupRule)
			for i := range rules {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendObject(b, &rules[i], shown)
			}
			return append(b, ']')
		},
	}
}

// groups is the list of the security groups that a port is in; null and a list of none are told apart.
func groups() Kind {
	one := ids()
	return Kind{
		Schema: Schema{Type: "array", Items: one.Schema.Items, MaxItems: maxGroups},
		read: func(v any) (any, error) {
			return readList(v, maxGroups, func(v any) (uuid.UUID, error) {
				u, err := id().read(v)
				if err != nil {
					return uuid.Nil, unconvertible("%s.", err)
				}
				return u.(uuid.UUID), nil
			}, nil)
		},
		write:  one.write,
		filter: func(s string) (any, error) { return id().read(s) },
	}.takesNull([]uuid.UUID(nil))
}

// protocol is a protocol's name or its number, also as a JSON number.
func protocol() Kind {
	return Kind{
		Schema: Schema{Type: "string"},
		read: func(v any) (any, error) {
			switch v.(type) {
			case string, json.Number:
				if p, err := signalbox.ParseProtocol(shown(v)); err == nil {
					return p, nil
				}
			}
			return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidProtocol,
				"Security group rule protocol %s not supported. Only the names that the API reference lists and integer representations [0 to 255] are supported.", shown(v))
		},
		write:  func(b []byte, v any) []byte { return appendString(b, string(v.(signalbox.Protocol))) },
		filter: func(s string) (any, error) { return signalbox.ParseProtocol(s) },
	}
}

// etherType is IPv4 or IPv6, in any case.
func etherType() Kind {
	return Kind{
		Schema: Schema{Type: "string", Enum: []string{string(signalbox.IPv4), string(signalbox.IPv6)}},
		read: func(v any) (any, error) {
			s, _ := v.(string)
			for _, e := range []signalbox.EtherType{signalbox.IPv4, signalbox.IPv6} {
				if strings.EqualFold(s, string(e)) {
					return e, nil
				}
			}
			return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidEtherType,
				"Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", shown(v))
		},
		write: func(b []byte, v any) []byte { return appendString(b, string(v.(signalbox.EtherType))) },
	}
}

// portBound is a port, or what stands in its place for ICMP.
func portBound() Kind {
	k := integer(nil)
	read := k.read
	k.read = func(v any) (any, error) {
		if n, err := read(v); err == nil && n.(int) >= 0 && n.(int) <= 65535 {
			return n, nil
		}
		return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidPort, "Invalid value for port %s", shown(v))
	}
	k.filter = func(s string) (any, error) { return strconv.Atoi(s) }
	return k
}

// remotePrefix is a block of addresses, or one address, which is shown as it was written but for its length. An empty
// text is none.
func remotePrefix() Kind {
	parse := func(s string) (netip.Prefix, error) {
		if s == "" {
			return netip.Prefix{}, nil
		}
		if !strings.Contains(s, "/") {
			a, err := parseAddr(s)
			return netip.PrefixFrom(a, a.BitLen()), err
		}
		p, err := netip.ParsePrefix(s)
		if err == nil && p.Addr().Is4In6() {
			err = fmt.Errorf("'%s' is IPv4 in the dress of IPv6", s)
		}
		return p, err
	}
	return Kind{
		Schema: Schema{Type: "string", Format: "cidr"},
		read: func(v any) (any, error) {
			s, ok := v.(string)
			p, err := parse(s)
			if !ok || err != nil {
				return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidCIDR, "Invalid CIDR %s given as IP prefix.", shown(v))
			}
			return p, nil
		},
		write:  func(b []byte, v any) []byte { return appendPrefix(b, v.(netip.Prefix)) },
		filter: func(s string) (any, error) { return parse(s) },
	}
}
