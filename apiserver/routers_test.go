//go:build integration

package apiserver_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func (c *client) router(attributes object) string {
	c.t.Helper()
	return c.create("router", attributes)["id"].(string)
}

// joinable is a network with one subnet.
func (c *client) joinable(cidr string, more object) (network, subnet string) {
	c.t.Helper()
	network = c.network(nil)
	return network, c.subnet(network, cidr, more)["id"].(string)
}

const addInterface, removeInterface = "/add_router_interface", "/remove_router_interface"

func routerURL(id string) string { return "/v2.0/routers/" + id }

// join and leave answer the port's id.
func (c *client) join(router string, by object) string {
	c.t.Helper()
	return c.must(200, "PUT", routerURL(router)+addInterface, by)["port_id"].(string)
}

func (c *client) leave(router string, by object) string {
	c.t.Helper()
	return c.must(200, "PUT", routerURL(router)+removeInterface, by)["port_id"].(string)
}

func routes(pairs ...string) (out []any) {
	out = []any{}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, object{"destination": pairs[i], "nexthop": pairs[i+1]})
	}
	return out
}

func setRoutes(pairs ...string) object { return object{"router": object{"routes": routes(pairs...)}} }

func TestRoutersOfQuantum(t *testing.T) {
	c := newClient(t)
	r := c.must(201, "POST", "/v2.0/routers.json", object{"router": object{"name": "routerA"}})
	for name, want := range map[string]any{"name": "routerA", "status": "ACTIVE", "external_gateway_info": nil, "admin_state_up": true,
		"tenant_id": project, "project_id": project, "description": "", "routes": []any{}, "revision_number": 1.0} {
		if got, ok := r[name]; !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	id := r["id"].(string)
	for _, cidr := range []string{"10.0.0.0/24", "10.0.1.0/24"} {
		n, s := c.joinable(cidr, nil)
		answer := c.must(200, "PUT", routerURL(id)+addInterface+".json", object{"subnet_id": s})
		port := answer["port_id"].(string)
		want := object{"id": id, "tenant_id": project, "port_id": port, "network_id": n, "subnet_id": s, "subnet_ids": []any{s}}
		if !reflect.DeepEqual(answer, want) {
			t.Errorf("answered %v, want %v", answer, want)
		}
		p := c.must(200, "GET", "/v2.0/ports/"+port, nil)
		if gateway := strings.Replace(cidr, "0/24", "1", 1); addrs(p)[0] != gateway || p["device_id"] != id ||
			p["device_owner"] != "network:router_interface" || p["admin_state_up"] != true {
			t.Errorf("interface: %v", p)
		}
		if vm := c.create("port", object{"network_id": n}); !strings.HasSuffix(addrs(vm)[0], ".3") { // .2 is DHCP's
			t.Errorf("the first VM has %v", addrs(vm))
		}
	}
	got := c.must(200, "GET", routerURL(id), nil)
	if got["revision_number"] == r["revision_number"] {
		t.Errorf("interfaces are no revision of the router: %v", got)
	}
	r["revision_number"], r["updated_at"] = got["revision_number"], got["updated_at"]
	if !reflect.DeepEqual(got, r) {
		t.Errorf("interfaces changed the router: %v", got)
	}
}

func TestRoutersAreUpdatedListedAndDeleted(t *testing.T) {
	c := newClient(t)
	status, answer := c.call("POST", "/v2.0/routers", object{"routers": []any{
		object{"name": "a"}, object{"name": "b", "admin_state_up": false, "project_id": "other", "description": "d"}}})
	if status != 201 || len(answer["routers"].([]any)) != 2 {
		t.Fatalf("%d %v", status, answer)
	}
	c.refused(400, "HTTPBadRequest", "POST", "/v2.0/routers", object{"routers": []any{object{"name": "c"}, object{"colour": "red"}}})
	a := c.list("routers", "?name=a")[0]
	for query, want := range map[string]string{
		"": "a b", "name=b": "b", "name=c": "", "id=" + a["id"].(string): "a", "project_id=other": "b", "tenant_id=" + project: "a",
		"admin_state_up=true": "a", "admin_state_up=False&admin_state_up=true": "a b", "status=ACTIVE": "a b", "status=DOWN": "",
	} {
		var names []string
		for _, r := range c.list("routers", "?sort_key=name&sort_dir=asc&"+query) {
			names = append(names, r["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	c.refused(400, "HTTPBadRequest", "GET", "/v2.0/routers?routes=x", nil)

	url := routerURL(a["id"].(string))
	if same := c.must(200, "PUT", url, object{"router": object{"name": "a", "routes": []any{}, "external_gateway_info": nil}}); !reflect.DeepEqual(a, same) {
		t.Errorf("an update that changes nothing changed %v to %v", a, same)
	}
	seen := c.as(map[string]string{"If-Match": "revision_number=1"})
	if r := seen.must(200, "PUT", url, object{"router": object{"name": "x", "description": "y", "admin_state_up": false}}); r["name"] != "x" ||
		r["description"] != "y" || r["admin_state_up"] != false || r["revision_number"] != 2.0 {
		t.Errorf("updated: %v", r)
	}
	seen.refused(412, "RevisionNumberConstraintFailed", "PUT", url, object{"router": object{"name": "z"}})
	seen.refused(412, "RevisionNumberConstraintFailed", "DELETE", url, nil)
	for action, body := range map[string]object{
		"add_router_interface": {"subnet_id": uuid.NewString()}, "remove_router_interface": {"subnet_id": uuid.NewString()},
		"add_extraroutes": {"router": object{"routes": []any{}}}, "remove_extraroutes": {"router": object{"routes": []any{}}},
	} {
		seen.refused(412, "RevisionNumberConstraintFailed", "PUT", url+"/"+action, body)
	}
	c.must(204, "DELETE", url, nil)
	c.refused(404, "RouterNotFound", "DELETE", url, nil)
	c.refused(404, "RouterNotFound", "GET", routerURL("nope"), nil)
	c.refused(404, "RouterNotFound", "PUT", "/v2.0/routers", object{"router": object{}})
}

func TestRoutersThatCannotBeAreRefused(t *testing.T) {
	c := newClient(t)
	r := routerURL(c.router(nil))
	for _, test := range []struct {
		name, method, path string
		attributes         object
	}{
		{"HTTPBadRequest", "POST", "/v2.0/routers", object{"routes": routes("10.9.0.0/16", "10.0.0.9")}},
		{"HTTPBadRequest", "POST", "/v2.0/routers", object{"distributed": true}},
		{"HTTPBadRequest", "PUT", r, object{"status": "DOWN"}},
		{"HTTPBadRequest", "PUT", r, object{"tenant_id": "x"}},
		{"InvalidInput", "PUT", r, object{"admin_state_up": "maybe"}},
	} {
		c.refused(400, test.name, test.method, test.path, object{"router": test.attributes})
	}
}

func TestInterfacesThatCannotBeAreRefused(t *testing.T) {
	c := newClient(t)
	id := c.router(nil)
	n, s := c.joinable("10.0.0.0/24", nil)
	c.join(id, object{"subnet_id": s})
	_, overlapping := c.joinable("10.0.0.128/25", nil)
	_, noGateway := c.joinable("10.1.0.0/24", object{"gateway_ip": nil})
	_, v6 := c.joinable("fd00::/64", nil)
	n2, s2 := c.joinable("10.2.0.0/24", nil)
	port := func(attributes object) string {
		attributes["network_id"] = n2
		return c.create("port", attributes)["id"].(string)
	}
	at := func(ips ...string) (fixed []any) {
		for _, ip := range ips {
			fixed = append(fixed, object{"ip_address": ip})
		}
		return fixed
	}
	port(object{"fixed_ips": at("10.2.0.1")}) // somebody has the gateway's address
	second := c.subnet(n, "10.3.0.0/24", nil)["id"].(string)
	nobody := "11111111-1111-1111-1111-111111111111"
	for _, test := range []struct {
		status int
		name   string
		action string
		by     any
	}{
		{400, "BadRequest", addInterface, object{}},
		{400, "BadRequest", addInterface, nil},
		{400, "BadRequest", addInterface, object{"subnet_id": s2, "port_id": nobody}},
		{400, "BadRequest", addInterface, object{"subnet_id": "x"}},
		{400, "HTTPBadRequest", addInterface, object{"network_id": n2}},
		{400, "HTTPBadRequest", addInterface, []any{}},
		{404, "SubnetNotFound", addInterface, object{"subnet_id": nobody}},
		{404, "PortNotFound", addInterface, object{"port_id": nobody}},
		{400, "BadRequest", addInterface, object{"subnet_id": s}},
		{400, "BadRequest", addInterface, object{"subnet_id": overlapping}},
		{400, "BadRequest", addInterface, object{"subnet_id": noGateway}},
		{400, "BadRequest", addInterface, object{"subnet_id": v6}},
		{409, "IpAddressAlreadyAllocated", addInterface, object{"subnet_id": s2}},
		{409, "PortInUse", addInterface, object{"port_id": port(object{"device_id": "vm"})}},
		{409, "PortInUse", addInterface, object{"port_id": c.dhcpPorts(n2)[0]["id"]}},
		{400, "BadRequest", addInterface, object{"port_id": port(object{"fixed_ips": []any{}})}},
		{400, "BadRequest", addInterface, object{"port_id": port(object{"fixed_ips": at("10.2.0.20", "10.2.0.21")})}},
		{400, "BadRequest", addInterface, object{"port_id": port(object{"mac_address": "01:00:5e:00:00:01"})}},

		{400, "BadRequest", removeInterface, object{}},
		{404, "SubnetNotFound", removeInterface, object{"subnet_id": nobody}},
		{404, "RouterInterfaceNotFoundForSubnet", removeInterface, object{"subnet_id": s2}},
		{404, "RouterInterfaceNotFound", removeInterface, object{"port_id": port(object{})}},
		{400, "SubnetMismatchForPort", removeInterface, object{"port_id": c.join(id, object{"subnet_id": second}), "subnet_id": s}},
	} {
		c.refused(test.status, test.name, "PUT", routerURL(id)+test.action, test.by)
	}
	c.refused(404, "RouterNotFound", "PUT", routerURL(nobody)+addInterface, object{"subnet_id": s2})
	if ports := c.list("ports", "?device_id="+id); len(ports) != 2 {
		t.Errorf("interfaces: %v", ports)
	}
	c.leave(id, object{"subnet_id": s})
	c.join(id, object{"subnet_id": overlapping}) // there is room now
}

func TestPortBecomesARoutersInterface(t *testing.T) {
	c := newClient(t)
	id, other := c.router(object{"project_id": "other"}), c.router(nil)
	n, s := c.joinable("10.0.0.0/24", object{"gateway_ip": nil})
	p := c.create("port", object{"network_id": n, "name": "mine", "fixed_ips": []any{object{"ip_address": "10.0.0.254"}}})
	by := object{"port_id": p["id"]}
	if got := c.join(id, by); got != p["id"] {
		t.Errorf("joined by %s", got)
	}
	url := "/v2.0/ports/" + p["id"].(string)
	got := c.must(200, "GET", url, nil)
	if got["device_owner"] != "network:router_interface" || got["device_id"] != id || got["name"] != "mine" || got["tenant_id"] != project ||
		addrs(got)[0] != "10.0.0.254" || got["mac_address"] != p["mac_address"] {
		t.Errorf("interface: %v", got)
	}
	c.refused(409, "PortInUse", "PUT", routerURL(other)+addInterface, by)
	c.refused(409, "PortInUse", "PUT", routerURL(id)+addInterface, by)
	named := c.create("port", object{"network_id": n, "device_id": other, "device_owner": "network:router_interface"})
	c.must(204, "DELETE", routerURL(c.router(nil)), nil) // what a client writes of a port binds no router
	c.join(other, object{"port_id": named["id"]})
	c.leave(other, object{"port_id": named["id"], "subnet_id": s})
	c.leave(id, by)
	c.refused(404, "PortNotFound", "GET", url, nil)
}

func TestRoutersInterfaceIsTheRoutersAlone(t *testing.T) {
	c := newClient(t)
	id := c.router(nil)
	n, s := c.joinable("10.0.0.0/24", nil)
	port := "/v2.0/ports/" + c.join(id, object{"subnet_id": s})
	before := c.must(200, "GET", port, nil)
	c.refused(409, "ServicePortInUse", "DELETE", port, nil)
	for name, v := range map[string]any{"fixed_ips": []any{object{"ip_address": "10.0.0.9"}}, "mac_address": "fa:16:3e:00:00:09",
		"device_id": "", "device_owner": "compute:nova"} {
		c.refused(409, "ServicePortInUse", "PUT", port, object{"port": object{name: v}})
	}
	c.subnet(n, "fd01::/64", object{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}) // reaches hosts, not routers
	if got := c.must(200, "GET", port, nil); !reflect.DeepEqual(got, before) {
		t.Errorf("was %v, is %v", before, got)
	}
	if p := c.must(200, "PUT", port, object{"port": object{"name": "eth0", "admin_state_up": false}}); p["name"] != "eth0" || p["admin_state_up"] != false {
		t.Errorf("updated: %v", p)
	}
	subnet := "/v2.0/subnets/" + s
	c.refused(409, "RouterInUse", "DELETE", routerURL(id), nil)
	c.refused(409, "NetworkInUse", "DELETE", "/v2.0/networks/"+n, nil)
	c.refused(409, "SubnetInUse", "DELETE", subnet, nil)
	c.refused(409, "GatewayIpInUse", "PUT", subnet, object{"subnet": object{"gateway_ip": nil}})
	c.refused(409, "GatewayIpInUse", "PUT", subnet, object{"subnet": object{"gateway_ip": "10.0.0.254"}})
	c.must(200, "PUT", subnet, object{"subnet": object{"gateway_ip": "10.0.0.1", "enable_dhcp": false}})
	c.leave(id, object{"subnet_id": s})
	c.must(200, "PUT", subnet, object{"subnet": object{"gateway_ip": nil}})
	c.must(204, "DELETE", routerURL(id), nil)
	c.must(204, "DELETE", "/v2.0/networks/"+n, nil)
}

func TestStaticRoutesGoByTheRoutersSubnets(t *testing.T) {
	c := newClient(t)
	id := c.router(nil)
	_, a := c.joinable("10.0.0.0/24", nil)
	_, b := c.joinable("10.1.0.0/24", nil)
	c.join(id, object{"subnet_id": a})
	c.join(id, object{"subnet_id": b})
	url := routerURL(id)
	r := c.must(200, "PUT", url, setRoutes("10.9.0.0/16", "10.0.0.9", "0.0.0.0/0", "10.1.0.9", "10.9.0.0/16", "10.1.0.9"))
	if !reflect.DeepEqual(r["routes"], routes("10.9.0.0/16", "10.0.0.9", "0.0.0.0/0", "10.1.0.9", "10.9.0.0/16", "10.1.0.9")) {
		t.Errorf("routes: %v", r)
	}
	many := []string{}
	for i := range 31 {
		many = append(many, fmt.Sprintf("10.%d.0.0/16", 100+i), "10.0.0.9")
	}
	for _, test := range []struct {
		name   string
		routes []string
	}{
		{"InvalidRoutes", []string{"10.9.0.0/16", "10.7.0.9"}},
		{"InvalidRoutes", []string{"10.9.0.0/16", "10.0.0.9", "10.8.0.0/16", "10.0.0.1"}},
		{"InvalidRoutes", []string{"fd00::/64", "10.0.0.9"}},
		{"InvalidRoutes", []string{"fd00::/64", "fd01::1"}},
		{"HTTPBadRequest", []string{"10.9.0.0/16", "10.0.0.9", "10.9.0.0/16", "10.0.0.9"}},
		{"HTTPBadRequest", []string{"10.9.0.0/16", "x"}},
		{"RoutesExhausted", many},
	} {
		c.refused(400, test.name, "PUT", url, setRoutes(test.routes...))
	}
	c.refused(409, "RouterInterfaceInUseByRoute", "PUT", url+removeInterface, object{"subnet_id": b})

	change := func(action string, pairs ...string) any {
		t.Helper()
		return c.must(200, "PUT", url+action, setRoutes(pairs...))["routes"]
	}
	if got := change("/remove_extraroutes", "0.0.0.0/0", "10.1.0.9", "10.9.0.0/16", "10.1.0.9", "10.77.0.0/16", "10.1.0.9"); !reflect.DeepEqual(got, routes("10.9.0.0/16", "10.0.0.9")) {
		t.Errorf("routes: %v", got)
	}
	c.leave(id, object{"subnet_id": b})
	c.refused(400, "InvalidRoutes", "PUT", url+"/add_extraroutes", setRoutes("10.8.0.0/16", "10.1.0.9"))
	c.refused(400, "BadRequest", "PUT", url+"/add_extraroutes", object{"router": object{"name": "x"}})
	if got := change("/add_extraroutes", "10.9.0.0/16", "10.0.0.9", "10.8.0.0/16", "10.0.0.8"); !reflect.DeepEqual(got, routes("10.9.0.0/16", "10.0.0.9", "10.8.0.0/16", "10.0.0.8")) {
		t.Errorf("routes: %v", got)
	}
	c.refused(409, "RouterInterfaceInUseByRoute", "PUT", url+removeInterface, object{"subnet_id": a})
	if got := c.must(200, "PUT", url, object{"router": object{"routes": nil}}); !reflect.DeepEqual(got["routes"], []any{}) {
		t.Errorf("routes: %v", got)
	}
	c.leave(id, object{"subnet_id": a})
	c.must(204, "DELETE", url, nil)
}

func TestMembersJoinOnlyWhatIsTheirs(t *testing.T) {
	admin := newClient(t)
	member := admin.as(map[string]string{"X-Project-Id": "m", "X-Roles": "member"})
	foreign, own := admin.router(nil), member.router(nil)
	n, s := member.joinable("10.0.0.0/24", nil)
	_, hidden := admin.joinable("10.1.0.0/24", nil)
	shared := admin.network(object{"shared": true})
	guest := admin.subnet(shared, "10.2.0.0/24", nil)["id"]
	add := func(r string) string { return routerURL(r) + addInterface }

	member.refused(404, "RouterNotFound", "GET", routerURL(foreign), nil)
	member.refused(404, "RouterNotFound", "PUT", routerURL(foreign), object{"router": object{"name": "x"}})
	member.refused(404, "RouterNotFound", "DELETE", routerURL(foreign), nil)
	member.refused(404, "RouterNotFound", "PUT", add(foreign), object{"subnet_id": s})
	member.refused(404, "SubnetNotFound", "PUT", add(own), object{"subnet_id": hidden})
	member.refused(400, "BadRequest", "PUT", add(own), object{"subnet_id": guest}) // it would be the gateway of everybody there
	member.refused(400, "HTTPBadRequest", "POST", "/v2.0/routers", object{"router": object{"project_id": "other"}})
	others := admin.create("port", object{"network_id": n, "project_id": "other"})
	member.refused(403, "PolicyNotAuthorized", "PUT", add(own), object{"port_id": others["id"]})
	if list := member.list("routers", ""); len(list) != 1 || list[0]["id"] != own {
		t.Errorf("a member sees %v", list)
	}

	if p := member.join(own, object{"subnet_id": s}); member.must(200, "GET", "/v2.0/ports/"+p, nil)["tenant_id"] != "m" {
		t.Error("the interface is not the member's")
	}
	mine := member.create("port", object{"network_id": shared})
	member.join(own, object{"port_id": mine["id"]}) // a guest's own port is but one address of many
	admin.join(own, object{"subnet_id": hidden})
	if got := len(member.list("ports", "?device_owner=network:router_interface")); got != 3 {
		t.Errorf("the member sees %d of the router's 3 interfaces", got)
	}
}
