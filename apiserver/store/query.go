package store

import "github.com/google/uuid"

// Query says which rows of a list are wanted, in which order.
type Query struct {
	// Filters holds, by the API's attribute name, the values of which a row must have one; a row must
	// satisfy every attribute named. Values are what a URL or a program has at hand: string, bool, int,
	// uuid.UUID, signalbox.MAC, netip.Addr, fmt.Stringer. A value that cannot be one of the attribute
	// (id=banana) matches nothing. fixed_ips takes Neutron's "ip_address=10.0.0.3", "ip_address_substr=10.0" and "subnet_id=…";
	// values of several are joined by and. changed_since takes times. security_groups takes the ids of which one shall be among the port's.
	// tags, tags-any, not-tags and not-tags-any take strings and lists of them, for whatever has a column of tags.
	Filters map[string][]any
	// VisibleTo, when set, leaves what this project may see: its own rows, what policies open to it, and the subnets of networks
	// that they do.
	VisibleTo string
	// Asker is the project that asks: shared=true is what policies share with it.
	Asker  string
	Sort   []Order   // ties are broken by id, in the direction of the last key
	Marker uuid.UUID // start after this row; zero: at the beginning
	Limit  int       // at most this many rows; 0: all
}

// everything reports whether all rows there are are asked for.
func (q Query) everything() bool {
	return len(q.Filters) == 0 && q.VisibleTo == "" && q.Marker == uuid.Nil && q.Limit == 0
}

// Order is one key of a sort: an attribute's API name.
type Order struct {
	Key  string
	Desc bool
}
