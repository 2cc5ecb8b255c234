//go:build integration

package store_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

var listener = store.NovaListener{Most: 100, Hold: time.Minute, Keep: time.Hour}

func (l *lab) take(how store.NovaListener) []store.NovaEvent {
	l.t.Helper()
	events, _, err := l.db.TakeNovaEvents(l.ctx, how)
	l.must(err)
	return events
}

func (l *lab) settle(done, refused, rest []store.NovaEvent) {
	l.t.Helper()
	ids := func(events []store.NovaEvent) (ids []int64) {
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		return ids
	}
	l.must(l.db.SettleNovaEvents(l.ctx, ids(done), ids(refused), ids(rest), time.Hour, time.Hour))
}

// compute makes a port a server's.
func (l *lab) compute(p *signalbox.Port) *signalbox.Port {
	l.t.Helper()
	p.DeviceOwner, p.DeviceID = "compute:nova", uuid.NewString()
	l.update(p)
	return p
}

func (l *lab) update(p *signalbox.Port) {
	l.t.Helper()
	l.write(func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) })
}

func (l *lab) status(p *signalbox.Port, s signalbox.Status) {
	l.t.Helper()
	l.must(l.db.SetStatus(l.ctx, map[uuid.UUID]signalbox.Status{p.ID: s}))
}

func TestNovaIsToldWhatConcernsIt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	w := l.way()
	vm := l.compute(w.vm)
	f := l.floating(w.ext)
	told := func(what string, port *signalbox.Port, names ...string) {
		t.Helper()
		var got []string
		events := l.take(listener)
		for _, e := range events {
			got = append(got, e.Name)
			if port == nil || e.PortID != port.ID || e.ServerID.String() != port.DeviceID {
				t.Errorf("%s: told of %+v", what, e)
			}
		}
		if !slices.Equal(got, names) {
			t.Errorf("%s: Nova is told %v, want %v", what, got, names)
		}
		l.settle(events, nil, nil)
	}
	l.status(vm, signalbox.Active)
	l.status(vm, signalbox.Down)
	told("before anybody listens", nil)

	l.status(vm, signalbox.Active)
	told("works", vm, "network-vif-plugged")
	l.status(vm, signalbox.Active)
	told("still works", nil)
	l.status(vm, signalbox.Down)
	told("works no more", vm, "network-vif-unplugged")

	vm.Name = "new"
	l.update(vm)
	told("a name", nil)
	vm.MAC[5]++
	l.update(vm)
	told("a MAC", vm, "network-changed")
	vm.FixedIPs = append(vm.FixedIPs, signalbox.FixedIP{SubnetID: w.inside.ID, Addr: netip.MustParseAddr("10.0.0.77")})
	l.update(vm)
	told("one more address", vm, "network-changed")

	l.must(l.associate(f, vm))
	told("a floating IP", vm, "network-changed")
	l.must(l.db.SetFloatingStatus(l.ctx, map[uuid.UUID]signalbox.Status{f.ID: signalbox.Active}))
	told("a floating IP that works", nil)
	other := l.compute(l.port(w.inside))
	l.must(l.associate(f, other))
	events := l.take(listener)
	if len(events) != 2 || events[0].PortID != vm.ID || events[1].PortID != other.ID {
		t.Errorf("a floating IP that moves: %v", events)
	}
	l.settle(events, nil, nil)
	l.write(func(tx *store.Tx) error { return tx.DeleteFloatingIP(l.ctx, f.ID) })
	told("a floating IP that is gone", other, "network-changed")

	second := l.floating(w.ext)
	l.must(l.associate(second, vm))
	told("another floating IP", vm, "network-changed")
	l.deletePort(vm.ID)
	told("gone", vm, "network-vif-deleted")

	for owner, device := range map[string]string{"compute:nova": "vm1", "network:dhcp": uuid.NewString(), "": uuid.NewString(), "compute": uuid.NewString()} {
		p := l.port(w.inside)
		p.DeviceOwner, p.DeviceID = owner, device
		l.update(p)
		l.status(p, signalbox.Active)
		p.MAC[5]++
		l.update(p)
		l.deletePort(p.ID)
		told(owner+" "+device, nil)
	}
	p := l.port(w.inside)
	p.DeviceOwner, p.DeviceID = "compute:az", strings.ToUpper(uuid.NewString())
	l.update(p)
	l.deletePort(p.ID)
	p.DeviceID = strings.ToLower(p.DeviceID)
	told("a server in capitals", p, "network-vif-deleted")
}

func TestWhatIsUndoneIsNotTold(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.compute(l.port(l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.1-10.0.0.9")))
	l.take(listener)
	undo := &signalbox.Error{Kind: signalbox.Conflict}
	if err := l.db.Write(l.ctx, func(tx *store.Tx) error {
		l.must(tx.DeletePort(l.ctx, p.ID))
		return undo
	}); err != undo {
		t.Fatal(err)
	}
	if got := l.take(listener); len(got) != 0 {
		t.Errorf("told of %v", got)
	}
}

func TestEventsOfAServerAreOneSendersAtATime(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.1-10.0.0.99")
	a, b := l.compute(l.port(s)), l.compute(l.port(s))
	l.take(listener)
	l.status(a, signalbox.Active)
	first := l.take(listener)
	if len(first) != 1 {
		t.Fatalf("took %v", first)
	}
	l.status(a, signalbox.Down)
	l.status(b, signalbox.Active)
	second := l.take(listener)
	if len(second) != 1 || second[0].PortID != b.ID {
		t.Errorf("another took %v, while the first server's are being sent", second)
	}
	l.settle(nil, first, nil) // so the first has to wait, but not what came after it
	third := l.take(listener)
	if len(third) != 1 || third[0].Name != "network-vif-unplugged" {
		t.Errorf("then %v", third)
	}
	l.settle(third, nil, second)
	if again := l.take(listener); len(again) != 1 || again[0].ID != second[0].ID || again[0].Tries != 0 {
		t.Errorf("what was not sent is due as %v", again)
	}
	if left := read(l, func(tx *store.Tx) (int, error) { return tx.CountNovaEvents(l.ctx) }); left != 1 {
		t.Errorf("%d are left: what the newer event made void is still there", left)
	}
}

func TestWhoeverSendsAndDiesLosesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.compute(l.port(l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.1-10.0.0.9")))
	l.take(listener)
	l.status(p, signalbox.Active)
	dead := l.take(store.NovaListener{Most: 100, Hold: 50 * time.Millisecond, Keep: time.Hour})
	eventually(t, "another takes over", func() bool {
		events := l.take(listener)
		return len(events) == 1 && events[0].ID == dead[0].ID
	})
}

func TestWithoutAListenerEventsEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.compute(l.port(l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.1-10.0.0.9")))
	brief := store.NovaListener{Most: 100, Hold: time.Millisecond, Keep: 20 * time.Millisecond}
	l.take(brief)
	count := func() int { return read(l, func(tx *store.Tx) (int, error) { return tx.CountNovaEvents(l.ctx) }) }
	eventually(t, "nobody listens any more", func() bool {
		before := count()
		l.status(p, signalbox.Active)
		l.status(p, signalbox.Down)
		return count() == before
	})
	eventually(t, "what is too old is dropped", func() bool {
		if left := count(); left == 0 {
			return true
		}
		_, _, err := l.db.TakeNovaEvents(l.ctx, brief)
		l.must(err)
		return false
	})
}

func TestManySendersTakeEachEventOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/16", "10.0.0.1-10.0.9.99")
	l.take(listener)
	statuses := map[uuid.UUID]signalbox.Status{}
	for range 60 {
		statuses[l.compute(l.port(s)).ID] = signalbox.Active
	}
	l.must(l.db.SetStatus(l.ctx, statuses))
	var mu sync.Mutex
	taken := map[uuid.UUID]int{}
	var senders sync.WaitGroup
	for range 6 {
		senders.Go(func() {
			for idle := 0; idle < 3; {
				events, _, err := l.db.TakeNovaEvents(l.ctx, store.NovaListener{Most: 7, Hold: time.Minute, Keep: time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if idle++; len(events) > 0 || len(taken) < len(statuses) {
					idle = 0
				}
				for _, e := range events {
					taken[e.PortID]++
				}
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	for port := range statuses {
		if taken[port] != 1 {
			t.Errorf("an event was taken %d times", taken[port])
		}
	}
}
