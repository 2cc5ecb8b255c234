package store

import (
	"context"
	"database/sql/driver"
	"net"
	"sync"
	"time"

	"github.com/lib/pq"
)

// When a context ends, lib/pq asks PostgreSQL over a second connection to cancel, and goes on reading the first until that has
// been done. A PostgreSQL that is stopped, or beyond a network that swallows, does neither, and the caller would wait as long as it
// pleases. So whoever uses a connection has its line cut some time after the end of their context.

const (
	silence        = 2 * time.Second  // how long PostgreSQL may take to cancel
	connectTimeout = 10 * time.Second // for a connection to be made, unless the DSN says otherwise
)

// connector makes connections that end with their user's context.
type connector struct{ *pq.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	l := new(line)
	defer l.heed(ctx)()
	made, err := c.Connector.Connect(context.WithValue(ctx, lineKey{}, l))
	if err != nil {
		return nil, err
	}
	return &conn{driverConn: made.(driverConn), line: l, leave: func() {}}, nil
}

// driverConn is what lib/pq's connections can do, as far as database/sql asks.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is a connection whose line is cut after the context of whoever has it from the pool. database/sql makes its calls one
// after the other.
type conn struct {
	driverConn
	line  *line
	leave func() // ends the watch over the context of its user
}

func (c *conn) heed(ctx context.Context) {
	c.leave()
	c.leave = c.line.heed(ctx)
}

// ResetSession is called when somebody gets the connection, but for the first; BeginTx and Ping are what they begin with.
func (c *conn) ResetSession(ctx context.Context) error {
	c.heed(ctx)
	return c.driverConn.ResetSession(ctx)
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.heed(ctx)
	return c.driverConn.BeginTx(ctx, o)
}

func (c *conn) Ping(ctx context.Context) error {
	c.heed(ctx)
	return c.driverConn.Ping(ctx)
}

// IsValid is called when the connection is given back.
func (c *conn) IsValid() bool {
	c.leave()
	return c.driverConn.IsValid()
}

func (c *conn) Close() error {
	c.leave()
	return c.driverConn.Close()
}

// line is what a connection goes over: of those that were dialled for it, the last.
type line struct {
	mu   sync.Mutex
	last net.Conn
}

// heed has the line cut some time after ctx has ended, unless it is left before.
func (l *line) heed(ctx context.Context) (leave func()) {
	left := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-left:
		case <-time.After(silence):
			l.cut()
		}
	})
	return sync.OnceFunc(func() {
		stop()
		close(left)
	})
}

// cut ends whatever is read from or written to the line, now and later.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != nil {
		_ = l.last.SetDeadline(time.Unix(1, 0))
	}
}

// lineKey is where the context of a connection in the making keeps its line.
type lineKey struct{}

// dialer tells lines what was dialled. lib/pq uses it for its requests to cancel, too, which have none.
type dialer struct{ net.Dialer }

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if l, ours := ctx.Value(lineKey{}).(*line); ours && err == nil {
		l.mu.Lock()
		l.last = c
		l.mu.Unlock()
	}
	return c, err
}

func (d *dialer) DialTimeout(network, address string, most time.Duration) (net.Conn, error) { // of which lib/pq has no need
	return net.DialTimeout(network, address, most)
}
