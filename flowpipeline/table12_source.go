package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 12, source: what does this say of its sender?
//
// Told:    SourcePort.
// Leaves:  Claimed, when the port may say that; of an ARP request or an advertisement Target.
// Onwards: by claims to honest. What speaks as a DHCP server or a router, and whatever is neither ARP nor IP, is dropped: an
//          address makes no server or router of a port, nor does an address pair. A port whose security is off is asked
//          nothing: what it says goes to services.
//
// One flow here reads what one kind of packet claims, and one flow of claims is all that a port may claim, however it does.

const (
	sourceOpen    = 300
	sourceRefused = 200
	sourceProbe   = 130
	sourceBare    = 120
	sourceKind    = 110
	sourceFamily  = 100
)

// admitOpen lets a port whose security is off say what it wants.
func admitOpen(d *draft, p *port) {
	d.add(TableSource, sourceOpen, flow.Match{p.from()}, "may say anything, for its security is off", flow.Goto{Table: TableServices})
}

// refuseServers: a VM is no DHCP server, no relay and no router. This comes before its addresses: its own
// do not make it one.
func refuseServers(d *draft) {
	d.add(TableSource, sourceRefused, flow.Match{isIPv4(), isUDP(), flow.IsNum(flow.UDPSrc, dhcpServer)},
		"drops what a port says as a DHCP server or relay")
	d.add(TableSource, sourceRefused, flow.Match{isIPv6(), isUDP(), flow.IsNum(flow.UDPSrc, dhcp6Server)},
		"drops what a port says as a DHCPv6 server or relay")
	d.add(TableSource, sourceRefused, icmp6(routerAdvertisement), "drops a port's router advertisements")
	d.add(TableSource, sourceRefused, icmp6(redirect), "drops a port's redirects")
}

// readClaims is what packets claim, kind by kind.
func readClaims(d *draft) {
	read := func(priority uint16, match flow.Match, phrase string, claims ...[]flow.Action) {
		var actions []flow.Action
		for _, c := range claims {
			actions = append(actions, c...)
		}
		d.add(TableSource, priority, match, phrase, append(actions, flow.Goto{Table: TableHonest})...)
	}
	none, none6 := flow.Addr(netip.IPv4Unspecified()), flow.Addr(netip.IPv6Unspecified())

	read(sourceFamily, flow.Match{isIPv4()}, "asks whether its port may send from this address", ask(claimIPv4, flow.EthSrc, flow.IPv4Src))
	read(sourceBare, append(dhcp(isIPv4(), dhcpClient, dhcpServer), flow.Is(flow.IPv4Src, none),
		flow.Is(flow.IPv4Dst, flow.Addr(netip.AddrFrom4([4]byte{255, 255, 255, 255})))),
		"lets any port ask for an address by DHCP, from its MAC", ask(claimNothing, flow.EthSrc, flow.NoField))

	own := append(ask(claimIPv4, flow.EthSrc, flow.ARPTPA), keepAnswer(Owned)...)
	request := flow.IsNum(flow.ARPOp, arpRequest)
	read(sourceFamily, flow.Match{isARP()}, "asks whether its port may claim this by ARP", ask(claimIPv4, flow.ARPSHA, flow.ARPSPA))
	read(sourceKind, flow.Match{isARP(), request}, "asks whether its port may claim this by ARP, and has what it asks for", own, ask(claimIPv4, flow.ARPSHA, flow.ARPSPA))
	read(sourceProbe, flow.Match{isARP(), request, flow.Is(flow.ARPSPA, none)},
		"asks whether its port may probe by ARP (RFC 5227), and has what it probes for", own, ask(claimProbe, flow.ARPSHA, flow.NoField))

	read(sourceFamily, flow.Match{isIPv6()}, "asks whether its port may send from this address", ask(claimIPv6, flow.EthSrc, flow.IPv6Src))
	for _, kind := range []uint8{mldReport, mld2Report} {
		read(sourceBare, icmp6(kind, flow.Is(flow.IPv6Src, none6)),
			"lets any port join multicast groups before it has an address (RFC 3590), from its MAC", ask(claimNothing, flow.EthSrc, flow.NoField))
	}
	// Open vSwitch reads an option of neighbour discovery that is not there as zero. A solicitation may leave it out, and claims
	// no MAC then; so may the answer to a unicast one (RFC 4861, 4.3 and 4.4).
	read(sourceKind, icmp6(neighbourSolicitation), "asks whether its port may ask for a neighbour as this", ask(claimIPv6, flow.NDSLL, flow.IPv6Src))
	silent := flow.Is(flow.NDSLL, flow.Value{})
	read(sourceBare, icmp6(neighbourSolicitation, silent), "asks whether its port may ask for a neighbour from this address", ask(claimIPv6, flow.EthSrc, flow.IPv6Src))
	read(sourceProbe, icmp6(neighbourSolicitation, silent, flow.Is(flow.IPv6Src, none6)),
		"asks whether its port may probe for this address (RFC 4862)", ask(claimIPv6, flow.EthSrc, flow.NDTarget))
	sender := ask(claimIPv6, flow.EthSrc, flow.IPv6Src)
	advertised := func(mac flow.Field) []flow.Action {
		return append(ask(claimIPv6, mac, flow.NDTarget), keepAnswer(Claimed)...)
	}
	read(sourceKind, icmp6(neighbourAdvertisement), "asks whether its port may advertise this, and send from this address", advertised(flow.NDTLL), sender)
	read(sourceBare, icmp6(neighbourAdvertisement, flow.Is(flow.NDTLL, flow.Value{})),
		"asks whether its port may advertise this without a MAC, and send from this address", advertised(flow.EthSrc), sender)
}

// ask puts a claim to claims: of a kind, at the MAC that a field has, of the address that another has.
func ask(kind uint64, mac, address flow.Field) []flow.Action {
	actions := []flow.Action{
		flow.Load{Dst: ClaimKind, Value: flow.Num(kind)},
		flow.Move{Src: upperMAC(mac), Dst: ClaimMAC[0]},
		flow.Move{Src: lowerMAC(mac), Dst: ClaimMAC[1]},
	}
	switch kind {
	case claimIPv4:
		actions = append(actions, flow.Move{Src: address.Whole(), Dst: ClaimAddress[3]})
	case claimIPv6:
		actions = append(actions, flow.Move{Src: address.Whole(), Dst: flow.XXReg3.Whole()})
	}
	return append(actions, flow.Resubmit{Table: TableClaims})
}

// keepAnswer makes room for the answer to a second claim. The first is of Target.
func keepAnswer(bit flow.Subfield) []flow.Action {
	return []flow.Action{flow.Move{Src: bit, Dst: Target}, flow.Load{Dst: Claimed, Value: flow.Num(0)}}
}
