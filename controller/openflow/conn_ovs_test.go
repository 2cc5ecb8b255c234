//go:build integration

package openflow

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// heard is a Handler that remembers.
type heard struct {
	packets chan PacketIn
	ports   chan portChange
	errors  chan *Error
	roles   chan Role

	mu    sync.Mutex
	flows []FlowEvent
}

func newHeard() *heard {
	return &heard{packets: make(chan PacketIn, 100), ports: make(chan portChange, 100), errors: make(chan *Error, 100), roles: make(chan Role, 100)}
}

func (h *heard) PacketIn(p PacketIn)                  { h.packets <- p }
func (h *heard) PortStatus(reason PortReason, p Port) { h.ports <- portChange{reason, p} }
func (h *heard) SwitchError(e *Error)                 { h.errors <- e }
func (h *heard) RoleChanged(_, is Role)               { h.roles <- is }
func (h *heard) FlowChanged(e FlowEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flows = append(h.flows, e)
}

func (h *heard) events() []FlowEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.flows)
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %T in ten seconds", *new(T))
		panic("unreachable")
	}
}

// accept takes a switch's connection, wrapped if need be, and runs it until the test ends.
func accept(t testing.TB, l net.Listener, h Handler, wrap func(net.Conn) net.Conn) *Conn {
	t.Helper()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		nc = wrap(nc)
	}
	c, err := Handshake(t.Context(), nc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background(), h) }()
	t.Cleanup(func() {
		_ = c.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("the connection had ended by itself: %v", err)
		}
	})
	return c
}

// connect starts a switch with a bridge of two ports and takes its connection.
func connect(t testing.TB, h Handler) (*ovs.Switch, *Conn) {
	t.Helper()
	s, l := ovs.Start(t), ovs.Listen(t)
	s.AddBridge("br-int")
	s.AddPort("br-int", "p1")
	s.AddPort("br-int", "p2")
	s.VSCtl("set-controller", "br-int", "tcp:"+l.Addr().String())
	return s, accept(t, l, h, nil)
}

func mustApply(t testing.TB, c *Conn, ch Change) Result {
	t.Helper()
	r, err := c.Apply(t.Context(), ch)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return r
}

func cookies(t testing.TB, c *Conn) []flow.Cookie {
	t.Helper()
	flows, err := c.Flows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]flow.Cookie, len(flows))
	for i, f := range flows {
		out[i] = f.Cookie
	}
	slices.Sort(out)
	return out
}

func cookiesOf(flows []flow.Flow) []flow.Cookie {
	out := make([]flow.Cookie, len(flows))
	for i, f := range flows {
		out[i] = f.Cookie
	}
	slices.Sort(out)
	return out
}

func TestHandshakeLearnsTheBridgeAndItsPorts(t *testing.T) {
	s, c := connect(t, newHeard())
	want := s.VSCtl("get", "bridge", "br-int", "datapath_id")
	if got := fmt.Sprintf("%q", c.DatapathID()); got != want {
		t.Errorf("datapath %s, want %s", got, want)
	}
	if c.Bridge() != "br-int" {
		t.Errorf("bridge %q", c.Bridge())
	}
	var names []string
	for _, p := range c.Ports() {
		names = append(names, fmt.Sprintf("%s %d", p.Name, p.No))
	}
	slices.Sort(names)
	if got := strings.Join(names, ", "); got != "br-int 4294967294, p1 1, p2 2" {
		t.Errorf("ports %s", got)
	}
}

var cookieText = regexp.MustCompile(`cookie=0x[0-9a-f]+, `)

// dump is the flows of a bridge as ovs-ofctl prints them, without their cookies.
func dump(s *ovs.Switch, bridge string) []string {
	lines := strings.Split(strings.TrimSpace(s.OFCtl("--no-stats", "dump-flows", bridge)), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(cookieText.ReplaceAllString(l, ""))
	}
	slices.Sort(lines)
	return lines
}

func TestFlowsSentByTheCodecAreTheOnesThatTheirTextDescribes(t *testing.T) {
	s, c := connect(t, newHeard())
	s.AddBridge("br-text")
	s.OFCtl("add-meter", "br-text", "meter=5,pktps,burst,band=type=drop,rate=100,burst_size=50")
	flows := everyFlow()
	for _, f := range flows {
		if out, err := s.TryOFCtl("add-flow", "br-text", f.String()); err != nil {
			t.Errorf("ovs-ofctl does not take %s: %s %v", f.String(), out, err)
		}
	}
	mustApply(t, c, Change{AddMeters: []flow.RateLimit{{ID: 5, PacketsPerSecond: 100, Burst: 50}}, Adds: flows})
	ours, theirs := dump(s, "br-int"), dump(s, "br-text")
	for _, l := range ours {
		if !slices.Contains(theirs, l) {
			t.Errorf("only by our codec: %s", l)
		}
	}
	for _, l := range theirs {
		if !slices.Contains(ours, l) {
			t.Errorf("only by its text:  %s", l)
		}
	}
	wanted := map[flow.Cookie]*flow.Flow{}
	for i := range flows {
		wanted[flows[i].Cookie] = &flows[i]
	}
	installed, err := c.Flows(t.Context())
	if err != nil || len(installed) != len(flows) {
		t.Errorf("%d flows read back of %d: %v", len(installed), len(flows), err)
	}
	for _, i := range installed {
		if f := wanted[i.Cookie]; f == nil || Sum(f) != i.Sum || f.Table != i.Table || f.Priority != i.Priority {
			t.Errorf("read back as %+v: %+v", i, f)
		}
	}
}

func TestRefusedFlowLeavesTheSwitchAsItWas(t *testing.T) {
	_, c := connect(t, newHeard())
	before := flow.New(1, 1, nil, flow.Why{})
	mustApply(t, c, Change{Adds: []flow.Flow{before}})
	good := flow.New(0, 1, nil, flow.Why{}, flow.Output{Port: 1})
	for name, tt := range map[string]struct {
		bad  flow.Flow
		word string
	}{
		"at the commit":        {flow.New(0, 2, nil, flow.Why{}, flow.Meter{ID: 77}, flow.Output{Port: 1}), "invalid meter"},
		"while it is read":     {flow.New(0, 2, flow.Match{flow.IsNum(flow.TCPDst, 80)}, flow.Why{}), "prerequisite"},
		"before it is sent":    {flow.New(0, 2, nil, flow.Why{}, flow.Goto{Table: 2}, flow.Output{Port: 1}), "not the last"},
		"as it goes backwards": {flow.New(3, 2, nil, flow.Why{}, flow.Goto{Table: 2}), "no such table"},
	} {
		r, err := c.Apply(t.Context(), Change{Adds: []flow.Flow{good, tt.bad, good}, Deletes: []flow.Cookie{before.Cookie}})
		if err == nil || len(r.Failed) != 1 || r.Failed[0].Flow == nil || r.Failed[0].Cookie != tt.bad.Cookie || !strings.Contains(err.Error(), tt.word) {
			t.Errorf("%s: result %+v, error %v", name, r, err)
		}
		if got := cookies(t, c); !slices.Equal(got, []flow.Cookie{before.Cookie}) {
			t.Errorf("%s: the switch has %x", name, got)
		}
	}
	if r := mustApply(t, c, Change{Adds: []flow.Flow{good}}); r.Added != 1 {
		t.Errorf("after the refusals: %+v", r)
	}
}

func TestLargeChangeIsCutAndAddsComeBeforeDeletes(t *testing.T) {
	_, c := connect(t, newHeard())
	c.o.BundleSize = 100
	flows := manyFlows(1050, 0)
	if r := mustApply(t, c, Change{Adds: flows}); r.Bundles != 11 || r.Added != 1050 {
		t.Errorf("%+v", r)
	}
	if got := c.FlowMods(); got != 1050 {
		t.Errorf("%d flow-mods counted", got)
	}
	moved := manyFlows(1050, 7) // the same places, other actions: each add replaces
	if r := mustApply(t, c, Change{Adds: moved, Deletes: cookiesOf(flows)}); r.Bundles != 21 || r.Deleted != 1050 {
		t.Errorf("%+v", r)
	}
	if got := cookies(t, c); !slices.Equal(got, cookiesOf(moved)) {
		t.Errorf("the switch has %d flows, and not the ones wanted", len(got))
	}
	mustApply(t, c, Change{Deletes: cookiesOf(moved)})
	if got := cookies(t, c); len(got) != 0 {
		t.Errorf("%d flows left", len(got))
	}
}

func TestMetersAreAddedChangedReadAndDeleted(t *testing.T) {
	s, c := connect(t, newHeard())
	first := flow.RateLimit{ID: 1, PacketsPerSecond: 100, Burst: 200}
	second := flow.RateLimit{ID: 2, PacketsPerSecond: 10, Burst: 5}
	mustApply(t, c, Change{AddMeters: []flow.RateLimit{first, second}})
	first.PacketsPerSecond = 50
	mustApply(t, c, Change{AddMeters: []flow.RateLimit{first}})
	s.OFCtl("add-meter", "br-int", "meter=9,kbps,band=type=drop,rate=100")
	check := func(want ...flow.RateLimit) {
		t.Helper()
		got, err := c.Meters(t.Context())
		slices.SortFunc(got, func(a, b flow.RateLimit) int { return cmp.Compare(a.ID, b.ID) })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("meters %v, %v; want %v", got, err, want)
		}
	}
	check(first, second, flow.RateLimit{ID: 9})
	mustApply(t, c, Change{DeleteMeters: []uint32{1, 2, 9, 9}})
	check()
}

func TestPacketInCarriesRegistersAndTheWholePacket(t *testing.T) {
	h := newHeard()
	s, c := connect(t, h)
	f := flow.New(3, 1, flow.Match{flow.IsNum(flow.Reg0, 7)}, flow.Why{}, flow.ToController{})
	mustApply(t, c, Change{Adds: []flow.Flow{f, flow.New(0, 1, nil, flow.Why{},
		flow.Load{Dst: flow.Reg0.Whole(), Value: flow.Num(7)}, flow.Load{Dst: flow.Reg7.Whole(), Value: flow.Num(0xdeadbeef)},
		flow.Load{Dst: flow.TunID.Whole(), Value: flow.Num(99)}, flow.Goto{Table: 3})}})
	packet := make([]byte, 1000)
	copy(packet, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x16, 0x3e, 0, 0, 1, 0x88, 0xb5})
	s.Receive("p2", packet)
	p := next(t, h.packets)
	if p.InPort != 2 || p.Table != 3 || p.Cookie != f.Cookie || p.Reg(flow.Reg0) != 7 || p.Reg(flow.Reg7) != 0xdeadbeef || p.Reg(flow.TunID) != 99 || p.Reg(flow.Reg3) != 0 {
		t.Errorf("packet-in %+v", p)
	}
	if p.Truncated || string(p.Data) != string(packet) {
		t.Errorf("%d bytes of data, truncated %v", len(p.Data), p.Truncated)
	}
}

func TestPacketOutGoesThroughItsActions(t *testing.T) {
	h := newHeard()
	s, c := connect(t, h)
	mustApply(t, c, Change{Adds: []flow.Flow{flow.New(0, 1, flow.Match{flow.IsNum(flow.InPort, 1)}, flow.Why{}, flow.ToController{})}})
	packet := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x16, 0x3e, 0, 0, 1, 0x88, 0xb5, 1, 2, 3, 4}
	if err := c.PacketOut(t.Context(), 1, []flow.Action{flow.Output{Port: PortTable}}, packet); err != nil {
		t.Fatal(err)
	}
	if p := next(t, h.packets); string(p.Data) != string(packet) || p.InPort != 1 {
		t.Errorf("came back as %+v", p)
	}
	if err := c.PacketOut(t.Context(), PortController, []flow.Action{flow.Load{Dst: flow.EthSrc.Whole(), Value: testMAC}, flow.Output{Port: 2}}, packet); err != nil {
		t.Fatal(err)
	}
	await(t, func() string {
		if out := s.OFCtl("dump-ports", "br-int", "p2"); !strings.Contains(out, "tx pkts=1,") {
			return "p2 has not sent one packet: " + out
		}
		return ""
	})
	if err := c.PacketOut(t.Context(), PortTable, []flow.Action{flow.Output{Port: 1}}, packet); err != nil {
		t.Fatal(err)
	}
	if e := next(t, h.errors); !strings.Contains(e.Error(), "no such port") {
		t.Errorf("error %v", e)
	}
}

// await repeats a check until it has nothing to say.
func await(t testing.TB, check func() string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestPortsThatComeAndGoAreReported(t *testing.T) {
	h := newHeard()
	s, _ := connect(t, h)
	n := s.AddPort("br-int", "tap12345678-9a")
	added := next(t, h.ports)
	for added.reason != PortAdded {
		added = next(t, h.ports)
	}
	if added.port.Name != "tap12345678-9a" || added.port.No != uint32(n) {
		t.Errorf("added %+v", added.port)
	}
	s.VSCtl("del-port", "tap12345678-9a")
	gone := next(t, h.ports)
	for gone.reason != PortDeleted {
		gone = next(t, h.ports)
	}
	if gone.port.No != uint32(n) {
		t.Errorf("deleted %+v", gone.port)
	}
}

func TestChangesByOthersAreReportedAndOurOwnAreNot(t *testing.T) {
	h := newHeard()
	s, c := connect(t, h)
	if err := c.WatchFlows(t.Context()); err != nil {
		t.Fatal(err)
	}
	flows := manyFlows(2000, 0)
	mustApply(t, c, Change{Adds: flows})
	mustApply(t, c, Change{Deletes: cookiesOf(flows[1000:])})
	f := flow.New(4, 44, nil, flow.Why{}, flow.Output{Port: 1})
	mustApply(t, c, Change{Adds: []flow.Flow{f}})
	if got := h.events(); len(got) != 0 {
		t.Fatalf("%d events of our own changes, the first %+v", len(got), got[0])
	}
	s.OFCtl("mod-flows", "br-int", "table=4,actions=drop")
	s.OFCtl("add-flow", "br-int", "table=4,priority=44,cookie=0x5,actions=output:2")
	s.OFCtl("add-flow", "br-int", "table=5,priority=55,cookie=0x6,actions=output:2")
	s.OFCtl("del-flows", "br-int", "table=5")
	want := []FlowEvent{{FlowModified, 4, 44, f.Cookie}, {FlowAdded, 4, 44, 5}, {FlowAdded, 5, 55, 6}, {FlowDeleted, 5, 55, 6}}
	await(t, func() string {
		if got := h.events(); !slices.Equal(got, want) {
			return fmt.Sprintf("events %+v, want %+v", got, want)
		}
		return ""
	})
	s.OFCtl("del-flows", "br-int")
	await(t, func() string {
		if got := len(h.events()); got != 4+1000+1 {
			return fmt.Sprintf("%d events", got)
		}
		return ""
	})
}

func TestChangeByHandThatKeepsTheCookieIsSeenInAFullRead(t *testing.T) {
	s, c := connect(t, newHeard())
	f := flow.New(4, 44, nil, flow.Why{}, flow.Output{Port: 1})
	mustApply(t, c, Change{Adds: []flow.Flow{f}})
	s.OFCtl("mod-flows", "br-int", "table=4,actions=output:2")
	got, err := c.Flows(t.Context())
	if err != nil || len(got) != 1 || got[0].Cookie != f.Cookie || got[0].Sum == Sum(&f) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCallsFromManyGoroutinesDoNotDisturbEachOther(t *testing.T) {
	h := newHeard()
	_, c := connect(t, h)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 10 {
				f := flow.New(uint8(g), uint16(i), nil, flow.Why{}, flow.Output{Port: 1})
				_, err := c.Apply(t.Context(), Change{Adds: []flow.Flow{f}})
				_, err2 := c.Flows(t.Context())
				err3 := c.PacketOut(t.Context(), PortController, []flow.Action{flow.Output{Port: 1}}, make([]byte, 60))
				if err := errors.Join(err, err2, err3); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := cookies(t, c); len(got) != 80 {
		t.Errorf("%d flows", len(got))
	}
}

// claim asks for a role as a controller with a lease would.
func claim(t *testing.T, c *Conn, r Role, generation uint64) {
	t.Helper()
	err := c.ask(t.Context(), 0, nil, func(xid uint32) []byte {
		b := binary.BigEndian.AppendUint32(appendHeader(nil, typeRoleRequest, xid), uint32(r))
		b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0), generation)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRoleIsWhatTheSwitchSays: of two controllers one is the master for a while, and then the other. Who was it is told so
// unasked, and knows from refusals too.
func TestRoleIsWhatTheSwitchSays(t *testing.T) {
	h, other := newHeard(), newHeard()
	s, c := connect(t, h)
	if err := c.WatchRole(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.AskRole(t.Context()); err != nil || c.Role() != Equal || len(h.roles) != 0 {
		t.Fatalf("at first it is %v, %v", c.Role(), err)
	}
	d, err := c.Describe(t.Context())
	if version := s.VSCtl("--version"); err != nil || d.Software == "" || !strings.Contains(version, d.Software) {
		t.Errorf("the switch calls itself %q, %v; ovs-vsctl says %s", d.Software, err, version)
	}
	l := ovs.Listen(t)
	s.AddPort("br-int", "p3") // what it was told before it still is
	if p := next(t, h.ports); p.port.Name != "p3" {
		t.Errorf("%+v", p)
	}
	mustApply(t, c, Change{Adds: []flow.Flow{flow.New(0, 1, nil, flow.Why{}, flow.ToController{})}})
	s.Receive("p1", make([]byte, 60))
	next(t, h.packets)
	s.VSCtl("set-controller", "br-int", "tcp:"+c.nc.LocalAddr().String(), "tcp:"+l.Addr().String())
	c2 := accept(t, l, other, nil)

	claim(t, c2, Master, 1)
	mustApply(t, c, Change{Adds: manyFlows(1, 0)}) // an equal may go on
	claim(t, c, Master, 2)
	if r := next(t, h.roles); r != Master || c.Role() != Master {
		t.Fatalf("it has asked to be the master, and is %v", r)
	}
	claim(t, c2, Master, 3)
	if r := next(t, h.roles); r != Slave || c.Role() != Slave {
		t.Fatalf("another has become the master, and it is %v", r)
	}
	_, err = c.Apply(t.Context(), Change{Adds: manyFlows(2, 0)})
	var e *Error
	if !errors.As(err, &e) || !e.IsSlave() {
		t.Errorf("a slave's change: %v", err)
	}
	if got := cookies(t, c); len(got) != 2 {
		t.Errorf("a slave reads %d flows", len(got))
	}
	claim(t, c, Equal, 0)
	if r := next(t, h.roles); r != Equal {
		t.Errorf("it may write again, and is %v", r)
	}
	mustApply(t, c, Change{Adds: manyFlows(2, 0)})
}

func TestReconnectedSwitchStillHasItsFlows(t *testing.T) {
	s, l := ovs.Start(t), ovs.Listen(t)
	s.AddBridge("br-int")
	s.VSCtl("set-controller", "br-int", "tcp:"+l.Addr().String(), "--", "set", "controller", "br-int", "max_backoff=1000")
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Handshake(t.Context(), nc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- c.Run(ctx, newHeard()) }()
	flows := manyFlows(100, 0)
	mustApply(t, c, Change{Adds: flows})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ended with %v", err)
	}
	if _, err := c.Flows(t.Context()); err == nil {
		t.Error("flows read from a closed connection")
	}
	again := accept(t, l, newHeard(), nil)
	if got := cookies(t, again); !slices.Equal(got, cookiesOf(flows)) || again.FlowMods() != 0 {
		t.Errorf("%d flows, %d flow-mods", len(got), again.FlowMods())
	}
}

func TestSwitchWithout13IsRefused(t *testing.T) {
	s, l := ovs.Start(t), ovs.Listen(t)
	s.AddBridge("br-int")
	s.VSCtl("set", "bridge", "br-int", "protocols=OpenFlow10", "--", "set-controller", "br-int", "tcp:"+l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Handshake(t.Context(), nc, Options{}); !errors.Is(err, ErrVersion) {
		t.Errorf("handshake with a switch of 1.0: %v", err)
	}
}
