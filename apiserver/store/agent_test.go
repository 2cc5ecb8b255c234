//go:build integration

package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

func TestSessionsAreNoNewsAndAnOperatorsWordIs(t *testing.T) {
	l := newLab(t)
	h, gone := l.host(1), l.host(2)
	v := l.follow()
	v.await("both hosts", func() bool { return len(v.hosts) == 2 })
	pool := l.sql()
	changes := func() (n int) {
		l.must(pool.QueryRow(`SELECT count(*) FROM changes`).Scan(&n))
		return n
	}
	before, began := changes(), time.Now().Add(-time.Hour).Truncate(time.Microsecond) // as PostgreSQL keeps it
	for _, up := range []bool{true, true, false, true} {
		l.must(l.db.SaveSessions(l.ctx, map[uuid.UUID]signalbox.Session{h.ID: {Up: up, Since: began}, uuid.New(): {Up: up}}))
		a := read(l, func(tx *store.Tx) (*signalbox.Agent, error) { return tx.Agent(l.ctx, h.ID) })
		if a.Alive != up || !a.StartedAt.Equal(began) || time.Since(a.HeardAt) > time.Minute {
			t.Errorf("of a session that is up %v: %+v", up, a)
		}
	}
	if after := changes(); after != before {
		t.Errorf("%d change rows", after-before)
	}
	l.write(func(tx *store.Tx) error {
		a, err := tx.AgentForUpdate(l.ctx, h.ID)
		if err != nil {
			return err
		}
		a.Closed = true
		return tx.UpdateAgent(l.ctx, a)
	})
	v.await("that the host is closed", func() bool { return v.hosts[h.ID].Closed })
	l.write(func(tx *store.Tx) error { return tx.DeleteAgent(l.ctx, gone.ID) })
	v.await("that the other is gone", func() bool { return len(v.hosts) == 1 })
	if again := l.host(2); again.ID == gone.ID {
		t.Error("a host that was forgotten has come back as what it was")
	}
}
