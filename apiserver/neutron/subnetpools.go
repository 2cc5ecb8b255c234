package neutron

import (
	"context"
	"net/netip"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/ipam"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// SubnetPoolSpec is what a request says of a subnet pool; nil is what it does not say.
type SubnetPoolSpec struct {
	ProjectID         *string // at create only
	Name, Description *string
	Prefixes          *[]netip.Prefix
	Min, Default, Max *int // prefix lengths
	Quota             *int
	IsDefault         *bool
	Shared            *bool // at create only
	AddressScopeID    *uuid.UUID
	Revision          *int64
}

// CreateSubnetPools makes all or none.
func (s *Service) CreateSubnetPools(ctx context.Context, c signalbox.Caller, specs []SubnetPoolSpec) ([]signalbox.SubnetPool, error) {
	made := make([]signalbox.SubnetPool, len(specs))
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		err := s.admit(ctx, tx, "subnetpool", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) })
		if err != nil {
			return err
		}
		for i := range specs {
			if err := s.createSubnetPool(ctx, tx, c, &specs[i], &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func (s *Service) createSubnetPool(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *SubnetPoolSpec, p *signalbox.SubnetPool) (err error) {
	*p = signalbox.SubnetPool{
		ID: s.src.ID(), Name: or(spec.Name, ""), Description: or(spec.Description, ""), Prefixes: ipam.Compact(or(spec.Prefixes, nil)),
		Quota: or(spec.Quota, signalbox.NoQuota), Default: or(spec.IsDefault, false), AddressScopeID: or(spec.AddressScopeID, uuid.Nil),
	}
	if p.ProjectID, err = projectOf(c, spec.ProjectID); err != nil {
		return err
	}
	p.MinPrefixLen, p.MaxPrefixLen = ipam.PoolBounds(p.Prefixes)
	set(&p.MinPrefixLen, spec.Min)
	set(&p.MaxPrefixLen, spec.Max)
	p.DefaultPrefixLen = or(spec.Default, p.MinPrefixLen)
	if err := ipam.CheckPool(p); err != nil {
		return err
	}
	if err := mayEnterScope(ctx, tx, c, p); err != nil {
		return err
	}
	if err := oneDefault(tx.InsertSubnetPool(ctx, p)); err != nil || !or(spec.Shared, false) {
		return err
	}
	if err := s.shareWithAll(ctx, tx, "subnetpool", p.ID, p.ProjectID); err != nil {
		return err
	}
	shared, err := tx.SubnetPool(ctx, p.ID)
	if err == nil {
		*p = *shared
	}
	return err
}

func oneDefault(err error) error {
	if because(err, signalbox.ReasonDefaultPool) {
		e := signalbox.Errorf(signalbox.Invalid, signalbox.ReasonDefaultPool,
			"Invalid input for operation: A default subnetpool for this IP family has already been set. Only one default may exist per IP family.")
		e.Err = err
		return e
	}
	return err
}

// mayEnterScope refuses a pool that cannot be in the address scope that it is to be in, if in any: because the scope is not
// for the caller, or not for such addresses. It locks the scope.
func mayEnterScope(ctx context.Context, tx *store.Tx, c signalbox.Caller, p *signalbox.SubnetPool) error {
	if p.AddressScopeID == uuid.Nil {
		return nil
	}
	k, err := visibleScope(c, p.AddressScopeID)(tx.AddressScopeForUpdate(ctx, p.AddressScopeID))
	if err != nil {
		return err
	}
	if k.IPVersion != p.IPVersion() {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolScopeFamily,
			"Illegal subnetpool association: subnetpool %s cannot associate with address scope %s because subnetpool ip_version is not %d.",
			p.ID, k.ID, k.IPVersion)
	}
	others, err := tx.SubnetPools(ctx, by("address_scope_id", k.ID))
	for i := range others {
		if others[i].ID != p.ID && ipam.Overlap(others[i].Prefixes, p.Prefixes) {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonScopeOverlap,
				"Failed to associate address scope: subnetpools within an address scope must have unique prefixes.")
		}
	}
	return err
}

// SubnetPool reads one.
func (s *Service) SubnetPool(ctx context.Context, c signalbox.Caller, id uuid.UUID) (p *signalbox.SubnetPool, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		p, err = visiblePool(c, id)(tx.SubnetPool(ctx, id))
		return err
	})
	return p, err
}

// visiblePool hides a pool that is neither the caller's nor shared with it, and has it Shared if it is.
func visiblePool(c signalbox.Caller, id uuid.UUID) func(*signalbox.SubnetPool, error) (*signalbox.SubnetPool, error) {
	return func(p *signalbox.SubnetPool, err error) (*signalbox.SubnetPool, error) {
		if err != nil {
			return nil, err
		}
		if !may(c, "get_subnetpool", toShared(c, p.ProjectID, &p.Sharing)) {
			return nil, notFound("subnetpool", id)
		}
		p.Shared = p.SharedTo(c.ProjectID)
		return p, nil
	}
}

// SubnetPools lists.
func (s *Service) SubnetPools(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.SubnetPool, error) {
	ps, err := list(ctx, s, c, "subnetpool", q, (*store.Tx).SubnetPools)
	for i := range ps {
		ps[i].Shared = ps[i].SharedTo(c.ProjectID)
	}
	return ps, err
}

// lockPool locks a pool that the caller may change.
func lockPool(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.SubnetPool, error) {
	if err := tx.LockSubnetPools(ctx, id); err != nil {
		return nil, err
	}
	p, err := visiblePool(c, id)(tx.SubnetPool(ctx, id))
	if err == nil {
		err = must(c, rule, to(c, p.ProjectID))
	}
	return p, err
}

// UpdateSubnetPool changes what the spec says. What a pool has it keeps: see RemovePrefixes.
func (s *Service) UpdateSubnetPool(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec SubnetPoolSpec) (p *signalbox.SubnetPool, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if p, err = lockPool(ctx, tx, c, id, "update_subnetpool"); err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, p.Revision); err != nil {
			return err
		}
		before := *p
		set(&p.Name, spec.Name)
		set(&p.Description, spec.Description)
		set(&p.MinPrefixLen, spec.Min)
		set(&p.DefaultPrefixLen, spec.Default)
		set(&p.MaxPrefixLen, spec.Max)
		set(&p.Quota, spec.Quota)
		set(&p.Default, spec.IsDefault)
		set(&p.AddressScopeID, spec.AddressScopeID)
		if spec.Prefixes != nil {
			p.Prefixes = ipam.Compact(*spec.Prefixes)
		}
		return rewritePool(ctx, tx, c, &before, p)
	})
	return p, err
}

// rewritePool writes a locked pool as it shall be, if it can be so.
func rewritePool(ctx context.Context, tx *store.Tx, c signalbox.Caller, before, p *signalbox.SubnetPool) error {
	if reflect.DeepEqual(*before, *p) {
		return nil
	}
	if err := ipam.CheckPool(p); err != nil {
		return err
	}
	if len(ipam.Without(before.Prefixes, p.Prefixes)) > 0 {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPrefixUpdate,
			"Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.")
	}
	if err := mayLeaveScope(ctx, tx, c, before, p); err != nil {
		return err
	}
	if err := mayEnterScope(ctx, tx, c, p); err != nil {
		return err
	}
	return oneDefault(tx.UpdateSubnetPool(ctx, p))
}

// mayLeaveScope refuses changes of a pool that is in another's address scope, and a change of scope that would leave a network with
// subnets in several.
func mayLeaveScope(ctx context.Context, tx *store.Tx, c signalbox.Caller, before, p *signalbox.SubnetPool) error {
	if before.AddressScopeID != uuid.Nil {
		k, err := tx.AddressScope(ctx, before.AddressScopeID)
		if err != nil {
			return err
		}
		if !may(c, "update_address_scope", to(c, k.ProjectID)) {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolUpdate,
				"Illegal subnetpool update : subnetpool %s cannot be updated when associated with shared address scope %s.", p.ID, k.ID)
		}
	}
	if before.AddressScopeID == p.AddressScopeID {
		return nil
	}
	cuts, err := tx.CutFrom(ctx, p.ID)
	if err != nil {
		return err
	}
	var networks []uuid.UUID
	for _, cut := range cuts {
		networks = append(networks, cut.NetworkID)
	}
	beside, err := subnetsOf(ctx, tx, networks...)
	for i := range beside {
		if beside[i].IPVersion() == p.IPVersion() && beside[i].SubnetPoolID != p.ID {
			return scopeAffinity()
		}
	}
	return err
}

func scopeAffinity() error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonScopeAffinity,
		"Subnets of the same address family hosted on the same network must all participate in the same address scope.")
}

// AddPrefixes gives a pool more blocks, and returns all that it has.
func (s *Service) AddPrefixes(ctx context.Context, c signalbox.Caller, id uuid.UUID, more []netip.Prefix) ([]netip.Prefix, error) {
	return s.changePrefixes(ctx, c, id, "add_prefixes", func(ctx context.Context, tx *store.Tx, p *signalbox.SubnetPool) error {
		before := *p
		p.Prefixes = ipam.Compact(append(slices.Clone(p.Prefixes), more...))
		return rewritePool(ctx, tx, c, &before, p)
	})
}

// RemovePrefixes takes blocks from a pool that nothing is cut from, and returns all that it still has.
func (s *Service) RemovePrefixes(ctx context.Context, c signalbox.Caller, id uuid.UUID, less []netip.Prefix) ([]netip.Prefix, error) {
	return s.changePrefixes(ctx, c, id, "remove_prefixes", func(ctx context.Context, tx *store.Tx, p *signalbox.SubnetPool) error {
		cuts, err := tx.CutFrom(ctx, id)
		if err != nil {
			return err
		}
		if ipam.Overlap(less, blocks(cuts)) {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPrefixUpdate,
				"Illegal update to prefixes: One or more of the prefixes to be removed is in use by a subnet.")
		}
		left := ipam.Without(p.Prefixes, less)
		if slices.Equal(left, p.Prefixes) {
			return nil
		}
		p.Prefixes = left
		if err := ipam.CheckPool(p); err != nil {
			return err
		}
		return tx.UpdateSubnetPool(ctx, p)
	})
}

func (s *Service) changePrefixes(ctx context.Context, c signalbox.Caller, id uuid.UUID, rule string, change func(context.Context, *store.Tx, *signalbox.SubnetPool) error) (now []netip.Prefix, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		p, err := lockPool(ctx, tx, c, id, rule)
		if err != nil {
			return err
		}
		err = change(ctx, tx, p)
		now = p.Prefixes
		return err
	})
	return now, err
}

func blocks(cuts []store.PoolCut) []netip.Prefix {
	out := make([]netip.Prefix, len(cuts))
	for i := range cuts {
		out[i] = cuts[i].Block
	}
	return out
}

// OnboardNetwork has a network's subnets of a pool's family be the pool's from now on, which gets their blocks if it has them not. It
// returns those subnets.
func (s *Service) OnboardNetwork(ctx context.Context, c signalbox.Caller, id, network uuid.UUID) (subnets []signalbox.Subnet, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		n, err := lockNetwork(ctx, tx, c, network, "update_network")
		if err != nil {
			return err
		}
		p, err := lockPool(ctx, tx, c, id, "onboard_network_subnets")
		if err != nil {
			return err
		}
		all, err := subnetsOf(ctx, tx, n.ID)
		if err != nil {
			return err
		}
		before := *p
		subnets = nil
		for i := range all {
			if sub := &all[i]; sub.IPVersion() == p.IPVersion() {
				subnets = append(subnets, *sub)
				p.Prefixes = append(slices.Clone(p.Prefixes), sub.CIDR)
			}
		}
		p.Prefixes = ipam.Compact(p.Prefixes)
		if err := rewritePool(ctx, tx, c, &before, p); err != nil {
			return err
		}
		for i := range subnets {
			if err := onboard(ctx, tx, &subnets[i], p); err != nil {
				return err
			}
		}
		return nil
	})
	return subnets, err
}

func onboard(ctx context.Context, tx *store.Tx, sub *signalbox.Subnet, p *signalbox.SubnetPool) error {
	var err error
	if sub.SubnetPoolID != p.ID {
		err = tx.MoveToPool(ctx, sub.ID, p.ID)
	}
	if because(err, signalbox.ReasonPoolTaken) || sub.SubnetPoolID == p.ID {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolUpdate,
			"Illegal subnetpool update : Onboarding subnet %s: %s conflicts with allocated prefixes in subnet pool %s.", sub.ID, sub.CIDR, p.ID)
	}
	return err
}

// DeleteSubnetPool deletes a pool that no subnet is cut from.
func (s *Service) DeleteSubnetPool(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		p, err := lockPool(ctx, tx, c, id, "delete_subnetpool")
		if err != nil {
			return err
		}
		if err := checkRevision(revision, p.Revision); err != nil {
			return err
		}
		err = tx.DeleteSubnetPool(ctx, id)
		if because(err, signalbox.ReasonPoolInUse) { // a bad request, not a conflict: so has Neutron it
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolInUse,
				"Unable to delete subnet pool: Subnet pool has existing allocations.")
		}
		return err
	})
}

func badSubnets(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Bad subnets request: "+format, args...)
}

// wantsPool reports whether a subnet shall be cut from a pool, and refuses what can only be said of one that is, or is not.
func (spec *SubnetSpec) wantsPool() (yes bool, err error) {
	pool, any, block := or(spec.SubnetPoolID, uuid.Nil) != uuid.Nil, or(spec.AnyPool, false), or(spec.CIDR, netip.Prefix{}).IsValid()
	switch {
	case pool && any:
		return false, badSubnets("subnetpool_id and use_default_subnetpool cannot both be specified.")
	case block && spec.PrefixLen != nil:
		return false, badSubnets("cidr and prefixlen must not be supplied together.")
	case !pool && !any && !block:
		return false, badSubnets("a subnetpool must be specified in the absence of a cidr.")
	case !block && len(or(spec.Pools, nil)) > 0:
		return false, badSubnets("allocation_pools allowed only for specific subnet requests.")
	}
	return pool || any, nil
}

// poolFor is the pool that a subnet shall be cut from, and locks it and those that its network's other subnets are cut from: none of
// them can come into another address scope meanwhile.
func poolFor(ctx context.Context, tx *store.Tx, c signalbox.Caller, spec *SubnetSpec, beside []signalbox.Subnet) (*signalbox.SubnetPool, error) {
	id, version := or(spec.SubnetPoolID, uuid.Nil), or(spec.IPVersion, 0)
	if id == uuid.Nil {
		q := Query{Filters: map[string][]any{"is_default": {true}, "ip_version": {version}}}
		found, err := tx.SubnetPools(ctx, q.visibleTo(c, "subnetpool"))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, badSubnets("No default subnetpool found for IPv%d.", version)
		}
		id = found[0].ID
	}
	locked := []uuid.UUID{id}
	for i := range beside {
		if other := beside[i].SubnetPoolID; other != uuid.Nil {
			locked = append(locked, other)
		}
	}
	if err := tx.LockSubnetPools(ctx, locked...); err != nil {
		return nil, err
	}
	p, err := visiblePool(c, id)(tx.SubnetPool(ctx, id))
	if err == nil && p.IPVersion() != version {
		err = badSubnets("Cannot allocate IPv%d subnet from IPv%d subnet pool.", version, p.IPVersion())
	}
	return p, err
}

// cut is the block of a locked pool that a project's subnet gets: the one that was asked for, or a free one of the length that was.
func cut(ctx context.Context, tx *store.Tx, p *signalbox.SubnetPool, project string, spec *SubnetSpec) (block netip.Prefix, err error) {
	block = or(spec.CIDR, netip.Prefix{}).Masked()
	bits := or(spec.PrefixLen, p.DefaultPrefixLen)
	if block.IsValid() {
		bits = block.Bits()
	}
	const refusal = "Unable to allocate subnet with prefix length %d, %s allowed prefix is %d."
	switch {
	case bits > p.MaxPrefixLen:
		return block, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonMaxPrefix, refusal, bits, "maximum", p.MaxPrefixLen)
	case bits < p.MinPrefixLen:
		return block, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonMinPrefix, refusal, bits, "minimum", p.MinPrefixLen)
	case block.IsValid() && block.Addr().Is4() != (p.IPVersion() == 4):
		return block, badSubnets("cidr %s is not of the family of subnet pool %s.", block, p.ID)
	}
	cuts, err := tx.CutFrom(ctx, p.ID)
	if err != nil {
		return block, err
	}
	taken := blocks(cuts)
	switch {
	case !block.IsValid():
		free, ok := ipam.Cut(p.Prefixes, taken, bits)
		if block = free; !ok {
			return block, noRoom("Insufficient prefix space to allocate subnet size /%d", bits)
		}
	case !ipam.Within(p.Prefixes, block) || ipam.Overlap(taken, []netip.Prefix{block}):
		return block, noRoom("Cannot allocate requested subnet from the available set of prefixes")
	}
	own := []netip.Prefix{block}
	for _, c := range cuts {
		if c.ProjectID == project {
			own = append(own, c.Block)
		}
	}
	if p.Quota > 0 && ipam.Exceeds(p.Quota, own) {
		return block, signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPoolQuota, "Per-tenant subnet pool prefix quota exceeded.")
	}
	return block, nil
}

func noRoom(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPoolTaken, "Failed to allocate subnet: "+format+".", args...)
}

// ofOneOrigin refuses a subnet from a pool, nil if from none, on a network whose subnets of the family come from elsewhere: on one
// network they are of one pool, or of pools in one address scope.
func ofOneOrigin(beside []signalbox.Subnet, scope uuid.UUID, version int, p *signalbox.SubnetPool) error {
	for i := range beside {
		sub := &beside[i]
		switch {
		case sub.IPVersion() != version:
		case p != nil && scope != uuid.Nil && p.AddressScopeID != scope:
			return scopeAffinity()
		case p == nil && sub.SubnetPoolID != uuid.Nil, p != nil && scope == uuid.Nil && sub.SubnetPoolID != p.ID:
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPoolAffinity,
				"Subnets hosted on the same network must be allocated from the same subnet pool.")
		}
	}
	return nil
}
