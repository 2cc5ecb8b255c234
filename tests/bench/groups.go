package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// guardedWay is a way between two hosts, or within one, that groups watch, and the same way between ports whose security
// is off.
type guardedWay struct {
	name              string
	open, guarded     []leg // one for each client, to one server
	streams, trains   [2][]float64
	connects, strange [2][]float64 // connections a second to one service, and each to another
}

const (
	during       = 400 * time.Millisecond // of what is not iperf3's
	clientsEach  = 2
	strangePorts = 10_000 // where nobody listens, but any of the rules lets one call
	strangeFirst = 20_000
)

// measureGroups sets packets that security groups watch against those between ports whose security is off.
func measureGroups(s *stage, t *table) {
	l := newLab(s)
	ways, servers := l.guardedWays(l.segment("10.0.0.0/22"))
	for _, server := range servers {
		l.listen(server.VM)
		_, err := server.Spawn("iperf3", "-s", "-p", fmt.Sprint(servicePort))
		l.must(err)
	}
	for _, w := range ways {
		for _, way := range append(w.open, w.guarded...) {
			l.opens(way)
		}
	}
	for _, m := range l.bed.VMs() {
		l.pin(m)
	}
	l.alternate(ways)
	for _, w := range ways {
		for _, f := range []struct {
			what string
			of   *[2][]float64
			unit func([]float64) string
		}{
			{"connections to one service, ", &w.connects, rates}, {"  connections each to a service never called before", &w.strange, rates},
			{"  one TCP stream", &w.streams, gigabits}, {"  UDP datagrams of 64 bytes that arrive", &w.trains, rates},
		} {
			what := f.what
			if what[0] != ' ' {
				what += w.name
			}
			open, guarded := f.of[0], f.of[1]
			x := median(guarded) / median(open)
			t.add(what, f.unit(guarded), "no groups "+f.unit(open), ratio(x), bound{}, 0)
		}
	}
}

// rates is a median with what it is the median of. It sorts its argument.
func rates(of []float64) string {
	return fmt.Sprintf("%s (%s to %s)", perSecond(median(of)), perSecond(of[0]), perSecond(of[len(of)-1]))
}

// segment makes a network that nothing joins to others.
func (l *lab) segment(block string) segment {
	n, err := l.box.API.CreateNetwork(l.ctx, testbed.Network{Type: string(signalbox.VXLAN)})
	l.must(err)
	seg := segment{Network: n, block: netip.MustParsePrefix(block)}
	l.subnet(n, seg.block)
	return seg
}

// group makes a security group whose members may send anything. Beside those that are named it has rules for others: by port,
// by range of ports, by block.
func (l *lab) group(others int, named ...testbed.Rule) string {
	g, err := l.box.API.CreateSecurityGroup(l.ctx, testbed.SecurityGroup{Name: fmt.Sprint(others+len(named), " rules")})
	l.must(err)
	var list []testbed.Rule
	for i := range others {
		r := tcpTo(1000+i, 1000+i)
		switch i % 4 {
		case 1:
			r = tcpTo(6000+4*i, 6000+4*i+2)
		case 2:
			r.RemotePrefix = fmt.Sprintf("10.%d.%d.0/24", 1+i/256, i%256)
		case 3:
			r = testbed.Rule{Protocol: "icmp", RemotePrefix: fmt.Sprintf("192.0.%d.%d/32", 2+i/256, i%256)}
		}
		list = append(list, r)
	}
	list = append(list, named...)
	for i := range list {
		list[i].GroupID, list[i].Direction = g.ID, "ingress"
	}
	if len(list) > 0 {
		l.must(l.box.API.CreateRules(l.ctx, list))
	}
	return g.ID
}

func tcpTo(from, to int) testbed.Rule { return testbed.Rule{Protocol: "tcp", Min: &from, Max: &to} }

// guardedWays boots what the ways need: for each the same hosts, and as many guests, with security off and with groups. The rules
// are the receiver's. A group of none lets nobody in: there the sender alone is watched.
func (l *lab) guardedWays(n segment) (ways []*guardedWay, servers []*guest) {
	off := false
	near, far := l.hosts[0], l.hosts[1]
	open := testbed.Port{Secured: &off}
	some := func(h *testbed.Host, p testbed.Port) (guests []*guest) {
		for range clientsEach {
			guests = append(guests, l.guestAs(n, h, p))
		}
		return guests
	}
	to := func(clients []*guest, server *guest) (legs []leg) {
		for _, c := range clients {
			legs = append(legs, c.to(server))
		}
		return legs
	}
	none := in(l.group(0))
	clients, guardedClients := some(near, open), some(near, none)
	distant, guardedDistant := some(far, open), some(far, none)
	allowing := []testbed.Rule{tcpTo(servicePort, servicePort+1), {Protocol: "udp"}, tcpTo(strangeFirst, strangeFirst+strangePorts-1)}
	plain, ten, thousand := l.guestAs(n, near, open), l.guestAs(n, near, in(l.group(7, allowing...))), l.guestAs(n, near, in(l.group(997, allowing...)))
	return []*guardedWay{
		{name: "one host, no rule", open: to(clients, plain), guarded: to(guardedClients, plain)},
		{name: "one host, 10 rules", open: to(clients, plain), guarded: to(guardedClients, ten)},
		{name: "one host, 1,000 rules", open: to(clients, plain), guarded: to(guardedClients, thousand)},
		{name: "two hosts, 10 rules", open: to(distant, plain), guarded: to(guardedDistant, ten)},
	}, []*guest{plain, ten, thousand}
}

// alternate measures all ways in turn, open and guarded.
func (l *lab) alternate(ways []*guardedWay) {
	const rounds = 5
	strange := 0
	for round := range rounds {
		for _, w := range ways {
			for turn := range 2 {
				i := (round + turn) % 2
				legs := [][]leg{w.open, w.guarded}[i]
				w.connects[i] = append(w.connects[i], l.connections(legs, during, func(int) int { return servicePort + 1 }))
				l.forget()
				w.strange[i] = append(w.strange[i], l.connections(legs, during, func(n int) int {
					return strangeFirst + (strange+n)%strangePorts
				}))
				strange += 2503 // so that TIME-WAIT of the last round is not met
				l.forget()
				w.streams[i] = append(w.streams[i], l.iperf(legs[0]).rate)
				w.trains[i] = append(w.trains[i], l.datagrams(legs[0]))
			}
		}
	}
}

// forget makes every switch forget its megaflows.
func (l *lab) forget() {
	for _, h := range l.hosts {
		_, err := h.Appctl(l.ctx, "dpctl/del-flows", "netdev@ovs-netdev")
		l.must(err)
	}
}

// listen takes connections, and closes each at once.
func (l *lab) listen(m *testbed.VM) {
	listener, err := m.NS.Listen(l.ctx, fmt.Sprintf(":%d", servicePort+1))
	l.must(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				conn.Close()
			}
		}
	}()
	l.Cleanup(func() {
		listener.Close()
		<-ended
	})
}

// cut ends a connection so that nothing waits for its last segments.
func cut(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func (l *lab) opens(way leg) {
	l.await("a connection from "+way.from.Name+" to "+way.addr.String(), patience, func() bool {
		ctx, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		conn, err := way.from.NS.Dial(ctx, "tcp", netip.AddrPortFrom(way.addr, servicePort+1).String())
		if err == nil {
			cut(conn)
		}
		return err == nil
	})
}

// connections opens one connection after the other on every leg, two at a time, for a while, and gives how many a second.
// Where nobody listens the refusal counts: it has come all the way. port names the port of the n-th.
func (l *lab) connections(legs []leg, during time.Duration, port func(n int) int) float64 {
	var made atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for _, way := range legs {
		for range 2 {
			wg.Go(func() {
				err := way.from.NS.Do(func() error { // each in a thread that stays there
					dialer := net.Dialer{Timeout: 5 * time.Second}
					for time.Since(began) < during {
						conn, err := dialer.DialContext(l.ctx, "tcp", netip.AddrPortFrom(way.addr, uint16(port(int(made.Add(1))))).String())
						if err == nil {
							cut(conn)
						} else if !errors.Is(err, syscall.ECONNREFUSED) {
							return err
						}
					}
					return nil
				})
				if err != nil {
					l.Error(err)
				}
			})
		}
	}
	wg.Wait()
	return rate(int(made.Load()), time.Since(began))
}

// datagrams sends as many as it can over a leg, for a while, and gives how many a second arrive.
func (l *lab) datagrams(way leg) float64 {
	in, err := way.to.NS.ListenPacket(l.ctx, fmt.Sprintf(":%d", trainPort))
	l.must(err)
	out, err := way.from.NS.Dial(l.ctx, "udp", netip.AddrPortFrom(way.addr, trainPort).String())
	l.must(err)
	var arrived atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for b := make([]byte, 2048); ; {
			if _, _, err := in.ReadFrom(b); errors.Is(err, net.ErrClosed) {
				return
			}
			arrived.Add(1)
		}
	})
	began := time.Now()
	for b := make([]byte, 64); time.Since(began) < during; {
		_, _ = out.Write(b) // what is refused does not arrive
	}
	got := rate(int(arrived.Load()), time.Since(began))
	for was := int64(-1); was != arrived.Load(); time.Sleep(50 * time.Millisecond) {
		was = arrived.Load() // what is still in queues would be in the way of what is measured next
	}
	in.Close()
	out.Close()
	wg.Wait()
	return got
}
