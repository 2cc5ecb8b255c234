//go:build integration

package tests

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// TestQuantumSession: what Quantum's presentation shows, by the quantum command, on hosts, with a VM that boots by DHCP and an internet outside.
func TestQuantumSession(t *testing.T) {
	w := newWorldAs(t, testbed.SessionSettings())
	for _, h := range []*testbed.Host{w.h1, w.h2} {
		if err := h.ConnectExternal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []*testbed.Host{w.h1, w.h3} {
		w.script(t, "with the VM on "+h.Name, func(s *script) { playsSession(s, h) })
	}
}

func playsSession(s *script, h *testbed.Host) {
	internet := s.machine(s.lab.NewOutsider(s.ctx, "internet", outsiderMAC(1), netip.PrefixFrom(gatewayAddr, 24)))
	far := s.machine(s.lab.NewBehind(s.ctx, "far", internet, outsiderMAC(9), netip.PrefixFrom(farAddr, 24), linkMTU))
	var vm *guest
	boot := func(_ context.Context, on testbed.Network) (testbed.Port, error) {
		vm = s.lease(&network{Network: on, Subnet: testbed.Subnet{GatewayIP: "10.0.0.1"}}, h)
		return vm.Port, nil
	}
	session, err := s.box.PlaySession(s.ctx, func(command, answer string) { s.Logf("%s → %s", command, answer) }, boot)
	s.adopt(session)
	s.must(err)
	floating := netip.MustParseAddr("192.168.0.3")
	s.unreached(internet, floating)
	for _, protocol := range []string{"icmp", "tcp"} {
		s.rules = append(s.rules, s.made("security-group-rule-create", "--protocol", protocol, "default"))
	}
	s.connects(internet, floating)
	s.connects(far, floating)
	s.sends(far, vm.VM, floating, 1<<20)
	heard := s.ear(internet)
	s.connects(vm.VM, farAddr)
	s.connects(vm.VM, netip.MustParseAddr("10.0.1.1"))
	if heard.Count(func(f []byte) bool { return isEchoRequest(f) && isFrom(floating)(f) }) == 0 {
		s.Errorf("the internet has heard nothing from %s", floating)
	}
	if session.External.Type != string(signalbox.Flat) || session.External.Physical != testbed.ExternalNetwork {
		s.Errorf("net-ext is %s on %q", session.External.Type, session.External.Physical)
	}
	s.must(testbed.Await(s.ctx, patience, "the floating IP is ACTIVE", func() error {
		f, err := s.box.API.FloatingIP(s.ctx, session.Floating.ID)
		if err == nil && f.Status != string(signalbox.Active) {
			err = fmt.Errorf("status %s", f.Status)
		}
		return err
	}))
}

// made runs a command that makes something, and gives that's id.
func (s *script) made(args ...string) string {
	s.Helper()
	printed, err := s.box.Quantum(s.ctx, args...)
	s.must(err)
	return testbed.Shown(printed, "id")
}

// adopt makes what a session made the script's to clean up.
func (s *script) adopt(made *testbed.Session) {
	for _, n := range []testbed.Network{made.Net1, made.Net2, made.External} {
		if n.ID != "" {
			s.nets = append(s.nets, &network{Network: n})
		}
	}
	if made.Router.ID != "" {
		s.routers = append(s.routers, &router{Router: made.Router})
	}
	if made.Floating.ID != "" {
		s.floating = append(s.floating, made.Floating)
	}
	if made.Port1.ID != "" {
		s.ports = append(s.ports, made.Port1.ID)
	}
}
