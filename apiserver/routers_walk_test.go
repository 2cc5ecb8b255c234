//go:build integration

package apiserver_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

func TestManyJoinersNeverOverlap(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	id := c.router(nil)
	var subnets []string
	for i := range creators {
		_, s := c.joinable(fmt.Sprintf("10.0.0.0/%d", 16+i%8), nil)
		subnets = append(subnets, s)
	}
	join := func(router func(i int) string, subnet func(i int) string) func(int, *client) (int, object) {
		return func(i int, c *client) (int, object) {
			return c.call("PUT", routerURL(router(i))+addInterface, object{"subnet_id": subnet(i)})
		}
	}
	same := func(s string) func(int) string { return func(int) string { return s } }
	want(t, "overlapping subnets", together(clients, join(same(id), func(i int) string { return subnets[i] })),
		map[string]int{"200": 1, "400BadRequest": creators - 1})

	_, s := c.joinable("10.1.0.0/24", nil)
	want(t, "one subnet", together(clients, join(same(id), same(s))), map[string]int{"200": 1, "400BadRequest": creators - 1})

	var routers []string
	for range creators {
		routers = append(routers, c.router(nil))
	}
	_, s = c.joinable("10.2.0.0/24", nil)
	want(t, "one gateway", together(clients, join(func(i int) string { return routers[i] }, same(s))),
		map[string]int{"200": 1, "409IpAddressAlreadyAllocated": creators - 1})
	if got := len(c.list("ports", "?device_owner=network:router_interface")); got != 3 {
		t.Errorf("%d interfaces", got)
	}
}

// TestPortIsDeletedOrJoinedAndNeverBoth: who comes second is refused.
func TestPortIsDeletedOrJoinedAndNeverBoth(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	n, _ := c.joinable("10.0.0.0/24", nil)
	var routers, ports []string
	for range creators / 4 {
		routers = append(routers, c.router(nil))
		ports = append(ports, c.create("port", object{"network_id": n})["id"].(string))
	}
	answers := together(clients, func(i int, c *client) (int, object) {
		router, port := routers[i/4], ports[i/4]
		switch i % 4 {
		case 0:
			return c.call("DELETE", "/v2.0/ports/"+port, nil)
		case 1:
			return c.call("PUT", routerURL(router)+addInterface, object{"port_id": port})
		case 2:
			return c.call("PUT", "/v2.0/ports/"+port, object{"port": object{"device_id": "vm"}})
		}
		return c.call("DELETE", routerURL(router), nil)
	})
	allowed(t, answers, "204", "200", "404PortNotFound", "409ServicePortInUse", "409PortInUse", "409RouterInUse", "404RouterNotFound")
	sound(t, c)
}

// allowed reports answers that are not among these.
func allowed(t *testing.T, answers map[string]int, these ...string) {
	t.Helper()
	for answer := range answers {
		if !slices.Contains(these, answer) {
			t.Errorf("answers %v", answers)
		}
	}
}

// sound checks what must hold of routers, their interfaces and routes at any time.
func sound(t *testing.T, c *client) {
	t.Helper()
	cidr, network := map[string]netip.Prefix{}, map[string]string{}
	for _, s := range c.list("subnets", "") {
		cidr[s["id"].(string)], network[s["id"].(string)] = netip.MustParsePrefix(s["cidr"].(string)), s["network_id"].(string)
	}
	ends := map[string][]object{} // router -> its interfaces, by what was answered of ports
	for _, p := range c.list("ports", "?device_owner=network:router_interface") {
		ends[p["device_id"].(string)] = append(ends[p["device_id"].(string)], p)
	}
	for _, r := range c.list("routers", "") {
		var joined []netip.Prefix
		for _, p := range ends[r["id"].(string)] {
			subnet := p["fixed_ips"].([]any)[0].(object)["subnet_id"].(string)
			if network[subnet] != p["network_id"] {
				t.Errorf("interface %v of a subnet that is not on its network", p)
			}
			for _, has := range joined {
				if has.Overlaps(cidr[subnet]) {
					t.Errorf("router %v joins %v and %v", r["id"], has, cidr[subnet])
				}
			}
			joined = append(joined, cidr[subnet])
		}
		for _, route := range r["routes"].([]any) {
			hop := netip.MustParseAddr(route.(object)["nexthop"].(string))
			if !slices.ContainsFunc(joined, func(p netip.Prefix) bool { return p.Contains(hop) }) {
				t.Errorf("route %v of a router that joins %v", route, joined)
			}
		}
		delete(ends, r["id"].(string))
	}
	for router, ports := range ends {
		t.Errorf("no router %s, but its interfaces %v", router, ports)
	}
}

// TestRandomWalksLeaveNoOrphans: routers, interfaces, routes, subnets and ports are made and unmade at random by many at once.
// In between and in the end everything fits together; and when all is taken down, nothing is left.
func TestRandomWalksLeaveNoOrphans(t *testing.T) {
	const walkers, steps = 12, 60
	dsn := storetest.StartForTest(t)
	handler := newServer(t, dsn, settings)
	c := &client{t: t, handler: handler}
	clients := make([]*client, walkers)
	for i := range clients {
		clients[i] = &client{t: t, handler: handler}
	}
	for range 3 {
		c.router(nil)
	}
	for i := range 4 {
		c.joinable(fmt.Sprintf("10.0.%d.0/%d", i, 22+i), nil) // some overlap
	}
	for round := range 3 {
		want(t, "a walk", together(clients, func(i int, c *client) (int, object) {
			w := walker{c, rand.New(rand.NewPCG(uint64(round), uint64(i)))}
			for range steps {
				if status, answer := w.step(); status >= 500 {
					return status, answer
				}
			}
			return 200, nil
		}), map[string]int{"200": walkers})
		sound(t, c)
	}

	for _, r := range c.list("routers", "") {
		id := r["id"].(string)
		c.must(200, "PUT", routerURL(id), setRoutes())
		for _, p := range c.list("ports", "?device_owner=network:router_interface&device_id="+id) {
			c.leave(id, object{"port_id": p["id"]})
		}
		c.must(204, "DELETE", routerURL(id), nil)
	}
	for _, p := range c.list("ports", "?device_owner=") {
		c.must(204, "DELETE", "/v2.0/ports/"+p["id"].(string), nil)
	}
	for _, n := range c.list("networks", "") {
		c.must(204, "DELETE", "/v2.0/networks/"+n["id"].(string), nil)
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"routers", "router_subnets", "ports", "allocations", "free_addresses", "pools", "subnets", "segments", "networks"} {
		var left int
		if err := db.QueryRow(`SELECT count(*) FROM ` + table).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d %s are left, %v", left, table, err)
		}
	}
}

// walker does one thing after another, whether or not it makes sense.
type walker struct {
	*client
	rnd *rand.Rand
}

// one is the id of any of a collection, or one that is nobody's.
func (w *walker) one(collection, query string) string {
	all := w.list(collection, query)
	if len(all) == 0 {
		return "11111111-1111-1111-1111-111111111111"
	}
	return all[w.rnd.IntN(len(all))]["id"].(string)
}

func (w *walker) step() (int, object) {
	const interfaces = "?device_owner=network:router_interface"
	router := routerURL(w.one("routers", ""))
	switch w.rnd.IntN(16) {
	case 0:
		return w.call("POST", "/v2.0/routers", object{"router": object{}})
	case 1:
		return w.call("DELETE", router, nil)
	case 2, 3, 4:
		return w.call("PUT", router+addInterface, object{"subnet_id": w.one("subnets", "")})
	case 5, 6:
		return w.call("PUT", router+addInterface, object{"port_id": w.one("ports", "")})
	case 7:
		return w.call("PUT", router+removeInterface, object{"subnet_id": w.one("subnets", "")})
	case 8:
		return w.call("PUT", router+removeInterface, object{"port_id": w.one("ports", interfaces)})
	case 9:
		return w.call("PUT", router, setRoutes("10.9.0.0/16", fmt.Sprintf("10.0.%d.99", w.rnd.IntN(4))))
	case 10:
		return w.call("PUT", router, setRoutes())
	case 11, 12:
		return w.call("POST", "/v2.0/ports", object{"port": object{"network_id": w.one("networks", "")}})
	case 13:
		return w.call("DELETE", "/v2.0/ports/"+w.one("ports", ""), nil)
	case 14:
		return w.call("PUT", "/v2.0/subnets/"+w.one("subnets", ""), object{"subnet": object{"gateway_ip": fmt.Sprintf("10.0.%d.1", w.rnd.IntN(4))}})
	}
	if w.rnd.IntN(2) == 0 {
		return w.call("DELETE", "/v2.0/networks/"+w.one("networks", ""), nil)
	}
	status, n := w.call("POST", "/v2.0/networks", object{"network": object{}})
	if status != 201 {
		return status, n
	}
	return w.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": n["network"].(object)["id"], "ip_version": 4,
		"cidr": fmt.Sprintf("10.0.%d.0/24", w.rnd.IntN(4))}})
}
