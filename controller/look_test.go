package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// crowdedHost is a controller that knows one host, with so many networks and so many ports in each.
func crowdedHost(t testing.TB, networks, ports int) (*Controller, *host) {
	t.Helper()
	c := New(Config{}, nil, slog.New(slog.DiscardHandler))
	d := signalbox.Delta{Full: true}
	row := signalbox.Host{ID: uuid.UUID{0: 'h'}, DatapathID: 1, Name: "crowded", MAC: signalbox.MAC{0x0e, 0, 0, 0, 0, 1}}
	d.Hosts = []signalbox.Host{row}
	h := newHost(row)
	for n := range networks {
		network := uuid.UUID{0: 'n', 14: byte(n >> 8), 15: byte(n)}
		d.Networks = append(d.Networks, signalbox.Network{ID: network, Key: signalbox.NetworkKey(n + 1), Name: fmt.Sprintf("net%d", n), ProjectID: "tenant",
			AdminStateUp: true, MTU: 1500, Segment: signalbox.Segment{Type: signalbox.Local}})
		subnet := uuid.UUID{0: 's', 14: byte(n >> 8), 15: byte(n)}
		d.Subnets = append(d.Subnets, signalbox.Subnet{ID: subnet, NetworkID: network, CIDR: netip.MustParsePrefix("10.0.0.0/16")})
		for p := range ports {
			no := n*ports + p + 1
			id := uuid.UUID{0: 'p', 12: byte(no >> 24), 13: byte(no >> 16), 14: byte(no >> 8), 15: byte(no)}
			tap := fmt.Sprintf("vif%d", no)
			d.Ports = append(d.Ports, signalbox.Port{ID: id, Key: signalbox.PortKey(no), NetworkID: network, AdminStateUp: true, Name: tap, ProjectID: "tenant",
				MAC:      signalbox.MAC{0xfa, 0x16, byte(no >> 24), byte(no >> 16), byte(no >> 8), byte(no)},
				FixedIPs: []signalbox.FixedIP{{SubnetID: subnet, Addr: netip.AddrFrom4([4]byte{10, 0, byte((p + 10) >> 8), byte(p + 10)})}},
				Binding:  &signalbox.Binding{PortID: id, HostID: row.ID, Interface: tap, By: signalbox.ByName}})
			h.vifs[tap] = &vif{name: tap, ofport: uint32(no), port: id}
		}
	}
	l := c.loop
	l.hosts[row.DatapathID], h.stale = h, true
	l.compiler.AddHost(row.ID)
	l.rows(&d)
	l.settle()
	return c, h
}

func TestLookingFindsWhatIsWanted(t *testing.T) {
	c, h := crowdedHost(t, 3, 4)
	all := c.loop.compiler.Flows(h.row.ID, nil)
	have, err := c.wants(t.Context(), h, nil)
	if err != nil || !have.whole || !reflect.DeepEqual(have.flows, all) {
		t.Errorf("%d flows of %d, whole: %v, %v", len(have.flows), len(all), have.whole, err)
	}
	port := uuid.UUID{0: 'p', 15: 5}
	own := slices.DeleteFunc(slices.Clone(all), func(f flow.Flow) bool { return f.Why.ID != port })
	have, err = c.wants(t.Context(), h, objects{port: {}})
	if err != nil || len(own) == 0 || !reflect.DeepEqual(have.flows, own) {
		t.Errorf("%d flows of %d are the port's: %v", len(have.flows), len(own), err)
	}
	if n := have.names[port]; n != (named{"vif5", "tenant"}) {
		t.Errorf("the port is called %+v", n)
	}
}

func TestComparingSaysWhatDiffers(t *testing.T) {
	f := make([]flow.Flow, 5)
	for i := range f {
		f[i] = flow.New(1, uint16(10-i), nil, flow.Why{}, flow.Output{Port: uint32(i)})
	}
	in := func(f *flow.Flow) openflow.Installed {
		return openflow.Installed{Table: f.Table, Priority: f.Priority, Cookie: f.Cookie, Sum: openflow.Sum(f)}
	}
	changed, dialect := in(&f[1]), in(&f[2])
	changed.Sum, dialect.Sum = 1, 2
	foreign := openflow.Installed{Table: 1, Priority: 99, Cookie: 7}
	cmp := comparison{wanted: wanted{flows: f[:4]}, counts: map[State]int{}}
	cmp.match([]openflow.Installed{in(&f[0]), changed, dialect, in(&f[0]), foreign}, map[flow.Cookie]uint64{f[2].Cookie: 2})
	var got []State
	for _, h := range cmp.held {
		got = append(got, h.state)
	}
	slices.Sort(got)
	if want := []State{Changed, Missing, Present, Present, Surplus, Surplus}; !slices.Equal(got, want) || cmp.differences() != 4 {
		t.Errorf("%v, of which %d differ; expected %v", got, cmp.differences(), want)
	}
}

// BenchmarkLook is a look at more than 100,000 flows of a host. loop-p50-ms and loop-p99-ms are how long the loop takes to do
// nothing meanwhile, alone-… when nobody looks, and busy-… while somebody looks at another controller, which takes processors
// from this one and nothing else. held-… is how long it waits where the whole look is taken at once, under the lock.
func BenchmarkLook(b *testing.B) {
	c, h := crowdedHost(b, 300, 25)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.loop.run(ctx) }()
	defer func() { cancel(); <-ended }()
	waits := func(work func()) []time.Duration { return loopWaits(ctx, c, work) }
	other, otherHost := crowdedHost(b, 300, 25)
	var looking, alone, busy, held []time.Duration
	var took time.Duration
	flows := 0
	for b.Loop() {
		looking = append(looking, waits(func() {
			start := time.Now()
			have, err := c.wants(ctx, h, nil)
			if err != nil {
				b.Error(err)
			}
			flows, took = len(have.flows), time.Since(start)
		})...)
		alone = append(alone, waits(func() { time.Sleep(took) })...)
		busy = append(busy, waits(func() { _, _ = other.wants(ctx, otherHost, nil) })...)
		held = append(held, waits(func() {
			c.mu.RLock()
			defer c.mu.RUnlock()
			_ = c.loop.compiler.Flows(h.row.ID, nil)
		})...)
	}
	b.ReportMetric(float64(flows), "flows")
	b.ReportMetric(1000*took.Seconds(), "look-ms")
	for name, all := range map[string][]time.Duration{"loop": looking, "alone": alone, "busy": busy, "held": held} {
		reportWaits(b, name, all)
	}
}

// loopWaits is how long the loop took to do nothing, each time, while work was done.
func loopWaits(ctx context.Context, c *Controller, work func()) (all []time.Duration) {
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	for {
		select {
		case <-done:
			return all
		case <-time.After(200 * time.Microsecond):
		}
		start := time.Now()
		c.ask(ctx, func(*loop) {})
		all = append(all, time.Since(start))
	}
}

func reportWaits(b *testing.B, name string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(1000*all[len(all)/2].Seconds(), name+"-p50-ms")
	b.ReportMetric(1000*all[len(all)*99/100].Seconds(), name+"-p99-ms")
	b.ReportMetric(1000*all[len(all)-1].Seconds(), name+"-max-ms")
}
