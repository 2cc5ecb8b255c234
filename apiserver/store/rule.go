package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

const selectRule = `
SELECT r.id, r.key, r.group_id, r.project_id, r.description, r.direction, r.ethertype, r.protocol, r.port_min, r.port_max,
       r.remote_group_id, text(r.remote_prefix) AS remote_prefix, r.created_at, r.updated_at, r.revision
FROM security_group_rules r`

// ruleRow is read from columns, and from JSON.
type ruleRow struct {
	ID          uuid.UUID
	Key         int64
	GroupID     uuid.UUID `db:"group_id" json:"group_id"`
	ProjectID   string    `db:"project_id" json:"project_id"`
	Description string
	Direction   string
	EtherType   string `db:"ethertype"`
	Protocol    *string
	PortMin     *int          `db:"port_min" json:"port_min"`
	PortMax     *int          `db:"port_max" json:"port_max"`
	RemoteGroup uuid.NullUUID `db:"remote_group_id" json:"remote_group_id"`
	Remote      *string       `db:"remote_prefix" json:"remote_prefix"`
	metaRow
}

func (r *ruleRow) rule() (out signalbox.SecurityGroupRule, err error) {
	out = signalbox.SecurityGroupRule{
		ID: r.ID, Key: signalbox.RuleKey(r.Key), GroupID: r.GroupID, ProjectID: r.ProjectID, Description: r.Description,
		Direction: signalbox.Direction(r.Direction), EtherType: signalbox.EtherType(r.EtherType),
		PortMin: signalbox.NoPort, PortMax: signalbox.NoPort, RemoteGroupID: r.RemoteGroup.UUID, Meta: r.meta(),
	}
	if r.Protocol != nil {
		out.Protocol = signalbox.Protocol(*r.Protocol)
	}
	if r.PortMin != nil {
		out.PortMin = *r.PortMin
	}
	if r.PortMax != nil {
		out.PortMax = *r.PortMax
	}
	if r.Remote != nil {
		var remote prefix
		err = remote.Scan(*r.Remote)
		out.RemotePrefix = remote.Prefix
	}
	return out, err
}

func rules(rows []ruleRow) (out []signalbox.SecurityGroupRule, err error) {
	if len(rows) > 0 {
		out = make([]signalbox.SecurityGroupRule, len(rows))
	}
	for i := range rows {
		if out[i], err = rows[i].rule(); err != nil {
			return nil, wrap("read security group rules", err)
		}
	}
	return out, nil
}

// insertRules writes rules of a group, with its project, but those that allow what another does already.
const insertRules = `
INSERT INTO security_group_rules (id, group_id, project_id, description, direction, ethertype, protocol, port_min, port_max,
                                  remote_group_id, remote_prefix, effect)
SELECT t.id, g.id, g.project_id, t.description, t.direction, t.ethertype, nullif(t.protocol, ''), nullif(t.port_min, -1), nullif(t.port_max, -1),
       nullif(t.remote_group, '')::uuid, nullif(t.remote_prefix, '')::inet, t.effect
FROM security_groups g, unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[], $9::text[], $10::text[], $11::text[])
     WITH ORDINALITY AS t(id, description, direction, ethertype, protocol, port_min, port_max, remote_group, remote_prefix, effect, ord)
WHERE g.id = $1 ORDER BY t.ord
ON CONFLICT ON CONSTRAINT security_group_rules_once DO NOTHING
RETURNING id, key, group_id, project_id, created_at, updated_at, revision`

// ruleColumns are rules as the arrays that insertRules takes.
type ruleColumns struct {
	id, description, direction, ethertype, protocol, group, remote, effect pq.StringArray
	min, max                                                               pq.Int64Array
}

func (c *ruleColumns) add(r *signalbox.SecurityGroupRule) {
	c.id, c.description = append(c.id, r.ID.String()), append(c.description, r.Description)
	c.direction, c.ethertype = append(c.direction, string(r.Direction)), append(c.ethertype, string(r.EtherType))
	c.protocol, c.effect = append(c.protocol, string(r.Protocol)), append(c.effect, r.Effect())
	c.min, c.max = append(c.min, int64(r.PortMin)), append(c.max, int64(r.PortMax))
	group, remote := "", ""
	if r.RemoteGroupID != uuid.Nil {
		group = r.RemoteGroupID.String()
	}
	if r.RemotePrefix.IsValid() {
		remote = r.RemotePrefix.String()
	}
	c.group, c.remote = append(c.group, group), append(c.remote, remote)
}

// InsertRules writes rules of one group, and fills what the database adds to them. The group changes with them. NotFound when
// the group, or one that is named as the other end, is not there; Conflict ReasonRuleExists, with the ID of the one that is
// there, when a rule of the group allows just what one of these would.
func (tx *Tx) InsertRules(ctx context.Context, group uuid.UUID, rules []signalbox.SecurityGroupRule) error {
	const op = "insert security group rules"
	var c ruleColumns
	for i := range rules {
		c.add(&rules[i])
	}
	var got []ruleRow
	if err := tx.all(ctx, &got, insertRules, group, c.id, c.description, c.direction, c.ethertype, c.protocol, c.min, c.max, c.group, c.remote, c.effect); err != nil {
		return wrap(op, err)
	}
	made := make(map[uuid.UUID]*ruleRow, len(got))
	for i := range got {
		made[got[i].ID] = &got[i]
	}
	for i := range rules {
		row := made[rules[i].ID]
		if row == nil {
			return tx.ruleExists(ctx, op, group, &rules[i])
		}
		rules[i].Key, rules[i].GroupID, rules[i].ProjectID, rules[i].Meta = signalbox.RuleKey(row.Key), row.GroupID, row.ProjectID, row.meta()
	}
	return nil
}

// ruleExists says why a rule was not written.
func (tx *Tx) ruleExists(ctx context.Context, op string, group uuid.UUID, r *signalbox.SecurityGroupRule) error {
	var id uuid.UUID
	err := tx.get(ctx, &id, `SELECT id FROM security_group_rules WHERE group_id = $1 AND effect = $2`, group, r.Effect())
	if isNoRows(err) {
		return notFound(op, "security_group", group)
	} else if err != nil {
		return wrap(op, err)
	}
	return &signalbox.Error{Kind: signalbox.Conflict, Reason: signalbox.ReasonRuleExists, Op: op, Resource: "security_group_rule", ID: id.String(),
		Msg: "Security group rule already exists. Rule id is " + id.String() + "."}
}

// Rule is the security group rule with that id, or NotFound.
func (tx *Tx) Rule(ctx context.Context, id uuid.UUID) (*signalbox.SecurityGroupRule, error) {
	var row ruleRow
	if err := tx.get(ctx, &row, selectRule+` WHERE r.id = $1`, id); isNoRows(err) {
		return nil, notFound("read security group rule", "security_group_rule", id)
	} else if err != nil {
		return nil, wrap("read security group rule", err)
	}
	r, err := row.rule()
	return &r, wrap("read security group rule", err)
}

// Rules are the security group rules that the query asks for.
func (tx *Tx) Rules(ctx context.Context, q Query) ([]signalbox.SecurityGroupRule, error) {
	rows, err := list[ruleRow](ctx, tx, ruleList, q)
	if err != nil {
		return nil, err
	}
	return rules(rows)
}

// DeleteRule deletes a security group rule. Its group changes with it.
func (tx *Tx) DeleteRule(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM security_group_rules WHERE id = $1`, id)
	if err != nil {
		return wrap("delete security group rule", err)
	}
	if n == 0 {
		return notFound("delete security group rule", "security_group_rule", id)
	}
	return nil
}
