//go:build integration

package apiserver_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
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

// TestManyAssociateAndEachAddressHasOne: of one port's address, of one floating address, and of one gateway's.
func TestManyAssociateAndEachAddressHasOne(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	s := c.site("192.0.2.0/24", "10.0.0.0/24")
	vm := c.vm(s.net, nil)["id"]
	var floating, vms []any
	for range creators {
		floating = append(floating, c.create("floatingip", object{"floating_network_id": s.ext})["id"])
		vms = append(vms, c.vm(s.net, nil)["id"])
	}
	want(t, "one port", together(clients, func(i int, c *client) (int, object) {
		return c.call("PUT", floatingURL(floating[i]), to(vm))
	}), map[string]int{"200": 1, "409FloatingIPPortAlreadyAssociated": creators - 1})
	sound(t, c)
	want(t, "one floating IP", together(clients, func(i int, c *client) (int, object) {
		return c.call("PUT", floatingURL(floating[0]), to(vms[i]))
	}), map[string]int{"200": creators})
	sound(t, c)
	create := func(more object) func(int, *client) (int, object) {
		more["floating_network_id"] = s.ext
		return func(_ int, c *client) (int, object) {
			return c.call("POST", "/v2.0/floatingips", object{"floatingip": more})
		}
	}
	want(t, "one floating address", together(clients, create(object{"floating_ip_address": "192.0.2.250"})),
		map[string]int{"201": 1, "409IpAddressAlreadyAllocated": creators - 1})
	want(t, "one port at creation", together(clients, create(object{"port_id": vms[1]})),
		map[string]int{"201": 1, "409FloatingIPPortAlreadyAssociated": creators - 1})
	want(t, "gateways", together(clients, func(_ int, c *client) (int, object) {
		return c.call("POST", "/v2.0/routers", gatewayTo(s.ext, nil))
	}), map[string]int{"201": creators})
	gateways := c.list("ports", "?device_owner=network:router_gateway")
	if len(gateways) != 1+creators {
		t.Errorf("%d gateways", len(gateways))
	}
	distinct(t, "gateway's address", gateways, func(p object) string { return addrs(p)[0] })
	sound(t, c)
}

// TestExternalNetworkIsUsedOrGoneAndNeverBoth: a gateway or a floating IP on a network, or the network is deleted or external no more.
func TestExternalNetworkIsUsedOrGoneAndNeverBoth(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	var routers, networks []string
	for i := range creators / 4 {
		ext, _ := c.outside(fmt.Sprintf("192.0.%d.0/24", i))
		routers, networks = append(routers, c.router(nil)), append(networks, ext)
	}
	answers := together(clients, func(i int, c *client) (int, object) {
		router, network := routers[i/4], networks[i/4]
		switch (i + i/4) % 4 {
		case 0:
			return c.call("DELETE", "/v2.0/networks/"+network, nil)
		case 1:
			return c.call("PUT", "/v2.0/networks/"+network, object{"network": object{"router:external": false}})
		case 2:
			return c.call("PUT", routerURL(router), gatewayTo(network, nil))
		}
		return c.call("POST", "/v2.0/floatingips", object{"floatingip": object{"floating_network_id": network}})
	})
	allowed(t, answers, "200", "201", "204", "400BadRequest", "404NetworkNotFound", "409NetworkInUse", "409ExternalNetworkInUse")
	sound(t, c)
}

// TestWayOfAFloatingIPIsThereOrNotNeeded: the port, the interface and the gateway may go only one after the other.
func TestWayOfAFloatingIPIsThereOrNotNeeded(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	ext, _ := c.outside("192.0.2.0/24")
	var routers, subnets []string
	var vms, floating []any
	for i := range creators / 8 {
		n, s := c.joinable(fmt.Sprintf("10.0.%d.0/24", i), nil)
		r := c.router(object{"external_gateway_info": object{"network_id": ext}})
		c.join(r, object{"subnet_id": s})
		routers, subnets, vms = append(routers, r), append(subnets, s), append(vms, c.vm(n, nil)["id"])
		floating = append(floating, c.create("floatingip", object{"floating_network_id": ext})["id"])
	}
	for range 3 {
		answers := together(clients, func(i int, c *client) (int, object) {
			router, vm := routers[i/8], vms[i/8]
			switch (i + i/8) % 8 {
			case 0:
				return c.call("PUT", routerURL(router)+removeInterface, object{"subnet_id": subnets[i/8]})
			case 1:
				return c.call("PUT", routerURL(router), object{"router": object{"external_gateway_info": nil}})
			case 2:
				return c.call("PUT", floatingURL(floating[i/8]), to(nil))
			case 3:
				return c.call("DELETE", "/v2.0/ports/"+vm.(string), nil)
			case 4:
				return c.call("PUT", routerURL(router)+addInterface, object{"subnet_id": subnets[i/8]})
			case 5:
				return c.call("PUT", routerURL(router), gatewayTo(ext, nil))
			}
			return c.call("PUT", floatingURL(floating[i/8]), to(vm))
		})
		allowed(t, answers, "200", "204", "400BadRequest", "404ExternalGatewayForFloatingIPNotFound", "404PortNotFound", "404RouterInterfaceNotFoundForSubnet",
			"409RouterInterfaceInUseByFloatingIP", "409RouterExternalGatewayInUseByFloatingIp", "409IpAddressAlreadyAllocated")
		sound(t, c)
	}
}

// sound checks what must hold of routers and floating IPs at any time.
func sound(t *testing.T, c *client) {
	t.Helper()
	w := c.world()
	for _, r := range w.routers {
		w.checkRouter(t, r)
	}
	for _, f := range w.floating {
		w.checkFloatingIP(t, f)
	}
	for id, p := range w.service {
		t.Errorf("port %s is nobody's: %v", id, p)
	}
	distinct(t, "fixed address with a floating IP", w.floating, func(f object) string {
		if f["port_id"] == nil {
			return f["id"].(string)
		}
		return fmt.Sprint(f["floating_network_id"], f["port_id"], f["fixed_ip_address"])
	})
}

// world is what an API server says that there is.
type world struct {
	cidr              map[any]netip.Prefix // of subnets
	network           map[any]any          // of subnets
	external          map[any]bool         // networks
	routers, floating []object
	byID              map[any]object // routers
	ports             map[any]object
	service           map[any]object // ports of routers and floating IPs, until what they are for is found
}

func (c *client) world() *world {
	c.t.Helper()
	w := &world{cidr: map[any]netip.Prefix{}, network: map[any]any{}, external: map[any]bool{}, routers: c.list("routers", ""),
		floating: c.list("floatingips", ""), byID: map[any]object{}, ports: map[any]object{}, service: map[any]object{}}
	for _, s := range c.list("subnets", "") {
		w.cidr[s["id"]], w.network[s["id"]] = netip.MustParsePrefix(s["cidr"].(string)), s["network_id"]
	}
	for _, n := range c.list("networks", "") {
		w.external[n["id"]] = n["router:external"].(bool)
	}
	for _, r := range w.routers {
		w.byID[r["id"]] = r
	}
	for _, p := range c.list("ports", "") {
		w.ports[p["id"]] = p
		switch p["device_owner"] {
		case "network:router_interface", "network:router_gateway", "network:floatingip":
			w.service[p["id"]] = p
		}
	}
	return w
}

// take takes the ports of a device out of those that are nobody's.
func (w *world) take(device, owner any) (ports []object) {
	for id, p := range w.service {
		if p["device_id"] == device && p["device_owner"] == owner {
			ports = append(ports, p)
			delete(w.service, id)
		}
	}
	return ports
}

// ends are the subnets of a router's interfaces, and the network of its gateway.
func (w *world) ends(r object) (subnets []any, gateway any) {
	for _, p := range w.ports {
		if p["device_id"] == r["id"] && p["device_owner"] == "network:router_interface" {
			subnets = append(subnets, p["fixed_ips"].([]any)[0].(object)["subnet_id"])
		}
	}
	if info, ok := r["external_gateway_info"].(object); ok {
		gateway = info["network_id"]
	}
	return subnets, gateway
}

func (w *world) checkRouter(t *testing.T, r object) {
	t.Helper()
	var near []netip.Prefix
	add := func(p object) {
		for _, f := range p["fixed_ips"].([]any) {
			subnet := f.(object)["subnet_id"]
			if w.network[subnet] != p["network_id"] {
				t.Errorf("port %v of a subnet that is not on its network", p)
			}
			for _, has := range near {
				if has.Overlaps(w.cidr[subnet]) {
					t.Errorf("router %v is on %v and %v", r["id"], has, w.cidr[subnet])
				}
			}
			near = append(near, w.cidr[subnet])
		}
	}
	for _, p := range w.take(r["id"], "network:router_interface") {
		add(p)
	}
	gateways := w.take(r["id"], "network:router_gateway")
	info, has := r["external_gateway_info"].(object)
	switch {
	case len(gateways) > 1 || has != (len(gateways) == 1):
		t.Errorf("router %v has the gateway ports %v", r, gateways)
	case has && (info["network_id"] != gateways[0]["network_id"] || !w.external[info["network_id"]] ||
		!reflect.DeepEqual(info["external_fixed_ips"], gateways[0]["fixed_ips"])):
		t.Errorf("router %v has the gateway port %v", r, gateways[0])
	case has:
		add(gateways[0])
	}
	for _, route := range r["routes"].([]any) {
		hop := netip.MustParseAddr(route.(object)["nexthop"].(string))
		if !slices.ContainsFunc(near, func(p netip.Prefix) bool { return p.Contains(hop) }) {
			t.Errorf("route %v of a router that is on %v", route, near)
		}
	}
}

func (w *world) checkFloatingIP(t *testing.T, f object) {
	t.Helper()
	own := w.take(f["id"], "network:floatingip")
	if len(own) != 1 || own[0]["network_id"] != f["floating_network_id"] || !w.external[f["floating_network_id"]] ||
		!reflect.DeepEqual(addrs(own[0]), []string{f["floating_ip_address"].(string)}) {
		t.Errorf("floating IP %v has the ports %v", f, own)
	}
	if f["port_id"] == nil {
		if f["router_id"] != nil || f["fixed_ip_address"] != nil || f["port_details"] != nil {
			t.Errorf("floating IP %v stands for nothing", f)
		}
		return
	}
	port, router := w.ports[f["port_id"]], w.byID[f["router_id"]]
	if port == nil || router == nil || !slices.Contains(addrs(port), f["fixed_ip_address"].(string)) {
		t.Errorf("floating IP %v, port %v, router %v", f, port, router)
		return
	}
	subnets, gateway := w.ends(router)
	i := slices.Index(addrs(port), f["fixed_ip_address"].(string))
	if gateway != f["floating_network_id"] || !slices.Contains(subnets, port["fixed_ips"].([]any)[i].(object)["subnet_id"]) {
		t.Errorf("floating IP %v of port %v by router %v that joins %v", f, port, router, subnets)
	}
}

// TestRandomWalksLeaveNoOrphans: routers, interfaces, gateways, routes, floating IPs, subnets and ports are made and unmade at random by
// many at once.
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
	c.outside("192.0.2.0/24")
	c.outside("10.0.3.0/25") // which overlaps some
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

	for _, f := range c.list("floatingips", "") {
		c.must(204, "DELETE", floatingURL(f["id"]), nil)
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
	for _, table := range []string{"routers", "router_subnets", "router_gateways", "floatingips", "ports", "allocations", "free_addresses", "pools", "subnets", "segments", "networks"} {
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

// few narrows a list to where the walkers meet, lest no two steps ever concern the same.
const few = "?limit=4"

// step picks by weight what to do.
func (w *walker) step() (int, object) {
	switch n := w.rnd.IntN(10); {
	case n < 3:
		return w.route()
	case n < 5:
		return w.goOut()
	case n < 7:
		return w.float()
	}
	return w.build()
}

// route changes a router's interfaces and routes.
func (w *walker) route() (int, object) {
	const interfaces = "?device_owner=network:router_interface"
	router := routerURL(w.one("routers", few))
	switch w.rnd.IntN(9) {
	case 0, 1, 2:
		return w.call("PUT", router+addInterface, object{"subnet_id": w.one("subnets", "")})
	case 3, 4:
		return w.call("PUT", router+addInterface, object{"port_id": w.one("ports", "")})
	case 5:
		return w.call("PUT", router+removeInterface, object{"subnet_id": w.one("subnets", "")})
	case 6:
		return w.call("PUT", router+removeInterface, object{"port_id": w.one("ports", interfaces)})
	case 7:
		return w.call("PUT", router, setRoutes("10.9.0.0/16", []string{"10.0.0.99", "10.0.1.99", "10.0.3.99", "192.0.2.99"}[w.rnd.IntN(4)]))
	}
	return w.call("PUT", router, setRoutes())
}

// goOut changes a router's gateway, or whether a network can be one.
func (w *walker) goOut() (int, object) {
	const external = few + "&router:external=true"
	router := routerURL(w.one("routers", few))
	switch w.rnd.IntN(9) {
	case 0, 1:
		return w.call("PUT", router, gatewayTo(w.one("networks", external), nil))
	case 2:
		return w.call("PUT", router, gatewayTo(w.one("networks", external), object{"enable_snat": false,
			"external_fixed_ips": []any{object{"ip_address": fmt.Sprintf("192.0.2.%d", 2+w.rnd.IntN(30))}}}))
	case 3:
		return w.call("POST", "/v2.0/routers", gatewayTo(w.one("networks", external), nil))
	case 4:
		return w.call("PUT", router, object{"router": object{"external_gateway_info": nil}})
	case 5:
		return w.call("PUT", router, object{"router": object{"external_gateway_info": object{}, "routes": []any{}}})
	case 6:
		return w.call("PUT", "/v2.0/networks/"+w.one("networks", ""), object{"network": object{"router:external": w.rnd.IntN(3) == 0}})
	}
	return w.call("DELETE", router, nil)
}

// float changes floating IPs and what they stand for.
func (w *walker) float() (int, object) {
	const external, vifs = few + "&router:external=true", "?device_owner="
	switch w.rnd.IntN(11) {
	case 8, 9:
		return w.reach("PUT", floatingURL(w.one("floatingips", few)))
	case 10:
		return w.reach("POST", "/v2.0/floatingips")
	case 0:
		return w.call("POST", "/v2.0/floatingips", object{"floatingip": object{"floating_network_id": w.one("networks", external)}})
	case 1, 2:
		return w.call("POST", "/v2.0/floatingips", object{"floatingip": object{"floating_network_id": w.one("networks", external), "port_id": w.one("ports", vifs)}})
	case 3:
		return w.call("PUT", floatingURL(w.one("floatingips", "")), to(w.one("ports", vifs)))
	case 4, 5:
		return w.call("PUT", floatingURL(w.one("floatingips", few)), to(w.one("ports", "")))
	case 6:
		return w.call("PUT", floatingURL(w.one("floatingips", few)), to(nil))
	}
	return w.call("DELETE", floatingURL(w.one("floatingips", "")), nil)
}

// reach has a floating IP stand for a port that there was a way to when the walker looked; it makes the way where there is none.
func (w *walker) reach(method, url string) (int, object) {
	router := w.one("routers", few)
	ends := w.list("ports", "?device_id="+router)
	floating, vm := object{}, object{}
	for _, p := range ends {
		switch p["device_owner"] {
		case "network:router_gateway":
			floating["floating_network_id"] = p["network_id"]
		case "network:router_interface":
			vm["network_id"] = p["network_id"]
		}
	}
	switch {
	case floating["floating_network_id"] == nil:
		return w.call("PUT", routerURL(router), gatewayTo(w.one("networks", few+"&router:external=true"), nil))
	case vm["network_id"] == nil:
		return w.call("PUT", routerURL(router)+addInterface, object{"subnet_id": w.one("subnets", "")})
	}
	status, answer := w.call("POST", "/v2.0/ports", object{"port": vm})
	if status != 201 {
		return status, answer
	}
	floating["port_id"] = answer["port"].(object)["id"]
	if method == "PUT" {
		delete(floating, "floating_network_id")
	}
	return w.call(method, url, object{"floatingip": floating})
}

// build makes and unmakes the rest.
func (w *walker) build() (int, object) {
	switch w.rnd.IntN(9) {
	case 0:
		return w.call("POST", "/v2.0/routers", object{"router": object{}})
	case 1, 2, 3:
		return w.call("POST", "/v2.0/ports", object{"port": object{"network_id": w.one("networks", "")}})
	case 4:
		return w.call("DELETE", "/v2.0/ports/"+w.one("ports", ""), nil)
	case 5:
		return w.call("PUT", "/v2.0/ports/"+w.one("ports", ""), object{"port": object{"fixed_ips": []any{object{"subnet_id": w.one("subnets", "")}}}})
	case 6:
		return w.call("PUT", "/v2.0/subnets/"+w.one("subnets", ""), object{"subnet": object{"gateway_ip": fmt.Sprintf("10.0.%d.1", w.rnd.IntN(4))}})
	case 7:
		if w.rnd.IntN(2) == 0 {
			return w.call("DELETE", "/v2.0/networks/"+w.one("networks", ""), nil)
		}
	}
	status, n := w.call("POST", "/v2.0/networks", object{"network": object{"router:external": w.rnd.IntN(3) == 0}})
	if status != 201 {
		return status, n
	}
	return w.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": n["network"].(object)["id"], "ip_version": 4,
		"cidr": fmt.Sprintf("10.0.%d.0/24", w.rnd.IntN(4))}})
}
