package ipam

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func blocksOf(text string) (out []netip.Prefix) {
	for _, w := range strings.Fields(text) {
		out = append(out, netip.MustParsePrefix(w))
	}
	return out
}

func TestCompact(t *testing.T) {
	for text, want := range map[string]string{
		"":                                          "",
		"10.0.0.0/24 10.0.1.0/24":                   "10.0.0.0/23",
		"10.0.1.0/24 10.0.2.0/24":                   "10.0.1.0/24 10.0.2.0/24",
		"10.0.0.7/16 10.0.3.0/24 10.0.0.0/16":       "10.0.0.0/16",
		"10.0.3.0/24 10.0.2.0/24 10.0.0.0/23":       "10.0.0.0/22",
		"128.0.0.0/1 0.0.0.0/1":                     "0.0.0.0/0",
		"0.0.0.0/0 10.0.0.0/8":                      "0.0.0.0/0",
		"fd00:0:0:1::/64 fd00::/64 fd00:0:0:4::/64": "fd00::/63 fd00:0:0:4::/64",
		"255.255.255.254/32 255.255.255.255/32":     "255.255.255.254/31",
	} {
		if got := Compact(blocksOf(text)); !slices.Equal(got, blocksOf(want)) {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		blocks, taken string
		bits          int
		want          string
	}{
		{"10.0.0.0/16", "", 24, "10.0.0.0/24"},
		{"10.0.0.0/16", "10.0.0.0/24", 24, "10.0.1.0/24"},
		{"10.0.0.0/16", "10.0.0.0/26", 26, "10.0.0.64/26"},
		{"10.0.0.0/16", "10.0.0.0/26 10.0.0.64/26", 24, "10.0.1.0/24"},
		{"10.0.0.0/16 10.9.0.0/24", "", 24, "10.9.0.0/24"}, // the small one first
		{"10.0.0.0/24", "10.0.0.0/25 10.0.0.128/25", 32, ""},
		{"10.0.0.0/24", "", 23, ""},
		{"10.0.0.0/24", "10.0.0.0/8", 28, ""}, // taken before the pool had so little
		{"255.255.255.0/24", "255.255.255.0/25", 25, "255.255.255.128/25"},
		{"fd00::/32", "fd00::/64", 64, "fd00:0:0:1::/64"},
		{"ffff:ffff::/32", "ffff:ffff::/33", 128, "ffff:ffff:8000::/128"},
	} {
		got, ok := Cut(blocksOf(c.blocks), blocksOf(c.taken), c.bits)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("/%d of %s without %s: %v %v, want %s", c.bits, c.blocks, c.taken, got, ok, c.want)
		}
	}
}

func TestExceeds(t *testing.T) {
	for _, c := range []struct {
		quota  int
		blocks string
		want   bool
	}{
		{256, "10.0.0.0/24", false}, {255, "10.0.0.0/24", true}, {256, "10.0.0.0/25 10.0.1.0/25", false}, {256, "10.0.0.0/25 10.0.1.0/24", true},
		{1, "fd00::/64", false}, {1, "fd00::/64 fd00:0:0:1::/128", true}, {1, "fd00::/65 fd00:0:0:1::/65", false}, {0, "fd00::/128", true},
		{1 << 62, "::/1", true},
	} {
		if got := Exceeds(c.quota, blocksOf(c.blocks)); got != c.want {
			t.Errorf("%s of %d: %v", c.blocks, c.quota, got)
		}
	}
}

// TestBlocksAgainstSingleAddresses holds the arithmetic of blocks to that of the 256 addresses of a /24.
func TestBlocksAgainstSingleAddresses(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	some := func(most int) (out []netip.Prefix) {
		for range rnd.IntN(most + 1) {
			out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.IntN(256))}), 24+rnd.IntN(9)).Masked())
		}
		return out
	}
	set := func(blocks []netip.Prefix) (in [256]bool) {
		for i := range in {
			in[i] = slices.ContainsFunc(blocks, func(b netip.Prefix) bool { return b.Contains(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})) })
		}
		return in
	}
	for range 3000 {
		blocks, taken := some(5), some(8)
		all, out, left := set(blocks), set(taken), set(Without(blocks, taken))
		for i := range all {
			if left[i] != (all[i] && !out[i]) {
				t.Fatalf("%v without %v: %v", blocks, taken, Without(blocks, taken))
			}
		}
		compact := Compact(blocks)
		if set(compact) != all || len(compact) > len(blocks) || !slices.Equal(compact, Compact(compact)) {
			t.Fatalf("%v compact: %v", blocks, compact)
		}
		bits := 24 + rnd.IntN(9)
		cut, ok := Cut(blocks, taken, bits)
		room := false
		for i := 0; i < 256; i += 1 << (32 - bits) {
			room = room || !slices.Contains(left[i:i+1<<(32-bits)], false)
		}
		if ok != room || ok && (cut.Bits() != bits || Overlap([]netip.Prefix{cut}, taken) || !Within(compact, cut)) {
			t.Fatalf("/%d of %v without %v: %v %v", bits, blocks, taken, cut, ok)
		}
	}
}

// FuzzBlocks: whatever is cut is free and of the pool.
func FuzzBlocks(f *testing.F) {
	f.Add("10.0.0.0/16 10.1.0.0/24", "10.0.0.0/24", 26)
	f.Add("fd00::/32 ::/0", "fd00::/64", 64)
	f.Fuzz(func(t *testing.T, pool, used string, bits int) {
		read := func(text string) (out []netip.Prefix) {
			for _, w := range strings.Fields(text) {
				if p, err := netip.ParsePrefix(w); err == nil && !p.Addr().Is4In6() {
					out = append(out, p.Masked())
				}
			}
			return out[:min(len(out), 20)]
		}
		blocks, taken := read(pool), read(used)
		cut, ok := Cut(blocks, taken, bits)
		if ok && (!cut.IsValid() || cut != cut.Masked() || Overlap([]netip.Prefix{cut}, taken) || !Within(Compact(blocks), cut)) {
			t.Fatalf("/%d of %v without %v: %v", bits, blocks, taken, cut)
		}
	})
}
