package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 90, output: which interface is this port?
//
// Told:    TargetPort.
// Leaves:  nothing.
// Onwards: out to the interface; to the one that the packet came from OpenFlow sends nothing.

func outputPort(d *draft, p *port) {
	if p.at.OFPort != 0 {
		d.add(TableOutput, 100, flow.Match{flow.IsSub(TargetPort, uint64(p.Key))},
			"is the way out to "+p.at.Name, flow.Output{Port: p.at.OFPort})
	}
}

// delivery is where packets go that are for a port of this host.
func (n *network) delivery() uint8 {
	if n.guarded {
		return TableReceiving
	}
	return TableOutput
}
