//go:build integration

package flowpipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// scene is one packet and what becomes of it.
type scene struct {
	fact   string
	host   string
	packet string
	ends   string // joined by " + ", in any order
	last   string // part of the last step's reason; optional
}

func (l *lab) play(t *testing.T, scenes []scene) {
	for _, s := range scenes {
		t.Run(s.fact, func(t *testing.T) {
			w := l.walk(s.host, s.packet)
			want := strings.Split(s.ends, " + ")
			slices.Sort(w.ends)
			slices.Sort(want)
			if !slices.Equal(w.ends, want) {
				t.Errorf("%s\nends at %q, not at %q\n%s", s.packet, w.ends, want, w.text)
			}
			if last := w.steps[len(w.steps)-1]; !strings.Contains(last, s.last) {
				t.Errorf("%s\nlast step is %q, not %q", s.packet, last, s.last)
			}
		})
	}
}

const (
	client, server   = 68, 67
	everybody        = "255.255.255.255"
	ll3              = "fe80::f816:3eff:fe00:3" // vm1's link-local address
	own3, alien      = "2001:db8::3", "2001:db8::99"
	own3MAC, zeroMAC = "fa:16:3e:00:00:03", "00:00:00:00:00:00"
)

func TestTunnelledNetworkForwards(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/vxlan.txt"))
	fabric := "in_port=101,tun_id=1001,tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=fa:16:3e:00:00:05,"
	l.play(t, []scene{
		{"same_host", "a", l.ping("vm1", "vm2"), "tap2", "out to tap2"},
		{"other_host", "a", l.ping("vm1", "vm3"), "vxlan 1001 to 192.0.2.2", "on another host"},
		{"other_host_without_tunnel_address", "a", l.ping("vm1", "vm4"), "drop", "switching"},
		{"unbound_port_is_nowhere", "a", l.ping("vm1", "vm5"), "drop", "switching"},
		{"unknown_unicast_is_not_flooded", "a", l.from("vm1", "fa:16:3e:99:99:99", "icmp,nw_src=10.0.0.3,nw_dst=10.0.0.99"), "drop", "switching"},
		{"to_itself", "a", l.ping("vm1", "vm1"), "drop", "out to tap1"},
		{"broadcast", "a", l.from("vm1", "all", "udp,nw_src=10.0.0.3,nw_dst=10.0.0.255,udp_src=9,udp_dst=9"), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"from_a_tunnel", "a", fabric + "eth_dst=fa:16:3e:00:00:03,icmp", "tap1", ""},
		{"from_a_tunnel_broadcast", "a", fabric + "eth_dst=ff:ff:ff:ff:ff:ff,icmp", "tap1 + tap2", ""},
		{"from_a_tunnel_never_back", "a", fabric + "eth_dst=fa:16:3e:00:00:05,icmp", "drop", "switching"},
		{"from_a_tunnel_of_no_network", "a", strings.Replace(fabric, "1001", "1002", 1) + "eth_dst=fa:16:3e:00:00:03,icmp", "drop", "classify"},
		{"tagged_frame", "a", l.ping("vm1", "vm2") + ",dl_vlan=7", "drop", "classify"},
		{"priority_tagged_frame", "a", l.ping("vm1", "vm2") + ",dl_vlan=0", "drop", "classify"},
		{"bridge_itself", "a", "in_port=LOCAL,eth_src=fa:16:3e:00:00:03,eth_dst=ff:ff:ff:ff:ff:ff,icmp", "drop", "classify"},
		{"no_such_interface", "a", "in_port=77,eth_src=fa:16:3e:00:00:03,eth_dst=ff:ff:ff:ff:ff:ff,icmp", "drop", "classify"},
	})
}

func TestTheSwitchAnswersARP(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/vxlan.txt"))
	l.play(t, []scene{
		{"for_same_host", "a", l.arp("vm1", "vm1", "vm2"), "tap1", "port vm2 answers ARP for 10.0.0.4"},
		{"for_other_host", "a", l.arp("vm1", "vm1", "vm3"), "tap1", "port vm3 answers ARP"},
		{"for_the_dhcp_server", "b", l.arp("vm3", "vm3", "dhcp-blue"), "tap3", "port dhcp-blue answers ARP"},
		{"unreachable_is_not_answered", "a", l.arp("vm1", "vm1", "vm4"), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"unknown_is_flooded", "a", l.arp("vm1", "vm1", "10.0.0.99"), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"own_announcement_is_flooded", "a", l.arp("vm1", "vm1", "vm1"), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"probe_for_own_is_flooded", "a", l.arp("vm1", "0.0.0.0", "vm1"), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"probe_for_anothers_is_answered", "a", l.arp("vm1", "0.0.0.0", "vm2"), "tap1", "port vm2 answers ARP"},
	})
	reply := l.walk("a", l.arp("vm1", "vm1", "vm3")).text
	for _, part := range []string{"eth(src=fa:16:3e:00:00:05,dst=fa:16:3e:00:00:03)", "sip=10.0.0.5", "tip=10.0.0.3", "op=2",
		"sha=fa:16:3e:00:00:05", "tha=fa:16:3e:00:00:03"} {
		if !strings.Contains(reply, part) {
			t.Errorf("the reply has no %s:\n%s", part, reply)
		}
	}
}

func TestAPortCannotLieAboutItself(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/vxlan.txt"))
	in1 := l.in("vm1")
	target := func(ip, option string) string { return ",nd_target=" + ip + option }
	l.play(t, []scene{
		{"mac", "a", in1 + ",eth_src=fa:16:3e:00:00:04,eth_dst=fa:16:3e:00:00:04,icmp,nw_src=10.0.0.3", "drop", "honest"},
		{"ip", "a", l.udp("vm1", "vm2", "10.0.0.4", "10.0.0.4", [2]int{9, 9}), "drop", "honest"},
		{"ip_unspecified", "a", l.udp("vm1", "all", "0.0.0.0", everybody, [2]int{9, 9}), "drop", "honest"},
		{"arp_sender_ip", "a", l.arp("vm1", "vm2", "vm3"), "drop", "honest"},
		{"arp_sender_mac", "a", l.from("vm1", "all", "arp,arp_op=1,arp_sha=fa:16:3e:00:00:04,arp_spa=10.0.0.3,arp_tpa=10.0.0.5"), "drop", "honest"},
		{"arp_reply_for_another", "a", l.from("vm1", "vm2", "arp,arp_op=2,arp_sha="+own3MAC+",arp_spa=10.0.0.1,arp_tpa=10.0.0.4"), "drop", "honest"},
		{"arp_reply_for_itself", "a", l.from("vm1", "vm2", "arp,arp_op=2,arp_sha="+own3MAC+",arp_spa=10.0.0.3,arp_tpa=10.0.0.4"), "tap2", ""},
		{"arp_reply_with_no_sender", "a", l.from("vm1", "vm2", "arp,arp_op=2,arp_sha="+own3MAC+",arp_spa=0.0.0.0,arp_tpa=10.0.0.4"), "drop", "honest"},
		{"other_ethertype", "a", l.from("vm1", "vm2", "eth_type=0x88cc"), "drop", "source"},
		{"dhcp_server", "a", l.udp("vm1", "vm2", "10.0.0.3", "10.0.0.4", [2]int{server, client}), "drop", "DHCP server"},
		{"dhcp_relay", "a", l.udp("vm1", "vm2", "10.0.0.3", "10.0.0.4", [2]int{server, server}), "drop", "DHCP server"},
		{"dhcp6_server", "a", l.from("vm1", "vm2", "udp6,ipv6_src="+own3+",udp_src=547,udp_dst=546"), "drop", "DHCPv6 server"},
		{"router_advertisement", "a", l.icmp6("vm1", "33:33:00:00:00:01", ll3, 134, ""), "drop", "router advertisements"},
		{"redirect", "a", l.icmp6("vm1", "33:33:00:00:00:01", ll3, 137, ""), "drop", "redirects"},
		{"ip6", "a", l.from("vm1", "vm2", "udp6,ipv6_src="+alien+",udp_src=9,udp_dst=9"), "drop", "honest"},
		{"ip6_own", "a", l.from("vm1", "vm2", "udp6,ipv6_src="+own3+",udp_src=9,udp_dst=9"), "tap2", ""},
		{"ip6_link_local", "a", l.from("vm1", "vm2", "tcp6,ipv6_src="+ll3+",tcp_dst=9"), "tap2", ""},
		{"solicitation", "a", l.icmp6("vm1", "33:33:ff:00:00:04", ll3, 135, target("2001:db8::4", ",nd_sll="+own3MAC)), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"solicitation_without_a_mac", "a", l.icmp6("vm1", "33:33:ff:00:00:04", own3, 135, target("2001:db8::4", "")), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"solicitation_with_anothers_mac", "a", l.icmp6("vm1", "33:33:ff:00:00:04", own3, 135, target("2001:db8::4", ",nd_sll=fa:16:3e:00:00:04")), "drop", "solicitations that lie"},
		{"duplicate_detection", "a", l.icmp6("vm1", "33:33:ff:00:00:03", "::", 135, target(own3, ",nd_sll="+zeroMAC)), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"duplicate_detection_of_anothers", "a", l.icmp6("vm1", "33:33:ff:00:00:03", "::", 135, target("2001:db8::4", ",nd_sll="+zeroMAC)), "drop", "solicitations that lie"},
		{"advertisement", "a", l.icmp6("vm1", "33:33:00:00:00:01", own3, 136, target(own3, ",nd_tll="+own3MAC)), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"advertisement_without_a_mac", "a", l.icmp6("vm1", "vm2", own3, 136, target(own3, "")), "tap2", ""},
		{"advertisement_of_anothers", "a", l.icmp6("vm1", "33:33:00:00:00:01", own3, 136, target(alien, ",nd_tll="+own3MAC)), "drop", "advertisements that lie"},
		{"advertisement_with_anothers_mac", "a", l.icmp6("vm1", "33:33:00:00:00:01", own3, 136, target(own3, ",nd_tll=fa:16:3e:00:00:04")), "drop", "advertisements that lie"},
		{"multicast_report_before_an_address", "a", l.icmp6("vm1", "33:33:00:00:00:16", "::", 143, ""), "tap2 + vxlan 1001 to 192.0.2.2", ""},
		{"multicast_report", "a", l.icmp6("vm1", "33:33:00:00:00:16", ll3, 143, ""), "tap2 + vxlan 1001 to 192.0.2.2", ""},
	})
}

func TestDHCPRequestsGoToTheController(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/vxlan.txt"))
	ask := [2]int{client, server}
	l.play(t, []scene{
		{"discover", "a", l.udp("vm1", "all", "0.0.0.0", everybody, ask), "controller", "port vm1 takes DHCP"},
		{"renewal_by_unicast", "a", l.udp("vm1", "dhcp-blue", "10.0.0.3", "10.0.0.2", ask), "controller", "port vm1 takes DHCP"},
		{"rebinding", "a", l.udp("vm1", "all", "10.0.0.3", everybody, ask), "controller", "port vm1 takes DHCP"},
		{"with_anothers_mac", "a", l.in("vm1") + ",eth_src=fa:16:3e:00:00:04,eth_dst=ff:ff:ff:ff:ff:ff,udp,nw_dst=255.255.255.255,udp_src=68,udp_dst=67", "drop", "honest"},
	})
}

func TestPhysicalNetworksForward(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/physical.txt"))
	vlan := func(id, src, dst string) string {
		return "in_port=201,dl_vlan=" + id + ",eth_src=" + src + ",eth_dst=" + dst + ",icmp"
	}
	flat := func(src, dst string) string { return "in_port=202,eth_src=" + src + ",eth_dst=" + dst + ",icmp" }
	const router, all = "00:00:5e:00:01:01", "ff:ff:ff:ff:ff:ff"
	l.play(t, []scene{
		{"vlan_other_host", "a", l.ping("r1", "r2"), "physnet1 VLAN 100", ""},
		{"vlan_unknown_machine", "a", l.from("r1", router, "icmp,nw_src=10.0.0.3"), "physnet1 VLAN 100", ""},
		{"vlan_broadcast", "a", l.from("r1", "all", "icmp,nw_src=10.0.0.3"), "physnet1 VLAN 100", ""},
		{"vlan_from_outside", "a", vlan("100", router, l.mac("r1")), "tap1", ""},
		{"vlan_from_outside_broadcast", "a", vlan("100", router, all), "tap1", ""},
		{"vlan_from_outside_never_back", "a", vlan("100", router, l.mac("r2")), "drop", "switching"},
		{"vlan_echo_of_own_frame", "a", vlan("100", l.mac("r1"), all), "drop", "drops from physnet1"},
		{"vlan_of_nobody", "a", vlan("99", router, l.mac("r1")), "drop", "classify"},
		{"vlan_of_a_network_that_is_down", "a", vlan("101", router, l.mac("g1")), "drop", "classify"},
		{"flat_unknown_machine", "a", l.from("p1", router, "icmp,nw_src=10.0.0.3"), "physnet2", ""},
		{"flat_broadcast", "a", l.from("p1", "all", "icmp,nw_src=10.0.0.3"), "tap5 + tap6 + physnet2", ""},
		{"flat_from_outside", "a", flat(router, l.mac("p1")), "tap4", ""},
		{"flat_is_untagged", "a", flat(router, l.mac("p1")) + ",dl_vlan=100", "drop", "classify"},
		{"flat_from_outside_broadcast", "a", flat(router, all), "tap4 + tap5 + tap6", ""},
		{"spanning_tree_stays", "a", flat(router, "01:80:c2:00:00:00"), "drop", "spanning tree"},
		{"group_mac_may_send", "a", l.ping("group", "p1"), "tap4", ""},
		{"to_a_group_mac", "a", l.from("p1", "group", "icmp,nw_src=10.0.0.3"), "tap5 + tap6 + physnet2", ""},
		{"port_without_addresses_may_ask", "a", l.udp("bare", "all", "0.0.0.0", everybody, [2]int{client, server}), "tap4 + tap6 + physnet2", ""},
		{"port_without_addresses_says_no_more", "a", l.udp("bare", "all", "10.0.0.9", everybody, [2]int{9, 9}), "drop", "honest"},
		{"port_without_addresses_no_arp", "a", l.from("bare", "all", "arp,arp_op=1,arp_sha=fa:16:3e:00:00:04,arp_spa=0.0.0.0,arp_tpa=10.0.0.1"), "drop", "honest"},
		{"port_that_is_down", "a", l.ping("r3", "r1"), "drop", "classify"},
		{"to_a_port_that_is_down", "b", l.ping("r2", "r3"), "physnet1 VLAN 100", ""},
		{"to_a_port_that_is_down_arrives", "a", vlan("100", l.mac("r2"), l.mac("r3")), "drop", "switching"},
		{"network_that_is_down", "a", l.from("g1", "all", "icmp,nw_src=10.0.0.6"), "drop", "classify"},
		{"no_way_out", "a", l.from("l1", "all", "icmp,nw_src=10.0.0.7"), "drop", ""},
		{"unknown_interface", "a", "in_port=19,eth_src=fa:16:3e:00:00:08,eth_dst=ff:ff:ff:ff:ff:ff,arp", "controller", "vnet9"},
		{"arp_for_a_machine_that_is_not_ours", "a", l.arp("r1", "r1", "10.0.0.1"), "physnet1 VLAN 100", ""},
		{"same_addresses_on_two_networks", "a", l.arp("p1", "p1", "r2"), "tap5 + tap6 + physnet2", ""},
	})
}

func TestNetworksWithEqualAddressesStayApart(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/traces/twins.txt"))
	var scenes []scene
	for _, kind := range []string{"gre", "vxlan", "geneve"} {
		scenes = append(scenes,
			scene{kind + "_same_host", "a", l.ping(kind+"1", kind+"2"), "tap-" + kind + "2", ""},
			scene{kind + "_other_host", "a", l.ping(kind+"1", kind+"3"), kind + " 5 to 192.0.2.2", ""},
			scene{kind + "_broadcast", "a", l.from(kind+"1", "all", "icmp,nw_src=10.0.0.3"), "tap-" + kind + "2 + " + kind + " 5 to 192.0.2.2", ""},
			scene{kind + "_arp", "a", l.arp(kind+"1", kind+"1", kind+"3"), "tap-" + kind + "1", "port " + kind + "3 answers"},
			scene{kind + "_arrives", "b", "in_port=" + map[string]string{"gre": "100", "vxlan": "101", "geneve": "102"}[kind] +
				",tun_id=5,tun_src=192.0.2.1,tun_dst=192.0.2.2,eth_src=fa:16:3e:00:00:03,eth_dst=fa:16:3e:00:00:05,icmp", "tap-" + kind + "3", ""})
	}
	scenes = append(scenes,
		scene{"vlan_same_host", "a", l.ping("vlan1", "vlan2"), "tap-vlan2", ""},
		scene{"vlan_other_host", "a", l.ping("vlan1", "vlan3"), "physnet1 VLAN 5", ""},
		scene{"flat_same_host", "a", l.ping("flat1", "flat2"), "tap-flat2", ""},
		scene{"flat_other_host", "a", l.ping("flat1", "flat3"), "physnet1", ""},
		scene{"local_same_host", "a", l.ping("local1", "local2"), "tap-local2", ""},
		scene{"local_other_host", "a", l.ping("local1", "local3"), "drop", "switching"},
		scene{"local_broadcast", "a", l.from("local1", "all", "icmp,nw_src=10.0.0.3"), "tap-local2", ""},
		scene{"local_arp_for_other_host", "a", l.arp("local1", "local1", "local3"), "tap-local2", ""})
	l.play(t, scenes)
}

func TestEveryPieceOfALongFloodListIsRead(t *testing.T) {
	const ports = 2*pieceSize + 5
	var b strings.Builder
	b.WriteString("host a 192.0.2.1 gre=1000\nnetwork blue gre 1\nsubnet blue 10.0.0.0/16\n")
	for i := 1; i <= ports; i++ {
		fmt.Fprintf(&b, "port vm%d blue fa:16:3e:00:01:%02x 10.0.1.%d on a tap%d %d\n", i, i, i, i, i)
	}
	l := newLab(t, parseTopology(t, "crowd", b.String()))
	w := l.walk("a", l.from("vm1", "all", "icmp,nw_src=10.0.1.1"))
	slices.Sort(w.ends)
	if n := len(slices.Compact(w.ends)); len(w.ends) != ports-1 || n != ports-1 {
		t.Errorf("%d copies to %d ports, not %d", len(w.ends), n, ports-1)
	}
}
