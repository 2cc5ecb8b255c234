package store

import (
	"context"
	"net/netip"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

const selectNeighbour = `SELECT x.id, x.network_id, x.addr, x.mac FROM neighbours x`

type neighbourRow struct {
	ID        uuid.UUID
	NetworkID uuid.UUID `db:"network_id"`
	Addr      addr
	MAC       mac
}

func neighbours(rows []neighbourRow) []signalbox.Neighbour {
	out := make([]signalbox.Neighbour, len(rows))
	for i, r := range rows {
		out[i] = signalbox.Neighbour{ID: r.ID, NetworkID: r.NetworkID, Addr: r.Addr.Addr, MAC: r.MAC.MAC}
	}
	return out
}

// Neighbours are all neighbours, by network and address.
func (tx *Tx) Neighbours(ctx context.Context) ([]signalbox.Neighbour, error) {
	var rows []neighbourRow
	err := tx.all(ctx, &rows, selectNeighbour+` ORDER BY x.network_id, x.addr`)
	return neighbours(rows), wrap("list neighbours", err)
}

// SaveNeighbours writes what answered on external networks, in one transaction; of several answers for one address the last
// counts. The ids are the database's to give, and an address that is known keeps its. Networks that are gone, or external no
// longer, are passed over. The feed tells only of what is new.
func (db *DB) SaveNeighbours(ctx context.Context, known []signalbox.Neighbour) error {
	if len(known) == 0 {
		return nil
	}
	networks, addrs, macs := neighbourColumns(known)
	return db.Write(ctx, func(tx *Tx) error {
		// The networks are locked, so that none goes away or stops being external meanwhile.
		_, err := tx.exec(ctx, `
			INSERT INTO neighbours AS x (network_id, addr, mac)
			SELECT n.id, t.addr, t.mac
			FROM unnest($1::uuid[], $2::inet[], $3::macaddr[]) AS t(network, addr, mac)
			JOIN (SELECT id FROM networks WHERE id = ANY($1::uuid[]) AND external ORDER BY id FOR SHARE) AS n ON n.id = t.network
			ORDER BY n.id, t.addr
			ON CONFLICT (network_id, addr) DO UPDATE SET mac = excluded.mac WHERE x.mac <> excluded.mac`, networks, addrs, macs)
		return wrap("save neighbours", err)
	})
}

// DropNeighbours forgets what no longer answers, in one transaction. One that has another MAC by now stays.
func (db *DB) DropNeighbours(ctx context.Context, silent []signalbox.Neighbour) error {
	if len(silent) == 0 {
		return nil
	}
	networks, addrs, macs := neighbourColumns(silent)
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `
			WITH locked AS (
				SELECT x.id FROM neighbours x JOIN unnest($1::uuid[], $2::inet[], $3::macaddr[]) AS t(network, addr, mac)
				     ON x.network_id = t.network AND x.addr = t.addr AND x.mac = t.mac
				ORDER BY x.network_id, x.addr FOR UPDATE OF x)
			DELETE FROM neighbours WHERE id IN (SELECT id FROM locked)`, networks, addrs, macs)
		return wrap("drop neighbours", err)
	})
}

// neighbourColumns turns neighbours into arrays, with one for each address of a network.
func neighbourColumns(of []signalbox.Neighbour) (networks, addrs, macs pq.StringArray) {
	type place struct {
		network uuid.UUID
		addr    netip.Addr
	}
	at := make(map[place]int, len(of))
	for _, n := range of {
		i, again := at[place{n.NetworkID, n.Addr}]
		if again {
			macs[i] = n.MAC.String()
			continue
		}
		at[place{n.NetworkID, n.Addr}] = len(macs)
		networks, addrs, macs = append(networks, n.NetworkID.String()), append(addrs, n.Addr.String()), append(macs, n.MAC.String())
	}
	return networks, addrs, macs
}
