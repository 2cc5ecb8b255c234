package controller

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// withApplier gives a crowded host an applier without a switch: what it is to send stays with it.
func withApplier(c *Controller, h *host) *applier {
	h.applier = &applier{c: c, h: h, log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1), pending: newBatch(), dialect: map[flow.Cookie]uint64{}}
	return h.applier
}

// compareInSlices is what readBack does once it has read a switch. then is called before the loop goes on.
func compareInSlices(ctx context.Context, a *applier, r *reading, then func()) error {
	a.c.ask(ctx, func(*loop) { a.missed = newMissed() })
	_, _, err := a.c.look(ctx, a.h, nil, func(_ *loop, _ flowpipeline.Unit, f *flow.Flow) { a.judge(r, f) })
	r.findSurplus()
	a.c.ask(ctx, func(l *loop) { l.compared(a, r); then() })
	return err
}

// TestComparingWhileThingsChange: a switch that has some of what is wanted, some of it twice, some of it changed, and some that is not, is
// compared while ports come, go, move and change. What is to be sent is what it lacks of what is wanted at the end, and
// what it has too much.
func TestComparingWhileThingsChange(t *testing.T) {
	c, h := crowdedHost(t, 20, 20)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.loop.run(ctx) }()
	defer func() { cancel(); <-ended }()
	a := withApplier(c, h)
	random := rand.New(rand.NewPCG(1, 2))
	var changes, meanwhile int64
	for round := range 12 {
		installed, twice, changed := holdsSome(c, h, random)
		r := a.newReading(installed, nil)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					c.ask(ctx, func(l *loop) { l.rows(anyChange(l, random)) })
					atomic.AddInt64(&changes, 1)
				}
			}
		}()
		before := atomic.LoadInt64(&changes)
		err := compareInSlices(ctx, a, r, func() {
			meanwhile += atomic.LoadInt64(&changes) - before
			there, surplus := map[flow.Cookie]bool{}, 0
			for _, in := range installed {
				there[in.Cookie] = true
				if _, is := a.pending.deletes[in.Cookie]; is {
					surplus++
				}
			}
			if n := h.compared.Differing; n != len(a.pending.adds)+surplus {
				t.Errorf("round %d: %d differ, of which %d are lacking and %d too much", round, n, len(a.pending.adds), surplus)
			}
			for cookie := range a.pending.deletes {
				if !there[cookie] {
					t.Errorf("round %d: %#x is deleted, which is not there", round, uint64(cookie))
				}
				delete(there, cookie)
			}
			for cookie := range a.pending.adds {
				if there[cookie] && !changed[cookie] {
					t.Errorf("round %d: %#x is added, which is there", round, uint64(cookie))
				}
				there[cookie] = true
			}
			want := c.loop.compiler.Flows(h.row.ID, nil)
			for _, f := range want {
				if !there[f.Cookie] && !twice[f.Cookie] { // what is there twice is lacking at the next look
					t.Errorf("round %d: %s is wanted and would not be there", round, &f)
				}
				delete(there, f.Cookie)
			}
			if len(there) > 0 {
				t.Errorf("round %d: %d flows that nobody wants would stay", round, len(there))
			}
			for cookie := range changed {
				if _, sent := a.pending.adds[cookie]; !sent && c.loop.compiler.Wants(h.row.ID, cookie) {
					t.Errorf("round %d: %#x was changed by somebody and is not sent again", round, uint64(cookie))
				}
			}
		})
		close(stop)
		<-done
		if err != nil {
			t.Fatal(err)
		}
	}
	if meanwhile == 0 {
		t.Error("nothing has changed while anything was compared")
	}
}

// holdsSome is a switch with most of what a host is to hold, some of it twice or changed, and some more.
func holdsSome(c *Controller, h *host, random *rand.Rand) (installed []openflow.Installed, twice, changed map[flow.Cookie]bool) {
	twice, changed = map[flow.Cookie]bool{}, map[flow.Cookie]bool{}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, f := range c.loop.compiler.Flows(h.row.ID, nil) {
		in := openflow.Installed{Table: f.Table, Priority: f.Priority, Cookie: f.Cookie, Sum: openflow.Sum(&f)}
		switch random.IntN(20) {
		case 0:
			continue
		case 1:
			twice[f.Cookie] = true
			installed = append(installed, in)
		case 2:
			changed[f.Cookie] = true
			in.Sum = random.Uint64()
		}
		installed = append(installed, in)
	}
	for range 50 {
		installed = append(installed, openflow.Installed{Cookie: flow.Cookie(random.Uint64())})
	}
	return installed, twice, changed
}

// anyChange makes a port go, come back, change its MAC or swap its interface with another's.
func anyChange(l *loop, random *rand.Rand) *signalbox.Delta {
	no := 1 + random.IntN(400)
	id := uuid.UUID{0: 'p', 14: byte(no >> 8), 15: byte(no)}
	known := l.compiler.Facts.Port(id)
	if known == nil || random.IntN(4) == 0 {
		if known != nil {
			return &signalbox.Delta{Gone: []signalbox.Ref{{Kind: signalbox.KindPort, ID: id}}}
		}
		return &signalbox.Delta{}
	}
	p := *known
	p.MAC[1] = byte(random.IntN(256))
	d := &signalbox.Delta{Ports: []signalbox.Port{p}}
	if other := l.compiler.Facts.Port(uuid.UUID{0: 'p', 14: 0, 15: byte(1 + random.IntN(255))}); other != nil && other.ID != p.ID && random.IntN(2) == 0 {
		q := *other
		q.MAC, d.Ports[0].MAC = p.MAC, q.MAC
		d.Ports = append(d.Ports, q)
	}
	return d
}

// BenchmarkCompare is a comparison of a switch with 105,645 flows that it holds, or of an empty one. loop-… is how long the loop takes to do
// nothing meanwhile, in the middle, at the 99th percentile and at most.
func BenchmarkCompare(b *testing.B) {
	for _, empty := range []bool{false, true} {
		b.Run(fmt.Sprintf("empty=%v", empty), func(b *testing.B) {
			c, h := crowdedHost(b, 300, 25)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.loop.run(ctx) }()
			defer func() { cancel(); <-ended }()
			var installed []openflow.Installed
			if !empty {
				for _, f := range c.loop.compiler.Flows(h.row.ID, nil) {
					installed = append(installed, openflow.Installed{Cookie: f.Cookie, Sum: openflow.Sum(&f)})
				}
			}
			a := withApplier(c, h)
			var all []time.Duration
			for b.Loop() {
				all = append(all, loopWaits(ctx, c, func() {
					if err := compareInSlices(ctx, a, a.newReading(installed, nil), func() {}); err != nil {
						b.Error(err)
					}
				})...)
			}
			reportWaits(b, "loop", all)
		})
	}
}
