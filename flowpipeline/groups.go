package flowpipeline

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// groups is the part of the facts that is about security groups.
type groups struct {
	rows    map[uuid.UUID]*signalbox.SecurityGroup
	held    map[uuid.UUID]map[uuid.UUID]int // host -> group -> how many ports of the host are in it
	members map[uuid.UUID][]uuid.UUID       // group -> its members' addresses, in the order of their ids
	addrs   map[uuid.UUID]*memberAddress    // by id
}

// memberAddress is an address, or a block of them, that members of a group have.
type memberAddress struct {
	group uuid.UUID
	addr  netip.Prefix
	ports int // that have it: on several networks there may be the same
}

func newGroups() groups {
	return groups{
		rows:    map[uuid.UUID]*signalbox.SecurityGroup{},
		held:    map[uuid.UUID]map[uuid.UUID]int{},
		members: map[uuid.UUID][]uuid.UUID{},
		addrs:   map[uuid.UUID]*memberAddress{},
	}
}

// EnforceGroups has flows made that enforce security groups. It is called before anything else, or never.
func (f *Facts) EnforceGroups() { f.guarded = true }

// SetSecurityGroup takes a security group's row. A rule never changes but in its description.
func (f *Facts) SetSecurityGroup(g *signalbox.SecurityGroup) {
	if f.groups.rows[g.ID] == nil {
		f.changed(Fact{kind: factGroupKey, id: g.ID})
	}
	set(f, f.groups.rows, factGroup, g.ID, g, func(a, b *signalbox.SecurityGroup) bool {
		return slices.EqualFunc(a.Rules, b.Rules, func(a, b signalbox.SecurityGroupRule) bool { return a.Key == b.Key })
	})
}

// SecurityGroups is every security group, in no order.
func (f *Facts) SecurityGroups() map[uuid.UUID]*signalbox.SecurityGroup { return f.groups.rows }

// SecurityGroupOf is the security group with that id, or the one that has a rule with it, or nil.
func (f *Facts) SecurityGroupOf(id uuid.UUID) *signalbox.SecurityGroup {
	if g := f.groups.rows[id]; g != nil {
		return g
	}
	for _, g := range f.groups.rows {
		if slices.ContainsFunc(g.Rules, func(r signalbox.SecurityGroupRule) bool { return r.ID == id }) {
			return g
		}
	}
	return nil
}

func sameMembership(a, b *signalbox.Port) bool {
	return a.Secured() == b.Secured() && hostOf(a) == hostOf(b) && slices.Equal(a.SecurityGroups, b.SecurityGroups) &&
		slices.Equal(a.FixedIPs, b.FixedIPs) && slices.Equal(a.Pairs, b.Pairs)
}

func hostOf(p *signalbox.Port) uuid.UUID {
	if p.Binding == nil {
		return uuid.Nil
	}
	return p.Binding.HostID
}

// enlist counts a port in and out of the groups that it is in. A port whose security is off is in none.
func (f *Facts) enlist(p *signalbox.Port, by int) {
	if !p.Secured() {
		return
	}
	host, addrs := hostOf(p), memberAddresses(p)
	for _, group := range p.SecurityGroups {
		if host != uuid.Nil && tally(f.groups.held, host, group, by) {
			f.changed(Fact{kind: factGroupsOn, id: host})
		}
		for _, a := range addrs {
			f.countAddress(group, a, by)
		}
	}
}

func (f *Facts) countAddress(group uuid.UUID, a netip.Prefix, by int) {
	id := uuid.NewSHA1(group, []byte(a.String()))
	m := f.groups.addrs[id]
	if m == nil {
		m = &memberAddress{group: group, addr: a}
		f.groups.addrs[id] = m
		all := f.groups.members[group]
		at, _ := slices.BinarySearchFunc(all, id, compareIDs)
		f.groups.members[group] = slices.Insert(all, at, id)
		f.changed(Fact{kind: factMemberAddresses, id: group})
		f.changed(Fact{kind: factMemberAddress, id: id})
	}
	if m.ports += by; m.ports == 0 {
		delete(f.groups.addrs, id)
		all := f.groups.members[group]
		at, _ := slices.BinarySearchFunc(all, id, compareIDs)
		if all = slices.Delete(all, at, at+1); len(all) == 0 {
			delete(f.groups.members, group)
		} else {
			f.groups.members[group] = all
		}
		f.changed(Fact{kind: factMemberAddresses, id: group})
		f.changed(Fact{kind: factMemberAddress, id: id})
	}
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// memberAddresses is what a port counts as in its groups, each once: its addresses and those of its pairs.
func memberAddresses(p *signalbox.Port) []netip.Prefix {
	var out []netip.Prefix
	add := func(a netip.Prefix) {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, ip := range p.FixedIPs {
		add(alone(ip.Addr))
	}
	for _, pair := range p.Pairs {
		add(pair.Prefix)
	}
	return out
}

// compileGuard makes what holds for all watched ports, and names the groups that a host needs: those that its ports are in, and
// those that their rules name.
func compileGuard(u Unit, r *Reader) Compiled {
	d := &draft{kind: "host", id: u.Host}
	watchSending(d)
	watchReceiving(d)
	judge(d, TableSent, TablePermitted, 0)
	judge(d, TableReceived, TableAdmitted, 1)
	pass(d, TablePermitted, TableSwitching, "sent")
	pass(d, TableAdmitted, TableOutput, "received")
	readTuple(d)
	here := r.GroupsOn(u.Host)
	named := map[uuid.UUID]struct{}{}
	for _, id := range here {
		for _, peer := range peersOf(r.Group(id)) {
			named[peer] = struct{}{}
		}
	}
	d.adopt(u.Host, GroupUnit, here)
	d.adopt(u.Host, PeersUnit, sortedIDs(maps.Keys(named)))
	return d.out
}

// peersOf is the groups that a group's rules name, each once, in the order of the rules.
func peersOf(g *signalbox.SecurityGroup) []uuid.UUID {
	var out []uuid.UUID
	if g == nil {
		return nil
	}
	for i := range g.Rules {
		if id := g.Rules[i].RemoteGroupID; id != uuid.Nil && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func compileGroup(u Unit, r *Reader) Compiled {
	d := &draft{kind: "group", id: u.ID}
	g := r.Group(u.ID)
	if g == nil {
		return d.out
	}
	readGroup(d, r, g)
	made := map[flow.Cookie]bool{} // two rules may allow some of the same
	for i := range g.Rules {
		own := &draft{kind: "rule", id: g.Rules[i].ID} // so that what it lets pass is counted for it
		allow(own, r, g, &g.Rules[i], made)
		d.out.Flows = append(d.out.Flows, own.out.Flows...)
	}
	return d.out
}

func compilePeers(u Unit, r *Reader) Compiled {
	d := &draft{kind: "group", id: u.ID}
	d.adopt(u.Host, PeerUnit, r.MemberAddresses(u.ID))
	return d.out
}

func compilePeer(u Unit, r *Reader) Compiled {
	group, addr, ok := r.MemberAddress(u.ID)
	d := &draft{kind: "group", id: group}
	if key := r.GroupKey(group); ok && key != 0 {
		knowPeer(d, key, addr)
	}
	return d.out
}

// isFamily matches packets of an address's family.
func isFamily(v6 bool) flow.Cond {
	if v6 {
		return isIPv6()
	}
	return isIPv4()
}

// peerIn is the condition that the peer is in a block.
func peerIn(block netip.Prefix) flow.Match {
	return append(flow.Match{isFamily(block.Addr().Is6())}, inBlock(Peer, block)...)
}

// inBlock is the condition that the address in four registers is in a block. One of IPv4 is in the last.
func inBlock(parts [4]flow.Subfield, block netip.Prefix) flow.Match {
	width := uint8(block.Addr().BitLen())
	value, mask := flow.Addr(block.Masked().Addr()), flow.Ones(uint8(block.Bits())).Shl(width-uint8(block.Bits()))
	var match flow.Match
	for i, part := range parts {
		shift := 32 * (3 - i)
		half, bits := value.Lo, mask.Lo
		if shift >= 64 {
			half, bits, shift = value.Hi, mask.Hi, shift-64
		}
		if bits = bits >> shift & 0xffffffff; bits != 0 {
			match = append(match, flow.IsMasked(part.Field, flow.Num(half>>shift&0xffffffff), flow.Num(bits)))
		}
	}
	return match
}
