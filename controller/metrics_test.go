package controller

import (
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metricNames is every metric of ours.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	c := New(Config{}, nil, slog.New(slog.DiscardHandler))
	to := make(chan *prometheus.Desc, 1000)
	c.metrics.registry.Describe(to)
	close(to)
	names := map[string]bool{}
	for d := range to {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		if name, _, _ = strings.Cut(name, `"`); strings.HasPrefix(name, "signalbox_") {
			names[name] = true
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d metrics: %v", len(names), names)
	}
	return names
}

var metricPattern = regexp.MustCompile(`\bsignalbox_[a-z_]+\b`)

// TestDashboardShowsWhatThereIs: every metric that the dashboard and the manual name exists, and both name every one.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	names := metricNames(t)
	for _, file := range []string{"../docs/grafana.json", "../docs/operations.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]bool{}
		for _, name := range metricPattern.FindAllString(string(text), -1) {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				if whole := strings.TrimSuffix(name, part); names[whole] {
					name = whole
				}
			}
			if strings.HasPrefix(name, "signalbox_api_") {
				continue // the API server's
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
