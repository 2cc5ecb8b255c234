package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// dhcp has the VMs of one network ask for addresses, each as soon as it has been answered, as often as the
// switch lets them. The yardstick is the same with ARP, which the switch answers by itself.
func (c *cloud) dhcp(t *table) {
	const vms, times = 120, 15 // a meter's burst is 20
	n := c.api.network(c.stage, "10.0.0.0/24")
	ports := c.bulk(n, vms)
	rows := c.plugMany(ports, func(p *port) string { return c.socket(p) })
	c.settle()
	streams := make([]*stream, vms)
	for i := range ports {
		streams[i] = c.dial(c.socket(&ports[i]))
	}
	server := netip.MustParseAddr("10.0.0.2")
	arp := c.exchange(streams, times, func(i int) []byte { return whoHas(c.stage, ports[i].hw(), ports[i].FixedIPs[0].Addr, server) })
	dhcp := c.exchange(streams, times, func(i int) []byte { return discover(c.stage, ports[i].hw()) })
	t.add(fmt.Sprintf("DHCP answers, %d VMs through 3 switches and the controller", vms), perSecond(dhcp),
		"ARP answered in the switch "+perSecond(arp), ratio(dhcp/arp), bound{}, 0)
	for i := range streams {
		streams[i].conn.Close()
	}
	for h, ids := range rows {
		c.must(c.hosts[h].db.unplug(ids...))
	}
	for i := range ports {
		c.must(c.api.call(c.ctx, http.MethodDelete, "/v2.0/ports/"+ports[i].ID, nil, nil))
	}
	c.ports -= vms
	c.settle()
}

func (c *cloud) socket(p *port) string { return filepath.Join(c.dir, p.vif().name) }

// stream is a VM's end of a dummy interface: frames, each behind its length in two bytes.
type stream struct {
	conn net.Conn
	in   *bufio.Reader
}

func (c *cloud) dial(socket string) *stream {
	var conn net.Conn
	c.await("a dummy interface listens", 10*time.Second, func() (ok bool) {
		var err error
		conn, err = net.Dial("unix", socket)
		return err == nil
	})
	return &stream{conn, bufio.NewReader(conn)}
}

func (s *stream) ask(frame []byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := s.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))), frame...)); err != nil {
		return err
	}
	// Whatever else arrives (a flooded packet of another) is not the answer, which goes to us alone.
	for {
		var size [2]byte
		if _, err := io.ReadFull(s.in, size[:]); err != nil {
			return err
		}
		reply := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(s.in, reply); err != nil {
			return err
		}
		fmt.Printf("%x got %x\n", frame[:14], reply[:14]);
		if len(reply) >= 12 && string(reply[:6]) == string(frame[6:12]) {
			return nil
		}
	}
}

// exchange has every VM ask so many times and returns the answers in a second.
func (c *cloud) exchange(streams []*stream, times int, frame func(i int) []byte) float64 {
	frames := make([][]byte, len(streams))
	for i := range frames {
		frames[i] = frame(i)
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(streams))
	took := timed(func() {
		for i, s := range streams {
			wg.Go(func() {
				for range times {
					if err := s.ask(frames[i]); err != nil {
						failed <- fmt.Errorf("%d bytes, ether type %x: %w", len(frames[i]), frames[i][12:14], err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
	select {
	case err := <-failed:
		c.Fatalf("a VM was not answered: %v", err)
	default:
	}
	return rate(len(streams)*times, took)
}

// memory is what the controller takes after the load, and after a restart, which must change nothing.
func (c *cloud) memory(t *table) {
	switches := 0.0
	for _, h := range c.hosts {
		switches += resident(c.stage, switchPID(c.stage, h.sw.Dir))
	}
	what := fmt.Sprintf("controller's memory at %d ports", c.ports)
	t.addMemory(c, what+", grown to that", switches)
	c.controller.stop()
	took := timed(func() {
		c.controller = c.start()
		c.settle()
	})
	t.addMemory(c, what+", started anew", switches)
	sent := c.metric("signalbox_flow_mods_total")
	t.add("  flow-mods that this restart sent", fmt.Sprintf("%.0f", sent), fmt.Sprintf("in sync after %.1f s", took.Seconds()), "", bound{}, 0)
}

func (t *table) addMemory(c *cloud, what string, switches float64) {
	rss := resident(c.stage, c.controller.cmd.Process.Pid)
	t.add(what, fmt.Sprintf("%s resident, %s heap", megabytes(rss), megabytes(c.metric("go_memstats_heap_alloc_bytes"))),
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
