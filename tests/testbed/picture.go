package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Picture takes down what the controller, every switch and every guest count at this moment, for who has to find out where a packet
// was lost. The whole of it is added to the lab's picture.log; the answer is what of it counts drops and delays.
func (l *Lab) Picture(ctx context.Context, box *Signalbox) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var whole, brief strings.Builder
	note := func(of string, telling *regexp.Regexp, say func() (string, error)) {
		said, err := say()
		if err != nil {
			said += "\n" + err.Error()
		}
		fmt.Fprintf(&whole, "--- %s\n%s\n", of, said)
		for line := range strings.Lines(said) {
			if err != nil || telling != nil && telling.MatchString(line) {
				fmt.Fprintf(&brief, "%s: %s\n", of, strings.TrimSpace(line))
			}
		}
	}
	fmt.Fprintf(&whole, "\n=== %s\n", time.Now().UTC().Format(time.RFC3339Nano))
	for _, path := range []string{"/proc/loadavg", "/proc/pressure/cpu"} {
		note(path, regexp.MustCompile(`.`), func() (string, error) { b, err := os.ReadFile(path); return string(b), err })
	}
	note("controller", regexp.MustCompile(`^signalbox_(packet_ins_total|loop_queue|switch_errors_total|broken_bundles_total|refused_flows_total).* [1-9]`),
		func() (string, error) { return box.Admin.Metrics(ctx) })
	for _, h := range l.Hosts() {
		note(h.Name+" coverage", regexp.MustCompile(`(drop|overflow|fail|error).*total: [1-9]`), func() (string, error) { return h.Appctl(ctx, "coverage/show") })
		note(h.Name+" log", regexp.MustCompile(`poll interval|WARN|ERR`), func() (string, error) {
			return Tail(filepath.Join(h.Dir, "ovs-vswitchd.log"), 30), nil
		})
		for _, asked := range [][]string{{"dpctl/show", "-s"}, {"dpctl/dump-flows", "-m"}, {"ovs/route/show"}, {"tnl/arp/show"}, {"dpif-netdev/pmd-stats-show"}} {
			note(h.Name+" "+strings.Join(asked, " "), nil, func() (string, error) { return h.Appctl(ctx, asked...) })
		}
		for _, asked := range []string{"meter-stats", "dump-ports", "dump-flows"} {
			note(h.Name+" "+asked, nil, func() (string, error) { return h.Ofctl(ctx, asked, "br-int") })
		}
		note(h.Name+" links", nil, func() (string, error) { return h.NS.Run(ctx, "ip", "-s", "link") })
	}
	for _, vm := range l.VMs() {
		note(vm.Name+" links", nil, func() (string, error) { return vm.NS.Run(ctx, "ip", "-s", "link") })
		note(vm.Name+" neighbours", nil, func() (string, error) { return vm.NS.Run(ctx, "ip", "neighbour") })
	}
	f, err := os.OpenFile(filepath.Join(l.Dir, "picture.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(whole.String())
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(&brief, err)
	}
	return brief.String()
}
