package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 36, permitted: do the sender's groups allow it?
//
// Told:    Allowed, Zone, and what conntrack knows.
// Leaves:  no Allowed any more.
// Onwards: to switching, and conntrack remembers who has made the connection. Dropped is what is not allowed. Fragments go
//          through conntrack once more, which holds them until all of the packet are there: of those whose first was dropped
//          none comes out. (A datapath that hands on whole packets instead has no fragments here.)

func pass(d *draft, table, next uint8, what string) {
	allowed, forget := flow.IsSub(Allowed, 1), flow.Load{Dst: Allowed, Value: flow.Num(0)}
	remember := flow.CT{Commit: true, ZoneFrom: Zone, Table: flow.Stay}
	gather := flow.CT{Commit: true, ZoneFrom: Zone, Table: next}
	for _, family := range []flow.Cond{isIPv4(), isIPv6()} {
		d.add(table, 110, flow.Match{family, flow.LaterFragment, flow.CTIs(flow.CTTracked, 0)}, "waits with a fragment for the first one to be "+what, gather)
		d.add(table, 110, flow.Match{family, flow.FirstFragment, allowed, flow.CTIs(flow.CTTracked, 0)},
			"waits for the other fragments of what is allowed to be "+what, forget, gather)
		d.add(table, 100, flow.Match{family, allowed, flow.CTIs(flow.CTTracked|flow.CTNew, 0)},
			"remembers the allowed connection of which this is the first "+what, forget, remember, flow.Goto{Table: next})
	}
	d.add(table, 100, flow.Match{allowed, flow.CTIs(flow.CTTracked, flow.CTNew)}, "lets pass what is allowed to be "+what, forget, flow.Goto{Table: next})
}
