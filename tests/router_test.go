//go:build integration

package tests

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// joined are the pairs of networks that are routed between. A physical network has one flat network.
var joined = [][2]signalbox.NetworkType{
	{signalbox.VXLAN, signalbox.VXLAN},
	{signalbox.GRE, signalbox.GRE},
	{signalbox.Geneve, signalbox.Geneve},
	{signalbox.VLAN, signalbox.VLAN},
	{signalbox.Flat, signalbox.VLAN},
	{signalbox.VXLAN, signalbox.VLAN},
	{signalbox.Local, signalbox.Local},
}

func TestRouters(t *testing.T) {
	w := newWorld(t)
	for _, kinds := range joined {
		w.script(t, fmt.Sprintf("%s and %s are joined", kinds[0], kinds[1]), func(s *script) { joinsNetworks(s, kinds) })
	}
	for _, kind := range []signalbox.NetworkType{signalbox.VXLAN, signalbox.VLAN} {
		w.script(t, "refusals on "+string(kind), func(s *script) { refuses(s, kind) })
		w.script(t, "tenants with the same addresses on "+string(kind), func(s *script) { tenantsApart(s, kind) })
	}
	w.script(t, "no MAC moves on the trunk", trunkIsCalm)
}

// router is a router with its interfaces, in the order of the networks that it joins.
type router struct {
	testbed.Router
	ends []testbed.Port
}

// router joins networks by their subnets' gateway addresses.
func (s *script) router(networks ...*network) *router {
	s.Helper()
	made, err := s.box.API.CreateRouter(s.ctx, testbed.Router{Name: "router"})
	s.must(err)
	r := &router{Router: made}
	s.routers = append(s.routers, r)
	for _, n := range networks {
		s.join(r, testbed.Interface{SubnetID: n.Subnet.ID})
	}
	return r
}

// join gives a router an interface.
func (s *script) join(r *router, by testbed.Interface) {
	s.Helper()
	by, err := s.box.API.AddInterface(s.ctx, r.ID, by)
	s.must(err)
	end, err := s.box.API.Port(s.ctx, by.PortID)
	s.must(err)
	r.ends = append(r.ends, end)
}

// joinAt gives a router an interface with another address than the gateway's.
func (s *script) joinAt(r *router, n *network, addr string) {
	s.Helper()
	p, err := s.box.API.CreatePort(s.ctx, testbed.Port{NetworkID: n.ID, FixedIPs: []testbed.FixedIP{{Addr: addr}}})
	s.must(err)
	s.join(r, testbed.Interface{PortID: p.ID})
}

// routes sets a router's static routes: destination, next hop, destination, next hop, …
func (s *script) routes(r *router, pairs ...string) {
	s.Helper()
	s.must(s.box.API.Update(s.ctx, "router", r.ID, map[string]any{"routes": routeList(pairs...)}))
}

func routeList(pairs ...string) []testbed.Route {
	routes := []testbed.Route{}
	for i := 0; i < len(pairs); i += 2 {
		routes = append(routes, testbed.Route{Destination: pairs[i], NextHop: pairs[i+1]})
	}
	return routes
}

// addr is the address of a router's interface.
func (r *router) addr(end int) netip.Addr { return netip.MustParseAddr(r.ends[end].FixedIPs[0].Addr) }

// block makes a network of a type with a subnet of its own.
func (s *script) block(kind signalbox.NetworkType, cidr string) *network {
	s.Helper()
	return s.networkAs(testbed.Network{Type: string(kind)}, testbed.Subnet{CIDR: cidr})
}

// lease makes a port and a VM on a host, which gets its address, its routes and its MTU by DHCP.
func (s *script) lease(n *network, h *testbed.Host) *guest {
	s.Helper()
	return s.leaseAs(n, h, testbed.Port{})
}

func (s *script) leaseAs(n *network, h *testbed.Host, wanted testbed.Port) *guest {
	s.Helper()
	g := s.port(n, wanted)
	s.must(g.Plug(s.ctx, h, byID(g)))
	s.becomes(g, signalbox.Active)
	lease, err := g.DHCP(s.ctx, testbed.Udhcpc, patience)
	s.must(err)
	if lease.Router != n.Subnet.GatewayIP {
		s.Errorf("%s was told of the router %q, not %q", g.Name, lease.Router, n.Subnet.GatewayIP)
	}
	return g
}

// transfers sends bytes by TCP, there and back.
func (s *script) transfers(from, to *guest, size int64) {
	s.Helper()
	s.counter++
	port := 5000 + s.counter
	s.must(to.Serve(s.ctx, port))
	stream, err := from.StartStream(s.ctx, to.IP, port)
	s.must(err)
	err = testbed.Await(s.ctx, patience, fmt.Sprintf("%d bytes from %s to %s and back", size, from.Name, to.Name), func() error {
		if n := stream.Bytes(); n < size {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
	s.must(errors.Join(err, stream.Stop()))
}

// joinsNetworks: guests of one host and of two reach each other through the router, which takes one from the TTL,
// and answers pings of both its addresses.
func joinsNetworks(s *script, kinds [2]signalbox.NetworkType) {
	red, blue := s.block(kinds[0], "10.1.0.0/24"), s.block(kinds[1], "10.2.0.0/24")
	r := s.router(red, blue)
	a, near, far := s.lease(red, s.h1), s.lease(blue, s.h1), s.lease(blue, s.h2)
	peers := []*guest{near, far}
	if kinds[1] == signalbox.Local {
		peers = peers[:1]
		s.isRefused(a, far.IP, testbed.PingOptions{}, r.addr(0), "Destination Host Unreachable")
	}
	for _, peer := range peers {
		there, back := s.tap(peer), s.tap(a)
		s.reaches(a, peer)
		s.transfers(a, peer, 1<<18)
		s.reaches(peer, a)
		s.transfers(peer, a, 1<<18)
		for name, wire := range map[string]*testbed.Wire{"there": there, "back": back} {
			if heard, once := wire.Count(isEchoRequest), wire.Count(hasTTL(63)); heard == 0 || once != heard {
				s.Errorf("%s: %d of %d echoes were routed once", name, once, heard)
			}
		}
	}
	for _, g := range append(peers, a) {
		for end := range r.ends {
			s.answers(g, r.addr(end))
		}
	}
}

// answers fails unless an address answers each of a guest's pings.
func (s *script) answers(from *guest, to netip.Addr) {
	s.Helper()
	s.losesNone(from.VM, to, testbed.PingOptions{})
}

// isRefused waits until a router refuses a guest's ping in these words.
func (s *script) isRefused(from *guest, to netip.Addr, o testbed.PingOptions, by netip.Addr, says string) {
	s.Helper()
	s.refusesTo(from.VM, to, o, by, says)
}

// refuses: a router says why it does not pass a packet on, from its own address.
func refuses(s *script, kind signalbox.NetworkType) {
	red, blue := s.block(kind, "10.1.0.0/24"), s.block(kind, "10.2.0.0/24")
	r := s.router(red, blue)
	a, b := s.lease(red, s.h1), s.lease(blue, s.h2)
	s.reaches(a, b)
	wire := s.tap(b)
	s.isRefused(a, b.IP, testbed.PingOptions{TTL: 1}, r.addr(0), "Time to live exceeded")
	s.isRefused(b, a.IP, testbed.PingOptions{TTL: 1}, r.addr(1), "Time to live exceeded")
	s.isRefused(a, netip.MustParseAddr("10.77.0.1"), testbed.PingOptions{}, r.addr(0), "Destination Net Unreachable")
	s.isRefused(a, netip.MustParseAddr("10.2.0.200"), testbed.PingOptions{}, r.addr(0), "Destination Host Unreachable")
	if n := wire.Count(isEchoRequest); n != 0 {
		s.Errorf("%d echoes that were refused arrived", n)
	}
	for end := range r.ends {
		s.hasNoService(a, r.addr(end))
	}
	s.losesNone(a.VM, r.addr(0), testbed.PingOptions{TTL: 1})
}

// hasNoService: to sockets of a guest's, an address has no such port.
func (s *script) hasNoService(from *guest, at netip.Addr) {
	s.Helper()
	where := netip.AddrPortFrom(at, 33434).String()
	for _, network := range []string{"udp", "tcp"} {
		if err := knock(from, network, where); !errors.Is(err, syscall.ECONNREFUSED) {
			s.Errorf("%s to %s: %v", network, where, err)
		}
	}
}

// knock sends something to an address, and tells what came of it.
func knock(from *guest, network, where string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := from.NS.Dial(ctx, network, where)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("anybody there?")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// tenantsApart: two routers join networks of the same blocks, with guests of the same addresses and MACs on the
// same hosts. Each tenant's echoes arrive at its own guest, and what one loses the other keeps.
func tenantsApart(s *script, kind signalbox.NetworkType) {
	var a, b [2]*guest
	var routers [2]*router
	var wires [2]*testbed.Wire
	port := func(mac, addr string) testbed.Port {
		return testbed.Port{MAC: mac, FixedIPs: []testbed.FixedIP{{Addr: addr}}}
	}
	for i := range routers {
		left, right := s.block(kind, "10.1.0.0/24"), s.block(kind, "10.2.0.0/24")
		routers[i] = s.router(left, right)
		a[i] = s.leaseAs(left, s.h1, port("fa:16:3e:00:01:11", "10.1.0.11"))
		b[i] = s.leaseAs(right, s.h2, port("fa:16:3e:00:02:12", "10.2.0.12"))
		wires[i] = s.tap(b[i])
	}
	for i := range routers {
		heard := wires[1-i].Count(isEchoRequest)
		s.reaches(a[i], b[i])
		s.reaches(b[i], a[i])
		s.transfers(a[i], b[i], 1<<16)
		if wires[i].Count(isEchoRequest) == 0 || wires[1-i].Count(isEchoRequest) != heard {
			s.Errorf("tenant %d pinged: heard %d echoes, the other %d more", i, wires[i].Count(isEchoRequest), wires[1-i].Count(isEchoRequest)-heard)
		}
	}
	s.must(b[1].Unplug(s.ctx))
	s.becomes(b[1], signalbox.Down)
	s.cutOff(a[1], b[1].IP)
	s.reaches(a[0], b[0])
	s.must(s.box.API.Update(s.ctx, "router", routers[0].ID, map[string]any{"admin_state_up": false}))
	s.cutOff(a[0], b[0].IP)
	s.answers(a[1], routers[1].addr(1))
}

// trunkIsCalm: every host routes, and yet each source MAC on the physical network comes from one host only, or a
// physical switch would see it move; and none is a router's.
func trunkIsCalm(s *script) {
	red, blue := s.block(signalbox.VLAN, "10.1.0.0/24"), s.block(signalbox.VLAN, "10.2.0.0/24")
	r := s.router(red, blue)
	hosts := []*testbed.Host{s.h1, s.h2, s.h3}
	trunk := make([]*testbed.Wire, len(hosts))
	for i, h := range hosts {
		trunk[i] = s.wire(h.TapTrunk())
	}
	var reds, blues []*guest
	for _, h := range hosts {
		reds, blues = append(reds, s.lease(red, h)), append(blues, s.lease(blue, h))
	}
	for _, from := range reds {
		for _, to := range blues {
			s.reaches(from, to)
			s.reaches(to, from)
		}
		s.transfers(from, blues[0], 1<<16)
		s.answers(from, r.addr(0))
	}
	home := map[signalbox.MAC]string{}
	for i, h := range hosts {
		if trunk[i].Count(isEchoRequest) == 0 {
			s.Errorf("no echo was heard from %s", h.Name)
		}
		for mac := range sources(trunk[i]) {
			if other, ok := home[mac]; ok {
				s.Errorf("%s comes from %s and from %s", mac, other, h.Name)
			}
			home[mac] = h.Name
		}
	}
	for _, end := range r.ends {
		if h, ok := home[signalbox.MustMAC(end.MAC)]; ok {
			s.Errorf("the router's %s comes from %s", end.MAC, h)
		}
	}
}

// sources are the source MACs that a Wire has heard.
func sources(w *testbed.Wire) map[signalbox.MAC]bool {
	macs := map[signalbox.MAC]bool{}
	w.Count(func(f []byte) bool {
		macs[signalbox.MAC(f[6:12])] = true
		return true
	})
	return macs
}

// hasTTL asks for echoes that have so much of their TTL left.
func hasTTL(ttl uint8) func([]byte) bool {
	return func(f []byte) bool {
		ip, ok := packet(f).Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		return ok && ip.TTL == ttl && isEchoRequest(f)
	}
}
