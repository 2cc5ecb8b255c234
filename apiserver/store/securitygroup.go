package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// Who locks a security group locked before it whatever else it locks.

const selectSecurityGroup = `
SELECT g.id, g.key, g.project_id, g.name, g.description, g.is_default, g.created_at, g.updated_at, g.revision, g.tags, g.shared_with,
       (SELECT json_agg(x ORDER BY x.created_at, x.id) FROM (` + selectRule + ` WHERE r.group_id = g.id) AS x) AS rules
FROM security_groups g`

type groupRow struct {
	ID          uuid.UUID
	Key         int64
	ProjectID   string `db:"project_id"`
	Name        string
	Description string
	Default     bool `db:"is_default"`
	Rules       ruleRows
	Tags        array
	SharedWith  array `db:"shared_with"`
	metaRow
}

// ruleRows are rules that come as one JSON array, in a column of their group.
type ruleRows []ruleRow

func (r *ruleRows) Scan(src any) error {
	s, err := text(src)
	if err != nil || s == "" {
		return err
	}
	return json.Unmarshal([]byte(s), r)
}

func (r *groupRow) group() (g signalbox.SecurityGroup, err error) {
	g = signalbox.SecurityGroup{
		ID: r.ID, Key: signalbox.GroupKey(r.Key), ProjectID: r.ProjectID, Name: r.Name, Description: r.Description,
		Default: r.Default, Tags: tags(r.Tags), Sharing: sharing(r.SharedWith), Meta: r.meta(),
	}
	g.Rules, err = rules(r.Rules)
	return g, err
}

func securityGroups(rows []groupRow) (out []signalbox.SecurityGroup, err error) {
	out = make([]signalbox.SecurityGroup, len(rows))
	for i := range rows {
		if out[i], err = rows[i].group(); err != nil {
			return nil, wrap("read security groups", err)
		}
	}
	return out, nil
}

// InsertSecurityGroup writes a group with its rules, whose GroupID it sets, and fills what the database adds to both.
// Conflict ReasonDefaultExists when it is to be the default of a project that has one: the transaction can go on then.
func (tx *Tx) InsertSecurityGroup(ctx context.Context, g *signalbox.SecurityGroup) error {
	n, err := tx.exec(ctx, `
		INSERT INTO security_groups (id, project_id, name, description, is_default) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (project_id) WHERE is_default DO NOTHING`, g.ID, g.ProjectID, g.Name, g.Description, g.Default)
	if err != nil {
		return wrap("insert security group", err)
	}
	if n == 0 {
		return &signalbox.Error{Kind: signalbox.Conflict, Reason: signalbox.ReasonDefaultExists, Op: "insert security group",
			Msg: "Default security group already exists."}
	}
	for i := range g.Rules {
		g.Rules[i].GroupID = g.ID
	}
	if err := tx.InsertRules(ctx, g.ID, g.Rules); err != nil {
		return err
	}
	got, err := tx.SecurityGroup(ctx, g.ID)
	if err == nil {
		*g = *got
	}
	return err
}

// SecurityGroup is the group with that id and its rules, or NotFound.
func (tx *Tx) SecurityGroup(ctx context.Context, id uuid.UUID) (*signalbox.SecurityGroup, error) {
	var r groupRow
	if err := tx.get(ctx, &r, selectSecurityGroup+` WHERE g.id = $1`, id); isNoRows(err) {
		return nil, notFound("read security group", "security_group", id)
	} else if err != nil {
		return nil, wrap("read security group", err)
	}
	g, err := r.group()
	return &g, wrap("read security group", err)
}

// SecurityGroupForUpdate is SecurityGroup, alone: others who want to change it or its rules wait for this transaction, but not
// ports that join it.
func (tx *Tx) SecurityGroupForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.SecurityGroup, error) {
	if _, err := tx.exec(ctx, `SELECT FROM security_groups WHERE id = $1 FOR NO KEY UPDATE`, id); err != nil {
		return nil, wrap("lock security group", err)
	}
	return tx.SecurityGroup(ctx, id)
}

// SecurityGroups are the groups that the query asks for, with their rules.
func (tx *Tx) SecurityGroups(ctx context.Context, q Query) ([]signalbox.SecurityGroup, error) {
	rows, err := list[groupRow](ctx, tx, securityGroupList, q)
	if err != nil {
		return nil, err
	}
	return securityGroups(rows)
}

// UpdateSecurityGroup writes what may change of a group (its name and description) and renews its Meta.
func (tx *Tx) UpdateSecurityGroup(ctx context.Context, g *signalbox.SecurityGroup) error {
	var got metaRow
	err := tx.get(ctx, &got, `
		UPDATE security_groups SET name = $2, description = $3, updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING created_at, updated_at, revision`, g.ID, g.Name, g.Description)
	if isNoRows(err) {
		return notFound("update security group", "security_group", g.ID)
	} else if err != nil {
		return wrap("update security group", err)
	}
	g.Meta = got.meta()
	return nil
}

// DeleteSecurityGroup deletes a group, its rules, and the rules of others that name it. Conflict ReasonGroupInUse while a port
// is in it.
func (tx *Tx) DeleteSecurityGroup(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM security_groups WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonGroupInUse, "security_group", id)
	}
	if n == 0 {
		return notFound("delete security group", "security_group", id)
	}
	return nil
}

// GroupsForShare are those of the groups that are there, which they are until the transaction ends, by their ids: whose they are, and
// with whom they are shared. Many may hold them.
func (tx *Tx) GroupsForShare(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]signalbox.SecurityGroup, error) {
	var rows []groupRow
	err := tx.all(ctx, &rows, `SELECT id, project_id, shared_with FROM security_groups WHERE id = ANY($1::uuid[]) ORDER BY id FOR KEY SHARE`, texts(ids))
	groups := make(map[uuid.UUID]signalbox.SecurityGroup, len(rows))
	for i := range rows {
		groups[rows[i].ID] = signalbox.SecurityGroup{ID: rows[i].ID, ProjectID: rows[i].ProjectID, Sharing: sharing(rows[i].SharedWith)}
	}
	return groups, wrap("lock security groups", err)
}

// LockSecurityGroup locks a group, alone, also against ports that join it.
func (tx *Tx) LockSecurityGroup(ctx context.Context, id uuid.UUID) error {
	_, err := tx.exec(ctx, `SELECT FROM security_groups WHERE id = $1 FOR UPDATE`, id)
	return wrap("lock security group", err)
}

// DefaultGroups are the default groups of those of the projects that have one, which they have until the transaction ends.
func (tx *Tx) DefaultGroups(ctx context.Context, projects []string) (map[string]uuid.UUID, error) {
	var rows []groupRow
	err := tx.all(ctx, &rows, `
		SELECT id, project_id FROM security_groups WHERE is_default AND project_id = ANY($1::text[]) ORDER BY id FOR KEY SHARE`, pq.StringArray(projects))
	ids := make(map[string]uuid.UUID, len(rows))
	for i := range rows {
		ids[rows[i].ProjectID] = rows[i].ID
	}
	return ids, wrap("lock default security groups", err)
}

// HasDefaultGroup reports whether a project has its default group. Unlike DefaultGroups it can be asked by a Read.
func (tx *Tx) HasDefaultGroup(ctx context.Context, project string) (yes bool, err error) {
	err = tx.get(ctx, &yes, `SELECT EXISTS (SELECT FROM security_groups WHERE is_default AND project_id = $1)`, project)
	return yes, wrap("find default security group", err)
}

// replaceGroups makes the groups that the port is in those that p names; had are those it is in, while its row is locked.
func (tx *Tx) replaceGroups(ctx context.Context, p *signalbox.Port, had []uuid.UUID) error {
	if slices.Equal(had, p.SecurityGroups) {
		return nil
	}
	_, err := tx.exec(ctx, `
		WITH left_behind AS (DELETE FROM port_security_groups WHERE port_id = $1 AND group_id <> ALL ($2::uuid[]))
		INSERT INTO port_security_groups (port_id, group_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING`,
		p.ID, texts(p.SecurityGroups))
	return err
}
