//go:build integration

package tests

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestGateways(t *testing.T) {
	w := newOutsideWorld(t)
	w.script(t, "guests of every host go out by the router's address", func(s *script) { goesOut(s, s.internet(), signalbox.VXLAN) })
	w.script(t, "from a VLAN to a VLAN outside", func(s *script) { goesOut(s, s.taggedInternet(), signalbox.VLAN) })
	w.script(t, "tenants with the same addresses go out by their own", twinsGoOut)
	w.script(t, "without SNAT addresses stay as they are", plainRouting)
	w.script(t, "address scopes are kept apart, and the outside's is not translated", scopesApart)
	w.script(t, "errors from outside find the guest that caused them", errorsFindTheirWay)
	w.script(t, "a peer's new MAC is followed", peerChangesMAC)
	w.script(t, "a cleared gateway leaves nothing", gatewayCleared)
	w.script(t, "kill -9 of the controller loses no translated packet", killLosesNothingTranslated)
}

func TestUnknownAddressesOutside(t *testing.T) {
	w := newOutsideWorld(t)
	w.script(t, "they cause no storm", scanCausesNoStorm)
}

// goesOut: the peer sees the router's address whichever host the guest is on; nothing private is ever outside, and the
// router's gateway speaks from one host.
func goesOut(s *script, o *internet, kind signalbox.NetworkType) {
	red, blue := s.block(kind, "10.1.0.0/24"), s.block(kind, "10.2.0.0/24")
	r := s.router(red, blue)
	s.invite("icmp", "tcp") // and yet nobody outside reaches them
	sent := s.listenOutside(s.h1, s.h2)
	public := s.gateway(r, o)
	host := s.gatewayHost(r)
	heard := s.ear(o.peer)
	for i, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		g := s.lease([]*network{red, blue, red}[i], h)
		start := time.Now()
		s.connects(g.VM, peerAddr)
		s.Logf("%s, the gateway being on %s: 4 pings in %v", h.Name, host.Name, time.Since(start).Round(time.Millisecond))
		s.connects(g.VM, farAddr)
		s.sends(g.VM, o.peer, peerAddr, 1<<18)
		s.sends(g.VM, o.far, farAddr, 1<<18)
		s.connects(g.VM, public) // the router answers for its address outside, too
		s.unreached(o.peer, g.IP)
	}
	s.connects(o.peer, public)
	s.unreached(o.peer, netip.MustParseAddr("192.168.0.99"))
	if asked, ours := heard.Count(isEchoRequest), heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(public)(f) }); asked == 0 || ours != asked {
		s.Errorf("the peer heard %d echoes, %d of them from %s", asked, ours, public)
	}
	if hosts := sent.from(isFrom(public)); len(hosts) != 1 || hosts[0] != host {
		s.Errorf("%s is on %s, and spoke from %d hosts", public, host.Name, len(hosts))
	}
	s.isPublic(sent, r)
}

// ear opens a raw socket on the interface of a machine outside.
func (s *script) ear(m *testbed.VM) *testbed.Wire {
	s.Helper()
	return s.wire(m.Tap())
}

// twinsGoOut: two tenants' guests with the same address and MAC, from the same port of theirs to the same port outside.
func twinsGoOut(s *script) {
	o := s.internet()
	var conns [2]net.Conn
	var seen [2]string
	listener, err := o.peer.NS.Listen(s.ctx, ":80")
	s.must(err)
	defer listener.Close()
	var publics [2]netip.Addr
	for i := range conns {
		n := s.block(signalbox.VXLAN, "10.1.0.0/24")
		r := s.router(n)
		publics[i] = s.gateway(r, o)
		g := s.leaseAs(n, s.h3, testbed.Port{MAC: "fa:16:3e:00:01:11", FixedIPs: []testbed.FixedIP{{Addr: "10.1.0.11"}}})
		s.connects(g.VM, peerAddr)
		s.must(g.NS.Do(func() (err error) {
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.1.0.11:4000")), Timeout: patience}
			conns[i], err = d.DialContext(s.ctx, "tcp", netip.AddrPortFrom(peerAddr, 80).String())
			return err
		}))
		defer conns[i].Close()
		there, err := listener.Accept()
		s.must(err)
		defer there.Close()
		seen[i] = there.RemoteAddr().String()
		if got := netip.MustParseAddrPort(seen[i]).Addr(); got != publics[i] {
			s.Errorf("tenant %d is seen as %s, not %s", i, got, publics[i])
		}
		_, err = fmt.Fprintf(there, "tenant %d", i)
		s.must(err)
	}
	for i, conn := range conns {
		s.must(conn.SetDeadline(time.Now().Add(patience)))
		b := make([]byte, 8)
		if n, err := conn.Read(b); err != nil || string(b[:n]) != fmt.Sprintf("tenant %d", i) {
			s.Errorf("tenant %d read %q, %v", i, b[:n], err)
		}
	}
	s.Logf("seen as %v", seen)
}

// plainRouting: without SNAT guests keep their addresses, and are reached from outside by who knows the way.
func plainRouting(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	off := false
	public := s.gatewayAs(r, testbed.Gateway{NetworkID: o.ID, EnableSNAT: &off})
	s.must(o.gateway.Route(s.ctx, "10.1.0.0/24", public))
	s.must(o.peer.Route(s.ctx, "10.1.0.0/24", public))
	heard := s.ear(o.peer)
	for i, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		g := s.lease(n, h)
		s.connects(g.VM, peerAddr)
		if i == 0 {
			s.unreached(o.peer, g.IP)
			s.invite("icmp", "tcp")
		}
		s.connects(o.peer, g.IP)
		s.connects(o.far, g.IP)
		s.sends(g.VM, o.peer, peerAddr, 1<<18)
		s.sends(o.peer, g.VM, g.IP, 1<<18)
		s.sends(o.far, g.VM, g.IP, 1<<18)
		if heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(g.IP)(f) }) == 0 {
			s.Errorf("the peer heard nothing from %s", g.IP)
		}
	}
	// With SNAT the addresses are hidden again, and nobody comes in.
	s.gatewayAs(r, testbed.Gateway{NetworkID: o.ID})
	g := s.guests[0]
	s.must(testbed.Await(s.ctx, patience, "the peer is kept out", func() error {
		got, err := o.peer.Ping(s.ctx, g.IP, testbed.PingOptions{Count: 1})
		if err == nil && got.Received > 0 {
			err = errors.New("it reaches the guest")
		}
		return err
	}))
	s.connects(g.VM, peerAddr)
	if heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(public)(f) }) == 0 {
		s.Errorf("the peer heard nothing from %s", public)
	}
}

// errorsFindTheirWay: traceroute and path MTU discovery work through SNAT.
func errorsFindTheirWay(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	s.gateway(r, o)
	for _, h := range []*testbed.Host{s.h1, s.h3} {
		g := s.lease(n, h)
		s.connects(g.VM, farAddr)
		s.traces(g.VM, farAddr, r.addr(0), gatewayAddr)
		s.refusesTo(g.VM, farAddr, testbed.PingOptions{Size: large}, gatewayAddr, tooLarge)
		out, err := g.NS.Run(s.ctx, "ip", "route", "get", farAddr.String())
		s.must(err)
		if !strings.Contains(out, "mtu "+itoa(linkMTU)) {
			s.Errorf("%s does not know of the small link: %s", g.Name, out)
		}
		s.sends(g.VM, o.far, farAddr, 4<<20)
		s.refusesTo(g.VM, netip.MustParseAddr("203.0.113.77"), testbed.PingOptions{}, gatewayAddr, "Destination Host Unreachable")
		s.refusesTo(g.VM, netip.MustParseAddr("192.168.0.99"), testbed.PingOptions{}, r.addr(0), "Destination Host Unreachable")
	}
}

// refusesTo waits until a machine's ping is refused in these words.
func (s *script) refusesTo(from *testbed.VM, to netip.Addr, o testbed.PingOptions, by netip.Addr, says string) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, fmt.Sprintf("%s refuses what %s sends to %s", by, from.Name, to), func() error {
		got, err := from.PingRefused(s.ctx, to, o)
		if want := (testbed.Refused{By: by, Says: says}); err == nil && got != want {
			err = fmt.Errorf("%s says %q", got.By, got.Says)
		}
		return err
	}))
}

// traces does as traceroute does: each router on the way to an address says in turn that the TTL has run out.
func (s *script) traces(from *testbed.VM, to netip.Addr, hops ...netip.Addr) {
	s.Helper()
	for i, hop := range hops {
		s.refusesTo(from, to, testbed.PingOptions{TTL: i + 1}, hop, "Time to live exceeded")
	}
	s.losesNone(from, to, testbed.PingOptions{TTL: len(hops) + 1})
}

// scanCausesNoStorm: a guest that tries every address outside does not make the router ask for more than it can bear,
// and another router's guest meets a new neighbour meanwhile.
func scanCausesNoStorm(s *script) {
	o := s.internet()
	left, right := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VXLAN, "10.1.0.0/24")
	scanner, quiet := s.router(left), s.router(right)
	s.gateway(scanner, o)
	s.gateway(quiet, o)
	a, b := s.lease(left, s.h3), s.lease(right, s.h3)
	s.connects(a.VM, peerAddr)
	late := s.machine(s.lab.NewOutsider(s.ctx, "late", outsiderMAC(3), netip.MustParsePrefix("192.168.0.251/24")))
	sent := s.listenOutside(s.h1, s.h2)
	noise := s.tap(a)
	stop, err := a.StartPing(s.ctx, peerAddr, 20*time.Millisecond)
	s.must(err)
	router := signalbox.MustMAC(scanner.ends[0].MAC)
	start, packets := time.Now(), 0
	pace := time.NewTicker(50 * time.Millisecond) // some 4,000 a second: at full speed it is its own wire that loses the pings
	defer pace.Stop()
	for time.Since(start) < 5*time.Second {
		<-pace.C
		for n := byte(10); n < 240; n++ {
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 0, n}), 9)
			s.must(noise.Send(udp(a.MAC, router, netip.AddrPortFrom(a.IP, 9), to, "is anybody there?")))
			packets++
		}
		if _, err := b.ReachableIn(s.ctx, netip.MustParseAddr("192.168.0.251"), time.Second); err != nil {
			s.Errorf("%s was not met %v into the scan: %v", late.Name, time.Since(start).Round(time.Millisecond), err)
		}
	}
	took := time.Since(start)
	got, err := stop()
	s.must(err)
	asked := sent.count(func(f []byte) bool {
		p, ok := packet(f).Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && p.Operation == layers.ARPRequest
	})
	s.Logf("%d packets to 230 unknown addresses in %v: %d ARP requests; of %d pings meanwhile %d were lost", packets, took.Round(time.Millisecond), asked, got.Sent, got.Lost())
	if limit := int(took.Seconds()+1) * 64; asked == 0 || asked > limit {
		s.Errorf("%d ARP requests in %v, more than %d", asked, took, limit)
	}
	if got.Lost() > 1 {
		s.Errorf("%d of %d pings of a known peer were lost", got.Lost(), got.Sent)
	}
}

// peerChangesMAC: a machine outside that announces a new MAC is found there at once.
func peerChangesMAC(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	s.gateway(s.router(n), o)
	g := s.lease(n, s.h3)
	s.connects(g.VM, peerAddr)
	for i := byte(0x21); i < 0x24; i++ {
		mac := outsiderMAC(i)
		took := s.outage(g.VM, peerAddr, func() {
			_, err := o.peer.NS.Run(s.ctx, "ip", "link", "set", "eth0", "address", mac.String())
			s.must(err)
			s.must(s.ear(o.peer).Send(arp(mac, mac, peerAddr, peerAddr)))
		})
		s.Logf("outage %v", took.Round(time.Millisecond))
		if took > time.Second {
			s.Errorf("the outage is longer than a second")
		}
	}
}

// gatewayCleared: without a gateway nothing goes out or answers outside, also of what was established.
func gatewayCleared(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	g := s.lease(n, s.h3)
	s.connects(g.VM, peerAddr)
	s.connects(o.peer, public)
	stream := s.stream(g.VM, o.peer, peerAddr)
	s.flows(stream, "before", 1<<16)
	s.must(s.box.API.ClearGateway(s.ctx, r.ID))
	took := s.dies(stream, time.Now())
	s.Logf("a connection died %v after the gateway was cleared", took.Round(time.Millisecond))
	if took > time.Second {
		s.Errorf("a connection lived %v without the gateway", took)
	}
	s.unreached(g.VM, peerAddr)
	s.unreached(o.peer, public)
	s.refusesTo(g.VM, peerAddr, testbed.PingOptions{}, r.addr(0), "Destination Net Unreachable")
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	for _, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		if flows := s.flowsNaming(h, public.String()); len(flows) != 0 {
			s.Errorf("%s still knows %s: %q", h.Name, public, flows)
		}
	}
	s.gateway(r, o)
	s.connects(g.VM, peerAddr)
}

// killLosesNothingTranslated: the switches translate without us.
func killLosesNothingTranslated(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	s.gateway(s.router(n), o)
	s.invite("icmp", "tcp")
	a, b := s.lease(n, s.h3), s.lease(n, s.h1)
	_, floating := s.float(o, b)
	s.connects(a.VM, farAddr)
	s.connects(o.far, floating)
	streams := map[string]*testbed.Stream{"by SNAT": s.stream(a.VM, o.far, farAddr), "by the floating IP": s.stream(o.far, b.VM, floating)}
	stops := map[string]func() (testbed.PingResult, error){}
	for what, way := range map[string]struct {
		from *testbed.VM
		to   netip.Addr
	}{"by SNAT": {a.VM, farAddr}, "by the floating IP": {o.far, floating}} {
		stop, err := way.from.StartPing(s.ctx, way.to, 20*time.Millisecond)
		s.must(err)
		stops[what] = stop
	}
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	s.box.KillController()
	for what, stream := range streams {
		s.flows(stream, what+" without a controller", 1<<18)
	}
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	for what, stream := range streams {
		s.flows(stream, what+" with a new controller", 1<<18)
	}
	if sent, err := s.box.Admin.FlowMods(context.WithoutCancel(s.ctx)); err != nil || sent != 0 {
		s.Errorf("the controller sent %d flow-mods: %v", sent, err)
	}
	for what, stop := range stops {
		got, err := stop()
		s.must(err)
		s.Logf("%s: %d pings, %d lost, longest silence %v", what, got.Sent, got.Lost(), got.Silence.Round(time.Millisecond))
		if got.Lost() > 1 { // one may be under way at the end
			s.Errorf("%s: %d of %d pings were lost", what, got.Lost(), got.Sent)
		}
		s.must(streams[what].Stop())
	}
}
