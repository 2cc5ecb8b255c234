package neutron

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// SecurityGroupSpec is what a request says of a security group; nil is what it does not say.
type SecurityGroupSpec struct {
	ProjectID, Name, Description *string // ProjectID: at create only
	Revision                     *int64
}

// defaultGroup is the name of the group that every project has, and no other group.
const defaultGroup = "default"

func isDefault(name *string) bool { return name != nil && strings.EqualFold(*name, defaultGroup) }

// CreateSecurityGroups makes all or none. What is sent by ports that are in one of them may pass, as in any new group.
func (s *Service) CreateSecurityGroups(ctx context.Context, c signalbox.Caller, specs []SecurityGroupSpec) ([]signalbox.SecurityGroup, error) {
	var made []signalbox.SecurityGroup
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		err := s.admit(ctx, tx, "security_group", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) })
		if err != nil {
			return err
		}
		made = make([]signalbox.SecurityGroup, len(specs))
		for i := range specs {
			project, err := projectOf(c, specs[i].ProjectID)
			if err != nil {
				return err
			}
			if isDefault(specs[i].Name) {
				return defaultExists()
			}
			if _, err := s.defaultGroups(ctx, tx, project); err != nil {
				return err
			}
			made[i] = s.newGroup(project, or(specs[i].Name, ""), or(specs[i].Description, ""))
			if err := tx.InsertSecurityGroup(ctx, &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func defaultExists() error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonDefaultExists, "Default security group already exists.")
}

// newGroup is a group of which everything may be sent, and nothing received.
func (s *Service) newGroup(project, name, description string) signalbox.SecurityGroup {
	g := signalbox.SecurityGroup{ID: s.src.ID(), ProjectID: project, Name: name, Description: description}
	for _, family := range []signalbox.EtherType{signalbox.IPv4, signalbox.IPv6} {
		g.Rules = append(g.Rules, s.newRule(signalbox.Egress, family))
	}
	return g
}

func (s *Service) newRule(d signalbox.Direction, family signalbox.EtherType) signalbox.SecurityGroupRule {
	return signalbox.SecurityGroupRule{ID: s.src.ID(), Direction: d, EtherType: family, PortMin: signalbox.NoPort, PortMax: signalbox.NoPort}
}

// defaultGroups are the default groups of projects, made where there were none; they stay until the transaction ends.
func (s *Service) defaultGroups(ctx context.Context, tx *store.Tx, projects ...string) (map[string]uuid.UUID, error) {
	slices.Sort(projects) // so that two who make the same do not wait for each other
	projects = slices.Compact(projects)
	for range attempts {
		found, err := tx.DefaultGroups(ctx, projects)
		if err != nil || len(found) == len(projects) {
			return found, err
		}
		for _, project := range projects {
			if _, has := found[project]; has {
				continue
			}
			if err := s.makeDefault(ctx, tx, project); err != nil {
				return nil, err
			}
		}
	}
	return nil, signalbox.Errorf(signalbox.Unavailable, signalbox.ReasonBusy, "default security groups are deleted too often")
}

// makeDefault makes a project's default group, unless another does at the same moment. Its members may also talk to each other.
func (s *Service) makeDefault(ctx context.Context, tx *store.Tx, project string) error {
	g := s.newGroup(project, defaultGroup, "Default security group")
	g.Default = true
	for _, r := range g.Rules[:2] {
		in := s.newRule(signalbox.Ingress, r.EtherType)
		in.RemoteGroupID = g.ID
		g.Rules = append(g.Rules, in)
	}
	err := tx.InsertSecurityGroup(ctx, &g)
	if because(err, signalbox.ReasonDefaultExists) {
		return nil
	}
	return err
}

// touch makes the default group of the project whose groups or rules are asked for, so that they are listed with it.
func (s *Service) touch(ctx context.Context, c signalbox.Caller, q Query) error {
	project := c.ProjectID
	if said := q.Filters["project_id"]; len(said) == 1 && c.Admin {
		project, _ = said[0].(string)
	}
	has := false
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		has, err = tx.HasDefaultGroup(ctx, project)
		return err
	})
	if err != nil || has {
		return err
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		_, err := s.defaultGroups(ctx, tx, project)
		return err
	})
}

// SecurityGroup reads one.
func (s *Service) SecurityGroup(ctx context.Context, c signalbox.Caller, id uuid.UUID) (g *signalbox.SecurityGroup, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		g, err = visibleGroup(c, id)(tx.SecurityGroup(ctx, id))
		return err
	})
	return g, err
}

// visibleGroup hides a group that is neither the caller's nor shared with it, and has it Shared if it is.
func visibleGroup(c signalbox.Caller, id uuid.UUID) func(*signalbox.SecurityGroup, error) (*signalbox.SecurityGroup, error) {
	return func(g *signalbox.SecurityGroup, err error) (*signalbox.SecurityGroup, error) {
		if err != nil {
			return nil, err
		}
		if !may(c, "get_security_group", toShared(c, g.ProjectID, &g.Sharing)) {
			return nil, notFound("security_group", id)
		}
		g.Shared = g.SharedTo(c.ProjectID)
		return g, nil
	}
}

// ownGroup is visibleGroup for who wants to change it.
func ownGroup(c signalbox.Caller, id uuid.UUID, rule string) func(*signalbox.SecurityGroup, error) (*signalbox.SecurityGroup, error) {
	return func(g *signalbox.SecurityGroup, err error) (*signalbox.SecurityGroup, error) {
		if g, err = visibleGroup(c, id)(g, err); err == nil {
			err = must(c, rule, to(c, g.ProjectID))
		}
		return g, err
	}
}

// SecurityGroups lists.
func (s *Service) SecurityGroups(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.SecurityGroup, error) {
	if err := s.touch(ctx, c, q); err != nil {
		return nil, err
	}
	gs, err := list(ctx, s, c, "security_group", q, (*store.Tx).SecurityGroups)
	for i := range gs {
		gs[i].Shared = gs[i].SharedTo(c.ProjectID)
	}
	return gs, err
}

// UpdateSecurityGroup changes what the spec says.
func (s *Service) UpdateSecurityGroup(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec SecurityGroupSpec) (g *signalbox.SecurityGroup, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if g, err = ownGroup(c, id, "update_security_group")(tx.SecurityGroupForUpdate(ctx, id)); err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, g.Revision); err != nil {
			return err
		}
		switch {
		case isDefault(spec.Name):
			return defaultExists()
		case g.Default && spec.Name != nil:
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonDefaultName, "Updating default security group not allowed.")
		}
		name, description := or(spec.Name, g.Name), or(spec.Description, g.Description)
		if name == g.Name && description == g.Description {
			return nil
		}
		g.Name, g.Description = name, description
		return tx.UpdateSecurityGroup(ctx, g)
	})
	return g, err
}

// DeleteSecurityGroup deletes a group that no port is in, and the rules of other groups that name it.
func (s *Service) DeleteSecurityGroup(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		g, err := ownGroup(c, id, "delete_security_group")(tx.SecurityGroupForUpdate(ctx, id))
		if err != nil {
			return err
		}
		if err := checkRevision(revision, g.Revision); err != nil {
			return err
		}
		if g.Default && !may(c, "delete_security_group:default", to(c, g.ProjectID)) {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonKeepDefault, "Insufficient rights for removing default security group.")
		}
		return tx.DeleteSecurityGroup(ctx, id)
	})
}

// joinGroups decides which security groups new ports are in: those that were asked for, or else, where port security is on,
// their projects' default groups.
// The groups stay until the transaction ends.
func (s *Service) joinGroups(ctx context.Context, tx *store.Tx, wishes []portWish, ports []*signalbox.Port) error {
	var undecided []string
	var named []uuid.UUID
	for i, w := range wishes {
		if asked := or(w.spec.SecurityGroups, nil); asked != nil {
			named = append(named, asked...)
		} else if ports[i].Secured() {
			undecided = append(undecided, ports[i].ProjectID)
		}
	}
	var defaults map[string]uuid.UUID
	var groups map[uuid.UUID]signalbox.SecurityGroup
	var err error
	if undecided != nil {
		if defaults, err = s.defaultGroups(ctx, tx, undecided...); err != nil {
			return err
		}
	}
	if named != nil {
		if groups, err = tx.GroupsForShare(ctx, named); err != nil {
			return err
		}
	}
	for i, w := range wishes {
		p := ports[i]
		if asked := or(w.spec.SecurityGroups, nil); asked != nil {
			if p.SecurityGroups, err = joinable(w.caller, p, asked, groups); err != nil {
				return err
			}
			if err := mayBeInGroups(p, &w.spec); err != nil {
				return err
			}
		} else if p.Secured() {
			p.SecurityGroups = []uuid.UUID{defaults[p.ProjectID]}
		}
	}
	return nil
}

// joinable are the groups that were asked for, in the order in which a port has them. They are those of the port's project, or are
// shared with it; an admin may put it into others'.
func joinable(c signalbox.Caller, p *signalbox.Port, asked []uuid.UUID, there map[uuid.UUID]signalbox.SecurityGroup) ([]uuid.UUID, error) {
	for _, id := range asked {
		if g, found := there[id]; !found || !c.Admin && g.ProjectID != p.ProjectID && !g.SharedTo(p.ProjectID) {
			return nil, notFound("security_group", id)
		}
	}
	groups := slices.Clone(asked)
	slices.SortFunc(groups, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(groups), nil
}

// mayBeInGroups refuses groups on a port whose port security is off, as they would be there for nothing.
func mayBeInGroups(p *signalbox.Port, spec *PortSpec) error {
	switch {
	case !p.Unsecured || len(p.SecurityGroups) == 0:
		return nil
	case spec.SecurityGroups != nil:
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonGroupsSecured,
			"Port security must be enabled and port must have an IP address in order to use security groups.")
	}
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonStillInGroups,
		"Port has security group associated. Cannot disable port security until security group is removed.")
}

// moveToGroups puts a port into other groups; nil or none of them takes it out of all.
func moveToGroups(ctx context.Context, tx *store.Tx, c signalbox.Caller, p *signalbox.Port, asked []uuid.UUID) error {
	owners, err := tx.GroupsForShare(ctx, asked)
	if err != nil {
		return err
	}
	p.SecurityGroups, err = joinable(c, p, asked, owners)
	return err
}
