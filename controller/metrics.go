package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

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
	brokenBundles *prometheus.CounterVec
	switchErrors  *prometheus.CounterVec
	refused       prometheus.Counter
	refusedFlows  prometheus.Counter
	gatewayMoves  prometheus.Counter
	neighbours    *prometheus.CounterVec
	flushes       *prometheus.CounterVec
	forwarded     *prometheus.CounterVec
	compile       prometheus.Histogram
	apply         prometheus.Histogram
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
		brokenBundles: prometheus.NewCounterVec(counter("broken_bundles_total", "Changes of a host's switch that broke off; the switch is read again after each."), []string{"host"}),
		switchErrors:  prometheus.NewCounterVec(counter("switch_errors_total", "Errors from a host's switch that answer nothing that is waited for."), []string{"host"}),
		refused:       prometheus.NewCounter(counter("refused_connections_total", "Connections refused on the OpenFlow and OVSDB ports.")),
		refusedFlows:  prometheus.NewCounter(counter("refused_flows_total", "Flows that a switch refused.")),
		gatewayMoves:  prometheus.NewCounter(counter("gateway_moves_total", "Times that a router's gateway was moved from one host to another.")),
		neighbours:    prometheus.NewCounterVec(counter("neighbour_events_total", "What became of questions by ARP on external networks, and of packets that waited for an answer."), []string{"event"}),
		flushes:       prometheus.NewCounterVec(counter("conntrack_flushes_total", "Times that connections were ended at a host whose translation had ended."), []string{"host", "outcome"}),
		forwarded:     prometheus.NewCounterVec(counter("dns_forwarded_total", "What became of questions for names that are not ours."), []string{"outcome"}),
		compile:       prometheus.NewHistogram(seconds("compile_seconds", "Time to compile what changed.")),
		apply:         prometheus.NewHistogram(seconds("apply_seconds", "Time from the first byte of a change to its barrier's reply.")),
	}
	m.registry.MustRegister(m.flowMods, m.repairs, m.audits, m.repairedFlows, m.brokenBundles, m.switchErrors, m.drift, m.packets, m.refused, m.refusedFlows, m.gatewayMoves, m.neighbours, m.flushes, m.forwarded, m.compile, m.apply,
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
