//go:build integration

package nova_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/nova"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// TestMain is a notifier that can be killed, where it is told to be one.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("NOTIFIER_DSN"); dsn != "" {
		if err := sender(dsn, os.Getenv("NOTIFIER_URL")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	storetest.Main(m)
}

func sender(dsn, url string) error {
	db, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		return err
	}
	c := config(url, nil)
	c.Timeout = 300 * time.Millisecond // it is taken for dead after 2.1 s
	return nova.New(db, c).Run(context.Background())
}

func config(url string, token func(context.Context, string) (string, error)) nova.Config {
	return nova.Config{URL: func(context.Context) (string, error) { return url + "/v2.1/", nil }, Token: token,
		Log: slog.New(slog.DiscardHandler), Every: 5 * time.Millisecond, Timeout: 5 * time.Second}
}

// compute plays what the Compute API reference says of POST /os-server-external-events. What it does beyond that is the test's.
type compute struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	requests [][]object
	refuse   int            // answer so, and nothing else
	codes    map[string]int // of servers whose events are not accepted
	poison   string         // a server with which a request is not valid
	token    string         // that is accepted; "": any
	before   func()         // the answer
	asked    chan struct{}  // hears of each request
}

type object = map[string]any

func newCompute(t testing.TB) *compute {
	c := &compute{t: t, codes: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *compute) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent struct{ Events []object }
	if err != nil || json.Unmarshal(body, &sent) != nil || r.Method != http.MethodPost || r.URL.Path != "/v2.1/os-server-external-events" ||
		r.Header.Get("Content-Type") != "application/json" || len(sent.Events) == 0 {
		c.t.Errorf("%s %s %v: %s", r.Method, r.URL, r.Header, body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked != nil {
		c.asked <- struct{}{}
	}
	if c.token != "" && r.Header.Get("X-Auth-Token") != c.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if c.refuse != 0 {
		w.WriteHeader(c.refuse)
		return
	}
	status := http.StatusOK
	for _, e := range sent.Events {
		server := e["server_uuid"].(string)
		if server == c.poison {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.checkForm(e)
	}
	c.requests = append(c.requests, sent.Events)
	accepted := 0
	var answer []object
	for _, e := range sent.Events {
		e = object{"name": e["name"], "server_uuid": e["server_uuid"], "tag": e["tag"]}
		if e["code"], e["status"] = cmp.Or(c.codes[e["server_uuid"].(string)], 200), "completed"; e["code"] != 200 {
			e["status"], status = "failed", http.StatusMultiStatus
		} else {
			accepted++
		}
		answer = append(answer, e)
	}
	if c.before != nil {
		c.before()
	}
	if accepted == 0 {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"itemNotFound": {"message": "No instances found for any event", "code": 404}}`)
		return
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"events": answer})
}

// checkForm holds an event against the schema that Nova has for it.
func (c *compute) checkForm(e object) {
	for name, v := range e {
		s, _ := v.(string)
		_, err := uuid.Parse(s)
		switch name {
		case "name":
			if !slices.Contains([]string{"network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"}, s) {
				err = fmt.Errorf("no such event")
			} else {
				err = nil
			}
		case "status":
			if err = nil; s != "completed" {
				err = fmt.Errorf("no such status")
			}
		case "server_uuid", "tag":
		default:
			err = fmt.Errorf("no such attribute")
		}
		if err != nil {
			c.t.Errorf("event %v: %s: %v", e, name, err)
		}
	}
	if len(e) != 4 {
		c.t.Errorf("event %v", e)
	}
}

func (c *compute) change(how func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	how()
}

// heard are the events of all requests that were served, as "name server".
func (c *compute) heard() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, events := range c.requests {
		for _, e := range events {
			all = append(all, fmt.Sprint(e["name"], " ", e["server_uuid"]))
		}
	}
	return all
}

// cloud is a database with VMs' ports.
type cloud struct {
	t   *testing.T
	dsn string
	db  *store.DB
	net uuid.UUID
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{t: t, dsn: storetest.StartForTest(t)}
	db, err := store.Open(t.Context(), c.dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.db = db
	t.Cleanup(func() { _ = db.Close() })
	n := &signalbox.Network{ID: uuid.New(), ProjectID: "p", AdminStateUp: true, MTU: 1500}
	c.net = n.ID
	c.must(db.Write(t.Context(), func(tx *store.Tx) error { return tx.InsertNetwork(t.Context(), n) }))
	c.must(c.listen())
	return c
}

func (c *cloud) listen() error {
	_, _, err := c.db.TakeNovaEvents(c.t.Context(), store.NovaListener{Most: 1, Hold: time.Second, Keep: time.Hour})
	return err
}

func (c *cloud) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// vms are ports of so many servers.
func (c *cloud) vms(n int) (ports []*signalbox.Port) {
	c.t.Helper()
	for range n {
		id := uuid.New()
		ports = append(ports, &signalbox.Port{ID: id, NetworkID: c.net, ProjectID: "p", AdminStateUp: true, MAC: signalbox.MAC{2, id[0], id[1], id[2], id[3], id[4]},
			DeviceOwner: "compute:nova", DeviceID: uuid.NewString()})
	}
	c.must(c.db.Write(c.t.Context(), func(tx *store.Tx) error { return tx.InsertPorts(c.t.Context(), ports) }))
	return ports
}

func (c *cloud) become(s signalbox.Status, ports ...*signalbox.Port) {
	c.t.Helper()
	statuses := map[uuid.UUID]signalbox.Status{}
	for _, p := range ports {
		statuses[p.ID] = s
	}
	c.must(c.db.SetStatus(c.t.Context(), statuses))
}

// tells runs a notifier until the test or stop ends it.
func (c *cloud) tells(cfg nova.Config) (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := nova.New(c.db, cfg).Run(ctx); err != nil {
			c.t.Error(err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	c.t.Cleanup(stop)
	return stop
}

// left are the events that wait, due or not, held or not.
func (c *cloud) left() (n int) {
	c.t.Helper()
	c.must(c.db.Read(c.t.Context(), func(tx *store.Tx) (err error) {
		n, err = tx.CountNovaEvents(c.t.Context())
		return err
	}))
	return n
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not so: " + what)
		}
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	got = slices.Sorted(slices.Values(got))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Nova heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNovaHearsOfEachPortOnceAndManyAtATime(t *testing.T) {
	t.Parallel()
	c, n := newCloud(t), newCompute(t)
	ports := c.vms(250)
	c.become(signalbox.Active, ports...)
	for range 3 { // API servers
		c.tells(config(n.URL, nil))
	}
	eventually(t, "nothing is left to tell", func() bool { return c.left() == 0 })
	var want []string
	for _, p := range ports {
		want = append(want, "network-vif-plugged "+p.DeviceID)
	}
	same(t, n.heard(), want...)
	if requests := len(n.requests); requests > 6 {
		t.Errorf("in %d requests", requests)
	}
	e := n.requests[0][0]
	if i := slices.IndexFunc(ports, func(p *signalbox.Port) bool { return p.DeviceID == e["server_uuid"] }); !reflect.DeepEqual(e,
		object{"name": "network-vif-plugged", "server_uuid": ports[i].DeviceID, "status": "completed", "tag": ports[i].ID.String()}) {
		t.Errorf("an event is %v", e)
	}
}

func TestWhatIsSaidTwiceIsToldOnceAndTheLastLast(t *testing.T) {
	t.Parallel()
	c, n := newCloud(t), newCompute(t)
	p := c.vms(1)[0]
	for _, s := range []signalbox.Status{signalbox.Active, signalbox.Down, signalbox.Active} {
		c.become(s, p)
	}
	c.tells(config(n.URL, nil))
	eventually(t, "nothing is left to tell", func() bool { return c.left() == 0 })
	if got, want := n.heard(), []string{"network-vif-unplugged " + p.DeviceID, "network-vif-plugged " + p.DeviceID}; !slices.Equal(got, want) {
		t.Errorf("Nova heard %v, want %v", got, want)
	}
}

func TestEachEventHasItsOwnFate(t *testing.T) {
	t.Parallel()
	c, n := newCloud(t), newCompute(t)
	ports := c.vms(20)
	gone, early, spoiler := ports[3], ports[7], ports[11]
	n.codes[gone.DeviceID], n.codes[early.DeviceID], n.poison = 404, 422, spoiler.DeviceID
	for _, p := range ports { // in this order: alone with what Nova knows nothing of, the early one would be answered 404 as well
		c.become(signalbox.Active, p)
	}
	c.tells(config(n.URL, nil))
	eventually(t, "all but the early one are done with", func() bool { return c.left() == 1 })
	late := c.vms(1)
	c.become(signalbox.Active, late...)
	eventually(t, "others go on", func() bool { return slices.Contains(n.heard(), "network-vif-plugged "+late[0].DeviceID) })
	n.change(func() { delete(n.codes, early.DeviceID) })
	eventually(t, "the early one is asked for again", func() bool { return c.left() == 0 })
	var times int
	for _, e := range n.heard() {
		if strings.HasSuffix(e, ports[0].DeviceID) {
			times++
		}
	}
	if times != 1 {
		t.Errorf("an event among refused ones is told %d times", times)
	}
	if slices.Contains(n.heard(), "network-vif-plugged "+spoiler.DeviceID) {
		t.Error("what Nova does not take is told")
	}
}

func TestOlderNewsOfAPortIsNotToldAfterNewer(t *testing.T) {
	t.Parallel()
	c, n := newCloud(t), newCompute(t)
	p := c.vms(2)
	n.codes[p[0].DeviceID] = 422
	c.become(signalbox.Active, p...)
	stop := c.tells(config(n.URL, nil))
	eventually(t, "it was refused", func() bool { return c.left() == 1 })
	stop()
	n.change(func() { clear(n.codes); n.requests = nil })
	c.become(signalbox.Down, p[0])
	c.tells(config(n.URL, nil))
	eventually(t, "nothing is left to tell", func() bool { return c.left() == 0 })
	if got := n.heard(); got[len(got)-1] != "network-vif-unplugged "+p[0].DeviceID {
		t.Errorf("Nova heard %v", got)
	}
}

func TestWhileNovaIsAwayNothingIsLost(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(n *compute){
		"503": func(n *compute) { n.refuse = 503 },
		"500": func(n *compute) { n.refuse = 500 },
		"403": func(n *compute) { n.refuse = 403 },
		"404": func(n *compute) { n.refuse = 404 }, // of some other server's
		"302": func(n *compute) { n.refuse = 302 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, n := newCloud(t), newCompute(t)
			asked := make(chan struct{}, 100)
			n.change(func() {
				how(n)
				n.asked = asked
			})
			ports := c.vms(40)
			c.become(signalbox.Active, ports...)
			stop := c.tells(config(n.URL, nil))
			<-asked
			stop()
			n.change(func() { n.refuse, n.asked = 0, nil })
			c.tells(config(n.URL, nil)) // the next process
			eventually(t, "nothing is left to tell", func() bool { return c.left() == 0 })
			var want []string
			for _, p := range ports {
				want = append(want, "network-vif-plugged "+p.DeviceID)
			}
			same(t, n.heard(), want...)
		})
	}
}

func TestATokenThatHasEndedIsRenewed(t *testing.T) {
	t.Parallel()
	c, n := newCloud(t), newCompute(t)
	var mu sync.Mutex
	made := 0
	n.token = "token1"
	c.tells(config(n.URL, func(_ context.Context, not string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if made == 0 || not == fmt.Sprint("token", made) {
			made++
		}
		return fmt.Sprint("token", made), nil
	}))
	for i := range 2 {
		c.become(signalbox.Active, c.vms(1)...)
		eventually(t, "nothing is left to tell", func() bool { return len(n.heard()) == i+1 && c.left() == 0 })
		n.change(func() { n.token = "token2" })
	}
	if made != 2 {
		t.Errorf("%d tokens", made)
	}
}

// TestASenderIsKilled between Nova's taking the events and our knowing it: another tells Nova again, which Nova bears, and nothing is lost.
func TestASenderIsKilled(t *testing.T) {
	t.Parallel()
	c, n := newCloud(t), newCompute(t)
	p := c.vms(1)[0]
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "NOTIFIER_DSN="+c.dsn, "NOTIFIER_URL="+n.URL)
	child.Stderr = os.Stderr
	killed := make(chan struct{})
	n.before = sync.OnceFunc(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
		close(killed)
	})
	c.must(child.Start())
	c.become(signalbox.Active, p)
	select {
	case <-killed:
	case <-time.After(20 * time.Second):
		t.Fatal("the first sender sends nothing")
	}
	if c.left() != 1 {
		t.Errorf("%d events are left by a sender that nobody has answered", c.left())
	}
	c.tells(config(n.URL, nil))
	eventually(t, "another tells Nova", func() bool { return c.left() == 0 })
	same(t, n.heard(), "network-vif-plugged "+p.DeviceID, "network-vif-plugged "+p.DeviceID)
}
