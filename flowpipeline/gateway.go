package flowpipeline

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// outlet is a router's way out, the same on every host.
type outlet struct {
	network uuid.UUID
	key     uint64 // the external network's
	port    *signalbox.Port
	addrs   []netip.Addr // the router's outside, IPv4
	subnets []subnet     // of the external network, IPv4
	hop     netip.Addr   // the default route's next hop; zero: there is none
}

// readOutlet is nil when nothing can go out: no gateway, or one that is down or on a network that is.
func readOutlet(r *Reader, g *signalbox.Gateway) *outlet {
	if g == nil || g.Zone == 0 {
		return nil
	}
	n, p := r.Network(g.NetworkID), r.Port(g.PortID)
	if n == nil || !n.AdminStateUp || p == nil || !p.AdminStateUp || p.MAC.IsMulticast() {
		return nil
	}
	o := &outlet{network: n.ID, key: uint64(n.Key), port: p, addrs: addresses(p, false)}
	for _, id := range r.SubnetsOf(n.ID) {
		s := r.Subnet(id)
		if s == nil || !s.CIDR.Addr().Is4() {
			continue
		}
		block := subnet{Prefix: s.CIDR.Masked(), end: end{p, o.key}}
		for _, ip := range p.FixedIPs {
			if ip.SubnetID != id {
				continue
			}
			block.own = ip.Addr
			if !o.hop.IsValid() && s.GatewayIP.Is4() {
				o.hop = s.GatewayIP
			}
		}
		o.subnets = append(o.subnets, block)
	}
	return o
}

// isGatewayHost reports whether a host sends and receives for a router outside.
func isGatewayHost(rt *signalbox.Router, host uuid.UUID) bool {
	return rt.Gateway != nil && rt.Gateway.Host == host
}

// gatewayHostOf reports whether a host is that for any router that joins a network.
func gatewayHostOf(r *Reader, host, network uuid.UUID) bool {
	for _, id := range r.RoutersOn(network) {
		if rt := r.Router(id); rt != nil && isGatewayHost(rt, host) {
			return true
		}
	}
	return false
}

// readTranslating is a router and its external network on a host that translates for it; false when nothing
// goes out or comes in there.
func readTranslating(r *Reader, host, id uuid.UUID) (router, network, bool) {
	rt, ok := readRouter(r, id)
	if !ok || rt.out == nil {
		return router{}, network{}, false
	}
	n, ok := readNetwork(r, host, rt.out.network)
	return rt, n, ok && n.uplink != 0
}

// compileGateway makes what a host does for a router outside: all of it on the gateway host, elsewhere only
// what its floating IPs there share.
func compileGateway(u Unit, r *Reader) Compiled {
	d := &draft{kind: "router", id: u.ID}
	rt, n, ok := readTranslating(r, u.Host, u.ID)
	if !ok {
		return d.out
	}
	admitOutsideRefusals(d, &rt)
	if isGatewayHost(rt.Router, u.Host) {
		mac := flow.Ethernet(rt.out.port.MAC)
		switchToOutlet(d, &n, rt.out.port.MAC, rt.Key)
		for _, ip := range rt.out.addrs {
			answerOutside(d, &n, &rt, ip, rt.out.port.MAC)
			arriveAtRouter(d, &rt, ip)
		}
		if rt.Gateway.EnableSNAT {
			translateByGateway(d, r, &rt)
		} else {
			passByGateway(d, r, &rt)
		}
		departOutside(d, 100, flow.Match{rt.has()}, rt.out, mac)
	}
	d.adopt(u.Host, FloatingUnit, r.FloatingAt(u.Host, u.ID))
	return d.out
}

// translateByGateway lets what is inside go out from the router's first outer address, and lets the answers in. Those to
// what still goes out from another one come in too. Networks of the external one's address scope need that not: they go
// out and are come into as they are.
func translateByGateway(d *draft, r *Reader, rt *router) {
	for i, ip := range rt.out.addrs {
		answerInward(d, rt, ip)
		letInAnswers(d, rt, ip)
		if i == 0 {
			leaveByGateway(d, rt, ip)
			letOutByGateway(d, rt, ip)
		}
	}
	same, other := rt.byScope(r)
	if r.Scope(rt.out.network) == uuid.Nil || len(same) == 0 {
		return
	}
	arrivePlain(d, rt, len(other) > 0)
	leaveAgain(d, rt)
	for _, e := range same {
		leaveAsIs(d, rt, e)
	}
	for _, e := range other {
		keepOut(d, rt, e)
	}
	if len(rt.out.addrs) == 0 {
		return
	}
	for _, id := range r.FloatingOf(rt.ID) {
		if ip := r.FloatingIP(id); ip.Addr.Is4() {
			leaveToFloating(d, rt, rt.out.addrs[0], ip.Addr)
		}
	}
}

// passByGateway lets out and in, with SNAT off, what is of the external network's address scope.
func passByGateway(d *draft, r *Reader, rt *router) {
	_, other := rt.byScope(r)
	arrivePlain(d, rt, len(other) > 0)
	leavePlain(d, rt)
	for _, e := range other {
		stayInside(d, rt, e)
		keepOut(d, rt, e)
	}
}

// byScope is an interface on each network of the external one's address scope, and one on each of the others.
func (rt *router) byScope(r *Reader) (same, other []end) {
	outer := r.Scope(rt.out.network)
	for _, e := range rt.onNetworks() {
		if r.Scope(e.NetworkID) == outer {
			same = append(same, e)
		} else {
			other = append(other, e)
		}
	}
	return same, other
}

// compileFloating makes a floating IP's flows on the host that translates it.
func compileFloating(u Unit, r *Reader) Compiled {
	d := &draft{kind: "floatingip", id: u.ID}
	ip := r.FloatingIP(u.ID)
	if ip == nil || !ip.Associated() || !ip.Addr.Is4() || !ip.FixedAddr.Is4() || ip.MAC.IsMulticast() {
		return d.out
	}
	rt, n, ok := readTranslating(r, u.Host, ip.RouterID)
	fixed := r.Port(ip.PortID)
	if !ok || fixed == nil || !fixed.AdminStateUp {
		return d.out
	}
	switchToOutlet(d, &n, ip.MAC, rt.Key)
	answerOutside(d, &n, &rt, ip.Addr, ip.MAC)
	arriveAtFloating(d, r, &rt, ip, fixed.NetworkID)
	standInward(d, &rt, ip)
	letInFloating(d, &rt, ip)
	leaveByFloating(d, &rt, ip)
	letOutByFloating(d, &rt, ip)
	departOutside(d, 110, flow.Match{rt.has(), flow.Is(flow.IPv4Src, flow.Addr(ip.Addr))}, rt.out, flow.Ethernet(ip.MAC))
	return d.out
}

// compileNeighbours makes the ways to machines outside, and listens for those that get another MAC.
func compileNeighbours(u Unit, r *Reader) Compiled {
	d := &draft{kind: "network", id: u.ID}
	n, ok := readNetwork(r, u.Host, u.ID)
	if !ok || n.uplink == 0 || !n.segment.Type.OnPhysical() {
		return d.out
	}
	meter := neighbourMeter(n.uplink)
	for _, who := range r.Neighbours(u.ID) {
		if !who.Addr.Is4() || who.MAC.IsMulticast() {
			continue
		}
		d.add(TableNextHop, nextHopHeard, flow.Match{flow.IsSub(Egress, n.key), flow.IsSub(NextHop, flow.Addr(who.Addr).Lo)},
			"has heard that "+who.Addr.String()+" is "+who.MAC.String(),
			flow.Load{Dst: flow.EthDst.Whole(), Value: flow.Ethernet(who.MAC)},
			flow.Goto{Table: TableDeparture})
		hearNeighbour(d, &n, who.Addr, meter)
	}
	return d.out
}
