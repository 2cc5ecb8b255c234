package controller

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestSlowListenersAreToldOfTheGap(t *testing.T) {
	n := newNews()
	l := n.join()
	defer n.leave(l)
	for range backlog + 5 {
		n.say(Event{Kind: "status"})
	}
	for range backlog {
		if e := <-l.events; e.Kind != "status" {
			t.Fatalf("%+v", e)
		}
	}
	n.say(Event{Kind: "role"})
	if e := <-l.events; e.Kind != "lost" || e.What != "5 events" {
		t.Errorf("five were lost, and then came %+v", e)
	}
	if e := <-l.events; e.Kind != "role" {
		t.Errorf("%+v", e)
	}
}

// TestEventsAreStreamed: as HTTP, of the kinds that were asked for, and only to those who have the token.
func TestEventsAreStreamed(t *testing.T) {
	c := New(Config{}, nil, slog.New(slog.DiscardHandler))
	srv := httptest.NewServer(withToken("sesame", c.log, c.adminRoutes()))
	t.Cleanup(srv.Close) // after those that end the requests, as it waits for them
	ask := func(path, token string) *http.Response {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cancel(); res.Body.Close() })
		return res
	}
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 401, "/v1/hosts": 401, "/v1/events": 401, "/debug/pprof/": 401} {
		if res := ask(path, "wrong"); res.StatusCode != status {
			t.Errorf("%s without the token: %s, expected %d", path, res.Status, status)
		}
	}
	for path, status := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/goroutine": 200, "/metrics": 200, "/v1/events?kind=weather": 400} {
		if res := ask(path, "sesame"); res.StatusCode != status {
			t.Errorf("%s: %s, expected %d", path, res.Status, status)
		}
	}
	res := ask("/v1/events?kind=status&kind=drift", "sesame")
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() { // there is a listener now
		t.Fatal(lines.Err())
	}
	c.news.say(Event{Kind: "role", Host: "h1"})
	c.news.say(Event{Kind: "status", ID: "a port", What: "ACTIVE"})
	var said []string
	for len(said) < 2 && lines.Scan() {
		if lines.Text() != "" {
			said = append(said, lines.Text())
		}
	}
	var e Event
	if len(said) != 2 || said[0] != "event: status" {
		t.Fatalf("%q", said)
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(said[1], "data: ")), &e); err != nil || e.ID != "a port" || e.What != "ACTIVE" || e.At.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestLeasesRunOut(t *testing.T) {
	var l leases
	now := time.Now()
	a, b, c := uuid.UUID{1}, uuid.UUID{2}, uuid.UUID{3}
	l.give(a, now, time.Minute)
	l.give(b, now, time.Hour)
	l.give(b, now, time.Hour)
	l.give(c, now, 0) // for ever
	for _, after := range []struct {
		time time.Duration
		left int
	}{{0, 3}, {time.Minute, 2}, {24 * time.Hour, 1}} {
		if got := l.count(now.Add(after.time)); got != after.left {
			t.Errorf("after %v there are %d leases, not %d", after.time, got, after.left)
		}
	}
	l.end(c)
	if l.count(now) != 0 {
		t.Error("a lease that was given back is counted")
	}
}
