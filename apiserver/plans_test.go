//go:build integration

package apiserver_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// TestNoStatementReadsATableThrough has PostgreSQL explain whatever it runs, the statements of functions and triggers too,
// while every recorded request and the controller's calls are made. None may read a whole table, or a whole index, but a list
// that is asked for by nothing that an index has.
func TestNoStatementReadsATableThrough(t *testing.T) {
	dsn := storetest.StartForTest(t)
	log := explained(t, dsn)
	c := &client{t: t, handler: newServer(t, dsn, settings)}
	for range 3 { // the third time statements are prepared, and their plans are those that they keep
		everyRequest(c)
		everyCallOfTheController(t, dsn)
	}
	seen := 0
	for _, p := range plansIn(t, log, dsn) {
		seen++
		for _, scan := range p.Plan.through() {
			if !mayReadThrough(p.Text, scan) {
				t.Errorf("%s of %s %s %s:\n%s", scan.Type, scan.Relation, scan.Alias, scan.Name, p.Text)
			}
		}
	}
	if seen < 300 {
		t.Errorf("only %d plans were seen", seen)
	}
}

// everyRequest makes the recorded requests' like: each resource's life, and each list by each of its filters and sort keys.
func everyRequest(c *client) {
	urls := c.oneOfEach()
	guest := c.as(map[string]string{"X-Project-Id": "guest", "X-Roles": "member"})
	for collection, url := range urls {
		list := "/v2.0/" + collection
		c.raw(http.MethodPut, url, fmt.Appendf(nil, `{%q:{"description":%q}}`, resourceIn(collection), uuid.NewString()))
		c.raw(http.MethodPut, url+"/tags/"+uuid.NewString(), nil)
		id := url[strings.LastIndex(url, "/")+1:]
		for _, q := range []string{
			"", "?limit=2", "?limit=2&marker=" + id, "?limit=2&page_reverse=True&marker=" + id, "?id=" + id, "?project_id=a&project_id=b", "?name=a&limit=3",
			"?sort_key=created_at&sort_dir=desc&limit=2&marker=" + id, "?sort_key=name&sort_dir=asc&limit=2&marker=" + id, "?tags=a,b&tags-any=c",
			"?not-tags=a", "?network_id=" + id, "?device_id=vm", "?mac_address=fa:16:3e:00:00:01", "?fixed_ips=ip_address%3D10.0.0.3",
			"?fixed_ips=subnet_id%3D" + id, "?fixed_ips=ip_address_substr%3D0.0", "?port_id=" + id, "?router_id=" + id,
			"?floating_network_id=" + id, "?floating_ip_address=192.0.2.9", "?fixed_ip_address=10.0.0.9", "?cidr=10.0.0.0/24", "?security_groups=" + id,
			"?binding:host_id=h1", "?dns_name=vm", "?dns_domain=lab.example.", "?shared=True", "?router:external=True", "?admin_state_up=True", "?description=a", "?changed_since=2020-01-01T00:00:00Z",
		} {
			c.raw(http.MethodGet, list+q, nil)
			guest.raw(http.MethodGet, list+q, nil)
		}
	}
	for _, who := range []*client{c, guest} {
		for _, q := range []string{"", "?limit=2", "?sort_key=object_id&sort_dir=desc&limit=2", "?target_tenant=guest&action=access_as_shared"} {
			who.raw(http.MethodGet, "/v2.0/rbac-policies"+q, nil)
		}
	}
	k := c.create("address_scope", object{"ip_version": 4})["id"].(string)
	pool := c.pool(object{"prefixes": []any{"10.0.0.0/16"}, "default_prefixlen": 26, "default_quota": 1000, "address_scope_id": k})
	onto := c.network(nil)
	c.subnet(onto, "10.7.0.0/24", object{"enable_dhcp": false})
	c.must(http.StatusOK, http.MethodPut, "/v2.0/subnetpools/"+pool+"/add_prefixes", object{"prefixes": []any{"10.9.0.0/24"}})
	c.must(http.StatusOK, http.MethodPut, "/v2.0/subnetpools/"+pool+"/remove_prefixes", object{"prefixes": []any{"10.9.0.0/24"}})
	c.raw(http.MethodPut, "/v2.0/subnetpools/"+pool+"/onboard_network_subnets", fmt.Appendf(nil, `{"network_id":%q}`, onto))
	c.cut(onto, pool, nil)
	c.raw(http.MethodPost, "/v2.0/subnets", fmt.Appendf(nil, `{"subnet":{"network_id":%q,"ip_version":6,"use_default_subnetpool":true}}`, onto))
	c.raw(http.MethodPut, "/v2.0/subnetpools/"+pool, []byte(`{"subnetpool":{"address_scope_id":null}}`))
	for _, who := range []*client{c, guest} {
		for _, q := range []string{"", "?limit=2&marker=" + k, "?name=a&limit=3", "?shared=True", "?ip_version=4"} {
			who.raw(http.MethodGet, "/v2.0/address-scopes"+q, nil)
		}
	}
	c.must(http.StatusNoContent, http.MethodDelete, "/v2.0/address-scopes/"+k, nil)
	c.must(http.StatusNoContent, http.MethodDelete, "/v2.0/networks/"+onto, nil)
	c.must(http.StatusNoContent, http.MethodDelete, "/v2.0/subnetpools/"+pool, nil)
	for _, q := range []string{
		"agents", "agents?host=h1&limit=2", "agents?alive=true&sort_key=host&sort_dir=asc", "availability_zones", "network-ip-availabilities",
		"network-ip-availabilities?ip_version=4&limit=2", "network-ip-availabilities?network_name=a", "quotas", "quotas/p1/details",
	} {
		c.must(http.StatusOK, http.MethodGet, "/v2.0/"+q, nil)
	}
	agent := "/v2.0/agents/" + c.list("agents", "?limit=1")[0]["id"].(string)
	c.must(http.StatusOK, http.MethodGet, agent+"/dhcp-networks", nil)
	c.must(http.StatusOK, http.MethodGet, agent+"/l3-routers", nil)
	c.must(http.StatusOK, http.MethodPut, agent, object{"agent": object{"description": uuid.NewString()}})
	c.must(http.StatusOK, http.MethodGet, urls["networks"]+"/dhcp-agents", nil)
	c.must(http.StatusOK, http.MethodGet, urls["routers"]+"/l3-agents", nil)
	c.must(http.StatusOK, http.MethodPut, "/v2.0/quotas/guest", object{"quota": object{"network": 100000, "port": 7}})
	guest.raw(http.MethodPost, "/v2.0/networks", []byte(`{"network":{}}`))
	c.must(http.StatusNoContent, http.MethodDelete, "/v2.0/quotas/guest", nil)
	shared := urls["networks"][strings.LastIndex(urls["networks"], "/")+1:]
	policy := "/v2.0/rbac-policies/" + c.policy("network", shared, "access_as_shared", "guest")["id"].(string)
	c.must(http.StatusOK, http.MethodPut, policy, object{"rbac_policy": object{"target_tenant": "another"}})
	c.must(http.StatusNoContent, http.MethodDelete, policy, nil)
	id := func(collection string) string { return urls[collection][strings.LastIndex(urls[collection], "/")+1:] }
	c.raw(http.MethodPut, urls["routers"]+"/add_router_interface", fmt.Appendf(nil, `{"subnet_id":%q}`, id("subnets")))
	c.raw(http.MethodPut, urls["ports"], []byte(`{"port":{"fixed_ips":[{"ip_address":"10.0.0.77"}]}}`))
	c.raw(http.MethodPut, urls["routers"], []byte(`{"router":{"routes":[{"destination":"10.9.0.0/16","nexthop":"10.0.0.77"}]}}`))
	c.raw(http.MethodPut, urls["routers"], []byte(`{"router":{"routes":[]}}`))
	external := c.list("floatingips", "?id="+id("floatingips"))[0]["floating_network_id"].(string)
	c.raw(http.MethodPut, urls["routers"], fmt.Appendf(nil, `{"router":{"external_gateway_info":{"network_id":%q}}}`, external))
	c.raw(http.MethodPut, urls["floatingips"], fmt.Appendf(nil, `{"floatingip":{"port_id":%q}}`, id("ports")))
	c.raw(http.MethodPut, urls["subnets"], []byte(`{"subnet":{"allocation_pools":[{"start":"10.0.0.2","end":"10.0.0.99"}]}}`))
	for _, what := range []string{"POST ", "GET ", "GET /h1", "PUT /h1", "PUT /h1/activate", "DELETE /h1"} {
		c.raw(http.MethodPut, urls["ports"], []byte(`{"port":{"device_owner":"compute:nova","device_id":"00000000-0000-0000-0000-000000000001"}}`))
		method, path, _ := strings.Cut(what, " ")
		c.raw(method, urls["ports"]+"/bindings"+path, []byte(`{"binding":{"host":"h1","profile":{"a":1}}}`))
	}
	c.raw(http.MethodDelete, urls["floatingips"], nil)
	c.raw(http.MethodPut, urls["routers"], []byte(`{"router":{"external_gateway_info":{}}}`))
	c.raw(http.MethodPut, urls["routers"]+"/remove_router_interface", fmt.Appendf(nil, `{"subnet_id":%q}`, id("subnets")))
	for _, collection := range []string{"routers", "ports", "subnets", "networks"} {
		c.must(http.StatusNoContent, http.MethodDelete, urls[collection], nil)
	}
}

// everyCallOfTheController is what the store is asked by others than the API.
func everyCallOfTheController(t *testing.T, dsn string) {
	ctx := context.Background()
	db, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	how := store.NovaListener{Most: 100, Hold: time.Minute, Keep: time.Hour}
	if _, _, err := db.TakeNovaEvents(ctx, how); err != nil {
		t.Fatal(err)
	}
	host, err := db.SaveHost(ctx, signalbox.Host{DatapathID: 77, Name: "h77"})
	if err != nil {
		t.Fatal(err)
	}
	here := []signalbox.Binding{{PortID: uuid.New(), HostID: host.ID, Interface: "tap", By: signalbox.BoundBy("name")}}
	outside := []signalbox.Neighbour{{NetworkID: uuid.New(), Addr: netip.MustParseAddr("192.0.2.1")}}
	for _, err := range []error{
		db.SetStatus(ctx, map[uuid.UUID]signalbox.Status{here[0].PortID: signalbox.Active}),
		db.SetFloatingStatus(ctx, map[uuid.UUID]signalbox.Status{here[0].PortID: signalbox.Active}),
		db.Bind(ctx, here), db.Unbind(ctx, here), db.PlaceGateways(ctx, map[uuid.UUID]uuid.UUID{uuid.New(): host.ID}),
		db.SaveSessions(ctx, map[uuid.UUID]signalbox.Session{host.ID: {Up: true, Since: time.Now()}}),
		db.SaveNeighbours(ctx, outside), db.DropNeighbours(ctx, outside),
		db.SettleNovaEvents(ctx, []int64{1, 2}, []int64{3}, []int64{4}, time.Second, time.Minute),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// explained has everything in the database explained from now on, and returns the server's log.
func explained(t *testing.T, dsn string) (log string) {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name, data string
	if err := db.QueryRow(`SELECT current_database(), current_setting('data_directory')`).Scan(&name, &data); err != nil {
		t.Fatal(err)
	}
	fill(t, db, 5000)
	for _, set := range []string{
		"session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_nested_statements = on",
		"auto_explain.log_format = json", "auto_explain.log_timing = off",
	} {
		if _, err := db.Exec("ALTER DATABASE " + name + " SET " + set); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(filepath.Dir(data), "server.log")
}

// fill makes so many ports, and the rest of a cloud of that size.
func fill(t testing.TB, db *sql.DB, ports int) {
	const perNetwork = 50
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO networks (id, project_id, name, description, admin_state_up, mtu)
		 SELECT gen_random_uuid(), 'p' || i %% 20, 'n' || i, '', true, 1450 FROM generate_series(1, %d) AS i`, ports/perNetwork),
		`INSERT INTO rbac_policies (id, project_id, object_type, object_id, action, target)
		 SELECT gen_random_uuid(), project_id, 'network', id, 'access_as_shared', 'guest' FROM networks WHERE key % 10 = 0`,
		`INSERT INTO subnetpools (id, project_id, name, description, prefixes, min_prefixlen, default_prefixlen, max_prefixlen, is_default)
		 SELECT gen_random_uuid(), 'p' || i % 20, 'b' || i, '', '{10.0.0.0/8}', 8, 24, 32, false FROM generate_series(1, 300) AS i`,
		`INSERT INTO address_scopes (id, project_id, name, ip_version) SELECT gen_random_uuid(), 'p' || i % 20, 'k' || i, 4 FROM generate_series(1, 300) AS i`,
		`INSERT INTO segments SELECT id, 'vxlan', '', key FROM networks ON CONFLICT DO NOTHING`,
		`INSERT INTO subnets (id, network_id, project_id, name, description, cidr, enable_dhcp, dns_servers, route_destinations, route_hops, ra_mode, address_mode)
		 SELECT gen_random_uuid(), id, project_id, 's', '', '10.0.0.0/24', true, '{}', '{}', '{}', '', '' FROM networks`,
		fmt.Sprintf(`INSERT INTO ports (id, network_id, project_id, name, description, admin_state_up, mac, device_id, device_owner, role, status)
		 SELECT gen_random_uuid(), n.id, n.project_id, 'vm' || i, '', true, ('02' || lpad(to_hex(i), 10, '0'))::macaddr, gen_random_uuid(), 'compute:nova', '', 'DOWN'
		 FROM networks n, generate_series(1, %d) AS i`, perNetwork),
		`INSERT INTO allocations SELECT s.id, '10.0.0.0'::inet + row_number() OVER (PARTITION BY p.network_id), p.id, 1
		 FROM ports p JOIN subnets s ON s.network_id = p.network_id`,
		`INSERT INTO hosts (datapath_id, name, mappings, managed) SELECT lpad(to_hex(i), 16, '0'), 'h' || i, '{}', true FROM generate_series(1, 200) AS i`,
		`INSERT INTO bindings SELECT p.id, h.id, 'tap', 'name' FROM ports p JOIN hosts h ON h.name = 'h' || (1 + p.key % 200)`,
		`INSERT INTO security_groups (id, project_id, name, description, is_default)
		 SELECT gen_random_uuid(), 'p' || i % 20, 'g', '', i < 20 FROM generate_series(0, 299) AS i`,
		`INSERT INTO port_security_groups SELECT p.id, g.id FROM ports p JOIN security_groups g ON g.project_id = p.project_id AND g.is_default`,
		`INSERT INTO routers (id, project_id, name, description, admin_state_up, route_destinations, route_hops)
		 SELECT gen_random_uuid(), project_id, name, '', true, '{}', '{}' FROM networks`,
		`INSERT INTO floatingips (id, project_id, description, network_id, own_port_id)
		 SELECT gen_random_uuid(), project_id, '', network_id, id FROM ports WHERE key % 10 = 0`,
		`INSERT INTO neighbours (network_id, addr, mac) SELECT n.id, '192.0.2.0'::inet + i, '02:00:00:00:00:01' FROM networks n, generate_series(1, 20) AS i`,
		`INSERT INTO nova_events (server_id, name, port_id, due) SELECT device_id::uuid, 'network-changed', id, now() + '1 hour' FROM ports`,
		`ANALYZE`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(statement, err)
		}
	}
}

// plan is what PostgreSQL says of a statement that it has run.
type plan struct {
	Text string `json:"Query Text"`
	Plan node
}

type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Alias    string
	Index    string `json:"Index Cond"`
	Name     string `json:"Index Name"`
	Plans    []node
}

// through are the scans of a table that no condition narrows by an index.
func (n *node) through() (all []node) {
	switch n.Type {
	case "Seq Scan":
		all = append(all, *n)
	case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
		if n.Index == "" {
			all = append(all, *n)
		}
	}
	for i := range n.Plans {
		all = append(all, n.Plans[i].through()...)
	}
	return all
}

// plansIn are the plans in a server's log.
func plansIn(t *testing.T, log, dsn string) (plans []plan) {
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	var text strings.Builder
	take := func() {
		var p plan
		if text.Len() > 0 && json.Unmarshal([]byte(text.String()), &p) == nil {
			plans = append(plans, p)
		}
		text.Reset()
	}
	in := false
	for lines.Scan() {
		rest, tabbed := strings.CutPrefix(lines.Text(), "\t")
		if in && tabbed {
			text.WriteString(rest + "\n")
			continue
		}
		take()
		in = strings.HasSuffix(lines.Text(), "plan:")
	}
	take()
	return plans
}

// Tables that do not grow.
var small = regexp.MustCompile(`^(pruned|nova_listener|goose_db_version|pg_.*)$`)

// aList is the statement of one, which has an order: it may read an index of that through, and join as it likes.
var aList = regexp.MustCompile(`(?s)^\s*SELECT .*\nORDER BY `)

// byAge is the statement of a list of everything there is in the order of creation, or of what comes after a marker in that.
var byAge = regexp.MustCompile(`(?s)\nFROM \w+ \w\n(WHERE \(\w\.created_at, \w\.id\) [<>] .*\n)?ORDER BY \w\.created_at`)

// mayReadThrough reports whether a statement has reason to scan so. As the server's connections are told not to scan tables, a
// scan of one means that no index helps.
func mayReadThrough(text string, scan node) bool {
	aPart := strings.HasSuffix(scan.Name, "_public") // an index of just the rows that were asked for
	return small.MatchString(scan.Relation) || aPart || scan.Type != "Seq Scan" && aList.MatchString(text) || byAge.MatchString(text)
}

// TestAListSaysOfAPortWhatShowingItSays is about what is read of a port in other tables, in every way that lists do.
func TestAListSaysOfAPortWhatShowingItSays(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	v6, v4 := c.subnet(n, "2001:db8::/64", object{"enable_dhcp": false, "ip_version": 6}), c.subnet(n, "10.0.0.0/24", object{"enable_dhcp": false})
	var groups []any
	for range 3 {
		groups = append(groups, c.group(nil)["id"])
	}
	on := func(subnets ...object) (all []any) {
		for _, s := range subnets {
			all = append(all, object{"subnet_id": s["id"]})
		}
		return all
	}
	for _, p := range []object{
		{"fixed_ips": on(v6, v4, v4), "security_groups": groups}, {"fixed_ips": on(v4), "security_groups": groups[1:2], "device_id": "vm"},
		{"fixed_ips": []any{}, "security_groups": []any{}, "tags": []any{"red", "green"}}, {"fixed_ips": on(v4, v6, v4), "security_groups": groups[:2], "device_id": "vm"},
	} {
		p["network_id"] = n
		c.create("port", p)
	}
	show := func(id any) object { return c.must(http.StatusOK, http.MethodGet, "/v2.0/ports/"+id.(string), nil) }
	for query, want := range map[string]int{
		"": 4, "?network_id=" + n: 4, "?device_id=vm": 2, "?limit=3": 3, "?sort_key=mac_address&sort_dir=desc": 4, "?tags=red": 1, "?device_id=none": 0,
	} {
		rows := c.list("ports", query)
		if len(rows) != want {
			t.Errorf("%q lists %d ports, want %d", query, len(rows), want)
		}
		for _, row := range rows {
			shown := show(row["id"])
			if !reflect.DeepEqual(row, shown) {
				t.Errorf("%q lists\n%v\nshown is\n%v", query, row, shown)
			}
		}
	}
	whole := ids(c.list("ports", ""))
	if rest := c.list("ports", "?marker="+whole[1]); !reflect.DeepEqual(rest[0], show(whole[2])) {
		t.Errorf("after %s comes %v", whole[1], rest[0])
	}
}

// TestListsAreWhatAFilterOfTheWholeListGives asks random questions, and answers them itself.
func TestListsAreWhatAFilterOfTheWholeListGives(t *testing.T) {
	c := newClient(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	words := []string{"", "a", "b", "a b", "ü%_"}
	word := func() string { return words[rnd.IntN(len(words))] }
	tags := func() []any {
		all := []any{}
		for _, t := range []string{"red", "green", "blue"} {
			if rnd.IntN(2) == 0 {
				all = append(all, t)
			}
		}
		return all
	}
	var networks []string
	for range 2 {
		n := c.network(nil)
		c.subnet(n, "10.0.0.0/24", object{"enable_dhcp": false})
		networks = append(networks, n)
	}
	for range 30 {
		c.create("port", object{"network_id": networks[rnd.IntN(2)], "name": word(), "description": word(), "admin_state_up": rnd.IntN(2) == 0,
			"device_id": word(), "device_owner": word(), "project_id": "p" + word(), "tags": tags()})
	}
	whole := c.list("ports", "")
	for range 150 {
		q, pass := randomQuestion(rnd, word, networks)
		var want []string
		for _, p := range whole {
			if pass(p) {
				want = append(want, p["id"].(string))
			}
		}
		if got := ids(c.list("ports", "?"+q.Encode())); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s\ngives %v\nwant  %v", q.Encode(), got, want)
		}
		sorted := ids(c.list("ports", "?"+q.Encode()+"&"+randomOrder(rnd)))
		if len(sorted) != len(want) {
			t.Fatalf("%s: sorted, %d are %d", q.Encode(), len(want), len(sorted))
		}
	}
	for range 20 {
		order := randomOrder(rnd)
		all := ids(c.list("ports", "?"+order))
		var walked []string
		for marker := ""; ; {
			page := ids(c.list("ports", "?limit=7"+marker+"&"+order))
			walked = append(walked, page...)
			if len(page) < 7 {
				break
			}
			marker = "&marker=" + page[6]
		}
		if fmt.Sprint(walked) != fmt.Sprint(all) {
			t.Fatalf("%s\nin pages %v\nat once  %v", order, walked, all)
		}
		last := all[len(all)-1]
		back := ids(c.list("ports", "?limit=5&page_reverse=True&marker="+last+"&"+order))
		if fmt.Sprint(back) != fmt.Sprint(all[len(all)-6:len(all)-1]) {
			t.Fatalf("%s\nbefore the last %v\nwant %v", order, back, all[len(all)-6:len(all)-1])
		}
	}
}
