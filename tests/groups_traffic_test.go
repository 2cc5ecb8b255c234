//go:build integration

package tests

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/miekg/dns"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestSecurityGroupsLetPassNothingElse(t *testing.T) {
	w := newOutsideWorld(t)
	w.script(t, "each protocol by a rule of its own, and in fragments", byProtocol)
	w.script(t, "IPv6 by rules of its own", byIPv6)
	w.script(t, "what a guest needs passes where nothing may", needsPass)
	w.script(t, "what is revoked ends, and no other packet is lost", losesNoOther)
	w.script(t, "pairs, other MACs and security that is off", wider)
	w.script(t, "routed, by a floating IP, and to itself", roundabout)
	w.script(t, "nothing slips past while a port comes, moves and changes", nothingSlipsPast)
}

const pace = 10 * time.Millisecond

// small is the size of a datagram that is whole on every network, big of one that travels in fragments.
const small, big = 64, 3000

// answersDatagrams waits until a UDP server answers.
func (s *script) answersDatagrams(from *testbed.VM, to netip.Addr, port, size int) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, fmt.Sprintf("%s hears from %s by UDP port %d, %d bytes", from.Name, to, port, size), func() error {
		if s.datagrams(from, to, port, size) == 0 {
			return errors.New("no answer")
		}
		return nil
	}))
}

// datagrams sends some to a UDP server, and counts those that come back.
func (s *script) datagrams(from *testbed.VM, to netip.Addr, port, size int) (heard int) {
	s.Helper()
	d, err := from.StartDatagrams(s.ctx, to, port, pace, size)
	s.must(err)
	deadline := time.Now().Add(300 * time.Millisecond)
	s.must(testbed.Await(s.ctx, patience, "some datagrams", func() error {
		if d.Heard() == 0 && time.Now().Before(deadline) {
			return errors.New("nothing yet")
		}
		return nil
	}))
	if d.Heard() > 0 {
		_, _ = d.Stop() // none of them comes later
	}
	d.Halt()
	return d.Heard()
}

// unanswered fails when a UDP server answers.
func (s *script) unanswered(from *testbed.VM, to netip.Addr, port, size int) {
	s.Helper()
	if n := s.datagrams(from, to, port, size); n != 0 {
		s.Errorf("%s hears %d datagrams of %d bytes from %s, port %d", from.Name, n, size, to, port)
	}
}

// paced is a stream of datagrams that is under way.
func (s *script) paced(from *testbed.VM, to netip.Addr, port int) *testbed.Datagrams {
	s.Helper()
	s.answersDatagrams(from, to, port, small)
	d, err := from.StartDatagrams(s.ctx, to, port, pace, small)
	s.must(err)
	s.Cleanup(d.Halt)
	s.must(testbed.Await(s.ctx, patience, "the first of many datagrams", func() error {
		if d.Heard() == 0 {
			return errors.New("nothing yet")
		}
		return nil
	}))
	return d
}

// ends waits until a stream is answered no more, and gives the time of the last that was.
func (s *script) ends(d *testbed.Datagrams) time.Time {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, "the datagrams stop", func() error {
		if time.Since(d.Last()) < 300*time.Millisecond {
			return errors.New("they go on")
		}
		return nil
	}))
	return d.Last()
}

// whole fails when a stream has lost a datagram.
func (s *script) whole(name string, d *testbed.Datagrams) {
	s.Helper()
	if sent, lost := d.Stop(); lost != 0 || sent == 0 {
		s.Errorf("%s: %d of %d datagrams lost", name, lost, sent)
	}
}

func (s *script) dropRule(id string) {
	s.Helper()
	s.must(s.box.API.Delete(s.ctx, "security-group-rule", id))
}

func (s *script) joinGroups(g *guest, groups ...string) {
	s.Helper()
	s.must(s.box.API.Update(s.ctx, "port", g.Port.ID, map[string]any{"security_groups": append([]string{}, groups...)}))
}

// serveAll has a guest answer TCP and UDP on ports.
func (s *script) serveAll(g *guest, ports ...int) {
	s.Helper()
	for _, port := range ports {
		s.must(g.Serve(s.ctx, port))
		s.must(g.ServeDatagrams(s.ctx, port))
	}
}

func byPort(protocol string, min, max int) testbed.Rule {
	return testbed.Rule{Protocol: protocol, Min: &min, Max: &max}
}

// icmp is ICMP of a type from one guest to another; timestamps are answered as echoes are.
func icmp(from, to *guest, kind uint8) []byte {
	return frame(ethernet(from.MAC, to.MAC, layers.EthernetTypeIPv4),
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: from.IP.AsSlice(), DstIP: to.IP.AsSlice()},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: 7, Seq: 7})
}

func isICMP(kind uint8) func([]byte) bool {
	return func(f []byte) bool {
		i, ok := packet(f).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		return ok && i.TypeCode.Type() == kind
	}
}

func byProtocol(s *script) {
	n := s.network(signalbox.VXLAN)
	servers := s.group(byPort("udp", 7000, 7000), byPort("udp", 7010, 7013), byPort("icmp", 8, 0), byPort("17", 7020, 7020))
	none := s.group()
	server := s.bootAs(n, s.h1, in(servers))
	s.serveAll(server, 7000, 7001, 7009, 7010, 7013, 7014, 7020)
	heard := s.tap(server)
	for _, h := range []*testbed.Host{s.h1, s.h2} {
		c := s.bootAs(n, h, in(none))
		s.reaches(c, server)
		s.bigPings(c, server)
		for _, port := range []int{7000, 7010, 7013, 7020} {
			s.answersDatagrams(c.VM, server.IP, port, small)
		}
		s.answersDatagrams(c.VM, server.IP, 7000, big)
		was := heard.Count(fragments(c.IP))
		if was == 0 {
			s.Error("no datagram came in fragments")
		}
		for _, port := range []int{7001, 7009, 7014} {
			s.unanswered(c.VM, server.IP, port, small)
		}
		s.unanswered(c.VM, server.IP, 7001, big)
		if n := heard.Count(fragments(c.IP)) - was; n != 0 {
			s.Errorf("%d fragments came of what no rule allows", n)
		}
		if s.opens(c.VM, server.IP, 7000) {
			s.Error("TCP comes about by a rule for UDP")
		}
		mouth := s.tap(c)
		s.must(mouth.Send(icmp(c, server, layers.ICMPv4TypeTimestampRequest)))
		s.must(mouth.Send(icmp(c, server, layers.ICMPv4TypeEchoReply))) // to no echo
		echoes := heard.Count(isEchoRequest)
		s.must(mouth.Send(icmp(c, server, layers.ICMPv4TypeEchoRequest)))
		s.must(testbed.Await(s.ctx, patience, "an echo", func() error {
			if heard.Count(isEchoRequest) == echoes {
				return errors.New("none")
			}
			return nil
		}))
		if heard.Count(isICMP(layers.ICMPv4TypeTimestampRequest))+heard.Count(isICMP(layers.ICMPv4TypeEchoReply)) != 0 {
			s.Error("ICMP comes of a type that no rule allows")
		}
	}
}

// fragments are those of datagrams from an address.
func fragments(from netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		ip, ok := packet(f).Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		return ok && (ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0) && ip.Protocol == layers.IPProtocolUDP && ip.SrcIP.Equal(from.AsSlice())
	}
}

// dual makes a network with an IPv4 and an IPv6 subnet.
func (s *script) dual(kind signalbox.NetworkType) *network {
	s.Helper()
	n := s.network(kind)
	_, err := s.box.API.CreateSubnet(s.ctx, testbed.Subnet{NetworkID: n.ID, IPVersion: 6, CIDR: "2001:db8::/64"})
	s.must(err)
	return n
}

// bootDual boots a guest of a network with two subnets.
func (s *script) bootDual(n *network, h *testbed.Host, p testbed.Port) (g *guest, v6 netip.Addr) {
	s.Helper()
	g, v6 = s.dualPort(n, p)
	s.plug(g, h, byID(g))
	s.take6(g, v6)
	return g, v6
}

func (s *script) dualPort(n *network, p testbed.Port) (g *guest, v6 netip.Addr) {
	s.Helper()
	g = s.port(n, p)
	for _, ip := range g.Port.FixedIPs {
		if a := netip.MustParseAddr(ip.Addr); a.Is4() {
			g.IP = a
		} else {
			v6 = a
		}
	}
	return g, v6
}

func (s *script) take6(g *guest, v6 netip.Addr) {
	s.Helper()
	_, err := g.NS.Run(s.ctx, "ip", "address", "add", v6.String()+"/64", "dev", "eth0", "nodad")
	s.must(err)
}

func byIPv6(s *script) {
	n := s.dual(signalbox.VXLAN)
	six := func(r testbed.Rule) testbed.Rule { r.EtherType = "IPv6"; return r }
	members := s.group()
	neighbour, own := s.bootDual(n, s.h1, in(members))
	block := six(byPort("tcp", 7002, 7002))
	block.RemotePrefix = own.String() + "/128"
	named := six(byPort("udp", 7003, 7003))
	named.RemoteGroup = members
	echo := 128
	servers := s.group(six(byPort("tcp", 7000, 7000)), six(byPort("udp", 7000, 7000)), six(testbed.Rule{Protocol: "ipv6-icmp", Min: &echo}), byPort("tcp", 7001, 7001), block, named)
	server, at := s.bootDual(n, s.h1, in(servers))
	s.serveAll(server, 7000, 7001, 7002, 7003)
	far, distant := s.bootDual(n, s.h2, in(s.group()))
	for c, ip := range map[*guest]netip.Addr{neighbour: own, far: distant} {
		s.opensIn(c.VM, at, 7000)
		s.answersDatagrams(c.VM, at, 7000, small)
		s.answersDatagrams(c.VM, at, 7000, big)
		s.unanswered(c.VM, at, 7001, big)
		s.connects(c.VM, at)
		if out, err := c.NS.Run(s.ctx, "ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "2", "-s", "3000", at.String()); err != nil {
			s.Errorf("IPv6 echoes in fragments: %v %s", err, out)
		}
		s.unreached(server.VM, ip)
		if s.opens(c.VM, at, 7001) || s.opens(c.VM, server.IP, 7000) {
			s.Error("a rule for one version of IP lets the other in")
		}
		s.opensIn(c.VM, server.IP, 7001)
	}
	s.opensIn(neighbour.VM, at, 7002)
	s.answersDatagrams(neighbour.VM, at, 7003, small)
	if s.opens(far.VM, at, 7002) {
		s.Error("a rule for another's address lets a guest in by IPv6")
	}
	s.unanswered(far.VM, at, 7003, small)
	s.joinGroups(far, members)
	goes, stays, other := s.paced(far.VM, at, 7003), s.paced(far.VM, at, 7000), s.paced(neighbour.VM, at, 7003)
	s.joinGroups(far, s.group())
	s.ends(goes)
	s.whole("by another rule", stays)
	s.whole("of another member", other)
}

func needsPass(s *script) {
	n := s.networkAs(testbed.Network{Type: string(signalbox.VXLAN), DNSDomain: "example.org."}, testbed.Subnet{CIDR: cidr, DNS: []string{}})
	_, err := s.box.API.CreateSubnet(s.ctx, testbed.Subnet{NetworkID: n.ID, IPVersion: 6, CIDR: "2001:db8::/64"})
	s.must(err)
	open := in(s.group(testbed.Rule{}, testbed.Rule{EtherType: "IPv6"}))
	open.DNSName = "other"
	other, sixth := s.bootDual(n, s.h2, open)
	g, v6 := s.dualPort(n, in())
	s.must(g.Plug(s.ctx, s.h1, byID(g)))
	s.becomes(g, signalbox.Active)
	lease, err := g.DHCP(s.ctx, testbed.Udhcpc, patience)
	s.must(err)
	if lease.Address.Addr() != g.IP {
		s.Errorf("leased %v, not %v", lease.Address, g.IP)
	}
	s.take6(g, v6)
	s.resolves(g, s.server(n), "other.example.org.", dns.TypeA, dns.RcodeSuccess, "other.example.org. A "+other.IP.String())
	heard := s.tap(other)
	s.reachesNot(g, other.IP)
	s.unreached(g.VM, sixth)
	s.reachesNot(other, g.IP)
	for _, to := range []netip.Addr{other.IP, sixth} {
		out, err := g.NS.Run(s.ctx, "ip", "neigh", "show", to.String())
		if err != nil || !strings.Contains(out, other.MAC.String()) {
			s.Errorf("the neighbour %s is not found: %v %s", to, err, out)
		}
	}
	if n := heard.Count(func(f []byte) bool {
		return bytes.Equal(f[6:12], g.MAC[:]) && packet(f).Layer(layers.LayerTypeARP) == nil && packet(f).Layer(layers.LayerTypeICMPv6) == nil
	}); n != 0 {
		s.Errorf("%d packets came from a guest that may send nothing", n)
	}
	if n := heard.Count(func(f []byte) bool { return packet(f).Layer(layers.LayerTypeICMPv6Echo) != nil }); n != 0 {
		s.Errorf("%d IPv6 echoes came from a guest that may send nothing", n)
	}
}

// losesNoOther: a port has streams by several rules, another tenant has the same with the same addresses on the same
// host. One after the other is revoked, by all that revokes.
func losesNoOther(s *script) {
	n, twin := s.network(signalbox.VXLAN), s.network(signalbox.VXLAN)
	members, none := s.group(), s.group()
	named := byPort("udp", 7002, 7002)
	named.RemoteGroup = members
	servers := s.group(byPort("udp", 7001, 7001), named)
	second := s.group(byPort("udp", 7003, 7003))
	one := s.rule(servers, byPort("udp", 7000, 7000))

	near, far, remote := s.bootAs(n, s.h1, in(none, members)), s.bootAs(n, s.h2, in(none)), s.bootAs(n, s.h2, in(members))
	server := s.bootAs(n, s.h1, in(servers, second))
	prefixed := byPort("udp", 7000, 7000)
	prefixed.RemotePrefix = far.IP.String() + "/32"
	s.rule(servers, prefixed) // so that what far has by one rule it has by another, too
	near2, far2, remote2 := s.bootAs(twin, s.h1, in(s.group())), s.bootAs(twin, s.h2, in(s.group())), s.bootAs(twin, s.h2, in(s.group()))
	server2 := s.bootAs(twin, s.h1, in(s.group(byPort("udp", 7000, 7003))))
	if near.IP != near2.IP || far.IP != far2.IP || remote.IP != remote2.IP || server.IP != server2.IP {
		s.Fatal("the tenants' addresses are not the same")
	}
	for _, g := range []*guest{server, server2} {
		s.serveAll(g, 7000, 7001, 7002, 7003)
	}
	stays := map[string]*testbed.Datagrams{
		"the same port, another rule":         s.paced(near.VM, server.IP, 7001),
		"from another host, another rule":     s.paced(far.VM, server.IP, 7001),
		"from another host, a rule beside it": s.paced(far.VM, server.IP, 7000),
		"the other tenant's, rule":            s.paced(near2.VM, server2.IP, 7000),
		"the other tenant's, from afar":       s.paced(far2.VM, server2.IP, 7000),
		"the other tenant's, member":          s.paced(remote2.VM, server2.IP, 7002),
		"the other tenant's, group":           s.paced(near2.VM, server2.IP, 7003),
	}
	byMember, byRemote, byGroup := s.paced(near.VM, server.IP, 7002), s.paced(remote.VM, server.IP, 7002), s.paced(near.VM, server.IP, 7003)
	revoke := func(what string, d *testbed.Datagrams, change func()) {
		s.Helper()
		began := time.Now()
		change()
		s.Logf("%s: the last packet came back after %v", what, s.ends(d).Sub(began).Round(time.Millisecond))
	}
	revoke("a rule is deleted", s.paced(near.VM, server.IP, 7000), func() { s.dropRule(one) })
	revoke("a member leaves the group that a rule names", byMember, func() { s.joinGroups(near, none) })
	revoke("the port of a member is deleted", byRemote, func() {
		s.must(s.box.API.Delete(s.ctx, "port", remote.Port.ID))
	})
	revoke("the receiver leaves a group", byGroup, func() { s.joinGroups(server, servers) })
	for name, d := range stays {
		s.whole(name, d)
	}
	s.must(remote.Remove(s.ctx))
	s.forget(remote)
}

// forget takes a guest that is gone from those that are removed at the end.
func (s *script) forget(g *guest) {
	for i, other := range s.guests {
		if other == g {
			s.guests = append(s.guests[:i], s.guests[i+1:]...)
			return
		}
	}
}

func wider(s *script) {
	n := s.network(signalbox.VXLAN)
	members := s.group()
	named := byPort("udp", 7000, 7000)
	named.RemoteGroup = members
	server := s.bootAs(n, s.h1, in(s.group(named)))
	s.serveAll(server, 7000)
	const mac = "00:00:5e:00:01:07"
	heard := s.tap(server)
	says := func(g *guest, mac signalbox.MAC, ip netip.Addr, word string) {
		s.Helper()
		s.must(s.tap(g).Send(udp(mac, server.MAC, netip.AddrPortFrom(ip, 7000), netip.AddrPortFrom(server.IP, 7000), word)))
	}
	hears := func(word string) {
		s.Helper()
		_, err := heard.Hear(s.ctx, patience, word, carries(word))
		s.must(err)
	}
	for _, h := range []*testbed.Host{s.h1, s.h2} {
		beside := in(members)
		beside.Pairs = []testbed.Pair{{Addr: vip.String()}, {MAC: mac, Addr: "10.0.0.201"}}
		g := s.bootAs(n, h, beside)
		s.answersDatagrams(g.VM, server.IP, 7000, small)
		says(g, g.MAC, vip, "pair on "+h.Name)
		hears("pair on " + h.Name)
		says(g, signalbox.MustMAC(mac), netip.MustParseAddr("10.0.0.201"), "second MAC on "+h.Name)
		hears("second MAC on " + h.Name)
		for _, lie := range []struct {
			mac signalbox.MAC
			ip  string
		}{{g.MAC, "10.0.0.202"}, {signalbox.MustMAC(mac), g.IP.String()}, {signalbox.MustMAC("00:00:5e:00:01:08"), g.IP.String()}, {server.MAC, g.IP.String()}} {
			says(g, lie.mac, netip.MustParseAddr(lie.ip), "lie")
		}
		// What is sent to a pair's address is judged as what is sent to its own.
		s.take(g, "add", vip)
		s.announce(g, g.MAC, vip)
		s.serveAll(g, 7001, 7002)
		s.joinGroups(g, members, s.group(forPort(7001)))
		s.opensIn(server.VM, vip, 7001)
		if s.opens(server.VM, vip, 7002) {
			s.Error("a pair's address opens a port that no rule allows")
		}
		s.take(g, "del", vip)
		says(g, g.MAC, vip, "after the lies on "+h.Name)
		hears("after the lies on " + h.Name)
		if heard.Count(carries("lie")) != 0 {
			s.Errorf("a lie from a member on %s was heard", h.Name)
		}
		s.must(s.box.API.Update(s.ctx, "port", g.Port.ID, map[string]any{"allowed_address_pairs": []testbed.Pair{}}))
	}

	// Off, on and off again.
	open := s.bootAs(n, s.h1, in())
	s.serveAll(open, 7001)
	s.unanswered(server.VM, open.IP, 7001, small)
	secure := func(on bool, groups ...string) {
		s.Helper()
		s.must(s.box.API.Update(s.ctx, "port", open.Port.ID, map[string]any{"port_security_enabled": on, "security_groups": append([]string{}, groups...)}))
	}
	secure(false)
	stream := s.paced(server.VM, open.IP, 7001)
	secure(true)
	s.ends(stream)
	s.reachesNot(open, server.IP)
	secure(true, s.group(byPort("udp", 7001, 7001)))
	s.answersDatagrams(server.VM, open.IP, 7001, small)
}

func roundabout(s *script) {
	o := s.internet()
	n, behind := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VXLAN, "10.2.0.0/24")
	r := s.router(n, behind)
	s.gateway(r, o)
	members := s.group()
	named := byPort("udp", 7001, 7001)
	named.RemoteGroup = members
	servers := s.group(named, byPort("udp", 7002, 7002))
	revoked := s.rule(servers, byPort("udp", 7000, 7000))
	server := s.leaseAs(n, s.h1, in(servers))
	s.serveAll(server, 7000, 7001, 7002, 7003)
	_, public := s.float(o, server)
	member, stranger := s.leaseAs(behind, s.h2, in(members)), s.leaseAs(behind, s.h1, in(s.group()))
	s.answersDatagrams(member.VM, server.IP, 7001, small)
	s.unanswered(stranger.VM, server.IP, 7001, small)
	s.answersDatagrams(stranger.VM, server.IP, 7000, small)
	s.unanswered(stranger.VM, server.IP, 7003, small)
	s.unanswered(o.peer, public, 7001, small)
	s.unanswered(o.peer, public, 7003, small)
	s.unanswered(server.VM, public, 7003, small)
	s.unanswered(server.VM, public, 7001, small)
	s.connects(server.VM, r.addr(0)) // a router answers, though no rule lets it in
	s.connects(server.VM, r.addr(1))
	s.connects(server.VM, peerAddr) // now the switch knows whose MAC that is; before, the controller sends on only so many packets
	ends := map[string]*testbed.Datagrams{
		"routed": s.paced(stranger.VM, server.IP, 7000), "by the floating IP": s.paced(o.peer, public, 7000), "to itself": s.paced(server.VM, public, 7000),
	}
	stays := map[string]*testbed.Datagrams{
		"routed": s.paced(stranger.VM, server.IP, 7002), "by the floating IP": s.paced(o.peer, public, 7002), "to itself": s.paced(server.VM, public, 7002),
		"a member's, routed": s.paced(member.VM, server.IP, 7001),
	}
	s.dropRule(revoked)
	for _, d := range ends {
		s.ends(d)
	}
	for name, d := range stays {
		s.whole(name, d)
	}
}

// nothingSlipsPast: while packets that no rule allows come from its own host and from another, a port is plugged, moved,
// changed in every way, unplugged and plugged in again; and it sends what it may not as soon as it has an interface.
func nothingSlipsPast(s *script) {
	const allowed, forbidden = 7000, 7001
	n := s.network(signalbox.VXLAN)
	servers, same := s.group(byPort("udp", allowed, allowed)), s.group(byPort("udp", allowed, allowed))
	near, far := s.bootAs(n, s.h1, in(s.group())), s.bootAs(n, s.h2, in(s.group()))
	s.muzzle(servers, same)
	server := s.port(n, in(servers))
	heard := s.wire(server.TapAll())
	ears := []*testbed.Wire{s.tap(near), s.tap(far)}
	var floods []func()
	for _, c := range []*guest{near, far} {
		mouth := s.tap(c)
		src := netip.AddrPortFrom(c.IP, 9)
		floods = append(floods, s.repeat(func() error {
			var errs []error
			for _, port := range []uint16{allowed, forbidden} {
				word := fmt.Sprint("to ", port)
				errs = append(errs, mouth.Send(udp(c.MAC, server.MAC, src, netip.AddrPortFrom(server.IP, port), word)),
					mouth.Send(udp(c.MAC, signalbox.Broadcast, src, netip.AddrPortFrom(netip.MustParseAddr("255.255.255.255"), port), word)))
			}
			return errors.Join(errs...)
		}))
	}
	// arrives waits for more of what is allowed from both.
	arrives := func(when string) {
		s.Helper()
		for _, c := range []*guest{near, far} {
			passed := func() int {
				return heard.Count(func(f []byte) bool {
					return bytes.Equal(f[6:12], c.MAC[:]) && bytes.Contains(f, []byte(fmt.Sprint("to ", allowed)))
				})
			}
			was := passed()
			s.must(testbed.Await(s.ctx, patience, "what is allowed arrives from "+c.Name+" "+when, func() error {
				if passed() == was {
					return errors.New("nothing")
				}
				return nil
			}))
		}
	}
	sends := func() (stop func()) { // as soon as there is an interface
		mouth, err := server.Tap()
		s.must(err)
		halt := s.repeat(func() error {
			err := mouth.Send(udp(server.MAC, near.MAC, netip.AddrPortFrom(server.IP, 9), netip.AddrPortFrom(near.IP, 9), "forbidden"))
			return errors.Join(err, mouth.Send(udp(server.MAC, signalbox.Broadcast, netip.AddrPortFrom(server.IP, 9), anywhere, "forbidden")))
		})
		return func() { halt(); mouth.Close() }
	}
	s.must(server.Plug(s.ctx, s.h1, byID(server)))
	quiet := sends()
	s.must(server.Configure(s.ctx, netip.PrefixFrom(server.IP, 24), n.MTU))
	s.becomes(server, signalbox.Active)
	arrives("once it is plugged")
	for _, change := range []struct {
		what string
		to   map[string]any
	}{
		{"another group with the same rules", map[string]any{"security_groups": []string{same}}},
		{"pairs", map[string]any{"allowed_address_pairs": []testbed.Pair{{Addr: vip.String()}}}},
		{"both groups", map[string]any{"security_groups": []string{same, servers}}},
		{"down", map[string]any{"admin_state_up": false}},
		{"up", map[string]any{"admin_state_up": true}},
		{"another name", map[string]any{"name": "renamed"}},
	} {
		s.must(s.box.API.Update(s.ctx, "port", server.Port.ID, change.to))
		if change.what != "down" {
			arrives("after " + change.what)
		}
	}
	quiet()
	for _, to := range []*testbed.Host{s.h2, s.h3, s.h1} {
		s.must(server.Migrate(s.ctx, to, byID(server)))
		quiet := sends()
		s.becomes(server, signalbox.Active)
		arrives("on " + to.Name)
		quiet()
	}
	s.must(server.Unplug(s.ctx))
	s.must(server.Plug(s.ctx, s.h1, byName(server)))
	quiet = sends()
	s.must(server.Configure(s.ctx, netip.PrefixFrom(server.IP, 24), n.MTU))
	s.becomes(server, signalbox.Active)
	arrives("plugged in again")
	s.box.KillController()
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	arrives("after the controller has been away")
	quiet()
	for _, halt := range floods {
		halt()
	}
	if n := heard.Count(func(f []byte) bool { return bytes.Contains(f, []byte(fmt.Sprint("to ", forbidden))) }); n != 0 {
		s.Errorf("%d packets came in that no rule allows", n)
	}
	for i, ear := range ears {
		if n := ear.Count(func(f []byte) bool { return bytes.Contains(f, []byte("forbidden")) }); n != 0 {
			s.Errorf("%d packets came to guest %d of a port that may send nothing", n, i+1)
		}
	}
}

// muzzle takes from groups the rules that let their members send.
func (s *script) muzzle(groups ...string) {
	s.Helper()
	for _, id := range groups {
		g, err := s.box.API.SecurityGroup(s.ctx, id)
		s.must(err)
		for _, r := range g.Rules {
			if r.Direction == "egress" {
				s.dropRule(r.ID)
			}
		}
	}
}

// repeat does something every few milliseconds until it is told to stop.
func (s *script) repeat(do func() error) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(2 * pace)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				_ = do() // the interface comes and goes
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		close(quit)
		<-ended
	})
	s.Cleanup(stop)
	return stop
}
