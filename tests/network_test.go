//go:build integration

package tests

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

var (
	anywhere = netip.MustParseAddrPort("10.0.0.255:7777")
	nobody   = signalbox.MustMAC("fa:16:3e:ff:ff:fe")
)

// crossing are the types whose frames travel between hosts.
var crossing = []signalbox.NetworkType{signalbox.VLAN, signalbox.GRE, signalbox.VXLAN, signalbox.Flat}

func TestNetworks(t *testing.T) {
	w := newWorld(t)
	for _, kind := range crossing {
		w.script(t, string(kind)+" carries frames between hosts", func(s *script) { carriesFrames(s, kind) })
		w.script(t, string(kind)+" keeps overlapping networks apart", func(s *script) { keepsApart(s, kind) })
	}
	w.script(t, "local stays on its host", localStaysHome)
	w.script(t, "local keeps overlapping networks apart", localKeepsApart)
	w.script(t, "admin state down stops traffic", adminStateStops)
	w.script(t, "the MTU fits what carries the network", mtuFits)
}

// carriesFrames: same-host and cross-host unicast, broadcast to the hosts that have the network and no other,
// ARP answered in the switch, no flood of what nobody owns.
func carriesFrames(s *script, kind signalbox.NetworkType) {
	n := s.network(kind)
	a, near, far := s.boot(n, s.h1), s.boot(n, s.h1), s.boot(n, s.h2)
	nearWire, farWire := s.tap(near), s.tap(far)
	s.reaches(a, near)
	s.reaches(a, far)
	s.reaches(far, near)

	if asked := farWire.Count(isARPRequestFor(far.IP)) + nearWire.Count(isARPRequestFor(near.IP)); asked != 0 {
		s.Errorf("%d ARP requests reached their targets; the switch knows the answers", asked)
	}

	outside := s.wire(s.h3.TapUnderlay())
	aWire := s.tap(a)
	s.must(aWire.Send(udp(a.MAC, nobody, netip.AddrPortFrom(a.IP, 7), anywhere, "to nobody")))
	s.must(aWire.Send(udp(a.MAC, signalbox.Broadcast, netip.AddrPortFrom(a.IP, 7), anywhere, "to everybody")))
	for _, w := range []*testbed.Wire{nearWire, farWire} {
		_, err := w.Hear(s.ctx, patience, "the broadcast", carries("to everybody"))
		s.must(err)
		if n := w.Count(carries("to everybody")); n != 1 {
			s.Errorf("the broadcast came %d times", n)
		}
		// It was sent first: what came after it has been heard.
		if w.Count(carries("to nobody")) != 0 {
			s.Error("a frame to a MAC that nobody has was flooded")
		}
	}
	if outside.Count(func(f []byte) bool { return bytes.Contains(f, []byte("to everybody")) }) != 0 {
		s.Error("the broadcast was sent to a host without the network")
	}
	if flows := s.flowsNaming(s.h3, a.MAC.String()); len(flows) != 0 {
		s.Errorf("a host without the network has flows of it: %q", flows)
	}
}

// keepsApart: two networks with the same CIDR, the same addresses and the same MACs on the same hosts. Each
// guest hears its own peer, and the twin hears nothing.
func keepsApart(s *script, kind signalbox.NetworkType) {
	red := s.network(kind)
	other := kind
	if kind == signalbox.Flat {
		other = signalbox.VLAN // a physical network has one flat network
	}
	blue := s.network(other)
	twins(s, red, blue, s.h1, s.h2)
}

func localKeepsApart(s *script) {
	twins(s, s.network(signalbox.Local), s.network(signalbox.Local), s.h1, s.h1)
}

func twins(s *script, red, blue *network, here, there *testbed.Host) {
	s.Helper()
	port := func(last string) testbed.Port {
		return testbed.Port{MAC: "fa:16:3e:00:00:" + last, FixedIPs: []testbed.FixedIP{{Addr: "10.0.0." + last}}}
	}
	redA, redB := s.bootAs(red, here, port("11")), s.bootAs(red, there, port("12"))
	blueA, blueB := s.bootAs(blue, here, port("11")), s.bootAs(blue, there, port("12"))
	redWire, blueWire := s.tap(redB), s.tap(blueB)

	s.reaches(redA, redB)
	heard := redWire.Count(isEchoRequest)
	if heard == 0 || blueWire.Count(isEchoRequest) != 0 {
		s.Errorf("red pinged: red heard %d echoes, blue %d", heard, blueWire.Count(isEchoRequest))
	}
	s.reaches(blueA, blueB)
	if blueWire.Count(isEchoRequest) == 0 || redWire.Count(isEchoRequest) != heard {
		s.Errorf("blue pinged: blue heard %d echoes, red %d more", blueWire.Count(isEchoRequest), redWire.Count(isEchoRequest)-heard)
	}

	send := s.tap(redA)
	s.must(send.Send(udp(redA.MAC, signalbox.Broadcast, netip.AddrPortFrom(redA.IP, 7), anywhere, "red to all")))
	_, err := redWire.Hear(s.ctx, patience, "red's broadcast", carries("red to all"))
	s.must(err)
	if blueWire.Count(carries("red to all")) != 0 {
		s.Error("blue heard red's broadcast")
	}

	s.must(redB.Unplug(s.ctx))
	s.becomes(redB, signalbox.Down)
	s.cutOff(redA, redB.IP)
	s.reaches(blueA, blueB)
}

func localStaysHome(s *script) {
	n := s.network(signalbox.Local)
	a, near, far := s.boot(n, s.h1), s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, near)
	s.reachesNot(a, far.IP)
}

func adminStateStops(s *script) {
	n := s.network(signalbox.VXLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	for _, what := range []struct{ resource, id string }{{"port", b.Port.ID}, {"network", n.ID}} {
		s.must(s.box.API.Update(s.ctx, what.resource, what.id, map[string]any{"admin_state_up": false}))
		s.cutOff(a, b.IP)
		s.cutOff(b, a.IP)
		s.must(s.box.API.Update(s.ctx, what.resource, what.id, map[string]any{"admin_state_up": true}))
		s.reaches(a, b)
	}
}

// mtuFits: a packet of exactly the network's MTU passes, on an underlay of 1500 bytes.
func mtuFits(s *script) {
	for _, kind := range crossing {
		n := s.network(kind)
		a, b := s.boot(n, s.h1), s.boot(n, s.h2)
		s.reaches(a, b)
		const headers = 20 + 8 // IPv4 and ICMP
		s.must(testbed.Await(s.ctx, 10*time.Second, "a packet of the MTU on "+string(kind), func() error {
			_, err := a.NS.Run(s.ctx, "ping", "-c", "1", "-W", "1", "-M", "do", "-s", itoa(n.MTU-headers), b.IP.String())
			return err
		}))
	}
}
