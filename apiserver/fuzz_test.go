//go:build integration

package apiserver_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// aside is what recorded requests name by ids, and the things of a scene that stand in for them here.
var aside = []struct {
	pattern *regexp.Regexp
	thing   string
}{
	{naming(`/networks/`), "own"}, {naming(`/subnets/`), "own subnet"}, {naming(`/ports/`), "own port"}, {naming(`/routers/`), "router"},
	{naming(`/floatingips/`), "floating"}, {naming(`/security-groups/`), "group"}, {naming(`/security-group-rules/`), "rule"},
	{naming(`"floating_network_id": ?"`), "outside"}, {naming(`"external_gateway_info": ?{"network_id": ?"`), "outside"},
	{naming(`"network_id": ?"`), "own"}, {naming(`"subnet_id": ?"`), "own subnet"}, {naming(`"port_id": ?"`), "own port"},
	{naming(`"security_group_id": ?"`), "group"}, {naming(`"remote_group_id": ?"`), "group"}, {naming(`"object_id": ?"`), "own"},
	{naming(`network_id=`), "own"}, {naming(`subnet_id(?:=|%3D)`), "own subnet"},
}

func naming(before string) *regexp.Regexp {
	return regexp.MustCompile("(" + before + ")[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
}

// inScene is a recorded text with the things of a scene in place of its ids.
func inScene(s string) string {
	for _, a := range aside {
		s = a.pattern.ReplaceAllString(s, "${1}{"+a.thing+"}")
	}
	return s
}

// FuzzRequest: whatever anybody asks, the answer is never a 5xx, and as /openapi.json describes it.
func FuzzRequest(f *testing.F) {
	file, err := os.Open("testdata/neutron-zed.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		var e struct {
			Method, Path string
			Body         json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			f.Fatal(err)
		}
		path, query, _ := strings.Cut(inScene(e.Path), "?")
		f.Add(e.Method, path, query, []byte(inScene(string(e.Body))), byte(n))
	}
	f.Add("PUT", "/v2.0/routers/{router}/add_router_interface", "", []byte(`{"subnet_id":"{own subnet}"}`), byte(0))
	f.Add("PUT", "/v2.0/ports/{port}", "", []byte(`{"port":{"device_owner":"compute:nova","binding:host_id":"h"}}`), byte(0))
	f.Add("POST", "/v2.0/ports/{port}/bindings", "", []byte(`{"binding":{"host":"i","profile":{"a":1},"vnic_type":"normal"}}`), byte(1))
	f.Add("GET", "/v2.0/ports/{port}/bindings", "status=ACTIVE&host=h&fields=host", []byte(nil), byte(0))
	f.Add("PUT", "/v2.0/ports/{port}/bindings/h/activate", "", []byte(nil), byte(0))
	f.Add("PUT", "/v2.0/ports/{port}/tags/a b/c", "", []byte(nil), byte(2))
	f.Add("GET", "/v2.0/ports", "fixed_ips=ip_address_substr=10&sort_key=name&sort_dir=desc&limit=1&marker={port}&page_reverse=1&tags=a,b", []byte(nil), byte(1))
	f.Add("GET", "/v2.0/networks.json", "fields=id&fields=%00&limit=-1&changed_since=2026-01-01T00:00:00", []byte(nil), byte(5))
	doc, err := description()
	if err != nil {
		f.Fatal(err)
	}
	handler := newServer(f, storetest.StartForTest(f), settings)
	admin := &client{f, handler, callers[0].headers}
	at := scene(admin)
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte, who byte) {
		filled := func(s string) string {
			for name, id := range at {
				s = strings.ReplaceAll(s, "{"+name+"}", id)
			}
			return s
		}
		r, err := http.NewRequest(method, "http://api.example:9696/", bytes.NewReader([]byte(filled(string(body)))))
		if err != nil {
			return // net/http would not let it in
		}
		r.URL.Path, r.URL.RawQuery = "/"+strings.TrimPrefix(filled(path), "/"), filled(query)
		if _, err := url.ParseRequestURI(r.URL.RequestURI()); err != nil {
			return
		}
		for name, value := range callers[int(who)%len(callers)].headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		held{t, doc, handler}.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s %q: %d %s", method, r.URL, body, w.Code, w.Body)
		}
		mine := &client{t, handler, callers[0].headers}
		switch w.Code {
		case http.StatusCreated:
			mine.undo(r.URL.Path, w.Body.Bytes())
		case http.StatusNoContent:
			if method == http.MethodDelete && !strings.Contains(path, "/tags") {
				at = scene(mine)
			}
		}
	})
}

// undo deletes what was made, as far as nothing stands on it, so that lists do not get longer and longer.
func (c *client) undo(path string, made []byte) {
	var answer map[string]json.RawMessage
	if json.Unmarshal(made, &answer) != nil {
		return
	}
	type thing struct{ ID string }
	for _, raw := range answer {
		var one thing
		var many []thing
		if json.Unmarshal(raw, &one) == nil {
			many = append(many, one)
		} else if json.Unmarshal(raw, &many) != nil {
			continue
		}
		for _, t := range many {
			c.raw(http.MethodDelete, strings.TrimSuffix(path, ".json")+"/"+url.PathEscape(t.ID), nil)
		}
	}
}
