package neutron

import (
	"context"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// AddressScopeSpec is what a request says of an address scope; nil is what it does not say.
type AddressScopeSpec struct {
	ProjectID *string // at create only
	Name      *string
	IPVersion *int // at create only
	Shared    *bool
}

// CreateAddressScopes makes all or none.
func (s *Service) CreateAddressScopes(ctx context.Context, c signalbox.Caller, specs []AddressScopeSpec) ([]signalbox.AddressScope, error) {
	made := make([]signalbox.AddressScope, len(specs))
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		for i := range specs {
			project, err := projectOf(c, specs[i].ProjectID)
			if err != nil {
				return err
			}
			made[i] = signalbox.AddressScope{ID: s.src.ID(), ProjectID: project, Name: or(specs[i].Name, ""), IPVersion: or(specs[i].IPVersion, 0)}
			if err := tx.InsertAddressScope(ctx, &made[i]); err != nil {
				return err
			}
			if made[i].Shared = or(specs[i].Shared, false); !made[i].Shared {
				continue
			}
			if err := s.shareWithAll(ctx, tx, "address_scope", made[i].ID, project); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// shareWithAll makes the policy that an object's attribute shared stands for.
func (s *Service) shareWithAll(ctx context.Context, tx *store.Tx, kind string, id uuid.UUID, project string) error {
	return tx.InsertPolicy(ctx, &signalbox.RBACPolicy{ID: s.src.ID(), ProjectID: project, ObjectType: kind, ObjectID: id,
		Action: signalbox.AccessAsShared, Target: signalbox.Everyone})
}

// AddressScope reads one.
func (s *Service) AddressScope(ctx context.Context, c signalbox.Caller, id uuid.UUID) (k *signalbox.AddressScope, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		k, err = visibleScope(c, id)(tx.AddressScope(ctx, id))
		return err
	})
	return k, err
}

// visibleScope hides an address scope that is neither the caller's nor shared with it, and has it Shared if it is.
func visibleScope(c signalbox.Caller, id uuid.UUID) func(*signalbox.AddressScope, error) (*signalbox.AddressScope, error) {
	return func(k *signalbox.AddressScope, err error) (*signalbox.AddressScope, error) {
		if err != nil {
			return nil, err
		}
		if !may(c, "get_address_scope", toShared(c, k.ProjectID, &k.Sharing)) {
			return nil, notFound("address_scope", id)
		}
		k.Shared = k.SharedTo(c.ProjectID)
		return k, nil
	}
}

// AddressScopes lists.
func (s *Service) AddressScopes(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.AddressScope, error) {
	ks, err := list(ctx, s, c, "address_scope", q, (*store.Tx).AddressScopes)
	for i := range ks {
		ks[i].Shared = ks[i].SharedTo(c.ProjectID)
	}
	return ks, err
}

// lockScope locks an address scope that the caller may change.
func lockScope(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.AddressScope, error) {
	k, err := visibleScope(c, id)(tx.AddressScopeForUpdate(ctx, id))
	if err == nil {
		err = must(c, rule, to(c, k.ProjectID))
	}
	return k, err
}

// UpdateAddressScope changes what the spec says. What was once shared with all stays so.
func (s *Service) UpdateAddressScope(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec AddressScopeSpec) (k *signalbox.AddressScope, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if k, err = lockScope(ctx, tx, c, id, "update_address_scope"); err != nil {
			return err
		}
		if k.Shared && !or(spec.Shared, true) {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonScopeUpdate,
				"Unable to update address scope %s : Shared address scope can't be unshared.", id)
		}
		if set(&k.Name, spec.Name); spec.Name != nil {
			if err := tx.UpdateAddressScope(ctx, k); err != nil {
				return err
			}
		}
		if k.Shared || !or(spec.Shared, false) {
			return nil
		}
		k.Shared = true
		return s.shareWithAll(ctx, tx, "address_scope", id, k.ProjectID)
	})
	return k, err
}

// DeleteAddressScope deletes an address scope that no pool is in.
func (s *Service) DeleteAddressScope(ctx context.Context, c signalbox.Caller, id uuid.UUID, _ *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := lockScope(ctx, tx, c, id, "delete_address_scope"); err != nil {
			return err
		}
		err := tx.DeleteAddressScope(ctx, id)
		if because(err, signalbox.ReasonScopeInUse) {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonScopeInUse,
				"Unable to complete operation on address scope %s. There are one or more subnet pools in use on the address scope.", id)
		}
		return err
	})
}
