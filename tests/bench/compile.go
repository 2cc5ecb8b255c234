package main

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

// measureCompile compiles a host of some 20,000 flows from nothing, and then changes single ports in it.
func measureCompile(s *stage, t *table) {
	const networks, rounds, changes = 86, 9, 4000
	e := newEstate(networks)
	c, host := e.compiler(), idOf("host", 0)
	var whole []time.Duration
	for range rounds {
		s.must(nil)
		c.DropHost(host)
		runtime.GC()
		whole = append(whole, timed(func() {
			c.AddHost(host)
			c.Step()
		}))
	}
	flows, took := c.Size(host), median(whole)
	yardstick, share := "(not run: push)", ""
	if t.push > 0 {
		them := time.Duration(float64(flows) / t.push * float64(time.Second))
		yardstick, share = "ovs-ofctl pushes as many in "+milliseconds(them), ratio(took.Seconds()/them.Seconds())
	}
	t.add(fmt.Sprintf("compile of a host of %d flows from nothing", flows), milliseconds(took), yardstick, share, bound{}, 0)

	i := slices.IndexFunc(e.delta.Ports, func(p signalbox.Port) bool { return p.Binding != nil && p.Binding.HostID == host })
	p := e.delta.Ports[i]
	t.addChange("one address of a port there changes", took, changePort(c, changes, func(n int) {
		next := p
		next.FixedIPs = []signalbox.FixedIP{{SubnetID: p.FixedIPs[0].SubnetID, Addr: netip.AddrFrom4([4]byte{10, 0, 0, 200 + byte(n%2)})}}
		c.Facts.SetPort(&next)
	}))
	t.addChange("one port there goes, or comes", took, changePort(c, changes, func(n int) {
		if n%2 == 0 {
			c.Facts.Drop(signalbox.Ref{Kind: signalbox.KindPort, ID: p.ID})
		} else {
			next := p
			c.Facts.SetPort(&next)
		}
	}))
}

// changePort is the median time of a change and the step that compiles it.
func changePort(c *flowpipeline.Compiler, times int, change func(n int)) time.Duration {
	took := make([]time.Duration, times)
	for n := range took {
		took[n] = timed(func() {
			change(n)
			c.Step()
		})
	}
	return median(took)
}

func (t *table) addChange(what string, whole, took time.Duration) {
	t.add("  "+what, microseconds(took), "from nothing "+milliseconds(whole), fmt.Sprintf("%.4f", took.Seconds()/whole.Seconds()),
		atMost(100, " µs"), took.Seconds()*1e6)
}
