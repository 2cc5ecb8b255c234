package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

const (
	database = "Open_vSwitch"
	// firstPicture bounds the time from the connection to the first State.
	firstPicture = 15 * time.Second
	// probeEvery is how long a peer may be silent before it is asked whether it lives; a peer silent
	// for three times as long is taken for dead.
	probeEvery = 5 * time.Second
)

// Client is one connection to one host's OVSDB, used once.
type Client struct {
	wire    *wire
	changed chan struct{} // holds a token while the mirror has news that Run has not reported

	ensuring sync.Mutex // one Ensure at a time: each reads what the last one left

	mu     sync.Mutex // guards what follows
	mirror *mirror
	ready  bool // the first picture is in
}

// Dial connects to a host that listens (ovs-vsctl set-manager ptcp:6640): network is "tcp" and address
// "192.0.2.1:6640", or "unix" and the socket's path. The connection is closed by Run, or by Close.
func Dial(ctx context.Context, network, address string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, &signalbox.Error{Kind: signalbox.Unavailable, Op: "dial ovsdb", Msg: "no connection to " + address, Err: err}
	}
	return New(conn), nil
}

// New takes over a connection: one that a host has made to us (ovs-vsctl set-manager tcp:CONTROLLER:6640).
func New(conn net.Conn) *Client {
	return &Client{wire: newWire(conn), changed: make(chan struct{}, 1), mirror: newMirror()}
}

// Close ends the connection, and with it Run. It may be called at any time, by anybody.
func (c *Client) Close() error { return c.wire.conn.Close() }

// Run follows the host until the connection ends or ctx does, and returns the reason, never nil. It
// calls report with the first whole State and again after changes; several changes may make one
// report, and a report may repeat the last one. Reports do not overlap; report may call Ensure.
func (c *Client) Run(ctx context.Context, report func(State)) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.wire.read(c.notify) }()
	err := c.follow(ctx, ended, report)
	_ = c.Close()
	<-c.wire.down
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &signalbox.Error{Kind: signalbox.Unavailable, Op: "follow ovsdb", Msg: "the connection ended", Err: err}
}

// follow reports until something ends it; the reader's own end comes by ended.
func (c *Client) follow(ctx context.Context, ended <-chan error, report func(State)) error {
	params := []any{database, "signalbox", monitorRequest()}
	// The answer is taken in by the reader, so that updates right behind it find it in its place.
	refused := make(chan error, 1)
	_, err := c.wire.send("monitor_cond", params, func(result json.RawMessage, err error) {
		if err == nil {
			err = c.takeIn(result, true)
		}
		if err != nil {
			refused <- fmt.Errorf("monitor: %w", err)
		}
	})
	if err != nil {
		return err
	}
	late := time.NewTimer(firstPicture)
	defer late.Stop()
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	var pulse pulse
	for {
		select {
		case <-c.changed:
			late.Stop()
			report(c.state())
		case err := <-refused:
			return err
		case err := <-ended:
			return err
		case <-late.C:
			return fmt.Errorf("no picture of the host within %v", firstPicture)
		case <-probe.C:
			if err := pulse.check(c.wire); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notify is called by the reader for each notification.
func (c *Client) notify(method string, params json.RawMessage) error {
	if method != "update2" {
		return nil
	}
	var p []json.RawMessage
	if err := json.Unmarshal(params, &p); err != nil || len(p) != 2 {
		return errors.New("an update2 without its two parameters")
	}
	return c.takeIn(p[1], false)
}

// takeIn applies one transaction's changes, or the first picture.
func (c *Client) takeIn(updates json.RawMessage, first bool) error {
	c.mu.Lock()
	err := c.mirror.update(updates)
	if first && err == nil {
		c.ready = true
	}
	ready := c.ready
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if ready {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
	return nil
}

func (c *Client) state() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mirror.state()
}

// pulse tells a silent peer from a dead one.
type pulse struct {
	heard  int64
	silent int
}

func (p *pulse) check(w *wire) error {
	if heard := w.heard.Load(); heard != p.heard {
		p.heard, p.silent = heard, 0
		return nil
	}
	if p.silent++; p.silent >= 3 {
		return fmt.Errorf("silent for %v", 3*probeEvery)
	}
	_, err := w.send("echo", []any{}, func(json.RawMessage, error) {})
	return err
}
