package dns

import (
	"net/netip"
	"strconv"
	"strings"
)

const (
	arpa4 = "in-addr.arpa."
	arpa6 = "ip6.arpa."
)

// parseReverse is the block of addresses that a name in lower case is of: of one address, where the name is complete.
func parseReverse(name string) (netip.Prefix, bool) {
	if rest, ok := strings.CutSuffix(name, "."+arpa4); ok {
		var b [4]byte
		n, ok := readReverse(rest, len(b), 10, func(i int, v uint64) { b[i] = byte(v) })
		return netip.PrefixFrom(netip.AddrFrom4(b), 8*n), ok
	}
	if rest, ok := strings.CutSuffix(name, "."+arpa6); ok {
		var b [16]byte
		n, ok := readReverse(rest, 2*len(b), 16, func(i int, v uint64) { b[i/2] |= byte(v) << (4 * (1 - i%2)) })
		return netip.PrefixFrom(netip.AddrFrom16(b), 4*n), ok
	}
	return netip.Prefix{}, false
}

// readReverse reads labels from the last to the first, each one number in its shortest form, and says how many there are.
func readReverse(s string, most, base int, set func(i int, v uint64)) (n int, ok bool) {
	labels := strings.Split(s, ".")
	if len(labels) > most {
		return 0, false
	}
	for i := range labels {
		label := labels[len(labels)-1-i]
		v, err := strconv.ParseUint(label, base, 8)
		if err != nil || strconv.FormatUint(v, base) != label || base == 16 && v > 15 {
			return 0, false
		}
		set(i, v)
	}
	return len(labels), true
}

// reverseZone is the name of the smallest zone that has a block of addresses.
func reverseZone(block netip.Prefix) string {
	var labels []string
	suffix := arpa4
	if b := block.Masked().Addr().AsSlice(); block.Addr().Is4() {
		for i := range block.Bits() / 8 {
			labels = append([]string{strconv.Itoa(int(b[i]))}, labels...)
		}
	} else {
		suffix = arpa6
		for i := range block.Bits() / 4 {
			labels = append([]string{strconv.FormatUint(uint64(b[i/2]>>(4*(1-i%2))&15), 16)}, labels...)
		}
	}
	return strings.Join(append(labels, suffix), ".")
}
