package flowpipeline

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 0, classify: where did this come from?
//
// Told:    nothing but the packet, and for a tunnel its key.
// Leaves:  Network; SourcePort of a port of this host, and its Zone if it is watched, or Fabric of anything else.
// Onwards: a port's packets to source, the fabric's to switching. What nobody is known for is dropped;
//          from an interface that waits for its port to be found, a few packets go to the controller.

// Priorities of classify: what is known of an interface beats that it was unknown.
const (
	classifyEcho    = 110
	classifyKnown   = 100
	classifyWaiting = 50
)

// classifyPort: a frame with a VLAN tag is not classified: on a physical network it could leave this one.
func classifyPort(d *draft, p *port) {
	if p.at.OFPort == 0 {
		return
	}
	actions := []flow.Action{
		flow.Load{Dst: Network, Value: flow.Num(p.key)},
		flow.Load{Dst: SourcePort, Value: flow.Num(uint64(p.Key))},
	}
	if p.watched() {
		actions = append(actions, inZone(p.Zone))
	}
	d.add(TableClassify, classifyKnown,
		flow.Match{flow.IsNum(flow.InPort, p.at.OFPort), flow.IsNum(flow.VLANVID, untagged)},
		"is the way in from "+p.at.Name, append(actions, flow.Goto{Table: TableSource})...)
	if p.segment.Type.OnPhysical() && p.uplink != 0 {
		match := append(p.onUplink(), flow.Is(flow.EthSrc, flow.Ethernet(p.MAC)))
		d.add(TableClassify, classifyEcho, match, "drops from "+p.segment.Physical+" what only this host's "+p.MAC.String()+" can have sent")
	}
}

// onUplink matches the network's frames as they come from other hosts.
func (n *network) onUplink() flow.Match {
	if n.segment.Type.Tunnelled() {
		return flow.Match{flow.IsNum(flow.InPort, n.uplink), flow.IsNum(flow.TunID, n.segment.ID), flow.IsNum(flow.VLANVID, untagged)}
	}
	return flow.Match{flow.IsNum(flow.InPort, n.uplink), flow.IsNum(flow.VLANVID, n.tag())}
}

// classifyFabric: what comes from an external network is looked at for questions about addresses that are translated here.
func classifyFabric(d *draft, n *network, external bool) {
	if n.uplink == 0 {
		return
	}
	var actions []flow.Action
	if n.segment.Type == signalbox.VLAN {
		actions = append(actions, flow.PopVLAN{})
	}
	next := TableSwitching
	if external {
		next = TableOutside
	}
	actions = append(actions,
		flow.Load{Dst: Network, Value: flow.Num(n.key)},
		flow.Load{Dst: Fabric, Value: flow.Num(1)},
		flow.Goto{Table: next})
	d.add(TableClassify, classifyKnown, n.onUplink(), "is the way in from "+n.outside(), actions...)
}

// outside says where the network's frames are found between hosts.
func (n *network) outside() string {
	switch t := n.segment.Type; {
	case t == signalbox.VLAN:
		return "VLAN " + strconv.Itoa(int(n.segment.ID)) + " of " + n.segment.Physical
	case t == signalbox.Flat:
		return n.segment.Physical
	default:
		return string(t) + " tunnels with key " + strconv.Itoa(int(n.segment.ID))
	}
}

// Rates of what a VM can send to the controller, per interface. A meter's id is made from the OpenFlow
// port number, which is unique in its switch, and the purpose.
func dhcpMeter(ofport uint32) flow.RateLimit {
	return flow.RateLimit{ID: ofport * 4, PacketsPerSecond: 10, Burst: 20}
}

func firstPacketMeter(ofport uint32) flow.RateLimit {
	return flow.RateLimit{ID: ofport*4 + 1, PacketsPerSecond: 2, Burst: 5}
}

// refusalMeter is also the rate of the ICMP errors that a router sends to a port (RFC 1812, 4.3.2.8). Its
// burst lets a traceroute, which sends 16 packets at once, see every router.
func refusalMeter(ofport uint32) flow.RateLimit {
	return flow.RateLimit{ID: ofport*4 + 2, PacketsPerSecond: 20, Burst: 40}
}

// neighbourMeter is how many of an external network's own announcements the controller hears, per port towards it.
func neighbourMeter(ofport uint32) flow.RateLimit {
	return flow.RateLimit{ID: ofport*4 + 3, PacketsPerSecond: 20, Burst: 40}
}

// outsideMeter is what the controller hears of a router's packets that no port of this host has sent: those that it
// cannot pass on, and the answers to its questions by ARP. It is made from the router's zone, behind all of ports.
func outsideMeter(zone signalbox.Zone) flow.RateLimit {
	return flow.RateLimit{ID: 1<<18 + uint32(zone), PacketsPerSecond: 20, Burst: 40}
}

// namesMeter is behind all of zones. It has room for a client that asks for every name of a page at once.
func namesMeter(ofport uint32) flow.RateLimit {
	return flow.RateLimit{ID: 1<<19 + ofport, PacketsPerSecond: 50, Burst: 100}
}

func classifyUnknown(d *draft, r *Reader, host uuid.UUID) {
	for _, i := range r.UnknownInterfaces(host) {
		meter := firstPacketMeter(i.OFPort)
		d.out.Meters = append(d.out.Meters, meter)
		d.add(TableClassify, classifyWaiting, flow.Match{flow.IsNum(flow.InPort, i.OFPort)},
			"shows the first packets of "+i.Name+" to the controller, which knows no port for it",
			flow.Meter{ID: meter.ID},
			flow.Load{Dst: Punt, Value: flow.Num(uint64(PuntFirstPacket))},
			flow.ToController{})
	}
}
