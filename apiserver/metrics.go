package apiserver

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what an API server counts, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	underWay prometheus.Gauge

	routes map[string]bool // each, by its URL and by its method and URL
}

// other is in the place of a URL or method that there is not, of which clients may think of any number.
const other = "other"

func newMetrics(routes []route, pool func() sql.DBStats) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "signalbox", Subsystem: "api", Name: name, Help: help}
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total", "Requests that were answered, by URL and status.")), []string{"method", "route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "signalbox", Subsystem: "api", Name: "request_seconds",
			Help: "Time from a request's headers to its answer.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}}, []string{"method", "route"}),
		underWay: prometheus.NewGauge(prometheus.GaugeOpts(opts("requests_in_progress", "Requests that are being answered."))),
		routes:   map[string]bool{},
	}
	for _, r := range routes {
		m.routes[r.path], m.routes[r.method+" "+r.path] = true, true
	}
	m.registry.MustRegister(m.requests, m.seconds, m.underWay,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if pool == nil {
		return m
	}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("database_connections", "Connections to the database.")), func() float64 { return float64(pool().OpenConnections) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("database_connections_used", "Connections to the database that are in use.")), func() float64 { return float64(pool().InUse) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("database_connections_max", "Connections to the database that there may be.")), func() float64 { return float64(pool().MaxOpenConnections) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts(opts("database_wait_seconds_total", "Time that requests have waited for a connection to the database.")), func() float64 { return pool().WaitDuration.Seconds() }),
	)
	return m
}

// answered counts a request.
func (m *metrics) answered(c echo.Context, took time.Duration) {
	method, route := c.Request().Method, c.Path()
	if !m.routes[route] {
		route = other
	}
	if !m.routes[method+" "+route] {
		method = other
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(c.Response().Status)).Inc()
	m.seconds.WithLabelValues(method, route).Observe(took.Seconds())
}

// Admin is what an operator asks of an API server: what it counts, and profiles of it. It is not for the world: the caller
// says who gets in.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Service.Ping(r.Context()); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // the named profiles too
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
