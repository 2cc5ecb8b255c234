package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// measurePush fills one empty Open vSwitch with the flows of a large host, by our bundles and by
// ovs-ofctl's, in turn.
func measurePush(s *stage, t *table) {
	const networks, rounds = 214, 5
	c := newEstate(networks).compiler()
	host := idOf("host", 0)
	c.AddHost(host)
	c.Step()
	flows := c.Flows(host, nil)
	sw, conn := connect(s)
	var meters []flow.RateLimit
	for _, m := range c.Meters(host) {
		meters = append(meters, m)
	}
	apply(s, conn, openflow.Change{AddMeters: meters})
	file := writeFlows(s, flows)

	var ours, theirs []time.Duration
	for range rounds {
		sw.OFCtl("del-flows", "br-int")
		ours = append(ours, timed(func() { apply(s, conn, openflow.Change{Adds: flows}) }))
		if got, err := conn.Flows(s.ctx); err != nil || len(got) != len(flows) {
			s.Fatalf("the switch has %d flows of %d: %v", len(got), len(flows), err)
		}
		sw.OFCtl("del-flows", "br-int")
		theirs = append(theirs, timed(func() { sw.OFCtl("--bundle", "add-flows", "br-int", file) }))
	}
	us, them := rate(len(flows), median(ours)), rate(len(flows), median(theirs))
	t.push = them
	t.add(fmt.Sprintf("push of %d flows to one OVS", len(flows)), perSecond(us),
		"ovs-ofctl --bundle "+perSecond(them), ratio(us/them), atLeast(0.8), us/them)
}

// connect starts a switch and takes its controller connection.
func connect(s *stage) (*ovs.Switch, *openflow.Conn) {
	sw, l := ovs.Start(s), ovs.Listen(s)
	sw.AddBridge("br-int")
	sw.VSCtl("set-controller", "br-int", "tcp:"+l.Addr().String())
	nc, err := l.Accept()
	s.must(err)
	conn, err := openflow.Handshake(s.ctx, nc, openflow.Options{})
	s.must(err)
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(context.Background(), deaf{}) }()
	s.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return sw, conn
}

// deaf is a handler of what a switch says unasked.
type deaf struct{}

func (deaf) PacketIn(openflow.PacketIn)                    {}
func (deaf) PortStatus(openflow.PortReason, openflow.Port) {}
func (deaf) FlowChanged(openflow.FlowEvent)                {}
func (deaf) SwitchError(*openflow.Error)                   {}
func (deaf) RoleChanged(was, is openflow.Role)             {}

func apply(s *stage, conn *openflow.Conn, ch openflow.Change) {
	_, err := conn.Apply(s.ctx, ch)
	s.must(err)
}

// writeFlows writes flows as ovs-ofctl add-flows reads them.
func writeFlows(s *stage, flows []flow.Flow) string {
	var text strings.Builder
	for i := range flows {
		fmt.Fprintf(&text, "cookie=%#x, %s\n", uint64(flows[i].Cookie), &flows[i])
	}
	file := filepath.Join(s.dir, "flows.txt")
	s.must(os.WriteFile(file, []byte(text.String()), 0o600))
	return file
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
