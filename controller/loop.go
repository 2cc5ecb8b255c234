package controller

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/ovsdb"
)

// loop is what the controller knows, and the one goroutine that changes it. All its methods but run are
// called with Controller.mu held: by the loop itself for writing, by others for reading.
type loop struct {
	c        *Controller
	compiler *flowpipeline.Compiler
	ports    portIndex
	hosts    map[signalbox.DatapathID]*host
	writer   *writer
	statuses *statuses
	floating *statuses // of floating IPs

	early    map[*manager]ovsdb.State        // OVSDBs whose switch has not connected yet
	unjudged map[uuid.UUID]struct{}          // what may have another status in this turn
	placed   map[uuid.UUID]signalbox.Binding // where each port has been announced, or was when we began
	turned   chan struct{}                   // closed at the turn's end, for those who wait for news

	gateways      gateways
	questions     *questions[waiting]
	acquaintances acquaintances
	claims        map[uuid.UUID][]claim     // router or floating IP -> what the outside was told, or knew when we began
	again         []repetition              // what is to be done again
	translations  map[uuid.UUID]translation // of the same
	retouched     map[uuid.UUID]struct{}    // those whose translation may have changed in this turn
	zones         map[uuid.UUID]portZone    // where each port's connections are remembered
	vacated       []portZone                // in this turn
	settled       bool                      // translations are known, so that a change is one

	change   uint64    // numbers the changes of the database, for logs
	fresh    bool      // one has been taken in this turn
	told     time.Time // when the database was last told which hosts are connected
	began    time.Time // when hosts could begin to come
	loaded   bool      // the database has been read once; before that nothing is decided
	searched bool      // hosts have had the time to come back since the controller began
}

func newLoop(c *Controller) *loop {
	l := &loop{
		c:        c,
		compiler: flowpipeline.NewCompiler(),
		ports:    newPortIndex(),
		hosts:    map[signalbox.DatapathID]*host{},
		writer:   newWriter(c),
		statuses: newStatuses(c, signalbox.KindPort, func(ctx context.Context, st map[uuid.UUID]signalbox.Status) error { return c.store.SetStatus(ctx, st) }),
		floating: newStatuses(c, signalbox.KindFloatingIP, func(ctx context.Context, st map[uuid.UUID]signalbox.Status) error {
			return c.store.SetFloatingStatus(ctx, st)
		}),
		early:    map[*manager]ovsdb.State{},
		unjudged: map[uuid.UUID]struct{}{},
		placed:   map[uuid.UUID]signalbox.Binding{},
		turned:   make(chan struct{}),

		gateways:      newGateways(),
		questions:     newQuestions[waiting](),
		acquaintances: acquaintances{},
		claims:        map[uuid.UUID][]claim{},
		translations:  map[uuid.UUID]translation{},
		retouched:     map[uuid.UUID]struct{}{},
		zones:         map[uuid.UUID]portZone{},
	}
	if c.cfg.EnableSecurityGroup {
		l.compiler.Facts.EnforceGroups()
	}
	return l
}

// run takes what happened, as much of it as there is, and then settles: compiles and sends the differences.
func (l *loop) run(ctx context.Context) error {
	defer close(l.c.ended)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		var f func(*loop)
		select {
		case <-ctx.Done():
			return nil
		case f = <-l.c.events:
		case <-tick.C:
			f = (*loop).tick
		}
		l.c.mu.Lock()
		began := time.Now()
		f(l)
		for range cap(l.c.events) {
			select {
			case f := <-l.c.events:
				f(l)
				continue
			default:
			}
			break
		}
		l.settle()
		l.c.metrics.turn.Observe(time.Since(began).Seconds())
		close(l.turned)
		l.turned = make(chan struct{})
		l.c.mu.Unlock()
	}
}

// rows takes a change of the database.
func (l *loop) rows(d *signalbox.Delta) {
	l.note(d)
	if d.Empty() {
		return
	}
	facts := l.compiler.Facts
	touched := make(map[uuid.UUID]struct{}, len(d.Ports)+len(d.Gone))
	first := !l.loaded
	if d.Full {
		if first {
			l.loaded, l.began = true, time.Now()
			close(l.c.loaded)
			for i := range d.Ports {
				switch p := &d.Ports[i]; {
				case p.Binding != nil:
					l.placed[p.ID] = *p.Binding
				case p.Role == signalbox.RoleRouterInterface:
					l.placed[p.ID] = signalbox.Binding{} // in no one place
				}
			}
		}
		l.ports = newPortIndex()
	}
	for _, ref := range d.Gone {
		if p := facts.Port(ref.ID); ref.Kind == signalbox.KindPort && p != nil {
			l.ports.remove(p)
			l.statuses.forget(p.ID)
			l.c.leases.end(p.ID)
			delete(l.placed, p.ID)
			touched[p.ID] = struct{}{}
		}
	}
	for i := range d.Ports {
		p := &d.Ports[i]
		if old := facts.Port(p.ID); old != nil && !d.Full {
			l.ports.remove(old)
		}
		l.ports.add(p)
		l.statuses.read(p.ID, p.Status)
		touched[p.ID] = struct{}{}
	}
	facts.Apply(d)
	l.forgetHosts(d)
	l.rowsOutside(d, first)
	if d.Full {
		for port := range l.zones {
			touched[port] = struct{}{} // those that are gone
		}
	}
	for port := range touched {
		l.rezone(port)
	}
	for i := range d.Hosts {
		// While its OVSDB is heard, that is ahead of what it has made the database say.
		if h := l.hosts[d.Hosts[i].DatapathID]; h != nil && h.manager == nil {
			h.row, h.stale = d.Hosts[i], true
		}
	}
	for i := range d.Networks {
		for _, m := range facts.Members(d.Networks[i].ID) {
			l.unjudged[m.Port] = struct{}{} // its admin state is theirs
		}
	}
	if d.Full {
		for _, h := range l.hosts {
			l.identifyAll(h)
		}
	}
	for port := range touched {
		if !d.Full {
			l.reidentify(port)
		}
		l.unjudged[port] = struct{}{}
	}
}

// note numbers a change, and says in the log which requests it answers for. Those whose changes were read before their
// names came are told with the last of these. From here on the change's number is what to look for.
func (l *loop) note(d *signalbox.Delta) {
	if !d.Empty() {
		l.change, l.fresh = l.change+1, true
	}
	if len(d.Requests) > 0 {
		l.c.log.Info("the database has changed", "change", l.change, "age", d.Age, "request_ids", strings.Join(d.Requests, " "))
	}
}

// settle brings the compiler in step with the switches' ports, compiles, and passes each host its
// difference. Then the ports whose state may have changed are judged.
func (l *loop) settle() {
	if !l.loaded {
		return
	}
	for _, h := range l.hosts {
		if h.stale {
			h.stale = false
			l.compiler.Facts.SetSwitch(h.row.ID, h.picture())
		}
	}
	began := time.Now()
	if l.gateways.stale {
		l.placeGateways(began, uuid.Nil)
	}
	var change uint64 // 0: what is compiled comes from elsewhere
	if l.fresh {
		change, l.fresh = l.change, false
	}
	changes := l.compiler.Step()
	if len(changes) > 0 {
		l.c.metrics.compile.Observe(time.Since(began).Seconds())
	}
	for _, h := range l.hosts {
		if ch := changes[h.row.ID]; ch != nil {
			l.await(h, ch)
			if h.applier != nil && h.applier.missed != nil {
				h.applier.missed.note(ch)
			}
			switch {
			case !h.synced:
			case ch.Empty():
				l.judgeAcknowledged(h)
			default:
				h.applier.add(ch, h.seq, change)
			}
		}
		l.begin(h)
	}
	l.retranslate()
	l.clearZones()
	for id := range l.unjudged {
		l.judge(id)
	}
	clear(l.unjudged)
}

// tick does what time asks for.
func (l *loop) tick() {
	now := time.Now()
	if l.loaded && !l.searched && now.Sub(l.began) > l.c.cfg.LostAfter {
		l.searched = true // hosts that have not come back by now are lost
		l.gateways.stale = true
		for id := range l.judged() {
			l.unjudged[id] = struct{}{}
		}
	}
	l.watch(now)
	l.askAgain(now)
	l.refresh(now)
	l.repeatDue(now)
	l.tellSessions(now)
	for _, h := range l.hosts {
		if h.conn == nil && !h.lost && now.Sub(h.since) > l.c.cfg.LostAfter {
			h.lost = true
			l.judgeHeldBy(h.row.ID)
		}
		if h.synced && now.Sub(h.audited) > l.c.cfg.AuditEvery {
			h.audited = now
			h.applier.readAgain()
			h.applier.warm(l.peers(h))
		}
	}
}

// rowsOutside takes what a change of the rows, which are in the facts, means for the ways out. first: nothing was known
// before, so that all is as it has been.
func (l *loop) rowsOutside(d *signalbox.Delta, first bool) {
	touch := func(id uuid.UUID) { l.retouched[id], l.unjudged[id] = struct{}{}, struct{}{} }
	for i := range d.Routers {
		touch(d.Routers[i].ID)
	}
	for i := range d.FloatingIPs {
		touch(d.FloatingIPs[i].ID)
		l.floating.read(d.FloatingIPs[i].ID, d.FloatingIPs[i].Status)
	}
	now := time.Now()
	if d.Full {
		l.acquaintances = acquaintances{}
		for id := range l.translations {
			touch(id) // those that are gone
		}
	}
	for i := range d.Neighbours {
		l.acquaintances.meet(&d.Neighbours[i], now)
	}
	stale := d.Full || len(d.Routers)+len(d.Hosts)+len(d.Networks) > 0
	for _, ref := range d.Gone {
		stale = stale || ref.Kind == signalbox.KindRouter || ref.Kind == signalbox.KindHost || ref.Kind == signalbox.KindNetwork
		switch ref.Kind {
		case signalbox.KindRouter, signalbox.KindFloatingIP:
			touch(ref.ID)
			l.floating.forget(ref.ID)
		case signalbox.KindNeighbour:
			delete(l.acquaintances, ref.ID)
		}
	}
	if first {
		for id := range l.retouched {
			l.claims[id] = l.claimsOf(id)
		}
	}
	l.gateways.stale = l.gateways.stale || stale
}

// portIndex finds ports by what the switches know of them.
type portIndex struct {
	byKey  map[signalbox.PortKey]uuid.UUID
	byTap  map[string]uuid.UUID
	byMAC  map[signalbox.MAC]map[uuid.UUID]struct{}
	served map[uuid.UUID]uuid.UUID       // subnet -> the port that DHCP answers it from
	called map[called]map[uuid.UUID]bool // the ports that have a name themselves, or (false) one below it
}

func newPortIndex() portIndex {
	return portIndex{
		byKey:  map[signalbox.PortKey]uuid.UUID{},
		byTap:  map[string]uuid.UUID{},
		byMAC:  map[signalbox.MAC]map[uuid.UUID]struct{}{},
		served: map[uuid.UUID]uuid.UUID{},
		called: map[called]map[uuid.UUID]bool{},
	}
}

func (x *portIndex) add(p *signalbox.Port) {
	x.byKey[p.Key] = p.ID
	if x.byMAC[p.MAC] == nil {
		x.byMAC[p.MAC] = map[uuid.UUID]struct{}{}
	}
	x.byMAC[p.MAC][p.ID] = struct{}{}
	for i, name := range names(p) {
		if x.called[name] == nil {
			x.called[name] = map[uuid.UUID]bool{}
		}
		x.called[name][p.ID] = i == 0
	}
	switch p.Role {
	case signalbox.RoleVIF:
		x.byTap[signalbox.TapName(p.ID)] = p.ID
	case signalbox.RoleDHCP:
		for _, ip := range p.FixedIPs {
			x.served[ip.SubnetID] = p.ID
		}
	}
}

func (x *portIndex) remove(p *signalbox.Port) {
	delete(x.byKey, p.Key)
	if tap := signalbox.TapName(p.ID); x.byTap[tap] == p.ID {
		delete(x.byTap, tap)
	}
	if ids := x.byMAC[p.MAC]; ids != nil {
		if delete(ids, p.ID); len(ids) == 0 {
			delete(x.byMAC, p.MAC)
		}
	}
	for _, name := range names(p) {
		if delete(x.called[name], p.ID); len(x.called[name]) == 0 {
			delete(x.called, name)
		}
	}
	for _, ip := range p.FixedIPs {
		if x.served[ip.SubnetID] == p.ID {
			delete(x.served, ip.SubnetID)
		}
	}
}
