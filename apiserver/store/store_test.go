//go:build integration

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// lab is a database and short ways to put things into it.
type lab struct {
	t   testing.TB
	ctx context.Context
	dsn string
	db  *store.DB
}

func newLab(t testing.TB) *lab {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	l := &lab{t: t, ctx: ctx, dsn: storetest.StartForTest(t)}
	l.db = l.open()
	t.Cleanup(cancel)
	return l
}

// open is one more process's view of the database.
func (l *lab) open() *store.DB {
	l.t.Helper()
	db, err := store.Open(l.ctx, l.dsn, store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			l.t.Error(err)
		}
	})
	return db
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) write(fn func(tx *store.Tx) error) {
	l.t.Helper()
	l.must(l.db.Write(l.ctx, fn))
}

func (l *lab) network() *signalbox.Network {
	l.t.Helper()
	n := aNetwork()
	l.write(func(tx *store.Tx) error { return tx.InsertNetwork(l.ctx, n) })
	return n
}

func aNetwork() *signalbox.Network {
	return &signalbox.Network{ID: uuid.New(), ProjectID: "p1", Name: "net", AdminStateUp: true, MTU: 1500}
}

// subnet makes a subnet whose pools are given as "first-last".
func (l *lab) subnet(network uuid.UUID, cidr string, pools ...string) *signalbox.Subnet {
	l.t.Helper()
	s := &signalbox.Subnet{ID: uuid.New(), NetworkID: network, ProjectID: "p1", CIDR: netip.MustParsePrefix(cidr), Pools: ranges(pools...)}
	l.write(func(tx *store.Tx) error { return tx.InsertSubnet(l.ctx, s) })
	return s
}

func ranges(pools ...string) (out []signalbox.AddrRange) {
	for _, p := range pools {
		var first, last string
		for i := range p {
			if p[i] == '-' {
				first, last = p[:i], p[i+1:]
			}
		}
		out = append(out, signalbox.AddrRange{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)})
	}
	return out
}

func aPort(network uuid.UUID) *signalbox.Port {
	id := uuid.New()
	return &signalbox.Port{ID: id, NetworkID: network, ProjectID: "p1", AdminStateUp: true,
		MAC: signalbox.MAC{0xfa, id[0], id[1], id[2], id[3], id[4]}}
}

// portAt makes a port with the given addresses of the subnet.
func (l *lab) portAt(s *signalbox.Subnet, ips ...string) *signalbox.Port {
	l.t.Helper()
	p := aPort(s.NetworkID)
	for _, ip := range ips {
		p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: s.ID, Addr: netip.MustParseAddr(ip)})
	}
	l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
	return p
}

// create makes a port with the lowest free address, in any goroutine.
func create(ctx context.Context, db *store.DB, s *signalbox.Subnet) (*signalbox.Port, error) {
	p := aPort(s.NetworkID)
	err := db.Write(ctx, func(tx *store.Tx) error {
		ip, err := tx.TakeAddress(ctx, s.ID)
		if err != nil {
			return err
		}
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID, Addr: ip}}
		return tx.InsertPort(ctx, p)
	})
	return p, err
}

// port makes a port with the lowest free address.
func (l *lab) port(s *signalbox.Subnet) *signalbox.Port {
	l.t.Helper()
	p, err := create(l.ctx, l.db, s)
	l.must(err)
	return p
}

func (l *lab) deletePort(id uuid.UUID) {
	l.t.Helper()
	l.write(func(tx *store.Tx) error { return tx.DeletePort(l.ctx, id) })
}

func (l *lab) host(dpid uint64) signalbox.Host {
	l.t.Helper()
	h, err := l.db.SaveHost(l.ctx, signalbox.Host{DatapathID: signalbox.DatapathID(dpid), Name: fmt.Sprint("h", dpid)})
	l.must(err)
	return h
}

// refused checks an error's kind and reason.
func (l *lab) refused(err error, kind signalbox.ErrKind, reason signalbox.Reason) {
	l.t.Helper()
	var e *signalbox.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Reason != reason {
		l.t.Fatalf("got %v (%+v), want kind %v, reason %q", err, e, kind, reason)
	}
}

// read is a value out of one read transaction.
func read[T any](l *lab, fn func(tx *store.Tx) (T, error)) T {
	l.t.Helper()
	var out T
	l.must(l.db.Read(l.ctx, func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	}))
	return out
}

// eventually waits for a condition, for 10 seconds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// sql is a way to the tables behind the store's back.
func (l *lab) sql() *sql.DB {
	l.t.Helper()
	pool, err := sql.Open("postgres", l.dsn)
	l.must(err)
	l.t.Cleanup(func() { _ = pool.Close() })
	return pool
}
