package flowpipeline

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// voice is a MAC and the addresses that a port may use with it.
type voice struct {
	mac  signalbox.MAC
	from netip.Prefix
}

// voicesOf is a secured port's voices of one family: its own addresses with its own MAC, and its address pairs. With IPv6 each
// MAC has its link-local address besides.
func voicesOf(p *signalbox.Port, v6 bool) []voice {
	var out []voice
	add := func(v voice) {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	own := addresses(p, false)
	if v6 {
		own = own6(p)
	}
	for _, ip := range own {
		add(voice{p.MAC, alone(ip)})
	}
	for _, pair := range p.Pairs {
		if pair.Prefix.Addr().Is6() != v6 {
			continue
		}
		add(voice{pair.MAC, pair.Prefix})
		if v6 {
			add(voice{pair.MAC, alone(pair.MAC.LinkLocal())})
		}
	}
	return out
}

// alone is the prefix of one address.
func alone(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// macsOf is the MACs of voices, each once.
func macsOf(vs []voice) []signalbox.MAC {
	var out []signalbox.MAC
	for _, v := range vs {
		if !slices.Contains(out, v.mac) {
			out = append(out, v.mac)
		}
	}
	return out
}

// called is what to call a voice of the port.
func (p *port) called(v voice) string {
	s := v.from.String()
	if v.from.IsSingleIP() {
		s = v.from.Addr().String()
	}
	if v.mac != p.MAC {
		s += " as " + v.mac.String()
	}
	return s
}

// voices is the part of the facts that is about what ports may say beside what is theirs alone.
type voices struct {
	at     map[place]uuid.UUID                  // the port that has an address
	claims map[place]map[uuid.UUID]struct{}     // the ports that have a pair of just this address
	macs   map[uuid.UUID]*sharedMAC             // by id
	shared map[uuid.UUID]map[uuid.UUID]struct{} // network -> its shared MACs
}

// place is an address on a network.
type place struct {
	network uuid.UUID
	addr    netip.Addr
}

// sharedMAC is a MAC of a network from which ports may send although it is not their own. It may be at any of them, at
// several by turns, or at all at once.
type sharedMAC struct {
	network uuid.UUID
	mac     signalbox.MAC
	ports   map[uuid.UUID]struct{}
}

func newVoices() voices {
	return voices{
		at:     map[place]uuid.UUID{},
		claims: map[place]map[uuid.UUID]struct{}{},
		macs:   map[uuid.UUID]*sharedMAC{},
		shared: map[uuid.UUID]map[uuid.UUID]struct{}{},
	}
}

func sharedID(network uuid.UUID, mac signalbox.MAC) uuid.UUID { return uuid.NewSHA1(network, mac[:]) }

func sameVoices(a, b *signalbox.Port) bool {
	return a.NetworkID == b.NetworkID && a.MAC == b.MAC && a.Secured() == b.Secured() &&
		slices.Equal(a.FixedIPs, b.FixedIPs) && slices.Equal(a.Pairs, b.Pairs)
}

// raise and hush let a port's voices come and go.
func (f *Facts) raise(p *signalbox.Port) {
	for _, ip := range p.FixedIPs {
		f.voices.at[place{p.NetworkID, ip.Addr}] = p.ID
	}
	if !p.Secured() {
		return
	}
	for _, pair := range p.Pairs {
		if at := (place{p.NetworkID, pair.Prefix.Addr()}); pair.Prefix.IsSingleIP() {
			if f.voices.claims[at] == nil {
				f.voices.claims[at] = map[uuid.UUID]struct{}{}
			}
			f.voices.claims[at][p.ID] = struct{}{}
			f.claimed(at, p.ID)
		}
		if pair.MAC != p.MAC {
			f.share(p, pair.MAC)
		}
	}
}

func (f *Facts) hush(p *signalbox.Port) {
	for _, ip := range p.FixedIPs {
		if at := (place{p.NetworkID, ip.Addr}); f.voices.at[at] == p.ID {
			delete(f.voices.at, at)
		}
	}
	if !p.Secured() {
		return
	}
	for _, pair := range p.Pairs {
		if at := (place{p.NetworkID, pair.Prefix.Addr()}); pair.Prefix.IsSingleIP() {
			if delete(f.voices.claims[at], p.ID); len(f.voices.claims[at]) == 0 {
				delete(f.voices.claims, at)
			}
			f.claimed(at, p.ID)
		}
		if pair.MAC != p.MAC {
			f.unshare(p, pair.MAC)
		}
	}
}

// claimed: whether the switch may answer for an address is part of what is known of the port that has it.
func (f *Facts) claimed(at place, by uuid.UUID) {
	if owner, ok := f.voices.at[at]; ok && owner != by {
		f.changed(Fact{kind: factPort, id: owner})
	}
}

func (f *Facts) share(p *signalbox.Port, mac signalbox.MAC) {
	id := sharedID(p.NetworkID, mac)
	m := f.voices.macs[id]
	if m == nil {
		m = &sharedMAC{p.NetworkID, mac, map[uuid.UUID]struct{}{}}
		f.voices.macs[id] = m
		put(f.voices.shared, p.NetworkID, id)
		f.changed(Fact{kind: factShared, id: p.NetworkID})
	}
	m.ports[p.ID] = struct{}{}
	f.changed(Fact{kind: factHolders, id: id})
}

func (f *Facts) unshare(p *signalbox.Port, mac signalbox.MAC) {
	id := sharedID(p.NetworkID, mac)
	m := f.voices.macs[id]
	if m == nil {
		return // by another pair of the same MAC
	}
	if delete(m.ports, p.ID); len(m.ports) == 0 {
		delete(f.voices.macs, id)
		take(f.voices.shared, p.NetworkID, id)
		f.changed(Fact{kind: factShared, id: p.NetworkID})
	}
	f.changed(Fact{kind: factHolders, id: id})
}

// contested reports whether a port's address may be claimed by another, so that only who has it can tell.
func (f *Facts) contested(p *signalbox.Port, a netip.Addr) bool {
	for by := range f.voices.claims[place{p.NetworkID, a}] {
		if by != p.ID {
			return true
		}
	}
	return false
}

// PortAt is the port of a network that has an address, or nil.
func (f *Facts) PortAt(network uuid.UUID, a netip.Addr) *signalbox.Port {
	return f.ports[f.voices.at[place{network, a}]]
}
