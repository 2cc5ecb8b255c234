//go:build integration

package tests

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestRouterChanges(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []signalbox.NetworkType{signalbox.VXLAN, signalbox.VLAN} {
		w.script(t, "an interface goes and comes on "+string(kind), func(s *script) { interfaceGoes(s, kind) })
	}
	w.script(t, "admin state down stops routing", routerDown)
	w.script(t, "a deleted router leaves nothing", routerDeleted)
	w.script(t, "a guest on a new host is reached", newHostIsReached)
	w.script(t, "kill -9 of the controller loses no routed packet", killLosesNothingRouted)
}

// interfaceGoes: without an interface nothing is routed there, and what comes back comes by the new one's MAC.
func interfaceGoes(s *script, kind signalbox.NetworkType) {
	red, blue := s.block(kind, "10.1.0.0/24"), s.block(kind, "10.2.0.0/24")
	r := s.router(red, blue)
	a, b := s.lease(red, s.h1), s.lease(blue, s.h2)
	s.reaches(a, b)
	s.must(s.box.API.RemoveInterface(s.ctx, r.ID, testbed.Interface{SubnetID: blue.Subnet.ID}))
	start := time.Now()
	s.cutOff(a, b.IP)
	s.Logf("cut off %v after the interface went", time.Since(start).Round(time.Millisecond))
	s.isRefused(a, b.IP, testbed.PingOptions{}, r.addr(0), "Destination Net Unreachable")
	s.reachesNot(b, a.IP)
	old := r.ends[1].MAC
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2))
	for _, h := range []*testbed.Host{s.h1, s.h2} {
		if flows := s.flowsNaming(h, old); len(flows) != 0 {
			s.Errorf("%s still knows the interface: %q", h.Name, flows)
		}
	}
	s.join(r, testbed.Interface{SubnetID: blue.Subnet.ID})
	took, err := a.ReachableIn(s.ctx, b.IP, 5*time.Second) // by themselves, guests forget a MAC in 15 to 50
	s.must(err)
	s.Logf("reached %v after the interface came again", took.Round(time.Millisecond))
	s.reaches(a, b)
	s.reaches(b, a)
}

func routerDown(s *script) {
	red, blue := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VXLAN, "10.2.0.0/24")
	r := s.router(red, blue)
	a, near, far := s.lease(red, s.h1), s.lease(blue, s.h1), s.lease(blue, s.h2)
	s.reaches(a, far)
	up := func(up bool) {
		s.must(s.box.API.Update(s.ctx, "router", r.ID, map[string]any{"admin_state_up": up}))
	}
	up(false)
	s.cutOff(a, far.IP)
	s.cutOff(a, near.IP)
	s.cutOff(a, r.addr(0))
	s.reaches(near, far) // one network needs no router
	up(true)
	s.reaches(a, far)
	s.reaches(near, a)
}

func routerDeleted(s *script) {
	red, blue := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VXLAN, "10.2.0.0/24")
	r := s.router(red, blue)
	a, b := s.lease(red, s.h1), s.lease(blue, s.h2)
	s.reaches(a, b)
	s.must(s.box.API.DismantleRouter(s.ctx, r.ID))
	s.routers = slices.DeleteFunc(s.routers, func(other *router) bool { return other == r })
	s.cutOff(a, b.IP)
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2))
	for h, unknown := range map[*testbed.Host]*guest{s.h1: b, s.h2: a} {
		for _, mac := range []string{r.ends[0].MAC, r.ends[1].MAC, unknown.MAC.String()} {
			if flows := s.flowsNaming(h, mac); len(flows) != 0 {
				s.Errorf("%s still knows %s: %q", h.Name, mac, flows)
			}
		}
	}
}

// newHostIsReached: a host that had nothing of these networks gets a guest, and then another.
func newHostIsReached(s *script) {
	red, blue := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VLAN, "10.2.0.0/24")
	s.router(red, blue)
	a, b := s.lease(red, s.h1), s.lease(blue, s.h2)
	s.reaches(a, b)
	late := s.lease(blue, s.h3)
	s.reaches(a, late)
	s.reaches(late, a)
	later := s.lease(red, s.h3)
	s.reaches(later, late)
	s.reaches(later, b)
	s.reaches(b, later)
	s.must(later.Migrate(s.ctx, s.h2, byID(later)))
	_, err := later.NS.Run(s.ctx, "ip", "route", "replace", "default", "via", red.Subnet.GatewayIP)
	s.must(err)
	s.reaches(later, late)
	s.reaches(late, later)
}

// killLosesNothingRouted: the switches route without us. (The restart that follows every script adds: and nothing is
// sent.)
func killLosesNothingRouted(s *script) {
	red, blue := s.block(signalbox.VXLAN, "10.1.0.0/24"), s.block(signalbox.VLAN, "10.2.0.0/24")
	r := s.router(red, blue)
	a, b := s.lease(red, s.h1), s.lease(blue, s.h2)
	s.reaches(a, b)
	s.must(b.Serve(s.ctx, 5000))
	stream, err := a.StartStream(s.ctx, b.IP, 5000)
	s.must(err)
	stop, err := a.StartPing(s.ctx, b.IP, 20*time.Millisecond)
	s.must(err)
	flows := func(when string) {
		moved := stream.Bytes()
		s.must(testbed.Await(s.ctx, patience, "the stream goes on "+when, func() error {
			if n := stream.Bytes() - moved; n < 1<<20 {
				return fmt.Errorf("%d bytes", n)
			}
			return nil
		}))
	}
	s.box.KillController()
	flows("without a controller")
	s.answers(a, r.addr(0)) // the switch does it
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	if sent, err := s.box.Admin.FlowMods(s.ctx); err != nil || sent != 0 {
		s.Errorf("the controller sent %d flow-mods: %v", sent, err)
	}
	flows("with a new controller")
	got, err := stop()
	s.must(err)
	s.Logf("%d pings, %d lost; %d bytes of TCP", got.Sent, got.Lost(), stream.Bytes())
	if got.Lost() > 1 { // one may be under way at the end
		s.Errorf("%d of %d pings were lost", got.Lost(), got.Sent)
	}
	s.must(stream.Stop())
}
