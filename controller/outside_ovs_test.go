//go:build integration

package controller

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/ovsdb"
)

var (
	floating1  = uuid.UUID{0: 'f', 15: 1}
	outerMAC   = signalbox.MAC{0x02, 0, 0, 0, 0, 0x50} // of 203.0.113.50
	gatewayMAC = signalbox.MAC{0xfa, 0x16, 0x3e, 0, 0, 0x41}
	floatMAC   = signalbox.MAC{0xfa, 0x16, 0x3e, 0, 0, 0x42}
	patch, _   = ovsdb.PatchPortNames("br-ex")
)

// newOutside is the routed cloud with an external network 203.0.113.0/24 behind router 1: gateway .2, and .10 stands
// for 10.0.4.3, which has 10.0.4.4 beside it.
func newOutside() signalbox.Delta {
	c := routedCloud{newRoutedCloud()}
	c.port(0x14, 4, "10.0.4.4")
	c.network(5, "203.0.113.0/24", 1500)
	n := &c.delta.Networks[len(c.delta.Networks)-1]
	n.External, n.Segment = true, signalbox.Segment{Type: signalbox.VLAN, Physical: "ext", ID: 77}
	c.delta.Subnets[len(c.delta.Subnets)-1].GatewayIP = netip.MustParseAddr("203.0.113.1")
	gw := c.port(0x41, 5, "203.0.113.2")
	gw.Role, gw.RouterID = signalbox.RoleRouterGateway, uuid.UUID{0: 'r', 15: 1}
	for i := range c.delta.Routers {
		if r := &c.delta.Routers[i]; r.Key == 1 {
			r.Gateway = &signalbox.Gateway{PortID: gw.ID, NetworkID: n.ID, FixedIPs: gw.FixedIPs, EnableSNAT: true, Zone: 5}
		}
	}
	own := c.port(0x42, 5, "203.0.113.10")
	own.Role = signalbox.RoleFloatingIP
	c.delta.FloatingIPs = []signalbox.FloatingIP{{ID: floating1, NetworkID: n.ID, OwnPortID: own.ID, Addr: own.FixedIPs[0].Addr, MAC: own.MAC,
		PortID: uuid.UUID{0: 'p', 1: 0x13, 15: 0x13}, FixedAddr: netip.MustParseAddr("10.0.4.3"), RouterID: uuid.UUID{0: 'r', 15: 1}}}
	c.delta.Hosts = []signalbox.Host{{ID: uuid.UUID{15: 1}, DatapathID: 1, Name: "one", Mappings: map[string]string{"ext": "br-ex"}, MAC: signalbox.MAC{0x0e, 0, 0, 0, 0, 1}}}
	return c.delta
}

// await waits for a condition.
func (w *wire) await(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not in time", what)
		}
	}
}

// out is what has come out towards the outside, without its tag, of a kind.
func (w *wire) out(kind func(frame []byte) bool) (frames [][]byte) {
	for _, f := range w.heard(patch) {
		if len(f) < 18 || f[12] != 0x81 || binary.BigEndian.Uint16(f[14:])&0xfff != 77 {
			w.t.Fatalf("outside without its tag: %x", f)
		}
		if f = append(bytes.Clone(f[:12]), f[16:]...); kind(f) {
			frames = append(frames, f)
		}
	}
	return frames
}

func asksFor(last byte) func([]byte) bool {
	return func(f []byte) bool { return f[13] == 6 && f[21] == arpAsks && f[41] == last && f[31] != last }
}

func announces(last byte) func([]byte) bool {
	return func(f []byte) bool { return f[13] == 6 && f[21] == arpAsks && f[41] == last && f[31] == last }
}

func ipv4Frames(protocol byte) func([]byte) bool {
	return func(f []byte) bool { return f[13] == 0 && f[23] == protocol }
}

// in lets a frame come in from outside.
func (w *wire) in(frame []byte) {
	w.t.Helper()
	tagged := append(bytes.Clone(frame[:12]), 0x81, 0, 0, 77)
	w.Receive(patch, append(tagged, frame[12:]...))
}

// outer is an IPv4 packet from 203.0.113.50 to one of our addresses.
func outer(to signalbox.MAC, last, ttl, protocol byte, payload ...byte) []byte {
	f := packet(ttl, protocol, "203.0.113.2", payload...)
	copy(f, to[:])
	copy(f[6:], outerMAC[:])
	copy(f[26:], []byte{203, 0, 113, 50, 203, 0, 113, last})
	f[24], f[25] = 0, 0
	binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
	return f
}

func startOutside(t *testing.T) (*wire, *memory) {
	m := newMemory(newOutside())
	w := startOn(t, m)
	w.await("the floating IP is wired", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.floating[floating1] == signalbox.Active
	})
	w.await("the gateway is wired", func() bool {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		r, _ := w.c.loop.reportRouter(uuid.UUID{0: 'r', 15: 1})
		return r.Wired
	})
	return w, m
}

// udp is a UDP payload with ports of its own.
func udp(size int) []byte {
	return append([]byte{0x30, 0x39, 0x00, 0x07, byte((size + 8) >> 8), byte(size + 8), 0, 0}, make([]byte, size)...)
}

func TestANeighbourOutsideIsAskedForOnceAndThePacketGoesOn(t *testing.T) {
	w, _ := startOutside(t)
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11})
	w.Receive(tap, packet(64, 17, "203.0.113.50", udp(32)...))
	w.await("a question", func() bool { return len(w.out(asksFor(50))) == 1 })
	ask := w.out(asksFor(50))[0]
	if !bytes.Equal(ask[6:12], gatewayMAC[:]) || !bytes.Equal(ask[28:32], []byte{203, 0, 113, 2}) || ask[0] != 0xff {
		t.Errorf("asks %x", ask)
	}
	answer := arpRequest(gatewayMAC, outerMAC, [4]byte{203, 0, 113, 50}, [4]byte{203, 0, 113, 2})
	answer[21] = arpAnswers
	copy(answer[32:], gatewayMAC[:])
	stranger := bytes.Clone(answer)
	stranger[31] = 51 // whom nobody asked for
	w.in(stranger)
	w.in(answer)
	w.await("the packet that waited", func() bool { return len(w.out(ipv4Frames(17))) == 1 })
	got := w.out(ipv4Frames(17))[0]
	if !bytes.Equal(got[:6], outerMAC[:]) || !bytes.Equal(got[6:12], gatewayMAC[:]) || got[22] != 63 ||
		!bytes.Equal(got[26:34], []byte{203, 0, 113, 2, 203, 0, 113, 50}) || checksum(got[14:34]) != 0 {
		t.Errorf("goes on as %x", got[:42])
	}
	w.await("the neighbour's row", func() bool {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		return w.c.loop.compiler.Facts.Neighbour(uuid.UUID{0: 'n', 15: 5}, netip.MustParseAddr("203.0.113.50")) != nil
	})
	w.Receive(tap, packet(64, 17, "203.0.113.50", udp(32)...))
	w.Receive(signalbox.TapName(uuid.UUID{0: 'p', 1: 0x13, 15: 0x13}), beside(3, "203.0.113.50"))
	w.await("further packets", func() bool { return len(w.out(ipv4Frames(17))) == 3 })
	if !slices.ContainsFunc(w.out(ipv4Frames(17)), func(f []byte) bool { return bytes.Equal(f[6:12], floatMAC[:]) && f[29] == 10 }) {
		t.Error("nothing goes from the floating IP") // the two ports may overtake each other
	}
	if n := len(w.out(asksFor(50))); n != 1 {
		t.Errorf("%d questions", n)
	}
	w.c.mu.RLock()
	if w.c.loop.compiler.Facts.Neighbour(uuid.UUID{0: 'n', 15: 5}, netip.MustParseAddr("203.0.113.51")) != nil {
		t.Error("believes an answer that nobody asked for")
	}
	w.c.mu.RUnlock()
}

// beside is a packet of a port of the small network: of 10.0.4.3, for which a floating IP stands, or of 10.0.4.4.
func beside(last byte, to string) []byte {
	f := packet(64, 17, to, udp(32)...)
	copy(f, []byte{0xfa, 0x16, 0x3e, 0, 0, 0x23})
	f[11] = 0x10 + last
	copy(f[26:], []byte{10, 0, 4, last})
	f[24], f[25] = 0, 0
	binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
	return f
}

func TestASenderIsToldThatItsNextHopOutsideDoesNotAnswer(t *testing.T) {
	w, _ := startOutside(t)
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11})
	sent := packet(64, 17, "203.0.113.77", udp(32)...)
	began := time.Now()
	out := w.answer(tap, sent)
	if took := time.Since(began); took < askFor-beat || took > askFor+2*time.Second {
		t.Errorf("after %v", took)
	}
	if n := len(w.out(asksFor(77))); n != 3 {
		t.Errorf("%d questions", n)
	}
	quote := out[42:]
	if !bytes.Equal(out[26:36], []byte{10, 0, 0, 1, 10, 0, 0, 3, icmpUnreachable, codeHost}) ||
		!bytes.Equal(quote[12:24], sent[26:38]) || checksum(out[14:34]) != 0 || checksum(out[34:]) != 0 {
		t.Errorf("is told %x", out)
	}
	// The floating IP's VM likewise, back through its own translation.
	tap = signalbox.TapName(uuid.UUID{0: 'p', 1: 0x13, 15: 0x13})
	out = w.answer(tap, beside(3, "203.0.113.78"))
	if !bytes.Equal(out[26:36], []byte{10, 0, 4, 1, 10, 0, 4, 3, icmpUnreachable, codeHost}) || !bytes.Equal(out[54:62], []byte{10, 0, 4, 3, 203, 0, 113, 78}) {
		t.Errorf("is told %x", out)
	}
}

// The gateway's address says so, and the MAC that the packet was sent to: the gateway's own may be at another host.
func TestTheOutsideIsToldWhyAPacketDoesNotGoIn(t *testing.T) {
	w, _ := startOutside(t)
	w.Receive(signalbox.TapName(uuid.UUID{0: 'p', 1: 0x14, 15: 0x14}), beside(4, "203.0.113.50"))
	w.await("a connection of who has no floating IP", func() bool { return len(w.out(asksFor(50))) > 0 })
	answer := outer(gatewayMAC, 2, 64, 17, udp(1400)...)
	answer[34], answer[35], answer[36], answer[37] = 0x00, 0x07, 0x30, 0x39
	for _, tt := range []struct {
		fact       string
		frame      []byte
		door       signalbox.MAC
		kind, code byte
		mtu        uint16
	}{
		{"ttl", outer(floatMAC, 10, 1, 17, udp(32)...), floatMAC, icmpTimeExceeded, 0, 0},
		{"too_large", outer(floatMAC, 10, 64, 17, udp(1400)...), floatMAC, icmpUnreachable, codeFragmentNeeded, 1300},
		{"ttl_at_the_gateway", outer(gatewayMAC, 2, 1, 17, udp(32)...), gatewayMAC, icmpTimeExceeded, 0, 0},
		{"answer_that_is_too_large", answer, gatewayMAC, icmpUnreachable, codeFragmentNeeded, 1300},
		{"ttl_for_an_address_that_is_not_there", outer(floatMAC, 77, 1, 17, udp(32)...), floatMAC, icmpTimeExceeded, 0, 0},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			before := len(w.out(ipv4Frames(1)))
			w.in(tt.frame)
			w.await("an error", func() bool { return len(w.out(ipv4Frames(1))) > before })
			out := w.out(ipv4Frames(1))[before]
			if !bytes.Equal(out[:12], slices.Concat(outerMAC[:], tt.door[:])) ||
				!bytes.Equal(out[26:36], []byte{203, 0, 113, 2, 203, 0, 113, 50, tt.kind, tt.code}) || binary.BigEndian.Uint16(out[40:]) != tt.mtu {
				t.Errorf("is told %x", out[:42])
			}
			if quote := out[42:]; !bytes.Equal(quote[12:24], tt.frame[26:38]) {
				t.Errorf("quotes %x", quote[:28])
			}
		})
	}
}

// Also inside, who goes out and comes in again meets the router outside: here both are the gateway, and conntrack finds the
// way back.
func TestAGuestIsToldWhyAPacketDoesNotComeInAgain(t *testing.T) {
	w, _ := startOutside(t)
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11})
	for _, tt := range []struct {
		fact       string
		frame      []byte
		from       []byte
		kind, code byte
		mtu        uint16
	}{
		{"ttl_inside", packet(1, 17, "203.0.113.10", udp(32)...), []byte{10, 0, 0, 1}, icmpTimeExceeded, 0, 0},
		{"ttl_outside", packet(2, 17, "203.0.113.10", udp(32)...), []byte{203, 0, 113, 2}, icmpTimeExceeded, 0, 0},
		{"too_large", packet(64, 17, "203.0.113.10", udp(1400)...), []byte{203, 0, 113, 2}, icmpUnreachable, codeFragmentNeeded, 1300},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			out := w.answer(tap, tt.frame)
			if !bytes.Equal(out[26:36], slices.Concat(tt.from, []byte{10, 0, 0, 3, tt.kind, tt.code})) || binary.BigEndian.Uint16(out[40:]) != tt.mtu {
				t.Errorf("is told %x", out[:42])
			}
			if quote := out[42:]; !bytes.Equal(quote[12:24], tt.frame[26:38]) || checksum(out[14:34]) != 0 || checksum(out[34:]) != 0 {
				t.Errorf("quotes %x", quote[:28])
			}
		})
	}
}

func TestWhatIsNewOutsideIsAnnouncedAndWhatEndsIsFlushed(t *testing.T) {
	w, m := startOutside(t)
	// Neither was translated anywhere before this controller began: both are news.
	w.await("two announcements, each said twice", func() bool { return len(w.out(announces(2))) >= 2 && len(w.out(announces(10))) >= 2 })
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x13, 15: 0x13})
	w.in(outer(floatMAC, 10, 64, 17, udp(32)...))
	w.await("a packet inside", func() bool { return len(w.heard(tap)) > 0 })
	connections := func() int {
		return strings.Count(w.AppCtl("dpctl/dump-conntrack", "dummy@ovs-dummy", "zone=5"), "203.0.113.10")
	}
	if connections() == 0 {
		t.Fatal("no connection")
	}
	ended := m.first.FloatingIPs[0]
	ended.PortID, ended.FixedAddr, ended.RouterID = uuid.Nil, netip.Addr{}, uuid.Nil
	m.news <- signalbox.Delta{FloatingIPs: []signalbox.FloatingIP{ended}}
	w.await("the connection's end", func() bool { return connections() == 0 })
	w.await("its status", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.floating[floating1] == signalbox.Down
	})
	if n := len(w.out(announces(10))); n > 4 {
		t.Errorf("%d announcements of the floating IP", n)
	}
}
