package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/ovsdb"
)

// host is what the loop knows of one host: its row, and what its switch and its OVSDB say. It outlives
// connections, so that a host that comes back is known.
type host struct {
	row   signalbox.Host
	since time.Time // of the last change between connected and not

	conn    *openflow.Conn // nil while away
	applier *applier       // nil until the switch may be written to
	begun   chan *applier  // gets the applier of this connection, once
	ready   bool           // heard out since it connected: its ports and, where it has one, its OVSDB
	synced  bool           // its flows have been read and compared since it connected
	stale   bool           // its picture in the facts is out of date
	lost    bool           // away for too long
	audited time.Time

	vifs     map[string]*vif                   // by name
	tunnels  map[signalbox.NetworkType]uint32  // our tunnel ports
	other    map[string]uint32                 // every other port, by name; patch ports among them
	stated   map[string]uuid.UUID              // interface -> iface-id, as OVSDB says
	naming   map[uuid.UUID]map[string]struct{} // the same, by port
	learned  map[string]learned                // interface -> port, by its first packet
	notVIF   map[string]bool                   // interfaces that OVSDB says are tunnels, patches or ours
	waiting  map[uuid.UUID]uint64              // what is here and has flows on their way: see status.go
	leaving  map[uuid.UUID]leaving             // what was translated here and is not any more: see announce.go
	seq      uint64                            // numbers the differences for this host
	acked    uint64                            // the last one that its switch has acknowledged
	manager  *manager                          // nil: no OVSDB connection
	told     bool                              // OVSDB has been heard since the controller began
	listed   map[string]bool                   // the interfaces that OVSDB names, while it is connected
	version  string                            // of Open vSwitch, as OVSDB says
	software string                            // the same, as the switch says
	said     []string                          // what OVSDB says that makes no sense
	refused  map[flow.Cookie]string            // flows that the switch refused, and why
	lacking  map[uuid.UUID]struct{}            // what those are for
	owed     map[flush]struct{}                // connections to end when it comes back

	compared   *Compared     // nil: never
	bundle     *Bundle       // nil: none
	broken     uint64        // bundles
	turnedDown uint64        // flows
	arrivals   uint64        // connections
	departures uint64        // ends of connections
	complaints atomic.Uint64 // errors that answer nothing
}

func (h *host) name() string { return h.row.Name }

// nameOf is a host's name for those who are not the loop.
func (c *Controller) nameOf(h *host) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return h.name()
}

func newHost(row signalbox.Host) *host {
	return &host{
		row:     row,
		vifs:    map[string]*vif{},
		tunnels: map[signalbox.NetworkType]uint32{},
		other:   map[string]uint32{},
		stated:  map[string]uuid.UUID{},
		naming:  map[uuid.UUID]map[string]struct{}{},
		learned: map[string]learned{},
		notVIF:  map[string]bool{},
		waiting: map[uuid.UUID]uint64{},
		leaving: map[uuid.UUID]leaving{},
		refused: map[flow.Cookie]string{},
		lacking: map[uuid.UUID]struct{}{},
		owed:    map[flush]struct{}{},
	}
}

// serveSwitch is the life of one OpenFlow connection.
func (c *Controller) serveSwitch(ctx context.Context, nc net.Conn) {
	log := c.log.With("peer", nc.RemoteAddr().String())
	refuse := func(err error) {
		c.metrics.refused.Inc()
		log.Warn("refused a connection to the OpenFlow port", "error", err)
	}
	conn, err := openflow.Handshake(ctx, nc, openflow.Options{Log: log, EchoEvery: echoEvery, DropAfter: dropAfter})
	if err != nil {
		refuse(err)
		return
	}
	if conn.Bridge() != c.cfg.Bridge {
		refuse(fmt.Errorf("datapath %s is bridge %q, not %s: an unknown switch", conn.DatapathID(), conn.Bridge(), c.cfg.Bridge))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h, err := c.join(ctx, conn)
	if err != nil {
		refuse(err)
		return
	}
	log = log.With("datapath", conn.DatapathID())
	log.Info("switch connected", "ports", len(conn.Ports()))
	s := &session{ctx: ctx, c: c, h: h, conn: conn, begun: h.begun, log: log, packets: make(chan openflow.PacketIn, 1024), late: make(chan openflow.PacketIn, 64)}
	var wg sync.WaitGroup
	wg.Go(s.answerPackets)
	wg.Go(func() { c.dialManager(ctx, h, conn) })
	wg.Go(s.apply)
	wg.Go(s.introduce)
	err = conn.Run(ctx, s)
	log.Info("switch disconnected", "reason", err)
	cancel()
	wg.Wait()
	c.leave(h, conn)
}

var errTaken = errors.New("this datapath id belongs to a switch that is connected and alive")

// join makes a connection the host's. Where the host has another that still answers, the newcomer is
// refused: two switches must not have one datapath id.
func (c *Controller) join(ctx context.Context, conn *openflow.Conn) (*host, error) {
	row, err := c.hostRow(ctx, conn.DatapathID())
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		var h *host
		var standing *openflow.Conn
		if !c.ask(ctx, func(l *loop) { h, standing = l.join(row, conn) }) {
			return nil, ctx.Err()
		}
		if standing == nil {
			return h, nil
		}
		probe, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := standing.Apply(probe, openflow.Change{})
		cancel()
		if err == nil || time.Now().After(deadline) {
			return nil, fmt.Errorf("%w: %s at %s", errTaken, conn.DatapathID(), standing.RemoteAddr())
		}
		standing.Close()
	}
}

// hostRow is a host's row, made at first sight.
func (c *Controller) hostRow(ctx context.Context, id signalbox.DatapathID) (signalbox.Host, error) {
	c.mu.RLock()
	row := c.loop.compiler.Facts.HostByDatapath(id)
	c.mu.RUnlock()
	if row != nil {
		return *row, nil
	}
	return c.store.SaveHost(ctx, signalbox.Host{DatapathID: id, Name: id.String()})
}

// join takes a connection, or returns the one that stands in its way.
func (l *loop) join(row signalbox.Host, conn *openflow.Conn) (*host, *openflow.Conn) {
	h := l.hosts[row.DatapathID]
	if h == nil {
		h = newHost(row)
		l.hosts[row.DatapathID] = h
	}
	if h.conn != nil {
		return h, h.conn
	}
	l.compiler.AddHost(h.row.ID)
	h.conn, h.begun, h.since, h.lost = conn, make(chan *applier, 1), time.Now(), false
	l.writer.session(h)
	h.setPorts(conn.Ports())
	h.arrivals++
	l.c.news.say(Event{Kind: "role", Host: h.name(), What: conn.Role().String() + ": the switch has connected from " + conn.RemoteAddr().String()})
	for m, s := range l.early {
		if s.DatapathID == row.DatapathID {
			l.heard(m, s)
			break
		}
	}
	return h, nil
}

// leave ends a host's connection. The switch forwards on without us, and is believed to be as it was.
func (c *Controller) leave(h *host, conn *openflow.Conn) {
	c.tell(func(l *loop) {
		if h.conn == conn {
			h.conn, h.applier, h.ready, h.synced, h.since = nil, nil, false, false, time.Now()
			h.departures++
			c.news.say(Event{Kind: "role", Host: h.name(), What: "none: the switch has disconnected"})
			clear(h.waiting)
			l.writer.session(h)
		}
	})
}

// tellEvery is how often the database is told which hosts are still connected. Who reads takes a host for gone that has not been
// spoken of for 75 s.
const tellEvery = 30 * time.Second

// tellSessions says it of all hosts at once.
func (l *loop) tellSessions(now time.Time) {
	if now.Sub(l.told) < tellEvery {
		return
	}
	l.told = now
	for _, h := range l.hosts {
		if h.conn != nil {
			l.writer.session(h)
		}
	}
}

// forgetHosts takes leave of hosts whose rows are gone: an operator has deleted them. Where one comes again, it is a new one.
func (l *loop) forgetHosts(d *signalbox.Delta) {
	for dpid, h := range l.hosts {
		gone := slices.Contains(d.Gone, signalbox.Ref{Kind: signalbox.KindHost, ID: h.row.ID})
		if !gone && (!d.Full || h.conn != nil || l.compiler.Facts.Host(h.row.ID) != nil) {
			continue
		}
		delete(l.hosts, dpid)
		l.compiler.DropHost(h.row.ID)
		l.compiler.Facts.SetSwitch(h.row.ID, nil)
		if h.conn != nil {
			h.conn.Close() // it comes again by itself
		}
	}
}

// setPorts takes all ports of the switch, at the beginning of a connection.
func (h *host) setPorts(ports []openflow.Port) {
	old := h.vifs
	h.vifs, h.tunnels, h.other = map[string]*vif{}, map[signalbox.NetworkType]uint32{}, map[string]uint32{}
	for _, p := range ports {
		v := h.setPort(p)
		if was := old[p.Name]; v != nil && was != nil {
			v.port, v.by = was.port, was.by
		}
	}
	h.stale = true
}

// setPort takes one port and returns it if it could be a VIF.
func (h *host) setPort(p openflow.Port) *vif {
	if p.No >= firstReserved {
		return nil // the bridge's own
	}
	h.stale = true
	for _, t := range []signalbox.NetworkType{signalbox.GRE, signalbox.VXLAN, signalbox.Geneve} {
		if p.Name == ovsdb.TunnelPortName(t) {
			h.tunnels[t] = p.No
			return nil
		}
	}
	if h.notVIF[p.Name] || h.isPatch(p.Name) {
		h.other[p.Name] = p.No
		return nil
	}
	v := h.vifs[p.Name]
	if v == nil {
		v = &vif{name: p.Name, stated: h.stated[p.Name]}
		h.vifs[p.Name] = v
	}
	v.ofport = p.No
	return v
}

func (h *host) isPatch(name string) bool {
	for _, bridge := range h.row.Mappings {
		if onIntegration, _ := ovsdb.PatchPortNames(bridge); onIntegration == name {
			return true
		}
	}
	return false
}

func (h *host) byNumber(no uint32) *vif {
	for _, v := range h.vifs {
		if v.ofport == no {
			return v
		}
	}
	return nil
}

// portStatus takes a change of one port of a switch.
func (l *loop) portStatus(h *host, conn *openflow.Conn, reason openflow.PortReason, p openflow.Port) {
	if h.conn != conn {
		return
	}
	// A port may come back under another name (renamed) or another number: what had either is gone.
	for name, v := range h.vifs {
		if v.ofport == p.No && (name != p.Name || reason == openflow.PortDeleted) ||
			name == p.Name && reason == openflow.PortDeleted {
			l.unplugged(h, v)
		}
	}
	for t, no := range h.tunnels {
		if no == p.No {
			delete(h.tunnels, t)
			h.stale = true
		}
	}
	for name, no := range h.other {
		if no == p.No || name == p.Name {
			delete(h.other, name)
			h.stale = true
		}
	}
	if reason == openflow.PortDeleted {
		return
	}
	known := h.vifs[p.Name] != nil
	if v := h.setPort(p); v != nil {
		l.identify(h, v, !known)
	}
}

func (l *loop) unplugged(h *host, v *vif) {
	delete(h.vifs, v.name)
	delete(h.learned, v.name)
	h.stale = true
	if v.port != uuid.Nil {
		l.release(h, v.name, v.port)
	}
}

// picture is the host's switch as the facts hold it.
func (h *host) picture() *flowpipeline.Switch {
	s := &flowpipeline.Switch{
		Tunnels:    make(map[signalbox.NetworkType]uint32, len(h.tunnels)),
		Patches:    make(map[string]uint32, len(h.row.Mappings)),
		Interfaces: make(map[string]flowpipeline.Interface, len(h.vifs)),
	}
	for t, no := range h.tunnels {
		s.Tunnels[t] = no
	}
	for physical, bridge := range h.row.Mappings {
		name, _ := ovsdb.PatchPortNames(bridge)
		if no, ok := h.other[name]; ok {
			s.Patches[physical] = no
		}
	}
	for name, v := range h.vifs {
		// Where there is an OVSDB, it has a moment to say which port a new interface is.
		unknown := v.port == uuid.Nil && (h.manager == nil || h.listed[name])
		s.Interfaces[name] = flowpipeline.Interface{Name: name, OFPort: v.ofport, Unknown: unknown}
	}
	return s
}

// becomeReady is called when a host has been heard out: now its bindings can be judged and its switch written to.
func (l *loop) becomeReady(h *host) {
	if h.conn != nil && !h.ready {
		h.ready = true
		l.c.metrics.greet(h.name())
		l.identifyAll(h)
	}
}

// begin starts to write to the switches that can be written to.
func (l *loop) begin(h *host) {
	if h.conn == nil || !h.ready || h.applier != nil || l.compiler.Facts.Host(h.row.ID) == nil {
		return
	}
	h.applier = newApplier(l.c, h, h.conn)
	h.audited = time.Now()
	h.begun <- h.applier
}

func (l *loop) hostByID(id uuid.UUID) *host {
	for _, h := range l.hosts {
		if h.row.ID == id {
			return h
		}
	}
	return nil
}

// firstReserved is the first OpenFlow port number that is not a port's (OFPP_MAX).
const firstReserved = 0xffffff00

// session takes what a switch says; its methods are called by the connection's reader, in order.
type session struct {
	ctx     context.Context // the connection's
	c       *Controller
	h       *host
	conn    *openflow.Conn
	log     *slog.Logger
	packets chan openflow.PacketIn
	late    chan openflow.PacketIn // those whose next hop has not answered
	begun   <-chan *applier
	applier atomic.Pointer[applier] // nil until the switch may be written to
}

// roleEvery is how often a switch is asked which role this controller has. It says so itself when another takes it over; this is
// for what it did not say.
const roleEvery = 5 * time.Second

// introduce learns which version the switch has, and which role this controller has at it, until the connection ends.
func (s *session) introduce() {
	if said, err := s.conn.Describe(s.ctx); err == nil {
		s.c.post(s.ctx, func(*loop) { s.h.software = said.Software })
	} else if s.ctx.Err() == nil {
		s.log.Warn("asking the switch what it is", "error", err)
	}
	if err := s.conn.WatchRole(s.ctx); err != nil && s.ctx.Err() == nil {
		s.log.Warn("the switch will not say when another controller takes it over", "error", err)
	}
	again := time.NewTicker(roleEvery)
	defer again.Stop()
	for {
		if err := s.conn.AskRole(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("asking the switch for the controller's role", "error", err)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-again.C:
		}
	}
}

// RoleChanged implements openflow.Handler: the switch has given this controller another role.
func (s *session) RoleChanged(was, is openflow.Role) {
	host := s.c.nameOf(s.h)
	s.log.Warn("the switch has given this controller another role", "host", host, "was", was, "role", is)
	s.c.news.say(Event{Kind: "role", Host: host, What: is.String() + ": it was " + was.String()})
	if a := s.applier.Load(); a != nil {
		a.readAgain() // what a slave left undone
	}
}

// apply waits until the switch may be written to, and then does so until the connection ends.
func (s *session) apply() {
	select {
	case <-s.ctx.Done():
	case a := <-s.begun:
		s.applier.Store(a)
		if err := a.run(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Error("watching the switch's flows", "error", err)
			s.conn.Close()
		}
	}
}
