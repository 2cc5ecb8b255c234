package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// A session that nobody has said anything of for so long has ended, with the controller. It is Neutron's agent_down_time.
const alive = `coalesce(s.up AND s.seen_at > now() - interval '75 seconds', false)`

const selectAgent = `
SELECT h.id, h.datapath_id, h.name, h.tunnel_ip, h.mappings, h.managed, h.datapath_type, h.mac, NOT h.admin_state_up AS closed,
       h.description, ` + alive + ` AS alive, (SELECT count(*) FROM bindings b WHERE b.host_id = h.id) AS ports,
       h.created_at, coalesce(s.began_at, h.created_at) AS started_at, coalesce(s.seen_at, h.created_at) AS heard_at
FROM hosts h LEFT JOIN sessions s ON s.host_id = h.id`

type agentRow struct {
	hostRow
	Description string
	Alive       bool
	Ports       int
	CreatedAt   time.Time `db:"created_at"`
	StartedAt   time.Time `db:"started_at"`
	HeardAt     time.Time `db:"heard_at"`
}

func (r *agentRow) agent() signalbox.Agent {
	return signalbox.Agent{Host: r.host(), Description: r.Description, Alive: r.Alive, Ports: r.Ports,
		CreatedAt: r.CreatedAt.UTC(), StartedAt: r.StartedAt.UTC(), HeardAt: r.HeardAt.UTC()}
}

var agentList = listing{
	resource: "host", table: "h", sel: selectAgent,
	columns: map[string]column{
		"id":             {expr: "h.id", typ: "uuid"},
		"host":           {expr: "h.name", typ: "text"},
		"description":    {expr: "h.description", typ: "text"},
		"admin_state_up": {expr: "h.admin_state_up", typ: "boolean"},
		"alive":          {expr: alive, typ: "boolean"},

		"agent_type":        {expr: "'Open vSwitch agent'::text", typ: "text"},
		"binary":            {expr: "'ovs-vswitchd'::text", typ: "text"},
		"topic":             {expr: "'N/A'::text", typ: "text"},
		"availability_zone": {expr: "'" + signalbox.DefaultZone + "'::text", typ: "text"},
	},
}

// SaveSessions says with which hosts' switches the controller has a connection, as of now. Hosts that are not there are passed
// over, and the feed tells of nothing.
func (db *DB) SaveSessions(ctx context.Context, sessions map[uuid.UUID]signalbox.Session) error {
	if len(sessions) == 0 {
		return nil
	}
	var hosts, since pq.StringArray
	var up pq.BoolArray
	for host, s := range sessions {
		hosts, up, since = append(hosts, host.String()), append(up, s.Up), append(since, s.Since.UTC().Format(time.RFC3339Nano))
	}
	return db.retry(ctx, func(tx *Tx) error { // without ringing
		_, err := tx.exec(ctx, `
			INSERT INTO sessions AS s (host_id, up, began_at)
			SELECT h.id, t.up, CASE WHEN t.up THEN t.since ELSE clock_timestamp() END
			FROM unnest($1::uuid[], $2::boolean[], $3::timestamptz[]) AS t(host, up, since)
			JOIN (SELECT id FROM hosts WHERE id = ANY($1::uuid[]) ORDER BY id FOR KEY SHARE) AS h ON h.id = t.host ORDER BY h.id
			ON CONFLICT (host_id) DO UPDATE SET up = excluded.up, seen_at = clock_timestamp(),
			    began_at = CASE WHEN excluded.up THEN excluded.began_at ELSE s.began_at END`, hosts, up, since)
		return wrap("save sessions", err)
	})
}

// Agents are the hosts that the query asks for.
func (tx *Tx) Agents(ctx context.Context, q Query) ([]signalbox.Agent, error) {
	rows, err := list[agentRow](ctx, tx, agentList, q)
	if err != nil {
		return nil, err
	}
	out := make([]signalbox.Agent, len(rows))
	for i := range rows {
		out[i] = rows[i].agent()
	}
	return out, nil
}

// Agent is the host with that id, or NotFound.
func (tx *Tx) Agent(ctx context.Context, id uuid.UUID) (*signalbox.Agent, error) {
	var r agentRow
	if err := tx.get(ctx, &r, selectAgent+` WHERE h.id = $1`, id); isNoRows(err) {
		return nil, notFound("read agent", "agent", id)
	} else if err != nil {
		return nil, wrap("read agent", err)
	}
	a := r.agent()
	return &a, nil
}

// AgentForUpdate is Agent, alone: others who want to change the host wait for this transaction.
func (tx *Tx) AgentForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Agent, error) {
	if _, err := tx.exec(ctx, `SELECT FROM hosts WHERE id = $1 FOR UPDATE`, id); err != nil {
		return nil, wrap("lock agent", err)
	}
	return tx.Agent(ctx, id)
}

// UpdateAgent writes what an operator says of a host: a.Closed and a.Description.
func (tx *Tx) UpdateAgent(ctx context.Context, a *signalbox.Agent) error {
	_, err := tx.exec(ctx, `UPDATE hosts SET admin_state_up = NOT $2, description = $3 WHERE id = $1`, a.ID, a.Closed, a.Description)
	return wrap("update agent", err)
}

// DeleteAgent forgets a host: no port is bound there any more, and no gateway is there.
func (tx *Tx) DeleteAgent(ctx context.Context, id uuid.UUID) error {
	_, err := tx.exec(ctx, `DELETE FROM hosts WHERE id = $1`, id)
	return wrap("delete agent", err)
}

// AnyAgentAlive reports whether the controller has a connection with any host that is not closed.
func (tx *Tx) AnyAgentAlive(ctx context.Context) (bool, error) {
	var ids []uuid.UUID
	err := tx.all(ctx, &ids, "SELECT h.id FROM hosts h JOIN sessions s ON s.host_id = h.id WHERE h.admin_state_up AND "+alive+"\nORDER BY h.id LIMIT 1")
	return len(ids) > 0, wrap("look for a host", err)
}

// served is the condition that DHCP answers on network p.network_id. It counts, because PostgreSQL may make of an EXISTS a join
// that reads all subnets.
const served = `(SELECT count(*) FROM subnets s WHERE s.network_id = p.network_id AND s.enable_dhcp AND family(s.cidr) = 4) > 0`

// ServedAt are the networks of which a host has ports that get their addresses by DHCP.
func (tx *Tx) ServedAt(ctx context.Context, host uuid.UUID) (networks []uuid.UUID, err error) {
	err = tx.all(ctx, &networks, `
		SELECT DISTINCT p.network_id FROM bindings b JOIN ports p ON p.id = b.port_id WHERE b.host_id = $1 AND `+served, host)
	return networks, wrap("read networks of a host", err)
}

// ServersOf are the hosts that have ports of a network that get their addresses by DHCP.
func (tx *Tx) ServersOf(ctx context.Context, network uuid.UUID) (hosts []uuid.UUID, err error) {
	err = tx.all(ctx, &hosts, `
		SELECT DISTINCT b.host_id FROM ports p JOIN bindings b ON b.port_id = p.id WHERE p.network_id = $1 AND `+served, network)
	return hosts, wrap("read hosts of a network", err)
}

// RoutersAt are the routers whose gateways are at a host.
func (tx *Tx) RoutersAt(ctx context.Context, host uuid.UUID) (routers []uuid.UUID, err error) {
	err = tx.all(ctx, &routers, `SELECT router_id FROM router_gateways WHERE host_id = $1`, host)
	return routers, wrap("read routers of a host", err)
}

// hints are a row's availability zones; none are an empty array.
func hints(zones []string) pq.StringArray { return append(pq.StringArray{}, zones...) }
