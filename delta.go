package signalbox

import (
	"iter"
	"time"

	"github.com/google/uuid"
)

// Kind names a kind of row in the change feed.
type Kind string

// The kinds of rows that the controller follows. A change of a binding is a change of its port.
const (
	KindNetwork Kind = "network"
	KindSubnet  Kind = "subnet"
	KindPort    Kind = "port"
	KindHost    Kind = "host"
	KindRouter  Kind = "router" // a change of its gateway is one of its own

	KindFloatingIP Kind = "floatingip"
	KindNeighbour  Kind = "neighbour"

	KindSecurityGroup Kind = "security_group" // a change of one of its rules is one of its own
)

// Ref names one row.
type Ref struct {
	Kind Kind
	ID   uuid.UUID
}

// Delta is what changed between two consistent views of the database: the present rows, and the names
// of rows that are gone. When Full is set it is a whole view, and whatever it does not name is gone.
type Delta struct {
	Full     bool
	Networks []Network
	Subnets  []Subnet
	Ports    []Port
	Hosts    []Host
	Routers  []Router
	Gone     []Ref

	FloatingIPs []FloatingIP
	Neighbours  []Neighbour

	SecurityGroups []SecurityGroup

	// Age is how long ago the oldest transaction in it began, when it was read and by the database's clock.
	// A whole view has none.
	Age time.Duration
	// Requests is the API requests that made the change, as the API server's log names them, in rising order. What the
	// controller itself has written is no request's.
	Requests []string
}

// Empty reports whether the delta says nothing.
func (d *Delta) Empty() bool {
	return !d.Full && len(d.Networks)+len(d.Subnets)+len(d.Ports)+len(d.Hosts)+len(d.Routers)+
		len(d.FloatingIPs)+len(d.Neighbours)+len(d.SecurityGroups)+len(d.Gone) == 0
}

// Named is every row that the delta has.
func (d *Delta) Named() iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		_ = each(d.Networks, yield, func(n *Network) Ref { return Ref{KindNetwork, n.ID} }) &&
			each(d.Subnets, yield, func(s *Subnet) Ref { return Ref{KindSubnet, s.ID} }) &&
			each(d.Ports, yield, func(p *Port) Ref { return Ref{KindPort, p.ID} }) &&
			each(d.Hosts, yield, func(h *Host) Ref { return Ref{KindHost, h.ID} }) &&
			each(d.Routers, yield, func(r *Router) Ref { return Ref{KindRouter, r.ID} }) &&
			each(d.FloatingIPs, yield, func(f *FloatingIP) Ref { return Ref{KindFloatingIP, f.ID} }) &&
			each(d.Neighbours, yield, func(n *Neighbour) Ref { return Ref{KindNeighbour, n.ID} }) &&
			each(d.SecurityGroups, yield, func(g *SecurityGroup) Ref { return Ref{KindSecurityGroup, g.ID} })
	}
}

func each[T any](rows []T, yield func(Ref) bool, ref func(*T) Ref) bool {
	for i := range rows {
		if !yield(ref(&rows[i])) {
			return false
		}
	}
	return true
}
