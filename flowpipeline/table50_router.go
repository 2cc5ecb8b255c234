package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 50, router: is this for the router itself, or may it go on?
//
// Told:    Router; Network, the one that the packet came from.
// Leaves:  a packet that is refused carries Punt.
// Onwards: IPv4 to routing. A ping of any of the router's addresses turns into its reply, from the MAC that
//          it was sent to, and goes to echo; what else is for the router, and what has no TTL left, to refusal.
//          What no router may forward is dropped, and so is everything that is not IPv4; and where security groups
//          are enforced, DHCP between clients and servers.
//
// A ping in fragments is not answered: OVS does not put them together, and shows no fragment's ICMP type.

const (
	routerEcho    = 210
	routerSilent  = 205
	routerOwn     = 200
	routerNever   = 150
	routerExpired = 110
	routerOnwards = 100
)

// neverForwarded are destinations that no router passes on: "this network", loopback, link-local (RFC 3927),
// and multicast with all above it, the broadcast address included (RFC 1812, 5.3.7; RFC 6890).
var neverForwarded = []struct{ prefix, what string }{
	{"0.0.0.0/8", "no address"},
	{"127.0.0.0/8", "a host's own loopback"},
	{"169.254.0.0/16", "one link"},
	{"224.0.0.0/3", "many, or reserved"},
}

// admitToRouting is what holds for all routers.
func admitToRouting(d *draft, guarded bool) {
	for _, n := range neverForwarded {
		d.add(TableRouter, routerNever, inside(netip.MustParsePrefix(n.prefix)), "keeps routers from passing on what is for "+n.what)
	}
	for ttl := range uint64(2) {
		d.add(TableRouter, routerExpired, flow.Match{isIPv4(), flow.IsNum(flow.IPTTL, ttl)},
			"refuses what no router may pass on again", refuse(PuntTimeExceeded)...)
	}
	if guarded {
		// Sending and receiving let it pass whatever groups say, for a network's own sake. A relay speaks from port 67 to 67.
		for _, m := range []flow.Match{dhcp(isIPv4(), dhcpClient, dhcpServer), dhcp(isIPv4(), dhcpServer, dhcpClient)} {
			d.add(TableRouter, routerNever, m, "keeps to its network the DHCP that no group is asked about")
		}
	}
	d.add(TableRouter, routerOnwards, flow.Match{isIPv4()}, "lets routers route IPv4", flow.Goto{Table: TableRouting})
}

// refuse hands a packet to the table that lets the controller say why it does not go on.
func refuse(why PuntReason) []flow.Action {
	return []flow.Action{flow.Load{Dst: Punt, Value: flow.Num(uint64(why))}, flow.Goto{Table: TableRefusal}}
}

// receive makes what is for the router itself: whichever network it comes from, all its addresses are its own. But for
// the outer one that many inside share: what is for that goes its way, since it may answer one of them who came by a
// floating IP. Whether it does, conntrack knows at the gateway host, which drops it otherwise.
func receive(d *draft, rt *router, subnets []subnet) {
	for _, ip := range rt.own() {
		d.add(TableRouter, routerEcho, rt.to(ip, isICMP(), flow.IsNum(flow.ICMPType, echoRequest), flow.IsNum(flow.ICMPCode, 0)),
			"answers a ping of "+ip.String(),
			turnEcho(flow.Goto{Table: TableEcho}, flow.Move{Src: flow.EthDst.Whole(), Dst: flow.EthSrc.Whole()})...)
		if rt.answersBy(ip) {
			continue
		}
		d.add(TableRouter, routerSilent, rt.to(ip, isICMP()), "drops other ICMP for "+ip.String())
		d.add(TableRouter, routerOwn, rt.to(ip), "serves nothing else at "+ip.String(), refuse(PuntNoService)...)
	}
	told := map[netip.Addr]bool{}
	for i := range subnets {
		if last, ok := subnets[i].broadcast(); ok && !told[last] {
			told[last] = true
			d.add(TableRouter, routerNever, flow.Match{rt.has(), isIPv4(), flow.Is(flow.IPv4Dst, flow.Addr(last))},
				"passes nothing on to everybody at "+last.String()+" (RFC 2644)")
		}
	}
}

// turnEcho makes a ping its own reply, its MACs by macs, and sends it on.
func turnEcho(on flow.Action, macs ...flow.Action) []flow.Action {
	return append(macs,
		flow.Move{Src: flow.IPv4Src.Whole(), Dst: NextHop},
		flow.Move{Src: flow.IPv4Dst.Whole(), Dst: flow.IPv4Src.Whole()},
		flow.Move{Src: NextHop, Dst: flow.IPv4Dst.Whole()},
		flow.Load{Dst: flow.ICMPType.Whole(), Value: flow.Num(echoReply)},
		flow.Load{Dst: flow.IPTTL.Whole(), Value: flow.Num(64)},
		on)
}
