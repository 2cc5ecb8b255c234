package flowpipeline

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 88, rule: does a rule allow it?
//
// Told:    Group, PeerGroup, Inbound, Peer, Protocol, Service.
// Leaves:  Allowed.
// Onwards: back to who asked.

// allow makes a rule's flows: one, but for a range of ports or types as many as it takes masks to say it. made is what other
// rules of the group have made.
func allow(d *draft, r *Reader, g *signalbox.SecurityGroup, rule *signalbox.SecurityGroupRule, made map[flow.Cookie]bool) {
	v6 := rule.EtherType == signalbox.IPv6
	match := flow.Match{isFamily(v6)}
	if rule.RemotePrefix.IsValid() {
		match = peerIn(rule.RemotePrefix)
	}
	var peer signalbox.GroupKey
	if rule.RemoteGroupID != uuid.Nil {
		if peer = r.GroupKey(rule.RemoteGroupID); peer == 0 {
			return // by which the rule goes too
		}
	}
	match = append(match, flow.IsSub(Group, uint64(g.Key)), flow.IsSub(PeerGroup, uint64(peer)), flow.IsSub(Inbound, inboundOf(rule.Direction)))
	protocol, _ := rule.Protocol.Number()
	if protocol == signalbox.ProtocolICMP && v6 {
		protocol = signalbox.ProtocolICMPv6 // as Neutron has it
	}
	if protocol != 0 {
		match = append(match, flow.IsSub(Protocol, uint64(protocol)))
	}
	phrase := "allows " + called(rule)
	for _, service := range servicesOf(rule) {
		d.add(TableRule, 100, append(match[:len(match):len(match)], service...), phrase, flow.Load{Dst: Allowed, Value: flow.Num(1)})
		last := len(d.out.Flows) - 1
		if cookie := d.out.Flows[last].Cookie; made[cookie] {
			d.out.Flows = d.out.Flows[:last]
		} else {
			made[cookie] = true
		}
	}
}

func inboundOf(d signalbox.Direction) uint64 {
	if d == signalbox.Ingress {
		return 1
	}
	return 0
}

// called is what to call a rule.
func called(rule *signalbox.SecurityGroupRule) string {
	s := string(rule.EtherType) + " " + string(rule.Direction)
	if rule.Protocol != "" {
		s += " by " + string(rule.Protocol)
	}
	if rule.PortMin != signalbox.NoPort {
		s += " " + strconv.Itoa(rule.PortMin)
		if rule.PortMax != rule.PortMin && rule.PortMax != signalbox.NoPort {
			s += " to " + strconv.Itoa(rule.PortMax)
		}
	}
	return s
}

// servicesOf is the conditions on Service, any of which will do: what ports, or ICMP type and code, a rule asks for.
func servicesOf(rule *signalbox.SecurityGroupRule) []flow.Match {
	lo, hi := rule.PortMin, rule.PortMax
	switch {
	case lo == signalbox.NoPort:
		return []flow.Match{nil}
	case !rule.Protocol.HasTypes():
		return rangeOf(uint32(lo), uint32(hi))
	case hi == signalbox.NoPort:
		return []flow.Match{{flow.IsSub(upperService, uint64(lo))}}
	}
	return []flow.Match{{flow.IsSub(Service, uint64(lo)<<8|uint64(hi))}}
}

// rangeOf is the ports from lo to hi as blocks of powers of two.
func rangeOf(lo, hi uint32) []flow.Match {
	var out []flow.Match
	for lo <= hi {
		bits := uint8(0)
		for bits < 16 && lo&(1<<bits) == 0 && lo+(2<<bits)-1 <= hi {
			bits++
		}
		if bits == 16 {
			return []flow.Match{nil}
		}
		mask := flow.Ones(16 - bits).Shl(bits + Service.Off)
		out = append(out, flow.Match{flow.IsMasked(Service.Field, flow.Num(uint64(lo)).Shl(Service.Off), mask)})
		lo += 1 << bits
	}
	return out
}
