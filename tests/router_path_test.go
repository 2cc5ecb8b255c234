//go:build integration

package tests

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	w.script(t, "two routers in a row", twoInARow)
	w.script(t, "the longest prefix wins", longestPrefix)
	w.script(t, "host routes by DHCP", hostRoutes)
}

// twoInARow: each takes one from the TTL, and traceroute shows both. On VLAN, where a frame must not leave by the MAC of
// either.
func twoInARow(s *script) {
	left, middle, right := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.GRE, "10.9.0.0/24"), s.block(signalbox.VLAN, "10.2.0.0/24")
	first, second := s.inARow(left, middle, right)
	a, near, far := s.lease(left, s.h1), s.lease(right, s.h1), s.lease(right, s.h2)
	wire := s.tap(far)
	s.reaches(a, near)
	s.reaches(a, far)
	s.reaches(far, a)
	s.transfers(a, far, 1<<20)
	if heard, twice := wire.Count(isEchoRequest), wire.Count(hasTTL(62)); heard == 0 || twice != heard {
		s.Errorf("%d of %d echoes were routed twice", twice, heard)
	}
	const passed = "Time to live exceeded"
	s.isRefused(a, far.IP, testbed.PingOptions{TTL: 1}, first.addr(0), passed)
	s.isRefused(a, far.IP, testbed.PingOptions{TTL: 2}, second.addr(1), passed)
	s.isRefused(far, a.IP, testbed.PingOptions{TTL: 1}, second.addr(0), passed)
	s.isRefused(far, a.IP, testbed.PingOptions{TTL: 2}, first.addr(1), passed)
	for _, r := range []*router{first, second} {
		for end := range r.ends {
			s.answers(a, r.addr(end))
		}
	}
	s.routes(first)
	s.isRefused(a, far.IP, testbed.PingOptions{}, first.addr(0), "Destination Net Unreachable")
}

// longestPrefix: of three routes to an address the narrowest is taken, whatever their order.
func longestPrefix(s *script) {
	left, middle := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VXLAN, "10.9.0.0/24")
	lower, upper := s.block(signalbox.VXLAN, "10.2.0.0/25"), s.block(signalbox.VXLAN, "10.2.0.128/25")
	first, second, third := s.router(left, middle), s.router(lower), s.router(upper)
	s.joinAt(second, middle, "10.9.0.252")
	s.joinAt(third, middle, "10.9.0.253")
	for _, r := range []*router{second, third} {
		s.routes(r, "0.0.0.0/0", "10.9.0.1")
	}
	a, low, high := s.lease(left, s.h1), s.lease(lower, s.h2), s.lease(upper, s.h3)
	for _, order := range [][]string{
		{"0.0.0.0/0", "10.9.0.253", "10.2.0.0/24", "10.9.0.252", "10.2.0.128/25", "10.9.0.253"},
		{"10.2.0.128/25", "10.9.0.253", "10.2.0.0/24", "10.9.0.252", "0.0.0.0/0", "10.9.0.253"},
	} {
		s.routes(first, order...)
		s.reaches(a, low)
		s.reaches(a, high)
		s.reaches(low, high)
	}
	// Without its narrowest route, the block is looked for where the wider one leads: it is not there, nor known there.
	s.routes(first, "10.2.0.0/24", "10.9.0.252", "10.77.0.0/16", "10.9.0.253")
	s.routes(second)
	s.isRefused(a, high.IP, testbed.PingOptions{}, second.addr(1), "Destination Net Unreachable")
	s.isRefused(a, netip.MustParseAddr("10.78.0.1"), testbed.PingOptions{}, first.addr(0), "Destination Net Unreachable")
	s.isRefused(a, low.IP, testbed.PingOptions{TTL: 2}, second.addr(1), "Time to live exceeded")
}

// hostRoutes: guests take another router than their default for what their subnet's host_routes name.
func hostRoutes(s *script) {
	left := s.networkAs(testbed.Network{Type: string(signalbox.VXLAN)},
		testbed.Subnet{CIDR: "10.1.0.0/24", Routes: routeList("10.2.0.0/24", "10.1.0.254")})
	right, elsewhere := s.block(signalbox.VXLAN, "10.2.0.0/24"), s.block(signalbox.VXLAN, "10.3.0.0/24")
	first, second := s.router(left, elsewhere), s.router(right)
	s.joinAt(second, left, "10.1.0.254")
	a, b, c := s.lease(left, s.h1), s.lease(right, s.h2), s.lease(elsewhere, s.h2)
	for to, via := range map[*guest]string{b: "10.1.0.254", c: "10.1.0.1"} {
		out, err := a.NS.Run(s.ctx, "ip", "route", "get", to.IP.String())
		s.must(err)
		if !strings.Contains(out, "via "+via+" ") {
			s.Errorf("the way to %s is not by %s: %s", to.IP, via, out)
		}
	}
	s.reaches(a, b)
	s.reaches(a, c)
	s.isRefused(a, b.IP, testbed.PingOptions{TTL: 1}, second.addr(1), "Time to live exceeded")
	s.isRefused(a, c.IP, testbed.PingOptions{TTL: 1}, first.addr(0), "Time to live exceeded")
}
