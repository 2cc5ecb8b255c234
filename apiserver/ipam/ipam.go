// Package ipam knows what may be an address of what: the gateway and pools a subnet gets when a request names
// none, which subnets make sense at all, and which addresses of one a port can have. It is pure; which
// addresses are taken is for the store to know.
package ipam

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
)

// AutoAddressed reports whether the hosts of a subnet form their own addresses from their MACs (RFC 4862), so
// that none can be chosen for them.
func AutoAddressed(s *signalbox.Subnet) bool {
	auto := func(m signalbox.IPv6Mode) bool { return m == signalbox.SLAAC || m == signalbox.DHCPv6Stateless }
	return auto(s.RAMode) || auto(s.AddressMode)
}

// DefaultGateway is the gateway of a block when a request names none: the first address after the block's own
// in IPv4; in IPv6 the block's own, which is the Subnet-Router anycast address (RFC 4291, section 2.6.1).
// It is the zero Addr for 255.255.255.255/32, after which nothing comes.
func DefaultGateway(block netip.Prefix) netip.Addr {
	if block.Addr().Is4() {
		return block.Addr().Next()
	}
	return block.Addr()
}

// DefaultPools are the addresses of a block that ports can have, less the gateway. They are none where the
// block has no room for any, as an IPv4 /31 has not in Neutron.
func DefaultPools(block netip.Prefix, gateway netip.Addr) []signalbox.AddrRange {
	if block.IsSingleIP() {
		return []signalbox.AddrRange{{First: block.Addr(), Last: block.Addr()}}
	}
	whole := signalbox.AddrRange{First: block.Addr().Next(), Last: Last(block)}
	if block.Addr().Is4() {
		whole.Last = whole.Last.Prev()
	}
	if whole.Last.Less(whole.First) {
		return nil
	}
	return without(whole, gateway)
}

// without is a range less one address, which may be outside it.
func without(r signalbox.AddrRange, a netip.Addr) []signalbox.AddrRange {
	if !contains(r, a) {
		return []signalbox.AddrRange{r}
	}
	var parts []signalbox.AddrRange
	if r.First != a {
		parts = append(parts, signalbox.AddrRange{First: r.First, Last: a.Prev()})
	}
	if r.Last != a {
		parts = append(parts, signalbox.AddrRange{First: a.Next(), Last: r.Last})
	}
	return parts
}

func contains(r signalbox.AddrRange, a netip.Addr) bool {
	return a.IsValid() && a.BitLen() == r.First.BitLen() && !a.Less(r.First) && !r.Last.Less(a)
}

// Last is the highest address of a block: in IPv4 its broadcast address.
func Last(block netip.Prefix) netip.Addr {
	b := block.Addr().AsSlice()
	for i := range b {
		if host := 8*(i+1) - block.Bits(); host > 0 {
			b[i] |= byte(1<<min(host, 8) - 1)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Assignable reports whether a port can have the address by asking for it: it is of the subnet, in IPv4 it is
// neither the network's nor the broadcast address, in IPv6 it is not the Subnet-Router anycast address.
func Assignable(s *signalbox.Subnet, a netip.Addr) bool {
	if !s.CIDR.Contains(a) {
		return false
	}
	if a.Is4() && s.CIDR.Bits() >= 31 { // RFC 3021: no broadcast address where there is no room for it
		return true
	}
	return a != s.CIDR.Addr() && !(a.Is4() && a == Last(s.CIDR))
}
