//go:build integration

package tests

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestDHCP(t *testing.T) {
	w := newWorld(t)
	for _, client := range []testbed.Client{testbed.Udhcpc, testbed.Dhclient} {
		w.script(t, "a lease for "+string(client), func(s *script) { getsLease(s, client) })
	}
	w.script(t, "options of a port", getsOptions)
	w.script(t, "the wrong MAC gets nothing", wrongMACGetsNothing)
	w.script(t, "a flood delays nobody else", floodDelaysNobody)
	w.script(t, "a flood of questions for names delays nobody else", questionsDelayNobody)
}

// unaddressed plugs a guest in without giving it its address.
func (s *script) unaddressed(n *network, h *testbed.Host) *guest {
	s.Helper()
	g := s.port(n, testbed.Port{})
	s.must(g.Plug(s.ctx, h, byID(g)))
	s.must(testbed.Await(s.ctx, patience, "port ACTIVE", func() error {
		p, err := s.box.API.Port(s.ctx, g.Port.ID)
		if err == nil && p.Status != string(signalbox.Active) {
			err = errors.New(p.Status)
		}
		return err
	}))
	return g
}

func getsLease(s *script, client testbed.Client) {
	n := s.network(signalbox.VXLAN)
	g, peer := s.unaddressed(n, s.h1), s.boot(n, s.h2)
	lease, err := g.DHCP(s.ctx, client, patience)
	s.must(err)
	s.Logf("%s: %v in %v", client, lease.Address, lease.Acquired.Round(time.Millisecond))
	if want := netip.PrefixFrom(g.IP, 24); lease.Address != want {
		s.Errorf("address %v, want %v", lease.Address, want)
	}
	if lease.Router != "10.0.0.1" || lease.MTU != n.MTU || len(lease.DNS) != 1 || lease.DNS[0] != "192.0.2.53" {
		s.Errorf("router %q, MTU %d (network %d), DNS %q", lease.Router, lease.MTU, n.MTU, lease.DNS)
	}
	ports, err := s.box.API.Ports(s.ctx, n.ID)
	s.must(err)
	for _, p := range ports {
		if p.Owner == signalbox.DeviceOwnerDHCP && p.FixedIPs[0].Addr != lease.Server.String() {
			s.Errorf("served by %v, the subnet's DHCP port is %s", lease.Server, p.FixedIPs[0].Addr)
		}
	}
	s.reaches(g, peer)
}

// getsOptions: what is said of a port comes before what is said of its subnet, and an empty router is none.
func getsOptions(s *script) {
	n := s.network(signalbox.VXLAN)
	g := s.port(n, testbed.Port{Options: []testbed.Option{{Name: "router"}, {Name: "dns-server", Value: "192.0.2.7,192.0.2.8"}, {Name: "26", Value: "1300"},
		{Name: "ntp-server", Value: "192.0.2.9"}, {Name: "bootfile-name", Value: "pxelinux.0"}, {Name: "server-ip-address", Value: "192.0.2.10"},
		{Name: "no-such-option", Value: "x"}}})
	s.must(g.Plug(s.ctx, s.h1, byID(g)))
	s.becomes(g, signalbox.Active)
	lease, err := g.DHCP(s.ctx, testbed.Udhcpc, patience, "-O", "ntpsrv", "-O", "bootfile")
	s.must(err)
	if lease.Router != "" || lease.MTU != 1300 || !slices.Equal(lease.DNS, []string{"192.0.2.7", "192.0.2.8"}) {
		s.Errorf("router %q, MTU %d, DNS %q", lease.Router, lease.MTU, lease.DNS)
	}
	for name, want := range map[string]string{"ntpsrv": "192.0.2.9", "bootfile": "pxelinux.0", "boot_file": "pxelinux.0", "siaddr": "192.0.2.10"} {
		if got := lease.Everything[name]; got != want {
			s.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func wrongMACGetsNothing(s *script) {
	n := s.network(signalbox.VLAN)
	g := s.unaddressed(n, s.h1)
	_, err := g.NS.Run(s.ctx, "ip", "link", "set", "eth0", "address", "fa:16:3e:0b:ad:00")
	s.must(err)
	if lease, err := g.DHCP(s.ctx, testbed.Udhcpc, 3*time.Second); err == nil {
		s.Errorf("a guest with another MAC than its port's got %v", lease.Address)
	}
	_, err = g.NS.Run(s.ctx, "ip", "link", "set", "eth0", "address", g.MAC.String())
	s.must(err)
	_, err = g.DHCP(s.ctx, testbed.Udhcpc, patience)
	s.must(err)
}

// floodDelaysNobody: while one guest sends 50,000 DISCOVERs as fast as it can, every lease of another on the same
// host takes less than a second, and none of its messages has to be sent twice.
func floodDelaysNobody(s *script) {
	n := s.network(signalbox.VXLAN)
	bad, good := s.unaddressed(n, s.h1), s.unaddressed(n, s.h1)
	over := make(chan struct{})
	close(over)
	quiet, _ := s.leaseUntil(good, over)

	over = s.flood(bad)
	flooded, asked := s.leaseUntil(good, over)
	s.Logf("a lease takes %v; %d leases during the flood, by %d messages: %v", quiet[0], len(flooded), asked, flooded)
	if asked != 2*len(flooded) {
		s.Error("a message of the good guest was not answered within a second")
	}
	if slowest := slices.Max(flooded); slowest > time.Second {
		s.Errorf("a lease took %v during another guest's flood", slowest)
	}
}

// leaseUntil gets leases one after the other, at least one, until over is closed: how long each took, and how
// many messages the client sent for all of them.
func (s *script) leaseUntil(g *guest, over <-chan struct{}) (took []time.Duration, asked int) {
	s.Helper()
	for {
		lease, err := g.DHCP(s.ctx, testbed.Udhcpc, patience)
		s.must(err)
		took, asked = append(took, lease.Acquired), asked+lease.Asked
		select {
		case <-over:
			return took, asked
		default:
		}
	}
}

// flood makes a guest send 50,000 DISCOVERs and returns when that is under way; over is closed when it has.
func (s *script) flood(g *guest) (over chan struct{}) {
	const total, first = 50_000, 1000
	wire := s.tap(g)
	over, underway := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for n := range total {
			if err := wire.Send(dhcpMessage(layers.DHCPMsgTypeDiscover, g.MAC, uint32(n))); err != nil {
				s.Errorf("after %d DISCOVERs: %v", n, err)
				return
			}
			if n == first {
				close(underway)
			}
		}
	}()
	select {
	case <-underway:
	case <-over:
	}
	return over
}
