package controller

import (
	"context"
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
)

// A switch goes on translating the connections that it remembers, whatever flows say since. So when a floating IP's
// association ends or changes or is translated elsewhere, and when a gateway moves or goes, the connections that
// were made by it are flushed at the host where they were, after its flows are gone. What is not known of is what ended
// while no controller ran: those connections end with their flows.

// translation is how, and at which host, an address has connections translated; the zero value: not at all.
type translation struct {
	host   uuid.UUID
	zone   signalbox.Zone
	public netip.Addr
	inner  netip.Addr // zero: many
}

// translationOf is that of a floating IP, or of a router's gateway.
func (l *loop) translationOf(id uuid.UUID) translation {
	facts := l.compiler.Facts
	if ip := facts.FloatingIP(id); ip != nil {
		r, host := facts.Router(ip.RouterID), facts.TranslatorOf(id)
		if r == nil || r.Gateway == nil || host == uuid.Nil {
			return translation{}
		}
		return translation{host, r.Gateway.Zone, ip.Addr, ip.FixedAddr}
	}
	r := facts.Router(id)
	if r == nil || r.Gateway == nil || r.Gateway.Host == uuid.Nil {
		return translation{}
	}
	t := translation{host: r.Gateway.Host, zone: r.Gateway.Zone}
	if p := facts.Port(r.Gateway.PortID); p != nil && r.Gateway.EnableSNAT {
		t.public, _ = firstIPv4(p)
	}
	return t
}

// flush is connections to end: those of a public address in a zone, or all of the zone's.
type flush struct {
	zone   signalbox.Zone
	public netip.Addr // zero: all
}

// retranslate flushes what the translations that may have changed leave behind. The changes of flows are in the
// appliers' hands.
func (l *loop) retranslate() {
	for id := range l.retouched {
		was, is := l.translations[id], l.translationOf(id)
		if facts := l.compiler.Facts; facts.Router(id) == nil && facts.FloatingIP(id) == nil {
			delete(l.claims, id)
		}
		if is == (translation{}) {
			delete(l.translations, id)
		} else {
			l.translations[id] = is
		}
		if l.settled && was != is && was.host != uuid.Nil {
			l.flushAt(id, was, is)
		}
	}
	clear(l.retouched)
	l.settled = true
}

// flushAt ends what an address had translated at a host. It does so again some times, for packets on the way have
// made connections anew by flows that the switch was about to forget, and such a connection would stay with the
// old address for as long as it is used.
func (l *loop) flushAt(id uuid.UUID, was, is translation) {
	h := l.hostByID(was.host)
	if h == nil {
		return
	}
	f := flush{was.zone, was.public}
	switch {
	case is.zone != was.zone && !was.inner.IsValid():
		f.public = netip.Addr{} // the gateway is gone, and its zone with it
	case !was.public.IsValid():
		return
	}
	if !h.synced {
		h.owed[f] = struct{}{}
		return
	}
	h.applier.flush(f)
	l.repeat(func() bool {
		if now := l.translationOf(id); !h.synced || now.host == was.host && now.zone == was.zone && now.public == was.public && !now.inner.IsValid() {
			return false // it is back, and its new connections would not come out of this as they were
		}
		h.applier.flush(f)
		return true
	})
}

// payOwed flushes at a host that has come back what it should have forgotten meanwhile.
func (h *host) payOwed() {
	for f := range h.owed {
		h.applier.flush(f)
	}
	clear(h.owed)
}

// flush asks for a flush behind the changes that were asked for before; it never waits.
func (a *applier) flush(f flush) {
	a.mu.Lock()
	a.flushes = append(a.flushes, f)
	a.mu.Unlock()
	a.nudge()
}

// flushAll does what flush asked for. A switch that cannot is told of once a connection: its old connections go on
// until they end by themselves.
func (a *applier) flushAll(ctx context.Context, flushes []flush) {
	for _, f := range flushes {
		err := a.flushOne(ctx, f)
		outcome := "done"
		if err != nil {
			outcome = "failed"
			if ctx.Err() == nil && !a.unflushed {
				a.unflushed = true
				a.log.Warn("the switch does not end connections whose translation has ended", "zone", f.zone, "address", f.public, "error", err)
			}
		}
		a.c.metrics.flushes.WithLabelValues(a.c.nameOf(a.h), outcome).Inc()
	}
}

func (a *applier) flushOne(ctx context.Context, f flush) error {
	if !f.public.IsValid() {
		return a.conn.FlushZone(ctx, f.zone)
	}
	// Those that came in were made to the address, and those that went out are answered to it.
	if err := a.conn.FlushConnections(ctx, f.zone, openflow.Tuple{Dst: f.public}, openflow.Tuple{}); err != nil {
		return err
	}
	return a.conn.FlushConnections(ctx, f.zone, openflow.Tuple{}, openflow.Tuple{Dst: f.public})
}
