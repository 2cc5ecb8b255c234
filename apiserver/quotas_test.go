//go:build integration

package apiserver_test

import (
	"fmt"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

const quotasURL = "/v2.0/quotas/"

// limited is a client of a server with these quotas.
func limited(t *testing.T, quotas string) *client {
	s := settings
	s.Quotas = quotas
	return &client{t: t, handler: newServer(t, storetest.StartForTest(t), s)}
}

// over wants a resource refused for there being enough of it.
func (c *client) over(resource, path string, body object) {
	c.t.Helper()
	message := c.refused(409, "OverQuota", "POST", "/v2.0/"+path, body)
	if want := "Quota exceeded for resources: ['" + resource + "']."; message != want {
		c.t.Errorf("%q, want %q", message, want)
	}
}

func TestAProjectHasNoMoreThanItsQuota(t *testing.T) {
	t.Parallel()
	c := limited(t, "network:2,subnet:2,port:4,router:1,floatingip:1,security_group:3,security_group_rule:8")
	outside := c.create("network", object{"router:external": true})["id"]
	c.subnet(outside.(string), "192.0.2.0/24", nil)
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/24", nil)
	c.over("network", "networks", object{"network": object{}})
	c.over("subnet", "subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "cidr": "10.1.0.0/24"}})

	// Two ports are DHCP's, and the gateway's and the floating IP's own are no project's.
	r := c.create("router", object{"external_gateway_info": object{"network_id": outside}})["id"]
	c.over("router", "routers", object{"router": object{}})
	f := c.create("floatingip", object{"floating_network_id": outside})["id"]
	c.over("floatingip", "floatingips", object{"floatingip": object{"floating_network_id": outside}})
	port := object{"port": object{"network_id": n}}
	c.over("port", "ports", object{"ports": []any{port["port"], port["port"], port["port"]}})
	if got := len(c.list("ports", "?network_id="+n)); got != 1 {
		t.Errorf("%d ports after a refusal", got)
	}
	c.must(201, "POST", "/v2.0/ports", object{"ports": []any{port["port"], port["port"]}})
	c.over("port", "ports", port)

	// The project has its default group and four rules of it already.
	group := c.group(nil)["id"]
	c.group(nil)
	c.over("security_group", "security-groups", object{"security_group": object{}})
	c.over("security_group_rule", "security-group-rules", aRule(group, nil))

	// Others have their own, an admin's requests count where the row is, and what comes along is not refused.
	c.member("another").create("network", nil)
	c.create("network", object{"project_id": "another"})
	c.over("network", "networks", object{"network": object{"project_id": "another"}})
	c.must(200, "PUT", fmt.Sprintf("/v2.0/routers/%s/add_router_interface", r), object{"subnet_id": c.list("subnets", "?network_id="+n)[0]["id"]})
	details := c.must(200, "GET", quotasURL+project+"/details.json", nil)
	for resource, want := range map[string][2]float64{
		"network": {2, 2}, "subnet": {2, 2}, "port": {4, 5}, "router": {1, 1}, "floatingip": {1, 1},
		"security_group": {3, 3}, "security_group_rule": {8, 8}, "subnetpool": {-1, 0}, "rbac_policy": {10, 1}, // of the external network
	} {
		d := details[resource].(object)
		if d["limit"] != want[0] || d["used"] != want[1] || d["reserved"] != 0.0 {
			t.Errorf("%s: %v, want %v", resource, d, want)
		}
	}

	c.must(204, "DELETE", fmt.Sprint("/v2.0/floatingips/", f), nil)
	c.create("floatingip", object{"floating_network_id": outside})
}

func TestQuotasAreTheAdminsToSet(t *testing.T) {
	t.Parallel()
	c := limited(t, "network:1")
	m := c.member(stranger)
	mine := quotasURL + stranger
	if q := m.must(200, "GET", mine, nil); q["network"] != 1.0 || q["port"] != 500.0 || q["rbac_policy"] != 10.0 || len(q) != 9 {
		t.Errorf("quota %v", q)
	}
	for _, path := range []string{quotasURL + project, quotasURL + project + "/default", quotasURL + project + "/details", "/v2.0/quotas"} {
		m.refused(403, "PolicyNotAuthorized", "GET", path, nil)
	}
	m.refused(403, "PolicyNotAuthorized", "PUT", mine, object{"quota": object{"network": 5}})
	m.refused(403, "PolicyNotAuthorized", "DELETE", mine, nil)
	if got := m.must(200, "GET", "/v2.0/quotas/tenant", nil)["tenant_id"]; got != stranger {
		t.Errorf("tenant %v", got)
	}
	if got := m.must(200, "GET", "/v2.0/quotas/project", nil)["project_id"]; got != stranger {
		t.Errorf("project %v", got)
	}

	m.create("network", nil)
	m.over("network", "networks", object{"network": object{}})
	for _, bad := range []any{-2, "x", nil, 1.5, 1 << 31, []any{}} {
		if status, answer := c.call("PUT", mine, object{"quota": object{"network": bad}}); status != 400 {
			t.Errorf("a limit of %v: %d %v", bad, status, answer)
		}
	}
	if q := c.must(200, "PUT", mine, object{"quota": object{"network": "2", "router": -1}}); q["network"] != 2.0 || q["router"] != -1.0 || q["port"] != 500.0 {
		t.Errorf("after the update: %v", q)
	}
	m.create("network", nil)
	m.over("network", "networks", object{"network": object{}})
	c.must(200, "PUT", mine, object{"quota": object{"network": 0}}) // below what there is
	m.over("network", "networks", object{"network": object{}})
	if all := c.list("quotas", ""); len(all) != 1 || all[0]["project_id"] != stranger || all[0]["tenant_id"] != stranger || all[0]["router"] != -1.0 || all[0]["port"] != 500.0 {
		t.Errorf("quotas %v", all)
	}
	if q := m.must(200, "GET", mine+"/default", nil); q["network"] != 1.0 {
		t.Errorf("the default is %v", q)
	}
	c.must(204, "DELETE", mine, nil)
	if q := m.must(200, "GET", mine, nil); q["network"] != 1.0 {
		t.Errorf("after the deletion: %v", q)
	}
	c.refused(404, "TenantQuotaNotFound", "DELETE", mine, nil)
	c.refused(400, "InvalidInput", "GET", quotasURL+"a%00b", nil)
}

func TestManyCreatorsNeverExceedAQuota(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/16", object{"enable_dhcp": false})
	url := quotasURL + project
	for collection, attributes := range map[string]object{
		"network": {}, "port": {"network_id": n}, "router": {}, "subnet": {"network_id": n, "ip_version": 4, "enable_dhcp": false},
	} {
		there := len(c.list(collection+"s", ""))
		c.must(200, "PUT", url, object{"quota": object{collection: there + 20}})
		want(t, collection, together(clients, func(i int, c *client) (int, object) {
			mine := object{"cidr": fmt.Sprintf("10.%d.0.0/24", 1+i)}
			if collection != "subnet" {
				mine = object{}
			}
			for k, v := range attributes {
				mine[k] = v
			}
			return c.call("POST", "/v2.0/"+collection+"s", object{collection: mine})
		}), map[string]int{"201": 20, "409OverQuota": creators - 20})
	}
	// Of two at a time one has to stay out.
	c.must(200, "PUT", url, object{"quota": object{"port": 20 + 21}})
	port := object{"network_id": n}
	want(t, "pairs of ports", together(clients, func(_ int, c *client) (int, object) {
		return c.call("POST", "/v2.0/ports", object{"ports": []any{port, port}})
	}), map[string]int{"201": 10, "409OverQuota": creators - 10})
	if got := len(c.list("ports", "")); got != 40 {
		t.Errorf("%d ports", got)
	}
}

func TestAQuotasProjectIsReadAsTheURLEscapesIt(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.must(200, "PUT", "/v2.0/quotas/a%2Fb", object{"quota": object{"port": 7}})
	if all := c.list("quotas", ""); len(all) != 1 || all[0]["project_id"] != "a/b" {
		t.Errorf("%v", all)
	}
	c.refused(400, "InvalidInput", "PUT", "/v2.0/quotas/%ff", object{"quota": object{"port": 7}})
	c.must(204, "DELETE", "/v2.0/quotas/a%2Fb", nil)
}
