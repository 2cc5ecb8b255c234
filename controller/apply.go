package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
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

	resent  map[flow.Cookie]uint64 // run's own: see reading
	dialect map[flow.Cookie]uint64 // likewise, but read by others under mu

	missed *missed // the loop's: what it has changed since a reading began; nil: there is none

	pause   time.Duration            // run's own: until what has failed is tried again; 0: nothing has
	retry   <-chan time.Time         // likewise: when that is; nil: nothing is to be
	refused map[flow.Cookie]struct{} // likewise: flows of which the log says so
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

// leaveOut takes refused flows out, and returns them with what the switch said; none if anything but flows was refused. Where a
// table is full, what was to come after in it would be refused too, one bundle after the other, and is taken out at once.
func (b *batch) leaveOut(failed []openflow.Failure) []refusedFlow {
	full := map[uint8]*openflow.Failure{}
	var out []refusedFlow
	for i := range failed {
		f := &failed[i]
		if f.Flow == nil {
			return nil
		}
		out = append(out, refusedFlow{*f.Flow, f.Err})
		if e := (*openflow.Error)(nil); errors.As(f.Err, &e) && e.TableFull() {
			full[f.Flow.Table] = f
		}
	}
	if len(full) > 0 {
		for _, f := range b.adds {
			if first := full[f.Table]; first != nil && flow.Compare(*first.Flow, f) < 0 {
				out = append(out, refusedFlow{f, first.Err})
			}
		}
	}
	for i := range out {
		delete(b.adds, out[i].Cookie)
	}
	return out
}

// refusedFlow is a flow that a switch would not take.
type refusedFlow struct {
	flow.Flow
	err error
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
func (a *applier) replace(b batch) {
	a.mu.Lock()
	b.firstChange, b.lastChange = a.pending.firstChange, a.pending.lastChange
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

// What has failed is tried again after the first of these, then after twice as long, and so on to the last. While flows are
// refused all else goes on; an error of another kind holds it up, and for errorPause at most.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	errorPause = 15 * time.Second
)

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
			if a.conn.Role() == openflow.Slave { // another controller writes to this switch
				continue
			}
		case <-a.retry:
			a.retry = nil
			a.readAgain()
			continue
		}
		if err := a.turn(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("applying flows", "error", err)
			a.readAgain()
			a.pause = min(a.longer(), errorPause)
			select {
			case <-ctx.Done():
			case <-time.After(a.pause): // a switch that refuses must not be hammered
			}
		}
	}
}

func (a *applier) longer() time.Duration { return min(max(2*a.pause, firstPause), lastPause) }

// turn does all that is due.
func (a *applier) turn(ctx context.Context) error {
	differs, whole := false, a.due()
	if whole {
		var err error
		if differs, err = a.readBack(ctx); err != nil {
			return err
		}
	}
	b, flushes := a.take()
	refused := 0
	if b.seq != 0 {
		var err error
		if refused, err = a.send(ctx, &b); err != nil {
			return err
		}
		a.warm(a.newPeers(b.adds))
	}
	switch {
	case refused > 0:
		if a.retry == nil {
			a.pause = a.longer()
			a.retry = time.After(a.pause)
		}
	case differs:
		a.readAgain() // see that it took
	case whole:
		a.tellTaken()
		a.pause, a.retry, a.refused = 0, nil, nil
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

// speaks is the flows that the switch writes in its own way, and how: a copy.
func (a *applier) speaks() map[flow.Cookie]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.dialect)
}

// shownRefused is how many flows that are refused at once are named in the log.
const shownRefused = 10

// send makes the change in one bundle, and returns how many flows were refused. Those are left out and named, so that they do not
// hold up the others. The loop is told of the barrier's reply.
func (a *applier) send(ctx context.Context, b *batch) (int, error) {
	var refused []refusedFlow
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
		slave := isSlave(err, res.Failed)
		var out []refusedFlow
		if !slave {
			out = b.leaveOut(res.Failed)
		}
		if len(out) == 0 {
			said.Seconds, said.Error = time.Since(began).Seconds(), err.Error()
			a.c.post(ctx, func(*loop) { a.h.bundle, a.h.broken = said, a.h.broken+1 })
			if slave {
				_ = a.conn.AskRole(ctx) // from here on it is known
			}
			return 0, err
		}
		refused = append(refused, out...)
	}
	said.Refused, said.Seconds = len(refused), time.Since(began).Seconds()
	a.c.metrics.apply.Observe(said.Seconds)
	a.tellRefused(refused)
	if b.lastChange != 0 {
		a.log.Info("the switch has acknowledged", "host", a.c.nameOf(a.h), "first_change", b.firstChange, "last_change", b.lastChange,
			"adds", said.Adds, "deletes", said.Deletes, "refused", len(refused), "ms", milliseconds(said.Seconds))
	}
	a.c.post(ctx, func(l *loop) { l.acknowledged(a, b.seq, refused, said) })
	return len(refused), nil
}

// isSlave reports whether a switch refused a change because of this controller's role.
func isSlave(err error, failed []openflow.Failure) bool {
	if len(failed) > 0 {
		err = failed[0].Err
	}
	var e *openflow.Error
	return errors.As(err, &e) && e.IsSlave()
}

func milliseconds(seconds float64) float64 { return math.Round(seconds*1e6) / 1e3 }

// tellTaken says that a switch refuses nothing any more, where it did.
func (a *applier) tellTaken() {
	if len(a.refused) == 0 {
		return
	}
	host := a.c.nameOf(a.h)
	a.log.Info("the switch takes all flows again", "host", host)
	a.c.news.say(Event{Kind: "drift", Host: host, What: "the switch takes all flows again"})
}

// tellRefused says which flows the switch refuses that it has not refused the last time.
func (a *applier) tellRefused(refused []refusedFlow) {
	fresh := 0
	for _, f := range refused {
		if _, known := a.refused[f.Cookie]; known {
			continue
		}
		if a.refused == nil {
			a.refused = map[flow.Cookie]struct{}{}
		}
		a.refused[f.Cookie] = struct{}{}
		if fresh++; fresh <= shownRefused {
			a.log.Error("the switch refuses a flow", "host", a.c.nameOf(a.h), "flow", &f.Flow, "object", f.Why.Kind, "id", f.Why.ID, "why", f.Why.Phrase, "error", f.err)
		}
	}
	if fresh > 0 {
		host := a.c.nameOf(a.h)
		a.log.Error("the switch refuses flows", "host", host, "flows", len(refused), "new", fresh)
		a.c.news.say(Event{Kind: "drift", Host: host, What: fmt.Sprintf("the switch refuses %d flows, the last: %s", len(refused), refused[len(refused)-1].err)})
	}
}
