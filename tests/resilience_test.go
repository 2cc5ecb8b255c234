//go:build integration

package tests

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestResilience(t *testing.T) {
	w := newWorld(t)
	w.script(t, "kill -9 of the controller loses no packet", killLosesNothing)
	w.script(t, "changes while the controller is dead are caught up", catchesUp)
	w.script(t, "a restart of ovs-vswitchd mends itself", switchRestart)
	w.script(t, "a reboot of a host mends itself", hostReboot)
	w.script(t, "changes by hand are mended", handMadeChanges)
	w.script(t, "changes by hand while the controller is dead are mended", handMadeInTheDark)
	w.script(t, "garbage hurts nobody", garbage)
	w.script(t, "silent peers hold nobody up", silence)
	w.script(t, "two switches with one datapath id", twoWithOneName)
}

// killLosesNothing: the switches forward without us. (The restart that follows every script adds: and nothing
// is sent.)
func killLosesNothing(s *script) {
	n := s.network(signalbox.VXLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(b.Serve(s.ctx, 5000))
	stream, err := a.StartStream(s.ctx, b.IP, 5000)
	s.must(err)
	stop, err := a.StartPing(s.ctx, b.IP, 20*time.Millisecond)
	s.must(err)
	s.box.KillController()
	moved := stream.Bytes()
	s.must(testbed.Await(s.ctx, patience, "the stream goes on without a controller", func() error {
		if n := stream.Bytes() - moved; n < 1<<20 {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	}))
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	r, err := stop()
	s.must(err)
	s.Logf("%d pings, %d lost; %d bytes of TCP", r.Sent, r.Lost(), stream.Bytes())
	if r.Lost() > 1 { // one may be under way at the end
		s.Errorf("%d of %d pings were lost", r.Lost(), r.Sent)
	}
	s.must(stream.Stop())
}

func catchesUp(s *script) {
	n := s.network(signalbox.VLAN)
	a, b, c := s.boot(n, s.h1), s.boot(n, s.h2), s.port(n, testbed.Port{})
	s.reaches(a, b)
	s.box.KillController()
	s.must(b.Unplug(s.ctx))
	s.must(c.Plug(s.ctx, s.h3, byID(c)))
	s.must(s.box.StartController(s.ctx))
	s.becomes(b, signalbox.Down)
	s.becomes(c, signalbox.Active)
	s.cutOff(a, b.IP)
}

func switchRestart(s *script) {
	n := s.network(signalbox.GRE)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(s.h2.RestartSwitch(s.ctx))
	s.reaches(a, b)
	s.becomes(b, signalbox.Active)
}

func hostReboot(s *script) {
	n := s.network(signalbox.VLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(s.h2.Reboot(s.ctx))
	s.reaches(a, b)
	s.becomes(b, signalbox.Active)
}

// handMadeChanges: whatever somebody does to br-int's flows at three in the morning, they are soon as they were.
func handMadeChanges(s *script) {
	n := s.network(signalbox.VXLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1))
	want, err := s.h1.Flows(s.ctx)
	s.must(err)
	slices.Sort(want)
	for _, change := range [][]string{
		{"del-flows", "br-int"},
		{"del-flows", "br-int", "table=0"},
		{"add-flow", "br-int", "table=0,priority=65535,actions=drop"},
		{"add-flow", "br-int", "table=0,cookie=0xbad,priority=65535,dl_src=" + a.MAC.String() + ",actions=flood"},
		{"mod-flows", "br-int", "actions=drop"},
	} {
		_, err := s.h1.Ofctl(s.ctx, change...)
		s.must(err)
		what := strings.Join(change, " ")
		start := time.Now()
		s.must(testbed.Await(s.ctx, patience, "mended after "+what, func() error {
			have, err := s.h1.Flows(s.ctx)
			if err != nil {
				return err
			}
			slices.Sort(have)
			if !slices.Equal(have, want) {
				return fmt.Errorf("%d flows, want %d", len(have), len(want))
			}
			return nil
		}))
		s.Logf("mended %v after %s", time.Since(start).Round(time.Millisecond), what)
		s.reaches(a, b)
	}
}

// handMadeInTheDark: flows changed in place keep their cookies, and nobody was there to hear of it.
func handMadeInTheDark(s *script) {
	n := s.network(signalbox.VXLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.box.KillController()
	_, err := s.h1.Ofctl(s.ctx, "mod-flows", "br-int", "actions=drop")
	s.must(err)
	s.cutOff(a, b.IP)
	s.must(s.box.StartController(s.ctx))
	s.reaches(a, b)
}

func garbage(s *script) {
	n := s.network(signalbox.VXLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	before := s.box.Controller().PID()
	noise := rand.New(rand.NewPCG(1, 2)) // the same noise every time
	for _, port := range []int{testbed.OpenFlowPort, testbed.OVSDBPort} {
		for i := range 50 {
			conn, err := s.h3.NS.Dial(s.ctx, "tcp", fmt.Sprintf("%s:%d", testbed.ControllerIP, port))
			s.must(err)
			b := make([]byte, 1+noise.IntN(2000))
			for j := range b {
				b[j] = byte(noise.Uint32())
			}
			if i%2 == 0 { // the half looks like OpenFlow 1.3 or JSON at first
				copy(b, map[int]string{testbed.OpenFlowPort: "\x04\x00\x00\x08\x00\x00\x00\x01\x04", testbed.OVSDBPort: `{"id":1,"method":"update","params":[`}[port])
			}
			_, _ = conn.Write(b) // it may hang up at any time
			s.Cleanup(func() { conn.Close() })
		}
	}
	s.reaches(a, b)
	c := s.boot(n, s.h3)
	s.reaches(a, c)
	if s.box.Controller().PID() != before || !s.box.Controller().Alive() {
		s.Error("the controller did not live through it")
	}
}

// silence: connections that never say anything do not hold up those that do.
func silence(s *script) {
	for _, port := range []int{testbed.OpenFlowPort, testbed.OVSDBPort} {
		for range 200 {
			conn, err := s.h3.NS.Dial(s.ctx, "tcp", fmt.Sprintf("%s:%d", testbed.ControllerIP, port))
			s.must(err)
			defer conn.Close()
		}
	}
	n := s.network(signalbox.VLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(s.h1.RestartSwitch(s.ctx))
	s.reaches(a, b)
}

// twoWithOneName: a switch that claims another's datapath id is refused; the one that has it keeps working.
func twoWithOneName(s *script) {
	n := s.network(signalbox.VLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	taken, err := s.h1.DatapathID(s.ctx)
	s.must(err)
	fake, err := s.lab.AddHost(s.ctx, "fake")
	s.must(err)
	_, err = fake.Vsctl(s.ctx, "set", "bridge", "br-int", "other_config:datapath-id="+taken, "fail_mode=secure")
	s.must(err)
	s.must(fake.Join(s.ctx, testbed.ManagerListens))
	defer func() { s.must(fake.Leave(s.ctx)) }()

	// The fake tries again and again; the true one goes on, also with news.
	c := s.boot(n, s.h1)
	s.reaches(a, b)
	s.reaches(c, b)
	if flows, err := fake.Flows(s.ctx); err != nil || len(flows) > 0 {
		s.Errorf("the fake was given flows: %q, %v", flows, err)
	}
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1))
	s.must(fake.Leave(s.ctx))
}
