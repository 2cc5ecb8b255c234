package flowpipeline

import (
	"slices"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Table 16, claims: may this port claim this address, at this MAC?
//
// Told:    SourcePort, ClaimKind, ClaimMAC, ClaimAddress.
// Leaves:  Claimed, when it may; Owned besides, when the address is the port's own and not a pair's.
// Onwards: back to source. The MAC that is claimed must be the frame's: one that says it is at another's is no claim of the
//          port's, not even where both are.

// What a packet can claim: a ClaimKind. The upper bit says that there is an address.
const (
	claimNothing = 0 // it has none yet
	claimProbe   = 1 // by ARP: it has none yet, and has chosen one
	claimIPv4    = 2 // in the last part of ClaimAddress
	claimIPv6    = 3
)

// claimAddressed is the bit of ClaimKind that tells the first two from the others.
var claimAddressed = flow.Subfield{Field: ClaimKind.Field, Off: ClaimKind.Off + 1, Len: 1}

const (
	claimsOwn  = 110 // an own address may be in a pair's block as well
	claimsPair = 100
)

// admitClaims makes what a port may claim. One without addresses may do nothing but ask for one, as in Neutron.
func admitClaims(d *draft, p *port) {
	probing := macsOf(p.v4)
	for _, mac := range macsOf(append([]voice{{mac: p.MAC}}, slices.Concat(p.v4, p.v6)...)) {
		kind, phrase := flow.IsSub(ClaimKind, claimNothing), "may send from "+mac.String()
		if slices.Contains(probing, mac) {
			kind, phrase = flow.IsSub(claimAddressed, 0), phrase+", and probe by ARP"
		}
		p.admitClaim(d, claimsPair, mac, flow.Match{kind}, phrase)
	}
	for _, v := range slices.Concat(p.v4, p.v6) {
		kind := uint64(claimIPv4)
		if v.from.Addr().Is6() {
			kind = claimIPv6
		}
		match := append(inBlock(ClaimAddress, v.from), flow.IsSub(ClaimKind, kind))
		if p.owns(v) {
			p.admitClaim(d, claimsOwn, v.mac, match, "may claim its own "+p.called(v), flow.Load{Dst: Owned, Value: flow.Num(1)})
		} else {
			p.admitClaim(d, claimsPair, v.mac, match, "may claim "+p.called(v))
		}
	}
}

func (p *port) admitClaim(d *draft, priority uint16, mac signalbox.MAC, match flow.Match, phrase string, more ...flow.Action) {
	said := flow.Ethernet(mac).Lo
	d.add(TableClaims, priority, append(p.as(mac, flow.IsSub(ClaimMAC[0], said>>32), flow.IsSub(ClaimMAC[1], said&0xffffffff)), match...),
		phrase, append(more, flow.Load{Dst: Claimed, Value: flow.Num(1)})...)
}

// as matches what the port sent from a MAC.
func (p *port) as(mac signalbox.MAC, more ...flow.Cond) flow.Match {
	return append(flow.Match{p.from(), flow.Is(flow.EthSrc, flow.Ethernet(mac))}, more...)
}

// owns reports whether a voice is an address that the port has been given.
func (p *port) owns(v voice) bool {
	return v.mac == p.MAC && v.from.IsSingleIP() &&
		slices.ContainsFunc(p.FixedIPs, func(ip signalbox.FixedIP) bool { return ip.Addr == v.from.Addr() })
}
