package controller

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Who is known outside is asked again from time to time, at the MAC that is known (RFC 1122, 2.3.2.1), the last time
// before it is forgotten at everybody: it may have another MAC.

const (
	refreshEvery = 30 * time.Second
	refreshTries = 3  // then it is forgotten
	maxRefreshes = 50 // questions in one beat
)

// acquaintance is a neighbour of the rows and how it goes with asking.
type acquaintance struct {
	row  *signalbox.Neighbour
	due  time.Time // of the next question
	left int       // tries that are left; refreshTries: none has gone unanswered
}

// acquaintances is every neighbour of the rows.
type acquaintances map[uuid.UUID]*acquaintance

// meet takes a neighbour's row. New rows are spread over the time between questions, by their ids: after a start not
// all are asked at once.
func (as acquaintances) meet(n *signalbox.Neighbour, now time.Time) {
	a := as[n.ID]
	if a == nil {
		phase := time.Duration(binary.BigEndian.Uint16(n.ID[14:])) * refreshEvery / (1 << 16)
		a = &acquaintance{due: now.Add(refreshEvery/2 + phase/2), left: refreshTries}
		as[n.ID] = a
	}
	a.row = n
}

// hear puts off the next question to who has just been heard.
func (as acquaintances) hear(at hop, now time.Time) {
	for _, a := range as {
		if a.row.NetworkID == at.network && a.row.Addr == at.addr {
			a.due, a.left = now.Add(refreshEvery), refreshTries
		}
	}
}

// ask is whom to ask now, and who has not answered often enough to be forgotten.
func (as acquaintances) ask(now time.Time) (ask, forget []*signalbox.Neighbour) {
	for _, a := range as {
		switch {
		case now.Before(a.due):
		case a.left == 0:
			forget = append(forget, a.row)
			a.due = now.Add(refreshEvery) // should the database not be reached
		case len(ask) < maxRefreshes:
			ask = append(ask, a.row)
			a.due = now.Add(askEvery)
			a.left--
		}
	}
	return ask, forget
}

// unasked takes a question back that nobody could put.
func (as acquaintances) unasked(n *signalbox.Neighbour, now time.Time) {
	as[n.ID].due, as[n.ID].left = now.Add(refreshEvery), refreshTries
}

// heardFrom takes an answer that is believed.
func (l *loop) heardFrom(at hop, mac signalbox.MAC, now time.Time) {
	l.acquaintances.hear(at, now)
	if known := l.compiler.Facts.Neighbour(at.network, at.addr); known == nil || known.MAC != mac {
		l.writer.know(at, mac)
	}
}

// refresh asks for neighbours again whose time has come.
func (l *loop) refresh(now time.Time) {
	ask, forget := l.acquaintances.ask(now)
	for _, n := range forget {
		l.writer.forget(hop{n.NetworkID, n.Addr}, n.MAC)
	}
	askers := map[uuid.UUID]asker{}
	for _, n := range ask {
		by, found := askers[n.NetworkID]
		if !found {
			by = l.askerOn(n.NetworkID)
			askers[n.NetworkID] = by
		}
		if by.applier == nil || !n.Addr.Is4() {
			l.acquaintances.unasked(n, now)
			continue
		}
		l.c.metrics.neighbours.WithLabelValues("asked").Inc()
		to := n.MAC
		if l.acquaintances[n.ID].left == 0 {
			to = signalbox.Broadcast
		}
		by.applier.say(announcement{arpRequest(to, by.mac, by.ip, n.Addr.As4()), by.out})
	}
}

// asker is a host and the address in whose name it asks on an external network: one that is translated there, so
// that the answer comes there too. Without an applier it is nobody.
type asker struct {
	applier *applier
	out     []flow.Action
	mac     signalbox.MAC
	ip      [4]byte
}

// askerOn is the same one each time while nothing changes: the router or floating IP with the lowest id.
func (l *loop) askerOn(network uuid.UUID) asker {
	facts := l.compiler.Facts
	n := facts.Network(network)
	var by asker
	var lowest uuid.UUID
	if n == nil {
		return by
	}
	try := func(id, at uuid.UUID, p *signalbox.Port) {
		if lowest != uuid.Nil && bytes.Compare(id[:], lowest[:]) >= 0 || p == nil || at == uuid.Nil {
			return
		}
		h := l.hostByID(at)
		if h == nil || h.conn == nil || !h.synced {
			return
		}
		out, ok := h.outward(n)
		ip, has := firstIPv4(p)
		if ok && has {
			lowest, by = id, asker{h.applier, out, p.MAC, ip.As4()}
		}
	}
	for id, r := range facts.Routers() {
		if r.Gateway != nil && r.Gateway.NetworkID == network {
			try(id, r.Gateway.Host, facts.Port(r.Gateway.PortID))
		}
	}
	if by.applier != nil {
		return by
	}
	for id, ip := range facts.FloatingIPs() {
		if ip.NetworkID == network {
			try(id, facts.TranslatorOf(id), facts.Port(ip.OwnPortID))
		}
	}
	return by
}
