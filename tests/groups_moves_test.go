//go:build integration

package tests

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// talk is a TCP connection by which a guest says something all the time, and an echoing server repeats it.
type talk struct{ answered atomic.Int64 }

// talks opens one, which is closed after the script.
func (s *script) talks(from, to *guest, port int) *talk {
	s.Helper()
	s.opensIn(from.VM, to.IP, port)
	conn, err := from.NS.Dial(s.ctx, "tcp", netip.AddrPortFrom(to.IP, uint16(port)).String())
	s.must(err)
	t, done := &talk{}, make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for err := error(nil); err == nil; <-pace.C {
			_, err = conn.Write([]byte("?"))
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for b := make([]byte, 64); ; {
			n, err := conn.Read(b)
			if t.answered.Add(int64(n)); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					s.Errorf("%s to %s: %v", from.Name, to.Name, err)
				}
				return
			}
		}
	}()
	s.Cleanup(func() {
		conn.Close()
		<-done
		<-done
	})
	return t
}

// talksOn waits until there are answers to what is said from now on.
func (s *script) talksOn(t *talk, what string) {
	s.Helper()
	was, began := t.answered.Load(), time.Now()
	s.must(testbed.Await(s.ctx, patience, what+" goes on", func() error {
		if n := t.answered.Load() - was; n < 20 {
			return fmt.Errorf("%d answers", n)
		}
		return nil
	}))
	s.Logf("%s: 20 answers in %v", what, time.Since(began).Round(time.Millisecond))
}

// connectionsOutlive: a connection goes on where a switch meets it in its midst: on the host that the guest has moved to, and where
// Open vSwitch has forgotten it. What no rule allows passes there no more than before.
func connectionsOutlive(s *script) {
	n := s.network(signalbox.VXLAN)
	quiet := s.group(forPort(7000))
	s.mute(quiet)
	called, other := s.bootAs(n, s.h1, in(quiet)), s.bootAs(n, s.h2, in(s.group(forPort(7002))))
	caller := s.bootAs(n, s.h1, in(s.group()))
	for _, port := range []int{7000, 7001} {
		s.must(called.Serve(s.ctx, port))
		s.must(caller.Serve(s.ctx, port))
	}
	s.must(other.Serve(s.ctx, 7002))
	to, from := s.talks(other, called, 7000), s.talks(caller, other, 7002)
	for _, event := range []struct {
		what    string
		strange []*guest // whose other ports are tried then
		takes   func() error
	}{
		{"a guest that may only be called moves", []*guest{called}, func() error { return called.Migrate(s.ctx, s.h3, byID(called)) }},
		{"one that may only call moves", []*guest{caller}, func() error { return caller.Migrate(s.ctx, s.h2, byID(caller)) }},
		{"the first moves to the same host", nil, func() error { return called.Migrate(s.ctx, s.h2, byID(called)) }},
		{"Open vSwitch forgets all connections, as by a restart", []*guest{called, caller}, func() error {
			_, err := s.h2.Appctl(s.ctx, "dpctl/flush-conntrack")
			return err
		}},
	} {
		s.must(event.takes())
		s.talksOn(to, event.what+", to it")
		s.talksOn(from, event.what+", from the other")
		for _, g := range event.strange {
			if s.opens(other.VM, g.IP, 7001) {
				s.Errorf("%s, and a port of %s opens", event.what, g.Name)
			}
		}
	}
	if s.opens(called.VM, other.IP, 7002) {
		s.Error("one that may only be called calls")
	}
}

// mute takes the rules by which a group's members may send.
func (s *script) mute(group string) {
	s.Helper()
	g, err := s.box.API.SecurityGroup(s.ctx, group)
	s.must(err)
	for _, r := range g.Rules {
		if r.Direction == "egress" {
			s.must(s.box.API.Delete(s.ctx, "security-group-rule", r.ID))
		}
	}
}

// guestBootsAnew: its interface goes and comes, as when a hypervisor starts it again, and with its zone emptied it is watched as before.
func guestBootsAnew(s *script) {
	n := s.network(signalbox.VXLAN)
	server, client := s.bootAs(n, s.h1, in(s.group(forPort(7000)))), s.bootAs(n, s.h1, in(s.group()))
	for _, port := range []int{7000, 7001} {
		s.must(server.Serve(s.ctx, port))
	}
	for range 2 {
		s.opensIn(client.VM, server.IP, 7000)
		if s.opens(client.VM, server.IP, 7001) {
			s.Error("a port opens that no rule allows")
		}
		s.must(server.Unplug(s.ctx))
		s.becomes(server, signalbox.Down)
		s.plug(server, s.h1, byID(server))
	}
}

// securitySwitchedOff: a port is open while its security is off, and counts as no member; then all is as it was.
func securitySwitchedOff(s *script) {
	n := s.network(signalbox.VXLAN)
	servers, members := s.group(forPort(7000)), s.group()
	friends := s.group(testbed.Rule{RemoteGroup: servers})
	server, stranger, friend := s.bootAs(n, s.h1, in(servers)), s.bootAs(n, s.h2, in(members)), s.bootAs(n, s.h2, in(friends))
	s.must(server.Serve(s.ctx, 7001))
	s.reaches(server, friend)
	s.reachesNot(stranger, server.IP)
	s.must(s.box.API.Update(s.ctx, "port", server.Port.ID, map[string]any{"port_security_enabled": false, "security_groups": []string{}}))
	s.opensIn(stranger.VM, server.IP, 7001)
	s.cutOff(server, friend.IP) // its rule is for members of the server's group
	s.must(s.box.API.Update(s.ctx, "port", server.Port.ID, map[string]any{"port_security_enabled": true, "security_groups": []string{servers}}))
	s.cutOff(stranger, server.IP)
	if s.opens(stranger.VM, server.IP, 7001) {
		s.Error("a port opens that no rule allows")
	}
	s.reaches(server, friend)
}
