package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 32, sending: is what this port sends to be watched?
//
// Told:    SourcePort; Zone, where the port is secured.
// Leaves:  what conntrack knows of the packet in that zone.
// Onwards: by conntrack to sent. ARP, and what a port needs for having addresses at all, to switching, whatever its groups say;
//          so does all of a port whose security is off.

const (
	sendingOpen   = 200
	sendingFree   = 100
	sendingTraced = 50
)

// trackWatched sends what is watched through conntrack.
func trackWatched(next uint8) flow.Action { return flow.CT{ZoneFrom: Zone, Table: next} }

// watchSending: the tables before have seen to it that what is let pass here does not lie.
func watchSending(d *draft) {
	free := func(match flow.Match, what string) {
		d.add(TableSending, sendingFree, match, "lets any port "+what, flow.Goto{Table: TableSwitching})
	}
	free(flow.Match{isARP()}, "use ARP")
	free(dhcp(isIPv4(), dhcpClient, dhcpServer), "ask for addresses by DHCP")
	free(dhcp(isIPv6(), dhcp6Client, dhcp6Server), "ask for addresses by DHCPv6")
	for _, kind := range []uint8{mldReport, mldDone, mld2Report, routerSolicitation, neighbourSolicitation, neighbourAdvertisement} {
		free(icmp6(kind), "find its neighbours")
	}
	for _, family := range []flow.Cond{isIPv4(), isIPv6()} {
		d.add(TableSending, sendingTraced, flow.Match{family}, "looks up what watched ports send", trackWatched(TableSent))
	}
}

func dhcp(family flow.Cond, from, to uint16) flow.Match {
	return flow.Match{family, isUDP(), flow.IsNum(flow.UDPSrc, from), flow.IsNum(flow.UDPDst, to)}
}

// watched reports whether groups say what the port may send and receive.
func (p *port) watched() bool { return p.guarded && p.Secured() && p.Zone != 0 }

// inZone says which zone a port's connections are in.
func inZone(zone signalbox.Zone) flow.Action {
	return flow.Load{Dst: Zone, Value: flow.Num(uint64(zone))}
}

// watchPort makes what a port itself needs. One that is secured and has no zone yet may neither send nor receive.
func watchPort(d *draft, r *Reader, p *port) {
	if !p.Secured() {
		d.add(TableSending, sendingOpen, flow.Match{p.from()}, "may send anything, for its security is off", flow.Goto{Table: TableSwitching})
		return
	}
	if p.watched() {
		joinGroups(d, r, p)
	}
}
