package flowpipeline

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// estate is a cloud of hosts and networks: every network has ports dealt out over all hosts.
type estate struct {
	delta    signalbox.Delta
	hosts    []uuid.UUID
	switches map[uuid.UUID]*Switch
}

func newEstate(hosts, networks, portsPerNetwork int) *estate {
	e := &estate{delta: signalbox.Delta{Full: true}, switches: map[uuid.UUID]*Switch{}}
	for h := range hosts {
		host := signalbox.Host{ID: id("host", h), TunnelIP: netip.AddrFrom4([4]byte{192, 0, 2, byte(h + 1)})}
		e.hosts = append(e.hosts, host.ID)
		e.delta.Hosts = append(e.delta.Hosts, host)
		e.switches[host.ID] = &Switch{map[signalbox.NetworkType]uint32{signalbox.VXLAN: 60000}, nil, map[string]Interface{}}
	}
	for n := range networks {
		network := signalbox.Network{ID: id("network", n), Key: signalbox.NetworkKey(n + 1), AdminStateUp: true,
			Segment: signalbox.Segment{Type: signalbox.VXLAN, ID: uint32(n + 1)}}
		subnet := signalbox.Subnet{ID: id("subnet", n), NetworkID: network.ID, CIDR: netip.MustParsePrefix("10.0.0.0/8"), EnableDHCP: true}
		e.delta.Networks = append(e.delta.Networks, network)
		e.delta.Subnets = append(e.delta.Subnets, subnet)
		for i := range portsPerNetwork {
			e.delta.Ports = append(e.delta.Ports, e.port(n, i, n*portsPerNetwork+i))
		}
	}
	return e
}

// port is a port of a network, plugged into the host whose turn it is.
func (e *estate) port(network, i, n int) signalbox.Port {
	host, tap := e.hosts[n%len(e.hosts)], fmt.Sprint("tap", n)
	e.switches[host].Interfaces[tap] = Interface{Name: tap, OFPort: uint32(n/len(e.hosts) + 1)}
	return signalbox.Port{ID: id("port", n), Key: signalbox.PortKey(n + 1), NetworkID: id("network", network), AdminStateUp: true,
		MAC:      signalbox.MAC{0xfa, 0x16, 0x3e, byte(n >> 16), byte(n >> 8), byte(n)},
		FixedIPs: []signalbox.FixedIP{{SubnetID: id("subnet", network), Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}},
		Binding:  &signalbox.Binding{PortID: id("port", n), HostID: host, Interface: tap}}
}

func (e *estate) compile(hosts ...uuid.UUID) *Compiler {
	c := NewCompiler()
	c.Facts.Apply(&e.delta)
	for host, s := range e.switches {
		c.Facts.SetSwitch(host, s)
	}
	for _, host := range hosts {
		c.AddHost(host)
	}
	c.Step()
	return c
}

// route joins the networks by routers of so many interfaces each, which have .255.1 of the blocks that the
// networks then get.
func (e *estate) route(interfaces int) *estate {
	for n := range e.delta.Networks {
		e.delta.Subnets[n].CIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n % interfaces)}), 16)
		router := id("router", n/interfaces)
		if n%interfaces == 0 {
			e.delta.Routers = append(e.delta.Routers, signalbox.Router{ID: router, Key: signalbox.RouterKey(len(e.delta.Routers) + 1), AdminStateUp: true})
		}
		no := 1<<20 + n
		e.delta.Ports = append(e.delta.Ports, signalbox.Port{ID: id("port", no), Key: signalbox.PortKey(no), NetworkID: id("network", n), AdminStateUp: true,
			MAC: signalbox.MAC{0xfa, 0x16, 0x3f, 0, byte(n >> 8), byte(n)}, Role: signalbox.RoleRouterInterface, RouterID: router,
			FixedIPs: []signalbox.FixedIP{{SubnetID: id("subnet", n), Addr: netip.AddrFrom4([4]byte{10, byte(n % interfaces), 255, 1})}}})
	}
	return e
}

// A host of some 20,000 flows: 100 networks of 36 ports, a third of them here.
func bigHost() *estate { return newEstate(3, 100, 36) }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpu reports the process's CPU time for each operation, garbage collection included: on a machine that
// others use too, elapsed time says little.
func cpu(b *testing.B) (report func()) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/1000/float64(b.N), "cpu-µs/op") }
}

func BenchmarkCompileHostFromNothing(b *testing.B) {
	e := bigHost()
	c := NewCompiler()
	c.Facts.Apply(&e.delta)
	for host, s := range e.switches {
		c.Facts.SetSwitch(host, s)
	}
	before := heap()
	c.AddHost(e.hosts[0])
	c.Step()
	flows := c.Size(e.hosts[0])
	kept := float64(heap() - before)
	b.ResetTimer()
	b.ReportAllocs()
	defer cpu(b)()
	for range b.N {
		c.DropHost(e.hosts[0])
		c.AddHost(e.hosts[0])
		c.Step()
	}
	b.ReportMetric(float64(flows), "flows")
	b.ReportMetric(kept/float64(flows), "kept-B/flow")
}

// One port change and the Step that follows, on hosts that know everything.
func BenchmarkOnePortChange(b *testing.B) {
	for _, tt := range []struct {
		name  string
		e     *estate
		hosts int
	}{
		{"host_of_20000_flows", bigHost(), 1},
		{"three_hosts_of_20000_flows", bigHost(), 3},
		{"three_hosts_100_routers_of_10_networks_of_20_ports", newEstate(3, 1000, 20).route(10), 3},
		{"three_hosts_network_of_100_ports", newEstate(3, 1, 100), 3},
		{"three_hosts_network_of_5000_ports", newEstate(3, 1, 5000), 3},
	} {
		c := tt.e.compile(tt.e.hosts[:tt.hosts]...)
		p, turn := tt.e.delta.Ports[0], 0 // on the first host
		b.Run(tt.name+"/address", func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b)()
			for range b.N {
				next := p
				turn++
				next.FixedIPs = []signalbox.FixedIP{{SubnetID: p.FixedIPs[0].SubnetID, Addr: netip.AddrFrom4([4]byte{10, 9, 9, byte(turn % 2)})}}
				c.Facts.SetPort(&next)
				if len(c.Step()) != tt.hosts {
					b.Fatal("not every host changed")
				}
			}
			b.ReportMetric(float64(c.Size(tt.e.hosts[0])), "flows")
		})
		b.Run(tt.name+"/come_and_go", func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b)()
			for range b.N {
				c.Facts.Drop(signalbox.Ref{Kind: signalbox.KindPort, ID: p.ID})
				c.Step()
				next := p
				c.Facts.SetPort(&next)
				c.Step()
			}
		})
	}
}

const benchExternal = 1 << 21 // number of the external network

// expose gives every router a gateway on one external network, which all hosts reach, dealt out over the hosts.
func (e *estate) expose() *estate {
	ext := signalbox.Network{ID: id("network", benchExternal), Key: benchExternal, AdminStateUp: true, MTU: 1500,
		Segment: signalbox.Segment{Type: signalbox.Flat, Physical: "public"}}
	block := signalbox.Subnet{ID: id("subnet", benchExternal), NetworkID: ext.ID, CIDR: netip.MustParsePrefix("203.0.0.0/16"),
		GatewayIP: netip.MustParseAddr("203.0.255.254")}
	e.delta.Networks, e.delta.Subnets = append(e.delta.Networks, ext), append(e.delta.Subnets, block)
	for i := range e.delta.Hosts {
		e.delta.Hosts[i].Mappings = map[string]string{"public": "br-public"}
		e.switches[e.hosts[i]].Patches = map[string]uint32{"public": 60001}
	}
	for i := range e.delta.Routers {
		p := e.outer(i, signalbox.RoleRouterGateway)
		e.delta.Ports = append(e.delta.Ports, p)
		e.delta.Routers[i].Gateway = &signalbox.Gateway{PortID: p.ID, NetworkID: ext.ID, FixedIPs: p.FixedIPs, EnableSNAT: true,
			Zone: signalbox.Zone(i + 1), Host: e.hosts[i%len(e.hosts)]}
	}
	return e
}

// outer is a port on the external network.
func (e *estate) outer(n int, role signalbox.Role) signalbox.Port {
	no := benchExternal + n
	return signalbox.Port{ID: id("port", no), Key: signalbox.PortKey(no), NetworkID: id("network", benchExternal), AdminStateUp: true, Role: role,
		MAC:      signalbox.MAC{0xfa, 0x16, 0x40, 0, byte(n >> 8), byte(n)},
		FixedIPs: []signalbox.FixedIP{{SubnetID: id("subnet", benchExternal), Addr: netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)})}}}
}

// float makes the n-th floating IP, for the n-th port of the estate, and its own port.
func (e *estate) float(n, interfaces int) (signalbox.FloatingIP, signalbox.Port) {
	own, fixed := e.outer(0x4000+n, signalbox.RoleFloatingIP), &e.delta.Ports[n]
	perNetwork := len(e.delta.Ports) / len(e.delta.Networks)
	return signalbox.FloatingIP{ID: id("floatingip", n), NetworkID: own.NetworkID, OwnPortID: own.ID, Addr: own.FixedIPs[0].Addr, MAC: own.MAC,
		PortID: fixed.ID, FixedAddr: fixed.FixedIPs[0].Addr, RouterID: id("router", n/perNetwork/interfaces)}, own
}

// One floating IP that comes and goes, among so many others.
func BenchmarkOneFloatingIP(b *testing.B) {
	const interfaces, ports = 10, 20
	without := newEstate(3, 1000, ports).route(interfaces)
	routed := without.compile(without.hosts...).Size(without.hosts[0])
	e := newEstate(3, 1000, ports).route(interfaces).expose()
	host := e.hosts[0]
	for _, others := range []int{0, 1000} {
		c := e.compile(e.hosts...)
		exposed := c.Size(host)
		for n := range others {
			ip, own := e.float(1+n, interfaces)
			c.Facts.SetPort(&own)
			c.Facts.SetFloatingIP(&ip)
		}
		c.Step()
		b.Run(fmt.Sprint("among_", others), func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b)()
			ip, own := e.float(0, interfaces)
			var added int
			for range b.N {
				port, row := own, ip
				c.Facts.SetPort(&port)
				c.Facts.SetFloatingIP(&row)
				added = 0
				for _, ch := range c.Step() {
					added += len(ch.Adds)
				}
				c.Facts.Drop(signalbox.Ref{Kind: signalbox.KindFloatingIP, ID: ip.ID})
				c.Facts.Drop(signalbox.Ref{Kind: signalbox.KindPort, ID: own.ID})
				c.Step()
			}
			b.ReportMetric(float64(added), "flows-of-it")
			b.ReportMetric(float64(exposed), "flows")
			b.ReportMetric(float64(exposed-routed), "flows-of-gateways")
		})
	}
}

// What changes when a gateway, or all of a host's, move to another host, and when a machine outside has another MAC.
func BenchmarkOutside(b *testing.B) {
	const interfaces = 10
	e := newEstate(3, 1000, 20).route(interfaces).expose()
	c := e.compile(e.hosts...)
	for _, gateways := range []int{1, 34} {
		b.Run(fmt.Sprint("gateways_that_move_", gateways), func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b)()
			var changed int
			for i := range b.N {
				for n := range gateways {
					next := e.delta.Routers[3*n]
					g := *next.Gateway
					g.Host, next.Gateway = e.hosts[(i+1)%3], &g
					c.Facts.SetRouter(&next)
				}
				changed = 0
				for _, ch := range c.Step() {
					changed += len(ch.Adds) + len(ch.Deletes)
				}
			}
			b.ReportMetric(float64(changed), "changed-flows")
		})
	}
	b.Run("neighbour_changes", func(b *testing.B) {
		b.ReportAllocs()
		defer cpu(b)()
		for i := range b.N {
			c.Facts.SetNeighbour(&signalbox.Neighbour{ID: id("neighbour", 0), NetworkID: id("network", benchExternal),
				Addr: netip.MustParseAddr("203.0.255.254"), MAC: signalbox.MAC{0x52, 0x54, 0, 0, 0, byte(i)}})
			c.Step()
		}
	})
}
