package neutron

import (
	"context"
	"net/netip"
	"reflect"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// FloatingIPSpec is what a request says of a floating IP; nil is what it does not say.
type FloatingIPSpec struct {
	ProjectID, Description *string     // ProjectID: at create only, as are the next three
	NetworkID              *uuid.UUID  // the external network
	SubnetID               *uuid.UUID  // of that; Nil is like nil
	Addr                   *netip.Addr // the floating address; the zero Addr is like nil
	PortID                 *uuid.UUID  // Nil: it shall stand for none
	FixedAddr              *netip.Addr // of the port; the zero Addr: the only one it has
	DNSName, DNSDomain     *string     // both or none, at create only
	Revision               *int64
}

// FloatingIP is a floating IP and the port that it stands for, nil if none.
type FloatingIP struct {
	signalbox.FloatingIP
	Port *signalbox.Port
}

// Parts are both.
func (f *FloatingIP) Parts() (*signalbox.FloatingIP, *signalbox.Port) { return &f.FloatingIP, f.Port }

func badFloatingIP(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Bad floatingip request: "+format, args...)
}

// reasonMoved is why a transaction of ours is run again: what it had found before it could lock it is there no more.
const reasonMoved signalbox.Reason = "moved"

// CreateFloatingIPs makes all or none.
func (s *Service) CreateFloatingIPs(ctx context.Context, c signalbox.Caller, specs []FloatingIPSpec) (made []FloatingIP, err error) {
	ours := []signalbox.Reason{reasonMoved, signalbox.ReasonMACInUse}
	for i := range specs {
		if !or(specs[i].Addr, netip.Addr{}).IsValid() {
			ours = append(ours, signalbox.ReasonIPInUse)
			break
		}
	}
	err = s.write(ctx, ours, func(tx *store.Tx) error {
		err := s.admit(ctx, tx, "floatingip", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) })
		if err != nil {
			return err
		}
		rows := make([]signalbox.FloatingIP, len(specs))
		for i := range specs {
			if err := s.createFloatingIP(ctx, tx, c, &specs[i], &rows[i]); err != nil {
				return err
			}
		}
		made, err = withPorts(ctx, tx, rows)
		return err
	})
	return made, err
}

func (s *Service) createFloatingIP(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *FloatingIPSpec, f *signalbox.FloatingIP) error {
	project, err := projectOf(c, spec.ProjectID)
	if err != nil {
		return err
	}
	*f = signalbox.FloatingIP{ID: s.src.ID(), ProjectID: project, Description: or(spec.Description, ""), NetworkID: or(spec.NetworkID, uuid.Nil),
		DNSName: or(spec.DNSName, ""), DNSDomain: or(spec.DNSDomain, "")}
	switch {
	case f.DNSName == "" && f.DNSDomain != "":
		return badFloatingIP("dns_domain cannot be specified without a dns_name.")
	case f.DNSName != "" && f.DNSDomain == "":
		return badFloatingIP("dns_name cannot be specified without a dns_domain.")
	}
	// Routers and ports are locked before networks, but what is wrong with the network is said first.
	if _, err := floatingDemands(ctx, tx, c, spec, tx.Network); err != nil {
		return err
	}
	if err := pointFloatingIP(ctx, tx, c, f, spec); err != nil {
		return err
	}
	demands, err := floatingDemands(ctx, tx, c, spec, tx.NetworkForShare)
	if err != nil {
		return err
	}
	p := &signalbox.Port{
		ID: s.src.ID(), NetworkID: f.NetworkID, AdminStateUp: true, MAC: s.newMAC(), Status: signalbox.Down,
		DeviceID: f.ID.String(), DeviceOwner: signalbox.DeviceOwnerFloatingIP, Role: signalbox.RoleFloatingIP,
	}
	if err := insertOutside(ctx, tx, p, demands); err != nil {
		return err
	}
	f.OwnPortID, f.Addr = p.ID, p.FixedIPs[0].Addr
	return associated(f, tx.InsertFloatingIP(ctx, f))
}

// floatingDemands is the address that a floating IP shall have, of a network that read reads.
func floatingDemands(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *FloatingIPSpec, read func(context.Context, uuid.UUID) (*signalbox.Network, error)) ([]demand, error) {
	id := or(spec.NetworkID, uuid.Nil)
	n, err := visibleNetwork(c, id)(read(ctx, id))
	if err != nil {
		return nil, err
	}
	if !n.External {
		return nil, badFloatingIP("Network %s is not a valid external network.", id)
	}
	subnets, err := subnetsOf(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	usable := ipv4(subnets)
	if len(usable) == 0 {
		return nil, badFloatingIP("Network %s does not contain any IPv4 subnet.", id)
	}
	var asked *[]signalbox.FixedIP
	said := signalbox.FixedIP{SubnetID: or(spec.SubnetID, uuid.Nil), Addr: or(spec.Addr, netip.Addr{})}
	if said != (signalbox.FixedIP{}) {
		asked = &[]signalbox.FixedIP{said}
	}
	for i := range subnets {
		if subnets[i].ID == said.SubnetID && subnets[i].IPVersion() != 4 {
			return nil, badFloatingIP("Subnet %s is not an IPv4 subnet.", said.SubnetID)
		}
	}
	return demandsOf(id, usable, asked, signalbox.DeviceOwnerFloatingIP, signalbox.MAC{})
}

// pointFloatingIP makes a floating IP stand for what the spec says: for nothing, or for an address of a port, by the router that
// joins that to the external network. The router and the port are locked then.
func pointFloatingIP(ctx context.Context, tx *store.Tx, c signalbox.Caller, f *signalbox.FloatingIP, spec *FloatingIPSpec) error {
	id, addr := or(spec.PortID, uuid.Nil), or(spec.FixedAddr, netip.Addr{})
	if id == uuid.Nil {
		if addr.IsValid() {
			return badFloatingIP("fixed_ip_address cannot be specified without a port_id.")
		}
		f.PortID, f.FixedAddr, f.RouterID = uuid.Nil, netip.Addr{}, uuid.Nil
		return nil
	}
	p, err := visiblePort(ctx, tx, c, id)
	if err != nil {
		return err
	}
	found, err := floatable(c, f, p, addr)
	if err != nil {
		return err
	}
	router, err := lockRouterBetween(ctx, tx, found.SubnetID, f.NetworkID)
	if err != nil {
		return err
	}
	if router == uuid.Nil {
		return signalbox.Errorf(signalbox.NotFound, signalbox.ReasonNoPath,
			"External network %s is not reachable from subnet %s. Therefore, cannot associate Port %s with a Floating IP.", f.NetworkID, found.SubnetID, id)
	}
	if p, err = tx.PortForUpdate(ctx, id); err != nil {
		return err
	}
	fixed, err := floatable(c, f, p, addr)
	if err != nil {
		return err
	}
	if fixed.SubnetID != found.SubnetID {
		return signalbox.Errorf(signalbox.Unavailable, reasonMoved, "port %s changes its addresses too often", id)
	}
	f.PortID, f.FixedAddr, f.RouterID = id, fixed.Addr, router
	return nil
}

// floatable is the address of a port that a floating IP can stand for: the one that was named, or the only one there is.
func floatable(c signalbox.Caller, f *signalbox.FloatingIP, p *signalbox.Port, named netip.Addr) (signalbox.FixedIP, error) {
	var fit []signalbox.FixedIP
	for _, at := range p.FixedIPs {
		if at.Addr.Is4() && (!named.IsValid() || at.Addr == named) {
			fit = append(fit, at)
		}
	}
	switch {
	case !c.Admin && p.ProjectID != f.ProjectID:
		return signalbox.FixedIP{}, badFloatingIP("Cannot process floating IP association with Port %s, since that port is owned by a different project.", p.ID)
	case p.Role != signalbox.RoleVIF:
		return signalbox.FixedIP{}, badFloatingIP("Cannot process floating IP association with Port %s, since it has device owner %s.", p.ID, p.DeviceOwner)
	case named.IsValid() && !named.Is4():
		return signalbox.FixedIP{}, badFloatingIP("Cannot process floating IP association with %s, since that is not an IPv4 address.", named)
	case named.IsValid() && len(fit) == 0:
		return signalbox.FixedIP{}, badFloatingIP("Port %s does not have fixed ip %s.", p.ID, named)
	case len(fit) == 0:
		return signalbox.FixedIP{}, badFloatingIP("Cannot add floating IP to port %s that has no fixed IPv4 addresses.", p.ID)
	case len(fit) > 1:
		return signalbox.FixedIP{}, badFloatingIP("Port %s has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a floating IP.", p.ID)
	}
	return fit[0], nil
}

// lockRouterBetween is the router that joins a subnet to an external network, or Nil; it does so until the transaction ends.
func lockRouterBetween(ctx context.Context, tx *store.Tx, subnet, external uuid.UUID) (uuid.UUID, error) {
	for locked := uuid.Nil; ; {
		id, err := tx.RouterBetween(ctx, subnet, external)
		if err != nil || id == locked { // Nil is locked
			return id, err
		}
		if _, err := tx.RouterForShare(ctx, id); err != nil && signalbox.KindOf(err) != signalbox.NotFound {
			return uuid.Nil, err
		}
		locked = id
	}
}

// associated says what was associated with what, for the store knows only a constraint.
func associated(f *signalbox.FloatingIP, err error) error {
	if !because(err, signalbox.ReasonFloatingInUse) {
		return err
	}
	e := signalbox.Errorf(signalbox.Conflict, signalbox.ReasonFloatingInUse,
		"Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
		f.Addr, f.ID, f.PortID, f.FixedAddr, f.NetworkID)
	e.Err = err
	return e
}

// withPorts reads the ports that floating IPs stand for.
func withPorts(ctx context.Context, tx *store.Tx, rows []signalbox.FloatingIP) ([]FloatingIP, error) {
	all := make([]FloatingIP, len(rows))
	var ids []any
	for i := range rows {
		all[i].FloatingIP = rows[i]
		if rows[i].Associated() {
			ids = append(ids, rows[i].PortID)
		}
	}
	if ids == nil {
		return all, nil
	}
	ports, err := tx.Ports(ctx, store.Query{Filters: map[string][]any{"id": ids}})
	byID := make(map[uuid.UUID]*signalbox.Port, len(ports))
	for i := range ports {
		byID[ports[i].ID] = &ports[i]
	}
	for i := range all {
		all[i].Port = byID[all[i].PortID]
	}
	return all, err
}

// withPort is withPorts of one.
func withPort(ctx context.Context, tx *store.Tx, f *signalbox.FloatingIP) (*FloatingIP, error) {
	all, err := withPorts(ctx, tx, []signalbox.FloatingIP{*f})
	return &all[0], err
}

// FloatingIP reads one.
func (s *Service) FloatingIP(ctx context.Context, c signalbox.Caller, id uuid.UUID) (f *FloatingIP, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		row, err := visibleFloatingIP(c, id)(tx.FloatingIP(ctx, id))
		if err != nil {
			return err
		}
		f, err = withPort(ctx, tx, row)
		return err
	})
	return f, err
}

// visibleFloatingIP hides a floating IP from whom it does not belong to.
func visibleFloatingIP(c signalbox.Caller, id uuid.UUID) func(*signalbox.FloatingIP, error) (*signalbox.FloatingIP, error) {
	return func(f *signalbox.FloatingIP, err error) (*signalbox.FloatingIP, error) {
		if err == nil && !may(c, "get_floatingip", to(c, f.ProjectID)) {
			return nil, notFound("floatingip", id)
		}
		return f, err
	}
}

// FloatingIPs lists.
func (s *Service) FloatingIPs(ctx context.Context, c signalbox.Caller, q Query) ([]FloatingIP, error) {
	return list(ctx, s, c, "floatingip", q, func(tx *store.Tx, ctx context.Context, q store.Query) ([]FloatingIP, error) {
		rows, err := tx.FloatingIPs(ctx, q)
		if err != nil {
			return nil, err
		}
		return withPorts(ctx, tx, rows)
	})
}

// UpdateFloatingIP changes what the spec says.
func (s *Service) UpdateFloatingIP(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec FloatingIPSpec) (f *FloatingIP, err error) {
	err = s.write(ctx, []signalbox.Reason{reasonMoved}, func(tx *store.Tx) error {
		wanted, err := visibleFloatingIP(c, id)(tx.FloatingIP(ctx, id))
		if err != nil {
			return err
		}
		points := spec.PortID != nil || or(spec.FixedAddr, netip.Addr{}).IsValid()
		if points {
			if err := pointFloatingIP(ctx, tx, c, wanted, &spec); err != nil {
				return err
			}
		}
		row, err := tx.FloatingIPForUpdate(ctx, id) // after the router and the port, as everybody
		if err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, row.Revision); err != nil {
			return err
		}
		before := *row
		set(&row.Description, spec.Description)
		if points {
			row.PortID, row.FixedAddr, row.RouterID = wanted.PortID, wanted.FixedAddr, wanted.RouterID
		}
		if !reflect.DeepEqual(before, *row) {
			if err := associated(row, tx.UpdateFloatingIP(ctx, row)); err != nil {
				return err
			}
		}
		f, err = withPort(ctx, tx, row)
		return err
	})
	return f, err
}

// DeleteFloatingIP deletes a floating IP, and with it its own port and whatever it stood for.
func (s *Service) DeleteFloatingIP(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		f, err := visibleFloatingIP(c, id)(tx.FloatingIPForUpdate(ctx, id))
		if err != nil {
			return err
		}
		if err := checkRevision(revision, f.Revision); err != nil {
			return err
		}
		return tx.DeleteFloatingIP(ctx, id)
	})
}
