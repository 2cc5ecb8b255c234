package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 86, peer: is the other end in that one?
//
// Told:    PeerGroup, Peer.
// Leaves:  nothing new.
// Onwards: to rule, if it is.

// knowPeer: one flow for each address of a group, whatever rules name that.
func knowPeer(d *draft, group signalbox.GroupKey, addr netip.Prefix) {
	what := addr.String()
	if addr.IsSingleIP() {
		what = addr.Addr().String()
	}
	d.add(TablePeer, 100, append(peerIn(addr), flow.IsSub(PeerGroup, uint64(group))), "has "+what+" in it", flow.Goto{Table: TableRule})
}
