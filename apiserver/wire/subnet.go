package wire

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// Subnets is the subnet of the API reference, as far as it works here.
func Subnets() *Resource[signalbox.Subnet] {
	type S = signalbox.Subnet
	mode := func() Kind {
		k := oneOf(signalbox.SLAAC, signalbox.DHCPv6Stateful, signalbox.DHCPv6Stateless)
		return k.takesNull(signalbox.IPv6Mode("")).showsNull(signalbox.IPv6Mode(""))
	}
	return &Resource[S]{Name: "subnet", Collection: "subnets", Attributes: slices.Concat([]Attribute[S]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(s *S) any { return s.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(s *S) any { return s.Name }},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(s *S) any { return s.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(s *S) any { return s.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(s *S) any { return s.ProjectID }},
		{Name: "network_id", Kind: id(), Access: Create | Required | Filter | Sort, Value: func(s *S) any { return s.NetworkID }},
		{Name: "ip_version", Kind: integer(checkIPVersion), Access: Create | Required | Filter | Sort, Value: func(s *S) any { return s.IPVersion() }},
		{Name: "cidr", Kind: block().takesNull(netip.Prefix{}), Access: Create | Filter | Sort, Value: func(s *S) any { return s.CIDR }},
		{Name: "subnetpool_id", Kind: id().takesNull(uuid.Nil).showsNull(uuid.Nil), Access: Create | Filter | Sort, Default: uuid.Nil, Value: func(s *S) any { return s.SubnetPoolID }},
		{Name: "prefixlen", Kind: integer(checkNatural), Access: Create | Unshown, Value: func(*S) any { return 0 }},
		{Name: "use_default_subnetpool", Kind: boolean(), Access: Create | Unshown, Default: false, Value: func(*S) any { return false }},
		{Name: "gateway_ip", Kind: address().takesNull(netip.Addr{}).showsNull(netip.Addr{}), Access: Create | Update | Filter | Sort, Value: func(s *S) any { return s.GatewayIP }},
		{Name: "allocation_pools", Kind: pools(), Access: Create | Update, Value: func(s *S) any { return s.Pools }},
		{Name: "enable_dhcp", Kind: boolean(), Access: Create | Update | Filter | Sort, Default: true, Value: func(s *S) any { return s.EnableDHCP }},
		{Name: "dns_nameservers", Kind: nameservers().takesNull([]netip.Addr{}), Access: Create | Update, Default: []netip.Addr{}, Value: func(s *S) any { return s.DNSServers }},
		{Name: "host_routes", Kind: routes(maxHostRoutes).takesNull([]signalbox.Route{}), Access: Create | Update, Default: []signalbox.Route{}, Value: func(s *S) any { return s.HostRoutes }},
		{Name: "service_types", Kind: serviceTypes(), Access: Create | Update, Default: []string{}, Value: func(s *S) any { return s.ServiceTypes }},
		{Name: "shared", Kind: boolean(), Access: Filter | Unshown, Value: func(*S) any { return false }},
		{Name: "router:external", Kind: boolean(), Access: Filter | Unshown, Value: func(*S) any { return false }},
		{Name: "ipv6_ra_mode", Kind: mode(), Access: Create | Filter | Sort, Default: signalbox.IPv6Mode(""), Value: func(s *S) any { return s.RAMode }},
		{Name: "ipv6_address_mode", Kind: mode(), Access: Create | Filter | Sort, Default: signalbox.IPv6Mode(""), Value: func(s *S) any { return s.AddressMode }},
	},
		tagged(0, func(s *S) []string { return s.Tags }),
		stamped(func(s *S) *signalbox.Meta { return &s.Meta }),
	)}
}

func checkIPVersion(n int) error {
	if n != 4 && n != 6 {
		return fmt.Errorf("%d is not in valid_values", n)
	}
	return nil
}
