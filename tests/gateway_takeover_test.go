//go:build integration

package tests

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestGatewayHosts(t *testing.T) {
	w := newOutsideWorld(t)
	w.script(t, "gateways are spread evenly and stay", spreadEvenly)
	w.script(t, "the gateway host loses its power", func(s *script) { hostIsLost(s, powerCut) })
	w.script(t, "the gateway host falls silent", func(s *script) { hostIsLost(s, silentCut) })
	w.script(t, "the gateway host is cut off from the underlay alone", func(s *script) { hostIsLost(s, underlayCut) })
	w.script(t, "the gateway host loses its mapping", mappingGoes)
	w.script(t, "a planned move", plannedMove)
	w.script(t, "no host has the external network", nobodyHasIt)
	w.script(t, "agents are switched off and forgotten", agentsOfHosts)
}

// The longest outages that are allowed: with the detection of a dead host, and of a move that is asked for.
const (
	takeover = 3 * time.Second
	moving   = 300 * time.Millisecond
)

// outage measures how long an address did not answer a machine while something happened, and until it answers again.
func (s *script) outage(from *testbed.VM, to netip.Addr, happens func()) time.Duration {
	s.Helper()
	s.connects(from, to)
	stop, err := from.StartPing(s.ctx, to, 10*time.Millisecond)
	s.must(err)
	start := time.Now()
	happens()
	if _, err := from.ReachableIn(s.ctx, to, patience); err != nil {
		s.Error(err)
	}
	s.quiet(start, time.Second)
	got, err := stop()
	s.must(err)
	return got.Silence
}

// quiet waits until some time has passed since a moment: an outage may begin late.
func (s *script) quiet(since time.Time, span time.Duration) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, "some quiet", func() error {
		if time.Since(since) < span {
			return errors.New("not yet")
		}
		return nil
	}))
}

// spreadEvenly: of four gateways two hosts have two each; a restart of the controller, or a host that comes, moves none.
// Those that are set while no controller runs are shared too, whichever host comes to the next one first.
func spreadEvenly(s *script) {
	o := s.internet()
	load, where := map[*testbed.Host]int{}, map[*router]*testbed.Host{}
	shared := func(r *router) {
		where[r] = s.gatewayHost(r)
		load[where[r]]++
	}
	evenly := func(each int) {
		if load[s.h1] != each || load[s.h2] != each {
			s.Errorf("%d gateways are on the first host, %d on the second", load[s.h1], load[s.h2])
		}
	}
	for range 4 {
		r := s.router()
		s.gateway(r, o)
		shared(r)
	}
	evenly(2)
	s.must(s.h1.RestartSwitch(s.ctx)) // sooner than it is missed
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	s.box.KillController()
	var late []*router
	for range 4 {
		late = append(late, s.router())
		s.gateway(late[len(late)-1], o)
	}
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	for r, h := range where {
		if now := s.gatewayHost(r); now != h {
			s.Errorf("a gateway moved from %s to %s for nothing", h.Name, now.Name)
		}
	}
	for _, r := range late {
		shared(r)
	}
	evenly(4)
}

// disaster is how a host is lost, and how it comes back.
type disaster struct {
	strike, mend func(*script, *testbed.Host)
}

var (
	powerCut = disaster{
		func(_ *script, h *testbed.Host) { h.PowerOff() },
		func(s *script, h *testbed.Host) { s.must(h.PowerOn(s.ctx)) },
	}
	silentCut   = cables("nic0", "nic1", "nic2")
	underlayCut = cables("nic0")
)

func cables(nics ...string) disaster {
	return disaster{
		func(s *script, h *testbed.Host) { s.must(h.Cables(s.ctx, "down", nics...)) },
		func(s *script, h *testbed.Host) { s.must(h.Cables(s.ctx, "up", nics...)) },
	}
}

// hostIsLost: another host takes the gateway over, and keeps it when the first comes back. SNAT of the guests and
// floating IPs that the gateway host translates come along.
func hostIsLost(s *script, d disaster) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	s.invite("icmp", "tcp")
	first := s.gatewayHost(r)
	second := s.other(first)
	a, b := s.lease(n, s.h3), s.lease(n, s.h3)
	_, floating := s.float(o, b)
	s.connects(o.peer, floating)
	stop, err := o.peer.StartPing(s.ctx, floating, 10*time.Millisecond)
	s.must(err)
	took := s.outage(a.VM, farAddr, func() { d.strike(s, first) })
	mended := false
	mend := func() {
		if !mended {
			mended = true
			d.mend(s, first)
		}
	}
	defer mend()
	if _, err := o.peer.ReachableIn(s.ctx, floating, patience); err != nil {
		s.Error(err)
	}
	got, err := stop()
	s.must(err)
	s.Logf("outage of SNAT %v, of a floating IP of an unmapped host %v", took.Round(time.Millisecond), got.Silence.Round(time.Millisecond))
	if took > takeover || got.Silence > takeover {
		s.Errorf("an outage is longer than %v", takeover)
	}
	if now := s.gatewayHost(r); now != second {
		s.Errorf("the gateway is on %s", now.Name)
	}
	s.connects(o.peer, public)
	back := s.outage(a.VM, farAddr, func() {
		mend()
		s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	})
	s.Logf("when the host came back: %v", back.Round(time.Millisecond))
	if back > moving {
		s.Errorf("its coming back cost %v", back)
	}
	if now := s.gatewayHost(r); now != second {
		s.Errorf("the gateway moved back to %s", now.Name)
	}
	sent := s.listenOutside(s.h1, s.h2)
	s.connects(a.VM, peerAddr)
	s.connects(o.peer, public)
	s.connects(o.peer, floating)
	if hosts := sent.from(isFrom(public)); len(hosts) != 1 || hosts[0] != second {
		s.Errorf("%d hosts speak for the gateway", len(hosts))
	}
	s.isPublic(sent, r)
}

// mappingGoes: a host whose mapping is taken away gives its gateways up, and one that gets a mapping can have them.
func mappingGoes(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	g := s.lease(n, s.h3)
	for range 2 {
		first := s.gatewayHost(r)
		took := s.outage(g.VM, farAddr, func() { s.must(first.MapExternal(s.ctx, false)) })
		s.Logf("outage %v when %s lost its mapping", took.Round(time.Millisecond), first.Name)
		if took > takeover {
			s.Errorf("the outage is longer than %v", takeover)
		}
		if now := s.gatewayHost(r); now == first {
			s.Errorf("the gateway is still on %s", now.Name)
		}
		s.connects(o.peer, public)
		s.must(first.MapExternal(s.ctx, true))
		s.connects(g.VM, farAddr)
	}
}

// plannedMove: by the command and by draining a host, the gateway moves with hardly a gap; new connections go on from
// the new place, and nobody outside is left with the old one.
func plannedMove(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	g := s.lease(n, s.h3)
	s.connects(o.peer, public)
	heard := s.ear(o.peer)
	for round := range 4 {
		from := s.gatewayHost(r)
		to := s.other(from)
		stop, err := o.peer.StartPing(s.ctx, public, 10*time.Millisecond)
		s.must(err)
		took := s.outage(g.VM, farAddr, func() {
			if round%2 == 0 {
				cmd := exec.CommandContext(s.ctx, s.box.Binary, "gateway", "move", r.ID, to.Name)
				var said strings.Builder
				cmd.Stdout, cmd.Stderr = &said, &said
				s.must(s.lab.Net.Start(cmd))
				if err := cmd.Wait(); err != nil {
					s.Fatalf("%v: %s", err, said.String())
				}
				return
			}
			s.must(s.box.Admin.Drain(s.ctx, from.Name))
		})
		got, err := stop()
		s.must(err)
		s.Logf("from %s to %s: outage %v for a guest, %v for a peer", from.Name, to.Name, took.Round(time.Millisecond), got.Silence.Round(time.Millisecond))
		if took > moving || got.Silence > moving {
			s.Errorf("an outage is longer than %v", moving)
		}
		if now := s.gatewayHost(r); now != to {
			s.Errorf("the gateway is on %s", now.Name)
		}
		if said := heard.Count(isGratuitous(public)); said <= round {
			s.Errorf("after %d moves the peer has heard %d announcements", round+1, said)
		}
		s.sends(g.VM, o.far, farAddr, 1<<16)
	}
}

// nobodyHasIt: without a host that has the external network the gateway waits, and is served as soon as one has it.
func nobodyHasIt(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	g := s.lease(n, s.h3)
	for _, h := range []*testbed.Host{s.h1, s.h2} {
		s.must(h.MapExternal(s.ctx, false))
	}
	defer func() {
		for _, h := range []*testbed.Host{s.h1, s.h2} {
			s.must(h.MapExternal(s.ctx, true))
		}
	}()
	s.must(testbed.Await(s.ctx, patience, "the mappings are gone", func() error {
		for _, h := range []*testbed.Host{s.h1, s.h2} {
			if out, err := h.Vsctl(s.ctx, "list-ports", "br-ex"); err != nil || strings.TrimSpace(out) != "nic2" {
				return fmt.Errorf("br-ex of %s has %q, %w", h.Name, out, err)
			}
		}
		return nil
	}))
	public := s.gateway(r, o)
	s.unreached(g.VM, peerAddr)
	s.unreached(o.peer, public)
	start := time.Now()
	s.must(s.h2.MapExternal(s.ctx, true))
	s.connects(g.VM, peerAddr)
	s.Logf("out %v after a host had a mapping", time.Since(start).Round(time.Millisecond))
	if now := s.gatewayHost(r); now != s.h2 {
		s.Errorf("the gateway is on %s", now.Name)
	}
}
