package flowpipeline

import (
	"strconv"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// What the tables tell each other about a packet. Every bit of a register that flows use is named here,
// with the tables that it lives in; a test refuses what two share at once. They are never written at run time.
var (
	// Network is the network that the packet is on: its signalbox.NetworkKey. From classify to output; a
	// router changes it in departure.
	Network = flow.Subfield{Field: flow.Reg0, Off: 0, Len: 32}
	// SourcePort is the port of this host that sent the packet: its signalbox.PortKey; 0 when it came
	// from the fabric. From classify to output.
	SourcePort = flow.Subfield{Field: flow.Reg1, Off: 0, Len: 32}
	// TargetPort is the port of this host that a packet, or a copy of it, is for: its signalbox.PortKey.
	// From switching or flood to output.
	TargetPort = flow.Subfield{Field: flow.Reg2, Off: 0, Len: 32}
	// Fabric is 1 when the packet came from another host or from a physical network: it goes to ports
	// of this host only. From classify to flood, also by a router.
	Fabric = flow.Subfield{Field: flow.Reg3, Off: 0, Len: 1}
	// Routed is 1 when a router has sent the packet: on a physical network it then needs the host's own MAC
	// as its source. From departure to switching.
	Routed = flow.Subfield{Field: flow.Reg3, Off: 1, Len: 1}
	// Larger is 1 when the packet does not fit into the network that it is routed to. From size to nexthop.
	Larger = flow.Subfield{Field: flow.Reg3, Off: 2, Len: 1}
	// Allowed is 1 when a rule of a security group lets the packet pass. From rule to sent or received.
	Allowed = flow.Subfield{Field: flow.Reg3, Off: 3, Len: 1}
	// Inbound is 1 when the packet's connection was made by somebody else to the watched port, and 0 when that made it. From
	// sent or received to rule.
	Inbound = flow.Subfield{Field: flow.Reg3, Off: 4, Len: 1}
	// Claimed is 1 when the port may say what the packet claims. From claims to honest.
	Claimed = flow.Subfield{Field: flow.Reg3, Off: 5, Len: 1}
	// Owned is 1 when the address that was asked for is the port's own. From claims to source.
	Owned = flow.Subfield{Field: flow.Reg3, Off: 6, Len: 1}
	// Target is 1 when the port may claim what it advertises, or has itself, at its own MAC, what it asks for by ARP. From source to services.
	Target = flow.Subfield{Field: flow.Reg3, Off: 7, Len: 1}
	// Piece is the part of a network's flood list that is being read. From switching to flood.
	Piece = flow.Subfield{Field: flow.Reg3, Off: 16, Len: 16}
	// Punt says to the controller why it gets a packet: a PuntReason. From the table that punts to the packet-in.
	Punt = flow.Subfield{Field: flow.Reg4, Off: 0, Len: 8}
	// Router is the router that has the packet: its signalbox.RouterKey; 0: none. From switching to
	// departure, or to the packet-in.
	Router = flow.Subfield{Field: flow.Reg5, Off: 0, Len: 32}
	// NextHop is the IPv4 address, on the network Egress, that the packet is handed to. From routing to
	// nexthop. Before that, router has it in hand while it turns an echo round.
	NextHop = flow.Subfield{Field: flow.Reg6, Off: 0, Len: 32}
	// Plain is the address that the packet had before conntrack was to translate it: outer where it comes in
	// (arrival to size, where 0 says that it came in as it is), inner where it goes out (exit to outward).
	Plain = flow.Subfield{Field: flow.Reg8, Off: 0, Len: 32}
	// Egress is the network that the packet is routed to: its signalbox.NetworkKey; Network stays the one
	// that it came from, until it departs. From routing to departure, or to the packet-in.
	Egress = flow.Subfield{Field: flow.Reg7, Off: 0, Len: 32}
	// ClaimKind, ClaimMAC and ClaimAddress are a claim that is put to claims: of which kind (claimIPv4 and so on), at which MAC, of
	// which address. Of the MAC the upper part is the first; an IPv4 address is in the last register. From source to claims.
	ClaimKind    = flow.Subfield{Field: flow.Reg10, Off: 16, Len: 2}
	ClaimMAC     = [2]flow.Subfield{{Field: flow.Reg10, Off: 0, Len: 16}, {Field: flow.Reg9, Off: 0, Len: 32}}
	ClaimAddress = [4]flow.Subfield{
		{Field: flow.Reg12, Off: 0, Len: 32}, {Field: flow.Reg13, Off: 0, Len: 32},
		{Field: flow.Reg14, Off: 0, Len: 32}, {Field: flow.Reg15, Off: 0, Len: 32},
	}
	// Group is the security group, of those that the watched port is in, whose rules are being read: its
	// signalbox.GroupKey. From membership to rule.
	Group = flow.Subfield{Field: flow.Reg9, Off: 0, Len: 32}
	// PeerGroup is the group that rules name as the other end, and that the peer is being looked for in; 0: rules that name
	// none are being read. From group to rule.
	PeerGroup = flow.Subfield{Field: flow.Reg10, Off: 0, Len: 32}
	// Zone is the conntrack zone of the watched port, the sender's first and then the receiver's: its signalbox.Zone. From
	// classify to permitted, and from switching or flood to admitted; both ask membership.
	Zone = flow.Subfield{Field: flow.Reg11, Off: 0, Len: 16}
	// Peer is the address of the other end of the packet's connection; an IPv4 address is in the last register. From tuple to
	// peer.
	Peer = [4]flow.Subfield{
		{Field: flow.Reg12, Off: 0, Len: 32}, {Field: flow.Reg13, Off: 0, Len: 32},
		{Field: flow.Reg14, Off: 0, Len: 32}, {Field: flow.Reg15, Off: 0, Len: 32},
	}
)

// Register is a named subfield, and the tables between which what it says is of use: by number, the two included. A packet that
// comes back to an earlier table, or asks a later one, stays between them.
type Register struct {
	flow.Subfield
	Name        string
	First, Last uint8
}

// Lives reports whether a table may read or write the register.
func (r *Register) Lives(table uint8) bool { return table >= r.First && table <= r.Last }

// Registers is every named subfield.
func Registers() []Register {
	all := []Register{
		{Network, "network", TableClassify, TableOutput},
		{SourcePort, "source_port", TableClassify, TableOutput},
		{TargetPort, "target_port", TableSwitching, TableOutput},
		{Fabric, "fabric", TableClassify, TableDeparture},
		{Routed, "routed", TableSwitching, TableDeparture},
		{Larger, "larger", TableArrival, TableNextHop},
		{Allowed, "allowed", TableSent, TableRule},
		{Inbound, "inbound", TableSent, TableRule},
		{Claimed, "claimed", TableSource, TableClaims},
		{Owned, "owned", TableSource, TableClaims},
		{Target, "target", TableSource, TableServices},
		{Piece, "piece", TableSwitching, TableFlood},
		{Punt, "punt", TableClassify, TableRefusal},
		{Router, "router", TableSwitching, TableRefusal},
		{NextHop, "next_hop", TableArrival, TableNextHop},
		{Plain, "plain", TableArrival, TableOutward},
		{Egress, "egress", TableRouting, TableRefusal},
		{ClaimKind, "claim_kind", TableSource, TableClaims},
		{Group, "group", TableMembership, TableRule},
		{PeerGroup, "peer_group", TableGroup, TableRule},
		{Zone, "zone", TableClassify, TableMembership},
	}
	for i := range ClaimMAC {
		all = append(all, Register{ClaimMAC[i], "claim_mac" + strconv.Itoa(i), TableSource, TableClaims})
	}
	for i := range Peer {
		all = append(all,
			Register{ClaimAddress[i], "claim_address" + strconv.Itoa(i), TableSource, TableClaims},
			Register{Peer[i], "peer" + strconv.Itoa(i), TableTuple, TablePeer})
	}
	return all
}

// PuntReason is why a packet is at the controller.
type PuntReason uint8

// The reasons. From PuntTimeExceeded on, a router cannot forward the packet, and its sender is to be told.
const (
	PuntFirstPacket  PuntReason = 1 // from an interface that no port is known for: its source MAC may tell
	PuntDHCP         PuntReason = 2 // a DHCP request of a port that has an address from a subnet with DHCP
	PuntTimeExceeded PuntReason = 3 // its TTL has run out
	PuntNoService    PuntReason = 4 // for an address of the router's own, which serves nothing but ping
	PuntNoRoute      PuntReason = 5 // the router has no route to its destination
	PuntNoNeighbour  PuntReason = 6 // no port that can be reached has the next hop's address
	PuntTooLarge     PuntReason = 7 // larger than the MTU of the network Egress; of what comes from outside, of the network inside
	PuntARPReply     PuntReason = 8 // an ARP answer to an address that is translated here, or a neighbour's new MAC
	PuntDNS          PuntReason = 9 // a question for names, at the DHCP address of a subnet that names no DNS server
)

// Refused reports whether the packet is one that a router could not forward.
func (p PuntReason) Refused() bool { return p >= PuntTimeExceeded && p <= PuntTooLarge }

func (p PuntReason) String() string {
	switch p {
	case PuntFirstPacket:
		return "first packet"
	case PuntDHCP:
		return "DHCP"
	case PuntTimeExceeded:
		return "time exceeded"
	case PuntNoService:
		return "no service"
	case PuntNoRoute:
		return "no route"
	case PuntNoNeighbour:
		return "no neighbour"
	case PuntTooLarge:
		return "too large"
	case PuntARPReply:
		return "ARP reply"
	case PuntDNS:
		return "DNS"
	}
	return "unknown"
}
