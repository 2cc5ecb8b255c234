package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller"
)

// association is the making of one floating IP that stands for a port, and where the time went.
type association struct {
	api     time.Duration // until the API has answered, with the row committed
	control time.Duration // until the controller begins to tell the last host
	install time.Duration // until the last host's barrier has come back
	cpu     time.Duration // that the controller used until all was acknowledged
	all     time.Duration // until the API says ACTIVE: the translator's barrier is back, and that is committed
	id      string
}

// floating is what associations take; all are medians.
type floating struct {
	all     time.Duration
	restart time.Duration // of the controller, on the way
}

// floating makes floating IPs, one at a time, each taken away again. The yardstick is the same flows by ovs-ofctl, in
// one bundle, on the host that translates, which no controller commands meanwhile.
func (c *region) floating(t *table) floating {
	const samples = 40
	for i := range samples / 10 {
		c.dissociate(c.associate(i))
	}
	taken := make([]association, samples)
	for i := range taken {
		taken[i] = c.associate(i)
		c.dissociate(taken[i])
	}
	of := func(part func(association) time.Duration, p int) time.Duration {
		d := make([]time.Duration, samples)
		for i, a := range taken {
			d[i] = part(a)
		}
		return percentile(d, p)
	}
	both := func(part func(association) time.Duration) string {
		return fmt.Sprintf("%s (%s)", milliseconds(of(part, 50)), milliseconds(of(part, 90)))
	}
	flows, theirs, restart := c.byHand(c.associate(samples), samples/2) // it stays: a restart is to change nothing
	f := floating{all: of(func(a association) time.Duration { return a.all }, 50), restart: restart}
	them := median(theirs)
	t.add(fmt.Sprintf("floating IP create → ACTIVE, routers: %d, ports: %d, p50 (p90)", len(c.routers), c.ports+c.away), both(func(a association) time.Duration { return a.all }),
		fmt.Sprintf("ovs-ofctl adds its %d flows in %s", flows, milliseconds(them)), ratio(f.all.Seconds()/them.Seconds()), bound{}, 0)
	t.add("  of: API's answer, controller", both(func(a association) time.Duration { return a.api })+", "+both(func(a association) time.Duration { return a.control }),
		"flows in OVS "+both(func(a association) time.Duration { return a.install })+", the controller's CPU time "+milliseconds(of(func(a association) time.Duration { return a.cpu }, 50)), "", bound{}, 0)
	return f
}

// associate gives a port a floating IP and waits until the API says that it is ACTIVE. Routers and hosts take turns.
func (c *region) associate(i int) association {
	r := c.routers[i%len(c.routers)]
	p := r.ports[i%len(r.ports)]
	for _, h := range c.hosts {
		h.wire.forget()
	}
	a := association{}
	var made struct {
		FloatingIP struct{ ID, Status string }
	}
	body := object{"floatingip": object{"floating_network_id": c.public, "port_id": p.ID}}
	used, began := c.controller.cpu(), time.Now()
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/floatingips", body, &made))
	a.api, a.id = time.Since(began), made.FloatingIP.ID
	for deadline := began.Add(time.Minute); made.FloatingIP.Status != string(signalbox.Active); time.Sleep(time.Millisecond) {
		c.must(c.api.call(c.ctx, http.MethodGet, "/v2.0/floatingips/"+a.id, nil, &made))
		if time.Now().After(deadline) {
			c.Fatalf("floating IP %s is %s", a.id, made.FloatingIP.Status)
		}
	}
	a.all = time.Since(began)
	c.settle()
	a.cpu = c.controller.cpu() - used
	var told, done time.Time
	for _, h := range c.hosts { // those that translate for no router may have nothing to learn
		if at, ok := h.wire.changeAfter(began); ok && at.After(told) {
			told = at
		}
		if at := h.wire.lastReply(); at.After(done) {
			done = at
		}
	}
	if told.IsZero() || done.Before(told) {
		c.Fatalf("no host acknowledged anything of floating IP %s", a.id)
	}
	a.control, a.install = told.Sub(began)-a.api, done.Sub(told)
	return a
}

func (c *region) dissociate(a association) {
	c.must(c.api.call(c.ctx, http.MethodDelete, "/v2.0/floatingips/"+a.id, nil, nil))
	time.Sleep(100 * time.Millisecond)
	c.settle()
}

// byHand ends the controller, and adds a floating IP's flows to the host that translates it with ovs-ofctl, as often
// as asked. Then it starts the controller again.
func (c *region) byHand(a association, times int) (flows int, took []time.Duration, restart time.Duration) {
	var most []controller.FlowReport
	var at *hypervisor
	for _, h := range c.hosts {
		var all controller.FlowsReport
		var its []controller.FlowReport
		c.must(c.admin.call(c.ctx, http.MethodGet, "/v1/hosts/"+h.name+"/flows", nil, &all))
		for _, f := range all.Flows {
			if f.ID == a.id {
				its = append(its, f)
			}
		}
		if len(its) > len(most) {
			most, at = its, h
		}
	}
	if at == nil {
		c.Fatalf("no host has flows of floating IP %s", a.id)
	}
	var adds, deletes strings.Builder
	for _, f := range most {
		fmt.Fprintf(&adds, "cookie=%s, %s\n", f.Cookie, f.Flow)
		fmt.Fprintf(&deletes, "delete cookie=%s/-1\n", f.Cookie)
	}
	add, del := filepath.Join(c.dir, "add.txt"), filepath.Join(c.dir, "delete.txt")
	c.must(os.WriteFile(add, []byte(adds.String()), 0o600))
	c.must(os.WriteFile(del, []byte(deletes.String()), 0o600))
	restart = c.restart(func() {
		for range times {
			at.sw.OFCtl("--bundle", "add-flows", "br-int", del)
			took = append(took, timed(func() { at.sw.OFCtl("--bundle", "add-flows", "br-int", add) }))
		}
	})
	return len(most), took, restart
}
