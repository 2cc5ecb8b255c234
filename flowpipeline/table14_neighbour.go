package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 14, neighbour: may this port claim this in IPv6 neighbour discovery?
//
// Told:    SourcePort, whose MAC and IPv6 source are its own.
// Leaves:  nothing new.
// Onwards: to services. A solicitation whose link-layer option is not the sender's MAC and an
//          advertisement of what is not the sender's are dropped; what is neither passes.

const (
	neighbourHonest = 100
	neighbourOther  = 50
)

// admitSilentNeighbours: a solicitation that claims no MAC harms nobody. OVS reads an option that is not
// there as zero.
func admitSilentNeighbours(d *draft) {
	d.add(TableNeighbour, neighbourHonest, icmp6(neighbourSolicitation, flow.Is(flow.NDSLL, flow.Value{})),
		"lets any port ask for a neighbour without saying its MAC", flow.Goto{Table: TableServices})
	d.add(TableNeighbour, neighbourOther, icmp6(neighbourSolicitation), "drops solicitations that lie about their MAC")
	d.add(TableNeighbour, neighbourOther, icmp6(neighbourAdvertisement), "drops advertisements that lie")
}

func admitNeighbours(d *draft, p *port) {
	own := own6(p.Port)
	if len(own) == 0 {
		return
	}
	d.add(TableNeighbour, neighbourHonest, icmp6(neighbourSolicitation, p.from(), flow.Is(flow.NDSLL, flow.Ethernet(p.MAC))),
		"may ask for a neighbour as "+p.MAC.String(), flow.Goto{Table: TableServices})
	for _, ip := range own {
		// A reply to a unicast solicitation may leave the option out (RFC 4861, 4.4).
		for _, mac := range []signalbox.MAC{p.MAC, {}} {
			d.add(TableNeighbour, neighbourHonest, icmp6(neighbourAdvertisement, p.from(),
				flow.Is(flow.NDTarget, flow.Addr(ip)), flow.Is(flow.NDTLL, flow.Ethernet(mac))),
				"may advertise "+ip.String(), flow.Goto{Table: TableServices})
		}
	}
}
