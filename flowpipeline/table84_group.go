package flowpipeline

import (
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 84, group: which groups do this one's rules name?
//
// Told:    Group.
// Leaves:  PeerGroup, one after the other; 0 for the rules that name none.
// Onwards: to rule; where groups are named to tuple, once, and for each of them to peer; and back.

func readGroup(d *draft, r *Reader, g *signalbox.SecurityGroup) {
	var actions []flow.Action
	if slices.ContainsFunc(g.Rules, func(rule signalbox.SecurityGroupRule) bool { return rule.RemoteGroupID == uuid.Nil }) {
		actions = append(actions, flow.Load{Dst: PeerGroup, Value: flow.Num(0)}, flow.Resubmit{Table: TableRule})
	}
	read := false
	for _, id := range peersOf(g) {
		if key := r.GroupKey(id); key != 0 {
			if !read {
				actions, read = append(actions, flow.Resubmit{Table: TableTuple}), true
			}
			actions = append(actions, flow.Load{Dst: PeerGroup, Value: flow.Num(uint64(key))}, flow.Resubmit{Table: TablePeer})
		}
	}
	if len(actions) > 0 {
		d.add(TableGroup, 100, flow.Match{flow.IsSub(Group, uint64(g.Key))}, "has "+plural(len(g.Rules), "rule"), actions...)
	}
}
