//go:build integration

package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestRoutedMTU(t *testing.T) {
	w := newWorld(t)
	w.script(t, "the next network takes less", nextTakesLess)
	w.script(t, "a network between takes less", middleTakesLess)
	w.script(t, "the network behind the next router takes less", behindTakesLess)
}

const (
	wide, narrow = 1450, 1300
	large        = 1400 - 20 - 8 // payload of a ping of 1,400 bytes: IPv4 and ICMP headers
)

var tooLarge = fmt.Sprintf("Frag needed and DF set (mtu = %d)", narrow)

// sized makes a VXLAN network of an MTU with a subnet of its own.
func (s *script) sized(mtu int, cidr string) *network {
	s.Helper()
	return s.networkAs(testbed.Network{Type: string(signalbox.VXLAN), MTU: mtu}, testbed.Subnet{CIDR: cidr})
}

// nextTakesLess: what does not fit is refused with the next network's MTU; the sender heeds that, also when it
// does not forbid fragments.
func nextTakesLess(s *script) {
	left, right := s.sized(wide, "10.1.0.0/24"), s.sized(narrow, "10.2.0.0/24")
	r := s.router(left, right)
	a, b := s.lease(left, s.h1), s.lease(right, s.h2)
	s.reaches(a, b)
	s.exactly(a, b, narrow)
	s.exactly(b, a, narrow)
	s.isRefused(a, b.IP, testbed.PingOptions{Size: large}, r.addr(0), tooLarge)
	s.knowsMTU(a, b)
	pieces := s.tap(b)
	got, err := a.NS.Run(s.ctx, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "dont", "-s", itoa(large), b.IP.String())
	if err != nil || !strings.Contains(got, " 0% packet loss") {
		s.Errorf("pings in fragments: %v: %s", err, got)
	}
	if n := pieces.Count(func(f []byte) bool { return len(f) > narrow+14 }); n != 0 {
		s.Errorf("%d frames are larger than their network takes", n)
	}
	s.transfers(a, b, 4<<20)
	s.transfers(b, a, 4<<20)
}

// exactly: a packet of exactly this size passes.
func (s *script) exactly(from, to *guest, size int) {
	s.Helper()
	s.losesNone(from.VM, to.IP, testbed.PingOptions{Size: size - 20 - 8})
}

// knowsMTU: a guest's kernel has taken in what it was told of the way to another.
func (s *script) knowsMTU(from, to *guest) {
	s.Helper()
	out, err := from.NS.Run(s.ctx, "ip", "route", "get", to.IP.String())
	s.must(err)
	if !strings.Contains(out, "mtu "+itoa(narrow)) {
		s.Errorf("%s on the way to %s: %s", from.Name, to.Name, out)
	}
}

// middleTakesLess: two routers in a row, with a network between that takes less than either end's. The ends offer each
// other segments that do not fit, and TCP finds out.
func middleTakesLess(s *script) {
	left, middle, right := s.sized(wide, "10.1.0.0/24"), s.sized(narrow, "10.9.0.0/24"), s.sized(wide, "10.2.0.0/24")
	s.inARow(left, middle, right)
	a, b := s.lease(left, s.h1), s.lease(right, s.h2)
	s.reaches(a, b)
	s.transfers(a, b, 4<<20)
	s.knowsMTU(a, b)
	s.knowsMTU(b, a)
	s.transfers(b, a, 4<<20)
}

// inARow joins left and middle by one router, middle and right by a second, and tells each the way to the other's.
func (s *script) inARow(left, middle, right *network) (first, second *router) {
	s.Helper()
	first, second = s.router(left, middle), s.router(right)
	s.joinAt(second, middle, "10.9.0.252")
	s.routes(first, right.Subnet.CIDR, "10.9.0.252")
	s.routes(second, left.Subnet.CIDR, middle.Subnet.GatewayIP)
	return first, second
}

// behindTakesLess: a router that is not the guest's own tells it from the network that they share.
func behindTakesLess(s *script) {
	left, middle, right := s.sized(wide, "10.1.0.0/24"), s.sized(wide, "10.9.0.0/24"), s.sized(narrow, "10.2.0.0/24")
	_, second := s.inARow(left, middle, right)
	a, b := s.lease(left, s.h1), s.lease(right, s.h2)
	s.reaches(a, b)
	s.isRefused(a, b.IP, testbed.PingOptions{Size: large}, second.addr(1), tooLarge)
	s.knowsMTU(a, b)
	s.exactly(a, b, narrow)
	s.transfers(a, b, 1<<20)
}
