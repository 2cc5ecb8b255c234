package ipam

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
)

// PoolBounds are the lengths of the largest and the smallest subnets that pools of such blocks give where nobody says.
func PoolBounds(blocks []netip.Prefix) (min, max int) {
	if len(blocks) > 0 && blocks[0].Addr().Is6() {
		return 64, 128
	}
	return 8, 32
}

// CheckPool refuses a subnet pool that cannot be right by itself, with the reason and the words for a client.
func CheckPool(p *signalbox.SubnetPool) error {
	if len(p.Prefixes) == 0 {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonNoPrefixes, "Empty subnet pool prefix list.")
	}
	for _, b := range p.Prefixes {
		if b.Addr().BitLen() != p.Prefixes[0].Addr().BitLen() {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonMixedPrefixes, "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
		}
	}
	bounds := func(name string, is int, other string, than int) error {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPrefixBounds, "Illegal prefix bounds: %s=%d, %s=%d.", name, is, other, than)
	}
	switch most := p.Prefixes[0].Addr().BitLen(); {
	case p.MinPrefixLen < 0:
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonUnsupportedMin,
			"Prefix '%d' not supported in IPv%d pool.", p.MinPrefixLen, p.IPVersion())
	case p.MinPrefixLen > p.MaxPrefixLen:
		return bounds("min_prefixlen", p.MinPrefixLen, "max_prefixlen", p.MaxPrefixLen)
	case p.MaxPrefixLen > most:
		return bounds("max_prefixlen", p.MaxPrefixLen, "ip_version_max", most)
	case p.DefaultPrefixLen < p.MinPrefixLen:
		return bounds("default_prefixlen", p.DefaultPrefixLen, "min_prefixlen", p.MinPrefixLen)
	case p.DefaultPrefixLen > p.MaxPrefixLen:
		return bounds("default_prefixlen", p.DefaultPrefixLen, "max_prefixlen", p.MaxPrefixLen)
	}
	return nil
}
