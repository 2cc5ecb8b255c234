package neutron

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// NetworkSpec is what a request says of a network; nil is what it does not say.
type NetworkSpec struct {
	ProjectID, Name, Description   *string // ProjectID: at create only
	AdminStateUp, Shared, External *bool
	PortSecurity                   *bool
	DNSDomain                      *string // "": as is configured
	MTU                            *int    // 0: as large as the type allows
	Type, Physical                 *string // at create only
	SegmentationID                 *int
	ZoneHints                      *[]string // at create only
	Revision                       *int64    // at update: only if the row is still at this revision
}

// Limits of an MTU: RFC 791 and RFC 8200.
const (
	minMTU4 = 68
	minMTU6 = 1280
)

// CreateNetworks makes all or none.
func (s *Service) CreateNetworks(ctx context.Context, c signalbox.Caller, specs []NetworkSpec) ([]signalbox.Network, error) {
	var made []signalbox.Network
	ours := []signalbox.Reason{}
	for i := range specs {
		if specs[i].SegmentationID == nil && or(specs[i].Type, "") != string(signalbox.Flat) {
			ours = []signalbox.Reason{signalbox.ReasonSegmentInUse}
		}
	}
	err := s.write(ctx, ours, func(tx *store.Tx) error {
		err := s.admit(ctx, tx, "network", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) })
		if err != nil {
			return err
		}
		made = make([]signalbox.Network, len(specs))
		for i := range specs {
			if err := s.createNetwork(ctx, tx, c, &specs[i], &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func (s *Service) createNetwork(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *NetworkSpec, n *signalbox.Network) error {
	project, err := projectOf(c, spec.ProjectID)
	if err != nil {
		return err
	}
	*n = signalbox.Network{
		ID: s.src.ID(), ProjectID: project, Name: or(spec.Name, ""), Description: or(spec.Description, ""),
		AdminStateUp: or(spec.AdminStateUp, true), Shared: or(spec.Shared, false), External: or(spec.External, false),
		Unsecured: !or(spec.PortSecurity, true), DNSDomain: or(spec.DNSDomain, ""), ZoneHints: or(spec.ZoneHints, nil),
	}
	if err := checkZones(n.ZoneHints); err != nil {
		return err
	}
	if err := s.assignSegment(ctx, tx, n, spec); err != nil {
		return err
	}
	if n.MTU, err = s.mtu(n.Segment.Type, or(spec.MTU, 0)); err != nil {
		return err
	}
	if _, err := s.defaultGroups(ctx, tx, project); err != nil { // to be there when the network's first port comes
		return err
	}
	return tx.InsertNetwork(ctx, n)
}

// mtu is the MTU that a network of the type gets when asked for one; 0 asks for the largest.
func (s *Service) mtu(t signalbox.NetworkType, asked int) (int, error) {
	most := s.cfg.maxMTU(t)
	switch {
	case asked == 0:
		return most, nil
	case asked > most:
		return 0, invalidInput("Requested MTU is too big, maximum is %d.", most)
	case asked < minMTU4:
		return 0, invalidInput("Requested MTU is too small, minimum is %d.", minMTU4)
	}
	return asked, nil
}

// Network reads one.
func (s *Service) Network(ctx context.Context, c signalbox.Caller, id uuid.UUID) (n *signalbox.Network, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		n, err = visibleNetwork(c, id)(tx.Network(ctx, id))
		return err
	})
	return seenBy(c, n), err
}

// seenBy is a network as it is shown to a caller: what is shared with it is shared.
func seenBy(c signalbox.Caller, n *signalbox.Network) *signalbox.Network {
	if n != nil {
		n.Shared = n.SharedTo(c.ProjectID)
	}
	return n
}

// visibleNetwork hides a network that the caller may not know of.
func visibleNetwork(c signalbox.Caller, id uuid.UUID) func(*signalbox.Network, error) (*signalbox.Network, error) {
	return func(n *signalbox.Network, err error) (*signalbox.Network, error) {
		if err == nil && !may(c, "get_network", toNetwork(c, n)) {
			return nil, notFound("network", id)
		}
		return n, err
	}
}

// Networks lists.
func (s *Service) Networks(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Network, error) {
	ns, err := list(ctx, s, c, "network", q, (*store.Tx).Networks)
	for i := range ns {
		seenBy(c, &ns[i])
	}
	return ns, err
}

// lockNetwork locks a network that the caller may change against everybody.
func lockNetwork(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.Network, error) {
	n, err := visibleNetwork(c, id)(tx.NetworkForUpdate(ctx, id))
	if err == nil {
		err = must(c, rule, toNetwork(c, n))
	}
	return n, err
}

// UpdateNetwork changes what the spec says.
func (s *Service) UpdateNetwork(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec NetworkSpec) (n *signalbox.Network, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if n, err = lockNetwork(ctx, tx, c, id, "update_network"); err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, n.Revision); err != nil {
			return err
		}
		before := *n
		set(&n.Name, spec.Name)
		set(&n.Description, spec.Description)
		set(&n.AdminStateUp, spec.AdminStateUp)
		set(&n.Shared, spec.Shared)
		set(&n.External, spec.External)
		set(&n.DNSDomain, spec.DNSDomain)
		n.Unsecured = !or(spec.PortSecurity, !n.Unsecured)
		if spec.MTU != nil {
			if err := s.resize(ctx, tx, n, *spec.MTU); err != nil {
				return err
			}
		}
		if spec.SegmentationID != nil {
			if err := renumber(ctx, tx, n, *spec.SegmentationID); err != nil {
				return err
			}
			before.Segment = n.Segment // which is written
		}
		if before.Shared && !n.Shared {
			if err := mayStopSharing(ctx, tx, n); err != nil {
				return err
			}
		}
		if before.External && !n.External {
			if err := mayTurnInward(ctx, tx, n); err != nil {
				return err
			}
		}
		if reflect.DeepEqual(before, *n) {
			return nil
		}
		return tx.UpdateNetwork(ctx, n)
	})
	return seenBy(c, n), err
}

// mayStopSharing refuses to take a network that was shared with all from those who have ports on it.
func mayStopSharing(ctx context.Context, tx *store.Tx, n *signalbox.Network) error {
	staying := append([]string{n.ProjectID}, n.SharedWith...)
	staying = slices.DeleteFunc(staying, func(project string) bool { return project == signalbox.Everyone })
	guests, err := tx.HasGuests(ctx, "network", n.ID, store.Guests{Of: signalbox.Everyone, Except: staying})
	if guests {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonSharedInUse,
			"Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.ID)
	}
	return err
}

// mayTurnInward refuses to take an external network from the routers and floating IPs that use it.
func mayTurnInward(ctx context.Context, tx *store.Tx, n *signalbox.Network) error {
	const refusal = "External network %s cannot be updated to be made non-external, since it has existing %s."
	gateway, err := tx.HasGateway(ctx, n.ID)
	if err != nil {
		return err
	}
	if gateway {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonExternalInUse, refusal, n.ID, "gateway ports")
	}
	q := by("floating_network_id", n.ID)
	q.Limit = 1
	floating, err := tx.FloatingIPs(ctx, q)
	if len(floating) > 0 {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonExternalInUse, refusal, n.ID, "floating IPs")
	}
	return err
}

func (s *Service) resize(ctx context.Context, tx *store.Tx, n *signalbox.Network, asked int) (err error) {
	if n.MTU, err = s.mtu(n.Segment.Type, asked); err != nil || n.MTU >= minMTU6 {
		return err
	}
	subnets, err := tx.Subnets(ctx, by("network_id", n.ID))
	for i := range subnets {
		if subnets[i].IPVersion() == 6 {
			return mtuTooSmall(n)
		}
	}
	return err
}

func mtuTooSmall(n *signalbox.Network) error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonMTUTooSmall,
		"MTU %d of network %s is too small: IPv6 subnets need %d.", n.MTU, n.ID, minMTU6)
}

// DeleteNetwork deletes a network with its subnets, and its floating IPs that stand for nothing. Ports other than those that came
// with these forbid it.
func (s *Service) DeleteNetwork(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		n, err := lockNetwork(ctx, tx, c, id, "delete_network")
		if err != nil {
			return err
		}
		if err := checkRevision(revision, n.Revision); err != nil {
			return err
		}
		if err := dropUnused(ctx, tx, n); err != nil {
			return err
		}
		ports, err := tx.Ports(ctx, by("network_id", id))
		if err != nil {
			return err
		}
		if users := users(ports); users != nil {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonNetworkInUse,
				"Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.",
				id, strings.Join(users, ","))
		}
		for i := range ports {
			if err := tx.DeletePort(ctx, ports[i].ID); err != nil {
				return err
			}
		}
		return tx.DeleteNetwork(ctx, id)
	})
}

// dropUnused deletes the floating IPs of a network that stand for nothing. While the network is locked there come no more.
func dropUnused(ctx context.Context, tx *store.Tx, n *signalbox.Network) error {
	if !n.External {
		return nil
	}
	floating, err := tx.FloatingIPs(ctx, by("floating_network_id", n.ID))
	if err != nil {
		return err
	}
	for i := range floating {
		if floating[i].Associated() {
			continue
		}
		err := tx.DeleteFloatingIP(ctx, floating[i].ID)
		if err != nil && signalbox.KindOf(err) != signalbox.NotFound { // its owner was quicker
			return err
		}
	}
	return nil
}

// users are the ids of the ports that somebody asked for, routers' interfaces among them, at most a screen of them.
func users(ports []signalbox.Port) []string {
	const most = 20
	var ids []string
	for i := range ports {
		if ports[i].Role != signalbox.RoleDHCP && len(ids) < most {
			ids = append(ids, ports[i].ID.String())
		}
	}
	return ids
}
