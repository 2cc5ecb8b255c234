package controller

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// TestOperatorsWords: objects are found by what they are called, and what cannot be found is refused in words.
func TestOperatorsWords(t *testing.T) {
	c, h := crowdedHost(t, 3, 3)
	outside, router := uuid.UUID{0: 'n', 15: 1}, uuid.UUID{0: 'r', 15: 1}
	floating, holder := uuid.UUID{0: 'f', 15: 1}, uuid.UUID{0: 'q', 15: 1}
	addr := netip.MustParseAddr("192.0.2.9")
	web := uuid.UUID{0: 'g', 15: 1}
	c.mu.Lock()
	c.loop.rows(&signalbox.Delta{
		Routers:     []signalbox.Router{{ID: router, Key: 1, Name: "r1", ProjectID: "tenant", AdminStateUp: true}, {ID: uuid.UUID{0: 'r', 15: 2}, Key: 2, Name: "net1"}},
		FloatingIPs: []signalbox.FloatingIP{{ID: floating, NetworkID: outside, RouterID: router, Addr: addr, ProjectID: "tenant"}},
		Ports: []signalbox.Port{{ID: holder, Key: 999, NetworkID: outside, Role: signalbox.RoleFloatingIP, MAC: signalbox.MAC{0xfa, 0x16, 0x3e, 9, 9, 9},
			FixedIPs: []signalbox.FixedIP{{Addr: addr}}}},
		SecurityGroups: []signalbox.SecurityGroup{{ID: web, Key: 1, Name: "web", ProjectID: "tenant"}},
	})
	c.mu.Unlock()
	routes := c.adminRoutes()
	for _, q := range []struct {
		ask    string
		status int
		says   string
	}{
		{"GET /v1/objects/192.0.2.9", 200, floating.String()},
		{"GET /v1/objects/net1", 409, "2 objects"},
		{"GET /v1/objects/web", 200, web.String()},
		{"GET /v1/hosts/crowded/flows?network=net1", 200, "net1"},
		{"GET /v1/hosts/crowded/flows?network=net1", 200, "->"}, // and not as HTML would have it
		{"GET /v1/hosts/crowded/flows?floatingip=192.0.2.9", 200, `"flows"`},
		{"GET /v1/hosts/crowded/flows?router=net2", 404, `no router that is called \"net2\"`},
		{"GET /v1/hosts/crowded/flows?port=10.0.0.10", 409, "3 ports are called"},
		{"GET /v1/hosts/nobody/flows", 404, "no host"},
		{"GET /v1/routers/r1", 200, router.String()},
		{"GET /v1/routers/r9", 404, "no router"},
		{"GET /v1/ports/vif1", 200, h.row.Name},
		{"GET /", 200, "/v1/hosts"},
		{"GET /v2", 404, "GET / lists"},
	} {
		method, path, _ := strings.Cut(q.ask, " ")
		rec := httptest.NewRecorder()
		routes.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		if rec.Code != q.status || !strings.Contains(rec.Body.String(), q.says) || !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s: %d %.300s, expected %d and %q", q.ask, rec.Code, rec.Body, q.status, q.says)
		}
	}
	for _, rule := range []struct {
		r    signalbox.SecurityGroupRule
		says string
	}{
		{signalbox.SecurityGroupRule{Direction: signalbox.Egress, EtherType: signalbox.IPv4, PortMin: signalbox.NoPort, PortMax: signalbox.NoPort}, "egress IPv4 to anybody"},
		{signalbox.SecurityGroupRule{Direction: signalbox.Ingress, EtherType: signalbox.IPv4, Protocol: "tcp", PortMin: 80, PortMax: 80,
			RemotePrefix: netip.MustParsePrefix("10.1.2.3/8")}, "ingress IPv4 tcp port 80 from 10.0.0.0/8"},
		{signalbox.SecurityGroupRule{Direction: signalbox.Ingress, EtherType: signalbox.IPv6, Protocol: "udp", PortMin: 0, PortMax: 9, RemoteGroupID: web},
			"ingress IPv6 udp ports 0-9 from group " + web.String() + " (web)"},
		{signalbox.SecurityGroupRule{Direction: signalbox.Ingress, EtherType: signalbox.IPv4, Protocol: signalbox.ICMP, PortMin: 8, PortMax: signalbox.NoPort},
			"ingress IPv4 icmp type 8 from anybody"},
	} {
		if said := c.loop.allows(&rule.r); said != rule.says {
			t.Errorf("%q, expected %q", said, rule.says)
		}
	}
}

// TestLooksTakeTurns: of many who look at flows, few do so at the same time. Who goes away meanwhile is not waited for.
func TestLooksTakeTurns(t *testing.T) {
	c, _ := crowdedHost(t, 1, 1)
	for range looksAtOnce {
		c.looks <- struct{}{}
	}
	ask := func(ctx context.Context) int {
		rec := httptest.NewRecorder()
		c.adminRoutes().ServeHTTP(rec, httptest.NewRequest("GET", "/v1/hosts/crowded/flows", nil).WithContext(ctx))
		return rec.Body.Len()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if n := ask(gone); n != 0 {
		t.Errorf("somebody who had gone was shown %d bytes", n)
	}
	shown := make(chan int)
	for range 100 {
		go func() { shown <- ask(t.Context()) }()
	}
	select {
	case <-shown:
		t.Fatal("more look than may")
	default:
	}
	<-c.looks
	for range 100 {
		if n := <-shown; n == 0 {
			t.Fatal("somebody was shown nothing")
		}
	}
	if len(c.looks) != looksAtOnce-1 {
		t.Errorf("%d look who have been shown all", len(c.looks))
	}
}

// narrow is a listener whose connections have little room, so that it is soon full.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	nc, err := n.Listener.Accept()
	if err == nil {
		err = nc.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return nc, err
}

// TestListenersWhoReadNothing: fifty of them hold up nobody, keep no more than is due to them, and are gone with the controller.
func TestListenersWhoReadNothing(t *testing.T) {
	c := New(Config{}, nil, slog.New(slog.DiscardHandler))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.serveAdmin(ctx, narrow{ln}) }()
	const many = 50
	for range many {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := nc.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, "GET /v1/events HTTP/1.1\r\nHost: here\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, 12)); err != nil { // it has been heard, and listens no more
			t.Fatal(err)
		}
	}
	if n := c.news.listeners(); n != many {
		t.Fatalf("%d listen", n)
	}
	full := func() bool { // nobody has room for more
		c.news.mu.Lock()
		defer c.news.mu.Unlock()
		for l := range c.news.listen {
			if l.lost == 0 {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(20 * time.Second); !full(); {
		if time.Now().After(deadline) {
			t.Fatal("those who read nothing are sent more and more")
		}
		for range backlog {
			c.news.say(Event{Kind: "status", What: strings.Repeat("so ", 300)})
		}
	}
	if res, err := http.Get("http://" + ln.Addr().String() + "/healthz"); err != nil || res.StatusCode != 200 {
		t.Errorf("meanwhile: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the endpoint does not end")
	}
	for deadline := time.Now().Add(10 * time.Second); c.news.listeners() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d listen for ever", c.news.listeners())
		}
	}
}

// TestJSONIsDocumented: the manual names every field of what the endpoint says.
func TestJSONIsDocumented(t *testing.T) {
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, report := range []any{HostReport{}, Compared{}, Bundle{}, HostErrors{}, FlowsReport{}, FlowReport{}, ObjectReport{}, RuleCount{}, ObjectAtHost{}, AuditReport{}, MeterDrift{}, Rate{}, Event{}} {
		of := reflect.TypeOf(report)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name == "" || !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("the manual does not name %s.%s, %q", of.Name(), of.Field(i).Name, name)
			}
		}
	}
}
