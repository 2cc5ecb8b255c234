package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 52, echo: who has pinged the router?
//
// Told:    SourcePort; the packet is the reply, but for its destination MAC.
// Leaves:  the sender's MAC as the destination.
// Onwards: back to the port that it came from. A reply needs no route: every port pings from its own
//          addresses only.

func returnEchoes(d *draft, p *port) {
	if p.MAC.IsMulticast() {
		return
	}
	d.add(TableEcho, 100, flow.Match{p.from()},
		"hears routers answer its pings",
		flow.Load{Dst: flow.EthDst.Whole(), Value: flow.Ethernet(p.MAC)},
		flow.OutputInPort{})
}
