package apiserver

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-sdn/signalbox"
)

// nobody is an Authenticator that lets nobody in.
type nobody struct{}

func (nobody) Authenticate(*http.Request) (signalbox.Caller, error) {
	return signalbox.Caller{}, signalbox.Errorf(signalbox.Unauthenticated, "", "who are you")
}
func (nobody) Challenge() string { return "" }

// TestRequestsAreCounted: by their route and status, whatever URLs clients think of.
func TestRequestsAreCounted(t *testing.T) {
	s := New(Config{Auth: nobody{}, Log: slog.New(slog.DiscardHandler), Pool: func() sql.DBStats { return sql.DBStats{MaxOpenConnections: 18} }})
	for _, ask := range []string{"GET /", "GET /v2.0/networks/a", "GET /v2.0/networks/b.json", "GET /v2.0/nets", "BREW /v2.0/networks", "GET /teapot/1", "GET /metrics"} {
		method, path, _ := strings.Cut(ask, " ")
		s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
	}
	rec := httptest.NewRecorder()
	s.Admin().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`signalbox_api_requests_total{code="200",method="GET",route="/"} 1`,
		`signalbox_api_requests_total{code="401",method="GET",route="/v2.0/networks/:id"} 2`,
		`signalbox_api_requests_total{code="404",method="other",route="other"} 3`,
		`signalbox_api_requests_total{code="405",method="other",route="/v2.0/networks"} 1`,
		`signalbox_api_request_seconds_count{method="GET",route="/v2.0/networks/:id"} 2`,
		`signalbox_api_requests_in_progress 0`,
		`signalbox_api_database_connections_max 18`,
	} {
		if !strings.Contains(rec.Body.String(), line+"\n") {
			t.Errorf("there is no %s in\n%s", line, regexp.MustCompile("(?m)^(#|go_|process_|.*_bucket).*\n").ReplaceAllString(rec.Body.String(), ""))
		}
	}
	for path, status := range map[string]int{"/healthz": 200, "/debug/pprof/": 200, "/v2.0/networks": 404} {
		rec := httptest.NewRecorder()
		s.Admin().ServeHTTP(rec, httptest.NewRequest("GET", path, nil).WithContext(context.Background()))
		if rec.Code != status {
			t.Errorf("%s: %d, expected %d", path, rec.Code, status)
		}
	}
}

// TestDashboardShowsTheAPI: every metric of the API server that the dashboard and the manual name exists, and both name every one.
func TestDashboardShowsTheAPI(t *testing.T) {
	s := New(Config{Auth: nobody{}, Pool: func() sql.DBStats { return sql.DBStats{} }})
	to := make(chan *prometheus.Desc, 1000)
	s.metrics.registry.Describe(to)
	close(to)
	names := map[string]bool{}
	for d := range to {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		if name, _, _ = strings.Cut(name, `"`); strings.HasPrefix(name, "signalbox_") {
			names[name] = true
		}
	}
	for _, file := range []string{"../docs/grafana.json", "../docs/operations.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]bool{}
		for _, name := range regexp.MustCompile(`\bsignalbox_api_[a-z_]+\b`).FindAllString(string(text), -1) {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
			shown[name] = true
			if !names[name] {
				t.Errorf("%s names %s, which there is not", file, name)
			}
		}
		for name := range names {
			if !shown[name] {
				t.Errorf("%s does not name %s", file, name)
			}
		}
	}
}
