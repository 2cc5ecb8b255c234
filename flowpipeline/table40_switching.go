package flowpipeline

import (
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 40, switching: where is this MAC, on this network?
//
// Told:    Network, Fabric; Routed, when a router has put the packet on this network.
// Leaves:  TargetPort of a port of this host, and where its groups say what it receives, its Zone; Router, where the MAC is a router's.
// Onwards: to output, by receiving where security groups are enforced; out to another host's port; to router, or from an external network to arrival; group
//          addresses to flood. Nothing from the fabric goes back to it, or to a router: the sender's host has
//          routed it already, unless it left that to the router's gateway host, this one. No MAC is
//          learned and none is flooded for: an unknown one is dropped. A MAC that address pairs let several ports
//          have goes to all of these. There are two exceptions, where machines live that no database knows: ports
//          whose security is off get a copy of what is for no known MAC, and so does the physical network that the
//          network is on. A router's MAC never shows there, since it would come from every host and move between
//          the physical switches' ports: what is Routed leaves with the host's own.

const (
	switchKnown    = 100
	switchMany     = 95
	switchReserved = 90
	switchGroup    = 80
	switchRouted   = 20
	switchOther    = 10
)

// The group bit of a destination, and the addresses that a bridge never forwards (IEEE 802.1D, 7.12.6).
var (
	groupBit      = flow.Value{Lo: 1 << 40}
	linkLocalMACs = flow.Value{Lo: 0x0180c2000000}
	linkLocalMask = flow.Value{Lo: 0xfffffffffff0}
)

func keepLinkLocalFrames(d *draft) {
	d.add(TableSwitching, switchReserved, flow.Match{flow.IsMasked(flow.EthDst, linkLocalMACs, linkLocalMask)},
		"keeps spanning tree and its like on their link")
}

// fromHere matches packets of this host's ports.
func fromHere() flow.Cond { return flow.IsSub(Fabric, 0) }

// switchLocal: a port whose MAC is a group gets its frames with everybody, as IEEE 802 has it; a flow of
// its own would take the group away from the others.
func switchLocal(d *draft, p *port) {
	if p.MAC.IsMulticast() {
		return
	}
	m := memberOf(p.Port)
	to := p.recipient(&m)
	d.add(TableSwitching, switchKnown, flow.Match{p.is(), flow.Is(flow.EthDst, flow.Ethernet(p.MAC))},
		"is on this host", append(to.handOver(nil), flow.Goto{Table: to.delivery()})...)
}

// switchRemote says whether a port of another host can be reached from this one. On a physical network
// the flow for everything unknown serves.
func switchRemote(d *draft, r *Reader, n *network, p *signalbox.Port) bool {
	if n.uplink == 0 || !n.segment.Type.Tunnelled() {
		return n.uplink != 0
	}
	peer, ok := tunnelPeer(r, p.Binding.HostID)
	if ok && !p.MAC.IsMulticast() {
		d.add(TableSwitching, switchKnown, flow.Match{n.is(), fromHere(), flow.Is(flow.EthDst, flow.Ethernet(p.MAC))},
			"is on another host, by "+string(n.segment.Type)+" to "+peer.String(),
			append(n.tunnelKey(), n.toPeer(peer)...)...)
	}
	return ok
}

// switchToRouter hands a router what is sent to its MAC. Each host forwards for its own ports.
func switchToRouter(d *draft, n *network, p *signalbox.Port, key signalbox.RouterKey) {
	d.add(TableSwitching, switchKnown, flow.Match{n.is(), fromHere(), flow.Is(flow.EthDst, flow.Ethernet(p.MAC))},
		"is a router's, which works on every host",
		flow.Load{Dst: Router, Value: flow.Num(uint64(key))}, flow.Goto{Table: TableRouter})
}

// takeForExit takes from other hosts what they send to the router's MAC: this one is its gateway host, and only
// what is to go out comes so. From here on the packet is as this host's own.
func takeForExit(d *draft, n *network, p *signalbox.Port, key signalbox.RouterKey) {
	d.add(TableSwitching, switchKnown, flow.Match{n.is(), flow.IsSub(Fabric, 1), flow.Is(flow.EthDst, flow.Ethernet(p.MAC))},
		"takes from other hosts what is to leave here",
		append(adoptPacket(key), flow.Goto{Table: TableRouter})...)
}

// switchToOutlet hands a router what an external network, or a port of this host on it, sends to an outer MAC. What has
// just gone out from here comes in as another packet: of what conntrack did then it knows nothing.
func switchToOutlet(d *draft, n *network, mac signalbox.MAC, key signalbox.RouterKey) {
	d.add(TableSwitching, switchKnown, flow.Match{n.is(), flow.Is(flow.EthDst, flow.Ethernet(mac))},
		"is a router's outside, and its host is this",
		append(adoptPacket(key), flow.CTClear{}, flow.Goto{Table: TableArrival})...)
}

// adoptPacket gives a router a packet that another host, or the outside, has sent. It may leave by the port that it
// came from: OpenFlow would drop it there, and is made to forget.
func adoptPacket(key signalbox.RouterKey) []flow.Action {
	return []flow.Action{
		flow.Load{Dst: Router, Value: flow.Num(uint64(key))},
		flow.Load{Dst: Fabric, Value: flow.Num(0)},
		flow.Load{Dst: flow.InPort.Whole(), Value: flow.Num(0)},
	}
}

// switchGroups sends broadcast and multicast through the network's flood list.
func switchGroups(d *draft, n *network, copies floodList) {
	group := flow.IsMasked(flow.EthDst, groupBit, groupBit)
	d.add(TableSwitching, switchGroup, flow.Match{n.is(), fromHere(), group},
		"floods what this host's ports send", slices.Concat(copies.local, copies.fabric)...)
	if n.uplink != 0 {
		d.add(TableSwitching, switchGroup, flow.Match{n.is(), flow.IsSub(Fabric, 1), group},
			"floods what came from "+n.outside()+" to this host's ports", copies.local...)
	}
}

// switchUnknown is the way of what is for no port's MAC: to the ports whose security is off, and onto a physical network.
func switchUnknown(d *draft, r *Reader, n *network, id uuid.UUID, open floodList) {
	if n.reachesPhysical() {
		phrase := "is the way to every MAC of " + n.outside() + " that is not on this host"
		putOut(d, r, n, id, flow.Match{n.is(), fromHere()}, [2]uint16{switchOther, switchRouted}, phrase, open.local)
	} else if len(open.local)+len(open.fabric) > 0 {
		d.add(TableSwitching, switchOther, flow.Match{n.is(), fromHere()}, "copies what is for unknown MACs to ports whose security is off",
			slices.Concat(open.local, open.fabric)...)
	}
	if n.uplink != 0 && len(open.local) > 0 {
		d.add(TableSwitching, switchOther, flow.Match{n.is(), flow.IsSub(Fabric, 1)},
			"copies what came from "+n.outside()+" for unknown MACs to this host's ports whose security is off", open.local...)
	}
}

// putOut sends what matches onto the physical network, after copies for this host. Until the host has a MAC for them, routed
// packets stay here. priorities are of what a port sent, and of what is routed.
func putOut(d *draft, r *Reader, n *network, id uuid.UUID, match flow.Match, priorities [2]uint16, phrase string, copies []flow.Action) {
	d.add(TableSwitching, priorities[0], append(slices.Clip(match), flow.IsSub(Routed, 0)), phrase, slices.Concat(copies, n.toPhysical())...)
	if !r.Routed(id) {
		return
	}
	if host := r.Host(n.host); host != nil && host.MAC != (signalbox.MAC{}) {
		own := flow.Load{Dst: flow.EthSrc.Whole(), Value: flow.Ethernet(host.MAC)}
		d.add(TableSwitching, priorities[1], append(slices.Clip(match), flow.IsSub(Routed, 1)),
			"is the way of routed packets to "+n.outside()+", from this host's own MAC", slices.Concat(copies, []flow.Action{own}, n.toPhysical())...)
	}
}

// reachesPhysical reports whether the host has the physical network that the network is on.
func (n *network) reachesPhysical() bool { return n.uplink != 0 && n.segment.Type.OnPhysical() }

// mostCopies bounds what one flow can hold of those who share a MAC. That many is nobody's way to share one.
const mostCopies = 64

// switchShared copies what is for a MAC that ports share to all of them that are held: who has it now takes it, and to the
// others' interfaces it is a stranger's. So it may move without a word to anybody but its neighbours.
func switchShared(d *draft, r *Reader, n *network, id uuid.UUID, mac signalbox.MAC, here []recipient, away []uuid.UUID) {
	here, away = here[:min(len(here), mostCopies)], away[:min(len(away), mostCopies)]
	var copies []flow.Action
	for _, to := range here {
		copies = append(to.handOver(copies), flow.Resubmit{Table: to.delivery()})
	}
	match := flow.Match{n.is(), flow.Is(flow.EthDst, flow.Ethernet(mac))}
	if n.uplink != 0 && len(copies) > 0 {
		d.add(TableSwitching, switchMany, append(slices.Clip(match), flow.IsSub(Fabric, 1)),
			"copies what came from "+n.outside()+" for "+mac.String()+" to this host's ports that share it", copies...)
	}
	match = append(match, fromHere())
	phrase := "copies what is for " + mac.String() + " to the ports that share it"
	if n.reachesPhysical() {
		putOut(d, r, n, id, match, [2]uint16{switchMany, switchMany}, phrase, copies)
		return
	}
	tunnels := n.tunnelKey()
	for _, host := range away {
		if peer, ok := tunnelPeer(r, host); ok && n.uplink != 0 {
			tunnels = append(tunnels, n.toPeer(peer)...)
		}
	}
	if len(tunnels) > 1 {
		copies = append(copies, tunnels...)
	}
	if len(copies) > 0 {
		d.add(TableSwitching, switchMany, match, phrase, copies...)
	}
}

// toPhysical puts the packet on the physical network.
func (n *network) toPhysical() []flow.Action {
	out := flow.Output{Port: n.uplink}
	if n.segment.Type == signalbox.Flat {
		return []flow.Action{out}
	}
	return []flow.Action{flow.PushVLAN{}, flow.Load{Dst: flow.VLANVID.Whole(), Value: flow.Num(n.tag())}, out}
}
