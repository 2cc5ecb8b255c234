package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 62, outward: has it been translated to that?
//
// Told:    Router; Plain, the inner address.
// Leaves:  nothing new.
// Onwards: to nexthop. Dropped is what conntrack did not translate, since it has no port or no room left: an inner
//          address never goes out.

const (
	outwardFloating = 100
	outwardGateway  = 90
)

func letOutByGateway(d *draft, rt *router, ip netip.Addr) {
	d.add(TableOutward, outwardGateway, flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Src, flow.Addr(ip))},
		"lets out what leaves from "+ip.String(), flow.Goto{Table: TableNextHop})
}

func letOutByFloating(d *draft, rt *router, ip *signalbox.FloatingIP) {
	d.add(TableOutward, outwardFloating,
		flow.Match{rt.has(), isIPv4(), flow.IsSub(Plain, flow.Addr(ip.FixedAddr).Lo), flow.Is(flow.IPv4Src, flow.Addr(ip.Addr))},
		"lets out "+ip.FixedAddr.String()+" as "+ip.Addr.String(), flow.Goto{Table: TableNextHop})
}
