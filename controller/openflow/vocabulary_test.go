package openflow

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

var (
	testMAC  = flow.Ethernet(signalbox.MustMAC("fa:16:3e:12:34:56"))
	testAddr = flow.Addr(netip.MustParseAddr("10.1.2.3"))
	testSix  = flow.Addr(netip.MustParseAddr("fd00:1:2::3"))
)

// Conditions that other fields depend on.
var (
	isARP    = flow.IsNum(flow.EthType, 0x0806)
	isIPv4   = flow.IsNum(flow.EthType, 0x0800)
	isIPv6   = flow.IsNum(flow.EthType, 0x86dd)
	isICMP   = flow.IsNum(flow.IPProto, 1)
	isTCP    = flow.IsNum(flow.IPProto, 6)
	isUDP    = flow.IsNum(flow.IPProto, 17)
	isICMPv6 = flow.IsNum(flow.IPProto, 58)
)

// everyMatch names every field at least once, exactly and where it can be masked.
func everyMatch() []flow.Match {
	prefix := func(n uint8) flow.Value { return flow.Ones(n).Shl(32 - n) }
	return []flow.Match{
		nil,
		{flow.IsNum(flow.InPort, 7)},
		{flow.Is(flow.TunID, flow.Num(0x123456789abcdef0))},
		{flow.IsMasked(flow.TunID, flow.Num(0x1200), flow.Num(0xff00))},
		{flow.Is(flow.TunSrc, testAddr), flow.Is(flow.TunDst, testAddr)},
		{flow.IsMasked(flow.TunSrc, testAddr, prefix(8))},
		{flow.IsNum(flow.Reg0, 1), flow.IsNum(flow.Reg1, 2), flow.IsNum(flow.Reg2, 3), flow.IsNum(flow.Reg3, 4)},
		{flow.IsNum(flow.Reg4, 0xffffffff), flow.IsNum(flow.Reg5, 0), flow.IsNum(flow.Reg6, 7), flow.IsNum(flow.Reg7, 8)},
		{flow.IsSub(flow.Subfield{Field: flow.Reg3, Off: 4, Len: 8}, 0x5a)},
		{flow.Is(flow.EthSrc, testMAC), flow.Is(flow.EthDst, testMAC)},
		{flow.IsMasked(flow.EthDst, flow.Num(1<<40), flow.Num(1<<40))},
		{flow.IsNum(flow.EthType, 0x88cc)},
		{flow.IsNum(flow.VLANVID, 0x1064)},
		{flow.IsNum(flow.VLANVID, 0)},
		{flow.IsMasked(flow.VLANVID, flow.Num(0x1000), flow.Num(0x1000))},
		{isARP, flow.IsNum(flow.ARPOp, 1), flow.Is(flow.ARPSPA, testAddr), flow.Is(flow.ARPTPA, testAddr)},
		{isARP, flow.IsMasked(flow.ARPTPA, testAddr, prefix(24))},
		{isARP, flow.Is(flow.ARPSHA, testMAC), flow.Is(flow.ARPTHA, testMAC)},
		{isIPv4, flow.Is(flow.IPv4Src, testAddr), flow.Is(flow.IPv4Dst, testAddr)},
		{isIPv4, flow.IsMasked(flow.IPv4Dst, testAddr, prefix(24))},
		{isIPv4, flow.IsNum(flow.IPProto, 47)},
		{isIPv4, flow.IsNum(flow.IPTTL, 1)},
		{isIPv6, flow.IsNum(flow.IPTTL, 255)},
		{isIPv4, isICMP, flow.IsNum(flow.ICMPType, 8), flow.IsNum(flow.ICMPCode, 0), flow.IsNum(flow.IPTTL, 7)},
		{isIPv4, isTCP, flow.IsNum(flow.TCPSrc, 1024), flow.IsNum(flow.TCPDst, 80)},
		{isIPv4, isTCP, flow.IsMasked(flow.TCPDst, flow.Num(0x1000), flow.Num(0xf000))},
		{isIPv4, isUDP, flow.IsNum(flow.UDPSrc, 68), flow.IsNum(flow.UDPDst, 67)},
		{isIPv6, flow.Is(flow.IPv6Src, testSix), flow.Is(flow.IPv6Dst, testSix)},
		{isIPv6, flow.IsMasked(flow.IPv6Dst, testSix, flow.Ones(64).Shl(64))},
		{isIPv6, isUDP, flow.IsNum(flow.UDPDst, 547)},
		{isIPv6, isICMPv6, flow.IsNum(flow.ICMPv6Type, 128)},
		{isIPv6, isICMPv6, flow.IsNum(flow.ICMPv6Type, 135), flow.Is(flow.NDTarget, testSix), flow.Is(flow.NDSLL, testMAC)},
		{isIPv6, isICMPv6, flow.IsNum(flow.ICMPv6Type, 136), flow.Is(flow.NDTarget, testSix), flow.Is(flow.NDTLL, testMAC)},
		{flow.IsNum(flow.CTState, flow.CTNew|flow.CTTracked), flow.IsNum(flow.CTZone, 7), flow.IsNum(flow.CTMark, 5)},
		{flow.IsNum(flow.CTState, 0)},
		{flow.CTIs(flow.CTTracked|flow.CTEst|flow.CTReply, flow.CTInvalid|flow.CTNew), flow.IsMasked(flow.CTMark, flow.Num(2), flow.Num(0xff))},
		{isIPv4, isTCP, flow.CTIs(flow.CTSNAT|flow.CTDNAT, flow.CTRel)},
		{isIPv4, flow.FirstFragment},
		{isIPv6, flow.LaterFragment},
		{flow.IsNum(flow.Reg9, 9), flow.IsNum(flow.Reg10, 10), flow.IsNum(flow.Reg11, 11), flow.IsNum(flow.Reg12, 12),
			flow.IsNum(flow.Reg13, 13), flow.IsNum(flow.Reg14, 14), flow.IsMasked(flow.Reg15, flow.Num(0x0a000000), flow.Num(0xff000000))},
		{isIPv4, flow.CTIs(flow.CTTracked, flow.CTInvalid), flow.IsNum(flow.CTProto, 6), flow.Is(flow.CTIPv4Src, testAddr), flow.IsMasked(flow.CTIPv4Dst, testAddr, prefix(24)),
			flow.IsNum(flow.CTPortSrc, 7), flow.IsNum(flow.CTPortDst, 8)},
		{isIPv6, flow.CTIs(flow.CTTracked|flow.CTEst, 0), flow.IsNum(flow.CTProto, 58), flow.Is(flow.CTIPv6Src, testSix), flow.Is(flow.CTIPv6Dst, testSix),
			flow.IsMasked(flow.CTPortDst, flow.Num(8), flow.Num(0xff))},
	}
}

// everyAction is lists of actions, each with the match that it needs, naming every action and every field
// that a load or a move can write.
func everyAction() []struct {
	match   flow.Match
	actions []flow.Action
} {
	type list = []flow.Action
	type pair = struct {
		match   flow.Match
		actions []flow.Action
	}
	whole := func(f flow.Field, v flow.Value) flow.Action { return flow.Load{Dst: f.Whole(), Value: v} }
	part := func(f flow.Field, off, n uint8, v uint64) flow.Action {
		return flow.Load{Dst: flow.Subfield{Field: f, Off: off, Len: n}, Value: flow.Num(v)}
	}
	arp := flow.Match{isARP, flow.IsNum(flow.ARPOp, 1)}
	tagged := flow.Match{flow.IsMasked(flow.VLANVID, flow.Num(0x1000), flow.Num(0x1000))}
	tcp, udp := flow.Match{isIPv4, isTCP}, flow.Match{isIPv4, isUDP}
	solicit := flow.Match{isIPv6, isICMPv6, flow.IsNum(flow.ICMPv6Type, 135)}
	advert := flow.Match{isIPv6, isICMPv6, flow.IsNum(flow.ICMPv6Type, 136)}
	icmp := flow.Match{isIPv4, isICMP, flow.IsNum(flow.ICMPType, 8)}
	public := netip.MustParseAddr("192.0.2.1")
	return []pair{
		{nil, nil},
		{nil, list{flow.CheckLarger{Size: 1464, Dst: flow.Subfield{Field: flow.Reg3, Off: 2, Len: 1}}, flow.Goto{Table: 20}}},
		{flow.Match{isIPv4}, list{flow.DecTTL{}, whole(flow.IPTTL, flow.Num(64)), flow.Goto{Table: 20}}},
		{icmp, list{whole(flow.ICMPType, flow.Num(0)), whole(flow.ICMPCode, flow.Num(3)), flow.Move{Src: flow.IPTTL.Whole(), Dst: flow.Subfield{Field: flow.Reg1, Len: 8}}}},
		{icmp, list{flow.Move{Src: flow.ICMPType.Whole(), Dst: flow.ICMPCode.Whole()}, part(flow.IPTTL, 0, 4, 7)}},
		{nil, list{flow.Output{Port: 3}, flow.Output{Port: 4}, flow.OutputInPort{}, flow.ToController{}}},
		{nil, list{flow.Goto{Table: 20}}},
		{nil, list{flow.Meter{ID: 5}, flow.ToController{}}},
		{nil, list{flow.Meter{ID: 5}, flow.Output{Port: 1}, flow.Goto{Table: 30}}},
		{nil, list{flow.Resubmit{Table: 60}, flow.Resubmit{Table: 70}}},
		{nil, list{flow.PushVLAN{}, whole(flow.VLANVID, flow.Num(0x1064)), flow.Output{Port: 9}}},
		{tagged, list{flow.PopVLAN{}, flow.Goto{Table: 1}}},
		{tagged, list{flow.Move{Src: flow.Subfield{Field: flow.VLANVID, Len: 12}, Dst: flow.Subfield{Field: flow.Reg0, Len: 12}}}},
		{tagged, list{part(flow.VLANVID, 0, 12, 100)}},
		{nil, list{whole(flow.Reg0, flow.Num(1)), whole(flow.Reg1, flow.Num(2)), whole(flow.Reg2, flow.Num(3)), whole(flow.Reg3, flow.Num(4)),
			whole(flow.Reg4, flow.Num(5)), whole(flow.Reg5, flow.Num(6)), whole(flow.Reg6, flow.Num(7)), whole(flow.Reg7, flow.Num(8))}},
		{nil, list{part(flow.Reg3, 0, 4, 2), part(flow.Reg3, 4, 1, 1), part(flow.Reg7, 16, 16, 0xffff)}},
		{nil, list{whole(flow.TunID, flow.Num(0x1234)), whole(flow.TunSrc, testAddr), whole(flow.TunDst, testAddr), flow.Output{Port: 2}}},
		{nil, list{flow.Move{Src: flow.Subfield{Field: flow.TunID, Len: 32}, Dst: flow.Reg1.Whole()}}},
		{nil, list{whole(flow.EthSrc, testMAC), whole(flow.EthDst, testMAC), part(flow.EthDst, 0, 24, 0x010203)}},
		{nil, list{flow.Push{Src: flow.EthSrc.Whole()}, flow.Push{Src: flow.Subfield{Field: flow.Reg3, Off: 4, Len: 8}}, flow.Pop{Dst: flow.Subfield{Field: flow.Reg11, Off: 24, Len: 8}},
			flow.Pop{Dst: flow.EthDst.Whole()}}},
		{nil, list{flow.Move{Src: flow.EthSrc.Whole(), Dst: flow.EthDst.Whole()}}},
		{arp, list{flow.Move{Src: flow.ARPSHA.Whole(), Dst: flow.ARPTHA.Whole()}, flow.Move{Src: flow.ARPSPA.Whole(), Dst: flow.ARPTPA.Whole()},
			whole(flow.ARPOp, flow.Num(2)), whole(flow.ARPSHA, testMAC), whole(flow.ARPTHA, testMAC), whole(flow.ARPSPA, testAddr), whole(flow.ARPTPA, testAddr), flow.OutputInPort{}}},
		{flow.Match{isIPv4}, list{whole(flow.IPv4Src, testAddr), whole(flow.IPv4Dst, testAddr)}},
		{flow.Match{isIPv6}, list{whole(flow.IPv6Src, testSix), whole(flow.IPv6Dst, testSix), part(flow.IPv6Dst, 64, 64, 0xfd00)}},
		{flow.Match{isIPv6}, list{flow.Move{Src: flow.IPv6Src.Whole(), Dst: flow.IPv6Dst.Whole()}}},
		{flow.Match{isIPv4}, list{part(flow.IPv4Dst, 0, 8, 1), flow.Move{Src: flow.IPv4Src.Whole(), Dst: flow.Reg0.Whole()}, flow.Move{Src: flow.IPv4Dst.Whole(), Dst: flow.IPv4Src.Whole()},
			flow.Move{Src: flow.IPProto.Whole(), Dst: flow.Subfield{Field: flow.Reg1, Len: 8}}, flow.Move{Src: flow.EthType.Whole(), Dst: flow.Subfield{Field: flow.Reg1, Off: 16, Len: 16}}}},
		{tcp, list{flow.Move{Src: flow.TCPSrc.Whole(), Dst: flow.TCPDst.Whole()}, flow.Move{Src: flow.InPort.Whole(), Dst: flow.Reg2.Whole()}}},
		{udp, list{flow.Move{Src: flow.UDPSrc.Whole(), Dst: flow.UDPDst.Whole()}, part(flow.UDPSrc, 0, 8, 1)}},
		{solicit, list{flow.Move{Src: flow.NDSLL.Whole(), Dst: flow.EthDst.Whole()}, flow.Move{Src: flow.ICMPv6Type.Whole(), Dst: flow.Subfield{Field: flow.Reg0, Len: 8}}}},
		{advert, list{flow.Move{Src: flow.EthSrc.Whole(), Dst: flow.NDTLL.Whole()}}},
		{arp, list{flow.Move{Src: flow.ARPOp.Whole(), Dst: flow.Subfield{Field: flow.Reg0, Len: 16}}, part(flow.ARPTPA, 8, 24, 7), part(flow.TunID, 0, 24, 9), part(flow.TunDst, 0, 8, 1)}},
		{tcp, list{whole(flow.TCPSrc, flow.Num(1)), whole(flow.TCPDst, flow.Num(2))}},
		{udp, list{whole(flow.UDPSrc, flow.Num(67)), whole(flow.UDPDst, flow.Num(68))}},
		{solicit, list{whole(flow.ICMPv6Type, flow.Num(136)), whole(flow.NDTarget, testSix), whole(flow.NDSLL, testMAC)}},
		{advert, list{whole(flow.NDTLL, testMAC), flow.Move{Src: flow.NDTarget.Whole(), Dst: flow.IPv6Src.Whole()}}},
		{nil, list{whole(flow.InPort, flow.Num(0)), flow.Output{Port: 1}}},
		{nil, list{whole(flow.InPort, flow.Num(2)), flow.CTClear{}, flow.Goto{Table: 9}}},
		{nil, list{flow.Move{Src: flow.Subfield{Field: flow.CTState, Len: 8}, Dst: flow.Subfield{Field: flow.Reg1, Len: 8}},
			flow.Move{Src: flow.CTZone.Whole(), Dst: flow.Subfield{Field: flow.Reg2, Len: 16}}, flow.Move{Src: flow.CTMark.Whole(), Dst: flow.Reg0.Whole()}}},
		{flow.Match{isIPv4}, list{flow.CT{Table: 9}}},
		{flow.Match{isIPv4}, list{flow.CT{Zone: 7, Table: 9, NAT: flow.KeepNAT()}, flow.CT{Commit: true, Zone: 65535, NAT: flow.KeepNAT()}, flow.CT{Commit: true, Zone: 1, Table: 3}}},
		{flow.Match{isIPv4}, list{flow.CT{Commit: true, Zone: 7, Table: 9, NAT: flow.SourceNAT(public)}, flow.Goto{Table: 10}}},
		{flow.Match{isIPv6}, list{flow.CT{Table: 9, ZoneFrom: flow.Subfield{Field: flow.Reg11, Off: 16, Len: 16}}, flow.CT{Commit: true, Table: flow.Stay, Zone: 7},
			flow.CT{Commit: true, Table: flow.Stay, ZoneFrom: flow.Subfield{Field: flow.Reg11, Len: 16}}, flow.Goto{Table: 10}}},
		{flow.Match{isIPv4, flow.CTIs(flow.CTTracked, flow.CTInvalid)}, list{flow.Move{Src: flow.CTIPv4Src.Whole(), Dst: flow.Reg15.Whole()},
			flow.Move{Src: flow.CTIPv4Dst.Whole(), Dst: flow.Reg14.Whole()}, flow.Move{Src: flow.CTProto.Whole(), Dst: flow.Subfield{Field: flow.Reg4, Off: 8, Len: 8}},
			flow.Move{Src: flow.CTPortSrc.Whole(), Dst: flow.Subfield{Field: flow.Reg11, Len: 16}}, flow.Move{Src: flow.CTPortDst.Whole(), Dst: flow.Subfield{Field: flow.Reg11, Off: 16, Len: 16}},
			whole(flow.Reg9, flow.Num(9)), whole(flow.Reg10, flow.Num(10)), whole(flow.Reg11, flow.Num(11)), whole(flow.Reg12, flow.Num(12)), whole(flow.Reg13, flow.Num(13))}},
		{flow.Match{isIPv6, flow.CTIs(flow.CTTracked, flow.CTInvalid)}, list{flow.Move{Src: flow.CTIPv6Src.Whole(), Dst: flow.XXReg3.Whole()}, flow.Move{Src: flow.CTIPv6Dst.Whole(), Dst: flow.XXReg3.Whole()}}},
		{flow.Match{isIPv4}, list{flow.CT{Commit: true, Zone: 7, Table: 9, NAT: flow.SourceNAT(public).WithPorts(1024, 65535)},
			flow.CT{Commit: true, Zone: 7, Table: 9, NAT: flow.SourceNAT(public).WithPorts(80, 80)}}},
		{flow.Match{isIPv4}, list{flow.CT{Commit: true, Zone: 7, Table: 9, NAT: flow.DestinationNAT(public)},
			flow.CT{Commit: true, Zone: 7, Table: 9, NAT: flow.DestinationNAT(public).WithPorts(80, 81)}}},
	}
}

// everyFlow is the whole vocabulary as flows. Each has a priority of its own, and they fit into one switch.
func everyFlow() []flow.Flow {
	why := flow.Why{Kind: "test", ID: uuid.Nil}
	var out []flow.Flow
	for i, m := range everyMatch() {
		out = append(out, flow.New(0, uint16(100+i), m, why, flow.Output{Port: 1}))
	}
	for i, p := range everyAction() {
		out = append(out, flow.New(0, uint16(1000+i), p.match, why, p.actions...))
	}
	return out
}

// manyFlows are flows as a switch of a large network would have them.
func manyFlows(n, port int) []flow.Flow {
	out := make([]flow.Flow, n)
	for i := range out {
		mac := flow.Num(0xfa163e000000 | uint64(i))
		out[i] = flow.New(10, 100, flow.Match{flow.IsNum(flow.Reg0, i%500), flow.Is(flow.EthDst, mac)}, flow.Why{},
			flow.Load{Dst: flow.Subfield{Field: flow.Reg1, Len: 16}, Value: flow.Num(uint64(i & 0xffff))},
			flow.Load{Dst: flow.TunDst.Whole(), Value: testAddr}, flow.Output{Port: uint32(1 + port + i%2)}, flow.Goto{Table: 20})
	}
	return out
}
