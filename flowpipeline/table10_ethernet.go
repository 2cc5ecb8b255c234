package flowpipeline

import (
	"slices"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 10, ethernet: may this port send from this MAC?
//
// Told:    SourcePort.
// Leaves:  nothing new.
// Onwards: to source. Any other source MAC is dropped. A port whose security is off is asked no more: what it
//          says goes to services.

func admitMACs(d *draft, p *port) {
	if !p.Secured() {
		d.add(TableEthernet, 100, flow.Match{p.from()}, "may say anything, for its security is off", flow.Goto{Table: TableServices})
		return
	}
	macs := macsOf(append([]voice{{mac: p.MAC}}, slices.Concat(p.v4, p.v6)...))
	for _, mac := range macs {
		d.add(TableEthernet, 100, p.as(mac), "may send from "+mac.String(), flow.Goto{Table: TableSource})
	}
}
