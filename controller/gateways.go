package controller

import (
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/nat"
)

// Each router's gateway is at one host, which package nat chooses. Here is known which hosts can have them:
// that is judged sooner than whether a host's ports are down, because another host can take over.

// echoEvery is how long a switch may be silent before it is asked whether it is there, and dropAfter how
// long before its connection is given up: a switch that is busy must not be connected anew for that.
const (
	echoEvery = 300 * time.Millisecond
	dropAfter = 15 * time.Second
)

// beat is how often the loop looks at the hosts. Where it comes late itself, nobody's silence counts.
const beat = 250 * time.Millisecond

// gatherFor is how long after the start new gateways wait for the share of hosts that have not come: Open vSwitch waits
// up to 8 s between attempts to reach us.
const gatherFor = 10 * time.Second

// believed is how long a decision is taken for done that the database has not told of yet.
const believed = 2 * time.Second

// gateways is what the loop knows of the places of gateways besides the rows.
type gateways struct {
	stale  bool                    // something has changed that places depend on
	states map[uuid.UUID]nat.State // of the hosts that the loop has met, when it last looked
	coming map[uuid.UUID]coming    // router -> where its gateway is to be, as far as that is not in the rows yet
	beaten time.Time               // when the loop last looked
	awake  time.Time               // since when it has looked without a pause
	met    bool                    // hosts have had the time to come that are to share new gateways
}

// coming is a decision on its way through the database.
type coming struct {
	host uuid.UUID
	at   time.Time
}

func newGateways() gateways {
	return gateways{stale: true, states: map[uuid.UUID]nat.State{}, coming: map[uuid.UUID]coming{}}
}

// watch looks at the hosts and chooses places where something has changed.
func (l *loop) watch(now time.Time) {
	g := &l.gateways
	if now.Sub(g.beaten) > 2*beat+beat/2 {
		g.awake = now
	}
	g.beaten = now
	if !l.loaded {
		return
	}
	if !g.met && now.Sub(l.began) > gatherFor {
		g.met, g.stale = true, true
	}
	for _, h := range l.hosts {
		if s := l.stateOf(h, now); s != g.states[h.row.ID] {
			if s == nat.Leaving {
				l.c.log.Warn("a host is lost to gateways", "host", h.name(), "connected", h.conn != nil)
			}
			g.states[h.row.ID], g.stale = s, true
		}
	}
	if g.stale || len(g.coming) > 0 {
		l.placeGateways(now, uuid.Nil)
	}
}

// stateOf is what can be asked of a host that has connected since we began.
func (l *loop) stateOf(h *host, now time.Time) nat.State {
	if h.conn == nil {
		if now.Sub(h.since) > l.c.cfg.GatewayLostAfter {
			return nat.Leaving
		}
		return nat.Waiting
	}
	g, heard := &l.gateways, h.conn.Heard()
	for _, at := range []time.Time{h.since, g.awake} {
		if at.After(heard) {
			heard = at
		}
	}
	switch {
	case now.Sub(heard) > l.c.cfg.GatewayLostAfter+2*echoEvery:
		return nat.Leaving
	case h.synced:
		return nat.Present
	case g.met:
		return nat.Waiting
	}
	return nat.Awaited
}

// placeGateways writes what has to change of where gateways are; the host away is to be emptied.
func (l *loop) placeGateways(now time.Time, away uuid.UUID) (moved int) {
	l.gateways.stale = false
	moves := nat.Place(l.gatewayRows(now), l.gatewayHosts(now, away))
	for router, host := range moves {
		l.placeGateway(router, host, now)
	}
	return len(moves)
}

// gatewayRows is the gateways and where each is, or is coming to.
func (l *loop) gatewayRows(now time.Time) []nat.Gateway {
	var out []nat.Gateway
	for id := range l.gateways.coming {
		if r := l.compiler.Facts.Router(id); r == nil || r.Gateway == nil {
			delete(l.gateways.coming, id)
		}
	}
	for id, r := range l.compiler.Facts.Routers() {
		if r.Gateway == nil {
			continue
		}
		g := nat.Gateway{Router: id, Network: r.Gateway.NetworkID, Host: r.Gateway.Host}
		if c, ok := l.gateways.coming[id]; ok {
			if c.host == g.Host || now.Sub(c.at) > believed {
				delete(l.gateways.coming, id)
			} else {
				g.Host = c.host
			}
		}
		out = append(out, g)
	}
	return out
}

// gatewayHosts is the hosts that have connected, and those of the rows that could still: these get nothing,
// but keep what they have until they have had the time to come back.
func (l *loop) gatewayHosts(now time.Time, away uuid.UUID) []nat.Host {
	facts := l.compiler.Facts
	networks := map[uuid.UUID]*signalbox.Network{}
	for _, r := range facts.Routers() {
		if g := r.Gateway; g != nil {
			if n := facts.Network(g.NetworkID); n != nil {
				networks[n.ID] = n
			}
		}
	}
	var out []nat.Host
	add := func(row *signalbox.Host, s nat.State) {
		h := nat.Host{ID: row.ID, State: s, Networks: make(map[uuid.UUID]bool, len(networks))}
		if known := facts.Host(row.ID); row.ID == away || known != nil && known.Closed {
			h.State = nat.Leaving
		}
		for id, n := range networks {
			h.Networks[id] = nat.Has(row, n)
		}
		out = append(out, h)
	}
	for _, h := range l.hosts {
		add(&h.row, l.stateOf(h, now))
	}
	unmet := l.stateOfUnmet()
	for _, row := range facts.Hosts() {
		if l.hosts[row.DatapathID] == nil {
			add(row, unmet)
		}
	}
	return out
}

// stateOfUnmet is what can be asked of a host that has not connected since we began.
func (l *loop) stateOfUnmet() nat.State {
	switch {
	case l.searched:
		return nat.Leaving
	case l.gateways.met:
		return nat.Waiting
	}
	return nat.Awaited
}

// placeGateway has the database say that a router's gateway is at a host.
func (l *loop) placeGateway(router, host uuid.UUID, now time.Time) {
	r := l.compiler.Facts.Router(router)
	if r.Gateway.Host != uuid.Nil {
		l.c.metrics.gatewayMoves.Inc()
	}
	l.c.log.Info("a router's gateway is placed", "router", router, "host", l.nameByID(host), "before", l.nameByID(r.Gateway.Host))
	l.gateways.coming[router] = coming{host, now}
	l.writer.place(router, host)
}

// moveGateway is an operator's decision; the error is for the operator. Like any place, it stays as long as its
// host can keep it.
func (l *loop) moveGateway(router uuid.UUID, to *host, now time.Time) error {
	facts := l.compiler.Facts
	r := facts.Router(router)
	refuse := func(format string, args ...any) error {
		return signalbox.Errorf(signalbox.Conflict, "", format, args...)
	}
	switch {
	case r == nil:
		return signalbox.Errorf(signalbox.NotFound, "", "the controller knows no router %s", router)
	case r.Gateway == nil:
		return refuse("router %s has no gateway", router)
	case !nat.Has(&to.row, facts.Network(r.Gateway.NetworkID)):
		return refuse("host %s has no bridge mapped to the physical network of the router's external network", to.name())
	case facts.Host(to.row.ID) == nil, facts.Host(to.row.ID).Closed:
		return refuse("host %s is closed: its agent's admin_state_up is false", to.name())
	case l.stateOf(to, now) != nat.Present:
		return refuse("host %s is not connected, or not yet written to", to.name())
	case r.Gateway.Host != to.row.ID:
		l.placeGateway(router, to.row.ID, now)
	}
	return nil
}
