//go:build integration

package apiserver_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// in is a client who belongs to a project and is no admin.
func (c *client) in(project string) *client {
	return c.as(map[string]string{"X-Project-Id": project, "X-Roles": "member"})
}

// sees tells which of a collection a client is shown.
func (c *client) sees(collection, id string) bool {
	c.t.Helper()
	listed := slices.Contains(ids(c.list(collection, "")), id)
	if status, _ := c.call("GET", "/v2.0/"+collection+"/"+id, nil); (status == http.StatusOK) != listed {
		c.t.Errorf("%s %s: listed %v, but shown with %d", collection, id, listed, status)
	}
	return listed
}

func (c *client) policy(kind, id, action, target string) object {
	c.t.Helper()
	return c.must(201, "POST", "/v2.0/rbac-policies", object{"rbac_policy": object{
		"object_type": kind, "object_id": id, "action": action, "target_tenant": target}})
}

func TestWhatIsSharedIsSharedByPolicies(t *testing.T) {
	admin := newClient(t)
	owner, friend, stranger := admin.in("owner"), admin.in("friend"), admin.in("stranger")
	n := owner.network(object{"name": "n"})
	sub := owner.subnet(n, "10.0.0.0/24", nil)["id"].(string)
	if friend.sees("networks", n) || friend.sees("subnets", sub) {
		t.Error("seen before it is shared")
	}
	p := owner.policy("network", n, "access_as_shared", "friend")
	if p["project_id"] != "owner" || p["tenant_id"] != "owner" || p["object_type"] != "network" || p["object_id"] != n ||
		p["action"] != "access_as_shared" || p["target_tenant"] != "friend" {
		t.Errorf("made %v", p)
	}
	url := "/v2.0/rbac-policies/" + p["id"].(string)
	for who, sees := range map[*client]bool{admin: true, owner: true, friend: true, stranger: false} {
		if who.sees("networks", n) != sees || who.sees("subnets", sub) != sees {
			t.Errorf("%v sees it: %v", who.headers, !sees)
		}
		if listed := len(who.must(200, "GET", "/v2.0/rbac-policies", nil)["rbac_policies"].([]any)) == 1; listed != (who == admin || who == owner) {
			t.Errorf("%v sees the policy: %v", who.headers, listed)
		}
	}
	for who, shared := range map[*client]bool{owner: false, admin: false, friend: true} {
		if who.must(200, "GET", "/v2.0/networks/"+n, nil)["shared"] != shared {
			t.Errorf("%v: the network is not shown with shared %v", who.headers, shared)
		}
		for _, collection := range []string{"networks", "subnets"} {
			if got := len(who.list(collection, fmt.Sprint("?shared=", shared))); got != 1 {
				t.Errorf("%v: %d %s with shared %v", who.headers, got, collection, shared)
			}
		}
	}
	port := friend.create("port", object{"network_id": n})["id"].(string)
	friend.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", object{"port": object{"network_id": n, "mac_address": "fa:16:3e:00:00:01"}})
	friend.refused(403, "PolicyNotAuthorized", "PUT", "/v2.0/networks/"+n, object{"network": object{"name": "mine"}})
	stranger.refused(404, "NetworkNotFound", "POST", "/v2.0/ports", object{"port": object{"network_id": n}})

	friend.refused(404, "RbacPolicyNotFound", "DELETE", url, nil)
	owner.refused(409, "RbacPolicyInUse", "DELETE", url, nil)
	owner.refused(409, "RbacPolicyInUse", "PUT", url, object{"rbac_policy": object{"target_tenant": "stranger"}})
	wild := admin.policy("network", n, "access_as_shared", "*")["id"].(string)
	if !stranger.sees("networks", n) || admin.must(200, "GET", "/v2.0/networks/"+n, nil)["shared"] != true {
		t.Error("what is shared with all is not")
	}
	if got := owner.must(200, "PUT", url, object{"rbac_policy": object{"target_tenant": "stranger"}}); got["target_tenant"] != "stranger" { // all may
		t.Errorf("updated to %v", got)
	}
	admin.refused(409, "RbacPolicyInUse", "DELETE", "/v2.0/rbac-policies/"+wild, nil)
	admin.refused(409, "InvalidSharedSetting", "PUT", "/v2.0/networks/"+n, object{"network": object{"shared": false}})
	friend.must(204, "DELETE", "/v2.0/ports/"+port, nil)
	if admin.must(200, "PUT", "/v2.0/networks/"+n, object{"network": object{"shared": false}})["shared"] != false {
		t.Error("the network is still shared")
	}
	admin.refused(404, "RbacPolicyNotFound", "GET", "/v2.0/rbac-policies/"+wild, nil)
	if friend.sees("networks", n) || !stranger.sees("networks", n) {
		t.Error("a policy for one is not what it was")
	}
	owner.must(204, "DELETE", url, nil)
	if stranger.sees("networks", n) {
		t.Error("seen by whom it is no longer shared with")
	}
	admin.must(200, "PUT", "/v2.0/networks/"+n, object{"network": object{"shared": true}})
	admin.must(204, "DELETE", "/v2.0/networks/"+n, nil)
	if left := admin.must(200, "GET", "/v2.0/rbac-policies", nil)["rbac_policies"].([]any); len(left) != 0 {
		t.Errorf("policies are left of nothing: %v", left)
	}
}

func TestAnExternalNetworkIsSoByPolicies(t *testing.T) {
	admin := newClient(t)
	owner, friend, stranger := admin.in("owner"), admin.in("friend"), admin.in("stranger")
	n := owner.network(nil)
	owner.subnet(n, "192.0.2.0/24", nil)
	p := owner.policy("network", n, "access_as_external", "friend")["id"].(string)
	if !friend.sees("networks", n) || stranger.sees("networks", n) || friend.must(200, "GET", "/v2.0/networks/"+n, nil)["router:external"] != true {
		t.Error("not external to its friend alone")
	}
	friend.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", object{"port": object{"network_id": n}})
	gateway := object{"external_gateway_info": object{"network_id": n}}
	stranger.refused(404, "NetworkNotFound", "POST", "/v2.0/routers", object{"router": gateway})
	router := "/v2.0/routers/" + friend.create("router", gateway)["id"].(string)
	owner.refused(409, "RbacPolicyInUse", "DELETE", "/v2.0/rbac-policies/"+p, nil)
	admin.refused(409, "ExternalNetworkInUse", "PUT", "/v2.0/networks/"+n, object{"network": object{"router:external": false}})
	own := owner.policy("network", n, "access_as_external", "owner")["id"].(string)
	owner.refused(409, "RbacPolicyInUse", "DELETE", "/v2.0/rbac-policies/"+p, nil)
	friend.must(200, "PUT", router, object{"router": object{"external_gateway_info": object{}}})
	floating := "/v2.0/floatingips/" + owner.create("floatingip", object{"floating_network_id": n})["id"].(string)
	owner.must(204, "DELETE", "/v2.0/rbac-policies/"+p, nil)
	owner.refused(409, "RbacPolicyInUse", "DELETE", "/v2.0/rbac-policies/"+own, nil) // with it the network would turn inward
	owner.must(204, "DELETE", floating, nil)
	owner.must(204, "DELETE", "/v2.0/rbac-policies/"+own, nil)
	if owner.must(200, "GET", "/v2.0/networks/"+n, nil)["router:external"] != false {
		t.Error("external to nobody")
	}
	out := admin.network(object{"router:external": true})
	if got := admin.must(200, "GET", "/v2.0/rbac-policies?object_id="+out, nil)["rbac_policies"].([]any); len(got) != 1 ||
		got[0].(object)["target_tenant"] != "*" || got[0].(object)["action"] != "access_as_external" {
		t.Errorf("an external network has the policies %v", got)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	admin := newClient(t)
	owner, friend := admin.in("owner"), admin.in("friend")
	n := owner.network(nil)
	ask := func(c *client, status int, name string, change object) {
		t.Helper()
		asked := object{"object_type": "network", "object_id": n, "action": "access_as_shared", "target_tenant": "friend"}
		for k, v := range change {
			asked[k] = v
		}
		c.refused(status, name, "POST", "/v2.0/rbac-policies", object{"rbac_policy": asked})
	}
	ask(owner, 403, "PolicyNotAuthorized", object{"target_tenant": "*"})
	ask(owner, 400, "HTTPBadRequest", object{"target_tenant": ""})
	ask(owner, 400, "HTTPBadRequest", object{"object_id": "n"})
	ask(owner, 400, "InvalidInput", object{"object_type": "port"})
	ask(owner, 400, "InvalidActionForType", object{"action": "access_as_owner"})
	ask(owner, 400, "HTTPBadRequest", object{"project_id": "friend"})
	ask(friend, 404, "NetworkNotFound", nil)
	ask(admin, 404, "NetworkNotFound", object{"object_id": "83273865-a2d7-455c-949c-35c8992046ca"})
	p := owner.policy(" Network ", n, "access_as_shared", "friend")["id"].(string)
	ask(owner, 409, "DuplicateRbacPolicy", nil)
	ask(friend, 400, "InvalidInput", object{"target_tenant": "stranger"}) // it sees the network, and still does not own it
	q := owner.policy("network", n, "access_as_shared", "other")["id"].(string)
	owner.refused(409, "DuplicateRbacPolicy", "PUT", "/v2.0/rbac-policies/"+q, object{"rbac_policy": object{"target_tenant": "friend"}})
	owner.refused(403, "PolicyNotAuthorized", "PUT", "/v2.0/rbac-policies/"+q, object{"rbac_policy": object{"target_tenant": "*"}})
	owner.refused(400, "HTTPBadRequest", "PUT", "/v2.0/rbac-policies/"+q, object{"rbac_policy": object{"action": "access_as_external"}})
	var paged []string
	for marker := ""; len(paged) < 3; marker = "&marker=" + paged[len(paged)-1] {
		page := owner.must(200, "GET", "/v2.0/rbac-policies?limit=1"+marker, nil)["rbac_policies"].([]any)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page[0].(object)["id"].(string))
	}
	if want := []string{min(p, q), max(p, q)}; !slices.Equal(paged, want) {
		t.Errorf("in pages: %v, want %v", paged, want)
	}
}

func TestPoolsScopesAndGroupsAreSharedByPolicies(t *testing.T) {
	admin := newClient(t)
	owner, friend := admin.in("owner"), admin.in("friend")
	things := map[string]string{
		"subnetpool":     owner.pool(object{"prefixes": []any{"10.0.0.0/16"}, "default_prefixlen": 24}),
		"address_scope":  owner.create("address_scope", object{"ip_version": 4})["id"].(string),
		"security_group": owner.create("security_group", object{"name": "g"})["id"].(string),
	}
	n := friend.network(nil)
	uses := map[string]func() (url string){ // what a guest has of them
		"subnetpool": func() string { return "/v2.0/subnets/" + friend.cut(n, things["subnetpool"], nil)["id"].(string) },
		"address_scope": func() string {
			return "/v2.0/subnetpools/" + friend.pool(object{"prefixes": []any{"10.1.0.0/16"}, "address_scope_id": things["address_scope"]})
		},
		"security_group": func() string {
			friend.create("security_group_rule", object{"security_group_id": friend.create("security_group", nil)["id"], "direction": "ingress",
				"remote_group_id": things["security_group"]})
			return "/v2.0/ports/" + friend.create("port", object{"network_id": n, "security_groups": []any{things["security_group"]}})["id"].(string)
		},
	}
	friend.refused(404, "SubnetPoolNotFound", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "subnetpool_id": things["subnetpool"]}})
	friend.refused(404, "SecurityGroupNotFound", "POST", "/v2.0/ports", object{"port": object{"network_id": n, "security_groups": []any{things["security_group"]}}})
	for kind, id := range things {
		collection := strings.ReplaceAll(kind, "_", "-") + "s"
		url := "/v2.0/" + collection + "/" + id
		if friend.sees(collection, id) {
			t.Errorf("%s: seen before it is shared", kind)
		}
		owner.refused(400, "InvalidActionForType", "POST", "/v2.0/rbac-policies", object{"rbac_policy": object{
			"object_type": kind, "object_id": id, "action": "access_as_external", "target_tenant": "friend"}})
		policy := "/v2.0/rbac-policies/" + owner.policy(kind, id, "access_as_shared", "friend")["id"].(string)
		if !friend.sees(collection, id) || friend.must(200, "GET", url, nil)["shared"] != true || owner.must(200, "GET", url, nil)["shared"] != false {
			t.Errorf("%s: not shared with its friend alone", kind)
		}
		if got := ids(friend.list(collection, "?shared=True")); len(got) != 1 || got[0] != id {
			t.Errorf("%s: shared with its friend are %v", kind, got)
		}
		friend.refused(403, "PolicyNotAuthorized", "PUT", url, object{kind: object{"name": "mine"}})
		friend.refused(403, "PolicyNotAuthorized", "DELETE", url, nil)
		friend.refused(400, "InvalidInput", "POST", "/v2.0/rbac-policies", object{"rbac_policy": object{
			"object_type": kind, "object_id": id, "action": "access_as_shared", "target_tenant": "stranger"}})
		used := uses[kind]()
		owner.refused(409, "RbacPolicyInUse", "DELETE", policy, nil)
		friend.must(204, "DELETE", used, nil)
		owner.must(204, "DELETE", policy, nil)
		if friend.sees(collection, id) {
			t.Errorf("%s: seen when it is no longer shared", kind)
		}
		owner.policy(kind, id, "access_as_shared", "friend")
		owner.must(204, "DELETE", url, nil)
	}
	if left := admin.must(200, "GET", "/v2.0/rbac-policies", nil)["rbac_policies"].([]any); len(left) != 0 {
		t.Errorf("policies are left of nothing: %v", left)
	}
}

// TestNobodyIsLeftOnANetworkThatIsTakenFromThem: a port of a guest's is there only as long as a policy lets it.
func TestNobodyIsLeftOnANetworkThatIsTakenFromThem(t *testing.T) {
	clients := crowd(t)
	admin := clients[0]
	n := admin.network(nil)
	admin.subnet(n, "10.0.0.0/16", nil)
	for range 3 {
		p := admin.policy("network", n, "access_as_shared", "guest")["id"].(string)
		answers := together(clients, func(i int, c *client) (int, object) {
			if i == creators/2 {
				return c.call("DELETE", "/v2.0/rbac-policies/"+p, nil)
			}
			return c.in("guest").call("POST", "/v2.0/ports", object{"port": object{"network_id": n}})
		})
		for answer := range answers {
			switch answer {
			case "201", "204", "404NetworkNotFound", "409RbacPolicyInUse":
			default:
				t.Errorf("answers %v", answers)
			}
		}
		ports := admin.list("ports", "?project_id=guest")
		if taken := answers["204"] == 1; taken && len(ports) > 0 || !taken && len(ports) != answers["201"] {
			t.Errorf("answers %v, and %d ports of a guest's", answers, len(ports))
		}
		for _, port := range ports {
			admin.must(204, "DELETE", "/v2.0/ports/"+port["id"].(string), nil)
		}
		admin.call("DELETE", "/v2.0/rbac-policies/"+p, nil)
	}
}
