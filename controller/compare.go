package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// A switch that has been read is compared with what it is to hold a moment at a time, as whoever looks does (look.go): a hundred
// thousand flows at once would hold the loop up for half a second. What the loop changes meanwhile it notes, and at the end, in the loop,
// only that is compared again.

// reading is what a switch was found to hold, and the difference to what it is to hold.
type reading struct {
	installed map[flow.Cookie]copies
	meters    []flow.RateLimit
	seen      map[flow.Cookie]struct{} // that are wanted, and there once
	batch
	surplus int // flows that are in deletes, each as often as it is there

	resent, dialect map[flow.Cookie]uint64
}

// copies is how often a switch has a cookie, and the sum of one of those flows.
type copies struct {
	n   int
	sum uint64
}

// missed is what the loop has changed while a reading was compared.
type missed struct {
	units   map[flowpipeline.Unit]struct{} // that were compiled
	deletes map[flow.Cookie]struct{}       // no longer wanted at the end of one of its turns
}

func (m *missed) note(ch *flowpipeline.Change) {
	for u := range ch.Units {
		m.units[u] = struct{}{}
	}
	for _, cookie := range ch.Deletes {
		m.deletes[cookie] = struct{}{}
	}
}

// readBack reads the switch whole and puts the difference in the place of what was pending; differs says whether there is any. No
// bundle of ours is on its way meanwhile, and what the loop compiles meanwhile is part of that difference.
func (a *applier) readBack(ctx context.Context) (differs bool, err error) {
	flows, err := a.conn.Flows(ctx)
	if err != nil {
		return false, err
	}
	meters, err := a.conn.Meters(ctx)
	if err != nil {
		return false, err
	}
	r := a.newReading(flows, meters)
	if !a.c.ask(ctx, func(*loop) { a.missed = newMissed() }) {
		return false, ctx.Err()
	}
	_, _, err = a.c.look(ctx, a.h, nil, func(_ *loop, _ flowpipeline.Unit, f *flow.Flow) { a.judge(r, f) })
	if err != nil {
		return false, err
	}
	r.findSurplus()
	if !a.c.ask(ctx, func(l *loop) { differs = l.compared(a, r) }) {
		return false, ctx.Err()
	}
	a.resent = r.resent
	a.mu.Lock()
	a.dialect = r.dialect
	a.mu.Unlock()
	return differs, nil
}

func newMissed() *missed {
	return &missed{map[flowpipeline.Unit]struct{}{}, map[flow.Cookie]struct{}{}}
}

func (a *applier) newReading(flows []openflow.Installed, meters []flow.RateLimit) *reading {
	r := &reading{
		installed: make(map[flow.Cookie]copies, len(flows)),
		meters:    meters,
		seen:      make(map[flow.Cookie]struct{}, len(flows)),
		batch:     newBatch(),
		resent:    map[flow.Cookie]uint64{},
		dialect:   a.speaks(),
	}
	for i := range flows {
		r.installed[flows[i].Cookie] = copies{r.installed[flows[i].Cookie].n + 1, flows[i].Sum}
	}
	return r
}

// judge compares a flow that is wanted. One that the switch holds under our cookie with other contents has been changed in place
// (ovs-ofctl mod-flows), and is sent again; if it is still so after that, it is the switch's own way of saying it. A cookie that is there
// more than once has been copied by somebody: it is deleted, and is lacking at the next look.
func (a *applier) judge(r *reading, f *flow.Flow) {
	in := r.installed[f.Cookie]
	if in.n == 1 {
		r.seen[f.Cookie] = struct{}{}
	}
	switch {
	case in.n > 1:
	case in.n == 0:
		r.adds[f.Cookie] = *f
	case in.sum == openflow.Sum(f), in.sum == r.dialect[f.Cookie]:
	case in.sum == a.resent[f.Cookie]:
		r.dialect[f.Cookie] = in.sum
	default:
		if r.resent[f.Cookie] == 0 {
			a.log.Info("a flow was changed in place", "flow", f)
		}
		r.adds[f.Cookie], r.resent[f.Cookie] = *f, in.sum
	}
}

// findSurplus takes what has not been seen to be wanted once for too much.
func (r *reading) findSurplus() {
	for cookie := range r.installed {
		if _, wanted := r.seen[cookie]; !wanted {
			r.tooMuch(cookie)
		}
	}
}

func (r *reading) tooMuch(cookie flow.Cookie) {
	if _, known := r.deletes[cookie]; !known && r.installed[cookie].n > 0 {
		r.deletes[cookie] = struct{}{}
		r.surplus += r.installed[cookie].n
	}
}

func (r *reading) wanted(cookie flow.Cookie) {
	if _, known := r.deletes[cookie]; known {
		delete(r.deletes, cookie)
		r.surplus -= r.installed[cookie].n
	}
}

// catchUp compares again what the loop has changed since the reading began.
func (l *loop) catchUp(a *applier, r *reading) {
	for u := range a.missed.units {
		flows := l.compiler.UnitFlows(u)
		for i := range flows {
			a.judge(r, &flows[i])
			if _, once := r.seen[flows[i].Cookie]; once {
				r.wanted(flows[i].Cookie)
			}
		}
	}
	for cookie := range a.missed.deletes {
		if l.compiler.Wants(a.h.row.ID, cookie) {
			continue
		}
		delete(r.adds, cookie)
		r.tooMuch(cookie)
	}
	a.missed = nil
}

// compared puts the difference between what a switch holds and what it is to hold in the applier's hands.
func (l *loop) compared(a *applier, r *reading) (differs bool) {
	h := a.h
	if h.applier != a {
		return false
	}
	l.settle() // what has changed but is not compiled yet is part of the difference
	l.catchUp(a, r)
	meters, gone := l.compiler.MeterDifference(h.row.ID, r.meters)
	for _, m := range meters {
		r.addMeters[m.ID] = m
	}
	for _, id := range gone {
		r.deleteMeters[id] = struct{}{}
	}
	surplus, lacking := r.surplus, len(r.adds)
	for cookie := range h.refused {
		if _, is := r.adds[cookie]; is {
			lacking-- // that it is not there is no news
		}
	}
	differs = len(r.adds)+len(r.deletes)+len(meters)+len(gone) > 0
	h.compared = &Compared{At: time.Now().UTC(), Present: len(r.seen), Differing: len(r.adds) + surplus}
	l.c.metrics.audits.WithLabelValues(h.name()).Inc()
	switch {
	case !h.synced:
		l.c.log.Info("switch compared", "host", h.name(), "installed", len(r.installed), "wanted", l.compiler.Size(h.row.ID),
			"missing", len(r.adds), "surplus", surplus)
		a.warm(l.peers(h))
	case lacking+surplus+len(meters)+len(gone) > 0:
		l.c.metrics.repairedFlows.WithLabelValues(h.name()).Add(float64(lacking + surplus))
		l.c.metrics.repairs.WithLabelValues(h.name()).Inc()
		l.c.news.say(Event{Kind: "drift", Host: h.name(), What: fmt.Sprintf("mended: %d flows missing or changed, %d surplus, %d meters", lacking, surplus, len(meters)+len(gone))})
		l.c.log.Warn("the switch does not hold what it should", "host", h.name(), "missing", lacking, "surplus", surplus, "meters", len(meters)+len(gone))
	}
	h.seq++
	for id := range l.heldBy(h.row.ID) {
		h.waiting[id] = h.seq
	}
	h.synced = true
	clear(h.refused)
	clear(h.lacking)
	r.seq = h.seq
	a.replace(r.batch)
	h.payOwed()
	return differs
}
