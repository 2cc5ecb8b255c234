package signalbox

import (
	"net/netip"

	"github.com/google/uuid"
)

// FloatingIP is an address of an external network that stands for an address of a port behind a router.
type FloatingIP struct {
	ID          uuid.UUID
	ProjectID   string
	Description string
	NetworkID   uuid.UUID  // the external network
	OwnPortID   uuid.UUID  // the port on it that holds the address, of RoleFloatingIP
	Addr        netip.Addr // the floating address
	MAC         MAC        // of its own port: by it the external network knows the address, wherever it is translated
	PortID      uuid.UUID  // the port that it stands for; Nil: none, and the next two are zero
	FixedAddr   netip.Addr // the address of that port
	RouterID    uuid.UUID  // the router between the two
	Status      Status     // Active on evidence alone: the host that translates it has acknowledged its flows
	DNSName     string     // what it is to be called outside, in DNSDomain; "": nothing, and so is the domain
	DNSDomain   string     // with its last dot
	Tags        []string   // in order, each once
	Meta
}

// Associated reports whether the floating IP stands for a port.
func (f *FloatingIP) Associated() bool { return f.PortID != uuid.Nil }
