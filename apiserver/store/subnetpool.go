package store

import (
	"context"
	"database/sql"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// What is cut from a pool are the subnets that name it. Who cuts locks the pool, after the network.

const selectSubnetPool = `
SELECT b.id, b.project_id, b.name, b.description, b.prefixes, b.min_prefixlen, b.default_prefixlen, b.max_prefixlen, b.default_quota,
       b.is_default, b.address_scope_id, b.shared_with, b.tags, b.created_at, b.updated_at, b.revision
FROM subnetpools b`

type subnetPoolRow struct {
	ID             uuid.UUID
	ProjectID      string `db:"project_id"`
	Name           string
	Description    string
	Prefixes       array
	Min            int           `db:"min_prefixlen"`
	DefaultLen     int           `db:"default_prefixlen"`
	Max            int           `db:"max_prefixlen"`
	Quota          sql.NullInt64 `db:"default_quota"`
	Default        bool          `db:"is_default"`
	AddressScopeID uuid.NullUUID `db:"address_scope_id"`
	SharedWith     array         `db:"shared_with"`
	Tags           array
	metaRow
}

func (r *subnetPoolRow) pool() (p signalbox.SubnetPool, err error) {
	p = signalbox.SubnetPool{
		ID: r.ID, ProjectID: r.ProjectID, Name: r.Name, Description: r.Description,
		MinPrefixLen: r.Min, DefaultPrefixLen: r.DefaultLen, MaxPrefixLen: r.Max, Quota: signalbox.NoQuota, Default: r.Default,
		AddressScopeID: r.AddressScopeID.UUID, Sharing: sharing(r.SharedWith), Tags: tags(r.Tags), Meta: r.meta(),
	}
	if r.Quota.Valid {
		p.Quota = int(r.Quota.Int64)
	}
	p.Prefixes, err = each(r.Prefixes, netip.ParsePrefix)
	return p, err
}

// sharing is what policies say of an object, by its column.
func sharing(with []string) signalbox.Sharing {
	return signalbox.Sharing{Shared: slices.Contains(with, signalbox.Everyone), SharedWith: tags(with)}
}

func quotaValue(p *signalbox.SubnetPool) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(p.Quota), Valid: p.Quota != signalbox.NoQuota}
}

func optional(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }

// InsertSubnetPool writes a pool and fills its Meta. With whom it is shared is not written here: see InsertPolicy. Invalid
// ReasonDefaultPool when it is to be the default of its family and another is.
func (tx *Tx) InsertSubnetPool(ctx context.Context, p *signalbox.SubnetPool) error {
	var got metaRow
	err := tx.get(ctx, &got, `
		INSERT INTO subnetpools (id, project_id, name, description, prefixes, min_prefixlen, default_prefixlen, max_prefixlen,
		                         default_quota, is_default, address_scope_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING created_at, updated_at, revision`,
		p.ID, p.ProjectID, p.Name, p.Description, texts(p.Prefixes), p.MinPrefixLen, p.DefaultPrefixLen, p.MaxPrefixLen,
		quotaValue(p), p.Default, optional(p.AddressScopeID))
	p.Meta = got.meta()
	return wrap("insert subnet pool", err)
}

// SubnetPool is the pool with that id, or NotFound.
func (tx *Tx) SubnetPool(ctx context.Context, id uuid.UUID) (*signalbox.SubnetPool, error) {
	var r subnetPoolRow
	if err := tx.get(ctx, &r, selectSubnetPool+` WHERE b.id = $1`, id); isNoRows(err) {
		return nil, notFound("read subnet pool", "subnetpool", id)
	} else if err != nil {
		return nil, wrap("read subnet pool", err)
	}
	p, err := r.pool()
	return &p, wrap("read subnet pool", err)
}

// LockSubnetPools locks pools, all in one order: others who lock one of them so wait for this transaction.
func (tx *Tx) LockSubnetPools(ctx context.Context, ids ...uuid.UUID) error {
	_, err := tx.exec(ctx, `SELECT FROM subnetpools WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE`, texts(ids))
	return wrap("lock subnet pools", err)
}

// SubnetPools are the pools that the query asks for.
func (tx *Tx) SubnetPools(ctx context.Context, q Query) ([]signalbox.SubnetPool, error) {
	rows, err := list[subnetPoolRow](ctx, tx, subnetPoolList, q)
	if err != nil {
		return nil, err
	}
	out := make([]signalbox.SubnetPool, len(rows))
	for i := range rows {
		if out[i], err = rows[i].pool(); err != nil {
			return nil, wrap("read subnet pools", err)
		}
	}
	return out, nil
}

// UpdateSubnetPool writes what may change of a pool (all but its project and its family) and renews its Meta. Invalid
// ReasonDefaultPool as at the insert.
func (tx *Tx) UpdateSubnetPool(ctx context.Context, p *signalbox.SubnetPool) error {
	var got metaRow
	err := tx.get(ctx, &got, `
		UPDATE subnetpools SET name = $2, description = $3, prefixes = $4, min_prefixlen = $5, default_prefixlen = $6, max_prefixlen = $7,
		       default_quota = $8, is_default = $9, address_scope_id = $10, updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING created_at, updated_at, revision`,
		p.ID, p.Name, p.Description, texts(p.Prefixes), p.MinPrefixLen, p.DefaultPrefixLen, p.MaxPrefixLen,
		quotaValue(p), p.Default, optional(p.AddressScopeID))
	if isNoRows(err) {
		return notFound("update subnet pool", "subnetpool", p.ID)
	} else if err != nil {
		return wrap("update subnet pool", err)
	}
	p.Meta = got.meta()
	return nil
}

// DeleteSubnetPool deletes a pool. Conflict ReasonPoolInUse while subnets are cut from it.
func (tx *Tx) DeleteSubnetPool(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM subnetpools WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonPoolInUse, "subnetpool", id)
	}
	if n == 0 {
		return notFound("delete subnet pool", "subnetpool", id)
	}
	return nil
}

// PoolCut is a block that a pool has given.
type PoolCut struct {
	Block     netip.Prefix
	ProjectID string // the subnet's
	NetworkID uuid.UUID
}

// CutFrom is what a pool has given.
func (tx *Tx) CutFrom(ctx context.Context, pool uuid.UUID) ([]PoolCut, error) {
	var rows []subnetRow
	err := tx.all(ctx, &rows, `SELECT cidr, project_id, network_id FROM subnets WHERE subnetpool_id = $1`, pool)
	cuts := make([]PoolCut, len(rows))
	for i := range rows {
		cuts[i] = PoolCut{rows[i].CIDR.Prefix, rows[i].ProjectID, rows[i].NetworkID}
	}
	return cuts, wrap("read what a subnet pool gave", err)
}

// MoveToPool has a subnet be one of a pool, or of none, uuid.Nil. Conflict ReasonPoolTaken where the pool has given some of its
// addresses already.
func (tx *Tx) MoveToPool(ctx context.Context, subnet, pool uuid.UUID) error {
	_, err := tx.exec(ctx, `
		UPDATE subnets SET subnetpool_id = $2, updated_at = clock_timestamp(), revision = revision + 1 WHERE id = $1`, subnet, optional(pool))
	return wrap("move subnet to pool", err)
}
