package flowpipeline

import (
	"fmt"
	"strconv"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// The tables, in the order of a packet's walk. The numbers are static and have gaps. A routed
// packet goes from departure back to switching, once for each router; its TTL ends that. What comes for an
// address that is translated here goes from switching by arrival to router.
//
// What a port says of itself is put to claims by source, from which the packet comes back with an answer for honest.
//
// Where security groups are enforced, sending to permitted ask what the sender's groups allow, and receiving to admitted
// what the receiver's do. Both ask membership to rule, from which the packet comes back with an answer.
const (
	TableClassify   uint8 = 0
	TableSource     uint8 = 12
	TableHonest     uint8 = 14
	TableClaims     uint8 = 16
	TableServices   uint8 = 20
	TableNames      uint8 = 22
	TableOutside    uint8 = 30
	TableSending    uint8 = 32
	TableSent       uint8 = 34
	TablePermitted  uint8 = 36
	TableSwitching  uint8 = 40
	TableFlood      uint8 = 42
	TableArrival    uint8 = 44
	TableInward     uint8 = 46
	TableInside     uint8 = 48
	TableRouter     uint8 = 50
	TableEcho       uint8 = 52
	TableRouting    uint8 = 54
	TableSize       uint8 = 56
	TableExit       uint8 = 60
	TableOutward    uint8 = 62
	TableNextHop    uint8 = 64
	TableDeparture  uint8 = 66
	TableRefusal    uint8 = 68
	TableReceiving  uint8 = 70
	TableReceived   uint8 = 74
	TableAdmitted   uint8 = 76
	TableMembership uint8 = 82
	TableGroup      uint8 = 84
	TableTuple      uint8 = 85
	TablePeer       uint8 = 86
	TableRule       uint8 = 88
	TableOutput     uint8 = 90
)

// guards reports whether a table is there only where security groups are enforced.
func guards(table uint8) bool {
	return table >= TableSending && table <= TablePermitted || table >= TableReceiving && table <= TableRule
}

// Table is a table's contract: every flow is held to it when it is made.
type Table struct {
	ID    uint8
	Name  string
	Asks  string          // the question that it answers
	Match []flow.Field    // what a flow may look at
	Load  []flow.Subfield // what a flow may write
	Next  []uint8         // where a flow may send a packet on to
	Ends  []verb          // how a flow may send a packet away
	Miss  []flow.Action   // of a packet that no flow is for; none: drop
}

// missed says what becomes of a packet that no flow is for.
func (t *Table) missed() string {
	switch n := len(t.Miss); {
	case n == 0:
		return "drops"
	case t.Miss[n-1] == flow.Action(flow.Goto{Table: TableRefusal}):
		return "refuses"
	}
	return "lets pass"
}

// verb is a way out of the pipeline, or something else that not every table may do.
type verb uint8

const (
	toPort       verb = 1 + iota // output to a port
	toAsker                      // output to where the packet came from
	toController                 // packet-in
	metered                      // pass a meter
	tagged                       // push or pop an 802.1Q tag
	hop                          // take one from the TTL
	back                         // resubmit to an earlier table: the TTL must bound it
	tracked                      // conntrack, which may translate addresses
	untracked                    // forget what conntrack did
)

// whole is shorthand for fields written as a whole.
func whole(fs ...flow.Field) []flow.Subfield {
	subs := make([]flow.Subfield, len(fs))
	for i, f := range fs {
		subs[i] = f.Whole()
	}
	return subs
}

// Tables is the whole path. It is built anew for each caller, so nobody can change it for another.
func Tables() []Table {
	type fields = []flow.Field
	type tables = []uint8
	return []Table{
		{TableClassify, "classify", "where did this come from?",
			fields{flow.InPort, flow.TunID, flow.VLANVID, flow.EthSrc},
			[]flow.Subfield{Network, SourcePort, Fabric, Punt, Zone},
			tables{TableSource, TableOutside, TableSwitching}, []verb{toController, metered, tagged}, nil},
		{TableSource, "source", "what does this say of its sender?",
			fields{flow.Reg1, flow.EthType, flow.ARPOp, flow.ARPSPA, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src,
				flow.IPProto, flow.UDPSrc, flow.UDPDst, flow.ICMPv6Type, flow.NDSLL, flow.NDTLL},
			append([]flow.Subfield{ClaimKind, ClaimMAC[0], ClaimMAC[1], ClaimAddress[3], Claimed, Target}, whole(flow.XXReg3)...),
			tables{TableHonest, TableClaims, TableServices}, nil, nil},
		{TableHonest, "honest", "may its port say so?",
			fields{flow.Reg3, flow.EthType, flow.IPProto, flow.ICMPv6Type},
			append([]flow.Subfield{ClaimKind, ClaimMAC[0], ClaimMAC[1]}, whole(flow.XXReg3)...),
			tables{TableServices}, nil, nil},
		{TableClaims, "claims", "may this port claim this address, at this MAC?",
			fields{flow.Reg1, flow.EthSrc, flow.Reg9, flow.Reg10, flow.Reg12, flow.Reg13, flow.Reg14, flow.Reg15},
			[]flow.Subfield{Claimed, Owned},
			nil, nil, nil},
		{TableServices, "services", "does the switch, or the controller, answer this?",
			fields{flow.Reg0, flow.Reg1, flow.Reg3, flow.EthSrc, flow.EthType, flow.ARPOp, flow.ARPTPA, flow.IPv4Dst, flow.IPProto, flow.TCPDst, flow.UDPSrc, flow.UDPDst},
			append([]flow.Subfield{Punt}, whole(flow.EthSrc, flow.EthDst, flow.ARPOp, flow.ARPSHA, flow.ARPTHA, flow.ARPSPA, flow.ARPTPA)...),
			tables{TableNames, TableSending, TableSwitching}, []verb{toAsker, toController, metered}, []flow.Action{flow.Goto{Table: TableSwitching}}},
		{TableNames, "names", "may this port ask the controller for names?",
			fields{flow.Reg1},
			nil,
			nil, []verb{toController, metered}, nil},
		{TableOutside, "outside", "does an external network ask for an address that is translated here, or answer it?",
			fields{flow.Reg0, flow.EthType, flow.ARPOp, flow.ARPSPA, flow.ARPTPA},
			append([]flow.Subfield{Punt}, whole(flow.EthSrc, flow.EthDst, flow.ARPOp, flow.ARPSHA, flow.ARPTHA, flow.ARPSPA, flow.ARPTPA, flow.VLANVID)...),
			tables{TableSwitching}, []verb{toAsker, toController, metered, tagged}, []flow.Action{flow.Goto{Table: TableSwitching}}},
		{TableSending, "sending", "is what this port sends to be watched?",
			fields{flow.Reg1, flow.EthType, flow.IPProto, flow.UDPSrc, flow.UDPDst, flow.ICMPv6Type},
			nil,
			tables{TableSent, TableSwitching}, []verb{tracked}, nil},
		{TableSent, "sent", "who made its connection?",
			fields{flow.EthType, flow.CTState, flow.IPFrag},
			[]flow.Subfield{Inbound},
			tables{TablePermitted, TableMembership}, nil, nil},
		{TablePermitted, "permitted", "do the sender's groups allow it?",
			fields{flow.Reg3, flow.EthType, flow.CTState, flow.IPFrag},
			[]flow.Subfield{Allowed},
			tables{TableSwitching}, []verb{tracked}, nil},
		{TableSwitching, "switching", "where is this MAC, on this network?",
			fields{flow.Reg0, flow.Reg3, flow.EthDst},
			append([]flow.Subfield{TargetPort, Zone, Piece, Router, Fabric}, whole(flow.InPort, flow.TunID, flow.TunDst, flow.VLANVID, flow.EthSrc)...),
			tables{TableFlood, TableArrival, TableRouter, TableReceiving, TableOutput}, []verb{toPort, tagged, untracked}, nil},
		{TableFlood, "flood", "who gets a copy?",
			fields{flow.Reg0, flow.Reg3},
			append([]flow.Subfield{TargetPort, Zone}, whole(flow.TunID, flow.TunDst, flow.VLANVID)...),
			tables{TableReceiving, TableOutput}, []verb{toPort, tagged}, nil},
		{TableArrival, "arrival", "which of the router's outer addresses is this for?",
			fields{flow.Reg5, flow.EthType, flow.IPv4Dst, flow.IPProto, flow.IPTTL, flow.ICMPType, flow.ICMPCode},
			append([]flow.Subfield{NextHop, Plain, Larger, Punt}, whole(flow.EthSrc, flow.EthDst, flow.IPv4Src, flow.IPv4Dst, flow.IPTTL, flow.ICMPType)...),
			tables{TableSwitching, TableInward, TableRouter, TableRefusal}, []verb{back}, nil},
		{TableInward, "inward", "which address inside does that stand for?",
			fields{flow.Reg3, flow.Reg5, flow.EthType, flow.IPv4Dst},
			[]flow.Subfield{Punt},
			tables{TableInside, TableRefusal}, []verb{tracked}, nil},
		{TableInside, "inside", "has it been translated to that?",
			fields{flow.Reg5, flow.Reg8, flow.EthType, flow.IPv4Dst},
			nil,
			tables{TableRouter}, nil, nil},
		{TableRouter, "router", "is this for the router itself, or may it go on?",
			fields{flow.Reg5, flow.EthType, flow.IPv4Dst, flow.IPProto, flow.IPTTL, flow.UDPSrc, flow.UDPDst, flow.ICMPType, flow.ICMPCode},
			append([]flow.Subfield{NextHop, Punt}, whole(flow.EthSrc, flow.IPv4Src, flow.IPv4Dst, flow.IPTTL, flow.ICMPType)...),
			tables{TableEcho, TableRouting, TableRefusal}, nil, nil},
		{TableEcho, "echo", "who has pinged the router?",
			fields{flow.Reg1},
			whole(flow.EthDst),
			nil, []verb{toAsker}, nil},
		{TableRouting, "routing", "which network is next, and which address on it?",
			fields{flow.Reg5, flow.EthType, flow.IPv4Dst},
			[]flow.Subfield{Egress, NextHop, Punt},
			tables{TableSize, TableRefusal}, nil, refuse(PuntNoRoute)},
		{TableSize, "size", "may it go there, and does it fit?",
			fields{flow.Reg0, flow.Reg5, flow.Reg7, flow.Reg8},
			[]flow.Subfield{Larger},
			tables{TableExit, TableNextHop}, nil, []flow.Action{flow.Goto{Table: TableNextHop}}},
		{TableExit, "exit", "which host sends this out, and from which address?",
			fields{flow.Reg0, flow.Reg3, flow.Reg5, flow.EthType, flow.IPv4Src, flow.IPv4Dst},
			append([]flow.Subfield{Plain, Punt}, whole(flow.TunID, flow.TunDst, flow.VLANVID, flow.EthSrc)...),
			tables{TableOutward, TableNextHop, TableRefusal}, []verb{toPort, tagged, tracked}, refuse(PuntNoRoute)},
		{TableOutward, "outward", "has it been translated to that?",
			fields{flow.Reg5, flow.Reg8, flow.EthType, flow.IPv4Src},
			nil,
			tables{TableNextHop}, nil, nil},
		{TableNextHop, "nexthop", "which MAC has that address?",
			fields{flow.Reg3, flow.Reg6, flow.Reg7},
			append([]flow.Subfield{Punt}, whole(flow.EthDst)...),
			tables{TableDeparture, TableRefusal}, nil, refuse(PuntNoNeighbour)},
		{TableDeparture, "departure", "from which MAC does the router send it on?",
			fields{flow.Reg5, flow.Reg7, flow.EthType, flow.IPv4Src},
			append([]flow.Subfield{Network, Egress, Routed, Router}, whole(flow.EthSrc)...),
			tables{TableSwitching}, []verb{hop, back}, nil},
		{TableRefusal, "refusal", "may the controller tell the sender why it does not go on?",
			fields{flow.Reg1, flow.Reg5},
			nil,
			nil, []verb{toController, metered}, nil},
		{TableReceiving, "receiving", "which connection of the receiver is it of?",
			fields{flow.Reg11, flow.EthType, flow.IPProto, flow.UDPSrc, flow.UDPDst, flow.ICMPv6Type},
			nil,
			tables{TableReceived, TableOutput}, []verb{tracked}, nil},
		{TableReceived, "received", "who made that?",
			fields{flow.EthType, flow.CTState, flow.IPFrag},
			[]flow.Subfield{Inbound},
			tables{TableAdmitted, TableMembership}, nil, nil},
		{TableAdmitted, "admitted", "do the receiver's groups allow it?",
			fields{flow.Reg3, flow.EthType, flow.CTState, flow.IPFrag},
			[]flow.Subfield{Allowed},
			tables{TableOutput}, []verb{tracked}, nil},
		{TableMembership, "membership", "which groups is the watched port in?",
			fields{flow.Reg11},
			[]flow.Subfield{Group},
			tables{TableGroup}, nil, nil},
		{TableGroup, "group", "which groups do this one's rules name?",
			fields{flow.Reg9},
			[]flow.Subfield{PeerGroup},
			tables{TableTuple, TablePeer, TableRule}, nil, nil},
		{TableTuple, "tuple", "who is the other end of its connection?",
			fields{flow.Reg3, flow.EthType, flow.CTState},
			append([]flow.Subfield{Peer[3]}, whole(flow.XXReg3)...),
			nil, nil, nil},
		{TablePeer, "peer", "is the other end in that one?",
			fields{flow.Reg10, flow.EthType, flow.Reg12, flow.Reg13, flow.Reg14, flow.Reg15},
			nil,
			tables{TableRule}, nil, nil},
		{TableRule, "rule", "does a rule allow it?",
			fields{flow.Reg3, flow.Reg9, flow.Reg10, flow.EthType, flow.CTState, flow.CTProto, flow.CTIPv4Src, flow.CTIPv4Dst,
				flow.CTIPv6Src, flow.CTIPv6Dst, flow.CTPortSrc, flow.CTPortDst},
			[]flow.Subfield{Allowed},
			nil, nil, nil},
		{TableOutput, "output", "which interface is this port?",
			fields{flow.Reg2},
			nil,
			nil, []verb{toPort}, nil},
	}
}

// TableName is a table's name, or its number when there is no such table.
func TableName(id uint8) string {
	if c := contracts[id]; c != nil {
		return c.Name
	}
	return strconv.Itoa(int(id))
}

// ParseTable finds a table by its name or number.
func ParseTable(s string) (uint8, error) {
	for _, t := range Tables() {
		if s == t.Name || s == strconv.Itoa(int(t.ID)) {
			return t.ID, nil
		}
	}
	return 0, fmt.Errorf("there is no table %q", s)
}

// contract is a Table made ready for checking. It is read only.
type contract struct {
	Table
	match uint64 // a bit a field
	next  [256 / 64]uint64
	ends  uint64 // a bit a verb
}

var contracts = func() (cs [256]*contract) {
	for _, t := range Tables() {
		c := &contract{Table: t}
		for _, f := range t.Match {
			c.match |= 1 << f
		}
		for _, id := range t.Next {
			c.next[id/64] |= 1 << (id % 64)
		}
		for _, v := range t.Ends {
			c.ends |= 1 << v
		}
		cs[t.ID] = c
	}
	return cs
}()

// check says how a flow breaks its table's contract.
func check(f *flow.Flow) error {
	c := contracts[f.Table]
	if c == nil {
		return fmt.Errorf("there is no table %d", f.Table)
	}
	for i := range f.Match {
		if field := f.Match[i].Field; c.match&(1<<field) == 0 {
			return fmt.Errorf("table %s may not match %s", c.Name, field)
		}
	}
	for _, a := range f.Actions {
		if !c.allows(a) {
			return fmt.Errorf("table %s may not do %T%+v", c.Name, a, a)
		}
	}
	return nil
}

func (c *contract) allows(a flow.Action) bool {
	switch a := a.(type) {
	case flow.Goto:
		return a.Table > c.ID && c.leadsTo(a.Table)
	case flow.Resubmit:
		return c.leadsTo(a.Table) && (a.Table > c.ID || c.may(back))
	case flow.Load:
		return c.writes(a.Dst)
	case flow.Move:
		return c.writes(a.Dst)
	case flow.Push:
		return true
	case flow.Pop:
		return c.writes(a.Dst)
	case flow.CheckLarger:
		return c.writes(a.Dst)
	case flow.DecTTL:
		return c.may(hop)
	case flow.Output:
		return c.may(toPort)
	case flow.OutputInPort:
		return c.may(toAsker)
	case flow.ToController:
		return c.may(toController)
	case flow.Meter:
		return c.may(metered)
	case flow.CT:
		return (a.Table == flow.Stay || a.Table > c.ID && c.leadsTo(a.Table)) && c.may(tracked)
	case flow.CTClear:
		return c.may(untracked)
	case flow.PushVLAN, flow.PopVLAN:
		return c.may(tagged)
	}
	return false
}

func (c *contract) leadsTo(table uint8) bool { return c.next[table/64]&(1<<(table%64)) != 0 }
func (c *contract) may(v verb) bool          { return c.ends&(1<<v) != 0 }

func (c *contract) writes(s flow.Subfield) bool {
	for _, allowed := range c.Load {
		if s == allowed {
			return true
		}
	}
	return false
}
