package flowpipeline

import (
	"math"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 56, size: does it fit there?
//
// Told:    Router, Egress.
// Leaves:  Larger, where the next network's MTU is smaller than another's of this router.
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
	mtus, largest := make([]int, len(ends)), 0
	for i, e := range ends {
		mtus[i] = r.MTU(e.NetworkID)
		largest = max(largest, mtus[i])
	}
	outer := 0
	if rt.out != nil {
		outer = r.MTU(rt.out.network)
		largest = max(largest, outer)
	}
	for i, e := range ends {
		if mtu := mtus[i]; mtu > 0 && mtu < largest && mtu+ethernetHeader <= math.MaxUint16 {
			d.add(TableSize, 100, flow.Match{rt.has(), flow.IsSub(Egress, e.network)},
				"asks whether it fits into "+plural(mtu, "byte"),
				flow.CheckLarger{Size: uint16(mtu + ethernetHeader), Dst: Larger},
				flow.Goto{Table: TableNextHop})
		}
	}
	if rt.out == nil {
		return
	}
	actions := []flow.Action{flow.Goto{Table: TableExit}}
	if outer > 0 && outer < largest && outer+ethernetHeader <= math.MaxUint16 {
		actions = append([]flow.Action{flow.CheckLarger{Size: uint16(outer + ethernetHeader), Dst: Larger}}, actions...)
	}
	d.add(TableSize, 100, flow.Match{rt.has(), flow.IsSub(Egress, rt.out.key)}, "takes what leaves for outside to the exit", actions...)
}
