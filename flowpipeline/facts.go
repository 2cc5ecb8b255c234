package flowpipeline

import (
	"bytes"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// Switch is what a host's switch itself says, beside the database's rows: where the ends of tunnels,
// physical networks and VIFs are. Port numbers are OpenFlow's.
type Switch struct {
	Tunnels    map[signalbox.NetworkType]uint32 // one port a tunnel type
	Patches    map[string]uint32                // physical network -> patch port towards its bridge
	Interfaces map[string]Interface             // by name: everything a VIF could be plugged into
}

// Interface is a port of the integration bridge that could be a VIF.
type Interface struct {
	Name   string
	OFPort uint32
	// Unknown: nothing says yet which port this is, so that its first packet's source may.
	Unknown bool
}

// Facts is everything that flows are made of: the rows and the switches, with the few indexes that
// compiling needs. It does no I/O; one goroutine at a time may use it.
//
// Each setter says what it changed to the observer, as Facts that a unit could have read.
type Facts struct {
	hosts    map[uuid.UUID]*signalbox.Host
	networks map[uuid.UUID]*signalbox.Network
	subnets  map[uuid.UUID]*signalbox.Subnet
	ports    map[uuid.UUID]*signalbox.Port
	routers  map[uuid.UUID]*signalbox.Router
	switches map[uuid.UUID]*Switch

	members map[uuid.UUID][]Member               // network -> its ports, in the order of their ids
	present map[uuid.UUID]map[uuid.UUID]int      // host -> network -> how many of its ports are held there
	ends    map[uuid.UUID]map[uuid.UUID]struct{} // router -> its interface ports
	joined  map[uuid.UUID]map[uuid.UUID]int      // network -> router -> how many interfaces it has there
	keys    map[signalbox.RouterKey]uuid.UUID    // of routers
	nets    map[signalbox.NetworkKey]uuid.UUID   // keys of networks
	blocks  map[uuid.UUID]map[uuid.UUID]struct{} // network -> its subnets

	floating map[uuid.UUID]*signalbox.FloatingIP
	outside  outside
	voices   voices
	groups   groups
	guarded  bool

	changed func(Fact)
}

// Member is what a network knows of one of its ports.
type Member struct {
	Port uuid.UUID
	Host uuid.UUID // that holds it; Nil: none
	Key  signalbox.PortKey
	Up   bool // its admin_state_up
	Open bool // it is a VIF whose security is off
	Zone signalbox.Zone
	Role signalbox.Role
}

// Fact names one thing that a unit can read. When it changes, the units that read it are compiled again.
type Fact struct {
	kind factKind
	id   uuid.UUID
	name string // of an interface
}

type factKind uint8

const (
	factHost            factKind = iota + 1 // a host's row
	factNetwork                             // a network's row
	factSubnet                              // a subnet's row
	factPort                                // a port's row, its addresses and its binding
	factMembers                             // a network's members
	factPresence                            // which networks have a port on a host
	factSwitch                              // a switch's tunnel and patch ports
	factInterfaces                          // which interfaces of a switch nobody knows
	factInterface                           // one interface of a switch
	factMTU                                 // a network's MTU
	factScope                               // a network's IPv4 address scope
	factRouter                              // a router's row
	factEnds                                // which interfaces a router has
	factJoined                              // which routers have an interface or a gateway on a network
	factBlocks                              // which subnets a network has
	factFloating                            // a floating IP's row
	factNeighbours                          // who is known on an external network
	factOutlets                             // which routers' addresses a host translates
	factTranslated                          // which host translates which of a router's floating IPs
	factShared                              // which MACs ports of a network share
	factHolders                             // which ports share a MAC
	factGroupsOn                            // which security groups ports of a host are in
	factGroup                               // a security group's row
	factGroupKey                            // whether there is a security group
	factMemberAddresses                     // which addresses the members of a security group have
	factMemberAddress                       // whether any has one of them
)

// NewFacts is an empty set of facts. changed may be nil.
func NewFacts(changed func(Fact)) *Facts {
	if changed == nil {
		changed = func(Fact) {}
	}
	return &Facts{
		hosts:    map[uuid.UUID]*signalbox.Host{},
		networks: map[uuid.UUID]*signalbox.Network{},
		subnets:  map[uuid.UUID]*signalbox.Subnet{},
		ports:    map[uuid.UUID]*signalbox.Port{},
		routers:  map[uuid.UUID]*signalbox.Router{},
		switches: map[uuid.UUID]*Switch{},
		members:  map[uuid.UUID][]Member{},
		present:  map[uuid.UUID]map[uuid.UUID]int{},
		ends:     map[uuid.UUID]map[uuid.UUID]struct{}{},
		joined:   map[uuid.UUID]map[uuid.UUID]int{},
		keys:     map[signalbox.RouterKey]uuid.UUID{},
		nets:     map[signalbox.NetworkKey]uuid.UUID{},
		blocks:   map[uuid.UUID]map[uuid.UUID]struct{}{},
		floating: map[uuid.UUID]*signalbox.FloatingIP{},
		outside:  newOutside(),
		voices:   newVoices(),
		groups:   newGroups(),
		changed:  changed,
	}
}

// Apply takes a change of the database's rows. Rows are kept, not copied: the caller must not write to them.
func (f *Facts) Apply(d *signalbox.Delta) {
	if d.Full {
		f.dropUnnamed(d)
	}
	for i := range d.Hosts {
		f.SetHost(&d.Hosts[i])
	}
	for i := range d.Networks {
		f.SetNetwork(&d.Networks[i])
	}
	for i := range d.Subnets {
		f.SetSubnet(&d.Subnets[i])
	}
	for i := range d.Routers {
		f.SetRouter(&d.Routers[i])
	}
	for i := range d.SecurityGroups {
		f.SetSecurityGroup(&d.SecurityGroups[i])
	}
	for i := range d.Ports {
		f.SetPort(&d.Ports[i])
	}
	for i := range d.FloatingIPs {
		f.SetFloatingIP(&d.FloatingIPs[i])
	}
	for i := range d.Neighbours {
		f.SetNeighbour(&d.Neighbours[i])
	}
	for _, ref := range d.Gone {
		f.Drop(ref)
	}
}

func (f *Facts) dropUnnamed(d *signalbox.Delta) {
	named := map[signalbox.Ref]bool{}
	for ref := range d.Named() {
		named[ref] = true
	}
	dropMissing(f, f.outside.neighbours, signalbox.KindNeighbour, named)
	dropMissing(f, f.floating, signalbox.KindFloatingIP, named)
	dropMissing(f, f.ports, signalbox.KindPort, named)
	dropMissing(f, f.groups.rows, signalbox.KindSecurityGroup, named)
	dropMissing(f, f.routers, signalbox.KindRouter, named)
	dropMissing(f, f.subnets, signalbox.KindSubnet, named)
	dropMissing(f, f.networks, signalbox.KindNetwork, named)
	dropMissing(f, f.hosts, signalbox.KindHost, named)
}

func dropMissing[T any](f *Facts, rows map[uuid.UUID]*T, kind signalbox.Kind, named map[signalbox.Ref]bool) {
	for id := range rows {
		if ref := (signalbox.Ref{Kind: kind, ID: id}); !named[ref] {
			f.Drop(ref)
		}
	}
}

// Drop forgets a row.
func (f *Facts) Drop(ref signalbox.Ref) {
	switch ref.Kind {
	case signalbox.KindHost:
		drop(f, f.hosts, factHost, ref.ID)
		f.seatAll()
	case signalbox.KindNetwork:
		if n := f.networks[ref.ID]; n != nil {
			f.changed(Fact{kind: factMTU, id: ref.ID})
			f.changed(Fact{kind: factScope, id: ref.ID})
			if f.nets[n.Key] == n.ID {
				delete(f.nets, n.Key)
			}
		}
		drop(f, f.networks, factNetwork, ref.ID)
		f.seatFloating(ref.ID)
	case signalbox.KindSubnet:
		if s := f.subnets[ref.ID]; s != nil {
			take(f.blocks, s.NetworkID, s.ID)
			f.changed(Fact{kind: factBlocks, id: s.NetworkID})
		}
		drop(f, f.subnets, factSubnet, ref.ID)
	case signalbox.KindPort:
		if p := f.ports[ref.ID]; p != nil {
			f.leave(p)
			f.unplug(p)
			f.hush(p)
			f.enlist(p, -1)
		}
		drop(f, f.ports, factPort, ref.ID)
		f.seatFloating(ref.ID)
	case signalbox.KindRouter:
		if r := f.routers[ref.ID]; r != nil && f.keys[r.Key] == r.ID {
			delete(f.keys, r.Key)
		}
		drop(f, f.routers, factRouter, ref.ID)
		f.seatGateway(ref.ID)
	case signalbox.KindFloatingIP:
		f.dropFloatingIP(ref.ID)
	case signalbox.KindNeighbour:
		f.dropNeighbour(ref.ID)
	case signalbox.KindSecurityGroup:
		if f.groups.rows[ref.ID] != nil {
			f.changed(Fact{kind: factGroupKey, id: ref.ID})
		}
		drop(f, f.groups.rows, factGroup, ref.ID)
	}
}

func drop[T any](f *Facts, rows map[uuid.UUID]*T, kind factKind, id uuid.UUID) {
	if rows[id] != nil {
		delete(rows, id)
		f.changed(Fact{kind: kind, id: id})
	}
}

// SetHost takes a host's row.
func (f *Facts) SetHost(h *signalbox.Host) {
	old := f.hosts[h.ID]
	set(f, f.hosts, factHost, h.ID, h, func(a, b *signalbox.Host) bool {
		return a.TunnelIP == b.TunnelIP && a.MAC == b.MAC
	})
	if old == nil || !maps.Equal(old.Mappings, h.Mappings) {
		f.seatAll()
	}
}

// SetNetwork takes a network's row.
func (f *Facts) SetNetwork(n *signalbox.Network) {
	f.nets[n.Key] = n.ID    // which the database never changes
	old := f.networks[n.ID] // what routers alone read changes by itself
	if old == nil || old.MTU != n.MTU {
		f.changed(Fact{kind: factMTU, id: n.ID})
	}
	if old == nil || old.IPv4Scope != n.IPv4Scope {
		f.changed(Fact{kind: factScope, id: n.ID})
	}
	set(f, f.networks, factNetwork, n.ID, n, func(a, b *signalbox.Network) bool {
		return a.Key == b.Key && a.AdminStateUp == b.AdminStateUp && a.Segment == b.Segment
	})
	f.seatFloating(n.ID)
}

// SetSubnet takes a subnet's row.
func (f *Facts) SetSubnet(s *signalbox.Subnet) {
	if put(f.blocks, s.NetworkID, s.ID) {
		f.changed(Fact{kind: factBlocks, id: s.NetworkID})
	}
	set(f, f.subnets, factSubnet, s.ID, s, func(a, b *signalbox.Subnet) bool {
		return a.CIDR == b.CIDR && a.EnableDHCP == b.EnableDHCP && a.GatewayIP == b.GatewayIP &&
			(len(a.DNSServers) == 0) == (len(b.DNSServers) == 0)
	})
}

// SetRouter takes a router's row.
func (f *Facts) SetRouter(r *signalbox.Router) {
	f.keys[r.Key] = r.ID // which the database never changes
	set(f, f.routers, factRouter, r.ID, r, func(a, b *signalbox.Router) bool {
		return a.Key == b.Key && a.AdminStateUp == b.AdminStateUp && slices.Equal(a.Routes, b.Routes) && sameGateway(a.Gateway, b.Gateway)
	})
	f.seatGateway(r.ID)
}

// SetPort takes a port's row and binding.
func (f *Facts) SetPort(p *signalbox.Port) {
	if old := f.ports[p.ID]; old != nil {
		if old.NetworkID != p.NetworkID {
			f.leave(old)
		}
		if attachmentOf(old) != attachmentOf(p) {
			f.unplug(old)
			f.plug(p)
		}
		if !sameVoices(old, p) {
			f.hush(old)
			f.raise(p)
		}
		if !sameMembership(old, p) {
			f.enlist(p, +1)
			f.enlist(old, -1)
		}
	} else {
		f.plug(p)
		f.raise(p)
		f.enlist(p, +1)
	}
	f.join(p)
	set(f, f.ports, factPort, p.ID, p, func(a, b *signalbox.Port) bool {
		return a.Key == b.Key && a.NetworkID == b.NetworkID && a.AdminStateUp == b.AdminStateUp && a.MAC == b.MAC &&
			a.Role == b.Role && a.RouterID == b.RouterID && a.Unsecured == b.Unsecured &&
			slices.Equal(a.FixedIPs, b.FixedIPs) && slices.Equal(a.Pairs, b.Pairs) && sameBinding(a.Binding, b.Binding) &&
			a.Zone == b.Zone && slices.Equal(a.SecurityGroups, b.SecurityGroups)
	})
	f.seatFloating(p.ID)
}

// set keeps a row. It is a change only when something differs that flows are made of: a new name, status
// or revision compiles nothing. What same does not compare, a unit must not read.
func set[T any](f *Facts, rows map[uuid.UUID]*T, kind factKind, id uuid.UUID, row *T, same func(a, b *T) bool) {
	old := rows[id]
	rows[id] = row
	if old == nil || !same(old, row) {
		f.changed(Fact{kind: kind, id: id})
	}
}

func sameBinding(a, b *signalbox.Binding) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.HostID == b.HostID && a.Interface == b.Interface
}

func memberOf(p *signalbox.Port) Member {
	m := Member{Port: p.ID, Key: p.Key, Up: p.AdminStateUp, Open: p.Unsecured && p.Role == signalbox.RoleVIF, Role: p.Role, Zone: p.Zone}
	if p.Binding != nil {
		m.Host = p.Binding.HostID
	}
	return m
}

func findMember(ms []Member, port uuid.UUID) (int, bool) {
	return slices.BinarySearchFunc(ms, port, func(m Member, id uuid.UUID) int { return bytes.Compare(m.Port[:], id[:]) })
}

// join and leave keep the two indexes that networks need: their members, and the hosts that these are on.
func (f *Facts) join(p *signalbox.Port) {
	ms, is, was := f.members[p.NetworkID], memberOf(p), Member{}
	at, known := findMember(ms, p.ID)
	if known {
		if was = ms[at]; was == is {
			return
		}
		ms[at] = is
	} else {
		f.members[p.NetworkID] = slices.Insert(ms, at, is)
	}
	f.changed(Fact{kind: factMembers, id: p.NetworkID})
	f.move(p.NetworkID, was.Host, is.Host)
}

func (f *Facts) leave(p *signalbox.Port) {
	ms := f.members[p.NetworkID]
	at, known := findMember(ms, p.ID)
	if !known {
		return
	}
	host := ms[at].Host
	if ms = slices.Delete(ms, at, at+1); len(ms) == 0 {
		delete(f.members, p.NetworkID)
	} else {
		f.members[p.NetworkID] = ms
	}
	f.changed(Fact{kind: factMembers, id: p.NetworkID})
	f.move(p.NetworkID, host, uuid.Nil)
}

// move counts a port of a network away from one host and on to another; Nil is no host.
func (f *Facts) move(network, from, to uuid.UUID) {
	if from == to {
		return
	}
	if from != uuid.Nil {
		f.count(from, network, -1)
	}
	if to != uuid.Nil {
		f.count(to, network, +1)
	}
}

func (f *Facts) count(host, network uuid.UUID, by int) {
	if tally(f.present, host, network, by) {
		f.changed(Fact{kind: factPresence, id: host})
	}
}

// attachment is what a router's interface connects; the zero value: the port is no router's interface.
type attachment struct{ router, network uuid.UUID }

func attachmentOf(p *signalbox.Port) attachment {
	if p.Role != signalbox.RoleRouterInterface {
		return attachment{}
	}
	return attachment{p.RouterID, p.NetworkID}
}

// plug and unplug keep the two indexes that routers need: their interfaces, and the networks that these
// are on. VIFs do not touch them.
func (f *Facts) plug(p *signalbox.Port) {
	at := attachmentOf(p)
	if at == (attachment{}) {
		return
	}
	put(f.ends, at.router, p.ID)
	f.changed(Fact{kind: factEnds, id: at.router})
	if tally(f.joined, at.network, at.router, +1) {
		f.changed(Fact{kind: factJoined, id: at.network})
	}
}

func (f *Facts) unplug(p *signalbox.Port) {
	at := attachmentOf(p)
	if at == (attachment{}) {
		return
	}
	take(f.ends, at.router, p.ID)
	f.changed(Fact{kind: factEnds, id: at.router})
	if tally(f.joined, at.network, at.router, -1) {
		f.changed(Fact{kind: factJoined, id: at.network})
	}
}

// SetSwitch takes what a host's switch says; nil forgets it. The maps are kept: the caller must not write to them.
func (f *Facts) SetSwitch(host uuid.UUID, s *Switch) {
	old := f.switches[host]
	if s == nil {
		delete(f.switches, host)
		s = &Switch{}
	} else {
		f.switches[host] = s
	}
	if old == nil {
		old = &Switch{}
	}
	if !maps.Equal(old.Tunnels, s.Tunnels) || !maps.Equal(old.Patches, s.Patches) {
		f.changed(Fact{kind: factSwitch, id: host})
	}
	unknown := false
	for name, was := range old.Interfaces {
		if is, ok := s.Interfaces[name]; !ok || is != was {
			unknown = unknown || was.Unknown || is.Unknown
			f.changed(Fact{kind: factInterface, id: host, name: name})
		}
	}
	for name, is := range s.Interfaces {
		if _, ok := old.Interfaces[name]; !ok {
			unknown = unknown || is.Unknown
			f.changed(Fact{kind: factInterface, id: host, name: name})
		}
	}
	if unknown {
		f.changed(Fact{kind: factInterfaces, id: host})
	}
}

// Port, Network, Subnet and Host look a row up without being recorded; nil when there is none.
func (f *Facts) Port(id uuid.UUID) *signalbox.Port { return f.ports[id] }

// Network is a network's row, or nil.
func (f *Facts) Network(id uuid.UUID) *signalbox.Network { return f.networks[id] }

// Networks is every network's row by its id. The map and the rows belong to the facts.
func (f *Facts) Networks() map[uuid.UUID]*signalbox.Network { return f.networks }

// Subnet is a subnet's row, or nil.
func (f *Facts) Subnet(id uuid.UUID) *signalbox.Subnet { return f.subnets[id] }

// Host is a host's row, or nil.
func (f *Facts) Host(id uuid.UUID) *signalbox.Host { return f.hosts[id] }

// Hosts is every host, in no order.
func (f *Facts) Hosts() map[uuid.UUID]*signalbox.Host { return f.hosts }

// Router is a router's row, or nil.
func (f *Facts) Router(id uuid.UUID) *signalbox.Router { return f.routers[id] }

// RouterByKey is the router that flows know by a key, or nil.
func (f *Facts) RouterByKey(key signalbox.RouterKey) *signalbox.Router { return f.routers[f.keys[key]] }

// NetworkByKey is the network that flows know by a key, or nil.
func (f *Facts) NetworkByKey(key signalbox.NetworkKey) *signalbox.Network {
	return f.networks[f.nets[key]]
}

// InterfacesOf is a router's interface ports, in the order of their ids.
func (f *Facts) InterfacesOf(router uuid.UUID) []*signalbox.Port {
	out := make([]*signalbox.Port, 0, len(f.ends[router]))
	for _, id := range sortedIDs(maps.Keys(f.ends[router])) {
		out = append(out, f.ports[id])
	}
	return out
}

// RoutersOn is the routers that have an interface on a network, in the order of their ids.
func (f *Facts) RoutersOn(network uuid.UUID) []uuid.UUID {
	return sortedIDs(maps.Keys(f.joined[network]))
}

// Switch is what a host's switch says, or nil.
func (f *Facts) Switch(host uuid.UUID) *Switch { return f.switches[host] }

// Ports is every port, in no order.
func (f *Facts) Ports() map[uuid.UUID]*signalbox.Port { return f.ports }

// Members is a network's ports in the order of their ids. The slice belongs to the facts.
func (f *Facts) Members(network uuid.UUID) []Member { return f.members[network] }

// HostByDatapath is the host whose switch has a datapath id, or nil.
func (f *Facts) HostByDatapath(id signalbox.DatapathID) *signalbox.Host {
	for _, h := range f.hosts {
		if h.DatapathID == id {
			return h
		}
	}
	return nil
}
