//go:build integration

package apiserver_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

const (
	groupsURL = "/v2.0/security-groups"
	rulesURL  = "/v2.0/security-group-rules"
	stranger  = "eba09324a32f46c5b543336ee574edca"
	nobodys   = "11111111-1111-1111-1111-111111111111"
)

func (c *client) group(attributes object) object {
	c.t.Helper()
	if attributes == nil {
		attributes = object{}
	}
	return c.must(201, "POST", groupsURL, object{"security_group": attributes})
}

// rule makes an ingress rule of a group.
func (c *client) rule(group any, more object) object {
	c.t.Helper()
	return c.must(201, "POST", rulesURL, aRule(group, more))
}

func aRule(group any, more object) object {
	attributes := object{"security_group_id": group, "direction": "ingress"}
	for k, v := range more {
		attributes[k] = v
	}
	return object{"security_group_rule": attributes}
}

// member is a client of a project that is no admin's.
func (c *client) member(project string) *client {
	return c.as(map[string]string{"X-Project-Id": project, "X-Roles": "member,reader"})
}

// groups lists the caller's security groups.
func (c *client) groups(query string) []object {
	c.t.Helper()
	return c.listed("security-groups", "security_groups", query)
}

// listed is list of a collection that answers by another name than its URL has.
func (c *client) listed(path, name, query string) (items []object) {
	c.t.Helper()
	status, answer := c.call("GET", "/v2.0/"+path+query, nil)
	if status != 200 {
		c.t.Fatalf("GET %s%s: %d %v", path, query, status, answer)
	}
	for _, i := range answer[name].([]any) {
		items = append(items, i.(object))
	}
	return items
}

func (c *client) defaultGroup() object {
	c.t.Helper()
	all := c.groups("?name=default")
	if len(all) != 1 {
		c.t.Fatalf("default groups %v", all)
	}
	return all[0]
}

// told are a group's rules in few words.
func told(group object) (rules []string) {
	for _, r := range group["security_group_rules"].([]any) {
		r := r.(object)
		rules = append(rules, fmt.Sprint(r["direction"], " ", r["ethertype"], " ", r["remote_group_id"] == group["id"]))
	}
	return rules
}

func TestEveryProjectHasADefaultGroup(t *testing.T) {
	c := newClient(t)
	for i, touch := range []func(c *client){
		func(c *client) { c.groups("") },
		func(c *client) { c.listed("security-group-rules", "security_group_rules", "") },
		func(c *client) { c.group(nil) },
		func(c *client) { c.network(nil) },
	} {
		m := c.member(fmt.Sprint("project", i))
		touch(m)
		var defaults []object
		for _, g := range c.groups("?name=default") { // which makes the admin's
			if g["project_id"] == fmt.Sprint("project", i) {
				defaults = append(defaults, g)
			}
		}
		want := []string{"egress IPv4 false", "egress IPv6 false", "ingress IPv4 true", "ingress IPv6 true"}
		if len(defaults) != 1 || !slices.Equal(told(defaults[0]), want) || defaults[0]["description"] != "Default security group" ||
			defaults[0]["shared"] != false || defaults[0]["revision_number"] != 1.0 {
			t.Errorf("touch %d made %v", i, defaults)
		}
	}
	m := c.member(stranger)
	g := m.defaultGroup()
	url := groupsURL + "/" + g["id"].(string)
	m.refused(409, "SecurityGroupCannotRemoveDefault", "DELETE", url, nil)
	m.refused(409, "SecurityGroupCannotUpdateDefault", "PUT", url, object{"security_group": object{"name": "x"}})
	for _, name := range []string{"default", "Default"} {
		m.refused(409, "SecurityGroupDefaultAlreadyExists", "POST", groupsURL, object{"security_group": object{"name": name}})
	}
	m.refused(409, "SecurityGroupDefaultAlreadyExists", "PUT", groupsURL+"/"+m.group(nil)["id"].(string), object{"security_group": object{"name": "default"}})
	if got := m.must(200, "PUT", url, object{"security_group": object{"description": "ours"}}); got["description"] != "ours" || len(told(got)) != 4 {
		t.Errorf("updated: %v", got)
	}
	c.must(204, "DELETE", url, nil) // an admin may
	if again := m.defaultGroup(); again["id"] == g["id"] {
		t.Errorf("the default group is %v again", again)
	}
}

func TestGroupsLiveAsInNeutron(t *testing.T) {
	c := newClient(t)
	g := c.group(object{"name": "web", "description": "d"})
	url := groupsURL + "/" + g["id"].(string)
	if !slices.Equal(told(g), []string{"egress IPv4 false", "egress IPv6 false"}) || g["project_id"] != project || g["tenant_id"] != project {
		t.Errorf("made %v", g)
	}
	if got := c.must(200, "GET", url, nil); !reflect.DeepEqual(got, g) {
		t.Errorf("got %v, want %v", got, g)
	}
	r := c.rule(g["id"], object{"protocol": "tcp", "port_range_min": 80, "port_range_max": 80})
	got := c.must(200, "GET", url, nil)
	if rules := got["security_group_rules"].([]any); got["revision_number"] != 2.0 || len(rules) != 3 || !reflect.DeepEqual(rules[2], any(r)) {
		t.Errorf("with the rule %v: %v", r, got)
	}
	c.refused(405, "HTTPMethodNotAllowed", "PUT", rulesURL+"/"+r["id"].(string), object{"security_group_rule": object{"description": "x"}})
	c.must(204, "DELETE", rulesURL+"/"+r["id"].(string), nil)
	c.refused(404, "SecurityGroupRuleNotFound", "GET", rulesURL+"/"+r["id"].(string), nil)
	c.refused(404, "SecurityGroupRuleNotFound", "DELETE", rulesURL+"/"+r["id"].(string), nil)

	stale := c.as(map[string]string{"If-Match": "revision_number=1"})
	stale.refused(412, "RevisionNumberConstraintFailed", "PUT", url, object{"security_group": object{"name": "x"}})
	stale.refused(412, "RevisionNumberConstraintFailed", "DELETE", url, nil)
	if got := c.must(200, "PUT", url, object{"security_group": object{"name": "x"}}); got["name"] != "x" || got["revision_number"] != 4.0 {
		t.Errorf("updated: %v", got)
	}
	bulk := c.must(201, "POST", groupsURL, object{"security_groups": []any{object{"name": "a"}, object{"name": "b"}}})
	if n := len(bulk["security_groups"].([]any)); n != 2 {
		t.Errorf("made %d", n)
	}
	if got := c.groups("?name=a&name=b&fields=name&sort_key=name&sort_dir=desc&limit=1"); len(got) != 1 || got[0]["name"] != "b" || len(got[0]) != 1 {
		t.Errorf("listed %v", got)
	}
	c.must(204, "DELETE", url, nil)
	c.refused(404, "SecurityGroupNotFound", "GET", url, nil)
	c.refused(404, "SecurityGroupNotFound", "DELETE", groupsURL, nil)
}

// TestRulesAreRefusedAsByNeutron: what the recordings do not have.
func TestGroupsAreStateful(t *testing.T) {
	c := newClient(t)
	g := c.group(object{"stateful": true})
	url := groupsURL + "/" + g["id"].(string)
	if g["stateful"] != true || len(c.groups("?stateful=True")) != 2 || len(c.groups("?stateful=False")) != 0 {
		t.Errorf("made %v, listed %v", g, c.groups("?stateful=True"))
	}
	c.must(200, "PUT", url, object{"security_group": object{"stateful": "True"}})
	c.refused(400, "InvalidInput", "PUT", url, object{"security_group": object{"stateful": false}})
	c.refused(400, "InvalidInput", "POST", groupsURL, object{"security_group": object{"stateful": "0"}})
	c.refused(400, "InvalidInput", "POST", groupsURL, object{"security_group": object{"stateful": "perhaps"}})
	if status, _, _ := c.raw("GET", "/v2.0/extensions/stateful-security-group", nil); status != 404 {
		t.Errorf("an extension for it is announced: %d", status)
	}
}

func TestRulesAreRefusedAsByNeutron(t *testing.T) {
	c := newClient(t)
	g := c.group(nil)["id"]
	for _, test := range []struct {
		refusal string // with its status; "": none
		rule    object
	}{
		{"", object{"protocol": 6, "port_range_min": "22", "port_range_max": "22"}},
		{"409 SecurityGroupRuleExists", object{"protocol": "TCP", "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "0.0.0.0/0"}},
		{"", object{"ethertype": "ipv6", "protocol": "icmp", "port_range_min": 0}},
		{"409 SecurityGroupRuleExists", object{"ethertype": "IPv6", "protocol": 58, "port_range_min": 0}},
		{"409 SecurityGroupRuleExists", object{"ethertype": "IPv6", "protocol": "icmpv6", "port_range_min": 0}},
		{"", object{"remote_ip_prefix": "10.1.2.3"}},
		{"409 SecurityGroupRuleExists", object{"remote_ip_prefix": "10.1.2.3/32"}},
		{"", object{"remote_ip_prefix": "10.1.2.3/8"}},
		{"409 SecurityGroupRuleExists", object{"remote_ip_prefix": "10.9.9.9/8"}},
		{"", object{"remote_group_id": g, "protocol": "vrrp"}},
		{"", object{"protocol": "icmp", "port_range_min": 3, "port_range_max": 4}},
		{"", object{"protocol": "sctp", "port_range_min": 1, "port_range_max": 65535}},
		{"", object{"protocol": nil, "port_range_min": nil, "remote_ip_prefix": nil, "remote_group_id": nil, "ethertype": "IPv6"}},
		{"400 SecurityGroupInvalidPortRange", object{"protocol": "tcp", "port_range_min": 22}},
		{"400 SecurityGroupInvalidPortValue", object{"protocol": "tcp", "port_range_min": 0, "port_range_max": 22}},
		{"400 SecurityGroupInvalidPortValue", object{"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}},
		{"400 SecurityGroupInvalidPortValue", object{"protocol": "tcp", "port_range_min": "x", "port_range_max": 22}},
		{"400 SecurityGroupInvalidPortValue", object{"protocol": "tcp", "port_range_min": -1, "port_range_max": 22}},
		{"400 SecurityGroupInvalidProtocolForPort", object{"protocol": "esp", "port_range_min": 1, "port_range_max": 22}},
		{"400 SecurityGroupMissingIcmpType", object{"protocol": "icmp", "port_range_max": 0}},
		{"400 SecurityGroupInvalidIcmpValue", object{"protocol": "icmp", "port_range_min": 8, "port_range_max": 256}},
		{"400 SecurityGroupRuleInvalidProtocol", object{"protocol": 256}},
		{"400 SecurityGroupRuleInvalidProtocol", object{"protocol": ""}},
		{"400 SecurityGroupRuleInvalidProtocol", object{"protocol": true}},
		{"400 SecurityGroupEthertypeConflictWithProtocol", object{"protocol": "ipv6-icmp"}},
		{"400 SecurityGroupEthertypeConflictWithProtocol", object{"protocol": 44}},
		{"400 SecurityGroupRuleParameterConflict", object{"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"}},
		{"400 SecurityGroupRuleInvalidEtherType", object{"ethertype": nil}},
		{"400 InvalidCIDR", object{"remote_ip_prefix": "10.0.0.0/33"}},
		{"400 InvalidCIDR", object{"remote_ip_prefix": "::ffff:10.0.0.0/100"}},
		{"400 InvalidCIDR", object{"remote_ip_prefix": 5}},
		{"404 SecurityGroupNotFound", object{"remote_group_id": nobodys}},
		{"400 HTTPBadRequest", object{"remote_group_id": "x"}},
		{"400 HTTPBadRequest", object{"remote_address_group_id": nobodys}},
		{"400 HTTPBadRequest", object{"normalized_cidr": "10.0.0.0/8"}},
		{"400 InvalidInput", object{"tenant_id": stranger}},
	} {
		status, answer := c.call("POST", rulesURL, aRule(g, test.rule))
		if got := fmt.Sprint(status, " ", errorName(answer)); got != test.refusal && (test.refusal != "" || status != 201) {
			t.Errorf("%v: %v, want %q", test.rule, answer, test.refusal)
		}
	}
	some := c.listed("security-group-rules", "security_group_rules", "?remote_ip_prefix=10.1.2.3/8")
	if len(some) != 1 || some[0]["remote_ip_prefix"] != "10.1.2.3/8" || some[0]["normalized_cidr"] != "10.0.0.0/8" {
		t.Errorf("listed %v", some)
	}
	if some = c.listed("security-group-rules", "security_group_rules", "?normalized_cidr=10.1.2.3/32&protocol=x&protocol=tcp"); len(some) != 0 {
		t.Errorf("listed %v", some)
	}
	if some = c.listed("security-group-rules", "security_group_rules", "?port_range_min=22&direction=ingress"); len(some) != 1 || some[0]["protocol"] != "6" {
		t.Errorf("listed %v", some)
	}

	one, other := aRule(g, object{"protocol": "udp"})["security_group_rule"], aRule(c.group(nil)["id"], nil)["security_group_rule"]
	c.refused(400, "SecurityGroupNotSingleGroupRules", "POST", rulesURL, object{"security_group_rules": []any{one, other}})
	c.refused(409, "DuplicateSecurityGroupRuleInPost", "POST", rulesURL, object{"security_group_rules": []any{one, one}})
	both := c.must(201, "POST", rulesURL, object{"security_group_rules": []any{one, aRule(g, object{"protocol": "gre"})["security_group_rule"]}})
	if n := len(both["security_group_rules"].([]any)); n != 2 {
		t.Errorf("made %d", n)
	}
	c.refused(409, "SecurityGroupRuleExists", "POST", rulesURL,
		object{"security_group_rules": []any{aRule(g, object{"protocol": "ah"})["security_group_rule"], one}})
	if some = c.listed("security-group-rules", "security_group_rules", "?protocol=ah"); len(some) != 0 {
		t.Errorf("half a request was granted: %v", some)
	}
}

func TestGroupsAreTheirProjectsOwn(t *testing.T) {
	c := newClient(t)
	m := c.member(stranger)
	own, foreign := m.group(object{"name": "own"})["id"], c.group(object{"name": "foreign"})
	url := groupsURL + "/" + foreign["id"].(string)
	r := c.rule(foreign["id"], nil)["id"].(string)
	m.refused(404, "SecurityGroupNotFound", "GET", url, nil)
	m.refused(404, "SecurityGroupNotFound", "PUT", url, object{"security_group": object{"name": "x"}})
	m.refused(404, "SecurityGroupNotFound", "DELETE", url, nil)
	m.refused(404, "SecurityGroupNotFound", "POST", rulesURL, aRule(foreign["id"], nil))
	m.refused(404, "SecurityGroupNotFound", "POST", rulesURL, aRule(own, object{"remote_group_id": foreign["id"]}))
	m.refused(404, "SecurityGroupRuleNotFound", "GET", rulesURL+"/"+r, nil)
	m.refused(404, "SecurityGroupRuleNotFound", "DELETE", rulesURL+"/"+r, nil)
	m.refused(400, "HTTPBadRequest", "POST", groupsURL, object{"security_group": object{"tenant_id": project}})
	for _, g := range m.groups("") {
		if g["project_id"] != stranger {
			t.Errorf("listed %v", g)
		}
	}
	if got := m.groups("?tenant_id=" + project); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	for _, r := range m.listed("security-group-rules", "security_group_rules", "") {
		if r["project_id"] != stranger {
			t.Errorf("listed %v", r)
		}
	}
	theirs := c.rule(own, object{"remote_group_id": foreign["id"]}) // an admin's
	if theirs["project_id"] != stranger {
		t.Errorf("made %v", theirs)
	}

	n := m.network(nil)
	m.refused(404, "SecurityGroupNotFound", "POST", "/v2.0/ports", object{"port": object{"network_id": n, "security_groups": []any{foreign["id"]}}})
	p := m.create("port", object{"network_id": n})
	port := "/v2.0/ports/" + p["id"].(string)
	m.refused(404, "SecurityGroupNotFound", "PUT", port, object{"port": object{"security_groups": []any{foreign["id"]}}})
	if got := c.must(200, "PUT", port, object{"port": object{"security_groups": []any{foreign["id"]}}}); !reflect.DeepEqual(got["security_groups"], []any{foreign["id"]}) {
		t.Errorf("put by an admin: %v", got)
	}
	m.must(200, "PUT", port, object{"port": object{"security_groups": []any{own}}})
}

func TestPortsAreInTheGroupsThatWereAskedFor(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/24", nil)
	a, b, def := c.group(nil)["id"], c.group(nil)["id"], c.defaultGroup()["id"]
	sorted := []any{min(a.(string), b.(string)), max(a.(string), b.(string))}
	for _, test := range []struct {
		name string
		more object
		want []any
	}{
		{"nothing said", nil, []any{def}},
		{"null", object{"security_groups": nil}, []any{def}},
		{"none", object{"security_groups": []any{}}, []any{}},
		{"both, and one again", object{"security_groups": []any{b, a, b}}, sorted},
		{"whose device's it claims to be", object{"device_owner": "network:dhcp"}, []any{def}},
		{"port security off", object{"port_security_enabled": false}, []any{}},
	} {
		attributes := object{"network_id": n}
		for k, v := range test.more {
			attributes[k] = v
		}
		if p := c.create("port", attributes); !reflect.DeepEqual(p["security_groups"], test.want) {
			t.Errorf("%s: %v, want %v", test.name, p["security_groups"], test.want)
		}
	}
	for _, bad := range []struct {
		refusal string
		groups  any
	}{
		{"404 SecurityGroupNotFound", []any{a, nobodys}}, {"400 InvalidInput", []any{"x"}}, {"400 InvalidInput", []any{5}}, {"400 HTTPBadRequest", "x"},
	} {
		status, answer := c.call("POST", "/v2.0/ports", object{"port": object{"network_id": n, "security_groups": bad.groups}})
		if got := fmt.Sprint(status, " ", errorName(answer)); got != bad.refusal {
			t.Errorf("%v: %v", bad.groups, answer)
		}
	}
	for _, p := range c.dhcpPorts(n) {
		if p["device_id"] != "" && !reflect.DeepEqual(p["security_groups"], []any{}) {
			t.Errorf("a port of ours: %v", p)
		}
	}

	p := c.create("port", object{"network_id": n})
	url := "/v2.0/ports/" + p["id"].(string)
	is := func(say any, want ...any) {
		t.Helper()
		got := c.must(200, "PUT", url, object{"port": object{"security_groups": say}})
		if !reflect.DeepEqual(got["security_groups"], append([]any{}, want...)) || !reflect.DeepEqual(got, c.must(200, "GET", url, nil)) {
			t.Errorf("%v: %v", say, got["security_groups"])
		}
	}
	is([]any{a}, a)
	before := c.must(200, "GET", url, nil)
	is([]any{a}, a)
	if after := c.must(200, "GET", url, nil); !reflect.DeepEqual(before, after) {
		t.Errorf("an update that changes nothing changed %v to %v", before, after)
	}
	is([]any{b, a}, sorted...)
	c.refused(409, "SecurityGroupInUse", "DELETE", groupsURL+"/"+a.(string), nil)
	if got := c.list("ports", "?security_groups="+a.(string)+"&fields=id"); len(got) != 2 {
		t.Errorf("members %v", got)
	}
	if got := c.list("ports", "?security_groups=x"); len(got) != 0 {
		t.Errorf("members %v", got)
	}
	c.refused(409, "PortSecurityPortHasSecurityGroup", "PUT", url, object{"port": object{"port_security_enabled": false}})
	c.must(200, "PUT", url, object{"port": object{"port_security_enabled": false, "security_groups": []any{}}})
	c.refused(400, "PortSecurityAndIPRequiredForSecurityGroups", "PUT", url, object{"port": object{"security_groups": []any{a}}})
	c.must(200, "PUT", url, object{"port": object{"port_security_enabled": true}})
	is(nil)
	is([]any{a}, a)

	router := c.router(nil)
	c.join(router, object{"port_id": p["id"]})
	if got := c.must(200, "GET", url, nil); !reflect.DeepEqual(got["security_groups"], []any{}) {
		t.Errorf("a router's interface is in %v", got["security_groups"])
	}
	c.refused(409, "ServicePortInUse", "PUT", url, object{"port": object{"security_groups": []any{a}}})
	c.must(200, "PUT", url, object{"port": object{"security_groups": []any{}}})
}

func TestGroupTakesTheRulesThatNameItAlong(t *testing.T) {
	c := newClient(t)
	a, b := c.group(nil), c.group(nil)
	c.rule(a["id"], object{"remote_group_id": b["id"]})
	c.rule(b["id"], object{"remote_group_id": a["id"]})
	c.rule(b["id"], object{"remote_group_id": b["id"]})
	c.must(204, "DELETE", groupsURL+"/"+b["id"].(string), nil)
	if got := c.must(200, "GET", groupsURL+"/"+a["id"].(string), nil); len(told(got)) != 2 || got["revision_number"] != 3.0 {
		t.Errorf("left %v", got)
	}
	if left := c.listed("security-group-rules", "security_group_rules", "?security_group_id="+b["id"].(string)); len(left) != 0 {
		t.Errorf("orphans %v", left)
	}
}

// TestManyFirstTouchesMakeOneDefaultGroup: by whatever is asked first, of three servers.
func TestManyFirstTouchesMakeOneDefaultGroup(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	n := c.must(201, "POST", "/v2.0/networks", object{"network": object{"shared": true}})["id"]
	for round := range 3 {
		p := fmt.Sprint("p", round)
		answers := together(clients, func(i int, c *client) (int, object) {
			m := c.member(p)
			switch i % 5 {
			case 0:
				return m.call("GET", groupsURL, nil)
			case 1:
				return m.call("GET", rulesURL, nil)
			case 2:
				return m.call("POST", groupsURL, object{"security_group": object{}})
			case 3:
				return c.call("POST", "/v2.0/ports", object{"ports": []any{ // two projects at once, in either order
					object{"network_id": n, "tenant_id": fmt.Sprint("p", round+i/5%2)}, object{"network_id": n, "tenant_id": fmt.Sprint("p", round+1-i/5%2)}}})
			}
			return m.call("POST", "/v2.0/ports", object{"port": object{"network_id": n}})
		})
		allowed(t, answers, "200", "201")
		def := c.member(p).defaultGroup()
		if len(told(def)) != 4 {
			t.Errorf("default group %v", def)
		}
		for _, port := range c.list("ports", "?tenant_id="+p) {
			if !reflect.DeepEqual(port["security_groups"], []any{def["id"]}) {
				t.Errorf("port %v", port)
			}
		}
	}
}

// TestManyNeverMakeOneRuleTwice: nor do ports join a group that goes.
func TestManyNeverMakeOneRuleTwice(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	g := c.group(nil)["id"]
	want(t, "one rule", together(clients, func(_ int, c *client) (int, object) {
		return c.call("POST", rulesURL, aRule(g, object{"protocol": "tcp"}))
	}), map[string]int{"201": 1, "409SecurityGroupRuleExists": creators - 1})
	n := c.network(nil)
	var groups []any
	for range creators / 4 {
		groups = append(groups, c.group(nil)["id"])
	}
	allowed(t, together(clients, func(i int, c *client) (int, object) {
		group := groups[i/4]
		switch (i + i/4) % 4 {
		case 0:
			return c.call("DELETE", groupsURL+"/"+group.(string), nil)
		case 1:
			return c.call("POST", rulesURL, aRule(groups[(i/4+1)%len(groups)], object{"remote_group_id": group}))
		}
		return c.call("POST", "/v2.0/ports", object{"port": object{"network_id": n, "security_groups": []any{group}}})
	}), "201", "204", "404SecurityGroupNotFound", "409SecurityGroupInUse")
	soundGroups(t, c)
}

// soundGroups checks what must hold of security groups at any time.
func soundGroups(t *testing.T, c *client) {
	t.Helper()
	there, nested, defaults := map[any]object{}, map[any]object{}, map[any]bool{}
	for _, g := range c.groups("") {
		there[g["id"]] = g
		if g["name"] == "default" {
			if defaults[g["project_id"]] {
				t.Errorf("project %v has two default groups", g["project_id"])
			}
			defaults[g["project_id"]] = true
		}
		for _, r := range g["security_group_rules"].([]any) {
			nested[r.(object)["id"]] = r.(object)
		}
	}
	for _, r := range c.listed("security-group-rules", "security_group_rules", "") {
		remote := r["remote_group_id"]
		if !reflect.DeepEqual(nested[r["id"]], r) || there[r["security_group_id"]] == nil || remote != nil && there[remote] == nil ||
			there[r["security_group_id"]]["project_id"] != r["project_id"] {
			t.Errorf("rule %v, in its group %v", r, nested[r["id"]])
		}
		delete(nested, r["id"])
	}
	if len(nested) > 0 {
		t.Errorf("only in groups: %v", nested)
	}
	for _, p := range c.list("ports", "") {
		for _, g := range p["security_groups"].([]any) {
			if there[g] == nil {
				t.Errorf("port %v is in a group that is not there", p)
			}
		}
	}
}

// TestRandomWalksAmongGroupsLeaveNoOrphans: groups, rules and ports of three projects are made and unmade at random by many at once.
// No project gets at another's, and in between everything fits together.
func TestRandomWalksAmongGroupsLeaveNoOrphans(t *testing.T) {
	const walkers, steps = 9, 40
	handler := newServer(t, storetest.StartForTest(t), settings)
	c := &client{t: t, handler: handler}
	n := c.must(201, "POST", "/v2.0/networks", object{"network": object{"shared": true}})["id"]
	clients := make([]*client, walkers)
	for i := range clients {
		clients[i] = c.member(fmt.Sprint("p", i%3))
	}
	for round := range 2 {
		want(t, "a walk", together(clients, func(i int, m *client) (int, object) {
			w := walker{m, rand.New(rand.NewPCG(uint64(round), uint64(i)))}
			for range steps {
				if status, answer := w.guard(n, c); status >= 500 {
					return status, answer
				}
			}
			return 200, nil
		}), map[string]int{"200": walkers})
		soundGroups(t, c)
		for _, p := range c.list("ports", "") {
			for _, g := range p["security_groups"].([]any) {
				if owner := c.must(200, "GET", groupsURL+"/"+g.(string), nil)["project_id"]; owner != p["project_id"] {
					t.Errorf("port %v is in a group of %v", p, owner)
				}
			}
		}
	}
}

// anyGroup is a group that an admin sees, so that it may be a stranger's.
func (w *walker) anyGroup(admin *client) string {
	all := admin.groups("?limit=6")
	if len(all) == 0 || w.rnd.IntN(20) == 0 {
		return nobodys
	}
	return all[w.rnd.IntN(len(all))]["id"].(string)
}

// guard does one thing with security groups.
func (w *walker) guard(network any, admin *client) (int, object) {
	switch w.rnd.IntN(9) {
	case 0:
		return w.call("POST", groupsURL, object{"security_group": object{"name": "g"}})
	case 1:
		return w.call("DELETE", groupsURL+"/"+w.anyGroup(admin), nil)
	case 2:
		return w.call("PUT", groupsURL+"/"+w.anyGroup(admin), object{"security_group": object{"description": fmt.Sprint(w.rnd.IntN(3))}})
	case 3:
		if g := w.anyGroup(admin); w.rnd.IntN(4) == 0 { // a default group, too
			return admin.call("DELETE", groupsURL+"/"+g, nil)
		}
		return w.call("GET", groupsURL, nil)
	case 4, 5:
		return w.call("POST", rulesURL, aRule(w.anyGroup(admin), object{"remote_group_id": w.anyGroup(admin)}))
	case 6:
		return w.call("DELETE", rulesURL+"/"+w.anyRule(admin), nil)
	case 7:
		if p := w.one("ports", few); w.rnd.IntN(2) == 0 {
			return w.call("DELETE", "/v2.0/ports/"+p, nil)
		} else {
			return w.call("PUT", "/v2.0/ports/"+p, object{"port": object{"security_groups": []any{w.anyGroup(admin)}}})
		}
	}
	port := object{"network_id": network}
	if w.rnd.IntN(2) == 0 {
		port["security_groups"] = []any{w.anyGroup(admin)}
	}
	return w.call("POST", "/v2.0/ports", object{"port": port})
}

func (w *walker) anyRule(admin *client) string {
	all := admin.listed("security-group-rules", "security_group_rules", "?limit=6")
	if len(all) == 0 {
		return nobodys
	}
	return all[w.rnd.IntN(len(all))]["id"].(string)
}
