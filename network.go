package signalbox

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// NetworkKey is the small number by which flows know a network. It is assigned with the row, by the
// database, and never reused while flows could still carry it.
type NetworkKey uint32

// NetworkType says how a network's frames travel between hosts (Neutron's provider:network_type).
type NetworkType string

// The network types.
const (
	Local  NetworkType = "local"  // never leaves the host
	Flat   NetworkType = "flat"   // untagged on a physical network
	VLAN   NetworkType = "vlan"   // 802.1Q on a physical network
	GRE    NetworkType = "gre"    // GRE with key, RFC 2890
	VXLAN  NetworkType = "vxlan"  // RFC 7348
	Geneve NetworkType = "geneve" // RFC 8926
)

// Tunnelled reports whether frames between hosts are carried in an overlay.
func (t NetworkType) Tunnelled() bool { return t == GRE || t == VXLAN || t == Geneve }

// OnPhysical reports whether frames between hosts travel on a named physical network.
func (t NetworkType) OnPhysical() bool { return t == Flat || t == VLAN }

// Segment is where a network's frames are found outside a host.
type Segment struct {
	Type     NetworkType
	Physical string // name of the physical network: flat and vlan only
	ID       uint32 // VLAN id 1-4094, or tunnel id; 0 for local and flat
}

// Network is a broadcast domain owned by a project.
type Network struct {
	ID           uuid.UUID
	Key          NetworkKey
	ProjectID    string
	Name         string
	Description  string
	AdminStateUp bool
	Shared       bool     // with every project
	External     bool     // router:external
	SharedWith   []string // the projects that policies share it with, in order; Everyone: all. Read only
	ExternalTo   []string // likewise those that it is external to
	Unsecured    bool     // port security is off for ports that do not say
	DNSDomain    string   // of its ports' names, as ParseDomain has it; "": as is configured
	MTU          int      // bytes, the largest IP packet that the network carries between hosts
	Segment      Segment
	Subnets      []uuid.UUID // read only, in order of creation
	ZoneHints    []string    // availability zones that it was asked to be in
	IPv4Scope    uuid.UUID   // read only: the address scope of its IPv4 subnets, if their pools are in one; else Nil
	IPv6Scope    uuid.UUID   // likewise
	Tags         []string    // in order, each once
	Meta
}

// SharedTo reports whether a policy shares the network with a project.
func (n *Network) SharedTo(project string) bool { return reaches(n.SharedWith, project) }

// ExternalFor reports whether a policy makes the network external to a project.
func (n *Network) ExternalFor(project string) bool { return reaches(n.ExternalTo, project) }

// Meta is what every row carries about itself.
type Meta struct {
	CreatedAt time.Time
	UpdatedAt time.Time
	Revision  int64 // Neutron's revision_number
}

// MaxTags is how many tags a resource has at most, so that it can still be shown in a list.
const MaxTags = 500

// AddrRange is an inclusive range of addresses of one family.
type AddrRange struct{ First, Last netip.Addr }

// Route is a destination and the next hop towards it.
type Route struct {
	Destination netip.Prefix
	NextHop     netip.Addr
}

// IPv6Mode is how addresses or router advertisements of an IPv6 subnet are made ("" when unset).
type IPv6Mode string

// The IPv6 modes of Neutron's ipv6_ra_mode and ipv6_address_mode.
const (
	SLAAC           IPv6Mode = "slaac"
	DHCPv6Stateful  IPv6Mode = "dhcpv6-stateful"
	DHCPv6Stateless IPv6Mode = "dhcpv6-stateless"
)

// Subnet is a block of addresses for the ports of one network.
type Subnet struct {
	ID          uuid.UUID
	NetworkID   uuid.UUID
	ProjectID   string
	Name        string
	Description string
	CIDR        netip.Prefix // masked; its family is the subnet's ip_version
	GatewayIP   netip.Addr   // the zero Addr means none
	EnableDHCP  bool
	Pools       []AddrRange // in ascending order, never overlapping
	DNSServers  []netip.Addr
	HostRoutes  []Route
	RAMode      IPv6Mode
	AddressMode IPv6Mode
	Tags        []string // in order, each once
	Meta

	SubnetPoolID uuid.UUID // what it is cut from; Nil: nothing
	ServiceTypes []string  // device owners of the ports that it is for; none: whoever finds no subnet that is for him alone
}

// IPVersion is 4 or 6.
func (s *Subnet) IPVersion() int { return ipVersion(s.CIDR) }
