//go:build integration

package tests

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestFloatingIPs(t *testing.T) {
	w := newOutsideWorld(t)
	w.script(t, "reached from outside, on a host that has the external network and on one that has not", func(s *script) {
		reachedFromOutside(s, s.internet(), signalbox.VXLAN)
	})
	w.script(t, "on a VLAN outside, for guests on VLANs", func(s *script) { reachedFromOutside(s, s.taggedInternet(), signalbox.VLAN) })
	w.script(t, "guests reach each other's floating IPs, and their own", hairpins)
	w.script(t, "one host answers ARP, once", answeredOnce)
	w.script(t, "sizes are told through the floating IP", sizesAreTold)
	w.script(t, "one address of several of a port", oneOfSeveral)
	w.script(t, "two floating IPs of one port", twoOfOnePort)
}

func TestFloatingIPChanges(t *testing.T) {
	w := newOutsideWorld(t)
	w.script(t, "associated anew on another host, a peer goes on", reassociated)
	w.script(t, "a guest moves, a peer goes on", guestMoves)
	w.script(t, "disassociated, its connections die and no other's", disassociated)
	w.script(t, "deleted with its port, nothing is left", portGoes)
	w.script(t, "the mapping of the guest's host goes and comes", translatorMoves)
}

// reachedFromOutside: who is outside reaches a guest by the floating IP, and sees no other address of the guest's. The
// guest's own host translates where it can; else the gateway host does. Traceroute shows the router by its gateway's
// address, whichever host that speaks from.
func reachedFromOutside(s *script, o *internet, kind signalbox.NetworkType) {
	n := s.block(kind, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	gateway := s.gatewayHost(r)
	sent := s.listenOutside(s.h1, s.h2)
	heard := s.ear(o.peer)
	s.connects(o.peer, public)
	for i, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		g := s.lease(n, h)
		f, floating := s.float(o, g)
		at := h
		if h == s.h3 {
			at = gateway
		}
		if now := s.translator(f); now != at {
			s.Errorf("%s of a guest on %s is translated on %s, not %s", floating, h.Name, now.Name, at.Name)
		}
		if i == 0 {
			s.connects(g.VM, farAddr) // what it asks is answered, but nobody asks it
			s.unreached(o.far, floating)
			s.unreached(o.peer, floating)
			s.invite("icmp", "tcp")
		}
		for _, m := range []*testbed.VM{o.peer, o.far} {
			s.connects(m, floating)
			s.sends(m, g.VM, floating, 1<<18)
		}
		s.connects(g.VM, farAddr)
		s.sends(g.VM, o.far, farAddr, 1<<18)
		before := heard.Count(isEchoRequest)
		s.connects(g.VM, peerAddr)
		s.sends(g.VM, o.peer, peerAddr, 1<<18)
		asked := heard.Count(isEchoRequest) - before
		if ours := heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(floating)(f) }); asked == 0 || ours != asked {
			s.Errorf("of %d echoes from a guest on %s the peer heard %d from %s", asked, h.Name, ours, floating)
		}
		if hosts := sent.from(isFrom(floating)); len(hosts) != 1 || hosts[0] != at {
			s.Errorf("%d hosts speak for %s", len(hosts), floating)
		}
		if f, err := s.box.API.FloatingIP(s.ctx, f.ID); err != nil || f.Status != string(signalbox.Active) || f.RouterID != r.ID {
			s.Errorf("%+v, %v", f, err)
		}
		s.unreached(o.peer, g.IP)
		s.traces(g.VM, farAddr, r.addr(0), gatewayAddr)
		s.traces(o.far, floating, behindAddr, public)
		s.traces(o.peer, floating, public)
	}
	if heard.Count(isFrom(public)) > 0 && heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(public)(f) }) > 0 {
		s.Error("a guest with a floating IP went out by the router's address")
	}
	s.isPublic(sent, r)
}

// hairpins: floating IPs work from inside too: one's own, and those of guests of the same router and of another's, on
// the same host and on others. Who is reached sees the floating IP of who asks.
func hairpins(s *script) {
	o := s.internet()
	type party struct {
		*guest
		floating netip.Addr
	}
	s.invite("icmp", "tcp")
	var parties []party
	sent := s.listenOutside(s.h1, s.h2)
	var routers []*router
	outer := map[*router]netip.Addr{}
	for range 2 {
		n := s.block(signalbox.VXLAN, "10.1.0.0/24")
		r := s.router(n)
		routers = append(routers, r)
		outer[r] = s.gateway(r, o)
		for _, h := range []*testbed.Host{s.h1, s.h1, s.h2, s.h3} {
			g := s.lease(n, h)
			_, floating := s.float(o, g)
			parties = append(parties, party{g, floating})
		}
	}
	for _, from := range parties {
		for _, to := range parties {
			heard := s.tap(to.guest)
			if _, err := from.ReachableIn(s.ctx, to.floating, 10*time.Second); err != nil {
				s.Errorf("%s on %s to %s of one on %s: %v", from.floating, from.Host().Name, to.floating, to.Host().Name, err)
				continue
			}
			if echo := s.echoAt(heard); !isFrom(from.floating)(echo) {
				s.Errorf("%s heard from %s: %v", to.floating, from.floating, packet(echo))
			}
		}
	}
	first, last := parties[0], parties[len(parties)-1]
	s.traces(first.VM, parties[3].floating, routers[0].addr(0), outer[routers[0]])
	s.traces(first.VM, last.floating, routers[0].addr(0), outer[routers[1]])
	for _, pair := range [][2]party{{first, first}, {first, parties[1]}, {first, parties[2]}, {first, parties[3]}, {first, parties[4]}, {first, last}, {last, first}} {
		s.sends(pair[0].VM, pair[1].VM, pair[1].floating, 1<<16)
	}
	s.isPublic(sent, routers...)
}

// answeredOnce: whoever asks for a floating IP or a gateway address gets one answer, from one host, with the MAC of its
// own port; floating IPs that stand for nothing are not answered for.
func answeredOnce(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	s.invite("icmp", "tcp")
	_, idle := s.floatAs(testbed.FloatingIP{NetworkID: o.ID})
	answers := map[netip.Addr]int{public: 1, idle: 0, netip.MustParseAddr("192.168.0.99"): 0}
	for _, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		g := s.lease(n, h)
		_, floating := s.float(o, g)
		answers[floating] = 1
		s.connects(o.peer, floating)
	}
	s.connects(o.peer, public)
	ports, err := s.box.API.Ports(s.ctx, o.ID)
	s.must(err)
	own := map[netip.Addr]string{}
	for _, p := range ports {
		own[netip.MustParseAddr(p.FixedIPs[0].Addr)] = p.MAC
	}
	sent := s.listenOutside(s.h1, s.h2)
	peer := s.ear(o.peer)
	mac := outsiderMAC(2)
	for addr := range answers {
		s.must(peer.Send(arp(mac, mac, peerAddr, addr)))
	}
	s.quiet(time.Now(), 500*time.Millisecond)
	for addr, want := range answers {
		heard := peer.Count(isARP(layers.ARPReply, addr))
		if heard != want || sent.count(isARP(layers.ARPReply, addr)) != want {
			s.Errorf("%s was answered for %d times, want %d", addr, heard, want)
		}
		if f := peer.First(isARP(layers.ARPReply, addr)); f != nil && !hasSource(signalbox.MustMAC(own[addr]))(f) {
			s.Errorf("%s was answered for by %s, not %s", addr, signalbox.MAC(f[6:12]), own[addr])
		}
	}
	s.isCalm(sent)
}

// sizesAreTold: path MTU discovery works through a floating IP: of the guest towards a small link outside, and of who is
// outside towards the tenant's network, which takes less than theirs.
func sizesAreTold(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	public := s.gateway(s.router(n), o)
	s.invite("icmp", "tcp")
	for _, h := range []*testbed.Host{s.h2, s.h3} {
		g := s.lease(n, h)
		_, floating := s.float(o, g)
		s.connects(o.far, floating)
		s.refusesTo(g.VM, farAddr, testbed.PingOptions{Size: large}, gatewayAddr, tooLarge)
		s.sends(g.VM, o.far, farAddr, 4<<20)
		s.sends(o.far, g.VM, floating, 4<<20)

		s.connects(o.peer, floating)
		says := fmt.Sprintf("Frag needed and DF set (mtu = %d)", n.MTU)
		s.refusesTo(o.peer, floating, testbed.PingOptions{Size: 1500 - 20 - 8}, public, says)
		out, err := o.peer.NS.Run(s.ctx, "ip", "route", "get", floating.String())
		s.must(err)
		if !strings.Contains(out, "mtu "+itoa(n.MTU)) {
			s.Errorf("the peer does not know what the guest's network takes: %s", out)
		}
		s.losesNone(o.peer, floating, testbed.PingOptions{Size: n.MTU - 20 - 8})
		// TCP as well: with a guest that promises more than its network takes, the peer must be told.
		_, err = o.peer.NS.Run(s.ctx, "ip", "route", "flush", "cache")
		s.must(err)
		_, err = g.NS.Run(s.ctx, "ip", "route", "replace", "default", "via", n.Subnet.GatewayIP, "advmss", "1460")
		s.must(err)
		s.sends(o.peer, g.VM, floating, 4<<20)
	}
}

// oneOfSeveral: a floating IP stands for the address that was chosen of a port that has two.
func oneOfSeveral(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	public := s.gateway(s.router(n), o)
	s.invite("icmp", "tcp")
	g := s.leaseAs(n, s.h1, testbed.Port{FixedIPs: []testbed.FixedIP{{SubnetID: n.Subnet.ID, Addr: "10.1.0.20"}, {SubnetID: n.Subnet.ID, Addr: "10.1.0.21"}}})
	first, second := netip.MustParseAddr("10.1.0.20"), netip.MustParseAddr("10.1.0.21")
	for _, addr := range []netip.Addr{first, second} {
		s.must(g.Configure(s.ctx, netip.PrefixFrom(addr, 24), n.MTU))
	}
	_, floating := s.floatAs(testbed.FloatingIP{NetworkID: o.ID, PortID: g.Port.ID, FixedAddr: second.String()})
	heard, told := s.tap(g), s.ear(o.peer)
	s.connects(o.peer, floating)
	if echo := s.echoAt(heard); !bytes.Equal(echo[30:34], second.AsSlice()) {
		s.Errorf("the guest heard %v", packet(echo))
	}
	for from, want := range map[netip.Addr]netip.Addr{first: public, second: floating} {
		before := told.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(want)(f) })
		if out, err := g.NS.Run(s.ctx, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-I", from.String(), peerAddr.String()); err != nil {
			s.Errorf("from %s: %s, %v", from, out, err)
		}
		if told.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(want)(f) }) == before {
			s.Errorf("the peer did not hear %s as %s", from, want)
		}
	}
}

// twoOfOnePort: each address of a port has a floating IP of its own, and each keeps to its own.
func twoOfOnePort(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	s.gateway(s.router(n), o)
	s.invite("icmp", "tcp")
	addrs := []netip.Addr{netip.MustParseAddr("10.1.0.20"), netip.MustParseAddr("10.1.0.21")}
	g := s.leaseAs(n, s.h3, testbed.Port{FixedIPs: []testbed.FixedIP{{Addr: addrs[0].String()}, {Addr: addrs[1].String()}}})
	for _, addr := range addrs {
		s.must(g.Configure(s.ctx, netip.PrefixFrom(addr, 24), n.MTU))
		_, floating := s.floatAs(testbed.FloatingIP{NetworkID: o.ID, PortID: g.Port.ID, FixedAddr: addr.String()})
		s.connects(o.peer, floating)
		s.sends(o.peer, g.VM, floating, 1<<16)
	}
}
