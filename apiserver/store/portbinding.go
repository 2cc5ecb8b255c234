package store

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// A port's active binding is its own VIF, in its row. Those that wait change while that row is locked.

// InactiveBindings are a port's bindings that wait, in order of their hosts.
func (tx *Tx) InactiveBindings(ctx context.Context, port uuid.UUID) ([]signalbox.PortBinding, error) {
	var rows []struct {
		Host     string
		VNICType string `db:"vnic_type"`
		Profile  string
		Datapath sql.NullString
	}
	err := tx.all(ctx, &rows, `
		SELECT host, vnic_type, profile, (SELECT min(h.datapath_type) FROM hosts h WHERE h.name = i.host) AS datapath
		FROM inactive_bindings i WHERE port_id = $1 ORDER BY host`, port)
	out := make([]signalbox.PortBinding, len(rows))
	for i, r := range rows {
		out[i].VIF = signalbox.VIF{Host: r.Host, VNIC: signalbox.VNICType(r.VNICType), Profile: r.Profile, Datapath: r.Datapath.String}
	}
	return out, wrap("read bindings", err)
}

// InsertInactiveBinding writes one that a port does not have yet.
func (tx *Tx) InsertInactiveBinding(ctx context.Context, port uuid.UUID, b *signalbox.PortBinding) error {
	_, err := tx.exec(ctx, `INSERT INTO inactive_bindings (port_id, host, vnic_type, profile) VALUES ($1, $2, $3, $4)`,
		port, b.Host, string(b.VNIC), b.Profile)
	return wrap("insert binding", err)
}

// UpdateInactiveBinding writes what may change of one.
func (tx *Tx) UpdateInactiveBinding(ctx context.Context, port uuid.UUID, b *signalbox.PortBinding) error {
	_, err := tx.exec(ctx, `UPDATE inactive_bindings SET vnic_type = $3, profile = $4 WHERE port_id = $1 AND host = $2`,
		port, b.Host, string(b.VNIC), b.Profile)
	return wrap("update binding", err)
}

// DeleteInactiveBinding deletes one, if there is one.
func (tx *Tx) DeleteInactiveBinding(ctx context.Context, port uuid.UUID, host string) error {
	_, err := tx.exec(ctx, `DELETE FROM inactive_bindings WHERE port_id = $1 AND host = $2`, port, host)
	return wrap("delete binding", err)
}
