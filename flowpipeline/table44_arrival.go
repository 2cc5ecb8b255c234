package flowpipeline

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 44, arrival: which of the router's outer addresses is this for?
//
// Told:    Router; Network, the external one.
// Leaves:  Plain, the outer address; Larger, where what it stands for is on a network that the packet does not
//          fit into. NextHop is in hand while an echo is turned round.
// Onwards: what is for an outer address to inward. A ping of the router's own turns into its reply, and goes back to
//          switching: it needs no route. With SNAT off, or where networks inside are of the outside's address scope, what is
//          for these goes to router as it is. What has no TTL left to refusal, before any address is changed: the sender is to
//          recognise its packet.

const (
	arrivalExpired = 300
	arrivalEcho    = 200
	arrivalOuter   = 100
	arrivalPlain   = 50
)

// refuseExpiredArrivals is what holds for all routers.
func refuseExpiredArrivals(d *draft) {
	for ttl := range uint64(2) {
		d.add(TableArrival, arrivalExpired, flow.Match{isIPv4(), flow.IsNum(flow.IPTTL, ttl)},
			"refuses what no router may pass on again", refuse(PuntTimeExceeded)...)
	}
}

// keepPlain remembers an address that conntrack is to translate.
func keepPlain(field flow.Field) flow.Action { return flow.Move{Src: field.Whole(), Dst: Plain} }

// track sends the packet through conntrack and on to a table.
func track(zone signalbox.Zone, next uint8, commit bool, how flow.NAT) flow.Action {
	return flow.CT{Commit: commit, Zone: zone, Table: next, NAT: how}
}

// to matches what a router has that is for an address.
func (rt *router) to(ip netip.Addr, more ...flow.Cond) flow.Match {
	return append(more, rt.has(), isIPv4(), flow.Is(flow.IPv4Dst, flow.Addr(ip)))
}

// arriveAtRouter: at the router's own outer address pings are answered. The rest belongs to what went out from inside.
func arriveAtRouter(d *draft, rt *router, ip netip.Addr) {
	d.add(TableArrival, arrivalEcho, rt.to(ip, isICMP(), flow.IsNum(flow.ICMPType, echoRequest), flow.IsNum(flow.ICMPCode, 0)),
		"answers the outside's ping of "+ip.String(),
		turnEcho(flow.Resubmit{Table: TableSwitching},
			flow.Move{Src: flow.EthSrc.Whole(), Dst: flow.EthDst.Whole()},
			flow.Load{Dst: flow.EthSrc.Whole(), Value: flow.Ethernet(rt.out.port.MAC)})...)
	d.add(TableArrival, arrivalOuter, rt.to(ip), "is for "+ip.String(), keepPlain(flow.IPv4Dst), flow.Goto{Table: TableInward})
}

// arriveAtFloating: what is for a floating address is for the port that it stands for.
func arriveAtFloating(d *draft, r *Reader, rt *router, ip *signalbox.FloatingIP, inner uuid.UUID) {
	actions := []flow.Action{keepPlain(flow.IPv4Dst)}
	if mtu := r.MTU(inner); tooSmall(mtu, r.MTU(rt.out.network)) {
		actions = append(actions, checkSize(mtu))
	}
	d.add(TableArrival, arrivalOuter, rt.to(ip.Addr), "is for "+ip.Addr.String(), append(actions, flow.Goto{Table: TableInward})...)
}

// arrivePlain lets in what is for the networks inside that leave as they are. Where others are to be kept from that, Plain says
// that it has come so: before this router another may have had the packet.
func arrivePlain(d *draft, rt *router, apart bool) {
	actions := []flow.Action{flow.Goto{Table: TableRouter}}
	if apart {
		actions = slices.Insert(actions, 0, flow.Action(flow.Load{Dst: Plain, Value: flow.Num(0)}))
	}
	d.add(TableArrival, arrivalPlain, flow.Match{rt.has(), isIPv4()}, "comes in with its own address", actions...)
}
