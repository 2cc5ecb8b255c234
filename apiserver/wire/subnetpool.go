package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// maxPrefixes bounds the blocks of one subnet pool.
const maxPrefixes = 256

// AddressScopes is the address scope of the API reference.
func AddressScopes() *Resource[signalbox.AddressScope] {
	type K = signalbox.AddressScope
	return &Resource[K]{Name: "address_scope", Collection: "address_scopes", Attributes: []Attribute[K]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(k *K) any { return k.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(k *K) any { return k.Name }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(k *K) any { return k.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(k *K) any { return k.ProjectID }},
		{Name: "ip_version", Kind: integer(checkIPVersion), Access: Create | Required | Filter | Sort, Value: func(k *K) any { return k.IPVersion }},
		{Name: "shared", Kind: boolean(), Access: Create | Update | Filter | AdminSet, Default: false, Value: func(k *K) any { return k.Shared }},
	}}
}

// SubnetPools is the subnet pool of the API reference. The lengths of prefixes are shown as texts, as Neutron shows them.
func SubnetPools() *Resource[signalbox.SubnetPool] {
	type P = signalbox.SubnetPool
	none := uuid.Nil
	return &Resource[P]{Name: "subnetpool", Collection: "subnetpools", Attributes: slices.Concat([]Attribute[P]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(p *P) any { return p.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(p *P) any { return p.Name }},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(p *P) any { return p.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(p *P) any { return p.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(p *P) any { return p.ProjectID }},
		{Name: "prefixes", Kind: prefixes(), Access: Create | Required | Update, Value: func(p *P) any { return p.Prefixes }},
		{Name: "min_prefixlen", Kind: prefixLen(), Access: Create | Update | Filter | Sort, Value: func(p *P) any { return p.MinPrefixLen }},
		{Name: "default_prefixlen", Kind: prefixLen(), Access: Create | Update | Filter | Sort, Value: func(p *P) any { return p.DefaultPrefixLen }},
		{Name: "max_prefixlen", Kind: prefixLen(), Access: Create | Update | Filter | Sort, Value: func(p *P) any { return p.MaxPrefixLen }},
		{Name: "ip_version", Kind: integer(nil), Access: Filter | Sort, Value: familyOfPool},
		{Name: "default_quota", Kind: integer(checkNatural).takesNull(signalbox.NoQuota).showsNull(signalbox.NoQuota), Access: Create | Update | Filter | Sort, Default: signalbox.NoQuota, Value: func(p *P) any { return p.Quota }},
		{Name: "is_default", Kind: boolean(), Access: Create | Update | Filter | Sort | AdminSet, Default: false, Value: func(p *P) any { return p.Default }},
		{Name: "shared", Kind: boolean(), Access: Create | Filter | AdminSet, Default: false, Value: func(p *P) any { return p.Shared }},
		{Name: "address_scope_id", Kind: id().takesNull(none).showsNull(none), Access: Create | Update | Filter | Sort, Default: none, Value: func(p *P) any { return p.AddressScopeID }},
	},
		tagged(0, func(p *P) []string { return p.Tags }),
		stamped(func(p *P) *signalbox.Meta { return &p.Meta }),
	)}
}

func familyOfPool(p *signalbox.SubnetPool) any {
	if len(p.Prefixes) == 0 {
		return 0
	}
	return p.IPVersion()
}

func checkNatural(n int) error {
	if n < 0 {
		return fmt.Errorf("'%d' should be non-negative", n)
	}
	return nil
}

// prefixLen is an integer that is shown as a text.
func prefixLen() Kind {
	k := integer(checkNatural)
	k.Schema = Schema{Type: "string"}
	k.write = func(b []byte, v any) []byte { return appendString(b, strconv.Itoa(v.(int))) }
	return k
}

// prefixes is a list of blocks.
func prefixes() Kind {
	one := block()
	return Kind{
		Schema: Schema{Type: "array", Items: &one.Schema, MaxItems: maxPrefixes},
		read:   func(v any) (any, error) { return readList(v, maxPrefixes, readBlock, nil) },
		write:  func(b []byte, v any) []byte { return appendList(b, v.([]netip.Prefix), appendPrefix) },
	}
}

func readBlock(v any) (netip.Prefix, error) {
	p, ok := parsePrefix(v)
	if !ok {
		return p, fmt.Errorf("'%s' is not a valid IP subnet", shown(v))
	}
	return p, nil
}

// serviceTypes is a list of device owners, of the three kinds that Neutron knows.
func serviceTypes() Kind {
	one := text(255)
	return Kind{
		Schema: Schema{Type: "array", Items: &one.Schema},
		read: func(v any) (any, error) {
			return readList(v, signalbox.MaxTags, readServiceType, func(s string) string { return "service type '" + s + "'" })
		},
		write: func(b []byte, v any) []byte { return appendList(b, v.([]string), appendString) },
	}
}

func readServiceType(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", signalbox.Errorf(signalbox.Invalid, signalbox.ReasonServiceTypeText, "Subnet service type %s is not a string.", shown(v))
	}
	if _, err := text(255).read(s); err != nil {
		return "", err
	}
	if !signalbox.IsServiceType(s) {
		return "", signalbox.Errorf(signalbox.Invalid, signalbox.ReasonServiceType, "Subnet service type %s does not correspond to a valid device owner.", shown(s))
	}
	return s, nil
}

// DecodePrefixes reads the body of a request that adds blocks to a pool or removes them.
func DecodePrefixes(body []byte) ([]netip.Prefix, error) {
	v, err := parse(body)
	if err != nil {
		return nil, invalid("Body contains invalid data")
	}
	o, err := readObject(v, "prefixes")
	if err != nil {
		return nil, unconvertible("%s.", err)
	}
	list, err := prefixes().read(o["prefixes"])
	if err != nil {
		return nil, unconvertible("Invalid input for prefixes. Reason: %s.", err)
	}
	return list.([]netip.Prefix), nil
}

// AppendPrefixes appends {"prefixes":[…]}.
func AppendPrefixes(b []byte, list []netip.Prefix) []byte {
	return append(prefixes().write(append(b, `{"prefixes":`...), list), '}')
}

// DecodeOnboarding reads the body of a request that has a network's subnets be a pool's.
func DecodeOnboarding(body []byte) (network uuid.UUID, err error) {
	v, err := parse(body)
	o, ok := v.(object)
	if err != nil || !ok {
		return network, invalid("Body contains invalid data")
	}
	read, err := id().read(o["network_id"])
	if err != nil || len(o) > 1 {
		return network, unconvertible("%s.", errors.Join(errors.New("network_id, and nothing else, must be specified"), err))
	}
	return read.(uuid.UUID), nil
}

// AppendOnboarded appends the list that answers it.
func AppendOnboarded(b []byte, subnets []signalbox.Subnet) []byte {
	return appendList(b, subnets, func(b []byte, s signalbox.Subnet) []byte {
		b = appendID(append(b, `{"id":`...), s.ID)
		b = appendPrefix(append(b, `,"cidr":`...), s.CIDR)
		return append(b, '}')
	})
}
