package controller

import (
	"context"

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
// Guests likewise keep a router's MAC, for most of a minute. An interface that a router has got anew is announced to the
// guests of its network, by every host to its own.

// announcement is a frame to send from a host.
type announcement struct {
	frame   []byte
	actions []flow.Action
}

// announce has a port's new host say where the port is; a port that is where it was said to be is left alone.
func (l *loop) announce(p *signalbox.Port) {
	if p.Role == signalbox.RoleRouterInterface {
		l.announceRouter(p)
		return
	}
	if p.Binding == nil || l.placed[p.ID] == *p.Binding {
		return
	}
	l.placed[p.ID] = *p.Binding
	h, n := l.hostByID(p.Binding.HostID), l.compiler.Facts.Network(p.NetworkID)
	if h == nil || h.applier == nil || n == nil || !n.Segment.Type.OnPhysical() {
		return
	}
	patch, _ := ovsdb.PatchPortNames(h.row.Mappings[n.Segment.Physical])
	port, ok := h.other[patch]
	if !ok {
		return
	}
	var actions []flow.Action
	if n.Segment.Type == signalbox.VLAN {
		actions = append(actions, flow.PushVLAN{}, flow.Load{Dst: flow.VLANVID.Whole(), Value: flow.Num(0x1000 | uint64(n.Segment.ID))})
	}
	actions = append(actions, flow.Output{Port: port})
	for _, ip := range p.FixedIPs {
		if ip.Addr.Is4() {
			h.applier.say(announcement{gratuitousARP(p.MAC, ip.Addr.As4()), actions})
		}
	}
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

// gratuitousARP is an ARP request for the sender's own address, to everybody (RFC 826, RFC 5227).
func gratuitousARP(mac signalbox.MAC, ip [4]byte) []byte {
	frame := make([]byte, 0, 60)
	frame = append(frame, signalbox.Broadcast[:]...)
	frame = append(frame, mac[:]...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1) // ARP; Ethernet, IPv4, request
	frame = append(frame, mac[:]...)
	frame = append(frame, ip[:]...)
	frame = append(frame, 0, 0, 0, 0, 0, 0)
	frame = append(frame, ip[:]...)
	return frame[:60]
}
