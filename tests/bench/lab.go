package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// lab is a small data centre of tests/testbed, for figures that need real packets: two hosts, both on the external
// network, their VMs, and a machine outside.
type lab struct {
	*stage
	bed    *testbed.Lab
	box    *testbed.Signalbox
	hosts  []*testbed.Host
	public testbed.Network
	peer   *testbed.VM // outside
}

var (
	publicBlock = netip.MustParsePrefix("203.0.113.0/24")
	peerAddr    = netip.MustParseAddr("203.0.113.250")
)

func newLab(s *stage) *lab {
	bed, err := testbed.NewLab(s.ctx, testbed.Options{
		Name:    fmt.Sprintf("bench%d", os.Getpid()),
		OnDeath: func(h *testbed.Host, obituary string) { s.Errorf("Open vSwitch of %s died: %s", h.Name, obituary) },
	})
	s.must(err)
	s.Cleanup(func() {
		if err := bed.Close(); err != nil {
			s.Error(err)
		}
	})
	l := &lab{stage: s, bed: bed}
	l.box, err = bed.StartSignalbox(s.ctx, s.binary, testbed.DefaultSettings())
	s.must(err)
	for i := range 2 {
		h, err := bed.AddHost(s.ctx, fmt.Sprintf("h%d", i+1))
		s.must(err)
		s.must(h.ConnectExternal(s.ctx))
		s.must(h.Join(s.ctx, testbed.ManagerDials))
		l.hosts = append(l.hosts, h)
	}
	s.must(l.box.AwaitInSync(s.ctx, patience, l.hosts...))
	l.public, err = l.box.API.CreateNetwork(s.ctx, testbed.Network{Type: string(signalbox.Flat), Physical: testbed.ExternalNetwork, External: true})
	s.must(err)
	l.subnet(l.public, publicBlock)
	_, err = l.box.API.Invite(s.ctx, "icmp", "tcp", "udp")
	s.must(err)
	l.peer, err = bed.NewOutsider(s.ctx, "peer", signalbox.MustMAC("02:00:00:00:00:fa"), netip.PrefixFrom(peerAddr, publicBlock.Bits()))
	s.must(err)
	return l
}

// segment is a network with the subnet by which a router joins it.
type segment struct {
	testbed.Network
	block   netip.Prefix
	gateway netip.Addr
}

func (l *lab) subnet(n testbed.Network, block netip.Prefix) testbed.Subnet {
	made, err := l.box.API.CreateSubnet(l.ctx, testbed.Subnet{NetworkID: n.ID, IPVersion: 4, CIDR: block.String()})
	l.must(err)
	return made
}

// joined are networks of one type that one router joins, with a way out.
func (l *lab) joined(kind signalbox.NetworkType, blocks ...string) []segment {
	r, err := l.box.API.CreateRouter(l.ctx, testbed.Router{})
	l.must(err)
	_, err = l.box.API.SetGateway(l.ctx, r.ID, testbed.Gateway{NetworkID: l.public.ID})
	l.must(err)
	segments := make([]segment, len(blocks))
	for i, block := range blocks {
		wanted := testbed.Network{Type: string(kind)}
		if kind.OnPhysical() {
			wanted.Physical = testbed.PhysicalNetwork
		}
		n, err := l.box.API.CreateNetwork(l.ctx, wanted)
		l.must(err)
		segments[i] = segment{Network: n, block: netip.MustParsePrefix(block)}
		sub := l.subnet(n, segments[i].block)
		segments[i].gateway = netip.MustParseAddr(sub.GatewayIP)
		_, err = l.box.API.AddInterface(l.ctx, r.ID, testbed.Interface{SubnetID: sub.ID})
		l.must(err)
	}
	return segments
}

// guest is a VM with its port.
type guest struct {
	*testbed.VM
	port testbed.Port
	ip   netip.Addr
}

// guest boots a VM on a host, with its address and, where there is one, its default router.
func (l *lab) guest(n segment, h *testbed.Host) *guest { return l.guestAs(n, h, testbed.Port{}) }

func (l *lab) guestAs(n segment, h *testbed.Host, wanted testbed.Port) *guest {
	wanted.NetworkID = n.ID
	made, err := l.box.API.CreatePort(l.ctx, wanted)
	l.must(err)
	g := &guest{port: made, ip: netip.MustParseAddr(made.FixedIPs[0].Addr)}
	g.VM, err = l.bed.NewVM(l.ctx, fmt.Sprintf("vm%d", len(l.bed.VMs())), signalbox.MustMAC(made.MAC))
	l.must(err)
	l.must(g.Plug(l.ctx, h, testbed.Plug{Interface: "vif" + made.ID[:8], IfaceID: made.ID}))
	l.must(g.Configure(l.ctx, netip.PrefixFrom(g.ip, n.block.Bits()), n.MTU))
	if n.gateway.IsValid() {
		l.must(g.Route(l.ctx, "default", n.gateway))
	}
	return g
}

// float gives a guest a floating IP.
func (l *lab) float(g *guest) netip.Addr {
	f, err := l.box.API.CreateFloatingIP(l.ctx, testbed.FloatingIP{NetworkID: l.public.ID, PortID: g.port.ID})
	l.must(err)
	return netip.MustParseAddr(f.Addr)
}

// pin makes what a machine knows of its neighbours permanent, so that no ARP falls into what is measured.
func (l *lab) pin(m *testbed.VM) {
	known, err := m.NS.Run(l.ctx, "ip", "-4", "neighbour", "show", "dev", "eth0")
	l.must(err)
	for line := range strings.Lines(known) {
		if words := strings.Fields(line); len(words) > 2 && words[1] == "lladdr" {
			_, err := m.NS.Run(l.ctx, "ip", "neighbour", "replace", words[0], "lladdr", words[2], "dev", "eth0", "nud", "permanent")
			l.must(err)
		}
	}
}
