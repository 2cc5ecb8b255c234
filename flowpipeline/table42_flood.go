package flowpipeline

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"strconv"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 42, flood: who gets a copy?
//
// Told:    Network, Piece.
// Leaves:  TargetPort, for each copy to a port of this host, and where its groups say what it receives, its Zone.
// Onwards: each copy to output, by receiving where security groups are enforced, or out to another host or the physical network. To where the packet came
//          from nothing is copied: OpenFlow itself leaves the input port out.
//
// A network's list is cut into pieces, because a flow has room for some 1,600 copies (64 KB of actions),
// and so that a port that comes or goes costs the piece that it is in. OVS ends a packet after 4,096
// resubmits: that many ports of one network on one host get no more copies.

const (
	pieceSize   = 64     // copies in a piece, on average
	openPiece   = 0x4000 // the first piece of copies to ports whose security is off
	fabricPiece = 0x8000 // the first piece of copies to other hosts
)

// floodList is what to do for a copy to everybody: once for this host's ports, once for other hosts.
type floodList struct{ local, fabric []flow.Action }

// floodPieces makes a network's flood list and says how it is read.
func floodPieces(d *draft, r *Reader, n *network, members []Member) floodList {
	here, away := n.whereabouts(members, func(*Member) bool { return true })
	list := floodList{local: localPieces(d, n, 0, here)}
	switch {
	case n.uplink == 0:
	case n.segment.Type.OnPhysical():
		d.add(TableFlood, 100, n.piece(fabricPiece), "copies to "+n.outside(), n.toPhysical()...)
		list.fabric = readPieces(fabricPiece, 1)
	default:
		list.fabric = tunnelPieces(d, r, n, fabricPiece, away)
	}
	return list
}

// openPieces makes the list of those whom no port's MAC concerns: behind ports whose security is off there can be any.
// On a physical network other hosts get their copy from there.
func openPieces(d *draft, r *Reader, n *network, members []Member) floodList {
	here, away := n.whereabouts(members, func(m *Member) bool { return m.Open })
	var list floodList
	if len(here) > 0 {
		list.local = localPieces(d, n, openPiece, here)
	}
	if n.uplink != 0 && n.segment.Type.Tunnelled() {
		list.fabric = tunnelPieces(d, r, n, fabricPiece+openPiece, away)
	}
	return list
}

// whereabouts is the ports of this host, and the other hosts, that those members are on which are wanted.
func (n *network) whereabouts(members []Member, wanted func(*Member) bool) (here []recipient, away map[uuid.UUID]struct{}) {
	away = map[uuid.UUID]struct{}{}
	for i := range members {
		m := &members[i]
		switch {
		case !m.Up || m.Host == uuid.Nil || !wanted(m):
		case m.Host == n.host:
			here = append(here, n.recipient(m))
		default:
			away[m.Host] = struct{}{}
		}
	}
	return here, away
}

func localPieces(d *draft, n *network, first uint64, here []recipient) []flow.Action {
	locals := pieces(here, func(to recipient) uint32 { return uint32(to.key) })
	for i, piece := range locals {
		floodLocal(d, n, first+uint64(i), piece)
	}
	return readPieces(first, len(locals))
}

func tunnelPieces(d *draft, r *Reader, n *network, first uint64, away map[uuid.UUID]struct{}) []flow.Action {
	if len(away) == 0 {
		return nil
	}
	hosts := pieces(sortedIDs(maps.Keys(away)), func(h uuid.UUID) uint32 { return binary.BigEndian.Uint32(h[:]) })
	for i, piece := range hosts {
		floodTunnels(d, r, n, first+uint64(i), piece)
	}
	return readPieces(first, len(hosts))
}

func (n *network) piece(i uint64) flow.Match { return flow.Match{n.is(), flow.IsSub(Piece, i)} }

func floodLocal(d *draft, n *network, piece uint64, ports []recipient) {
	if len(ports) == 0 {
		return
	}
	actions := make([]flow.Action, 0, 3*len(ports))
	for _, to := range ports {
		actions = append(to.handOver(actions), flow.Resubmit{Table: to.delivery()})
	}
	d.add(TableFlood, 100, n.piece(piece), "copies to this host's "+plural(len(ports), "port"), actions...)
}

func floodTunnels(d *draft, r *Reader, n *network, piece uint64, hosts []uuid.UUID) {
	actions, count := n.tunnelKey(), 0
	for _, host := range hosts {
		if peer, ok := tunnelPeer(r, host); ok {
			actions, count = append(actions, n.toPeer(peer)...), count+1
		}
	}
	if count > 0 {
		d.add(TableFlood, 100, n.piece(piece), "copies to the "+plural(count, "other host")+" of the network", actions...)
	}
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// tunnelKey and toPeer are the two parts of sending a copy through a tunnel: the key stays for further copies.
func (n *network) tunnelKey() []flow.Action {
	return []flow.Action{flow.Load{Dst: flow.TunID.Whole(), Value: flow.Num(uint64(n.segment.ID))}}
}

func (n *network) toPeer(peer netip.Addr) []flow.Action {
	return []flow.Action{flow.Load{Dst: flow.TunDst.Whole(), Value: flow.Addr(peer)}, flow.Output{Port: n.uplink}}
}

// tunnelPeer is where a host is reached; false when it has no address for tunnels.
func tunnelPeer(r *Reader, host uuid.UUID) (netip.Addr, bool) {
	h := r.Host(host)
	if h == nil {
		return netip.Addr{}, false
	}
	a := h.TunnelIP.Unmap()
	return a, a.Is4()
}

// readPieces makes the actions that read n pieces, one after the other.
func readPieces(first uint64, n int) []flow.Action {
	actions := make([]flow.Action, 0, 2*n)
	for i := range uint64(n) {
		actions = append(actions, flow.Load{Dst: Piece, Value: flow.Num(first + i)}, flow.Resubmit{Table: TableFlood})
	}
	return actions
}

// pieces deals things out by a hash of their key, over as many pieces as make pieceSize the average: a
// power of two, so that while some come and go, the others mostly stay where they are.
func pieces[T any](all []T, key func(T) uint32) [][]T {
	n, bits := 1, 0
	for n*pieceSize < len(all) {
		n, bits = n*2, bits+1
	}
	out := make([][]T, n)
	for i := range out {
		out[i] = make([]T, 0, len(all)/n+len(all)/n/2)
	}
	for _, m := range all {
		// Knuth's multiplicative hash: keys given out in strides, a network at a time, still spread.
		i := uint64(key(m)*2654435769) >> (32 - bits)
		out[i] = append(out[i], m)
	}
	return out
}
