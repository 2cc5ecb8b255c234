//go:build integration

package apiserver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// exchange is one recorded request and Neutron's answer.
type exchange struct {
	Name, Method, Path string
	Headers            map[string]string
	Body               any
	Status             int
	Answer             any
}

// otherwise are the exchanges where Signalbox's answer is not Neutron's, and why.
var otherwise = map[string]struct {
	status    int
	name, why string
}{
	"026-port-bulk-create":        {201, "", "Neutron failed there"},
	"174-port-tiny-1":             {409, "IpAddressGenerationFailure", "that Neutron had no DHCP agent; here DHCP's port holds the /30's only address"},
	"299-fip-pf-delete":           {204, "", "no port forwardings here, so nothing needs the floating IP"},
	"300-router-remove-interface": {200, "", "there, a port forwarding needed the interface"},
	"301-router-clear-gateway":    {200, "", "there, a port forwarding needed the gateway"},
	"302-router-delete":           {204, "", "there, the interface was still attached"},
}

func TestAnswersAreThoseOfARealNeutron(t *testing.T) {
	f, err := os.Open("testdata/neutron-zed.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &replay{client: newClient(t), ids: map[string]string{}, served: servedAttributes()}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		t.Run(e.Name, func(t *testing.T) {
			r.client.t = t
			r.exchange(t, e)
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// replay asks a server what Neutron was asked.
type replay struct {
	client *client
	ids    map[string]string          // Neutron's id of a resource -> ours
	served map[string]map[string]bool // resource -> attribute
}

func (r *replay) exchange(t *testing.T, e exchange) {
	body, unserved := r.request(e)
	want, name := e.Status, errorName(e.Answer)
	if o, ok := otherwise[e.Name]; ok {
		want, name = o.status, o.name
	} else if unserved != "" {
		want, name = 400, "HTTPBadRequest"
	}
	c := r.client.as(r.headers(e))
	status, _, raw := c.raw(e.Method, r.mapped(e.Path), body)
	if status != want {
		t.Fatalf("%d %s, want %d %v", status, raw, want, e.Answer)
	}
	if status == 204 {
		return
	}
	var answer any
	if json.Unmarshal(raw, &answer) != nil {
		answer = string(raw)
	}
	if got := errorName(answer); got != name {
		t.Fatalf("refused as %q %s, want %q", got, raw, name)
	}
	if unserved != "" && !strings.Contains(fmt.Sprint(answer), unserved) {
		t.Errorf("the refusal does not name %s: %s", unserved, raw)
	}
	if status < 300 && e.Status < 300 {
		r.compare(t, e, answer)
	}
}

// request is the body to send. An attribute that is not served is left out where Neutron granted the request, so that
// what builds on it can go on; else it must be refused by its name.
func (r *replay) request(e exchange) (body []byte, unserved string) {
	switch b := e.Body.(type) {
	case nil:
		return nil, ""
	case string: // recorded as sent, as it is not JSON
		return []byte(b), ""
	case map[string]any:
		for resource, attributes := range b {
			o, ok := attributes.(map[string]any)
			if !ok || r.served[resource] == nil {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(o)) {
				if r.served[resource][name] || name == "colour" {
					continue
				}
				if e.Status >= 400 {
					unserved = name
				} else {
					delete(o, name)
				}
			}
		}
	}
	raw, _ := json.Marshal(e.Body)
	return []byte(r.mapped(string(raw))), unserved
}

func (r *replay) headers(e exchange) map[string]string {
	h := map[string]string{"X-Project-Id": project}
	if strings.Contains(e.Name, "-demo-") {
		h = map[string]string{"X-Project-Id": "eba09324a32f46c5b543336ee574edca", "X-Roles": "member,reader"}
	}
	maps.Copy(h, e.Headers)
	return h
}

func (r *replay) mapped(s string) string {
	for theirs, ours := range r.ids {
		s = strings.ReplaceAll(s, theirs, ours)
	}
	return s
}

// compare holds an answer to Neutron's: the same attributes as far as they are served, of the same JSON types; and the
// values that follow from the request.
func (r *replay) compare(t *testing.T, e exchange, answer any) {
	want, ok1 := e.Answer.(map[string]any)
	got, ok2 := answer.(map[string]any)
	if !ok1 || !ok2 {
		if !reflect.DeepEqual(e.Answer, answer) && e.Method != "GET" {
			t.Errorf("answered %v, want %v", answer, e.Answer)
		}
		return
	}
	if port, ok := want["port_id"].(string); ok { // a router's interface
		r.ids[port], _ = got["port_id"].(string)
		theirs, _ := json.Marshal(want)
		ours, _ := json.Marshal(got)
		if r.mapped(string(theirs)) != string(ours) {
			t.Errorf("answered %v, want %v", got, want)
		}
		return
	}
	for key, theirs := range want {
		ours, ok := got[key]
		if !ok {
			t.Errorf("the answer has no %s: %v", key, got)
			continue
		}
		resource := strings.TrimSuffix(key, "s")
		if short, ok := strings.CutSuffix(key, "ies"); ok {
			resource = short + "y"
		}
		if r.served[resource] == nil {
			continue
		}
		switch theirs := theirs.(type) {
		case map[string]any:
			r.one(t, resource, theirs, ours.(map[string]any), e.Method == "POST")
		case []any:
			r.many(t, e, resource, theirs, ours.([]any))
		}
	}
}

func (r *replay) one(t *testing.T, resource string, theirs, ours map[string]any, created bool) {
	if id, ok := theirs["id"].(string); ok && created {
		r.ids[id] = ours["id"].(string)
	}
	for name := range ours {
		if _, ok := theirs[name]; !ok {
			t.Errorf("%s has %s, which Neutron's has not", resource, name)
		}
	}
	id, _ := theirs["id"].(string)
	same := r.mapped(id) == ours["id"]
	for name, v := range theirs {
		if !r.served[resource][name] {
			continue
		}
		if name != "id" && v != nil {
			text, _ := json.Marshal(v)
			v = nil
			_ = json.Unmarshal([]byte(r.mapped(string(text))), &v)
		}
		mine, ok := ours[name]
		if !ok {
			t.Errorf("%s has no %s", resource, name)
		} else if reflect.TypeOf(mine) != reflect.TypeOf(v) && (created || mine != nil && v != nil) {
			t.Errorf("%s: %s is %v, where Neutron has %v", resource, name, mine, v)
		} else if (created && certain[name] || same && linked[name]) && !reflect.DeepEqual(mine, v) {
			t.Errorf("%s: %s is %v, where Neutron has %v", resource, name, mine, v)
		}
	}
}

// certain are the attributes whose values at creation follow from the request alone.
var certain = map[string]bool{
	"name": true, "description": true, "admin_state_up": true, "shared": true, "router:external": true, "mtu": true, "status": true,
	"project_id": true, "tenant_id": true, "provider:network_type": true, "provider:physical_network": true,
	"ip_version": true, "cidr": true, "gateway_ip": true, "allocation_pools": true, "enable_dhcp": true, "dns_nameservers": true,
	"host_routes": true, "ipv6_ra_mode": true, "ipv6_address_mode": true, "device_id": true, "device_owner": true,
	"dns_name": true, "dns_domain": true, "routes": true, "fixed_ip_address": true, "port_details": true,
	"direction": true, "ethertype": true, "protocol": true, "port_range_min": true, "port_range_max": true,
	"prefixes": true, "min_prefixlen": true, "default_prefixlen": true, "max_prefixlen": true, "default_quota": true, "is_default": true,
	"service_types": true, "object_type": true, "action": true, "target_tenant": true,
	"remote_ip_prefix": true, "normalized_cidr": true, "remote_group_id": true,
}

// linked are those whose values follow at any time.
var linked = map[string]bool{"network_id": true, "floating_network_id": true, "router_id": true, "port_id": true,
	"security_group_id": true, "object_id": true, "subnetpool_id": true, "address_scope_id": true}

// many compares lists. That Neutron held more than was recorded, so only what was made here counts.
func (r *replay) many(t *testing.T, e exchange, resource string, theirs, ours []any) {
	if e.Method == "POST" {
		for i := range theirs {
			r.one(t, resource, theirs[i].(map[string]any), ours[i].(map[string]any), true)
		}
		return
	}
	if len(theirs) > 0 && len(ours) == 0 {
		t.Errorf("nothing is listed, where Neutron lists %d", len(theirs))
	}
	if len(theirs) == 0 && len(ours) > 0 {
		t.Errorf("%v is listed, where Neutron lists nothing", ours)
	}
	if len(theirs) > 0 && len(ours) > 0 {
		if resource == "security_group" {
			r.meetDefaults(theirs, ours)
		}
		a, b := r.pair(theirs, ours)
		r.one(t, resource, a, b, false)
	}
	if names := listed(theirs); names != nil && resource == "network" && !strings.Contains(e.Path, "limit") {
		mine := listed(ours)
		for _, name := range names {
			if !strings.HasPrefix(name, "tempest") && name != "public" && !slices.Contains(mine, name) {
				t.Errorf("%q is not listed", name)
			}
		}
	}
}

// meetDefaults learns the ids of default groups, which nobody made.
func (r *replay) meetDefaults(theirs, ours []any) {
	for _, x := range theirs {
		for _, y := range ours {
			a, b := x.(map[string]any), y.(map[string]any)
			if a["name"] == "default" && b["name"] == "default" && a["project_id"] == b["project_id"] {
				r.ids[a["id"].(string)] = b["id"].(string)
			}
		}
	}
}

// pair is two items to compare, of the same resource where the lists have one in common.
func (r *replay) pair(theirs, ours []any) (a, b map[string]any) {
	for _, x := range theirs {
		for _, y := range ours {
			a, b = x.(map[string]any), y.(map[string]any)
			if id, _ := a["id"].(string); r.mapped(id) == b["id"] {
				return a, b
			}
		}
	}
	return theirs[0].(map[string]any), ours[0].(map[string]any)
}

func listed(items []any) (names []string) {
	for _, i := range items {
		if name, ok := i.(map[string]any)["name"].(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func errorName(answer any) string {
	o, _ := answer.(map[string]any)
	e, _ := o["NeutronError"].(map[string]any)
	name, _ := e["type"].(string)
	return name
}

// servedAttributes are the attributes that the wire's data has.
func servedAttributes() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	add := func(resource, name string) {
		if all[resource] == nil {
			all[resource] = map[string]bool{}
		}
		all[resource][name] = true
	}
	for _, a := range wire.Networks().Attributes {
		add("network", a.Name)
	}
	for _, a := range wire.Subnets().Attributes {
		add("subnet", a.Name)
	}
	for _, a := range wire.Ports().Attributes {
		add("port", a.Name)
	}
	for _, a := range wire.Routers().Attributes {
		add("router", a.Name)
	}
	for _, a := range wire.SecurityGroups().Attributes {
		add("security_group", a.Name)
	}
	for _, a := range wire.SecurityGroupRules().Attributes {
		add("security_group_rule", a.Name)
	}
	for _, a := range wire.AddressScopes().Attributes {
		add("address_scope", a.Name)
	}
	for _, a := range wire.SubnetPools().Attributes {
		add("subnetpool", a.Name)
	}
	for _, a := range wire.RBACPolicies().Attributes {
		add("rbac_policy", a.Name)
	}
	for _, a := range wire.FloatingIPs((*neutron.FloatingIP).Parts).Attributes {
		add("floatingip", a.Name)
	}
	return all
}
