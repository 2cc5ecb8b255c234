package flowpipeline

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 22, names: may this port ask the controller for names?
//
// Told:    SourcePort, Punt; the packet is for DNS at the DHCP address of a subnet that names no DNS server.
// Leaves:  nothing new.
// Onwards: to the controller, within the port's rate; the packet itself goes nowhere. Who has no address of such a
//          subnet has not been told to ask here.

func admitQuestions(d *draft, r *Reader, p *port) {
	if p.at.OFPort == 0 {
		return
	}
	for _, ip := range p.FixedIPs {
		if ip.Addr.Is4() && hasNames(r, ip) {
			meter := namesMeter(p.at.OFPort)
			d.out.Meters = append(d.out.Meters, meter)
			d.add(TableNames, 100, flow.Match{p.from()},
				"takes questions for names to the controller, within a rate",
				flow.Meter{ID: meter.ID}, flow.ToController{})
			return
		}
	}
}

// hasNames reports whether DHCP tells who has the address to ask for names at the server's own.
func hasNames(r *Reader, ip signalbox.FixedIP) bool {
	s := r.Subnet(ip.SubnetID)
	return s != nil && s.EnableDHCP && len(s.DNSServers) == 0
}
