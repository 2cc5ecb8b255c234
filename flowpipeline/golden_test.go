package flowpipeline

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

var update = flag.Bool("update", false, "write the golden files and docs/packet-walk.md anew")

// Each testdata/NAME.txt is a topology, and NAME.golden its flows, host by host and table by table.
func TestFlowsAreGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no topologies", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			w := loadTopology(t, path)
			c := w.compile()
			var b strings.Builder
			for _, name := range w.hosts {
				w.printHost(&b, c, name)
			}
			golden(t, strings.TrimSuffix(path, ".txt")+".golden", b.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Fatalf("%s is not what is made now (go test -update rewrites it); first at line %d:\n got %s\nwant %s", path, i+1, gotLines[i], wantLines[i])
		}
	}
	t.Fatalf("%s has %d lines, and %d are made now (go test -update rewrites it)", path, len(wantLines), len(gotLines))
}

func (w *topology) printHost(b *strings.Builder, c *Compiler, name string) {
	host := idOf("host", name)
	fmt.Fprintf(b, "host %s\n", name)
	flows := c.Flows(host, nil)
	for _, table := range Tables() {
		if guards(table.ID) && !w.guarded {
			continue
		}
		fmt.Fprintf(b, "\n  table %d %s: %s\n", table.ID, table.Name, table.Asks)
		for _, f := range flows {
			if f.Table == table.ID {
				fmt.Fprintf(b, "    %s\n      %s\n", w.reason(&f), row(&f))
			}
		}
	}
	b.WriteByte('\n')
	for _, m := range sortedMeters(c, host) {
		fmt.Fprintf(b, "  meter %d: %d packets a second, bursts of %d\n", m.ID, m.PacketsPerSecond, m.Burst)
	}
	b.WriteByte('\n')
}

// row is a flow's priority, match and actions, with tables by name.
func row(f *flow.Flow) string {
	_, s, _ := strings.Cut(f.Named(TableName), "priority=")
	return strings.Replace(s, " actions=", "  ->  ", 1)
}

func sortedMeters(c *Compiler, host uuid.UUID) []flow.RateLimit {
	var ms []flow.RateLimit
	for _, m := range c.Meters(host) {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b flow.RateLimit) int { return int(a.ID) - int(b.ID) })
	return ms
}
