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
//          the router's own address; with SNAT off, or from a network of the external one's address scope, to nexthop as
//          it is. With SNAT off nothing leaves from a network of another scope. Otherwise to the gateway host, not
//          routed yet, as a frame to the router's MAC. Where no host has the external network, to refusal.

const (
	exitRefused  = 300
	exitFloating = 200
	exitBack     = 130
	exitHairpin  = 120
	exitScope    = 110
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
	d.add(TableExit, exitGateway, flow.Match{rt.has(), isIPv4()}, "leaves from "+ip.String(), behind(rt, ip)...)
}

// behind hides the packet's source behind an outer address.
func behind(rt *router, ip netip.Addr) []flow.Action {
	return []flow.Action{keepPlain(flow.IPv4Src), track(rt.Gateway.Zone, TableOutward, true, flow.SourceNAT(ip))}
}

// leavePlain is the same with SNAT off.
func leavePlain(d *draft, rt *router) {
	d.add(TableExit, exitGateway, flow.Match{rt.has(), isIPv4()}, "leaves with its own address", flow.Goto{Table: TableNextHop})
}

// leaveAsIs sends out, although there is SNAT, what comes from a network of the external one's address scope.
func leaveAsIs(d *draft, rt *router, from end) {
	d.add(TableExit, exitScope, flow.Match{rt.has(), isIPv4(), flow.IsSub(Network, from.network)},
		"leaves with its own address, which is of the outside's scope", flow.Goto{Table: TableNextHop})
}

// leaveAgain sends back outside what came from there as it is, and has no other way: it is not to be hidden behind the router.
func leaveAgain(d *draft, rt *router) {
	d.add(TableExit, exitBack, flow.Match{rt.has(), isIPv4(), flow.IsSub(Network, rt.out.key)},
		"leaves with its own address, as it came", flow.Goto{Table: TableNextHop})
}

// leaveToFloating hides behind the router, as elsewhere, who asks for one of its own floating IPs: answers would else go from
// network to network, past conntrack.
func leaveToFloating(d *draft, rt *router, ip, floating netip.Addr) {
	d.add(TableExit, exitHairpin, flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Dst, flow.Addr(floating))},
		"leaves from "+ip.String()+" for "+floating.String()+", to be answered by it", behind(rt, ip)...)
}

// stayInside keeps in, with SNAT off, what comes from a network of another address scope than the external one's.
func stayInside(d *draft, rt *router, from end) {
	d.add(TableExit, exitScope, flow.Match{rt.has(), isIPv4(), flow.IsSub(Network, from.network)},
		"keeps inside what is of another address scope than the outside")
}

// leaveByFloating sends out what has a floating IP, also what answers those who came by it.
func leaveByFloating(d *draft, rt *router, ip *signalbox.FloatingIP) {
	d.add(TableExit, exitFloating, flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Src, flow.Addr(ip.FixedAddr))},
		"lets "+ip.FixedAddr.String()+" leave from "+ip.Addr.String(),
		behind(rt, ip.Addr)...)
}
