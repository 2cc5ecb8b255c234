package flowpipeline

import (
	"net/netip"
	"slices"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 54, routing: which network is next, and which address on it?
//
// Told:    Router.
// Leaves:  Egress and NextHop; a packet without a route carries Punt.
// Onwards: to size; what has no route to refusal.
//
// The longest prefix wins by its priority. Of equal prefixes a connected one wins, then the one that is
// first in the router's row, then the way out to the external network.

const routeBase = 10

func routePriority(prefix netip.Prefix, connected bool) uint16 {
	p := routeBase + 2*uint16(prefix.Bits())
	if connected {
		p++
	}
	return p
}

func route(d *draft, rt *router, subnets []subnet) {
	connect := func(s *subnet, where string) {
		d.add(TableRouting, routePriority(s.Prefix, true), append(inside(s.Prefix), rt.has()),
			"is connected to "+s.Prefix.String()+where,
			flow.Load{Dst: Egress, Value: flow.Num(s.network)},
			flow.Move{Src: flow.IPv4Dst.Whole(), Dst: NextHop},
			flow.Goto{Table: TableSize})
	}
	for i := range subnets {
		connect(&subnets[i], "")
	}
	hops := subnets
	if rt.out != nil {
		hops = slices.Concat(subnets, rt.out.subnets)
		for i := range rt.out.subnets {
			s := &rt.out.subnets[i]
			if !slices.ContainsFunc(subnets, func(inner subnet) bool { return inner.Prefix == s.Prefix }) {
				connect(s, " outside")
			}
		}
	}
	routes := rt.Routes
	if rt.out != nil && rt.out.hop.IsValid() {
		routes = append(slices.Clone(routes), signalbox.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), NextHop: rt.out.hop})
	}
	routed := map[netip.Prefix]bool{}
	for _, static := range routes {
		to := static.Destination.Masked()
		s := gateway(static, hops)
		if s == nil || routed[to] {
			continue
		}
		routed[to] = true
		d.add(TableRouting, routePriority(to, false), append(inside(to), rt.has()),
			"reaches "+to.String()+" by "+static.NextHop.String(),
			flow.Load{Dst: Egress, Value: flow.Num(s.network)},
			flow.Load{Dst: NextHop, Value: flow.Addr(static.NextHop)},
			flow.Goto{Table: TableSize})
	}
}

// gateway is the block that a static route's next hop is in. A route is no good without, or when it leads
// to the router itself.
func gateway(static signalbox.Route, subnets []subnet) *subnet {
	if !static.Destination.IsValid() || !static.Destination.Addr().Is4() {
		return nil
	}
	var found *subnet
	for i := range subnets {
		s := &subnets[i]
		if s.own == static.NextHop {
			return nil
		}
		if s.Contains(static.NextHop) && (found == nil || s.Bits() > found.Bits()) {
			found = s
		}
	}
	return found
}
