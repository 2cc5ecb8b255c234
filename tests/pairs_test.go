//go:build integration

package tests

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestPortsSayWhatTheirOwnersLetThem(t *testing.T) {
	w := newWorld(t)
	w.script(t, "an address moves between two guests", addressMoves)
	w.script(t, "an address moves with its MAC", macMoves)
	w.script(t, "a pair is no more than it says", pairIsNoMore)
	w.script(t, "without port security anything goes", anythingGoes)
}

var vip = netip.MustParseAddr("10.0.0.200")

// reserve holds the address that guests share by a port that no guest has.
func (s *script) reserve(n *network) {
	s.Helper()
	p, err := s.box.API.CreatePort(s.ctx, testbed.Port{NetworkID: n.ID, FixedIPs: []testbed.FixedIP{{Addr: vip.String()}}})
	s.must(err)
	s.ports = append(s.ports, p.ID)
}

// take gives a guest an address beside its own, or takes it away.
func (s *script) take(g *guest, verb string, ip netip.Addr) {
	s.Helper()
	_, err := g.NS.Run(s.ctx, "ip", "addr", verb, ip.String()+"/32", "dev", "eth0")
	s.must(err)
}

// announce says to everybody that the guest has an address now: a gratuitous ARP request.
func (s *script) announce(g *guest, from signalbox.MAC, ip netip.Addr) {
	s.Helper()
	s.must(s.tap(g).Send(arp(from, from, ip, ip)))
}

// away is a ping of the shared address that goes on while it moves; it may be lost for no longer than a guest takes
// to be told.
func (s *script) away(client *guest, move func()) {
	s.Helper()
	stop, err := client.StartPing(s.ctx, vip, 50*time.Millisecond)
	s.must(err)
	move()
	_, err = client.ReachableIn(s.ctx, vip, patience)
	s.must(err)
	r, err := stop()
	s.must(err)
	s.Logf("%d of %d pings were lost while the address moved", r.Lost(), r.Sent)
}

func addressMoves(s *script) {
	for _, kind := range []signalbox.NetworkType{signalbox.VXLAN, signalbox.VLAN} {
		n := s.network(kind)
		s.reserve(n)
		pair := testbed.Port{Pairs: []testbed.Pair{{Addr: vip.String()}}}
		one, other, client := s.bootAs(n, s.h1, pair), s.bootAs(n, s.h2, pair), s.boot(n, s.h3)
		near := s.boot(n, s.h1)
		s.reachesNot(client, vip)
		s.take(one, "add", vip)
		for _, g := range []*guest{client, near, other} {
			_, err := g.ReachableIn(s.ctx, vip, patience)
			s.must(err)
		}
		s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
		before, err := s.box.Admin.FlowMods(s.ctx)
		s.must(err)
		ears := s.tap(other)
		s.away(client, func() {
			s.take(one, "del", vip)
			s.take(other, "add", vip)
			s.announce(other, other.MAC, vip)
		})
		_, err = near.ReachableIn(s.ctx, vip, patience)
		s.must(err)
		if ears.Count(isEchoRequest) == 0 {
			s.Error("no ping came to who has the address now")
		}
		after, err := s.box.Admin.FlowMods(s.ctx)
		s.must(err)
		if after != before {
			s.Errorf("%d flow-mods were sent because an address moved", after-before)
		}
	}
}

func macMoves(s *script) {
	const mac = "00:00:5e:00:01:07" // VRRP's (RFC 9568)
	n := s.network(signalbox.VXLAN)
	s.reserve(n)
	pair := testbed.Port{Pairs: []testbed.Pair{{MAC: mac, Addr: vip.String()}}}
	one, other, client := s.bootAs(n, s.h1, pair), s.bootAs(n, s.h2, pair), s.boot(n, s.h1)
	become := func(g *guest, mac string) {
		_, err := g.NS.Run(s.ctx, "ip", "link", "set", "eth0", "address", mac)
		s.must(err)
	}
	become(one, mac)
	s.take(one, "add", vip)
	_, err := client.ReachableIn(s.ctx, vip, patience)
	s.must(err)
	s.away(client, func() { // and nobody is told: the MAC is the same
		s.take(one, "del", vip)
		become(one, one.MAC.String())
		become(other, mac)
		s.take(other, "add", vip)
	})
}

func pairIsNoMore(s *script) {
	n := s.network(signalbox.VXLAN)
	s.invite("udp") // or groups would keep the lies away
	liar := s.bootAs(n, s.h1, testbed.Port{Pairs: []testbed.Pair{{Addr: "10.0.0.192/28"}, {MAC: "00:00:5e:00:01:07", Addr: "10.0.0.77"}}})
	near, far := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(liar, near)
	s.reaches(liar, far)
	vrrp, at := signalbox.MustMAC("00:00:5e:00:01:07"), func(ip string) netip.AddrPort { return netip.MustParseAddrPort(ip + ":7") }
	inside, beside := netip.MustParseAddr("10.0.0.207"), netip.MustParseAddr("10.0.0.208")
	mouth := s.tap(liar)
	for _, ear := range []*testbed.Wire{s.tap(near), s.tap(far)} {
		for name, lie := range map[string][]byte{
			"an address beside the block":   udp(liar.MAC, signalbox.Broadcast, at("10.0.0.208"), anywhere, "lie"),
			"the block with another MAC":    udp(vrrp, signalbox.Broadcast, at("10.0.0.200"), anywhere, "lie"),
			"the other's address":           udp(liar.MAC, signalbox.Broadcast, at("10.0.0.77"), anywhere, "lie"),
			"ARP for an address beside it":  arp(liar.MAC, liar.MAC, beside, beside),
			"ARP with another sender's MAC": arp(liar.MAC, vrrp, inside, beside),
			"a DHCP offer":                  udp(liar.MAC, signalbox.Broadcast, netip.MustParseAddrPort("10.0.0.200:67"), netip.MustParseAddrPort("255.255.255.255:68"), "lie"),
		} {
			s.must(mouth.Send(lie))
			for truth, f := range map[string][]byte{
				"block: " + name: udp(liar.MAC, signalbox.Broadcast, at("10.0.0.200"), anywhere, "block: "+name),
				"pair: " + name:  udp(vrrp, signalbox.Broadcast, at("10.0.0.77"), anywhere, "pair: "+name),
			} {
				s.must(mouth.Send(f))
				_, err := ear.Hear(s.ctx, patience, truth, carries(truth))
				s.must(err)
			}
			if f := ear.First(func(f []byte) bool { return carries("lie")(f) || isARPRequestFor(beside)(f) }); f != nil {
				s.Fatalf("%s was heard:\n%v", name, packet(f))
			}
		}
	}
}

func anythingGoes(s *script) {
	n := s.network(signalbox.VXLAN)
	unsecured := false
	open := s.bootAs(n, s.h1, testbed.Port{Secured: &unsecured})
	near, far := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(near, open)
	s.reachesNot(open, near.IP) // a port without security is in no group
	s.invite("")
	s.reaches(open, near)
	s.reaches(open, far)
	stranger := signalbox.MustMAC("52:54:00:00:00:99")
	mouth := s.tap(open)
	for _, ear := range []*testbed.Wire{s.tap(near), s.tap(far)} {
		s.must(mouth.Send(udp(stranger, signalbox.Broadcast, netip.MustParseAddrPort("203.0.113.7:7"), anywhere, "from nowhere")))
		s.must(mouth.Send(dhcpMessage(layers.DHCPMsgTypeOffer, stranger, 1)))
		_, err := ear.Hear(s.ctx, patience, "any source", carries("from nowhere"))
		s.must(err)
		_, err = ear.Hear(s.ctx, patience, "a DHCP offer", isDHCP)
		s.must(err)
	}
	for _, g := range []*guest{near, far} {
		word := "to a machine behind, from " + g.Name
		s.must(s.tap(g).Send(udp(g.MAC, stranger, netip.AddrPortFrom(g.IP, 7), anywhere, word)))
		_, err := mouth.Hear(s.ctx, patience, word, carries(word))
		s.must(err)
	}
}
