//go:build integration

package flowpipeline

import (
	"net/netip"
	"strings"
	"testing"
)

const (
	outsideWorld = "testdata/traces/outside.txt"
	upstream     = "203.0.113.254" // the external network's own router
	machine      = "203.0.113.99"  // a machine on it
)

func TestAFloatingIPIsItsPortOutside(t *testing.T) {
	w := newWire(t, outsideWorld)
	w.sees(t, "datagram", w.fromPort("blue1", w.byRouter("blue1", "udp", machine)),
		"a public VLAN 300: 203.0.113.21 to 203.0.113.99: udp 203.0.113.21:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "answer", w.fromOutside(w.outside(machine, "udp", "203.0.113.21")),
		"a tap1: main-blue to blue1: udp 203.0.113.99:53 > 10.0.0.3:1111 ttl 63")
	w.sees(t, "by the default route", w.fromPort("blue1", w.byRouter("blue1", "ping", "8.8.8.8")),
		"a public VLAN 300: 203.0.113.21 to 203.0.113.254: ping 203.0.113.21 > 8.8.8.8 ttl 63")

	call := w.outside(upstream, "udp", "203.0.113.21")
	call.from, call.ports = netip.MustParseAddr("192.0.2.200"), [2]uint16{40000, 80}
	w.sees(t, "called", w.fromOutside(call), "a tap1: main-blue to blue1: udp 192.0.2.200:40000 > 10.0.0.3:80 ttl 63")
	reply := w.byRouter("blue1", "udp", "192.0.2.200")
	reply.ports = [2]uint16{80, 40000}
	w.sees(t, "replies", w.fromPort("blue1", reply),
		"a public VLAN 300: 203.0.113.21 to 203.0.113.254: udp 203.0.113.21:80 > 192.0.2.200:40000 ttl 63")

	sent := w.byRouter("blue1", "udp", machine)
	sent.from = netip.MustParseAddr("203.0.113.21")
	problem := w.outside(upstream, "unreachable", "203.0.113.21")
	problem.about = &sent
	w.sees(t, "error about what it sent", w.fromOutside(problem),
		"a tap1: main-blue to blue1: unreachable 203.0.113.254 > 10.0.0.3 ttl 63 (udp 10.0.0.3:1111 > 203.0.113.99:53 ttl 64)")

	w.sees(t, "on another host that has the network", w.fromPort("blue3", w.byRouter("blue3", "udp", machine)),
		"c public VLAN 300: 203.0.113.23 to 203.0.113.99: udp 203.0.113.23:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "and back there", w.fromOutside(w.outside(machine, "udp", "203.0.113.23")),
		"c tap3: main-blue to blue3: udp 203.0.113.99:53 > 10.0.0.5:1111 ttl 63")
	w.sees(t, "on the untagged network", w.fromPort("plum1", w.byRouter("plum1", "udp", "8.8.8.8")),
		"a public: 198.51.100.21 to 198.51.100.254: udp 198.51.100.21:1111 > 8.8.8.8:53 ttl 63")
	w.sees(t, "of no port", w.fromOutside(w.outside(machine, "udp", "203.0.113.41")))
}

func TestAFloatingIPOfAHostWithoutTheNetworkIsAtTheGatewayHost(t *testing.T) {
	w := newWire(t, outsideWorld)
	w.sees(t, "leaves by the gateway host", w.fromPort("red2", w.byRouter("red2", "udp", machine)),
		"b physnet1 VLAN 100: red2 to main-red: udp 10.0.1.4:1111 > 203.0.113.99:53 ttl 64",
		"a public VLAN 300: 203.0.113.22 to 203.0.113.99: udp 203.0.113.22:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "comes in there", w.fromOutside(w.outside(upstream, "ping", "203.0.113.22")),
		"a physnet1 VLAN 100: main-red to red2: ping 203.0.113.254 > 10.0.1.4 ttl 63",
		"b tap6: main-red to red2: ping 203.0.113.254 > 10.0.1.4 ttl 63")
	w.sees(t, "and answers", w.fromPort("red2", w.byRouter("red2", "pong", upstream)),
		"b physnet1 VLAN 100: red2 to main-red: pong 10.0.1.4 > 203.0.113.254 ttl 64",
		"a public VLAN 300: 203.0.113.22 to 203.0.113.254: pong 203.0.113.22 > 203.0.113.254 ttl 63")
	w.sees(t, "comes in and goes on by tunnel", w.fromOutside(w.outside(upstream, "udp", "203.0.113.24")),
		"a vxlan: main-blue to blue2: udp 203.0.113.254:53 > 10.0.0.4:1111 ttl 63")
}

func TestWithoutAFloatingIPTheGatewaySpeaksForAPort(t *testing.T) {
	w := newWire(t, outsideWorld)
	w.sees(t, "on the gateway host", w.fromPort("blue4", w.byRouter("blue4", "udp", machine)),
		"a public VLAN 300: main-ext to 203.0.113.99: udp 203.0.113.11:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "answer", w.fromOutside(w.outside(machine, "udp", "203.0.113.11")),
		"a tap4: main-blue to blue4: udp 203.0.113.99:53 > 10.0.0.6:1111 ttl 63")
	w.sees(t, "another router, the same inner address", w.fromPort("tan4", w.byRouter("tan4", "udp", machine)),
		"a public VLAN 300: side-ext to 203.0.113.99: udp 203.0.113.12:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "answer to that", w.fromOutside(w.outside(machine, "udp", "203.0.113.12")),
		"a tap13: side-tan to tan4: udp 203.0.113.99:53 > 10.0.0.6:1111 ttl 63")

	w.sees(t, "host that has the network and is not the gateway's", w.fromPort("red3", w.byRouter("red3", "ping", machine)),
		"c physnet1 VLAN 100: red3 to main-red: ping 10.0.1.5 > 203.0.113.99 ttl 64",
		"a public VLAN 300: main-ext to 203.0.113.99: ping 203.0.113.11 > 203.0.113.99 ttl 63")
	w.sees(t, "answer to that host", w.fromOutside(w.outside(machine, "pong", "203.0.113.11")),
		"a physnet1 VLAN 100: main-red to red3: pong 203.0.113.99 > 10.0.1.5 ttl 63",
		"c tap7: main-red to red3: pong 203.0.113.99 > 10.0.1.5 ttl 63")
	w.sees(t, "host and network that the gateway host has no port of", w.fromPort("rose2", w.byRouter("rose2", "ping", upstream)),
		"b physnet1 VLAN 101: rose2 to main-rose: ping 10.0.3.4 > 203.0.113.254 ttl 64",
		"a public VLAN 300: main-ext to 203.0.113.254: ping 203.0.113.11 > 203.0.113.254 ttl 63")
	w.sees(t, "answer to there", w.fromOutside(w.outside(upstream, "pong", "203.0.113.11")),
		"a physnet1 VLAN 101: main-rose to rose2: pong 203.0.113.254 > 10.0.3.4 ttl 63",
		"b tap10: main-rose to rose2: pong 203.0.113.254 > 10.0.3.4 ttl 63")

	sent := w.byRouter("blue4", "udp", machine)
	sent.from = netip.MustParseAddr("203.0.113.11")
	problem := w.outside(upstream, "unreachable", "203.0.113.11")
	problem.about = &sent
	w.sees(t, "error about what it sent", w.fromOutside(problem),
		"a tap4: main-blue to blue4: unreachable 203.0.113.254 > 10.0.0.6 ttl 63 (udp 10.0.0.6:1111 > 203.0.113.99:53 ttl 64)")

	unasked := w.outside(machine, "udp", "203.0.113.11")
	unasked.ports[1] = 2222
	w.sees(t, "nobody has asked", w.fromOutside(unasked))
	stranger := w.outside(upstream, "udp", "203.0.113.11")
	w.sees(t, "another was asked", w.fromOutside(stranger))
}

func TestNothingLeavesThatConntrackDoesNotTranslate(t *testing.T) {
	w := newWire(t, outsideWorld)
	w.AppCtl("dpctl/ct-set-limits", "zone=5,limit=1")
	if seen := w.fromPort("blue4", w.byRouter("blue4", "udp", machine)); len(seen) != 1 {
		t.Errorf("the first connection: %v", seen)
	}
	for _, port := range []string{"blue4", "blue1"} {
		next := w.byRouter(port, "udp", machine)
		next.ports[0] = 3333
		w.sees(t, port+" has no room for another", w.fromPort(port, next))
	}
	w.sees(t, "nor the outside", w.fromOutside(w.outside(machine, "udp", "203.0.113.21")))
}

func TestInnerAddressesFromOutside(t *testing.T) {
	w := newWire(t, outsideWorld)
	to := func(addr, gateway string) packet {
		p := w.outside(machine, "udp", addr)
		p.dst = w.port[gateway].MAC
		return p
	}
	w.sees(t, "with SNAT", w.fromOutside(to("10.0.0.6", "main-ext")))
	w.sees(t, "to a floating IP's MAC", w.fromOutside(to("10.0.0.3", "203.0.113.21")))
	w.sees(t, "without SNAT", w.fromOutside(to("10.0.6.3", "open-ext")),
		"a tap14: open-amber to amber1: udp 203.0.113.99:53 > 10.0.6.3:1111 ttl 63")
	w.sees(t, "out without SNAT", w.fromPort("amber1", w.byRouter("amber1", "udp", machine)),
		"a public VLAN 300: open-ext to 203.0.113.99: udp 10.0.6.3:1111 > 203.0.113.99:53 ttl 63")
}

func TestTheGatewayAnswersPings(t *testing.T) {
	w := newWire(t, outsideWorld)
	w.sees(t, "from outside", w.fromOutside(w.outside(machine, "ping", "203.0.113.11")),
		"a public VLAN 300: main-ext to 203.0.113.99: pong 203.0.113.11 > 203.0.113.99 ttl 64")
	w.sees(t, "from outside, untagged", w.fromOutside(w.outside("198.51.100.254", "ping", "198.51.100.11")),
		"a public: corner-street to 198.51.100.254: pong 198.51.100.11 > 198.51.100.254 ttl 64")
	w.sees(t, "from outside, without SNAT", w.fromOutside(w.outside(machine, "ping", "203.0.113.13")),
		"a public VLAN 300: open-ext to 203.0.113.99: pong 203.0.113.13 > 203.0.113.99 ttl 64")
	w.sees(t, "from inside", w.fromPort("blue4", w.byRouter("blue4", "ping", "203.0.113.11")),
		"a tap4: main-blue to blue4: pong 203.0.113.11 > 10.0.0.6 ttl 64")
	w.sees(t, "from inside, far from it", w.fromPort("red4", w.byRouter("red4", "ping", "203.0.113.11")),
		"b tap8: main-red to red4: pong 203.0.113.11 > 10.0.1.6 ttl 64")
	w.sees(t, "from behind another", w.fromPort("blue1", w.byRouter("blue1", "ping", "203.0.113.12")),
		"a tap1: main-blue to blue1: pong 203.0.113.12 > 10.0.0.3 ttl 63")
	pub := packet{src: w.port["pub1"].MAC, dst: w.port["main-ext"].MAC, kind: "ping", from: netip.MustParseAddr("203.0.113.103"), to: netip.MustParseAddr("203.0.113.11"), ttl: 64}
	w.sees(t, "from a port of the external network", w.fromPort("pub1", pub),
		"a tap16: main-ext to pub1: pong 203.0.113.11 > 203.0.113.103 ttl 64")
}

func TestTheTranslatorAloneAnswersARPFromOutside(t *testing.T) {
	w := newWire(t, outsideWorld)
	for addr, host := range map[string]string{
		"203.0.113.11": "a", "203.0.113.12": "a", "203.0.113.13": "a", "203.0.113.14": "", "203.0.113.21": "a", "203.0.113.22": "a",
		"203.0.113.23": "c", "203.0.113.24": "a", "203.0.113.31": "a", "203.0.113.41": "", "198.51.100.11": "a", "198.51.100.21": "a",
	} {
		from, on := machine, " VLAN 300"
		if strings.HasPrefix(addr, "198.") {
			from, on = "198.51.100.254", ""
		}
		ask := w.outside(from, "ask", addr)
		owner := w.who[ask.dst]
		copy(ask.dst[:], []byte{255, 255, 255, 255, 255, 255})
		var answers []string
		for _, seen := range w.fromOutside(ask) {
			if strings.Contains(seen, "answer") {
				answers = append(answers, seen)
			}
		}
		if host == "" {
			w.sees(t, addr, answers)
		} else {
			w.sees(t, addr, answers, host+" public"+on+": "+owner+" to "+from+": answer "+addr+" > "+from)
		}
	}
}

func TestHairpins(t *testing.T) {
	w := newWire(t, outsideWorld)
	back := func(port, kind, to string) packet {
		p := w.byRouter(port, kind, to)
		p.ports = [2]uint16{53, 1111}
		return p
	}
	w.sees(t, "to a floating IP of the same router", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.22")),
		"a physnet1 VLAN 100: main-red to red2: udp 203.0.113.21:1111 > 10.0.1.4:53 ttl 62",
		"b tap6: main-red to red2: udp 203.0.113.21:1111 > 10.0.1.4:53 ttl 62")
	w.sees(t, "and back", w.fromPort("red2", back("red2", "udp", "203.0.113.21")),
		"b physnet1 VLAN 100: red2 to main-red: udp 10.0.1.4:53 > 203.0.113.21:1111 ttl 64",
		"a tap1: main-blue to blue1: udp 203.0.113.22:53 > 10.0.0.3:1111 ttl 62")
	w.sees(t, "to one on another host", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.23")),
		"a public VLAN 300: 203.0.113.21 to 203.0.113.23: udp 203.0.113.21:1111 > 203.0.113.23:53 ttl 63",
		"c tap3: main-blue to blue3: udp 203.0.113.21:1111 > 10.0.0.5:53 ttl 62")
	w.sees(t, "and back", w.fromPort("blue3", back("blue3", "udp", "203.0.113.21")),
		"c public VLAN 300: 203.0.113.23 to 203.0.113.21: udp 203.0.113.23:53 > 203.0.113.21:1111 ttl 63",
		"a tap1: main-blue to blue1: udp 203.0.113.23:53 > 10.0.0.3:1111 ttl 62")
	w.sees(t, "to one of another router", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.31")),
		"a tap12: side-tan to tan1: udp 203.0.113.21:1111 > 10.0.0.3:53 ttl 62")
	w.sees(t, "and back", w.fromPort("tan1", back("tan1", "udp", "203.0.113.21")),
		"a tap1: main-blue to blue1: udp 203.0.113.31:53 > 10.0.0.3:1111 ttl 62")
	w.sees(t, "to its own", w.fromPort("blue1", w.byRouter("blue1", "ping", "203.0.113.21")),
		"a tap1: main-blue to blue1: ping 203.0.113.21 > 10.0.0.3 ttl 62")
	w.sees(t, "and back", w.fromPort("blue1", w.byRouter("blue1", "pong", "203.0.113.21")),
		"a tap1: main-blue to blue1: pong 203.0.113.21 > 10.0.0.3 ttl 62")

	w.sees(t, "from a port without one", w.fromPort("blue4", w.byRouter("blue4", "udp", "203.0.113.21")),
		"a tap1: main-blue to blue1: udp 203.0.113.11:1111 > 10.0.0.3:53 ttl 62")
	w.sees(t, "and back", w.fromPort("blue1", back("blue1", "udp", "203.0.113.11")),
		"a tap4: main-blue to blue4: udp 203.0.113.21:53 > 10.0.0.6:1111 ttl 62")
	w.sees(t, "from a port without one, far from the gateway", w.fromPort("red4", w.byRouter("red4", "ping", "203.0.113.22")),
		"b physnet1 VLAN 100: red4 to main-red: ping 10.0.1.6 > 203.0.113.22 ttl 64",
		"a physnet1 VLAN 100: main-red to red2: ping 203.0.113.11 > 10.0.1.4 ttl 62",
		"b tap6: main-red to red2: ping 203.0.113.11 > 10.0.1.4 ttl 62")
	w.sees(t, "and back", w.fromPort("red2", w.byRouter("red2", "pong", "203.0.113.11")),
		"b physnet1 VLAN 100: red2 to main-red: pong 10.0.1.4 > 203.0.113.11 ttl 64",
		"a physnet1 VLAN 100: main-red to red4: pong 203.0.113.22 > 10.0.1.6 ttl 62",
		"b tap8: main-red to red4: pong 203.0.113.22 > 10.0.1.6 ttl 62")
	w.sees(t, "unasked to the gateway, from inside", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.11")))

	pub := packet{src: w.port["pub1"].MAC, dst: w.port["203.0.113.21"].MAC, kind: "ping", from: netip.MustParseAddr("203.0.113.103"), to: netip.MustParseAddr("203.0.113.21"), ttl: 64}
	w.sees(t, "from a port of the external network", w.fromPort("pub1", pub),
		"a tap1: main-blue to blue1: ping 203.0.113.103 > 10.0.0.3 ttl 63")
	w.sees(t, "and back", w.fromPort("blue1", w.byRouter("blue1", "pong", "203.0.113.103")),
		"a tap16: 203.0.113.21 to pub1: pong 203.0.113.21 > 203.0.113.103 ttl 63")
}

// An association that is gone must not live on in conntrack, also before anybody has told conntrack.
func TestAFloatingIPThatStandsForAnotherPort(t *testing.T) {
	w := newWire(t, outsideWorld)
	if seen := w.fromPort("blue1", w.byRouter("blue1", "udp", machine)); len(seen) != 1 {
		t.Fatalf("the first packet: %v", seen)
	}
	moved := w.floating["203.0.113.21"]
	moved.PortID, moved.FixedAddr = idOf("port", "blue4"), netip.MustParseAddr("10.0.0.6")
	w.OFCtl("del-flows", "br-a")
	w.OFCtl("del-meters", "br-a")
	w.load(w.compile(), "a")

	w.sees(t, "an answer to the old connection", w.fromOutside(w.outside(machine, "udp", "203.0.113.21")))
	w.sees(t, "the old connection goes on", w.fromPort("blue1", w.byRouter("blue1", "udp", machine)))
	fresh := w.outside(machine, "udp", "203.0.113.21")
	fresh.ports = [2]uint16{5000, 80}
	w.sees(t, "a new connection", w.fromOutside(fresh), "a tap4: main-blue to blue4: udp 203.0.113.99:5000 > 10.0.0.6:80 ttl 63")
	other := w.byRouter("blue1", "udp", machine)
	other.ports[0] = 5555
	w.sees(t, "a new connection of the old port", w.fromPort("blue1", other),
		"a public VLAN 300: main-ext to 203.0.113.99: udp 203.0.113.11:5555 > 203.0.113.99:53 ttl 63")
}

func TestWhatTheControllerHearsOfTheOutside(t *testing.T) {
	w := newWire(t, outsideWorld)
	w.hears("a")
	silent := func(fact string, seen []string) {
		t.Helper()
		if len(seen) > 0 && !strings.Contains(seen[0], "physnet1") {
			t.Errorf("%s: seen %v", fact, seen)
		}
	}
	const main, ext, blue = "reg5=0x1,", "reg7=0x1,", "reg7=0x3,"
	silent("unknown neighbour", w.fromPort("blue1", w.byRouter("blue1", "udp", "203.0.113.77")))
	w.awaitPunt("a", "reg4=0x6,", main, ext, "reg6=0xcb00714d", "reg1=0x11,", "nw_src=203.0.113.21,nw_dst=203.0.113.77", "dl_src=fa:16:3e:00:00:03")
	silent("unknown neighbour of another host's port", w.fromPort("red4", w.byRouter("red4", "udp", "203.0.113.78")))
	w.awaitPunt("a", "reg4=0x6,", main, ext, "reg6=0xcb00714e", "nw_src=203.0.113.11,nw_dst=203.0.113.78")

	last := w.outside(machine, "udp", "203.0.113.21")
	last.ttl, last.ports[0] = 1, 71
	silent("last TTL", w.fromOutside(last))
	w.awaitPunt("a", "reg4=0x3,", main, "reg0=0x1,", "nw_dst=203.0.113.21", "tp_src=71")
	large := w.outside(machine, "udp", "203.0.113.21")
	large.size = 1451
	silent("too large", w.fromOutside(large))
	w.awaitPunt("a", "reg4=0x7,", main, "reg0=0x1,", "total_len=1465", "nw_dst=203.0.113.21")
	large.size = 1450
	if seen := w.fromOutside(large); len(seen) != 1 {
		t.Errorf("what just fits: %v", seen)
	}

	if seen := w.fromPort("blue4", w.byRouter("blue4", "udp", machine)); len(seen) != 1 {
		t.Errorf("out by the gateway: %v", seen)
	}
	large = w.outside(machine, "udp", "203.0.113.11")
	large.size = 1452
	silent("answer that is too large", w.fromOutside(large))
	w.awaitPunt("a", "reg4=0x7,", main, "reg0=0x1,", blue, "total_len=1466", "nw_dst=10.0.0.6", "reg8=0xcb00710b")

	hairpin := w.byRouter("red3", "udp", "203.0.113.21")
	hairpin.size = 1453
	silent("hairpin that is too large inside", w.fromPort("red3", hairpin))
	w.awaitPunt("a", "reg4=0x7,", main, "reg0=0x1,", "total_len=1467", "nw_src=203.0.113.11,nw_dst=203.0.113.21")
	for _, in := range w.punts("a") {
		if strings.Contains(in, "total_len=1467") && strings.Contains(in, "reg7=") {
			t.Errorf("it says that it is on its way to a network: %s", in)
		}
	}

	silent("ARP answer", w.fromOutside(w.outside("203.0.113.77", "answer", "203.0.113.21")))
	w.awaitPunt("a", "reg4=0x8,", "reg0=0x1,", "arp_spa=203.0.113.77,arp_tpa=203.0.113.21,arp_op=2")
	announcement := w.outside(machine, "ask", machine)
	copy(announcement.dst[:], []byte{255, 255, 255, 255, 255, 255})
	announcement.src[5] = 0x64
	w.who[announcement.src] = "new"
	w.sees(t, "announcement", w.put("a", "public", announcement), "a tap16: new to : ask 203.0.113.99 > 203.0.113.99")
	w.awaitPunt("a", "reg4=0x8,", "reg0=0x1,", "arp_spa=203.0.113.99,arp_tpa=203.0.113.99", "arp_sha=52:54:00:00:00:64")
}
