package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 12, source: may this port send from this address, or as this server?
//
// Told:    SourcePort, which may send from the MAC.
// Leaves:  nothing new.
// Onwards: ARP and IPv4 to services, IPv6 to neighbour. What speaks as a DHCP server or a router, what
//          lies about its address, and whatever is neither ARP nor IP is dropped. An address pair widens a port's
//          addresses, but makes no server or router of it.

const (
	sourceRefused  = 200
	sourceAdmitted = 100
)

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

// admitUnaddressed lets pass what any port must say before it has an address.
func admitUnaddressed(d *draft) {
	d.add(TableSource, sourceAdmitted, flow.Match{isIPv4(), isUDP(),
		flow.Is(flow.IPv4Src, flow.Addr(netip.IPv4Unspecified())),
		flow.Is(flow.IPv4Dst, flow.Addr(netip.AddrFrom4([4]byte{255, 255, 255, 255}))),
		flow.IsNum(flow.UDPSrc, dhcpClient), flow.IsNum(flow.UDPDst, dhcpServer)},
		"lets any port ask for an address by DHCP", flow.Goto{Table: TableServices})
	for _, kind := range []uint8{mldReport, mld2Report} {
		d.add(TableSource, sourceAdmitted, icmp6(kind, flow.Is(flow.IPv6Src, flow.Addr(netip.IPv6Unspecified()))),
			"lets any port join multicast groups before it has an address (RFC 3590)", flow.Goto{Table: TableServices})
	}
}

// admitAddresses: a port without addresses may say nothing more than that, as in Neutron.
func admitAddresses(d *draft, p *port) {
	for _, v := range p.v4 {
		d.add(TableSource, sourceAdmitted, append(p.as(v.mac, isIPv4()), within(flow.IPv4Src, v.from)...),
			"may send from "+p.called(v), flow.Goto{Table: TableServices})
		d.add(TableSource, sourceAdmitted, p.arpFrom(v), "may claim "+p.called(v)+" by ARP", flow.Goto{Table: TableServices})
	}
	for _, mac := range macsOf(p.v4) {
		d.add(TableSource, sourceAdmitted, append(p.arpFrom(voice{mac, alone(netip.IPv4Unspecified())}), flow.IsNum(flow.ARPOp, arpRequest)),
			"may probe by ARP whether an address is in use (RFC 5227)", flow.Goto{Table: TableServices})
	}
	for _, v := range p.v6 {
		d.add(TableSource, sourceAdmitted, append(p.as(v.mac, isIPv6()), within(flow.IPv6Src, v.from)...),
			"may send from "+p.called(v), flow.Goto{Table: TableNeighbour})
		d.add(TableSource, sourceAdmitted, icmp6(neighbourSolicitation, append(p.as(v.mac,
			flow.Is(flow.IPv6Src, flow.Addr(netip.IPv6Unspecified())), flow.Is(flow.NDSLL, flow.Value{})), within(flow.NDTarget, v.from)...)...),
			"may probe whether "+p.called(v)+" is in use (RFC 4862)", flow.Goto{Table: TableServices})
	}
}

// as matches what the port sent from a MAC.
func (p *port) as(mac signalbox.MAC, more ...flow.Cond) flow.Match {
	return append(flow.Match{p.from(), flow.Is(flow.EthSrc, flow.Ethernet(mac))}, more...)
}

// arpFrom matches ARP that is as honest about its sender as its frame is.
func (p *port) arpFrom(v voice) flow.Match {
	return append(p.as(v.mac, isARP(), flow.Is(flow.ARPSHA, flow.Ethernet(v.mac))), within(flow.ARPSPA, v.from)...)
}
