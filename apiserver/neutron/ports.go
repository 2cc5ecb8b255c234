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
	DNSName                      *string
	PortSecurity                 *bool                    // nil at create: as the network has it
	Pairs                        *[]signalbox.AddressPair // the zero MAC: the port's own
	DHCPOptions                  *[]signalbox.DHCPOption  // what is to change of them
	Host, Profile                *string
	VNIC                         *signalbox.VNICType
	Tags                         *[]string    // at create only
	SecurityGroups               *[]uuid.UUID // nil in it: whatever holds when nobody says
	Revision                     *int64
}

// CreatePorts makes all or none.
func (s *Service) CreatePorts(ctx context.Context, c signalbox.Caller, specs []PortSpec) ([]signalbox.Port, error) {
	if len(specs) == 1 {
		p, err := s.gathered.create(ctx, portWish{c, specs[0]})
		return []signalbox.Port{p}, err
	}
	wishes := make([]portWish, len(specs))
	for i := range specs {
		wishes[i] = portWish{c, specs[i]}
	}
	made, err := s.createTogether(ctx, wishes)
	if refused(err) {
		made, err = s.createInTurn(ctx, wishes) // to say which it was
	}
	return made, err
}

// portWish is one port that somebody asks for.
type portWish struct {
	caller signalbox.Caller
	spec   PortSpec
}

// project is the one that the port shall belong to.
func (w *portWish) project() (string, error) {
	return projectBy("create_port:project_id", w.caller, w.spec.ProjectID)
}

// createTogether makes all ports in one transaction and with one statement, or none. A refusal does not say which was refused.
func (s *Service) createTogether(ctx context.Context, wishes []portWish) ([]signalbox.Port, error) {
	made := make([]signalbox.Port, len(wishes))
	ports := make([]*signalbox.Port, len(wishes))
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := s.admitPorts(ctx, tx, wishes); err != nil {
			return err
		}
		seen := networksSeen{}
		if err := seen.lockAll(ctx, tx, wishes); err != nil {
			return err
		}
		for i := range wishes {
			ports[i] = &made[i]
			if err := s.planPort(ctx, tx, seen, wishes[i], ports[i]); err != nil {
				return err
			}
		}
		if err := s.joinGroups(ctx, tx, wishes, ports); err != nil {
			return err
		}
		return tx.InsertPorts(ctx, ports)
	})
	return made, err
}

// createInTurn makes all ports in one transaction, or none, and says what was wrong.
func (s *Service) createInTurn(ctx context.Context, wishes []portWish) ([]signalbox.Port, error) {
	made := make([]signalbox.Port, len(wishes))
	err := s.write(ctx, chosen(wishes), func(tx *store.Tx) error {
		if err := s.admitPorts(ctx, tx, wishes); err != nil {
			return err
		}
		seen := networksSeen{}
		for i := range wishes {
			p := &made[i]
			if err := s.planPort(ctx, tx, seen, wishes[i], p); err != nil {
				return err
			}
			if err := s.joinGroups(ctx, tx, wishes[i:i+1], []*signalbox.Port{p}); err != nil {
				return err
			}
			if err := inUse(p, exhausted(p.NetworkID, tx.InsertPort(ctx, p))); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func (s *Service) admitPorts(ctx context.Context, tx *store.Tx, wishes []portWish) error {
	return s.admit(ctx, tx, "port", len(wishes), func(i int) (string, error) { return wishes[i].project() })
}

// refused tells what a client asked wrongly from what went wrong here.
func refused(err error) bool {
	k := signalbox.KindOf(err)
	return err != nil && k != signalbox.Unavailable && k != signalbox.Internal
}

// chosen are the refusals that another choice of ours could avoid.
func chosen(wishes []portWish) []signalbox.Reason {
	var ours []signalbox.Reason
	for i := range wishes {
		if wishes[i].spec.MAC == nil {
			ours = append(ours, signalbox.ReasonMACInUse)
			break
		}
	}
	for i := range wishes {
		if fixed := wishes[i].spec.FixedIPs; fixed == nil || !named(*fixed) {
			return append(ours, signalbox.ReasonIPInUse)
		}
	}
	return ours
}

// planPort decides everything about a port but what the database chooses when it is written.
func (s *Service) planPort(ctx context.Context, tx *store.Tx, seen networksSeen, w portWish, p *signalbox.Port) error {
	c, spec := w.caller, &w.spec
	project, err := w.project()
	if err != nil {
		return err
	}
	n, subnets, err := seen.lock(ctx, tx, c, or(spec.NetworkID, uuid.Nil))
	if err != nil {
		return err
	}
	is := on(c, project, n)
	if err := must(c, "create_port", is); err != nil {
		return err
	}
	if err := mayAsk(c, spec, "create_port", is); err != nil {
		return err
	}
	*p = signalbox.Port{
		ID: s.src.ID(), NetworkID: n.ID, ProjectID: project, Name: or(spec.Name, ""), Description: or(spec.Description, ""),
		AdminStateUp: or(spec.AdminStateUp, true), DeviceID: or(spec.DeviceID, ""), DeviceOwner: or(spec.DeviceOwner, ""),
		Role: signalbox.RoleVIF, Status: signalbox.Down, Domain: s.domainOf(n.DNSDomain),
	}
	if err := rename(p, spec.DNSName); err != nil {
		return err
	}
	p.Tags = slices.Sorted(slices.Values(or(spec.Tags, nil)))
	if p.MAC = or(spec.MAC, signalbox.MAC{}); spec.MAC == nil {
		p.MAC = s.newMAC()
	}
	p.Unsecured = n.Unsecured
	if err := attributes(ctx, tx, p, spec); err != nil {
		return err
	}
	demands, err := demandsOf(n.ID, subnets, spec.FixedIPs, p.DeviceOwner, p.MAC)
	if err != nil {
		return err
	}
	p.FixedIPs, err = satisfy(ctx, tx, n.ID, demands, true)
	return err
}

// networksSeen is the networks that a transaction has locked, with their subnets: neither can change until it ends.
type networksSeen map[uuid.UUID]networkSeen

type networkSeen struct {
	network *signalbox.Network
	subnets []signalbox.Subnet
}

// lockAll is lock for all networks that wishes name, in two statements.
func (seen networksSeen) lockAll(ctx context.Context, tx *store.Tx, wishes []portWish) error {
	var ids []uuid.UUID
	for _, w := range wishes {
		if id := or(w.spec.NetworkID, uuid.Nil); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	ns, err := tx.NetworksForShare(ctx, ids)
	if err != nil {
		return err
	}
	subnets, err := subnetsOf(ctx, tx, ids...)
	if err != nil {
		return err
	}
	for i := range ns {
		seen[ns[i].ID] = networkSeen{network: &ns[i]}
	}
	for _, sub := range subnets {
		if here, ok := seen[sub.NetworkID]; ok {
			here.subnets = append(here.subnets, sub)
			seen[sub.NetworkID] = here
		}
	}
	return nil
}

// lock keeps a network from being deleted, and from getting or losing subnets, until the transaction ends.
func (seen networksSeen) lock(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.Network, []signalbox.Subnet, error) {
	here, known := seen[id]
	if !known {
		n, err := tx.NetworkForShare(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		here.network = n
		if here.subnets, err = subnetsOf(ctx, tx, n.ID); err != nil {
			return nil, nil, err
		}
		seen[id] = here
	}
	n, err := visibleNetwork(c, id)(here.network, nil)
	return n, here.subnets, err
}

// addresses chooses the addresses of a port that has some, held, which are kept where that does.
func addresses(ctx context.Context, tx *store.Tx, n *signalbox.Network, p *signalbox.Port, asked, held []signalbox.FixedIP) ([]signalbox.FixedIP, error) {
	subnets, err := subnetsOf(ctx, tx, n.ID)
	if err != nil {
		return nil, err
	}
	asked = unformed(subnets, asked, held)
	demands, err := demandsOf(n.ID, subnets, &asked, p.DeviceOwner, p.MAC)
	if err != nil {
		return nil, err
	}
	keep(demands, held)
	return satisfy(ctx, tx, n.ID, demands, false)
}

// subnetsOf reads locked networks' subnets, oldest first. Network.Subnets will not do: it was read by the statement that
// locked the row, and if that had to wait for whoever made a subnet, it does not know of it. A later statement does.
func subnetsOf(ctx context.Context, tx *store.Tx, networks ...uuid.UUID) ([]signalbox.Subnet, error) {
	var q store.Query
	q.Filters = map[string][]any{"network_id": {}}
	for _, id := range networks {
		q.Filters["network_id"] = append(q.Filters["network_id"], id)
	}
	q.Sort = []Order{{Key: "created_at"}}
	return tx.Subnets(ctx, q)
}

// mayAsk refuses what a request says of a port that is not for the caller to say.
func mayAsk(c signalbox.Caller, spec *PortSpec, rule string, is standing) error {
	for _, part := range []struct {
		name string
		said bool
	}{
		{"mac_address", spec.MAC != nil},
		{"fixed_ips:ip_address", slices.ContainsFunc(or(spec.FixedIPs, nil), func(f signalbox.FixedIP) bool { return f.Addr.IsValid() })},
		{"device_owner", strings.HasPrefix(or(spec.DeviceOwner, ""), "network:")},
		{"port_security_enabled", spec.PortSecurity != nil},
		{"allowed_address_pairs", len(or(spec.Pairs, nil)) > 0},
	} {
		if part.said && !may(c, rule+":"+part.name, is) {
			return forbidden(rule + ":" + part.name)
		}
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
		if p, err = visiblePort(ctx, tx, c, id); err == nil {
			p.Domain = s.domainOf(p.Domain)
		}
		return err
	})
	return p, err
}

// visiblePort hides a port from whom neither it nor its network belongs to.
func visiblePort(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.Port, error) {
	p, err := tx.Port(ctx, id)
	if err != nil || may(c, "get_port", to(c, p.ProjectID)) {
		return p, err
	}
	n, err := tx.Network(ctx, p.NetworkID)
	if err == nil && !may(c, "get_port", on(c, p.ProjectID, n)) {
		err = notFound("port", id)
	}
	return p, err
}

// ownPort is a port that the caller may change.
func ownPort(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.Port, error) {
	p, err := visiblePort(ctx, tx, c, id)
	if err == nil {
		err = must(c, rule, to(c, p.ProjectID))
	}
	return p, err
}

// Ports lists.
func (s *Service) Ports(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Port, error) {
	ports, err := list(ctx, s, c, "port", q, (*store.Tx).Ports)
	for i := range ports {
		ports[i].Domain = s.domainOf(ports[i].Domain)
	}
	return ports, err
}

// UpdatePort changes what the spec says.
func (s *Service) UpdatePort(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec PortSpec) (p *signalbox.Port, err error) {
	err = s.write(ctx, chosen([]portWish{{c, spec}}), func(tx *store.Tx) error {
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
		p.Domain = s.domainOf(p.Domain)
		return updatePort(ctx, tx, c, n, p, &spec)
	})
	return p, err
}

func updatePort(ctx context.Context, tx *store.Tx, c signalbox.Caller, n *signalbox.Network, p *signalbox.Port, spec *PortSpec) (err error) {
	before := *p
	set(&p.Name, spec.Name)
	set(&p.Description, spec.Description)
	set(&p.AdminStateUp, spec.AdminStateUp)
	set(&p.DeviceID, spec.DeviceID)
	set(&p.DeviceOwner, spec.DeviceOwner)
	if err := rename(p, spec.DNSName); err != nil {
		return err
	}
	if set(&p.MAC, spec.MAC); p.MAC != before.MAC {
		p.Pairs = renamed(p.Pairs, before.MAC, p.MAC)
	}
	if spec.SecurityGroups != nil {
		if err := moveToGroups(ctx, tx, c, p, *spec.SecurityGroups); err != nil {
			return err
		}
	}
	if err := attributes(ctx, tx, p, spec); err != nil {
		return err
	}
	if err := mayBeInGroups(p, spec); err != nil {
		return err
	}
	if p.Host != before.Host { // if it waited there, it does no more
		if err := tx.DeleteInactiveBinding(ctx, p.ID, p.Host); err != nil {
			return err
		}
	}
	switch {
	case spec.FixedIPs != nil:
		p.FixedIPs, err = addresses(ctx, tx, n, p, *spec.FixedIPs, before.FixedIPs)
	case p.MAC != before.MAC && len(p.FixedIPs) > 0:
		p.FixedIPs, err = reform(ctx, tx, n, p)
	}
	if err != nil || reflect.DeepEqual(before, *p) {
		return err
	}
	if !slices.Equal(before.FixedIPs, p.FixedIPs) {
		if err := keepsFloating(ctx, tx, p); err != nil {
			return err
		}
	}
	return inUse(p, tx.UpdatePort(ctx, p))
}

// keepsFloating refuses to take an address from a port that a floating IP stands for.
func keepsFloating(ctx context.Context, tx *store.Tx, p *signalbox.Port) error {
	floating, err := tx.FloatingIPs(ctx, by("port_id", p.ID))
	for _, f := range floating {
		if !hasAddr(p.FixedIPs, f.FixedAddr) {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest,
				"Bad port request: Cannot update the fixed_ips of the port %s, because its fixed ip %s has been associated to floating ip %s.", p.ID, f.FixedAddr, f.Addr)
		}
	}
	return err
}

// reform gives a port whose MAC has changed the addresses that follow from the new one.
func reform(ctx context.Context, tx *store.Tx, n *signalbox.Network, p *signalbox.Port) ([]signalbox.FixedIP, error) {
	subnets, err := subnetsOf(ctx, tx, n.ID)
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
	if p.Role != signalbox.RoleVIF && (spec.MAC != nil || spec.FixedIPs != nil || spec.DeviceID != nil || spec.DeviceOwner != nil || spec.talks()) {
		return serviceOwned(p, "changed so")
	}
	asked := *spec
	if or(spec.MAC, p.MAC) == p.MAC {
		asked.MAC = nil
	}
	if err := mayAsk(c, &asked, "update_port", on(c, p.ProjectID, n)); err != nil {
		return err
	}
	if asked.MAC != nil && (p.Binding != nil || p.VIF.Type() == signalbox.VIFOVS) {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPortBound,
			"Unable to complete operation on port %s, port is already bound on host %s, old mac %s, new mac %s.", p.ID, p.HostName(), p.MAC, *spec.MAC)
	}
	return nil
}

func serviceOwned(p *signalbox.Port, what string) error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonServicePort,
		"Port %s cannot be %s directly via the port API: has device owner %s.", p.ID, what, p.DeviceOwner)
}

// DeletePort deletes a port, but not one that came with something else. Floating IPs that stood for it stand for nothing then.
func (s *Service) DeletePort(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := visiblePort(ctx, tx, c, id); err != nil { // whoever gets it may
			return err
		}
		p, err := tx.PortForUpdate(ctx, id) // or it could become a router's meanwhile
		if err != nil {
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
