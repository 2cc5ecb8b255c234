package flowpipeline

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// topology is a small world written as text, one thing a line:
//
//	host a 192.0.2.1 vxlan=101 physnet1=201     its tunnel address (- for none), its tunnel ports, its mappings' patch ports
//	network blue vxlan 1001                     local | flat PHYSICAL | vlan PHYSICAL ID | a tunnel type and ID
//	subnet blue 10.0.0.0/24 dhcp                or: dhcp 9.9.9.9, which names a DNS server; or: gateway 10.0.0.254
//	port vm1 blue fa:16:3e:00:00:01 10.0.0.3 on a tap1 11
//	server dhcp-blue blue fa:16:3e:00:00:02 10.0.0.2
//	router main 10.9.0.0/16>10.0.0.9            its static routes
//	interface main blue fa:16:3e:00:01:01 10.0.0.1
//	gateway main ext fa:16:3e:00:09:01 203.0.113.11 on a snat zone 5      or: plain; "on -" is nowhere
//	floating 203.0.113.21 fa:16:3e:00:09:21 ext vm1 10.0.0.3 main         - - -: of no port
//	pair vm1 10.0.0.99                          an address that vm1 may have, too; or: 00:00:5e:00:01:01 10.0.0.99
//	open vm1                                    its security is off
//	neighbour ext 203.0.113.254 52:54:00:00:00:fe
//	unknown a vnet9 19                          an interface that nobody knows
//	guard                                       security groups are enforced
//	group web
//	rule web ingress tcp 80 90 v4 10.0.0.0/24   protocol, ports or type and code, family, remote; "-": any, @web: a group
//	member vm1 web                              and more groups
//
// A line that ends in "down" has admin_state_up false, a network's that ends in "mtu 1400" an MTU, and before that in "scope plant"
// an address scope. Addresses
// are joined by commas, "-" is none; a port without "on" is not bound. Keys are given out in the order of
// lines: networks, routers, groups and rules from 0x1, ports from 0x11. Bound ports have zones, 0x8000 and their key. Host a has MAC 0e:00:00:00:00:01, and so on. The
// router's interface on blue is a port called main-blue, its gateway main-ext; a floating IP and its own port are called
// by the address.
type topology struct {
	hosts    []string
	host     map[string]*signalbox.Host
	network  map[string]*signalbox.Network
	subnet   map[string]*signalbox.Subnet // by CIDR and network
	port     map[string]*signalbox.Port
	router   map[string]*signalbox.Router
	floating map[string]*signalbox.FloatingIP
	heard    []signalbox.Neighbour
	switches map[string]*Switch
	names    map[uuid.UUID]string
	order    []string // ports
	group    map[string]*signalbox.SecurityGroup
	guarded  bool
}

func idOf(kind, name string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(kind+" "+name))
}

func loadTopology(t testing.TB, path string) *topology {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseTopology(t, path, string(text))
}

func parseTopology(t testing.TB, path, text string) *topology {
	t.Helper()
	w := &topology{host: map[string]*signalbox.Host{}, network: map[string]*signalbox.Network{},
		subnet: map[string]*signalbox.Subnet{}, port: map[string]*signalbox.Port{},
		router: map[string]*signalbox.Router{}, floating: map[string]*signalbox.FloatingIP{}, switches: map[string]*Switch{}, names: map[uuid.UUID]string{},
		group: map[string]*signalbox.SecurityGroup{}}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if words := strings.Fields(line); len(words) > 0 {
			if err := w.read(words); err != nil {
				t.Fatalf("%s:%d: %v", path, n, err)
			}
		}
	}
	return w
}

func (w *topology) read(words []string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: %v", words, r)
		}
	}()
	if words[0] == "guard" {
		w.guarded = true
		return nil
	}
	up := true
	if words[len(words)-1] == "down" {
		up, words = false, words[:len(words)-1]
	}
	switch name := words[1]; words[0] {
	case "host":
		h := &signalbox.Host{ID: idOf("host", name), Name: name, DatapathID: signalbox.DatapathID(len(w.host) + 1),
			MAC: signalbox.MAC{0x0e, 0, 0, 0, 0, byte(len(w.host) + 1)}, Mappings: map[string]string{}}
		if words[2] != "-" {
			h.TunnelIP = netip.MustParseAddr(words[2])
		}
		s := &Switch{map[signalbox.NetworkType]uint32{}, map[string]uint32{}, map[string]Interface{}}
		for _, word := range words[3:] {
			what, no, _ := strings.Cut(word, "=")
			if t := signalbox.NetworkType(what); t.Tunnelled() {
				s.Tunnels[t] = number(no)
			} else {
				s.Patches[what], h.Mappings[what] = number(no), "br-"+what
			}
		}
		w.hosts, w.host[name], w.switches[name] = append(w.hosts, name), h, s
		w.names[h.ID] = name
	case "network":
		n := &signalbox.Network{ID: idOf("network", name), Key: signalbox.NetworkKey(len(w.network) + 1), AdminStateUp: up}
		if i := len(words) - 2; words[i] == "mtu" {
			n.MTU, words = int(number(words[i+1])), words[:i]
		}
		if i := len(words) - 2; words[i] == "scope" {
			n.IPv4Scope, words = idOf("scope", words[i+1]), words[:i]
		}
		n.Segment.Type = signalbox.NetworkType(words[2])
		if n.Segment.Type.OnPhysical() {
			n.Segment.Physical = words[3]
		}
		if last := words[len(words)-1]; n.Segment.Type == signalbox.VLAN || n.Segment.Type.Tunnelled() {
			n.Segment.ID = number(last)
		}
		w.network[name], w.names[n.ID] = n, name
	case "subnet":
		s := &signalbox.Subnet{ID: idOf("subnet", name+words[2]), NetworkID: idOf("network", name), CIDR: netip.MustParsePrefix(words[2])}
		switch {
		case len(words) > 3 && words[3] == "dhcp":
			s.EnableDHCP = true
			for _, a := range words[4:] {
				s.DNSServers = append(s.DNSServers, netip.MustParseAddr(a))
			}
		case len(words) > 4 && words[3] == "gateway":
			s.GatewayIP = netip.MustParseAddr(words[4])
		}
		w.subnet[name+words[2]] = s
	case "port", "server":
		p := &signalbox.Port{ID: idOf("port", name), Key: signalbox.PortKey(0x11 + len(w.port)), AdminStateUp: up,
			NetworkID: idOf("network", words[2]), MAC: signalbox.MustMAC(words[3])}
		if words[0] == "server" {
			p.Role = signalbox.RoleDHCP
		}
		for _, a := range strings.Split(words[4], ",") {
			if a != "-" {
				p.FixedIPs = append(p.FixedIPs, w.fixedIP(words[2], netip.MustParseAddr(a)))
			}
		}
		if len(words) > 5 {
			on, tap := words[6], words[7]
			p.Binding = &signalbox.Binding{PortID: p.ID, HostID: idOf("host", on), Interface: tap}
			p.Zone = signalbox.Zone(0x8000 + p.Key)
			if len(words) > 8 {
				w.switches[on].Interfaces[tap] = Interface{Name: tap, OFPort: number(words[8])}
			}
		}
		w.port[name], w.names[p.ID] = p, name
		w.order = append(w.order, name)
	case "router":
		r := &signalbox.Router{ID: idOf("router", name), Key: signalbox.RouterKey(len(w.router) + 1), AdminStateUp: up}
		for _, word := range words[2:] {
			to, by, _ := strings.Cut(word, ">")
			r.Routes = append(r.Routes, signalbox.Route{Destination: netip.MustParsePrefix(to), NextHop: netip.MustParseAddr(by)})
		}
		w.router[name], w.names[r.ID] = r, name
	case "interface":
		network := words[2]
		name := name + "-" + network
		for w.port[name] != nil {
			name += "+"
		}
		p := &signalbox.Port{ID: idOf("port", name), Key: signalbox.PortKey(0x11 + len(w.port)), AdminStateUp: up,
			NetworkID: idOf("network", network), MAC: signalbox.MustMAC(words[3]), Role: signalbox.RoleRouterInterface,
			RouterID: idOf("router", words[1])}
		p.FixedIPs = append(p.FixedIPs, w.fixedIP(network, netip.MustParseAddr(words[4])))
		w.port[name], w.names[p.ID] = p, name
		w.order = append(w.order, name)
	case "gateway":
		p := w.bare(name+"-"+words[2], words[2], words[3], words[4], signalbox.RoleRouterGateway)
		p.RouterID = idOf("router", name)
		g := &signalbox.Gateway{PortID: p.ID, NetworkID: p.NetworkID, FixedIPs: p.FixedIPs, EnableSNAT: words[7] == "snat", Zone: signalbox.Zone(number(words[9]))}
		if words[6] != "-" {
			g.Host = idOf("host", words[6])
		}
		w.router[name].Gateway = g
	case "floating":
		p := w.bare(name, words[3], words[2], name, signalbox.RoleFloatingIP)
		f := &signalbox.FloatingIP{ID: idOf("floating", name), NetworkID: p.NetworkID, OwnPortID: p.ID, Addr: p.FixedIPs[0].Addr, MAC: p.MAC}
		if words[4] != "-" {
			f.PortID, f.FixedAddr, f.RouterID = idOf("port", words[4]), netip.MustParseAddr(words[5]), idOf("router", words[6])
		}
		w.floating[name], w.names[f.ID] = f, name
	case "pair":
		p := w.port[name]
		pair := signalbox.AddressPair{MAC: p.MAC}
		if len(words) > 3 {
			pair.MAC = signalbox.MustMAC(words[2])
		}
		last := words[len(words)-1]
		if !strings.Contains(last, "/") {
			a := netip.MustParseAddr(last)
			last = netip.PrefixFrom(a, a.BitLen()).String()
		}
		pair.Prefix = netip.MustParsePrefix(last)
		p.Pairs = append(p.Pairs, pair)
	case "open":
		w.port[name].Unsecured = true
	case "group":
		g := &signalbox.SecurityGroup{ID: idOf("group", name), Key: signalbox.GroupKey(len(w.group) + 1), Name: name}
		w.group[name], w.names[g.ID] = g, name
	case "rule":
		g := w.group[name]
		g.Rules = append(g.Rules, readRule(g, words[2:]))
		w.names[g.Rules[len(g.Rules)-1].ID] = "of " + name
	case "member":
		for _, g := range words[2:] {
			w.port[name].SecurityGroups = append(w.port[name].SecurityGroups, idOf("group", g))
		}
	case "neighbour":
		w.heard = append(w.heard, signalbox.Neighbour{ID: idOf("neighbour", words[2]), NetworkID: idOf("network", name),
			Addr: netip.MustParseAddr(words[2]), MAC: signalbox.MustMAC(words[3])})
	case "unknown":
		w.switches[name].Interfaces[words[2]] = Interface{Name: words[2], OFPort: number(words[3]), Unknown: true}
	default:
		return fmt.Errorf("%q is not a thing of a topology", words[0])
	}
	return nil
}

// readRule reads what a rule says; its key is made of its group's and its number there.
func readRule(g *signalbox.SecurityGroup, words []string) signalbox.SecurityGroupRule {
	rule := signalbox.SecurityGroupRule{ID: idOf("rule", g.Name+" "+strings.Join(words, " ")), Key: signalbox.RuleKey(int(g.Key)*100 + len(g.Rules)), GroupID: g.ID,
		Direction: signalbox.Direction(words[0]), PortMin: signalbox.NoPort, PortMax: signalbox.NoPort, EtherType: signalbox.IPv4}
	if words[1] != "-" {
		rule.Protocol = signalbox.Protocol(words[1])
	}
	if words[2] != "-" {
		rule.PortMin = int(number(words[2]))
	}
	if words[3] != "-" {
		rule.PortMax = int(number(words[3]))
	}
	if words[4] == "v6" {
		rule.EtherType = signalbox.IPv6
	}
	switch remote := words[5]; {
	case remote[0] == '@':
		rule.RemoteGroupID = idOf("group", remote[1:])
	case remote != "-":
		rule.RemotePrefix = netip.MustParsePrefix(remote)
	}
	return rule
}

// bare makes a port that is bound to nothing.
func (w *topology) bare(name, network, mac, addr string, role signalbox.Role) *signalbox.Port {
	p := &signalbox.Port{ID: idOf("port", name), Key: signalbox.PortKey(0x11 + len(w.port)), AdminStateUp: true,
		NetworkID: idOf("network", network), MAC: signalbox.MustMAC(mac), Role: role}
	p.FixedIPs = append(p.FixedIPs, w.fixedIP(network, netip.MustParseAddr(addr)))
	w.port[name], w.names[p.ID] = p, name
	w.order = append(w.order, name)
	return p
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func (w *topology) fixedIP(network string, a netip.Addr) signalbox.FixedIP {
	for _, s := range w.subnet {
		if s.NetworkID == idOf("network", network) && s.CIDR.Contains(a) {
			return signalbox.FixedIP{SubnetID: s.ID, Addr: a}
		}
	}
	panic(fmt.Sprintf("no subnet of %s has %s", network, a))
}

// delta is the topology as the change feed would tell it at first.
func (w *topology) delta() *signalbox.Delta {
	d := &signalbox.Delta{Full: true}
	for _, h := range w.host {
		d.Hosts = append(d.Hosts, *h)
	}
	for _, n := range w.network {
		d.Networks = append(d.Networks, *n)
	}
	for _, s := range w.subnet {
		d.Subnets = append(d.Subnets, *s)
	}
	for _, r := range w.router {
		d.Routers = append(d.Routers, *r)
	}
	for _, p := range w.port {
		d.Ports = append(d.Ports, *p)
	}
	for _, f := range w.floating {
		d.FloatingIPs = append(d.FloatingIPs, *f)
	}
	d.Neighbours = w.heard
	for _, g := range w.group {
		row := *g
		row.Rules = slices.Clone(g.Rules)
		d.SecurityGroups = append(d.SecurityGroups, row)
	}
	return d
}

// compile compiles the topology from nothing.
func (w *topology) compile() *Compiler {
	c := NewCompiler()
	if w.guarded {
		c.Facts.EnforceGroups()
	}
	c.Facts.Apply(w.delta())
	for _, name := range w.hosts {
		c.Facts.SetSwitch(idOf("host", name), w.switches[name])
		c.AddHost(idOf("host", name))
	}
	c.Step()
	return c
}

// reason is why a flow exists, with the name of its object.
func (w *topology) reason(f *flow.Flow) string {
	return f.Why.Kind + " " + w.names[f.Why.ID] + " " + f.Why.Phrase
}
