//go:build integration

package apiserver_test

import (
	"context"
	"maps"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

func TestBindingsOfAPortToItsHosts(t *testing.T) {
	dsn, ctx := storetest.StartForTest(t), context.Background()
	c := &client{t: t, handler: newServer(t, dsn, settings)}
	db, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var hosts []signalbox.Host
	for i, name := range []string{"old", "new", "third", "a b/c"} {
		h, err := db.SaveHost(ctx, signalbox.Host{DatapathID: signalbox.DatapathID(i + 1), Name: name, Datapath: "system"})
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	n := c.network(nil)
	p := c.create("port", object{"network_id": n, "device_owner": "compute:nova", "device_id": nobodys, "binding:host_id": "old", "binding:profile": object{"a": 1}})
	url := portURL(p)
	all := url + "/bindings"
	details := object{"port_filter": true, "connectivity": "l2", "ovs_hybrid_plug": false, "bridge_name": "br-int", "datapath_type": "system",
		"bound_drivers": object{"0": "openvswitch"}}
	binding := func(host, status string, profile object) object {
		return object{"host": host, "status": status, "profile": profile, "vif_type": "ovs", "vnic_type": "normal", "vif_details": details}
	}
	has := func(when string, want ...object) {
		t.Helper()
		got := c.listed("ports/"+p["id"].(string)+"/bindings", "bindings", "")
		if len(got) != len(want) {
			t.Fatalf("%s: bindings %v, want %v", when, got, want)
		}
		for i := range want {
			c.has(got[i], want[i])
			if len(got[i]) != len(want[i]) {
				t.Errorf("%s: a binding is %v", when, got[i])
			}
			if host := want[i]["host"].(string); host != "" {
				c.has(c.must(200, "GET", all+"/"+url_(host), nil), want[i])
			}
		}
		active := want[0]
		c.has(c.must(200, "GET", url, nil), object{"binding:host_id": active["host"], "binding:profile": active["profile"],
			"binding:vif_type": active["vif_type"], "binding:vif_details": active["vif_details"], "binding:vnic_type": active["vnic_type"]})
	}
	one := object{"a": 1.0}
	has("bound", binding("old", "ACTIVE", one))

	c.has(c.must(201, "POST", all, object{"binding": object{"host": "new", "profile": object{"migrating_to": "new"}, "project_id": project}}),
		binding("new", "INACTIVE", object{"migrating_to": "new"}))
	has("waiting", binding("old", "ACTIVE", one), binding("new", "INACTIVE", object{"migrating_to": "new"}))
	for query, want := range map[string]int{"?status=INACTIVE": 1, "?host=old&host=new": 2, "?host=x": 0, "?vif_type=ovs&status=ACTIVE": 1, "?vnic_type=direct": 0} {
		if got := c.listed("ports/"+p["id"].(string)+"/bindings", "bindings", query); len(got) != want {
			t.Errorf("%s lists %v", query, got)
		}
	}
	if got := c.must(200, "GET", all+"/new?fields=host", nil); len(got) != 1 || got["host"] != "new" {
		t.Errorf("fields: %v", got)
	}
	c.refused(400, "HTTPBadRequest", "GET", all+"?profile=x", nil)

	for _, test := range []struct {
		status     int
		name       string
		method     string
		path       string
		attributes object
	}{
		{409, "PortBindingAlreadyExists", "POST", all, object{"host": "new"}},
		{409, "PortBindingAlreadyExists", "POST", all, object{"host": "old"}},
		{409, "PortBindingError", "POST", all, object{"host": "nobody's"}},
		{409, "PortBindingError", "POST", all, object{"host": "third", "vnic_type": "direct"}},
		{400, "HTTPBadRequest", "POST", all, object{}},
		{400, "InvalidInput", "POST", all, object{"host": ""}},
		{400, "HTTPBadRequest", "POST", all, object{"host": "third", "status": "ACTIVE"}},
		{400, "HTTPBadRequest", "POST", all, object{"host": 1}},
		{400, "HTTPBadRequest", "POST", all, object{"host": "a\x00"}},
		{400, "InvalidInput", "PUT", all + "/new", object{"host": "third"}},
		{409, "PortBindingError", "PUT", all + "/new", object{"vnic_type": "direct"}},
		{404, "PortBindingNotFound", "PUT", all + "/third", object{"profile": object{}}},
		{404, "PortBindingNotFound", "GET", all + "/third", nil},
		{404, "PortBindingNotFound", "DELETE", all + "/third", nil},
		{404, "PortBindingNotFound", "PUT", all + "/third/activate", object{}},
		{404, "PortBindingNotFound", "PUT", all + "/%00/activate", object{}},
		{409, "PortBindingAlreadyActive", "PUT", all + "/old/activate", object{}},
		{404, "PortNotFound", "GET", "/v2.0/ports/" + nobodys + "/bindings", nil},
		{404, "PortNotFound", "POST", "/v2.0/ports/x/bindings", object{"host": "new"}},
	} {
		var body any
		if test.attributes != nil {
			body = object{"binding": test.attributes}
		}
		if status, answer := c.call(test.method, test.path, body); status != test.status || errorName(answer) != test.name {
			t.Errorf("%s %s %v: %d %v, want %d %s", test.method, test.path, body, status, answer, test.status, test.name)
		}
	}
	c.refused(400, "BadRequest", "POST", all, object{"bindings": []any{object{"host": "third"}}})
	has("after refusals", binding("old", "ACTIVE", one), binding("new", "INACTIVE", object{"migrating_to": "new"}))

	_, activated := c.call("PUT", all+"/new/activate", nil)
	c.has(activated, binding("new", "ACTIVE", object{"migrating_to": "new"}))
	has("activated", binding("new", "ACTIVE", object{"migrating_to": "new"}), binding("old", "INACTIVE", one))
	c.has(c.must(200, "PUT", all+"/new", object{"binding": object{"profile": object{}}}), binding("new", "ACTIVE", object{}))
	c.has(c.must(200, "PUT", all+"/old", object{"binding": object{"profile": object{"b": true}, "host": "old"}}), binding("old", "INACTIVE", object{"b": true}))
	has("updated", binding("new", "ACTIVE", object{}), binding("old", "INACTIVE", object{"b": true}))

	c.must(201, "POST", all, object{"binding": object{"host": "a b/c"}})
	c.must(204, "DELETE", all+"/"+url_("a b/c"), nil)
	c.updatePort(p, object{"binding:host_id": "old"}) // as without this extension
	has("asked for where it waited", binding("old", "ACTIVE", object{}))
	c.must(201, "POST", all, object{"binding": object{"host": "new"}})
	c.must(204, "DELETE", all+"/old", nil)
	unbound := object{"host": "", "status": "ACTIVE", "profile": object{}, "vif_type": "unbound", "vnic_type": "normal", "vif_details": object{}}
	has("deleted", unbound, binding("new", "INACTIVE", object{}))
	c.must(200, "PUT", all+"/new/activate", nil)
	has("activated where there was none", binding("new", "ACTIVE", object{}))

	// The switches say where a port is of which nobody says where it is to be.
	c.must(204, "DELETE", all+"/new", nil)
	if err := db.Bind(ctx, []signalbox.Binding{{PortID: uuid.MustParse(p["id"].(string)), HostID: hosts[2].ID, Interface: "tap", By: signalbox.ByInterfaceID}}); err != nil {
		t.Fatal(err)
	}
	has("plugged in", binding("third", "ACTIVE", object{}))
	c.refused(409, "PortBound", "DELETE", all+"/third", nil)
	c.must(201, "POST", all, object{"binding": object{"host": "new"}})
	c.must(200, "PUT", all+"/new/activate", nil)
	has("moved from where it was plugged in", binding("new", "ACTIVE", object{}), binding("third", "INACTIVE", object{}))

	other := c.create("port", object{"network_id": n})
	for _, what := range []struct{ method, path string }{{"POST", ""}, {"PUT", "/new"}, {"DELETE", "/new"}, {"PUT", "/new/activate"}} {
		c.refused(400, "BadRequest", what.method, portURL(other)+"/bindings"+what.path, object{"binding": object{"host": "new"}})
	}
	c.must(204, "DELETE", url, nil)
	c.refused(404, "PortNotFound", "GET", all, nil)
	if got := c.must(200, "GET", "/v2.0/extensions/binding-extended", nil); got["alias"] != "binding-extended" {
		t.Errorf("the extension is %v", got)
	}
}

func TestABindingIsActivatedOnce(t *testing.T) {
	dsn, ctx := storetest.StartForTest(t), context.Background()
	c := &client{t: t, handler: newServer(t, dsn, settings)}
	db, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := c.create("port", object{"network_id": c.network(nil), "device_owner": "compute:nova"})
	for i, name := range []string{"a", "b"} {
		if _, err := db.SaveHost(ctx, signalbox.Host{DatapathID: signalbox.DatapathID(i + 1), Name: name, Datapath: "system"}); err != nil {
			t.Fatal(err)
		}
	}
	all := portURL(p) + "/bindings"
	for range 5 {
		c.must(201, "POST", all, object{"binding": object{"host": "a"}})
		var mu sync.Mutex
		answers := map[int]int{}
		var both sync.WaitGroup
		for range 4 {
			both.Go(func() {
				status, _, _ := c.raw("PUT", all+"/a/activate", nil)
				mu.Lock()
				defer mu.Unlock()
				answers[status]++
			})
		}
		both.Wait()
		if !maps.Equal(answers, map[int]int{200: 1, 409: 3}) {
			t.Errorf("answers %v", answers)
		}
		c.must(204, "DELETE", all+"/a", nil)
	}
}
