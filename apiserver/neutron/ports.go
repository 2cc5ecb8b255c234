package neutron

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/ipam"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// PortSpec is what a request says of a port; nil is what it does not say.
type PortSpec struct {
	ProjectID, Name, Description *string
	NetworkID                    *uuid.UUID
	AdminStateUp                 *bool
	MAC                          *signalbox.MAC
	FixedIPs                     *[]signalbox.FixedIP // the zero SubnetID or Addr: ours to choose
	DeviceID, DeviceOwner        *string
	Revision                     *int64
}

// CreatePorts makes all or none.
func (s *Service) CreatePorts(ctx context.Context, c signalbox.Caller, specs []PortSpec) ([]signalbox.Port, error) {
	var made []signalbox.Port
	err := s.write(ctx, chosen(specs), func(tx *store.Tx) error {
		made = make([]signalbox.Port, len(specs))
		for i := range specs {
			if err := s.createPort(ctx, tx, c, &specs[i], &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// chosen are the refusals that another choice of ours could avoid.
func chosen(specs []PortSpec) []signalbox.Reason {
	var ours []signalbox.Reason
	for i := range specs {
		if specs[i].MAC == nil {
			ours = append(ours, signalbox.ReasonMACInUse)
			break
		}
	}
	for i := range specs {
		named := specs[i].FixedIPs != nil
		for _, f := range or(specs[i].FixedIPs, nil) {
			named = named && f.Addr.IsValid()
		}
		if !named {
			return append(ours, signalbox.ReasonIPInUse)
		}
	}
	return ours
}

func (s *Service) createPort(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *PortSpec, p *signalbox.Port) error {
	project, err := projectOf(c, spec.ProjectID)
	if err != nil {
		return err
	}
	id := or(spec.NetworkID, uuid.Nil)
	n, err := visibleNetwork(c, id)(tx.NetworkForShare(ctx, id))
	if err != nil {
		return err
	}
	if !c.Owns(n.ProjectID) {
		if err := guestMay(spec, "create_port"); err != nil {
			return err
		}
	}
	*p = signalbox.Port{
		ID: s.src.ID(), NetworkID: n.ID, ProjectID: project, Name: or(spec.Name, ""), Description: or(spec.Description, ""),
		AdminStateUp: or(spec.AdminStateUp, true), DeviceID: or(spec.DeviceID, ""), DeviceOwner: or(spec.DeviceOwner, ""),
		Role: signalbox.RoleVIF, Status: signalbox.Down,
	}
	if p.MAC = or(spec.MAC, signalbox.MAC{}); spec.MAC == nil {
		p.MAC = s.newMAC()
	}
	if p.FixedIPs, err = addresses(ctx, tx, n, p, spec.FixedIPs, nil); err != nil {
		return err
	}
	return inUse(p, tx.InsertPort(ctx, p))
}

// addresses chooses a port's addresses. held are those it has, which are kept where that does.
func addresses(ctx context.Context, tx *store.Tx, n *signalbox.Network, p *signalbox.Port, asked *[]signalbox.FixedIP, held []signalbox.FixedIP) ([]signalbox.FixedIP, error) {
	subnets, err := subnetsOf(ctx, tx, n)
	if err != nil {
		return nil, err
	}
	demands, err := demandsOf(n.ID, subnets, asked, p.DeviceOwner, p.MAC)
	if err != nil {
		return nil, err
	}
	keep(demands, held)
	return satisfy(ctx, tx, n.ID, demands)
}

// subnetsOf reads a locked network's subnets, oldest first. n.Subnets will not do: it was read by the statement that
// locked the row, and if that had to wait for whoever made a subnet, it does not know of it. A later statement does.
func subnetsOf(ctx context.Context, tx *store.Tx, n *signalbox.Network) ([]signalbox.Subnet, error) {
	q := by("network_id", n.ID)
	q.Sort = []Order{{Key: "created_at"}}
	return tx.Subnets(ctx, q)
}

// guestMay refuses what only the network's owner or an admin may ask of a port on it.
func guestMay(spec *PortSpec, rule string) error {
	if spec.MAC != nil {
		return forbidden(rule + ":mac_address")
	}
	for _, f := range or(spec.FixedIPs, nil) {
		if f.Addr.IsValid() {
			return forbidden(rule + ":fixed_ips:ip_address")
		}
	}
	if strings.HasPrefix(or(spec.DeviceOwner, ""), "network:") {
		return forbidden(rule + ":device_owner")
	}
	return nil
}

// inUse says which MAC or addresses it was, for the store knows only a constraint.
func inUse(p *signalbox.Port, err error) error {
	var e *signalbox.Error
	switch {
	case because(err, signalbox.ReasonMACInUse):
		e = signalbox.Errorf(signalbox.Conflict, signalbox.ReasonMACInUse,
			"Unable to complete operation for network %s. The mac address %s is in use.", p.NetworkID, p.MAC)
	case because(err, signalbox.ReasonIPInUse):
		var addrs []string
		for _, f := range p.FixedIPs {
			addrs = append(addrs, sprintf("%s in subnet %s", f.Addr, f.SubnetID))
		}
		e = signalbox.Errorf(signalbox.Conflict, signalbox.ReasonIPInUse,
			"IP address already allocated, one of: %s.", strings.Join(addrs, ", "))
	default:
		return err
	}
	e.Err = err
	return e
}

// Port reads one.
func (s *Service) Port(ctx context.Context, c signalbox.Caller, id uuid.UUID) (p *signalbox.Port, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		p, err = visiblePort(ctx, tx, c, id)
		return err
	})
	return p, err
}

// visiblePort hides a port from whom neither it nor its network belongs to.
func visiblePort(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.Port, error) {
	p, err := tx.Port(ctx, id)
	if err != nil || c.Owns(p.ProjectID) {
		return p, err
	}
	n, err := tx.Network(ctx, p.NetworkID)
	if err == nil && !c.Owns(n.ProjectID) {
		err = notFound("port", id)
	}
	return p, err
}

// ownPort is a port that the caller may change.
func ownPort(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.Port, error) {
	p, err := visiblePort(ctx, tx, c, id)
	if err == nil && !c.Owns(p.ProjectID) {
		err = forbidden(rule)
	}
	return p, err
}

// Ports lists.
func (s *Service) Ports(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Port, error) {
	return list(ctx, s, c, q, (*store.Tx).Ports)
}

// UpdatePort changes what the spec says.
func (s *Service) UpdatePort(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec PortSpec) (p *signalbox.Port, err error) {
	err = s.write(ctx, chosen([]PortSpec{spec}), func(tx *store.Tx) error {
		if p, err = ownPort(ctx, tx, c, id, "update_port"); err != nil {
			return err
		}
		n, err := tx.NetworkForShare(ctx, p.NetworkID) // before the port, as everybody
		if err != nil {
			return err
		}
		if p, err = tx.PortForUpdate(ctx, id); err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, p.Revision); err != nil {
			return err
		}
		if err := mayUpdatePort(c, n, p, &spec); err != nil {
			return err
		}
		return updatePort(ctx, tx, n, p, &spec)
	})
	return p, err
}

func updatePort(ctx context.Context, tx *store.Tx, n *signalbox.Network, p *signalbox.Port, spec *PortSpec) (err error) {
	before := *p
	set(&p.Name, spec.Name)
	set(&p.Description, spec.Description)
	set(&p.AdminStateUp, spec.AdminStateUp)
	set(&p.DeviceID, spec.DeviceID)
	set(&p.DeviceOwner, spec.DeviceOwner)
	set(&p.MAC, spec.MAC)
	switch {
	case spec.FixedIPs != nil:
		p.FixedIPs, err = addresses(ctx, tx, n, p, spec.FixedIPs, before.FixedIPs)
	case p.MAC != before.MAC && len(p.FixedIPs) > 0:
		p.FixedIPs, err = reform(ctx, tx, n, p)
	}
	if err != nil || reflect.DeepEqual(before, *p) {
		return err
	}
	return inUse(p, tx.UpdatePort(ctx, p))
}

// reform gives a port whose MAC has changed the addresses that follow from the new one.
func reform(ctx context.Context, tx *store.Tx, n *signalbox.Network, p *signalbox.Port) ([]signalbox.FixedIP, error) {
	subnets, err := subnetsOf(ctx, tx, n)
	fixed := slices.Clone(p.FixedIPs)
	for i := range subnets {
		for j := range fixed {
			if fixed[j].SubnetID == subnets[i].ID && ipam.AutoAddressed(&subnets[i]) {
				fixed[j].Addr = p.MAC.EUI64(subnets[i].CIDR)
			}
		}
	}
	return fixed, err
}

// mayUpdatePort refuses what a caller may not change, and what nobody may.
func mayUpdatePort(c signalbox.Caller, n *signalbox.Network, p *signalbox.Port, spec *PortSpec) error {
	switch {
	case p.Role != signalbox.RoleVIF && (spec.MAC != nil || spec.FixedIPs != nil || spec.DeviceID != nil || spec.DeviceOwner != nil):
		return serviceOwned(p, "changed so")
	case spec.MAC == nil || *spec.MAC == p.MAC:
	case !c.Admin:
		return forbidden("update_port:mac_address")
	case p.Binding != nil:
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPortBound,
			"Unable to complete operation on port %s, port is already bound to interface %s, old mac %s, new mac %s.", p.ID, p.Binding.Interface, p.MAC, *spec.MAC)
	}
	if c.Owns(n.ProjectID) {
		return nil
	}
	asked := *spec
	asked.MAC = nil
	return guestMay(&asked, "update_port")
}

func serviceOwned(p *signalbox.Port, what string) error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonServicePort,
		"Port %s cannot be %s directly via the port API: has device owner %s.", p.ID, what, p.DeviceOwner)
}

// DeletePort deletes a port, but not one that came with something else.
func (s *Service) DeletePort(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		p, err := ownPort(ctx, tx, c, id, "delete_port")
		if err != nil {
			return err
		}
		if p, err = tx.PortForUpdate(ctx, id); err != nil { // or it could become a router's meanwhile
			return err
		}
		if p.Role != signalbox.RoleVIF {
			return serviceOwned(p, "deleted")
		}
		if err := checkRevision(revision, p.Revision); err != nil {
			return err
		}
		return tx.DeletePort(ctx, id)
	})
}
