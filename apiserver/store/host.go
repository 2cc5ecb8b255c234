package store

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

const selectHost = `SELECT h.id, h.datapath_id, h.name, h.tunnel_ip, h.mappings, h.managed, h.datapath_type, h.mac, NOT h.admin_state_up AS closed FROM hosts h`

type hostRow struct {
	ID         uuid.UUID
	DatapathID datapath `db:"datapath_id"`
	Name       string
	TunnelIP   addr `db:"tunnel_ip"`
	Mappings   mappings
	Managed    bool
	Datapath   string `db:"datapath_type"`
	MAC        mac
	Closed     bool
}

func (r *hostRow) host() signalbox.Host {
	return signalbox.Host{ID: r.ID, DatapathID: r.DatapathID.DatapathID, Name: r.Name, TunnelIP: r.TunnelIP.Addr,
		Mappings: r.Mappings, Managed: r.Managed, Datapath: r.Datapath, MAC: r.MAC.MAC, Closed: r.Closed}
}

func hosts(rows []hostRow) []signalbox.Host {
	out := make([]signalbox.Host, len(rows))
	for i := range rows {
		out[i] = rows[i].host()
	}
	return out
}

const updateHost = `
UPDATE hosts SET name = $2, tunnel_ip = $3, mappings = $4, managed = $5, datapath_type = $6
WHERE datapath_id = $1 AND (name, tunnel_ip, mappings, managed, datapath_type) IS DISTINCT FROM ($2, $3, $4, $5, $6)`

// insertHost is for first sights only: a row that is proposed uses up a MAC, whether or not it conflicts.
const insertHost = `
INSERT INTO hosts AS h (datapath_id, name, tunnel_ip, mappings, managed, datapath_type)
SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM hosts WHERE datapath_id = $1)
ON CONFLICT (datapath_id) DO UPDATE
SET name = excluded.name, tunnel_ip = excluded.tunnel_ip, mappings = excluded.mappings, managed = excluded.managed,
    datapath_type = excluded.datapath_type
WHERE (h.name, h.tunnel_ip, h.mappings, h.managed, h.datapath_type)
      IS DISTINCT FROM (excluded.name, excluded.tunnel_ip, excluded.mappings, excluded.managed, excluded.datapath_type)`

// SaveHost writes what is known of the host with h's datapath id and returns it with its id and its MAC, which the
// database gives at first sight. The feed tells of it only when something is new.
func (db *DB) SaveHost(ctx context.Context, h signalbox.Host) (signalbox.Host, error) {
	err := db.Write(ctx, func(tx *Tx) error {
		for _, text := range []string{updateHost, insertHost} {
			_, err := tx.exec(ctx, text, h.DatapathID.String(), h.Name, addr{h.TunnelIP}, mappings(h.Mappings), h.Managed,
				cmp.Or(h.Datapath, "system"))
			if err != nil {
				return wrap("save host", err)
			}
		}
		var r hostRow
		if err := tx.get(ctx, &r, selectHost+` WHERE h.datapath_id = $1`, h.DatapathID.String()); err != nil {
			return wrap("save host", err)
		}
		h = r.host()
		return nil
	})
	return h, err
}

// Hosts are all hosts, by name.
func (tx *Tx) Hosts(ctx context.Context) ([]signalbox.Host, error) {
	var rows []hostRow
	err := tx.all(ctx, &rows, selectHost+` ORDER BY h.name, h.id`)
	return hosts(rows), wrap("list hosts", err)
}
