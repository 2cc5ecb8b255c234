package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 70, receiving: which connection of the receiver is it of?
//
// Told:    Zone, which is the receiver's.
// Leaves:  what conntrack knows of the packet in that zone.
// Onwards: by conntrack to received. ARP, and what a port needs for having addresses at all, to output, whatever its groups
//          say. What is neither ARP nor IP is dropped, as it is where it is sent, and all that is for a port that is secured
//          and has no zone yet. What is for a port whose security is off never comes here.

const (
	receivingNothing = 200
	receivingFree    = 100
	receivingTraced  = 50
)

func watchReceiving(d *draft) {
	free := func(match flow.Match, what string) {
		d.add(TableReceiving, receivingFree, match, "lets any port "+what, flow.Goto{Table: TableOutput})
	}
	d.add(TableReceiving, receivingNothing, flow.Match{flow.IsSub(Zone, 0)}, "drops what is for a port that has no zone yet")
	free(flow.Match{isARP()}, "hear ARP")
	free(dhcp(isIPv4(), dhcpServer, dhcpClient), "be given addresses by DHCP")
	free(dhcp(isIPv6(), dhcp6Server, dhcp6Client), "be given addresses by DHCPv6")
	for _, kind := range []uint8{mldQuery, routerAdvertisement, neighbourSolicitation, neighbourAdvertisement} {
		free(icmp6(kind), "be found by its neighbours and routers")
	}
	for _, family := range []flow.Cond{isIPv4(), isIPv6()} {
		d.add(TableReceiving, receivingTraced, flow.Match{family}, "looks up what watched ports are to receive", trackWatched(TableReceived))
	}
}
