package controller

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/ovsdb"
)

// A physical network's switches have learned where a port's MAC is, and go on sending there after the port
// has moved, until it speaks. So we speak for it: when a port of a VLAN or flat network has been wired at a
// new place, one gratuitous ARP (RFC 5227, 3) per address goes out from there.
//
// So do machines on an external network with the addresses that are translated for others: when a floating IP or
// a gateway appears or moves, its new host says so. Nothing is announced only because the controller has begun.
//
// The place before is told to be silent at the same time as the new one is told to speak, and may be heard last. So
// what has been announced is said again some times.
//
// Guests likewise keep a router's MAC, for most of a minute. An interface that a router has got anew is announced to the
// guests of its network, by every host to its own.

// announcement is a frame to send from a host.
type announcement struct {
	frame   []byte
	actions []flow.Action
}

// announce has a port's new host say where the port is; a port that is where it was said to be is left alone.
func (l *loop) announce(p *signalbox.Port) {
	switch p.Role {
	case signalbox.RoleRouterInterface:
		l.announceRouter(p)
		return
	case signalbox.RoleRouterGateway:
		l.announceOutlet(p.RouterID)
		return
	}
	if p.Binding == nil || l.placed[p.ID] == *p.Binding {
		return
	}
	l.placed[p.ID] = *p.Binding
	for _, ip := range p.FixedIPs {
		l.announceClaim(p.ID, claim{p.Binding.HostID, p.NetworkID, p.MAC, ip.Addr})
	}
}

// announceClaim has a host tell a physical network, now and some times after, that an address of a port, a router or a
// floating IP is there.
func (l *loop) announceClaim(of uuid.UUID, c claim) {
	if l.say(c) {
		l.repeat(func() bool { return l.claimed(of, c) && l.say(c) })
	}
}

// claimed reports whether a port, a router or a floating IP has a claim by the facts of now.
func (l *loop) claimed(of uuid.UUID, c claim) bool {
	if p := l.compiler.Facts.Port(of); p != nil {
		return p.Binding != nil && p.Binding.HostID == c.host && p.MAC == c.mac && holds(p, c.addr)
	}
	return slices.Contains(l.claimsOf(of), c)
}

// say has a host tell a physical network that an address is there; false where it cannot.
func (l *loop) say(c claim) bool {
	h, n := l.hostByID(c.host), l.compiler.Facts.Network(c.network)
	if h == nil || h.applier == nil || n == nil || !c.addr.Is4() {
		return false
	}
	out, ok := h.outward(n)
	if ok {
		h.applier.say(announcement{gratuitousARP(c.mac, c.addr.As4()), out})
	}
	return ok
}

// outward is how a packet of ours goes from a host to a network's physical one; false where there is no way.
func (h *host) outward(n *signalbox.Network) ([]flow.Action, bool) {
	if !n.Segment.Type.OnPhysical() {
		return nil, false
	}
	patch, _ := ovsdb.PatchPortNames(h.row.Mappings[n.Segment.Physical])
	port, ok := h.other[patch]
	if !ok {
		return nil, false
	}
	out := flow.Output{Port: port}
	if n.Segment.Type == signalbox.VLAN {
		return []flow.Action{flow.PushVLAN{}, flow.Load{Dst: flow.VLANVID.Whole(), Value: flow.Num(0x1000 | uint64(n.Segment.ID))}, out}, true
	}
	return []flow.Action{out}, true
}

// claim is an address of a physical network that a host answers for.
type claim struct {
	host, network uuid.UUID
	mac           signalbox.MAC
	addr          netip.Addr
}

// announceOutlet has the outside told where a router's gateway or a floating IP is, as far as that is new.
func (l *loop) announceOutlet(id uuid.UUID) {
	now := l.claimsOf(id)
	for _, c := range now {
		if !slices.Contains(l.claims[id], c) {
			l.announceClaim(id, c)
		}
	}
	l.claims[id] = now
}

// leaving is a translation that a host has been told to give up.
type leaving struct {
	seq uint64    // of the difference that says so
	at  time.Time // when that was made
}

// leftAt is told when a host has given a translation up that was taken from it at a time. One that was out of reach has
// spoken for the addresses as soon as it was back, until it heard: they are announced once more from where they are now.
func (l *loop) leftAt(id uuid.UUID, since time.Time) {
	if time.Since(since) < lastRepeat {
		return // what is being said again anyhow covers it
	}
	for _, c := range l.claimsOf(id) {
		l.announceClaim(id, c)
	}
}

// claimsOf is what a router's gateway or a floating IP has on physical networks, where it is translated. The
// gateway host is also where the router itself is to be found on physical networks inside: other hosts send it
// there what is to leave.
func (l *loop) claimsOf(id uuid.UUID) (out []claim) {
	facts := l.compiler.Facts
	if ip := facts.FloatingIP(id); ip != nil {
		if host := facts.TranslatorOf(id); host != uuid.Nil {
			out = append(out, claim{host, ip.NetworkID, ip.MAC, ip.Addr})
		}
		return out
	}
	r := facts.Router(id)
	if r == nil || r.Gateway == nil || r.Gateway.Host == uuid.Nil {
		return nil
	}
	ends := facts.InterfacesOf(id)
	if p := facts.Port(r.Gateway.PortID); p != nil {
		ends = append(ends, p)
	}
	for _, p := range ends {
		if n := facts.Network(p.NetworkID); n == nil || !n.Segment.Type.OnPhysical() {
			continue
		}
		for _, ip := range p.FixedIPs {
			out = append(out, claim{r.Gateway.Host, p.NetworkID, p.MAC, ip.Addr})
		}
	}
	return out
}

// announceRouter has every host tell its guests of a router's new interface, and does nothing for one that they know.
func (l *loop) announceRouter(p *signalbox.Port) {
	if b, known := l.placed[p.ID]; known && b == (signalbox.Binding{}) {
		return
	}
	l.placed[p.ID] = signalbox.Binding{}
	for _, h := range l.hosts {
		guests := l.guestsOn(h, p.NetworkID)
		if h.applier == nil || len(guests) == 0 {
			continue
		}
		for _, ip := range p.FixedIPs {
			if ip.Addr.Is4() {
				h.applier.say(announcement{gratuitousARP(p.MAC, ip.Addr.As4()), guests})
			}
		}
	}
}

// guestsOn is the way to each guest of a network on a host.
func (l *loop) guestsOn(h *host, network uuid.UUID) (out []flow.Action) {
	for _, v := range h.vifs {
		if p := l.compiler.Facts.Port(v.port); p != nil && p.NetworkID == network && p.AdminStateUp {
			out = append(out, flow.Output{Port: v.ofport})
		}
	}
	return out
}

// say asks for an announcement; it never waits.
func (a *applier) say(what announcement) {
	a.mu.Lock()
	a.sayings = append(a.sayings, what)
	a.mu.Unlock()
	a.nudge()
}

// announceAll sends what say asked for.
func (a *applier) announceAll(ctx context.Context) error {
	a.mu.Lock()
	sayings := a.sayings
	a.sayings = nil
	a.mu.Unlock()
	for _, s := range sayings {
		if err := a.conn.PacketOut(ctx, openflow.PortController, s.actions, s.frame); err != nil {
			return err
		}
	}
	return nil
}
