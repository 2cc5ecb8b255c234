package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 10, ethernet: may this port send from this MAC?
//
// Told:    SourcePort.
// Leaves:  nothing new.
// Onwards: to source. Any other source MAC is dropped.

func admitMAC(d *draft, p *port) {
	d.add(TableEthernet, 100, flow.Match{p.from(), flow.Is(flow.EthSrc, flow.Ethernet(p.MAC))},
		"may send from "+p.MAC.String()+" only", flow.Goto{Table: TableSource})
}
