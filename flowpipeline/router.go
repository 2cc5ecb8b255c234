package flowpipeline

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// router is a router that forwards, the same on every host. One that is down has no flows, and neither have
// those of its interfaces that are down, or on a network that is.
type router struct {
	*signalbox.Router
	ends []end
	out  *outlet // nil: no way out
}

// end is a router's interface.
type end struct {
	*signalbox.Port
	network uint64 // its key
}

// has matches packets that the router has in hand.
func (rt *router) has() flow.Cond { return flow.IsSub(Router, uint64(rt.Key)) }

// readRouter is false when the router forwards nothing.
func readRouter(r *Reader, id uuid.UUID) (router, bool) {
	row := r.Router(id)
	if row == nil || !row.AdminStateUp {
		return router{}, false
	}
	rt := router{Router: row}
	for _, port := range r.InterfacesOf(id) {
		p := r.Port(port)
		if !p.AdminStateUp || p.MAC.IsMulticast() {
			continue
		}
		if n := r.Network(p.NetworkID); n != nil && n.AdminStateUp {
			rt.ends = append(rt.ends, end{p, uint64(n.Key)})
		}
	}
	// An interface on the external network too would make one network both sides of the router.
	if row.Gateway != nil && !rt.isOn(row.Gateway.NetworkID) {
		rt.out = readOutlet(r, row.Gateway)
	}
	return rt, len(rt.ends) > 0
}

// isOn reports whether the router has an interface on a network.
func (rt *router) isOn(network uuid.UUID) bool {
	return slices.ContainsFunc(rt.ends, func(e end) bool { return e.NetworkID == network })
}

// subnet is a block of addresses that a router is connected to.
type subnet struct {
	netip.Prefix
	end
	own netip.Addr // the router's address in it
}

// subnets is the IPv4 blocks that the router's interfaces are in, each once.
func (rt *router) subnets(r *Reader) []subnet {
	var out []subnet
	for _, e := range rt.ends {
		for _, ip := range e.FixedIPs {
			row := r.Subnet(ip.SubnetID)
			if !ip.Addr.Is4() || row == nil || !row.CIDR.Addr().Is4() {
				continue
			}
			s := subnet{row.CIDR.Masked(), e, ip.Addr}
			if !slices.ContainsFunc(out, func(other subnet) bool { return other.Prefix == s.Prefix }) {
				out = append(out, s)
			}
		}
	}
	return out
}

// broadcast is the last address of a block that has one: of 31 bits and more none does (RFC 3021).
func (s *subnet) broadcast() (netip.Addr, bool) {
	a, n := s.Addr().As4(), s.Bits()
	for bit := n; bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a), n <= 30
}

// own is the router's addresses, each once: those inside, and its gateway's.
func (rt *router) own() []netip.Addr {
	var out []netip.Addr
	if rt.out != nil {
		out = append(out, rt.out.addrs...)
	}
	for _, e := range rt.ends {
		for _, ip := range addresses(e.Port, false) {
			if !slices.Contains(out, ip) {
				out = append(out, ip)
			}
		}
	}
	return out
}

// answersBy reports whether what is for an address may answer those inside who went out from it.
func (rt *router) answersBy(ip netip.Addr) bool {
	return rt.out != nil && rt.Gateway.EnableSNAT && slices.Contains(rt.out.addrs, ip)
}

// onNetworks is one of the router's interfaces on each of its networks.
func (rt *router) onNetworks() []end {
	var out []end
	for _, e := range rt.ends {
		if !slices.ContainsFunc(out, func(other end) bool { return other.network == e.network }) {
			out = append(out, e)
		}
	}
	return out
}

// compileRouter makes a router's flows on a host that can reach it.
func compileRouter(u Unit, r *Reader) Compiled {
	d := &draft{kind: "router", id: u.ID}
	rt, ok := readRouter(r, u.ID)
	if !ok {
		return d.out
	}
	subnets := rt.subnets(r)
	receive(d, &rt, subnets)
	route(d, &rt, subnets)
	keepApart(d, r, &rt)
	checkSizes(d, r, &rt)
	depart(d, &rt, u.Host)
	leaveToGatewayHost(d, r, &rt, u.Host)
	return d.out
}

// reach finds what a host needs beside the networks that its ports are on: the routers that can be come to
// from these, and the networks beyond that no port of the host is on. The routers that it translates addresses
// for are among them. What is behind an external network is not.
func reach(r *Reader, here, outlets []uuid.UUID) (routers, far []uuid.UUID) {
	known, reached := map[uuid.UUID]router{}, map[uuid.UUID]bool{}
	seen := map[uuid.UUID]bool{}
	for _, network := range here {
		seen[network] = true
	}
	next := slices.Clone(here)
	visit := func(id, from uuid.UUID) {
		if reached[id] {
			return
		}
		rt, read := known[id]
		if !read {
			rt, _ = readRouter(r, id)
			known[id] = rt
		}
		if from != uuid.Nil && !rt.isOn(from) {
			return
		}
		reached[id] = true
		routers = append(routers, id)
		for _, e := range rt.ends {
			if !seen[e.NetworkID] {
				seen[e.NetworkID] = true
				next, far = append(next, e.NetworkID), append(far, e.NetworkID)
			}
		}
	}
	for _, id := range outlets {
		visit(id, uuid.Nil)
	}
	for len(next) > 0 {
		network := next[0]
		next = next[1:]
		for _, id := range r.RoutersOn(network) {
			visit(id, network)
		}
	}
	return sortedIDs(slices.Values(routers)), sortedIDs(slices.Values(far))
}
