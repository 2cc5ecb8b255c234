package controller

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// AuditReport is one host's switch, read whole and compared with what is wanted of it.
type AuditReport struct {
	Host    string       `json:"host"`
	At      time.Time    `json:"at"`
	Wanted  int          `json:"flows_wanted"`
	Present int          `json:"flows_present"` // as they should be
	Missing int          `json:"flows_missing"`
	Surplus int          `json:"flows_surplus"`
	Changed int          `json:"flows_changed"`
	Meters  []MeterDrift `json:"meters_differing,omitempty"`
	Settled bool         `json:"settled"`         // nothing was on its way, so that a difference is one
	Error   string       `json:"error,omitempty"` // why it could not be compared
	Flows   []FlowReport `json:"flows,omitempty"` // what differs: the first of it
}

// MeterDrift is a meter that is not as it should be.
type MeterDrift struct {
	ID     uint32 `json:"id"`
	Wanted *Rate  `json:"wanted,omitempty"` // nil: nobody wants it
	Found  *Rate  `json:"found,omitempty"`  // nil: it is not there
}

// Rate is what a meter lets pass.
type Rate struct {
	PacketsPerSecond uint32 `json:"packets_per_second"`
	Burst            uint32 `json:"burst"` // packets
}

func rateOf(m flow.RateLimit) *Rate { return &Rate{m.PacketsPerSecond, m.Burst} }

// Same reports whether the switch was found to hold what it should.
func (r *AuditReport) Same() bool {
	return r.Error == "" && r.Missing+r.Surplus+r.Changed+len(r.Meters) == 0
}

const (
	auditAtOnce = 2   // hosts, of one audit, that are read at the same time
	auditShown  = 100 // differing flows of a host that are reported one by one
)

// postAudit compares the hosts that ?host= names, or all. With ?repair=true what differs is mended, as it would be at the next
// comparison in its turn.
func (c *Controller) postAudit(w http.ResponseWriter, r *http.Request) {
	hosts := c.hostsInOrder()
	if asked := r.URL.Query()["host"]; len(asked) > 0 {
		hosts = hosts[:0]
		for _, name := range asked {
			c.mu.RLock()
			h := c.loop.hostNamed(name)
			c.mu.RUnlock()
			if h == nil {
				refuseHost(w, name)
				return
			}
			hosts = append(hosts, h)
		}
	}
	out := make([]AuditReport, len(hosts))
	var g errgroup.Group
	g.SetLimit(auditAtOnce)
	for i, h := range hosts {
		g.Go(func() error {
			out[i] = c.audit(r.Context(), h)
			if r.URL.Query().Get("repair") == "true" && !out[i].Same() {
				c.post(r.Context(), func(*loop) {
					if h.synced {
						h.applier.readAgain()
					}
				})
			}
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the reports
	answer(w, out)
}

func (c *Controller) audit(ctx context.Context, h *host) AuditReport {
	out := AuditReport{Host: c.nameOf(h), At: time.Now().UTC()}
	cmp, err := c.compareNow(ctx, h)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Wanted, out.Meters, out.Settled = len(cmp.flows), cmp.meters, cmp.settled
	out.Present, out.Missing, out.Surplus, out.Changed = cmp.counts[Present], cmp.counts[Missing], cmp.counts[Surplus], cmp.counts[Changed]
	for _, held := range cmp.held {
		if held.state != Present && len(out.Flows) < auditShown {
			out.Flows = append(out.Flows, cmp.explainHeld(held, numbered))
		}
	}
	return out
}
