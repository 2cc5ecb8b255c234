package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

const selectNetwork = `
SELECT n.id, n.key, n.project_id, n.name, n.description, n.admin_state_up, n.shared_with, n.external_to, n.unsecured, n.mtu, n.dns_domain, n.zone_hints,
       n.created_at, n.updated_at, n.revision, n.tags,
       coalesce(s.network_type, 'local') AS network_type, coalesce(s.physical, '') AS physical,
       coalesce(s.segmentation_id, 0) AS segmentation_id,
       ARRAY(SELECT concat_ws(' ', c.id, (SELECT b.address_scope_id || ' ' || b.ip_version FROM subnetpools b WHERE b.id = c.subnetpool_id))
             FROM subnets c WHERE c.network_id = n.id ORDER BY c.created_at, c.id) AS subnets
FROM networks n LEFT JOIN segments s ON s.network_id = n.id`

type networkRow struct {
	ID             uuid.UUID
	Key            int64
	ProjectID      string `db:"project_id"`
	Name           string
	Description    string
	AdminStateUp   bool  `db:"admin_state_up"`
	SharedWith     array `db:"shared_with"`
	ExternalTo     array `db:"external_to"`
	Unsecured      bool
	MTU            int
	DNSDomain      string `db:"dns_domain"`
	NetworkType    string `db:"network_type"`
	Physical       string
	SegmentationID int64 `db:"segmentation_id"`
	Subnets        array
	ZoneHints      array `db:"zone_hints"`
	Tags           array
	metaRow
}

func (r *networkRow) network() (n signalbox.Network, err error) {
	n = signalbox.Network{
		ID: r.ID, Key: signalbox.NetworkKey(r.Key), ProjectID: r.ProjectID, Name: r.Name, Description: r.Description,
		AdminStateUp: r.AdminStateUp, Unsecured: r.Unsecured, MTU: r.MTU, DNSDomain: r.DNSDomain,
		Segment:   signalbox.Segment{Type: signalbox.NetworkType(r.NetworkType), Physical: r.Physical, ID: uint32(r.SegmentationID)},
		ZoneHints: tags(r.ZoneHints), Tags: tags(r.Tags), Meta: r.meta(),
	}
	open(&n, r.SharedWith, r.ExternalTo)
	return n, readSubnets(&n, r.Subnets)
}

// readSubnets reads the subnets of a network: each is "id", or "id scope family" if it is cut from a pool that is in an address scope.
func readSubnets(n *signalbox.Network, texts []string) error {
	for _, text := range texts {
		words := strings.Fields(text)
		id, err := uuid.Parse(words[0])
		if err != nil {
			return err
		}
		n.Subnets = append(n.Subnets, id)
		if len(words) < 3 {
			continue
		}
		scope := &n.IPv4Scope
		if words[2] == "6" {
			scope = &n.IPv6Scope
		}
		if *scope, err = uuid.Parse(words[1]); err != nil {
			return err
		}
	}
	return nil
}

// metaRow is what every row carries about itself.
type metaRow struct {
	CreatedAt time.Time `db:"created_at" json:"created_at"`
	UpdatedAt time.Time `db:"updated_at" json:"updated_at"`
	Revision  int64
}

func (r *metaRow) meta() signalbox.Meta {
	return signalbox.Meta{CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Revision: r.Revision}
}

// keyedMeta is what a network's or port's insert gives back.
type keyedMeta struct {
	Key int64
	metaRow
}

// open tells a network what its policies say.
func open(n *signalbox.Network, sharedWith, externalTo []string) {
	n.SharedWith, n.ExternalTo = tags(sharedWith), tags(externalTo)
	n.Shared, n.External = slices.Contains(sharedWith, signalbox.Everyone), len(externalTo) > 0
}

// InsertNetwork writes a network, and the policies by which it is Shared and External to all, and fills its Key and Meta. The
// segment is not written here: see ClaimSegment and PickSegment. A network without a segment is Local.
func (tx *Tx) InsertNetwork(ctx context.Context, n *signalbox.Network) error {
	var got keyedMeta
	err := tx.get(ctx, &got, `
		INSERT INTO networks (id, project_id, name, description, admin_state_up, mtu, unsecured, dns_domain, zone_hints)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING key, created_at, updated_at, revision`,
		n.ID, n.ProjectID, n.Name, n.Description, n.AdminStateUp, n.MTU, n.Unsecured, n.DNSDomain, hints(n.ZoneHints))
	if err != nil {
		return wrap("insert network", err)
	}
	n.Key, n.Meta = signalbox.NetworkKey(got.Key), got.meta()
	if n.Shared || n.External {
		err = tx.publish(ctx, n)
	}
	return wrap("insert network", err)
}

// publish gives a network the policies for all that its Shared and External ask for, takes away those that they do not, and
// renews what of the network follows from them. Who is external to some need not be to all; who is not is so to nobody.
func (tx *Tx) publish(ctx context.Context, n *signalbox.Network) error {
	if _, err := tx.exec(ctx, `
		WITH ended AS (
			DELETE FROM rbac_policies WHERE object_id = $1
			AND (action = 'access_as_shared' AND target = '*' AND NOT $3 OR action = 'access_as_external' AND NOT $4))
		INSERT INTO rbac_policies (id, project_id, object_type, object_id, action, target)
		SELECT gen_random_uuid(), $2, 'network', $1, wanted, '*' FROM (VALUES ('access_as_shared', $3), ('access_as_external', $4)) AS t(wanted, so)
		WHERE so AND NOT EXISTS (SELECT FROM rbac_policies WHERE object_id = $1 AND action = wanted AND (target = '*' OR action = 'access_as_external'))`,
		n.ID, n.ProjectID, n.Shared, n.External); err != nil {
		return err
	}
	var got networkRow
	err := tx.get(ctx, &got, `SELECT shared_with, external_to, created_at, updated_at, revision FROM networks WHERE id = $1`, n.ID)
	n.Meta = got.meta()
	open(n, got.SharedWith, got.ExternalTo)
	return err
}

// Network is the network with that id, or NotFound.
func (tx *Tx) Network(ctx context.Context, id uuid.UUID) (*signalbox.Network, error) {
	return tx.network(ctx, id, selectNetwork+` WHERE n.id = $1`)
}

// NetworkForShare is Network, and keeps the network from being deleted until the transaction ends. Many may hold it.
func (tx *Tx) NetworkForShare(ctx context.Context, id uuid.UUID) (*signalbox.Network, error) {
	return tx.network(ctx, id, selectNetwork+` WHERE n.id = $1 FOR KEY SHARE OF n`)
}

// NetworksForShare is NetworkForShare for many; those that are not there are left out.
func (tx *Tx) NetworksForShare(ctx context.Context, ids []uuid.UUID) ([]signalbox.Network, error) {
	names := make(pq.StringArray, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	var rows []networkRow
	if err := tx.all(ctx, &rows, selectNetwork+` WHERE n.id = ANY($1::uuid[]) ORDER BY n.id FOR KEY SHARE OF n`, names); err != nil {
		return nil, wrap("read networks", err)
	}
	ns, err := networks(rows)
	return ns, wrap("read networks", err)
}

// NetworkForUpdate is Network, alone: it waits for all who hold the row, and they wait for this transaction.
// The row is locked first and read after, so that its subnets are as fresh as itself.
func (tx *Tx) NetworkForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Network, error) {
	if _, err := tx.exec(ctx, `SELECT FROM networks WHERE id = $1 FOR UPDATE`, id); err != nil {
		return nil, wrap("lock network", err)
	}
	return tx.Network(ctx, id)
}

func (tx *Tx) network(ctx context.Context, id uuid.UUID, text string) (*signalbox.Network, error) {
	var r networkRow
	if err := tx.get(ctx, &r, text, id); isNoRows(err) {
		return nil, notFound("read network", "network", id)
	} else if err != nil {
		return nil, wrap("read network", err)
	}
	n, err := r.network()
	return &n, wrap("read network", err)
}

// Networks are the networks that the query asks for.
func (tx *Tx) Networks(ctx context.Context, q Query) ([]signalbox.Network, error) {
	rows, err := list[networkRow](ctx, tx, networkList, q)
	if err != nil {
		return nil, err
	}
	return networks(rows)
}

func networks(rows []networkRow) (out []signalbox.Network, err error) {
	out = make([]signalbox.Network, len(rows))
	for i := range rows {
		if out[i], err = rows[i].network(); err != nil {
			return nil, wrap("read networks", err)
		}
	}
	return out, nil
}

// UpdateNetwork writes what may change of a network (not its key, segment or subnets), of its policies what its Shared and
// External say, and renews its Meta.
func (tx *Tx) UpdateNetwork(ctx context.Context, n *signalbox.Network) error {
	var got networkRow
	err := tx.get(ctx, &got, `
		UPDATE networks SET name = $2, description = $3, admin_state_up = $4, mtu = $5,
		       project_id = $6, unsecured = $7, dns_domain = $8, updated_at = clock_timestamp(), revision = revision + 1
		WHERE id = $1 RETURNING created_at, updated_at, revision, shared_with, external_to`,
		n.ID, n.Name, n.Description, n.AdminStateUp, n.MTU, n.ProjectID, n.Unsecured, n.DNSDomain)
	if isNoRows(err) {
		return notFound("update network", "network", n.ID)
	} else if err != nil {
		return wrap("update network", err)
	}
	n.Meta = got.meta()
	var is signalbox.Network
	if open(&is, got.SharedWith, got.ExternalTo); is.Shared != n.Shared || is.External != n.External {
		err = tx.publish(ctx, n)
	}
	return wrap("update network", err)
}

// DeleteNetwork deletes a network with its subnets and its segment. Conflict ReasonNetworkInUse while any port is left
// on it, DHCP ports among them: delete those first.
func (tx *Tx) DeleteNetwork(ctx context.Context, id uuid.UUID) error {
	n, err := tx.exec(ctx, `DELETE FROM networks WHERE id = $1`, id)
	if err != nil {
		return inUse(err, signalbox.ReasonNetworkInUse, "network", id)
	}
	if n == 0 {
		return notFound("delete network", "network", id)
	}
	return nil
}
