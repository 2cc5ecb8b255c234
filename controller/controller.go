// Package controller is the loop that makes every switch what the facts say.
//
// Facts come from three sides: rows from the database's change feed, ports from each switch over
// OpenFlow, and interfaces from each host's OVSDB. One goroutine (loop.go) owns them, decides which
// interface is which port (binding.go), compiles what changed (package flowpipeline) and hands each
// host's difference to the host's applier (apply.go), which sends it as one bundle and reports the
// barrier's reply. From that reply a port's status is derived (status.go).
package controller

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/dns"
)

// Store is what the controller needs of the database: facts in, places and status out.
type Store interface {
	// Follow calls fn with everything and then with every change, until ctx ends or fn fails.
	Follow(ctx context.Context, fn func(signalbox.Delta) error) error
	// SaveHost keeps what is known of a host, found by its datapath id; the database gives it its ID.
	SaveHost(ctx context.Context, h signalbox.Host) (signalbox.Host, error)
	// Bind gives ports their places, the newest winning.
	Bind(ctx context.Context, bs []signalbox.Binding) error
	// Unbind takes ports from their places, where they are still there.
	Unbind(ctx context.Context, bs []signalbox.Binding) error
	// SetStatus writes what the API is to say of ports.
	SetStatus(ctx context.Context, ports map[uuid.UUID]signalbox.Status) error
	// SetFloatingStatus writes what the API is to say of floating IPs.
	SetFloatingStatus(ctx context.Context, floating map[uuid.UUID]signalbox.Status) error
	// SaveSessions says with which hosts there is a connection.
	SaveSessions(ctx context.Context, hosts map[uuid.UUID]signalbox.Session) error
	// PlaceGateways says which host each of these routers has its gateway at.
	PlaceGateways(ctx context.Context, hosts map[uuid.UUID]uuid.UUID) error
	// SaveNeighbours keeps who answered on external networks; the database gives the IDs.
	SaveNeighbours(ctx context.Context, known []signalbox.Neighbour) error
	// DropNeighbours forgets who answers no more, where nobody has found another MAC meanwhile.
	DropNeighbours(ctx context.Context, silent []signalbox.Neighbour) error
}

// Config is what a controller is told. Zero durations take their defaults.
type Config struct {
	Bridge      string                  // the integration bridge; "br-int"
	TunnelTypes []signalbox.NetworkType // the tunnel ports that every host with a local_ip gets
	OVSDBPort   int                     // where a host with set-manager ptcp: listens; 6640
	Domain      string                  // of the names of ports whose network has none of its own, with its last dot; "": none
	DNSServers  []netip.AddrPort        // who is asked for names that are not ours, in the order of trial
	Lease       time.Duration           // DHCP's lease time; a day
	AdminToken  string                  // that users of the admin endpoint are to send; "": nobody is asked for one
	LostAfter   time.Duration           // a host away for longer has its ports shown DOWN; 30 s
	AuditEvery  time.Duration           // how often each switch is read whole; 5 min

	// GatewayLostAfter is how long a host may be away, or its switch silent for 0.6 s more than this, until
	// the gateways there move to other hosts; 1.5 s. A host that has not come since the controller began
	// has LostAfter.
	GatewayLostAfter time.Duration

	// EnableSecurityGroup lets ports send and receive what their security groups allow, and nothing else. Without, they may all.
	EnableSecurityGroup bool
}

func (c *Config) defaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Lease, 24*time.Hour)
	set(&c.LostAfter, 30*time.Second)
	set(&c.AuditEvery, 5*time.Minute)
	set(&c.GatewayLostAfter, 1500*time.Millisecond)
	if c.Bridge == "" {
		c.Bridge = "br-int"
	}
	if c.OVSDBPort == 0 {
		c.OVSDBPort = 6640
	}
}

// Controller owns the switches of all hosts that join it.
type Controller struct {
	cfg     Config
	store   Store
	log     *slog.Logger
	metrics *metrics
	news    *news  // for those who listen to events
	leases  leases // that DHCP has given

	looks chan struct{} // holds a token for each who looks at hosts' flows

	resolver *resolver
	cookies  dns.Cookies

	events chan func(*loop) // what happened, for the loop
	loaded chan struct{}    // closed when the database has been read once
	ended  chan struct{}    // closed when the loop has ended

	mu   sync.RWMutex // held by the loop while it changes what it knows, by others while they look
	loop *loop
}

// New is a controller that has not begun.
func New(cfg Config, store Store, log *slog.Logger) *Controller {
	cfg.defaults()
	c := &Controller{cfg: cfg, store: store, log: log, metrics: newMetrics(), news: newNews(), looks: make(chan struct{}, looksAtOnce), events: make(chan func(*loop), 256), loaded: make(chan struct{}), ended: make(chan struct{})}
	c.resolver = newResolver(cfg.DNSServers, c.metrics.forwarded)
	_, _ = rand.Read(c.cookies.Secret[:]) // it never fails
	c.loop = newLoop(c)
	c.metrics.registry.MustRegister(&view{c})
	return c
}

// Listeners is where a controller is reached.
type Listeners struct {
	OpenFlow, OVSDB, Admin net.Listener
}

// Run serves until ctx ends, and returns nil then. It closes the listeners.
func (c *Controller) Run(ctx context.Context, ls Listeners) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.loop.run(ctx) })
	g.Go(func() error { return c.loop.writer.run(ctx) })
	g.Go(func() error { return c.loop.statuses.run(ctx) })
	g.Go(func() error { return c.loop.floating.run(ctx) })
	g.Go(func() error { return c.follow(ctx) })
	g.Go(func() error { return c.accept(ctx, ls.OpenFlow, c.serveSwitch) })
	g.Go(func() error { return c.accept(ctx, ls.OVSDB, c.serveManager) })
	g.Go(func() error { return c.serveAdmin(ctx, ls.Admin) })
	err := g.Wait()
	c.resolver.running.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// post hands the loop something to do. It waits while the loop is busy, and gives up when ctx ends.
func (c *Controller) post(ctx context.Context, f func(*loop)) {
	select {
	case c.events <- f:
	case <-ctx.Done():
	}
}

// tell is post for the end of something, which the loop must hear of although the something's own ctx has
// ended. Only where the controller itself ends may it go unheard.
func (c *Controller) tell(f func(*loop)) {
	select {
	case c.events <- f:
	case <-c.ended:
	}
}

// ask is post that waits until the loop has done it; false when ctx ended first.
func (c *Controller) ask(ctx context.Context, f func(*loop)) bool {
	done := make(chan struct{})
	c.post(ctx, func(l *loop) { f(l); close(done) })
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Controller) follow(ctx context.Context) error {
	err := c.store.Follow(ctx, func(d signalbox.Delta) error {
		arrived := time.Now()
		c.post(ctx, func(l *loop) {
			l.rows(&d)
			if !d.Full && !d.Empty() {
				c.metrics.feedLag.Observe((d.Age + time.Since(arrived)).Seconds())
			}
		})
		return ctx.Err()
	})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("following the database: %w", err)
}

// accept serves each connection of a listener in a goroutine of its own until ctx ends.
// Before the database has been read once, nothing could be said to a host: it waits in the listener's queue.
func (c *Controller) accept(ctx context.Context, ln net.Listener, serve func(context.Context, net.Conn)) error {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	select {
	case <-c.loaded:
	case <-ctx.Done():
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		nc, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			c.log.Warn("accepting a connection", "listener", ln.Addr(), "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		wg.Go(func() {
			defer nc.Close()
			serve(ctx, nc)
		})
	}
}
