package nat

import (
	"bytes"
	"slices"

	"github.com/google/uuid"
)

// Gateway is a router's way out that is to be at one host.
type Gateway struct {
	Router  uuid.UUID
	Network uuid.UUID // the external network
	Host    uuid.UUID // where it is; Nil: nowhere yet
}

// State is what can be asked of a host.
type State uint8

// States. The zero State is that of a host that is lost.
const (
	Leaving State = iota // lost, or to be emptied: keeps only what nobody else can take
	Waiting              // away, but not for long: keeps what it has and gets nothing
	Awaited              // the same, but what is nowhere yet waits for it, as far as that is its share
	Present              // keeps what it has and gets more
)

// Host is a host that gateways can be at.
type Host struct {
	ID       uuid.UUID
	State    State
	Networks map[uuid.UUID]bool // the external networks that it has
}

// Place chooses hosts for gateways and returns only what changes, router -> host. A gateway stays where it is
// while that host keeps it; else the host with the fewest gateways that has the network takes it, of several
// the one with the lowest id. Where nobody can take it, it stays: its host may come back, and nobody is better. One that
// is nowhere yet stays so while it is the share of a host that is awaited.
// The order of neither argument matters.
func Place(gateways []Gateway, hosts []Host) map[uuid.UUID]uuid.UUID {
	hosts = slices.SortedFunc(slices.Values(hosts), func(a, b Host) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	at := make(map[uuid.UUID]*Host, len(hosts))
	for i := range hosts {
		at[hosts[i].ID] = &hosts[i]
	}
	load := make(map[uuid.UUID]int, len(hosts))
	var homeless []Gateway
	for _, g := range gateways {
		if h := at[g.Host]; h != nil && h.State != Leaving && h.Networks[g.Network] {
			load[g.Host]++
		} else {
			homeless = append(homeless, g)
		}
	}
	slices.SortFunc(homeless, func(a, b Gateway) int { return bytes.Compare(a.Router[:], b.Router[:]) })
	moves := map[uuid.UUID]uuid.UUID{}
	for _, g := range homeless {
		to := leastLoaded(hosts, load, g)
		if to == nil {
			continue
		}
		load[to.ID]++
		if to.State == Present {
			moves[g.Router] = to.ID
		}
	}
	return moves
}

// leastLoaded is the host to put one more gateway at; nil when none can take it.
func leastLoaded(hosts []Host, load map[uuid.UUID]int, g Gateway) (best *Host) {
	for i := range hosts {
		h := &hosts[i]
		takes := h.State == Present || h.State == Awaited && g.Host == uuid.Nil
		if takes && h.Networks[g.Network] && (best == nil || load[h.ID] < load[best.ID]) {
			best = h
		}
	}
	return best
}
