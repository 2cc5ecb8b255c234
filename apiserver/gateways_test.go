//go:build integration

package apiserver_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// outside is an external network with a subnet that has no DHCP.
func (c *client) outside(cidr string) (network, subnet string) {
	c.t.Helper()
	network = c.network(object{"router:external": true})
	return network, c.subnet(network, cidr, object{"enable_dhcp": false})["id"].(string)
}

// gatewayTo is the body that sets a router's gateway; more comes beside the network.
func gatewayTo(network any, more object) object {
	info := object{"network_id": network}
	for k, v := range more {
		info[k] = v
	}
	return object{"router": object{"external_gateway_info": info}}
}

func at(subnet any, ip string) object { return object{"subnet_id": subnet, "ip_address": ip} }

// gatewayPorts are the gateway ports of a router.
func (c *client) gatewayPorts(router string) []object {
	c.t.Helper()
	return c.list("ports", "?device_owner=network:router_gateway&device_id="+router)
}

func TestSessionOfQuantum(t *testing.T) {
	c := newClient(t)
	net1, subnet1 := c.joinable("10.0.0.0/24", nil)
	c.create("port", object{"network_id": net1, "name": "port1", "fixed_ips": []any{at(subnet1, "10.0.0.11")}})
	_, subnet2 := c.joinable("10.0.1.0/24", nil)
	ext := c.network(object{"name": "net-ext", "router:external": "True"})
	outside := c.subnet(ext, "192.168.0.0/24", object{"gateway_ip": "192.168.0.1", "enable_dhcp": "False"})["id"]
	router := c.router(object{"name": "routerA"})
	r := c.must(200, "PUT", routerURL(router)+".json", gatewayTo(ext, nil))
	want := object{"network_id": ext, "enable_snat": true, "external_fixed_ips": []any{at(outside, "192.168.0.2")}}
	if !reflect.DeepEqual(r["external_gateway_info"], want) {
		t.Errorf("the gateway is %v, want %v", r["external_gateway_info"], want)
	}
	for subnet, address := range map[string]string{subnet1: "10.0.0.1", subnet2: "10.0.1.1"} {
		if p := c.must(200, "GET", "/v2.0/ports/"+c.join(router, object{"subnet_id": subnet}), nil); addrs(p)[0] != address {
			t.Errorf("interface %v, want %s", p, address)
		}
	}
	vm := c.create("port", object{"network_id": net1, "device_id": "vm"})
	if addrs(vm)[0] != "10.0.0.3" {
		t.Errorf("the VM has %v", addrs(vm))
	}
	f := c.must(201, "POST", "/v2.0/floatingips.json", object{"floatingip": object{"floating_network_id": ext}})
	for name, want := range map[string]any{"floating_ip_address": "192.168.0.3", "router_id": nil, "fixed_ip_address": nil, "port_id": nil,
		"floating_network_id": ext, "tenant_id": project, "status": "DOWN", "port_details": nil} {
		if got, ok := f[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	url := floatingURL(f["id"])
	c.must(200, "PUT", url+".json", object{"floatingip": object{"port_id": vm["id"]}})
	f = c.must(200, "GET", url+".json", nil)
	if f["fixed_ip_address"] != "10.0.0.3" || f["router_id"] != router || f["port_id"] != vm["id"] {
		t.Errorf("associated: %v", f)
	}
}

func TestGatewayIsSetChangedAndCleared(t *testing.T) {
	c := newClient(t)
	ext, s := c.outside("192.0.2.0/24")
	other, s2 := c.outside("198.51.100.0/24")
	r := c.create("router", object{"external_gateway_info": object{"network_id": ext, "enable_snat": false}})
	id, url := r["id"].(string), routerURL(r["id"].(string))
	is := func(r object, network, subnet string, snat bool, ips ...string) {
		t.Helper()
		fixed := []any{}
		for _, ip := range ips {
			fixed = append(fixed, at(subnet, ip))
		}
		want := object{"network_id": network, "enable_snat": snat, "external_fixed_ips": fixed}
		if !reflect.DeepEqual(r["external_gateway_info"], want) {
			t.Errorf("the gateway is %v, want %v", r["external_gateway_info"], want)
		}
		ports := c.gatewayPorts(id)
		if len(ports) != 1 || !reflect.DeepEqual(ports[0]["fixed_ips"], any(fixed)) || ports[0]["network_id"] != network ||
			ports[0]["project_id"] != "" || ports[0]["status"] != "DOWN" {
			t.Errorf("its ports are %v", ports)
		}
	}
	is(r, ext, s, false, "192.0.2.2")
	port := c.gatewayPorts(id)[0]["id"]
	set := func(body object) object { t.Helper(); return c.must(200, "PUT", url, body) }

	is(set(object{"router": object{"name": "x"}}), ext, s, false, "192.0.2.2")
	is(set(gatewayTo(ext, object{"enable_snat": false})), ext, s, false, "192.0.2.2")
	is(set(gatewayTo(ext, nil)), ext, s, true, "192.0.2.2") // SNAT is what holds unless it is said
	is(set(gatewayTo(ext, object{"external_fixed_ips": []any{object{"ip_address": "192.0.2.9"}}})), ext, s, true, "192.0.2.9")
	is(set(gatewayTo(ext, object{"external_fixed_ips": []any{object{"subnet_id": s}}})), ext, s, true, "192.0.2.9")
	is(set(gatewayTo(ext, object{"external_fixed_ips": []any{at(s, "192.0.2.9"), at(s, "192.0.2.7")}})), ext, s, true, "192.0.2.9", "192.0.2.7")
	if got := c.gatewayPorts(id)[0]["id"]; got != port {
		t.Errorf("the gateway's port changed from %v to %v", port, got)
	}
	before := c.must(200, "GET", url, nil)
	if after := set(gatewayTo(ext, nil)); !reflect.DeepEqual(before, after) {
		t.Errorf("an update that changes nothing changed %v to %v", before, after)
	}
	is(set(gatewayTo(other, object{"external_fixed_ips": []any{object{"ip_address": "198.51.100.77"}}})), other, s2, true, "198.51.100.77")
	for _, none := range []any{nil, object{}} {
		if r := set(object{"router": object{"external_gateway_info": none}}); r["external_gateway_info"] != nil || len(c.gatewayPorts(id)) != 0 {
			t.Errorf("cleared: %v, %v", r, c.gatewayPorts(id))
		}
		is(set(gatewayTo(other, nil)), other, s2, true, "198.51.100.2")
	}
	c.must(204, "DELETE", url, nil)
	if left := c.list("ports", ""); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestGatewaysThatCannotBeAreRefused(t *testing.T) {
	c := newClient(t)
	ext, s := c.outside("192.0.2.0/24")
	v6 := c.subnet(ext, "fd00::/64", object{"enable_dhcp": false})["id"]
	bare := c.network(object{"router:external": true})
	c.subnet(bare, "fd01::/64", nil)
	inside, joined := c.joinable("10.0.0.0/24", nil)
	overlapping, _ := c.outside("10.0.0.0/16")
	full, _ := c.outside("203.0.113.0/30")
	c.create("port", object{"network_id": full})
	taken := c.create("port", object{"network_id": ext, "fixed_ips": []any{at(s, "192.0.2.50")}})
	nobody := "11111111-1111-1111-1111-111111111111"
	r := c.router(nil)
	c.join(r, object{"subnet_id": joined})
	fixed := func(f ...any) object { return object{"external_fixed_ips": f} }
	for _, test := range []struct {
		status  int
		name    string
		network string
		more    object
		says    string
	}{
		{404, "NetworkNotFound", nobody, nil, nobody},
		{400, "BadRequest", inside, nil, "is not an external network"},
		{400, "BadRequest", bare, nil, "IPv4"},
		{400, "BadRequest", overlapping, nil, "overlaps"},
		{409, "IpAddressGenerationFailure", full, nil, full},
		{409, "IpAddressAlreadyAllocated", ext, fixed(object{"ip_address": addrs(taken)[0]}), "192.0.2.50"},
		{400, "BadRequest", ext, fixed(object{"ip_address": "192.0.2.1"}), "gateway IP"},
		{400, "BadRequest", ext, fixed(object{"ip_address": "fd00::9"}), "IPv6"},
		{400, "BadRequest", ext, fixed(object{"subnet_id": v6}), "IPv6"},
		{400, "InvalidIpForNetwork", ext, fixed(object{"ip_address": "198.51.100.1"}), "198.51.100.1"},
		{400, "InvalidIpForSubnet", ext, fixed(at(s, "198.51.100.1")), "198.51.100.1"},
		{400, "InvalidInput", ext, fixed(object{"subnet_id": joined}), joined},
		{400, "HTTPBadRequest", ext, fixed(object{}), "external_gateway_info"},
		{400, "HTTPBadRequest", ext, object{"colour": "red"}, "colour"},
		{400, "HTTPBadRequest", "x", nil, "UUID"},
		{400, "InvalidInput", ext, object{"enable_snat": "perhaps"}, "boolean"},
	} {
		if says := c.refused(test.status, test.name, "PUT", routerURL(r), gatewayTo(test.network, test.more)); !strings.Contains(says, test.says) {
			t.Errorf("%s: %q does not say %q", test.name, says, test.says)
		}
		if test.network == overlapping { // a router that joins nothing may go there
			continue
		}
		c.refused(test.status, test.name, "POST", "/v2.0/routers", gatewayTo(test.network, test.more))
	}
	c.refused(400, "HTTPBadRequest", "PUT", routerURL(r), object{"router": object{"external_gateway_info": object{"enable_snat": true}}})
	if got := len(c.list("routers", "")); got != 1 {
		t.Errorf("%d routers", got)
	}
	if got := c.list("ports", "?device_owner=network:router_gateway"); len(got) != 0 {
		t.Errorf("gateways: %v", got)
	}

	c.must(200, "PUT", routerURL(r), gatewayTo(ext, nil)) // over what is there, IPv6 among it
	if ips := addrs(c.gatewayPorts(r)[0]); len(ips) != 1 || ips[0] != "192.0.2.2" {
		t.Errorf("the gateway has %v", ips)
	}
	_, near := c.joinable("192.0.2.128/25", nil)
	c.refused(400, "BadRequest", "PUT", routerURL(r)+addInterface, object{"subnet_id": near})
	c.refused(400, "BadRequest", "PUT", routerURL(r)+addInterface, object{"port_id": taken["id"]})
}

func TestGatewayIsNotForThePortAPI(t *testing.T) {
	c := newClient(t)
	ext, s := c.outside("192.0.2.0/24")
	r := c.create("router", object{"external_gateway_info": object{"network_id": ext}})
	f := c.create("floatingip", object{"floating_network_id": ext})
	for owner, device := range map[string]any{"network:router_gateway": r["id"], "network:floatingip": f["id"]} {
		ports := c.list("ports", "?device_owner="+owner)
		if len(ports) != 1 || ports[0]["device_id"] != device || ports[0]["project_id"] != "" {
			t.Fatalf("ports of %s: %v", owner, ports)
		}
		url := "/v2.0/ports/" + ports[0]["id"].(string)
		if says := c.refused(409, "ServicePortInUse", "DELETE", url, nil); !strings.Contains(says, "cannot be deleted directly via the port API: has device owner "+owner) {
			t.Error(says)
		}
		for _, change := range []object{{"fixed_ips": []any{}}, {"device_id": ""}, {"device_owner": "x"}, {"mac_address": "fa:16:3e:00:00:01"}} {
			c.refused(409, "ServicePortInUse", "PUT", url, object{"port": change})
		}
		c.refused(409, "PortInUse", "PUT", routerURL(c.router(nil))+addInterface, object{"port_id": ports[0]["id"]})
	}
	c.refused(409, "NetworkInUse", "DELETE", "/v2.0/networks/"+ext, nil)
	c.refused(409, "SubnetInUse", "DELETE", "/v2.0/subnets/"+s, nil)
	inward := object{"network": object{"router:external": false}}
	if says := c.refused(409, "ExternalNetworkInUse", "PUT", "/v2.0/networks/"+ext, inward); !strings.Contains(says, "gateway ports") {
		t.Error(says)
	}
	c.must(204, "DELETE", routerURL(r["id"].(string)), nil)
	if says := c.refused(409, "ExternalNetworkInUse", "PUT", "/v2.0/networks/"+ext, inward); !strings.Contains(says, "floating IPs") {
		t.Error(says)
	}
	c.must(200, "PUT", "/v2.0/networks/"+ext, object{"network": object{"name": "x", "router:external": true}})
	c.must(204, "DELETE", floatingURL(f["id"]), nil)
	c.must(200, "PUT", "/v2.0/networks/"+ext, inward)
	c.must(204, "DELETE", "/v2.0/networks/"+ext, nil)
}

func TestRoutesGoByTheGateway(t *testing.T) {
	c := newClient(t)
	ext, _ := c.outside("192.0.2.0/24")
	id := c.router(nil)
	url := routerURL(id)
	c.refused(400, "InvalidRoutes", "PUT", url, setRoutes("10.9.0.0/16", "192.0.2.9"))
	both := gatewayTo(ext, nil)
	both["router"].(object)["routes"] = routes("10.9.0.0/16", "192.0.2.9")
	c.must(200, "PUT", url, both)
	c.refused(400, "InvalidRoutes", "PUT", url, setRoutes("10.9.0.0/16", "192.0.2.2")) // the router's own
	c.refused(409, "RouterInterfaceInUseByRoute", "PUT", url, object{"router": object{"external_gateway_info": nil}})
	none := object{"router": object{"external_gateway_info": nil, "routes": routes("10.9.0.0/16", "192.0.2.8")}}
	c.refused(400, "InvalidRoutes", "PUT", url, none)
	none["router"].(object)["routes"] = []any{}
	if r := c.must(200, "PUT", url, none); r["external_gateway_info"] != nil || len(r["routes"].([]any)) != 0 {
		t.Errorf("cleared: %v", r)
	}
	c.must(200, "PUT", url, both)
	c.must(204, "DELETE", url, nil)
}

func TestMembersGoOutAsTheyAreLet(t *testing.T) {
	admin := newClient(t)
	member := admin.as(map[string]string{"X-Project-Id": "m", "X-Roles": "member"})
	ext, s := admin.outside("192.0.2.0/24")
	admin.subnet(ext, "198.51.100.0/24", object{"enable_dhcp": false})
	hidden := admin.network(nil)
	if seen := member.list("networks", "?router:external=true"); len(seen) != 1 || seen[0]["id"] != ext {
		t.Errorf("a member sees %v", seen)
	}
	r := routerURL(member.router(nil))
	for part, more := range map[string]object{
		"enable_snat": {"enable_snat": true}, "external_fixed_ips": {"external_fixed_ips": []any{object{"subnet_id": s}}},
	} {
		if says := member.refused(403, "PolicyNotAuthorized", "PUT", r, gatewayTo(ext, more)); !strings.Contains(says, "rule:update_router:external_gateway_info:"+part) {
			t.Error(says)
		}
		member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/routers", gatewayTo(ext, more))
	}
	member.refused(404, "NetworkNotFound", "PUT", r, gatewayTo(hidden, nil))
	member.must(200, "PUT", r, gatewayTo(ext, nil))
	if seen := member.list("ports", ""); len(seen) != 0 {
		t.Errorf("a member sees the gateway's port: %v", seen)
	}
	member.must(200, "PUT", r, object{"router": object{"external_gateway_info": object{}}})

	port := object{"port": object{"network_id": ext}}
	member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", port)
	member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", object{"ports": []any{port["port"], port["port"]}})
	admin.must(200, "PUT", "/v2.0/networks/"+ext, object{"network": object{"shared": true}})
	member.must(201, "POST", "/v2.0/ports", port)
}

func TestExternalNetworksGetTheTypeThatIsSetForThem(t *testing.T) {
	dsn := storetest.StartForTest(t)
	made := func(change func(*neutron.Settings), attributes object) (int, object) {
		s := settings
		change(&s)
		c := &client{t: t, handler: newServer(t, dsn, s)}
		status, answer := c.call("POST", "/v2.0/networks", object{"network": attributes})
		n, _ := answer["network"].(object)
		return status, n
	}
	external := object{"router:external": true}
	as := func(typ, physical any, change func(*neutron.Settings), attributes object) {
		t.Helper()
		if status, n := made(change, attributes); status != 201 || n["provider:network_type"] != typ || n["provider:physical_network"] != physical {
			t.Errorf("%d %v, want %v on %v", status, n, typ, physical)
		}
	}
	flat := func(s *neutron.Settings) { s.ExternalNetworkType, s.FlatNetworks = "flat", "*,a,b" }
	as("vxlan", nil, func(*neutron.Settings) {}, external)
	as("flat", "a", flat, external)
	as("flat", "b", flat, external)
	if status, n := made(flat, external); status != 409 {
		t.Errorf("%d %v, where no physical network is left", status, n)
	}
	as("vxlan", nil, flat, object{})
	as("vlan", "physnet1", flat, object{"router:external": true, "provider:network_type": "vlan"})
	as("vlan", "physnet1", func(s *neutron.Settings) { s.ExternalNetworkType = "vlan" }, external)
	as("gre", nil, func(s *neutron.Settings) { s.ExternalNetworkType = "gre" }, external)
	as("local", nil, func(s *neutron.Settings) { s.ExternalNetworkType = "local" }, external)
}
