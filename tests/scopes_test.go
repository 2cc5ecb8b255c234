//go:build integration

package tests

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// scope makes an address scope with a pool, and has networks' subnets be of it, while they are in use. It returns both ids.
func (s *script) scope(name, block string, networks ...*network) (scope, pool string) {
	s.Helper()
	k, err := s.box.API.CreateAddressScope(s.ctx, testbed.AddressScope{Name: name, IPVersion: 4})
	s.must(err)
	s.origins = append(s.origins, [2]string{"address-scope", k.ID})
	p, err := s.box.API.CreateSubnetPool(s.ctx, testbed.SubnetPool{Name: name, Prefixes: []string{block}, ScopeID: k.ID})
	s.must(err)
	s.origins = append(s.origins, [2]string{"subnetpool", p.ID})
	for _, n := range networks {
		s.must(s.box.API.Onboard(s.ctx, p.ID, n.ID))
	}
	return k.ID, p.ID
}

// scopesApart: a router with networks of the outside's address scope, of another, and of none. What is of different ones does
// not meet, but by a floating IP; what is of the outside's has its own address there, and the rest the router's.
func scopesApart(s *script) {
	o := s.internet()
	red, green := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VLAN, "10.3.0.0/24")
	blue, grey := s.block(signalbox.VXLAN, "10.2.0.0/24"), s.block(signalbox.VXLAN, "10.4.0.0/24")
	r := s.router(red, green, blue, grey)
	public := s.gateway(r, o)
	s.must(o.peer.Route(s.ctx, inside.String(), public))
	a, b, c := s.lease(red, s.h1), s.lease(blue, s.h2), s.lease(green, s.h3)
	s.reaches(a, b)

	world, _ := s.scope("world", "198.51.100.0/24", o.network, red, green)
	_, plant := s.scope("plant", "198.18.0.0/24", blue)
	s.cutOff(a, b.IP)
	d := s.lease(grey, s.h3) // of no scope; DHCP is as ever
	s.reachesNot(d, a.IP)
	s.reaches(a, c)
	s.transfers(c, a, 1<<18)
	s.connects(a.VM, r.addr(2))

	s.unreached(o.peer, a.IP) // by nothing but its security group
	s.invite("icmp", "tcp")
	heard := s.ear(o.peer)
	pinged := func(from netip.Addr) int {
		return heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(from)(f) })
	}
	for _, g := range []*guest{a, c} {
		s.connects(o.peer, g.IP)
		s.connects(g.VM, peerAddr)
		if pinged(g.IP) == 0 {
			s.Errorf("the peer heard nothing from %s", g.IP)
		}
		s.sends(g.VM, o.peer, peerAddr, 1<<18)
		s.sends(o.peer, g.VM, g.IP, 1<<18)
	}
	if n := pinged(public); n != 0 {
		s.Errorf("%d echoes of the outside's own scope came from %s", n, public)
	}
	for _, g := range []*guest{b, d} {
		before := pinged(public)
		s.connects(g.VM, peerAddr)
		if pinged(public) == before || pinged(g.IP) != 0 {
			s.Errorf("of %s the peer heard %d echoes from %s, and %d from itself", g.Name, pinged(public)-before, public, pinged(g.IP))
		}
		s.sends(g.VM, o.peer, peerAddr, 1<<18)
		s.unreached(o.peer, g.IP)
	}

	for _, g := range []*guest{b, c, d} {
		_, floating := s.float(o, g)
		s.connects(o.peer, floating)
		s.sends(o.peer, g.VM, floating, 1<<18)
		s.connects(a.VM, floating)
		s.sends(a.VM, g.VM, floating, 1<<18)
	}

	off := false
	s.gatewayAs(r, testbed.Gateway{NetworkID: o.ID, EnableSNAT: &off})
	e := s.lease(blue, s.h1)
	s.cutOff(e, peerAddr)
	s.connects(b.VM, peerAddr) // by its floating IP
	s.connects(a.VM, peerAddr)
	s.connects(o.peer, a.IP)

	s.must(s.box.API.Update(s.ctx, "subnetpool", plant, map[string]any{"address_scope_id": world}))
	s.connects(e.VM, peerAddr)
	s.connects(o.peer, e.IP)
	s.reaches(e, a)
}
