package flow

import (
	"net/netip"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

func TestTextIsWhatOvsOfctlReads(t *testing.T) {
	mac := signalbox.MustMAC("fa:16:3e:00:00:05")
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
