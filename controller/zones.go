package controller

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// What a switch remembers of a port's connections is no leave to go on: each packet is judged anew. Yet it says who began a
// connection. So when a port leaves its zone, that is emptied for whoever is given it one day.

// portZone is a conntrack zone of a host; the zero value: none.
type portZone struct {
	host uuid.UUID
	zone signalbox.Zone
}

// rezone notes where a port's connections are remembered, and that its zone of before is to be emptied.
func (l *loop) rezone(port uuid.UUID) {
	var is portZone
	if p := l.compiler.Facts.Port(port); l.c.cfg.EnableSecurityGroup && p != nil && p.Binding != nil && p.Zone != 0 {
		is = portZone{p.Binding.HostID, p.Zone}
	}
	was := l.zones[port]
	if was == is {
		return
	}
	if was != (portZone{}) {
		l.vacated = append(l.vacated, was)
	}
	if l.zones[port] = is; is == (portZone{}) {
		delete(l.zones, port)
	}
}

// clearZones empties the zones that ports have left. The changes of flows are in the appliers' hands.
func (l *loop) clearZones() {
	for _, z := range l.vacated {
		h, f := l.hostByID(z.host), flush{z.zone, netip.Addr{}}
		switch {
		case h == nil:
		case !h.synced:
			h.owed[f] = struct{}{}
		default:
			h.applier.flush(f)
		}
	}
	l.vacated = l.vacated[:0]
}
