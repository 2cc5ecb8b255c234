//go:build integration

package apiserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// callers are who asks in the table below, in its order. What is asked for is mostly the guest's: its own network, and a port,
// on a network that its lender shares with everybody.
var callers = []struct {
	name    string
	headers map[string]string
}{
	{"admin", map[string]string{"X-Project-Id": "root"}},
	{"service", map[string]string{"X-Project-Id": "nova", "X-Roles": "service"}},
	{"owner", map[string]string{"X-Project-Id": "guest", "X-Roles": "member"}},
	{"network owner", map[string]string{"X-Project-Id": "lender", "X-Roles": "member"}},
	{"other", map[string]string{"X-Project-Id": "stranger", "X-Roles": "member"}},
	{"reader", map[string]string{"X-Project-Id": "guest", "X-Roles": "reader"}},
}

// permitted is who may do what, by the status that answers: Neutron's defaults (neutron/conf/policies).
var permitted = []struct {
	what  string // method and path; {name} is one of the things in scene
	body  string
	codes [6]int // admin, service, owner, network owner, other, reader
}{
	{"DELETE security-groups/{default}", "", [6]int{204, 404, 409, 404, 404, 403}}, // while no port is in it

	{"GET networks/{own}", "", [6]int{200, 200, 200, 404, 404, 200}},
	{"GET networks/{lent}", "", [6]int{200, 200, 200, 200, 200, 200}},
	{"GET networks/{outside}", "", [6]int{200, 200, 200, 200, 200, 200}},
	{"PUT networks/{own}", `{"network":{"name":"x"}}`, [6]int{200, 403, 200, 404, 404, 403}},
	{"PUT networks/{lent}", `{"network":{"name":"x"}}`, [6]int{200, 403, 403, 200, 403, 403}},
	{"PUT networks/{outside}", `{"network":{"name":"x"}}`, [6]int{200, 403, 403, 403, 403, 403}},
	{"PUT networks/{own}", `{"network":{"shared":false}}`, [6]int{200, 403, 403, 404, 404, 403}},
	{"PUT networks/{own}", `{"network":{"router:external":false}}`, [6]int{200, 403, 403, 404, 404, 403}},
	{"POST networks", `{"network":{}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST networks", `{"network":{"project_id":"another"}}`, [6]int{201, 400, 400, 400, 400, 403}},
	{"POST networks", `{"network":{"shared":true}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"POST networks", `{"network":{"shared":false}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST networks", `{"network":{"router:external":true}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"POST networks", `{"network":{"provider:network_type":"vxlan"}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"GET networks?provider:network_type=vxlan", "", [6]int{200, 400, 400, 400, 400, 400}},
	{"DELETE networks/{spare}", "", [6]int{204, 403, 204, 404, 404, 403}},
	{"PUT networks/{own}/tags/x", "", [6]int{201, 403, 201, 404, 404, 403}},
	{"PUT networks/{lent}/tags/x", "", [6]int{201, 403, 403, 201, 403, 403}},

	{"POST rbac-policies", `{"rbac_policy":{"object_type":"network","object_id":"{own}","action":"access_as_shared","target_tenant":"friend {n}"}}`, [6]int{201, 400, 201, 404, 404, 403}},
	{"POST rbac-policies", `{"rbac_policy":{"object_type":"network","object_id":"{lent}","action":"access_as_shared","target_tenant":"friend {n}"}}`, [6]int{201, 400, 400, 201, 400, 403}},
	{"POST rbac-policies", `{"rbac_policy":{"object_type":"network","object_id":"{lent}","action":"access_as_external","target_tenant":"*"}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"POST subnetpools", `{"subnetpool":{"prefixes":["10.0.0.0/8"]}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST subnetpools", `{"subnetpool":{"prefixes":["10.0.0.0/8"],"shared":true}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"POST subnetpools", `{"subnetpool":{"prefixes":["10.0.0.0/8"],"is_default":true}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"POST address-scopes", `{"address_scope":{"ip_version":4,"shared":true}}`, [6]int{201, 403, 403, 403, 403, 403}},

	{"GET subnets/{own subnet}", "", [6]int{200, 200, 200, 404, 404, 200}},
	{"GET subnets/{lent subnet}", "", [6]int{200, 200, 200, 200, 200, 200}},
	{"GET subnets/{outside subnet}", "", [6]int{200, 200, 200, 200, 200, 200}},
	{"GET subnets/{guest subnet}", "", [6]int{200, 200, 200, 200, 404, 200}},
	{"PUT subnets/{guest subnet}", `{"subnet":{"name":"x"}}`, [6]int{200, 403, 200, 200, 404, 403}},
	{"PUT subnets/{own subnet}", `{"subnet":{"name":"x"}}`, [6]int{200, 403, 200, 404, 404, 403}},
	{"PUT subnets/{lent subnet}", `{"subnet":{"name":"x"}}`, [6]int{200, 403, 403, 200, 403, 403}},
	{"POST subnets", `{"subnet":{"network_id":"{own}","ip_version":4,"cidr":"{cidr}"}}`, [6]int{201, 403, 201, 404, 404, 403}},
	{"POST subnets", `{"subnet":{"network_id":"{lent}","ip_version":4,"cidr":"{cidr}"}}`, [6]int{201, 403, 403, 201, 403, 403}},
	{"DELETE subnets/{spare subnet}", "", [6]int{204, 403, 204, 404, 404, 403}},
	{"PUT subnets/{lent subnet}/tags/x", "", [6]int{201, 403, 403, 201, 403, 403}},

	{"GET ports/{own port}", "", [6]int{200, 200, 200, 404, 404, 200}},
	{"GET ports/{port}", "", [6]int{200, 200, 200, 200, 404, 200}},
	{"GET ports?binding:host_id=h", "", [6]int{200, 200, 400, 400, 400, 400}},
	{"PUT ports/{port}", `{"port":{"name":"x"}}`, [6]int{200, 200, 200, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"mac_address":"fa:16:3e:99:00:{n}"}}`, [6]int{200, 200, 403, 403, 404, 403}},
	{"PUT ports/{own port}", `{"port":{"mac_address":"fa:16:3e:98:00:{n}"}}`, [6]int{200, 200, 403, 404, 404, 403}},
	{"PUT ports/{port}", `{"port":{"fixed_ips":[{"ip_address":"10.1.0.{addr}"}]}}`, [6]int{200, 200, 403, 403, 404, 403}},
	{"PUT ports/{own port}", `{"port":{"fixed_ips":[{"ip_address":"10.0.0.{addr}"}]}}`, [6]int{200, 200, 200, 404, 404, 403}},
	{"PUT ports/{port}", `{"port":{"device_owner":"network:router_interface"}}`, [6]int{200, 200, 403, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"device_owner":"compute:nova"}}`, [6]int{200, 200, 200, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"port_security_enabled":true}}`, [6]int{200, 200, 403, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"allowed_address_pairs":[{"ip_address":"10.9.9.9"}]}}`, [6]int{200, 403, 403, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"binding:host_id":"h"}}`, [6]int{200, 200, 403, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"binding:profile":{"a":1}}}`, [6]int{200, 200, 403, 403, 404, 403}},
	{"PUT ports/{port}", `{"port":{"binding:vnic_type":"normal"}}`, [6]int{200, 200, 200, 403, 404, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}"}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST ports", `{"port":{"network_id":"{own}"}}`, [6]int{201, 201, 201, 404, 404, 403}},
	{"POST ports", `{"port":{"network_id":"{outside}"}}`, [6]int{201, 201, 403, 403, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","project_id":"guest"}}`, [6]int{201, 201, 201, 400, 400, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","mac_address":"fa:16:3e:97:00:{n}"}}`, [6]int{201, 201, 403, 201, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","fixed_ips":[{"ip_address":"10.1.0.{addr}"}]}}`, [6]int{201, 201, 403, 201, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","fixed_ips":[{"subnet_id":"{lent subnet}"}]}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","device_owner":"network:dhcp"}}`, [6]int{201, 201, 403, 201, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","port_security_enabled":true}}`, [6]int{201, 201, 403, 201, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","allowed_address_pairs":[{"ip_address":"10.9.9.9"}]}}`, [6]int{201, 403, 403, 201, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","binding:host_id":"h"}}`, [6]int{201, 201, 403, 403, 403, 403}},
	{"POST ports", `{"port":{"network_id":"{lent}","security_groups":["{group}"]}}`, [6]int{201, 404, 201, 404, 404, 403}},
	{"GET ports/{port}/bindings", "", [6]int{200, 200, 404, 404, 404, 404}},
	{"POST ports/{port}/bindings", `{"binding":{"host":"h"}}`, [6]int{409, 409, 404, 404, 404, 403}}, // there is no such host
	{"PUT ports/{port}/bindings/x", `{"binding":{}}`, [6]int{404, 404, 404, 404, 404, 403}},
	{"PUT ports/{port}/bindings/x/activate", "", [6]int{404, 404, 404, 404, 404, 403}},
	{"DELETE ports/{port}/bindings/x", "", [6]int{404, 404, 404, 404, 404, 403}},
	{"DELETE ports/{port}", "", [6]int{204, 204, 204, 204, 404, 403}},
	{"DELETE ports/{own port}", "", [6]int{204, 204, 204, 404, 404, 403}},
	{"PUT ports/{port}/tags/x", "", [6]int{201, 201, 201, 403, 404, 403}},

	{"GET routers/{router}", "", [6]int{200, 404, 200, 404, 404, 200}},
	{"PUT routers/{router}", `{"router":{"name":"x"}}`, [6]int{200, 404, 200, 404, 404, 403}},
	{"PUT routers/{router}", `{"router":{"external_gateway_info":{"network_id":"{outside}"}}}`, [6]int{200, 404, 200, 404, 404, 403}},
	{"PUT routers/{router}", `{"router":{"external_gateway_info":{"network_id":"{outside}","enable_snat":true}}}`, [6]int{200, 404, 403, 404, 404, 403}},
	{"POST routers", `{"router":{}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST routers", `{"router":{"external_gateway_info":{"network_id":"{outside}","enable_snat":true}}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"PUT routers/{router}/add_router_interface", `{"subnet_id":"{lent subnet}"}`, [6]int{200, 404, 400, 404, 404, 403}},
	{"PUT routers/{router}/remove_router_interface", `{"subnet_id":"{lent subnet}"}`, [6]int{200, 404, 404, 404, 404, 403}},
	{"DELETE routers/{router}", "", [6]int{204, 404, 204, 404, 404, 403}},

	{"GET floatingips/{floating}", "", [6]int{200, 404, 200, 404, 404, 200}},
	{"PUT floatingips/{floating}", `{"floatingip":{"description":"x"}}`, [6]int{200, 404, 200, 404, 404, 403}},
	{"POST floatingips", `{"floatingip":{"floating_network_id":"{outside}"}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST floatingips", `{"floatingip":{"floating_network_id":"{outside}","floating_ip_address":"10.2.0.{addr}"}}`, [6]int{201, 403, 403, 403, 403, 403}},
	{"DELETE floatingips/{floating}", "", [6]int{204, 404, 204, 404, 404, 403}},

	{"GET security-groups/{group}", "", [6]int{200, 404, 200, 404, 404, 200}},
	{"PUT security-groups/{group}", `{"security_group":{"name":"x"}}`, [6]int{200, 404, 200, 404, 404, 403}},
	{"POST security-groups", `{"security_group":{"name":"y"}}`, [6]int{201, 201, 201, 201, 201, 403}},
	{"POST security-group-rules", `{"security_group_rule":{"security_group_id":"{group}","direction":"ingress","protocol":"tcp","port_range_min":"{n}","port_range_max":"{n}"}}`, [6]int{201, 404, 201, 404, 404, 403}},
	{"GET security-group-rules/{rule}", "", [6]int{200, 404, 200, 404, 404, 200}},
	{"DELETE security-group-rules/{rule}", "", [6]int{204, 404, 204, 404, 404, 403}},
	{"DELETE security-groups/{group}", "", [6]int{204, 404, 204, 404, 404, 403}},
}

// scene is one of everything that the table speaks of.
func scene(admin *client) map[string]string {
	at := map[string]string{}
	id := func(o object) string { return o["id"].(string) }
	for i, n := range []struct {
		name       string
		attributes object
	}{
		{"own", object{"project_id": "guest"}},
		{"lent", object{"project_id": "lender", "shared": true}},
		{"outside", object{"project_id": "root", "router:external": true}},
		{"spare", object{"project_id": "guest"}},
		{"closed", object{"project_id": "lender"}},
	} {
		at[n.name] = admin.network(n.attributes)
		at[n.name+" subnet"] = id(admin.subnet(at[n.name], fmt.Sprintf("10.%d.0.0/24", i), object{"project_id": n.attributes["project_id"], "enable_dhcp": false}))
	}
	at["guest subnet"] = id(admin.subnet(at["closed"], "10.9.0.0/24", object{"project_id": "guest"}))
	at["own port"] = id(admin.create("port", object{"project_id": "guest", "network_id": at["own"], "security_groups": []any{}}))
	at["port"] = id(admin.create("port", object{"project_id": "guest", "network_id": at["lent"], "security_groups": []any{}}))
	at["router"] = id(admin.create("router", object{"project_id": "guest"}))
	at["floating"] = id(admin.create("floatingip", object{"project_id": "guest", "floating_network_id": at["outside"]}))
	group := admin.must(201, "POST", "/v2.0/security-groups", object{"security_group": object{"project_id": "guest"}})
	at["group"] = id(group)
	at["rule"] = id(group["security_group_rules"].([]any)[0].(object))
	_, listed := admin.call("GET", "/v2.0/security-groups?project_id=guest&name=default", nil)
	at["default"] = id(listed["security_groups"].([]any)[0].(object))
	return at
}

func TestEverybodyMayJustWhatPolicySays(t *testing.T) {
	admin := newClient(t)
	clients := make([]*client, len(callers))
	for i, who := range callers {
		clients[i] = admin.as(who.headers)
	}
	at, n := scene(clients[0]), 0
	for _, row := range permitted {
		for i, want := range row.codes {
			n++
			fill := func(s string) string {
				for name, id := range at {
					s = strings.ReplaceAll(s, "{"+name+"}", id)
				}
				s = strings.ReplaceAll(s, "{cidr}", fmt.Sprintf("10.77.%d.0/24", n%250))
				s = strings.ReplaceAll(s, "{addr}", fmt.Sprint(100+n%150))
				return strings.ReplaceAll(s, "{n}", fmt.Sprint(10+n%80))
			}
			method, path, _ := strings.Cut(fill(row.what), " ")
			var body any
			if row.body != "" {
				if err := json.Unmarshal([]byte(fill(row.body)), &body); err != nil {
					t.Fatal(err)
				}
			}
			status, answer := clients[i].call(method, "/v2.0/"+path, body)
			if status != want {
				t.Errorf("%s %s by the %s: %d %v, want %d", row.what, row.body, callers[i].name, status, answer, want)
			}
			if status == 204 { // for the next to delete
				at = scene(clients[0])
			}
			if collection, id, one := strings.Cut(path, "/"); one && method == "GET" && !strings.Contains(id, "/") {
				isListed(t, clients[i], callers[i].name, collection, id, want == 200)
			}
		}
	}
}

// isListed: who gets a thing has it in the list, and nobody else.
func isListed(t *testing.T, c *client, who, collection, id string, want bool) {
	t.Helper()
	_, answer := c.call("GET", "/v2.0/"+collection+"?id="+id, nil)
	for _, items := range answer {
		if got := len(items.([]any)) == 1; got != want {
			t.Errorf("%s of %s: listed %v for the %s, want %v", id, collection, got, who, want)
		}
	}
}

// TestWhatPolicyHidesIsNowhereToBeSeen: an attribute that is an admin's to see is in no other's answer, however it is asked for.
func TestWhatPolicyHidesIsNowhereToBeSeen(t *testing.T) {
	c := newClient(t)
	at := scene(c.as(callers[0].headers))
	hidden := map[string]map[string][]string{
		"networks": {"admin": nil, "": {"provider:network_type", "provider:physical_network", "provider:segmentation_id"}},
		"ports":    {"admin": nil, "service": nil, "": {"binding:host_id", "binding:profile", "binding:vif_details", "binding:vif_type"}},
	}
	for _, who := range callers {
		mine := c.as(who.headers)
		for collection, path := range map[string]string{"networks": at["lent"], "ports": at["own port"]} {
			if collection == "ports" && (who.name == "other" || who.name == "network owner") {
				continue // who does not see the port at all
			}
			not, known := hidden[collection][who.name]
			if !known {
				not = hidden[collection][""]
			}
			one := mine.must(200, "GET", "/v2.0/"+collection+"/"+path, nil)
			many := mine.list(collection, "?id="+path+"&fields="+strings.Join(hidden[collection][""], "&fields="))[0]
			for _, name := range hidden[collection][""] {
				_, inOne := one[name]
				_, inMany := many[name]
				if want := !slices.Contains(not, name); inOne != want || inMany != want {
					t.Errorf("the %s is shown %s of %s: %v alone, %v in a list, want %v; %v", who.name, name, collection, inOne, inMany, want, slices.Sorted(maps.Keys(one)))
				}
			}
		}
	}
}
