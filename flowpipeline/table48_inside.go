package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 48, inside: has it been translated to that?
//
// Told:    Router; Plain, the outer address.
// Leaves:  nothing new.
// Onwards: to router. Dropped is what conntrack did not translate, and what it translated as an earlier
//          association would have it.

const (
	insideUnasked = 110
	insideAsked   = 100
)

// wasFor matches what came in for an outer address.
func (rt *router) wasFor(ip netip.Addr, more ...flow.Cond) flow.Match {
	return append(more, rt.has(), isIPv4(), flow.IsSub(Plain, flow.Addr(ip).Lo))
}

// letInAnswers: at the router's own outer address, whatever conntrack knows answers the inside.
func letInAnswers(d *draft, rt *router, ip netip.Addr) {
	d.add(TableInside, insideUnasked, rt.wasFor(ip, flow.Is(flow.IPv4Dst, flow.Addr(ip))), "serves nothing at "+ip.String())
	d.add(TableInside, insideAsked, rt.wasFor(ip), "lets in what answers the inside", flow.Goto{Table: TableRouter})
}

func letInFloating(d *draft, rt *router, ip *signalbox.FloatingIP) {
	d.add(TableInside, insideAsked, rt.wasFor(ip.Addr, flow.Is(flow.IPv4Dst, flow.Addr(ip.FixedAddr))),
		"lets "+ip.Addr.String()+" in as "+ip.FixedAddr.String(), flow.Goto{Table: TableRouter})
}
