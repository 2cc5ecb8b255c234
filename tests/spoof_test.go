//go:build integration

package tests

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestPortsSayOnlyWhatTheyMay(t *testing.T) {
	w := newWorld(t)
	w.script(t, "a guest cannot pretend to be another", cannotPretend)
	w.script(t, "device_owner is no credential", ownerIsNoCredential)
	w.script(t, "an unbound interface forwards nothing", unboundForwardsNothing)
}

// lies are frames that a guest must not be able to send. Each is a broadcast, so that a neighbour would hear it.
func lies(liar, victim *guest) map[string][]byte {
	own, stolen := netip.AddrPortFrom(liar.IP, 7), netip.AddrPortFrom(victim.IP, 7)
	return map[string][]byte{
		"source MAC":        udp(victim.MAC, signalbox.Broadcast, own, anywhere, "lie"),
		"source IP":         udp(liar.MAC, signalbox.Broadcast, stolen, anywhere, "lie"),
		"foreign source IP": udp(liar.MAC, signalbox.Broadcast, netip.MustParseAddrPort("203.0.113.1:7"), anywhere, "lie"),
		"ARP sender IP":     arp(liar.MAC, liar.MAC, victim.IP, victim.IP),
		"ARP sender MAC":    arp(liar.MAC, victim.MAC, liar.IP, victim.IP),
		"ARP source MAC":    arp(victim.MAC, victim.MAC, victim.IP, liar.IP),
		"DHCP offer":        dhcpMessage(layers.DHCPMsgTypeOffer, liar.MAC, 1),
		"DHCP offer from own address": udp(liar.MAC, signalbox.Broadcast, netip.AddrPortFrom(liar.IP, 67),
			netip.MustParseAddrPort("255.255.255.255:68"), "lie"),
	}
}

func cannotPretend(s *script) {
	n := s.network(signalbox.VXLAN)
	s.invite("udp") // or groups would keep the lies away
	liar, near, far := s.boot(n, s.h1), s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(liar, near)
	s.reaches(liar, far)
	mouth := s.tap(liar)
	ears := map[string]*testbed.Wire{"near": s.tap(near), "far": s.tap(far)}
	for name, lie := range lies(liar, near) {
		s.must(mouth.Send(lie))
		s.must(mouth.Send(udp(liar.MAC, signalbox.Broadcast, netip.AddrPortFrom(liar.IP, 7), anywhere, "truth after "+name)))
		for where, ear := range ears {
			_, err := ear.Hear(s.ctx, patience, "the truth after "+name, carries("truth after "+name))
			s.must(err)
			if f := ear.First(func(f []byte) bool {
				return carries("lie")(f) || isDHCP(f) || isARPRequestFor(liar.IP)(f) || isARPRequestFor(near.IP)(f)
			}); f != nil {
				s.Fatalf("%s: the lie was heard %s:\n%v", name, where, packet(f))
			}
		}
	}
}

func ownerIsNoCredential(s *script) {
	n := s.network(signalbox.VLAN)
	s.invite("udp")
	liar := s.bootAs(n, s.h1, testbed.Port{Owner: "network:router_interface"})
	victim := s.boot(n, s.h1)
	s.reaches(liar, victim)
	mouth, ear := s.tap(liar), s.tap(victim)
	s.must(mouth.Send(udp(liar.MAC, signalbox.Broadcast, netip.MustParseAddrPort("203.0.113.1:7"), anywhere, "lie")))
	s.must(mouth.Send(dhcpMessage(layers.DHCPMsgTypeOffer, liar.MAC, 1)))
	s.must(mouth.Send(udp(liar.MAC, signalbox.Broadcast, netip.AddrPortFrom(liar.IP, 7), anywhere, "truth")))
	_, err := ear.Hear(s.ctx, patience, "the truth", carries("truth"))
	s.must(err)
	if ear.Count(carries("lie"))+ear.Count(isDHCP) != 0 {
		s.Error("a lie was heard from a port that calls itself a router's")
	}
}

// unboundForwardsNothing: an interface that is no port's, whatever it sends, is heard by nobody; not even when
// it asks for the controller's own address.
func unboundForwardsNothing(s *script) {
	n := s.network(signalbox.VLAN)
	s.invite("udp")
	a := s.boot(n, s.h1)
	ear := s.tap(a)
	stranger, err := s.lab.NewVM(s.ctx, "stranger", nobody)
	s.must(err)
	defer func() { s.must(stranger.Remove(s.ctx)) }()
	s.must(stranger.Plug(s.ctx, s.h1, testbed.Plug{Interface: "stranger"}))
	mouth, err := stranger.Tap()
	s.must(err)
	defer mouth.Close()
	ip := netip.MustParseAddr("10.0.0.99")
	controller := netip.MustParseAddr(testbed.ControllerIP)
	for range 3 {
		s.must(mouth.Send(udp(nobody, signalbox.Broadcast, netip.AddrPortFrom(ip, 7), anywhere, "stranger")))
		s.must(mouth.Send(arp(nobody, nobody, ip, controller)))
	}
	before := s.boot(n, s.h1) // takes a while, and then says something that is heard
	s.reaches(before, a)
	if ear.Count(carries("stranger"))+ear.Count(isARPRequestFor(controller)) != 0 {
		s.Error("a stranger was heard")
	}
}
