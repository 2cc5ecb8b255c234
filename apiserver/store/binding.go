package store

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// Bind says where ports are, in one transaction; of several bindings of one port the last counts, and it
// replaces what was there. Ports that are gone, hosts that are not known and ports that are no VIF's are passed over. The feed tells
// of the ports whose place is new.
func (db *DB) Bind(ctx context.Context, bindings []signalbox.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	ports, hosts, interfaces, by := bindingColumns(bindings)
	return db.Write(ctx, func(tx *Tx) error {
		// The ports are locked, in order, so that none goes away before the binding that refers to it is written.
		_, err := tx.exec(ctx, `
			INSERT INTO bindings AS b (port_id, host_id, interface, bound_by)
			SELECT p.id, h.id, t.interface, t.bound_by
			FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS t(port, host, interface, bound_by)
			JOIN (SELECT id FROM ports WHERE id = ANY($1::uuid[]) AND role = '' ORDER BY id FOR KEY SHARE) AS p ON p.id = t.port
			JOIN hosts h ON h.id = t.host
			ORDER BY p.id
			ON CONFLICT (port_id) DO UPDATE
			SET host_id = excluded.host_id, interface = excluded.interface, bound_by = excluded.bound_by, bound_at = clock_timestamp()
			WHERE (b.host_id, b.interface, b.bound_by) IS DISTINCT FROM (excluded.host_id, excluded.interface, excluded.bound_by)`,
			ports, hosts, interfaces, by)
		return wrap("bind", err)
	})
}

// Unbind says that ports are no longer at these places. A binding whose host or interface is another by now stays.
func (db *DB) Unbind(ctx context.Context, bindings []signalbox.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	ports, hosts, interfaces, _ := bindingColumns(bindings)
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `
			WITH locked AS (SELECT port_id FROM bindings WHERE port_id = ANY($1::uuid[]) ORDER BY port_id FOR UPDATE)
			DELETE FROM bindings b
			USING locked, unnest($1::uuid[], $2::uuid[], $3::text[]) AS t(port, host, interface)
			WHERE b.port_id = locked.port_id AND b.port_id = t.port AND b.host_id = t.host AND b.interface = t.interface`,
			ports, hosts, interfaces)
		return wrap("unbind", err)
	})
}

// bindingColumns turns bindings into arrays, in order of the ports' ids and with one for each port.
func bindingColumns(bindings []signalbox.Binding) (ports, hosts, interfaces, by pq.StringArray) {
	last := make(map[uuid.UUID]signalbox.Binding, len(bindings))
	for _, b := range bindings {
		last[b.PortID] = b
	}
	for _, id := range slices.SortedFunc(maps.Keys(last), compareIDs) {
		b := last[id]
		ports, hosts = append(ports, id.String()), append(hosts, b.HostID.String())
		interfaces, by = append(interfaces, b.Interface), append(by, string(b.By))
	}
	return ports, hosts, interfaces, by
}

func compareIDs(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }

// SetStatus writes ports' statuses, in one transaction. Ports that are gone are passed over, and a port that has the
// status already keeps its revision. The feed says nothing of it: the controller is the only author. Who listens for Nova is told.
func (db *DB) SetStatus(ctx context.Context, statuses map[uuid.UUID]signalbox.Status) error {
	if len(statuses) == 0 {
		return nil
	}
	ids, words := statusColumns(statuses)
	return db.retry(ctx, func(tx *Tx) error { // without ringing
		_, err := tx.exec(ctx, `
			WITH locked AS (SELECT id FROM ports WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE),
			changed AS (
				UPDATE ports p SET status = t.status, revision = revision + 1, updated_at = clock_timestamp()
				FROM locked, unnest($1::uuid[], $2::text[]) AS t(id, status)
				WHERE p.id = locked.id AND p.id = t.id AND p.status <> t.status
				RETURNING p.id, p.status, p.device_owner, p.device_id)
			INSERT INTO nova_events (server_id, name, port_id)
			SELECT c.device_id::uuid, CASE c.status WHEN 'ACTIVE' THEN 'network-vif-plugged' ELSE 'network-vif-unplugged' END, c.id
			FROM nova_listener l JOIN changed c ON of_a_server(c.device_owner, c.device_id)
			WHERE l.one AND l.until > clock_timestamp()`, ids, words)
		return wrap("set status", err)
	})
}

// statusColumns turns statuses into arrays.
func statusColumns(statuses map[uuid.UUID]signalbox.Status) (ids, words pq.StringArray) {
	for id, s := range statuses {
		ids, words = append(ids, id.String()), append(words, string(s))
	}
	return ids, words
}
