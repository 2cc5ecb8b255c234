package neutron

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// mayTag locks a resource for a change of its tags, if the caller may change it. resource is its name in the API: what can be
// tagged has its case here.
func mayTag(ctx context.Context, tx *store.Tx, c signalbox.Caller, resource string, id uuid.UUID) (err error) {
	switch resource {
	case "network":
		_, err = lockNetwork(ctx, tx, c, id, "update_networks_tags")
	case "subnet":
		_, err = lockSubnet(ctx, tx, c, id, "update_subnets_tags")
	case "port":
		_, err = ownPort(ctx, tx, c, id, "update_ports_tags")
	case "router":
		_, err = lockRouter(ctx, tx, c, id)
	case "floatingip":
		_, err = visibleFloatingIP(c, id)(tx.FloatingIP(ctx, id))
	default:
		err = fmt.Errorf("a %s has no tags", resource)
	}
	return err
}

// ChangeTags gives a resource the tags that change makes of those it has, and not more than that: who asks for what is
// there already changes nothing. revision, if not nil, is the one that the resource must have.
func (s *Service) ChangeTags(ctx context.Context, c signalbox.Caller, resource string, id uuid.UUID, revision *int64, change func([]string) ([]string, error)) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if err := mayTag(ctx, tx, c, resource, id); err != nil {
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
