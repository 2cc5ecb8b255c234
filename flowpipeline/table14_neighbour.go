package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 14, neighbour: may this port claim this in IPv6 neighbour discovery?
//
// Told:    SourcePort, which may send from the MAC and the IPv6 source.
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
	for _, mac := range macsOf(p.v6) {
		d.add(TableNeighbour, neighbourHonest, icmp6(neighbourSolicitation, p.as(mac, flow.Is(flow.NDSLL, flow.Ethernet(mac)))...),
			"may ask for a neighbour as "+mac.String(), flow.Goto{Table: TableServices})
	}
	for _, v := range p.v6 {
		// A reply to a unicast solicitation may leave the option out (RFC 4861, 4.4).
		for _, mac := range []signalbox.MAC{v.mac, {}} {
			d.add(TableNeighbour, neighbourHonest, icmp6(neighbourAdvertisement, append(p.as(v.mac,
				flow.Is(flow.NDTLL, flow.Ethernet(mac))), within(flow.NDTarget, v.from)...)...),
				"may advertise "+p.called(v), flow.Goto{Table: TableServices})
		}
	}
}
