//go:build integration

package store_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

func (l *lab) router() *signalbox.Router {
	l.t.Helper()
	r := &signalbox.Router{ID: uuid.New(), ProjectID: "p1", Name: "r", AdminStateUp: true}
	l.write(func(tx *store.Tx) error { return tx.InsertRouter(l.ctx, r) })
	return r
}

// attach makes a port with the subnet's lowest free address an interface of the router, in any goroutine.
func (l *lab) attach(r *signalbox.Router, s *signalbox.Subnet) (*signalbox.Port, error) {
	p := aPort(s.NetworkID)
	return p, l.db.Write(l.ctx, func(tx *store.Tx) error {
		ip, err := tx.TakeAddress(l.ctx, s.ID)
		if err != nil {
			return err
		}
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID, Addr: ip}}
		if err := tx.InsertPort(l.ctx, p); err != nil {
			return err
		}
		return tx.AttachPort(l.ctx, p, r.ID)
	})
}

func TestRouterAndItsInterfacesAreReadAsWritten(t *testing.T) {
	l := newLab(t)
	r := &signalbox.Router{ID: uuid.New(), ProjectID: "p", Name: "n", Description: "d", AdminStateUp: true, Routes: []signalbox.Route{
		{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.9")},
		{Destination: netip.MustParsePrefix("0.0.0.0/0"), NextHop: netip.MustParseAddr("10.0.0.7")}}}
	l.write(func(tx *store.Tx) error { return tx.InsertRouter(l.ctx, r) })
	router := func() *signalbox.Router {
		return read(l, func(tx *store.Tx) (*signalbox.Router, error) { return tx.Router(l.ctx, r.ID) })
	}
	if got := router(); r.Key == 0 || !reflect.DeepEqual(got, r) {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
	p, err := l.attach(r, l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254"))
	l.must(err)
	if p.RouterID != r.ID || p.Role != signalbox.RoleRouterInterface || p.Revision != 2 {
		t.Errorf("attached: %+v", p)
	}
	got := read(l, func(tx *store.Tx) ([]signalbox.Port, error) { return tx.RouterPorts(l.ctx, r.ID) })
	if !reflect.DeepEqual(got, []signalbox.Port{*p}) {
		t.Errorf("got  %+v\nwant %+v", got, p)
	}
	r.Routes, r.Name, r.AdminStateUp = nil, "renamed", false
	l.write(func(tx *store.Tx) error { return tx.UpdateRouter(l.ctx, r) })
	if got := router(); r.Revision != 3 || !reflect.DeepEqual(got, r) {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
	h := l.host(1)
	l.must(l.db.Bind(l.ctx, []signalbox.Binding{{PortID: p.ID, HostID: h.ID, Interface: "tap1", By: signalbox.ByName}}))
	if p := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }); p.Binding != nil {
		t.Errorf("a router's interface is bound: %+v", p)
	}
}

func TestWhatMustNeverBeTrueOfRoutersIsRefused(t *testing.T) {
	l := newLab(t)
	r, other := l.router(), l.router()
	n := l.network()
	s := l.subnet(n.ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	p, err := l.attach(r, s)
	l.must(err)
	_, err = l.attach(other, s)
	l.must(err) // two routers of one subnet
	_, err = l.attach(r, s)
	l.refused(err, signalbox.Invalid, signalbox.ReasonBadRequest)
	_, err = l.attach(r, l.subnet(l.network().ID, "10.0.0.128/25", "10.0.0.129-10.0.0.130"))
	l.refused(err, signalbox.Invalid, signalbox.ReasonBadRequest)
	_, err = l.attach(&signalbox.Router{ID: uuid.New()}, l.subnet(n.ID, "10.0.1.0/24", "10.0.1.2-10.0.1.254"))
	l.refused(err, signalbox.NotFound, "")
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.AttachPort(l.ctx, aPort(n.ID), r.ID) }), signalbox.NotFound, "")
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.DeleteRouter(l.ctx, r.ID) }), signalbox.Conflict, signalbox.ReasonRouterInUse)
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.DeleteRouter(l.ctx, uuid.New()) }), signalbox.NotFound, "")
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, n.ID) }), signalbox.Conflict, signalbox.ReasonNetworkInUse)
	l.refused(l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.DeleteSubnet(l.ctx, s.ID) }), signalbox.Conflict, signalbox.ReasonSubnetInUse)
	for _, wrong := range []string{`role = ''`, `router_id = NULL`, `role = 'floatingip'`} {
		if _, err := l.sql().ExecContext(l.ctx, `UPDATE ports SET `+wrong+` WHERE id = $1`, p.ID); err == nil {
			t.Errorf("a router's interface with %s", wrong)
		}
	}

	l.deletePort(p.ID)
	_, err = l.attach(r, s) // it is free again
	l.must(err)
}

// Nobody locks the router here: the schema alone must see to it.
func TestConcurrentAttachmentsNeverOverlap(t *testing.T) {
	l := newLab(t)
	r := l.router()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won int
	for i := range 16 {
		s := l.subnet(l.network().ID, fmt.Sprintf("10.0.0.0/%d", 16+i%8), "10.0.0.2-10.0.0.254")
		wg.Go(func() {
			_, err := l.attach(r, s)
			mu.Lock()
			defer mu.Unlock()
			var e *signalbox.Error
			switch {
			case err == nil:
				won++
			case !errors.As(err, &e) || e.Reason != signalbox.ReasonBadRequest:
				t.Errorf("refused with %v", err)
			}
		})
	}
	wg.Wait()
	ports := read(l, func(tx *store.Tx) ([]signalbox.Port, error) { return tx.RouterPorts(l.ctx, r.ID) })
	if won != 1 || len(ports) != 1 {
		t.Errorf("%d won, the router has %d interfaces", won, len(ports))
	}
}

func TestInterfaceIsNewsOfItsPortAndOfNothingElse(t *testing.T) {
	l := newLab(t)
	r := l.router()
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	v := l.follow()
	v.awaitTables()
	p, err := l.attach(r, s)
	l.must(err)
	v.await("the interface", func() bool { return v.ports[p.ID].RouterID == r.ID })
	l.deletePort(p.ID)
	v.await("its end", func() bool { return len(v.ports) == 0 })
	if v.told[r.ID] != 1 || v.told[p.ID] != 1 {
		t.Errorf("told of the router %d times, of its interface %d times", v.told[r.ID], v.told[p.ID])
	}
	r.Name = "renamed"
	l.write(func(tx *store.Tx) error { return tx.UpdateRouter(l.ctx, r) })
	v.await("the name", func() bool { return v.routers[r.ID].Name == "renamed" })
	l.write(func(tx *store.Tx) error { return tx.DeleteRouter(l.ctx, r.ID) })
	v.await("the end", func() bool { return len(v.routers) == 0 })
	v.awaitTables()
	if v.fulls != 1 {
		t.Errorf("%d whole views, 1 was enough", v.fulls)
	}
}

func TestHostsHaveMACsOfTheirOwn(t *testing.T) {
	l := newLab(t)
	for i := range 3 {
		h := l.host(uint64(i + 1))
		if want := (signalbox.MAC{0xfa, 0x16, 0x3f, 0, 0, byte(i + 1)}); h.MAC != want { // none is used up by a host that is known
			t.Errorf("host %d has %v, want %v", i, h.MAC, want)
		}
		again, err := l.db.SaveHost(l.ctx, signalbox.Host{DatapathID: h.DatapathID, Name: "renamed"})
		l.must(err)
		if again.MAC != h.MAC || again.Name != "renamed" {
			t.Errorf("saved again: %+v", again)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[uuid.UUID]bool{}
	for range 8 {
		wg.Go(func() {
			h, err := l.db.SaveHost(l.ctx, signalbox.Host{DatapathID: 9, Name: "h"})
			mu.Lock()
			defer mu.Unlock()
			if ids[h.ID] = true; err != nil || h.MAC == (signalbox.MAC{}) {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("one host has the ids %v", ids)
	}
}

func TestHostsFromBeforeRoutersGetMACs(t *testing.T) {
	l := newLab(t)
	pool := l.sql()
	exec := func(text string) {
		t.Helper()
		_, err := pool.ExecContext(l.ctx, text)
		l.must(err)
	}
	first, err := os.ReadFile("migrations/00001_spine.sql")
	l.must(err)
	exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	exec(upPart(string(first)))
	exec(`INSERT INTO hosts (datapath_id, name, mappings, managed) SELECT lpad(to_hex(n), 16, '0'), 'h', '{}', false FROM generate_series(1, 5) AS n`)
	second, err := os.ReadFile("migrations/00002_routers.sql")
	l.must(err)
	exec(upPart(string(second)))
	var different int
	l.must(pool.QueryRowContext(l.ctx, `SELECT count(DISTINCT mac) FROM hosts`).Scan(&different))
	if different != 5 {
		t.Errorf("5 hosts have %d MACs", different)
	}
	exec(downPart(string(second)))
	exec(upPart(string(second)))
}

// upPart and downPart are what goose runs of a migration.
func upPart(migration string) string {
	up, _, _ := strings.Cut(migration, "-- +goose Down")
	return up
}

func downPart(migration string) string {
	_, down, _ := strings.Cut(migration, "-- +goose Down")
	return down
}
