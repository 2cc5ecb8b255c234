//go:build integration

package apiserver_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func (c *client) network(attributes object) string {
	c.t.Helper()
	return c.create("network", attributes)["id"].(string)
}

func (c *client) subnet(network, cidr string, more object) object {
	c.t.Helper()
	attributes := object{"network_id": network, "ip_version": 4, "cidr": cidr}
	if strings.Contains(cidr, ":") {
		attributes["ip_version"] = 6
	}
	for k, v := range more {
		attributes[k] = v
	}
	return c.create("subnet", attributes)
}

// dhcpPorts are the DHCP ports of a network.
func (c *client) dhcpPorts(network string) []object {
	c.t.Helper()
	return c.list("ports", "?device_owner=network:dhcp&network_id="+network)
}

func TestExchangesOfQuantum(t *testing.T) {
	c := newClient(t)
	n := c.must(201, "POST", "/v2.0/networks.json", object{"network": object{
		"name": "hoge hoge", "admin_state_up": false, "shared": true, "tenant_id": "de56"}})
	if n["status"] != "ACTIVE" || len(n["subnets"].([]any)) != 0 || n["tenant_id"] != "de56" || n["project_id"] != "de56" || n["shared"] != true {
		t.Errorf("network: %v", n)
	}
	s := c.subnet(n["id"].(string), "10.100.1.0/24", nil)
	pools := []any{object{"start": "10.100.1.2", "end": "10.100.1.254"}}
	if s["name"] != "" || s["enable_dhcp"] != true || s["gateway_ip"] != "10.100.1.1" || !reflect.DeepEqual(s["allocation_pools"], pools) {
		t.Errorf("subnet: %v", s)
	}
	s = c.subnet(n["id"].(string), "100.0.0.0/24", nil)
	p := c.create("port", object{"network_id": n["id"], "name": "p", "admin_state_up": false, "mac_address": "ff:ff:ff:ff:ff:05",
		"fixed_ips": []any{object{"ip_address": "100.0.0.5", "subnet_id": s["id"]}}, "device_id": "d", "device_owner": "o", "tenant_id": "de56"})
	if p["mac_address"] != "ff:ff:ff:ff:ff:05" || addrs(p)[0] != "100.0.0.5" || p["device_id"] != "d" || p["device_owner"] != "o" || p["status"] != "DOWN" {
		t.Errorf("port: %v", p)
	}
	p = c.create("port", object{"network_id": n["id"], "fixed_ips": []any{object{"ip_address": "100.0.0.6", "subnet_id": s["id"]}}})
	if !strings.HasPrefix(p["mac_address"].(string), "fa:16:3e:") || p["device_id"] != "" || p["device_owner"] != "" {
		t.Errorf("port: %v", p)
	}
}

func TestFirstVMGetsTheAddressAfterDHCP(t *testing.T) {
	c := newClient(t)
	n := c.network(object{"name": "net1"})
	c.subnet(n, "10.0.0.0/24", nil)
	if d := c.dhcpPorts(n); len(d) != 1 || addrs(d[0])[0] != "10.0.0.2" {
		t.Fatalf("DHCP ports: %v", d)
	}
	for _, want := range []string{"10.0.0.3", "10.0.0.4"} {
		if p := c.create("port", object{"network_id": n}); addrs(p)[0] != want {
			t.Errorf("port has %v, want %s", addrs(p), want)
		}
	}
	if p := c.create("port", object{"network_id": n, "fixed_ips": []any{object{"ip_address": "10.0.0.11"}}}); addrs(p)[0] != "10.0.0.11" {
		t.Errorf("port has %v", addrs(p))
	}
}

func TestDHCPPortLivesAsLongAsItsSubnetServesDHCP(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	s := "/v2.0/subnets/" + c.subnet(n, "10.0.0.0/24", object{"enable_dhcp": false})["id"].(string)
	serves := func(want int) {
		t.Helper()
		if d := c.dhcpPorts(n); len(d) != want {
			t.Fatalf("DHCP ports: %v, want %d", d, want)
		}
	}
	serves(0)
	c.must(200, "PUT", s, object{"subnet": object{"enable_dhcp": true}})
	serves(1)
	c.must(200, "PUT", s, object{"subnet": object{"name": "x"}})
	serves(1)
	port := "/v2.0/ports/" + c.dhcpPorts(n)[0]["id"].(string)
	c.refused(409, "ServicePortInUse", "DELETE", port, nil)
	c.refused(409, "ServicePortInUse", "PUT", port, object{"port": object{"device_owner": ""}})
	c.must(200, "PUT", s, object{"subnet": object{"enable_dhcp": false}})
	serves(0)
	c.must(200, "PUT", s, object{"subnet": object{"enable_dhcp": true}})
	c.must(204, "DELETE", s, nil)
	serves(0)
}

func TestDeviceOwnerIsNoCredential(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	s := c.subnet(n, "10.0.0.0/24", nil)
	dhcp := c.dhcpPorts(n)[0]
	fake := c.create("port", object{"network_id": n, "device_owner": "network:dhcp", "device_id": dhcp["device_id"]})
	c.refused(409, "SubnetInUse", "DELETE", "/v2.0/subnets/"+s["id"].(string), nil)
	c.refused(409, "NetworkInUse", "DELETE", "/v2.0/networks/"+n, nil)
	c.must(204, "DELETE", "/v2.0/ports/"+fake["id"].(string), nil)
	c.must(204, "DELETE", "/v2.0/networks/"+n, nil)
}

func TestNetworkDeleteTakesItsSubnetsAlong(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/24", nil)
	c.subnet(n, "10.0.1.0/24", nil)
	c.subnet(n, "fd00::/64", object{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"})
	c.must(204, "DELETE", "/v2.0/networks/"+n, nil)
	for _, collection := range []string{"networks", "subnets", "ports"} {
		if left := c.list(collection, ""); len(left) != 0 {
			t.Errorf("%s left: %v", collection, left)
		}
	}
}

func TestFixedIPsAreChosenAsNeutronDoes(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	a := c.subnet(n, "10.0.0.0/29", object{"enable_dhcp": false})["id"]
	b := c.subnet(n, "10.0.1.0/24", object{"enable_dhcp": false})["id"]
	c.subnet(n, "fd00::/64", nil)
	c.subnet(n, "fd01::/64", object{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"})
	for _, test := range []struct {
		name  string
		fixed any
		want  []string
	}{
		{"one of each family, and SLAAC", nil, []string{"10.0.0.2", "fd00::1", "fd01::f816:3eff:fe00:1"}},
		{"none but SLAAC", []any{}, []string{"fd01::f816:3eff:fe00:1"}},
		{"of a subnet", []any{object{"subnet_id": b}}, []string{"10.0.1.2", "fd01::f816:3eff:fe00:1"}},
		{"an address", []any{object{"ip_address": "10.0.1.77"}}, []string{"10.0.1.77", "fd01::f816:3eff:fe00:1"}},
		{"two of a subnet", []any{object{"subnet_id": a}, object{"subnet_id": a}}, []string{"10.0.0.2", "10.0.0.3", "fd01::f816:3eff:fe00:1"}},
		{"the lowest free, which is also asked for by name", []any{object{"subnet_id": a}, object{"subnet_id": a, "ip_address": "10.0.0.2"}},
			[]string{"10.0.0.3", "10.0.0.2", "fd01::f816:3eff:fe00:1"}},
	} {
		attributes := object{"network_id": n, "mac_address": "fa:16:3e:00:00:01"}
		if test.fixed != nil {
			attributes["fixed_ips"] = test.fixed
		}
		p := c.create("port", attributes)
		if got := addrs(p); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		c.must(204, "DELETE", "/v2.0/ports/"+p["id"].(string), nil)
	}
}

func TestFullSubnetGivesWayToTheNext(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/30", object{"enable_dhcp": false})
	c.subnet(n, "10.0.1.0/30", object{"enable_dhcp": false})
	for _, want := range []string{"10.0.0.2", "10.0.1.2"} {
		if p := c.create("port", object{"network_id": n}); addrs(p)[0] != want {
			t.Errorf("port has %v, want %s", addrs(p), want)
		}
	}
	c.refused(409, "IpAddressGenerationFailure", "POST", "/v2.0/ports", object{"port": object{"network_id": n}})
}

func TestPortUpdateKeepsWhatItDoesNotSay(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	v4 := c.subnet(n, "10.0.0.0/24", nil)["id"]
	p := c.create("port", object{"network_id": n, "mac_address": "fa:16:3e:00:00:01", "name": "a"})
	url := "/v2.0/ports/" + p["id"].(string)
	c.subnet(n, "fd01::/64", object{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"})
	is := func(port object, want ...string) {
		t.Helper()
		if got := addrs(port); !slices.Equal(got, want) {
			t.Errorf("port has %v, want %v", got, want)
		}
	}
	is(c.must(200, "GET", url, nil), "10.0.0.3", "fd01::f816:3eff:fe00:1") // a SLAAC subnet reaches the ports that are there
	is(c.must(200, "PUT", url, object{"port": object{"fixed_ips": []any{object{"subnet_id": v4}}}}), "10.0.0.3", "fd01::f816:3eff:fe00:1")
	is(c.must(200, "PUT", url, object{"port": object{"mac_address": "fa:16:3e:00:00:02"}}), "10.0.0.3", "fd01::f816:3eff:fe00:2")
	is(c.must(200, "PUT", url, object{"port": object{"fixed_ips": []any{object{"ip_address": "10.0.0.9"}, object{"subnet_id": v4}}}}),
		"10.0.0.9", "10.0.0.3", "fd01::f816:3eff:fe00:2")
	is(c.must(200, "PUT", url, object{"port": object{"fixed_ips": []any{object{"ip_address": "10.0.0.9"}, object{"ip_address": "fd01::f816:3eff:fe00:2"}}}}),
		"10.0.0.9", "fd01::f816:3eff:fe00:2") // what it has by SLAAC may be said again
	c.refused(400, "AllocationOnAutoAddressSubnet", "PUT", url, object{"port": object{"fixed_ips": []any{object{"ip_address": "fd01::3"}}}})
	is(c.must(200, "PUT", url, object{"port": object{"fixed_ips": []any{}}}), "fd01::f816:3eff:fe00:2")
	is(c.create("port", object{"network_id": n, "fixed_ips": []any{object{"subnet_id": v4}}}), "10.0.0.3", addrs(c.list("ports", "?sort_key=created_at&sort_dir=desc")[0])[1])
	before := c.must(200, "GET", url, nil)
	if same := c.must(200, "PUT", url, object{"port": object{"name": "a"}}); !reflect.DeepEqual(before, same) {
		t.Errorf("an update that changes nothing changed %v to %v", before, same)
	}
	v6 := c.list("subnets", "?ip_version=6")[0]["id"].(string)
	c.must(204, "DELETE", "/v2.0/subnets/"+v6, nil)
	is(c.must(200, "GET", url, nil))
}

func TestBulkIsAllOrNothing(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/24", nil)
	status, answer := c.call("POST", "/v2.0/ports", object{"ports": []any{object{"network_id": n}, object{"network_id": n}}})
	if status != 201 || len(answer["ports"].([]any)) != 2 {
		t.Fatalf("%d %v", status, answer)
	}
	before := len(c.list("ports", ""))
	c.refused(409, "IpAddressAlreadyAllocated", "POST", "/v2.0/ports", object{"ports": []any{
		object{"network_id": n, "fixed_ips": []any{object{"ip_address": "10.0.0.77"}}},
		object{"network_id": n, "fixed_ips": []any{object{"ip_address": "10.0.0.77"}}}}})
	c.refused(400, "BadRequest", "POST", "/v2.0/ports", object{"ports": []any{}})
	if after := len(c.list("ports", "")); after != before {
		t.Errorf("%d ports before the refused requests, %d after", before, after)
	}
}

func TestTenantTypesGiveWayWhenTheyRunOut(t *testing.T) {
	s := settings
	s.TenantNetworkTypes, s.VNIRanges, s.NetworkVLANRanges = "vxlan,vlan,gre", "7:7", "physnet1:100:100,physnet2:200:200"
	s.TunnelIDRanges = "9:9"
	c := newClient(t)
	c.handler = newServer(t, dsnOf(t), s)
	var got []string
	for range 4 {
		n := c.create("network", nil)
		got = append(got, fmt.Sprintf("%v %v %v %v", n["provider:network_type"], n["provider:physical_network"], n["provider:segmentation_id"], n["mtu"]))
	}
	want := []string{"vxlan <nil> 7 1450", "vlan physnet1 100 1500", "vlan physnet2 200 1500", "gre <nil> 9 1458"}
	if !slices.Equal(got, want) {
		t.Errorf("segments %v, want %v", got, want)
	}
	c.refused(409, "NoNetworkAvailable", "POST", "/v2.0/networks", object{"network": object{}})
	c.must(204, "DELETE", "/v2.0/networks/"+c.list("networks", "?provider:network_type=vlan&provider:physical_network=physnet1")[0]["id"].(string), nil)
	if n := c.create("network", nil); n["provider:segmentation_id"] != 100.0 {
		t.Errorf("a freed segment is not given again: %v", n)
	}
}

func TestProviderSegmentsAreChecked(t *testing.T) {
	c := newClient(t)
	for _, test := range []struct {
		status              int
		name, typ, physical string
		id                  any
	}{
		{201, "", "vlan", "physnet1", 100},
		{409, "VlanIdInUse", "vlan", "physnet1", 100},
		{201, "", "flat", "physnet2", nil},
		{409, "FlatNetworkInUse", "flat", "physnet2", nil},
		{400, "InvalidInput", "flat", "physnet1", nil},
		{400, "InvalidInput", "flat", "", nil},
		{400, "InvalidInput", "flat", "physnet2", 5},
		{400, "InvalidInput", "vlan", "physnet9", 5},
		{400, "InvalidInput", "vlan", "", 5},
		{400, "InvalidInput", "vlan", "physnet1", 4095},
		{400, "InvalidInput", "vlan", "physnet1", 0},
		{400, "InvalidInput", "vlan", "physnet1", 1e18},
		{201, "", "gre", "", 4294967295},
		{409, "TunnelIdInUse", "gre", "", 4294967295},
		{400, "InvalidInput", "gre", "", 4294967296},
		{400, "InvalidInput", "vxlan", "", 16777216},
		{400, "InvalidInput", "vxlan", "physnet1", 5},
		{400, "InvalidInput", "local", "physnet1", nil},
		{400, "InvalidInput", "local", "", 1},
		{201, "", "local", "", nil},
		{201, "", "local", "", nil},
		{201, "", "geneve", "", 77},
		{400, "InvalidInput", "", "physnet1", nil},
	} {
		attributes := object{}
		if test.typ != "" {
			attributes["provider:network_type"] = test.typ
		}
		if test.physical != "" {
			attributes["provider:physical_network"] = test.physical
		}
		if test.id != nil {
			attributes["provider:segmentation_id"] = test.id
		}
		status, answer := c.call("POST", "/v2.0/networks", object{"network": attributes})
		if status != test.status || errorName(answer) != test.name {
			t.Errorf("%v: %d %v, want %d %s", attributes, status, answer, test.status, test.name)
		}
	}
}

func TestMTUFollowsTheType(t *testing.T) {
	c := newClient(t)
	for typ, want := range map[string]float64{"local": 1500, "vlan": 1500, "gre": 1458, "vxlan": 1450, "geneve": 1450} {
		n := c.create("network", object{"provider:network_type": typ})
		url := "/v2.0/networks/" + n["id"].(string)
		if n["mtu"] != want {
			t.Errorf("%s: MTU %v, want %v", typ, n["mtu"], want)
		}
		c.refused(400, "InvalidInput", "PUT", url, object{"network": object{"mtu": want + 1}})
		c.refused(400, "InvalidInput", "PUT", url, object{"network": object{"mtu": 67}})
		if n := c.must(200, "PUT", url, object{"network": object{"mtu": 1300}}); n["mtu"] != 1300.0 {
			t.Errorf("%s: MTU %v", typ, n["mtu"])
		}
		if n := c.must(200, "PUT", url, object{"network": object{"mtu": 0}}); n["mtu"] != want {
			t.Errorf("%s: MTU %v after 0", typ, n["mtu"])
		}
	}
	n := c.network(nil)
	c.subnet(n, "fd00::/64", nil)
	c.refused(409, "NetworkMTUSubnetConflict", "PUT", "/v2.0/networks/"+n, object{"network": object{"mtu": 1279}})
	small := c.network(object{"mtu": 1000})
	c.refused(409, "NetworkMTUSubnetConflict", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": small, "ip_version": 6, "cidr": "fd00::/64"}})
}

func TestSubnetUpdateIsCheckedAsAWhole(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	url := "/v2.0/subnets/" + c.subnet(n, "10.0.0.0/24", nil)["id"].(string)
	pool := func(first, last string) []any { return []any{object{"start": first, "end": last}} }
	c.refused(409, "GatewayConflictWithAllocationPools", "PUT", url, object{"subnet": object{"gateway_ip": "10.0.0.254"}})
	c.refused(400, "OutOfBoundsAllocationPool", "PUT", url, object{"subnet": object{"allocation_pools": pool("10.0.0.9", "10.0.1.9")}})
	c.refused(400, "HTTPBadRequest", "PUT", url, object{"subnet": object{"cidr": "10.0.0.0/25"}})
	s := c.must(200, "PUT", url, object{"subnet": object{"gateway_ip": "10.0.0.254", "allocation_pools": pool("10.0.0.100", "10.0.0.110"),
		"dns_nameservers": []any{"9.9.9.9"}, "host_routes": []any{object{"destination": "10.9.0.0/16", "nexthop": "10.0.0.4"}}}})
	if s["gateway_ip"] != "10.0.0.254" || !reflect.DeepEqual(s["allocation_pools"], pool("10.0.0.100", "10.0.0.110")) {
		t.Errorf("subnet: %v", s)
	}
	if p := c.create("port", object{"network_id": n}); addrs(p)[0] != "10.0.0.100" {
		t.Errorf("port has %v", addrs(p))
	}
	s = c.must(200, "PUT", url, object{"subnet": object{"gateway_ip": nil, "dns_nameservers": nil, "host_routes": []any{}}})
	if s["gateway_ip"] != nil || len(s["dns_nameservers"].([]any)) != 0 || len(s["host_routes"].([]any)) != 0 {
		t.Errorf("subnet: %v", s)
	}
}

func TestMembersSeeAndDoOnlyWhatIsTheirs(t *testing.T) {
	admin := newClient(t)
	member := admin.as(map[string]string{"X-Project-Id": "m", "X-Roles": "member"})
	foreign, shared, own := admin.network(nil), admin.network(object{"shared": true}), member.network(nil)
	sharedSubnet := admin.subnet(shared, "10.0.0.0/24", nil)
	admin.subnet(foreign, "10.0.0.0/24", nil)
	admin.subnet(own, "10.0.0.0/24", nil)
	adminPort := admin.create("port", object{"network_id": shared})
	if got := len(member.list("networks", "")); got != 2 {
		t.Errorf("a member sees %d networks", got)
	}
	member.refused(404, "NetworkNotFound", "GET", "/v2.0/networks/"+foreign, nil)
	member.refused(404, "PortNotFound", "GET", "/v2.0/ports/"+adminPort["id"].(string), nil)
	member.refused(404, "PortNotFound", "DELETE", "/v2.0/ports/"+adminPort["id"].(string), nil)
	member.must(200, "GET", "/v2.0/subnets/"+sharedSubnet["id"].(string), nil)
	member.refused(403, "PolicyNotAuthorized", "PUT", "/v2.0/subnets/"+sharedSubnet["id"].(string), object{"subnet": object{"name": "x"}})
	member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": shared, "ip_version": 4, "cidr": "10.1.0.0/24"}})
	member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", object{"port": object{"network_id": shared, "fixed_ips": []any{object{"ip_address": "10.0.0.9"}}}})
	member.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", object{"port": object{"network_id": shared, "device_owner": "network:dhcp"}})
	p := member.create("port", object{"network_id": shared, "fixed_ips": []any{object{"subnet_id": sharedSubnet["id"]}}})
	url := "/v2.0/ports/" + p["id"].(string)
	member.refused(403, "PolicyNotAuthorized", "PUT", url, object{"port": object{"mac_address": "fa:16:3e:00:00:09"}})
	member.refused(400, "HTTPBadRequest", "GET", "/v2.0/networks?provider:network_type=vxlan", nil)
	member.must(200, "PUT", url, object{"port": object{"name": "mine"}})
	member.create("port", object{"network_id": own, "mac_address": "fa:16:3e:00:00:09"})
	if _, there := member.must(200, "GET", "/v2.0/networks/"+own, nil)["provider:network_type"]; there {
		t.Error("a member sees provider attributes")
	}
	other := admin.as(map[string]string{"X-Tenant-Id": "o", "X-Roles": "member"})
	taken := admin.create("port", object{"network_id": own, "project_id": "o"})
	other.must(200, "GET", "/v2.0/ports/"+taken["id"].(string), nil)
	member.must(200, "GET", "/v2.0/ports/"+taken["id"].(string), nil) // on the member's own network
	member.refused(403, "PolicyNotAuthorized", "PUT", "/v2.0/ports/"+taken["id"].(string), object{"port": object{"name": "x"}})
	member.must(204, "DELETE", "/v2.0/ports/"+taken["id"].(string), nil)
	lent := admin.network(object{"project_id": "m", "shared": true})
	member.refused(403, "PolicyNotAuthorized", "PUT", "/v2.0/networks/"+lent, object{"network": object{"shared": false}})
	member.must(200, "PUT", "/v2.0/networks/"+lent, object{"network": object{"name": "mine"}})
}

func TestIfMatchGuardsUpdateAndDelete(t *testing.T) {
	c := newClient(t)
	n := c.create("network", nil)
	url := "/v2.0/networks/" + n["id"].(string)
	is := c.as(map[string]string{"If-Match": fmt.Sprintf("revision_number=%v", n["revision_number"])})
	is.must(200, "PUT", url, object{"network": object{"name": "x"}})
	is.refused(412, "RevisionNumberConstraintFailed", "PUT", url, object{"network": object{"name": "y"}})
	is.refused(412, "RevisionNumberConstraintFailed", "DELETE", url, nil)
	c.as(map[string]string{"If-Match": "*"}).refused(400, "BadRequest", "DELETE", url, nil)
	c.must(204, "DELETE", url, nil)
}

func TestPagesAreWalkedByTheirLinks(t *testing.T) {
	c := newClient(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("n%d", i%5) // names twice: ties are broken by id
		c.network(object{"name": name})
		want = append(want, name)
	}
	slices.Sort(want)
	walk := func(url, rel string) (names []string) {
		for url != "" {
			status, answer := c.call("GET", strings.TrimPrefix(url, "http://api.example:9696"), nil)
			if status != http.StatusOK {
				t.Fatalf("%s: %d %v", url, status, answer)
			}
			var page []string
			for _, n := range answer["networks"].([]any) {
				page = append(page, n.(object)["name"].(string))
			}
			if rel == "previous" {
				slices.Reverse(page)
			}
			names, url = append(names, page...), ""
			links, _ := answer["networks_links"].([]any)
			for _, l := range links {
				if l.(object)["rel"] == rel {
					url = l.(object)["href"].(string)
				}
			}
		}
		return names
	}
	if got := walk("/v2.0/networks?limit=3&sort_key=name&sort_dir=asc", "next"); !slices.Equal(got, want) {
		t.Errorf("forwards: %v, want %v", got, want)
	}
	slices.Reverse(want)
	if got := walk("/v2.0/networks?limit=3&sort_key=name&sort_dir=asc&page_reverse=true", "previous"); !slices.Equal(got, want) {
		t.Errorf("backwards: %v, want %v", got, want)
	}
}
