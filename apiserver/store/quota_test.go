//go:build integration

package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// TestWhoIsNearAQuotaWaitsForWhoWasFar: far from a limit many add at once, and who has to count exactly waits for them, and
// they for that one.
func TestWhoIsNearAQuotaWaitsForWhoWasFar(t *testing.T) {
	l := newLab(t)
	var connections int
	l.must(l.sql().QueryRow(`SELECT current_setting('max_connections')`).Scan(&connections))
	limit := 64*connections + 1 // far is who finds one network or none
	admits := func(n int) (held chan bool, let func()) {
		held, gone := make(chan bool, 1), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- l.db.Write(l.ctx, func(tx *store.Tx) error {
				yes, err := tx.Admit(l.ctx, "network", "p1", n, limit)
				held <- yes
				<-gone
				if err == nil && yes && n == 1 {
					err = tx.InsertNetwork(l.ctx, aNetwork())
				}
				return err
			})
		}()
		return held, func() {
			t.Helper()
			close(gone)
			l.must(<-ended)
		}
	}
	got := func(held chan bool, want bool) {
		t.Helper()
		select {
		case yes := <-held:
			if yes != want {
				t.Fatalf("admitted %v, want %v", yes, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("who need not wait waits")
		}
	}
	waiting := func(n int) {
		t.Helper()
		eventually(t, "the others wait", func() bool {
			var waiting int
			l.must(l.sql().QueryRow(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`).Scan(&waiting))
			return waiting == n
		})
	}

	one, oneEnds := admits(1)
	got(one, true)
	two, twoEnds := admits(1)
	got(two, true)
	many, manyEnds := admits(limit - 2) // more than a far one may have at once
	waiting(1)
	oneEnds()
	waiting(1)
	twoEnds()
	got(many, true)
	three, threeEnds := admits(1)
	waiting(1)
	manyEnds() // which has added nothing
	got(three, true)
	four, fourEnds := admits(1) // three has it alone: two networks are there
	waiting(1)
	threeEnds()
	got(four, true)
	fourEnds()
	over, overEnds := admits(limit - 3)
	got(over, false)
	overEnds()
}

func TestAQuotaOfNoneHoldsNobodyBack(t *testing.T) {
	l := newLab(t)
	l.write(func(tx *store.Tx) error {
		if yes, err := tx.Admit(l.ctx, "port", "p1", 1000, -1); err != nil || !yes {
			t.Errorf("admitted %v %v", yes, err)
		}
		ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
		defer cancel()
		return l.open().Write(ctx, func(tx *store.Tx) error {
			yes, err := tx.Admit(ctx, "port", "p1", 1, -1)
			if !yes {
				t.Error("not admitted")
			}
			return err
		})
	})
}
