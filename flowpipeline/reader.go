package flowpipeline

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// Reader is how a unit looks at the facts: each look is recorded, also one that finds nothing, so that
// no dependency can be forgotten. What it returns belongs to the facts and must not be written to.
type Reader struct {
	facts *Facts
	read  []Fact // may name a fact twice
}

func (r *Reader) note(f Fact) { r.read = append(r.read, f) }

// Host is a host's row, or nil. Only its tunnel address and its MAC may be read: other columns change unseen.
func (r *Reader) Host(id uuid.UUID) *signalbox.Host {
	r.note(Fact{kind: factHost, id: id})
	return r.facts.hosts[id]
}

// Network is a network's row, or nil. Only its key, its segment and its admin state may be read: other
// columns change unseen.
func (r *Reader) Network(id uuid.UUID) *signalbox.Network {
	r.note(Fact{kind: factNetwork, id: id})
	return r.facts.networks[id]
}

// Subnet is a subnet's row, or nil. Only its CIDR, EnableDHCP and GatewayIP, and whether it names DNS servers, may be read:
// other columns change unseen.
func (r *Reader) Subnet(id uuid.UUID) *signalbox.Subnet {
	r.note(Fact{kind: factSubnet, id: id})
	return r.facts.subnets[id]
}

// Port is a port's row and binding, or nil. Its names, device and status must not be read: they change unseen.
func (r *Reader) Port(id uuid.UUID) *signalbox.Port {
	r.note(Fact{kind: factPort, id: id})
	return r.facts.ports[id]
}

// MTU is a network's MTU; 0 when there is no such network, or it says none.
func (r *Reader) MTU(network uuid.UUID) int {
	r.note(Fact{kind: factMTU, id: network})
	if n := r.facts.networks[network]; n != nil {
		return n.MTU
	}
	return 0
}

// Scope is the address scope of a network's IPv4 addresses; Nil: the one without a name, or there is no such network.
func (r *Reader) Scope(network uuid.UUID) uuid.UUID {
	r.note(Fact{kind: factScope, id: network})
	if n := r.facts.networks[network]; n != nil {
		return n.IPv4Scope
	}
	return uuid.Nil
}

// Router is a router's row, or nil. Only its key, its admin state, its routes and its gateway may be read: other
// columns change unseen.
func (r *Reader) Router(id uuid.UUID) *signalbox.Router {
	r.note(Fact{kind: factRouter, id: id})
	return r.facts.routers[id]
}

// InterfacesOf is the ids of a router's interface ports, in order.
func (r *Reader) InterfacesOf(router uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factEnds, id: router})
	return sortedIDs(maps.Keys(r.facts.ends[router]))
}

// RoutersOn is the routers that have an interface on a network, in the order of their ids.
func (r *Reader) RoutersOn(network uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factJoined, id: network})
	return r.facts.RoutersOn(network)
}

// Routed reports whether a router has an interface or a gateway on a network.
func (r *Reader) Routed(network uuid.UUID) bool {
	return r.Exits(network) || len(r.facts.joined[network]) > 0
}

// Exits reports whether a router has its gateway on a network.
func (r *Reader) Exits(network uuid.UUID) bool {
	r.note(Fact{kind: factJoined, id: network})
	return r.facts.outside.gateways[network] > 0
}

// SubnetsOf is the ids of a network's subnets, in order.
func (r *Reader) SubnetsOf(network uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factBlocks, id: network})
	return r.facts.SubnetsOf(network)
}

// FloatingIP is a floating IP's row, or nil. Its description, project and status must not be read: they change unseen.
func (r *Reader) FloatingIP(id uuid.UUID) *signalbox.FloatingIP {
	r.note(Fact{kind: factFloating, id: id})
	return r.facts.floating[id]
}

// Neighbours is who answered ARP on an external network, in the order of their ids.
func (r *Reader) Neighbours(network uuid.UUID) []*signalbox.Neighbour {
	r.note(Fact{kind: factNeighbours, id: network})
	return r.facts.Neighbours(network)
}

// Outlets is the routers that have addresses which a host translates, in the order of their ids: it is
// their gateway host, or that of a floating IP.
func (r *Reader) Outlets(host uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factOutlets, id: host})
	return sortedIDs(maps.Keys(r.facts.outside.outlets[host]))
}

// FloatingAt is a router's floating IPs that a host translates, in the order of their ids.
func (r *Reader) FloatingAt(host, router uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factTranslated, id: router})
	var out []uuid.UUID
	for id := range r.facts.outside.floatingOf[router] {
		if r.facts.outside.seats[id].host == host {
			out = append(out, id)
		}
	}
	return sortedIDs(slices.Values(out))
}

// FloatingOf is a router's floating IPs that any host translates, in the order of their ids.
func (r *Reader) FloatingOf(router uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factTranslated, id: router})
	var out []uuid.UUID
	for id := range r.facts.outside.floatingOf[router] {
		if r.facts.outside.seats[id].host != uuid.Nil {
			out = append(out, id)
		}
	}
	return sortedIDs(slices.Values(out))
}

// Contested reports whether one of a port's addresses may be claimed by another port. It is part of the port's row, by
// which p has come.
func (r *Reader) Contested(p *signalbox.Port, a netip.Addr) bool { return r.facts.contested(p, a) }

// SharedMACs is the ids of the MACs that ports of a network share, in order.
func (r *Reader) SharedMACs(network uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factShared, id: network})
	return sortedIDs(maps.Keys(r.facts.voices.shared[network]))
}

// SharedMAC is a MAC that ports share, with its network, and these ports in the order of their ids.
func (r *Reader) SharedMAC(id uuid.UUID) (network uuid.UUID, mac signalbox.MAC, ports []uuid.UUID) {
	r.note(Fact{kind: factHolders, id: id})
	m := r.facts.voices.macs[id]
	if m == nil {
		return uuid.Nil, mac, nil
	}
	return m.network, m.mac, sortedIDs(maps.Keys(m.ports))
}

// Guarded reports whether security groups are enforced, which never changes.
func (r *Reader) Guarded() bool { return r.facts.guarded }

// GroupsOn is the security groups that ports of a host are in, in the order of their ids.
func (r *Reader) GroupsOn(host uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factGroupsOn, id: host})
	return sortedIDs(maps.Keys(r.facts.groups.held[host]))
}

// Group is a security group's row, or nil. Only its key and its rules may be read: other columns change unseen.
func (r *Reader) Group(id uuid.UUID) *signalbox.SecurityGroup {
	r.note(Fact{kind: factGroup, id: id})
	return r.facts.groups.rows[id]
}

// GroupKey is a security group's key; 0 when there is no such group. Its rules are not read by that.
func (r *Reader) GroupKey(id uuid.UUID) signalbox.GroupKey {
	r.note(Fact{kind: factGroupKey, id: id})
	if g := r.facts.groups.rows[id]; g != nil {
		return g.Key
	}
	return 0
}

// MemberAddresses is the ids of the addresses that members of a security group have, in order.
func (r *Reader) MemberAddresses(group uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factMemberAddresses, id: group})
	return r.facts.groups.members[group]
}

// MemberAddress is one of these, and its group; false when no member has it any more. An id never stands for another.
func (r *Reader) MemberAddress(id uuid.UUID) (group uuid.UUID, addr netip.Prefix, ok bool) {
	r.note(Fact{kind: factMemberAddress, id: id})
	if m := r.facts.groups.addrs[id]; m != nil {
		return m.group, m.addr, true
	}
	return uuid.Nil, addr, false
}

// Members is a network's ports in the order of their ids.
func (r *Reader) Members(network uuid.UUID) []Member {
	r.note(Fact{kind: factMembers, id: network})
	return r.facts.members[network]
}

// NetworksOn is the networks that have a port on a host, in the order of their ids.
func (r *Reader) NetworksOn(host uuid.UUID) []uuid.UUID {
	r.note(Fact{kind: factPresence, id: host})
	return sortedIDs(maps.Keys(r.facts.present[host]))
}

// TunnelPort is the OpenFlow port of a host's tunnels of a type; false when it has none.
func (r *Reader) TunnelPort(host uuid.UUID, t signalbox.NetworkType) (uint32, bool) {
	r.note(Fact{kind: factSwitch, id: host})
	if s := r.facts.switches[host]; s != nil {
		no, ok := s.Tunnels[t]
		return no, ok
	}
	return 0, false
}

// PatchPort is the OpenFlow port of a host towards a physical network; false when it has none.
func (r *Reader) PatchPort(host uuid.UUID, physical string) (uint32, bool) {
	r.note(Fact{kind: factSwitch, id: host})
	if s := r.facts.switches[host]; s != nil {
		no, ok := s.Patches[physical]
		return no, ok
	}
	return 0, false
}

// Interface is an interface of a host's switch; false when there is none of that name.
func (r *Reader) Interface(host uuid.UUID, name string) (Interface, bool) {
	r.note(Fact{kind: factInterface, id: host, name: name})
	if s := r.facts.switches[host]; s != nil {
		i, ok := s.Interfaces[name]
		return i, ok
	}
	return Interface{}, false
}

// UnknownInterfaces is the interfaces of a host's switch that nothing names a port for, in the order of their numbers.
func (r *Reader) UnknownInterfaces(host uuid.UUID) []Interface {
	r.note(Fact{kind: factInterfaces, id: host})
	var out []Interface
	if s := r.facts.switches[host]; s != nil {
		for _, i := range s.Interfaces {
			if i.Unknown {
				out = append(out, i)
			}
		}
	}
	slices.SortFunc(out, func(a, b Interface) int { return int(a.OFPort) - int(b.OFPort) })
	return out
}

func sortedIDs(ids func(func(uuid.UUID) bool)) []uuid.UUID {
	return slices.SortedFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}
