package flowpipeline

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 60, exit: which host sends this out, and from which address?
//
// Told:    Router; Network, the one that it came from; Egress, an external one; Larger.
// Leaves:  Plain, the inner address.
// Onwards: to outward by conntrack, from a floating IP that this host translates, or on the gateway host from
//          the router's own address; with SNAT off to nexthop as it is. Otherwise to the gateway host, not
//          routed yet, as a frame to the router's MAC. Where no host has the external network, to refusal.

const (
	exitRefused  = 300
	exitFloating = 200
	exitGateway  = 100
	exitRouted   = 60
	exitElse     = 50
)

// leaveToGatewayHost lets the gateway host route what leaves. On a physical network, what another router has sent
// carries this host's own MAC there.
func leaveToGatewayHost(d *draft, r *Reader, rt *router, host uuid.UUID) {
	if rt.out == nil || rt.Gateway.Host == uuid.Nil || rt.Gateway.Host == host {
		return
	}
	for _, e := range rt.onNetworks() {
		n, ok := readNetwork(r, host, e.NetworkID)
		if !ok || n.uplink == 0 {
			continue
		}
		from := flow.Match{rt.has(), n.is()}
		if n.segment.Type.Tunnelled() {
			if peer, ok := tunnelPeer(r, rt.Gateway.Host); ok {
				d.add(TableExit, exitElse, from, "leaves by its gateway host, "+peer.String(), append(n.tunnelKey(), n.toPeer(peer)...)...)
			}
			continue
		}
		d.add(TableExit, exitElse, append(from, flow.IsSub(Routed, 0)), "leaves by its gateway host on "+n.outside(), n.toPhysical()...)
		if row := r.Host(host); row != nil && row.MAC != (signalbox.MAC{}) {
			own := flow.Load{Dst: flow.EthSrc.Whole(), Value: flow.Ethernet(row.MAC)}
			d.add(TableExit, exitRouted, flow.Match{rt.has(), n.is(), flow.IsSub(Routed, 1)},
				"leaves by its gateway host on "+n.outside()+", from this host's own MAC", append([]flow.Action{own}, n.toPhysical()...)...)
		}
	}
}

func refuseLargerAtExit(d *draft) {
	d.add(TableExit, exitRefused, flow.Match{flow.IsSub(Larger, 1)}, "refuses what does not fit outside", refuse(PuntTooLarge)...)
}

// leaveByGateway sends out, on the gateway host, what has no floating IP.
func leaveByGateway(d *draft, rt *router, ip netip.Addr) {
	d.add(TableExit, exitGateway, flow.Match{rt.has(), isIPv4()}, "leaves from "+ip.String(),
		keepPlain(flow.IPv4Src), track(rt.Gateway.Zone, TableOutward, true, flow.SourceNAT(ip)))
}

// leavePlain is the same with SNAT off.
func leavePlain(d *draft, rt *router) {
	d.add(TableExit, exitGateway, flow.Match{rt.has(), isIPv4()}, "leaves with its own address", flow.Goto{Table: TableNextHop})
}

// leaveByFloating sends out what has a floating IP, also what answers those who came by it.
func leaveByFloating(d *draft, rt *router, ip *signalbox.FloatingIP) {
	d.add(TableExit, exitFloating, flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Src, flow.Addr(ip.FixedAddr))},
		"lets "+ip.FixedAddr.String()+" leave from "+ip.Addr.String(),
		keepPlain(flow.IPv4Src), track(rt.Gateway.Zone, TableOutward, true, flow.SourceNAT(ip.Addr)))
}
