package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// patience is for what must happen in a lab before anything can be measured.
const patience = 30 * time.Second

// leg is from one machine to another's address.
type leg struct {
	from, to *testbed.VM
	addr     netip.Addr
}

func (g *guest) to(other *guest) leg { return leg{g.VM, other.VM, other.ip} }

// path is a way between the same hosts, or from outside to the same host, that packets take switched and routed.
type path struct {
	name          string
	plain, routed leg
}

// measureRouted sets routed packets against those that are switched on the same way: TCP's throughput, and the first
// round trip of a flow.
func measureRouted(s *stage, t *table) {
	l := newLab(s)
	paths := l.paths()
	for _, p := range paths {
		for _, way := range []leg{p.plain, p.routed} {
			_, err := way.from.ReachableIn(s.ctx, way.addr, patience)
			s.must(err)
		}
	}
	for _, m := range l.bed.VMs() {
		l.pin(m)
	}
	l.throughput(t, paths)
	l.firstPackets(t, paths)
}

// paths boots what the paths need. On every path the plain and the routed way have the same hosts, the same kind of
// network and, where the router changes nothing else, the same machine at one end.
func (l *lab) paths() []path {
	var paths []path
	outside := segment{Network: l.public, block: publicBlock}
	var floating path
	for _, kind := range []signalbox.NetworkType{signalbox.VXLAN, signalbox.VLAN} {
		nets := l.joined(kind, "10.0.1.0/24", "10.0.2.0/24")
		vm := l.guest(nets[0], l.hosts[0])
		paths = append(paths, path{fmt.Sprintf("two VMs of one host, %s", kind), vm.to(l.guest(nets[0], l.hosts[0])), vm.to(l.guest(nets[1], l.hosts[0]))},
			path{fmt.Sprintf("VMs of two hosts, %s", kind), vm.to(l.guest(nets[0], l.hosts[1])), vm.to(l.guest(nets[1], l.hosts[1]))})
		if kind == signalbox.VXLAN {
			plain := l.guest(outside, l.hosts[0])
			floating = path{"outside to a VM, floating IP", leg{l.peer, plain.VM, plain.ip}, leg{l.peer, vm.VM, l.float(vm)}}
			paths = append(paths, floating, path{"a VM to outside, floating IP", leg{plain.VM, l.peer, peerAddr}, leg{vm.VM, l.peer, peerAddr}})
		}
	}
	return paths
}

// speed is what iperf3 found on a leg.
type speed struct {
	rate float64       // bits per second
	cpu  time.Duration // that the hosts' switches used for a gigabyte
}

const servicePort = 5201

// throughput alternates plain and routed TCP on each path.
func (l *lab) throughput(t *table, paths []path) {
	const rounds = 9
	for _, m := range l.bed.VMs() {
		_, err := m.Spawn("iperf3", "-s", "-p", fmt.Sprint(servicePort))
		l.must(err)
	}
	plain, routed := make([][]speed, len(paths)), make([][]speed, len(paths))
	for round := range rounds {
		for i, p := range paths {
			if round%2 == 0 {
				plain[i] = append(plain[i], l.iperf(p.plain))
			}
			routed[i] = append(routed[i], l.iperf(p.routed))
			if round%2 == 1 {
				plain[i] = append(plain[i], l.iperf(p.plain))
			}
		}
	}
	for i, p := range paths {
		t.addSpeed(p.name, routed[i], plain[i])
	}
}

func (t *table) addSpeed(path string, routed, plain []speed) {
	rates := func(of []speed) (r []float64) {
		for _, s := range of {
			r = append(r, s.rate)
		}
		return r
	}
	cpu := func(of []speed) time.Duration {
		var d []time.Duration
		for _, s := range of {
			d = append(d, s.cpu)
		}
		return median(d)
	}
	pairs := make([]float64, len(routed))
	for i := range pairs {
		pairs[i] = routed[i].rate / plain[i].rate
	}
	us, them := rates(routed), rates(plain)
	x := median(us) / median(them)
	t.add("TCP, "+path, gigabits(us), "plain L2 "+gigabits(them), ratio(x), atLeast(0.9), x)
	t.add("  of single rounds, and CPU time of the switches for a GB", fmt.Sprintf("%.2f (%.2f to %.2f), %s", median(pairs), slices.Min(pairs), slices.Max(pairs), milliseconds(cpu(routed))),
		"plain L2 "+milliseconds(cpu(plain)), ratio(cpu(routed).Seconds()/cpu(plain).Seconds()), bound{}, 0)
}

// gigabits is a median with what it is the median of. It sorts its argument.
func gigabits(of []float64) string {
	return fmt.Sprintf("%.2f Gbit/s (%.2f to %.2f)", median(of)/1e9, of[0]/1e9, of[len(of)-1]/1e9)
}

// iperf sends over a leg for a while. Segments have one size on every network, so that what is compared is the way and
// not what fits into a packet.
func (l *lab) iperf(way leg) speed {
	before := l.switchCPU()
	out, err := way.from.NS.Run(l.ctx, "iperf3", "-J", "-t", "1", "-M", "1360", "-p", fmt.Sprint(servicePort), "-c", way.addr.String())
	used := l.switchCPU() - before
	var report struct {
		Error string
		End   struct {
			Received struct {
				Bytes         float64
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if json.Unmarshal([]byte(out), &report) != nil || report.Error != "" || report.End.Received.Bytes == 0 {
		l.Fatalf("iperf3 from %s to %s: %v: %s %.300s", way.from.Name, way.addr, err, report.Error, out)
	}
	l.must(err)
	got := report.End.Received
	return speed{got.BitsPerSecond, time.Duration(float64(used) * 1e9 / got.Bytes)}
}

func (l *lab) switchCPU() (ran time.Duration) {
	for _, h := range l.hosts {
		ran += cpuTime(h.SwitchPID())
	}
	return ran
}

// firstPackets takes, on each path in turn, the first round trip of a new flow while no switch remembers any, and the
// second.
func (l *lab) firstPackets(t *table, paths []path) {
	const rounds = 40
	for _, m := range l.bed.VMs() {
		l.echo(m)
	}
	type trips struct{ first, second []time.Duration }
	plain, routed := make([]trips, len(paths)), make([]trips, len(paths))
	asked, err := l.box.Admin.Counter(l.ctx, "signalbox_packet_ins_total")
	l.must(err)
	for range rounds {
		for i, p := range paths {
			for _, w := range []struct {
				*trips
				leg
			}{{&plain[i], p.plain}, {&routed[i], p.routed}} {
				first, second := l.roundTrips(w.leg)
				w.first, w.second = append(w.first, first), append(w.second, second)
			}
		}
	}
	after, err := l.box.Admin.Counter(l.ctx, "signalbox_packet_ins_total")
	l.must(err)
	for i, p := range paths {
		us, them := median(routed[i].first), median(plain[i].first)
		t.add("first round trip, "+p.name, spanned(routed[i].first), "plain L2 "+spanned(plain[i].first), ratio(us.Seconds()/them.Seconds()), bound{}, 0)
		us, them = median(routed[i].second), median(plain[i].second)
		t.add("  the second", microseconds(us), "plain L2 "+microseconds(them), ratio(us.Seconds()/them.Seconds()), bound{}, 0)
	}
	t.add("  packets that the controller saw meanwhile", fmt.Sprint(after-asked), fmt.Sprintf("of %d flows", 2*rounds*len(paths)), "", bound{}, 0)
}

// spanned is a median with its first and last tenth. It sorts its argument.
func spanned(of []time.Duration) string {
	return fmt.Sprintf("%s (%s to %s)", microseconds(median(of)), microseconds(percentile(of, 10)), microseconds(percentile(of, 90)))
}

// echo sends back what a machine gets on a UDP port.
func (l *lab) echo(m *testbed.VM) {
	conn, err := m.NS.ListenPacket(l.ctx, fmt.Sprintf(":%d", servicePort))
	l.must(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteTo(b[:n], from) // who asked will miss it
			}
		}
	}()
	l.Cleanup(func() {
		conn.Close()
		<-ended
	})
}

// roundTrips has every switch forget its megaflows, and sends two datagrams from a new port.
func (l *lab) roundTrips(way leg) (first, second time.Duration) {
	l.forget()
	conn, err := way.from.NS.Dial(l.ctx, "udp", netip.AddrPortFrom(way.addr, servicePort).String())
	l.must(err)
	defer conn.Close()
	l.must(conn.SetDeadline(time.Now().Add(5 * time.Second)))
	return l.roundTrip(conn), l.roundTrip(conn)
}

func (l *lab) roundTrip(conn net.Conn) time.Duration {
	b := make([]byte, 56)
	return timed(func() {
		_, err := conn.Write(b)
		l.must(err)
		_, err = conn.Read(b)
		l.must(err)
	})
}
