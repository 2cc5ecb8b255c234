package neutron

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// GatewaySpec is what a request says of a router's way out to an external network.
type GatewaySpec struct {
	NetworkID  uuid.UUID           // Nil: there shall be none
	EnableSNAT *bool               // nil: true, even where it was false, as in Neutron
	FixedIPs   []signalbox.FixedIP // the zero SubnetID or Addr: ours to choose. None: all of them, or those that there are
}

// gatewayChosen are the refusals that another choice of ours could avoid.
func gatewayChosen(specs ...RouterSpec) []signalbox.Reason {
	for i := range specs {
		g := specs[i].Gateway
		if g == nil {
			continue
		}
		ours := []signalbox.Reason{signalbox.ReasonMACInUse}
		if len(g.FixedIPs) == 0 || !named(g.FixedIPs) {
			ours = append(ours, signalbox.ReasonIPInUse)
		}
		return ours
	}
	return nil
}

// named reports whether every address is the client's choice.
func named(fixed []signalbox.FixedIP) bool {
	return !slices.ContainsFunc(fixed, func(f signalbox.FixedIP) bool { return !f.Addr.IsValid() })
}

// moveGateway makes a locked router's gateway what a request says of it.
func (s *Service) moveGateway(ctx context.Context, tx *store.Tx, c signalbox.Caller, r *signalbox.Router, spec *GatewaySpec) error {
	if spec.NetworkID == uuid.Nil {
		return clearGateway(ctx, tx, r)
	}
	n, err := visibleNetwork(c, spec.NetworkID)(tx.NetworkForShare(ctx, spec.NetworkID))
	if err != nil {
		return err
	}
	if !n.External {
		return badRouter("Network %s is not an external network.", n.ID)
	}
	subnets, err := subnetsOf(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	demands, err := gatewayDemands(n, subnets, spec.FixedIPs)
	if err != nil {
		return err
	}
	if r.Gateway != nil && r.Gateway.NetworkID == n.ID {
		return changeGateway(ctx, tx, r, spec, demands)
	}
	if err := clearGateway(ctx, tx, r); err != nil {
		return err
	}
	if err := mayLead(ctx, tx, r, subnets); err != nil {
		return err
	}
	return s.setGateway(ctx, tx, r, spec, demands)
}

// gatewayDemands is which addresses a gateway shall have. They are IPv4: no other is routed.
func gatewayDemands(n *signalbox.Network, subnets []signalbox.Subnet, asked []signalbox.FixedIP) ([]demand, error) {
	for i := range subnets {
		sub := &subnets[i]
		for _, f := range asked {
			switch {
			case f.Addr.IsValid() && !f.Addr.Is4():
				return nil, badRouter("External IP %s is IPv6, which is not routed.", f.Addr)
			case f.SubnetID == sub.ID && sub.IPVersion() != 4:
				return nil, badRouter("Subnet %s is IPv6, which is not routed.", sub.ID)
			case f.Addr.IsValid() && f.Addr == sub.GatewayIP:
				return nil, badRouter("External IP %s is the same as the gateway IP.", f.Addr)
			}
		}
	}
	usable := ipv4(subnets)
	if len(usable) == 0 {
		return nil, badRouter("Network %s does not contain any IPv4 subnet.", n.ID)
	}
	said := &asked
	if len(asked) == 0 {
		said = nil
	}
	return demandsOf(n.ID, usable, said, signalbox.DeviceOwnerRouterGateway, signalbox.MAC{})
}

func ipv4(subnets []signalbox.Subnet) []signalbox.Subnet {
	return slices.DeleteFunc(slices.Clone(subnets), func(s signalbox.Subnet) bool { return s.IPVersion() != 4 })
}

// mayLead refuses an external network between whose subnets and those that the router joins it could not choose.
func mayLead(ctx context.Context, tx *store.Tx, r *signalbox.Router, subnets []signalbox.Subnet) error {
	ports, err := tx.RouterPorts(ctx, r.ID)
	if err != nil {
		return err
	}
	joined, err := subnetsAt(ctx, tx, ends(ports))
	if err != nil {
		return err
	}
	for i := range subnets {
		if err := apart(joined, &subnets[i]); err != nil {
			return err
		}
	}
	return nil
}

// setGateway gives the router a port on an external network. It belongs to no project: only admins see it, and those
// whose network it is on.
func (s *Service) setGateway(ctx context.Context, tx *store.Tx, r *signalbox.Router, spec *GatewaySpec, demands []demand) error {
	p := &signalbox.Port{
		ID: s.src.ID(), NetworkID: spec.NetworkID, AdminStateUp: true, MAC: s.newMAC(), Status: signalbox.Down,
	}
	if err := insertOutside(ctx, tx, p, demands); err != nil {
		return err
	}
	return tx.SetGateway(ctx, r, p, or(spec.EnableSNAT, true))
}

// insertOutside writes a port that a router or a floating IP has on an external network, with the addresses that it shall have.
func insertOutside(ctx context.Context, tx *store.Tx, p *signalbox.Port, demands []demand) (err error) {
	if p.FixedIPs, err = satisfy(ctx, tx, p.NetworkID, demands, true); err != nil {
		return err
	}
	return inUse(p, exhausted(p.NetworkID, tx.InsertPort(ctx, p)))
}

// changeGateway changes how the router appears on the external network that it leads to already.
func changeGateway(ctx context.Context, tx *store.Tx, r *signalbox.Router, spec *GatewaySpec, demands []demand) error {
	g := r.Gateway
	snat := or(spec.EnableSNAT, true)
	changed := g.EnableSNAT != snat
	if len(spec.FixedIPs) > 0 {
		p, err := tx.PortForUpdate(ctx, g.PortID)
		if err != nil {
			return err
		}
		held := p.FixedIPs
		keep(demands, held)
		if p.FixedIPs, err = satisfy(ctx, tx, p.NetworkID, demands, false); err != nil {
			return err
		}
		if !slices.Equal(held, p.FixedIPs) {
			changed = true
			if err := inUse(p, tx.UpdatePort(ctx, p)); err != nil {
				return err
			}
		}
	}
	if !changed {
		return nil
	}
	g.EnableSNAT = snat
	return tx.UpdateGateway(ctx, r)
}

// clearGateway takes a router's gateway away, if it has one that no floating IP needs.
func clearGateway(ctx context.Context, tx *store.Tx, r *signalbox.Router) error {
	if r.Gateway == nil {
		return nil
	}
	q := by("router_id", r.ID)
	q.Limit = 1
	needing, err := tx.FloatingIPs(ctx, q)
	if err != nil {
		return err
	}
	if len(needing) > 0 {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonGatewayNeeded,
			"Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.",
			r.ID, r.Gateway.NetworkID)
	}
	return tx.ClearGateway(ctx, r)
}
