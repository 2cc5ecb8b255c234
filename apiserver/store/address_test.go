//go:build integration

package store_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

func ipsOf(ports ...*signalbox.Port) string {
	var out []string
	for _, p := range ports {
		for _, f := range p.FixedIPs {
			out = append(out, f.Addr.String())
		}
	}
	return strings.Join(out, " ")
}

func TestAddressesAreGivenLowestFirst(t *testing.T) {
	for _, c := range []struct {
		name, cidr string
		pools      []string
		explicit   []string
		want       string
	}{
		{"IPv4", "10.0.0.0/24", []string{"10.0.0.2-10.0.0.254"}, nil, "10.0.0.2 10.0.0.3 10.0.0.4"},
		{"two pools", "10.0.0.0/24", []string{"10.0.0.10-10.0.0.11", "10.0.0.40-10.0.0.50"}, nil, "10.0.0.10 10.0.0.11 10.0.0.40"},
		{"explicit ones are left out", "10.0.0.0/24", []string{"10.0.0.2-10.0.0.254"}, []string{"10.0.0.2", "10.0.0.4"}, "10.0.0.3 10.0.0.5 10.0.0.6"},
		{"IPv6", "2001:db8::/64", []string{"2001:db8::2-2001:db8::ffff:ffff:ffff:ffff"}, nil, "2001:db8::2 2001:db8::3 2001:db8::4"},
		{"the end of a family", "255.255.255.0/24", []string{"255.255.255.253-255.255.255.255"}, nil, "255.255.255.253 255.255.255.254 255.255.255.255"},
		{"the end of the other", "ffff::/16", []string{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, nil,
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			s := l.subnet(l.network().ID, c.cidr, c.pools...)
			for _, ip := range c.explicit {
				l.portAt(s, ip)
			}
			if got := ipsOf(l.port(s), l.port(s), l.port(s)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestReleasedAddressIsReusedFirst(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	a, b := l.port(s), l.port(s)
	high := l.portAt(s, "10.0.0.200") // above what was cut so far
	l.deletePort(a.ID)
	l.deletePort(high.ID)
	if got := ipsOf(b, l.port(s), l.port(s)); got != "10.0.0.3 10.0.0.2 10.0.0.4" {
		t.Errorf("got %s", got)
	}
}

func TestEveryAddressOfAPoolIsGivenOnceAndThenItIsExhausted(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	for _, ip := range []string{"10.0.0.5", "10.0.0.77", "10.0.0.254"} {
		l.portAt(s, ip)
	}
	last := netip.MustParseAddr("10.0.0.1")
	var some *signalbox.Port
	for range 250 {
		some = l.port(s)
		if ip := some.FixedIPs[0].Addr; !last.Less(ip) {
			t.Fatalf("%s after %s", ip, last)
		} else {
			last = ip
		}
	}
	_, err := create(l.ctx, l.db, s)
	l.refused(err, signalbox.Conflict, signalbox.ReasonIPExhausted)
	_, err = createInOne(l, s)
	l.refused(err, signalbox.Conflict, signalbox.ReasonIPExhausted)
	l.deletePort(some.ID)
	if got := l.port(s); ipsOf(got) != ipsOf(some) {
		t.Errorf("got %s, want %s", ipsOf(got), ipsOf(some))
	}
}

// createInOne leaves the choice of the address to InsertPort.
func createInOne(l *lab, s *signalbox.Subnet) (*signalbox.Port, error) {
	p := aPort(s.NetworkID)
	p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID}}
	return p, l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
}

func TestPortWithoutNamedAddressGetsTheLowest(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	p := aPort(s.NetworkID)
	p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID}, {SubnetID: s.ID, Addr: netip.MustParseAddr("10.0.0.77")}, {SubnetID: s.ID}}
	l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
	q, err := createInOne(l, s)
	l.must(err)
	if got := ipsOf(p, q, l.port(s)); got != "10.0.0.2 10.0.0.77 10.0.0.3 10.0.0.4 10.0.0.5" {
		t.Errorf("got %s", got)
	}
	read := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) })
	if ipsOf(read) != ipsOf(p) {
		t.Errorf("read %s, wrote %s", ipsOf(read), ipsOf(p))
	}
}

func TestSubnetThatIsNotThereHasNoAddress(t *testing.T) {
	l := newLab(t)
	_, err := createInOne(l, &signalbox.Subnet{ID: uuid.New(), NetworkID: l.network().ID})
	l.refused(err, signalbox.NotFound, "")
	err = l.db.Write(l.ctx, func(tx *store.Tx) error { _, err := tx.TakeAddress(l.ctx, uuid.New()); return err })
	l.refused(err, signalbox.NotFound, "")
}

func TestRolledBackAddressIsFreeAgain(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/30", "10.0.0.2-10.0.0.2")
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error {
		if _, err := tx.TakeAddress(l.ctx, s.ID); err != nil {
			return err
		}
		return signalbox.Errorf(signalbox.Invalid, "changed my mind", "no")
	}), signalbox.Invalid, "changed my mind")
	if got := ipsOf(l.port(s)); got != "10.0.0.2" {
		t.Error(got)
	}
}

// The pool's last address is in the hands of a transaction that fails in the end: who asked meanwhile gets it, and is
// not told that there is none.
func TestExhaustionIsNotSaidBeforeItIsCertain(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/30", "10.0.0.2-10.0.0.2")
	took, let := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = l.db.Write(l.ctx, func(tx *store.Tx) error {
			_, err := tx.TakeAddress(l.ctx, s.ID)
			close(took)
			<-let
			return signalbox.Errorf(signalbox.Invalid, "", "%v", err)
		})
	})
	<-took
	result := make(chan error, 1)
	wg.Go(func() { _, err := create(l.ctx, l.db, s); result <- err })
	l.untilOneWaits()
	close(let)
	l.must(<-result)
	wg.Wait()
}

// untilOneWaits returns when a session of this database waits for a lock.
func (l *lab) untilOneWaits() {
	l.t.Helper()
	pool := l.sql()
	eventually(l.t, "a session waits for a lock", func() (waits bool) {
		l.must(pool.QueryRowContext(l.ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits))
		return waits
	})
}

func TestConcurrentCreatorsNeverShareAnAddressNorRunOutEarly(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	dbs := []*store.DB{l.db, l.open(), l.open()}
	const creators, each, pool = 64, 5, 253
	var mu sync.Mutex
	var got []netip.Addr
	exhausted := 0
	var wg sync.WaitGroup
	for i := range creators {
		wg.Go(func() {
			for range each {
				p, err := create(l.ctx, dbs[i%len(dbs)], s)
				mu.Lock()
				switch {
				case err == nil:
					got = append(got, p.FixedIPs[0].Addr)
				case signalbox.KindOf(err) == signalbox.Conflict:
					exhausted++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(got, netip.Addr.Compare)
	if n := len(slices.Compact(got)); n != pool || exhausted != creators*each-pool {
		t.Errorf("%d addresses given, %d different, %d refused", len(got), n, exhausted)
	}
}

// Everything that touches addresses at once, with random aborts; in the end, an address below a pool's mark is either free
// or allocated.
func TestFreeRowsAndAllocationsStayApartUnderChurn(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/22", "10.0.0.2-10.0.1.200", "10.0.2.0-10.0.3.250")
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	var wg sync.WaitGroup
	for w := range 8 {
		rnd := newRand(uint64(w))
		wg.Go(func() {
			var mine []*signalbox.Port
			for range 60 {
				switch n := rnd.IntN(10); {
				case n < 5:
					if p, err := create(ctx, l.db, s); err == nil {
						mine = append(mine, p)
					} else if signalbox.KindOf(err) != signalbox.Conflict {
						t.Error(err)
					}
				case n < 8 && len(mine) > 0:
					i := rnd.IntN(len(mine))
					if err := l.db.Write(ctx, func(tx *store.Tx) error { return tx.DeletePort(ctx, mine[i].ID) }); err != nil {
						t.Error(err)
					}
					mine = slices.Delete(mine, i, i+1)
				case n < 9: // by name, and perhaps not after all
					p := aPort(s.NetworkID)
					ip := netip.AddrFrom4([4]byte{10, 0, byte(rnd.IntN(4)), byte(2 + rnd.IntN(200))})
					p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID, Addr: ip}}
					abort := rnd.IntN(2) == 0
					err := l.db.Write(ctx, func(tx *store.Tx) error {
						err := tx.InsertPort(ctx, p)
						if err == nil && abort {
							err = signalbox.Errorf(signalbox.Conflict, "", "abort")
						}
						return err
					})
					if err == nil {
						mine = append(mine, p)
					} else if signalbox.KindOf(err) != signalbox.Conflict {
						t.Error(err)
					}
				case w == 0:
					upd := *s
					if rnd.IntN(2) == 0 {
						upd.Pools = ranges("10.0.0.2-10.0.3.250")
					}
					if err := l.db.Write(ctx, func(tx *store.Tx) error { return tx.UpdateSubnet(ctx, &upd) }); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	var wrong string
	l.must(l.sql().QueryRowContext(l.ctx, `
		WITH cut AS (SELECT subnet_id, first + n AS ip FROM pools, generate_series(0, cut - 1) n)
		SELECT coalesce(string_agg(host(ip), ' '), '') FROM cut
		WHERE (SELECT count(*) FROM free_addresses f WHERE f.ip = cut.ip) + (SELECT count(*) FROM allocations a WHERE a.ip = cut.ip) <> 1`).Scan(&wrong))
	if wrong != "" {
		t.Errorf("below the mark, but not once: %s", wrong)
	}
	l.must(l.sql().QueryRowContext(l.ctx, `
		SELECT coalesce(string_agg(host(ip), ' '), '') FROM free_addresses f
		WHERE NOT EXISTS (SELECT FROM pools p WHERE cut > 0 AND f.ip BETWEEN first AND first + (cut - 1))`).Scan(&wrong))
	if wrong != "" {
		t.Errorf("free, but above the mark: %s", wrong)
	}
}

func TestAddressesComeFromTheNewPoolsAfterAnUpdate(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	l.port(s)
	l.portAt(s, "10.0.0.101")
	s.Pools = ranges("10.0.0.100-10.0.0.110", "10.0.0.120-10.0.0.130")
	l.write(func(tx *store.Tx) error { return tx.UpdateSubnet(l.ctx, s) })
	if got := ipsOf(l.port(s), l.port(s)); got != "10.0.0.100 10.0.0.102" {
		t.Errorf("got %s", got)
	}
	if got := read(l, func(tx *store.Tx) (*signalbox.Subnet, error) { return tx.Subnet(l.ctx, s.ID) }); !slices.Equal(got.Pools, s.Pools) {
		t.Errorf("pools are %v", got.Pools)
	}
}

func TestUpdateOfAPortMovesItsAddresses(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	p, other := l.port(s), l.port(s)
	p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID, Addr: netip.MustParseAddr("10.0.0.9")}, p.FixedIPs[0]}
	l.write(func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) })
	got := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) })
	if ipsOf(got) != "10.0.0.9 10.0.0.2" {
		t.Errorf("got %s", ipsOf(got))
	}
	p.FixedIPs = p.FixedIPs[:1]
	l.write(func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) })
	if got := ipsOf(l.port(s), l.port(s)); got != "10.0.0.2 10.0.0.4" {
		t.Errorf("after it gave up .2: %s", got)
	}
	p.FixedIPs = other.FixedIPs
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) }), signalbox.Conflict, signalbox.ReasonIPInUse)
}
