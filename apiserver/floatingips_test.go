//go:build integration

package apiserver_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func floatingURL(id any) string { return "/v2.0/floatingips/" + id.(string) }

func to(port any) object { return object{"floatingip": object{"port_id": port}} }

// site is a router between an external network and an inner one.
type site struct{ ext, extSubnet, net, subnet, router string }

func (c *client) site(outer, inner string) (s site) {
	c.t.Helper()
	s.ext, s.extSubnet = c.outside(outer)
	s.net, s.subnet = c.joinable(inner, nil)
	s.router = c.router(object{"external_gateway_info": object{"network_id": s.ext}})
	c.join(s.router, object{"subnet_id": s.subnet})
	return s
}

func (c *client) vm(network string, more object) object {
	c.t.Helper()
	attributes := object{"network_id": network, "device_id": "vm", "device_owner": "compute:nova"}
	for k, v := range more {
		attributes[k] = v
	}
	return c.create("port", attributes)
}

// stands reports where a floating IP does not stand for what it should; nil: nothing.
func stands(t *testing.T, f object, port object, ip, router any) {
	t.Helper()
	var id, details any
	if port != nil {
		id = port["id"]
		d := object{}
		for _, name := range []string{"name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner"} {
			d[name] = port[name]
		}
		details = d
	}
	if f["port_id"] != id || f["fixed_ip_address"] != ip || f["router_id"] != router || !reflect.DeepEqual(f["port_details"], details) || f["status"] != "DOWN" {
		t.Errorf("floating IP %v, want it to stand for %v of %v by %v", f, ip, port, router)
	}
}

func TestFloatingIPsAreAssociatedAndDisassociated(t *testing.T) {
	c := newClient(t)
	s := c.site("192.0.2.0/24", "10.0.0.0/24")
	a, b := c.vm(s.net, nil), c.vm(s.net, nil)
	f := c.create("floatingip", object{"floating_network_id": s.ext, "port_id": a["id"], "description": "d", "project_id": "other",
		"dns_name": "www", "dns_domain": "example.org."})
	if f["floating_ip_address"] != "192.0.2.3" || f["description"] != "d" || f["tenant_id"] != "other" ||
		f["dns_name"] != "www" || f["dns_domain"] != "example.org." {
		t.Errorf("floating IP: %v", f)
	}
	if _, shown := f["subnet_id"]; shown {
		t.Errorf("floating IP: %v", f)
	}
	stands(t, f, a, "10.0.0.3", s.router)
	url := floatingURL(f["id"])
	put := func(body object) object { t.Helper(); return c.must(200, "PUT", url, object{"floatingip": body}) }

	stands(t, put(object{"description": "x"}), a, "10.0.0.3", s.router)
	before := c.must(200, "GET", url, nil)
	if after := put(object{"port_id": a["id"], "description": "x"}); !reflect.DeepEqual(before, after) {
		t.Errorf("an update that changes nothing changed %v to %v", before, after)
	}
	stands(t, put(object{"port_id": b["id"]}), b, "10.0.0.4", s.router)
	stands(t, put(object{"port_id": a["id"], "fixed_ip_address": "10.0.0.3"}), a, "10.0.0.3", s.router)
	stands(t, put(object{"port_id": nil}), nil, nil, nil)
	stands(t, put(object{"port_id": nil, "fixed_ip_address": nil}), nil, nil, nil)
	stands(t, put(object{"port_id": a["id"], "fixed_ip_address": nil}), a, "10.0.0.3", s.router)
	stands(t, put(object{}), nil, nil, nil) // as Quantum's clients did it
	stands(t, put(object{"port_id": a["id"]}), a, "10.0.0.3", s.router)

	seen := c.as(map[string]string{"If-Match": "revision_number=1"})
	seen.refused(412, "RevisionNumberConstraintFailed", "PUT", url, to(nil))
	seen.refused(412, "RevisionNumberConstraintFailed", "DELETE", url, nil)
	c.must(204, "DELETE", url, nil)
	c.refused(404, "FloatingIPNotFound", "DELETE", url, nil)
	c.refused(404, "FloatingIPNotFound", "PUT", url, to(nil))
	c.refused(404, "FloatingIPNotFound", "GET", floatingURL("nope"), nil)
	c.refused(404, "FloatingIPNotFound", "PUT", "/v2.0/floatingips", to(nil))
	if left := c.list("ports", "?device_owner=network:floatingip"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFloatingIPsAreListedAndMadeTogether(t *testing.T) {
	c := newClient(t)
	s := c.site("192.0.2.0/24", "10.0.0.0/24")
	vm := c.vm(s.net, nil)
	of := func(more object) object {
		o := object{"floating_network_id": s.ext}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	c.refused(409, "FloatingIPPortAlreadyAssociated", "POST", "/v2.0/floatingips", object{"floatingips": []any{of(object{"port_id": vm["id"]}), of(object{"port_id": vm["id"]})}})
	status, answer := c.call("POST", "/v2.0/floatingips", object{"floatingips": []any{
		of(object{"port_id": vm["id"], "description": "a"}), of(object{"floating_ip_address": "192.0.2.99", "subnet_id": s.extSubnet, "description": "b"}),
		of(object{"subnet_id": s.extSubnet, "description": "c", "tenant_id": "other"})}})
	if status != 201 {
		t.Fatalf("%d %v", status, answer)
	}
	a := answer["floatingips"].([]any)[0].(object)
	for query, want := range map[string]string{
		"": "a b c", "description=b": "b", "id=" + a["id"].(string): "a", "floating_ip_address=192.0.2.99": "b", "floating_ip_address=192.0.2.3": "a",
		"port_id=" + vm["id"].(string): "a", "router_id=" + s.router: "a", "fixed_ip_address=10.0.0.3": "a", "floating_network_id=" + s.ext: "a b c",
		"floating_network_id=" + s.net: "", "tenant_id=other": "c", "status=DOWN": "a b c", "status=ACTIVE": "", "limit=2": "a b",
	} {
		var names []string
		for _, f := range c.list("floatingips", "?sort_key=description&sort_dir=asc&"+query) {
			names = append(names, f["description"].(string))
			if f["description"] == "a" {
				stands(t, f, vm, "10.0.0.3", s.router)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	c.refused(400, "HTTPBadRequest", "GET", "/v2.0/floatingips?subnet_id="+s.extSubnet, nil)
	c.refused(400, "HTTPBadRequest", "GET", "/v2.0/floatingips?port_details=x", nil)
}

func TestFloatingIPsThatCannotBeAreRefused(t *testing.T) {
	c := newClient(t)
	s := c.site("192.0.2.0/24", "10.0.0.0/24")
	v6 := c.subnet(s.ext, "fd00::/64", object{"enable_dhcp": false})["id"]
	c.subnet(s.net, "fd01::/64", nil)
	far, farSubnet := c.joinable("10.1.0.0/24", nil)
	bare := c.network(object{"router:external": true})
	full, _ := c.outside("203.0.113.0/30")
	c.create("port", object{"network_id": full})
	other, _ := c.outside("198.51.100.0/24")
	nobody := "11111111-1111-1111-1111-111111111111"

	vm, taken := c.vm(s.net, nil)["id"], c.vm(s.net, nil)["id"]
	many := c.vm(s.net, object{"fixed_ips": []any{object{"ip_address": "10.0.0.20"}, object{"ip_address": "10.0.0.21"}}})["id"]
	none := c.vm(s.net, object{"fixed_ips": []any{object{"ip_address": "fd01::9"}}})["id"]
	interfaces := c.list("ports", "?device_owner=network:router_interface")
	has := c.create("floatingip", object{"floating_network_id": s.ext, "port_id": taken})
	createOnly := []string{"floating_network_id", "floating_ip_address", "subnet_id", "tenant_id", "dns_name", "dns_domain"}
	for _, test := range []struct {
		status     int
		name       string
		network    string
		attributes object
		says       string
	}{
		{404, "NetworkNotFound", nobody, object{}, nobody},
		{404, "NetworkNotFound", nobody, object{"port_id": vm}, nobody},
		{400, "BadRequest", s.ext, object{"dns_name": "www"}, "without a dns_domain"},
		{400, "BadRequest", s.ext, object{"dns_domain": "example.org."}, "without a dns_name"},
		{400, "HTTPBadRequest", s.ext, object{"dns_name": "www", "dns_domain": "example.org"}, "is not a FQDN"},
		{400, "BadRequest", s.net, object{}, "is not a valid external network"},
		{400, "BadRequest", s.net, object{"port_id": vm}, "is not a valid external network"},
		{400, "BadRequest", bare, object{}, "does not contain any IPv4 subnet"},
		{409, "IpAddressGenerationFailure", full, object{}, full},
		{409, "IpAddressAlreadyAllocated", s.ext, object{"floating_ip_address": "192.0.2.2"}, "192.0.2.2"},
		{409, "IpAddressAlreadyAllocated", s.ext, object{"floating_ip_address": has["floating_ip_address"]}, "192.0.2.3"},
		{400, "InvalidIpForNetwork", s.ext, object{"floating_ip_address": "10.9.9.9"}, "10.9.9.9"},
		{400, "InvalidIpForNetwork", s.ext, object{"floating_ip_address": "fd00::9"}, "fd00::9"},
		{400, "BadRequest", s.ext, object{"subnet_id": v6}, "IPv4"},
		{400, "InvalidInput", s.ext, object{"subnet_id": s.subnet}, s.subnet},
		{404, "PortNotFound", s.ext, object{"port_id": nobody}, nobody},
		{400, "BadRequest", s.ext, object{"fixed_ip_address": "10.0.0.3"}, "without a port_id"},
		{400, "BadRequest", s.ext, object{"port_id": vm, "fixed_ip_address": "10.0.0.99"}, "does not have fixed ip 10.0.0.99"},
		{400, "BadRequest", s.ext, object{"port_id": vm, "fixed_ip_address": "fd01::9"}, "not an IPv4 address"},
		{400, "BadRequest", s.ext, object{"port_id": many}, "multiple fixed IPv4 addresses"},
		{400, "BadRequest", s.ext, object{"port_id": none}, "no fixed IPv4 addresses"},
		{400, "BadRequest", s.ext, object{"port_id": interfaces[0]["id"]}, "network:router_interface"},
		{404, "ExternalGatewayForFloatingIPNotFound", s.ext, object{"port_id": c.vm(far, nil)["id"]}, farSubnet},
		{404, "ExternalGatewayForFloatingIPNotFound", other, object{"port_id": vm}, other},
		{409, "FloatingIPPortAlreadyAssociated", s.ext, object{"port_id": taken}, "as that fixed IP already has a floating IP on external network " + s.ext},
		{400, "HTTPBadRequest", s.ext, object{"status": "ACTIVE"}, "status"},
		{400, "HTTPBadRequest", s.ext, object{"router_id": s.router}, "router_id"},
		{400, "HTTPBadRequest", s.ext, object{"port_id": "x"}, "UUID"},
		{400, "HTTPBadRequest", s.ext, object{"fixed_ip_address": "x"}, "fixed_ip_address"},
		{400, "HTTPBadRequest", "", object{}, "floating_network_id"},
	} {
		if test.network != "" {
			test.attributes["floating_network_id"] = test.network
		}
		if says := c.refused(test.status, test.name, "POST", "/v2.0/floatingips", object{"floatingip": test.attributes}); !strings.Contains(says, test.says) {
			t.Errorf("%s: %q does not say %q", test.name, says, test.says)
		}
		delete(test.attributes, "floating_network_id")
		if test.network != s.ext || slices.ContainsFunc(createOnly, func(name string) bool { return test.attributes[name] != nil }) {
			continue
		}
		free := c.create("floatingip", object{"floating_network_id": s.ext})
		c.refused(test.status, test.name, "PUT", floatingURL(free["id"]), object{"floatingip": test.attributes})
		if after := c.must(200, "GET", floatingURL(free["id"]), nil); !reflect.DeepEqual(after, free) {
			t.Errorf("a refusal changed %v to %v", free, after)
		}
		c.must(204, "DELETE", floatingURL(free["id"]), nil)
	}
	for _, name := range createOnly {
		c.refused(400, "HTTPBadRequest", "PUT", floatingURL(has["id"]), object{"floatingip": object{name: nobody}})
	}
	if got := c.list("floatingips", ""); len(got) != 1 {
		t.Errorf("floating IPs: %v", got)
	}
	if got := c.list("ports", "?device_owner=network:floatingip"); len(got) != 1 {
		t.Errorf("their ports: %v", got)
	}
}

func TestWhatAFloatingIPNeedsIsKept(t *testing.T) {
	c := newClient(t)
	s := c.site("192.0.2.0/24", "10.0.0.0/24")
	other, _ := c.outside("198.51.100.0/24")
	vm := c.vm(s.net, object{"fixed_ips": []any{object{"ip_address": "10.0.0.20"}, object{"ip_address": "10.0.0.21"}}})
	f := c.create("floatingip", object{"floating_network_id": s.ext, "port_id": vm["id"], "fixed_ip_address": "10.0.0.21"})
	url, port := routerURL(s.router), "/v2.0/ports/"+vm["id"].(string)

	c.refused(409, "RouterInterfaceInUseByFloatingIP", "PUT", url+removeInterface, object{"subnet_id": s.subnet})
	for _, body := range []object{gatewayTo(other, nil), {"router": object{"external_gateway_info": nil}}} {
		c.refused(409, "RouterExternalGatewayInUseByFloatingIp", "PUT", url, body)
	}
	c.must(200, "PUT", url, gatewayTo(s.ext, object{"enable_snat": false, "external_fixed_ips": []any{object{"ip_address": "192.0.2.40"}}}))
	c.refused(409, "RouterInUse", "DELETE", url, nil)
	c.refused(409, "NetworkInUse", "DELETE", "/v2.0/networks/"+s.ext, nil)
	c.refused(409, "SubnetInUse", "DELETE", "/v2.0/subnets/"+s.extSubnet, nil)
	c.refused(400, "BadRequest", "PUT", port, object{"port": object{"fixed_ips": []any{object{"ip_address": "10.0.0.20"}}}})
	c.must(200, "PUT", port, object{"port": object{"fixed_ips": []any{object{"ip_address": "10.0.0.21"}}}})
	free := c.create("port", object{"network_id": s.net})
	c.must(200, "PUT", floatingURL(f["id"]), to(free["id"]))
	c.refused(409, "PortInUse", "PUT", routerURL(c.router(nil))+addInterface, object{"port_id": free["id"]})

	c.must(204, "DELETE", "/v2.0/ports/"+free["id"].(string), nil)
	after := c.must(200, "GET", floatingURL(f["id"]), nil)
	stands(t, after, nil, nil, nil)
	if after["revision_number"].(float64) <= f["revision_number"].(float64) || after["floating_ip_address"] != f["floating_ip_address"] {
		t.Errorf("%v became %v", f, after)
	}
	c.leave(s.router, object{"subnet_id": s.subnet})
	c.must(200, "PUT", url, gatewayTo(other, nil))
	c.must(204, "DELETE", "/v2.0/networks/"+s.ext, nil) // with what stands for nothing
	c.refused(404, "FloatingIPNotFound", "GET", floatingURL(f["id"]), nil)
}

func TestFloatingIPGoesByTheRouterThatIsTheSubnetsGateway(t *testing.T) {
	c := newClient(t)
	ext, _ := c.outside("192.0.2.0/24")
	other, _ := c.outside("198.51.100.0/24")
	n, s := c.joinable("10.0.0.0/24", nil)
	out := func(network string) string {
		return c.router(object{"external_gateway_info": object{"network_id": network}})
	}
	side, elsewhere, gateway := out(ext), out(other), out(ext)
	for _, r := range []string{side, elsewhere} {
		c.join(r, object{"port_id": c.create("port", object{"network_id": n})["id"]})
	}
	vm := c.vm(n, nil)
	f := c.create("floatingip", object{"floating_network_id": ext, "port_id": vm["id"]})
	if f["router_id"] != side {
		t.Errorf("by %v, want the only way %s", f["router_id"], side)
	}
	c.join(gateway, object{"subnet_id": s})
	if g := c.must(200, "PUT", floatingURL(f["id"]), to(vm["id"])); g["router_id"] != gateway {
		t.Errorf("by %v, want the subnet's gateway %s", g["router_id"], gateway)
	}
	if g := c.create("floatingip", object{"floating_network_id": other, "port_id": vm["id"]}); g["router_id"] != elsewhere {
		t.Errorf("on another network by %v, want %s", g["router_id"], elsewhere)
	}
	c.leave(side, object{"subnet_id": s}) // nothing needs it now
}

func TestMembersHaveTheirOwnFloatingIPs(t *testing.T) {
	admin := newClient(t)
	member := admin.as(map[string]string{"X-Project-Id": "m", "X-Roles": "member"})
	ext, _ := admin.outside("192.0.2.0/24")
	n, s := member.joinable("10.0.0.0/24", nil)
	r := member.router(object{"external_gateway_info": object{"network_id": ext}})
	member.join(r, object{"subnet_id": s})
	vm := member.vm(n, nil)
	if says := member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/floatingips", object{"floatingip": object{
		"floating_network_id": ext, "floating_ip_address": "192.0.2.9"}}); !strings.Contains(says, "rule:create_floatingip:floating_ip_address") {
		t.Error(says)
	}
	member.refused(400, "HTTPBadRequest", "POST", "/v2.0/floatingips", object{"floatingip": object{"floating_network_id": ext, "project_id": "o"}})
	f := member.create("floatingip", object{"floating_network_id": ext, "port_id": vm["id"], "floating_ip_address": nil})
	stands(t, f, vm, "10.0.0.3", r)
	theirs := admin.create("floatingip", object{"floating_network_id": ext})
	for _, verb := range []string{"GET", "DELETE"} {
		member.refused(404, "FloatingIPNotFound", verb, floatingURL(theirs["id"]), nil)
	}
	member.refused(404, "FloatingIPNotFound", "PUT", floatingURL(theirs["id"]), to(vm["id"]))
	if list := member.list("floatingips", ""); len(list) != 1 || list[0]["id"] != f["id"] {
		t.Errorf("a member sees %v", list)
	}
	hiddenNet, _ := admin.joinable("10.1.0.0/24", nil)
	member.refused(404, "PortNotFound", "PUT", floatingURL(f["id"]), to(admin.vm(hiddenNet, nil)["id"]))
	others := admin.vm(n, object{"project_id": "o"})
	if says := member.refused(400, "BadRequest", "PUT", floatingURL(f["id"]), to(others["id"])); !strings.Contains(says, "owned by a different project") {
		t.Error(says)
	}
	stands(t, admin.must(200, "PUT", floatingURL(f["id"]), to(others["id"])), others, addrs(others)[0], r)
}
