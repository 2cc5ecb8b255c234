package controller

import (
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/dhcp"
	"github.com/signalbox-sdn/signalbox/dns"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

// metrics is what the controller counts, in a registry of its own.
type metrics struct {
	registry      *prometheus.Registry
	flowMods      *prometheus.CounterVec
	repairs       *prometheus.CounterVec
	drift         *prometheus.CounterVec
	packets       *prometheus.CounterVec
	audits        *prometheus.CounterVec
	repairedFlows *prometheus.CounterVec
	refused       prometheus.Counter
	gatewayMoves  prometheus.Counter
	neighbours    *prometheus.CounterVec
	flushes       *prometheus.CounterVec
	forwarded     *prometheus.CounterVec
	compile       prometheus.Histogram
	apply         prometheus.Histogram
	barrier       prometheus.Histogram
	turn          prometheus.Histogram
	feedLag       prometheus.Histogram
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "signalbox", Name: name, Help: help}
	}
	seconds := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: "signalbox", Name: name, Help: help,
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}
	}
	m := &metrics{
		registry:      prometheus.NewRegistry(),
		flowMods:      prometheus.NewCounterVec(counter("flow_mods_total", "Flow-mods sent to a host's switch since this controller began."), []string{"host"}),
		repairs:       prometheus.NewCounterVec(counter("repairs_total", "Times that a host's switch did not hold what it should and was mended."), []string{"host"}),
		drift:         prometheus.NewCounterVec(counter("foreign_changes_total", "Changes of a host's flows that were not ours."), []string{"host"}),
		packets:       prometheus.NewCounterVec(counter("packet_ins_total", "Packets that switches sent to the controller."), []string{"purpose", "outcome"}),
		audits:        prometheus.NewCounterVec(counter("audits_total", "Times that a host's switch was read whole and compared with what it is to hold."), []string{"host"}),
		repairedFlows: prometheus.NewCounterVec(counter("repaired_flows_total", "Flows that were lacking, too many or changed when a host's switch was compared, and were mended."), []string{"host"}),
		refused:       prometheus.NewCounter(counter("refused_connections_total", "Connections refused on the OpenFlow and OVSDB ports.")),
		gatewayMoves:  prometheus.NewCounter(counter("gateway_moves_total", "Times that a router's gateway was moved from one host to another.")),
		neighbours:    prometheus.NewCounterVec(counter("neighbour_events_total", "What became of questions by ARP on external networks, and of packets that waited for an answer."), []string{"event"}),
		flushes:       prometheus.NewCounterVec(counter("conntrack_flushes_total", "Times that connections were ended at a host whose translation had ended."), []string{"host", "outcome"}),
		forwarded:     prometheus.NewCounterVec(counter("dns_forwarded_total", "What became of questions for names that are not ours."), []string{"outcome"}),
		compile:       prometheus.NewHistogram(seconds("compile_seconds", "Time to compile what changed.")),
		apply:         prometheus.NewHistogram(seconds("apply_seconds", "Time from the first byte of a change to its barrier's reply.")),
		barrier:       prometheus.NewHistogram(seconds("barrier_seconds", "Time from a bundle's commit to the reply to the barrier behind it.")),
		turn:          prometheus.NewHistogram(seconds("turn_seconds", "Time of one turn of the loop, in which nobody else sees what it knows.")),
		feedLag:       prometheus.NewHistogram(seconds("feed_lag_seconds", "Time from the beginning of the oldest transaction in a change of the database until the loop knew of it.")),
	}
	m.registry.MustRegister(m.flowMods, m.repairs, m.audits, m.repairedFlows, m.drift, m.packets, m.refused, m.gatewayMoves, m.neighbours, m.flushes, m.forwarded, m.compile, m.apply, m.barrier, m.turn, m.feedLag,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, o := range dhcp.Outcomes() { // there before they count, so that a rate can be taken of the first
		m.packets.WithLabelValues(flowpipeline.PuntDHCP.String(), o.String())
	}
	for _, o := range dns.Outcomes() {
		m.packets.WithLabelValues(flowpipeline.PuntDNS.String(), o.String())
	}
	for _, o := range []string{forwardAnswered, forwardSilent, forwardOverflow} {
		m.forwarded.WithLabelValues(o)
	}
	for _, e := range neighbourEvents {
		m.neighbours.WithLabelValues(e)
	}
	return m
}

// greet has what is counted for a host be there before it counts, so that a rate can be taken of the first.
func (m *metrics) greet(host string) {
	for _, v := range []*prometheus.CounterVec{m.flowMods, m.repairs, m.drift, m.audits, m.repairedFlows} {
		v.WithLabelValues(host)
	}
}

// view is what is counted only when it is asked for: how things are at the moment.
type view struct{ c *Controller }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("signalbox_"+name, help, labels, nil)
}

// What a view has to say.
var (
	viewConnected = desc("host_connected", "Whether a host's switch is connected.", "host")
	viewOVSDB     = desc("host_ovsdb_connected", "Whether a host's OVSDB is connected.", "host")
	viewInSync    = desc("host_in_sync", "Whether a host's switch has acknowledged all that is wanted of it.", "host")
	viewPorts     = desc("host_ports", "VIFs on a host that are known to be ports.", "host")
	viewWanted    = desc("flows_wanted", "Flows that a host's switch is to hold.", "host")
	viewPresent   = desc("flows_present", "Flows that a host's switch holds: those found when it was last read whole, and what it has acknowledged since.", "host")
	viewDiffering = desc("flows_differing", "Flows that were lacking or too many when a host's switch was last read whole.", "host")
	viewRole      = desc("host_role", "This controller's role at a host's switch, as the switch says it: 1 for the one that it has.", "host", "role")
	viewArrivals  = desc("connections_total", "OpenFlow connections that a host's switch began.", "host")
	viewBroken    = desc("broken_bundles_total", "Changes of a host's switch that broke off; the switch is read again after each.", "host")
	viewRefused   = desc("refused_flows_total", "Flows that a host's switch refused, each time that it was sent them.", "host")
	viewErrors    = desc("switch_errors_total", "Errors from a host's switch that answer nothing that is waited for.", "host")
	viewQueue     = desc("loop_queue", "Things that have happened and that the loop has not taken yet.")
	viewLeases    = desc("dhcp_leases", "Ports whose DHCP lease, given or prolonged since this controller began, has not run out.")
	viewListeners = desc("event_listeners", "Those who listen to events.")
)

// Describe implements prometheus.Collector.
func (v *view) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{viewConnected, viewOVSDB, viewInSync, viewPorts, viewWanted, viewPresent, viewDiffering, viewRole, viewArrivals, viewBroken, viewRefused, viewErrors, viewQueue, viewLeases, viewListeners} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (v *view) Collect(to chan<- prometheus.Metric) {
	say := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	count := func(d *prometheus.Desc, n uint64, host string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), host)
	}
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	seen := map[string]bool{}
	for _, h := range v.c.reports() {
		if seen[h.Name] {
			continue // a name is the host's own to choose
		}
		seen[h.Name] = true
		say(viewConnected, yes(h.Connected), h.Name)
		say(viewOVSDB, yes(h.OVSDB != ""), h.Name)
		say(viewInSync, yes(h.InSync), h.Name)
		say(viewPorts, float64(h.Ports), h.Name)
		say(viewWanted, float64(h.FlowsWanted), h.Name)
		for _, r := range openflow.Roles() {
			say(viewRole, yes(h.Role == r.String()), h.Name, r.String())
		}
		count(viewArrivals, h.Connections, h.Name)
		count(viewBroken, h.Errors.Bundles, h.Name)
		count(viewRefused, h.Errors.Refused, h.Name)
		count(viewErrors, h.Errors.Switch, h.Name)
		if h.Compared != nil {
			say(viewPresent, float64(h.Compared.Present), h.Name)
			say(viewDiffering, float64(h.Compared.Differing), h.Name)
		}
	}
	say(viewQueue, float64(len(v.c.events)))
	say(viewLeases, float64(v.c.leases.count(time.Now())))
	say(viewListeners, float64(v.c.news.listeners()))
}

// leases is until when each port has its address by DHCP. It is only for counting: whose address it is, the database says.
type leases struct {
	mu    sync.Mutex
	until map[uuid.UUID]time.Time
}

// give notes that a port has a lease; for nothing or less it has it for ever.
func (l *leases) give(port uuid.UUID, now time.Time, lease time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[uuid.UUID]time.Time{}
	}
	if lease <= 0 {
		lease = 100 * 365 * 24 * time.Hour
	}
	l.until[port] = now.Add(lease)
}

// end notes that a port has given its address back, or is gone.
func (l *leases) end(port uuid.UUID) {
	l.mu.Lock()
	delete(l.until, port)
	l.mu.Unlock()
}

func (l *leases) count(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.until, func(_ uuid.UUID, until time.Time) bool { return !until.After(now) })
	return len(l.until)
}
