package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// Table 68, refusal: may the controller tell the sender why it does not go on?
//
// Told:    SourcePort, Punt; Router and Network, and where it had a route, Egress.
// Leaves:  nothing new.
// Onwards: to the controller, within the sender's rate; the packet itself goes nowhere.

func admitRefusals(d *draft, p *port) {
	if p.at.OFPort == 0 {
		return
	}
	meter := refusalMeter(p.at.OFPort)
	d.out.Meters = append(d.out.Meters, meter)
	d.add(TableRefusal, 100, flow.Match{p.from()},
		"is told why a router does not pass its packets on, within a rate",
		flow.Meter{ID: meter.ID}, flow.ToController{})
}

// admitOutsideRefusals is the same for what came to a router from outside, or from another host, within its own rate.
func admitOutsideRefusals(d *draft, rt *router) {
	meter := outsideMeter(rt.Gateway.Zone)
	d.out.Meters = append(d.out.Meters, meter)
	d.add(TableRefusal, 100, flow.Match{flow.IsSub(SourcePort, 0), rt.has()},
		"lets the outside be told why its packets are not passed on, within a rate",
		flow.Meter{ID: meter.ID}, flow.ToController{})
}
