//go:build integration

package flowpipeline

import "testing"

func TestAddressPairsWidenWhatAPortMaySay(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/pairs.txt"))
	const vrrp, vrrp6, all = "00:00:5e:00:01:07", "00:00:5e:00:02:07", ",eth_dst=ff:ff:ff:ff:ff:ff,"
	as := func(mac, more string) string { return l.in("vm1") + ",eth_src=" + mac + all + more }
	arpOf := func(mac, ip string) string {
		return "arp,arp_op=1,arp_sha=" + mac + ",arp_spa=" + ip + ",arp_tpa=" + ip
	}
	own := l.mac("vm1")
	const everybody = "tap3 + tap4 + tap5 + vxlan 1001 to 192.0.2.2"
	l.play(t, []scene{
		{"pair_with_the_own_mac", "a", as(own, "icmp,nw_src=10.0.0.99"), everybody, ""},
		{"pair_with_another_mac", "a", as(vrrp, "icmp,nw_src=10.0.0.98"), everybody, ""},
		{"announcement_by_request", "a", as(own, arpOf(own, "10.0.0.99")), everybody, ""},
		{"announcement_with_another_mac", "a", as(vrrp, arpOf(vrrp, "10.0.0.98")), everybody, ""},
		{"the_others_mac_with_this_address", "a", as(vrrp, "icmp,nw_src=10.0.0.99"), "drop", "honest"},
		{"this_mac_with_the_others_address", "a", as(own, "icmp,nw_src=10.0.0.98"), "drop", "honest"},
		{"own_address_with_the_others_mac", "a", as(vrrp, "icmp,nw_src=10.0.0.3"), "drop", "honest"},
		{"arp_says_one_mac_and_the_frame_another", "a", as(own, arpOf(vrrp, "10.0.0.98")), "drop", "honest"},
		{"beside_the_pair", "a", as(own, "icmp,nw_src=10.0.0.97"), "drop", "honest"},
		{"beside_the_mac", "a", as("00:00:5e:00:01:08", "icmp,nw_src=10.0.0.98"), "drop", "honest"},
		{"everything", "a", l.in("vm4") + ",eth_src=" + l.mac("vm4") + all + "icmp,nw_src=203.0.113.7", "tap1 + tap3 + tap5 + vxlan 1001 to 192.0.2.2", ""},
		{"everything_but_dhcp_server", "a", l.udp("vm4", "all", "10.0.0.2", "255.255.255.255", [2]int{67, 68}), "drop", "DHCP server"},
		{"ip6_prefix", "a", as(vrrp6, "tcp6,ipv6_src=2001:db8:0:0:99::5"), everybody, ""},
		{"ip6_beside_the_prefix", "a", as(vrrp6, "tcp6,ipv6_src=2001:db8::5"), "drop", "honest"},
		{"ip6_link_local", "a", as(vrrp6, "tcp6,ipv6_src=fe80::200:5eff:fe00:207"), everybody, ""},
		{"ip6_advertisement", "a", as(vrrp6, "icmp6,ipv6_src=2001:db8:0:0:99::5,icmpv6_type=136,nd_target=2001:db8:0:0:99::5,nd_tll="+vrrp6), everybody, ""},
		{"ip6_advertisement_of_anothers", "a", as(vrrp6, "icmp6,ipv6_src=2001:db8:0:0:99::5,icmpv6_type=136,nd_target=2001:db8::4,nd_tll="+vrrp6), "drop", "lie"},
		{"dhcp_by_the_own_mac", "a", as(own, "udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67"), "controller", ""},
		{"dhcp_by_another_mac_goes_its_way", "a", as(vrrp, "udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67"), everybody, ""},
	})
}

func TestWhatIsForASharedAddressReachesWhoHasItNow(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/pairs.txt"))
	const vrrp, everybody = "00:00:5e:00:01:07", "tap1 + tap4 + tap5 + vxlan 1001 to 192.0.2.2"
	fabric := "in_port=101,tun_id=1001,tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=fa:16:3e:00:00:04,"
	vlan := "in_port=201,dl_vlan=100,eth_src=fa:16:3e:00:01:04,icmp,eth_dst="
	l.play(t, []scene{
		{"asking_for_a_pair's_address_asks_everybody", "a", l.arp("vm3", "vm3", "10.0.0.99"), everybody, ""},
		{"a_port's_address_that_another_may_have", "a", l.arp("vm1", "vm1", "vm3"), "tap3 + tap4 + tap5 + vxlan 1001 to 192.0.2.2", ""},
		{"a_port's_address_within_a_wide_pair", "a", l.arp("vm1", "vm1", "vm2"), "tap1", "port vm2 answers ARP"},
		{"the_dhcp_server's_address", "a", l.arp("vm1", "vm1", "dhcp-blue"), "tap1", "port dhcp-blue answers ARP"},
		{"to_the_shared_mac", "a", l.from("vm3", vrrp, "icmp,nw_src=10.0.0.5"), "tap1 + vxlan 1001 to 192.0.2.2", "out to tap1"},
		{"to_the_shared_mac_from_one_who_has_it", "a", l.from("vm1", vrrp, "icmp,nw_src=10.0.0.3"), "vxlan 1001 to 192.0.2.2", ""},
		{"to_the_shared_mac_by_tunnel", "a", fabric + "icmp,eth_dst=" + vrrp, "tap1", ""},
		{"to_the_shared_mac_on_a_vlan", "b", l.from("r2", "00:00:5e:00:01:09", "icmp,nw_src=10.1.0.4"), "physnet1 VLAN 100", ""},
		{"to_the_shared_mac_by_vlan", "a", vlan + "00:00:5e:00:01:09", "tap7", ""},
	})
}

func TestAPortWithoutSecurityMaySayAnything(t *testing.T) {
	l := newLab(t, loadTopology(t, "testdata/pairs.txt"))
	const nobody = "52:54:00:00:00:99"
	as := func(more string) string { return l.in("open1") + ",eth_src=" + nobody + "," + more }
	fabric := "in_port=101,tun_id=1001,tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=fa:16:3e:00:00:04,"
	const everybody, all = "tap1 + tap3 + tap4 + vxlan 1001 to 192.0.2.2", "eth_dst=ff:ff:ff:ff:ff:ff,"
	l.play(t, []scene{
		{"from_any_mac_and_address", "a", as(all + "icmp,nw_src=203.0.113.7"), everybody, ""},
		{"from_a_port's_mac", "a", l.in("open1") + ",eth_src=fa:16:3e:00:00:03,eth_dst=" + l.mac("vm3") + ",icmp,nw_src=10.0.0.3", "tap3", ""},
		{"as_a_dhcp_server", "a", as(all + "udp,nw_src=10.0.0.2,udp_src=67,udp_dst=68"), everybody, ""},
		{"router_advertisements", "a", as("eth_dst=33:33:00:00:00:01,icmp6,ipv6_src=fe80::1,icmpv6_type=134"), everybody, ""},
		{"any_ethertype", "a", as(all + "eth_type=0x88cc"), everybody, ""},
		{"arp_reply_as_anybody", "a", as("eth_dst=" + l.mac("vm1") + ",arp,arp_op=2,arp_sha=" + nobody + ",arp_spa=10.0.0.1"), "tap1", ""},
		{"its_own_dhcp_request", "a", l.udp("open1", "all", "0.0.0.0", "255.255.255.255", [2]int{68, 67}), "controller", "port open1 takes DHCP"},
		{"the_dhcp_request_of_a_machine_behind_it", "a", as(all + "udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67"), everybody, ""},
		{"no_tag", "a", as(all+"icmp") + ",dl_vlan=5", "drop", "classify"},
		{"to_a_mac_that_no_port_has", "a", l.from("vm1", nobody, "icmp,nw_src=10.0.0.3"), "tap5 + vxlan 1001 to 192.0.2.2", ""},
		{"by_tunnel_to_a_mac_that_no_port_has", "a", fabric + "icmp,eth_dst=" + nobody, "tap5", ""},
		{"by_vlan_to_a_mac_that_no_port_has", "a", "in_port=201,dl_vlan=100,eth_src=fa:16:3e:00:01:04,icmp,eth_dst=" + nobody, "tap9", ""},
		{"on_a_vlan_to_a_mac_that_no_port_has", "a", l.from("r1", nobody, "icmp,nw_src=10.1.0.3"), "tap9 + physnet1 VLAN 100", ""},
		{"on_a_vlan_without_such_a_port", "b", l.from("r2", nobody, "icmp,nw_src=10.1.0.4"), "physnet1 VLAN 100", ""},
	})
}
