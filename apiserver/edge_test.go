//go:build integration

package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/auth"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

func dsnOf(t *testing.T) string {
	t.Helper()
	return storetest.StartForTest(t)
}

func TestLinksUseTheHostThatTheClientUsed(t *testing.T) {
	c := newClient(t)
	for path, want := range map[string]string{
		"/":      `"href":"http://api.example:9696/v2.0/"`,
		"/v2.0/": `"href":"http://api.example:9696/v2.0/ports"`,
	} {
		if status, _, answer := c.raw("GET", path, nil); status != 200 || !strings.Contains(string(answer), want) {
			t.Errorf("GET %s: %d %s", path, status, answer)
		}
	}
}

func TestWhatIsForEverybodyHasHEAD(t *testing.T) {
	c := newClient(t)
	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/readyz": 200, "/openapi.json": 200, "/v2.0/networks": 405} {
		if status, _, _ := c.raw("HEAD", path, nil); status != want {
			t.Errorf("HEAD %s: %d, want %d", path, status, want)
		}
	}
}

func TestEveryAnswerNamesItsRequest(t *testing.T) {
	c := newClient(t)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/v2.0/networks", "/v2.0/nope", "/elsewhere"} {
		_, header, _ := c.raw("GET", path, nil)
		id := header.Get("X-Openstack-Request-Id")
		if !strings.HasPrefix(id, "req-") || seen[id] {
			t.Errorf("GET %s: request id %q", path, id)
		}
		seen[id] = true
	}
}

func TestExtensionsListedAreServed(t *testing.T) {
	c := newClient(t)
	_, answer := c.call("GET", "/v2.0/extensions.json", nil)
	for _, e := range answer["extensions"].([]any) {
		alias := e.(object)["alias"].(string)
		if got := c.must(200, "GET", "/v2.0/extensions/"+alias, nil); got["alias"] != alias {
			t.Errorf("%s: %v", alias, got)
		}
	}
}

func TestBodiesThatCannotBeRightAreRefusedAndNothingIsStored(t *testing.T) {
	c := newClient(t)
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"nothing":               {"", 400},
		"not JSON":              {"{", 400},
		"a list":                {"[]", 400},
		"null":                  {`{"network":null}`, 400},
		"a key twice":           {`{"network":{"name":"a","name":"b"}}`, 400},
		"no UTF-8":              {"{\"network\":{\"name\":\"\xe9\"}}", 400},
		"something behind":      {`{"network":{}} x`, 400},
		"a second object":       {`{"network":{}}{"network":{}}`, 400},
		"beside the resource":   {`{"network":{},"subnet":{}}`, 400},
		"a NUL":                 {`{"network":{"name":"\u0000"}}`, 400},
		"a huge number":         {`{"network":{"mtu":1e400}}`, 400},
		"a fraction":            {`{"network":{"mtu":1400.5}}`, 400},
		"two projects":          {`{"network":{"tenant_id":"a","project_id":"b"}}`, 400},
		"deep":                  {strings.Repeat("[", 100000), 400},
		"over the limit":        {`{"network":{"name":"` + strings.Repeat("x", 1<<20) + `"}}`, 413},
		"read only":             {`{"network":{"revision_number":1}}`, 400},
		"no such attribute":     {`{"network":{"colour":"red"}}`, 400},
		"a list with a string":  {`{"networks":["x"]}`, 400},
		"an object as the list": {`{"networks":{}}`, 400},
	} {
		status, _, answer := c.raw("POST", "/v2.0/networks", []byte(test.body))
		if status != test.status || !strings.Contains(string(answer), "NeutronError") {
			t.Errorf("%s: %d %s, want %d", name, status, answer, test.status)
		}
	}
	if left := c.list("networks", ""); len(left) != 0 {
		t.Errorf("stored: %v", left)
	}
}

func TestFiltersThatCannotMatchFindNothing(t *testing.T) {
	c := newClient(t)
	n := c.network(object{"name": "a"})
	c.subnet(n, "10.0.0.0/24", nil)
	c.create("port", object{"network_id": n})
	for _, query := range []string{"id=nope", "mac_address=x", "fixed_ips=ip_address%3Dx", "name=%00", "name=%ff", "network_id=1", "status=BUSY"} {
		if got := c.list("ports", "?"+query); len(got) != 0 {
			t.Errorf("%s: %v", query, got)
		}
	}
	for query, want := range map[string]int{
		"": 2, "network_id=" + n: 2, "fixed_ips=ip_address%3D10.0.0.3": 1, "device_owner=network:dhcp": 1, "admin_state_up=true": 2, "tenant_id=" + project: 2,
		"tenant_id=" + project + "&project_id=" + project: 2, "tenant_id=" + project + "&project_id=another": 0, "sort_key=&sort_dir=": 2,
	} {
		if got := c.list("ports", "?"+query); len(got) != want {
			t.Errorf("%s: %d ports, want %d", query, len(got), want)
		}
	}
	for _, query := range []string{"admin_state_up=maybe", "colour=red", "fixed_ips=10.0.0.3", "name=a;b", "name=%", "device_id=%zz"} {
		if status, answer := c.call("GET", "/v2.0/ports?"+query, nil); status != 400 {
			t.Errorf("%s: %d %v", query, status, answer)
		}
	}
	for query, want := range map[string]int{"cidr=10.0.0.0/24": 1, "cidr=10.0.0.1/24": 0, "gateway_ip=10.0.0.1": 1, "ip_version=6": 0, "ip_version=4": 1, "enable_dhcp=1": 1} {
		if got := c.list("subnets", "?"+query); len(got) != want {
			t.Errorf("%s: %d subnets, want %d", query, len(got), want)
		}
	}
}

// TestAbsentDatabaseIsAnswered503: where the database is gone, or does not answer, clients learn it in time.
func TestAbsentDatabaseIsAnswered503(t *testing.T) {
	dir, err := os.MkdirTemp("", "sbapi-") // not t.TempDir: PostgreSQL runs as a user who may not enter that
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := postgres.Start(t.Context(), dir+"/pg", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	db, err := store.Open(t.Context(), server.DSN(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg, _ := settings.Parse()
	c := &client{t: t, handler: apiserver.New(apiserver.Config{
		Service: neutron.New(db, cfg, neutron.Source{ID: uuid.New, Intn: rand.IntN}),
		Auth:    auth.NoAuth{Project: project}, Log: slog.New(slog.DiscardHandler), Timeout: 300 * time.Millisecond,
	}).Handler()}
	n := c.network(nil)

	held := make(chan struct{})
	done := make(chan error)
	release := make(chan struct{})
	go func() {
		done <- db.Write(context.Background(), func(tx *store.Tx) error {
			if _, err := tx.NetworkForUpdate(context.Background(), uuid.MustParse(n)); err != nil {
				return err
			}
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	c.refused(503, "ServiceUnavailable", "PUT", "/v2.0/networks/"+n, object{"network": object{"name": "x"}})
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.must(200, "PUT", "/v2.0/networks/"+n, object{"network": object{"name": "x"}})
	if status, _, _ := c.raw("GET", "/readyz", nil); status != 200 {
		t.Errorf("GET /readyz: %d", status)
	}

	// One that says nothing at all, not even that it cancels.
	signalAll(t, server, syscall.SIGSTOP)
	var asked sync.WaitGroup
	for _, path := range []string{"/v2.0/networks", "/readyz"} {
		asked.Go(func() { c.refused(503, "ServiceUnavailable", "GET", path, nil) })
	}
	answered := make(chan struct{})
	go func() {
		asked.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(20 * time.Second):
		t.Error("a database that is silent keeps clients waiting")
	}
	signalAll(t, server, syscall.SIGCONT)
	<-answered
	c.must(200, "GET", "/v2.0/networks", nil)

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := c.raw("GET", "/healthz", nil); status != 200 {
		t.Errorf("GET /healthz: %d", status)
	}
	c.refused(503, "ServiceUnavailable", "GET", "/readyz", nil)
	c.refused(503, "ServiceUnavailable", "GET", "/v2.0/networks", nil)
	c.refused(503, "ServiceUnavailable", "POST", "/v2.0/networks", object{"network": object{}})
}

// signalAll sends a signal to a PostgreSQL and to all its children.
func signalAll(t *testing.T, server *postgres.Server, signal syscall.Signal) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", server.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(strings.Fields(string(children)), strconv.Itoa(server.Pid())) {
		pid, err := strconv.Atoi(text)
		if err == nil {
			err = syscall.Kill(pid, signal)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// announced tells when a request has come to be authenticated.
type announced struct {
	auth.NoAuth
	came chan struct{}
}

func (a announced) Authenticate(r *http.Request) (signalbox.Caller, error) {
	close(a.came)
	return a.NoAuth.Authenticate(r)
}

func TestServerFinishesWhatItHasBegun(t *testing.T) {
	db, err := store.Open(t.Context(), dsnOf(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	cfg, _ := settings.Parse()
	door := announced{auth.NoAuth{Project: project}, make(chan struct{})}
	s := apiserver.New(apiserver.Config{
		Service: neutron.New(db, cfg, neutron.Source{ID: uuid.New, Intn: rand.IntN}),
		Auth:    door, Log: slog.New(slog.DiscardHandler),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx, l) }()

	body, write := io.Pipe()
	answered := make(chan *http.Response, 1)
	go func() {
		r, err := http.Post("http://"+l.Addr().String()+"/v2.0/networks", "application/json", body)
		if err != nil {
			t.Error(err)
		}
		answered <- r
	}()
	if _, err := io.WriteString(write, `{"network":`); err != nil {
		t.Fatal(err)
	}
	<-door.came
	stop()
	if _, err := io.WriteString(write, `{"name":"late"}}`); err != nil {
		t.Fatal(err)
	}
	write.Close()
	r := <-answered
	if r == nil {
		t.FailNow()
	}
	defer r.Body.Close()
	var o object
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || r.StatusCode != 201 {
		t.Errorf("%d %v %v", r.StatusCode, o, err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
