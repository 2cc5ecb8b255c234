//go:build integration

package tests

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// newOutsideWorld is a world whose first two hosts are on an external network too. The third is not.
func newOutsideWorld(t *testing.T) *world {
	t.Helper()
	return newOutsideWorldAs(t, testbed.DefaultSettings())
}

func newOutsideWorldAs(t *testing.T, settings testbed.Settings) *world {
	t.Helper()
	w := newWorldAs(t, settings)
	for _, h := range []*testbed.Host{w.h1, w.h2} {
		if err := h.ConnectExternal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// internet is an external network, and who is there: its gateway, a peer on it, and a machine behind the gateway, on a
// link that takes less than the network.
type internet struct {
	*network
	gateway, peer, far *testbed.VM
}

var (
	gatewayAddr = netip.MustParseAddr("192.168.0.1")
	peerAddr    = netip.MustParseAddr("192.168.0.250")
	behindAddr  = netip.MustParseAddr("203.0.113.1") // the gateway's, behind it
	farAddr     = netip.MustParseAddr("203.0.113.9")
	inside      = netip.MustParsePrefix("10.0.0.0/8") // all that tenants have
)

// linkMTU is of the link behind the gateway outside.
const linkMTU = 1300

// internet makes a flat external network with its machines.
func (s *script) internet() *internet {
	s.Helper()
	o := &internet{network: s.external(testbed.Network{Type: string(signalbox.Flat)})}
	o.gateway = s.machine(s.lab.NewOutsider(s.ctx, "gateway", outsiderMAC(1), netip.PrefixFrom(gatewayAddr, 24)))
	o.peer = s.machine(s.lab.NewOutsider(s.ctx, "peer", outsiderMAC(2), netip.PrefixFrom(peerAddr, 24)))
	s.behind(o)
	return o
}

// taggedInternet makes an external network that is a VLAN of the physical one.
func (s *script) taggedInternet() *internet {
	s.Helper()
	const vlan = 77
	o := &internet{network: s.external(testbed.Network{Type: string(signalbox.VLAN), Segmentation: vlan})}
	if s.access == nil {
		access, err := s.lab.AddHost(s.ctx, "access")
		s.must(err)
		s.must(access.ConnectExternal(s.ctx))
		s.access = access
	}
	o.gateway = s.machine(s.lab.NewTagged(s.ctx, s.access, vlan, "gateway", outsiderMAC(1), netip.PrefixFrom(gatewayAddr, 24)))
	o.peer = s.machine(s.lab.NewTagged(s.ctx, s.access, vlan, "peer", outsiderMAC(2), netip.PrefixFrom(peerAddr, 24)))
	s.behind(o)
	return o
}

func (s *script) behind(o *internet) {
	s.Helper()
	o.far = s.machine(s.lab.NewBehind(s.ctx, "far", o.gateway, outsiderMAC(9), netip.PrefixFrom(farAddr, 24), linkMTU))
	s.must(o.peer.Route(s.ctx, "default", gatewayAddr))
}

func outsiderMAC(n byte) signalbox.MAC { return signalbox.MAC{2, 0, 0, 0, 0, n} }

func (s *script) machine(m *testbed.VM, err error) *testbed.VM {
	s.Helper()
	s.must(err)
	s.machines = append(s.machines, m)
	return m
}

// external makes the external network 192.168.0.0/24 as Quantum's presentation has it.
func (s *script) external(wanted testbed.Network) *network {
	s.Helper()
	wanted.Name, wanted.External, wanted.Physical = "net-ext", true, testbed.ExternalNetwork
	made, err := s.box.API.CreateNetwork(s.ctx, wanted)
	s.must(err)
	n := &network{Network: made}
	s.nets = append(s.nets, n)
	off := false
	n.Subnet, err = s.box.API.CreateSubnet(s.ctx, testbed.Subnet{
		NetworkID: made.ID, IPVersion: 4, CIDR: "192.168.0.0/24", GatewayIP: gatewayAddr.String(), EnableDHCP: &off,
	})
	s.must(err)
	return n
}

// gateway gives a router its way out, and tells its address there.
func (s *script) gateway(r *router, o *internet) netip.Addr {
	s.Helper()
	return s.gatewayAs(r, testbed.Gateway{NetworkID: o.ID})
}

func (s *script) gatewayAs(r *router, wanted testbed.Gateway) netip.Addr {
	s.Helper()
	got, err := s.box.API.SetGateway(s.ctx, r.ID, wanted)
	s.must(err)
	if got.Gateway == nil || len(got.Gateway.FixedIPs) != 1 {
		s.Fatalf("the gateway is %+v", got.Gateway)
	}
	return netip.MustParseAddr(got.Gateway.FixedIPs[0].Addr)
}

// float makes a floating IP that stands for a guest.
func (s *script) float(o *internet, g *guest) (testbed.FloatingIP, netip.Addr) {
	s.Helper()
	return s.floatAs(testbed.FloatingIP{NetworkID: o.ID, PortID: g.Port.ID})
}

func (s *script) floatAs(wanted testbed.FloatingIP) (testbed.FloatingIP, netip.Addr) {
	s.Helper()
	f, err := s.box.API.CreateFloatingIP(s.ctx, wanted)
	s.must(err)
	s.floating = append(s.floating, f)
	return f, netip.MustParseAddr(f.Addr)
}

// echoAt waits for the first ping that a wire hears: pings may be answered before it has.
func (s *script) echoAt(w *testbed.Wire) []byte {
	s.Helper()
	echo, err := w.Hear(s.ctx, patience, "a ping", isEchoRequest)
	s.must(err)
	return echo
}

// unreached fails when an address answers a machine's pings.
func (s *script) unreached(from *testbed.VM, to netip.Addr) {
	s.Helper()
	r, err := from.Ping(s.ctx, to, testbed.PingOptions{Count: 2})
	s.must(err)
	if r.Received != 0 {
		s.Errorf("%s reaches %s", from.Name, to)
	}
}

// sends sends bytes by TCP to a server under one of its addresses, there and back.
func (s *script) sends(from, server *testbed.VM, to netip.Addr, size int64) {
	s.Helper()
	stream := s.stream(from, server, to)
	s.flows(stream, fmt.Sprintf("from %s to %s", from.Name, to), size)
	s.must(stream.Stop())
}

// stream starts a TCP connection to a server under one of its addresses.
func (s *script) stream(from, server *testbed.VM, to netip.Addr) *testbed.Stream {
	s.Helper()
	s.counter++
	port := 5000 + s.counter
	s.must(server.Serve(s.ctx, port))
	stream, err := from.StartStream(s.ctx, to, port)
	s.must(err)
	return stream
}

// flows waits until so many more bytes have gone there and back.
func (s *script) flows(stream *testbed.Stream, what string, size int64) {
	s.Helper()
	before := stream.Bytes()
	s.must(testbed.Await(s.ctx, patience, fmt.Sprintf("%d bytes %s and back", size, what), func() error {
		if n := stream.Bytes() - before; n < size {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	}))
}

// dies waits until a stream stands still, and tells how long after since it moved last.
func (s *script) dies(stream *testbed.Stream, since time.Time) time.Duration {
	s.Helper()
	last, moved := stream.Bytes(), since
	s.must(testbed.Await(s.ctx, patience, "a connection dies", func() error {
		if n := stream.Bytes(); n != last {
			last, moved = n, time.Now()
		}
		if time.Since(moved) < time.Second {
			return errors.New("it moves")
		}
		return nil
	}))
	return moved.Sub(since)
}

// wires are what hosts send to the external network, by host.
type wires map[*testbed.Host]*testbed.Wire

// listenOutside hears what the hosts that are on the external network send there.
func (s *script) listenOutside(hosts ...*testbed.Host) wires {
	s.Helper()
	all := wires{}
	for _, h := range hosts {
		all[h] = s.wire(h.TapExternal())
	}
	return all
}

// count is how many frames of all hosts satisfy want.
func (w wires) count(want func([]byte) bool) (n int) {
	for _, wire := range w {
		n += wire.Count(want)
	}
	return n
}

// from is the hosts that have sent frames that satisfy want.
func (w wires) from(want func([]byte) bool) (hosts []*testbed.Host) {
	for h, wire := range w {
		if wire.Count(want) > 0 {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// isPublic fails when hosts have sent anything outside in the name of an address that tenants have, or from the MAC of
// a router's inside; and when a MAC has come from two hosts.
func (s *script) isPublic(w wires, routers ...*router) {
	s.Helper()
	for h, wire := range w {
		if f := wire.First(isFromBlock(inside)); f != nil {
			s.Errorf("%s sent outside: %v", h.Name, packet(f))
		}
		for _, r := range routers {
			for _, end := range r.ends {
				if f := wire.First(hasSource(signalbox.MustMAC(end.MAC))); f != nil {
					s.Errorf("%s sent outside by the router's inner MAC: %v", h.Name, packet(f))
				}
			}
		}
	}
	s.isCalm(w)
}

// isCalm fails when a MAC has come from two hosts: switches outside would see it move.
func (s *script) isCalm(w wires) {
	s.Helper()
	home := map[signalbox.MAC]*testbed.Host{}
	for h, wire := range w {
		for mac := range sources(wire) {
			if other := home[mac]; other != nil {
				s.Errorf("%s comes from %s and from %s", mac, other.Name, h.Name)
			}
			home[mac] = h
		}
	}
}

// gatewayHost waits until a router's gateway is wired at a host.
func (s *script) gatewayHost(r *router) *testbed.Host {
	s.Helper()
	var at *testbed.Host
	s.must(testbed.Await(s.ctx, patience, "the gateway is wired", func() error {
		state, err := s.box.Admin.Router(s.ctx, r.ID)
		if err != nil || !state.Wired {
			return fmt.Errorf("%+v, %w", state, err)
		}
		at = s.hostNamed(state.GatewayHost)
		return nil
	}))
	return at
}

// translator waits until a floating IP is wired at a host.
func (s *script) translator(f testbed.FloatingIP) *testbed.Host {
	s.Helper()
	var at *testbed.Host
	s.must(testbed.Await(s.ctx, patience, "the floating IP is wired", func() error {
		now, err := s.box.API.FloatingIP(s.ctx, f.ID)
		if err != nil {
			return err
		}
		state, err := s.box.Admin.Router(s.ctx, now.RouterID)
		for _, ip := range state.FloatingIPs {
			if ip.ID == f.ID && ip.Wired {
				at = s.hostNamed(ip.Host)
				return nil
			}
		}
		return fmt.Errorf("%+v, %w", state, err)
	}))
	return at
}

func (s *script) hostNamed(name string) *testbed.Host {
	s.Helper()
	for _, h := range s.lab.Hosts() {
		if h.Name == name {
			return h
		}
	}
	s.Fatalf("no host is called %q", name)
	return nil
}

// other is the one of the two hosts on the external network that h is not.
func (s *script) other(h *testbed.Host) *testbed.Host {
	if h == s.h1 {
		return s.h2
	}
	return s.h1
}

// Predicates on frames.

func isFrom(addr netip.Addr) func([]byte) bool {
	return isFromBlock(netip.PrefixFrom(addr, addr.BitLen()))
}

// isFromBlock asks for what IPv4 and ARP say in the name of an address of a block.
func isFromBlock(block netip.Prefix) func([]byte) bool {
	return func(f []byte) bool {
		at := 0
		switch {
		case len(f) >= 34 && bytes.Equal(f[12:14], []byte{8, 0}):
			at = 14 + 12
		case len(f) >= 42 && bytes.Equal(f[12:14], []byte{8, 6}):
			at = 14 + 14
		default:
			return false
		}
		return block.Contains(netip.AddrFrom4([4]byte(f[at : at+4])))
	}
}

func hasSource(mac signalbox.MAC) func([]byte) bool {
	return func(f []byte) bool { return signalbox.MAC(f[6:12]) == mac }
}

// isARP asks for ARP packets of an operation whose sender has an address.
func isARP(operation uint16, sender netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		a, ok := packet(f).Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && a.Operation == operation && netip.AddrFrom4([4]byte(a.SourceProtAddress)) == sender
	}
}

// isGratuitous asks for announcements of an address (RFC 5227).
func isGratuitous(addr netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		a, ok := packet(f).Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && bytes.Equal(a.SourceProtAddress, a.DstProtAddress) && netip.AddrFrom4([4]byte(a.SourceProtAddress)) == addr
	}
}

// neighbour is the MAC that a machine's kernel has for an address.
func (s *script) neighbour(m *testbed.VM, addr netip.Addr) string {
	s.Helper()
	out, err := m.NS.Run(s.ctx, "ip", "neighbour", "show", addr.String())
	s.must(err)
	fields := strings.Fields(out)
	for i, f := range fields {
		if f == "lladdr" && i+1 < len(fields) {
			return fields[i+1]
		}
	}
	return ""
}
