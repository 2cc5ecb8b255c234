//go:build integration

package store_test

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// aRule lets everything out.
func aRule(e signalbox.EtherType) signalbox.SecurityGroupRule {
	return signalbox.SecurityGroupRule{ID: uuid.New(), Direction: signalbox.Egress, EtherType: e,
		PortMin: signalbox.NoPort, PortMax: signalbox.NoPort}
}

// group makes a security group with two rules, as new ones have.
func (l *lab) group() *signalbox.SecurityGroup {
	l.t.Helper()
	g := &signalbox.SecurityGroup{ID: uuid.New(), ProjectID: "p1", Name: "g",
		Rules: []signalbox.SecurityGroupRule{aRule(signalbox.IPv4), aRule(signalbox.IPv6)}}
	l.write(func(tx *store.Tx) error { return tx.InsertSecurityGroup(l.ctx, g) })
	return g
}

func (l *lab) readGroup(id uuid.UUID) *signalbox.SecurityGroup {
	l.t.Helper()
	return read(l, func(tx *store.Tx) (*signalbox.SecurityGroup, error) { return tx.SecurityGroup(l.ctx, id) })
}

// from makes a rule that lets in what a group sends.
func (l *lab) from(group, remote uuid.UUID) signalbox.SecurityGroupRule {
	l.t.Helper()
	r := aRule(signalbox.IPv4)
	r.Direction, r.RemoteGroupID = signalbox.Ingress, remote
	rules := []signalbox.SecurityGroupRule{r}
	l.write(func(tx *store.Tx) error { return tx.InsertRules(l.ctx, group, rules) })
	return rules[0]
}

func TestSecurityGroupsAndTheirRulesAreReadAsWritten(t *testing.T) {
	l := newLab(t)
	remote := l.group()
	g := &signalbox.SecurityGroup{ID: uuid.New(), ProjectID: "p", Name: "n", Description: "d"}
	for _, r := range []signalbox.SecurityGroupRule{
		{Direction: signalbox.Egress, EtherType: signalbox.IPv6, PortMin: signalbox.NoPort, PortMax: signalbox.NoPort},
		{Direction: signalbox.Ingress, EtherType: signalbox.IPv4, Protocol: "tcp", PortMin: 80, PortMax: 90, RemotePrefix: netip.MustParsePrefix("10.0.0.7/8"), Description: "web"},
		{Direction: signalbox.Ingress, EtherType: signalbox.IPv4, Protocol: "1", PortMin: 0, PortMax: signalbox.NoPort, RemotePrefix: netip.MustParsePrefix("10.0.0.7/32")},
		{Direction: signalbox.Ingress, EtherType: signalbox.IPv6, Protocol: "udp", PortMin: 1, PortMax: 65535, RemotePrefix: netip.MustParsePrefix("fd00::/8")},
		{Direction: signalbox.Ingress, EtherType: signalbox.IPv4, Protocol: "esp", PortMin: signalbox.NoPort, PortMax: signalbox.NoPort, RemoteGroupID: remote.ID},
	} {
		r.ID = uuid.New()
		g.Rules = append(g.Rules, r)
	}
	written := slices.Clone(g.Rules)
	l.write(func(tx *store.Tx) error { return tx.InsertSecurityGroup(l.ctx, g) })
	if got := l.readGroup(g.ID); g.Key == 0 || g.Revision != 1 || !reflect.DeepEqual(got, g) {
		t.Errorf("got  %+v\nwant %+v", got, g)
	}
	keys := map[signalbox.RuleKey]bool{}
	for i, r := range g.Rules {
		w := written[i]
		w.Key, w.GroupID, w.ProjectID, w.Meta = r.Key, g.ID, "p", r.Meta
		if r != w || r.Key == 0 || keys[r.Key] || r.CreatedAt.IsZero() {
			t.Errorf("rule %+v, written as %+v", r, w)
		}
		keys[r.Key] = true
		if got := read(l, func(tx *store.Tx) (*signalbox.SecurityGroupRule, error) { return tx.Rule(l.ctx, r.ID) }); *got != r {
			t.Errorf("got  %+v\nwant %+v", got, r)
		}
	}
	all := read(l, func(tx *store.Tx) ([]signalbox.SecurityGroupRule, error) {
		return tx.Rules(l.ctx, store.Query{Filters: map[string][]any{"security_group_id": {g.ID}}, Sort: []store.Order{{Key: "created_at"}}})
	})
	if !reflect.DeepEqual(all, g.Rules) {
		t.Errorf("listed %+v", all)
	}
	g.Name, g.Description = "m", "e"
	l.write(func(tx *store.Tx) error { return tx.UpdateSecurityGroup(l.ctx, g) })
	if got := l.readGroup(g.ID); g.Revision != 2 || !reflect.DeepEqual(got, g) {
		t.Errorf("got  %+v\nwant %+v", got, g)
	}
}

func TestGroupChangesWithItsRules(t *testing.T) {
	l := newLab(t)
	g, remote := l.group(), l.group()
	v := l.follow()
	is := func(what string, revision int64, rules int) {
		t.Helper()
		if got := l.readGroup(g.ID); got.Revision != revision || len(got.Rules) != rules {
			t.Errorf("%s: at revision %d with %d rules, want %d and %d", what, got.Revision, len(got.Rules), revision, rules)
		}
		v.awaitTables()
	}
	r := l.from(g.ID, remote.ID)
	is("a rule more", 2, 3)
	l.write(func(tx *store.Tx) error { return tx.DeleteRule(l.ctx, r.ID) })
	is("a rule less", 3, 2)
	l.from(g.ID, remote.ID)
	l.from(g.ID, g.ID)
	is("two rules more", 5, 4)
	l.write(func(tx *store.Tx) error { return tx.DeleteSecurityGroup(l.ctx, remote.ID) })
	is("a remote group less", 6, 3)
	l.write(func(tx *store.Tx) error { return tx.DeleteSecurityGroup(l.ctx, g.ID) })
	v.await("all gone", func() bool { return len(v.groups) == 0 })
	if left := read(l, func(tx *store.Tx) ([]signalbox.SecurityGroupRule, error) { return tx.Rules(l.ctx, store.Query{}) }); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRuleThatAllowsTheSameIsRefused(t *testing.T) {
	l := newLab(t)
	g := l.group()
	first := l.from(g.ID, g.ID)
	again := first
	again.ID, again.Description = uuid.New(), "by another name"
	err := l.db.Write(l.ctx, func(tx *store.Tx) error {
		return tx.InsertRules(l.ctx, g.ID, []signalbox.SecurityGroupRule{again})
	})
	var e *signalbox.Error
	if !errors.As(err, &e) || e.Reason != signalbox.ReasonRuleExists || e.ID != first.ID.String() {
		t.Errorf("refused as %v", err)
	}
	err = l.db.Write(l.ctx, func(tx *store.Tx) error {
		return tx.InsertRules(l.ctx, uuid.New(), []signalbox.SecurityGroupRule{again})
	})
	if signalbox.KindOf(err) != signalbox.NotFound {
		t.Errorf("into no group: %v", err)
	}
	again.RemoteGroupID = uuid.New()
	err = l.db.Write(l.ctx, func(tx *store.Tx) error {
		return tx.InsertRules(l.ctx, g.ID, []signalbox.SecurityGroupRule{again})
	})
	if signalbox.KindOf(err) != signalbox.NotFound {
		t.Errorf("from no group: %v", err)
	}
}

func TestPortIsInGroupsThatStay(t *testing.T) {
	l := newLab(t)
	s := l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	groups := []uuid.UUID{l.group().ID, l.group().ID, l.group().ID}
	slices.SortFunc(groups, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	v := l.follow()
	p, q := aPort(s.NetworkID), aPort(s.NetworkID)
	p.SecurityGroups = groups[:2]
	l.write(func(tx *store.Tx) error { return tx.InsertPorts(l.ctx, []*signalbox.Port{p, q}) })
	is := func(p *signalbox.Port, want ...uuid.UUID) {
		t.Helper()
		if got := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }); !slices.Equal(got.SecurityGroups, want) {
			t.Errorf("port is in %v, want %v", got.SecurityGroups, want)
		}
		v.awaitTables()
	}
	is(p, groups[0], groups[1])
	is(q)
	p.SecurityGroups = groups[1:]
	l.write(func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) })
	is(p, groups[1], groups[2])
	in := func(ids ...any) []signalbox.Port {
		return read(l, func(tx *store.Tx) ([]signalbox.Port, error) {
			return tx.Ports(l.ctx, store.Query{Filters: map[string][]any{"security_groups": ids}})
		})
	}
	if len(in(groups[0])) != 0 || len(in(groups[0], groups[1])) != 1 || len(in("x")) != 0 {
		t.Errorf("members %v, %v", in(groups[0]), in(groups[1]))
	}
	remove := func(id uuid.UUID) error {
		return l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.DeleteSecurityGroup(l.ctx, id) })
	}
	var e *signalbox.Error
	if err := remove(groups[1]); !errors.As(err, &e) || e.Reason != signalbox.ReasonGroupInUse {
		t.Errorf("deleted under a port: %v", err)
	}
	l.must(remove(groups[0]))
	p.SecurityGroups = groups[:1]
	err := l.db.Write(l.ctx, func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) })
	if signalbox.KindOf(err) != signalbox.NotFound {
		t.Errorf("into a group that is gone: %v", err)
	}
	p.SecurityGroups = groups[1:]
	l.write(func(tx *store.Tx) error { return tx.AttachPort(l.ctx, p, l.router().ID) })
	is(p)
	l.must(remove(groups[1]))
}

func TestProjectHasOneDefaultGroup(t *testing.T) {
	l := newLab(t)
	var wg sync.WaitGroup
	ids := make([]uuid.UUID, 16)
	for i := range ids {
		wg.Go(func() {
			l.must(l.db.Write(l.ctx, func(tx *store.Tx) error {
				g := &signalbox.SecurityGroup{ID: uuid.New(), ProjectID: "p", Name: "default", Default: true,
					Rules: []signalbox.SecurityGroupRule{aRule(signalbox.IPv4)}}
				err := tx.InsertSecurityGroup(l.ctx, g)
				var e *signalbox.Error
				if errors.As(err, &e) && e.Reason == signalbox.ReasonDefaultExists {
					err = nil
				}
				if err != nil {
					return err
				}
				found, err := tx.DefaultGroups(l.ctx, []string{"p", "q"})
				ids[i] = found["p"]
				return err
			}))
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == uuid.Nil || id != ids[0] {
			t.Errorf("default groups %v", ids)
			break
		}
	}
	for project, want := range map[string]bool{"p": true, "q": false} {
		if has := read(l, func(tx *store.Tx) (bool, error) { return tx.HasDefaultGroup(l.ctx, project) }); has != want {
			t.Errorf("%s has a default group: %v", project, has)
		}
	}
	var groups map[uuid.UUID]signalbox.SecurityGroup
	l.write(func(tx *store.Tx) (err error) {
		groups, err = tx.GroupsForShare(l.ctx, []uuid.UUID{ids[0], uuid.New()})
		return err
	})
	if !reflect.DeepEqual(groups, map[uuid.UUID]signalbox.SecurityGroup{ids[0]: {ID: ids[0], ProjectID: "p"}}) {
		t.Errorf("groups %v", groups)
	}
}
