//go:build integration

package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// nova hears the events that the lab's API server has for a Nova, and accepts them all.
type nova struct {
	mu    sync.Mutex
	heard []string // "network-vif-plugged SERVER PORT"
}

const novaAddress = "127.0.0.1:8774" // in the lab's own namespace

func newNova(t *testing.T, w *world) *nova {
	t.Helper()
	l, err := w.lab.Net.Listen(t.Context(), novaAddress)
	if err != nil {
		t.Fatal(err)
	}
	n := &nova{}
	server := &http.Server{Handler: n}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return n
}

func (n *nova) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var said struct{ Events []map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil || r.Method+r.URL.Path != "POST/v2.1/os-server-external-events" {
		http.Error(w, "this is Nova", http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range said.Events {
		n.heard = append(n.heard, fmt.Sprint(e["name"], " ", e["server_uuid"], " ", e["tag"]))
		e["code"] = http.StatusOK
	}
	_ = json.NewEncoder(w).Encode(said)
}

// of are the events of a port, in order.
func (n *nova) of(port string) (events []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.heard {
		if strings.HasSuffix(e, " "+port) {
			events = append(events, e)
		}
	}
	return events
}

// novaHears follows a server's port from its plugging to its end. A port that is told to be plugged is ACTIVE, and its VM is reached.
func novaHears(n *nova) func(*script) {
	return func(s *script) {
		net := s.network(signalbox.VXLAN)
		other := s.boot(net, s.h2)
		server := uuid.NewString()
		g := s.port(net, testbed.Port{Owner: "compute:nova", DeviceID: server})
		var want []string
		hears := func(event string) {
			s.Helper()
			want = append(want, fmt.Sprint(event, " ", server, " ", g.Port.ID))
			s.must(testbed.Await(s.ctx, patience, "Nova hears "+event, func() error {
				if got := n.of(g.Port.ID); !slices.Equal(got, want) {
					return fmt.Errorf("Nova heard %q, not %q", got, want)
				}
				return nil
			}))
		}
		s.must(g.Plug(s.ctx, s.h1, byID(g)))
		hears("network-vif-plugged")
		p, err := s.box.API.Port(s.ctx, g.Port.ID)
		s.must(err)
		if p.Status != string(signalbox.Active) {
			s.Errorf("Nova is told that a port is plugged which is %s", p.Status)
		}
		s.must(g.Configure(s.ctx, netip.PrefixFrom(g.IP, 24), net.MTU))
		s.reaches(other, g)
		s.must(g.Unplug(s.ctx))
		hears("network-vif-unplugged")
		s.must(g.Remove(s.ctx))
		s.must(s.box.API.Delete(s.ctx, "port", g.Port.ID))
		s.guests = slices.DeleteFunc(s.guests, func(o *guest) bool { return o == g })
		hears("network-vif-deleted")
	}
}
