package signalbox

import (
	"net/netip"

	"github.com/google/uuid"
)

// Neighbour is a machine on an external network that no port is known for, as it answered ARP. The controller
// finds, refreshes and forgets neighbours; they are in the database so that its restart changes no flow.
type Neighbour struct {
	ID        uuid.UUID
	NetworkID uuid.UUID
	Addr      netip.Addr
	MAC       MAC
}
