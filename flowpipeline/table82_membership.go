package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 82, membership: which groups is the watched port in?
//
// Told:    Zone, which is the port's own.
// Leaves:  Group, one after the other.
// Onwards: to group for each, and back. A port that is in none is allowed nothing.

func joinGroups(d *draft, r *Reader, p *port) {
	var actions []flow.Action
	for _, id := range p.SecurityGroups {
		if key := r.GroupKey(id); key != 0 {
			actions = append(actions, flow.Load{Dst: Group, Value: flow.Num(uint64(key))}, flow.Resubmit{Table: TableGroup})
		}
	}
	if len(actions) > 0 {
		d.add(TableMembership, 100, flow.Match{flow.IsSub(Zone, uint64(p.Zone))}, "is in "+plural(len(actions)/2, "security group"), actions...)
	}
}
