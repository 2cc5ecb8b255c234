package ipam

import (
	"net/netip"
	"slices"

	"github.com/signalbox-sdn/signalbox"
)

// Check refuses a subnet that cannot be right by itself, with the reason and the words for a client. It puts
// the pools in ascending order.
func Check(s *signalbox.Subnet) error {
	for _, check := range []func(*signalbox.Subnet) error{
		checkBlock, checkModes, checkFamilies, checkGateway, checkPools,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidInput, "Invalid input for operation: "+format, args...)
}

// checkBlock refuses blocks that no interface's address can come from, and with DHCP those without room for
// a server and a client.
func checkBlock(s *signalbox.Subnet) error {
	a, bits := s.CIDR.Addr(), s.CIDR.Bits()
	switch {
	case a.IsMulticast():
		return invalid("Multicast IP subnet %s is not supported.", s.CIDR)
	case s.CIDR.Overlaps(netip.MustParsePrefix("127.0.0.0/8")) && bits >= 8, a == netip.IPv6Loopback():
		return invalid("Loopback IP subnet %s is not supported.", s.CIDR)
	case a.IsUnspecified() && (s.EnableDHCP || bits == 0):
		return invalid("First IP '%s' of network is not supported.", a)
	case s.EnableDHCP && bits > a.BitLen()-2:
		return invalid("Subnet has a prefix length that is incompatible with DHCP service enabled.")
	}
	return nil
}

// checkModes holds the rules of Neutron's IPv6 modes. Addresses made from a MAC need a /64 (RFC 4291, 2.5.1).
func checkModes(s *signalbox.Subnet) error {
	ra, addr := s.RAMode, s.AddressMode
	switch {
	case ra == "" && addr == "":
		return nil
	case s.IPVersion() == 4 && ra != "":
		return invalid("ipv6_ra_mode is not valid when ip_version is 4.")
	case s.IPVersion() == 4:
		return invalid("ipv6_address_mode is not valid when ip_version is 4.")
	case !s.EnableDHCP:
		return invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.")
	case ra != "" && addr != "" && ra != addr:
		return invalid("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. If both attributes are set, they must be the same value.", ra, addr)
	case AutoAddressed(s) && s.CIDR.Bits() != 64:
		return invalid("Invalid CIDR %s for IPv6 address mode: addresses in EUI-64 format require the prefix to be /64.", s.CIDR)
	}
	return nil
}

func checkFamilies(s *signalbox.Subnet) error {
	other := func(a netip.Addr) bool { return a.BitLen() != s.CIDR.Addr().BitLen() }
	mismatch := func(name string, v any) error {
		return invalid("%s '%s' does not match the ip_version '%d'.", name, v, s.IPVersion())
	}
	if s.GatewayIP.IsValid() && other(s.GatewayIP) {
		return mismatch("gateway_ip", s.GatewayIP)
	}
	for _, a := range s.DNSServers {
		if other(a) {
			return mismatch("dns_nameservers", a)
		}
	}
	for _, r := range s.HostRoutes {
		if other(r.Destination.Addr()) {
			return mismatch("host_routes destination", r.Destination)
		}
		if other(r.NextHop) {
			return mismatch("host_routes nexthop", r.NextHop)
		}
	}
	return nil
}

// checkGateway refuses what no router can answer to. A gateway outside the block is allowed, as in Neutron.
func checkGateway(s *signalbox.Subnet) error {
	g := s.GatewayIP
	if !g.IsValid() {
		return nil
	}
	broadcast := g.Is4() && s.CIDR.Bits() < 31 && (g == s.CIDR.Addr() || g == Last(s.CIDR))
	if broadcast || g.IsMulticast() || g.IsLoopback() || g.IsUnspecified() {
		return invalid("Gateway %s is not valid on subnet %s.", g, s.CIDR)
	}
	return nil
}

func checkPools(s *signalbox.Subnet) error {
	slices.SortFunc(s.Pools, func(a, b signalbox.AddrRange) int { return a.First.Compare(b.First) })
	for i, p := range s.Pools {
		switch {
		case p.First.BitLen() != p.Last.BitLen() || p.Last.Less(p.First):
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolInvalid,
				"The allocation pool %s-%s is not valid.", p.First, p.Last)
		case !Assignable(s, p.First) || !Assignable(s, p.Last):
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolOutside,
				"The allocation pool %s-%s spans beyond the subnet cidr %s.", p.First, p.Last, s.CIDR)
		case i > 0 && !s.Pools[i-1].Last.Less(p.First):
			q := s.Pools[i-1]
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPoolsOverlap,
				"Found overlapping allocation pools: %s-%s %s-%s for subnet %s.", q.First, q.Last, p.First, p.Last, s.CIDR)
		}
	}
	for _, p := range s.Pools {
		if contains(p, s.GatewayIP) {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonGatewayInPool,
				"Gateway ip %s conflicts with allocation pool %s-%s.", s.GatewayIP, p.First, p.Last)
		}
	}
	return nil
}
