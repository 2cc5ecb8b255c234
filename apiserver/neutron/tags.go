package neutron

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// MayTag locks a resource for a change of its tags, if the caller may change it. What can be tagged has one of its own.
type MayTag func(context.Context, *store.Tx, signalbox.Caller, uuid.UUID) error

// MayTagNetwork is MayTag of a network.
func MayTagNetwork(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := lockNetwork(ctx, tx, c, id, "update_networks_tags")
	return err
}

// MayTagSubnet is MayTag of a subnet.
func MayTagSubnet(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := lockSubnet(ctx, tx, c, id, "update_subnets_tags")
	return err
}

// MayTagSubnetPool is MayTag of a subnet pool.
func MayTagSubnetPool(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := lockPool(ctx, tx, c, id, "update_subnetpools_tags")
	return err
}

// MayTagPort is MayTag of a port.
func MayTagPort(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := ownPort(ctx, tx, c, id, "update_ports_tags")
	return err
}

// MayTagRouter is MayTag of a router.
func MayTagRouter(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := lockRouter(ctx, tx, c, id)
	return err
}

// MayTagFloatingIP is MayTag of a floating IP.
func MayTagFloatingIP(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := visibleFloatingIP(c, id)(tx.FloatingIP(ctx, id))
	return err
}

// MayTagSecurityGroup is MayTag of a security group.
func MayTagSecurityGroup(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) error {
	_, err := ownGroup(c, id, "update_security_groups_tags")(tx.SecurityGroup(ctx, id))
	return err
}

// ChangeTags gives a resource the tags that change makes of those it has, and not more than that: who asks for what is
// there already changes nothing. resource is its name in the API; revision, if not nil, is the one that it must have.
func (s *Service) ChangeTags(ctx context.Context, c signalbox.Caller, resource string, may MayTag, id uuid.UUID, revision *int64, change func([]string) ([]string, error)) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if err := may(ctx, tx, c, id); err != nil {
			return err
		}
		before, at, err := tx.TagsForUpdate(ctx, resource, id)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, at); err != nil {
			return err
		}
		after, err := change(slices.Clone(before))
		if err != nil {
			return err
		}
		slices.Sort(after)
		switch after = slices.Compact(after); {
		case slices.Equal(before, after):
			return nil
		case len(after) > signalbox.MaxTags:
			return invalidInput("%d tags are too many, the most is %d.", len(after), signalbox.MaxTags)
		}
		return tx.SetTags(ctx, resource, id, after)
	})
}
