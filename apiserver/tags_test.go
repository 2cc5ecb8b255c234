//go:build integration

package apiserver_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// oneOfEach makes one resource of each kind that can be tagged, and returns their URLs by collection.
func (c *client) oneOfEach() map[string]string {
	c.t.Helper()
	external := c.network(object{"router:external": true})
	c.subnet(external, "192.0.2.0/24", nil)
	n := c.network(nil)
	urls := map[string]string{"networks": n, "subnets": c.subnet(n, "10.0.0.0/24", nil)["id"].(string)}
	for resource, attributes := range map[string]object{
		"port": {"network_id": n}, "router": {}, "floatingip": {"floating_network_id": external},
		"subnetpool": {"prefixes": []any{"10.0.0.0/8"}},
	} {
		urls[resource+"s"] = c.create(resource, attributes)["id"].(string)
	}
	urls["security-groups"] = c.group(nil)["id"].(string)
	for collection, id := range urls {
		urls[collection] = "/v2.0/" + collection + "/" + id
	}
	return urls
}

func TestTagsOfEveryResource(t *testing.T) {
	c := newClient(t)
	for collection, url := range c.oneOfEach() {
		t.Run(collection, func(t *testing.T) {
			c := &client{t, c.handler, c.headers}
			shown := func(want ...any) {
				t.Helper()
				if want == nil {
					want = []any{}
				}
				if got := c.must(200, "GET", url, nil)["tags"]; !reflect.DeepEqual(got, want) {
					t.Errorf("shown with tags %v, want %v", got, want)
				}
				if _, got := c.call("GET", url+"/tags", nil); !reflect.DeepEqual(got["tags"], want) {
					t.Errorf("tags are %v, want %v", got["tags"], want)
				}
			}
			revision := func() float64 { return c.must(200, "GET", url, nil)["revision_number"].(float64) }
			shown()
			first := revision()
			for range 2 { // the second time says nothing new
				if status, _, body := c.raw("PUT", url+"/tags/red", nil); status != 201 || string(body) != "null" {
					t.Errorf("%d %s", status, body)
				}
			}
			if now := revision(); now != first+1 {
				t.Errorf("the revision was %v, is %v", first, now)
			}
			shown("red")
			long := strings.Repeat("ü", 255)
			c.must(200, "PUT", url+"/tags", object{"tags": []any{"b", "a,c", long, "a b/c", ""}})
			shown("", "a b/c", "a,c", "b", long)
			c.must(204, "GET", url+"/tags/"+url_(long), nil)
			c.must(204, "GET", url+"/tags/"+url_("a b/c"), nil)
			c.must(204, "DELETE", url+"/tags/"+url_("a b/c"), nil)
			c.refused(404, "TagNotFound", "DELETE", url+"/tags/"+url_("a b/c"), nil)
			c.refused(404, "HTTPNotFound", "PUT", url+"/tags/b/c", nil)
			c.refused(404, "TagNotFound", "GET", url+"/tags/red", nil)
			shown("", "a,c", "b", long)
			c.must(204, "DELETE", url+"/tags", nil)
			c.must(204, "DELETE", url+"/tags", nil)
			shown()

			c.refused(400, "InvalidInput", "PUT", url+"/tags/"+url_(long+"x"), nil)
			c.refused(400, "InvalidInput", "PUT", url+"/tags/%00", nil)
			c.refused(400, "InvalidInput", "PUT", url+"/tags/%ff", nil)
			for _, body := range []any{nil, object{}, []any{"a"}, object{"tags": "a"}, object{"tags": []any{1}}, object{"tags": []any{"a", "a"}},
				object{"tags": []any{}, "more": 1}, object{"tags": []any{long + "x"}}} {
				c.refused(400, "InvalidInput", "PUT", url+"/tags", body)
			}
			for _, other := range []string{"/v2.0/" + collection + "/5e35c351-7222-4fec-81bf-ff024695714c", "/v2.0/" + collection + "/x"} {
				c.refused(404, "TagResourceNotFound", "GET", other+"/tags", nil)
				c.refused(404, "TagResourceNotFound", "PUT", other+"/tags/a", nil)
				c.refused(404, "TagResourceNotFound", "DELETE", other+"/tags", nil)
			}
			c.refused(400, "HTTPBadRequest", "PUT", url, object{resourceIn(collection): object{"tags": []any{"a"}}})
		})
	}
}

// resourceIn is the name of a collection's resource in bodies.
func resourceIn(collection string) string {
	return strings.ReplaceAll(strings.TrimSuffix(collection, "s"), "-", "_")
}

// url_ is a text as a part of a URL's path.
func url_(s string) string { return url.PathEscape(s) }

func TestTagsInsistOnARevision(t *testing.T) {
	c := newClient(t)
	for collection, url := range c.oneOfEach() {
		revision := c.must(200, "GET", url, nil)["revision_number"].(float64)
		old := c.as(map[string]string{"If-Match": fmt.Sprintf("revision_number=%.0f", revision-1)})
		now := c.as(map[string]string{"If-Match": fmt.Sprintf("revision_number=%.0f", revision)})
		old.refused(412, "RevisionNumberConstraintFailed", "PUT", url+"/tags/a", nil)
		old.refused(412, "RevisionNumberConstraintFailed", "DELETE", url+"/tags", nil)
		if status, _, body := now.raw("PUT", url+"/tags/a", nil); status != 201 {
			t.Errorf("%s: %d %s", collection, status, body)
		}
	}
}

func TestTagsAreTheOwnersToChange(t *testing.T) {
	c := newClient(t)
	shared := "/v2.0/networks/" + c.network(object{"shared": true})
	own := c.oneOfEach()
	guest := c.as(map[string]string{"X-Project-Id": "guest", "X-Roles": "member"})
	guest.must(200, "GET", shared+"/tags", nil)
	guest.refused(403, "PolicyNotAuthorized", "PUT", shared+"/tags/a", nil)
	guest.refused(403, "PolicyNotAuthorized", "DELETE", shared+"/tags", nil)
	for _, url := range own {
		guest.refused(404, "TagResourceNotFound", "GET", url+"/tags", nil)
		guest.refused(404, "TagResourceNotFound", "PUT", url+"/tags", object{"tags": []any{"a"}})
	}
}

func TestPortsAreTaggedAsTheyAreMade(t *testing.T) {
	c := newClient(t)
	n := c.network(nil)
	p := c.create("port", object{"network_id": n, "tags": []any{"b", "a"}})
	if want := []any{"a", "b"}; !reflect.DeepEqual(p["tags"], want) || !reflect.DeepEqual(c.must(200, "GET", "/v2.0/ports/"+p["id"].(string), nil)["tags"], want) {
		t.Errorf("made with tags %v", p["tags"])
	}
	_, answer := c.call(http.MethodPost, "/v2.0/ports", object{"ports": []any{
		object{"network_id": n, "tags": []any{`"{,}\`}}, object{"network_id": n}, object{"network_id": n, "tags": []any{"x"}}}})
	var got []any
	for _, p := range answer["ports"].([]any) {
		got = append(got, p.(object)["tags"])
	}
	if want := []any{[]any{`"{,}\`}, []any{}, []any{"x"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("made with tags %v, want %v", got, want)
	}
	if found := c.list("ports", "?tags="+url.QueryEscape(`"{,}\`)); len(found) != 0 { // a comma parts them
		t.Errorf("found %v", found)
	}
	c.refused(400, "HTTPBadRequest", "POST", "/v2.0/ports", object{"port": object{"network_id": n, "tags": "a"}})
}
