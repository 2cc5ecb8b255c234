package signalbox

import (
	"fmt"
	"net/netip"

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
}
