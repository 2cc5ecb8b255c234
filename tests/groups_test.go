//go:build integration

package tests

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestSecurityGroups(t *testing.T) {
	settings := testbed.DefaultSettings()
	settings.EnableSecurityGroup = false
	w := newOutsideWorldAs(t, settings)
	w.script(t, "where nothing was enforced, it is begun under the guests' connections", enforcementBegins)
	w.script(t, "what no rule allows does not pass, on one host and between two", onlyWhatRulesAllow)
	w.script(t, "a rule that goes ends what it allowed, and nothing else", ruleGoes)
	w.script(t, "members come and go, and with them what they may", membersComeAndGo)
	w.script(t, "a guest without any group has an address all the same", groupless)
	w.script(t, "a guest that moves is watched where it is", guestMovesWatched)
	w.script(t, "connections outlive moves and restarts", connectionsOutlive)
	w.script(t, "a guest boots anew", guestBootsAnew)
	w.script(t, "port security goes off and on", securitySwitchedOff)
	w.script(t, "through the floating IP comes what a rule allows from outside", groupsAndFloatingIPs)
}

// invite lets anybody send to guests that name no group, until the script ends.
func (s *script) invite(protocols ...string) {
	s.Helper()
	rules, err := s.box.API.Invite(s.ctx, protocols...)
	s.rules = append(s.rules, rules...)
	s.must(err)
}

// group makes a security group whose members may send anything, and receive what the rules say.
func (s *script) group(rules ...testbed.Rule) string {
	s.Helper()
	s.counter++
	g, err := s.box.API.CreateSecurityGroup(s.ctx, testbed.SecurityGroup{Name: fmt.Sprint("group", s.counter)})
	s.must(err)
	s.groups = append(s.groups, g.ID)
	for _, r := range rules {
		s.rule(g.ID, r)
	}
	return g.ID
}

// rule lets a group's members receive something, and returns the rule's id.
func (s *script) rule(group string, r testbed.Rule) string {
	s.Helper()
	r.GroupID, r.Direction = group, "ingress"
	made, err := s.box.API.CreateRule(s.ctx, r)
	s.must(err)
	return made.ID
}

// forPort is TCP to one port.
func forPort(port int) testbed.Rule { return testbed.Rule{Protocol: "tcp", Min: &port, Max: &port} }

func in(groups ...string) testbed.Port {
	groups = append([]string{}, groups...) // none is not nil
	return testbed.Port{Groups: &groups}
}

// opens reports whether a TCP connection comes about, and dies of no answer otherwise.
func (s *script) opens(from *testbed.VM, to netip.Addr, port int) bool {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 700*time.Millisecond)
	defer cancel()
	conn, err := from.NS.Dial(ctx, "tcp", netip.AddrPortFrom(to, uint16(port)).String())
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// opensIn waits until a TCP connection comes about.
func (s *script) opensIn(from *testbed.VM, to netip.Addr, port int) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, fmt.Sprintf("%s reaches %s:%d", from.Name, to, port), func() error {
		if !s.opens(from, to, port) {
			return errors.New("no connection")
		}
		return nil
	}))
}

// enforcementBegins: what the rules allow goes on as if nothing had happened, and nobody else is let in until a rule allows it.
func enforcementBegins(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	s.gateway(s.router(n), o)
	a, b := s.lease(n, s.h1), s.lease(n, s.h2)
	_, floating := s.float(o, b)
	s.connects(o.peer, floating)
	within, out := s.stream(a.VM, b.VM, b.IP), s.stream(a.VM, o.peer, peerAddr)
	s.goesOn(within)
	s.goesOn(out)
	s.must(b.Serve(s.ctx, 7000))
	s.opensIn(o.peer, floating, 7000)
	settings := s.box.Settings()
	settings.EnableSecurityGroup = true
	s.must(s.box.Configure(settings))
	s.box.KillController()
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	s.goesOn(within)
	s.goesOn(out)
	s.unreached(o.peer, floating)
	if s.opens(o.peer, floating, 7000) {
		s.Error("who is outside opens a port that no rule allows")
	}
	s.invite("icmp", "tcp")
	s.connects(o.peer, floating)
	s.opensIn(o.peer, floating, 7000)
	s.must(within.Stop())
	s.must(out.Stop())
}

func onlyWhatRulesAllow(s *script) {
	n, twin := s.network(signalbox.VXLAN), s.network(signalbox.VXLAN)
	clients := s.group()
	servers := s.group(forPort(7000), testbed.Rule{Protocol: "icmp", RemoteGroup: clients})
	near, far, stranger := s.bootAs(n, s.h1, in(clients)), s.bootAs(n, s.h2, in(clients)), s.bootAs(n, s.h1, in(s.group()))
	server := s.bootAs(n, s.h1, in(servers))
	double := s.bootAs(twin, s.h1, in(s.group())) // has the address of one of the others, in another network
	off := false
	open := s.bootAs(n, s.h2, testbed.Port{Secured: &off})
	for _, port := range []int{7000, 7001} {
		s.must(server.Serve(s.ctx, port))
		s.must(open.Serve(s.ctx, port))
	}
	for _, c := range []*guest{near, far} {
		s.reaches(c, server)
		s.opensIn(c.VM, server.IP, 7000)
		if s.opens(c.VM, server.IP, 7001) {
			s.Errorf("%s opens a port that no rule allows", c.Name)
		}
		s.reachesNot(server, c.IP)
		s.bigPings(c, server)
		s.reaches(c, open)
		s.opensIn(c.VM, open.IP, 7001)
	}
	s.reachesNot(stranger, server.IP) // by ICMP only members may
	s.opensIn(stranger.VM, server.IP, 7000)
	s.reachesNot(double, server.IP)
	s.reachesNot(near, far.IP)
	s.opensIn(open.VM, server.IP, 7000)
	s.reachesNot(open, server.IP)
}

// bigPings sends echoes that travel in fragments.
func (s *script) bigPings(from, to *guest) {
	s.Helper()
	out, err := from.NS.Run(s.ctx, "ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "2", "-M", "dont", "-s", "3000", to.IP.String())
	if err != nil {
		s.Errorf("%s to %s in fragments: %v %s", from.Name, to.Name, err, out)
	}
}

// stops waits until none of the streams has made headway for a while, and gives the time of the last that did.
func (s *script) stops(streams ...*testbed.Stream) (last time.Time) {
	s.Helper()
	sum := func() (bytes int64) {
		for _, st := range streams {
			bytes += st.Bytes()
		}
		return bytes
	}
	was, last := sum(), time.Now()
	s.must(testbed.Await(s.ctx, patience, "the streams stop", func() error {
		if now := sum(); now != was {
			was, last = now, time.Now()
		}
		if time.Since(last) < 400*time.Millisecond {
			return errors.New("they go on")
		}
		return nil
	}))
	return last
}

// goesOn fails unless a stream makes headway.
func (s *script) goesOn(stream *testbed.Stream) {
	s.Helper()
	was := stream.Bytes()
	s.must(testbed.Await(s.ctx, patience, "the stream goes on", func() error {
		if stream.Bytes() == was {
			return errors.New("no headway")
		}
		return nil
	}))
}

func ruleGoes(s *script) {
	n, twin := s.network(signalbox.VXLAN), s.network(signalbox.VXLAN)
	servers := s.group(forPort(7001))
	theirs := s.group(forPort(7000)) // the same for guests with the same addresses
	rule := s.rule(servers, forPort(7000))
	var streams []*testbed.Stream
	stream := func(from, to *guest, port int) *testbed.Stream {
		s.Helper()
		s.opensIn(from.VM, to.IP, port)
		st, err := from.StartStream(s.ctx, to.IP, port)
		s.must(err)
		s.Cleanup(func() { _ = st.Stop() })
		streams = append(streams, st)
		return st
	}
	serve := func(g *guest) {
		for _, port := range []int{7000, 7001} {
			s.must(g.Serve(s.ctx, port))
		}
	}
	near, far := s.bootAs(n, s.h1, in(s.group())), s.bootAs(n, s.h2, in(s.group()))
	server := s.bootAs(n, s.h1, in(servers))
	client2 := s.bootAs(twin, s.h1, in(s.group()))
	s.bootAs(twin, s.h2, in(s.group()))
	server2 := s.bootAs(twin, s.h1, in(theirs))
	serve(server)
	serve(server2)
	revoked := []*testbed.Stream{stream(near, server, 7000), stream(far, server, 7000)}
	others := []*testbed.Stream{stream(near, server, 7001), stream(far, server, 7001), stream(client2, server2, 7000)}
	for _, st := range streams {
		s.goesOn(st)
	}
	ping, err := far.StartPing(s.ctx, near.IP, 20*time.Millisecond) // which no rule ever allowed
	s.must(err)
	began := time.Now()
	s.must(s.box.API.Delete(s.ctx, "security-group-rule", rule))
	s.Logf("the last packet passed %v after the rule was asked to go", s.stops(revoked...).Sub(began).Round(time.Millisecond))
	for _, st := range others {
		s.goesOn(st)
	}
	if s.opens(near.VM, server.IP, 7000) {
		s.Error("a new connection comes about by a rule that is gone")
	}
	s.rule(servers, forPort(7000)) // as it was
	for _, st := range streams {
		s.goesOn(st)
	}
	for _, st := range others {
		s.must(st.Stop())
	}
	r, err := ping()
	s.must(err)
	if r.Received != 0 {
		s.Errorf("%d pings were answered that no rule allows", r.Received)
	}
}

func membersComeAndGo(s *script) {
	n := s.network(signalbox.VLAN)
	members := s.group()
	servers := s.group(testbed.Rule{RemoteGroup: members})
	outsiders := s.group()
	server := s.bootAs(n, s.h1, in(servers))
	s.must(server.Serve(s.ctx, 7000))
	stays, goes := s.bootAs(n, s.h2, in(members)), s.bootAs(n, s.h3, in(members, outsiders))
	s.opensIn(goes.VM, server.IP, 7000)
	s.opensIn(stays.VM, server.IP, 7000)
	going, err := goes.StartStream(s.ctx, server.IP, 7000)
	s.must(err)
	defer func() { _ = going.Stop() }()
	staying, err := stays.StartStream(s.ctx, server.IP, 7000)
	s.must(err)
	s.goesOn(going)
	s.must(s.box.API.Update(s.ctx, "port", goes.Port.ID, map[string]any{"security_groups": []string{outsiders}}))
	s.stops(going)
	s.goesOn(staying)
	s.cutOff(goes, server.IP)
	s.must(s.box.API.Update(s.ctx, "port", goes.Port.ID, map[string]any{"security_groups": []string{members}}))
	s.goesOn(going)

	// The server leaves the group that lets it receive, and what it answers stops as well.
	s.must(s.box.API.Update(s.ctx, "port", server.Port.ID, map[string]any{"security_groups": []string{outsiders}}))
	s.stops(going)
	s.must(s.box.API.Update(s.ctx, "port", server.Port.ID, map[string]any{"security_groups": []string{servers}}))
	s.goesOn(going)
	s.goesOn(staying)
	s.must(staying.Stop())
}

func groupless(s *script) {
	n := s.network(signalbox.VXLAN)
	other := s.bootAs(n, s.h1, in(s.group(testbed.Rule{})))
	g := s.leaseAs(n, s.h1, in())
	s.reachesNot(g, other.IP)
	s.reachesNot(other, g.IP)
	out, err := g.NS.Run(s.ctx, "ip", "neigh", "show", other.IP.String())
	if err != nil || !strings.Contains(out, other.MAC.String()) {
		s.Errorf("ARP does not find the neighbour: %v %s", err, out)
	}
	s.must(s.box.API.Update(s.ctx, "port", g.Port.ID, map[string]any{"security_groups": []string{s.group()}}))
	s.reaches(g, other)
}

func guestMovesWatched(s *script) {
	n := s.network(signalbox.VXLAN)
	servers := s.group(forPort(7000))
	server, client := s.bootAs(n, s.h1, in(servers)), s.bootAs(n, s.h2, in(s.group()))
	for _, port := range []int{7000, 7001} {
		s.must(server.Serve(s.ctx, port))
	}
	s.opensIn(client.VM, server.IP, 7000)
	for _, to := range []*testbed.Host{s.h3, s.h2, s.h1} {
		s.must(server.Migrate(s.ctx, to, byID(server)))
		s.becomes(server, signalbox.Active)
		s.opensIn(client.VM, server.IP, 7000)
		if s.opens(client.VM, server.IP, 7001) {
			s.Errorf("on %s the server opens a port that no rule allows", to.Name)
		}
	}
}

func groupsAndFloatingIPs(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	s.gateway(r, o)
	servers := s.group(forPort(7000))
	g := s.leaseAs(n, s.h1, in(servers))
	_, public := s.float(o, g)
	for _, port := range []int{7000, 7001} {
		s.must(g.Serve(s.ctx, port))
	}
	s.opensIn(o.peer, public, 7000)
	if s.opens(o.peer, public, 7001) {
		s.Error("who is outside opens a port that no rule allows")
	}
	s.opensIn(g.VM, public, 7000) // itself, by its floating IP
	if s.opens(g.VM, public, 7001) {
		s.Error("a guest opens its own port by its floating IP, though no rule allows it")
	}
	s.connects(g.VM, peerAddr) // and is answered
	snatted := s.leaseAs(n, s.h3, in(servers))
	s.connects(snatted.VM, peerAddr)
	s.unreached(o.peer, snatted.IP)
}
