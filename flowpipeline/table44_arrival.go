package flowpipeline

import (
	"math"
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 44, arrival: which of the router's outer addresses is this for?
//
// Told:    Router; Network, the external one.
// Leaves:  Plain, the outer address; Larger, where what it stands for is on a network that the packet does not
//          fit into. NextHop is in hand while an echo is turned round.
// Onwards: what is for an outer address to inward. A ping of the router's own turns into its reply. With SNAT off,
//          what is for the networks inside goes to router as it is. What has no TTL left to refusal, before
//          any address is changed: the sender is to recognise its packet.

const (
	arrivalExpired = 300
	arrivalEcho    = 200
	arrivalOuter   = 100
	arrivalPlain   = 50
)

// admitArrivals is what holds for all routers.
func admitArrivals(d *draft) {
	for ttl := range uint64(2) {
		d.add(TableArrival, arrivalExpired, flow.Match{isIPv4(), flow.IsNum(flow.IPTTL, ttl)},
			"refuses what no router may pass on again", refuse(PuntTimeExceeded)...)
	}
}

// keepPlain remembers an address that conntrack is to translate.
func keepPlain(field flow.Field) flow.Action { return flow.Move{Src: field.Whole(), Dst: Plain} }

// arriveAtRouter: at the router's own outer address, pings are answered; the rest belongs to what went out from inside.
func arriveAtRouter(d *draft, rt *router, ip netip.Addr) {
	to := func(more ...flow.Cond) flow.Match {
		return append(more, rt.has(), isIPv4(), flow.Is(flow.IPv4Dst, flow.Addr(ip)))
	}
	d.add(TableArrival, arrivalEcho, to(isICMP(), flow.IsNum(flow.ICMPType, echoRequest), flow.IsNum(flow.ICMPCode, 0)),
		"answers the outside's ping of "+ip.String(),
		flow.Move{Src: flow.EthSrc.Whole(), Dst: flow.EthDst.Whole()},
		flow.Load{Dst: flow.EthSrc.Whole(), Value: flow.Ethernet(rt.out.port.MAC)},
		flow.Move{Src: flow.IPv4Src.Whole(), Dst: NextHop},
		flow.Move{Src: flow.IPv4Dst.Whole(), Dst: flow.IPv4Src.Whole()},
		flow.Move{Src: NextHop, Dst: flow.IPv4Dst.Whole()},
		flow.Load{Dst: flow.ICMPType.Whole(), Value: flow.Num(echoReply)},
		flow.Load{Dst: flow.IPTTL.Whole(), Value: flow.Num(64)},
		flow.Resubmit{Table: TableSwitching})
	d.add(TableArrival, arrivalOuter, to(), "is for "+ip.String(), keepPlain(flow.IPv4Dst), flow.Goto{Table: TableInward})
	if rt.Gateway.EnableSNAT {
		addr := flow.IsSub(Plain, flow.Addr(ip).Lo)
		d.add(TableInward, 100, to(), "belongs to what went out from inside, if anything", track(rt.Gateway.Zone, TableInside, false, flow.KeepNAT()))
		d.add(TableInside, 110, append(to(), addr), "serves nothing at "+ip.String())
		d.add(TableInside, 100, flow.Match{rt.has(), isIPv4(), addr}, "lets in what answers the inside", flow.Goto{Table: TableRouter})
	}
}

// arriveAtFloating: what is for a floating address is for the port that it stands for.
func arriveAtFloating(d *draft, r *Reader, rt *router, ip *signalbox.FloatingIP, inner uuid.UUID) {
	to := flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Dst, flow.Addr(ip.Addr))}
	actions := []flow.Action{keepPlain(flow.IPv4Dst)}
	if mtu := r.MTU(inner); mtu > 0 && mtu < r.MTU(rt.out.network) && mtu+ethernetHeader <= math.MaxUint16 {
		actions = append(actions, flow.CheckLarger{Size: uint16(mtu + ethernetHeader), Dst: Larger})
	}
	d.add(TableArrival, arrivalOuter, to, "is for "+ip.Addr.String(), append(actions, flow.Goto{Table: TableInward})...)
	d.add(TableInward, 100, to, "stands for "+ip.FixedAddr.String(),
		track(rt.Gateway.Zone, TableInside, true, flow.DestinationNAT(ip.FixedAddr)))
	d.add(TableInside, 100, flow.Match{rt.has(), isIPv4(), flow.IsSub(Plain, flow.Addr(ip.Addr).Lo), flow.Is(flow.IPv4Dst, flow.Addr(ip.FixedAddr))},
		"lets "+ip.Addr.String()+" in as "+ip.FixedAddr.String(), flow.Goto{Table: TableRouter})
}

// track sends the packet through conntrack and on to a table.
func track(zone signalbox.Zone, next uint8, commit bool, how flow.NAT) flow.Action {
	return flow.CT{Commit: commit, Zone: zone, Table: next, NAT: how}
}

// Table 46, inward: which address inside does that stand for?
//
// Told:    Router, Plain, Larger.
// Leaves:  the destination inside, by conntrack.
// Onwards: to inside; what is too large inside to refusal.

// Table 48, inside: has it been translated to that?
//
// Told:    Router, Plain.
// Leaves:  nothing new.
// Onwards: to router. Dropped is what conntrack did not translate, and what it translated as an earlier
//          association would have it.
