package controller

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// A port's status is evidence: ACTIVE when the host that holds it has acknowledged its flows with a
// barrier's reply, DOWN otherwise. It is derived anew from what the loop knows, never remembered.

// await notes the local ports whose flows a difference touches: they are judged when it is acknowledged. One
// that is empty goes with what is on its way already, or needs no reply at all.
func (l *loop) await(h *host, ch *flowpipeline.Change) {
	if !ch.Empty() {
		h.seq++
	}
	for u := range ch.Units {
		if u.Kind != flowpipeline.PortUnit {
			continue
		}
		if p := l.compiler.Facts.Port(u.ID); p != nil && p.Binding != nil && p.Binding.HostID == h.row.ID {
			h.waiting[u.ID] = h.seq
		} else {
			delete(h.waiting, u.ID)
		}
	}
}

// acknowledged takes the reply to the barrier behind a difference.
func (l *loop) acknowledged(a *applier, seq uint64, refused map[flow.Cookie]string) {
	h := a.h
	if h.applier != a {
		return
	}
	maps.Copy(h.refused, refused)
	h.acked = seq
	l.judgeAcknowledged(h)
}

// judgeAcknowledged derives the status of the ports that wait for nothing more.
func (l *loop) judgeAcknowledged(h *host) {
	for id, s := range h.waiting {
		if s <= h.acked {
			delete(h.waiting, id)
			l.judge(id)
		}
	}
}

// judge derives one port's status.
func (l *loop) judge(id uuid.UUID) {
	p := l.compiler.Facts.Port(id)
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
	}
	if p.Binding == nil {
		return signalbox.Down, true
	}
	h := l.hostByID(p.Binding.HostID)
	switch {
	case h == nil && time.Since(l.began) > l.c.cfg.LostAfter, h != nil && h.lost:
		return signalbox.Down, true
	case h == nil || !h.synced:
		return "", false
	}
	if _, coming := h.waiting[p.ID]; coming {
		return "", false
	}
	if v := h.vifs[p.Binding.Interface]; v == nil || v.port != p.ID {
		return signalbox.Down, true
	}
	return signalbox.Active, true
}

// judgeHeldBy derives the status of every port that a host holds.
func (l *loop) judgeHeldBy(host uuid.UUID) {
	for id, p := range l.compiler.Facts.Ports() {
		if p.Binding != nil && p.Binding.HostID == host {
			l.judge(id)
		}
	}
}

// statuses writes what changed to the database, many at a time.
type statuses struct {
	c    *Controller
	wake chan struct{}

	mu     sync.Mutex
	stored map[uuid.UUID]signalbox.Status // as last read or written
	due    map[uuid.UUID]signalbox.Status
}

func newStatuses(c *Controller) *statuses {
	return &statuses{c: c, wake: make(chan struct{}, 1), stored: map[uuid.UUID]signalbox.Status{}, due: map[uuid.UUID]signalbox.Status{}}
}

// read takes what the database says of a port.
func (s *statuses) read(p *signalbox.Port) {
	s.mu.Lock()
	s.stored[p.ID] = p.Status
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
	if s.stored[id] == st {
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
		s.due = map[uuid.UUID]signalbox.Status{}
		s.mu.Unlock()
		if len(due) == 0 {
			continue
		}
		err := s.c.store.SetStatus(ctx, due)
		s.mu.Lock()
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
		if err != nil && ctx.Err() == nil {
			s.c.log.Warn("writing port status", "ports", len(due), "error", err)
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
