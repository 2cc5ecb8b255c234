package flowpipeline

import (
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

// translate sends out, on the gateway host, what has no floating IP.
func translate(d *draft, rt *router) {
	out := flow.Match{rt.has(), isIPv4()}
	switch {
	case !rt.Gateway.EnableSNAT:
		d.add(TableExit, exitGateway, out, "leaves with its own address", flow.Goto{Table: TableNextHop})
		d.add(TableArrival, arrivalPlain, out, "comes in with its own address", flow.Goto{Table: TableRouter})
	case len(rt.out.addrs) > 0:
		ip := rt.out.addrs[0]
		d.add(TableExit, exitGateway, out, "leaves from "+ip.String(),
			keepPlain(flow.IPv4Src), track(rt.Gateway.Zone, TableOutward, true, flow.SourceNAT(ip)))
		d.add(TableOutward, 90, append(out, flow.Is(flow.IPv4Src, flow.Addr(ip))), "lets out what leaves from "+ip.String(),
			flow.Goto{Table: TableNextHop})
	}
}

// leaveByFloating sends out what has a floating IP, also what answers those who came by it.
func leaveByFloating(d *draft, rt *router, ip *signalbox.FloatingIP) {
	d.add(TableExit, exitFloating, flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Src, flow.Addr(ip.FixedAddr))},
		"lets "+ip.FixedAddr.String()+" leave from "+ip.Addr.String(),
		keepPlain(flow.IPv4Src), track(rt.Gateway.Zone, TableOutward, true, flow.SourceNAT(ip.Addr)))
	d.add(TableOutward, 100, flow.Match{rt.has(), isIPv4(), flow.IsSub(Plain, flow.Addr(ip.FixedAddr).Lo), flow.Is(flow.IPv4Src, flow.Addr(ip.Addr))},
		"lets out "+ip.FixedAddr.String()+" as "+ip.Addr.String(), flow.Goto{Table: TableNextHop})
}

// Table 62, outward: has it been translated to that?
//
// Told:    Router, Plain.
// Leaves:  nothing new.
// Onwards: to nexthop. Dropped is what conntrack did not translate, since it has no port left: an inner
//          address never goes out.
