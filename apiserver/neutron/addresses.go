package neutron

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/ipam"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// demand is one address that a port shall have.
type demand struct {
	from []*signalbox.Subnet // any of these, the first that has one free
	addr netip.Addr          // exactly this one of from[0]; the zero Addr: the lowest free
}

// newMAC is a MAC for a port: the prefix is the one that OpenStack's clients know, the rest is chance, and a
// clash within the network is refused by the database and tried again.
func (s *Service) newMAC() signalbox.MAC {
	n := s.src.Intn(1 << 24)
	return signalbox.MAC{0xfa, 0x16, 0x3e, byte(n >> 16), byte(n >> 8), byte(n)}
}

// routerOwned reports whether a port says that it is a router's. Routers know their addresses and form none.
// This decides nothing but whether the port is given addresses that it did not ask for.
func routerOwned(owner string) bool { return strings.HasPrefix(owner, "network:router_") }

// demandsOf is which addresses a port shall have. subnets are those of its network, oldest first. asked is what
// the request says of fixed_ips; nil: nothing, so one address of each family, if there are subnets of it.
func demandsOf(n uuid.UUID, subnets []signalbox.Subnet, asked *[]signalbox.FixedIP, owner string, mac signalbox.MAC) ([]demand, error) {
	var demands []demand
	there := len(subnets) > 0
	if subnets = serving(subnets, owner); there && len(subnets) == 0 && (asked == nil || len(*asked) > 0) {
		return nil, signalbox.Errorf(signalbox.Conflict, signalbox.ReasonNoServiceSubnet,
			"No valid service subnet for the given device owner, network %s, service type %s.", n, owner)
	}
	if asked == nil {
		for _, version := range []int{4, 6} {
			if from := choosable(subnets, version); from != nil {
				demands = append(demands, demand{from: from})
			}
		}
	} else {
		for _, f := range *asked {
			d, err := demandOf(n, subnets, f, owner)
			if err != nil {
				return nil, err
			}
			if d.addr.IsValid() || !ipam.AutoAddressed(d.from[0]) {
				demands = append(demands, d)
			}
		}
	}
	if routerOwned(owner) {
		return demands, nil
	}
	for i := range subnets { // SLAAC addresses come without asking, and in spite of it
		if sub := &subnets[i]; ipam.AutoAddressed(sub) {
			demands = append(demands, demand{from: []*signalbox.Subnet{sub}, addr: mac.EUI64(sub.CIDR)})
		}
	}
	return demands, nil
}

// serving are the subnets that are for ports of an owner: first those that are for such ones alone, and then those that are for all.
func serving(subnets []signalbox.Subnet, owner string) (out []signalbox.Subnet) {
	for _, all := range []bool{false, true} {
		for i := range subnets {
			if types := subnets[i].ServiceTypes; all && len(types) == 0 || !all && slices.Contains(types, owner) {
				out = append(out, subnets[i])
			}
		}
	}
	return out
}

// choosable are the subnets of a family that addresses are chosen from.
func choosable(subnets []signalbox.Subnet, version int) (from []*signalbox.Subnet) {
	for i := range subnets {
		if subnets[i].IPVersion() == version && !ipam.AutoAddressed(&subnets[i]) {
			from = append(from, &subnets[i])
		}
	}
	return from
}

// demandOf reads one entry of fixed_ips: a subnet, an address, or both.
func demandOf(network uuid.UUID, subnets []signalbox.Subnet, f signalbox.FixedIP, owner string) (demand, error) {
	if len(subnets) == 0 {
		return demand{}, invalidInput("IP allocation requires subnets for network %s.", network)
	}
	i := slices.IndexFunc(subnets, func(s signalbox.Subnet) bool {
		if f.SubnetID != uuid.Nil {
			return s.ID == f.SubnetID
		}
		return ipam.Assignable(&s, f.Addr)
	})
	switch {
	case i < 0 && f.SubnetID != uuid.Nil:
		return demand{}, invalidInput("Failed to create port on network %s, because fixed_ips included invalid subnet %s.", network, f.SubnetID)
	case i < 0:
		return demand{}, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonIPNotOnNetwork,
			"IP address %s is not a valid IP for any of the subnets on the specified network.", f.Addr)
	}
	sub := &subnets[i]
	switch {
	case f.Addr.IsValid() && !ipam.Assignable(sub, f.Addr):
		return demand{}, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonIPNotOnSubnet,
			"IP address %s is not a valid IP for the specified subnet.", f.Addr)
	case f.Addr.IsValid() && ipam.AutoAddressed(sub) && !routerOwned(owner):
		return demand{}, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonAutoAddress,
			"IPv6 address %s cannot be directly assigned to a port on subnet %s as the subnet is configured for automatic addresses.", f.Addr, sub.ID)
	}
	return demand{from: []*signalbox.Subnet{sub}, addr: f.Addr}, nil
}

// unformed is what is asked without those addresses that the port has formed by SLAAC: nobody can ask for them, but who adds an
// address says again which ones there are.
func unformed(subnets []signalbox.Subnet, asked, held []signalbox.FixedIP) []signalbox.FixedIP {
	return slices.DeleteFunc(slices.Clone(asked), func(f signalbox.FixedIP) bool {
		return slices.ContainsFunc(held, func(h signalbox.FixedIP) bool {
			return h.Addr == f.Addr && (h.SubnetID == f.SubnetID || f.SubnetID == uuid.Nil) &&
				slices.ContainsFunc(subnets, func(s signalbox.Subnet) bool { return s.ID == h.SubnetID && ipam.AutoAddressed(&s) })
		})
	})
}

// keep fills a demand for just any address of a subnet with one that the port has there already.
func keep(demands []demand, held []signalbox.FixedIP) {
	taken := map[netip.Addr]bool{}
	for _, d := range demands {
		taken[d.addr] = d.addr.IsValid()
	}
	for i := range demands {
		d := &demands[i]
		for _, f := range held {
			if !d.addr.IsValid() && f.SubnetID == d.from[0].ID && !taken[f.Addr] {
				d.addr, taken[f.Addr] = f.Addr, true
			}
		}
	}
}

// satisfy turns demands into addresses. What it takes lowest-first it has for itself; what was named is claimed
// when the port is written. For a port that is to be inserted, an address that only one subnet can give is left to that.
func satisfy(ctx context.Context, tx *store.Tx, network uuid.UUID, demands []demand, insert bool) ([]signalbox.FixedIP, error) {
	var fixed []signalbox.FixedIP
	for _, d := range demands {
		if d.addr.IsValid() || insert && len(d.from) == 1 && !names(demands) {
			fixed = append(fixed, signalbox.FixedIP{SubnetID: d.from[0].ID, Addr: d.addr})
			continue
		}
		f, err := take(ctx, tx, d.from, demands)
		if err != nil {
			return nil, exhausted(network, err)
		}
		fixed = append(fixed, f)
	}
	return fixed, nil
}

// names reports whether any address is named.
func names(demands []demand) bool {
	return slices.ContainsFunc(demands, func(d demand) bool { return d.addr.IsValid() })
}

// take takes the lowest free address of the first subnet that has one. One that the same request names
// elsewhere is passed over: it stays taken, for that.
func take(ctx context.Context, tx *store.Tx, from []*signalbox.Subnet, demands []demand) (f signalbox.FixedIP, err error) {
	named := func(a netip.Addr) bool {
		return slices.ContainsFunc(demands, func(d demand) bool { return d.addr == a })
	}
	for _, sub := range from {
		f.SubnetID = sub.ID
		for f.Addr, err = tx.TakeAddress(ctx, sub.ID); err == nil && named(f.Addr); {
			f.Addr, err = tx.TakeAddress(ctx, sub.ID)
		}
		if !because(err, signalbox.ReasonIPExhausted) {
			return f, err
		}
	}
	return f, err
}

// exhausted says it of the network, which is what the client asked.
func exhausted(network uuid.UUID, err error) error {
	if !because(err, signalbox.ReasonIPExhausted) {
		return err
	}
	e := signalbox.Errorf(signalbox.Conflict, signalbox.ReasonIPExhausted, "No more IP addresses available on network %s.", network)
	e.Err = err
	return e
}
