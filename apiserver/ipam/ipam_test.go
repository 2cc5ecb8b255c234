package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func pools(pairs ...string) (out []signalbox.AddrRange) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, signalbox.AddrRange{First: addr(pairs[i]), Last: addr(pairs[i+1])})
	}
	return out
}

func TestDefaultGatewayAndPoolsAreNeutrons(t *testing.T) {
	for _, test := range []struct {
		block, gateway string
		pools          []signalbox.AddrRange
	}{
		{"10.1.0.0/24", "10.1.0.1", pools("10.1.0.2", "10.1.0.254")},
		{"10.70.0.0/30", "10.70.0.1", pools("10.70.0.2", "10.70.0.2")},
		{"10.70.0.0/31", "10.70.0.1", nil},
		{"10.70.0.5/32", "10.70.0.6", pools("10.70.0.5", "10.70.0.5")},
		{"255.255.255.255/32", "", pools("255.255.255.255", "255.255.255.255")},
		{"fd00:1::/64", "fd00:1::", pools("fd00:1::1", "fd00:1::ffff:ffff:ffff:ffff")},
		{"fd00:1::/127", "fd00:1::", pools("fd00:1::1", "fd00:1::1")},
	} {
		block := netip.MustParsePrefix(test.block)
		gateway := DefaultGateway(block)
		if gateway != addr(test.gateway) {
			t.Errorf("%s: gateway %s, want %s", block, gateway, test.gateway)
		}
		if got := DefaultPools(block, gateway); !slices.Equal(got, test.pools) {
			t.Errorf("%s: pools %v, want %v", block, got, test.pools)
		}
	}
}

func TestPoolsLeaveTheGatewayOut(t *testing.T) {
	block := netip.MustParsePrefix("10.0.0.0/24")
	for gateway, want := range map[string][]signalbox.AddrRange{
		"":           pools("10.0.0.1", "10.0.0.254"),
		"10.9.0.1":   pools("10.0.0.1", "10.0.0.254"),
		"10.0.0.254": pools("10.0.0.1", "10.0.0.253"),
		"10.0.0.100": pools("10.0.0.1", "10.0.0.99", "10.0.0.101", "10.0.0.254"),
	} {
		if got := DefaultPools(block, addr(gateway)); !slices.Equal(got, want) {
			t.Errorf("gateway %q: %v, want %v", gateway, got, want)
		}
	}
}

// subnet is one that is right, so that a test changes only what it is about.
func subnet(cidr string, change func(*signalbox.Subnet)) *signalbox.Subnet {
	s := &signalbox.Subnet{CIDR: netip.MustParsePrefix(cidr).Masked(), EnableDHCP: true}
	s.GatewayIP = DefaultGateway(s.CIDR)
	if change != nil {
		change(s)
	}
	if s.Pools == nil {
		s.Pools = DefaultPools(s.CIDR, s.GatewayIP)
	}
	return s
}

func TestSubnetsThatAreRightPass(t *testing.T) {
	for _, s := range []*signalbox.Subnet{
		subnet("10.0.0.0/24", nil),
		subnet("10.0.0.0/30", nil),
		subnet("10.0.0.0/32", func(s *signalbox.Subnet) { s.EnableDHCP = false }),
		subnet("10.0.0.0/31", func(s *signalbox.Subnet) { s.EnableDHCP = false }),
		subnet("10.53.0.0/24", func(s *signalbox.Subnet) { s.GatewayIP = addr("10.99.0.1") }),
		subnet("10.64.0.0/24", func(s *signalbox.Subnet) { s.GatewayIP = addr("") }),
		subnet("fd00::/64", func(s *signalbox.Subnet) { s.RAMode, s.AddressMode = signalbox.SLAAC, signalbox.SLAAC }),
		subnet("fd00::/64", func(s *signalbox.Subnet) { s.AddressMode = signalbox.DHCPv6Stateless }),
		subnet("fd00::/80", func(s *signalbox.Subnet) {
			s.RAMode, s.AddressMode = signalbox.DHCPv6Stateful, signalbox.DHCPv6Stateful
		}),
		subnet("fd00::/64", func(s *signalbox.Subnet) { s.GatewayIP = addr("fe80::1") }),
	} {
		if err := Check(s); err != nil {
			t.Errorf("%s: %v", s.CIDR, err)
		}
	}
}

func TestSubnetsThatCannotBeRightAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		cidr   string
		reason signalbox.Reason
		change func(*signalbox.Subnet)
	}{
		"gateway in pool": {"10.52.0.0/24", signalbox.ReasonGatewayInPool, func(s *signalbox.Subnet) {
			s.GatewayIP, s.Pools = addr("10.52.0.10"), pools("10.52.0.5", "10.52.0.20")
		}},
		"gateway is the network":    {"10.54.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.GatewayIP = addr("10.54.0.0") }},
		"gateway is the broadcast":  {"10.54.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.GatewayIP = addr("10.54.0.255") }},
		"gateway is multicast":      {"10.54.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.GatewayIP = addr("224.0.0.1") }},
		"gateway is of no family":   {"10.54.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.GatewayIP = addr("fd00::1") }},
		"pool outside":              {"10.55.0.0/24", signalbox.ReasonPoolOutside, func(s *signalbox.Subnet) { s.Pools = pools("10.56.0.5", "10.56.0.20") }},
		"pool with the network":     {"10.55.0.0/24", signalbox.ReasonPoolOutside, func(s *signalbox.Subnet) { s.Pools = pools("10.55.0.0", "10.55.0.20") }},
		"pool with the broadcast":   {"10.55.0.0/24", signalbox.ReasonPoolOutside, func(s *signalbox.Subnet) { s.Pools = pools("10.55.0.9", "10.55.0.255") }},
		"pool of another family":    {"10.55.0.0/24", signalbox.ReasonPoolOutside, func(s *signalbox.Subnet) { s.Pools = pools("fd00::1", "fd00::2") }},
		"pool of two families":      {"10.55.0.0/24", signalbox.ReasonPoolInvalid, func(s *signalbox.Subnet) { s.Pools = pools("10.55.0.9", "fd00::2") }},
		"pool reversed":             {"10.58.0.0/24", signalbox.ReasonPoolInvalid, func(s *signalbox.Subnet) { s.Pools = pools("10.58.0.50", "10.58.0.20") }},
		"pools overlap":             {"10.57.0.0/24", signalbox.ReasonPoolsOverlap, func(s *signalbox.Subnet) { s.Pools = pools("10.57.0.10", "10.57.0.30", "10.57.0.5", "10.57.0.20") }},
		"pools touch in an address": {"10.57.0.0/24", signalbox.ReasonPoolsOverlap, func(s *signalbox.Subnet) { s.Pools = pools("10.57.0.5", "10.57.0.9", "10.57.0.9", "10.57.0.20") }},
		"/32 with DHCP":             {"10.59.0.1/32", signalbox.ReasonInvalidInput, nil},
		"/31 with DHCP":             {"10.60.0.0/31", signalbox.ReasonInvalidInput, nil},
		"/127 with DHCP":            {"fd00::/127", signalbox.ReasonInvalidInput, nil},
		"/0":                        {"0.0.0.0/0", signalbox.ReasonInvalidInput, nil},
		"/0 without DHCP":           {"0.0.0.0/0", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.EnableDHCP = false }},
		"::/0":                      {"::/0", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.EnableDHCP = false }},
		"multicast":                 {"224.0.0.0/24", signalbox.ReasonInvalidInput, nil},
		"IPv6 multicast":            {"ff02::/64", signalbox.ReasonInvalidInput, nil},
		"loopback":                  {"127.0.0.0/24", signalbox.ReasonInvalidInput, nil},
		"IPv6 loopback":             {"::1/128", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.EnableDHCP = false }},
		"DNS of another family":     {"10.0.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.DNSServers = []netip.Addr{addr("fd00::53")} }},
		"route of another family": {"10.0.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) {
			s.HostRoutes = []signalbox.Route{{Destination: netip.MustParsePrefix("fd00::/64"), NextHop: addr("10.0.0.9")}}
		}},
		"route over another family": {"10.0.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) {
			s.HostRoutes = []signalbox.Route{{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: addr("fd00::1")}}
		}},
		"modes differ": {"fd00:a::/64", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) {
			s.RAMode, s.AddressMode = signalbox.SLAAC, signalbox.DHCPv6Stateful
		}},
		"SLAAC needs a /64":  {"fd00:b::/80", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.RAMode, s.AddressMode = signalbox.SLAAC, signalbox.SLAAC }},
		"IPv4 has no RA":     {"10.65.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.RAMode = signalbox.SLAAC }},
		"IPv4 has no mode":   {"10.65.0.0/24", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.AddressMode = signalbox.SLAAC }},
		"modes without DHCP": {"fd00::/64", signalbox.ReasonInvalidInput, func(s *signalbox.Subnet) { s.RAMode, s.EnableDHCP = signalbox.SLAAC, false }},
	} {
		var e *signalbox.Error
		err := Check(subnet(test.cidr, test.change))
		if !errors.As(err, &e) || e.Reason != test.reason {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
}

func TestPortsCanHaveWhatIsNeitherNetworkNorBroadcast(t *testing.T) {
	for _, test := range []struct {
		cidr, addr string
		want       bool
	}{
		{"10.0.0.0/24", "10.0.0.1", true},
		{"10.0.0.0/24", "10.0.0.254", true},
		{"10.0.0.0/24", "10.0.0.0", false},
		{"10.0.0.0/24", "10.0.0.255", false},
		{"10.0.0.0/24", "10.0.1.1", false},
		{"10.0.0.0/24", "fd00::1", false},
		{"10.0.0.0/31", "10.0.0.0", true},
		{"10.0.0.0/31", "10.0.0.1", true},
		{"10.0.0.9/32", "10.0.0.9", true},
		{"fd00::/64", "fd00::", false},
		{"fd00::/64", "fd00::ffff:ffff:ffff:ffff", true},
	} {
		s := &signalbox.Subnet{CIDR: netip.MustParsePrefix(test.cidr)}
		if got := Assignable(s, addr(test.addr)); got != test.want {
			t.Errorf("%s in %s: %v", test.addr, test.cidr, got)
		}
	}
}

func TestLastAddressOfEveryLength(t *testing.T) {
	for bits := range 33 {
		p := netip.PrefixFrom(addr("10.20.30.40"), bits).Masked()
		if last := Last(p); !p.Contains(last) || last.Next().IsValid() && p.Contains(last.Next()) {
			t.Errorf("%s: %s", p, last)
		}
	}
	if got := fmt.Sprint(Last(netip.MustParsePrefix("fd00::/120"))); got != "fd00::ff" {
		t.Errorf("fd00::/120: %s", got)
	}
}
