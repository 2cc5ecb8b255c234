package neutron

import (
	"context"
	"net/netip"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/ipam"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// SubnetSpec is what a request says of a subnet; nil is what it does not say.
type SubnetSpec struct {
	ProjectID, Name, Description *string
	NetworkID                    *uuid.UUID
	IPVersion                    *int
	CIDR                         *netip.Prefix // the zero Prefix is like nil
	GatewayIP                    *netip.Addr   // the zero Addr: none
	EnableDHCP                   *bool
	Pools                        *[]signalbox.AddrRange
	DNSServers                   *[]netip.Addr
	HostRoutes                   *[]signalbox.Route
	RAMode, AddressMode          *signalbox.IPv6Mode
	SubnetPoolID                 *uuid.UUID // at create only: what it is cut from. The zero UUID is like nil
	AnyPool                      *bool      // at create only: it is cut from the default pool of its family
	PrefixLen                    *int       // at create only: of the block that is cut; nil: as the pool has it
	ServiceTypes                 *[]string
	Revision                     *int64
}

// CreateSubnets makes all or none.
func (s *Service) CreateSubnets(ctx context.Context, c signalbox.Caller, specs []SubnetSpec) ([]signalbox.Subnet, error) {
	var made []signalbox.Subnet
	err := s.write(ctx, []signalbox.Reason{signalbox.ReasonMACInUse, signalbox.ReasonIPInUse}, func(tx *store.Tx) error {
		err := s.admit(ctx, tx, "subnet", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) })
		if err != nil {
			return err
		}
		made = make([]signalbox.Subnet, len(specs))
		for i := range specs {
			if err := s.createSubnet(ctx, tx, c, &specs[i], &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func (s *Service) createSubnet(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *SubnetSpec, sub *signalbox.Subnet) error {
	pooled, err := spec.wantsPool()
	if err != nil {
		return err
	}
	if !pooled {
		if err := planSubnet(spec, *spec.CIDR, sub); err != nil {
			return err
		}
	}
	project, err := projectOf(c, spec.ProjectID)
	if err != nil {
		return err
	}
	n, err := lockNetwork(ctx, tx, c, or(spec.NetworkID, uuid.Nil), "create_subnet")
	if err != nil {
		return err
	}
	beside, err := subnetsOf(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	var pool *signalbox.SubnetPool
	if pooled {
		if pool, err = poolFor(ctx, tx, c, spec, beside); err != nil {
			return err
		}
		if n, err = tx.Network(ctx, n.ID); err != nil { // with the address scopes that those pools are in now
			return err
		}
		block, err := cut(ctx, tx, pool, project, spec)
		if err != nil {
			return err
		}
		if err := planSubnet(spec, block, sub); err != nil {
			return err
		}
		sub.SubnetPoolID = pool.ID
	}
	scopes := map[int]uuid.UUID{4: n.IPv4Scope, 6: n.IPv6Scope}
	if err := ofOneOrigin(beside, scopes[sub.IPVersion()], sub.IPVersion(), pool); err != nil {
		return err
	}
	sub.ProjectID = project
	if sub.IPVersion() == 6 && n.MTU < minMTU6 {
		return mtuTooSmall(n)
	}
	sub.ID = s.src.ID()
	if err := tx.InsertSubnet(ctx, sub); err != nil {
		return overlapping(sub, err)
	}
	if err := s.serve(ctx, tx, sub); err != nil {
		return err
	}
	return s.autoAddress(ctx, tx, sub, true)
}

// planSubnet is the subnet of a block that a request describes, with everything it left to us chosen, and checked.
func planSubnet(spec *SubnetSpec, block netip.Prefix, sub *signalbox.Subnet) error {
	*sub = signalbox.Subnet{
		NetworkID: or(spec.NetworkID, uuid.Nil), Name: or(spec.Name, ""), Description: or(spec.Description, ""),
		CIDR: block.Masked(), EnableDHCP: or(spec.EnableDHCP, true),
		DNSServers: or(spec.DNSServers, nil), HostRoutes: or(spec.HostRoutes, nil),
		RAMode: or(spec.RAMode, ""), AddressMode: or(spec.AddressMode, ""), ServiceTypes: or(spec.ServiceTypes, nil),
	}
	if v := or(spec.IPVersion, 0); v != sub.IPVersion() {
		return invalidInput("cidr '%s' does not match the ip_version '%d'.", sub.CIDR, v)
	}
	sub.GatewayIP = or(spec.GatewayIP, ipam.DefaultGateway(sub.CIDR))
	if sub.Pools = slices.Clone(or(spec.Pools, nil)); len(sub.Pools) == 0 {
		sub.Pools = ipam.DefaultPools(sub.CIDR, sub.GatewayIP)
	}
	return ipam.Check(sub)
}

func overlapping(sub *signalbox.Subnet, err error) error {
	if !because(err, signalbox.ReasonOverlappingCIDR) {
		return err
	}
	e := signalbox.Errorf(signalbox.Invalid, signalbox.ReasonOverlappingCIDR,
		"Invalid input for operation: Requested subnet with cidr: %s for network: %s overlaps with another subnet.", sub.CIDR, sub.NetworkID)
	e.Err = err
	return e
}

// serve gives the subnet the port that DHCP answers from, or takes it away, as the subnet has it now. It takes
// the lowest free address, so it does best in the transaction that makes the subnet. IPv6 has no such port.
func (s *Service) serve(ctx context.Context, tx *store.Tx, sub *signalbox.Subnet) error {
	if sub.IPVersion() == 6 {
		return nil
	}
	server, err := dhcpPort(ctx, tx, sub.ID)
	if err != nil || (server != nil) == sub.EnableDHCP {
		return err
	}
	if server != nil {
		return tx.DeletePort(ctx, server.ID)
	}
	addr, err := tx.TakeAddress(ctx, sub.ID)
	if err != nil {
		return exhausted(sub.NetworkID, err)
	}
	return tx.InsertPort(ctx, &signalbox.Port{
		ID: s.src.ID(), NetworkID: sub.NetworkID, ProjectID: sub.ProjectID, AdminStateUp: true, MAC: s.newMAC(),
		FixedIPs: []signalbox.FixedIP{{SubnetID: sub.ID, Addr: addr}},
		DeviceID: dhcpDevice(sub.ID), DeviceOwner: signalbox.DeviceOwnerDHCP, Role: signalbox.RoleDHCP, Status: signalbox.Down,
	})
}

// dhcpDevice is the device_id of a subnet's DHCP port.
func dhcpDevice(subnet uuid.UUID) string { return "dhcp-" + subnet.String() }

// dhcpPort is the DHCP port of a subnet, or nil. Its device_id only finds it; its role, which no client can
// write, is what makes it one.
func dhcpPort(ctx context.Context, tx *store.Tx, subnet uuid.UUID) (*signalbox.Port, error) {
	ports, err := tx.Ports(ctx, by("device_id", dhcpDevice(subnet)))
	for i := range ports {
		if ports[i].Role == signalbox.RoleDHCP {
			return &ports[i], nil
		}
	}
	return nil, err
}

// autoAddress gives the VIF ports of a SLAAC subnet's network their addresses, or takes them back: hosts form
// them from the router's advertisement whether we like it or not, so the port must have them.
func (s *Service) autoAddress(ctx context.Context, tx *store.Tx, sub *signalbox.Subnet, have bool) error {
	if !ipam.AutoAddressed(sub) {
		return nil
	}
	ports, err := tx.Ports(ctx, by("network_id", sub.NetworkID))
	if err != nil {
		return err
	}
	for i := range ports {
		p := &ports[i]
		foreign := routerOwned(p.DeviceOwner) || serving([]signalbox.Subnet{*sub}, p.DeviceOwner) == nil
		if p.Role != signalbox.RoleVIF || foreign && have {
			continue
		}
		before := len(p.FixedIPs)
		if have {
			p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: sub.ID, Addr: p.MAC.EUI64(sub.CIDR)})
		} else {
			p.FixedIPs = slices.DeleteFunc(p.FixedIPs, func(f signalbox.FixedIP) bool { return f.SubnetID == sub.ID })
		}
		if len(p.FixedIPs) == before {
			continue
		}
		if err := tx.UpdatePort(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Subnet reads one.
func (s *Service) Subnet(ctx context.Context, c signalbox.Caller, id uuid.UUID) (sub *signalbox.Subnet, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		sub, err = visibleSubnet(ctx, tx, c, id)
		return err
	})
	return sub, err
}

func visibleSubnet(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.Subnet, error) {
	sub, err := tx.Subnet(ctx, id)
	if err != nil || may(c, "get_subnet", to(c, sub.ProjectID)) {
		return sub, err
	}
	n, err := tx.Network(ctx, sub.NetworkID)
	if err == nil && !may(c, "get_subnet", on(c, sub.ProjectID, n)) {
		err = notFound("subnet", id)
	}
	return sub, err
}

// Subnets lists.
func (s *Service) Subnets(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Subnet, error) {
	return list(ctx, s, c, "subnet", q, (*store.Tx).Subnets)
}

// lockSubnet locks a subnet that the caller may change, after its network: all writers take them in this order.
func lockSubnet(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.Subnet, error) {
	sub, err := visibleSubnet(ctx, tx, c, id)
	if err != nil {
		return nil, err
	}
	n, err := tx.NetworkForUpdate(ctx, sub.NetworkID)
	if err != nil {
		return nil, err
	}
	if err := must(c, rule, on(c, sub.ProjectID, n)); err != nil {
		return nil, err
	}
	return tx.SubnetForUpdate(ctx, id)
}

// UpdateSubnet changes what the spec says.
func (s *Service) UpdateSubnet(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec SubnetSpec) (sub *signalbox.Subnet, err error) {
	err = s.write(ctx, []signalbox.Reason{signalbox.ReasonMACInUse, signalbox.ReasonIPInUse}, func(tx *store.Tx) error {
		if sub, err = lockSubnet(ctx, tx, c, id, "update_subnet"); err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, sub.Revision); err != nil {
			return err
		}
		before := *sub
		if err := mayMoveGateway(ctx, tx, sub, spec.GatewayIP); err != nil {
			return err
		}
		set(&sub.Name, spec.Name)
		set(&sub.Description, spec.Description)
		set(&sub.GatewayIP, spec.GatewayIP)
		set(&sub.EnableDHCP, spec.EnableDHCP)
		set(&sub.DNSServers, spec.DNSServers)
		set(&sub.HostRoutes, spec.HostRoutes)
		if set(&sub.ServiceTypes, spec.ServiceTypes); len(sub.ServiceTypes) == 0 {
			sub.ServiceTypes = nil
		}
		if spec.Pools != nil {
			sub.Pools = slices.Clone(*spec.Pools)
		}
		if err := ipam.Check(sub); err != nil || reflect.DeepEqual(before, *sub) {
			return err
		}
		if err := tx.UpdateSubnet(ctx, sub); err != nil {
			return err
		}
		return s.serve(ctx, tx, sub)
	})
	return sub, err
}

// mayMoveGateway refuses to take the gateway's address from the router that has it.
func mayMoveGateway(ctx context.Context, tx *store.Tx, sub *signalbox.Subnet, to *netip.Addr) error {
	if to == nil || *to == sub.GatewayIP || !sub.GatewayIP.IsValid() {
		return nil
	}
	q := by("fixed_ips", "subnet_id="+sub.ID.String())
	q.Filters["fixed_ips"] = append(q.Filters["fixed_ips"], "ip_address="+sub.GatewayIP.String())
	ports, err := tx.Ports(ctx, q)
	if err == nil && len(ports) > 0 && ports[0].Role == signalbox.RoleRouterInterface {
		err = signalbox.Errorf(signalbox.Conflict, signalbox.ReasonGatewayInUse,
			"Current gateway ip %s already in use by port %s. Unable to update.", sub.GatewayIP, ports[0].ID)
	}
	return err
}

// DeleteSubnet deletes a subnet that no port of anybody's has an address of. Addresses that hosts make
// themselves do not count: they go.
func (s *Service) DeleteSubnet(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		sub, err := lockSubnet(ctx, tx, c, id, "delete_subnet")
		if err != nil {
			return err
		}
		if err := checkRevision(revision, sub.Revision); err != nil {
			return err
		}
		if err := s.autoAddress(ctx, tx, sub, false); err != nil {
			return err
		}
		ports, err := tx.Ports(ctx, by("fixed_ips", "subnet_id="+id.String()))
		if err != nil {
			return err
		}
		if users(ports) != nil {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonSubnetInUse,
				"Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", id)
		}
		for i := range ports {
			if err := tx.DeletePort(ctx, ports[i].ID); err != nil {
				return err
			}
		}
		return tx.DeleteSubnet(ctx, id)
	})
}
