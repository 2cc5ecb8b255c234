package signalbox

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// DatapathID names an OpenFlow switch: its session, and its br-int.
type DatapathID uint64

// String is the form ovs-vsctl and ovs-ofctl print: 16 hexadecimal digits.
func (d DatapathID) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// Host is a machine whose integration bridge the controller owns.
type Host struct {
	ID         uuid.UUID
	DatapathID DatapathID
	Name       string            // from OVSDB; the datapath id's text until OVSDB has been heard
	TunnelIP   netip.Addr        // zero: the host has no tunnels
	Mappings   map[string]string // physical network -> bridge
	Managed    bool              // its OVSDB has been heard at least once
	Datapath   string            // datapath type of its integration bridge; "system" until OVSDB has been heard
	// MAC is the source of routed frames that the host puts on a physical network: a router's own MAC
	// would come from several hosts there, and move. Assigned by the database with the row.
	MAC MAC
	// Closed: an operator does not want routers to have their gateways here (Neutron's admin_state_up of an agent, false).
	Closed bool
}

// DefaultZone is the availability zone that every host is in, by the name that Nova has for its own.
const DefaultZone = "nova"

// Agent is a host as Neutron's operators see one: what answers for it and whether it does. Nothing of ours runs there; it is
// the host's Open vSwitch.
type Agent struct {
	Host
	Description string
	Alive       bool      // the controller has a connection with the host's switch
	Ports       int       // that are bound here
	CreatedAt   time.Time // when the host was first heard of
	StartedAt   time.Time // when the last connection began
	HeardAt     time.Time // when it was last seen to be there, or to end
}

// Session says whether the controller has a connection with a host's switch.
type Session struct {
	Up    bool
	Since time.Time // where Up
}
