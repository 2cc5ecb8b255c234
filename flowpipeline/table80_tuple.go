package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 80, tuple: what is its connection, and who is the other end?
//
// Told:    Inbound, and what conntrack knows: how the connection was made, whichever way this packet goes.
// Leaves:  Peer, Protocol, Service.
// Onwards: to membership. Fragments have these too, which show no port of their own, and an error has them of the connection
//          that it is about.

// The two halves of Service, for ICMP.
var (
	upperService = flow.Subfield{Field: flow.Reg11, Off: 24, Len: 8}
	lowerService = flow.Subfield{Field: flow.Reg11, Off: 16, Len: 8}
)

// readTuple pushes and pops: of an ICMP error about what a port has answered, Open vSwitch 3.1 has the connection and yet would
// not move it (it holds a connection's fields for known where ct_state has new, est or rpl; such an error has rel alone).
func readTuple(d *draft) {
	low := func(f flow.Field) flow.Subfield { return flow.Subfield{Field: f, Len: 8} }
	services := []struct {
		priority uint16
		of       func(icmp uint8) flow.Match
		actions  []flow.Action
		phrase   string
	}{
		{110, func(icmp uint8) flow.Match { return flow.Match{flow.IsNum(flow.CTProto, icmp)} }, []flow.Action{
			flow.Push{Src: low(flow.CTPortSrc)}, flow.Pop{Dst: upperService}, flow.Push{Src: low(flow.CTPortDst)}, flow.Pop{Dst: lowerService}}, "its ICMP type"},
		{100, func(uint8) flow.Match { return nil }, []flow.Action{flow.Push{Src: flow.CTPortDst.Whole()}, flow.Pop{Dst: Service}}, "its port"},
	}
	families := []struct {
		is       flow.Cond
		icmp     uint8
		src, dst flow.Field
		peer     flow.Subfield
	}{
		{isIPv4(), signalbox.ProtocolICMP, flow.CTIPv4Src, flow.CTIPv4Dst, Peer[3]},
		{isIPv6(), signalbox.ProtocolICMPv6, flow.CTIPv6Src, flow.CTIPv6Dst, flow.XXReg3.Whole()},
	}
	for _, f := range families {
		for inbound, end := range []flow.Field{f.dst, f.src} {
			for _, s := range services {
				match := append(s.of(f.icmp), f.is, flow.IsSub(Inbound, uint64(inbound)), flow.CTIs(flow.CTTracked, flow.CTInvalid))
				actions := append([]flow.Action{
					flow.Push{Src: end.Whole()}, flow.Pop{Dst: f.peer}, flow.Push{Src: flow.CTProto.Whole()}, flow.Pop{Dst: Protocol}}, s.actions...)
				d.add(TableTuple, s.priority, match, "reads the other end of a connection, and "+s.phrase, append(actions, flow.Goto{Table: TableMembership})...)
			}
		}
	}
}
