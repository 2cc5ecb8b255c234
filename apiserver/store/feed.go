package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// The change feed. Why it loses nothing is in docs/adr/0002-change-feed.md.

const (
	pollEvery  = time.Second      // a read even if nobody rang
	pingEvery  = 30 * time.Second // so long a dead LISTEN connection may go unnoticed
	pruneEvery = 10 * time.Minute
	keepFor    = time.Hour // a follower that is further behind reads everything again
	retryMax   = 2 * time.Second
)

// Follow calls fn with the whole view first, and then with each change as soon as it can be seen, until ctx ends or fn
// fails; it returns why. What fn is told may be told again, and always is a view of one moment. One that is empty but for
// Requests is of requests whose changes have been told before. A lost LISTEN connection
// costs at most a second of delay. When the connection that it reads on is lost, it tries for as long as it takes, and
// then begins with the whole view again.
func (db *DB) Follow(ctx context.Context, fn func(signalbox.Delta) error) error {
	rung, stop := db.listen(ctx)
	defer stop()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, retryMax) {
		f := follower{db: db, fn: func(d signalbox.Delta) error {
			wait = 10 * time.Millisecond // it works again
			return fn(d)
		}, rung: rung}
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if failed := (*followerFailed)(nil); errors.As(err, &failed) {
			return failed.err
		}
		db.log.Warn("the change feed is interrupted", "error", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// followerFailed is an error of fn's, to be told from the database's.
type followerFailed struct{ err error }

func (f *followerFailed) Error() string { return f.err.Error() }

// follower reads the feed on one connection.
//
// A position is a PostgreSQL snapshot: what it could see has been told. It is good on the connection that it was taken on
// and no other: no connection outlives a crash or a failover, and after either, transaction numbers that
// were used, but not yet on disk, are given out again.
type follower struct {
	db     *DB
	fn     func(signalbox.Delta) error
	rung   <-chan *pq.Notification
	conn   *sqlx.Conn
	seen   sql.NullString // the pg_snapshot read last; NULL at first
	pruned time.Time

	requests []string // that rang since the last read
}

func (f *follower) follow(ctx context.Context) (err error) {
	if f.conn, err = f.db.pool.Connx(ctx); err != nil {
		return err
	}
	defer f.conn.Close() // to the pool, which throws it away if it is broken
	for {
		delta, err := f.read(ctx)
		if err != nil {
			return err
		}
		if !delta.Empty() || len(delta.Requests) > 0 {
			if err := f.fn(delta); err != nil {
				return &followerFailed{err}
			}
		}
		f.prune(ctx)
		if err := f.wait(ctx); err != nil {
			return err
		}
	}
}

// wait returns when somebody rang, when LISTEN was lost and is back (a nil notification), or in time.
func (f *follower) wait(ctx context.Context) error {
	poll := time.NewTimer(pollEvery)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-poll.C:
	case n := <-f.rung:
		f.rang(n)
	}
	for { // one read answers all rings
		select {
		case n := <-f.rung:
			f.rang(n)
		default:
			return nil
		}
	}
}

// rang takes who rang; nobody, where LISTEN was lost and is back.
func (f *follower) rang(n *pq.Notification) {
	if n != nil {
		f.requests = append(f.requests, strings.Fields(n.Extra)...)
	}
}

// read is what happened since the last read, from one snapshot.
func (f *follower) read(ctx context.Context) (d signalbox.Delta, err error) {
	f.db.stmts.prepare(ctx, f.db.pool)
	stx, err := f.conn.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return d, err
	}
	defer stx.Rollback() //nolint:errcheck // it wrote nothing
	tx := &Tx{tx: stx, stmts: &f.db.stmts}

	var at struct {
		Snapshot string
		Lost     bool // the rows that are needed may have been pruned
	}
	if err := tx.get(ctx, &at, `
		SELECT pg_current_snapshot()::text AS snapshot, coalesce(below > pg_snapshot_xmin($1::pg_snapshot), true) AS lost
		FROM pruned`, f.seen); err != nil {
		return d, err
	}
	if at.Lost {
		d, err = tx.everything(ctx)
	} else {
		d, err = tx.changedSince(ctx, f.seen.String)
	}
	if err != nil {
		return d, err
	}
	slices.Sort(f.requests)
	d.Requests, f.requests = slices.Compact(f.requests), nil
	f.seen = sql.NullString{String: at.Snapshot, Valid: true}
	return d, stx.Commit()
}

// rows are rows of every kind.
type rows struct {
	networks   []networkRow
	subnets    []subnetRow
	ports      []portRow
	hosts      []hostRow
	routers    []routerRow
	floating   []floatingRow
	neighbours []neighbourRow
	groups     []groupRow
}

// reading is how the rows of one kind are read.
type reading struct {
	kind signalbox.Kind
	dest any
	sel  string // all of them
	id   string // the column of their ids
}

func (r *rows) readings() []reading {
	return []reading{
		{signalbox.KindNetwork, &r.networks, selectNetwork, "n.id"},
		{signalbox.KindSubnet, &r.subnets, selectSubnet, "s.id"},
		{signalbox.KindPort, &r.ports, selectFedPort, "p.id"},
		{signalbox.KindHost, &r.hosts, selectHost, "h.id"},
		{signalbox.KindRouter, &r.routers, selectRouter, "r.id"},
		{signalbox.KindFloatingIP, &r.floating, selectFloatingIP, "f.id"},
		{signalbox.KindNeighbour, &r.neighbours, selectNeighbour, "x.id"},
		{signalbox.KindSecurityGroup, &r.groups, selectSecurityGroup, "g.id"},
	}
}

func (r *rows) delta() (d signalbox.Delta, err error) {
	if d.Networks, err = networks(r.networks); err != nil {
		return d, err
	}
	if d.Subnets, err = subnets(r.subnets); err != nil {
		return d, err
	}
	if d.Ports, err = ports(r.ports); err != nil {
		return d, err
	}
	if d.SecurityGroups, err = securityGroups(r.groups); err != nil {
		return d, err
	}
	d.Routers, err = routers(r.routers)
	d.Hosts, d.FloatingIPs, d.Neighbours = hosts(r.hosts), floatingIPs(r.floating), neighbours(r.neighbours)
	return d, err
}

// everything is the whole view.
func (tx *Tx) everything(ctx context.Context) (d signalbox.Delta, err error) {
	var all rows
	for _, of := range all.readings() {
		if err := tx.all(ctx, of.dest, of.sel); err != nil {
			return d, err
		}
	}
	d, err = all.delta()
	d.Full = true
	return d, err
}

// changedSince is what the rows that changed are now. A change row is news when its transaction was still running, or
// not begun, in the snapshot that was read before; whether it has ended by now, PostgreSQL's own visibility decides.
func (tx *Tx) changedSince(ctx context.Context, snapshot string) (d signalbox.Delta, err error) {
	var changed []struct {
		Kind signalbox.Kind
		ID   uuid.UUID
		Age  float64 // seconds
	}
	if err := tx.all(ctx, &changed, `
		SELECT kind, id, extract(epoch FROM max(clock_timestamp() - at))::float8 AS age FROM changes
		WHERE xid >= pg_snapshot_xmax($1::pg_snapshot)
		   OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot)))
		GROUP BY kind, id`, snapshot); err != nil {
		return d, err
	}
	ids := make(map[signalbox.Kind]pq.StringArray)
	gone := make(map[signalbox.Ref]bool) // until its row is found
	for _, c := range changed {
		ids[c.Kind] = append(ids[c.Kind], c.ID.String())
		gone[signalbox.Ref{Kind: c.Kind, ID: c.ID}] = true
	}
	var present rows
	for _, of := range present.readings() {
		if len(ids[of.kind]) == 0 {
			continue
		}
		if err := tx.all(ctx, of.dest, of.sel+` WHERE `+of.id+` = ANY($1::uuid[])`, ids[of.kind]); err != nil {
			return d, err
		}
	}
	if d, err = present.delta(); err != nil {
		return d, err
	}
	for _, c := range changed {
		d.Age = max(d.Age, time.Duration(c.Age*float64(time.Second)))
	}
	forget(gone, &d)
	for ref := range gone {
		d.Gone = append(d.Gone, ref)
	}
	return d, nil
}

// forget takes the rows that are there out of those that may be gone.
func forget(gone map[signalbox.Ref]bool, d *signalbox.Delta) {
	for ref := range d.Named() {
		delete(gone, ref)
	}
}

// prune deletes old change rows, now and then. Failing is harmless: another time, or another follower, will do it.
func (f *follower) prune(ctx context.Context) {
	if f.pruned.IsZero() {
		f.pruned = time.Now() // not at every start
	}
	if time.Since(f.pruned) < pruneEvery {
		return
	}
	f.pruned = time.Now()
	if err := f.db.prune(ctx, keepFor); err != nil && ctx.Err() == nil {
		f.db.log.Warn("old change rows are not pruned", "error", err)
	}
}

// prune deletes the change rows of every transaction older than all that wrote within keep, and says so in the same
// transaction. Only transactions that every snapshot from now on sees as ended are touched, so a follower whose
// position has a running transaction below the mark knows that it may have missed something, and any other has missed nothing.
func (db *DB) prune(ctx context.Context, keep time.Duration) error {
	return db.retry(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `
			WITH mark AS (
				SELECT least((SELECT xid FROM changes WHERE at > now() - make_interval(secs => $1) ORDER BY xid LIMIT 1),
				             pg_snapshot_xmin(pg_current_snapshot())) AS xid),
			gone AS (DELETE FROM changes c USING mark WHERE c.xid < mark.xid)
			UPDATE pruned SET below = greatest(below, mark.xid) FROM mark`, keep.Seconds())
		return wrap("prune changes", err)
	})
}

// listen LISTENs, on a connection of its own that is made again when it is lost; every such time a nil
// notification comes. stop ends it.
func (db *DB) listen(ctx context.Context) (rung <-chan *pq.Notification, stop func()) {
	l := pq.NewListener(db.dsn, 100*time.Millisecond, retryMax, func(e pq.ListenerEventType, err error) {
		if err != nil && ctx.Err() == nil {
			db.log.Warn("LISTEN connection", "error", err)
		}
	})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.Listen(channel); err != nil { // waits until there is a connection
			return // closed
		}
		ping := time.NewTicker(pingEvery)
		defer ping.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ping.C:
				_ = l.Ping() // makes a dead connection show itself; the listener then makes another
			}
		}
	}()
	return l.NotificationChannel(), func() {
		cancel()
		_ = l.Close() // nothing to be done about it
		<-done
	}
}
