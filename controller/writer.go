package controller

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// writer takes the loop's decisions to the database, many at a time and in an order that suits them:
// first what a host says of itself, then what has left its place, then what has a new one, then who is outside.
// What cannot be written is tried again until it can. The loop learns of its own decisions by the change feed, as
// everybody does.
type writer struct {
	c    *Controller
	wake chan struct{}

	mu      sync.Mutex
	due     decisions
	binding map[uuid.UUID]signalbox.Binding // those on their way to the database now
}

type decisions struct {
	hosts   map[signalbox.DatapathID]signalbox.Host
	joined  map[uuid.UUID]signalbox.Session
	unbinds map[signalbox.Binding]struct{}
	binds   map[uuid.UUID]signalbox.Binding
	places  map[uuid.UUID]uuid.UUID // router -> its gateway's host
	silent  map[hop]signalbox.MAC
	known   map[hop]signalbox.MAC
}

func newDecisions() decisions {
	return decisions{
		hosts:   map[signalbox.DatapathID]signalbox.Host{},
		joined:  map[uuid.UUID]signalbox.Session{},
		unbinds: map[signalbox.Binding]struct{}{},
		binds:   map[uuid.UUID]signalbox.Binding{},
		places:  map[uuid.UUID]uuid.UUID{},
		silent:  map[hop]signalbox.MAC{},
		known:   map[hop]signalbox.MAC{},
	}
}

func (d *decisions) empty() bool {
	return len(d.hosts)+len(d.joined)+len(d.unbinds)+len(d.binds)+len(d.places)+len(d.silent)+len(d.known) == 0
}

func (d *decisions) know(at hop, mac signalbox.MAC) {
	delete(d.silent, at)
	d.known[at] = mac
}

func (d *decisions) forget(at hop, mac signalbox.MAC) {
	delete(d.known, at)
	d.silent[at] = mac
}

func newWriter(c *Controller) *writer {
	return &writer{c: c, wake: make(chan struct{}, 1), due: newDecisions()}
}

func (w *writer) decide(f func(*decisions)) {
	w.mu.Lock()
	f(&w.due)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) saveHost(h signalbox.Host) {
	w.decide(func(d *decisions) { d.hosts[h.DatapathID] = h })
}

// session has the database say whether a host is connected.
func (w *writer) session(h *host) {
	w.decide(func(d *decisions) { d.joined[h.row.ID] = signalbox.Session{Up: h.conn != nil, Since: h.since} })
}

func (w *writer) unbind(b signalbox.Binding) {
	w.decide(func(d *decisions) {
		d.unbinds[b] = struct{}{}
		if d.binds[b.PortID] == b {
			delete(d.binds, b.PortID)
		}
	})
}

func (w *writer) bind(b signalbox.Binding) {
	w.decide(func(d *decisions) {
		if w.binding[b.PortID] != b {
			d.binds[b.PortID] = b
		}
	})
}

// place has the database say that a router's gateway is at a host.
func (w *writer) place(router, host uuid.UUID) {
	w.decide(func(d *decisions) { d.places[router] = host })
}

// know keeps that an address outside has a MAC.
func (w *writer) know(at hop, mac signalbox.MAC) {
	w.decide(func(d *decisions) { d.know(at, mac) })
}

// forget drops what is known of an address outside.
func (w *writer) forget(at hop, mac signalbox.MAC) {
	w.decide(func(d *decisions) { d.forget(at, mac) })
}

// busy reports whether a port is being bound.
func (w *writer) busy(port uuid.UUID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, due := w.due.binds[port]
	_, now := w.binding[port]
	return due || now
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		w.mu.Lock()
		now := w.due
		w.due = newDecisions()
		w.binding = now.binds
		w.mu.Unlock()
		err := w.write(ctx, now)
		w.mu.Lock()
		w.binding = nil
		if err != nil {
			now.overlay(w.due)
			w.due = now
		}
		again := !w.due.empty()
		w.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			w.c.log.Warn("writing decisions", "ports", len(now.binds), "gateways", len(now.places), "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		if again {
			w.decide(func(*decisions) {})
		}
	}
}

func (w *writer) write(ctx context.Context, d decisions) error {
	for _, h := range d.hosts {
		if _, err := w.c.store.SaveHost(ctx, h); err != nil {
			return err
		}
	}
	if err := w.c.store.SaveSessions(ctx, d.joined); err != nil {
		return err
	}
	if len(d.unbinds) > 0 {
		if err := w.c.store.Unbind(ctx, slices.Collect(maps.Keys(d.unbinds))); err != nil {
			return err
		}
		for b := range d.unbinds {
			w.c.sayBinding(b, "left")
		}
	}
	if len(d.binds) > 0 {
		if err := w.c.store.Bind(ctx, slices.Collect(maps.Values(d.binds))); err != nil {
			return err
		}
		for _, b := range d.binds {
			w.c.sayBinding(b, "is at")
		}
	}
	if len(d.places) > 0 {
		if err := w.c.store.PlaceGateways(ctx, d.places); err != nil {
			return err
		}
	}
	if len(d.silent) > 0 {
		if err := w.c.store.DropNeighbours(ctx, neighboursOf(d.silent)); err != nil {
			return err
		}
	}
	if len(d.known) > 0 {
		return w.c.store.SaveNeighbours(ctx, neighboursOf(d.known))
	}
	return nil
}

func neighboursOf(macs map[hop]signalbox.MAC) []signalbox.Neighbour {
	out := make([]signalbox.Neighbour, 0, len(macs))
	for at, mac := range macs {
		out = append(out, signalbox.Neighbour{NetworkID: at.network, Addr: at.addr, MAC: mac})
	}
	return out
}

// overlay puts later decisions over those that could not be written.
func (d *decisions) overlay(later decisions) {
	maps.Copy(d.hosts, later.hosts)
	maps.Copy(d.joined, later.joined)
	for b := range later.unbinds {
		d.unbinds[b] = struct{}{}
		if d.binds[b.PortID] == b {
			delete(d.binds, b.PortID)
		}
	}
	maps.Copy(d.binds, later.binds)
	maps.Copy(d.places, later.places)
	for at, mac := range later.silent {
		d.forget(at, mac)
	}
	for at, mac := range later.known {
		d.know(at, mac)
	}
}
