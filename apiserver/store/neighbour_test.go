//go:build integration

package store_test

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

func (l *lab) neighbours() map[netip.Addr]signalbox.Neighbour {
	l.t.Helper()
	out := map[netip.Addr]signalbox.Neighbour{}
	for _, n := range read(l, func(tx *store.Tx) ([]signalbox.Neighbour, error) { return tx.Neighbours(l.ctx) }) {
		out[n.Addr] = n
	}
	return out
}

func TestNeighboursAreSavedAndDropped(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	n := func(addr string, mac byte) signalbox.Neighbour {
		return signalbox.Neighbour{NetworkID: ext.NetworkID, Addr: netip.MustParseAddr(addr), MAC: signalbox.MAC{2, 0, 0, 0, 0, mac}}
	}
	inside, gone := n("192.0.2.9", 9), n("192.0.2.9", 9)
	inside.NetworkID, gone.NetworkID = l.network().ID, uuid.New()
	v := l.follow()
	l.must(l.db.SaveNeighbours(l.ctx, nil))
	l.must(l.db.SaveNeighbours(l.ctx, []signalbox.Neighbour{n("192.0.2.1", 7), n("192.0.2.2", 2), inside, gone, n("192.0.2.1", 1)}))
	first := l.neighbours()
	a, b := first[netip.MustParseAddr("192.0.2.1")], first[netip.MustParseAddr("192.0.2.2")]
	if len(first) != 2 || a.ID == uuid.Nil || a.MAC != n("192.0.2.1", 1).MAC || a.NetworkID != ext.NetworkID {
		t.Fatalf("got %+v", first)
	}
	v.await("both", func() bool { return len(v.met) == 2 })
	l.must(l.db.SaveNeighbours(l.ctx, []signalbox.Neighbour{n("192.0.2.1", 1), n("192.0.2.2", 22)}))
	v.await("the other MAC", func() bool { return v.met[b.ID].MAC == n("192.0.2.2", 22).MAC })
	if v.told[a.ID] != 1 || v.told[b.ID] != 2 {
		t.Errorf("told %d and %d times", v.told[a.ID], v.told[b.ID])
	}
	l.must(l.db.DropNeighbours(l.ctx, nil))
	l.must(l.db.DropNeighbours(l.ctx, []signalbox.Neighbour{n("192.0.2.1", 1), n("192.0.2.2", 2), n("192.0.2.3", 3)})) // .2 has another MAC by now
	v.await("one is gone", func() bool { _, there := v.met[b.ID]; return len(v.met) == 1 && there })
	v.awaitTables()
}

func TestNeighboursGoWithTheirNetworkAndWhenItIsNoLongerExternal(t *testing.T) {
	l := newLab(t)
	ext, other := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254"), l.external("198.51.100.0/24", "198.51.100.2-198.51.100.254")
	save := func() {
		l.must(l.db.SaveNeighbours(l.ctx, []signalbox.Neighbour{{NetworkID: ext.NetworkID, Addr: netip.MustParseAddr("192.0.2.1"), MAC: signalbox.MAC{2}},
			{NetworkID: other.NetworkID, Addr: netip.MustParseAddr("198.51.100.1"), MAC: signalbox.MAC{2}}}))
	}
	save()
	v := l.follow()
	l.write(func(tx *store.Tx) error {
		n, err := tx.NetworkForUpdate(l.ctx, ext.NetworkID)
		if err != nil {
			return err
		}
		n.External = false
		return tx.UpdateNetwork(l.ctx, n)
	})
	save()
	v.await("the other's is left", func() bool { return len(v.met) == 1 })
	v.awaitTables()
	l.write(func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, other.NetworkID) })
	v.await("none is left", func() bool { return len(v.met) == 0 })
	v.awaitTables()
}

func TestTwoControllersMeetOneNeighbour(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	var met []signalbox.Neighbour
	for i := range 50 {
		met = append(met, signalbox.Neighbour{NetworkID: ext.NetworkID, Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), MAC: signalbox.MAC{2}})
	}
	var wg sync.WaitGroup
	for n := range 8 {
		mine := append(append([]signalbox.Neighbour{}, met[n:]...), met[:n]...) // in another order
		wg.Go(func() {
			for range 5 {
				if err := l.db.SaveNeighbours(l.ctx, mine); err != nil {
					t.Error(err)
				}
				if err := l.db.DropNeighbours(l.ctx, mine[:n]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	l.must(l.db.SaveNeighbours(l.ctx, met))
	if got := l.neighbours(); len(got) != 50 {
		t.Errorf("%d neighbours", len(got))
	}
}
