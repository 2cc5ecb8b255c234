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
	Routes       []Route // static routes (Neutron's extraroute), in the order they were given
	Meta
}
