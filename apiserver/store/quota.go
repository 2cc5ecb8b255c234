package store

import (
	"context"
	"maps"
	"slices"

	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// quotaTables are the tables whose rows are counted, by resource. What is not among them is not there at all.
var quotaTables = map[string]string{
	"network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "floatingip": "floatingips",
	"security_group": "security_groups", "security_group_rule": "security_group_rules",
	"subnetpool": "subnetpools", "rbac_policy": "rbac_policies",
}

type quotaRow struct {
	ProjectID string `db:"project_id"`
	Resource  string
	Most      int
}

// Admit reports whether a project may have n more of a resource; otherwise is its limit where it has none of its own. If so,
// others cannot exceed it either until the transaction ends, for which they may have to wait: so nothing that they could need
// must be locked before.
func (tx *Tx) Admit(ctx context.Context, resource, project string, n, otherwise int) (yes bool, err error) {
	err = tx.get(ctx, &yes, `SELECT quota_admits($1, $2, $3, $4, $5)`, resource, quotaTables[resource], project, n, otherwise)
	return yes, wrap("check quota", err)
}

// Quota is what a project has for limits of its own.
func (tx *Tx) Quota(ctx context.Context, project string) (signalbox.Quota, error) {
	var rows []quotaRow
	err := tx.all(ctx, &rows, `SELECT project_id, resource, most FROM quotas WHERE project_id = $1`, project)
	q := signalbox.Quota{ProjectID: project, Limits: make(map[string]int, len(rows))}
	for _, r := range rows {
		q.Limits[r.Resource] = r.Most
	}
	return q, wrap("read quota", err)
}

// Quotas are the projects that have limits of their own, and these.
func (tx *Tx) Quotas(ctx context.Context) (out []signalbox.Quota, err error) {
	var rows []quotaRow
	err = tx.all(ctx, &rows, "SELECT project_id, resource, most FROM quotas\nORDER BY project_id, resource")
	for _, r := range rows {
		if len(out) == 0 || out[len(out)-1].ProjectID != r.ProjectID {
			out = append(out, signalbox.Quota{ProjectID: r.ProjectID, Limits: map[string]int{}})
		}
		out[len(out)-1].Limits[r.Resource] = r.Most
	}
	return out, wrap("list quotas", err)
}

// SetQuota gives a project the limits that q names, and leaves the others.
func (tx *Tx) SetQuota(ctx context.Context, q signalbox.Quota) error {
	resources := slices.Sorted(maps.Keys(q.Limits)) // all in one order, so that two do not wait for each other
	limits := make(pq.Int64Array, len(resources))
	for i, r := range resources {
		limits[i] = int64(q.Limits[r])
	}
	_, err := tx.exec(ctx, `
		INSERT INTO quotas (project_id, resource, most) SELECT $1, * FROM unnest($2::text[], $3::integer[])
		ON CONFLICT (project_id, resource) DO UPDATE SET most = excluded.most`, q.ProjectID, pq.StringArray(resources), limits)
	return wrap("set quota", err)
}

// DeleteQuota takes a project's own limits away, and reports whether it had any.
func (tx *Tx) DeleteQuota(ctx context.Context, project string) (had bool, err error) {
	n, err := tx.exec(ctx, `DELETE FROM quotas WHERE project_id = $1`, project)
	return n > 0, wrap("delete quota", err)
}

// QuotaUsed is how much a project has, by resource.
func (tx *Tx) QuotaUsed(ctx context.Context, project string) (map[string]int, error) {
	used := make(map[string]int, len(quotaTables))
	for resource, table := range quotaTables {
		var n int
		if err := tx.get(ctx, &n, `SELECT quota_used($1, $2, NULL)`, table, project); err != nil {
			return nil, wrap("count used quota", err)
		}
		used[resource] = n
	}
	return used, nil
}
