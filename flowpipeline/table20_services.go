package flowpipeline

import (
	"net/netip"
	"slices"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 20, services: does the switch, or the controller, answer this?
//
// Told:    Network, SourcePort; the packet does not lie about its sender, where the port is secured; Target.
// Leaves:  nothing new; a punted packet carries Punt.
// Onwards: an ARP request for a known address turns round as its reply, but for one that a pair of another port
//          names: whoever has it now will answer. A DHCP request goes to the
//          controller, within the port's rate, and what is for DNS at a DHCP server's address to names. All else goes to
//          switching, by sending where security groups are enforced; so does neighbour discovery, which
//          reaches its target by multicast: OVS cannot write a whole advertisement without fields that
//          this pipeline has no other use for.

const (
	serviceOwn    = 110
	serviceAnswer = 100
)

// answerARP answers for a port's addresses. For a MAC that is a group no answer is made up: hosts do not
// believe one. Nor for what another port may claim: a router's and a DHCP server's addresses are none of that.
func answerARP(d *draft, r *Reader, n *network, p *signalbox.Port) {
	if p.MAC.IsMulticast() {
		return
	}
	for _, ip := range addresses(p, false) {
		if p.Role == signalbox.RoleVIF && r.Contested(p, ip) {
			continue
		}
		d.add(TableServices, serviceAnswer,
			flow.Match{n.is(), isARP(), flow.IsNum(flow.ARPOp, arpRequest), flow.Is(flow.ARPTPA, flow.Addr(ip))},
			"answers ARP for "+ip.String(), append(turnARP(p.MAC, ip), flow.OutputInPort{})...)
	}
}

// turnARP makes an ARP request its own answer: the address is at the MAC.
func turnARP(mac signalbox.MAC, ip netip.Addr) []flow.Action {
	own := flow.Ethernet(mac)
	return []flow.Action{
		flow.Move{Src: flow.EthSrc.Whole(), Dst: flow.EthDst.Whole()},
		flow.Load{Dst: flow.EthSrc.Whole(), Value: own},
		flow.Load{Dst: flow.ARPOp.Whole(), Value: flow.Num(arpReply)},
		flow.Move{Src: flow.ARPSHA.Whole(), Dst: flow.ARPTHA.Whole()},
		flow.Load{Dst: flow.ARPSHA.Whole(), Value: own},
		flow.Move{Src: flow.ARPSPA.Whole(), Dst: flow.ARPTPA.Whole()},
		flow.Load{Dst: flow.ARPSPA.Whole(), Value: flow.Addr(ip)},
	}
}

// letOwnARPPass: a port that asks for its own address wants to hear of others who have it. An answer in
// its own name would make it give the address up.
func letOwnARPPass(d *draft) {
	d.add(TableServices, serviceOwn, flow.Match{isARP(), flow.IsNum(flow.ARPOp, arpRequest), flow.IsSub(Target, 1)},
		"lets a port announce its own address, or look for another who has it", flow.Goto{Table: TableSwitching})
}

// letOtherARPPass does so where claims do not tell: for a port whose security is off, and for one that may speak from another MAC
// than its own.
func letOtherARPPass(d *draft, p *port) {
	if p.MAC.IsMulticast() || p.Secured() && !slices.ContainsFunc(p.v4, func(v voice) bool { return v.mac != p.MAC }) {
		return
	}
	for _, ip := range addresses(p.Port, false) {
		d.add(TableServices, serviceOwn,
			flow.Match{p.from(), isARP(), flow.IsNum(flow.ARPOp, arpRequest), flow.Is(flow.ARPTPA, flow.Addr(ip))},
			"may announce "+ip.String()+", or look for another who has it", flow.Goto{Table: TableSwitching})
	}
}

// puntDHCP takes every request, also one sent to the server's own address, as a renewal is. What another machine behind the
// port asks goes its way: DHCP here knows but the port's own.
func puntDHCP(d *draft, r *Reader, p *port) {
	if p.at.OFPort == 0 || !hasDHCP(r, p.Port) {
		return
	}
	meter := dhcpMeter(p.at.OFPort)
	d.out.Meters = append(d.out.Meters, meter)
	d.add(TableServices, serviceAnswer,
		p.as(p.MAC, isIPv4(), isUDP(), flow.IsNum(flow.UDPSrc, dhcpClient), flow.IsNum(flow.UDPDst, dhcpServer)),
		"takes DHCP requests to the controller, within a rate",
		flow.Meter{ID: meter.ID},
		flow.Load{Dst: Punt, Value: flow.Num(uint64(PuntDHCP))},
		flow.ToController{})
}

// answerNames takes what is for DNS at a DHCP server's address.
func answerNames(d *draft, r *Reader, n *network, p *signalbox.Port) {
	for _, ip := range p.FixedIPs {
		if !ip.Addr.Is4() || !hasNames(r, ip) {
			continue
		}
		for _, by := range []flow.Match{{isUDP(), flow.IsNum(flow.UDPDst, domain)}, {isTCP(), flow.IsNum(flow.TCPDst, domain)}} {
			d.add(TableServices, serviceAnswer, append(by, n.is(), isIPv4(), flow.Is(flow.IPv4Dst, flow.Addr(ip.Addr))),
				"answers for names at "+ip.Addr.String(),
				flow.Load{Dst: Punt, Value: flow.Num(uint64(PuntDNS))}, flow.Goto{Table: TableNames})
		}
	}
}

// hasDHCP looks at subnets only as far as it must.
func hasDHCP(r *Reader, p *signalbox.Port) bool {
	for _, ip := range p.FixedIPs {
		if !ip.Addr.Is4() {
			continue
		}
		if s := r.Subnet(ip.SubnetID); s != nil && s.EnableDHCP {
			return true
		}
	}
	return false
}
