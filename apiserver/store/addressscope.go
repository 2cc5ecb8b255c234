package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

const selectScope = `
SELECT k.id, k.project_id, k.name, k.ip_version, k.shared_with
FROM address_scopes k`

type scopeRow struct {
	ID         uuid.UUID
	ProjectID  string `db:"project_id"`
	Name       string
	IPVersion  int   `db:"ip_version"`
	SharedWith array `db:"shared_with"`
}

func (r *scopeRow) scope() signalbox.AddressScope {
	return signalbox.AddressScope{ID: r.ID, ProjectID: r.ProjectID, Name: r.Name, IPVersion: r.IPVersion, Sharing: sharing(r.SharedWith)}
}

// InsertAddressScope writes an address scope. With whom it is shared is not written here: see InsertPolicy.
func (tx *Tx) InsertAddressScope(ctx context.Context, k *signalbox.AddressScope) error {
	_, err := tx.exec(ctx, `INSERT INTO address_scopes (id, project_id, name, ip_version) VALUES ($1, $2, $3, $4)`,
		k.ID, k.ProjectID, k.Name, k.IPVersion)
	return wrap("insert address scope", err)
}

// AddressScope is the address scope with that id, or NotFound.
func (tx *Tx) AddressScope(ctx context.Context, id uuid.UUID) (*signalbox.AddressScope, error) {
	var r scopeRow
	if err := tx.get(ctx, &r, selectScope+` WHERE k.id = $1`, id); isNoRows(err) {
		return nil, notFound("read address scope", "address_scope", id)
	} else if err != nil {
		return nil, wrap("read address scope", err)
	}
	k := r.scope()
	return &k, nil
}

// AddressScopeForUpdate is AddressScope, alone: others who lock it so wait for this transaction. Whoever gives one of its pools
// other blocks, or the scope another pool, has it.
func (tx *Tx) AddressScopeForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.AddressScope, error) {
	if _, err := tx.exec(ctx, `SELECT FROM address_scopes WHERE id = $1 FOR NO KEY UPDATE`, id); err != nil {
		return nil, wrap("lock address scope", err)
	}
	return tx.AddressScope(ctx, id)
}

// AddressScopes are the address scopes that the query asks for.
func (tx *Tx) AddressScopes(ctx context.Context, q Query) ([]signalbox.AddressScope, error) {
	rows, err := list[scopeRow](ctx, tx, scopeList, q)
	if err != nil {
		return nil, err
	}
	out := make([]signalbox.AddressScope, len(rows))
	for i := range rows {
		out[i] = rows[i].scope()
	}
	return out, nil
}

// UpdateAddressScope writes what may change of an address scope: its name.
func (tx *Tx) UpdateAddressScope(ctx context.Context, k *signalbox.AddressScope) error {
	n, err := tx.exec(ctx, `UPDATE address_scopes SET name = $2 WHERE id = $1`, k.ID, k.Name)
	if err == nil && n == 0 {
		return notFound("update address scope", "address_scope", k.ID)
	}
	return wrap("update address scope", err)
}

// DeleteAddressScope deletes an address scope. Conflict ReasonScopeInUse while a pool is in it.
func (tx *Tx) DeleteAddressScope(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM address_scopes WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonScopeInUse, "address_scope", id)
	}
	if n == 0 {
		return notFound("delete address scope", "address_scope", id)
	}
	return nil
}
