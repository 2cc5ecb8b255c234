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
// first what a host says of itself, then what has left its place, then what has a new one. What cannot
// be written is tried again until it can. The loop learns of its own decisions by the change feed, as
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
	unbinds map[signalbox.Binding]struct{}
	binds   map[uuid.UUID]signalbox.Binding
}

func newDecisions() decisions {
	return decisions{
		hosts:   map[signalbox.DatapathID]signalbox.Host{},
		unbinds: map[signalbox.Binding]struct{}{},
		binds:   map[uuid.UUID]signalbox.Binding{},
	}
}

func (d *decisions) empty() bool { return len(d.hosts)+len(d.unbinds)+len(d.binds) == 0 }

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
			w.c.log.Warn("writing places", "ports", len(now.binds), "error", err)
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
	if len(d.unbinds) > 0 {
		if err := w.c.store.Unbind(ctx, slices.Collect(maps.Keys(d.unbinds))); err != nil {
			return err
		}
	}
	if len(d.binds) > 0 {
		return w.c.store.Bind(ctx, slices.Collect(maps.Values(d.binds)))
	}
	return nil
}

// overlay puts later decisions over those that could not be written.
func (d *decisions) overlay(later decisions) {
	maps.Copy(d.hosts, later.hosts)
	for b := range later.unbinds {
		d.unbinds[b] = struct{}{}
		if d.binds[b.PortID] == b {
			delete(d.binds, b.PortID)
		}
	}
	maps.Copy(d.binds, later.binds)
}
