package controller

import (
	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// vif is an interface of a host's integration bridge that could be a VIF, and what is known of it.
type vif struct {
	name   string
	ofport uint32
	stated uuid.UUID // OVSDB's external_ids:iface-id; Nil: none, or no OVSDB
	port   uuid.UUID // the port that it is taken for; Nil: nobody knows
	by     signalbox.BoundBy
}

// learned is what else is known of an interface: by its first packet, or from the database's binding.
type learned struct {
	port uuid.UUID
	by   signalbox.BoundBy
}

// identify decides which port an interface is, and acts on it. fresh says that the interface or its
// iface-id has just appeared, so that it may take the port away from a place where it still is: of two
// places that on the host that the API asks for wins, and else the newest. What a restart finds proves nothing about age.
func (l *loop) identify(h *host, v *vif, fresh bool) {
	was := v.port
	v.port, v.by = l.claim(h, v)
	if v.port != was {
		h.stale = true
		if was != uuid.Nil {
			l.release(h, v.name, was)
		}
	}
	if v.port == uuid.Nil || !l.loaded || !h.ready {
		return
	}
	p := l.compiler.Facts.Port(v.port)
	here := signalbox.Binding{PortID: p.ID, HostID: h.row.ID, Interface: v.name, By: v.by}
	if p.Binding != nil && *p.Binding == here {
		return
	}
	if p.Binding == nil || !l.stands(p.Binding) || l.outdoes(p, h, fresh && v.port != was) {
		l.writer.bind(here)
	}
}

// outdoes reports whether a port is to be on a host rather than where it is held. While a hypervisor prepares a live migration both hosts
// have the interface, and the port is where the API asks for it, until that asks for another place. Where it asks for neither,
// the newer wins.
func (l *loop) outdoes(p *signalbox.Port, h *host, newer bool) bool {
	asks := func(h *signalbox.Host) bool { return h != nil && p.Host != "" && h.Name == p.Host }
	here, there := asks(&h.row), asks(l.compiler.Facts.Host(p.Binding.HostID))
	return here && !there || newer && here == there
}

// claim is the port that an interface is taken for, by the strongest of what is known.
func (l *loop) claim(h *host, v *vif) (uuid.UUID, signalbox.BoundBy) {
	if l.bindable(v.stated) {
		return v.stated, signalbox.ByInterfaceID
	}
	if id, ok := l.ports.byTap[v.name]; ok {
		return id, signalbox.ByName
	}
	// What its first packet said stays true as long as the interface; what OVSDB said before we began,
	// until it speaks again.
	if was, ok := h.learned[v.name]; ok && l.bindable(was.port) && (was.by == signalbox.BySourceMAC || !h.told) {
		return was.port, was.by
	}
	return uuid.Nil, ""
}

func (l *loop) bindable(id uuid.UUID) bool {
	p := l.compiler.Facts.Port(id)
	return p != nil && p.Role == signalbox.RoleVIF
}

// stands reports whether a binding is still good as far as anyone can tell: a host that is away, or has
// not been heard out, is believed to be as it was.
func (l *loop) stands(b *signalbox.Binding) bool {
	h := l.hostByID(b.HostID)
	if h == nil || !h.ready {
		return true
	}
	v := h.vifs[b.Interface]
	return v != nil && v.port == b.PortID
}

// release ends a port's binding to an interface that is no longer it, and looks for another that is.
func (l *loop) release(h *host, name string, port uuid.UUID) {
	if !h.ready || !l.loaded {
		return
	}
	p := l.compiler.Facts.Port(port)
	if p == nil || p.Binding == nil || p.Binding.HostID != h.row.ID || p.Binding.Interface != name {
		return
	}
	l.writer.unbind(*p.Binding)
	delete(h.learned, name)
}

// reidentify looks again at the interfaces that are, or could be, a port: after its row has come, changed or gone.
func (l *loop) reidentify(port uuid.UUID) {
	tap := signalbox.TapName(port)
	for _, h := range l.hosts {
		for name := range h.naming[port] {
			if v := h.vifs[name]; v != nil {
				l.identify(h, v, false)
			}
		}
		for name, was := range h.learned {
			if v := h.vifs[name]; v != nil && was.port == port {
				l.identify(h, v, false)
			}
		}
		if v := h.vifs[tap]; v != nil {
			l.identify(h, v, false)
		}
	}
}

// identifyAll looks at every interface of a host, and ends bindings to interfaces that are gone.
func (l *loop) identifyAll(h *host) {
	if !l.loaded || !h.ready {
		return
	}
	for id, p := range l.compiler.Facts.Ports() {
		if p.Binding == nil || p.Binding.HostID != h.row.ID {
			continue
		}
		if h.vifs[p.Binding.Interface] != nil {
			h.learned[p.Binding.Interface] = learned{id, p.Binding.By}
		}
	}
	for _, v := range h.vifs {
		v.port, v.by = l.claim(h, v) // all of them, before any is judged by the others
	}
	for _, v := range h.vifs {
		l.identify(h, v, false)
	}
	for _, p := range l.compiler.Facts.Ports() {
		if p.Binding != nil && p.Binding.HostID == h.row.ID && !l.stands(p.Binding) {
			l.writer.unbind(*p.Binding)
		}
	}
	h.stale = true
}

// firstPacket takes the source of the first packet of an interface that nobody knows: where exactly one
// unbound port has that MAC, this is its place.
func (l *loop) firstPacket(h *host, ofport uint32, source signalbox.MAC) {
	v := h.byNumber(ofport)
	if v == nil || v.port != uuid.Nil || !h.ready {
		return
	}
	var found uuid.UUID
	for id := range l.ports.byMAC[source] {
		if p := l.compiler.Facts.Port(id); p.Role != signalbox.RoleVIF || p.Binding != nil || l.writer.busy(id) {
			continue
		}
		if found != uuid.Nil {
			l.c.log.Info("first packet fits several unbound ports", "host", h.name(), "interface", v.name, "mac", source)
			return
		}
		found = id
	}
	if found != uuid.Nil {
		h.learned[v.name] = learned{found, signalbox.BySourceMAC}
		l.identify(h, v, true)
	}
}
