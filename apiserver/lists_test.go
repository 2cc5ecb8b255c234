//go:build integration

package apiserver_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// TestEveryListIsSortedAndPagedByWhatItSays: by each attribute, both ways, page by page, those rows first that have none.
func TestEveryListIsSortedAndPagedByWhatItSays(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	n, external := c.network(nil), c.network(object{"router:external": true})
	c.subnet(external, "192.0.2.0/24", nil)
	c.subnet(n, "10.0.0.0/24", nil)
	scope := c.create("address_scope", object{"ip_version": 4})["id"].(string)
	pool := c.pool(object{"prefixes": []any{"10.8.0.0/16"}, "default_quota": 5000, "address_scope_id": scope})
	c.pool(object{"prefixes": []any{"fd00::/32"}})
	c.cut(c.network(nil), pool, object{"gateway_ip": nil, "prefixlen": 24})
	r := c.create("router", object{"external_gateway_info": object{"network_id": external}})["id"].(string)
	c.must(http.StatusOK, http.MethodPut, "/v2.0/routers/"+r+"/add_router_interface", object{"subnet_id": c.list("subnets", "?cidr=10.0.0.0/24")[0]["id"]})
	c.create("floatingip", object{"floating_network_id": external})
	c.create("floatingip", object{"floating_network_id": external, "port_id": c.create("port", object{"network_id": n})["id"]})
	g := c.group(nil)["id"].(string)
	for _, rule := range []object{{"port_range_min": 1, "port_range_max": 9, "protocol": "tcp"}, {"protocol": "udp", "remote_ip_prefix": "10.0.0.0/8"}, {"remote_group_id": g}} {
		rule["security_group_id"], rule["direction"] = g, "ingress"
		c.create("security_group_rule", rule)
	}
	c.must(http.StatusCreated, http.MethodPost, "/v2.0/rbac-policies", object{"rbac_policy": object{"object_type": "network", "object_id": n, "action": "access_as_shared", "target_tenant": "a"}})
	sorted(c, "networks", wire.Networks())
	sorted(c, "subnets", wire.Subnets())
	sorted(c, "ports", wire.Ports())
	sorted(c, "routers", wire.Routers())
	sorted(c, "floatingips", wire.FloatingIPs(func(*struct{}) (*signalbox.FloatingIP, *signalbox.Port) { return nil, nil }))
	sorted(c, "security-groups", wire.SecurityGroups())
	sorted(c, "security-group-rules", wire.SecurityGroupRules())
	sorted(c, "subnetpools", wire.SubnetPools())
	sorted(c, "address-scopes", wire.AddressScopes())
	sorted(c, "rbac-policies", wire.RBACPolicies())
}

// sorted asks for a collection's rows in each order that there is.
func sorted[T any](c *client, collection string, r *wire.Resource[T]) {
	c.t.Helper()
	for i := range r.Attributes {
		a := &r.Attributes[i]
		if a.Access&wire.Sort == 0 {
			continue
		}
		up := c.list(collection, "?sort_key="+a.Name+"&sort_dir=asc")
		down := ids(c.list(collection, "?sort_key="+a.Name+"&sort_dir=desc"))
		had := false
		for _, row := range up {
			if had = had || row[a.Name] != nil; had && row[a.Name] == nil {
				c.t.Errorf("%s by %s: one that has none is behind one that has", collection, a.Name)
			}
		}
		for dir, want := range map[string][]string{"asc": ids(up), "desc": down} {
			var got []string
			for page := []object(nil); ; got = append(got, ids(page)...) {
				query := "?limit=2&sort_key=" + a.Name + "&sort_dir=" + dir
				if got != nil {
					query += "&marker=" + got[len(got)-1]
				}
				if page = c.list(collection, query); len(page) == 0 {
					break
				}
			}
			if !slices.Equal(got, want) {
				c.t.Errorf("%s by %s, %s: by pages %v, at once %v", collection, a.Name, dir, got, want)
			}
		}
		if slices.Reverse(down); !slices.Equal(ids(up), down) {
			c.t.Errorf("%s by %s: %v one way, %v the other", collection, a.Name, ids(up), down)
		}
	}
}
