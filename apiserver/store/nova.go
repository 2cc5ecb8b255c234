package store

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// What Nova is to be told is written in the transaction of what it tells of, mostly by triggers (migration 17), as long as somebody
// listens. docs/adr/0014-nova.md says why it is sent so.

// NovaEvent is what Nova is to be told of a server's port.
type NovaEvent struct {
	ID       int64
	ServerID uuid.UUID `db:"server_id"`
	Name     string    // as the Compute API calls it: network-vif-plugged …
	PortID   uuid.UUID `db:"port_id"`
	Tries    int       // that Nova has refused
}

// NovaListener is how events are sent.
type NovaListener struct {
	Most int           // that are sent at once
	Hold time.Duration // so long the others leave to one sender what it has taken
	Keep time.Duration // so long an event is good, and so long events are written after the last was sent for
}

// TakeNovaEvents gives a sender the events that are due, in the order of what they tell, and keeps those of the same servers from
// all others until they are settled, or Hold has passed. expired is how many were too old and have been dropped. It says that somebody
// listens: with its first call events begin to be written. Any number may call it; who comes while another chooses gets none.
func (db *DB) TakeNovaEvents(ctx context.Context, l NovaListener) (events []NovaEvent, expired int64, err error) {
	err = db.retry(ctx, func(tx *Tx) error { // without ringing
		events = nil
		var stale bool
		err := tx.get(ctx, &stale, `
			SELECT until < clock_timestamp() + $1 * interval '1 second' / 2 FROM nova_listener WHERE one FOR UPDATE SKIP LOCKED`, l.Keep.Seconds())
		if isNoRows(err) {
			return nil
		}
		if err == nil && stale {
			_, err = tx.exec(ctx, `UPDATE nova_listener SET until = clock_timestamp() + $1 * interval '1 second' WHERE one`, l.Keep.Seconds())
		}
		if err != nil {
			return err
		}
		expired, err = tx.exec(ctx, `
			DELETE FROM nova_events WHERE at < now() - $1 * interval '1 second' AND coalesce(held_until < now(), true)`, l.Keep.Seconds())
		if err != nil {
			return err
		}
		return tx.all(ctx, &events, `
			WITH due AS (
				SELECT id FROM nova_events e
				WHERE due <= now() AND NOT EXISTS (
					SELECT FROM nova_events h WHERE h.server_id = e.server_id AND h.held_until > now())
				ORDER BY due, id LIMIT $1),
			taken AS (
				UPDATE nova_events SET held_until = clock_timestamp() + $2 * interval '1 second'
				WHERE id = ANY(ARRAY(SELECT id FROM due)) RETURNING id, server_id, name, port_id, tries)
			SELECT * FROM taken ORDER BY id`, l.Most, l.Hold.Seconds())
	})
	return events, expired, wrap("take events for Nova", err)
}

// SettleNovaEvents ends a sender's hold of events, by their ids: those that are done are forgotten, and what was to be told before of
// the same is forgotten with them; those that Nova has refused are due after a pause, which grows from first to most with each
// refusal, and the rest are due again at once.
func (db *DB) SettleNovaEvents(ctx context.Context, done, refused, rest []int64, first, most time.Duration) error {
	again := append(slices.Clone(refused), rest...)
	return db.retry(ctx, func(tx *Tx) error { // without ringing
		_, err := tx.exec(ctx, `
			UPDATE nova_events SET held_until = NULL,
			    tries = CASE WHEN id = ANY($1::bigint[]) THEN tries + 1 ELSE tries END,
			    due = CASE WHEN id = ANY($1::bigint[])
			        THEN clock_timestamp() + least($4, $3 * 2.0 ^ least(tries, 30)) * interval '1 second' ELSE due END
			WHERE id = ANY($2::bigint[])`, pq.Int64Array(refused), pq.Int64Array(again), first.Seconds(), most.Seconds())
		if err == nil && len(done) > 0 {
			_, err = tx.exec(ctx, `
				DELETE FROM nova_events e USING nova_events d
				WHERE d.id = ANY($1::bigint[]) AND e.server_id = d.server_id AND e.id <= d.id AND e.port_id = d.port_id
				AND (e.name = 'network-changed') = (d.name = 'network-changed')`, pq.Int64Array(done))
		}
		return wrap("settle events for Nova", err)
	})
}

// CountNovaEvents is how many events wait, due or not.
func (tx *Tx) CountNovaEvents(ctx context.Context) (n int, err error) {
	err = tx.get(ctx, &n, `SELECT count(*) FROM nova_events`)
	return n, wrap("count events for Nova", err)
}
