package flowpipeline

import (
	"math"
	"slices"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 56, size: does it fit there?
//
// Told:    Router, Egress; Network, the one that it came from.
// Leaves:  Larger, where the next network's MTU is smaller than another's of this router, the external one included.
// Onwards: to nexthop, which refuses what is Larger; what leaves for an external network to exit, which does too.
//
// OVS can neither cut a packet into fragments nor see whether it may be (DF). So every packet that is too
// large is refused, and its sender told the MTU, whether or not it had set DF: Linux heeds that in both
// cases and cuts the next one itself. To pass it on would lose it in a tunnel, to drop it silently would
// leave a hole that nobody can find.

// ethernetHeader is what a frame has beside the IP packet: the MTU is the packet's.
const ethernetHeader = 14

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
			d.add(TableSize, 100, to, "asks whether it fits into "+plural(mtus[i], "byte"), checkSize(mtus[i]), flow.Goto{Table: TableNextHop})
		}
	}
	if rt.out == nil {
		return
	}
	actions := []flow.Action{flow.Goto{Table: TableExit}}
	if tooSmall(outer, largest) {
		actions = slices.Insert(actions, 0, checkSize(outer))
	}
	d.add(TableSize, 100, flow.Match{rt.has(), flow.IsSub(Egress, rt.out.key)}, "takes what leaves for outside to the exit", actions...)
}

// tooSmall reports whether what is on a network of an MTU may not fit into one of another. No MTU is no limit that we know.
func tooSmall(mtu, than int) bool {
	return mtu > 0 && mtu < than && mtu+ethernetHeader <= math.MaxUint16
}

// checkSize finds out whether the packet is Larger than an MTU.
func checkSize(mtu int) flow.Action {
	return flow.CheckLarger{Size: uint16(mtu + ethernetHeader), Dst: Larger}
}
