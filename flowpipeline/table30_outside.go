package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 30, outside: does an external network ask for an address that is translated here, or answer it?
//
// Told:    Network; the packet came from the fabric.
// Leaves:  nothing new; a punted packet carries Punt.
// Onwards: a question turns round as its answer: one host alone translates an address, and only that one
//          answers. Answers to us go to the controller, within a rate; what a known neighbour announces goes there
//          too. All else goes to switching.

func answerOutside(d *draft, n *network, rt *router, ip netip.Addr, mac signalbox.MAC) {
	actions := turnARP(mac, ip)
	if n.segment.Type == signalbox.VLAN {
		actions = append(actions, flow.PushVLAN{}, flow.Load{Dst: flow.VLANVID.Whole(), Value: flow.Num(n.tag())})
	}
	to := flow.Is(flow.ARPTPA, flow.Addr(ip))
	d.add(TableOutside, 100, flow.Match{n.is(), isARP(), flow.IsNum(flow.ARPOp, arpRequest), to},
		"answers the outside's ARP for "+ip.String(), append(actions, flow.OutputInPort{})...)
	d.add(TableOutside, 100, flow.Match{n.is(), isARP(), flow.IsNum(flow.ARPOp, arpReply), to},
		"takes ARP answers to "+ip.String()+" to the controller, within a rate", punt(PuntARPReply, outsideMeter(rt.Gateway.Zone))...)
}

// hearNeighbour: a neighbour that announces itself may have another MAC now (RFC 5227, 3). The network's own ports hear it too.
func hearNeighbour(d *draft, n *network, ip netip.Addr, meter flow.RateLimit) {
	if len(d.out.Meters) == 0 {
		d.out.Meters = append(d.out.Meters, meter)
	}
	addr := flow.Addr(ip)
	d.add(TableOutside, 90, flow.Match{n.is(), isARP(), flow.Is(flow.ARPSPA, addr), flow.Is(flow.ARPTPA, addr)},
		"shows the controller what "+ip.String()+" announces, within a rate", append(punt(PuntARPReply, meter), flow.Goto{Table: TableSwitching})...)
}

func punt(why PuntReason, meter flow.RateLimit) []flow.Action {
	return []flow.Action{flow.Meter{ID: meter.ID}, flow.Load{Dst: Punt, Value: flow.Num(uint64(why))}, flow.ToController{}}
}
