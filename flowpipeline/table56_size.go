package flowpipeline

import (
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 56, size: may it go there, and does it fit?
//
// Told:    Router, Egress; Network, the one that it came from; Plain, the address outside that it came in by.
// Leaves:  Larger, where the next network's MTU is smaller than another's of this router, the external one included.
// Onwards: to nexthop, which refuses what is Larger; what leaves for an external network to exit, which does too. Between
//          networks of different address scopes nothing is passed on, and nobody is told, as in Neutron.
//
// OVS can neither cut a packet into fragments nor see whether it may be (DF). So every packet that is too
// large is refused, and its sender told the MTU, whether or not it had set DF: Linux heeds that in both
// cases and cuts the next one itself. To pass it on would lose it in a tunnel, to drop it silently would
// leave a hole that nobody can find.

// ethernetHeader is what a frame has beside the IP packet: the MTU is the packet's.
const ethernetHeader = 14

const (
	sizeApart = 200
	sizeAsked = 100
)

// keepApart drops what would come from a network of one address scope into one of another. A router whose networks are all of
// one scope, mostly the one without a name, has no flows for that.
func keepApart(d *draft, r *Reader, rt *router) {
	ends := rt.onNetworks()
	scopes := make([]uuid.UUID, len(ends))
	for i, e := range ends {
		scopes[i] = r.Scope(e.NetworkID)
	}
	for i, to := range ends {
		for j, from := range ends {
			if scopes[i] != scopes[j] {
				d.add(TableSize, sizeApart, flow.Match{rt.has(), flow.IsSub(Network, from.network), flow.IsSub(Egress, to.network)},
					"keeps networks of different address scopes apart")
			}
		}
	}
}

// keepOut drops what has come in from outside with its own address, for a network of another address scope than the outside's.
// What conntrack has let in is for a floating IP, or answers the inside, and that may go on.
func keepOut(d *draft, rt *router, to end) {
	d.add(TableSize, sizeApart, flow.Match{rt.has(), flow.IsSub(Network, rt.out.key), flow.IsSub(Egress, to.network), flow.IsSub(Plain, 0)},
		"keeps the outside out of a network of another address scope")
}

func checkSizes(d *draft, r *Reader, rt *router) {
	ends := rt.onNetworks()
	mtus, largest, outer := make([]int, len(ends)), 0, 0
	for i, e := range ends {
		mtus[i] = r.MTU(e.NetworkID)
		largest = max(largest, mtus[i])
	}
	if rt.out != nil {
		outer = r.MTU(rt.out.network)
	}
	for i, e := range ends {
		to := flow.Match{rt.has(), flow.IsSub(Egress, e.network)}
		if tooSmall(mtus[i], outer) && !tooSmall(mtus[i], largest) {
			to = append(to, flow.IsSub(Network, rt.out.key)) // only what comes from outside may not fit
		}
		if tooSmall(mtus[i], max(largest, outer)) {
			d.add(TableSize, sizeAsked, to, "asks whether it fits into "+plural(mtus[i], "byte"), checkSize(mtus[i]), flow.Goto{Table: TableNextHop})
		}
	}
	if rt.out == nil {
		return
	}
	actions := []flow.Action{flow.Goto{Table: TableExit}}
	if tooSmall(outer, largest) {
		actions = slices.Insert(actions, 0, checkSize(outer))
	}
	d.add(TableSize, sizeAsked, flow.Match{rt.has(), flow.IsSub(Egress, rt.out.key)}, "takes what leaves for outside to the exit", actions...)
}

// tooSmall reports whether what is on a network of an MTU may not fit into one of another. No MTU is no limit that we know.
func tooSmall(mtu, than int) bool {
	return mtu > 0 && mtu < than && mtu+ethernetHeader <= math.MaxUint16
}

// checkSize finds out whether the packet is Larger than an MTU.
func checkSize(mtu int) flow.Action {
	return flow.CheckLarger{Size: uint16(mtu + ethernetHeader), Dst: Larger}
}
