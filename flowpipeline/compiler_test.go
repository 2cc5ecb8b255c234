package flowpipeline

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// The world of the property test is small, so that things meet often.
const (
	worldHosts    = 3
	worldNetworks = 4
	worldPorts    = 8
)

// world is a compiler that is told of changes as they come, and the switches as its changes leave them.
type world struct {
	c        *Compiler
	hosts    map[uuid.UUID]*signalbox.Host
	networks map[uuid.UUID]*signalbox.Network
	subnets  map[uuid.UUID]*signalbox.Subnet
	ports    map[uuid.UUID]*signalbox.Port
	switches map[uuid.UUID]*Switch
	joined   map[uuid.UUID]bool
	held     map[uuid.UUID]map[flow.Cookie]flow.Flow
	meters   map[uuid.UUID]map[uint32]flow.RateLimit
}

func newWorld() *world {
	return &world{c: NewCompiler(),
		hosts: map[uuid.UUID]*signalbox.Host{}, networks: map[uuid.UUID]*signalbox.Network{},
		subnets: map[uuid.UUID]*signalbox.Subnet{}, ports: map[uuid.UUID]*signalbox.Port{},
		switches: map[uuid.UUID]*Switch{}, joined: map[uuid.UUID]bool{},
		held: map[uuid.UUID]map[flow.Cookie]flow.Flow{}, meters: map[uuid.UUID]map[uint32]flow.RateLimit{}}
}

func id(kind string, n int) uuid.UUID { return idOf(kind, fmt.Sprint(n)) }

func drawHost(t *rapid.T) *signalbox.Host {
	n := rapid.IntRange(0, worldHosts-1).Draw(t, "host")
	h := &signalbox.Host{ID: id("host", n), Name: rapid.StringN(0, 3, 3).Draw(t, "name")}
	if rapid.IntRange(0, 4).Draw(t, "tunnels") > 0 {
		h.TunnelIP = netip.AddrFrom4([4]byte{192, 0, 2, byte(10*n + rapid.IntRange(0, 1).Draw(t, "address"))})
	}
	return h
}

func drawNetwork(t *rapid.T) *signalbox.Network {
	n := rapid.IntRange(0, worldNetworks-1).Draw(t, "network")
	w := &signalbox.Network{ID: id("network", n), Key: signalbox.NetworkKey(n + 1), AdminStateUp: rapid.IntRange(0, 3).Draw(t, "up") > 0}
	w.Segment.Type = rapid.SampledFrom([]signalbox.NetworkType{signalbox.Local, signalbox.Flat, signalbox.VLAN,
		signalbox.GRE, signalbox.VXLAN, signalbox.Geneve}).Draw(t, "type")
	switch {
	case w.Segment.Type == signalbox.Flat:
		w.Segment.Physical = fmt.Sprint("flat", n) // a flat network has its physical network for itself
	case w.Segment.Type == signalbox.VLAN:
		w.Segment.Physical, w.Segment.ID = "physnet1", uint32(100+n)
	case w.Segment.Type.Tunnelled():
		w.Segment.ID = uint32(1000 + n)
	}
	return w
}

func subnetID(network, version int) uuid.UUID {
	return idOf("subnet", fmt.Sprint(network, "v", version))
}

func drawSubnet(t *rapid.T) *signalbox.Subnet {
	n, v := rapid.IntRange(0, worldNetworks-1).Draw(t, "network"), rapid.SampledFrom([]int{4, 6}).Draw(t, "version")
	return &signalbox.Subnet{ID: subnetID(n, v), NetworkID: id("network", n), EnableDHCP: rapid.Bool().Draw(t, "dhcp"),
		CIDR: netip.MustParsePrefix(map[int]string{4: "10.0.0.0/24", 6: "2001:db8::/64"}[v])}
}

// drawPort draws a port. Its MAC, addresses and interface names are its own, as the database sees to.
func drawPort(t *rapid.T) *signalbox.Port {
	n := rapid.IntRange(0, worldPorts-1).Draw(t, "port")
	network := rapid.IntRange(0, worldNetworks-1).Draw(t, "network")
	p := &signalbox.Port{ID: id("port", n), Key: signalbox.PortKey(n + 1), NetworkID: id("network", network),
		AdminStateUp: rapid.IntRange(0, 3).Draw(t, "up") > 0,
		Name:         rapid.StringN(0, 3, 3).Draw(t, "name"),
		MAC:          signalbox.MAC{byte(rapid.SampledFrom([]int{0xfa, 0xfb}).Draw(t, "mac")), 0, 0, 0, 0, byte(n)}}
	if rapid.Bool().Draw(t, "v4") {
		p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: subnetID(network, 4),
			Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(10*n + rapid.IntRange(0, 2).Draw(t, "address"))})})
	}
	if rapid.Bool().Draw(t, "v6") {
		a := netip.MustParseAddr("2001:db8::").As16()
		a[15] = byte(n)
		p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: subnetID(network, 6), Addr: netip.AddrFrom16(a)})
	}
	switch rapid.IntRange(0, 6).Draw(t, "use") {
	case 0: // nobody's
	case 1:
		p.Role = signalbox.RoleDHCP
	default:
		p.Binding = &signalbox.Binding{PortID: p.ID, HostID: id("host", rapid.IntRange(0, worldHosts-1).Draw(t, "on")),
			Interface: fmt.Sprint(rapid.SampledFrom([]string{"tap", "vnet"}).Draw(t, "prefix"), n)}
	}
	return p
}

// drawSwitch draws interfaces of some of the names that ports are bound to, with numbers of their own.
func drawSwitch(t *rapid.T) *Switch {
	s := &Switch{map[signalbox.NetworkType]uint32{}, map[string]uint32{}, map[string]Interface{}}
	for i, kind := range []signalbox.NetworkType{signalbox.GRE, signalbox.VXLAN, signalbox.Geneve} {
		if rapid.IntRange(0, 3).Draw(t, "tunnel") > 0 {
			s.Tunnels[kind] = uint32(100 + i)
		}
	}
	for i, physical := range []string{"physnet1", "flat0", "flat1", "flat2", "flat3"} {
		if rapid.IntRange(0, 3).Draw(t, "patch") > 0 {
			s.Patches[physical] = uint32(200 + i)
		}
	}
	var names []string
	for i := range worldPorts {
		names = append(names, fmt.Sprint("tap", i), fmt.Sprint("vnet", i))
	}
	no := uint32(rapid.IntRange(1, 3).Draw(t, "first"))
	for _, name := range rapid.Permutation(names).Draw(t, "names")[:rapid.IntRange(0, len(names)).Draw(t, "count")] {
		s.Interfaces[name] = Interface{Name: name, OFPort: no, Unknown: rapid.IntRange(0, 3).Draw(t, "unknown") == 0}
		no++
	}
	return s
}

func (w *world) actions() map[string]func(*rapid.T) {
	apply := func(d signalbox.Delta) { w.c.Facts.Apply(&d) }
	hostID := func(t *rapid.T) uuid.UUID { return id("host", rapid.IntRange(0, worldHosts-1).Draw(t, "host")) }
	setPort := func(t *rapid.T) {
		p := drawPort(t)
		w.ports[p.ID] = p
		apply(signalbox.Delta{Ports: []signalbox.Port{*p}})
	}
	return map[string]func(*rapid.T){
		"host": func(t *rapid.T) {
			h := drawHost(t)
			w.hosts[h.ID] = h
			apply(signalbox.Delta{Hosts: []signalbox.Host{*h}})
		},
		"network": func(t *rapid.T) {
			n := drawNetwork(t)
			w.networks[n.ID] = n
			apply(signalbox.Delta{Networks: []signalbox.Network{*n}})
		},
		"subnet": func(t *rapid.T) {
			s := drawSubnet(t)
			w.subnets[s.ID] = s
			apply(signalbox.Delta{Subnets: []signalbox.Subnet{*s}})
		},
		"port":       setPort,
		"port_again": setPort,
		"port_more":  setPort,
		"gone": func(t *rapid.T) {
			kind := rapid.SampledFrom([]signalbox.Kind{signalbox.KindHost, signalbox.KindNetwork, signalbox.KindSubnet, signalbox.KindPort}).Draw(t, "kind")
			n := rapid.IntRange(0, worldPorts-1).Draw(t, "n")
			ref := signalbox.Ref{Kind: kind, ID: id(string(kind), n)}
			if kind == signalbox.KindSubnet {
				ref.ID = subnetID(n%worldNetworks, 4)
			}
			delete(w.hosts, ref.ID)
			delete(w.networks, ref.ID)
			delete(w.subnets, ref.ID)
			delete(w.ports, ref.ID)
			apply(signalbox.Delta{Gone: []signalbox.Ref{ref}})
		},
		"everything_anew": func(t *rapid.T) {
			for _, p := range w.ports {
				if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
					delete(w.ports, p.ID)
				}
			}
			apply(*w.delta())
		},
		"switch": func(t *rapid.T) {
			host := hostID(t)
			w.switches[host] = drawSwitch(t)
			if rapid.IntRange(0, 9).Draw(t, "silent") == 0 {
				w.switches[host] = nil
			}
			w.c.Facts.SetSwitch(host, w.switches[host])
		},
		"swap_interfaces": func(t *rapid.T) {
			host := hostID(t)
			if s := w.switches[host]; s != nil && len(s.Interfaces) > 1 {
				s = &Switch{s.Tunnels, s.Patches, maps.Clone(s.Interfaces)}
				names := slices.Sorted(maps.Keys(s.Interfaces))
				a, b := s.Interfaces[names[0]], s.Interfaces[names[1]]
				a.OFPort, b.OFPort = b.OFPort, a.OFPort
				s.Interfaces[names[0]], s.Interfaces[names[1]] = a, b
				w.switches[host] = s
				w.c.Facts.SetSwitch(host, s)
			}
		},
		"join": func(t *rapid.T) {
			host := hostID(t)
			w.c.AddHost(host)
			w.joined[host] = true
		},
		"leave": func(t *rapid.T) {
			host := hostID(t)
			w.c.DropHost(host)
			delete(w.joined, host)
			delete(w.held, host)
			delete(w.meters, host)
		},
		"": w.check,
	}
}

func (w *world) delta() *signalbox.Delta {
	d := &signalbox.Delta{Full: true}
	for _, h := range w.hosts {
		d.Hosts = append(d.Hosts, *h)
	}
	for _, n := range w.networks {
		d.Networks = append(d.Networks, *n)
	}
	for _, s := range w.subnets {
		d.Subnets = append(d.Subnets, *s)
	}
	for _, p := range w.ports {
		d.Ports = append(d.Ports, *p)
	}
	return d
}

// fromNothing compiles the world as it is, told in another order each time.
func (w *world) fromNothing() *Compiler {
	c := NewCompiler()
	d := w.delta()
	rand.Shuffle(len(d.Ports), func(i, j int) { d.Ports[i], d.Ports[j] = d.Ports[j], d.Ports[i] })
	for host := range w.joined {
		c.AddHost(host)
	}
	for host, s := range w.switches {
		c.Facts.SetSwitch(host, s)
	}
	c.Facts.Apply(d)
	c.Step()
	return c
}

// step sends a step's changes to the switches.
func (w *world) step(t *rapid.T) {
	for host, ch := range w.c.Step() {
		held, meters := w.held[host], w.meters[host]
		if held == nil {
			held, meters = map[flow.Cookie]flow.Flow{}, map[uint32]flow.RateLimit{}
			w.held[host], w.meters[host] = held, meters
		}
		for _, m := range ch.AddMeters {
			meters[m.ID] = m
		}
		for _, f := range ch.Adds {
			if _, there := held[f.Cookie]; there {
				t.Fatalf("%s is added twice", &f)
			}
			held[f.Cookie] = f
		}
		for _, cookie := range ch.Deletes {
			if _, there := held[cookie]; !there {
				t.Fatalf("%x is deleted, but was not there", cookie)
			}
			delete(held, cookie)
		}
		for _, no := range ch.DeleteMeters {
			if _, there := meters[no]; !there {
				t.Fatalf("meter %d is deleted, but was not there", no)
			}
			delete(meters, no)
		}
	}
}

func (w *world) check(t *rapid.T) {
	w.step(t)
	for host, ch := range w.c.Step() {
		t.Fatalf("a second step changes %s: %+v", host, ch)
	}
	fresh := w.fromNothing()
	for host := range w.joined {
		want := fresh.Flows(host, nil)
		made := w.c.Flows(host, nil)
		w.compare(t, host, made, want)
		for i := range made {
			if made[i].Why != want[i].Why {
				t.Fatalf("%s: %v, but from nothing %v", &made[i], made[i].Why, want[i].Why)
			}
		}
		if !maps.Equal(w.c.Meters(host), fresh.Meters(host)) || !maps.Equal(w.meters[host], fresh.Meters(host)) {
			t.Fatalf("meters are %v, in the switch %v, and from nothing %v", w.c.Meters(host), w.meters[host], fresh.Meters(host))
		}
		held := slices.SortedFunc(maps.Values(w.held[host]), flow.Compare)
		w.compare(t, host, held, want)
		if w.c.Size(host) != len(want) {
			t.Fatalf("%d flows are wanted and %d made", w.c.Size(host), len(want))
		}
		for i := 1; i < len(want); i++ {
			if flow.SameKey(&want[i-1], &want[i]) {
				t.Fatalf("two flows for one place:\n%s\n%s", &want[i-1], &want[i])
			}
		}
		for cookie, o := range w.c.hosts[host].flows {
			if o.claims != 1 || !w.c.Wants(host, cookie) {
				t.Fatalf("%x is claimed %d times", cookie, o.claims)
			}
		}
		for _, f := range want {
			w.meterIsThere(t, host, &f)
		}
	}
	if len(w.c.units) != len(fresh.units) || len(w.c.readers) != len(fresh.readers) {
		t.Fatalf("%d units and %d facts read; from nothing %d and %d", len(w.c.units), len(w.c.readers), len(fresh.units), len(fresh.readers))
	}
}

func (w *world) compare(t *rapid.T, host uuid.UUID, got, want []flow.Flow) {
	t.Helper()
	same := slices.EqualFunc(got, want, func(a, b flow.Flow) bool { return a.Cookie == b.Cookie && a.String() == b.String() })
	if same {
		return
	}
	text := func(fs []flow.Flow) (s string) {
		for i := range fs {
			s += fs[i].String() + " # " + fs[i].Why.Phrase + "\n"
		}
		return s
	}
	t.Fatalf("host %s holds\n%s\nfrom nothing it is\n%s", host, text(got), text(want))
}

func (w *world) meterIsThere(t *rapid.T, host uuid.UUID, f *flow.Flow) {
	for _, a := range f.Actions {
		if m, ok := a.(flow.Meter); ok && w.meters[host][m.ID].ID != m.ID {
			t.Fatalf("%s, but there is no such meter", f)
		}
	}
}

// The law that everything rests on: whatever came before, what is wanted is what a compile from nothing
// wants, and the sum of the changes leads there.
func TestAnyHistoryEqualsACompileFromNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { t.Repeat(newWorld().actions()) })
}

// settled is a world of a topology in which everything is compiled.
func settled(t *testing.T) (*topology, *Compiler) {
	t.Helper()
	w := loadTopology(t, "testdata/vxlan.txt")
	return w, w.compile()
}

func TestWhatFlowsAreNotMadeOfCompilesNothing(t *testing.T) {
	w, c := settled(t)
	p, n, h, s := *w.port["vm1"], *w.network["blue"], *w.host["b"], *w.subnet["blue10.0.0.0/24"]
	p.Name, p.Status, p.Revision, p.DeviceOwner = "other", signalbox.Active, 7, "network:router_gateway"
	n.Name, n.Revision, n.MTU = "other", 7, 1400
	h.Name, h.Managed = "other", true
	s.Name, s.DNSServers = "other", []netip.Addr{netip.MustParseAddr("8.8.8.8")}
	c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{p}, Networks: []signalbox.Network{n}, Hosts: []signalbox.Host{h}, Subnets: []signalbox.Subnet{s}})
	if got := c.Step(); len(got) != 0 {
		t.Errorf("compiled %v", got)
	}
	if c.Facts.Port(p.ID).Name != "other" || c.Facts.Network(n.ID).MTU != 1400 || !c.Facts.Host(h.ID).Managed || len(c.Facts.Subnet(s.ID).DNSServers) != 1 {
		t.Error("the new rows are not kept")
	}
}

func TestAnInterfaceWithAnotherNumberCostsFewFlows(t *testing.T) {
	w, c := settled(t)
	old := w.switches["a"]
	s := &Switch{old.Tunnels, old.Patches, maps.Clone(old.Interfaces)}
	s.Interfaces["tap1"] = Interface{Name: "tap1", OFPort: 31}
	c.Facts.SetSwitch(idOf("host", "a"), s)
	changes := c.Step()
	ch := changes[idOf("host", "a")]
	if len(changes) != 1 || len(ch.Units) != 1 || len(ch.Adds) != 3 || len(ch.Deletes) != 3 || len(ch.AddMeters) != 1 || len(ch.DeleteMeters) != 1 {
		t.Errorf("changed %d hosts; %+v", len(changes), ch)
	}
}

func TestAPortThatMovesTakesItsFlowsAlong(t *testing.T) {
	w, c := settled(t)
	p := *w.port["vm1"]
	p.Binding = &signalbox.Binding{PortID: p.ID, HostID: idOf("host", "b"), Interface: "tap3"} // vm3's, which leaves
	gone := signalbox.Ref{Kind: signalbox.KindPort, ID: idOf("port", "vm3")}
	c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{p}, Gone: []signalbox.Ref{gone}})
	c.Step()
	phrases := func(host string) (ps []string) {
		for _, f := range c.Flows(idOf("host", host), nil) {
			if f.Why.ID == p.ID && f.Table == TableSwitching {
				ps = append(ps, f.Why.Phrase)
			}
		}
		return ps
	}
	if a, b := phrases("a"), phrases("b"); !slices.Equal(a, []string{"is on another host, by vxlan to 192.0.2.2"}) || !slices.Equal(b, []string{"is on this host"}) {
		t.Errorf("a says %q, b says %q", a, b)
	}
}

func TestFlowsPicksByCookie(t *testing.T) {
	_, c := settled(t)
	host := idOf("host", "a")
	all := c.Flows(host, nil)
	for _, want := range all {
		got := c.Flows(host, func(cookie flow.Cookie) bool { return cookie == want.Cookie })
		if len(got) != 1 || got[0].String() != want.String() {
			t.Fatalf("asked for %s, got %v", &want, got)
		}
	}
	if c.Flows(uuid.Nil, nil) != nil || c.Size(uuid.Nil) != 0 || c.Meters(uuid.Nil) != nil || c.Wants(uuid.Nil, all[0].Cookie) {
		t.Error("a host that nobody knows has flows")
	}
}

func TestAHostThatLeavesLeavesNothing(t *testing.T) {
	w, c := settled(t)
	for _, name := range w.hosts {
		c.DropHost(idOf("host", name))
	}
	if len(c.units) != 0 || len(c.readers) != 0 || len(c.hosts) != 0 || len(c.Step()) != 0 {
		t.Errorf("%d units, %d facts read, %d hosts are left", len(c.units), len(c.readers), len(c.hosts))
	}
}
