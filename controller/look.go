package controller

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Looking at what hosts are to hold, and do hold, without making the loop wait: flows are compiled again under the lock for
// a moment at a time, and between two moments the loop goes first. What has changed meanwhile is noticed.

// glance is how long whoever looks holds the loop up at a time. One unit is compiled to its end.
const glance = 500 * time.Microsecond

// objects is ids of what flows are for; nil: of everything.
type objects map[uuid.UUID]struct{}

func (o objects) holds(id uuid.UUID) bool {
	_, ok := o[id]
	return o == nil || ok
}

// moment is how far a host is; flows seen at two equal moments are of one and the same state.
type moment struct {
	conn         *openflow.Conn
	synced       bool
	wanted, done uint64
}

func (l *loop) moment(h *host) moment { return moment{h.conn, h.synced, h.seq, h.acked} }

// settled reports whether the switch has all that is wanted of it.
func (m moment) settled() bool { return m.synced && m.wanted == m.done }

// named is what an operator calls an object.
type named struct{ name, project string }

// wanted is flows that a host is to hold, in the order of flow.Compare.
type wanted struct {
	flows []flow.Flow
	names map[uuid.UUID]named // of the objects that they are for
	moment
	whole bool // of that moment, and not of several
}

// look shows each flow that a host is to hold and that is for one of some objects, under the loop's lock.
func (c *Controller) look(ctx context.Context, h *host, about objects, each func(*loop, flowpipeline.Unit, *flow.Flow)) (began moment, whole bool, err error) {
	c.mu.RLock()
	units := c.loop.compiler.Units(h.row.ID, about)
	began = c.loop.moment(h)
	c.mu.RUnlock()
	now := began
	for len(units) > 0 && ctx.Err() == nil {
		c.mu.RLock()
		for start := time.Now(); len(units) > 0 && time.Since(start) < glance; units = units[1:] {
			flows := c.loop.compiler.UnitFlows(units[0])
			for i := range flows {
				if about.holds(flows[i].Why.ID) {
					each(c.loop, units[0], &flows[i])
				}
			}
		}
		now = c.loop.moment(h)
		c.mu.RUnlock()
		runtime.Gosched() // where processors are few, the loop may have waited for one of those too
	}
	return began, now == began, ctx.Err()
}

// wants looks at the flows of a host that are for some objects.
func (c *Controller) wants(ctx context.Context, h *host, about objects) (wanted, error) {
	out := wanted{names: map[uuid.UUID]named{}}
	var err error
	out.moment, out.whole, err = c.look(ctx, h, about, func(l *loop, u flowpipeline.Unit, f *flow.Flow) {
		out.flows = append(out.flows, *f)
		if _, known := out.names[f.Why.ID]; !known {
			out.names[f.Why.ID] = l.nameIn(u, f.Why.ID)
		}
	})
	slices.SortFunc(out.flows, flow.Compare)
	return out, err
}

// nameIn is nameOfObject, and finds a rule at once by the unit of its group.
func (l *loop) nameIn(u flowpipeline.Unit, id uuid.UUID) named {
	if g := l.compiler.Facts.SecurityGroups()[u.ID]; g != nil {
		return named{g.Name, g.ProjectID} // a rule has no name: its group's
	}
	return l.nameOfObject(id)
}

func (l *loop) nameOfObject(id uuid.UUID) named {
	facts := l.compiler.Facts
	if p := facts.Port(id); p != nil {
		return named{p.Name, p.ProjectID}
	}
	if n := facts.Network(id); n != nil {
		return named{n.Name, n.ProjectID}
	}
	if r := facts.Router(id); r != nil {
		return named{r.Name, r.ProjectID}
	}
	if ip := facts.FloatingIP(id); ip != nil {
		return named{ip.Addr.String(), ip.ProjectID}
	}
	if h := facts.Host(id); h != nil {
		return named{h.Name, ""}
	}
	if g := facts.SecurityGroupOf(id); g != nil {
		return named{g.Name, g.ProjectID}
	}
	return named{}
}

// held is a flow of a comparison: one that is wanted, one that the switch has, or both.
type held struct {
	state     State
	flow      *flow.Flow          // nil: nobody wants it
	installed *openflow.Installed // nil: the switch has none
}

// State is what a comparison says of a flow.
type State string

// States of flows.
const (
	Present State = "present" // wanted, and there
	Missing State = "missing" // wanted, and not there
	Surplus State = "surplus" // there, and not ours: nobody wants it, or not a second time
	Changed State = "changed" // wanted, and there under its cookie with another match or other actions
)

// comparison is a host's switch beside what is wanted of it.
type comparison struct {
	wanted
	held    []held
	counts  map[State]int
	meters  []MeterDrift
	settled bool // nothing was on its way: a difference is one
}

// How long a comparison waits for changes that are on their way, and how often it looks again when one has come
// in between.
const (
	calm  = 2 * time.Second
	tries = 5
)

// compareNow reads a host's switch whole and compares it. When there is always something on its way, it says so.
func (c *Controller) compareNow(ctx context.Context, h *host) (out comparison, err error) {
	for range tries {
		before := c.awaitSettled(ctx, h)
		if before.conn == nil {
			return out, fmt.Errorf("the host is not connected")
		}
		flows, err := before.conn.Dump(ctx)
		if err != nil {
			return out, err
		}
		meters, err := before.conn.Meters(ctx)
		if err != nil {
			return out, err
		}
		out = comparison{counts: map[State]int{}}
		if out.wanted, err = c.wants(ctx, h, nil); err != nil {
			return out, err
		}
		c.mu.RLock()
		out.settled = out.whole && out.moment == before && before.settled() && c.loop.moment(h) == before // the meters are of this one
		out.meters = differing(c.loop.compiler.Meters(h.row.ID), meters)
		a := h.applier
		c.mu.RUnlock()
		var dialect map[flow.Cookie]uint64
		if a != nil {
			dialect = a.speaks()
		}
		out.match(flows, dialect)
		if out.settled {
			break
		}
	}
	return out, ctx.Err()
}

// awaitSettled looks at a host until nothing is on its way to it, or for a while.
func (c *Controller) awaitSettled(ctx context.Context, h *host) moment {
	ctx, cancel := context.WithTimeout(ctx, calm)
	defer cancel()
	for {
		c.mu.RLock()
		now, turned := c.loop.moment(h), c.loop.turned
		c.mu.RUnlock()
		if now.settled() || now.conn == nil {
			return now
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return now
		}
	}
}

// differing is the meters that are not as they should be, in the order of their numbers.
func differing(wanted map[uint32]flow.RateLimit, has []flow.RateLimit) (out []MeterDrift) {
	found := make(map[uint32]bool, len(has))
	for _, m := range has {
		found[m.ID] = true
		switch w, wants := wanted[m.ID]; {
		case !wants:
			out = append(out, MeterDrift{ID: m.ID, Found: rateOf(m)})
		case w != m:
			out = append(out, MeterDrift{m.ID, rateOf(w), rateOf(m)})
		}
	}
	for id, w := range wanted {
		if !found[id] {
			out = append(out, MeterDrift{ID: id, Wanted: rateOf(w)})
		}
	}
	slices.SortFunc(out, func(a, b MeterDrift) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// match puts each flow of the switch beside the one that is wanted. dialect is how the switch writes flows that it writes
// in its own way.
func (cmp *comparison) match(flows []openflow.Installed, dialect map[flow.Cookie]uint64) {
	byCookie := make(map[flow.Cookie]*flow.Flow, len(cmp.flows))
	for i := range cmp.flows {
		byCookie[cmp.flows[i].Cookie] = &cmp.flows[i]
	}
	found := make(map[flow.Cookie]bool, len(flows))
	for i := range flows {
		in := &flows[i]
		f := byCookie[in.Cookie]
		state := Present
		switch {
		case f == nil:
			state = Surplus
		case found[in.Cookie]:
			state, f = Surplus, nil
		case in.Table != f.Table, in.Priority != f.Priority, in.Sum != openflow.Sum(f) && in.Sum != dialect[f.Cookie]:
			state = Changed
		}
		found[in.Cookie] = true
		cmp.add(held{state, f, in})
	}
	for i := range cmp.flows {
		if f := &cmp.flows[i]; !found[f.Cookie] {
			cmp.add(held{Missing, f, nil})
		}
	}
	slices.SortStableFunc(cmp.held, compareHeld)
}

func (cmp *comparison) add(h held) {
	cmp.held = append(cmp.held, h)
	cmp.counts[h.state]++
}

// differences is how many flows are not as they should be.
func (cmp *comparison) differences() int {
	return cmp.counts[Missing] + cmp.counts[Surplus] + cmp.counts[Changed]
}

// place is where a flow stands in a dump.
func (h *held) place() (table uint8, priority uint16) {
	if h.flow != nil {
		return h.flow.Table, h.flow.Priority
	}
	return h.installed.Table, h.installed.Priority
}

func compareHeld(a, b held) int {
	if a.flow != nil && b.flow != nil {
		return flow.Compare(*a.flow, *b.flow)
	}
	table, priority := a.place()
	otherTable, otherPriority := b.place()
	if table != otherTable {
		return int(table) - int(otherTable)
	}
	return int(otherPriority) - int(priority)
}
