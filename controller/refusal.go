package controller

import (
	"context"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// answerRefused tells a port why a router did not pass its packet on, and returns what was done.
func (s *session) answerRefused(ctx context.Context, p openflow.PacketIn, why flowpipeline.PuntReason) string {
	s.c.mu.RLock()
	r, ok := s.c.loop.refusal(p, why)
	s.c.mu.RUnlock()
	if !ok {
		return "out of date" // the flow that sent it is on its way out
	}
	frame := icmpError(p.Data, r)
	if frame == nil {
		return "silent"
	}
	if err := s.conn.PacketOut(ctx, openflow.PortController, []flow.Action{flow.Output{Port: p.InPort}}, frame); err != nil && ctx.Err() == nil {
		s.log.Warn("sending an ICMP error", "port", r.to.ID, "error", err)
	}
	return "told"
}

// refusal finds, by what the registers say, who refused whose packet: the router, its address on the network
// that the packet came to it from, and the MTU of the next.
func (l *loop) refusal(p openflow.PacketIn, why flowpipeline.PuntReason) (refusal, bool) {
	facts := l.compiler.Facts
	to := facts.Port(l.ports.byKey[signalbox.PortKey(p.Reg(flowpipeline.SourcePort.Field))])
	router := facts.RouterByKey(signalbox.RouterKey(p.Reg(flowpipeline.Router.Field)))
	if to == nil || router == nil {
		return refusal{}, false
	}
	r := refusal{why: why, to: to}
	came, next := signalbox.NetworkKey(p.Reg(flowpipeline.Network.Field)), signalbox.NetworkKey(p.Reg(flowpipeline.Egress.Field))
	for _, end := range facts.InterfacesOf(router.ID) {
		n := facts.Network(end.NetworkID)
		if n == nil {
			continue
		}
		if n.Key == next {
			r.mtu = n.MTU
		}
		if n.Key == came {
			r.comesFrom(end)
		}
	}
	if n := facts.Network(to.NetworkID); n != nil && n.Key != came {
		r.from = l.doorOf(n.ID)
	}
	return r, r.router.IsValid() && r.from != signalbox.MAC{}
}

// comesFrom takes a router's interface as where the error comes from, if there is none yet, or if it shares a
// subnet with the sender.
func (r *refusal) comesFrom(end *signalbox.Port) {
	for _, ip := range end.FixedIPs {
		if ip.Addr.Is4() && (!r.router.IsValid() || addressIn(r.to, ip.SubnetID).IsValid()) {
			r.router, r.from = ip.Addr, end.MAC
		}
	}
}

// doorOf is the MAC of a router on a network: from another network's router, answers come in by it.
func (l *loop) doorOf(network uuid.UUID) signalbox.MAC {
	facts := l.compiler.Facts
	for _, id := range facts.RoutersOn(network) {
		for _, end := range facts.InterfacesOf(id) {
			if end.NetworkID == network {
				return end.MAC
			}
		}
	}
	return signalbox.MAC{}
}
