package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 34, sent: who made its connection?
//
// Told:    Zone, and what conntrack knows there.
// Leaves:  Inbound; from membership to rule, whether it is Allowed.
// Onwards: by membership to permitted; fragments that show no port straight there. Dropped is what conntrack can make nothing of.

// judge asks what the watched port's groups say of the packet's connection, which is its own or another's. The first of a
// connection's packets is the same to this as any other, and so is an error about one: what was allowed once and is no more
// stops with the next packet, and conntrack needs to forget nothing.
func judge(d *draft, table, next uint8, inbound uint64) {
	for _, family := range []flow.Cond{isIPv4(), isIPv6()} {
		d.add(table, 110, flow.Match{family, flow.LaterFragment, flow.CTIs(flow.CTTracked, flow.CTInvalid)},
			"leaves it to the first fragment whether the others may pass", flow.Goto{Table: next})
	}
	ask := func(state flow.Cond, inbound uint64, phrase string) {
		d.add(table, 100, flow.Match{state}, phrase,
			flow.Load{Dst: Inbound, Value: flow.Num(inbound)}, flow.Resubmit{Table: TableMembership}, flow.Goto{Table: next})
	}
	ask(flow.CTIs(flow.CTTracked, flow.CTInvalid|flow.CTReply), inbound, "asks whether its sender may make this connection, or its receiver be called")
	ask(flow.CTIs(flow.CTTracked|flow.CTReply, flow.CTInvalid), 1-inbound, "asks whether what it answers was allowed")
}
