package flowpipeline

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 88, rule: does a rule allow it?
//
// Told:    Group, PeerGroup, Inbound, and what conntrack knows: how the connection was made, whichever way this packet goes.
//          Fragments have that too, which show no port of their own, and an error has it of the connection that it is about.
// Leaves:  Allowed.
// Onwards: back to who asked.

// allow makes a rule's flows: one, but for a range of ports or types as many as it takes masks to say it. made is what other
// rules of the group have made.
func allow(d *draft, r *Reader, g *signalbox.SecurityGroup, rule *signalbox.SecurityGroupRule, made map[flow.Cookie]bool) {
	v6, inbound := rule.EtherType == signalbox.IPv6, inboundOf(rule.Direction)
	match := flow.Match{isFamily(v6), isTracked()}
	if rule.RemotePrefix.IsValid() {
		match = append(match, within(otherEnd(v6, inbound), rule.RemotePrefix)...)
	}
	var peer signalbox.GroupKey
	if rule.RemoteGroupID != uuid.Nil {
		if peer = r.GroupKey(rule.RemoteGroupID); peer == 0 {
			return // by which the rule goes too
		}
	}
	match = append(match, flow.IsSub(Group, uint64(g.Key)), flow.IsSub(PeerGroup, uint64(peer)), flow.IsSub(Inbound, inbound))
	protocol, _ := rule.Protocol.Number()
	if protocol == signalbox.ProtocolICMP && v6 {
		protocol = signalbox.ProtocolICMPv6 // as Neutron has it
	}
	if protocol != 0 {
		match = append(match, flow.IsNum(flow.CTProto, protocol))
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

// otherEnd is the field that has it: who was called, or, if the watched port was, the caller.
func otherEnd(v6 bool, inbound uint64) flow.Field {
	ends := [2]flow.Field{flow.CTIPv4Dst, flow.CTIPv4Src}
	if v6 {
		ends = [2]flow.Field{flow.CTIPv6Dst, flow.CTIPv6Src}
	}
	return ends[inbound]
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

// servicesOf is the conditions, any of which will do, on what port the connection was made to, or, of ICMP, by what type and code.
func servicesOf(rule *signalbox.SecurityGroupRule) []flow.Match {
	lo, hi := rule.PortMin, rule.PortMax
	switch {
	case lo == signalbox.NoPort:
		return []flow.Match{nil}
	case !rule.Protocol.HasTypes():
		return rangeOf(uint32(lo), uint32(hi))
	case hi == signalbox.NoPort:
		return []flow.Match{{flow.IsNum(flow.CTPortSrc, uint16(lo))}}
	}
	return []flow.Match{{flow.IsNum(flow.CTPortSrc, uint16(lo)), flow.IsNum(flow.CTPortDst, uint16(hi))}}
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
		out = append(out, flow.Match{flow.IsMasked(flow.CTPortDst, flow.Num(uint64(lo)), flow.Ones(16-bits).Shl(bits))})
		lo += 1 << bits
	}
	return out
}
