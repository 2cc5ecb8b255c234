package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 14, honest: may its port say so?
//
// Told:    Claimed; of an advertisement also Target.
// Leaves:  no claim: connections that conntrack looks up later are not to be told apart by it.
// Onwards: to services. What the port may not claim is dropped.

const (
	honestTarget = 110
	honestSender = 100
	honestLie    = 50
)

func admitHonest(d *draft) {
	on := []flow.Action{
		flow.Load{Dst: flow.XXReg3.Whole()}, flow.Load{Dst: ClaimMAC[1]}, flow.Load{Dst: ClaimMAC[0]}, flow.Load{Dst: ClaimKind},
		flow.Goto{Table: TableServices},
	}
	sender := flow.IsSub(Claimed, 1)
	d.add(TableHonest, honestTarget, icmp6(neighbourAdvertisement, sender, flow.IsSub(Target, 1)), "lets pass advertisements of what the port may claim", on...)
	d.add(TableHonest, honestTarget, icmp6(neighbourAdvertisement, sender, flow.IsSub(Target, 0)), "drops advertisements that lie")
	d.add(TableHonest, honestSender, flow.Match{sender}, "lets pass what says of its sender what the port may claim", on...)
	d.add(TableHonest, honestLie, icmp6(neighbourAdvertisement), "drops advertisements whose sender lies")
	d.add(TableHonest, honestLie, icmp6(neighbourSolicitation), "drops solicitations that lie")
}
