//go:build integration

package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
)

// view is what a follower knows: nothing but the deltas that it was told.
type view struct {
	l  *lab
	mu sync.Mutex

	networks map[uuid.UUID]signalbox.Network
	subnets  map[uuid.UUID]signalbox.Subnet
	ports    map[uuid.UUID]signalbox.Port
	hosts    map[uuid.UUID]signalbox.Host
	routers  map[uuid.UUID]signalbox.Router
	floating map[uuid.UUID]signalbox.FloatingIP
	met      map[uuid.UUID]signalbox.Neighbour
	groups   map[uuid.UUID]signalbox.SecurityGroup
	fulls    int
	requests map[string]bool   // that changes were because of
	oldest   time.Duration     // age of a change
	told     map[uuid.UUID]int // how often a port, router, floating IP, neighbour or group was
}

// follow keeps a view up to date until the test ends.
func (l *lab) follow() *view {
	l.t.Helper()
	v := &view{l: l, told: map[uuid.UUID]int{}, requests: map[string]bool{}}
	db := l.open()
	ctx, stop := context.WithCancel(l.ctx)
	ended := make(chan error, 1)
	go func() { ended <- db.Follow(ctx, v.apply) }()
	l.t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			l.t.Errorf("Follow ended with %v", err)
		}
	})
	v.await("the first view", func() bool { return v.fulls == 1 })
	return v
}

func (v *view) apply(d signalbox.Delta) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range d.Requests {
		v.requests[id] = true
	}
	v.oldest = max(v.oldest, d.Age)
	if d.Full {
		v.fulls++
		v.networks, v.subnets = map[uuid.UUID]signalbox.Network{}, map[uuid.UUID]signalbox.Subnet{}
		v.ports, v.hosts = map[uuid.UUID]signalbox.Port{}, map[uuid.UUID]signalbox.Host{}
		v.routers, v.floating = map[uuid.UUID]signalbox.Router{}, map[uuid.UUID]signalbox.FloatingIP{}
		v.met, v.groups = map[uuid.UUID]signalbox.Neighbour{}, map[uuid.UUID]signalbox.SecurityGroup{}
	}
	for _, n := range d.Networks {
		v.networks[n.ID] = n
	}
	for _, s := range d.Subnets {
		v.subnets[s.ID] = s
	}
	for _, p := range d.Ports {
		v.ports[p.ID] = p
		v.told[p.ID]++
	}
	for _, h := range d.Hosts {
		v.hosts[h.ID] = h
	}
	for _, r := range d.Routers {
		v.routers[r.ID] = r
		v.told[r.ID]++
	}
	for _, f := range d.FloatingIPs {
		v.floating[f.ID] = f
		v.told[f.ID]++
	}
	for _, n := range d.Neighbours {
		v.met[n.ID] = n
		v.told[n.ID]++
	}
	for _, g := range d.SecurityGroups {
		v.groups[g.ID] = g
		v.told[g.ID]++
	}
	for _, ref := range d.Gone {
		delete(v.networks, ref.ID)
		delete(v.subnets, ref.ID)
		delete(v.ports, ref.ID)
		delete(v.hosts, ref.ID)
		delete(v.routers, ref.ID)
		delete(v.floating, ref.ID)
		delete(v.met, ref.ID)
		delete(v.groups, ref.ID)
	}
	return nil
}

func (v *view) await(what string, cond func() bool) {
	v.l.t.Helper()
	eventually(v.l.t, what, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return cond()
	})
}

func (v *view) has(port uuid.UUID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.ports[port]
	return ok
}

// awaitTables waits until the view equals the tables.
func (v *view) awaitTables() {
	v.l.t.Helper()
	l := v.l
	var want view
	l.must(l.db.Read(l.ctx, func(tx *store.Tx) (err error) {
		d := signalbox.Delta{Full: true}
		if d.Networks, err = tx.Networks(l.ctx, store.Query{}); err != nil {
			return err
		}
		if d.Subnets, err = tx.Subnets(l.ctx, store.Query{}); err != nil {
			return err
		}
		if d.Ports, err = tx.Ports(l.ctx, store.Query{}); err != nil {
			return err
		}
		for i := range d.Ports {
			d.Ports[i].HeldBy, d.Ports[i].Datapath = "", ""
		}
		if d.Hosts, err = tx.Hosts(l.ctx); err != nil {
			return err
		}
		if d.Routers, err = tx.Routers(l.ctx, store.Query{}); err != nil {
			return err
		}
		if d.FloatingIPs, err = tx.FloatingIPs(l.ctx, store.Query{}); err != nil {
			return err
		}
		if d.Neighbours, err = tx.Neighbours(l.ctx); err != nil {
			return err
		}
		if d.SecurityGroups, err = tx.SecurityGroups(l.ctx, store.Query{}); err != nil {
			return err
		}
		want.told = map[uuid.UUID]int{}
		return want.apply(d)
	}))
	v.await("the view equals the tables", func() bool {
		return reflect.DeepEqual(v.subnets, want.subnets) && reflect.DeepEqual(v.ports, want.ports) &&
			reflect.DeepEqual(v.hosts, want.hosts) && reflect.DeepEqual(v.routers, want.routers) &&
			reflect.DeepEqual(v.floating, want.floating) && reflect.DeepEqual(v.met, want.met) && reflect.DeepEqual(v.groups, want.groups) && sameNetworks(v.networks, want.networks)
	})
}

// sameNetworks leaves out the list of subnets, and the revision that changes with it: a new subnet is no news of its network.
func sameNetworks(a, b map[uuid.UUID]signalbox.Network) bool {
	for id, n := range a {
		m := b[id]
		n.Subnets, m.Subnets = nil, nil
		n.Meta, m.Meta = signalbox.Meta{}, signalbox.Meta{}
		if !reflect.DeepEqual(n, m) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestFollowerIsToldOfEveryKindOfChange(t *testing.T) {
	l := newLab(t)
	v := l.follow()
	n := l.network()
	s := l.subnet(n.ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	p, q := l.port(s), l.port(s)
	h := l.host(1)
	l.must(l.db.Bind(l.ctx, []signalbox.Binding{{PortID: p.ID, HostID: h.ID, Interface: "tap1", By: signalbox.ByName}}))
	v.await("the binding", func() bool {
		b := v.ports[p.ID].Binding
		return b != nil && *b == signalbox.Binding{PortID: p.ID, HostID: h.ID, Interface: "tap1", By: signalbox.ByName}
	})
	v.awaitTables()

	n.Name = "other"
	s.EnableDHCP = true
	p.AdminStateUp = false
	h.Name = "renamed"
	l.write(func(tx *store.Tx) error {
		return errors.Join(tx.UpdateNetwork(l.ctx, n), tx.UpdateSubnet(l.ctx, s), tx.UpdatePort(l.ctx, p), tx.DeletePort(l.ctx, q.ID))
	})
	_, err := l.db.SaveHost(l.ctx, h)
	l.must(err)
	v.awaitTables()

	l.deletePort(p.ID)
	l.write(func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, n.ID) })
	v.await("all gone", func() bool { return len(v.networks)+len(v.subnets)+len(v.ports) == 0 && len(v.hosts) == 1 })
	if v.fulls != 1 {
		t.Errorf("%d whole views, 1 was enough", v.fulls)
	}
}

// A network's address scope is what its subnets' pools say, and no row of its own.
func TestFollowerIsToldOfAddressScopes(t *testing.T) {
	l := newLab(t)
	v := l.follow()
	n := l.network()
	k := &signalbox.AddressScope{ID: uuid.New(), ProjectID: "p1", IPVersion: 4}
	pool := &signalbox.SubnetPool{ID: uuid.New(), ProjectID: "p1", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		MinPrefixLen: 8, DefaultPrefixLen: 24, MaxPrefixLen: 32, Quota: signalbox.NoQuota, AddressScopeID: k.ID}
	sub := &signalbox.Subnet{ID: uuid.New(), NetworkID: n.ID, ProjectID: "p1", CIDR: netip.MustParsePrefix("10.0.0.0/24"), SubnetPoolID: pool.ID}
	l.write(func(tx *store.Tx) error {
		return errors.Join(tx.InsertAddressScope(l.ctx, k), tx.InsertSubnetPool(l.ctx, pool))
	})
	in := func(what string, scope uuid.UUID, change func(tx *store.Tx) error) {
		t.Helper()
		l.write(change)
		v.await(what, func() bool { return v.networks[n.ID].IPv4Scope == scope })
		v.awaitTables()
	}
	in("a subnet is cut", k.ID, func(tx *store.Tx) error { return tx.InsertSubnet(l.ctx, sub) })
	in("the pool leaves the scope", uuid.Nil, func(tx *store.Tx) error {
		pool.AddressScopeID = uuid.Nil
		return tx.UpdateSubnetPool(l.ctx, pool)
	})
	in("it enters one", k.ID, func(tx *store.Tx) error {
		pool.AddressScopeID = k.ID
		return tx.UpdateSubnetPool(l.ctx, pool)
	})
	in("the subnet is gone", uuid.Nil, func(tx *store.Tx) error { return tx.DeleteSubnet(l.ctx, sub.ID) })
	sub.SubnetPoolID = uuid.Nil
	in("one of no pool", uuid.Nil, func(tx *store.Tx) error { return tx.InsertSubnet(l.ctx, sub) })
	in("it is given to the pool", k.ID, func(tx *store.Tx) error { return tx.MoveToPool(l.ctx, sub.ID, pool.ID) })
}

// The transaction whose change row has the lower number commits last.
func TestCommitsOutOfOrderLoseNothing(t *testing.T) {
	l := newLab(t)
	n := l.network()
	v := l.follow()
	late, early := aPort(n.ID), aPort(n.ID)
	written, commit := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- l.db.Write(l.ctx, func(tx *store.Tx) error {
			err := tx.InsertPort(l.ctx, late)
			close(written)
			<-commit
			return err
		})
	}()
	<-written
	l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, early) })
	v.await("the later one, at once", func() bool { return len(v.ports) == 1 })
	if v.has(late.ID) {
		t.Fatal("told before its commit")
	}
	for range 20 { // the follower goes on meanwhile
		p := aPort(n.ID)
		l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
	}
	v.await("the others", func() bool { return len(v.ports) == 21 })
	close(commit)
	l.must(<-done)
	v.await("the one that committed last", func() bool { return len(v.ports) == 22 })
	for id, n := range v.told {
		if n != 1 {
			t.Errorf("port %s was told %d times", id, n)
		}
	}
	v.awaitTables()
}

func TestLostListenConnectionLosesNothing(t *testing.T) {
	l := newLab(t)
	n := l.network()
	v := l.follow()
	pool := l.sql()
	for range 5 {
		eventually(t, "its connection that LISTENs is ended", func() bool { // it comes, and comes again, when it comes
			var ended int
			l.must(pool.QueryRowContext(l.ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = current_database() AND query LIKE 'LISTEN%'`).Scan(&ended))
			return ended > 0
		})
		p := aPort(n.ID)
		l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
		v.await("the port", func() bool { _, ok := v.ports[p.ID]; return ok })
	}
	v.awaitTables()
	if v.fulls != 1 {
		t.Errorf("%d whole views, 1 was enough", v.fulls)
	}
}

func TestLostReadingConnectionLosesNothing(t *testing.T) {
	l := newLab(t)
	n := l.network()
	v := l.follow()
	_, err := l.sql().ExecContext(l.ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	l.must(err)
	p := aPort(n.ID)
	eventually(t, "writing works again", func() bool {
		return l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) }) == nil
	})
	v.await("a whole view again", func() bool { return v.fulls == 2 })
	v.awaitTables()
}

func TestDatabaseRestartLosesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *postgres.Server) error
	}{
		{"stopped", (*postgres.Server).Stop},
		{"killed", func(s *postgres.Server) error {
			return errors.Join(syscall.Kill(s.Pid(), syscall.SIGKILL), s.Stop())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "sbstore-")
			l := &lab{t: t, ctx: t.Context()}
			l.must(err)
			t.Cleanup(func() { l.must(os.RemoveAll(dir)) })
			l.must(os.Chmod(dir, 0o755))
			run := func() *postgres.Server {
				server, err := postgres.Start(l.ctx, dir+"/pg", slog.New(slog.DiscardHandler))
				l.must(err)
				t.Cleanup(func() { l.must(server.Stop()) })
				return server
			}
			server := run()
			l.dsn = server.DSN()
			l.db = l.open()
			l.must(l.db.Migrate(l.ctx))
			n := l.network()
			v := l.follow()
			for range 2 {
				before, after := aPort(n.ID), aPort(n.ID)
				l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, before) })
				l.must(c.end(server))
				eventually(t, "the database is said to be unavailable", func() bool { // a killed one's sessions end a moment later
					err := l.db.Ping(l.ctx)
					return err != nil && signalbox.KindOf(err) == signalbox.Unavailable
				})
				server = run()
				eventually(t, "writing works again", func() bool {
					return l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.InsertPort(l.ctx, after) }) == nil
				})
				v.await("what came before and after", func() bool {
					_, was := v.ports[before.ID]
					_, is := v.ports[after.ID]
					return was && is
				})
				v.awaitTables()
			}
		})
	}
}

func TestFollowerThatWasPrunedAwayReadsEverything(t *testing.T) {
	l := newLab(t)
	n := l.network()
	v := l.follow()
	v.mu.Lock() // the follower hangs in its callback
	for range 3 {
		p := aPort(n.ID)
		l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
	}
	l.must(l.db.Prune(l.ctx, 0))
	var left int
	l.must(l.sql().QueryRowContext(l.ctx, `SELECT count(*) FROM changes`).Scan(&left))
	v.mu.Unlock()
	if left != 0 {
		t.Errorf("%d change rows are left", left)
	}
	v.awaitTables()
	l.must(l.db.Prune(l.ctx, time.Hour))
	p := aPort(n.ID)
	l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
	l.must(l.db.Prune(l.ctx, time.Hour))
	v.awaitTables()
}

// A running transaction keeps what it wrote, and what came after, from being pruned.
func TestPruneSparesWhatARunningTransactionWrote(t *testing.T) {
	l := newLab(t)
	n := l.network()
	p := aPort(n.ID)
	l.write(func(tx *store.Tx) error {
		if err := tx.InsertPort(l.ctx, p); err != nil {
			return err
		}
		l.network()
		return l.db.Prune(l.ctx, 0)
	})
	var left int
	l.must(l.sql().QueryRowContext(l.ctx, `SELECT count(*) FROM changes`).Scan(&left))
	if left != 2 {
		t.Errorf("%d change rows are left, want the port's and the second network's", left)
	}
}

// Many write, many fail, transactions overlap in every way: in the end the view equals the tables.
func TestViewEqualsTheTablesAfterChurn(t *testing.T) {
	l := newLab(t)
	n := l.network()
	s := l.subnet(n.ID, "10.0.0.0/16", "10.0.0.2-10.0.255.254")
	h := l.host(1)
	v := l.follow()
	v2 := l.follow()
	var wg sync.WaitGroup
	for w := range 12 {
		rnd := newRand(uint64(w))
		wg.Go(func() {
			var mine []*signalbox.Port
			for i := range 50 {
				p := aPort(n.ID)
				err := l.db.Write(l.ctx, func(tx *store.Tx) error {
					ip, err := tx.TakeAddress(l.ctx, s.ID)
					if err != nil {
						return err
					}
					p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID, Addr: ip}}
					if err := tx.InsertPort(l.ctx, p); err != nil {
						return err
					}
					if len(mine) > 3 && rnd.IntN(2) == 0 {
						if err := tx.DeletePort(l.ctx, mine[0].ID); err != nil {
							return err
						}
					}
					time.Sleep(time.Duration(rnd.IntN(3)) * time.Millisecond) // so that they overlap
					if rnd.IntN(3) == 0 {
						return errors.New("abort")
					}
					if len(mine) > 3 {
						mine = mine[1:]
					}
					return nil
				})
				if err == nil {
					mine = append(mine, p)
				}
				if len(mine) > 0 && rnd.IntN(3) == 0 {
					b := []signalbox.Binding{{PortID: mine[0].ID, HostID: h.ID, Interface: fmt.Sprint("tap", i), By: signalbox.ByName}}
					if err := l.db.Bind(l.ctx, b); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	v.awaitTables()
	v2.awaitTables()
	if v.fulls != 1 {
		t.Errorf("%d whole views, 1 was enough", v.fulls)
	}
}

func TestFollowEndsWithItsCallbacksError(t *testing.T) {
	l := newLab(t)
	enough := errors.New("enough")
	if err := l.db.Follow(l.ctx, func(signalbox.Delta) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestStatusIsNoNewsToAFollower(t *testing.T) {
	l := newLab(t)
	n := l.network()
	p := aPort(n.ID)
	l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
	v := l.follow()
	l.must(l.db.SetStatus(l.ctx, map[uuid.UUID]signalbox.Status{p.ID: signalbox.Active, uuid.New(): signalbox.Active}))
	l.network()
	v.await("the network that came after", func() bool { return len(v.networks) == 2 })
	if got := v.ports[p.ID].Status; got != signalbox.Down {
		t.Errorf("told that the port is %s", got)
	}
	if got := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }); got.Status != signalbox.Active || got.Revision != 2 {
		t.Errorf("the port is %s in revision %d", got.Status, got.Revision)
	}
}

// TestFollowerIsToldOfRequests: whose writes a change is, and how old it is. Names that come after their change was read are
// told all the same.
func TestFollowerIsToldOfRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := l.follow()
	named := func(ids ...string) {
		l.must(l.db.Write(signalbox.WithRequests(l.ctx, ids...), func(tx *store.Tx) error {
			return tx.InsertNetwork(l.ctx, aNetwork())
		}))
	}
	named("req-b", "req-a")
	named("req-'c")
	var many []string
	for i := range 500 { // more than one ring can carry
		many = append(many, fmt.Sprintf("req-00000000-0000-0000-0000-%012d", i))
	}
	named(many...)
	named("req-d")
	v.await("the names of the requests", func() bool {
		return v.requests["req-a"] && v.requests["req-b"] && v.requests["req-'c"] && v.requests[many[0]] && v.requests[many[499]] && v.requests["req-d"] && v.oldest > 0
	})
	for id := range v.requests {
		if len(id) > len(many[0]) || len(id) < 5 {
			t.Errorf("nobody is called %q", id)
		}
	}
}
