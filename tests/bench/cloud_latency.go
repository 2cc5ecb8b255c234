package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/signalbox-sdn/signalbox/controller"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// sample is the making of one port, from the request to the last acknowledgement, and where the time went.
type sample struct {
	api     time.Duration // until the API has answered
	plug    time.Duration // until the switch says that the interface is there
	control time.Duration // until the controller begins to tell the last host
	install time.Duration // until the controller has the last barrier's reply
	cpu     time.Duration // that the controller used in all of it
}

func answering(s sample) time.Duration   { return s.api }
func plugging(s sample) time.Duration    { return s.plug }
func controlling(s sample) time.Duration { return s.control }
func installing(s sample) time.Duration  { return s.install }
func computing(s sample) time.Duration   { return s.cpu }
func whole(s sample) time.Duration       { return s.api + s.plug + s.control + s.install }
func ours(s sample) time.Duration        { return s.api + s.control }
func switches(s sample) time.Duration    { return s.plug + s.install }

// many is ports over which a sample stays: taking it away again would cost Open vSwitch as long as making it.
const many = 1000

// latency takes samples at the present number of ports.
func (c *cloud) latency(t *table, samples int) []sample {
	title := fmt.Sprintf("port create → acknowledged by 3 hosts, %d ports there", c.ports)
	if c.away > 0 {
		title += fmt.Sprintf(" and %d elsewhere", c.away)
	}
	for i := range samples / 10 {
		c.sample(i)
	}
	taken := make([]sample, samples)
	for i := range taken {
		taken[i] = c.sample(i)
	}
	for _, p := range []int{50, 99} {
		is, theirs := spread(taken, whole, p), spread(taken, switches, p)
		var aim bound
		if p == 99 {
			aim = atMost(50, " ms")
		}
		t.add(fmt.Sprintf("%s, p%d", title, p), milliseconds(is), "of it in Open vSwitch "+milliseconds(theirs), ratio(is.Seconds()/theirs.Seconds()), aim, is.Seconds()*1000)
	}
	t.add("  p50 (p99) of: API's answer, controller", both(taken, answering)+", "+both(taken, controlling),
		"interface, flows in OVS "+both(taken, plugging)+", "+both(taken, installing), "", bound{}, 0)
	return taken
}

// sample creates one port, plugs it into one host and waits until the controller says that every host of its
// network has acknowledged it.
func (c *cloud) sample(i int) sample {
	n, h := c.networks[i%len(c.networks)], c.hosts[i%len(c.hosts)]
	var made struct{ Port port }
	var wired controller.PortReport
	body := object{"port": object{"network_id": n.ID, "name": "sample", "device_owner": "compute:nova"}}

	for _, h := range c.hosts {
		h.wire.forget()
	}
	used, began := c.controller.cpu(), time.Now()
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/ports", body, &made))
	answered := time.Now()
	rows, err := h.db.plug(made.Port.vif())
	c.must(err)
	c.must(c.admin.call(c.ctx, http.MethodGet, "/v1/ports/"+made.Port.ID+"?wait=20s", nil, &wired))
	ended := time.Now()
	used = c.controller.cpu() - used

	plugged, seen := h.wire.port(made.Port.vif().name)
	if !seen || !wired.Wired || wired.Host != h.name || len(wired.Hosts) != len(c.hosts) {
		c.Fatalf("port %s plugged into %s: %+v", made.Port.ID, h.name, wired)
	}
	sent := plugged
	for _, h := range c.hosts {
		at, ok := h.wire.changeAfter(plugged)
		if !ok {
			c.Fatalf("%s was told nothing of port %s", h.name, made.Port.ID)
		}
		if at.After(sent) {
			sent = at
		}
	}
	if c.ports++; c.ports < many {
		c.must(h.db.unplug(rows...))
		c.remove(made.Port.ID)
		c.ports--
	}
	c.settle()
	for _, h := range c.hosts {
		h.sw.AppCtl("version") // it answers when it has nothing else to do
	}
	return sample{api: answered.Sub(began), plug: plugged.Sub(answered), control: sent.Sub(plugged), install: ended.Sub(sent), cpu: used}
}

// remove deletes a port and waits until the controller has forgotten it.
func (c *cloud) remove(id string) {
	c.must(c.api.call(c.ctx, http.MethodDelete, "/v2.0/ports/"+id, nil, nil))
	c.await("port "+id+" forgotten", 10*time.Second, func() bool {
		var not *refusal
		return errors.As(c.admin.call(c.ctx, http.MethodGet, "/v1/ports/"+id, nil, nil), &not) && not.status == http.StatusNotFound
	})
}

// plainPlug is how long an Open vSwitch that nobody controls takes to make one more interface where it has so many.
func plainPlug(s *stage, ports int) time.Duration {
	const atOnce, times = 500, 9
	sw := ovs.Start(s)
	sw.AddBridge("br-int")
	db := dialDatabase(s, sw.DB())
	plug := func(from, to int) {
		var vifs []vif
		for i := from; i < to; i++ {
			vifs = append(vifs, vif{name: fmt.Sprintf("vif%d", i)})
		}
		_, err := db.plug(vifs...)
		s.must(err)
		s.must(db.made(vifs[len(vifs)-1].name))
	}
	for n := 0; n < ports; n += atOnce {
		plug(n, min(ports, n+atOnce))
	}
	took := make([]time.Duration, times)
	for i := range took {
		took[i] = timed(func() { plug(ports+i, ports+i+1) })
	}
	return median(took)
}

// compare sets what is at many ports against what was at few.
func compare(t *table, many, few []sample) {
	row := func(what string, part func(sample) time.Duration, p int, aim bound) {
		a, b := spread(many, part, p), spread(few, part, p)
		x := a.Seconds() / b.Seconds()
		t.add(fmt.Sprintf("  that against 100 ports, p%d of %s", p, what), milliseconds(a), "at 100 ports "+milliseconds(b), ratio(x), aim, x)
	}
	row("all", whole, 50, atMost(1.5, ""))
	row("all", whole, 99, atMost(1.5, ""))
	row("API and controller", ours, 50, atMost(1.5, ""))
	row("API and controller", ours, 99, atMost(1.5, ""))
	row("the controller's CPU time", computing, 50, bound{})
}

// spread is a percentile of a part of the samples.
func spread(of []sample, part func(sample) time.Duration, p int) time.Duration {
	d := make([]time.Duration, len(of))
	for i, s := range of {
		d[i] = part(s)
	}
	return percentile(d, p)
}

func both(of []sample, part func(sample) time.Duration) string {
	return fmt.Sprintf("%s (%s)", milliseconds(spread(of, part, 50)), milliseconds(spread(of, part, 99)))
}
