package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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
	ask := func(i int) []byte { return whoHas(c.stage, ports[i].hw(), ports[i].FixedIPs[0].Addr, server) }
	c.exchange(streams, 1, ask) // a new interface may lose its first packet
	arp, arpLost := c.exchange(streams, times, ask)
	dhcp, lost := c.exchange(streams, times, func(i int) []byte { return discover(c.stage, ports[i].hw()) })
	t.add(fmt.Sprintf("DHCP answers, %d VMs through 3 switches and the controller", vms), fmt.Sprintf("%s, %d lost", perSecond(dhcp), lost),
		fmt.Sprintf("ARP answered in the switch %s, %d lost", perSecond(arp), arpLost), ratio(dhcp/arp), bound{}, 0)
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

// ask sends a frame until it is answered, at most a few times, and says how often that was.
func (s *stream) ask(frame []byte) (sent int, err error) {
	for sent = 1; sent <= 3; sent++ {
		if _, err = s.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))), frame...)); err != nil {
			return sent, err
		}
		if err = s.answered(frame, 2*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
	}
	return sent, err
}

// answered reads until there is a frame for the sender of the question. Others may come, copies for everybody.
func (s *stream) answered(frame []byte, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		if err := s.conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		head, err := s.in.Peek(2)
		if err != nil {
			return err
		}
		if err := s.conn.SetReadDeadline(time.Time{}); err != nil { // never stop in the middle of a frame
			return err
		}
		reply := make([]byte, 2+int(binary.BigEndian.Uint16(head)))
		if _, err := io.ReadFull(s.in, reply); err != nil {
			return err
		}
		if len(reply) >= 8 && string(reply[2:8]) == string(frame[6:12]) {
			return nil
		}
	}
}

// exchange has every VM ask so many times and returns the answers in a second, and how many questions were lost.
func (c *cloud) exchange(streams []*stream, times int, frame func(i int) []byte) (perSecond float64, lost int64) {
	frames := make([][]byte, len(streams))
	for i := range frames {
		frames[i] = frame(i)
	}
	var wg sync.WaitGroup
	var asked atomic.Int64
	failed := make(chan error, len(streams))
	took := timed(func() {
		for i, s := range streams {
			wg.Go(func() {
				for range times {
					n, err := s.ask(frames[i])
					asked.Add(int64(n))
					if err != nil {
						failed <- err
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
	answers := len(streams) * times
	return rate(answers, took), asked.Load() - int64(answers)
}
