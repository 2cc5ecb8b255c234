package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// Policies are rows, and the objects' rows have what they say (migration 15): who locked the object has both.

const selectPolicy = `
SELECT x.id, x.project_id, x.object_type, x.object_id, x.action, x.target
FROM rbac_policies x`

type policyRow struct {
	ID         uuid.UUID
	ProjectID  string    `db:"project_id"`
	ObjectType string    `db:"object_type"`
	ObjectID   uuid.UUID `db:"object_id"`
	Action     string
	Target     string
}

func (r *policyRow) policy() signalbox.RBACPolicy {
	return signalbox.RBACPolicy{ID: r.ID, ProjectID: r.ProjectID, ObjectType: r.ObjectType, ObjectID: r.ObjectID,
		Action: signalbox.RBACAction(r.Action), Target: r.Target}
}

// InsertPolicy writes a policy, about an object that the transaction has locked. Conflict ReasonPolicyExists.
func (tx *Tx) InsertPolicy(ctx context.Context, p *signalbox.RBACPolicy) error {
	_, err := tx.exec(ctx, `
		INSERT INTO rbac_policies (id, project_id, object_type, object_id, action, target) VALUES ($1, $2, $3, $4, $5, $6)`,
		p.ID, p.ProjectID, p.ObjectType, p.ObjectID, string(p.Action), p.Target)
	return wrap("insert policy", err)
}

// Policy is the policy with that id, or NotFound.
func (tx *Tx) Policy(ctx context.Context, id uuid.UUID) (*signalbox.RBACPolicy, error) {
	var r policyRow
	if err := tx.get(ctx, &r, selectPolicy+` WHERE x.id = $1`, id); isNoRows(err) {
		return nil, notFound("read policy", "rbac_policy", id)
	} else if err != nil {
		return nil, wrap("read policy", err)
	}
	p := r.policy()
	return &p, nil
}

// Policies are the policies that the query asks for.
func (tx *Tx) Policies(ctx context.Context, q Query) ([]signalbox.RBACPolicy, error) {
	rows, err := list[policyRow](ctx, tx, policyList, q)
	if err != nil {
		return nil, err
	}
	out := make([]signalbox.RBACPolicy, len(rows))
	for i := range rows {
		out[i] = rows[i].policy()
	}
	return out, nil
}

// UpdatePolicy gives a policy another target. Conflict ReasonPolicyExists.
func (tx *Tx) UpdatePolicy(ctx context.Context, p *signalbox.RBACPolicy) error {
	n, err := tx.exec(ctx, `UPDATE rbac_policies SET target = $2 WHERE id = $1`, p.ID, p.Target)
	if err == nil && n == 0 {
		return notFound("update policy", "rbac_policy", p.ID)
	}
	return wrap("update policy", err)
}

// DeletePolicy deletes a policy.
func (tx *Tx) DeletePolicy(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM rbac_policies WHERE id = $1`, id)
	if err == nil && n == 0 {
		return notFound("delete policy", "rbac_policy", id)
	}
	return wrap("delete policy", err)
}

// Guests says whose things are looked for: those of one project, or of Everyone, but not of those that may stay.
type Guests struct {
	Of     string
	Except []string
}

// using are the rows x by which projects use what is shared with them, by the kind of object, $1.
var using = map[string]string{
	"network":        `ports x WHERE x.network_id = $1 AND x.role <> 'dhcp' AND x.project_id <> ''`,
	"subnetpool":     `subnets x WHERE x.subnetpool_id = $1`,
	"address_scope":  `subnetpools x WHERE x.address_scope_id = $1`,
	"security_group": `port_security_groups m JOIN ports x ON x.id = m.port_id WHERE m.group_id = $1`,
}

// HasGuests reports whether guests use an object: have ports on the network, subnets of the pool, pools in the scope, ports in the
// group.
func (tx *Tx) HasGuests(ctx context.Context, objectType string, object uuid.UUID, g Guests) (yes bool, err error) {
	err = tx.get(ctx, &yes, `
		SELECT EXISTS (SELECT FROM `+using[objectType]+` AND $2 IN ('*', x.project_id) AND x.project_id <> ALL ($3))`,
		object, g.Of, pq.StringArray(g.Except))
	return yes, wrap("find guests", err)
}

// HasGuestRouters reports whether guests' routers lead to an external network, or guests have floating IPs of it.
func (tx *Tx) HasGuestRouters(ctx context.Context, network uuid.UUID, g Guests) (yes bool, err error) {
	err = tx.get(ctx, &yes, `
		SELECT EXISTS (SELECT FROM router_gateways g JOIN routers r ON r.id = g.router_id
				WHERE g.network_id = $1 AND $2 IN ('*', r.project_id) AND r.project_id <> ALL ($3))
		    OR EXISTS (SELECT FROM floatingips f WHERE f.network_id = $1 AND $2 IN ('*', f.project_id) AND f.project_id <> ALL ($3))`,
		network, g.Of, pq.StringArray(g.Except))
	return yes, wrap("find guests' routers", err)
}
