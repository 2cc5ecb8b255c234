package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

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

// recipient is a port of this host, as others hand packets to it.
type recipient struct {
	key     signalbox.PortKey
	zone    signalbox.Zone
	watched bool // its groups say what it receives
}

func (n *network) recipient(m *Member) recipient {
	return recipient{m.Key, m.Zone, n.guarded && !m.Open}
}

// handOver adds to actions which port the packet is for, and in which zone its groups are asked.
func (to recipient) handOver(actions []flow.Action) []flow.Action {
	actions = append(actions, flow.Load{Dst: TargetPort, Value: flow.Num(uint64(to.key))})
	if to.watched {
		actions = append(actions, inZone(to.zone))
	}
	return actions
}

// delivery is where it goes on.
func (to recipient) delivery() uint8 {
	if to.watched {
		return TableReceiving
	}
	return TableOutput
}
