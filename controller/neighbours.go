package controller

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// On an external network live machines that no database knows, the provider's router before all. A packet for
// one comes here; it waits while the switch asks by ARP, and goes on when the answer comes. The answer is put
// into the database, from which flows are made, so that no further packet comes.

// neighbourEvents is what is counted.
var neighbourEvents = []string{"asked", "answered", "unasked", "held", "passed", "replaced", "unreachable", "overflow", "lost"}

// waiting is a packet that waits for its next hop's MAC, and how that is asked for.
type waiting struct {
	s   *session
	p   openflow.PacketIn
	ask announcement
}

// inquiry is whom to ask for, for a router's packet, and how.
type inquiry struct {
	at     hop
	router uuid.UUID
	known  signalbox.MAC // by the rows: the flow that knows it is on its way
	ask    announcement
}

// inquire is false where nobody outside is to be asked for: the next hop is not on an external network, or the
// database knows whose it is.
func (l *loop) inquire(h *host, p openflow.PacketIn) (inquiry, bool) {
	facts := l.compiler.Facts
	r := facts.RouterByKey(signalbox.RouterKey(p.Reg(flowpipeline.Router.Field)))
	if r == nil || r.Gateway == nil {
		return inquiry{}, false
	}
	n := facts.Network(r.Gateway.NetworkID)
	if n == nil || uint64(n.Key) != p.Reg(flowpipeline.Egress.Field) {
		return inquiry{}, false
	}
	wanted := addressOf(p.Reg(flowpipeline.NextHop.Field))
	out, ok := h.outward(n)
	if !ok || !l.outsideOf(n, wanted) {
		return inquiry{}, false
	}
	from, ip := facts.Port(r.Gateway.PortID), netip.Addr{}
	if packet, ok := ipv4Of(p.Data); ok {
		source := netip.AddrFrom4([4]byte(packet[12:16]))
		if public := l.publicPort(n.ID, source); public != nil {
			from, ip = public, source
		}
	}
	if from == nil {
		return inquiry{}, false
	}
	if !ip.IsValid() {
		if ip, ok = firstIPv4(from); !ok {
			return inquiry{}, false
		}
	}
	q := inquiry{at: hop{n.ID, wanted}, router: r.ID,
		ask: announcement{arpRequest(signalbox.Broadcast, from.MAC, ip.As4(), wanted.As4()), out}}
	if known := facts.Neighbour(n.ID, wanted); known != nil {
		q.known = known.MAC
	}
	return q, true
}

func addressOf(register uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(register >> 24), byte(register >> 16), byte(register >> 8), byte(register)})
}

func firstIPv4(p *signalbox.Port) (netip.Addr, bool) {
	for _, ip := range p.FixedIPs {
		if ip.Addr.Is4() {
			return ip.Addr, true
		}
	}
	return netip.Addr{}, false
}

// outsideOf reports whether an address is in a block of an external network, and no port's.
func (l *loop) outsideOf(n *signalbox.Network, a netip.Addr) bool {
	facts := l.compiler.Facts
	for _, id := range facts.SubnetsOf(n.ID) {
		if s := facts.Subnet(id); s != nil && s.CIDR.Contains(a) {
			return oneHost(a) && l.compiler.Facts.PortAt(n.ID, a) == nil
		}
	}
	return false
}

// publicPort is the port that holds an address outside which stands for others inside: a router's gateway, or
// a floating IP's own. Nil when there is none.
func (l *loop) publicPort(network uuid.UUID, a netip.Addr) *signalbox.Port {
	p := l.compiler.Facts.PortAt(network, a)
	if p == nil || p.Role != signalbox.RoleRouterGateway && p.Role != signalbox.RoleFloatingIP {
		return nil
	}
	return p
}

// answerNoNeighbour holds a packet whose next hop outside is not known, asks for that, or sends the packet on
// if the answer is here. It returns what was done.
func (s *session) answerNoNeighbour(ctx context.Context, p openflow.PacketIn) string {
	s.c.mu.RLock()
	q, ok := s.c.loop.inquire(s.h, p)
	s.c.mu.RUnlock()
	switch {
	case !ok:
		return s.answerRefused(ctx, p, flowpipeline.PuntNoNeighbour)
	case q.known != (signalbox.MAC{}):
		s.sendOn(ctx, p, q.known)
		return "passed"
	}
	count := s.c.metrics.neighbours.WithLabelValues
	v, mac := s.c.loop.questions.want(q.at, q.router, s.h.row.ID, waiting{s, p, q.ask}, time.Now())
	switch v {
	case pass:
		s.sendOn(ctx, p, mac)
		return "passed"
	case overflow:
		count("overflow").Inc()
		return "dropped"
	case holdLatest:
		count("replaced").Inc()
	case holdAndAsk:
		count("held").Inc()
		count("asked").Inc()
		if err := s.conn.PacketOut(ctx, openflow.PortController, q.ask.actions, q.ask.frame); err != nil && ctx.Err() == nil {
			s.log.Warn("asking for a neighbour", "address", q.at.addr, "error", err)
		}
	default:
		count("held").Inc()
	}
	return "held"
}

// sendOn lets the switch take up a packet where it had to leave off: its next hop has this MAC.
func (s *session) sendOn(ctx context.Context, p openflow.PacketIn, mac signalbox.MAC) {
	s.c.metrics.neighbours.WithLabelValues("passed").Inc()
	if err := s.conn.PacketOut(ctx, openflow.PortLocal, resumed(p, mac), p.Data); err != nil && ctx.Err() == nil {
		s.log.Warn("sending on a packet that has waited", "error", err)
	}
}

// resumed is what nexthop would have done: all that the tables have told each other about the packet that departure and those
// after it are to know, and the MAC.
func resumed(p openflow.PacketIn, mac signalbox.MAC) []flow.Action {
	var actions []flow.Action
	for _, r := range flowpipeline.Registers() {
		v := p.Reg(r.Field) >> r.Off & flow.Ones(r.Len).Lo
		if v != 0 && r.Lives(flowpipeline.TableDeparture) && r.Subfield != flowpipeline.Punt {
			actions = append(actions, flow.Load{Dst: r.Subfield, Value: flow.Num(v)})
		}
	}
	return append(actions,
		flow.Load{Dst: flow.EthDst.Whole(), Value: flow.Ethernet(mac)},
		flow.Resubmit{Table: flowpipeline.TableDeparture})
}

// hearAnswer takes an ARP answer. Only one that was asked for, or that comes from who is known already, is
// believed: the outside is no part of the cloud.
func (s *session) hearAnswer(ctx context.Context, p openflow.PacketIn) string {
	addr, mac, ok := claimIn(p.Data)
	if !ok {
		return "nonsense"
	}
	now := time.Now()
	s.c.mu.RLock()
	facts, at, credible, known := s.c.loop.compiler.Facts, hop{addr: addr}, false, false
	if n := facts.NetworkByKey(signalbox.NetworkKey(p.Reg(flowpipeline.Network.Field))); n != nil {
		at.network = n.ID
		credible, known = s.c.loop.credible(n, addr, mac), facts.Neighbour(n.ID, addr) != nil
	}
	s.c.mu.RUnlock()
	if !credible {
		return "not believed"
	}
	count := s.c.metrics.neighbours.WithLabelValues
	packets, asked := s.c.loop.questions.answer(at, mac, now)
	if !asked && !known {
		count("unasked").Inc()
		return "unasked"
	}
	count("answered").Inc()
	for _, w := range packets {
		w.s.sendOn(ctx, w.p, mac)
	}
	s.c.post(ctx, func(l *loop) { l.heardFrom(at, mac, now) })
	return "heard"
}

// credible reports whether a machine outside could be so: its address is in a block of an external network,
// and neither that nor its MAC is a port's.
func (l *loop) credible(n *signalbox.Network, addr netip.Addr, mac signalbox.MAC) bool {
	if !n.External || !l.outsideOf(n, addr) {
		return false
	}
	for id := range l.ports.byMAC[mac] {
		if l.compiler.Facts.Port(id).NetworkID == n.ID {
			return false
		}
	}
	return true
}

// askAgain does what time asks for: repeats questions, and gives up packets that have waited for too long.
func (l *loop) askAgain(now time.Time) {
	again, late := l.questions.due(now)
	for _, w := range again {
		if a := w.s.applier.Load(); a != nil {
			l.c.metrics.neighbours.WithLabelValues("asked").Inc()
			a.say(w.ask)
		}
	}
	for _, w := range late {
		select {
		case w.s.late <- w.p:
			l.c.metrics.neighbours.WithLabelValues("unreachable").Inc()
		default:
			l.c.metrics.neighbours.WithLabelValues("lost").Inc()
		}
	}
}
