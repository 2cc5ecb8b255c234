//go:build integration

package apiserver_test

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

var (
	calls = flag.Int("calls", 1500, "how many random calls the property test makes")
	seed  = flag.Uint64("seed", 1, "which")
)

// actor is somebody who calls at random. Their projects are as the scene of policy_test.go has them.
type actor struct {
	*client
	name, project          string
	admin, service, reader bool
}

// sees is the model of what is visible: of a snapshot of everything, does this thing concern the actor?
func (a *actor) sees(s snapshot, collection string, thing object) bool {
	if a.admin || thing["project_id"] == a.project {
		return true
	}
	network := thing
	if collection != "networks" {
		network = s["networks"][fmt.Sprint(thing["network_id"])]
	}
	switch collection {
	case "networks", "subnets":
		return a.service || network["project_id"] == a.project || s.open(network["id"], a.project)
	case "ports":
		return a.service || network["project_id"] == a.project
	}
	return false
}

// mayChange is the model of who may update and delete. Whose a thing is, and on which network, never changes.
func (a *actor) mayChange(method, collection string, thing, network object) bool {
	switch {
	case a.admin:
		return true
	case a.reader:
		return false
	case thing["project_id"] == a.project:
		return true
	case collection == "subnets":
		return network["project_id"] == a.project
	case collection == "ports":
		return a.service || method == "DELETE" && network["project_id"] == a.project
	}
	return false
}

// snapshot is everything there is, as an admin sees it: by collection and id.
type snapshot map[string]map[string]object

// open reports whether a policy lets a project know of a network.
func (s snapshot) open(network any, project string) bool {
	for _, policy := range s["rbac-policies"] {
		if target := policy["target_tenant"]; policy["object_id"] == network && (target == "*" || target == project) {
			return true
		}
	}
	return false
}

// kinds are the collections by the names in URLs, with what they call one of theirs.
var kinds = [][2]string{{"networks", "network"}, {"subnets", "subnet"}, {"security-groups", "security_group"},
	{"security-group-rules", "security_group_rule"}, {"routers", "router"}, {"ports", "port"}, {"floatingips", "floatingip"}, {"rbac-policies", "rbac_policy"}}

// called is what bodies call one of a collection.
func called(collection string) string {
	i := slices.IndexFunc(kinds, func(kind [2]string) bool { return kind[0] == collection })
	return kinds[i][1]
}

func (c *client) snapshot() snapshot {
	s := snapshot{}
	for _, kind := range kinds {
		s[kind[0]] = map[string]object{}
		for _, thing := range c.listAt(kind[0]) {
			s[kind[0]][thing["id"].(string)] = thing
		}
	}
	return s
}

// listAt is list where a URL has dashes.
func (c *client) listAt(collection string) []object {
	c.t.Helper()
	status, answer := c.call("GET", "/v2.0/"+collection, nil)
	items, ok := answer[strings.ReplaceAll(collection, "-", "_")].([]any)
	if status != 200 || !ok {
		c.t.Fatalf("list %s: %d %v", collection, status, answer)
	}
	var out []object
	for _, i := range items {
		out = append(out, i.(object))
	}
	return out
}

// memory is what all actors know of what there was ever.
type memory struct {
	mu       sync.Mutex
	ids      map[string][]string // by collection, in the order in which they were met
	gone     map[string]bool
	things   map[string]object  // what does not change of each: its project, its network
	wasOpen  map[[2]string]bool // networks, and the projects that a policy let know of them for a moment at least
	outside  string             // an external network
	statuses map[string]int
}

func (m *memory) meet(collection string, thing object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := thing["id"].(string)
	if m.things[id] == nil {
		m.things[id] = thing
		m.ids[collection] = append(m.ids[collection], id)
	}
	m.opens(id, thing)
}

// opens notes whom a network is opened to, by itself or by a policy. Called with mu held.
func (m *memory) opens(id string, said object) {
	if said["shared"] == true || said["router:external"] == true {
		m.wasOpen[[2]string{id, "*"}] = true
	}
	if target, ok := said["target_tenant"].(string); ok {
		network, _ := said["object_id"].(string)
		if network == "" { // an update of the policy
			network, _ = m.things[id]["object_id"].(string)
		}
		m.wasOpen[[2]string{network, target}] = true
	}
}

// one is an id of a collection: often of the actor's own, mostly of what is there, at times of nothing.
func (m *memory) one(r *rand.Rand, a *actor, collection string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var own, there []string
	for _, id := range m.ids[collection] {
		if m.gone[id] {
			continue
		}
		there = append(there, id)
		if m.things[id]["project_id"] == a.project {
			own = append(own, id)
		}
	}
	from := m.ids[collection]
	switch n := r.IntN(20); {
	case n < 10 && len(own) > 0:
		from = own
	case n < 18:
		from = there
	}
	if len(from) == 0 {
		return "00000000-0000-4000-8000-000000000000"
	}
	return from[r.IntN(len(from))]
}

func (m *memory) thing(id string) object {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.things[id]
}

func (m *memory) networkOf(thing object) object {
	id, _ := thing["network_id"].(string)
	return m.thing(id)
}

// request is one random call.
type request struct {
	method, path, collection, id string
	attributes                   object
}

func (q request) String() string {
	b, _ := json.Marshal(q.attributes)
	return q.method + " " + q.path + " " + string(b)
}

// ask makes up a request.
func (m *memory) ask(r *rand.Rand, a *actor) request {
	kind := kinds[r.IntN(len(kinds))]
	if r.IntN(5) == 0 { // about ports there is most to be said
		kind = [2]string{"ports", "port"}
	}
	q := request{collection: kind[0], path: "/v2.0/" + kind[0]}
	switch n := r.IntN(12); {
	case n < 5:
		q.method, q.attributes = "POST", m.attributes(r, a, kind[1], true)
		return q
	case n < 8:
		q.method, q.attributes = "PUT", m.attributes(r, a, kind[1], false)
	case n < 10:
		q.method = "GET"
	default:
		q.method = "DELETE"
	}
	q.id = m.one(r, a, q.collection)
	q.path += "/" + q.id
	if kind[1] == "router" && q.method == "PUT" && r.IntN(2) == 0 {
		q.path += []string{"/add_router_interface", "/remove_router_interface"}[r.IntN(2)]
		q.attributes = object{"subnet_id": m.one(r, a, "subnets")}
		if r.IntN(3) == 0 {
			q.attributes = object{"port_id": m.one(r, a, "ports")}
		}
	}
	if q.method != "GET" && kind[1] != "security_group_rule" && kind[1] != "rbac_policy" && r.IntN(12) == 0 {
		q.path, q.attributes = "/v2.0/"+kind[0]+"/"+q.id+"/tags/t", nil
		q.method = []string{"PUT", "DELETE"}[r.IntN(2)]
	}
	return q
}

// attributes are what somebody may want to say of a resource, or may try to.
func (m *memory) attributes(r *rand.Rand, a *actor, resource string, create bool) object {
	one := func(collection string) string { return m.one(r, a, collection) }
	pick := func(values ...any) any { return values[r.IntN(len(values))] }
	o := object{}
	say := func(oneIn int, name string, value func() any) {
		if r.IntN(oneIn) == 0 {
			o[name] = value()
		}
	}
	if resource != "floatingip" && resource != "security_group_rule" && resource != "rbac_policy" {
		say(2, "name", func() any { return pick("a", "b", "") })
	}
	if create {
		say(12, "project_id", func() any { return pick("guest", "lender", "stranger") })
	}
	addr := func() any { return fmt.Sprintf("10.%d.0.%d", r.IntN(8), 1+r.IntN(30)) }
	switch resource {
	case "network":
		say(6, "shared", func() any { return pick(true, false) })
		say(6, "router:external", func() any { return pick(true, false) })
		say(8, "port_security_enabled", func() any { return pick(true, false) })
		say(9, "provider:segmentation_id", func() any { return 100 + r.IntN(50) })
		say(6, "mtu", func() any { return pick(1280, 1400, 60) })
	case "subnet":
		if create {
			o["network_id"], o["ip_version"], o["cidr"] = one("networks"), 4, fmt.Sprintf("10.%d.0.0/27", r.IntN(6))
			if r.IntN(5) == 0 {
				o["ip_version"], o["cidr"] = 6, "fd00::/64"
				say(1, "ipv6_ra_mode", func() any { return "slaac" })
				say(1, "ipv6_address_mode", func() any { return "slaac" })
			}
		}
		say(3, "enable_dhcp", func() any { return pick(true, false) })
		say(8, "gateway_ip", func() any { return pick(addr(), nil) })
	case "port":
		if create {
			o["network_id"] = one("networks")
		}
		say(8, "mac_address", func() any { return fmt.Sprintf("fa:16:3e:00:00:%02x", r.IntN(40)) })
		say(5, "fixed_ips", func() any {
			return []any{pick(object{"ip_address": addr()}, object{"subnet_id": one("subnets")})}
		})
		say(5, "device_owner", func() any { return pick("network:router_interface", "network:dhcp", "compute:nova") })
		say(9, "port_security_enabled", func() any { return pick(true, false) })
		say(9, "allowed_address_pairs", func() any { return []any{object{"ip_address": addr()}} })
		say(6, "security_groups", func() any { return []any{one("security-groups")} })
		say(9, "binding:host_id", func() any { return pick("h1", "") })
	case "router":
		say(2, "external_gateway_info", func() any {
			g := object{"network_id": pick(m.outside, one("networks"))}
			if r.IntN(6) == 0 {
				g["enable_snat"] = pick(true, false)
			}
			return pick(g, g, object{})
		})
	case "floatingip":
		if create {
			o["floating_network_id"] = pick(m.outside, m.outside, one("networks"))
			say(8, "floating_ip_address", addr)
		}
		say(2, "port_id", func() any { return pick(one("ports"), one("ports"), nil) })
	case "rbac_policy":
		if create {
			o["object_type"], o["object_id"], o["action"] = "network", one("networks"), pick("access_as_shared", "access_as_external")
		}
		o["target_tenant"] = pick("guest", "lender", "stranger", "*")
	case "security_group_rule":
		o["security_group_id"], o["direction"] = one("security-groups"), pick("ingress", "egress")
		say(2, "protocol", func() any { return pick("tcp", "udp", "icmp", r.IntN(200)) })
		say(4, "remote_group_id", func() any { return one("security-groups") })
	}
	return o
}

// send asks, and holds the answer to what holds at any time, whatever others do.
func (m *memory) send(a *actor, q request) int {
	var body any
	if q.attributes != nil {
		body = q.attributes
		if !strings.Contains(q.path, "router_interface") {
			body = object{called(q.collection): q.attributes}
		}
	}
	m.mu.Lock()
	m.opens(q.id, q.attributes) // before anybody can see it
	m.mu.Unlock()
	status, answer := a.call(q.method, q.path, body)
	m.mu.Lock()
	m.statuses[fmt.Sprintf("%s %s %d", q.method, q.collection, status)]++
	m.mu.Unlock()
	if status >= 500 {
		a.t.Errorf("%s by the %s: %d %v", q, a.name, status, answer)
	}
	if status >= 300 {
		return status
	}
	if one, ok := answer[called(q.collection)].(object); ok {
		if q.method == "POST" {
			m.meet(q.collection, one)
		}
		m.mayBeShown(a, q, one)
	}
	if q.method != "GET" {
		m.mayHappen(a, q)
	}
	if q.method == "DELETE" && !strings.Contains(q.path, "/tags/") {
		m.mu.Lock()
		m.gone[q.id] = true
		m.mu.Unlock()
	}
	return status
}

// mayBeShown: nobody is shown what does not concern them, nor an attribute that is not for them.
func (m *memory) mayBeShown(a *actor, q request, thing object) {
	for _, hidden := range []string{"provider:segmentation_id", "binding:host_id"} {
		if _, shown := thing[hidden]; shown && !a.admin && !(a.service && q.collection == "ports") {
			a.t.Errorf("%s: the %s is shown %s", q, a.name, hidden)
		}
	}
	network := m.networkOf(thing)
	if q.collection == "networks" {
		network = thing
	}
	id, _ := network["id"].(string)
	s := snapshot{"networks": {id: network}, "rbac-policies": {}}
	if m.everOpen(id, a.project) {
		s["rbac-policies"]["one"] = object{"object_id": id, "target_tenant": "*"}
	}
	if network == nil && (q.collection == "subnets" || q.collection == "ports") {
		return // whose network we have not met yet
	}
	if !a.sees(s, q.collection, thing) {
		a.t.Errorf("%s: the %s is shown %v", q, a.name, thing)
	}
}

func (m *memory) everOpen(network, project string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wasOpen[[2]string{network, "*"}] || m.wasOpen[[2]string{network, project}]
}

// mayHappen: what was granted is what policy grants.
func (m *memory) mayHappen(a *actor, q request) {
	refuse := func(why string) { a.t.Errorf("%s: granted to the %s, though %s", q, a.name, why) }
	if a.reader {
		refuse("readers change nothing")
	}
	if a.admin {
		return
	}
	thing, network := m.thing(q.id), m.thing(fmt.Sprint(q.attributes["network_id"]))
	if q.id != "" {
		network = m.networkOf(thing)
		if !a.mayChange(q.method, q.collection, thing, network) {
			refuse("it is not theirs")
		}
	}
	for _, name := range []string{"router:external", "shared", "provider:segmentation_id", "floating_ip_address", "binding:host_id"} {
		if v, said := q.attributes[name]; said && !(a.service && name == "binding:host_id") && (v != false || q.method == "PUT") {
			refuse("it sets " + name)
		}
	}
	if gateway, _ := q.attributes["external_gateway_info"].(object); gateway["enable_snat"] != nil {
		refuse("it sets enable_snat")
	}
	if q.collection == "rbac-policies" && q.method != "DELETE" {
		if q.method == "POST" && m.thing(fmt.Sprint(q.attributes["object_id"]))["project_id"] != a.project {
			refuse("the network is not theirs")
		}
		if q.attributes["target_tenant"] == "*" {
			refuse("only admins share with everybody")
		}
	}
	if a.service || q.collection != "ports" && q.collection != "subnets" {
		return
	}
	if said := q.attributes["project_id"]; said != nil && said != a.project {
		refuse("it is for another project")
	}
	if network["project_id"] == a.project {
		return
	}
	if q.method == "POST" && (q.collection == "subnets" || !m.everOpen(fmt.Sprint(q.attributes["network_id"]), a.project)) {
		refuse("the network is not theirs")
	}
	if owner, _ := q.attributes["device_owner"].(string); strings.HasPrefix(owner, "network:") {
		refuse("it takes a network's device_owner on somebody else's network")
	}
	for _, name := range []string{"allowed_address_pairs", "port_security_enabled"} {
		if q.attributes[name] != nil {
			refuse("it sets " + name + " on somebody else's network")
		}
	}
}

// TestRandomCallsOfManyProjects: whoever asks for whatever at the same time, nobody sees or changes what policy does not give
// them, nothing is left that belongs to nothing, and nothing is answered by a 500. More of the same: -calls and -seed.
func TestRandomCallsOfManyProjects(t *testing.T) {
	t.Parallel()
	dsn := storetest.StartForTest(t)
	s := settings
	s.TenantNetworkTypes = "vxlan"
	one, other := newServer(t, dsn, s), newServer(t, dsn, s)
	var actors []*actor
	for i, who := range callers {
		handler := one
		if i%2 == 1 {
			handler = other
		}
		actors = append(actors, &actor{client: &client{t, handler, who.headers}, name: who.name, project: who.headers["X-Project-Id"],
			admin: who.name == "admin", service: who.name == "service", reader: who.name == "reader"})
	}
	admin := actors[0]
	m := &memory{ids: map[string][]string{}, gone: map[string]bool{}, things: map[string]object{}, wasOpen: map[[2]string]bool{}, statuses: map[string]int{}}
	m.outside = admin.network(object{"router:external": true})
	admin.subnet(m.outside, "10.6.0.0/24", nil)
	for _, project := range []string{"guest", "lender", "stranger"} {
		n := admin.network(object{"project_id": project, "shared": project == "lender"})
		subnet := admin.subnet(n, "10.7.0.0/24", object{"project_id": project})["id"]
		admin.create("port", object{"network_id": n, "project_id": project})
		router := admin.create("router", object{"project_id": project, "external_gateway_info": object{"network_id": m.outside}})
		admin.must(200, "PUT", "/v2.0/routers/"+router["id"].(string)+"/add_router_interface", object{"subnet_id": subnet})
	}
	spare := admin.network(object{})
	m.learn(admin.snapshot())
	// Chance leaves few networks empty, and no others can be deleted.
	m.send(admin, request{method: "DELETE", path: "/v2.0/networks/" + spare, collection: "networks", id: spare})
	const rounds, aside = 6, 4
	r := rand.New(rand.NewPCG(*seed, 0))
	for round := range rounds {
		var asking sync.WaitGroup
		for i, a := range actors {
			own := rand.New(rand.NewPCG(*seed, uint64(round*100+i+1)))
			asking.Go(func() {
				for range *calls / rounds / len(actors) {
					m.send(a, m.ask(own, a))
				}
			})
		}
		asking.Wait()
		now := admin.snapshot()
		m.learn(now)
		for _, a := range actors {
			m.seesJust(a, r, now)
		}
		noOrphan(t, now)
		for range *calls / rounds / aside / len(actors) {
			m.refusalChangesNothing(actors[1+r.IntN(len(actors)-1)], admin, r, &now)
		}
		if t.Failed() {
			t.Fatalf("in round %d of -seed %d", round, *seed)
		}
	}
	t.Logf("%v", m.statuses)
	enough(t, m.statuses)
	deleteAll(t, admin)
	nothingLeft(t, dsn)
}

func (m *memory) learn(s snapshot) {
	for _, kind := range kinds {
		for _, id := range slices.Sorted(maps.Keys(s[kind[0]])) {
			m.meet(kind[0], s[kind[0]][id])
		}
		for _, id := range m.ids[kind[0]] {
			m.gone[id] = s[kind[0]][id] == nil
		}
	}
}

// seesJust: while nothing changes, each list is exactly what the model says, and so are some of the things alone.
func (m *memory) seesJust(a *actor, r *rand.Rand, s snapshot) {
	for _, kind := range kinds {
		got := map[string]bool{}
		for _, thing := range a.listAt(kind[0]) {
			got[thing["id"].(string)] = true
			m.mayBeShown(a, request{method: "GET", path: kind[0], collection: kind[0]}, thing)
		}
		for _, id := range slices.Sorted(maps.Keys(s[kind[0]])) {
			thing := s[kind[0]][id]
			want := a.sees(s, kind[0], thing)
			if got[id] != want && thing["name"] != "default" {
				a.t.Errorf("the %s has listed %v for %s %v, want %v", a.name, got[id], kind[1], thing, want)
			}
			if r.IntN(8) > 0 {
				continue
			}
			if status, _ := a.call("GET", "/v2.0/"+kind[0]+"/"+id, nil); (status == 200) != want {
				a.t.Errorf("the %s gets %d for %s %v, want %v", a.name, status, kind[1], thing, want)
			}
		}
	}
}

// refusalChangesNothing: alone, a call either is granted or leaves everything as it was.
func (m *memory) refusalChangesNothing(a, admin *actor, r *rand.Rand, now *snapshot) {
	q := m.ask(r, a)
	status := m.send(a, q)
	after := admin.snapshot()
	if status >= 400 && !reflect.DeepEqual(*now, after) {
		a.t.Errorf("%s by the %s: refused with %d, and something has changed", q, a.name, status)
	}
	*now = after
	m.learn(after)
}

// noOrphan: whatever something stands on is there, and no address is given twice.
func noOrphan(t *testing.T, s snapshot) {
	t.Helper()
	there := func(what string, thing object, collection string, id any) {
		t.Helper()
		if text, _ := id.(string); text != "" && s[collection][text] == nil {
			t.Errorf("%s %v stands on %s %s, which is not there", what, thing, collection, text)
		}
	}
	held, serves := map[string]bool{}, map[string]int{}
	for _, p := range s["ports"] {
		there("port", p, "networks", p["network_id"])
		for _, g := range p["security_groups"].([]any) {
			there("port", p, "security-groups", g)
		}
		for _, f := range p["fixed_ips"].([]any) {
			subnet, addr := f.(object)["subnet_id"].(string), f.(object)["ip_address"].(string)
			there("port", p, "subnets", subnet)
			if s["subnets"][subnet]["network_id"] != p["network_id"] {
				t.Errorf("port %v has an address of another network", p)
			}
			if held[subnet+addr] {
				t.Errorf("%s is given twice", addr)
			}
			held[subnet+addr] = true
			if p["device_id"] == "dhcp-"+subnet {
				serves[subnet]++
			}
		}
	}
	for id, sub := range s["subnets"] {
		there("subnet", sub, "networks", sub["network_id"])
		if want := sub["enable_dhcp"] == true && sub["ip_version"] == 4.0; (serves[id] == 1) != want || serves[id] > 1 {
			t.Errorf("subnet %v has %d DHCP ports", sub, serves[id])
		}
	}
	for _, rule := range s["security-group-rules"] {
		there("rule", rule, "security-groups", rule["security_group_id"])
		there("rule", rule, "security-groups", rule["remote_group_id"])
	}
	for _, router := range s["routers"] {
		if gateway, ok := router["external_gateway_info"].(object); ok {
			there("router", router, "networks", gateway["network_id"])
			for _, f := range gateway["external_fixed_ips"].([]any) {
				there("router", router, "subnets", f.(object)["subnet_id"])
			}
		}
	}
	for _, policy := range s["rbac-policies"] {
		there("policy", policy, "networks", policy["object_id"])
	}
	for _, f := range s["floatingips"] {
		there("floating IP", f, "networks", f["floating_network_id"])
		there("floating IP", f, "ports", f["port_id"])
		there("floating IP", f, "routers", f["router_id"])
		if (f["port_id"] == nil) != (f["router_id"] == nil) || (f["port_id"] == nil) != (f["fixed_ip_address"] == nil) {
			t.Errorf("floating IP %v stands for half a port", f)
		}
	}
}

// enough: a test that is refused everything says nothing.
func enough(t *testing.T, statuses map[string]int) {
	t.Helper()
	for _, kind := range kinds {
		for _, want := range []string{"POST %s 201", "GET %s 200", "GET %s 404", "DELETE %s 204"} {
			if what := fmt.Sprintf(want, kind[0]); statuses[what] == 0 {
				t.Errorf("%s has never been answered; only %v", what, statuses)
			}
		}
	}
}

// deleteAll takes everything away, what stands on others first.
func deleteAll(t *testing.T, admin *actor) {
	t.Helper()
	for _, f := range admin.listAt("floatingips") {
		admin.must(204, "DELETE", "/v2.0/floatingips/"+f["id"].(string), nil)
	}
	for _, p := range admin.listAt("ports") {
		id, router := p["id"].(string), fmt.Sprint(p["device_id"])
		switch p["device_owner"] {
		case "network:router_interface":
			admin.call("PUT", "/v2.0/routers/"+router, object{"router": object{"routes": []any{}}})
			admin.call("PUT", "/v2.0/routers/"+router+"/remove_router_interface", object{"port_id": id})
			fallthrough // whoever only says so
		default:
			admin.call("DELETE", "/v2.0/ports/"+id, nil)
		}
	}
	for _, collection := range []string{"routers", "networks", "security-groups"} {
		for _, thing := range admin.listAt(collection) {
			admin.must(204, "DELETE", "/v2.0/"+collection+"/"+thing["id"].(string), nil)
		}
	}
}

// nothingLeft: then the tables that hold things are empty.
func nothingLeft(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"networks", "subnets", "ports", "allocations", "pools", "segments", "routers", "floatingips",
		"security_group_rules", "port_security_groups"} {
		var n int
		if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n > 0 {
			t.Errorf("%d rows are left in %s: %v", n, table, err)
		}
	}
}
