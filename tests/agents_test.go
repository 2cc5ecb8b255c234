//go:build integration

package tests

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// quantum runs a command and gives the words of each line that it printed.
func (s *script) quantum(args ...string) (lines [][]string) {
	s.Helper()
	out, err := s.box.Quantum(s.ctx, args...)
	s.must(err)
	for line := range strings.Lines(out) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

// agent is the agent of a host.
func (s *script) agent(h *testbed.Host) (id string) {
	s.Helper()
	found := s.quantum("agent-list", "-f", "value", "-c", "id", "--host", h.Name)
	if len(found) != 1 {
		s.Fatalf("%s has the agents %v", h.Name, found)
	}
	return found[0][0]
}

// agentIs waits until a host's agent is alive ("True"), or not ("False").
func (s *script) agentIs(h *testbed.Host, alive string) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, "the agent of "+h.Name+" is alive: "+alive, func() error {
		if got := s.quantum("agent-list", "-f", "value", "-c", "alive", "--host", h.Name); len(got) != 1 || got[0][0] != alive {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	}))
}

// agentsOfHosts: each host is an agent, alive while its switch is connected. Where one is switched off its gateways go elsewhere.
// One that is dead can be deleted, and its host comes back as another.
func agentsOfHosts(s *script) {
	o := s.internet()
	n := s.block(signalbox.VXLAN, "10.1.0.0/24")
	r := s.router(n)
	public := s.gateway(r, o)
	first := s.gatewayHost(r)
	second := s.other(first)
	s.lease(n, s.h3)
	for _, h := range []*testbed.Host{s.h1, s.h2, s.h3} {
		s.agentIs(h, "True")
	}
	hosting := func(command, id string) (hosts []string) {
		for _, line := range s.quantum(command, id, "-f", "value", "-c", "host") {
			hosts = append(hosts, line...)
		}
		return hosts
	}
	if got := hosting("dhcp-agent-list-hosting-net", n.ID); !slices.Equal(got, []string{s.h3.Name}) {
		s.Errorf("DHCP is answered at %v", got)
	}
	if got := hosting("l3-agent-list-hosting-router", r.ID); !slices.Equal(got, []string{first.Name}) {
		s.Errorf("the gateway is at %v, not at %s", got, first.Name)
	}

	s.quantum("agent-update", s.agent(first), "--admin-state-down")
	s.must(testbed.Await(s.ctx, patience, "the gateway has moved", func() error {
		if got := hosting("l3-agent-list-hosting-router", r.ID); !slices.Equal(got, []string{second.Name}) {
			return fmt.Errorf("it is at %v", got)
		}
		return nil
	}))
	s.connects(o.peer, public)
	s.quantum("agent-update", s.agent(first), "--", "--admin_state_up", "True")

	s.h3.PowerOff()
	s.agentIs(s.h3, "False")
	before := s.agent(s.h3)
	s.quantum("agent-delete", before)
	s.must(s.h3.PowerOn(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	s.agentIs(s.h3, "True")
	if s.agent(s.h3) == before {
		s.Error("the host has come back as what was deleted")
	}
	g := s.lease(n, s.h3)
	s.connects(g.VM, peerAddr)
	if now := s.gatewayHost(r); now != second {
		s.Errorf("the gateway moved back to %s", now.Name)
	}
}
