package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"strings"
	"sync"

	"github.com/lib/pq"
)

// channel is the name that the feed's followers LISTEN to.
const channel = "signalbox_changes"

// bell tells the feed's followers, in this and other processes, that there is something to read. It rings after
// the commit and in a transaction of its own: a NOTIFY inside the writers' would make PostgreSQL commit them one
// at a time, as it holds one lock for the whole cluster until the disk has answered. Its own does not wait for
// the disk, and one ring serves all writers that came while the last was under way. A ring that is lost costs a
// follower its poll interval and nothing else. Its payload is the names of the requests that wrote, for the followers' logs.
type bell struct {
	pool    *sql.DB
	log     *slog.Logger
	pending chan struct{} // holds one: there is something to tell

	mu       sync.Mutex
	requests []string // that have written since the last ring

	stop context.CancelFunc
	done sync.WaitGroup
}

func startBell(pool *sql.DB, log *slog.Logger) *bell {
	ctx, stop := context.WithCancel(context.Background())
	b := &bell{pool: pool, log: log, pending: make(chan struct{}, 1), stop: stop}
	b.done.Go(func() { b.run(ctx) })
	return b
}

// payloadMost bounds the bytes of a ring's payload: PostgreSQL takes fewer than 8,000.
const payloadMost = 7900

// ring never waits. It tells of the writes of these requests.
func (b *bell) ring(requests []string) {
	if len(requests) > 0 {
		b.mu.Lock()
		b.requests = append(b.requests, requests...)
		b.mu.Unlock()
	}
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
			_, err = conn.ExecContext(ctx, "NOTIFY "+channel+", "+pq.QuoteLiteral(b.payload()))
		}
		if err != nil && ctx.Err() == nil {
			b.log.Warn("followers were not woken, they will find out by themselves", "error", err)
			b.discard(conn)
			conn = nil
		}
	}
}

// payload is the names of the requests that have not been told of. Those that there is no room for have a ring of their own.
func (b *bell) payload() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for n < len(b.requests) && size+len(b.requests[n]) < payloadMost {
		size += len(b.requests[n]) + 1
		n++
	}
	said := strings.Join(b.requests[:n], " ")
	if b.requests = b.requests[n:]; len(b.requests) > 0 {
		select {
		case b.pending <- struct{}{}:
		default:
		}
	}
	return said
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
