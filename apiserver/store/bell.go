package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"sync"
)

// channel is the name that the feed's followers LISTEN to.
const channel = "signalbox_changes"

// bell tells the feed's followers, in this and other processes, that there is something to read. It rings after
// the commit and in a transaction of its own: a NOTIFY inside the writers' would make PostgreSQL commit them one
// at a time, as it holds one lock for the whole cluster until the disk has answered. Its own does not wait for
// the disk, and one ring serves all writers that came while the last was under way. A ring that is lost costs a
// follower its poll interval and nothing else.
type bell struct {
	pool    *sql.DB
	log     *slog.Logger
	pending chan struct{} // holds one: there is something to tell
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func startBell(pool *sql.DB, log *slog.Logger) *bell {
	ctx, stop := context.WithCancel(context.Background())
	b := &bell{pool: pool, log: log, pending: make(chan struct{}, 1), stop: stop}
	b.done.Go(func() { b.run(ctx) })
	return b
}

// ring never waits.
func (b *bell) ring() {
	select {
	case b.pending <- struct{}{}:
	default:
	}
}

func (b *bell) close() {
	b.stop()
	b.done.Wait()
}

func (b *bell) run(ctx context.Context) {
	var conn *sql.Conn
	for {
		select {
		case <-ctx.Done():
			b.discard(conn)
			return
		case <-b.pending:
		}
		var err error
		if conn == nil {
			conn, err = b.connect(ctx)
		}
		if err == nil {
			_, err = conn.ExecContext(ctx, "NOTIFY "+channel)
		}
		if err != nil && ctx.Err() == nil {
			b.log.Warn("followers were not woken, they will find out by themselves", "error", err)
			b.discard(conn)
			conn = nil
		}
	}
}

func (b *bell) connect(ctx context.Context) (*sql.Conn, error) {
	conn, err := b.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SET synchronous_commit = off"); err != nil {
		b.discard(conn)
		return nil, err
	}
	return conn, nil
}

// discard closes the connection for good: one that does not wait for the disk must not serve anyone else.
func (b *bell) discard(conn *sql.Conn) {
	if conn == nil {
		return
	}
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // ErrBadConn closes it
	_ = conn.Close()
}
