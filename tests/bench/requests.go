package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
	"github.com/signalbox-sdn/signalbox/tests/keystone"
)

const (
	askFor   = 1500 * time.Millisecond // each kind of request, from so many clients
	bulk     = 500                     // ports of a request that fills the database
	pageSize = 100                     // ports
)

// requests is a database with ports, and two API servers before it: one that lets everybody in, and one that asks Keystone.
type requests struct {
	*stage
	table     *table
	yardstick *pgbench
	doors     []*door
	networks  []string
	ports     []string // their ids
}

// door is a way in: a client of an API server.
type door struct {
	name string
	*client
	server *process

	mu   sync.Mutex
	made []string // ports, by their ids
}

// measureRequests asks for ports, in every way there is, while there are few of them and many.
func measureRequests(s *stage, t *table) {
	dsn := storetest.StartForTest(s)
	r := &requests{stage: s, table: t, yardstick: newPgbench(s, dsn)}
	open, server := startAPI(s, dsn)
	r.doors = append(r.doors, &door{name: "let in", client: open, server: server}, r.askingKeystone(dsn))
	for i := range 8 {
		r.networks = append(r.networks, open.network(s, fmt.Sprintf("10.%d.0.0/16", i)).ID)
	}
	for _, size := range []int{1000, 50_000} {
		r.fill(size)
		for _, n := range []int{1, clients} {
			r.measure(n)
		}
		for _, d := range r.doors {
			t.add(fmt.Sprintf("API server's memory at %d ports, %s", size, d.name), megabytes(resident(s, d.server.cmd.Process.Pid)), "", "", bound{}, 0)
		}
	}
}

// askingKeystone is the door of a server that asks a real Keystone who asks; its clients have one token.
func (r *requests) askingKeystone(dsn string) *door {
	k := keystone.Start(r.stage)
	k.User("neutron", "of the server", k.Project("service"), "service")
	c, server := startAPI(r.stage, dsn, "--auth", "keystone", "--keystone-url", k.URL, "--keystone-username", "neutron", "--keystone-password", "of the server")
	var given, first []time.Duration
	for range 5 {
		given = append(given, timed(func() { c.token = k.Token(keystone.Admin, k.Password, keystone.Admin) }))
		first = append(first, timed(func() { r.must(c.call(r.ctx, http.MethodGet, "/v2.0/", nil, nil)) }))
	}
	f, g := median(first), median(given)
	r.table.add("the first request with a token, p50 of 5", milliseconds(f), "Keystone gives one in "+milliseconds(g), ratio(f.Seconds()/g.Seconds()), bound{}, 0)
	return &door{name: "asking Keystone", client: c, server: server}
}

// fill makes ports, many with a request, until there are so many.
func (r *requests) fill(size int) {
	for len(r.ports) < size {
		var wanted []object
		for i := range min(bulk, size-len(r.ports)) {
			wanted = append(wanted, ofVM(r.networks[i%len(r.networks)]))
		}
		var made struct{ Ports []struct{ ID string } }
		r.must(r.doors[0].call(r.ctx, http.MethodPost, "/v2.0/ports", object{"ports": wanted}, &made))
		for _, p := range made.Ports {
			r.ports = append(r.ports, p.ID)
		}
	}
	r.yardstick.analyze() // as autovacuum does in a minute
}

// ofVM is a port as Nova asks for one.
func ofVM(network string) object {
	return object{"network_id": network, "name": "vm", "device_id": "vm", "device_owner": "compute:nova"}
}

// kind is one of the requests that there are.
type kind struct {
	verb      string
	yardstick string  // what PostgreSQL was asked instead, by pgbench
	of        float64 // how often it answered that in a second
	request   func(*door) error
}

// measure asks for everything that can be asked of ports, each for a while from n clients at once, at each door. In the end there
// are as many ports as before.
func (r *requests) measure(n int) {
	inserts, selects, pages := r.yardstick.inserts(n), r.yardstick.selects(n), r.yardstick.pages(n)
	for _, k := range []kind{
		{"create", "inserts", inserts, r.create}, {"show", "selects of a row", selects, r.show}, {"update", "inserts", inserts, r.update},
		{fmt.Sprintf("list, a page of %d", pageSize), "selects of such a page", pages, r.list}, {"delete", "inserts", inserts, r.remove},
	} {
		for i, d := range r.doors {
			r.must(r.show(d)) // the server knows the token
			took, all := r.crowd(n, func() error { return k.request(d) })
			what := fmt.Sprintf("%s, ports: %d, clients: %d", k.verb, len(r.ports), n)
			if i > 0 {
				what = "  " + d.name
			}
			per := rate(len(all), took)
			r.table.add(what, fmt.Sprintf("%s, p50 %s, p99 %s", perSecond(per), milliseconds(percentile(all, 50)), milliseconds(percentile(all, 99))),
				"pgbench "+k.yardstick+" "+perSecond(k.of), ratio(per/k.of), bound{}, 0)
		}
	}
	for _, d := range r.doors { // what was not reached
		var err error
		for ; err == nil; err = r.remove(d) {
			continue
		}
		if !errors.Is(err, errEnough) {
			r.must(err)
		}
	}
}

// any is the URL of one of the ports.
func (r *requests) any() string { return "/v2.0/ports/" + r.ports[rand.IntN(len(r.ports))] }

func (r *requests) create(d *door) error {
	var p struct{ Port struct{ ID string } }
	err := d.call(r.ctx, http.MethodPost, "/v2.0/ports", object{"port": ofVM(r.networks[rand.IntN(len(r.networks))])}, &p)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made = append(d.made, p.Port.ID)
	return err
}

func (r *requests) show(d *door) error { return d.call(r.ctx, http.MethodGet, r.any(), nil, nil) }

func (r *requests) update(d *door) error {
	return d.call(r.ctx, http.MethodPut, r.any(), object{"port": object{"description": fmt.Sprint(rand.Int64())}}, nil)
}

func (r *requests) list(d *door) error {
	marker := r.ports[rand.IntN(len(r.ports))]
	return d.call(r.ctx, http.MethodGet, fmt.Sprintf("/v2.0/ports?limit=%d&marker=%s", pageSize, marker), nil, nil)
}

func (r *requests) remove(d *door) error {
	id, ok := d.last()
	if !ok {
		return errEnough
	}
	return d.call(r.ctx, http.MethodDelete, "/v2.0/ports/"+id, nil, nil)
}

// last takes one of the ports that were made at a door.
func (d *door) last() (id string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.made) == 0 {
		return "", false
	}
	id, d.made = d.made[len(d.made)-1], d.made[:len(d.made)-1]
	return id, true
}

// errEnough ends a crowd before its time.
var errEnough = errors.New("there is no more to ask")

// crowd has n clients ask, one request after the other, and returns how long it took and how long each request did.
func (r *requests) crowd(n int, ask func() error) (took time.Duration, all []time.Duration) {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	each := make([][]time.Duration, n)
	began := time.Now()
	for i := range n {
		wg.Go(func() {
			for time.Since(began) < askFor && failed.Load() == nil {
				start := time.Now()
				if err := ask(); errors.Is(err, errEnough) {
					return
				} else if err != nil {
					failed.Store(&err)
					return
				}
				each[i] = append(each[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	took = time.Since(began)
	if err := failed.Load(); err != nil {
		r.must(*err)
	}
	return took, slices.Concat(each...)
}
