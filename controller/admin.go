package controller

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The admin endpoint is the operator's window: what the controller wants and what it knows of the hosts.

func (c *Controller) serveAdmin(ctx context.Context, ln net.Listener) error {
	return ServeAdmin(ctx, ln, c.cfg.AdminToken, c.log, c.adminRoutes())
}

// ServeAdmin answers at an operator's endpoint until ctx ends. It lets in those who know the token, and everybody where it is "".
func ServeAdmin(ctx context.Context, ln net.Listener, token string, log *slog.Logger, h http.Handler) error {
	srv := &http.Server{Handler: withToken(token, log, h), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }, // so that those who listen to events are let go
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	defer context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	})()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// adminPaths is for whoever asks what there is.
var adminPaths = []string{
	"GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/hosts", "GET /v1/hosts/{host}/flows", "POST /v1/hosts/{host}/drain", "GET /v1/objects/{object}",
	"POST /v1/audit", "GET /v1/events", "GET /v1/ports/{port}", "GET /v1/routers/{router}", "PUT /v1/routers/{router}/gateway-host", "GET /debug/pprof/",
}

// looksAtOnce is how many may look at hosts' flows at the same time, who each hold a host's flows in memory: a hundred thousand are some
// hundred megabytes. Others wait for their turn.
const looksAtOnce = 4

// lookWrite bounds how long a client may take to read what it was shown.
const lookWrite = 2 * time.Minute

// looking is a handler that takes its turn.
func (c *Controller) looking(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case c.looks <- struct{}{}:
			defer func() { <-c.looks }()
		case <-r.Context().Done():
			return // the client has gone
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(lookWrite)) // tests write where there is none
		h(w, r)
	}
}

func (c *Controller) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string][]string{"paths": adminPaths}) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "there is no %s %s; GET / lists what there is", r.Method, r.URL.Path)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", c.getReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /v1/hosts", c.getHosts)
	mux.HandleFunc("GET /v1/hosts/{host}/flows", c.looking(c.getFlows))
	mux.HandleFunc("GET /v1/objects/{what}", c.looking(c.getObject))
	mux.HandleFunc("POST /v1/audit", c.looking(c.postAudit))
	mux.HandleFunc("GET /v1/events", c.getEvents)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // the named profiles too
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /v1/ports/{port}", c.getPort)
	mux.HandleFunc("GET /v1/routers/{router}", c.getRouter)
	mux.HandleFunc("PUT /v1/routers/{router}/gateway-host", c.putGatewayHost)
	mux.HandleFunc("POST /v1/hosts/{host}/drain", c.postDrain)
	return mux
}

// withToken lets those in who know the token, where there is one, and everybody to what a load balancer asks.
func withToken(token string, log *slog.Logger, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := sha256.Sum256([]byte(r.Header.Get("Authorization"))) // of one length, whatever was said
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && subtle.ConstantTimeCompare(said[:], want[:]) != 1 {
			log.Warn("refused a request to the admin endpoint: the token is missing or wrong", "remote", r.RemoteAddr, "method", r.Method, "path", r.URL.Path)
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "the admin token is missing or wrong")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body)
}

// refuseHost says that a host is not known by a name.
func refuseHost(w http.ResponseWriter, name string) {
	refuse(w, http.StatusNotFound, "no host %q has joined; GET /v1/hosts lists those that have", name)
}

// find is the id of the one object of a kind that has an id, a name or an address; false when it has refused what was asked for.
func (c *Controller) find(w http.ResponseWriter, kind, what string) (uuid.UUID, bool) {
	c.mu.RLock()
	ids := slices.DeleteFunc(c.loop.called(what), func(id uuid.UUID) bool { return c.loop.around(kind, id) == nil })
	c.mu.RUnlock()
	switch len(ids) {
	case 1:
		return ids[0], true
	case 0:
		refuse(w, http.StatusNotFound, "the controller knows no %s that is called %q", kind, what)
	default:
		refuse(w, http.StatusConflict, "%d %ss are called %q: use an id, as %s", len(ids), kind, what, ids[0])
	}
	return uuid.Nil, false
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf(format, args...)})
}

func (c *Controller) getReady(w http.ResponseWriter, _ *http.Request) {
	c.mu.RLock()
	loaded := c.loop.loaded
	c.mu.RUnlock()
	if !loaded {
		refuse(w, http.StatusServiceUnavailable, "the database has not been read yet")
		return
	}
	fmt.Fprintln(w, "ready")
}

// PortReport is where a port is, and whether the hosts that need it have it.
type PortReport struct {
	ID        uuid.UUID       `json:"id"`
	Host      string          `json:"host"`
	Interface string          `json:"interface"`
	BoundBy   string          `json:"bound_by"`
	Hosts     map[string]bool `json:"hosts"` // each host that needs the port's network -> all its flows are acknowledged
	Wired     bool            `json:"wired"` // bound, and acknowledged by all of them
}

// maxWait bounds ?wait=.
const maxWait = time.Minute

// getPort shows a port. With ?wait=10s it answers when the port is wired, or else after that time.
func (c *Controller) getPort(w http.ResponseWriter, r *http.Request) {
	id, ok := c.find(w, "port", r.PathValue("port"))
	if !ok {
		return
	}
	var wait time.Duration
	if s := r.URL.Query().Get("wait"); s != "" {
		var err error
		if wait, err = time.ParseDuration(s); err != nil {
			refuse(w, http.StatusBadRequest, "wait=%q is not a time such as 500ms or 10s", s)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(wait, maxWait))
	defer cancel()
	out, ok := c.awaitPort(ctx, id)
	if !ok {
		refuse(w, http.StatusNotFound, "the controller knows no port %s", id)
		return
	}
	answer(w, out)
}

// awaitPort looks at a port at least once, and again at each turn of the loop until it is wired or ctx ends.
func (c *Controller) awaitPort(ctx context.Context, id uuid.UUID) (PortReport, bool) {
	for {
		c.mu.RLock()
		out, ok := c.loop.reportPort(id)
		turned := c.loop.turned
		c.mu.RUnlock()
		if out.Wired {
			return out, ok
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return out, ok
		}
	}
}

func (l *loop) reportPort(id uuid.UUID) (PortReport, bool) {
	p := l.compiler.Facts.Port(id)
	if p == nil {
		return PortReport{}, false
	}
	out := PortReport{ID: id, Hosts: map[string]bool{}, Wired: p.Binding != nil}
	for _, h := range l.hosts {
		for n := range l.compiler.Networks(h.row.ID) {
			if n == p.NetworkID {
				acked := h.synced && h.acked == h.seq
				out.Hosts[h.name()] = acked
				out.Wired = out.Wired && acked
			}
		}
	}
	if b := p.Binding; b != nil {
		out.Interface, out.BoundBy = b.Interface, string(b.By)
		if h := l.hostByID(b.HostID); h != nil {
			out.Host = h.name()
		} else {
			out.Wired = false
		}
	}
	return out, true
}
