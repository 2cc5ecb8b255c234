package flowpipeline

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
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
	worldRouters  = 3
	worldEnds     = 5 // interfaces of routers: ports with numbers after the others'
	worldFloating = 4 // behind those are the routers' gateway ports, and behind these the floating IPs' own
	worldOutside  = 3 // neighbours
	worldGroups   = 4

	firstGateway  = worldPorts + worldEnds
	firstFloating = firstGateway + worldRouters
	worldNumbers  = firstFloating + worldFloating
)

// What hosts have mappings for. A flat network has its physical network for itself.
var worldPhysical = []string{"physnet1", "flat0", "flat1", "flat2", "flat3"}

// world is a compiler that is told of changes as they come, and the switches as its changes leave them.
type world struct {
	c        *Compiler
	hosts    map[uuid.UUID]*signalbox.Host
	networks map[uuid.UUID]*signalbox.Network
	subnets  map[uuid.UUID]*signalbox.Subnet
	ports    map[uuid.UUID]*signalbox.Port
	routers  map[uuid.UUID]*signalbox.Router
	floating map[uuid.UUID]*signalbox.FloatingIP
	heard    map[uuid.UUID]*signalbox.Neighbour
	groups   map[uuid.UUID]*signalbox.SecurityGroup
	rules    signalbox.RuleKey // how many there have been
	guarded  bool
	switches map[uuid.UUID]*Switch
	joined   map[uuid.UUID]bool
	held     map[uuid.UUID]map[flow.Cookie]flow.Flow
	meters   map[uuid.UUID]map[uint32]flow.RateLimit
}

func newWorld(guarded bool) *world {
	w := &world{c: NewCompiler(), guarded: guarded, groups: map[uuid.UUID]*signalbox.SecurityGroup{},
		hosts: map[uuid.UUID]*signalbox.Host{}, networks: map[uuid.UUID]*signalbox.Network{},
		subnets: map[uuid.UUID]*signalbox.Subnet{}, ports: map[uuid.UUID]*signalbox.Port{},
		routers: map[uuid.UUID]*signalbox.Router{}, floating: map[uuid.UUID]*signalbox.FloatingIP{},
		heard: map[uuid.UUID]*signalbox.Neighbour{}, switches: map[uuid.UUID]*Switch{}, joined: map[uuid.UUID]bool{},
		held: map[uuid.UUID]map[flow.Cookie]flow.Flow{}, meters: map[uuid.UUID]map[uint32]flow.RateLimit{}}
	if guarded {
		w.c.Facts.EnforceGroups()
	}
	return w
}

func id(kind string, n int) uuid.UUID { return idOf(kind, fmt.Sprint(n)) }

func subnetID(network, version int) uuid.UUID {
	return idOf("subnet", fmt.Sprint(network, "v", version))
}

// mostly is true four times of five.
func mostly(t *rapid.T, what string) bool { return rapid.IntRange(0, 4).Draw(t, what) > 0 }

func (w *world) drawHost(t *rapid.T, n int) {
	h := &signalbox.Host{ID: id("host", n), Name: rapid.StringN(0, 3, 3).Draw(t, "name")}
	if mostly(t, "tunnels") {
		h.TunnelIP = netip.AddrFrom4([4]byte{192, 0, 2, byte(10*n + rapid.IntRange(0, 1).Draw(t, "address"))})
	}
	if mostly(t, "mac") {
		h.MAC = signalbox.MAC{0x0e, 0, 0, 0, byte(rapid.IntRange(0, 1).Draw(t, "made")), byte(n)}
	}
	h.Mappings = map[string]string{}
	for _, physical := range worldPhysical {
		if mostly(t, "mapping") {
			h.Mappings[physical] = "br-" + physical
		}
	}
	w.hosts[h.ID] = h
	w.c.Facts.Apply(&signalbox.Delta{Hosts: []signalbox.Host{*h}})
}

func (w *world) drawNetwork(t *rapid.T, n int) {
	net := &signalbox.Network{ID: id("network", n), Key: signalbox.NetworkKey(n + 1), AdminStateUp: mostly(t, "up"),
		MTU: rapid.SampledFrom([]int{0, 1400, 1450, 1500}).Draw(t, "mtu")}
	net.IPv4Scope = drawScope(t)
	net.Segment.Type = rapid.SampledFrom([]signalbox.NetworkType{signalbox.Local, signalbox.Flat, signalbox.VLAN,
		signalbox.GRE, signalbox.VXLAN, signalbox.VXLAN}).Draw(t, "type")
	switch number := uint32(100*n + rapid.IntRange(1, 2).Draw(t, "segment")); {
	case net.Segment.Type == signalbox.Flat:
		net.Segment.Physical = fmt.Sprint("flat", n)
	case net.Segment.Type == signalbox.VLAN:
		net.Segment.Physical, net.Segment.ID = "physnet1", number
	case net.Segment.Type.Tunnelled():
		net.Segment.ID = number
	}
	w.networks[net.ID] = net
	w.c.Facts.Apply(&signalbox.Delta{Networks: []signalbox.Network{*net}})
}

// drawScope draws an address scope, or none.
func drawScope(t *rapid.T) uuid.UUID {
	if n := rapid.IntRange(0, 2).Draw(t, "scope"); n > 0 {
		return id("address_scope", n)
	}
	return uuid.Nil
}

// rescope puts a network into another address scope, and changes nothing else of it.
func (w *world) rescope(t *rapid.T, n int) {
	if old := w.networks[id("network", n)]; old != nil {
		net := *old
		net.IPv4Scope = drawScope(t)
		w.networks[net.ID] = &net
		w.c.Facts.Apply(&signalbox.Delta{Networks: []signalbox.Network{net}})
	}
}

func (w *world) drawSubnet(t *rapid.T, network, version int) {
	s := &signalbox.Subnet{ID: subnetID(network, version), NetworkID: id("network", network), EnableDHCP: rapid.Bool().Draw(t, "dhcp"),
		CIDR: netip.MustParsePrefix("2001:db8::/64")}
	if rapid.Bool().Draw(t, "names DNS servers") {
		s.DNSServers = []netip.Addr{netip.MustParseAddr("9.9.9.9")}
	}
	if rapid.Bool().Draw(t, "gateway") {
		s.GatewayIP = netip.AddrFrom4([4]byte{10, 0, 0, byte(240 + rapid.IntRange(0, worldOutside).Draw(t, "by"))})
	}
	if version == 4 {
		s.CIDR = netip.MustParsePrefix(rapid.SampledFrom([]string{"10.0.0.0/24", fmt.Sprintf("10.%d.0.0/16", network), "10.0.0.128/25", "10.0.0.8/31"}).Draw(t, "cidr"))
	}
	w.subnets[s.ID] = s
	w.c.Facts.Apply(&signalbox.Delta{Subnets: []signalbox.Subnet{*s}})
}

// drawPort draws a port, or one thing of a port that is there. Its MAC, addresses and interface names are
// its own, as the database sees to.
func (w *world) drawPort(t *rapid.T, n int) {
	p := &signalbox.Port{ID: id("port", n), Key: signalbox.PortKey(n + 1), NetworkID: id("network", n%worldNetworks)}
	what := ""
	if old := w.ports[p.ID]; old != nil {
		*p = *old
		what = rapid.SampledFrom([]string{"up", "name", "mac", "network", "addresses", "place", "place", "role", "pairs", "pairs", "open", "groups", "groups", "zone"}).Draw(t, "what")
	}
	if what == "" || what == "up" {
		p.AdminStateUp = mostly(t, "up")
	}
	if what == "name" {
		p.Name, p.Status = rapid.StringN(0, 3, 3).Draw(t, "name"), signalbox.Active
	}
	if what == "" || what == "mac" {
		p.MAC = signalbox.MAC{byte(rapid.SampledFrom([]int{0xfa, 0xfb, 0xfc}).Draw(t, "mac")), 0, 0, 0, 0, byte(n)}
	}
	network := n % worldNetworks
	if what == "network" {
		network = rapid.IntRange(0, worldNetworks-1).Draw(t, "network")
		p.NetworkID = id("network", network)
	}
	if what == "" || what == "network" || what == "addresses" {
		p.FixedIPs = nil
		for i := range rapid.IntRange(0, 2).Draw(t, "v4") {
			p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: subnetID(network, 4), Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(10*n + i)})})
		}
		if rapid.Bool().Draw(t, "v6") {
			a := netip.MustParseAddr("2001:db8::").As16()
			a[15] = byte(n)
			p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: subnetID(network, 6), Addr: netip.AddrFrom16(a)})
		}
	}
	if what == "" || what == "place" {
		p.Binding, p.Zone = nil, 0
		if mostly(t, "bound") {
			p.Binding = &signalbox.Binding{PortID: p.ID, HostID: id("host", rapid.IntRange(0, worldHosts-1).Draw(t, "on")),
				Interface: fmt.Sprint(rapid.SampledFrom([]string{"tap", "vnet"}).Draw(t, "prefix"), n)}
		}
	}
	if what == "" || what == "place" || what == "zone" {
		if p.Binding != nil && mostly(t, "zoned") {
			p.Zone = signalbox.Zone(0x8000 + n + 100*rapid.IntRange(0, 1).Draw(t, "zone"))
		}
	}
	if what == "" || what == "groups" {
		p.SecurityGroups = nil
		for g := range worldGroups {
			if rapid.Bool().Draw(t, "in") {
				p.SecurityGroups = append(p.SecurityGroups, id("security_group", g))
			}
		}
	}
	if what == "role" {
		p.Role = rapid.SampledFrom([]signalbox.Role{signalbox.RoleVIF, signalbox.RoleDHCP}).Draw(t, "role")
	}
	if what == "" || what == "pairs" {
		w.drawPairs(t, p)
	}
	if what == "" || what == "open" {
		p.Unsecured = !mostly(t, "secured")
	}
	w.ports[p.ID] = p
	w.c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{*p}})
}

// drawGroup draws a group, or other rules of one that is there. A rule never changes: another has another key.
func (w *world) drawGroup(t *rapid.T, n int) {
	g := &signalbox.SecurityGroup{ID: id("security_group", n), Key: signalbox.GroupKey(n + 1), Name: rapid.StringN(0, 3, 3).Draw(t, "name")}
	if old := w.groups[g.ID]; old != nil {
		for _, rule := range old.Rules {
			if mostly(t, "stays") {
				g.Rules = append(g.Rules, rule)
			}
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		rule := drawRule(t)
		if !slices.ContainsFunc(g.Rules, func(other signalbox.SecurityGroupRule) bool { return other.Effect() == rule.Effect() }) {
			w.rules++
			rule.ID, rule.Key = id("rule", int(w.rules)), w.rules
			g.Rules = append(g.Rules, rule)
		}
	}
	w.groups[g.ID] = g
	w.c.Facts.Apply(&signalbox.Delta{SecurityGroups: []signalbox.SecurityGroup{*g}})
}

func drawRule(t *rapid.T) signalbox.SecurityGroupRule {
	rule := signalbox.SecurityGroupRule{Direction: rapid.SampledFrom([]signalbox.Direction{signalbox.Ingress, signalbox.Egress}).Draw(t, "direction"),
		EtherType: rapid.SampledFrom([]signalbox.EtherType{signalbox.IPv4, signalbox.IPv4, signalbox.IPv6}).Draw(t, "family"),
		Protocol:  rapid.SampledFrom([]signalbox.Protocol{"", "tcp", "udp", "icmp", "0", "47"}).Draw(t, "protocol"),
		PortMin:   signalbox.NoPort, PortMax: signalbox.NoPort}
	switch {
	case rule.Protocol.HasPorts() && mostly(t, "ports"):
		rule.PortMin = rapid.SampledFrom([]int{0, 1, 53, 80, 1000}).Draw(t, "first")
		rule.PortMax = rule.PortMin + rapid.SampledFrom([]int{0, 1, 27, 1000, 65535 - rule.PortMin}).Draw(t, "more")
	case rule.Protocol.HasTypes() && mostly(t, "type"):
		rule.PortMin = rapid.SampledFrom([]int{0, 8, 128}).Draw(t, "type")
		rule.PortMax = rapid.SampledFrom([]int{signalbox.NoPort, 0}).Draw(t, "code")
	}
	switch remote := rapid.SampledFrom([]string{"", "group", "10.0.0.0/24", "10.0.0.30/31", "0.0.0.0/0"}).Draw(t, "remote"); {
	case remote == "group":
		rule.RemoteGroupID = id("security_group", rapid.IntRange(0, worldGroups-1).Draw(t, "of"))
	case remote == "":
	case rule.EtherType == signalbox.IPv6:
		rule.RemotePrefix = netip.MustParsePrefix(rapid.SampledFrom([]string{"::/0", "2001:db8::/64", "2001:db8::3/128"}).Draw(t, "block"))
	default:
		rule.RemotePrefix = netip.MustParsePrefix(remote)
	}
	return rule
}

// drawPairs gives a port pairs: of MACs and addresses that are nobody's, another's, or its own.
func (w *world) drawPairs(t *rapid.T, p *signalbox.Port) {
	p.Pairs = nil
	macs := []signalbox.MAC{p.MAC, {0, 0, 0x5e, 0, 1, 1}, {0, 0, 0x5e, 0, 1, 2}, {0xfa, 0, 0, 0, 0, 3}, {0xfa, 0, 0, 0, 1, 0}, {0x01, 0, 0x5e, 0, 0, 1}}
	prefixes := []string{"10.0.0.99/32", "10.0.0.30/32", "10.0.0.40/32", "10.0.0.200/32", "10.0.0.0/24", "0.0.0.0/0", "2001:db8::4/128", "2001:db8::/64", "::/0"}
	for range rapid.IntRange(0, 3).Draw(t, "pairs") {
		pair := signalbox.AddressPair{MAC: rapid.SampledFrom(macs).Draw(t, "as"), Prefix: netip.MustParsePrefix(rapid.SampledFrom(prefixes).Draw(t, "from"))}
		if !slices.Contains(p.Pairs, pair) {
			p.Pairs = append(p.Pairs, pair)
		}
	}
}

func (w *world) drawRouter(t *rapid.T, n int) {
	r := &signalbox.Router{ID: id("router", n), Key: signalbox.RouterKey(n + 1), AdminStateUp: mostly(t, "up"), Name: rapid.StringN(0, 3, 3).Draw(t, "name")}
	if old := w.routers[r.ID]; old != nil {
		r.Gateway = old.Gateway
	}
	for range rapid.IntRange(0, 3).Draw(t, "routes") {
		r.Routes = append(r.Routes, signalbox.Route{
			Destination: netip.MustParsePrefix(rapid.SampledFrom([]string{"0.0.0.0/0", "10.0.0.0/24", "10.0.0.0/8", "192.0.2.7/24", "2001:db8::/32"}).Draw(t, "to")),
			NextHop:     netip.MustParseAddr(rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.200", "10.0.0.201", "10.1.0.7", "2001:db8::1"}).Draw(t, "by"))})
	}
	w.routers[r.ID] = r
	w.c.Facts.Apply(&signalbox.Delta{Routers: []signalbox.Router{*r}})
}

// drawGateway lets a router have a way out, another one, or none; its port may be told of before it, after it or not at all.
func (w *world) drawGateway(t *rapid.T, n int) {
	old := w.routers[id("router", n)]
	if old == nil {
		return
	}
	r := *old
	what := rapid.SampledFrom([]string{"set", "set", "host", "host", "snat", "zone", "clear", "port"}).Draw(t, "what")
	if r.Gateway == nil {
		what = "set"
	}
	g, no := signalbox.Gateway{PortID: id("port", firstGateway+n)}, firstGateway+n
	if r.Gateway != nil {
		g = *r.Gateway
	}
	r.Gateway = &g
	switch what {
	case "set":
		network := rapid.IntRange(0, worldNetworks-1).Draw(t, "network")
		g.NetworkID, g.EnableSNAT, g.Zone = id("network", network), rapid.Bool().Draw(t, "snat"), signalbox.Zone(n+1)
		g.Host = uuid.Nil
		g.FixedIPs = nil
		for i := range rapid.IntRange(0, 2).Draw(t, "v4") {
			g.FixedIPs = append(g.FixedIPs, signalbox.FixedIP{SubnetID: subnetID(network, 4), Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(210 + 2*n + i)})})
		}
		fallthrough
	case "host":
		if mostly(t, "placed") {
			g.Host = id("host", rapid.IntRange(0, worldHosts-1).Draw(t, "on"))
		}
	case "snat":
		g.EnableSNAT = !g.EnableSNAT
	case "zone":
		g.Zone = signalbox.Zone(n + 1 + 10*rapid.IntRange(0, 1).Draw(t, "zone"))
	case "clear":
		r.Gateway = nil
	}
	p := &signalbox.Port{ID: id("port", no), Key: signalbox.PortKey(no + 1), NetworkID: g.NetworkID, AdminStateUp: mostly(t, "up"), FixedIPs: g.FixedIPs,
		MAC:  signalbox.MAC{byte(rapid.SampledFrom([]int{0xfa, 0xfa, 0xfb, 0xfc}).Draw(t, "mac")), 0, 0, 0, 2, byte(n)},
		Role: signalbox.RoleRouterGateway, RouterID: r.ID}
	tell := []func(){
		func() { w.routers[r.ID] = &r; w.c.Facts.Apply(&signalbox.Delta{Routers: []signalbox.Router{r}}) },
		func() { w.ports[p.ID] = p; w.c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{*p}}) },
	}
	for _, row := range rapid.Permutation(tell).Draw(t, "order")[:rapid.IntRange(1, 2).Draw(t, "told")] {
		row()
	}
}

// drawFloating draws a floating IP: of a port that is no other's, of no port, or of one that is not there.
func (w *world) drawFloating(t *rapid.T, n int) {
	no := firstFloating + n
	ip := &signalbox.FloatingIP{ID: id("floatingip", n), OwnPortID: id("port", no), Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(230 + n)}),
		NetworkID: id("network", n%worldNetworks), MAC: signalbox.MAC{0xfa, 0, 0, 0, 3, byte(n)}, Status: signalbox.Down}
	if old := w.floating[ip.ID]; old != nil {
		*ip = *old
	}
	switch what := rapid.SampledFrom([]string{"associate", "associate", "associate", "none", "network", "mac", "status"}).Draw(t, "what"); what {
	case "associate":
		port := 2*n + rapid.IntRange(0, 1).Draw(t, "port")
		ip.PortID, ip.FixedAddr = id("port", port), netip.AddrFrom4([4]byte{10, 0, 0, byte(10*port + rapid.IntRange(0, 1).Draw(t, "fixed"))})
		ip.RouterID = id("router", rapid.IntRange(0, worldRouters-1).Draw(t, "router"))
		if r := w.routers[ip.RouterID]; r != nil && r.Gateway != nil && mostly(t, "right") {
			ip.NetworkID = r.Gateway.NetworkID
		}
	case "none":
		ip.PortID, ip.FixedAddr, ip.RouterID = uuid.Nil, netip.Addr{}, uuid.Nil
	case "network":
		ip.NetworkID = id("network", rapid.IntRange(0, worldNetworks-1).Draw(t, "network"))
	case "mac":
		ip.MAC[0] = byte(rapid.SampledFrom([]int{0xfa, 0xfb, 0xfc}).Draw(t, "mac"))
	case "status":
		ip.Status, ip.Description = signalbox.Active, rapid.StringN(0, 3, 3).Draw(t, "description")
	}
	w.floating[ip.ID] = ip
	w.c.Facts.Apply(&signalbox.Delta{FloatingIPs: []signalbox.FloatingIP{*ip}})
	if mostly(t, "own port") {
		p := &signalbox.Port{ID: ip.OwnPortID, Key: signalbox.PortKey(no + 1), NetworkID: ip.NetworkID, AdminStateUp: true, MAC: ip.MAC,
			Role: signalbox.RoleFloatingIP, FixedIPs: []signalbox.FixedIP{{SubnetID: subnetID(n%worldNetworks, 4), Addr: ip.Addr}}}
		w.ports[p.ID] = p
		w.c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{*p}})
	}
}

func (w *world) drawNeighbour(t *rapid.T, n int) {
	who := &signalbox.Neighbour{ID: id("neighbour", n), NetworkID: id("network", rapid.IntRange(0, worldNetworks-1).Draw(t, "network")),
		Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(240 + n)}), MAC: signalbox.MAC{byte(rapid.SampledFrom([]int{0x52, 0x54, 0x55}).Draw(t, "mac")), 0, 0, 0, 4, byte(n)}}
	if !mostly(t, "v4") {
		who.Addr = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 240+n))
	}
	w.heard[who.ID] = who
	w.c.Facts.Apply(&signalbox.Delta{Neighbours: []signalbox.Neighbour{*who}})
}

// drawInterface draws an interface of a router, or one thing of one that is there: among these, that it was
// an interface at all.
func (w *world) drawInterface(t *rapid.T, n int) {
	no := worldPorts + n
	p := &signalbox.Port{ID: id("port", no), Key: signalbox.PortKey(no + 1), Role: signalbox.RoleRouterInterface}
	what := ""
	if old := w.ports[p.ID]; old != nil {
		*p = *old
		what = rapid.SampledFrom([]string{"up", "mac", "network", "addresses", "router", "role", "name"}).Draw(t, "what")
	}
	if what == "" || what == "up" {
		p.AdminStateUp = mostly(t, "up")
	}
	if what == "" || what == "mac" {
		p.MAC = signalbox.MAC{byte(rapid.SampledFrom([]int{0xfa, 0xfa, 0xfb, 0xfc}).Draw(t, "mac")), 0, 0, 0, 1, byte(n)}
	}
	if what == "" || what == "router" {
		p.RouterID = id("router", rapid.IntRange(0, worldRouters-1).Draw(t, "router"))
	}
	if what == "role" {
		p.Role = rapid.SampledFrom([]signalbox.Role{signalbox.RoleRouterInterface, signalbox.RoleVIF}).Draw(t, "role")
	}
	if what == "name" {
		p.Name = rapid.StringN(0, 3, 3).Draw(t, "name")
	}
	if what == "" || what == "network" || what == "addresses" {
		network := rapid.IntRange(0, worldNetworks-1).Draw(t, "network")
		p.NetworkID = id("network", network)
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: subnetID(network, 4), Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(200 + n)})}}
		if rapid.Bool().Draw(t, "v6") {
			p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: subnetID(network, 6), Addr: netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 200+n))})
		}
	}
	w.ports[p.ID] = p
	w.c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{*p}})
}

// drawSwitch draws most of the interfaces that ports are bound to, with numbers of their own.
func (w *world) drawSwitch(t *rapid.T, n int) {
	s := &Switch{map[signalbox.NetworkType]uint32{}, map[string]uint32{}, map[string]Interface{}}
	for i, kind := range []signalbox.NetworkType{signalbox.GRE, signalbox.VXLAN} {
		if mostly(t, "tunnel") {
			s.Tunnels[kind] = uint32(100 + i)
		}
	}
	for i, physical := range worldPhysical {
		if mostly(t, "patch") {
			s.Patches[physical] = uint32(200 + i)
		}
	}
	var names []string
	for i := range worldPorts {
		names = append(names, fmt.Sprint("tap", i), fmt.Sprint("vnet", i))
	}
	for i, name := range rapid.Permutation(names).Draw(t, "names")[:rapid.IntRange(len(names)/2, len(names)).Draw(t, "count")] {
		s.Interfaces[name] = Interface{Name: name, OFPort: uint32(1 + i), Unknown: !mostly(t, "known")}
	}
	w.setSwitch(n, s)
}

func (w *world) setSwitch(n int, s *Switch) {
	w.switches[id("host", n)] = s
	w.c.Facts.SetSwitch(id("host", n), s)
}

// rewire changes one thing of a switch.
func (w *world) rewire(t *rapid.T, n int) {
	old := w.switches[id("host", n)]
	if old == nil {
		w.drawSwitch(t, n)
		return
	}
	s := &Switch{maps.Clone(old.Tunnels), maps.Clone(old.Patches), maps.Clone(old.Interfaces)}
	names := slices.Sorted(maps.Keys(s.Interfaces))
	one, other := rapid.SampledFrom(names).Draw(t, "one"), rapid.SampledFrom(names).Draw(t, "other")
	a, b := s.Interfaces[one], s.Interfaces[other]
	switch rapid.SampledFrom([]string{"swap", "swap", "known", "unplug", "tunnel"}).Draw(t, "what") {
	case "swap":
		if a.OFPort, b.OFPort = b.OFPort, a.OFPort; one != other {
			s.Interfaces[one], s.Interfaces[other] = a, b
		}
	case "known":
		a.Unknown = !a.Unknown
		s.Interfaces[one] = a
	case "unplug":
		if len(names) > 1 {
			delete(s.Interfaces, one)
		}
	case "tunnel":
		if _, there := s.Tunnels[signalbox.VXLAN]; there {
			delete(s.Tunnels, signalbox.VXLAN)
		} else {
			s.Tunnels[signalbox.VXLAN] = 101
		}
	}
	w.setSwitch(n, s)
}

// populate fills the world, so that changes meet something.
func (w *world) populate(t *rapid.T) {
	for n := range worldHosts {
		w.drawHost(t, n)
		w.drawSwitch(t, n)
		w.join(n)
	}
	for n := range worldNetworks {
		w.drawNetwork(t, n)
		w.drawSubnet(t, n, 4)
		w.drawSubnet(t, n, 6)
	}
	for n := range worldGroups {
		w.drawGroup(t, n)
	}
	for n := range worldPorts {
		w.drawPort(t, n)
	}
	for n := range worldRouters {
		w.drawRouter(t, n)
	}
	for n := range worldEnds {
		w.drawInterface(t, n)
	}
	for n := range worldRouters {
		w.drawGateway(t, n)
	}
	for n := range worldFloating {
		w.drawFloating(t, n)
	}
	for n := range worldOutside {
		w.drawNeighbour(t, n)
	}
}

func (w *world) join(n int) {
	w.c.AddHost(id("host", n))
	w.joined[id("host", n)] = true
}

func (w *world) leave(n int) {
	host := id("host", n)
	w.c.DropHost(host)
	delete(w.joined, host)
	delete(w.held, host)
	delete(w.meters, host)
}

func (w *world) drop(kind signalbox.Kind, n int) {
	ref := signalbox.Ref{Kind: kind, ID: id(string(kind), n)}
	if kind == signalbox.KindSubnet {
		ref.ID = subnetID(n, 4)
	}
	delete(w.hosts, ref.ID)
	delete(w.networks, ref.ID)
	delete(w.subnets, ref.ID)
	delete(w.ports, ref.ID)
	delete(w.routers, ref.ID)
	delete(w.floating, ref.ID)
	delete(w.heard, ref.ID)
	delete(w.groups, ref.ID)
	w.c.Facts.Apply(&signalbox.Delta{Gone: []signalbox.Ref{ref}})
}

// change makes one random change.
func (w *world) change(t *rapid.T) {
	host := rapid.IntRange(0, worldHosts-1).Draw(t, "host")
	network := rapid.IntRange(0, worldNetworks-1).Draw(t, "network")
	port := rapid.IntRange(0, worldPorts-1).Draw(t, "port")
	router := rapid.IntRange(0, worldRouters-1).Draw(t, "router")
	end := rapid.IntRange(0, worldEnds-1).Draw(t, "end")
	floating := rapid.IntRange(0, worldFloating-1).Draw(t, "floating")
	neighbour := rapid.IntRange(0, worldOutside-1).Draw(t, "neighbour")
	group := rapid.IntRange(0, worldGroups-1).Draw(t, "group")
	switch rapid.IntRange(0, 61).Draw(t, "change") {
	case 0:
		w.drawHost(t, host)
	case 1, 2:
		w.drawNetwork(t, network)
	case 3, 4:
		w.drawSubnet(t, network, rapid.SampledFrom([]int{4, 4, 6}).Draw(t, "version"))
	case 5:
		w.drawSwitch(t, host)
	case 6:
		w.setSwitch(host, nil)
	case 7, 8, 9:
		w.rewire(t, host)
	case 10:
		w.drop(signalbox.KindHost, host)
	case 11:
		w.drop(signalbox.KindNetwork, network)
	case 12:
		w.drop(signalbox.KindSubnet, network)
	case 13:
		w.drop(signalbox.KindPort, port)
	case 14:
		w.leave(host)
	case 15:
		w.join(host)
	case 16:
		delete(w.ports, id("port", port)) // forgotten by a whole view, not by name
		w.c.Facts.Apply(w.delta())
	case 17:
		w.drop(signalbox.KindPort, worldPorts+rapid.IntRange(0, worldNumbers-worldPorts-1).Draw(t, "other port"))
	case 18:
		w.drop(signalbox.KindRouter, router)
	case 19:
		delete(w.routers, id("router", router))
		w.c.Facts.Apply(w.delta())
	case 20, 21, 22:
		w.drawRouter(t, router)
	case 23, 24, 25, 26:
		w.drawInterface(t, end)
	case 27, 28, 29, 30, 31:
		w.drawGateway(t, router)
	case 32, 33, 34, 35, 36:
		w.drawFloating(t, floating)
	case 37, 38:
		w.drawNeighbour(t, neighbour)
	case 39:
		w.drop(signalbox.KindFloatingIP, floating)
	case 40:
		w.drop(signalbox.KindNeighbour, neighbour)
	case 41:
		delete(w.floating, id("floatingip", floating))
		delete(w.heard, id("neighbour", neighbour))
		w.c.Facts.Apply(w.delta())
	case 42, 43, 44, 45:
		w.drawGroup(t, group)
	case 46:
		w.drop(signalbox.KindSecurityGroup, group)
	case 47:
		delete(w.groups, id("security_group", group))
		w.c.Facts.Apply(w.delta())
	case 48, 49, 50:
		w.rescope(t, network)
	default:
		w.drawPort(t, port)
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
	for _, r := range w.routers {
		d.Routers = append(d.Routers, *r)
	}
	for _, p := range w.ports {
		d.Ports = append(d.Ports, *p)
	}
	for _, ip := range w.floating {
		d.FloatingIPs = append(d.FloatingIPs, *ip)
	}
	for _, n := range w.heard {
		d.Neighbours = append(d.Neighbours, *n)
	}
	for _, g := range w.groups {
		d.SecurityGroups = append(d.SecurityGroups, *g)
	}
	return d
}

// fromNothing compiles the world as it is, told in another order each time.
func (w *world) fromNothing() *Compiler {
	c := NewCompiler()
	if w.guarded {
		c.Facts.EnforceGroups()
	}
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
	w.indexesAre(t, fresh.Facts)
}

// indexesAre: nothing is left in an index, and nothing is missing.
func (w *world) indexesAre(t *rapid.T, want *Facts) {
	got := w.c.Facts
	for name, pair := range map[string][2]any{
		"members": {got.members, want.members}, "present": {got.present, want.present}, "ends": {got.ends, want.ends},
		"joined": {got.joined, want.joined}, "keys": {got.keys, want.keys}, "blocks": {got.blocks, want.blocks},
		"outside": {got.outside, want.outside}, "voices": {got.voices, want.voices}, "groups": {got.groups, want.groups},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Fatalf("%s is\n%v\nand from nothing\n%v", name, pair[0], pair[1])
		}
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
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(mostly(t, "guarded"))
		w.populate(t)
		w.check(t)
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			for range rapid.IntRange(1, 3).Draw(t, "changes") {
				w.change(t)
			}
			w.check(t)
		}
	})
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
	named := s
	named.DNSServers = []netip.Addr{netip.MustParseAddr("9.9.9.9")}
	c.Facts.SetSubnet(&named)
	if len(c.Step()) == 0 {
		t.Error("whether a subnet names DNS servers is no news")
	}
	s.Name, s.DNSServers = "other", []netip.Addr{netip.MustParseAddr("8.8.8.8")}
	c.Facts.Apply(&signalbox.Delta{Ports: []signalbox.Port{p}, Networks: []signalbox.Network{n}, Hosts: []signalbox.Host{h}, Subnets: []signalbox.Subnet{s}})
	if got := c.Step(); len(got) != 0 {
		t.Errorf("compiled %v", got)
	}
	if c.Facts.Port(p.ID).Name != "other" || c.Facts.Network(n.ID).MTU != 1400 || !c.Facts.Host(h.ID).Managed || len(c.Facts.Subnet(s.ID).DNSServers) != 1 {
		t.Error("the new rows are not kept")
	}
}

func TestANetworksScopeConcernsItsRoutersAlone(t *testing.T) {
	w := loadTopology(t, "testdata/traces/scopes.txt")
	c := w.compile()
	n := *w.network["red"]
	n.IPv4Scope = w.network["ext"].IPv4Scope
	c.Facts.Apply(&signalbox.Delta{Networks: []signalbox.Network{n}})
	changes := c.Step()
	if len(changes) != 2 {
		t.Errorf("%d hosts change, and two route there", len(changes))
	}
	for host, ch := range changes {
		for u := range ch.Units {
			if (u.Kind != RouterUnit && u.Kind != GatewayUnit) || u.ID != idOf("router", "main") {
				t.Errorf("%v of %s is compiled", u, w.names[host])
			}
		}
		if len(ch.Adds) == 0 || len(ch.Deletes) == 0 {
			t.Errorf("%s is to add %d and delete %d", w.names[host], len(ch.Adds), len(ch.Deletes))
		}
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
	if len(changes) != 1 || len(ch.Units) != 1 || len(ch.Adds) != 4 || len(ch.Deletes) != 4 || len(ch.AddMeters) != 2 || len(ch.DeleteMeters) != 2 {
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

// handOver makes a change in which one unit takes over from another. The order in which units are compiled
// is a map's, so it is tried often.
func handOver(t *testing.T, change func(w *topology, c *Compiler)) {
	t.Helper()
	for range 30 {
		w, c := settled(t)
		host := idOf("host", "a")
		change(w, c)
		held := maps.Clone(c.hosts[host].flows)
		for _, f := range c.Step()[host].Adds {
			if _, there := held[f.Cookie]; there {
				t.Fatalf("%s is added, but was there", &f)
			}
		}
		fresh := NewCompiler()
		d := &signalbox.Delta{Full: true}
		for _, n := range c.Facts.networks {
			d.Networks = append(d.Networks, *n)
		}
		for _, s := range c.Facts.subnets {
			d.Subnets = append(d.Subnets, *s)
		}
		for _, p := range c.Facts.ports {
			d.Ports = append(d.Ports, *p)
		}
		for _, h := range c.Facts.hosts {
			d.Hosts = append(d.Hosts, *h)
		}
		fresh.Facts.Apply(d)
		fresh.Facts.SetSwitch(host, c.Facts.Switch(host))
		fresh.AddHost(host)
		fresh.Step()
		got, want := c.Flows(host, nil), fresh.Flows(host, nil)
		if !slices.EqualFunc(got, want, func(a, b flow.Flow) bool { return a.Cookie == b.Cookie }) {
			t.Fatalf("%d flows, and %d from nothing", len(got), len(want))
		}
		if !maps.Equal(c.Meters(host), fresh.Meters(host)) {
			t.Fatalf("meters %v, and from nothing %v", c.Meters(host), fresh.Meters(host))
		}
	}
}

func TestPortsThatSwapTheirInterfacesKeepBothMeters(t *testing.T) {
	handOver(t, func(w *topology, c *Compiler) {
		old := w.switches["a"]
		s := &Switch{old.Tunnels, old.Patches, maps.Clone(old.Interfaces)}
		s.Interfaces["tap1"], s.Interfaces["tap2"] = Interface{Name: "tap1", OFPort: 12}, Interface{Name: "tap2", OFPort: 11}
		c.Facts.SetSwitch(idOf("host", "a"), s)
	})
}

func TestAPortThatTakesOverAnothersAddressTakesItsFlows(t *testing.T) {
	handOver(t, func(w *topology, c *Compiler) {
		heir := *w.port["vm5"]
		heir.MAC, heir.FixedIPs, heir.Binding = w.port["vm3"].MAC, w.port["vm3"].FixedIPs, w.port["vm3"].Binding
		c.Facts.Drop(signalbox.Ref{Kind: signalbox.KindPort, ID: idOf("port", "vm3")})
		c.Facts.SetPort(&heir)
	})
}

func TestPortsThatSwapTheirAddressesSwapTheirFlows(t *testing.T) {
	handOver(t, func(w *topology, c *Compiler) {
		one, other := *w.port["vm3"], *w.port["vm5"]
		for _, p := range []*signalbox.Port{&one, &other} {
			p.Binding = &signalbox.Binding{HostID: idOf("host", "b"), Interface: p.ID.String()}
			c.Facts.SetPort(p)
		}
		c.Step()
		swapped, back := one, other
		swapped.MAC, swapped.FixedIPs = other.MAC, other.FixedIPs
		back.MAC, back.FixedIPs = one.MAC, one.FixedIPs
		c.Facts.SetPort(&swapped)
		c.Facts.SetPort(&back)
	})
}

func TestAPortThatChangesItsNetworkIsNotLost(t *testing.T) {
	handOver(t, func(w *topology, c *Compiler) {
		other := *w.network["blue"]
		other.ID, other.Key, other.Segment.ID = idOf("network", "other"), 77, 77
		c.Facts.SetNetwork(&other)
		stays, moves := *w.port["vm5"], *w.port["vm2"]
		stays.NetworkID, stays.Binding = other.ID, &signalbox.Binding{HostID: idOf("host", "a"), Interface: "tap9"}
		c.Facts.SetPort(&stays)
		c.Step()
		moves.NetworkID = other.ID
		c.Facts.SetPort(&moves)
	})
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

func TestMetersThatASwitchLacksAndHasTooMuch(t *testing.T) {
	_, c := settled(t)
	host := idOf("host", "a")
	meters := sortedMeters(c, host)
	if adds, deletes := c.MeterDifference(host, meters); len(adds)+len(deletes) != 0 {
		t.Errorf("a switch that has all is sent %v, and loses %v", adds, deletes)
	}
	changed, lacks := meters[0], meters[1]
	read := append(slices.Clone(meters[2:]), changed, flow.RateLimit{ID: 77, PacketsPerSecond: 1})
	read[len(read)-2].Burst++
	adds, deletes := c.MeterDifference(host, read)
	slices.SortFunc(adds, func(a, b flow.RateLimit) int { return int(a.ID) - int(b.ID) })
	if !slices.Equal(adds, []flow.RateLimit{changed, lacks}) || !slices.Equal(deletes, []uint32{77}) {
		t.Errorf("adds %v, deletes %v", adds, deletes)
	}
}

func TestAFlowIsFoundByItsCookie(t *testing.T) {
	_, c := settled(t)
	host := idOf("host", "a")
	for _, want := range c.Flows(host, nil) {
		if f, ok := c.FlowWith(host, want.Cookie); !ok || !reflect.DeepEqual(f, want) {
			t.Fatalf("%v is not %v", f, want)
		}
	}
	if f, ok := c.FlowWith(host, 42); ok {
		t.Errorf("42 is the cookie of %v", f)
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

func TestANewVMRecompilesNoHostAndNoRouter(t *testing.T) {
	w := loadTopology(t, "testdata/routed.txt")
	c := w.compile()
	p := *w.port["green2"]
	p.ID, p.Key, p.MAC[5] = idOf("port", "green3"), 0x99, 5
	p.FixedIPs = []signalbox.FixedIP{{SubnetID: p.FixedIPs[0].SubnetID, Addr: netip.MustParseAddr("10.0.2.5")}}
	p.Binding = &signalbox.Binding{PortID: p.ID, HostID: idOf("host", "b"), Interface: "tap99"}
	c.Facts.SetPort(&p)
	changes := c.Step()
	if len(changes) != 2 {
		t.Errorf("%d hosts change, not those two that route to green", len(changes))
	}
	for host, ch := range changes {
		for u := range ch.Units {
			if u.ID != p.ID && u.ID != p.NetworkID {
				t.Errorf("on %s, unit %v is compiled again", w.names[host], u)
			}
		}
	}
	for _, f := range changes[idOf("host", "a")].Adds {
		if f.Table != TableSwitching && f.Table != TableNextHop {
			t.Errorf("a, which only routes to green, gets %s", &f)
		}
	}
}

func TestAHostNeedsTheNetworksThatRoutersJoin(t *testing.T) {
	w := loadTopology(t, "testdata/routed.txt")
	c := w.compile()
	names := func(host string) (out []string) {
		for id := range c.Networks(idOf("host", host)) {
			out = append(out, w.names[id])
		}
		slices.Sort(out)
		return out
	}
	want := []string{"between", "blue", "deep", "green", "grey", "lone", "other", "other2", "pink", "red"}
	if got := names("a"); !slices.Equal(got, want) {
		t.Errorf("a needs %v, not %v", got, want)
	}
	if got := names("c"); len(got) != 0 {
		t.Errorf("c, without a port, needs %v", got)
	}
	for range c.Networks(idOf("host", "a")) {
		break // a reader may stop early
	}

	down := *w.router["main"]
	down.AdminStateUp = false
	c.Facts.SetRouter(&down)
	c.Step()
	if got := names("a"); !slices.Equal(got, []string{"blue", "grey", "lone", "other", "other2", "red"}) {
		t.Errorf("without its router, a needs %v", got)
	}
}
