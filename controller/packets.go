package controller

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/dhcp"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// PacketIn implements openflow.Handler. Packets are answered beside the connection's reader, which must
// never wait; when more come than can be answered, the newest are dropped and counted.
func (s *session) PacketIn(p openflow.PacketIn) {
	select {
	case s.packets <- p:
	default:
		s.c.metrics.packets.WithLabelValues("overrun", "dropped").Inc()
	}
}

func (s *session) answerPackets() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case p := <-s.packets:
			s.answer(s.ctx, p)
		case p := <-s.late:
			s.answerRefused(s.ctx, p, flowpipeline.PuntNoNeighbour)
		}
	}
}

// answer does what the flow that punted the packet asks for.
func (s *session) answer(ctx context.Context, p openflow.PacketIn) {
	reason := flowpipeline.PuntReason(p.Reg(flowpipeline.Punt.Field))
	switch reason {
	case flowpipeline.PuntFirstPacket:
		if len(p.Data) >= 14 {
			source := signalbox.MAC(p.Data[6:12])
			s.c.post(ctx, func(l *loop) { l.firstPacket(s.h, p.InPort, source) })
		}
		s.c.metrics.packets.WithLabelValues(reason.String(), "looked at").Inc()
	case flowpipeline.PuntDHCP:
		outcome := s.answerDHCP(ctx, p)
		s.c.metrics.packets.WithLabelValues(reason.String(), outcome.String()).Inc()
	case flowpipeline.PuntDNS:
		s.c.metrics.packets.WithLabelValues(reason.String(), s.answerDNS(ctx, p)).Inc()
	default:
		outcome := "dropped"
		switch {
		case reason == flowpipeline.PuntNoNeighbour:
			outcome = s.answerNoNeighbour(ctx, p)
		case reason == flowpipeline.PuntARPReply:
			outcome = s.hearAnswer(ctx, p)
		case reason.Refused():
			outcome = s.answerRefused(ctx, p, reason)
		}
		s.c.metrics.packets.WithLabelValues(reason.String(), outcome).Inc()
	}
}

func (s *session) answerDHCP(ctx context.Context, p openflow.PacketIn) dhcp.Outcome {
	s.c.mu.RLock()
	facts, port := s.c.loop.dhcpFacts(signalbox.PortKey(p.Reg(flowpipeline.SourcePort.Field)))
	s.c.mu.RUnlock()
	reply, outcome := dhcp.Answer(p.Data, facts)
	switch outcome {
	case dhcp.Acked:
		s.c.leases.give(port, time.Now(), s.c.cfg.Lease)
	case dhcp.Released:
		s.c.leases.end(port)
	}
	if outcome == dhcp.Declined {
		s.log.Warn("a DHCP client declined its address: somebody else seems to have it", "port", port)
	}
	if reply == nil {
		return outcome
	}
	if err := s.conn.PacketOut(ctx, openflow.PortController, []flow.Action{flow.Output{Port: p.InPort}}, reply); err != nil && ctx.Err() == nil {
		s.log.Warn("sending a DHCP reply", "port", port, "error", err)
	}
	return outcome
}

// dhcpFacts is what a port is told by DHCP, for each of its addresses that DHCP serves.
func (l *loop) dhcpFacts(key signalbox.PortKey) ([]dhcp.Facts, uuid.UUID) {
	rows := l.compiler.Facts
	id, ok := l.ports.byKey[key]
	p := rows.Port(id)
	if !ok || p == nil {
		return nil, uuid.Nil
	}
	n := rows.Network(p.NetworkID)
	if n == nil {
		return nil, id
	}
	domain := l.domainOf(n)
	var out []dhcp.Facts
	for _, ip := range p.FixedIPs {
		subnet, server := rows.Subnet(ip.SubnetID), rows.Port(l.ports.served[ip.SubnetID])
		if !ip.Addr.Is4() || subnet == nil || !subnet.EnableDHCP || server == nil {
			continue
		}
		host, _ := p.NameOf(ip.Addr, "")
		out = append(out, dhcp.Facts{
			MAC: p.MAC, Addr: ip.Addr, Subnet: subnet,
			Server: addressIn(server, ip.SubnetID), ServerMAC: server.MAC,
			MTU: n.MTU, Hostname: host, Domain: strings.TrimSuffix(domain, "."), Lease: l.c.cfg.Lease,
			Options: p.DHCPOptions,
		})
	}
	return out, id
}

// domainOf is the domain that the names of a network's ports are in.
func (l *loop) domainOf(n *signalbox.Network) string { return cmp.Or(n.DNSDomain, l.c.cfg.Domain) }

func addressIn(p *signalbox.Port, subnet uuid.UUID) netip.Addr {
	for _, ip := range p.FixedIPs {
		if ip.SubnetID == subnet {
			return ip.Addr
		}
	}
	return netip.Addr{}
}

// PortStatus implements openflow.Handler.
func (s *session) PortStatus(reason openflow.PortReason, p openflow.Port) {
	s.c.post(s.ctx, func(l *loop) { l.portStatus(s.h, s.conn, reason, p) })
}

// FlowChanged implements openflow.Handler: somebody else has written to the switch.
func (s *session) FlowChanged(e openflow.FlowEvent) {
	if a := s.applier.Load(); a != nil {
		s.c.news.say(Event{Kind: "drift", Host: s.c.nameOf(s.h), What: fmt.Sprintf("somebody has %s a flow of table %d: cookie=%#x, priority=%d", e.Kind, e.Table, uint64(e.Cookie), e.Priority)})
		s.c.metrics.drift.WithLabelValues(s.c.nameOf(s.h)).Inc()
		a.readAgain()
	}
}

// SwitchError implements openflow.Handler: an error that answers nothing that is waited for.
func (s *session) SwitchError(e *openflow.Error) {
	s.h.complaints.Add(1)
	s.log.Warn("the switch reports an error", "host", s.c.nameOf(s.h), "error", e)
}
