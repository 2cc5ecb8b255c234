package flowpipeline

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/nat"
)

// outside is the part of the facts that is about external networks: who is translated where. A router's
// gateway and each floating IP has at most one seat, the host that sends and receives for it.
type outside struct {
	neighbours map[uuid.UUID]*signalbox.Neighbour
	known      map[uuid.UUID]map[uuid.UUID]struct{} // network -> its neighbours
	gateways   map[uuid.UUID]int                    // network -> how many routers have their gateway there
	through    map[uuid.UUID]uuid.UUID              // router -> the network that its gateway was last seen on
	seats      map[uuid.UUID]seat                   // of routers and floating IPs
	outlets    map[uuid.UUID]map[uuid.UUID]int      // host -> router -> how many seats
	standing   map[uuid.UUID]map[uuid.UUID]struct{} // port or external network -> floating IPs that are about it
	floatingOf map[uuid.UUID]map[uuid.UUID]struct{} // router -> its floating IPs
}

// seat is where something is translated; the zero value: nowhere.
type seat struct{ host, router, network uuid.UUID }

func newOutside() outside {
	return outside{
		neighbours: map[uuid.UUID]*signalbox.Neighbour{},
		known:      map[uuid.UUID]map[uuid.UUID]struct{}{},
		gateways:   map[uuid.UUID]int{},
		through:    map[uuid.UUID]uuid.UUID{},
		seats:      map[uuid.UUID]seat{},
		outlets:    map[uuid.UUID]map[uuid.UUID]int{},
		standing:   map[uuid.UUID]map[uuid.UUID]struct{}{},
		floatingOf: map[uuid.UUID]map[uuid.UUID]struct{}{},
	}
}

// put and take keep a map of sets. put reports whether the member is new.
func put(sets map[uuid.UUID]map[uuid.UUID]struct{}, key, member uuid.UUID) bool {
	set := sets[key]
	if set == nil {
		set = map[uuid.UUID]struct{}{}
		sets[key] = set
	}
	_, known := set[member]
	set[member] = struct{}{}
	return !known
}

func take(sets map[uuid.UUID]map[uuid.UUID]struct{}, key, member uuid.UUID) {
	if delete(sets[key], member); len(sets[key]) == 0 {
		delete(sets, key)
	}
}

// tally keeps a map of counts. It reports whether there are some now and were none, or the other way round.
func tally(counts map[uuid.UUID]map[uuid.UUID]int, key, member uuid.UUID, by int) bool {
	of := counts[key]
	if of == nil {
		of = map[uuid.UUID]int{}
		counts[key] = of
	}
	was := of[member]
	if of[member] = was + by; was+by == 0 {
		if delete(of, member); len(of) == 0 {
			delete(counts, key)
		}
	}
	return (was == 0) != (was+by == 0)
}

func sameGateway(a, b *signalbox.Gateway) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.PortID == b.PortID && a.NetworkID == b.NetworkID && a.EnableSNAT == b.EnableSNAT &&
		a.Zone == b.Zone && a.Host == b.Host && slices.Equal(a.FixedIPs, b.FixedIPs)
}

// SetFloatingIP takes a floating IP's row.
func (f *Facts) SetFloatingIP(ip *signalbox.FloatingIP) {
	if old := f.floating[ip.ID]; old != nil {
		f.standUp(old)
	}
	set(f, f.floating, factFloating, ip.ID, ip, func(a, b *signalbox.FloatingIP) bool {
		return a.NetworkID == b.NetworkID && a.Addr == b.Addr && a.MAC == b.MAC && a.PortID == b.PortID &&
			a.FixedAddr == b.FixedAddr && a.RouterID == b.RouterID
	})
	if ip.Associated() {
		put(f.outside.standing, ip.PortID, ip.ID)
		put(f.outside.standing, ip.NetworkID, ip.ID)
		put(f.outside.floatingOf, ip.RouterID, ip.ID)
	}
	f.sit(ip.ID, f.seatOf(ip))
}

// standUp takes a floating IP out of the indexes by what it stands for.
func (f *Facts) standUp(ip *signalbox.FloatingIP) {
	take(f.outside.standing, ip.PortID, ip.ID)
	take(f.outside.standing, ip.NetworkID, ip.ID)
	take(f.outside.floatingOf, ip.RouterID, ip.ID)
}

func (f *Facts) dropFloatingIP(id uuid.UUID) {
	if ip := f.floating[id]; ip != nil {
		f.standUp(ip)
		drop(f, f.floating, factFloating, id)
		f.sit(id, seat{})
	}
}

// SetNeighbour takes a neighbour's row.
func (f *Facts) SetNeighbour(n *signalbox.Neighbour) {
	old := f.outside.neighbours[n.ID]
	f.outside.neighbours[n.ID] = n
	if old != nil && *old == *n {
		return
	}
	if old != nil && old.NetworkID != n.NetworkID {
		take(f.outside.known, old.NetworkID, n.ID)
		f.changed(Fact{kind: factNeighbours, id: old.NetworkID})
	}
	put(f.outside.known, n.NetworkID, n.ID)
	f.changed(Fact{kind: factNeighbours, id: n.NetworkID})
}

func (f *Facts) dropNeighbour(id uuid.UUID) {
	if n := f.outside.neighbours[id]; n != nil {
		delete(f.outside.neighbours, id)
		take(f.outside.known, n.NetworkID, id)
		f.changed(Fact{kind: factNeighbours, id: n.NetworkID})
	}
}

// seatAll, seatFloating and seatGateway look again at where things are translated: of everything, of what
// is about a port or a network, and of what is about a router.
func (f *Facts) seatAll() {
	for id, ip := range f.floating {
		f.sit(id, f.seatOf(ip))
	}
}

func (f *Facts) seatFloating(about uuid.UUID) {
	for id := range f.outside.standing[about] {
		f.sit(id, f.seatOf(f.floating[id]))
	}
}

func (f *Facts) seatGateway(router uuid.UUID) {
	o := &f.outside
	var now seat
	var through uuid.UUID
	if r := f.routers[router]; r != nil && r.Gateway != nil {
		through = r.Gateway.NetworkID
		if r.Gateway.Host != uuid.Nil {
			now = seat{r.Gateway.Host, router, through}
		}
	}
	if was := o.through[router]; was != through {
		f.exit(was, -1)
		f.exit(through, +1)
		if o.through[router] = through; through == uuid.Nil {
			delete(o.through, router)
		}
	}
	f.sit(router, now)
	for id := range o.floatingOf[router] {
		f.sit(id, f.seatOf(f.floating[id]))
	}
}

// exit counts the routers that have their gateway on a network.
func (f *Facts) exit(network uuid.UUID, by int) {
	if network == uuid.Nil {
		return
	}
	g := f.outside.gateways
	was := g[network]
	if g[network] = was + by; was+by == 0 {
		delete(g, network)
	}
	if (was == 0) != (was+by == 0) {
		f.changed(Fact{kind: factJoined, id: network})
	}
}

// seatOf is where a floating IP is translated, by the rows.
func (f *Facts) seatOf(ip *signalbox.FloatingIP) seat {
	p, r, n := f.ports[ip.PortID], f.routers[ip.RouterID], f.networks[ip.NetworkID]
	if !ip.Associated() || p == nil || p.Binding == nil || n == nil || r == nil || r.Gateway == nil || r.Gateway.NetworkID != n.ID {
		return seat{}
	}
	host := nat.Translator(f.hosts[p.Binding.HostID], f.hosts[r.Gateway.Host], n)
	if host == uuid.Nil {
		return seat{}
	}
	return seat{host, r.ID, n.ID}
}

// sit moves what an id names to a seat. A host with a seat on a network needs that network as if it had a port there.
func (f *Facts) sit(id uuid.UUID, now seat) {
	was := f.outside.seats[id]
	if was == now {
		return
	}
	f.countSeat(was, -1)
	f.countSeat(now, +1)
	if f.outside.seats[id] = now; now == (seat{}) {
		delete(f.outside.seats, id)
	}
}

func (f *Facts) countSeat(s seat, by int) {
	if s == (seat{}) {
		return
	}
	if tally(f.outside.outlets, s.host, s.router, by) {
		f.changed(Fact{kind: factOutlets, id: s.host})
	}
	f.changed(Fact{kind: factTranslated, id: s.router})
	f.count(s.host, s.network, by)
}

// FloatingIP is a floating IP's row, or nil.
func (f *Facts) FloatingIP(id uuid.UUID) *signalbox.FloatingIP { return f.floating[id] }

// FloatingIPs is every floating IP, in no order.
func (f *Facts) FloatingIPs() map[uuid.UUID]*signalbox.FloatingIP { return f.floating }

// FloatingIPsOf is a router's floating IPs, in the order of their ids.
func (f *Facts) FloatingIPsOf(router uuid.UUID) []uuid.UUID {
	return sortedIDs(maps.Keys(f.outside.floatingOf[router]))
}

// TranslatorOf is the host that translates a floating IP, or Nil.
func (f *Facts) TranslatorOf(floating uuid.UUID) uuid.UUID { return f.outside.seats[floating].host }

// Neighbours is who answered ARP on an external network, in the order of their ids.
func (f *Facts) Neighbours(network uuid.UUID) []*signalbox.Neighbour {
	out := make([]*signalbox.Neighbour, 0, len(f.outside.known[network]))
	for _, id := range sortedIDs(maps.Keys(f.outside.known[network])) {
		out = append(out, f.outside.neighbours[id])
	}
	return out
}

// Neighbour is the machine that has an address on an external network, or nil.
func (f *Facts) Neighbour(network uuid.UUID, addr netip.Addr) *signalbox.Neighbour {
	for id := range f.outside.known[network] {
		if n := f.outside.neighbours[id]; n.Addr == addr {
			return n
		}
	}
	return nil
}

// SubnetsOf is the ids of a network's subnets, in order.
func (f *Facts) SubnetsOf(network uuid.UUID) []uuid.UUID {
	return sortedIDs(maps.Keys(f.blocks[network]))
}

// Routers is every router, in no order.
func (f *Facts) Routers() map[uuid.UUID]*signalbox.Router { return f.routers }
