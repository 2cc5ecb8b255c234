//go:build integration

package tests

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// onward is how long a peer outside may wait after a floating IP has moved.
const onward = time.Second

// reassociated: a floating IP comes to stand for another guest, on another host. A peer that has its MAC goes on with
// the new guest; connections to the old one are dead.
func reassociated(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	s.gateway(r, o)
	s.invite("icmp", "tcp")
	a, b, c := s.lease(n, s.h1), s.lease(n, s.h2), s.lease(n, s.h3)
	for _, from := range []*guest{a, b} {
		s.connects(from.VM, c.IP) // the hosts have met
	}
	heard := s.ear(o.peer)
	f, floating := s.float(o, a)
	s.connects(o.peer, floating)
	if heard.Count(isGratuitous(floating)) == 0 {
		s.Error("the floating IP was not announced")
	}
	mac := s.neighbour(o.peer, floating)
	last := a
	var fresh *testbed.Stream
	for round, next := range []*guest{b, c, a} {
		stream := s.stream(o.peer, last.VM, floating)
		s.flows(stream, "before", 1<<16)
		echoes := s.tap(next)
		before, sent, at := heard.Count(isGratuitous(floating)), s.listenOutside(s.h1, s.h2), s.translator(f)
		took := s.outage(o.peer, floating, func() {
			_, err := s.box.API.Associate(s.ctx, f.ID, next.Port.ID, "")
			s.must(err)
			start := time.Now()
			port := 4000 + round // which the guest before refuses
			s.must(next.Serve(s.ctx, port))
			s.must(testbed.Await(s.ctx, onward, "the new guest is there", func() (err error) {
				fresh, err = o.peer.StartStream(s.ctx, floating, port)
				return err
			}))
			if died := s.dies(stream, start); died > onward {
				s.Errorf("a connection to the guest before lived %v after that", died)
			}
		})
		s.flows(fresh, "to the new guest, whatever was ended,", 1<<16)
		s.must(fresh.Stop())
		now := s.translator(f)
		s.Logf("outage %v from %s to %s, translated on %s and %s", took.Round(time.Millisecond), last.Host().Name, next.Host().Name, at.Name, now.Name)
		if took > onward {
			s.Errorf("the outage is longer than %v", onward)
		}
		if now != at && heard.Count(isGratuitous(floating)) == before {
			s.Error("the move was not announced")
		}
		if echoes.Count(isEchoRequest) == 0 {
			s.Error("the new guest has heard nothing")
		}
		if got := s.neighbour(o.peer, floating); got != mac {
			s.Errorf("the MAC of %s was %s and is %s", floating, mac, got)
		}
		if now == at {
			s.isCalm(sent)
		}
		s.comesFrom(o, floating, now)
		last = next
	}
}

// comesFrom: an address is at one host now, and only there.
func (s *script) comesFrom(o *internet, addr netip.Addr, at *testbed.Host) {
	s.Helper()
	sent := s.listenOutside(s.h1, s.h2)
	s.connects(o.peer, addr)
	s.connects(o.far, addr)
	if hosts := sent.from(isFrom(addr)); len(hosts) != 1 || hosts[0] != at {
		s.Errorf("%d hosts speak for %s", len(hosts), addr)
	}
	s.isCalm(sent)
}

// guestMoves: a live migration. The floating IP goes along and is announced; an open connection may not, for its state
// is on the host that is left, but a peer goes on at once.
func guestMoves(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	s.gateway(r, o)
	s.invite("icmp", "tcp")
	g := s.lease(n, s.h1)
	f, floating := s.float(o, g)
	heard := s.ear(o.peer)
	s.connects(o.peer, floating)
	for _, to := range []*testbed.Host{s.h2, s.h3, s.h1} {
		before, at := heard.Count(isGratuitous(floating)), s.translator(f)
		start := time.Time{}
		took := s.outage(o.peer, floating, func() {
			start = time.Now()
			s.must(g.Migrate(s.ctx, to, byID(g)))
			s.Logf("the move itself took %v", time.Since(start).Round(time.Millisecond))
		})
		now := s.translator(f)
		s.Logf("outage %v to %s, translated on %s and %s", took.Round(time.Millisecond), to.Name, at.Name, now.Name)
		if took > onward {
			s.Errorf("the outage is longer than %v", onward)
		}
		if now != at && heard.Count(isGratuitous(floating)) == before {
			s.Error("the move was not announced")
		}
		s.comesFrom(o, floating, now)
		s.connects(g.VM, farAddr)
		s.becomes(g, signalbox.Active)
	}
}

// disassociated: what was established dies at once; another tenant's guest with the same addresses keeps its own.
func disassociated(s *script) {
	o := s.internet()
	s.invite("icmp", "tcp")
	var guests [2]*guest
	var floats [2]testbed.FloatingIP
	var floating, publics [2]netip.Addr
	var in, out [2]*testbed.Stream
	for i := range guests {
		n := s.block(signalbox.VXLAN, "10.1.0.0/24")
		r := s.router(n)
		publics[i] = s.gateway(r, o)
		guests[i] = s.leaseAs(n, s.h1, testbed.Port{MAC: "fa:16:3e:00:01:11", FixedIPs: []testbed.FixedIP{{Addr: "10.1.0.11"}}})
		floats[i], floating[i] = s.float(o, guests[i])
		s.connects(o.peer, floating[i])
		in[i] = s.stream(o.peer, guests[i].VM, floating[i])
		out[i] = s.stream(guests[i].VM, o.peer, peerAddr)
		s.flows(in[i], "in", 1<<16)
		s.flows(out[i], "out", 1<<16)
	}
	s.must(s.box.API.Disassociate(s.ctx, floats[0].ID))
	start := time.Now()
	for what, stream := range map[string]*testbed.Stream{"from outside": in[0], "to outside": out[0]} {
		died := s.dies(stream, start)
		s.Logf("a connection %s died after %v", what, died.Round(time.Millisecond))
		if died > onward {
			s.Errorf("a connection %s lived %v", what, died)
		}
	}
	s.silent(o, floating[0])
	s.flows(in[1], "of another tenant, in,", 1<<16)
	s.flows(out[1], "of another tenant, out,", 1<<16)
	s.must(in[1].Stop())
	s.must(out[1].Stop())
	heard := s.ear(o.peer)
	s.connects(guests[0].VM, peerAddr)
	if echo := s.echoAt(heard); !isFrom(publics[0])(echo) {
		s.Errorf("without its floating IP the guest is seen as %v", packet(echo))
	}
	if f, err := s.box.API.FloatingIP(s.ctx, floats[0].ID); err != nil || f.PortID != "" || f.RouterID != "" || f.FixedAddr != "" || f.Status != string(signalbox.Down) {
		s.Errorf("%+v, %v", f, err)
	}
}

// portGoes: with its port a floating IP stands for nothing, and no host knows it.
func portGoes(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	s.gateway(s.router(n), o)
	s.invite("icmp", "tcp")
	g := s.lease(n, s.h2)
	f, floating := s.float(o, g)
	s.connects(o.peer, floating)
	s.must(s.box.API.Delete(s.ctx, "port", g.Port.ID))
	s.silent(o, floating)
	if f, err := s.box.API.FloatingIP(s.ctx, f.ID); err != nil || f.PortID != "" || f.Addr != floating.String() {
		s.Errorf("%+v, %v", f, err)
	}
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	for _, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		for _, word := range []string{"nw_src=" + floating.String(), "nw_dst=" + floating.String(), "src=" + floating.String(), "dst=" + g.IP.String()} {
			if flows := s.flowsNaming(h, word); len(flows) != 0 {
				s.Errorf("%s still knows %s: %q", h.Name, word, flows)
			}
		}
	}
	// A port in the guest's place: the clean-up deletes it.
	again, err := s.box.API.CreatePort(s.ctx, testbed.Port{NetworkID: n.ID})
	s.must(err)
	g.Port = again
}

// silent waits until an address outside answers no more.
func (s *script) silent(o *internet, addr netip.Addr) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, addr.String()+" is silent", func() error {
		got, err := o.peer.Ping(s.ctx, addr, testbed.PingOptions{Count: 1})
		if err == nil && got.Received > 0 {
			err = errors.New("it answers")
		}
		return err
	}))
}

// translatorMoves: the guest's host loses the external network, and gets it again.
func translatorMoves(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	s.gateway(r, o)
	s.invite("icmp", "tcp")
	gateway := s.gatewayHost(r)
	g := s.lease(n, s.other(gateway))
	f, floating := s.float(o, g)
	s.connects(o.peer, floating)
	for _, mapped := range []bool{false, true} {
		took := s.outage(o.peer, floating, func() { s.must(g.Host().MapExternal(s.ctx, mapped)) })
		want := gateway
		if mapped {
			want = g.Host()
		}
		s.must(testbed.Await(s.ctx, patience, "the floating IP is where it should be", func() error {
			if now := s.translator(f); now != want {
				return fmt.Errorf("it is on %s", now.Name)
			}
			return nil
		}))
		s.Logf("mapped %v: outage %v", mapped, took.Round(time.Millisecond))
		if took > onward {
			s.Errorf("the outage is longer than %v", onward)
		}
		s.comesFrom(o, floating, want)
	}
}
