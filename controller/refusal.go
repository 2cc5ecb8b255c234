package controller

import (
	"context"
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// answerRefused tells a sender why a router did not pass its packet on, and returns what was done.
func (s *session) answerRefused(ctx context.Context, p openflow.PacketIn, why flowpipeline.PuntReason) string {
	s.c.mu.RLock()
	r, ok := s.c.loop.refusal(p, why)
	s.c.mu.RUnlock()
	if !ok {
		return "out of date" // the flow that sent it is on its way out, or nobody knows the sender
	}
	frame := icmpError(p.Data, r)
	if frame == nil {
		return "silent"
	}
	// By the tables, as if the router had sent it on the sender's network: to a port here or on another host, to a
	// machine outside, or, where the sender's address has been translated, back through that.
	actions := []flow.Action{
		flow.Load{Dst: flowpipeline.Network, Value: flow.Num(uint64(r.on))},
		flow.Resubmit{Table: flowpipeline.TableSwitching},
	}
	// From the bridge's own port: after conntrack Open vSwitch loses what came from none, or from a patch port.
	if err := s.conn.PacketOut(ctx, openflow.PortLocal, actions, frame); err != nil && ctx.Err() == nil {
		s.log.Warn("sending an ICMP error", "to", r.to.MAC, "error", err)
	}
	return "told"
}

// refusedPacket is one that a router could not pass on, as far as the registers and the rows tell of it.
type refusedPacket struct {
	router     *signalbox.Router
	outside    *signalbox.Network // the router's external network; nil: none
	sender     *signalbox.Port    // that the packet came from on this host; nil: it came from elsewhere
	came, next *signalbox.Network // nil: not known
	src, dst   netip.Addr
	mac, door  signalbox.MAC // its source and its destination
	plain      uint64        // the address that it had before conntrack was to translate it; 0: it was not
}

// refusal finds who refused whose packet: the router, its address on the network that the packet came to it
// from, the sender, and the MTU of the next network.
func (l *loop) refusal(in openflow.PacketIn, why flowpipeline.PuntReason) (refusal, bool) {
	p, ok := l.readRefused(in)
	if !ok {
		return refusal{}, false
	}
	r := refusal{why: why}
	on := l.findSender(&p, &r)
	if on == nil {
		return refusal{}, false
	}
	r.on = on.Key
	if p.outside != nil && p.came == p.outside {
		l.speakOutside(&p, &r)
	} else {
		l.speakInside(&p, &r)
	}
	if on != p.came {
		r.from = l.doorOf(on.ID)
	}
	r.mtu = l.mtuBeyond(&p)
	return r, r.router.IsValid() && r.from != signalbox.MAC{}
}

func (l *loop) readRefused(in openflow.PacketIn) (p refusedPacket, ok bool) {
	facts := l.compiler.Facts
	ip, ok := ipv4Of(in.Data)
	p.router = facts.RouterByKey(signalbox.RouterKey(in.Reg(flowpipeline.Router.Field)))
	if !ok || p.router == nil {
		return p, false
	}
	p.src, p.dst = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	p.door, p.mac = signalbox.MAC(in.Data[:6]), signalbox.MAC(in.Data[6:12])
	p.plain = in.Reg(flowpipeline.Plain.Field)
	if g := p.router.Gateway; g != nil {
		p.outside = facts.Network(g.NetworkID)
	}
	p.sender = facts.Port(l.ports.byKey[signalbox.PortKey(in.Reg(flowpipeline.SourcePort.Field))])
	p.came = facts.NetworkByKey(signalbox.NetworkKey(in.Reg(flowpipeline.Network.Field)))
	p.next = facts.NetworkByKey(signalbox.NetworkKey(in.Reg(flowpipeline.Egress.Field)))
	return p, p.came != nil
}

// findSender fills in who is told, and returns the network that they are on; nil when nobody is. A sender whose address
// was translated before its packet was refused is told by the public address, as the outside would tell it.
func (l *loop) findSender(p *refusedPacket, r *refusal) *signalbox.Network {
	facts := l.compiler.Facts
	if p.sender != nil && holds(p.sender, p.src) {
		r.to = p.sender
		return facts.Network(p.sender.NetworkID)
	}
	if p.outside != nil {
		if r.to = l.publicPort(p.outside.ID, p.src); r.to != nil {
			return p.outside
		}
	}
	switch {
	case p.sender != nil:
		return nil // it has not said who it is
	case p.came == p.outside:
		r.to = &signalbox.Port{MAC: p.mac, FixedIPs: []signalbox.FixedIP{{Addr: p.src}}} // it stands for a machine outside
		return p.outside
	}
	if r.to = l.compiler.Facts.PortAt(p.came.ID, p.src); r.to == nil { // on another host, which left the packet to this one
		return nil
	}
	return p.came
}

// speakInside lets the router speak from its address on the network that the packet came from: the one in the sender's
// subnet, if there are several.
func (l *loop) speakInside(p *refusedPacket, r *refusal) {
	for _, end := range l.compiler.Facts.InterfacesOf(p.router.ID) {
		if end.NetworkID != p.came.ID {
			continue
		}
		for _, ip := range end.FixedIPs {
			if ip.Addr.Is4() && (!r.router.IsValid() || addressIn(r.to, ip.SubnetID).IsValid()) {
				r.router, r.from = ip.Addr, end.MAC
			}
		}
	}
}

// speakOutside lets the router speak from its gateway's address (RFC 1812, 4.3.2.4), but from the MAC that the packet was
// sent to: a floating IP's is at this host, where the gateway's may be at another and must not be seen to move. Where the
// packet's destination has been translated already, its sender is shown the one that it knows.
func (l *loop) speakOutside(p *refusedPacket, r *refusal) {
	if gateway := l.compiler.Facts.Port(p.router.Gateway.PortID); gateway != nil {
		r.router, _ = firstIPv4(gateway)
		r.from = p.door
	}
	// What goes out again has been translated, if at all, by its source.
	if p.plain != 0 && p.next != p.outside && l.publicPort(p.outside.ID, p.dst) == nil {
		r.sent = addressOf(p.plain)
	}
}

// mtuBeyond is that of the network that the packet is too large for: the next one, or, where it came to a floating
// address and is not routed yet, that of what the address stands for.
func (l *loop) mtuBeyond(p *refusedPacket) int {
	facts := l.compiler.Facts
	if p.next != nil {
		return p.next.MTU
	}
	for _, id := range facts.FloatingIPsOf(p.router.ID) {
		if ip := facts.FloatingIP(id); ip.Addr == p.dst {
			if fixed := facts.Port(ip.PortID); fixed != nil {
				if n := facts.Network(fixed.NetworkID); n != nil {
					return n.MTU
				}
			}
		}
	}
	return 0
}

// doorOf is the MAC of a router on a network: from another network's router, answers come in by it. On an external
// network any router's does, since nobody keeps whom an answer came from.
func (l *loop) doorOf(network uuid.UUID) signalbox.MAC {
	facts := l.compiler.Facts
	for _, id := range facts.RoutersOn(network) {
		for _, end := range facts.InterfacesOf(id) {
			if end.NetworkID == network {
				return end.MAC
			}
		}
	}
	for _, m := range facts.Members(network) {
		if m.Role == signalbox.RoleRouterGateway {
			return facts.Port(m.Port).MAC
		}
	}
	return signalbox.MAC{}
}
