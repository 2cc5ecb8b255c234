// Package nat decides which host sends and receives for an address on an external network: a router's
// gateway, and each floating IP. It is pure; flows are made of what it says elsewhere.
package nat

import (
	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// Has reports whether a host reaches an external network: by the bridge that it has mapped to the network's
// physical network. A tunnelled or local network has no outside that a host could reach, so nobody has one.
// A nil host or network has and is nothing.
func Has(h *signalbox.Host, n *signalbox.Network) bool {
	if h == nil || n == nil || !n.Segment.Type.OnPhysical() {
		return false
	}
	return h.Mappings[n.Segment.Physical] != ""
}

// Translator is the host that translates a floating IP of the external network n: the one that holds its port,
// so that the packet takes no detour, or else the gateway host of the router between. Nil when neither has the
// network; a host that is not known is nil.
func Translator(fixed, gateway *signalbox.Host, n *signalbox.Network) uuid.UUID {
	switch {
	case Has(fixed, n):
		return fixed.ID
	case Has(gateway, n):
		return gateway.ID
	}
	return uuid.Nil
}
