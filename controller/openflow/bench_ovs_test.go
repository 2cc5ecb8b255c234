//go:build integration

package openflow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkPush fills an empty switch with 50,000 flows, by Apply and by ovs-ofctl --bundle, in turn on
// the same switch. The yardstick is the other tool in the same run; "ratio" is its time by ours.
func BenchmarkPush(b *testing.B) {
	const n = 50_000
	s, c := connect(b, newHeard())
	flows := manyFlows(n, 0)
	var text strings.Builder
	for i := range flows {
		fmt.Fprintf(&text, "cookie=%#x, %s\n", uint64(flows[i].Cookie), &flows[i])
	}
	file := filepath.Join(s.Dir, "flows.txt")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, theirs, read time.Duration
	runs := 0
	for b.Loop() {
		s.OFCtl("del-flows", "br-int")
		start := time.Now()
		mustApply(b, c, Change{Adds: flows})
		ours += time.Since(start)
		start = time.Now()
		if got := cookies(b, c); len(got) != n {
			b.Fatalf("%d flows", len(got))
		}
		read += time.Since(start)
		s.OFCtl("del-flows", "br-int")
		start = time.Now()
		s.OFCtl("--bundle", "add-flows", "br-int", file)
		theirs += time.Since(start)
		runs++
	}
	total := float64(n * runs)
	b.ReportMetric(total/ours.Seconds(), "flows/s")
	b.ReportMetric(total/theirs.Seconds(), "ofctl-flows/s")
	b.ReportMetric(total/read.Seconds(), "read-flows/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

// BenchmarkApplyOne is a port's worth of change: ten adds and ten deletes, until the barrier's reply, on
// a switch that has 5,000 flows.
func BenchmarkApplyOne(b *testing.B) {
	_, c := connect(b, newHeard())
	mustApply(b, c, Change{Adds: manyFlows(5000, 0)})
	old := manyFlows(10, 1)
	mustApply(b, c, Change{Adds: old})
	for i := 0; b.Loop(); i++ {
		fresh := manyFlows(10, 2+i%2)
		mustApply(b, c, Change{Adds: fresh, Deletes: cookiesOf(old)})
		old = fresh
	}
}
