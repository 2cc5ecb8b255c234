package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 85, tuple: who is the other end of its connection?
//
// Told:    Inbound, and what conntrack knows: how the connection was made, whichever way this packet goes.
// Leaves:  Peer.
// Onwards: back to group, which alone asks, and only where rules name groups: what is read here the datapath remembers by the
//          whole address.

// readTuple pushes and pops: of an ICMP error about what a port has answered, Open vSwitch 3.1 has the connection and yet would
// not move it (it holds a connection's fields for known where ct_state has new, est or rpl; such an error has rel alone).
func readTuple(d *draft) {
	for _, f := range []struct {
		is       flow.Cond
		src, dst flow.Field
		peer     flow.Subfield
	}{
		{isIPv4(), flow.CTIPv4Src, flow.CTIPv4Dst, Peer[3]},
		{isIPv6(), flow.CTIPv6Src, flow.CTIPv6Dst, flow.XXReg3.Whole()},
	} {
		for inbound, end := range []flow.Field{f.dst, f.src} {
			d.add(TableTuple, 100, flow.Match{f.is, flow.IsSub(Inbound, uint64(inbound)), isTracked()},
				"reads the other end of a connection", flow.Push{Src: end.Whole()}, flow.Pop{Dst: f.peer})
		}
	}
}

// isTracked is the condition under which a flow may match how a connection was made (ovs-fields(7)).
func isTracked() flow.Cond { return flow.CTIs(flow.CTTracked, flow.CTInvalid) }
