package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"

	"github.com/signalbox-sdn/signalbox"
)

// Options are a DB's settings; the zero value works.
type Options struct {
	MaxConns int          // connections to PostgreSQL at once, for transactions; 0: 16
	Log      *slog.Logger // nil: nothing is said
}

// spareConns are for the bell and a follower, beside the transactions.
const spareConns = 2

// DB is the database. It is safe for concurrent use.
type DB struct {
	dsn   string
	pool  *sqlx.DB
	log   *slog.Logger
	bell  *bell
	stmts statements
}

// Open returns a DB for a data source name in lib/pq's form (or a postgres:// URL) once PostgreSQL has
// answered. sslmode should be set in it.
func Open(ctx context.Context, dsn string, o Options) (*DB, error) {
	if o.MaxConns == 0 {
		o.MaxConns = 16
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	connector, err := newConnector(dsn)
	if err != nil {
		return nil, &signalbox.Error{Kind: signalbox.Invalid, Op: "open database", Msg: "the database's address cannot be read", Err: err}
	}
	pool := sqlx.NewDb(sql.OpenDB(connector), driverName)
	pool.SetMaxOpenConns(o.MaxConns + spareConns)
	pool.SetMaxIdleConns(o.MaxConns + spareConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db := &DB{dsn: dsn, pool: pool, log: o.Log, stmts: statements{ready: make(map[string]*sqlx.Stmt)}}
	if err := db.Ping(ctx); err != nil {
		_ = pool.Close() // the ping's error says more
		return nil, err
	}
	db.bell = startBell(pool.DB, o.Log)
	return db, nil
}

// Close ends the DB's goroutine and its connections. Transactions must have ended.
func (db *DB) Close() error {
	db.bell.close()
	if err := db.pool.Close(); !lost(err) { // a connection that broke is closed all the same
		return wrap("close database", err)
	}
	return nil
}

// Ping reports whether PostgreSQL answers.
func (db *DB) Ping(ctx context.Context) error {
	return wrap("ping database", db.pool.PingContext(ctx))
}

// Stats tells of the connections to the database.
func (db *DB) Stats() sql.DBStats { return db.pool.Stats() }

// attempts bounds how often a transaction that lost against others (deadlock, serialization) is run.
const attempts = 10

// Write runs fn in one READ COMMITTED transaction and commits it. It is run again from the start when
// PostgreSQL ended it for another's sake, so fn must not change anything outside but by its last run.
// After the commit, the followers of the change feed are woken. Errors are *signalbox.Error.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if err := db.retry(ctx, fn); err != nil {
		return err
	}
	db.bell.ring(signalbox.RequestsOf(ctx))
	return nil
}

func (db *DB) retry(ctx context.Context, fn func(*Tx) error) error {
	for n := 1; ; n++ {
		err := db.transact(ctx, nil, fn)
		if err == nil || !retryable(err) {
			return err
		}
		if n == attempts {
			return &signalbox.Error{Kind: signalbox.Unavailable, Reason: signalbox.ReasonBusy,
				Msg: "the database is too busy with changes to the same rows", Err: err}
		}
		db.log.Debug("transaction is run again", "attempt", n, "error", err)
		select {
		case <-ctx.Done():
			return wrap("transaction", ctx.Err())
		case <-time.After(time.Duration(n) * time.Millisecond):
		}
	}
}

// Read runs fn in one READ ONLY transaction; all that it reads is of one moment.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	return db.transact(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
}

func (db *DB) transact(ctx context.Context, o *sql.TxOptions, fn func(*Tx) error) error {
	db.stmts.prepare(ctx, db.pool)
	tx, err := db.pool.BeginTxx(ctx, o)
	if err != nil {
		return wrap("begin", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do, and else fn's error matters
	if err := fn(&Tx{tx: tx, stmts: &db.stmts}); err != nil {
		return err
	}
	return wrap("commit", tx.Commit())
}

// Tx is a transaction. It is not safe for concurrent use, and dead after its first error from the database.
type Tx struct {
	tx    *sqlx.Tx
	stmts *statements
	taken map[signalbox.FixedIP]bool // by TakeAddress: their free rows are gone already
}

// get reads one row into dest, a pointer to a struct with db tags or to a value.
// sql.ErrNoRows is returned as it is. The text must not hold values: its prepared form is kept.
func (tx *Tx) get(ctx context.Context, dest any, text string, args ...any) error {
	if s := tx.stmts.lookup(text); s != nil {
		return tx.tx.StmtxContext(ctx, s).GetContext(ctx, dest, args...)
	}
	return tx.tx.GetContext(ctx, dest, text, args...)
}

// all reads all rows into dest, a pointer to a slice. The text must not hold values.
func (tx *Tx) all(ctx context.Context, dest any, text string, args ...any) error {
	if s := tx.stmts.lookup(text); s != nil {
		return tx.tx.StmtxContext(ctx, s).SelectContext(ctx, dest, args...)
	}
	return tx.tx.SelectContext(ctx, dest, text, args...)
}

// each reads one row after the other into row, a pointer to a struct with db tags, and has each taken before the next overwrites
// it. It is all for what may be many: no row is kept, and where a row's columns go is found out once. The text must not
// hold values.
func (tx *Tx) each(ctx context.Context, row any, take func() error, text string, args ...any) (err error) {
	var rows *sqlx.Rows
	if s := tx.stmts.lookup(text); s != nil {
		rows, err = tx.tx.StmtxContext(ctx, s).QueryxContext(ctx, args...)
	} else {
		rows, err = tx.tx.QueryxContext(ctx, text, args...)
	}
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has said what matters
	columns, err := fields(rows, row)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		if err := take(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// fields are pointers to those fields of a row that its columns are read into.
func fields(rows *sqlx.Rows, row any) ([]any, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(row).Elem()
	into := make([]any, len(names))
	for i, path := range rows.Mapper.TraversalsByName(v.Type(), names) {
		if len(path) == 0 {
			return nil, fmt.Errorf("no field for the column %q", names[i])
		}
		into[i] = reflectx.FieldByIndexes(v, path).Addr().Interface()
	}
	return into, nil
}

// exec runs a statement and tells how many rows it touched. The text must not hold values.
func (tx *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	var res sql.Result
	var err error
	if s := tx.stmts.lookup(text); s != nil {
		res, err = tx.tx.StmtxContext(ctx, s).ExecContext(ctx, args...)
	} else {
		res, err = tx.tx.ExecContext(ctx, text, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// maxStatements bounds how many statements are kept prepared. The fixed ones are some fifty; the others are lists, one for each
// set of attributes that somebody filters and sorts by. What comes after runs unprepared.
const maxStatements = 256

// statements keeps the prepared form of statements, which saves a round trip and the planning. database/sql prepares
// each once on every connection that uses it.
//
// A statement must not be prepared while a transaction holds its connection: with every connection of the pool
// held so, each would wait for another. So a text that is met for the first time runs unprepared and is noted, and
// the next transaction prepares what was noted before it begins.
type statements struct {
	mu     sync.RWMutex
	ready  map[string]*sqlx.Stmt
	wanted []string
}

// lookup is the text's prepared form, or nil when it has none yet.
func (s *statements) lookup(text string) *sqlx.Stmt {
	s.mu.RLock()
	st := s.ready[text]
	s.mu.RUnlock()
	if st == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if st = s.ready[text]; st == nil && len(s.ready)+len(s.wanted) < maxStatements {
			s.wanted = append(s.wanted, text)
		}
	}
	return st
}

// prepare prepares what was met without a prepared form. It is called with no connection and no lock held, and what
// fails is noted again at its next use.
func (s *statements) prepare(ctx context.Context, pool *sqlx.DB) {
	for _, text := range s.takeWanted() {
		st, err := pool.PreparexContext(ctx, text)
		if err != nil {
			continue
		}
		s.mu.Lock()
		if s.ready[text] == nil {
			s.ready[text], st = st, nil
		}
		s.mu.Unlock()
		if st != nil {
			_ = st.Close() // another was quicker
		}
	}
}

func (s *statements) takeWanted() []string {
	s.mu.RLock()
	n := len(s.wanted)
	s.mu.RUnlock()
	if n == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.wanted
	s.wanted = nil
	return wanted
}

// isNoRows reports whether a get found nothing.
func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
