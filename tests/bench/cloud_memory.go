package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory is what the controller takes after the load, and after a restart, which must change nothing.
func (c *cloud) memory(t *table) {
	c.grown(t)
	c.anew(t, c.restart(func() {}))
}

func (c *cloud) grown(t *table) { t.addMemory(c, "grown to that") }

// restart ends the controller and starts it again, and returns how long it was then until every host was in sync.
func (c *cloud) restart(meanwhile func()) time.Duration {
	c.controller.stop()
	meanwhile()
	return timed(func() {
		c.controller = c.start()
		c.settle()
	})
}

// anew tells of a restart. Flow-mods are counted from the controller's start on.
func (c *cloud) anew(t *table, took time.Duration) {
	t.addMemory(c, "started anew")
	sent := c.metric("signalbox_flow_mods_total")
	if sent > 0 { // what was found, and what was done then
		log, err := os.ReadFile(c.controller.log)
		c.must(err)
		progress("  the controller's log since its restart:\n%s", log)
	}
	t.add("  flow-mods that this restart sent", fmt.Sprintf("%.0f", sent), fmt.Sprintf("in sync after %.1f s", took.Seconds()), "", bound{}, 0)
}

func (t *table) addMemory(c *cloud, when string) {
	switches := 0.0
	for _, h := range c.hosts {
		switches += resident(c.stage, switchPID(c.stage, h.sw.Dir))
	}
	rss := resident(c.stage, c.controller.cmd.Process.Pid)
	t.add(fmt.Sprintf("controller's memory at %d ports, %s", c.ports+c.away, when), fmt.Sprintf("%s resident, %s heap", megabytes(rss), megabytes(c.metric("go_memstats_heap_alloc_bytes"))),
		"the three ovs-vswitchd "+megabytes(switches), ratio(rss/switches), bound{}, 0)
}

// resident is a process's VmRSS, in bytes (proc(5)).
func resident(s *stage, pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	s.must(err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			s.must(err)
			return kb * 1024
		}
	}
	s.Fatalf("process %d has no VmRSS", pid)
	return 0
}

// switchPID finds the ovs-vswitchd that works in a folder.
func switchPID(s *stage, dir string) int {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	s.must(err)
	for _, path := range lines {
		b, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(b), "ovs-vswitchd\x00") || !strings.Contains(string(b), dir+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		s.must(err)
		return pid
	}
	s.Fatalf("no ovs-vswitchd works in %s", dir)
	return 0
}

// metric is the sum of a metric of the controller's over all its labels.
func (c *cloud) metric(name string) float64 {
	res, err := c.admin.http.Get(c.admin.base + "/metrics")
	c.must(err)
	defer res.Body.Close()
	sum := 0.0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		words := strings.Fields(rest)
		x, err := strconv.ParseFloat(words[len(words)-1], 64)
		c.must(err)
		sum += x
	}
	return sum
}
