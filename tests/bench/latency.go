package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/signalbox-sdn/signalbox/controller"
)

// sample is the making of one port, from the request to the last acknowledgement.
type sample struct {
	whole time.Duration
	api   time.Duration // of it: until the API has answered
	plug  time.Duration // of it: from there until Open vSwitch has made the interface
}

// latencies are many samples, each kind in an order of its own.
type latencies struct {
	whole, api, plug []time.Duration
	ours             []time.Duration // whole without plug
	rest             []time.Duration // ours without api: the controller and what it waits for
	bundle           time.Duration   // of the rest: the switch's, from a bundle's first byte to its barrier's reply; a mean
}

// latency measures at the present number of ports; few is what it was at fewer, or nil.
func (c *cloud) latency(t *table, few *latencies) *latencies {
	const warm, samples = 20, 3
	for i := range warm {
		c.sample(i)
	}
	l := &latencies{}
	sum, count := c.metric("signalbox_apply_seconds_sum"), c.metric("signalbox_apply_seconds_count")
	for i := range samples {
		x := c.sample(i)
		l.whole, l.api, l.plug = append(l.whole, x.whole), append(l.api, x.api), append(l.plug, x.plug)
		l.ours, l.rest = append(l.ours, x.whole-x.plug), append(l.rest, x.whole-x.plug-x.api)
	}
	sum, count = c.metric("signalbox_apply_seconds_sum")-sum, c.metric("signalbox_apply_seconds_count")-count
	l.bundle = time.Duration(sum / count * float64(time.Second))
	l.report(t, c.ports, few)
	return l
}

// sample creates one port, plugs it into one host and waits until the controller says that every host of its
// network has acknowledged it. Then all is taken away again, unmeasured.
func (c *cloud) sample(i int) sample {
	n, h := c.networks[i%len(c.networks)], c.hosts[i%len(c.hosts)]
	var made struct{ Port port }
	var wired controller.PortReport
	body := object{"port": object{"network_id": n.ID, "name": "sample", "device_owner": "compute:nova"}}

	began := time.Now()
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/ports", body, &made))
	answered := time.Now()
	interfaceMade := h.db.expect(made.Port.vif().name)
	rows, err := h.db.plug(made.Port.vif())
	c.must(err)
	c.must(c.admin.call(c.ctx, http.MethodGet, "/v1/ports/"+made.Port.ID+"?wait=20s", nil, &wired))
	ended := time.Now()

	if !wired.Wired || wired.Host != h.name || len(wired.Hosts) != len(c.hosts) {
		c.Fatalf("port %s plugged into %s: %+v", made.Port.ID, h.name, wired)
	}
	plugged := ended // at the latest
	select {
	case plugged = <-interfaceMade:
	case <-time.After(time.Second):
		c.Fatalf("OVSDB does not say that %s was made", made.Port.vif().name)
	}
	c.must(h.db.unplug(rows...))
	c.remove(made.Port.ID)
	c.settle()
	return sample{ended.Sub(began), answered.Sub(began), max(0, plugged.Sub(answered))}
}

// remove deletes a port and waits until the controller has forgotten it.
func (c *cloud) remove(id string) {
	c.must(c.api.call(c.ctx, http.MethodDelete, "/v2.0/ports/"+id, nil, nil))
	c.await("port "+id+" forgotten", 10*time.Second, func() bool {
		var not *refusal
		return errors.As(c.admin.call(c.ctx, http.MethodGet, "/v1/ports/"+id, nil, nil), &not) && not.status == http.StatusNotFound
	})
}

func (l *latencies) report(t *table, ports int, few *latencies) {
	title := fmt.Sprintf("port create → acknowledged by 3 hosts, %d ports", ports)
	for _, p := range []int{50, 99} {
		is, plug := percentile(l.whole, p), percentile(l.plug, p)
		var aim bound
		if p == 99 {
			aim = atMost(50, " ms")
		}
		t.add(fmt.Sprintf("%s, p%d", title, p), milliseconds(is), "OVS makes an interface in "+milliseconds(plug),
			ratio(is.Seconds()/plug.Seconds()), aim, is.Seconds()*1000)
	}
	t.add("  of it the API's answer, p50, p99", both(l.api), "", "", bound{}, 0)
	t.add("  of it from the interface to the last barrier, p50, p99", both(l.rest), "one bundle to its barrier: mean "+milliseconds(l.bundle), "", bound{}, 0)
	if few == nil {
		return
	}
	l.compare(t, "all", l.whole, few.whole, atMost(1.5, ""))
	l.compare(t, "without OVS's making of the interface", l.ours, few.ours, bound{})
}

// compare sets what is at many ports against what was at few.
func (l *latencies) compare(t *table, what string, many, few []time.Duration, aim bound) {
	for _, p := range []int{50, 99} {
		a, b := percentile(many, p), percentile(few, p)
		x := a.Seconds() / b.Seconds()
		t.add(fmt.Sprintf("  against 100 ports, p%d, %s", p, what), milliseconds(a), milliseconds(b), ratio(x), aim, x)
	}
}

func both(d []time.Duration) string {
	return milliseconds(percentile(d, 50)) + ", " + milliseconds(percentile(d, 99))
}
