package controller

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// applier brings one switch to what is wanted, over one connection. It reads what the switch has, asks
// the loop for the difference, sends it, and from then on sends each step's difference; what comes while
// a bundle is on its way goes out with the next one. It has nothing to remember: when anything went
// wrong it reads the switch again.
type applier struct {
	c    *Controller
	h    *host
	conn *openflow.Conn
	log  *slog.Logger

	wake chan struct{}

	mu      sync.Mutex // guards what follows
	pending batch
	reread  bool
	flushes []flush
	peers   []peer
	sayings []announcement

	greeted   map[netip.Addr]bool // run's own, and unflushed
	unflushed bool                // the switch has refused a flush

	resent  map[flow.Cookie]uint64 // run's own: see forged
	dialect map[flow.Cookie]uint64 // likewise, but read by others under mu
}

func newApplier(c *Controller, h *host, conn *openflow.Conn) *applier {
	return &applier{
		c: c, h: h, conn: conn,
		log:     c.log.With("datapath", h.row.DatapathID),
		wake:    make(chan struct{}, 1),
		pending: newBatch(),
		reread:  true,
		dialect: map[flow.Cookie]uint64{},
		greeted: map[netip.Addr]bool{},
	}
}

// batch is differences put together: what the switch lacks and what it has too much.
type batch struct {
	adds         map[flow.Cookie]flow.Flow
	deletes      map[flow.Cookie]struct{}
	addMeters    map[uint32]flow.RateLimit
	deleteMeters map[uint32]struct{}
	seq          uint64 // of the last difference in it; 0: none

	firstChange, lastChange uint64 // of the database, that made the differences in it; 0: none
}

func newBatch() batch {
	return batch{
		adds:         map[flow.Cookie]flow.Flow{},
		deletes:      map[flow.Cookie]struct{}{},
		addMeters:    map[uint32]flow.RateLimit{},
		deleteMeters: map[uint32]struct{}{},
	}
}

// add puts a later difference on top: an add takes back a delete that has not gone out, and the other
// way round.
func (b *batch) add(ch *flowpipeline.Change, seq uint64) {
	for _, f := range ch.Adds {
		if _, ok := b.deletes[f.Cookie]; ok {
			delete(b.deletes, f.Cookie)
		} else {
			b.adds[f.Cookie] = f
		}
	}
	for _, c := range ch.Deletes {
		if _, ok := b.adds[c]; ok {
			delete(b.adds, c)
		} else {
			b.deletes[c] = struct{}{}
		}
	}
	for _, m := range ch.AddMeters {
		delete(b.deleteMeters, m.ID)
		b.addMeters[m.ID] = m
	}
	for _, id := range ch.DeleteMeters {
		delete(b.addMeters, id)
		b.deleteMeters[id] = struct{}{}
	}
	b.seq = seq
}

// cause notes the change of the database that made a difference.
func (b *batch) cause(change uint64) {
	if change == 0 {
		return
	}
	if b.firstChange == 0 {
		b.firstChange = change
	}
	b.lastChange = change
}

func (b *batch) change() openflow.Change {
	return openflow.Change{
		AddMeters:    slices.SortedFunc(maps.Values(b.addMeters), func(a, b flow.RateLimit) int { return int(a.ID) - int(b.ID) }),
		DeleteMeters: slices.Sorted(maps.Keys(b.deleteMeters)),
		Adds:         slices.SortedFunc(maps.Values(b.adds), flow.Compare),
		Deletes:      slices.Sorted(maps.Keys(b.deletes)),
	}
}

// leaveOut takes refused flows out; false if anything but flows was refused.
func (b *batch) leaveOut(failed []openflow.Failure) bool {
	for _, f := range failed {
		if f.Flow == nil {
			return false
		}
		delete(b.adds, f.Cookie)
	}
	return len(failed) > 0
}

// add passes a step's difference on; it never waits.
func (a *applier) add(ch *flowpipeline.Change, seq, change uint64) {
	a.mu.Lock()
	a.pending.add(ch, seq)
	a.pending.cause(change)
	a.mu.Unlock()
	a.nudge()
}

// replace puts a difference in the place of what was pending, which it takes account of.
func (a *applier) replace(ch *flowpipeline.Change, seq uint64) {
	a.mu.Lock()
	b := newBatch()
	b.firstChange, b.lastChange = a.pending.firstChange, a.pending.lastChange
	b.add(ch, seq)
	a.pending = b
	a.mu.Unlock()
	a.nudge()
}

// readAgain asks for a comparison with what the switch has.
func (a *applier) readAgain() {
	a.mu.Lock()
	a.reread = true
	a.mu.Unlock()
	a.nudge()
}

// warm asks for a packet to each tunnel peer: see warm.go.
func (a *applier) warm(peers []peer) {
	if len(peers) == 0 {
		return
	}
	a.mu.Lock()
	a.peers = append(a.peers, peers...)
	a.mu.Unlock()
	a.nudge()
}

func (a *applier) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run works until the connection ends.
func (a *applier) run(ctx context.Context) error {
	if err := a.conn.WatchFlows(ctx); err != nil {
		return err
	}
	a.nudge()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		}
		if err := a.turn(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("applying flows", "error", err)
			a.readAgain()
			select {
			case <-ctx.Done():
			case <-time.After(time.Second): // a switch that refuses must not be hammered
			}
		}
	}
}

// turn does all that is due.
func (a *applier) turn(ctx context.Context) error {
	if a.due() {
		if err := a.readBack(ctx); err != nil {
			return err
		}
	}
	b, flushes := a.take()
	if b.seq != 0 {
		if err := a.send(ctx, &b); err != nil {
			return err
		}
		a.warm(a.newPeers(b.adds))
	}
	a.flushAll(ctx, flushes)
	if err := a.announceAll(ctx); err != nil {
		return err
	}
	return a.greetPeers(ctx)
}

func (a *applier) due() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.reread
	a.reread = false
	return due
}

// take is what is pending, and the flushes that are to come after it.
func (a *applier) take() (batch, []flush) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, flushes := a.pending, a.flushes
	if b.seq != 0 {
		a.pending = newBatch()
	}
	a.flushes = nil
	return b, flushes
}

// readBack reads the switch whole and has the loop put the difference in pending. No bundle of ours is
// on its way meanwhile, and what the loop compiles meanwhile is part of that difference.
func (a *applier) readBack(ctx context.Context) error {
	flows, err := a.conn.Flows(ctx)
	if err != nil {
		return err
	}
	meters, err := a.conn.Meters(ctx)
	if err != nil {
		return err
	}
	forged, err := a.forged(ctx, flows)
	if err != nil {
		return err
	}
	if !a.c.ask(ctx, func(l *loop) { l.compare(a, flows, meters, forged) }) {
		return ctx.Err()
	}
	return nil
}

// compare puts the difference between what a switch holds and what it is to hold in the applier's hands.
func (l *loop) compare(a *applier, flows []openflow.Installed, meters []flow.RateLimit, forged map[flow.Cookie]struct{}) {
	h := a.h
	if h.applier != a {
		return
	}
	l.settle() // what has changed but is not compiled yet is part of the difference
	copies := make(map[flow.Cookie]int, len(flows))
	for _, f := range flows {
		copies[f.Cookie]++
	}
	ch := l.compiler.Difference(h.row.ID, copies, meters, forged)
	surplus := surplusOf(copies, ch)
	h.compared = &Compared{At: time.Now().UTC(), Present: len(flows), Differing: len(ch.Adds) + surplus}
	l.c.metrics.audits.WithLabelValues(h.name()).Inc()
	if !ch.Empty() && h.synced {
		l.c.metrics.repairedFlows.WithLabelValues(h.name()).Add(float64(h.compared.Differing))
		l.c.metrics.repairs.WithLabelValues(h.name()).Inc()
		l.c.news.say(Event{Kind: "drift", Host: h.name(), What: fmt.Sprintf("mended: %d flows missing or changed, %d surplus", len(ch.Adds), surplus)})
		l.c.log.Warn("the switch does not hold what it should", "host", h.name(), "missing", len(ch.Adds), "surplus", len(ch.Deletes))
	}
	if !h.synced {
		l.c.log.Info("switch compared", "host", h.name(), "installed", len(flows), "wanted", l.compiler.Size(h.row.ID),
			"missing", len(ch.Adds), "surplus", len(ch.Deletes))
		a.warm(l.peers(h))
	}
	h.seq++
	for id := range l.heldBy(h.row.ID) {
		h.waiting[id] = h.seq
	}
	h.synced = true
	clear(h.refused)
	a.replace(ch, h.seq)
	h.payOwed()
	if !ch.Empty() {
		a.readAgain() // once sent, see that it took
	}
}

// surplusOf counts the flows in a switch that a difference deletes.
func surplusOf(copies map[flow.Cookie]int, ch *flowpipeline.Change) (n int) {
	for _, cookie := range ch.Deletes {
		n += copies[cookie]
	}
	return n
}

// forged is the flows that the switch holds under a cookie of ours with other contents: somebody has
// changed them in place (ovs-ofctl mod-flows). One that is still so after it has been sent again is the
// switch's own way of saying it. A cookie stands for one flow whenever it is looked at, so this need not be of the
// moment of the comparison, and is done without holding up the loop.
func (a *applier) forged(ctx context.Context, flows []openflow.Installed) (map[flow.Cookie]struct{}, error) {
	sums := make(map[flow.Cookie]uint64, len(flows))
	for _, f := range flows {
		sums[f.Cookie] = f.Sum
	}
	resent, dialect := map[flow.Cookie]uint64{}, a.speaks()
	out := map[flow.Cookie]struct{}{}
	_, _, err := a.c.look(ctx, a.h, nil, func(_ *loop, _ flowpipeline.Unit, f *flow.Flow) {
		sum, there := sums[f.Cookie]
		switch {
		case !there, sum == openflow.Sum(f), sum == dialect[f.Cookie]:
		case sum == a.resent[f.Cookie]:
			dialect[f.Cookie] = sum
		default:
			a.log.Info("a flow was changed in place", "flow", f)
			out[f.Cookie] = struct{}{}
			resent[f.Cookie] = sum
		}
	})
	a.resent = resent
	a.mu.Lock()
	a.dialect = dialect
	a.mu.Unlock()
	return out, err
}

// speaks is the flows that the switch writes in its own way, and how: a copy.
func (a *applier) speaks() map[flow.Cookie]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.dialect)
}

// send makes the change in one bundle and tells the loop of the barrier's reply. Flows that the switch
// refuses are left out and named, so that they do not hold up the others.
func (a *applier) send(ctx context.Context, b *batch) error {
	refused := map[flow.Cookie]string{}
	began := time.Now()
	said := &Bundle{At: began.UTC()}
	for {
		sent, ch := a.conn.FlowMods(), b.change()
		said.Adds, said.Deletes = len(ch.Adds), len(ch.Deletes)
		res, err := a.conn.Apply(ctx, ch)
		if res.Barrier > 0 {
			a.c.metrics.barrier.Observe(res.Barrier.Seconds())
		}
		a.c.metrics.flowMods.WithLabelValues(a.c.nameOf(a.h)).Add(float64(a.conn.FlowMods() - sent))
		if err == nil {
			break
		}
		if !b.leaveOut(res.Failed) {
			said.Seconds, said.Error = time.Since(began).Seconds(), err.Error()
			a.c.metrics.brokenBundles.WithLabelValues(a.c.nameOf(a.h)).Inc()
			a.c.post(ctx, func(*loop) { a.h.bundle, a.h.broken = said, a.h.broken+1 })
			return err
		}
		for _, f := range res.Failed {
			refused[f.Cookie] = f.Err.Error()
			a.c.metrics.refusedFlows.Inc()
			a.log.Error("the switch refuses a flow", "flow", f.Flow, "why", f.Flow.Why.Phrase, "error", f.Err)
		}
	}
	said.Seconds = time.Since(began).Seconds()
	a.c.metrics.apply.Observe(said.Seconds)
	if b.lastChange != 0 {
		a.log.Info("the switch has acknowledged", "host", a.c.nameOf(a.h), "first_change", b.firstChange, "last_change", b.lastChange,
			"adds", said.Adds, "deletes", said.Deletes, "refused", len(refused), "ms", 1000*said.Seconds)
	}
	a.c.post(ctx, func(l *loop) { l.acknowledged(a, b.seq, refused, said) })
	return nil
}
