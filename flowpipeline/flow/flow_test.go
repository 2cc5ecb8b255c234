package flow

import (
	"net/netip"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

func TestTextIsWhatOvsOfctlReads(t *testing.T) {
	mac := signalbox.MustMAC("fa:16:3e:00:00:05")
	public := netip.MustParseAddr("192.0.2.1")
	key := Subfield{Reg3, 0, 4}
	tests := []struct {
		f    Flow
		want string
	}{
		{New(0, 0, nil, Why{}), "table=0, priority=0 actions=drop"},
		{New(10, 100, Match{Is(IPv4Src, Addr(netip.MustParseAddr("10.0.0.3"))), IsNum(EthType, 0x0800), Is(EthSrc, Ethernet(mac)), IsNum(InPort, 7)}, Why{}, Goto{20}),
			"table=10, priority=100,in_port=7,eth_src=fa:16:3e:00:00:05,ip,nw_src=10.0.0.3 actions=goto_table:20"},
		{New(10, 100, Match{IsNum(EthType, 0x0800), IsNum(IPProto, 17), IsNum(UDPDst, 67)}, Why{}, Meter{9}, Load{key, Num(2)}, ToController{}),
			"table=10, priority=100,udp,udp_dst=67 actions=meter:9,load:0x2->NXM_NX_REG3[0..3],CONTROLLER:65535"},
		{New(40, 5, Match{IsSub(key, 3), IsSub(Subfield{Reg3, 8, 1}, 1)}, Why{}, Load{EthSrc.Whole(), Ethernet(mac)}, Move{ARPSHA.Whole(), ARPTHA.Whole()}, OutputInPort{}),
			"table=40, priority=5,reg3=0x103/0x10f actions=set_field:fa:16:3e:00:00:05->eth_src,move:OXM_OF_ARP_SHA[]->OXM_OF_ARP_THA[],IN_PORT"},
		{New(54, 1, Match{IsNum(EthType, 0x0800), IsNum(IPProto, 1), IsNum(ICMPType, 8), IsNum(ICMPCode, 0), IsNum(IPTTL, 64)}, Why{},
			CheckLarger{1464, Subfield{Reg3, 2, 1}}, Load{ICMPType.Whole(), Num(0)}, Load{IPTTL.Whole(), Num(64)}, DecTTL{}),
			"table=54, priority=1,icmp,nw_ttl=64,icmp_type=8,icmp_code=0 actions=check_pkt_larger(1464)->NXM_NX_REG3[2],set_field:0->icmp_type,set_field:64->nw_ttl,dec_ttl"},
		{New(72, 9, Match{IsNum(EthType, 0x0800), CTIs(CTTracked|CTNew, CTInvalid), IsNum(CTZone, 7), IsMasked(CTMark, Num(2), Num(3))}, Why{},
			Load{InPort.Whole(), Num(0)}, CTClear{}, CT{Zone: 7, Table: 3}, CT{Zone: 7, Table: 4, NAT: KeepNAT()}),
			"table=72, priority=9,ip,ct_state=+new-inv+trk,ct_zone=7,ct_mark=0x2/0x3 actions=load:0x0->NXM_OF_IN_PORT[],ct_clear,ct(table=3,zone=7),ct(table=4,zone=7,nat)"},
		{New(72, 8, Match{IsNum(CTState, CTNew|CTTracked)}, Why{}, CT{Commit: true, Zone: 9, Table: 5, NAT: SourceNAT(public)}, CT{Commit: true, Zone: 9, Table: 5, NAT: SourceNAT(public).WithPorts(1024, 65535)}, CT{Commit: true, Zone: 9, Table: 5, NAT: DestinationNAT(public)}),
			"table=72, priority=8,ct_state=new|trk actions=ct(commit,table=5,zone=9,nat(src=192.0.2.1)),ct(commit,table=5,zone=9,nat(src=192.0.2.1:1024-65535)),ct(commit,table=5,zone=9,nat(dst=192.0.2.1))"},
		{New(72, 7, Match{IsNum(EthType, 0x86dd), CTIs(CTTracked, CTInvalid), IsNum(CTProto, 58), IsNum(CTIPv6Src, 1), IsNum(CTPortDst, 3)}, Why{},
			Move{CTIPv6Dst.Whole(), XXReg3.Whole()}, Move{Subfield{CTPortSrc, 0, 8}, Subfield{Reg11, 24, 8}}, CT{Commit: true, Table: Stay, ZoneFrom: Subfield{Reg11, 0, 16}}, Goto{80}),
			"table=72, priority=7,ipv6,ct_state=-inv+trk,ct_nw_proto=58,ct_ipv6_src=::1,ct_tp_dst=3 actions=move:NXM_NX_CT_IPV6_DST[]->NXM_NX_XXREG3[],move:NXM_NX_CT_TP_SRC[0..7]->NXM_NX_REG11[24..31],ct(commit,zone=NXM_NX_REG11[0..15]),goto_table:80"},
	}
	for _, tt := range tests {
		if got := tt.f.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestCookieIsOfTheWholeFlowAndNothingElse(t *testing.T) {
	match := func() Match { return Match{IsNum(InPort, 7), IsNum(EthType, 0x0806)} }
	base := New(10, 100, match(), Why{Phrase: "one"}, Goto{20})
	reordered := New(10, 100, Match{IsNum(EthType, 0x0806), IsNum(InPort, 7)}, Why{Phrase: "two"}, Goto{20})
	if base.Cookie != reordered.Cookie {
		t.Error("the order of conditions or the reason changed the cookie")
	}
	for name, f := range map[string]Flow{
		"table":    New(11, 100, match(), Why{}, Goto{20}),
		"priority": New(10, 101, match(), Why{}, Goto{20}),
		"match":    New(10, 100, match()[:1], Why{}, Goto{20}),
		"action":   New(10, 100, match(), Why{}, Goto{21}),
		"drop":     New(10, 100, match(), Why{}),
	} {
		if f.Cookie == base.Cookie {
			t.Errorf("another %s, but the same cookie", name)
		}
	}
}

// A cookie that changed between two versions would send every flow of every switch anew.
func TestCookiesStayAsTheyWere(t *testing.T) {
	f := New(54, 1, Match{IsNum(EthType, 0x0800), IsNum(IPProto, 1), IsNum(ICMPType, 8), IsNum(ICMPCode, 0)}, Why{},
		CheckLarger{1464, Subfield{Reg3, 2, 1}}, Load{ICMPType.Whole(), Num(0)}, Move{IPv4Src.Whole(), IPv4Dst.Whole()}, DecTTL{}, Goto{60})
	if f.Cookie != 0x795a2b411315e02 {
		t.Errorf("cookie %#x", f.Cookie)
	}
}

func TestEveryPartOfAConntrackActionIsInItsCookie(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	seen := map[Cookie]CT{}
	for _, ct := range []CT{{}, {Commit: true}, {Zone: 1}, {ZoneFrom: Subfield{Reg11, 0, 16}}, {ZoneFrom: Subfield{Reg11, 16, 16}}, {Table: 1}, {Table: Stay}, {NAT: KeepNAT()}, {NAT: SourceNAT(a)}, {NAT: SourceNAT(b)}, {NAT: DestinationNAT(a)},
		{NAT: SourceNAT(a).WithPorts(1, 9)}, {NAT: SourceNAT(a).WithPorts(2, 9)}, {NAT: SourceNAT(a).WithPorts(1, 8)}} {
		f := New(0, 0, nil, Why{}, ct)
		if other, ok := seen[f.Cookie]; ok {
			t.Errorf("%+v has the cookie of %+v", ct, other)
		}
		seen[f.Cookie] = ct
	}
}
