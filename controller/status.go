package controller

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

// A port's status is evidence: ACTIVE when the host that holds it has acknowledged its flows with a
// barrier's reply, DOWN otherwise. It is derived anew from what the loop knows, never remembered. So is a
// floating IP's, by the host that translates it, and that of a router's gateway port, by the gateway host.

// await notes what is on the host and has flows that a difference touches: it is judged when that is
// acknowledged. A difference that is empty goes with what is on its way already, or needs no reply at all.
func (l *loop) await(h *host, ch *flowpipeline.Change) {
	if !ch.Empty() {
		h.seq++
	}
	for u := range ch.Units {
		switch u.Kind {
		case flowpipeline.GatewayUnit, flowpipeline.FloatingUnit:
			l.retouched[u.ID], l.unjudged[u.ID] = struct{}{}, struct{}{}
			if l.placeOf(u.ID) != h.row.ID {
				h.leaving[u.ID] = leaving{h.seq, time.Now()}
			} else {
				delete(h.leaving, u.ID)
			}
		case flowpipeline.PortUnit:
		default:
			continue
		}
		if l.placeOf(u.ID) == h.row.ID {
			h.waiting[u.ID] = h.seq
		} else {
			delete(h.waiting, u.ID)
		}
	}
}

// placeOf is the host that a port is bound to, or that translates a floating IP, or a router's gateway host; Nil: none.
func (l *loop) placeOf(id uuid.UUID) uuid.UUID {
	facts := l.compiler.Facts
	if p := facts.Port(id); p != nil {
		if p.Binding != nil {
			return p.Binding.HostID
		}
		return uuid.Nil
	}
	if r := facts.Router(id); r != nil {
		if r.Gateway != nil {
			return r.Gateway.Host
		}
		return uuid.Nil
	}
	return facts.TranslatorOf(id)
}

// heldBy is every port, router and floating IP whose place a host is.
func (l *loop) heldBy(host uuid.UUID) iter.Seq[uuid.UUID] {
	return func(yield func(uuid.UUID) bool) {
		for id := range l.judged() {
			if l.placeOf(id) == host && !yield(id) {
				return
			}
		}
	}
}

// judged is everything that has a status, by the port's, the router's or the floating IP's id.
func (l *loop) judged() iter.Seq[uuid.UUID] {
	return func(yield func(uuid.UUID) bool) {
		for id := range l.compiler.Facts.Ports() {
			if !yield(id) {
				return
			}
		}
		for id := range l.compiler.Facts.Routers() {
			if !yield(id) {
				return
			}
		}
		for id := range l.compiler.Facts.FloatingIPs() {
			if !yield(id) {
				return
			}
		}
	}
}

// acknowledged takes the reply to the barrier behind a difference.
func (l *loop) acknowledged(a *applier, seq uint64, refused []refusedFlow, sent *Bundle) {
	h := a.h
	h.bundle = sent
	h.turnedDown += uint64(len(refused))
	if h.applier != a {
		return
	}
	for i := range refused {
		f := &refused[i]
		h.refused[f.Cookie], h.lacking[f.Why.ID] = f.err.Error(), struct{}{}
	}
	h.acked = seq
	if c := h.compared; c != nil {
		h.compared = &Compared{c.At, c.Present + sent.Adds - sent.Deletes, c.Differing} // others may be reading the old one
	}
	l.judgeAcknowledged(h)
}

// judgeAcknowledged derives the status of what waits for nothing more.
func (l *loop) judgeAcknowledged(h *host) {
	for id, s := range h.waiting {
		if s <= h.acked {
			delete(h.waiting, id)
			l.judge(id)
		}
	}
	for id, left := range h.leaving {
		if left.seq <= h.acked {
			delete(h.leaving, id)
			l.leftAt(id, left.at)
		}
	}
}

// judge derives the status of one port, of one floating IP, or of a router's gateway port.
func (l *loop) judge(id uuid.UUID) {
	facts := l.compiler.Facts
	if ip := facts.FloatingIP(id); ip != nil {
		if s, known := l.deriveFloating(ip); known {
			l.floating.set(id, s)
			if s == signalbox.Active {
				l.announceOutlet(id)
			}
		}
		return
	}
	if r := facts.Router(id); r != nil {
		if r.Gateway != nil {
			l.judge(r.Gateway.PortID)
		}
		return
	}
	p := facts.Port(id)
	if p == nil {
		return
	}
	if s, known := l.derive(p); known {
		l.statuses.set(id, s)
		if s == signalbox.Active {
			l.announce(p)
		}
	}
}

// derive is a port's status, and whether there is anything to say: a host that has not come back yet
// leaves its ports as they were.
func (l *loop) derive(p *signalbox.Port) (signalbox.Status, bool) {
	facts := l.compiler.Facts
	n := facts.Network(p.NetworkID)
	if !p.AdminStateUp || n == nil || !n.AdminStateUp {
		return signalbox.Down, true
	}
	switch p.Role {
	case signalbox.RoleDHCP:
		return signalbox.Active, true // it is where the controller answers from, and the controller is here
	case signalbox.RoleRouterInterface:
		return signalbox.Active, true // it is in no one place: every host forwards for it
	case signalbox.RoleRouterGateway:
		return l.evidence(p.RouterID, func(h *host) bool { return l.translates(h, facts.Router(p.RouterID), n) })
	case signalbox.RoleFloatingIP:
		return "", false // it only holds an address; the floating IP has a status
	}
	return l.evidence(p.ID, func(h *host) bool {
		v := h.vifs[p.Binding.Interface]
		return v != nil && v.port == p.ID
	})
}

// deriveFloating is the same for a floating IP.
func (l *loop) deriveFloating(ip *signalbox.FloatingIP) (signalbox.Status, bool) {
	facts := l.compiler.Facts
	p, n := facts.Port(ip.PortID), facts.Network(ip.NetworkID)
	if p == nil || !p.AdminStateUp || n == nil || !n.AdminStateUp {
		return signalbox.Down, true
	}
	return l.evidence(ip.ID, func(h *host) bool { return l.translates(h, facts.Router(ip.RouterID), n) })
}

// translates reports whether a host can send out what it translates for a router.
func (l *loop) translates(h *host, r *signalbox.Router, n *signalbox.Network) bool {
	_, out := h.outward(n)
	return out && r != nil && r.AdminStateUp
}

// evidence is the status of what has a place: whether its host has acknowledged its flows, and works asks of that host
// what is needed besides.
func (l *loop) evidence(id uuid.UUID, works func(*host) bool) (signalbox.Status, bool) {
	place := l.placeOf(id)
	if place == uuid.Nil {
		return signalbox.Down, true
	}
	h := l.hostByID(place)
	switch {
	case h == nil && time.Since(l.began) > l.c.cfg.LostAfter, h != nil && h.lost:
		return signalbox.Down, true
	case h == nil || !h.synced:
		return "", false
	}
	if _, coming := h.waiting[id]; coming {
		return "", false
	}
	if _, lacking := h.lacking[id]; lacking || !works(h) {
		return signalbox.Down, true
	}
	return signalbox.Active, true
}

// judgeHeldBy derives the status of everything whose place a host is.
func (l *loop) judgeHeldBy(host uuid.UUID) {
	for id := range l.heldBy(host) {
		l.judge(id)
	}
}

// statuses writes what changed to the database, many at a time: of ports, or of floating IPs.
type statuses struct {
	c     *Controller
	of    signalbox.Kind
	write func(context.Context, map[uuid.UUID]signalbox.Status) error
	wake  chan struct{}

	mu      sync.Mutex
	stored  map[uuid.UUID]signalbox.Status // as last read or written; "": one of both is older, and nobody knows which
	due     map[uuid.UUID]signalbox.Status
	writing map[uuid.UUID]signalbox.Status // on their way to the database now
}

func newStatuses(c *Controller, of signalbox.Kind, write func(context.Context, map[uuid.UUID]signalbox.Status) error) *statuses {
	return &statuses{c: c, of: of, write: write, wake: make(chan struct{}, 1), stored: map[uuid.UUID]signalbox.Status{}, due: map[uuid.UUID]signalbox.Status{}}
}

// read takes what the database says.
func (s *statuses) read(id uuid.UUID, st signalbox.Status) {
	s.mu.Lock()
	if was, known := s.stored[id]; known && was != st {
		st = "" // what was read may be from before what was written
	}
	s.stored[id] = st
	s.mu.Unlock()
}

func (s *statuses) forget(id uuid.UUID) {
	s.mu.Lock()
	delete(s.stored, id)
	delete(s.due, id)
	s.mu.Unlock()
}

func (s *statuses) set(id uuid.UUID, st signalbox.Status) {
	s.mu.Lock()
	is := s.stored[id]
	if soon, ok := s.writing[id]; ok {
		is = soon
	}
	if is == st {
		delete(s.due, id)
	} else {
		s.due[id] = st
	}
	n := len(s.due)
	s.mu.Unlock()
	if n > 0 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// run writes until ctx ends. What cannot be written stays due.
func (s *statuses) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		s.mu.Lock()
		due := s.due
		s.due, s.writing = map[uuid.UUID]signalbox.Status{}, due
		s.mu.Unlock()
		if len(due) == 0 {
			continue
		}
		err := s.write(ctx, due)
		s.mu.Lock()
		s.writing = nil
		for id, st := range due {
			if err == nil {
				if _, known := s.stored[id]; known {
					s.stored[id] = st
				}
			} else if _, newer := s.due[id]; !newer {
				s.due[id] = st
			}
		}
		s.mu.Unlock()
		if err == nil {
			for id, st := range due {
				s.c.news.say(Event{Kind: "status", Object: string(s.of), ID: id.String(), What: string(st)})
			}
		}
		if err != nil && ctx.Err() == nil {
			s.c.log.Warn("writing status", "of", len(due), "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
			select {
			case s.wake <- struct{}{}:
			default:
			}
		}
	}
}
