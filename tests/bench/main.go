// Command bench measures Signalbox and prints one table, each figure beside a yardstick that was measured in
// the same run: machines differ, and the same machine differs from minute to minute. What each line means is
// in docs/figures.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A part measures some figures. Its order in the list counts: later parts use what earlier ones found out.
type part struct {
	name    string
	measure func(*stage, *table)
}

func main() {
	only := flag.String("only", "", "regular expression of the parts to run: push, compile, dhcp, api, requests, routed, routers, groups, revoked, cloud")
	binary := flag.String("signalbox", "bin/signalbox", "the signalbox command")
	flag.Parse()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		fail(err)
	}
	if os.Getenv(insideMark) == "" {
		exit, err := apart()
		if err != nil {
			fail(err)
		}
		os.Exit(exit)
	}
	if err := loopbackUp(); err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !run(ctx, wanted, *binary) {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// run runs the parts and prints what they found; false when one could not be measured.
func run(ctx context.Context, wanted *regexp.Regexp, binary string) bool {
	parts := []part{{"push", measurePush}, {"compile", measureCompile}, {"dhcp", measureDHCP}, {"api", measureAPI}, {"requests", measureRequests}, {"routed", measureRouted}, {"routers", measureRouters}, {"groups", measureGroups}, {"revoked", measureRevoked}, {"cloud", measureCloud}}
	t, ok := &table{}, true
	began, load := time.Now(), loadAverage()
	for _, p := range parts {
		if ctx.Err() != nil || !wanted.MatchString(p.name) {
			continue
		}
		progress("%s …", p.name)
		if err := onStage(ctx, binary, func(s *stage) { p.measure(s, t) }); err != nil {
			progress("%s: %v", p.name, err)
			ok = false
		}
	}
	fmt.Printf("\n%s, %d cores, %s, %s\nload before and after (1, 5, 15 minutes): %s and %s; took %s\n\n", runtime.Version(), runtime.NumCPU(),
		firstLine("ovs-vswitchd", "--version"), firstLine("psql", "--version"), load, loadAverage(), time.Since(began).Round(time.Second))
	t.print(os.Stdout)
	return ok
}

// progress is for whoever waits; the table goes to standard output.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return name + ": " + err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
