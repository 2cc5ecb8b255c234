//go:build integration

package flowpipeline

import (
	"strings"
	"testing"
)

func TestWhatLeavesGoesUnroutedToTheGatewayHost(t *testing.T) {
	l := newLab(t, loadTopology(t, outsideWorld))
	tunnel := func(key, from, to, src string) string {
		return "in_port=101,tun_id=" + key + ",tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=" + l.mac(from) + ",eth_dst=" + l.mac(to) + "," + live + ",nw_src=" + src + ",nw_dst=8.8.8.8"
	}
	vlan := func(id, from, to, src string) string {
		return "in_port=201,dl_vlan=" + id + ",eth_src=" + l.mac(from) + ",eth_dst=" + l.mac(to) + "," + live + ",nw_src=" + src + ",nw_dst=8.8.8.8"
	}
	const out = "public VLAN 300"
	l.play(t, []scene{
		{"by_tunnel", "b", l.send("blue2", "main-blue", "8.8.8.8", live), "vxlan 1001 to 192.0.2.1", "leaves by its gateway host"},
		{"by_tunnel_of_a_network_that_is_only_here", "b", l.send("far2", "main-far", "8.8.8.8", live), "vxlan 1002 to 192.0.2.1", "leaves by its gateway host"},
		{"by_vlan", "b", l.send("red4", "main-red", "8.8.8.8", live), "physnet1 VLAN 100", "leaves by its gateway host"},
		{"by_vlan_from_a_host_that_has_the_network", "c", l.send("red3", "main-red", "8.8.8.8", live), "physnet1 VLAN 100", "leaves by its gateway host"},
		{"behind_two_routers", "b", l.send("deep2", "beyond-deep", "8.8.8.8", live), "vxlan 1003 to 192.0.2.1", "leaves by its gateway host"},
		{"without_a_gateway_host", "a", l.send("lime1", "lost-lime", "8.8.8.8", live), "controller", "port lime1 is told"},
		{"to_an_inner_network_it_does_not", "b", l.send("red4", "main-red", "blue1", live), "more than 1464 bytes: controller + up to 1464 bytes: vxlan 1001 to 192.0.2.1", "port blue1"},

		{"taken_from_a_tunnel", "a", tunnel("1001", "blue2", "main-blue", "10.0.0.4"), out, "way to every MAC"},
		{"taken_from_a_tunnel_of_a_far_network", "a", tunnel("1002", "far2", "main-far", "10.0.2.4"), out, "way to every MAC"},
		{"taken_from_behind_another_router", "a", tunnel("1003", "beyond-between", "main-between", "10.0.5.4"), out, "way to every MAC"},
		{"taken_from_a_vlan", "a", vlan("100", "red4", "main-red", "10.0.1.6"), out, "way to every MAC"},
		{"taken_from_a_vlan_of_a_far_network", "a", vlan("101", "rose2", "main-rose", "10.0.3.4"), out, "way to every MAC"},
		{"comes_in_and_goes_on_by_tunnel", "a", "in_port=202,dl_vlan=300,eth_src=52:54:00:00:00:fe,eth_dst=" + l.mac("203.0.113.24") + "," + live + ",nw_src=8.8.8.8,nw_dst=203.0.113.24",
			"more than 1464 bytes: controller + more than 1464 bytes: controller + up to 1464 bytes: vxlan 1001 to 192.0.2.2", "port blue2"},
		{"another_host_does_not_take_it", "c", vlan("100", "red4", "main-red", "10.0.1.6"), "drop", "switching"},
		{"of_another_router_it_does_not_take", "a", tunnel("1003", "main-between", "beyond-between", "10.0.0.4"), "drop", "switching"},
		{"of_a_router_that_goes_nowhere_neither", "a", vlan("104", "red4", "lost-lime", "10.0.8.4"), "drop", "switching"},
	})
	for _, packet := range []string{l.send("blue2", "main-blue", "8.8.8.8", live), l.send("red4", "main-red", "8.8.8.8", live)} {
		if actions := traceActions.FindStringSubmatch(l.walk("b", packet).text)[1]; strings.Contains(actions, "eth(") || strings.Contains(actions, "ipv4(") {
			t.Errorf("it is routed already: %s", actions)
		}
	}
}

// What goes out and comes in again, in one pass through the switch, is another packet the second time: Linux's datapath
// would take what conntrack has said of it for said now.
func TestAHairpinForgetsWhatConntrackSaid(t *testing.T) {
	w := newWire(t, outsideWorld)
	if seen := w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.31")); len(seen) != 1 {
		t.Fatalf("seen %v", seen)
	}
	if flows := w.AppCtl("dpctl/dump-flows"); !strings.Contains(flows, "ct_clear,") {
		t.Errorf("no flow of the datapath forgets:\n%s", flows)
	}
}
