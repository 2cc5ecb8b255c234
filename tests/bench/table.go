package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// table gathers lines: a figure, its yardstick from the same run, their ratio and what is aimed at.
type table struct {
	lines []line
	push  float64 // flows per second that ovs-ofctl pushes; 0: not measured
}

type line struct {
	what      string
	figure    string
	yardstick string
	ratio     string
	target    string
	verdict   string
}

// bound is what a figure is to be: at least so much, or at most so much.
type bound struct {
	least, most float64
	unit        string
}

func atLeast(x float64) bound             { return bound{least: x} }
func atMost(x float64, unit string) bound { return bound{most: x, unit: unit} }
func (b bound) none() bool                { return b.least == 0 && b.most == 0 }
func (b bound) met(x float64) bool        { return x >= b.least && (b.most == 0 || x <= b.most) }
func (b bound) String() string {
	switch {
	case b.none():
		return ""
	case b.least > 0:
		return fmt.Sprintf("≥ %g%s", b.least, b.unit)
	}
	return fmt.Sprintf("≤ %g%s", b.most, b.unit)
}

// add adds a line. is is what the bound is about, the ratio or the figure, whichever the caller passes.
func (t *table) add(what, figure, yardstick, ratio string, aim bound, is float64) {
	l := line{what: what, figure: figure, yardstick: yardstick, ratio: ratio, target: aim.String()}
	if !aim.none() {
		l.verdict = "met"
		if !aim.met(is) {
			l.verdict = "MISSED"
		}
	}
	t.lines = append(t.lines, l)
	progress("  %s: %s; %s %s %s", what, figure, yardstick, ratio, l.verdict)
}

func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FIGURE\tMEASURED\tYARDSTICK\tRATIO\tTARGET\t")
	for _, l := range t.lines {
		fmt.Fprintln(tw, strings.Join([]string{l.what, l.figure, l.yardstick, l.ratio, l.target, l.verdict}, "\t"))
	}
	_ = tw.Flush() // nobody is left to tell
}

func rate(n int, in time.Duration) float64 { return float64(n) / in.Seconds() }

func perSecond(x float64) string {
	if x >= 10_000 {
		return fmt.Sprintf("%.1fk/s", x/1000)
	}
	return fmt.Sprintf("%.0f/s", x)
}

func ratio(x float64) string { return fmt.Sprintf("%.2f", x) }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
func microseconds(d time.Duration) string { return fmt.Sprintf("%.0f µs", d.Seconds()*1e6) }

func megabytes(bytes float64) string { return fmt.Sprintf("%.0f MB", bytes/1e6) }
