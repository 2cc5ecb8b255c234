//go:build integration

package ovs

import (
	"strings"
	"testing"
)

func TestTraceFollowsTheFlows(t *testing.T) {
	s := Start(t)
	s.AddBridge("br-int")
	in, out := s.AddPort("br-int", "p1"), s.AddPort("br-int", "p2")
	s.OFCtl("add-flow", "br-int", "in_port=p1,actions=p2")
	trace := s.Trace("br-int", "in_port=1,icmp")
	if in != 1 || out != 2 || !strings.Contains(trace, "output:2") {
		t.Errorf("ports %d and %d; trace:\n%s", in, out, trace)
	}
}
