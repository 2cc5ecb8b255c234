package controller

import (
	"context"
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Open vSwitch forgets, or never knew, the MAC address of a tunnel's far end, and loses the first packet
// while it asks. So each pair of hosts that share a network, or whose networks a router joins, gets an early
// packet of ours, which the far end drops: its tunnel key, 0, is no network's.

// peer is a tunnel's far end, and the OpenFlow port that leads there.
type peer struct {
	addr netip.Addr
	port uint32
}

// peers is the far ends that a host's networks have.
func (l *loop) peers(h *host) []peer {
	facts := l.compiler.Facts
	seen := map[uuid.UUID]bool{h.row.ID: true}
	var out []peer
	for network := range l.compiler.Networks(h.row.ID) {
		n := facts.Network(network)
		if n == nil {
			continue
		}
		port, ok := h.tunnels[n.Segment.Type]
		if !ok {
			continue
		}
		for _, m := range facts.Members(network) {
			if seen[m.Host] {
				continue
			}
			seen[m.Host] = true
			if far := facts.Host(m.Host); far != nil && far.TunnelIP.IsValid() {
				out = append(out, peer{far.TunnelIP, port})
			}
		}
	}
	return out
}

// newPeers is the far ends that new flows lead to and that the applier has not greeted yet.
func (a *applier) newPeers(adds map[flow.Cookie]flow.Flow) []peer {
	var out []peer
	for _, f := range adds {
		var p peer
		for _, act := range f.Actions {
			switch act := act.(type) {
			case flow.Load:
				if act.Dst.Field == flow.TunDst {
					p.addr = addressOf(act.Value.Lo)
				}
			case flow.Output:
				if p.addr.IsValid() {
					p.port = act.Port
					if !a.greeted[p.addr] {
						a.greeted[p.addr] = true
						out = append(out, p)
					}
					p = peer{}
				}
			}
		}
	}
	return out
}

// greetPeers sends what warm asked for.
func (a *applier) greetPeers(ctx context.Context) error {
	a.mu.Lock()
	peers := a.peers
	a.peers = nil
	a.mu.Unlock()
	for _, p := range peers {
		a.greeted[p.addr] = true
		err := a.conn.PacketOut(ctx, openflow.PortController, []flow.Action{
			flow.Load{Dst: flow.TunID.Whole()},
			flow.Load{Dst: flow.TunDst.Whole(), Value: flow.Addr(p.addr)},
			flow.Output{Port: p.port},
		}, greeting())
		if err != nil {
			return err
		}
	}
	return nil
}

// greeting is an Ethernet frame of a type that is nobody's (IEEE 802 local experimental).
func greeting() []byte {
	frame := make([]byte, 60)
	copy(frame[6:], []byte{0x02, 0, 0, 0, 0, 1})
	copy(frame, signalbox.Broadcast[:])
	frame[12], frame[13] = 0x88, 0xb5
	return frame
}
