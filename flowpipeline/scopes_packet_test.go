//go:build integration

package flowpipeline

import "testing"

const scopesWorld = "testdata/traces/scopes.txt"

func TestRoutersKeepAddressScopesApart(t *testing.T) {
	w := newWire(t, scopesWorld)
	const apart = "different address scopes apart"
	w.play(t, []scene{
		{"named_to_named", "a", w.send("blue1", "main-blue", "red1", live), "drop", apart},
		{"and_back", "a", w.send("red1", "main-red", "blue1", live), "drop", apart},
		{"named_to_nameless", "a", w.send("blue1", "main-blue", "grey1", live), "drop", apart},
		{"nameless_to_named", "a", w.send("grey1", "main-grey", "red1", live), "drop", apart},
		{"on_another_host", "b", w.send("red2", "main-red", "teal2", live), "drop", apart},
		{"by_an_extra_route", "a", w.send("teal1", "main-teal", "10.9.0.7", live), "drop", apart},
		{"under_a_router_without_snat", "a", w.send("sky1", "open-sky", "rust1", live), "drop", apart},
		{"under_one_whose_outside_has_no_scope", "a", w.send("old1", "elder-old", "rose1", live), "drop", apart},
		{"out_without_snat", "a", w.send("rust1", "open-rust", "8.8.8.8", live), "drop", "another address scope than the outside"},
	})
	w.sees(t, "within one", w.fromPort("blue1", w.byRouter("blue1", "ping", "198.18.1.3")),
		"a tap2: main-teal to teal1: ping 198.18.0.3 > 198.18.1.3 ttl 63")
	w.sees(t, "within another, by an extra route", w.fromPort("pink1", w.byRouter("pink1", "ping", "10.9.0.7")),
		"a tap6: main-red to red9: ping 10.0.3.3 > 10.9.0.7 ttl 63")
	w.sees(t, "the router's own address", w.fromPort("blue1", w.byRouter("blue1", "ping", "10.0.2.1")),
		"a tap1: main-blue to blue1: pong 10.0.2.1 > 198.18.0.3 ttl 64")
}

func TestScopesDecideWhatIsTranslated(t *testing.T) {
	w := newWire(t, scopesWorld)
	w.sees(t, "the outside's scope leaves as it is", w.fromPort("blue1", w.byRouter("blue1", "udp", machine)),
		"a public VLAN 300: main-ext to 203.0.113.99: udp 198.18.0.3:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "another is hidden behind the router", w.fromPort("red9", w.byRouter("red9", "udp", machine)),
		"a public VLAN 300: main-ext to 203.0.113.99: udp 203.0.113.11:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "and answered", w.fromOutside(w.outside(machine, "udp", "203.0.113.11")),
		"a tap6: main-red to red9: udp 203.0.113.99:53 > 10.0.2.9:1111 ttl 63")
	w.sees(t, "from another host too", w.fromPort("red2", w.byRouter("red2", "ping", machine)),
		"b physnet1 VLAN 101: red2 to main-red: ping 10.0.2.4 > 203.0.113.99 ttl 64",
		"a public VLAN 300: main-ext to 203.0.113.99: ping 203.0.113.11 > 203.0.113.99 ttl 63")
	w.sees(t, "so is the nameless one", w.fromPort("grey1", w.byRouter("grey1", "udp", "8.8.8.8")),
		"a public VLAN 300: main-ext to 203.0.113.254: udp 203.0.113.11:1111 > 8.8.8.8:53 ttl 63")
	w.sees(t, "also by a nameless outside", w.fromPort("old1", w.byRouter("old1", "udp", "8.8.8.8")),
		"a public: elder-street to 198.51.100.254: udp 198.51.100.11:1111 > 8.8.8.8:53 ttl 63")
	w.sees(t, "and a named one by that", w.fromPort("rose1", w.byRouter("rose1", "ping", "8.8.8.8")),
		"a public: elder-street to 198.51.100.254: ping 198.51.100.11 > 8.8.8.8 ttl 63")
	w.sees(t, "without SNAT", w.fromPort("sky1", w.byRouter("sky1", "udp", machine)),
		"a public VLAN 300: open-ext to 203.0.113.99: udp 198.18.5.3:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "without SNAT, of another scope", w.fromPort("rust1", w.byRouter("rust1", "udp", machine)))
}

func TestTheOutsideComesIntoItsScopeOnly(t *testing.T) {
	w := newWire(t, scopesWorld)
	to := func(addr, gateway string) packet {
		p := w.outside(machine, "udp", addr)
		p.dst, p.vlan = w.port[gateway].MAC, 300
		if gateway == "elder-street" {
			p.vlan = 0
		}
		return p
	}
	w.sees(t, "its own", w.fromOutside(to("198.18.0.3", "main-ext")),
		"a tap1: main-blue to blue1: udp 203.0.113.99:53 > 198.18.0.3:1111 ttl 63")
	w.sees(t, "its own, without SNAT", w.fromOutside(to("198.18.5.3", "open-ext")),
		"a tap9: open-sky to sky1: udp 203.0.113.99:53 > 198.18.5.3:1111 ttl 63")
	for addr, gateway := range map[string]string{"10.0.2.3": "main-ext", "10.0.4.3": "main-ext", "10.9.0.7": "main-ext", "10.0.7.3": "open-ext", "10.0.8.3": "elder-street"} {
		w.sees(t, addr+" by "+gateway, w.fromOutside(to(addr, gateway)))
	}
	w.sees(t, "what has no way in goes back as it came", w.fromOutside(to("8.8.8.8", "main-ext")),
		"a public VLAN 300: main-ext to 203.0.113.254: udp 203.0.113.99:53 > 8.8.8.8:1111 ttl 63")
}

func TestFloatingIPsCrossScopes(t *testing.T) {
	w := newWire(t, scopesWorld)
	for addr, want := range map[string]string{
		"203.0.113.21": "a tap4: main-red to red1: udp 203.0.113.99:53 > 10.0.2.3:1111 ttl 63",
		"203.0.113.31": "a tap11: open-rust to rust2: udp 203.0.113.99:53 > 10.0.7.4:1111 ttl 63",
	} {
		w.sees(t, addr, w.fromOutside(w.outside(machine, "udp", addr)), want)
	}
	w.sees(t, "of the outside's scope", w.fromOutside(w.outside(machine, "udp", "203.0.113.22")),
		"a physnet1 VLAN 100: main-teal to teal2: udp 203.0.113.99:53 > 198.18.1.4:1111 ttl 63",
		"b tap3: main-teal to teal2: udp 203.0.113.99:53 > 198.18.1.4:1111 ttl 63")
	w.sees(t, "out without SNAT, of another scope", w.fromPort("rust2", w.byRouter("rust2", "ping", machine)),
		"a public VLAN 300: 203.0.113.31 to 203.0.113.99: ping 203.0.113.31 > 203.0.113.99 ttl 63")
	w.sees(t, "out, of the outside's scope", w.fromPort("teal2", w.byRouter("teal2", "ping", machine)),
		"b physnet1 VLAN 100: teal2 to main-teal: ping 198.18.1.4 > 203.0.113.99 ttl 64",
		"a public VLAN 300: 203.0.113.22 to 203.0.113.99: ping 203.0.113.22 > 203.0.113.99 ttl 63")

	back := func(port, to string) packet {
		p := w.byRouter(port, "udp", to)
		p.ports = [2]uint16{53, 1111}
		return p
	}
	w.sees(t, "from a guest who leaves as he is", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.21")),
		"a tap4: main-red to red1: udp 203.0.113.11:1111 > 10.0.2.3:53 ttl 62")
	w.sees(t, "and back", w.fromPort("red1", back("red1", "203.0.113.11")),
		"a tap1: main-blue to blue1: udp 203.0.113.21:53 > 198.18.0.3:1111 ttl 62")
	w.sees(t, "to one of his own scope", w.fromPort("teal1", w.byRouter("teal1", "udp", "203.0.113.22")),
		"a physnet1 VLAN 100: main-teal to teal2: udp 203.0.113.11:1111 > 198.18.1.4:53 ttl 62",
		"b tap3: main-teal to teal2: udp 203.0.113.11:1111 > 198.18.1.4:53 ttl 62")
	w.sees(t, "and back", w.fromPort("teal2", back("teal2", "203.0.113.11")),
		"b physnet1 VLAN 100: teal2 to main-teal: udp 198.18.1.4:53 > 203.0.113.11:1111 ttl 64",
		"a tap2: main-teal to teal1: udp 203.0.113.22:53 > 198.18.1.3:1111 ttl 62")
	w.sees(t, "to another router's", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.31")),
		"a tap11: open-rust to rust2: udp 198.18.0.3:1111 > 10.0.7.4:53 ttl 62")
}

// Before a router another may have had the packet, and translated it.
func TestWhatAnotherRouterTranslatedIsNoFloatingIPs(t *testing.T) {
	w := newWire(t, scopesWorld)
	w.sees(t, "of the scope", w.fromPort("grey1", w.byRouter("grey1", "udp", "198.18.5.3")),
		"a tap9: open-sky to sky1: udp 203.0.113.11:1111 > 198.18.5.3:53 ttl 62")
	w.sees(t, "of another", w.fromPort("grey1", w.byRouter("grey1", "udp", "10.0.7.3")))
}
