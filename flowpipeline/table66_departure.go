package flowpipeline

import (
	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 66, departure: from which MAC does the router send it on?
//
// Told:    Router, Egress; the packet's destination MAC is the next hop's.
// Leaves:  the source MAC, a TTL that is one less; Egress has become Network; Routed; no Router any more.
// Onwards: back to switching, as if a port of this host had sent it on the next network. Where that leads
//          to another router it comes here again; the TTL, and OVS's own limit of 64 resubmits within each
//          other, bound that.

// depart asks for IPv4, which is all that comes here: OVS wants to be sure that there is a TTL.
//
// On a physical network a router's MAC shows from its gateway host alone: there what other hosts leave to it is
// sent to that MAC, so its switches have to know where it is.
func depart(d *draft, rt *router, host uuid.UUID) {
	for _, e := range rt.onNetworks() {
		routed := uint64(1)
		if isGatewayHost(rt.Router, host) {
			routed = 0
		}
		d.add(TableDeparture, 100, flow.Match{rt.has(), isIPv4(), flow.IsSub(Egress, e.network)},
			"sends on from "+e.MAC.String(),
			flow.Load{Dst: flow.EthSrc.Whole(), Value: flow.Ethernet(e.MAC)},
			flow.DecTTL{},
			flow.Load{Dst: Network, Value: flow.Num(e.network)},
			flow.Load{Dst: Routed, Value: flow.Num(routed)},
			flow.Load{Dst: Router, Value: flow.Num(0)},
			flow.Resubmit{Table: TableSwitching})
	}
}

// departOutside sends on to an external network, from an outer MAC that no other host uses. Egress is done with: where the
// packet comes in again at once, nobody must take it for the network that it is too large for.
func departOutside(d *draft, priority uint16, match flow.Match, o *outlet, mac flow.Value) {
	d.add(TableDeparture, priority, append(match, isIPv4(), flow.IsSub(Egress, o.key)),
		"sends on to outside",
		flow.Load{Dst: flow.EthSrc.Whole(), Value: mac},
		flow.DecTTL{},
		flow.Load{Dst: Network, Value: flow.Num(o.key)},
		flow.Load{Dst: Egress, Value: flow.Num(0)},
		flow.Load{Dst: Routed, Value: flow.Num(0)},
		flow.Load{Dst: Router, Value: flow.Num(0)},
		flow.Resubmit{Table: TableSwitching})
}
