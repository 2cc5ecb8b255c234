package controller

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// RouterReport is where a router's addresses outside are translated.
type RouterReport struct {
	ID          uuid.UUID        `json:"id"`
	Name        string           `json:"name"`
	GatewayHost string           `json:"gateway_host"` // "": none
	Address     string           `json:"address"`      // of the gateway; "" for none
	Zone        signalbox.Zone   `json:"zone"`         // of conntrack, on every host
	Wired       bool             `json:"wired"`        // the gateway host has acknowledged its flows
	FloatingIPs []FloatingReport `json:"floating_ips"`
}

// FloatingReport is where a floating IP is translated.
type FloatingReport struct {
	ID       uuid.UUID `json:"id"`
	Floating string    `json:"floating_ip_address"`
	Fixed    string    `json:"fixed_ip_address"`
	Host     string    `json:"host"`  // that translates it; "": none
	Wired    bool      `json:"wired"` // that host has acknowledged its flows
}

func (l *loop) reportRouter(id uuid.UUID) (RouterReport, bool) {
	facts := l.compiler.Facts
	r := facts.Router(id)
	if r == nil {
		return RouterReport{}, false
	}
	out := RouterReport{ID: id, Name: r.Name, FloatingIPs: []FloatingReport{}}
	if g := r.Gateway; g != nil {
		out.GatewayHost, out.Zone = l.nameByID(g.Host), g.Zone
		if p := facts.Port(g.PortID); p != nil {
			if a, ok := firstIPv4(p); ok {
				out.Address = a.String()
			}
			s, known := l.derive(p)
			out.Wired = known && s == signalbox.Active
		}
	}
	for _, id := range facts.FloatingIPsOf(r.ID) {
		ip := facts.FloatingIP(id)
		s, known := l.deriveFloating(ip)
		out.FloatingIPs = append(out.FloatingIPs, FloatingReport{ID: id, Floating: ip.Addr.String(), Fixed: ip.FixedAddr.String(),
			Host: l.nameByID(facts.TranslatorOf(id)), Wired: known && s == signalbox.Active})
	}
	return out, true
}

func (l *loop) nameByID(host uuid.UUID) string {
	if h := l.hostByID(host); h != nil {
		return h.name()
	}
	if row := l.compiler.Facts.Host(host); row != nil {
		return row.Name
	}
	return ""
}

// getRouter shows where a router's gateway is.
func (c *Controller) getRouter(w http.ResponseWriter, r *http.Request) {
	id, ok := c.find(w, "router", r.PathValue("router"))
	if !ok {
		return
	}
	c.mu.RLock()
	out, ok := c.loop.reportRouter(id)
	c.mu.RUnlock()
	if !ok {
		refuse(w, http.StatusNotFound, "the controller knows no router %s", id)
		return
	}
	answer(w, out)
}

// moveWait bounds how long a move is waited for.
const moveWait = 10 * time.Second

// putGatewayHost moves a router's gateway to the host that the body names, {"host": NAME}, and answers when it is wired
// there. The gateway stays there as it would anywhere: until its host is lost, or is drained.
func (c *Controller) putGatewayHost(w http.ResponseWriter, r *http.Request) {
	id, ok := c.find(w, "router", r.PathValue("router"))
	if !ok {
		return
	}
	var body struct{ Host string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&body); err != nil || body.Host == "" {
		refuse(w, http.StatusBadRequest, `the body is to be {"host": NAME}`)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), moveWait)
	defer cancel()
	var to *host
	var err error
	done := c.ask(ctx, func(l *loop) {
		if to = l.hostNamed(body.Host); to != nil {
			err = l.moveGateway(id, to, time.Now())
		}
	})
	switch {
	case !done:
		refuse(w, http.StatusServiceUnavailable, "the controller is busy or ending")
	case to == nil:
		refuseHost(w, body.Host)
	case signalbox.KindOf(err) == signalbox.NotFound && err != nil:
		refuse(w, http.StatusNotFound, "%s", err)
	case err != nil:
		refuse(w, http.StatusConflict, "%s", err)
	default:
		if out, there := c.awaitGateway(ctx, id, to); there {
			answer(w, out)
		} else {
			refuse(w, http.StatusGatewayTimeout, "the gateway is to move to %s, but is not wired there yet", body.Host)
		}
	}
}

// awaitGateway looks at a router until its gateway is wired at a host; false when ctx ended first.
func (c *Controller) awaitGateway(ctx context.Context, router uuid.UUID, at *host) (RouterReport, bool) {
	for {
		c.mu.RLock()
		out, _ := c.loop.reportRouter(router)
		there := out.Wired && out.GatewayHost == at.name()
		turned := c.loop.turned
		c.mu.RUnlock()
		if there {
			return out, true
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return out, false
		}
	}
}

// postDrain moves every gateway away from a host that another can take, and answers with how many those are. The host
// can get gateways again: to keep it empty, take its bridge mapping away.
func (c *Controller) postDrain(w http.ResponseWriter, r *http.Request) {
	var h *host
	var moved int
	done := c.ask(r.Context(), func(l *loop) {
		if h = l.hostNamed(r.PathValue("host")); h != nil {
			moved = l.placeGateways(time.Now(), h.row.ID)
		}
	})
	switch {
	case !done:
		refuse(w, http.StatusServiceUnavailable, "the controller is ending")
	case h == nil:
		refuseHost(w, r.PathValue("host"))
	default:
		answer(w, map[string]int{"gateways_moved": moved})
	}
}
