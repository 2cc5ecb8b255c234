package neutron

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// defaultQuotas are Neutron's.
var defaultQuotas = map[string]int{
	"network": 100, "subnet": 100, "port": 500, "router": 10, "floatingip": 50, "security_group": 10, "security_group_rule": 100,
	"subnetpool": signalbox.Unlimited, "rbac_policy": 10,
}

// MaxQuota is the largest limit that is one.
const MaxQuota = 1<<31 - 1

// parseQuotas reads "port:1000,router:-1", which goes before Neutron's defaults; * is every resource, and what is named later
// goes before it.
func parseQuotas(s string) (map[string]int, error) {
	quotas := maps.Clone(defaultQuotas)
	for _, w := range words(s) {
		resource, text, _ := strings.Cut(w, ":")
		most, err := strconv.Atoi(text)
		if err != nil || most < signalbox.Unlimited || most > MaxQuota {
			return nil, fmt.Errorf("quotas: %q is not resource:limit with a limit of 0 to %d, or -1 for none", w, MaxQuota)
		}
		if _, known := quotas[resource]; !known && resource != "*" {
			return nil, fmt.Errorf("quotas: %q is not one of %s and *", resource, strings.Join(signalbox.QuotaResources[:], ", "))
		}
		for name := range quotas {
			if resource == name || resource == "*" {
				quotas[name] = most
			}
		}
	}
	return quotas, nil
}

// admit refuses n new rows of a resource, of the projects that project tells, where one may not have so many more. Whoever
// makes rows that a client asked for asks this before all else. What comes along with them counts, but is not asked for: a
// subnet's DHCP port, a router's interface, a group's first rules.
func (s *Service) admit(ctx context.Context, tx *store.Tx, resource string, n int, project func(i int) (string, error)) error {
	more := map[string]int{}
	for i := range n {
		p, err := project(i)
		if err != nil {
			return err
		}
		more[p]++
	}
	for _, p := range slices.Sorted(maps.Keys(more)) { // so that two do not wait for each other
		yes, err := tx.Admit(ctx, resource, p, more[p], s.cfg.Quotas[resource])
		if err != nil {
			return err
		}
		if !yes {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonOverQuota, "Quota exceeded for resources: ['%s'].", resource)
		}
	}
	return nil
}

// whole is a quota with the defaults of what it does not say.
func (s *Service) whole(q signalbox.Quota) *signalbox.Quota {
	own := q.Limits
	q.Limits = maps.Clone(s.cfg.Quotas)
	maps.Copy(q.Limits, own)
	return &q
}

// DefaultQuota is how much a project may have where nobody has said otherwise.
func (s *Service) DefaultQuota(c signalbox.Caller, project string) (*signalbox.Quota, error) {
	return s.whole(signalbox.Quota{ProjectID: project}), must(c, "get_quota", to(c, project))
}

// Quota is how much a project may have.
func (s *Service) Quota(ctx context.Context, c signalbox.Caller, project string) (*signalbox.Quota, error) {
	q, _, err := s.readQuota(ctx, c, project, false)
	return q, err
}

// QuotaUsed is Quota, and how much of it the project has.
func (s *Service) QuotaUsed(ctx context.Context, c signalbox.Caller, project string) (*signalbox.Quota, map[string]int, error) {
	return s.readQuota(ctx, c, project, true)
}

func (s *Service) readQuota(ctx context.Context, c signalbox.Caller, project string, count bool) (q *signalbox.Quota, used map[string]int, err error) {
	if err := must(c, "get_quota", to(c, project)); err != nil {
		return nil, nil, err
	}
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		own, err := tx.Quota(ctx, project)
		if err == nil && count {
			used, err = tx.QuotaUsed(ctx, project)
		}
		q = s.whole(own)
		return err
	})
	return q, used, err
}

// Quotas are those of the projects that do not just have the defaults.
func (s *Service) Quotas(ctx context.Context, c signalbox.Caller) (all []signalbox.Quota, err error) {
	if err := must(c, "get_quota", 0); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		all, err = tx.Quotas(ctx)
		return err
	})
	for i := range all {
		all[i] = *s.whole(all[i])
	}
	return all, err
}

// UpdateQuota gives a project the limits that q names. It keeps what it has of which that is more already.
func (s *Service) UpdateQuota(ctx context.Context, c signalbox.Caller, q signalbox.Quota) (after *signalbox.Quota, err error) {
	if err := must(c, "update_quota", to(c, q.ProjectID)); err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SetQuota(ctx, q); err != nil {
			return err
		}
		own, err := tx.Quota(ctx, q.ProjectID)
		after = s.whole(own)
		return err
	})
	return after, err
}

// DeleteQuota has a project have the defaults again.
func (s *Service) DeleteQuota(ctx context.Context, c signalbox.Caller, project string) error {
	if err := must(c, "delete_quota", to(c, project)); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		had, err := tx.DeleteQuota(ctx, project)
		if err == nil && !had {
			err = signalbox.Errorf(signalbox.NotFound, signalbox.ReasonNoQuota, "Quota for tenant %s could not be found.", project)
		}
		return err
	})
}
