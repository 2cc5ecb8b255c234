package controller

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/controller/openflow"
)

// HostReport is a host as the admin endpoint shows it.
type HostReport struct {
	ID           uuid.UUID         `json:"id"`
	Name         string            `json:"name"`
	DatapathID   string            `json:"datapath_id"`
	Connected    bool              `json:"connected"`
	Since        time.Time         `json:"since"`
	OVSDB        string            `json:"ovsdb"` // "" while not connected
	Version      string            `json:"version"`
	TunnelIP     string            `json:"tunnel_ip"`
	Mappings     map[string]string `json:"bridge_mappings"`
	Ports        int               `json:"ports"`
	Role         string            `json:"role"` // of this controller, as the switch says: equal, master or slave, which may not write to it; "" while not connected
	FlowsWanted  int               `json:"flows_wanted"`
	Compared     *Compared         `json:"compared,omitempty"`    // what the last read of the whole switch found
	LastBundle   *Bundle           `json:"last_bundle,omitempty"` // what was sent last
	Errors       HostErrors        `json:"errors"`
	Connections  uint64            `json:"connections"`             // since this controller began
	FlowModsSent uint64            `json:"flow_mods_sent"`          // on this connection
	InSync       bool              `json:"in_sync"`                 // all that is wanted has been acknowledged
	Problems     []string          `json:"problems,omitempty"`      // what the host says in OVSDB that makes no sense
	Refused      map[string]string `json:"refused_flows,omitempty"` // cookie -> what the switch said
}

// Compared is a read of all that a switch holds. What was lacking or too much then has been mended since, or is on its way.
// Present goes on: it counts what the switch has acknowledged since.
type Compared struct {
	At        time.Time `json:"at"`
	Present   int       `json:"flows_present"`
	Differing int       `json:"flows_differing"`
}

// Bundle is one difference that was sent to a switch, with the barrier behind it.
type Bundle struct {
	At      time.Time `json:"at"` // when it was sent
	Adds    int       `json:"adds"`
	Deletes int       `json:"deletes"`
	Refused int       `json:"refused"`         // flows of it that the switch would not take
	Seconds float64   `json:"seconds"`         // until the barrier's reply
	Error   string    `json:"error,omitempty"` // why it is not known to have taken; the switch is read again then
}

// HostErrors counts what went wrong at a host since this controller began.
type HostErrors struct {
	Bundles     uint64 `json:"bundles"`     // differences that broke off
	Refused     uint64 `json:"flows"`       // flows that the switch refused
	Switch      uint64 `json:"messages"`    // errors that answer nothing that was waited for
	Disconnects uint64 `json:"disconnects"` // ends of an OpenFlow connection
}

// inSync reports whether the switch has acknowledged all that is wanted of it.
func (h *host) inSync() bool { return h.synced && h.acked == h.seq }

func (l *loop) report(h *host) HostReport {
	r := HostReport{
		ID: h.row.ID, Name: h.row.Name, DatapathID: h.row.DatapathID.String(),
		Connected: h.conn != nil, Since: h.since.UTC(), Version: cmp.Or(h.version, h.software), Mappings: h.row.Mappings,
		Connections: h.arrivals, FlowsWanted: l.compiler.Size(h.row.ID), Problems: h.said,
		InSync: h.inSync() && len(h.refused) == 0, Compared: h.compared, LastBundle: h.bundle,
		Errors: HostErrors{Bundles: h.broken, Refused: h.turnedDown, Switch: h.complaints.Load(), Disconnects: h.departures},
	}
	if h.manager != nil {
		r.OVSDB = h.manager.peer
	}
	if h.row.TunnelIP.IsValid() {
		r.TunnelIP = h.row.TunnelIP.String()
	}
	if h.conn != nil {
		r.FlowModsSent, r.Role = h.conn.FlowMods(), h.conn.Role().String()
		r.InSync = r.InSync && h.conn.Role() != openflow.Slave // what another has made of it since is not ours to say
	}
	for _, v := range h.vifs {
		if v.port != uuid.Nil {
			r.Ports++
		}
	}
	for cookie, why := range h.refused {
		if r.Refused == nil {
			r.Refused = map[string]string{}
		}
		r.Refused[fmt.Sprintf("%#x", uint64(cookie))] = why
	}
	return r
}

func (c *Controller) getHosts(w http.ResponseWriter, _ *http.Request) { answer(w, c.reports()) }

// reports is all hosts that have joined, by name.
func (c *Controller) reports() []HostReport {
	c.mu.RLock()
	out := make([]HostReport, 0, len(c.loop.hosts))
	for _, h := range c.loop.hosts {
		out = append(out, c.loop.report(h))
	}
	c.mu.RUnlock()
	slices.SortFunc(out, func(a, b HostReport) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (l *loop) hostNamed(name string) *host {
	for _, h := range l.hosts {
		if h.row.Name == name || h.row.DatapathID.String() == name || h.row.ID.String() == name {
			return h
		}
	}
	return nil
}
