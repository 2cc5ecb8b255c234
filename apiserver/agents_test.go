//go:build integration

package apiserver_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// withHosts is a client of a server, and the database as the controller has it.
func withHosts(t *testing.T) (*client, *store.DB, string) {
	dsn := storetest.StartForTest(t)
	db, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &client{t: t, handler: newServer(t, dsn, settings)}, db, dsn
}

func agentIDs(items []object) []string {
	out := []string{}
	for _, i := range items {
		out = append(out, i["id"].(string))
	}
	return out
}

func TestAgentsAreHosts(t *testing.T) {
	t.Parallel()
	c, db, dsn := withHosts(t)
	ctx := context.Background()
	h1, err1 := db.SaveHost(ctx, signalbox.Host{DatapathID: 1, Name: "h1", TunnelIP: netip.MustParseAddr("192.0.2.1"), Mappings: map[string]string{"physnet1": "br-ex"}, Managed: true, Datapath: "netdev"})
	h2, err2 := db.SaveHost(ctx, signalbox.Host{DatapathID: 2, Name: "h2"})
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	saved := db.SaveSessions(ctx, map[uuid.UUID]signalbox.Session{h1.ID: {Up: true, Since: began}, h2.ID: {Up: true, Since: began}, uuid.New(): {Up: true}})
	gone := db.SaveSessions(ctx, map[uuid.UUID]signalbox.Session{h2.ID: {Since: began.Add(time.Hour)}})
	for _, err := range []error{err1, err2, saved, gone} {
		if err != nil {
			t.Fatal(err)
		}
	}
	one := "/v2.0/agents/" + h1.ID.String()
	two := "/v2.0/agents/" + h2.ID.String()
	a := c.must(200, "GET", one, nil)
	for name, want := range map[string]any{
		"agent_type": "Open vSwitch agent", "binary": "ovs-vswitchd", "host": "h1", "alive": true, "admin_state_up": true, "topic": "N/A",
		"availability_zone": "nova", "description": nil, "started_at": "2026-01-02 03:04:05",
		"configurations": object{"bridge_mappings": object{"physnet1": "br-ex"}, "datapath_type": "netdev", "devices": 0.0,
			"tunnel_types": []any{"gre", "vxlan", "geneve"}, "tunneling_ip": "192.0.2.1"},
	} {
		if !reflect.DeepEqual(a[name], want) {
			t.Errorf("%s is %v, want %v", name, a[name], want)
		}
	}
	for _, name := range []string{"created_at", "heartbeat_timestamp"} {
		if at, err := time.Parse(time.DateTime, a[name].(string)); err != nil || time.Since(at) > time.Hour {
			t.Errorf("%s is %v", name, a[name])
		}
	}
	if a := c.must(200, "GET", two, nil); a["alive"] != false || a["started_at"] != "2026-01-02 03:04:05" {
		t.Errorf("a host that has gone: %v", a)
	}
	for query, want := range map[string][]string{
		"?sort_key=host&sort_dir=desc": {h2.ID.String(), h1.ID.String()}, "?alive=True": {h1.ID.String()}, "?host=h2": {h2.ID.String()},
		"?binary=ovs-vswitchd&alive=false": {h2.ID.String()}, "?agent_type=DHCP%20agent": {}, "?agent_type=Open%20vSwitch%20agent&host=h1": {h1.ID.String()},
		"?availability_zone=moon": {}, "?sort_key=host&sort_dir=asc&limit=1": {h1.ID.String()},
	} {
		if got := agentIDs(c.list("agents", query)); !reflect.DeepEqual(got, want) {
			t.Errorf("agents%s: %v, want %v", query, got, want)
		}
	}

	if a := c.must(200, "PUT", two, object{"agent": object{"admin_state_up": false, "description": "in the cellar"}}); a["admin_state_up"] != false || a["description"] != "in the cellar" {
		t.Errorf("updated %v", a)
	}
	c.refused(400, "HTTPBadRequest", "PUT", two, object{"agent": object{"host": "h3"}})
	c.refused(404, "AgentNotFound", "GET", "/v2.0/agents/"+uuid.NewString(), nil)
	c.refused(409, "Conflict", "DELETE", one, nil)
	c.must(204, "DELETE", two, nil)
	c.refused(404, "AgentNotFound", "GET", two, nil)

	m := c.member(stranger)
	if all := m.list("agents", ""); len(all) != 0 {
		t.Errorf("a project sees %v", all)
	}
	for _, method := range []string{"GET", "DELETE"} {
		m.refused(404, "AgentNotFound", method, one, nil)
	}
	m.refused(404, "AgentNotFound", "PUT", one, object{"agent": object{"admin_state_up": false}})

	// A controller that says nothing any more has no hosts that are alive.
	sqldb, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer sqldb.Close()
	state := func() any {
		return c.listed("availability_zones", "availability_zones", "?resource=network")[0]["state"]
	}
	if state() != "available" {
		t.Error("the zone is not available")
	}
	if _, err := sqldb.Exec(`UPDATE sessions SET seen_at = now() - interval '76 seconds'`); err != nil {
		t.Fatal(err)
	}
	if a := c.must(200, "GET", one, nil); a["alive"] != false {
		t.Error("an agent is alive that nobody has heard for 76 seconds")
	}
	if state() != "unavailable" {
		t.Error("the zone is available")
	}
}

func TestWhatIsAtWhichAgent(t *testing.T) {
	t.Parallel()
	c, db, _ := withHosts(t)
	ctx := context.Background()
	var hosts []string
	for i := range 3 {
		h, err := db.SaveHost(ctx, signalbox.Host{DatapathID: signalbox.DatapathID(i + 1), Name: fmt.Sprint("h", i)})
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h.ID.String())
	}
	outside := c.create("network", object{"router:external": true})["id"].(string)
	c.subnet(outside, "192.0.2.0/24", object{"enable_dhcp": false})
	n, silent := c.network(nil), c.network(nil)
	c.subnet(n, "10.0.0.0/24", nil)
	c.subnet(silent, "10.1.0.0/24", object{"enable_dhcp": false})
	var bindings []signalbox.Binding
	for i, network := range []string{n, n, silent} {
		p := c.create("port", object{"network_id": network})["id"].(string)
		bindings = append(bindings, signalbox.Binding{PortID: uuid.MustParse(p), HostID: uuid.MustParse(hosts[i/2]), Interface: "tap", By: "name"})
	}
	r := c.create("router", object{"external_gateway_info": object{"network_id": outside}})["id"].(string)
	c.create("router", nil)
	if err := db.Bind(ctx, bindings); err != nil {
		t.Fatal(err)
	}
	if err := db.PlaceGateways(ctx, map[uuid.UUID]uuid.UUID{uuid.MustParse(r): uuid.MustParse(hosts[1])}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"networks/" + n + "/dhcp-agents": {hosts[0]}, "networks/" + silent + "/dhcp-agents": {}, "routers/" + r + "/l3-agents": {hosts[1]},
		"agents/" + hosts[0] + "/dhcp-networks": {n}, "agents/" + hosts[1] + "/dhcp-networks": {}, "agents/" + hosts[2] + "/dhcp-networks": {},
		"agents/" + hosts[0] + "/l3-routers": {}, "agents/" + hosts[1] + "/l3-routers": {r},
	} {
		status, answer := c.call("GET", "/v2.0/"+path, nil)
		if status != 200 || len(answer) != 1 {
			t.Fatalf("%s: %d %v", path, status, answer)
		}
		for _, list := range answer {
			got := []string{}
			for _, i := range list.([]any) {
				got = append(got, i.(object)["id"].(string))
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		}
		c.member(stranger).refused(403, "PolicyNotAuthorized", "GET", "/v2.0/"+path, nil)
	}
	if a := c.must(200, "GET", "/v2.0/agents/"+hosts[0], nil); a["configurations"].(object)["devices"] != 2.0 {
		t.Errorf("agent %v", a)
	}
	c.refused(404, "NetworkNotFound", "GET", "/v2.0/networks/"+uuid.NewString()+"/dhcp-agents", nil)
	c.refused(404, "RouterNotFound", "GET", "/v2.0/routers/"+uuid.NewString()+"/l3-agents", nil)
	c.refused(404, "AgentNotFound", "GET", "/v2.0/agents/"+uuid.NewString()+"/l3-routers", nil)
	c.refused(409, "Conflict", "POST", "/v2.0/agents/"+hosts[0]+"/dhcp-networks", object{"network_id": n})
	c.refused(409, "Conflict", "DELETE", "/v2.0/agents/"+hosts[0]+"/dhcp-networks/"+n, nil)
	c.refused(409, "Conflict", "POST", "/v2.0/agents/"+hosts[0]+"/l3-routers", object{"router_id": r})
	c.refused(409, "Conflict", "DELETE", "/v2.0/agents/"+hosts[1]+"/l3-routers/"+r, nil)
	c.member(stranger).refused(403, "PolicyNotAuthorized", "POST", "/v2.0/agents/"+hosts[0]+"/l3-routers", object{"router_id": r})

	// A host that is forgotten holds nothing any more.
	c.must(204, "DELETE", "/v2.0/agents/"+hosts[0], nil)
	c.must(204, "DELETE", "/v2.0/agents/"+hosts[1], nil)
	if got := c.listed("routers/"+r+"/l3-agents", "agents", ""); len(got) != 0 {
		t.Errorf("the gateway is at %v", got)
	}
}

func TestOneAvailabilityZone(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, resource := range []string{"network", "router"} {
		made := c.create(resource, object{"availability_zone_hints": []any{"nova"}})
		for _, r := range []object{made, c.must(200, "GET", fmt.Sprintf("/v2.0/%ss/%s", resource, made["id"]), nil)} {
			if !reflect.DeepEqual(r["availability_zone_hints"], []any{"nova"}) || !reflect.DeepEqual(r["availability_zones"], []any{"nova"}) {
				t.Errorf("%s %v", resource, r)
			}
		}
		if r := c.create(resource, nil); !reflect.DeepEqual(r["availability_zone_hints"], []any{}) {
			t.Errorf("%s without hints: %v", resource, r)
		}
		c.refused(404, "AvailabilityZoneNotFound", "POST", "/v2.0/"+resource+"s", object{resource: object{"availability_zone_hints": []any{"nova", "moon"}}})
		for _, bad := range []any{"nova", []any{"nova", "nova"}, []any{1}, nil, object{}} {
			if status, answer := c.call("POST", "/v2.0/"+resource+"s", object{resource: object{"availability_zone_hints": bad}}); status != 400 {
				t.Errorf("hints %v: %d %v", bad, status, answer)
			}
		}
		url := fmt.Sprintf("/v2.0/%ss/%s", resource, made["id"])
		change := object{resource: object{"availability_zone_hints": []any{}}}
		if resource == "network" {
			c.refused(400, "HTTPBadRequest", "PUT", url, change)
		} else if r := c.must(200, "PUT", url, change); !reflect.DeepEqual(r["availability_zone_hints"], []any{}) {
			t.Errorf("updated %v", r)
		}
	}
	c.refused(404, "AvailabilityZoneNotFound", "PUT", "/v2.0/routers/"+c.create("router", nil)["id"].(string), object{"router": object{"availability_zone_hints": []any{"moon"}}})
	for query, want := range map[string]int{"": 2, "?resource=router": 1, "?name=nova&state=unavailable": 2, "?state=available": 0, "?name=moon": 0, "?resource=volume": 0} {
		if got := c.member(stranger).listed("availability_zones", "availability_zones", query); len(got) != want {
			t.Errorf("zones%s: %v", query, got)
		}
	}
	c.refused(400, "HTTPBadRequest", "GET", "/v2.0/availability_zones?colour=red", nil)
}

func TestHowFullNetworksAre(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	const url = "/v2.0/network-ip-availabilities"
	n := c.create("network", object{"name": "full"})["id"].(string)
	c.create("network", object{"name": "empty", "project_id": stranger})
	v4 := c.subnet(n, "10.0.0.0/20", object{"name": "four"})["id"]
	c.subnet(n, "10.1.0.0/24", object{"enable_dhcp": false, "allocation_pools": []any{
		object{"start": "10.1.0.10", "end": "10.1.0.19"}, object{"start": "10.1.0.30", "end": "10.1.0.30"}}})
	c.subnet(n, "fd00::/64", nil)
	c.subnet(n, "fd01::/32", object{"gateway_ip": nil})
	c.create("port", object{"network_id": n, "fixed_ips": []any{object{"ip_address": "10.1.0.200"}}}) // outside the pools

	one := func(query string) (total, used json.Number, subnets []any) {
		t.Helper()
		status, _, raw := c.raw(http.MethodGet, url+query, nil)
		var answer struct {
			All []struct {
				Total   json.Number `json:"total_ips"`
				Used    json.Number `json:"used_ips"`
				Subnets []any       `json:"subnet_ip_availability"`
			} `json:"network_ip_availabilities"`
		}
		if err := json.Unmarshal(raw, &answer); err != nil || status != 200 || len(answer.All) != 1 {
			t.Fatalf("%s: %d %s", query, status, raw)
		}
		return answer.All[0].Total, answer.All[0].Used, answer.All[0].Subnets
	}
	// 4093 + 11 + (2^64 - 1) + (2^96 - 1): of IPv6 the first address is the routers'.
	for query, want := range map[string][3]any{
		"?network_name=full":                              {json.Number("79228162532711081667253506054"), json.Number("2"), 4},
		"?network_id=" + n + "&ip_version=4":              {json.Number("4104"), json.Number("2"), 2},
		"?ip_version=6":                                   {json.Number("79228162532711081667253501950"), json.Number("0"), 2},
		"?project_id=" + stranger:                         {json.Number("0"), json.Number("0"), 0},
		"?tenant_id=" + project + "&ip_version=4&limit=1": {json.Number("4104"), json.Number("2"), 2},
	} {
		total, used, subnets := one(query)
		if total != want[0] || used != want[1] || len(subnets) != want[2] {
			t.Errorf("%s: %v of %v in %d subnets, want %v", query, used, total, len(subnets), want)
		}
	}
	if all := c.listed("network-ip-availabilities", "network_ip_availabilities", ""); len(all) != 2 {
		t.Errorf("%v", all)
	}
	a := c.must(200, "GET", url+"/"+n, nil)
	want := object{"subnet_id": v4, "subnet_name": "four", "cidr": "10.0.0.0/20", "ip_version": 4.0, "total_ips": 4093.0, "used_ips": 1.0}
	if got := a["subnet_ip_availability"].([]any)[0]; a["network_id"] != n || a["project_id"] != project || a["tenant_id"] != project || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", a, want)
	}
	c.refused(404, "NetworkNotFound", "GET", url+"/"+uuid.NewString(), nil)
	c.refused(404, "NetworkNotFound", "GET", url+"/banana", nil)
	c.refused(400, "HTTPBadRequest", "GET", url+"?cidr=10.0.0.0/8", nil)
	m := c.member(project)
	m.refused(404, "NetworkNotFound", "GET", url+"/"+n, nil)
	if all := m.listed("network-ip-availabilities", "network_ip_availabilities", ""); len(all) != 0 {
		t.Errorf("a project sees %v", all)
	}
}
