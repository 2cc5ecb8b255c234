//go:build integration

package apiserver_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
)

func (c *client) pool(attributes object) string {
	c.t.Helper()
	return c.create("subnetpool", attributes)["id"].(string)
}

// cut makes a subnet of a network from a pool.
func (c *client) cut(network, pool string, more object) object {
	c.t.Helper()
	attributes := object{"network_id": network, "ip_version": 4, "subnetpool_id": pool}
	for k, v := range more {
		attributes[k] = v
	}
	return c.create("subnet", attributes)
}

func TestSubnetsAreCutFromPools(t *testing.T) {
	c := newClient(t)
	p := c.pool(object{"name": "p", "prefixes": []any{"10.0.1.0/24", "10.0.0.0/24", "10.9.0.0/25"}, "default_prefixlen": 26, "min_prefixlen": "24"})
	url := "/v2.0/subnetpools/" + p
	shown := c.must(200, "GET", url, nil)
	for name, want := range map[string]any{
		"prefixes": []any{"10.0.0.0/23", "10.9.0.0/25"}, "min_prefixlen": "24", "default_prefixlen": "26", "max_prefixlen": "32", "ip_version": 4.0,
		"shared": false, "is_default": false, "default_quota": nil, "address_scope_id": nil, "tags": []any{}, "revision_number": 0.0,
	} {
		if !reflect.DeepEqual(shown[name], want) {
			t.Errorf("%s is %v, want %v", name, shown[name], want)
		}
	}
	n := c.network(nil)
	first := c.cut(n, p, nil)
	if first["cidr"] != "10.9.0.0/26" || first["subnetpool_id"] != p || first["gateway_ip"] != "10.9.0.1" || first["prefixlen"] != nil { // where the least is broken
		t.Errorf("cut %v", first)
	}
	for _, want := range []string{"10.9.0.64/26", "10.0.0.0/26"} {
		if got := c.cut(c.network(nil), p, nil)["cidr"]; got != want {
			t.Errorf("cut %v, want %s", got, want)
		}
	}
	if got := c.cut(n, p, object{"prefixlen": 24})["cidr"]; got != "10.0.1.0/24" {
		t.Errorf("cut %v", got)
	}
	if got := c.cut(n, p, object{"cidr": "10.0.0.200/29", "allocation_pools": []any{object{"start": "10.0.0.202", "end": "10.0.0.203"}}})["cidr"]; got != "10.0.0.200/29" {
		t.Errorf("cut %v", got)
	}
	ask := func(status int, name string, more object) {
		t.Helper()
		attributes := object{"network_id": n, "ip_version": 4, "subnetpool_id": p}
		for k, v := range more {
			attributes[k] = v
		}
		c.refused(status, name, "POST", "/v2.0/subnets", object{"subnet": attributes})
	}
	ask(400, "MinPrefixSubnetAllocationError", object{"prefixlen": 23})
	ask(400, "MaxPrefixSubnetAllocationError", object{"prefixlen": 33})
	ask(400, "HTTPBadRequest", object{"prefixlen": -1})
	ask(400, "BadRequest", object{"prefixlen": 26, "cidr": "10.0.0.64/26"})
	ask(400, "BadRequest", object{"use_default_subnetpool": true})
	ask(400, "BadRequest", object{"use_default_subnetpool": true, "subnetpool_id": nil})
	ask(400, "BadRequest", object{"subnetpool_id": nil})
	ask(400, "BadRequest", object{"ip_version": 6})
	ask(400, "BadRequest", object{"cidr": "fd00::/28"})
	ask(400, "BadRequest", object{"allocation_pools": []any{object{"start": "10.0.0.202", "end": "10.0.0.203"}}})
	ask(409, "SubnetAllocationError", object{"prefixlen": 24})
	ask(409, "SubnetAllocationError", object{"cidr": "10.0.0.0/26"})
	ask(409, "SubnetAllocationError", object{"cidr": "10.7.0.0/26"})
	ask(404, "SubnetPoolNotFound", object{"subnetpool_id": n})
	ask(400, "InvalidInput", object{"gateway_ip": "fd00::1"})
	ask(400, "NetworkSubnetPoolAffinityError", object{"subnetpool_id": nil, "cidr": "192.0.2.0/24"})
	ask(400, "NetworkSubnetPoolAffinityError", object{"subnetpool_id": c.pool(object{"prefixes": []any{"10.0.0.0/8"}})})

	c.refused(400, "SubnetPoolDeleteError", "DELETE", url, nil)
	c.must(204, "DELETE", "/v2.0/subnets/"+first["id"].(string), nil)
	c.cut(n, p, object{"cidr": "10.9.0.0/26"}) // given back
	if got := len(c.list("subnets", "?subnetpool_id="+p)); got != 5 {
		t.Errorf("%d subnets of the pool", got)
	}
	for _, sub := range c.list("subnets", "") {
		c.must(204, "DELETE", "/v2.0/subnets/"+sub["id"].(string), nil)
	}
	c.must(204, "DELETE", url, nil)
	c.refused(404, "SubnetPoolNotFound", "GET", url, nil)
}

func TestPoolsThatAreRefusedAndChanged(t *testing.T) {
	admin := newClient(t)
	c, guest := admin.in("owner"), admin.in("guest")
	for _, r := range []struct {
		name string
		asks object
	}{
		{"HTTPBadRequest", object{}},
		{"EmptySubnetPoolPrefixList", object{"prefixes": []any{}}},
		{"PrefixVersionMismatch", object{"prefixes": []any{"10.0.0.0/8", "fd00::/8"}}},
		{"HTTPBadRequest", object{"prefixes": []any{"10.0.0.0"}}},
		{"HTTPBadRequest", object{"prefixes": []any{"10.0.0.0/8"}, "ip_version": 4}},
		{"IllegalSubnetPoolPrefixBounds", object{"prefixes": []any{"10.0.0.0/8"}, "min_prefixlen": 25, "max_prefixlen": 24}},
		{"IllegalSubnetPoolPrefixBounds", object{"prefixes": []any{"10.0.0.0/8"}, "max_prefixlen": 33}},
		{"IllegalSubnetPoolPrefixBounds", object{"prefixes": []any{"10.0.0.0/8"}, "default_prefixlen": 7}},
		{"IllegalSubnetPoolPrefixBounds", object{"prefixes": []any{"fd00::/8"}, "default_prefixlen": 126, "max_prefixlen": 120}},
		{"HTTPBadRequest", object{"prefixes": []any{"10.0.0.0/8"}, "default_quota": -2}},
	} {
		c.refused(400, r.name, "POST", "/v2.0/subnetpools", object{"subnetpool": r.asks})
	}
	for _, only := range []string{"shared", "is_default"} {
		c.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/subnetpools", object{"subnetpool": object{"prefixes": []any{"10.0.0.0/8"}, only: true}})
	}
	url := "/v2.0/subnetpools/" + c.pool(object{"prefixes": []any{"10.0.0.0/16"}})
	put := func(attributes object) object {
		t.Helper()
		return c.must(200, "PUT", url, object{"subnetpool": attributes})
	}
	if got := put(object{"prefixes": []any{"10.0.0.0/15"}, "name": "p", "default_prefixlen": 24, "default_quota": 512}); !reflect.DeepEqual(got["prefixes"], []any{"10.0.0.0/15"}) ||
		got["name"] != "p" || got["default_prefixlen"] != "24" || got["default_quota"] != 512.0 || got["revision_number"] != 1.0 {
		t.Errorf("updated to %v", got)
	}
	if got := put(object{"name": "p"})["revision_number"]; got != 1.0 {
		t.Errorf("what changes nothing is revision %v", got)
	}
	c.refused(400, "IllegalSubnetPoolPrefixUpdate", "PUT", url, object{"subnetpool": object{"prefixes": []any{"10.0.0.0/16"}}})
	c.refused(400, "IllegalSubnetPoolPrefixBounds", "PUT", url, object{"subnetpool": object{"max_prefixlen": 23}})
	c.refused(400, "HTTPBadRequest", "PUT", url, object{"subnetpool": object{"shared": false}})
	c.refused(403, "PolicyNotAuthorized", "PUT", url, object{"subnetpool": object{"is_default": true}})
	c.as(map[string]string{"X-Project-Id": "owner", "X-Roles": "member", "If-Match": "revision_number=0"}).refused(412, "RevisionNumberConstraintFailed", "DELETE", url, nil)

	// What each project may have of it: 512 addresses.
	n := c.network(nil)
	c.cut(n, url[len("/v2.0/subnetpools/"):], nil)
	c.cut(n, url[len("/v2.0/subnetpools/"):], nil)
	c.refused(409, "SubnetPoolQuotaExceeded", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "subnetpool_id": url[len("/v2.0/subnetpools/"):]}})
	put(object{"default_quota": nil})
	c.cut(n, url[len("/v2.0/subnetpools/"):], nil)

	if guest.sees("subnetpools", url[len("/v2.0/subnetpools/"):]) {
		t.Error("seen by a stranger")
	}
	shared := admin.pool(object{"prefixes": []any{"172.16.0.0/12"}, "shared": true, "is_default": true, "default_prefixlen": 28})
	if !guest.sees("subnetpools", shared) || guest.must(200, "GET", "/v2.0/subnetpools/"+shared, nil)["shared"] != true || len(guest.list("subnetpools", "?shared=True")) != 1 {
		t.Error("what is shared with all is not seen by all")
	}
	guest.refused(403, "PolicyNotAuthorized", "PUT", "/v2.0/subnetpools/"+shared, object{"subnetpool": object{"name": "mine"}})
	guest.refused(403, "PolicyNotAuthorized", "DELETE", "/v2.0/subnetpools/"+shared, nil)
	admin.refused(400, "InvalidInput", "POST", "/v2.0/subnetpools", object{"subnetpool": object{"prefixes": []any{"10.0.0.0/8"}, "is_default": true}})
	admin.pool(object{"prefixes": []any{"fd00::/48"}, "is_default": true, "default_prefixlen": 64, "shared": true})
	for version, want := range map[int]string{4: "172.16.0.0/28", 6: "fd00::/64"} {
		got := guest.create("subnet", object{"network_id": guest.network(nil), "ip_version": version, "use_default_subnetpool": true})
		if got["cidr"] != want {
			t.Errorf("of IPv%d, %v is cut from the default pool, want %s", version, got["cidr"], want)
		}
	}
}

func TestBlocksOfAPoolComeAndGo(t *testing.T) {
	c := newClient(t)
	p := c.pool(object{"prefixes": []any{"10.0.0.0/16"}, "default_prefixlen": 24})
	url := "/v2.0/subnetpools/" + p
	n := c.network(nil)
	c.cut(n, p, nil)
	ask := func(action string, prefixes ...any) []any {
		t.Helper()
		return c.must(200, "PUT", url+"/"+action, object{"prefixes": prefixes})["prefixes"].([]any)
	}
	if got := ask("add_prefixes", "10.1.0.0/16", "10.8.0.0/24"); !reflect.DeepEqual(got, []any{"10.0.0.0/15", "10.8.0.0/24"}) {
		t.Errorf("added: %v", got)
	}
	if got := ask("remove_prefixes", "10.1.0.0/16", "192.0.2.0/24", "10.8.0.0/25"); !reflect.DeepEqual(got, []any{"10.0.0.0/16", "10.8.0.128/25"}) {
		t.Errorf("removed: %v", got)
	}
	c.refused(400, "IllegalSubnetPoolPrefixUpdate", "PUT", url+"/remove_prefixes", object{"prefixes": []any{"10.0.0.128/25"}})
	c.refused(400, "PrefixVersionMismatch", "PUT", url+"/add_prefixes", object{"prefixes": []any{"fd00::/64"}})
	c.refused(400, "InvalidInput", "PUT", url+"/add_prefixes", object{"subnetpool": object{}})
	c.refused(400, "InvalidInput", "PUT", url+"/add_prefixes", object{"prefixes": "10.0.0.0/8"})
	empty := c.pool(object{"prefixes": []any{"192.0.2.0/24"}})
	c.refused(400, "EmptySubnetPoolPrefixList", "PUT", "/v2.0/subnetpools/"+empty+"/remove_prefixes", object{"prefixes": []any{"192.0.0.0/16"}})

	old := c.network(nil)
	moved := c.subnet(old, "10.77.0.0/24", nil)["id"]
	c.subnet(old, "fd00::/64", nil)
	status, _, answer := c.raw("PUT", url+"/onboard_network_subnets", fmt.Appendf(nil, `{"network_id":%q}`, old))
	if want := fmt.Sprintf(`[{"id":"%s","cidr":"10.77.0.0/24"}]`, moved); status != 200 || string(answer) != want {
		t.Errorf("%d %s, want %s", status, answer, want)
	}
	if got := c.must(200, "GET", "/v2.0/subnets/"+moved.(string), nil)["subnetpool_id"]; got != p {
		t.Errorf("onboarded into %v", got)
	}
	if got := c.must(200, "GET", url, nil)["prefixes"]; !reflect.DeepEqual(got, []any{"10.0.0.0/16", "10.8.0.128/25", "10.77.0.0/24"}) {
		t.Errorf("the pool has %v", got)
	}
	c.refused(400, "IllegalSubnetPoolUpdate", "PUT", url+"/onboard_network_subnets", object{"network_id": old})
	same := c.network(nil)
	c.subnet(same, "10.0.0.0/26", nil) // which the pool has given
	c.refused(400, "IllegalSubnetPoolUpdate", "PUT", url+"/onboard_network_subnets", object{"network_id": same})
	c.refused(400, "InvalidInput", "PUT", url+"/onboard_network_subnets", object{})
	c.refused(404, "NetworkNotFound", "PUT", url+"/onboard_network_subnets", object{"network_id": p})
	c.in("guest").refused(404, "NetworkNotFound", "PUT", url+"/onboard_network_subnets", object{"network_id": old})
}

func TestAddressScopes(t *testing.T) {
	admin := newClient(t)
	c, guest := admin.in("owner"), admin.in("guest")
	four := c.create("address_scope", object{"name": "k", "ip_version": 4})
	k := four["id"].(string)
	url := "/v2.0/address-scopes/" + k
	if four["name"] != "k" || four["ip_version"] != 4.0 || four["shared"] != false || four["project_id"] != "owner" {
		t.Errorf("made %v", four)
	}
	c.refused(400, "HTTPBadRequest", "POST", "/v2.0/address-scopes", object{"address_scope": object{"name": "k"}})
	c.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/address-scopes", object{"address_scope": object{"ip_version": 4, "shared": true}})
	guest.refused(404, "AddressScopeNotFound", "PUT", url, object{"address_scope": object{"name": "mine"}})
	if got := c.must(200, "PUT", url, object{"address_scope": object{"name": "l"}})["name"]; got != "l" {
		t.Errorf("renamed to %v", got)
	}
	p := c.pool(object{"prefixes": []any{"10.0.0.0/16"}, "default_prefixlen": 24, "address_scope_id": k})
	pools := "/v2.0/subnetpools"
	asks := func(prefix, scope string) object {
		return object{"subnetpool": object{"prefixes": []any{prefix}, "address_scope_id": scope, "default_prefixlen": 64}}
	}
	c.refused(409, "AddressScopePrefixConflict", "POST", pools, object{"subnetpool": object{"prefixes": []any{"10.0.0.0/8"}, "address_scope_id": k}})
	c.refused(400, "IllegalSubnetPoolIpVersionAssociationToAddressScope", "POST", pools, asks("fd00::/48", k))
	guest.refused(404, "AddressScopeNotFound", "POST", pools, asks("fd00::/48", k))
	c.refused(409, "AddressScopeInUse", "DELETE", url, nil)
	other := c.pool(object{"prefixes": []any{"10.1.0.0/16"}, "default_prefixlen": 24, "address_scope_id": k})
	c.refused(409, "AddressScopePrefixConflict", "PUT", pools+"/"+other, object{"subnetpool": object{"prefixes": []any{"10.0.0.0/15"}}})
	c.refused(409, "AddressScopePrefixConflict", "PUT", pools+"/"+other+"/add_prefixes", object{"prefixes": []any{"10.0.7.0/24"}})

	n := c.network(nil)
	c.cut(n, p, nil)
	c.cut(n, other, nil) // of another pool, but of one scope
	if got := c.must(200, "GET", "/v2.0/networks/"+n, nil); got["ipv4_address_scope"] != k || got["ipv6_address_scope"] != nil {
		t.Errorf("the network's scopes: %v %v", got["ipv4_address_scope"], got["ipv6_address_scope"])
	}
	if got := c.list("networks", "?id="+n)[0]["ipv4_address_scope"]; got != k {
		t.Errorf("listed with scope %v", got)
	}
	second := c.create("address_scope", object{"ip_version": 4})["id"].(string)
	third := c.pool(object{"prefixes": []any{"10.2.0.0/16"}, "default_prefixlen": 24, "address_scope_id": second})
	c.refused(400, "NetworkAddressScopeAffinityError", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "subnetpool_id": third}})
	c.refused(400, "NetworkSubnetPoolAffinityError", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "cidr": "10.3.0.0/24"}})
	c.refused(400, "NetworkAddressScopeAffinityError", "PUT", pools+"/"+p, object{"subnetpool": object{"address_scope_id": second}})
	alone := c.network(nil)
	c.cut(alone, third, nil)
	c.must(200, "PUT", pools+"/"+third, object{"subnetpool": object{"address_scope_id": nil}})
	if got := c.must(200, "GET", "/v2.0/networks/"+alone, nil)["ipv4_address_scope"]; got != nil {
		t.Errorf("still in scope %v", got)
	}
	c.must(204, "DELETE", "/v2.0/address-scopes/"+second, nil)

	if shared := admin.must(200, "PUT", url, object{"address_scope": object{"shared": true}}); shared["shared"] != true || !guest.sees("address-scopes", k) {
		t.Errorf("shared: %v", shared)
	}
	admin.refused(400, "AddressScopeUpdateError", "PUT", url, object{"address_scope": object{"shared": false}})
	guest.refused(403, "PolicyNotAuthorized", "PUT", url, object{"address_scope": object{"name": "mine"}})
	theirs := guest.pool(object{"prefixes": []any{"10.4.0.0/16"}, "address_scope_id": k})
	guest.refused(400, "IllegalSubnetPoolUpdate", "PUT", pools+"/"+theirs, object{"subnetpool": object{"name": "x"}})
}

func TestSubnetsThatAreForSomePortsOnly(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	for _, r := range []struct {
		name  string
		types any
	}{{"InvalidSubnetServiceType", []any{"foo"}}, {"InvalidInputSubnetServiceType", []any{2}}, {"HTTPBadRequest", "compute:nova"}, {"HTTPBadRequest", []any{"compute:a", "compute:a"}}} {
		c.refused(400, r.name, "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "cidr": "10.0.0.0/24", "service_types": r.types}})
	}
	vms := c.subnet(n, "10.0.0.0/29", object{"service_types": []any{"compute:nova", "network:foo"}, "enable_dhcp": false})
	if !reflect.DeepEqual(vms["service_types"], []any{"compute:nova", "network:foo"}) {
		t.Errorf("for %v", vms["service_types"])
	}
	port := func(owner string, more object) object {
		attributes := object{"network_id": n, "device_owner": owner}
		for k, v := range more {
			attributes[k] = v
		}
		return object{"port": attributes}
	}
	c.refused(409, "IpAddressGenerationFailureNoMatchingSubnet", "POST", "/v2.0/ports", port("compute:other", nil))
	c.must(201, "POST", "/v2.0/ports", port("compute:other", object{"fixed_ips": []any{}}))
	open := c.subnet(n, "10.1.0.0/24", object{"enable_dhcp": false})
	in := func(cidr string, p object) {
		t.Helper()
		if got := addrs(p); len(got) != 1 || !netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(got[0])) {
			t.Errorf("addresses %v, want one of %s", got, cidr)
		}
	}
	for range 5 { // as many as there are
		in("10.0.0.0/29", c.must(201, "POST", "/v2.0/ports", port("compute:nova", nil)))
	}
	in("10.1.0.0/24", c.must(201, "POST", "/v2.0/ports", port("compute:nova", nil)))
	in("10.1.0.0/24", c.must(201, "POST", "/v2.0/ports", port("", nil)))
	c.refused(400, "InvalidInput", "POST", "/v2.0/ports", port("", object{"fixed_ips": []any{object{"subnet_id": vms["id"]}}}))
	c.refused(400, "InvalidIpForNetwork", "POST", "/v2.0/ports", port("", object{"fixed_ips": []any{object{"ip_address": "10.0.0.2"}}}))
	in("10.1.0.0/24", c.must(201, "POST", "/v2.0/ports", port("compute:nova", object{"fixed_ips": []any{object{"subnet_id": open["id"]}}})))
	if got := c.must(200, "PUT", "/v2.0/subnets/"+open["id"].(string), object{"subnet": object{"service_types": []any{"network:dhcp"}}})["service_types"]; !reflect.DeepEqual(got, []any{"network:dhcp"}) {
		t.Errorf("for %v", got)
	}
	c.refused(409, "IpAddressGenerationFailure", "POST", "/v2.0/ports", port("compute:nova", nil))
	if got := c.must(200, "PUT", "/v2.0/subnets/"+open["id"].(string), object{"subnet": object{"service_types": []any{}}})["service_types"]; !reflect.DeepEqual(got, []any{}) {
		t.Errorf("for %v", got)
	}
	in("10.1.0.0/24", c.must(201, "POST", "/v2.0/ports", port("compute:nova", nil)))

	// Addresses that hosts make themselves come only where the subnet is for them.
	slaac := c.network(nil)
	vm := c.must(201, "POST", "/v2.0/ports", object{"port": object{"network_id": slaac, "device_owner": "compute:nova"}})["id"].(string)
	c.must(201, "POST", "/v2.0/ports", object{"port": object{"network_id": slaac}})
	c.subnet(slaac, "fd00::/64", object{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "service_types": []any{"compute:nova"}})
	for _, p := range c.list("ports", "?network_id="+slaac) {
		if (len(addrs(p)) == 1) != (p["id"] == vm) {
			t.Errorf("%v has %v", p["device_owner"], addrs(p))
		}
	}

	// What floating IPs and gateways are taken from.
	out := c.network(object{"router:external": true})
	c.subnet(out, "192.0.2.0/24", object{"service_types": []any{"network:floatingip"}, "enable_dhcp": false})
	c.subnet(out, "198.51.100.0/24", object{"enable_dhcp": false})
	if got := c.create("floatingip", object{"floating_network_id": out})["floating_ip_address"].(string); !netip.MustParsePrefix("192.0.2.0/24").Contains(netip.MustParseAddr(got)) {
		t.Errorf("a floating IP is %v", got)
	}
	gateway := c.create("router", object{"external_gateway_info": object{"network_id": out}})["external_gateway_info"].(object)["external_fixed_ips"].([]any)[0].(object)
	if got := gateway["ip_address"].(string); !netip.MustParsePrefix("198.51.100.0/24").Contains(netip.MustParseAddr(got)) {
		t.Errorf("a gateway is %v", got)
	}
}

// TestManyCutFromOnePoolAndNeverOverlap: whoever cuts at the same moment, of one server or of several.
func TestManyCutFromOnePoolAndNeverOverlap(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	p := c.pool(object{"prefixes": []any{"10.0.0.0/20"}, "min_prefixlen": 20, "default_prefixlen": 26}) // 64 of them
	var networks []string
	for range creators {
		networks = append(networks, c.network(nil))
	}
	length := func(i int) int { return 26 + i%3 }
	want(t, "any block", together(clients, func(i int, c *client) (int, object) {
		return c.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": networks[i], "ip_version": 4, "subnetpool_id": p, "prefixlen": length(i)}})
	}), map[string]int{"201": creators})
	subnets := c.list("subnets", "")
	for i, a := range subnets {
		for _, b := range subnets[:i] {
			if netip.MustParsePrefix(a["cidr"].(string)).Overlaps(netip.MustParsePrefix(b["cidr"].(string))) {
				t.Errorf("%v overlaps %v", a["cidr"], b["cidr"])
			}
		}
	}
	want(t, "one block", together(clients, func(i int, c *client) (int, object) {
		return c.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": networks[i], "ip_version": 4, "subnetpool_id": p, "cidr": "10.0.15.0/24"}})
	}), map[string]int{"201": 1, "409SubnetAllocationError": creators - 1})
	k := c.create("address_scope", object{"ip_version": 4})["id"].(string)
	want(t, "one scope", together(clients, func(_ int, c *client) (int, object) {
		return c.call("POST", "/v2.0/subnetpools", object{"subnetpool": object{"prefixes": []any{"172.16.0.0/12"}, "address_scope_id": k}})
	}), map[string]int{"201": 1, "409AddressScopePrefixConflict": creators - 1})
	want(t, "one default", together(clients, func(_ int, c *client) (int, object) {
		return c.call("POST", "/v2.0/subnetpools", object{"subnetpool": object{"prefixes": []any{"172.16.0.0/12"}, "is_default": true}})
	}), map[string]int{"201": 1, "400InvalidInput": creators - 1})
}
