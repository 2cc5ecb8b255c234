//go:build integration

package apiserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/auth"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const project = "4e59fef51ae04cc69527e8911f54e504"

// settings are those that the recorded Neutron had, as far as they show.
var settings = neutron.Settings{
	DNSDomain:          "openstacklocal",
	TenantNetworkTypes: "vxlan,vlan", NetworkVLANRanges: "physnet1:1240:1260", FlatNetworks: "physnet2",
	TunnelIDRanges: "1:1000", VNIRanges: "1:20000", UnderlayMTU: 1500, Quotas: "*:-1,rbac_policy:10",
}

// newServer is one API server on a database.
func newServer(t testing.TB, dsn string, s neutron.Settings) http.Handler {
	t.Helper()
	db, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	cfg, err := s.Parse()
	if err != nil {
		t.Fatal(err)
	}
	service := neutron.New(db, cfg, neutron.Source{ID: uuid.New, Intn: rand.IntN})
	return hold(t, apiserver.New(apiserver.Config{
		Service: service, Auth: auth.NoAuth{Project: project}, Log: slog.New(slog.DiscardHandler),
	}).Handler())
}

// client asks a server, and decodes what it answers.
type client struct {
	t       testing.TB
	handler http.Handler
	headers map[string]string
}

func newClient(t testing.TB) *client {
	t.Helper()
	return &client{t: t, handler: newServer(t, storetest.StartForTest(t), settings)}
}

// as is the same client with other headers.
func (c *client) as(headers map[string]string) *client {
	return &client{c.t, c.handler, headers}
}

// raw sends a body as it is.
func (c *client) raw(method, path string, body []byte) (status int, header http.Header, answer []byte) {
	c.t.Helper()
	r := httptest.NewRequest(method, "http://api.example:9696"+path, bytes.NewReader(body))
	for k, v := range c.headers {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return w.Code, w.Header(), answer
}

type object = map[string]any

// call sends a JSON body, nil for none, and returns the object that answers it.
func (c *client) call(method, path string, body any) (int, object) {
	c.t.Helper()
	var b []byte
	if body != nil {
		b, _ = json.Marshal(body)
	}
	status, _, answer := c.raw(method, path, b)
	if len(answer) == 0 {
		return status, nil
	}
	var o object
	if err := json.Unmarshal(answer, &o); err != nil {
		c.t.Fatalf("%s %s: %d %q: %v", method, path, status, answer, err)
	}
	return status, o
}

// must is call where the status is known; it returns what is under the only key.
func (c *client) must(status int, method, path string, body any) object {
	c.t.Helper()
	got, answer := c.call(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s %v: %d %v, want %d", method, path, body, got, answer, status)
	}
	for _, v := range answer {
		if o, ok := v.(object); ok {
			return o
		}
	}
	return answer
}

// create makes a resource and returns it.
func (c *client) create(resource string, attributes object) object {
	c.t.Helper()
	if attributes == nil {
		attributes = object{}
	}
	return c.must(http.StatusCreated, "POST", "/v2.0/"+strings.ReplaceAll(resource, "_", "-")+"s", object{resource: attributes})
}

// refused asks for something and wants it refused by that name.
func (c *client) refused(status int, name, method, path string, body any) string {
	c.t.Helper()
	e := c.must(status, method, path, body)
	if e["type"] != name {
		c.t.Fatalf("%s %s %v: refused as %v, want %s", method, path, body, e, name)
	}
	return e["message"].(string)
}

// list is what a GET of a collection holds.
func (c *client) list(collection, query string) []object {
	c.t.Helper()
	_, answer := c.call("GET", "/v2.0/"+collection+query, nil)
	items, ok := answer[strings.ReplaceAll(collection, "-", "_")].([]any)
	if !ok {
		c.t.Fatalf("list %s%s: %v", collection, query, answer)
	}
	var out []object
	for _, i := range items {
		out = append(out, i.(object))
	}
	return out
}

// addrs are the addresses of a port, in order.
func addrs(port object) (out []string) {
	for _, f := range port["fixed_ips"].([]any) {
		out = append(out, f.(object)["ip_address"].(string))
	}
	return out
}
