//go:build integration

package flowpipeline

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

const live = "icmp,icmp_type=8,icmp_code=0,nw_ttl=64"

func TestRoutersForward(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/routed.txt"))
	fits := func(size, end string) string {
		return "more than " + size + " bytes: controller + up to " + size + " bytes: " + end
	}
	l.play(t, []scene{
		{"same_host", "a", l.send("blue1", "main-blue", "red1", live), "tap3", "out to tap3"},
		{"same_host_to_a_smaller_mtu", "a", l.send("red1", "main-red", "blue1", live), fits("1464", "tap1"), "out to tap1"},
		{"other_host_by_vlan", "a", l.send("blue1", "main-blue", "red2", live), "physnet1 VLAN 100", "host's own MAC"},
		{"other_host_by_vxlan", "a", l.send("red1", "main-red", "blue2", live), fits("1464", "vxlan 1001 to 192.0.2.2"), "port blue2 is on another host"},
		{"far_network_by_geneve", "a", l.send("red1", "main-red", "green2", live), fits("1414", "geneve 1002 to 192.0.2.2"), "port green2"},
		{"far_network_by_flat", "a", l.send("blue1", "main-blue", "pink2", live), "physnet2", "host's own MAC"},
		{"back_from_there", "b", l.send("green2", "main-green", "red1", live), "physnet1 VLAN 100", "host's own MAC"},
		{"same_network_by_the_router", "a", l.send("blue1", "main-blue", "blue2", live), fits("1464", "vxlan 1001 to 192.0.2.2"), ""},
		{"static_route", "a", l.send("blue1", "main-blue", "10.7.1.1", live), fits("1464", "vxlan 1001 to 192.0.2.2"), "port blue2"},
		{"default_route", "a", l.send("blue1", "main-blue", "8.8.8.8", live), "physnet1 VLAN 100", ""},
		{"route_without_a_gateway_is_not_there", "a", l.send("blue1", "main-blue", "10.7.7.1", live), fits("1464", "vxlan 1001 to 192.0.2.2"), "port blue2"},
		{"route_to_the_router_itself_is_not_there", "a", l.send("blue1", "main-blue", "10.7.8.1", live), fits("1464", "vxlan 1001 to 192.0.2.2"), "port blue2"},
		{"two_routers", "a", l.send("blue1", "main-blue", "deep2", live), fits("1464", "vxlan 1004 to 192.0.2.2"), "port deep2"},
		{"two_routers_back", "b", l.send("deep2", "beyond-deep", "red1", live), "physnet1 VLAN 100", ""},
		{"arrives_by_vlan", "b", "in_port=201,dl_vlan=100,eth_src=0e:00:00:00:00:01,eth_dst=" + l.mac("red2") + ",icmp,nw_ttl=63", "tap4", ""},
		{"arrives_by_vxlan", "b", "in_port=101,tun_id=1001,tun_src=192.0.2.1,tun_dst=192.0.2.2,eth_src=" + l.mac("main-blue") + ",eth_dst=" + l.mac("blue2") + ",icmp,nw_ttl=63", "tap2", ""},
		{"of_no_address_that_anybody_has", "a", l.send("blue1", "main-blue", "10.0.1.77", live), "controller", "port blue1 is told"},
		{"to_a_port_that_is_not_bound", "a", l.send("red1", "main-red", "blue9", live), fits("1464", "controller"), "port red1 is told"},
		{"no_route", "b", l.send("other2b", "others-other2", "8.8.8.8", live), "controller", "port other2b is told"},
		{"ttl_of_1", "a", l.send("blue1", "main-blue", "red1", "udp,nw_ttl=1,udp_dst=33434"), "controller", "port blue1 is told"},
		{"ttl_of_0", "a", l.send("blue1", "main-blue", "red1", "udp,nw_ttl=0,udp_dst=33434"), "controller", "port blue1 is told"},
		{"ttl_of_2_ends_at_the_second_router", "a", l.send("blue1", "main-blue", "deep2", "udp,nw_ttl=2,udp_dst=33434"), fits("1464", "controller"), "port blue1 is told"},
		{"not_ip", "a", l.from("blue1", "main-blue", "udp6,ipv6_src="+l.port["blue1"].MAC.LinkLocal().String()+",udp_dst=9"), "drop", "router"},
		{"multicast", "a", l.send("blue1", "main-blue", "224.0.0.5", live), "drop", "many, or reserved"},
		{"broadcast", "a", l.send("blue1", "main-blue", "255.255.255.255", live), "drop", "many, or reserved"},
		{"directed_broadcast", "a", l.send("blue1", "main-blue", "10.0.1.255", live), "drop", "RFC 2644"},
		{"link_local", "a", l.send("blue1", "main-blue", "169.254.1.1", live), "drop", "one link"},
		{"from_the_fabric_nothing_is_routed", "a", "in_port=101,tun_id=1001,tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=" + l.mac("blue2") + ",eth_dst=" + l.mac("main-blue") + ",icmp,nw_ttl=64,nw_dst=10.0.1.3", "drop", "switching"},
		{"from_the_physical_network_nothing_is_routed", "a", "in_port=201,dl_vlan=100,eth_src=" + l.mac("red2") + ",eth_dst=" + l.mac("main-red") + ",icmp,nw_ttl=64,nw_dst=10.0.0.3", "drop", "switching"},
		{"no_way_in_to_a_far_network", "a", "in_port=102,tun_id=1002,tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=" + l.mac("green2") + ",eth_dst=ff:ff:ff:ff:ff:ff,icmp", "drop", "classify"},
		{"broadcasts_do_not_go_to_hosts_that_only_route", "b", l.from("green2", "all", "icmp,nw_src=10.0.2.4"), "drop", ""},
		{"anothers_address_is_still_refused", "a", l.from("blue1", "main-blue", "icmp,nw_ttl=64,nw_src=10.0.0.4,nw_dst=10.0.1.3"), "drop", "honest"},
	})
}

func TestRoutersAnswerForThemselves(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/routed.txt"))
	l.play(t, []scene{
		{"arp", "a", l.arp("blue1", "blue1", "main-blue"), "tap1", "port main-blue answers ARP for 10.0.0.1"},
		{"arp_on_the_other_host", "b", l.arp("red2", "red2", "main-red"), "tap4", "port main-red answers ARP for 10.0.1.1"},
		{"arp_of_another_network's_address", "a", l.arp("blue1", "blue1", "main-red"), "vxlan 1001 to 192.0.2.2", ""},
		{"ping", "a", l.send("blue1", "main-blue", "main-blue", live), "tap1", "hears routers answer"},
		{"ping_with_its_last_ttl", "a", l.send("blue1", "main-blue", "main-blue", strings.Replace(live, "64", "1", 1)), "tap1", ""},
		{"ping_of_its_address_on_another_network", "a", l.send("blue1", "main-blue", "main-red", live), "tap1", ""},
		{"ping_of_its_address_on_a_far_network", "a", l.send("blue1", "main-blue", "main-green", live), "tap1", ""},
		{"ping_of_another_router", "a", l.send("blue1", "main-blue", "beyond-deep", live), "more than 1464 bytes: controller + up to 1464 bytes: tap1", ""},
		{"other_icmp", "a", l.send("blue1", "main-blue", "main-blue", "icmp,icmp_type=13,nw_ttl=64"), "drop", "drops other ICMP"},
		{"udp", "a", l.send("blue1", "main-blue", "main-blue", "udp,nw_ttl=64,udp_dst=33434"), "controller", "port blue1 is told"},
		{"tcp", "a", l.send("blue1", "main-blue", "main-blue", "tcp,nw_ttl=64,tcp_dst=22"), "controller", "port blue1 is told"},
	})
	reply := l.walk("a", l.send("blue1", "main-blue", "main-green", live)).text
	for _, part := range []string{"dl_src=fa:16:3e:00:00:01,dl_dst=fa:16:3e:00:00:03", "nw_src=10.0.2.1,nw_dst=10.0.0.3", "nw_ttl=64", "icmp_type=0,"} {
		if _, final, _ := strings.Cut(reply, "Final flow:"); !strings.Contains(final, part) {
			t.Errorf("the reply has no %s:\n%s", part, reply)
		}
	}
	if second := l.walk("a", l.send("blue1", "main-blue", "beyond-deep", live)).text; !strings.Contains(second, "dst=fa:16:3e:00:00:03") {
		t.Errorf("the second router's reply is not for the port's MAC:\n%s", second)
	}
}

func TestWhatNoRouterJoinsStaysApart(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/routed.txt"))
	l.play(t, []scene{
		{"network_without_a_router", "a", l.from("lone1", l.mac("main-blue"), "icmp,nw_ttl=64,nw_src=10.0.6.3,nw_dst=10.0.0.3"), "drop", "switching"},
		{"interface_that_is_down", "a", l.from("lone1", l.mac("main-lone"), "icmp,nw_ttl=64,nw_src=10.0.6.3,nw_dst=10.0.0.3"), "drop", "switching"},
		{"interface_that_is_down_has_no_arp", "a", l.arp("lone1", "lone1", "main-lone"), "drop", ""},
		{"to_a_network_whose_interface_is_down", "a", l.send("blue1", "main-blue", "lone1", live), "physnet1 VLAN 100", ""}, // by default
		{"router_that_is_down", "a", l.from("grey1", l.mac("still-grey"), "icmp,nw_ttl=64,nw_src=10.0.7.3,nw_dst=10.0.7.1"), "drop", "switching"},
		{"router_that_is_down_has_no_arp", "a", l.arp("grey1", "grey1", "still-grey"), "drop", ""},
		{"another_tenant's_addresses", "a", l.send("other1", "others-other", "green2", live), "vxlan 2002 to 192.0.2.2", "port other2b"},
		{"another_tenant's_router_is_pinged_by_itself", "a", l.send("other1", "others-other", "main-green", live), "tap10", ""},
		{"another_tenant's_other_network", "a", l.send("other1", "others-other", "red1", live), "controller", "port other1 is told"},
		{"another_tenant's_arp", "a", l.arp("other1", "other1", "main-blue"), "tap10", "port others-other answers"},
		{"another_tenant's_router_by_its_mac", "a", l.from("other1", l.mac("main-red"), "icmp,nw_ttl=64,nw_src=10.0.0.3,nw_dst=10.0.1.3"), "drop", "switching"},
	})
	if flows := l.compile().Flows(idOf("host", "c"), nil); len(flows) == 0 {
		t.Error("host c has no flows at all")
	} else {
		for i := range flows {
			if flows[i].Why.Kind != "host" {
				t.Errorf("host c, which has no port, has %s", &flows[i])
			}
		}
	}
}

// rewritten finds the MACs and the TTL that a frame leaves with.
var rewritten = regexp.MustCompile(`set\(eth\(src=([0-9a-f:]+)(?:,dst=([0-9a-f:]+))?\)\),set\(ipv4\(ttl=(\d+)\)\)`)

func TestARoutedPacketCarriesTheRightMACs(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/routed.txt"))
	for _, tt := range []struct{ fact, from, by, to, src, ttl string }{
		{"same_host", "blue1", "main-blue", "red1", "fa:16:3e:00:01:01", "63"},
		{"vlan_from_the_host's_own", "blue1", "main-blue", "red2", "0e:00:00:00:00:01", "63"},
		{"flat_from_the_host's_own", "blue1", "main-blue", "pink2", "0e:00:00:00:00:01", "63"},
		{"vxlan_from_the_router's", "red1", "main-red", "blue2", "fa:16:3e:00:00:01", "63"},
		{"geneve_from_the_router's", "red1", "main-red", "green2", "fa:16:3e:00:02:01", "63"},
		{"two_routers", "red1", "main-red", "deep2", "fa:16:3e:00:05:01", "62"},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			w := l.walk("a", l.send(tt.from, tt.by, tt.to, live))
			m := rewritten.FindStringSubmatch(traceActions.FindStringSubmatch(w.text)[1])
			if m == nil || m[1] != tt.src || m[2] != l.mac(tt.to) || m[3] != tt.ttl {
				t.Errorf("leaves as %q, not from %s to %s with TTL %s\n%s", m, tt.src, l.mac(tt.to), tt.ttl, w.text)
			}
		})
	}
}

// A router's MAC on a physical network would come from every host. So no flow that leads there may be met by
// a packet that has one: all of them either ask for what is not Routed, or write the host's own.
func TestNoRouterMACOnAPhysicalNetwork(t *testing.T) {
	for _, path := range []string{"testdata/routed.txt", outsideWorld} {
		w := loadTopology(t, path)
		c := w.compile()
		for _, name := range w.hosts {
			for _, f := range c.Flows(idOf("host", name), nil) {
				if w.leavesByPatch(name, &f) && !staysUnknown(&f, w.host[name].MAC) {
					t.Errorf("host %s: %s", name, &f)
				}
			}
		}
	}

	w := loadTopology(t, "testdata/routed.txt")
	w.host["a"].MAC = signalbox.MAC{}
	l := newLab(t, w)
	l.play(t, []scene{{"a_host_without_a_mac_waits", "a", l.send("blue1", "main-blue", "red2", live), "drop", "switching"}})
}

func (w *topology) leavesByPatch(host string, f *flow.Flow) bool {
	for _, a := range f.Actions {
		o, ok := a.(flow.Output)
		for _, uplink := range w.switches[host].Patches {
			if ok && o.Port == uplink {
				return true
			}
		}
	}
	return false
}

// staysUnknown reports whether a flow lets nobody see a router's MAC. Floods do not: they are of groups, which no router
// sends to.
func staysUnknown(f *flow.Flow, own signalbox.MAC) bool {
	reg3, _ := f.Match.Get(flow.Reg3)
	unrouted := reg3.Mask.Lo&2 != 0 && reg3.Value.Lo&2 == 0
	rewritten := f.Actions[0] == flow.Action(flow.Load{Dst: flow.EthSrc.Whole(), Value: flow.Ethernet(own)})
	return unrouted || rewritten || f.Table == TableFlood
}

// Real frames through the switch's own datapath: exactly the MTU passes, and a byte more is refused.
func TestAPacketOfTheMTUFits(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/routed.txt"))
	count := func(what *regexp.Regexp, command ...string) (n int) {
		out := l.OFCtl(command...)
		m := what.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no %s in %s", what, out)
		}
		return int(number(m[1]))
	}
	sent, asked := regexp.MustCompile(`tx pkts=(\d+)`), regexp.MustCompile(`packet_in_count:(\d+)`)
	meter := fmt.Sprintf("meter=%d", refusalMeter(l.switches["a"].Interfaces["tap3"].OFPort).ID)
	for _, tt := range []struct{ size, passed, refused int }{{1449, 1, 0}, {1450, 2, 0}, {1451, 2, 1}, {1500, 2, 2}} {
		l.Receive("a-tap3", echoFrame(l.port["red1"], l.port["main-red"], l.port["blue1"], tt.size))
		var p, r int
		for deadline := time.Now().Add(10 * time.Second); p+r < tt.passed+tt.refused && time.Now().Before(deadline); {
			p, r = count(sent, "dump-ports", "br-a", "a-tap1"), count(asked, "meter-stats", "br-a", meter)
		}
		if p != tt.passed || r != tt.refused {
			t.Errorf("after a packet of %d bytes %d have passed and %d been refused, not %d and %d", tt.size, p, r, tt.passed, tt.refused)
		}
	}
}

// echoFrame is a ping of a size, Ethernet header apart, with a good IP checksum.
func echoFrame(from, by, to *signalbox.Port, size int) []byte {
	var b bytes.Buffer
	b.Write(by.MAC[:])
	b.Write(from.MAC[:])
	src, dst := from.FixedIPs[0].Addr.As4(), to.FixedIPs[0].Addr.As4()
	ip := []byte{0x45, 0, byte(size >> 8), byte(size), 0, 0, 0x40, 0, 64, 1, 0, 0}
	ip = append(append(ip, src[:]...), dst[:]...)
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	b.Write([]byte{8, 0})
	b.Write(ip)
	b.Write([]byte{8, 0})
	b.Write(make([]byte, size-len(ip)-2))
	return b.Bytes()
}
