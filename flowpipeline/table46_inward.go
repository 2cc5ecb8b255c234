package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 46, inward: which address inside does that stand for?
//
// Told:    Router; Plain, the outer address; Larger.
// Leaves:  the destination inside, by conntrack.
// Onwards: to inside. What is too large inside to refusal, with the address that its sender knows.

const (
	inwardRefused    = 200
	inwardTranslated = 100
)

func refuseLargerInward(d *draft) {
	d.add(TableInward, inwardRefused, flow.Match{flow.IsSub(Larger, 1)}, "refuses from outside what does not fit inside",
		refuse(PuntTooLarge)...)
}

// answerInward undoes what was done to a connection's source when it went out. Nothing begins here.
func answerInward(d *draft, rt *router, ip netip.Addr) {
	d.add(TableInward, inwardTranslated, rt.to(ip), "belongs to what went out from inside, if anything",
		track(rt.Gateway.Zone, TableInside, false, flow.KeepNAT()))
}

func standInward(d *draft, rt *router, ip *signalbox.FloatingIP) {
	d.add(TableInward, inwardTranslated, rt.to(ip.Addr), "stands for "+ip.FixedAddr.String(),
		track(rt.Gateway.Zone, TableInside, true, flow.DestinationNAT(ip.FixedAddr)))
}
