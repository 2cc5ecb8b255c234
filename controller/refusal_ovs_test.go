//go:build integration

package controller

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/ovsdb"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// memory is a Store of rows in memory, which tells its follower what is written to it.
type memory struct {
	first signalbox.Delta

	mu       sync.Mutex
	ports    map[uuid.UUID]signalbox.Port
	floating map[uuid.UUID]signalbox.Status
	news     chan signalbox.Delta
}

func newMemory(d signalbox.Delta) *memory {
	m := &memory{first: d, ports: map[uuid.UUID]signalbox.Port{}, floating: map[uuid.UUID]signalbox.Status{}, news: make(chan signalbox.Delta, 100)}
	for _, p := range d.Ports {
		m.ports[p.ID] = p
	}
	return m
}

func (m *memory) Follow(ctx context.Context, fn func(signalbox.Delta) error) error {
	if err := fn(m.first); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-m.news:
			if err := fn(d); err != nil {
				return err
			}
		}
	}
}

func (m *memory) SaveHost(_ context.Context, h signalbox.Host) (signalbox.Host, error) {
	h.ID, h.MAC = uuid.UUID{15: 1}, signalbox.MAC{0x0e, 0, 0, 0, 0, 1}
	m.news <- signalbox.Delta{Hosts: []signalbox.Host{h}}
	return h, nil
}

func (m *memory) Bind(_ context.Context, bs []signalbox.Binding) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var d signalbox.Delta
	for _, b := range bs {
		p := m.ports[b.PortID]
		p.Binding = &b
		m.ports[p.ID] = p
		d.Ports = append(d.Ports, p)
	}
	m.news <- d
	return nil
}

func (m *memory) Unbind(context.Context, []signalbox.Binding) error               { return nil }
func (m *memory) SetStatus(context.Context, map[uuid.UUID]signalbox.Status) error { return nil }

func (m *memory) SaveSessions(context.Context, map[uuid.UUID]signalbox.Session) error { return nil }

func (m *memory) SetFloatingStatus(_ context.Context, st map[uuid.UUID]signalbox.Status) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.floating, st)
	return nil
}

func (m *memory) PlaceGateways(_ context.Context, hosts map[uuid.UUID]uuid.UUID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var d signalbox.Delta
	for i := range m.first.Routers {
		r := m.first.Routers[i]
		if host, ok := hosts[r.ID]; ok && r.Gateway != nil {
			g := *r.Gateway
			g.Host, r.Gateway = host, &g
			d.Routers = append(d.Routers, r)
		}
	}
	m.news <- d
	return nil
}

func (m *memory) SaveNeighbours(_ context.Context, known []signalbox.Neighbour) error {
	for i := range known {
		known[i].ID = uuid.NewSHA1(known[i].NetworkID, known[i].Addr.AsSlice())
	}
	m.news <- signalbox.Delta{Neighbours: known}
	return nil
}

func (m *memory) DropNeighbours(_ context.Context, silent []signalbox.Neighbour) error {
	var d signalbox.Delta
	for _, n := range silent {
		d.Gone = append(d.Gone, signalbox.Ref{Kind: signalbox.KindNeighbour, ID: uuid.NewSHA1(n.NetworkID, n.Addr.AsSlice())})
	}
	m.news <- d
	return nil
}

// routedCloud is three networks in a row: blue - main - between - beyond - deep, and small beside blue,
// with an MTU of its own. Each router has address .1 on its first network and .2 on its second.
type routedCloud struct {
	delta signalbox.Delta
}

func (c *routedCloud) network(n byte, cidr string, mtu int) {
	id := uuid.UUID{0: 'n', 15: n}
	c.delta.Networks = append(c.delta.Networks, signalbox.Network{ID: id, Key: signalbox.NetworkKey(n), AdminStateUp: true, MTU: mtu,
		Segment: signalbox.Segment{Type: signalbox.Local}})
	c.delta.Subnets = append(c.delta.Subnets, signalbox.Subnet{ID: uuid.UUID{0: 's', 15: n}, NetworkID: id, CIDR: netip.MustParsePrefix(cidr)})
}

func (c *routedCloud) port(n, network byte, addr string) *signalbox.Port {
	c.delta.Ports = append(c.delta.Ports, signalbox.Port{ID: uuid.UUID{0: 'p', 1: n, 15: n}, Key: signalbox.PortKey(n), AdminStateUp: true,
		NetworkID: uuid.UUID{0: 'n', 15: network}, MAC: signalbox.MAC{0xfa, 0x16, 0x3e, 0, 0, n},
		SecurityGroups: []uuid.UUID{everything}, Zone: signalbox.Zone(100 + int(n)),
		FixedIPs: []signalbox.FixedIP{{SubnetID: uuid.UUID{0: 's', 15: network}, Addr: netip.MustParseAddr(addr)}}})
	return &c.delta.Ports[len(c.delta.Ports)-1]
}

func (c *routedCloud) end(n, router, network byte, addr string) {
	p := c.port(n, network, addr)
	p.Role, p.RouterID = signalbox.RoleRouterInterface, uuid.UUID{0: 'r', 15: router}
}

func (c *routedCloud) router(n byte, routes ...signalbox.Route) {
	c.delta.Routers = append(c.delta.Routers, signalbox.Router{ID: uuid.UUID{0: 'r', 15: n}, Key: signalbox.RouterKey(n), AdminStateUp: true, Routes: routes})
}

// everything is a security group whose ports may send and receive anything. All the cloud's are in it.
var everything = uuid.UUID{0: 'g', 15: 0xff}

func newRoutedCloud() signalbox.Delta {
	c := routedCloud{signalbox.Delta{Full: true}}
	g := signalbox.SecurityGroup{ID: everything, Key: 0xff}
	for i, d := range []signalbox.Direction{signalbox.Egress, signalbox.Ingress} {
		g.Rules = append(g.Rules, signalbox.SecurityGroupRule{ID: uuid.UUID{0: 'g', 14: 1, 15: byte(i)}, Key: signalbox.RuleKey(101 + i), GroupID: g.ID,
			Direction: d, EtherType: signalbox.IPv4, PortMin: signalbox.NoPort, PortMax: signalbox.NoPort})
	}
	c.delta.SecurityGroups = []signalbox.SecurityGroup{g}
	c.network(1, "10.0.0.0/24", 1500)
	c.network(2, "10.0.2.0/24", 1500)
	c.network(3, "10.0.3.0/24", 1500)
	c.network(4, "10.0.4.0/24", 1300)
	c.port(0x11, 1, "10.0.0.3")
	c.port(0x12, 3, "10.0.3.3")
	c.port(0x13, 4, "10.0.4.3")
	c.router(1, signalbox.Route{Destination: netip.MustParsePrefix("10.0.3.0/24"), NextHop: netip.MustParseAddr("10.0.2.2")},
		signalbox.Route{Destination: netip.MustParsePrefix("10.8.0.0/16"), NextHop: netip.MustParseAddr("10.0.2.2")})
	c.end(0x21, 1, 1, "10.0.0.1")
	c.end(0x22, 1, 2, "10.0.2.1")
	c.end(0x23, 1, 4, "10.0.4.1")
	c.router(2)
	c.end(0x31, 2, 2, "10.0.2.2")
	c.end(0x32, 2, 3, "10.0.3.1")
	return c.delta
}

// wire is a switch whose dummy interfaces are the VIFs of a controller's ports, with what came out of each.
type wire struct {
	*ovs.Switch
	t *testing.T
	c *Controller
}

// startRouted runs a controller and a switch with the ports' interfaces, and waits until they are wired.
func startRouted(t *testing.T, d signalbox.Delta) *wire {
	t.Helper()
	return startOn(t, newMemory(d))
}

// startOn is startRouted on a store. Where that knows the switch's host, each of the host's mappings has a dummy
// interface in the place of its patch port.
func startOn(t *testing.T, m *memory) *wire {
	t.Helper()
	return startThrough(t, m, func(controller string) string { return controller })
}

// startThrough is startOn where the switch is told another address than the controller's.
func startThrough(t *testing.T, m *memory, address func(controller string) string) *wire {
	t.Helper()
	d := m.first
	c := New(Config{OVSDBPort: 1, EnableSecurityGroup: true}, m, slog.New(slog.DiscardHandler))
	ls := Listeners{ovs.Listen(t), ovs.Listen(t), ovs.Listen(t)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, ls) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controller ended by itself: %v", err)
		}
	})
	w := &wire{ovs.Start(t), t, c}
	w.AddBridge("br-int")
	for _, h := range d.Hosts {
		w.VSCtl("set", "bridge", "br-int", "other-config:datapath-id="+h.DatapathID.String())
		for _, bridge := range h.Mappings {
			patch, _ := ovsdb.PatchPortNames(bridge)
			w.VSCtl("add-port", "br-int", patch, "--", "set", "interface", patch, "type=dummy", "options:tx_pcap="+w.pcap(patch))
		}
	}
	var vifs []uuid.UUID
	for _, p := range d.Ports {
		if p.Role == signalbox.RoleVIF {
			tap := signalbox.TapName(p.ID)
			w.VSCtl("add-port", "br-int", tap, "--", "set", "interface", tap, "type=dummy", "options:tx_pcap="+w.pcap(tap))
			vifs = append(vifs, p.ID)
		}
	}
	w.VSCtl("set-controller", "br-int", "tcp:"+address(ls.OpenFlow.Addr().String()))
	patience, cancelPatience := context.WithTimeout(ctx, 20*time.Second)
	defer cancelPatience()
	for _, id := range vifs {
		if r, _ := c.awaitPort(patience, id); !r.Wired {
			t.Fatalf("%s is not wired: %+v", id, r)
		}
	}
	return w
}

func (w *wire) pcap(tap string) string { return filepath.Join(w.Dir, tap+".pcap") }

// heard is the frames that have come out of an interface.
func (w *wire) heard(tap string) (frames [][]byte) {
	b, err := os.ReadFile(w.pcap(tap))
	if err != nil || len(b) < 24 {
		return nil
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.NativeEndian.Uint32(b[8:]))
		if len(b) < 16+n {
			break
		}
		frames, b = append(frames, b[16:16+n]), b[16+n:]
	}
	return frames
}

// answer is what comes out of an interface next, after a frame has come into it.
func (w *wire) answer(tap string, frame []byte) []byte {
	w.t.Helper()
	before := len(w.heard(tap))
	w.Receive(tap, frame)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if now := w.heard(tap); len(now) > before {
			return now[before]
		}
	}
	w.t.Fatalf("no answer at %s to %x", tap, frame)
	return nil
}

// packet is a frame from 10.0.0.3 to its router: an IPv4 packet for an address.
func packet(ttl, protocol byte, to string, payload ...byte) []byte {
	f := refused(protocol, payload...)
	copy(f, []byte{0xfa, 0x16, 0x3e, 0, 0, 0x21})
	copy(f[6:], []byte{0xfa, 0x16, 0x3e, 0, 0, 0x11})
	dst := netip.MustParseAddr(to).As4()
	copy(f[30:], dst[:])
	f[22], f[24], f[25] = ttl, 0, 0
	binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
	return f
}

// echo is a ping's ICMP message.
func echo(kind byte, size int) []byte {
	b := append([]byte{kind, 0, 0, 0, 0, 7, 0, 1}, bytes.Repeat([]byte{0x5a}, size)...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

// syn is the TCP segment by which 10.0.0.3 asks for a connection with an address.
func syn(to string) []byte {
	b := []byte{0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 2, 0xff, 0xff, 0, 0, 0, 0}
	dst := netip.MustParseAddr(to).As4()
	pseudo := append([]byte{10, 0, 0, 3, dst[0], dst[1], dst[2], dst[3], 0, 6, 0, byte(len(b))}, b...) // RFC 9293
	binary.BigEndian.PutUint16(b[16:], checksum(pseudo))
	return b
}

func TestRoutersSayWhyAPacketDoesNotGoOn(t *testing.T) {
	w := startRouted(t, newRoutedCloud())
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11})
	for _, tt := range []struct {
		fact       string
		frame      []byte
		from       string
		kind, code byte
		mtu        uint16
		sentTTL    byte // of the packet quoted
	}{
		{"ttl_at_the_first_router", packet(1, 17, "10.0.3.3", udp(32)...), "10.0.0.1", 11, 0, 0, 1},
		{"ttl_at_the_second_router", packet(2, 17, "10.0.3.3", udp(32)...), "10.0.2.2", 11, 0, 0, 1},
		{"no_route", packet(64, 17, "8.8.8.8", udp(32)...), "10.0.0.1", 3, 0, 0, 64},
		{"no_route_at_the_second_router", packet(64, 17, "10.8.0.1", udp(32)...), "10.0.2.2", 3, 0, 0, 63},
		{"no_such_host", packet(64, 17, "10.0.4.77", udp(32)...), "10.0.0.1", 3, 1, 0, 64},
		{"no_such_host_at_the_second_router", packet(64, 17, "10.0.3.77", udp(32)...), "10.0.2.2", 3, 1, 0, 63},
		{"too_large", packet(64, 17, "10.0.4.3", udp(1273)...), "10.0.0.1", 3, 4, 1300, 64},
		{"no_udp_service", packet(64, 17, "10.0.4.1", udp(32)...), "10.0.0.1", 3, 3, 0, 64},
		{"no_tcp_service_at_the_second_router", packet(64, 6, "10.0.3.1", syn("10.0.3.1")...), "10.0.2.2", 3, 3, 0, 63},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			out := w.answer(tap, tt.frame)
			if len(out) < 70 {
				t.Fatalf("answer %x", out)
			}
			from := netip.MustParseAddr(tt.from).As4()
			want := append([]byte{0xfa, 0x16, 0x3e, 0, 0, 0x11, 0xfa, 0x16, 0x3e, 0, 0, 0x21, 8, 0}, out[14:26]...)
			want = append(append(want, from[:]...), 10, 0, 0, 3, tt.kind, tt.code, out[36], out[37], 0, 0, byte(tt.mtu>>8), byte(tt.mtu))
			if !bytes.Equal(out[:42], want) {
				t.Errorf("answer\n%x, not\n%x", out[:42], want)
			}
			if checksum(out[14:34]) != 0 || checksum(out[34:]) != 0 {
				t.Error("its checksums do not hold")
			}
			quote := out[42:]
			if quote[8] != tt.sentTTL || checksum(quote[:20]) != 0 || !bytes.Equal(quote[12:20], tt.frame[26:34]) {
				t.Errorf("quotes %x", quote[:28])
			}
		})
	}
}

func TestRoutersAnswerPings(t *testing.T) {
	w := startRouted(t, newRoutedCloud())
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11})
	for fact, addr := range map[string]string{"own_network": "10.0.0.1", "other_network": "10.0.4.1", "second_router": "10.0.3.1"} {
		t.Run(fact, func(t *testing.T) {
			out := w.answer(tap, packet(64, 1, addr, echo(8, 40)...))
			want := packet(64, 1, addr, echo(0, 40)...)
			copy(want, senderHere[:])
			copy(want[6:], out[6:12]) // a router's
			copy(want[26:], append(append([]byte{}, want[30:34]...), want[26:30]...))
			if !bytes.Equal(out, want) || out[6] != 0xfa || checksum(out[14:34]) != 0 || checksum(out[34:]) != 0 {
				t.Errorf("answer\n%x, not\n%x", out, want)
			}
		})
	}
}

var senderHere = signalbox.MAC{0xfa, 0x16, 0x3e, 0, 0, 0x11}

func TestRoutedPacketsArriveWhole(t *testing.T) {
	w := startRouted(t, newRoutedCloud())
	in := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11})
	for _, tt := range []struct {
		to   string
		port byte
		by   byte // the last byte of the router's MAC
		ttl  byte
	}{{"10.0.4.3", 0x13, 0x23, 63}, {"10.0.3.3", 0x12, 0x32, 62}} {
		out := signalbox.TapName(uuid.UUID{0: 'p', 1: tt.port, 15: tt.port})
		w.Receive(in, packet(64, 17, tt.to, udp(1272)...))
		want := packet(tt.ttl, 17, tt.to, udp(1272)...)
		want[5], want[11] = tt.port, tt.by
		var got [][]byte
		for deadline := time.Now().Add(10 * time.Second); len(got) == 0 && time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			got = w.heard(out)
		}
		if len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Errorf("to %s came %x, not %x", tt.to, got, want)
		}
	}
}
