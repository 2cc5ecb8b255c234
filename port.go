package signalbox

import (
	"net/netip"

	"github.com/google/uuid"
)

// PortKey is the small number by which flows know a port, assigned by the database with the row.
type PortKey uint32

// Status is what the API says about a port or network.
type Status string

// Statuses. A port is Active on evidence alone: the host holding it has acknowledged its flows.
const (
	Active   Status = "ACTIVE"
	Down     Status = "DOWN"
	Inactive Status = "INACTIVE" // of a binding that waits, and of nothing else
)

// Role is what Signalbox itself uses a port for. It is never taken from a client: device_owner is a
// tenant's to write and proves nothing.
type Role string

// Roles.
const (
	RoleVIF  Role = ""     // a VM's, or anybody's: can be bound to an interface
	RoleDHCP Role = "dhcp" // the address DHCP answers from; bound to no interface
	// RoleRouterInterface is a router's end on a network: its addresses are the router's there. It is
	// bound to no interface: every host that has the network forwards for it.
	RoleRouterInterface Role = "router_interface"
	RoleRouterGateway   Role = "router_gateway" // a router's end on an external network; bound to no interface
	RoleFloatingIP      Role = "floatingip"     // holds a floating address; bound to no interface
)

// The device_owner shown on ports that are Signalbox's own.
const (
	DeviceOwnerDHCP            = "network:dhcp"
	DeviceOwnerRouterInterface = "network:router_interface"
	DeviceOwnerRouterGateway   = "network:router_gateway"
	DeviceOwnerFloatingIP      = "network:floatingip"
)

// FixedIP is one address of a port and the subnet it was taken from.
type FixedIP struct {
	SubnetID uuid.UUID
	Addr     netip.Addr
}

// Port is a port of the virtual switch: it ties a VIF to a network.
type Port struct {
	ID           uuid.UUID
	Key          PortKey
	NetworkID    uuid.UUID
	ProjectID    string
	Name         string
	Description  string
	AdminStateUp bool
	MAC          MAC
	FixedIPs     []FixedIP // in the order they were asked for
	DeviceID     string
	DeviceOwner  string
	Role         Role
	RouterID     uuid.UUID // of RoleRouterInterface and RoleRouterGateway; Nil for every other
	Status       Status
	Binding      *Binding // nil while no host holds the port
	Zone         Zone     // of what conntrack knows of the port, no other port's of its host; 0 while no host holds it
	// SecurityGroups are the groups that the port is in, in order of their ids. Only VIFs are in any.
	SecurityGroups []uuid.UUID
	Tags           []string // in order, each once

	Unsecured   bool          // port security is off: whatever it says is let pass
	Pairs       []AddressPair // what it may say beside its own addresses
	DHCPOptions []DHCPOption  // what DHCP tells it beside what its subnet says

	DNSName string // in lower case; with a last dot it is fully qualified; "": see HostName
	Domain  string // that its names are in; read only, and no part of the change feed
	VIF
	Meta
}

// Secured reports whether a port may say only what it is known for. Signalbox's own ports say nothing on any wire.
func (p *Port) Secured() bool { return !p.Unsecured && p.Role == RoleVIF }

// AddressPair is a MAC and the addresses that a port may use with it.
type AddressPair struct {
	MAC    MAC
	Prefix netip.Prefix // masked
}

// DHCPOption is an option that a port's owner wants its DHCP client to be told.
type DHCPOption struct {
	Version int    // of IP: 4 or 6
	Name    string // as dnsmasq calls it, or its number
	Value   string
	Unset   bool // in a request: the port is to have it no longer
}

// BoundBy is how a port's place was found.
type BoundBy string

// The three ways, strongest first.
const (
	ByInterfaceID BoundBy = "iface-id" // OVSDB Interface external_ids:iface-id
	ByName        BoundBy = "name"     // the interface is called tap + the first 11 characters of the port's id
	BySourceMAC   BoundBy = "mac"      // the first packet's source, which exactly one unbound port has
)

// Binding is the place of a port: an interface of a host's integration bridge.
type Binding struct {
	PortID    uuid.UUID
	HostID    uuid.UUID
	Interface string // the interface's name, at most 15 bytes on Linux
	By        BoundBy
}

// TapName is the interface name that Nova gives a port's VIF.
func TapName(port uuid.UUID) string { return "tap" + port.String()[:11] }
