package ipam

import (
	"math/big"
	"net/netip"
	"slices"
)

// Compact is the same addresses in as few blocks as can be, in ascending order.
func Compact(blocks []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(blocks)
	for i := range sorted {
		sorted[i] = sorted[i].Masked()
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits() // the larger first
	})
	var out []netip.Prefix
	for _, b := range sorted {
		if n := len(out); n > 0 && out[n-1].Overlaps(b) {
			continue // what overlaps a block before it is inside it
		}
		for n := len(out); n > 0 && b.Bits() > 0 && out[n-1].Bits() == b.Bits() && parent(out[n-1]) == parent(b); n = len(out) {
			out, b = out[:n-1], parent(b)
		}
		out = append(out, b)
	}
	return out
}

// parent is the block of twice the size around a block, which is not everything.
func parent(b netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(b.Addr(), b.Bits()-1).Masked()
}

// halves are the two blocks of half the size in a block, which is not one address.
func halves(b netip.Prefix) (low, high netip.Prefix) {
	low = netip.PrefixFrom(b.Addr(), b.Bits()+1)
	return low, netip.PrefixFrom(Last(low).Next(), b.Bits()+1)
}

// Within reports whether blocks have every address of another. They must be compact.
func Within(blocks []netip.Prefix, block netip.Prefix) bool {
	return slices.ContainsFunc(blocks, func(b netip.Prefix) bool { return b.Bits() <= block.Bits() && b.Contains(block.Addr()) })
}

// Overlap reports whether two lists of blocks share an address.
func Overlap(a, b []netip.Prefix) bool {
	return slices.ContainsFunc(a, func(x netip.Prefix) bool { return slices.ContainsFunc(b, x.Overlaps) })
}

// Without is the blocks less the addresses of others, compact.
func Without(blocks, others []netip.Prefix) []netip.Prefix {
	others = Compact(others)
	var left []netip.Prefix
	for _, b := range Compact(blocks) {
		left = less(left, b, others)
	}
	return Compact(left)
}

// less appends what is left of a block; others are in ascending order and do not overlap.
func less(left []netip.Prefix, block netip.Prefix, others []netip.Prefix) []netip.Prefix {
	from, _ := slices.BinarySearchFunc(others, block, func(o, b netip.Prefix) int {
		if o.Overlaps(b) {
			return 0
		}
		return o.Addr().Compare(b.Addr())
	})
	for from > 0 && others[from-1].Overlaps(block) {
		from--
	}
	to := from
	for to < len(others) && others[to].Overlaps(block) {
		to++
	}
	switch here := others[from:to]; {
	case len(here) == 0:
		return append(left, block)
	case here[0].Bits() <= block.Bits():
		return left
	default:
		low, high := halves(block)
		return less(less(left, low, here), high, here)
	}
}

// Cut is a free block of a length: one at the beginning of the smallest stretch that has room for it, and of these of the lowest,
// so that the large ones stay whole. ok is false where there is none.
func Cut(blocks, taken []netip.Prefix, bits int) (cut netip.Prefix, ok bool) {
	longest := -1
	for _, free := range Without(blocks, taken) {
		if free.Bits() <= bits && bits <= free.Addr().BitLen() && free.Bits() > longest {
			longest, cut = free.Bits(), netip.PrefixFrom(free.Addr(), bits)
		}
	}
	return cut, longest >= 0
}

// Exceeds reports whether blocks are more than a quota: of addresses in IPv4, of blocks of /64 in IPv6.
func Exceeds(quota int, blocks []netip.Prefix) bool {
	sum, most := new(big.Int), big.NewInt(int64(quota))
	for _, b := range blocks {
		sum.Add(sum, new(big.Int).Lsh(big.NewInt(1), uint(b.Addr().BitLen()-b.Bits())))
		if b.Addr().Is6() && most.BitLen() <= 64 {
			most = new(big.Int).Lsh(big.NewInt(int64(quota)), 64)
		}
	}
	return sum.Cmp(most) > 0
}
