package neutron

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// PolicySpec is what a request says of an RBAC policy; nil is what it does not say.
type PolicySpec struct {
	ProjectID, ObjectType, Action *string // at create only
	ObjectID                      *uuid.UUID
	Target                        *string
}

// shareable is a kind of object that policies open to other projects.
type shareable struct {
	actions []signalbox.RBACAction
	// lock locks an object against those who use it, and tells whose it is. Who may not know of it finds nothing.
	lock func(context.Context, *store.Tx, signalbox.Caller, uuid.UUID) (owner string, err error)
}

var sharing = []signalbox.RBACAction{signalbox.AccessAsShared}

// shareables are those kinds, by the resource's name in the API.
var shareables = map[string]shareable{
	"network": {
		actions: []signalbox.RBACAction{signalbox.AccessAsShared, signalbox.AccessAsExternal},
		lock: func(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (string, error) {
			n, err := visibleNetwork(c, id)(tx.NetworkForUpdate(ctx, id))
			if err != nil {
				return "", err
			}
			return n.ProjectID, nil
		},
	},
	"subnetpool": {
		actions: sharing,
		lock: func(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (string, error) {
			if err := tx.LockSubnetPools(ctx, id); err != nil {
				return "", err
			}
			p, err := visiblePool(c, id)(tx.SubnetPool(ctx, id))
			if err != nil {
				return "", err
			}
			return p.ProjectID, nil
		},
	},
	"address_scope": {
		actions: sharing,
		lock: func(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (string, error) {
			k, err := visibleScope(c, id)(tx.AddressScopeForUpdate(ctx, id))
			if err != nil {
				return "", err
			}
			return k.ProjectID, nil
		},
	},
	"security_group": {
		actions: sharing,
		lock: func(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (string, error) {
			if err := tx.LockSecurityGroup(ctx, id); err != nil {
				return "", err
			}
			g, err := visibleGroup(c, id)(tx.SecurityGroup(ctx, id))
			if err != nil {
				return "", err
			}
			return g.ProjectID, nil
		},
	},
}

// CreatePolicies makes all or none.
func (s *Service) CreatePolicies(ctx context.Context, c signalbox.Caller, specs []PolicySpec) ([]signalbox.RBACPolicy, error) {
	made := make([]signalbox.RBACPolicy, len(specs))
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := s.admit(ctx, tx, "rbac_policy", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) }); err != nil {
			return err
		}
		for i := range specs {
			if err := s.createPolicy(ctx, tx, c, &specs[i], &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func (s *Service) createPolicy(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *PolicySpec, p *signalbox.RBACPolicy) error {
	project, err := projectOf(c, spec.ProjectID)
	if err != nil {
		return err
	}
	*p = signalbox.RBACPolicy{
		ID: s.src.ID(), ProjectID: project, ObjectType: or(spec.ObjectType, ""), ObjectID: or(spec.ObjectID, uuid.Nil),
		Action: signalbox.RBACAction(or(spec.Action, "")), Target: or(spec.Target, ""),
	}
	kind, known := shareables[p.ObjectType]
	if !known {
		return invalidInput("'%s' is not a valid RBAC object type", p.ObjectType)
	}
	if !slices.Contains(kind.actions, p.Action) {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidAction,
			"Invalid action '%s' for object type '%s'. Valid actions: %s", p.Action, p.ObjectType, joined(kind.actions))
	}
	if err := mayTarget(c, p.Target, "create_rbac_policy"); err != nil {
		return err
	}
	owner, err := kind.lock(ctx, tx, c, p.ObjectID)
	if err != nil {
		return err
	}
	if !may(c, "create_rbac_policy", to(c, owner)) {
		return invalidInput("Only admins can manipulate policies on objects they do not own")
	}
	return tx.InsertPolicy(ctx, p)
}

func joined(actions []signalbox.RBACAction) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

// mayTarget leaves it to admins to open something to all.
func mayTarget(c signalbox.Caller, target, rule string) error {
	if target == signalbox.Everyone {
		return must(c, rule+":target_tenant", 0)
	}
	return nil
}

// Policy reads one.
func (s *Service) Policy(ctx context.Context, c signalbox.Caller, id uuid.UUID) (p *signalbox.RBACPolicy, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		p, err = visiblePolicy(ctx, tx, c, id)
		return err
	})
	return p, err
}

// visiblePolicy hides a policy from whom it does not belong to, those that it lets in among them.
func visiblePolicy(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.RBACPolicy, error) {
	p, err := tx.Policy(ctx, id)
	if err == nil && !may(c, "get_rbac_policy", to(c, p.ProjectID)) {
		return nil, notFound("rbac_policy", id)
	}
	return p, err
}

// Policies lists.
func (s *Service) Policies(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.RBACPolicy, error) {
	return list(ctx, s, c, "rbac_policy", q, (*store.Tx).Policies)
}

// UpdatePolicy gives a policy another target.
func (s *Service) UpdatePolicy(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec PolicySpec) (p *signalbox.RBACPolicy, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		var others []string
		if p, others, err = lockPolicy(ctx, tx, c, id); err != nil {
			return err
		}
		if err := mayTarget(c, or(spec.Target, ""), "update_rbac_policy"); err != nil {
			return err
		}
		target := or(spec.Target, p.Target)
		if target == p.Target {
			return nil
		}
		if err := mayEnd(ctx, tx, p, append(others, target)); err != nil {
			return err
		}
		p.Target = target
		return tx.UpdatePolicy(ctx, p)
	})
	return p, err
}

// DeletePolicy takes an object from a project, if that does not use it.
func (s *Service) DeletePolicy(ctx context.Context, c signalbox.Caller, id uuid.UUID, _ *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		p, others, err := lockPolicy(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := mayEnd(ctx, tx, p, others); err != nil {
			return err
		}
		return tx.DeletePolicy(ctx, id)
	})
}

// lockPolicy locks what a policy is about, and reads the policy and those who keep the object without it.
func lockPolicy(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (p *signalbox.RBACPolicy, others []string, err error) {
	if p, err = visiblePolicy(ctx, tx, c, id); err != nil {
		return nil, nil, err
	}
	owner, err := shareables[p.ObjectType].lock(ctx, tx, signalbox.Caller{Admin: true}, p.ObjectID)
	if signalbox.KindOf(err) == signalbox.NotFound { // both went meanwhile
		return nil, nil, notFound("rbac_policy", id)
	} else if err != nil {
		return nil, nil, err
	}
	if p, err = tx.Policy(ctx, id); err != nil { // as it is under the lock
		return nil, nil, err
	}
	q := by("object_id", p.ObjectID)
	q.Filters["action"] = []any{string(p.Action)}
	all, err := tx.Policies(ctx, q)
	for i := range all {
		if all[i].ID != id {
			others = append(others, all[i].Target)
		}
	}
	return p, append(others, owner), err
}

// mayEnd refuses to end a policy of a locked object that somebody needs. staying are the targets of the other policies of the same
// action, and the owner.
func mayEnd(ctx context.Context, tx *store.Tx, p *signalbox.RBACPolicy, staying []string) (err error) {
	guests, used := store.Guests{Of: p.Target, Except: staying}, false
	last := len(staying) == 1 && p.Action == signalbox.AccessAsExternal // then the network is external to nobody, its owner included
	switch {
	case last:
		used, err = tx.HasGuestRouters(ctx, p.ObjectID, store.Guests{Of: signalbox.Everyone, Except: []string{}})
	case slices.Contains(staying, p.Target), slices.Contains(staying, signalbox.Everyone):
	case p.Action == signalbox.AccessAsExternal:
		used, err = tx.HasGuestRouters(ctx, p.ObjectID, guests)
	default:
		used, err = tx.HasGuests(ctx, p.ObjectType, p.ObjectID, guests)
	}
	if used {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPolicyInUse,
			"RBAC policy on object %s cannot be removed because other objects depend on it.", p.ObjectID)
	}
	return err
}
