package signalbox

import "github.com/google/uuid"

// RouterKey is the small number by which flows know a router, assigned by the database with the row.
type RouterKey uint32

// Router forwards IP between the networks that its interfaces are on. It has no place: every host that has
// a port of one of its networks forwards for it.
type Router struct {
	ID           uuid.UUID
	Key          RouterKey
	ProjectID    string
	Name         string
	Description  string
	AdminStateUp bool
	Routes       []Route  // static routes (Neutron's extraroute), in the order they were given
	Gateway      *Gateway // nil: no way out to an external network
	ZoneHints    []string // availability zones that it was asked to be in
	Tags         []string // in order, each once
	Meta
}

// Zone is a conntrack zone. Ports have theirs on their host, from 32768 on. Below that are routers', the same on every
// host: one for each router that translates addresses, so that two
// with the same addresses inside do not meet. 0 is none.
type Zone uint16

// Gateway is a router's way out to an external network (Neutron's external_gateway_info). Unlike the router it
// has a place: one host of those that have the external network sends and receives for it.
type Gateway struct {
	PortID     uuid.UUID // the router_gateway port, whose addresses and MAC are the router's outside
	NetworkID  uuid.UUID
	FixedIPs   []FixedIP // the port's
	EnableSNAT bool      // what has no floating IP goes out under the first IPv4 address; else as it is
	Zone       Zone      // assigned by the database with the gateway
	Host       uuid.UUID // chosen by the controller; Nil: none yet
}
