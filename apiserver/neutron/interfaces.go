package neutron

import (
	"context"
	"net/netip"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// InterfaceSpec names a router's interface, by its subnet or by its port.
type InterfaceSpec struct {
	SubnetID, PortID *uuid.UUID
	Revision         *int64 // of the router, if the client insists on it
}

func badRouter(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Bad router request: "+format, args...)
}

// AddInterface joins a subnet to a router: by a new port that has the subnet's gateway address, or by a port that is
// there and nobody's. It returns the port.
func (s *Service) AddInterface(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec InterfaceSpec) (p *signalbox.Port, err error) {
	err = s.write(ctx, []signalbox.Reason{signalbox.ReasonMACInUse}, func(tx *store.Tx) error {
		r, err := lockRouter(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, r.Revision); err != nil {
			return err
		}
		switch {
		case spec.SubnetID != nil && spec.PortID != nil:
			return badRouter("Cannot specify both subnet-id and port-id.")
		case spec.SubnetID != nil:
			p, err = s.gatewayPort(ctx, tx, c, r, *spec.SubnetID)
		case spec.PortID != nil:
			p, err = freePort(ctx, tx, c, r, *spec.PortID)
		default:
			return badRouter("Either subnet_id or port_id must be specified.")
		}
		if err != nil {
			return err
		}
		return tx.AttachPort(ctx, p, r.ID)
	})
	return p, err
}

// gatewayPort makes a port with a subnet's gateway address. The network's lock keeps both as they are.
func (s *Service) gatewayPort(ctx context.Context, tx *store.Tx, c signalbox.Caller, r *signalbox.Router, id uuid.UUID) (*signalbox.Port, error) {
	sub, err := visibleSubnet(ctx, tx, c, id)
	if err != nil {
		return nil, err
	}
	n, err := tx.NetworkForShare(ctx, sub.NetworkID)
	if err != nil {
		return nil, err
	}
	if sub, err = tx.Subnet(ctx, id); err != nil {
		return nil, err
	}
	switch {
	case !may(c, "add_router_interface:subnet_id", on(c, sub.ProjectID, n)):
		return nil, badRouter("Cannot add interface to router because subnet %s is not owned by project making the request.", id)
	case !sub.GatewayIP.IsValid():
		return nil, badRouter("Subnet for router interface must have a gateway IP.")
	}
	if err := mayJoin(ctx, tx, r, sub); err != nil {
		return nil, err
	}
	p := &signalbox.Port{
		ID: s.src.ID(), NetworkID: sub.NetworkID, ProjectID: r.ProjectID, AdminStateUp: true, MAC: s.newMAC(),
		FixedIPs: []signalbox.FixedIP{{SubnetID: id, Addr: sub.GatewayIP}}, Status: signalbox.Down,
	}
	return p, inUse(p, tx.InsertPort(ctx, p))
}

// freePort is a port of the caller's that can become the router's.
func freePort(ctx context.Context, tx *store.Tx, c signalbox.Caller, r *signalbox.Router, id uuid.UUID) (*signalbox.Port, error) {
	p, err := ownPort(ctx, tx, c, id, "add_router_interface:port_id")
	if err != nil {
		return nil, err
	}
	if _, err := tx.NetworkForShare(ctx, p.NetworkID); err != nil { // before the port, as everybody
		return nil, err
	}
	if p, err = tx.PortForUpdate(ctx, id); err != nil {
		return nil, err
	}
	switch {
	case p.Role != signalbox.RoleVIF, p.DeviceID != "" && p.DeviceID != r.ID.String():
		return nil, portInUse(p, "Port already has an attached device "+p.DeviceID+".")
	case p.Binding != nil:
		return nil, portInUse(p, "Port is bound to interface "+p.Binding.Interface+".")
	case len(p.FixedIPs) == 0:
		return nil, badRouter("Router port must have at least one fixed IP.")
	case len(p.FixedIPs) > 1:
		return nil, badRouter("Router port %s must have one fixed IP, and has %d.", id, len(p.FixedIPs))
	case p.MAC.IsMulticast():
		return nil, badRouter("Router port %s has the group address %s, by which no router can be reached.", id, p.MAC)
	}
	floating, err := tx.FloatingIPs(ctx, by("port_id", id))
	if err != nil {
		return nil, err
	}
	if len(floating) > 0 {
		return nil, portInUse(p, "Port has floating IP "+floating[0].Addr.String()+".")
	}
	sub, err := tx.Subnet(ctx, p.FixedIPs[0].SubnetID)
	if err != nil {
		return nil, err
	}
	return p, mayJoin(ctx, tx, r, sub)
}

func portInUse(p *signalbox.Port, how string) error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPortInUse,
		"Unable to complete operation on port %s for network %s. %s", p.ID, p.NetworkID, how)
}

// mayJoin refuses subnets between which the router could not choose. The database refuses them as well, but does not say
// which.
func mayJoin(ctx context.Context, tx *store.Tx, r *signalbox.Router, sub *signalbox.Subnet) error {
	if sub.IPVersion() == 6 {
		return badRouter("IPv6 subnet %s cannot be attached: IPv6 is not routed.", sub.ID)
	}
	ports, err := tx.RouterPorts(ctx, r.ID)
	if err != nil {
		return err
	}
	near, err := subnetsAt(ctx, tx, ends(ports))
	if err != nil {
		return err
	}
	if r.Gateway != nil {
		outside, err := subnetsOf(ctx, tx, r.Gateway.NetworkID)
		if err != nil {
			return err
		}
		near = append(near, outside...)
	}
	return apart(near, sub)
}

// apart refuses a subnet of which a router has addresses already, beside those that it is near to.
func apart(near []signalbox.Subnet, sub *signalbox.Subnet) error {
	for i := range near {
		switch has := &near[i]; {
		case has.ID == sub.ID:
			return badRouter("Router already has a port on subnet %s.", sub.ID)
		case has.CIDR.Overlaps(sub.CIDR):
			return badRouter("Cidr %s of subnet %s overlaps with cidr %s of subnet %s.", sub.CIDR, sub.ID, has.CIDR, has.ID)
		}
	}
	return nil
}

// ends are the addresses of ports.
func ends(ports []signalbox.Port) (all []signalbox.FixedIP) {
	for i := range ports {
		all = append(all, ports[i].FixedIPs...)
	}
	return all
}

// subnetsAt are the subnets that addresses are of.
func subnetsAt(ctx context.Context, tx *store.Tx, fixed []signalbox.FixedIP) ([]signalbox.Subnet, error) {
	var ids []any
	for _, f := range fixed {
		ids = append(ids, f.SubnetID)
	}
	return tx.Subnets(ctx, store.Query{Filters: map[string][]any{"id": ids}})
}

func hasAddr(fixed []signalbox.FixedIP, a netip.Addr) bool {
	return slices.ContainsFunc(fixed, func(f signalbox.FixedIP) bool { return f.Addr == a })
}

func hasSubnet(p *signalbox.Port, id uuid.UUID) bool {
	return slices.ContainsFunc(p.FixedIPs, func(f signalbox.FixedIP) bool { return f.SubnetID == id })
}

// RemoveInterface deletes an interface of a router, and returns the port that it was.
func (s *Service) RemoveInterface(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec InterfaceSpec) (p *signalbox.Port, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		r, err := lockRouter(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, r.Revision); err != nil {
			return err
		}
		if p, err = findInterface(ctx, tx, c, id, spec); err != nil {
			return err
		}
		if err := mayLeave(ctx, tx, r, p); err != nil {
			return err
		}
		return tx.DeletePort(ctx, p.ID)
	})
	return p, err
}

// findInterface is the interface that a request names.
func findInterface(ctx context.Context, tx *store.Tx, c signalbox.Caller, router uuid.UUID, spec InterfaceSpec) (*signalbox.Port, error) {
	if spec.SubnetID == nil && spec.PortID == nil {
		return nil, badRouter("Either subnet_id or port_id must be specified.")
	}
	ports, err := tx.RouterPorts(ctx, router)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(ports, func(p signalbox.Port) bool {
		if spec.PortID != nil {
			return p.ID == *spec.PortID
		}
		return hasSubnet(&p, *spec.SubnetID)
	})
	switch {
	case i < 0 && spec.PortID != nil:
		return nil, signalbox.Errorf(signalbox.NotFound, signalbox.ReasonNoInterface,
			"Router %s does not have an interface with id %s", router, *spec.PortID)
	case i < 0:
		if _, err := visibleSubnet(ctx, tx, c, *spec.SubnetID); err != nil {
			return nil, err
		}
		return nil, signalbox.Errorf(signalbox.NotFound, signalbox.ReasonNotOnSubnet,
			"Router %s has no interface on subnet %s", router, *spec.SubnetID)
	case spec.SubnetID != nil && !hasSubnet(&ports[i], *spec.SubnetID):
		return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonSubnetMismatch,
			"Subnet on port %s does not match the requested subnet %s.", ports[i].ID, *spec.SubnetID)
	}
	return &ports[i], nil
}

// mayLeave refuses to take away an interface that a static route or a floating IP needs.
func mayLeave(ctx context.Context, tx *store.Tx, r *signalbox.Router, p *signalbox.Port) error {
	subnets, err := subnetsAt(ctx, tx, p.FixedIPs)
	if err != nil {
		return err
	}
	for i := range subnets {
		needing, err := tx.FloatingIPsBehind(ctx, r.ID, subnets[i].ID)
		if err != nil {
			return err
		}
		if len(needing) > 0 {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonInterfaceNeeded,
				"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", subnets[i].ID, r.ID)
		}
		for _, route := range r.Routes {
			if subnets[i].CIDR.Contains(route.NextHop) {
				return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonRouteInUse,
					"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", subnets[i].ID, r.ID)
			}
		}
	}
	return nil
}
