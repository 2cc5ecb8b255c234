package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 64, nexthop: which MAC has that address?
//
// Told:    Egress, NextHop, Larger.
// Leaves:  the destination MAC; a packet that is refused carries Punt.
// Onwards: to departure. What is too large, or for an address that no port within reach has, to refusal.
//          Inside, no address is asked for by ARP: every one is in the database. Outside, the controller asks for
//          those that are not, and puts what answered into the database.

const (
	nextHopRefused = 200
	nextHopKnown   = 100
	nextHopHeard   = 90
)

func refuseLarger(d *draft) {
	d.add(TableNextHop, nextHopRefused, flow.Match{flow.IsSub(Larger, 1)}, "refuses what does not fit into the next network",
		refuse(PuntTooLarge)...)
}

// nextHop lets routers find a port's addresses. A MAC that is a group is nobody's to route to.
func nextHop(d *draft, n *network, p *signalbox.Port) {
	if p.MAC.IsMulticast() {
		return
	}
	for _, ip := range addresses(p, false) {
		d.add(TableNextHop, nextHopKnown, flow.Match{flow.IsSub(Egress, n.key), flow.IsSub(NextHop, flow.Addr(ip).Lo)},
			"has "+ip.String(),
			flow.Load{Dst: flow.EthDst.Whole(), Value: flow.Ethernet(p.MAC)},
			flow.Goto{Table: TableDeparture})
	}
}
