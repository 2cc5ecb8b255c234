package flowpipeline

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// UnitKind is a kind of unit, in the order of compiling: a unit's children are of a later kind.
type UnitKind uint8

// Kinds of units.
const (
	HostUnit       UnitKind = iota // what every host has; children: the networks and routers that it needs
	RouterUnit                     // a router on a host that can reach it
	GatewayUnit                    // a router on a host that translates addresses for it; children: its floating IPs there
	NetworkUnit                    // a network on a host that has a port of it; children: the network's ports
	FarNetworkUnit                 // a network on a host that only routes to it; children: its ports
	PortUnit                       // a port as a host with its network sees it: its own, or another's
	FarPortUnit                    // a port as a host that routes to its network sees it
	NeighboursUnit                 // who is known on an external network, on a host that has it
	SharedUnit                     // a MAC that ports share, on a host that has or routes to their network
	FloatingUnit                   // a floating IP on the host that translates it
	GuardUnit                      // what security groups need that a host's ports are in; children: the groups, and those that their rules name
	GroupUnit                      // a group that a port of the host is in
	PeersUnit                      // a group that such a group's rules name; children: its members' addresses
	PeerUnit                       // an address of a member
	unitKinds
)

// Unit is the smallest piece of a host's flows that is compiled by itself: a host and an object.
type Unit struct {
	Host uuid.UUID
	Kind UnitKind
	ID   uuid.UUID // of the router, network, port, shared MAC, floating IP, group or member's address; Nil for HostUnit and GuardUnit
}

// Compiled is what a unit comes to.
type Compiled struct {
	Flows    []flow.Flow
	Meters   []flow.RateLimit
	Children []Unit // in the order of compareUnits
}

// Change is the difference between what a host's switch was to hold and is to hold now.
type Change struct {
	Adds         []flow.Flow       // new, or in the place of others
	Deletes      []flow.Cookie     // no longer wanted
	AddMeters    []flow.RateLimit  // new, or with other rates
	DeleteMeters []uint32          // no longer wanted
	Units        map[Unit]struct{} // the units whose compiling made this change
}

// Empty reports whether there is nothing to send.
func (c *Change) Empty() bool {
	return len(c.Adds)+len(c.Deletes)+len(c.AddMeters)+len(c.DeleteMeters) == 0
}

// Compiler keeps the wanted flows of every host in step with Facts. A unit is compiled again only when
// something that it read has changed. Flows themselves are not kept, only their cookies (8 bytes against
// some 300): compiling is pure, so a flow can be had again from the unit that made it.
//
// One goroutine at a time may use it.
type Compiler struct {
	Facts *Facts

	units   map[Unit]*unit
	readers map[Fact]map[*unit]struct{}
	dirty   [unitKinds]map[Unit]struct{}
	hosts   map[uuid.UUID]*wanted
}

type unit struct {
	Unit
	parent   Unit // who asked for it last
	reads    []Fact
	cookies  []flow.Cookie // in rising order
	about    []uuid.UUID   // the objects that its flows are for: mostly one
	meters   []flow.RateLimit
	children []Unit
}

// wanted is what one host's switch is to hold.
type wanted struct {
	flows  map[flow.Cookie]owner
	meters map[uint32]flow.RateLimit
	claims map[uint32]int // on meters
}

// owner is the unit that a flow comes from. Two units may claim one flow, or one meter, only within a
// step, while one hands it to the other: two ports that swap their interfaces, say.
type owner struct {
	unit   *unit
	claims int
}

// NewCompiler is a compiler over empty facts.
func NewCompiler() *Compiler {
	c := &Compiler{
		units:   map[Unit]*unit{},
		readers: map[Fact]map[*unit]struct{}{},
		hosts:   map[uuid.UUID]*wanted{},
	}
	for k := range c.dirty {
		c.dirty[k] = map[Unit]struct{}{}
	}
	c.Facts = NewFacts(c.changed)
	return c
}

func (c *Compiler) changed(f Fact) {
	for u := range c.readers[f] {
		c.dirty[u.Kind][u.Unit] = struct{}{}
	}
}

// AddHost begins to compile for a host; it does nothing for one that is known.
func (c *Compiler) AddHost(host uuid.UUID) {
	if c.hosts[host] == nil {
		c.hosts[host] = &wanted{map[flow.Cookie]owner{}, map[uint32]flow.RateLimit{}, map[uint32]int{}}
		c.dirty[HostUnit][Unit{Host: host, Kind: HostUnit}] = struct{}{}
	}
}

// DropHost forgets a host and all that was compiled for it.
func (c *Compiler) DropHost(host uuid.UUID) {
	if c.hosts[host] == nil {
		return
	}
	s := step{}
	c.drop(Unit{Host: host, Kind: HostUnit}, Unit{}, s)
	delete(c.hosts, host)
	for k := range c.dirty {
		for u := range c.dirty[k] {
			if u.Host == host {
				delete(c.dirty[k], u)
			}
		}
	}
}

// step gathers, per host, what one Step touches: for each cookie and meter, how it was before.
type step map[uuid.UUID]*touched

type touched struct {
	flows  map[flow.Cookie]bool       // was it wanted before this step?
	fresh  map[flow.Cookie]*flow.Flow // what is wanted now and was not, or not from there
	meters map[uint32]flow.RateLimit  // as before this step; the zero value: absent
	units  map[Unit]struct{}
}

func (s step) on(host uuid.UUID) *touched {
	t := s[host]
	if t == nil {
		t = &touched{map[flow.Cookie]bool{}, map[flow.Cookie]*flow.Flow{}, map[uint32]flow.RateLimit{}, map[Unit]struct{}{}}
		s[host] = t
	}
	return t
}

// Step compiles what has changed since the last one and returns each host's difference. Hosts whose
// units were compiled to the same flows are in the result with an empty change: they are in step too.
func (c *Compiler) Step() map[uuid.UUID]*Change {
	s := step{}
	for kind := range c.dirty {
		for len(c.dirty[kind]) > 0 {
			for u := range c.dirty[kind] {
				delete(c.dirty[kind], u)
				c.compile(u, s)
			}
		}
	}
	changes := make(map[uuid.UUID]*Change, len(s))
	for host, t := range s {
		changes[host] = t.change(c.hosts[host])
	}
	return changes
}

// compile makes one unit anew and lets its children come and go.
func (c *Compiler) compile(u Unit, s step) {
	now := c.units[u]
	if now == nil {
		if u.Kind != HostUnit {
			return // dropped by its parent meanwhile
		}
		now = &unit{Unit: u}
		c.units[u] = now
	}
	r := Reader{facts: c.Facts}
	out := Compile(u, &r)
	c.rereads(now, r.read)

	t, w := s.on(u.Host), c.hosts[u.Host]
	t.units[u] = struct{}{}
	w.replace(now, &out, t)
	gone, came := diff(now.children, out.Children, compareUnits)
	now.children = out.Children
	for _, child := range gone {
		c.drop(child, u, s)
	}
	for _, child := range came {
		c.adopt(child, u)
	}
}

// adopt makes a unit the child of another. One that has a parent already is on its way from that to this
// (a port that changes its network): the parent that it leaves will not drop it.
func (c *Compiler) adopt(child, parent Unit) {
	if known := c.units[child]; known != nil {
		known.parent = parent
		return
	}
	c.units[child] = &unit{Unit: child, parent: parent}
	c.dirty[child.Kind][child] = struct{}{}
}

// drop forgets a unit and everything under it, if it is still its parent's.
func (c *Compiler) drop(u, parent Unit, s step) {
	old := c.units[u]
	if old == nil || old.parent != parent {
		return
	}
	for _, child := range old.children {
		c.drop(child, u, s)
	}
	t := s.on(u.Host)
	t.units[u] = struct{}{}
	c.hosts[u.Host].replace(old, &Compiled{}, t)
	c.rereads(old, nil)
	delete(c.units, u)
	delete(c.dirty[u.Kind], u)
}

// compareUnits orders a unit's children: by kind, then by id.
func compareUnits(a, b Unit) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.ID[:], b.ID[:]))
}

// diff compares two sorted lists.
func diff[T any](old, new []T, compare func(a, b T) int) (gone, came []T) {
	for len(old) > 0 && len(new) > 0 {
		switch c := compare(old[0], new[0]); {
		case c < 0:
			gone, old = append(gone, old[0]), old[1:]
		case c > 0:
			came, new = append(came, new[0]), new[1:]
		default:
			old, new = old[1:], new[1:]
		}
	}
	return append(gone, old...), append(came, new...)
}

// rereads notes what a unit reads now in the place of what it read before.
func (c *Compiler) rereads(u *unit, reads []Fact) {
	if slices.Equal(u.reads, reads) {
		return
	}
	for _, f := range u.reads {
		if rs := c.readers[f]; rs != nil {
			if delete(rs, u); len(rs) == 0 {
				delete(c.readers, f)
			}
		}
	}
	for _, f := range reads {
		rs := c.readers[f]
		if rs == nil {
			rs = map[*unit]struct{}{}
			c.readers[f] = rs
		}
		rs[u] = struct{}{}
	}
	u.reads = slices.Clone(reads)
}

// replace puts what a unit came to now in the place of what it came to before.
func (w *wanted) replace(u *unit, out *Compiled, t *touched) {
	cookies := make([]flow.Cookie, len(out.Flows))
	for i := range out.Flows {
		cookies[i] = out.Flows[i].Cookie
	}
	slices.Sort(cookies)
	gone, came := diff(u.cookies, cookies, cmp.Compare[flow.Cookie])
	for _, cookie := range gone {
		t.touch(cookie, true)
		o := w.flows[cookie]
		if o.claims--; o.claims == 0 {
			delete(w.flows, cookie)
		} else {
			w.flows[cookie] = o
		}
	}
	for _, cookie := range came {
		o := w.flows[cookie]
		t.touch(cookie, o.claims > 0)
		w.flows[cookie] = owner{u, o.claims + 1}
	}
	for i := range out.Flows {
		if _, touched := t.flows[out.Flows[i].Cookie]; touched {
			t.fresh[out.Flows[i].Cookie] = &out.Flows[i]
		}
	}
	u.cookies, u.about = cookies, objects(u.about, out.Flows)
	if !slices.Equal(u.meters, out.Meters) {
		w.replaceMeters(u, out.Meters, t)
	}
}

func (w *wanted) replaceMeters(u *unit, meters []flow.RateLimit, t *touched) {
	for _, m := range u.meters {
		t.touchMeter(m.ID, w.meters[m.ID])
		if w.claims[m.ID]--; w.claims[m.ID] == 0 {
			delete(w.claims, m.ID)
			delete(w.meters, m.ID)
		}
	}
	for _, m := range meters {
		t.touchMeter(m.ID, w.meters[m.ID])
		w.claims[m.ID]++
		w.meters[m.ID] = m
	}
	u.meters = meters
}

func (t *touched) touch(c flow.Cookie, was bool) {
	if _, seen := t.flows[c]; !seen {
		t.flows[c] = was
	}
}

func (t *touched) touchMeter(id uint32, was flow.RateLimit) {
	if _, seen := t.meters[id]; !seen {
		t.meters[id] = was
	}
}

func (t *touched) change(w *wanted) *Change {
	ch := &Change{Units: t.units, Adds: make([]flow.Flow, 0, len(t.fresh))}
	for cookie, was := range t.flows {
		_, is := w.flows[cookie]
		switch {
		case is && !was:
			ch.Adds = append(ch.Adds, *t.fresh[cookie])
		case was && !is:
			ch.Deletes = append(ch.Deletes, cookie)
		}
	}
	for id, was := range t.meters {
		is, ok := w.meters[id]
		switch {
		case ok && is != was:
			ch.AddMeters = append(ch.AddMeters, is)
		case !ok && was.ID != 0:
			ch.DeleteMeters = append(ch.DeleteMeters, id)
		}
	}
	ch.sort()
	return ch
}

// sort takes the order of maps out of a change: same facts, same bytes.
func (c *Change) sort() {
	slices.SortFunc(c.Adds, flow.Compare)
	slices.Sort(c.Deletes)
	slices.SortFunc(c.AddMeters, func(a, b flow.RateLimit) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(c.DeleteMeters)
}

// Networks is the networks that a host needs: those of its ports, and those that routers join to them. It
// tells how things were at the last Step.
func (c *Compiler) Networks(host uuid.UUID) iter.Seq[uuid.UUID] {
	return func(yield func(uuid.UUID) bool) {
		top := c.units[Unit{Host: host, Kind: HostUnit}]
		if top == nil {
			return
		}
		for _, u := range top.children {
			if (u.Kind == NetworkUnit || u.Kind == FarNetworkUnit) && !yield(u.ID) {
				return
			}
		}
	}
}

// Size is how many flows a host is to hold.
func (c *Compiler) Size(host uuid.UUID) int {
	if w := c.hosts[host]; w != nil {
		return len(w.flows)
	}
	return 0
}

// Wants reports whether a host is to hold a flow.
func (c *Compiler) Wants(host uuid.UUID, cookie flow.Cookie) bool {
	w := c.hosts[host]
	return w != nil && w.flows[cookie].claims > 0
}

// Meters is the meters that a host is to hold. The map belongs to the compiler.
func (c *Compiler) Meters(host uuid.UUID) map[uint32]flow.RateLimit {
	if w := c.hosts[host]; w != nil {
		return w.meters
	}
	return nil
}

// FlowWith compiles again the unit that a host has a flow from, by its cookie; false where the host is not to hold it. As with Flows, the
// facts must not have changed since the last Step.
func (c *Compiler) FlowWith(host uuid.UUID, cookie flow.Cookie) (flow.Flow, bool) {
	if w := c.hosts[host]; w != nil && w.flows[cookie].claims > 0 {
		for _, f := range c.UnitFlows(w.flows[cookie].unit.Unit) {
			if f.Cookie == cookie {
				return f, true
			}
		}
	}
	return flow.Flow{}, false
}

// Flows compiles again the units of a host that own any flow that keep picks, and returns those flows
// in the order of flow.Compare. A nil keep picks all. It tells how things were at the last Step only if
// the facts have not changed since.
func (c *Compiler) Flows(host uuid.UUID, keep func(flow.Cookie) bool) []flow.Flow {
	w := c.hosts[host]
	if w == nil {
		return nil
	}
	owners := map[*unit]struct{}{}
	for cookie, o := range w.flows {
		if keep == nil || keep(cookie) {
			owners[o.unit] = struct{}{}
		}
	}
	var out []flow.Flow
	for u := range owners {
		for _, f := range c.UnitFlows(u.Unit) {
			if keep == nil || keep(f.Cookie) {
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, flow.Compare)
	return out
}

// UnitFlows compiles a unit again and returns the flows that it has its host hold; none for a unit that is gone. As with
// Flows, the facts must not have changed since the last Step. It writes to nothing: any number may call it at once.
func (c *Compiler) UnitFlows(u Unit) []flow.Flow {
	known := c.units[u]
	if known == nil {
		return nil
	}
	w := c.hosts[u.Host]
	return slices.DeleteFunc(Compile(u, &Reader{facts: c.Facts}).Flows, func(f flow.Flow) bool { return w.flows[f.Cookie].unit != known })
}

// Units is a host's units, parents before children. With about it is only those that have flows for one of these objects.
func (c *Compiler) Units(host uuid.UUID, about map[uuid.UUID]struct{}) []Unit {
	var out []Unit
	var walk func(*unit)
	walk = func(u *unit) {
		if about == nil || slices.ContainsFunc(u.about, func(id uuid.UUID) bool { _, ok := about[id]; return ok }) {
			out = append(out, u.Unit)
		}
		for _, child := range u.children {
			if known := c.units[child]; known != nil && known.parent == u.Unit {
				walk(known)
			}
		}
	}
	if top := c.units[Unit{Host: host, Kind: HostUnit}]; top != nil {
		walk(top)
	}
	return out
}

// objects is what flows are for, each once, in the place of what was, which it keeps where nothing is new.
func objects(was []uuid.UUID, flows []flow.Flow) []uuid.UUID {
	if len(was) == 1 && !slices.ContainsFunc(flows, func(f flow.Flow) bool { return f.Why.ID != was[0] }) {
		return was
	}
	seen := map[uuid.UUID]struct{}{}
	for i := range flows {
		seen[flows[i].Why.ID] = struct{}{}
	}
	return slices.Collect(maps.Keys(seen))
}

// MeterDifference is the meters that a host's switch lacks, or has with other rates, and those that it has too much.
func (c *Compiler) MeterDifference(host uuid.UUID, has []flow.RateLimit) (adds []flow.RateLimit, deletes []uint32) {
	wanted := c.Meters(host)
	same := make(map[uint32]bool, len(has))
	for _, m := range has {
		if w, wants := wanted[m.ID]; !wants {
			deletes = append(deletes, m.ID)
		} else if w == m {
			same[m.ID] = true
		}
	}
	for id, m := range wanted {
		if !same[id] {
			adds = append(adds, m)
		}
	}
	return adds, deletes
}
