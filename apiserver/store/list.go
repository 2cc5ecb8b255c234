package store

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// column is what an attribute is in SQL.
type column struct {
	expr     string // never made from a request
	typ      string // PostgreSQL's name of the type that values are compared as
	nullable bool   // rows without it come before the others
	sparse   bool   // it has an index of what is not ""
}

// listing is what lists of one resource are made from.
type listing struct {
	resource string
	table    string // alias of the table whose id is the row's
	sel      string // SELECT … FROM …
	columns  map[string]column
	visible  string // the condition of Query.VisibleTo; %[1]s is its parameter
	shared   string // whether a row is shared with Query.Asker, %[1]s; "" where none can be
}

var networkList = listing{
	resource: "network", table: "n", sel: selectNetwork,
	visible: "(n.project_id = %[1]s OR " + openTo + ")",
	shared:  "n.shared_with && ARRAY['*', %[1]s]",
	columns: map[string]column{
		"id":                        {expr: "n.id", typ: "uuid"},
		"name":                      {expr: "n.name", typ: "text"},
		"description":               {expr: "n.description", typ: "text"},
		"project_id":                {expr: "n.project_id", typ: "text"},
		"tenant_id":                 {expr: "n.project_id", typ: "text"},
		"status":                    {expr: "'ACTIVE'::text", typ: "text"},
		"admin_state_up":            {expr: "n.admin_state_up", typ: "boolean"},
		"shared":                    {expr: "n.shared", typ: "boolean"}, // to sort by
		"router:external":           {expr: "n.external", typ: "boolean"},
		"mtu":                       {expr: "n.mtu", typ: "bigint"},
		"provider:network_type":     {expr: "coalesce(s.network_type, 'local')", typ: "text"},
		"provider:physical_network": {expr: "s.physical", typ: "text", nullable: true},
		"provider:segmentation_id":  {expr: "s.segmentation_id", typ: "bigint", nullable: true},
		"dns_domain":                {expr: "n.dns_domain", typ: "text", sparse: true},
		"created_at":                {expr: "n.created_at", typ: "timestamptz"},
		"updated_at":                {expr: "n.updated_at", typ: "timestamptz"},
		"revision_number":           {expr: "n.revision", typ: "bigint"},
	},
}

// openTo is the condition that a policy lets a project know of a network.
const openTo = "n.audience <> '{}' AND n.audience && ARRAY['*', %[1]s]"

var subnetList = listing{
	resource: "subnet", table: "s", sel: selectSubnet,
	visible: ownOrOn("s", "subnets", "n.project_id = %[1]s", openTo),
	shared:  "(SELECT n.shared_with && ARRAY['*', %[1]s] FROM networks n WHERE n.id = s.network_id)",
	columns: map[string]column{
		"id":                {expr: "s.id", typ: "uuid"},
		"name":              {expr: "s.name", typ: "text"},
		"description":       {expr: "s.description", typ: "text"},
		"project_id":        {expr: "s.project_id", typ: "text"},
		"tenant_id":         {expr: "s.project_id", typ: "text"},
		"network_id":        {expr: "s.network_id", typ: "uuid"},
		"cidr":              {expr: "s.cidr", typ: "cidr"},
		"ip_version":        {expr: "family(s.cidr)", typ: "bigint"},
		"gateway_ip":        {expr: "s.gateway_ip", typ: "inet", nullable: true},
		"enable_dhcp":       {expr: "s.enable_dhcp", typ: "boolean"},
		"ipv6_ra_mode":      {expr: "s.ra_mode", typ: "text"},
		"ipv6_address_mode": {expr: "s.address_mode", typ: "text"},
		"subnetpool_id":     {expr: "s.subnetpool_id", typ: "uuid", nullable: true},
		"router:external":   {expr: "(SELECT n.external FROM networks n WHERE n.id = s.network_id)", typ: "boolean"},
		"created_at":        {expr: "s.created_at", typ: "timestamptz"},
		"updated_at":        {expr: "s.updated_at", typ: "timestamptz"},
		"revision_number":   {expr: "s.revision", typ: "bigint"},
	},
}

var portList = listing{
	resource: "port", table: "p", sel: selectPorts,
	visible: ownOrOn("p", "ports", "n.project_id = %[1]s"),
	columns: map[string]column{
		"id":                {expr: "p.id", typ: "uuid"},
		"name":              {expr: "p.name", typ: "text"},
		"description":       {expr: "p.description", typ: "text"},
		"project_id":        {expr: "p.project_id", typ: "text"},
		"tenant_id":         {expr: "p.project_id", typ: "text"},
		"network_id":        {expr: "p.network_id", typ: "uuid"},
		"status":            {expr: "p.status", typ: "text"},
		"admin_state_up":    {expr: "p.admin_state_up", typ: "boolean"},
		"mac_address":       {expr: "p.mac", typ: "macaddr"},
		"device_id":         {expr: "p.device_id", typ: "text"},
		"device_owner":      {expr: "p.device_owner", typ: "text"},
		"created_at":        {expr: "timezone('UTC', p.created_at)", typ: "timestamptz"}, // of which there is an index
		"updated_at":        {expr: "p.updated_at", typ: "timestamptz"},
		"revision_number":   {expr: "p.revision", typ: "bigint"},
		"binding:vnic_type": {expr: "p.vnic_type", typ: "text"},
		"dns_name":          {expr: "p.dns_name", typ: "text", sparse: true},
	},
}

var routerList = listing{
	resource: "router", table: "r", sel: selectRouter,
	visible: "r.project_id = %[1]s",
	columns: map[string]column{
		"id":              {expr: "r.id", typ: "uuid"},
		"name":            {expr: "r.name", typ: "text"},
		"description":     {expr: "r.description", typ: "text"},
		"project_id":      {expr: "r.project_id", typ: "text"},
		"tenant_id":       {expr: "r.project_id", typ: "text"},
		"status":          {expr: "'ACTIVE'::text", typ: "text"},
		"admin_state_up":  {expr: "r.admin_state_up", typ: "boolean"},
		"created_at":      {expr: "r.created_at", typ: "timestamptz"},
		"updated_at":      {expr: "r.updated_at", typ: "timestamptz"},
		"revision_number": {expr: "r.revision", typ: "bigint"},
	},
}

var floatingIPList = listing{
	resource: "floatingip", table: "f", sel: selectFloatingIP,
	visible: "f.project_id = %[1]s",
	columns: map[string]column{
		"id":                  {expr: "f.id", typ: "uuid"},
		"description":         {expr: "f.description", typ: "text"},
		"project_id":          {expr: "f.project_id", typ: "text"},
		"tenant_id":           {expr: "f.project_id", typ: "text"},
		"status":              {expr: "f.status", typ: "text"},
		"floating_network_id": {expr: "f.network_id", typ: "uuid"},
		"floating_ip_address": {expr: "a.ip", typ: "inet"},
		"fixed_ip_address":    {expr: "f.fixed_ip", typ: "inet", nullable: true},
		"port_id":             {expr: "t.port_id", typ: "uuid", nullable: true},
		"router_id":           {expr: "f.router_id", typ: "uuid", nullable: true},
		"created_at":          {expr: "f.created_at", typ: "timestamptz"},
		"updated_at":          {expr: "f.updated_at", typ: "timestamptz"},
		"revision_number":     {expr: "f.revision", typ: "bigint"},
	},
}

var securityGroupList = listing{
	resource: "security_group", table: "g", sel: selectSecurityGroup,
	visible: "(g.project_id = %[1]s OR g.shared_with <> '{}' AND g.shared_with && ARRAY['*', %[1]s])",
	shared:  "g.shared_with && ARRAY['*', %[1]s]",
	columns: map[string]column{
		"id":              {expr: "g.id", typ: "uuid"},
		"name":            {expr: "g.name", typ: "text"},
		"description":     {expr: "g.description", typ: "text"},
		"project_id":      {expr: "g.project_id", typ: "text"},
		"tenant_id":       {expr: "g.project_id", typ: "text"},
		"stateful":        {expr: "true::boolean", typ: "boolean"},
		"created_at":      {expr: "g.created_at", typ: "timestamptz"},
		"updated_at":      {expr: "g.updated_at", typ: "timestamptz"},
		"revision_number": {expr: "g.revision", typ: "bigint"},
	},
}

var ruleList = listing{
	resource: "security_group_rule", table: "r", sel: selectRule,
	visible: "r.project_id = %[1]s",
	columns: map[string]column{
		"id":                {expr: "r.id", typ: "uuid"},
		"description":       {expr: "r.description", typ: "text"},
		"project_id":        {expr: "r.project_id", typ: "text"},
		"tenant_id":         {expr: "r.project_id", typ: "text"},
		"security_group_id": {expr: "r.group_id", typ: "uuid"},
		"direction":         {expr: "r.direction", typ: "text"},
		"ethertype":         {expr: "r.ethertype", typ: "text"},
		"protocol":          {expr: "r.protocol", typ: "text", nullable: true},
		"port_range_min":    {expr: "r.port_min", typ: "bigint", nullable: true},
		"port_range_max":    {expr: "r.port_max", typ: "bigint", nullable: true},
		"remote_group_id":   {expr: "r.remote_group_id", typ: "uuid", nullable: true},
		"remote_ip_prefix":  {expr: "text(r.remote_prefix)", typ: "text", nullable: true},
		"normalized_cidr":   {expr: "network(r.remote_prefix)", typ: "cidr", nullable: true},
		"created_at":        {expr: "r.created_at", typ: "timestamptz"},
		"updated_at":        {expr: "r.updated_at", typ: "timestamptz"},
		"revision_number":   {expr: "r.revision", typ: "bigint"},
	},
}

// ownOrOn is the condition that a row is a project's own, or on a network n of which one of the other conditions holds.
func ownOrOn(alias, table string, networks ...string) string {
	some := "SELECT id FROM " + table + " WHERE project_id = %[1]s"
	for _, condition := range networks { // each by its own index
		some += "\n\t      UNION ALL SELECT v.id FROM networks n JOIN " + table + " v ON v.network_id = n.id WHERE " + condition
	}
	return alias + ".id IN (" + some + ")"
}

// list runs a query, and keeps its rows, of which R is one.
func list[R any](ctx context.Context, tx *Tx, l listing, q Query) (rows []R, err error) {
	var row, blank R
	err = tx.walk(ctx, &row, l, q, func() error {
		rows = append(grown(rows), row)
		row = blank // the next shall share nothing with it
		return nil
	})
	return rows, err
}

// grown has room for one more. What append does by itself copies each row of a long list five times.
func grown[R any](rows []R) []R {
	if len(rows) < cap(rows) {
		return rows
	}
	return slices.Grow(rows, max(16, len(rows)))
}

// walk runs a query whose rows are many: row is a pointer to one, which is read into it, and taken, before the next.
func (tx *Tx) walk(ctx context.Context, row any, l listing, q Query, take func() error) error {
	st, err := tx.statement(ctx, l, q)
	if err != nil {
		return err
	}
	return wrap(l.op(), tx.each(ctx, row, take, st.text.String(), st.args...))
}

// part is what rows of a list have many of in another table.
type part struct {
	sel   string // SELECT, of each one thing of bytes, AS part … FROM …
	owner string // the column that says whose it is
	order string // of one owner's
}

// parts reads what rows of a list have of a part, all in one value, each after the 16 bytes of its owner's id. A subquery in each row
// costs five times as much, and a row for each three times.
func (tx *Tx) parts(ctx context.Context, q Query, owners uuids, p part) (all []byte, err error) {
	from, args := p.sel, []any{}
	if !q.everything() {
		from, args = from+" WHERE "+p.owner+" = ANY($1::uuid[])", []any{owners}
	}
	if len(owners) > 0 {
		err = tx.get(ctx, &all, "SELECT string_agg(part, '') FROM (\n"+from+"\nORDER BY "+p.owner+", "+p.order+") AS parts", args...)
	}
	return all, err
}

func (l listing) op() string { return "list " + l.rows() }

// statement is a query in SQL.
func (tx *Tx) statement(ctx context.Context, l listing, q Query) (*statement, error) {
	var st statement
	st.text.WriteString(l.sel)
	if err := l.where(&st, q); err != nil {
		err.Op = l.op()
		return nil, err
	}
	if q.Marker != uuid.Nil {
		if n, err := tx.exists(ctx, l, q.Marker); err != nil {
			return nil, wrap(l.op(), err)
		} else if !n {
			return nil, notFound(l.op(), l.resource, q.Marker)
		}
	}
	if err := l.order(&st, q); err != nil {
		err.Op = l.op()
		return nil, err
	}
	if q.Limit > 0 {
		st.text.WriteString(" LIMIT " + st.param(q.Limit))
	}
	return &st, nil
}

// exists reports whether a marker names a row.
func (tx *Tx) exists(ctx context.Context, l listing, id uuid.UUID) (yes bool, err error) {
	err = tx.get(ctx, &yes, "SELECT EXISTS (SELECT"+l.from()+" WHERE "+l.table+".id = $1)", id)
	return yes, err
}

// rows is what more than one row is called.
func (l listing) rows() string {
	if short, ok := strings.CutSuffix(l.resource, "y"); ok {
		return short + "ies"
	}
	return l.resource + "s"
}

// from is the FROM clause of a listing's rows.
func (l listing) from() string { return l.sel[strings.LastIndex(l.sel, "\nFROM "):] }

var scopeList = listing{
	resource: "address_scope", table: "k", sel: selectScope,
	visible: "(k.project_id = %[1]s OR k.shared_with <> '{}' AND k.shared_with && ARRAY['*', %[1]s])",
	shared:  "k.shared_with && ARRAY['*', %[1]s]",
	columns: map[string]column{
		"id":         {expr: "k.id", typ: "uuid"},
		"name":       {expr: "k.name", typ: "text"},
		"project_id": {expr: "k.project_id", typ: "text"},
		"tenant_id":  {expr: "k.project_id", typ: "text"},
		"ip_version": {expr: "k.ip_version", typ: "bigint"},
	},
}

var subnetPoolList = listing{
	resource: "subnetpool", table: "b", sel: selectSubnetPool,
	visible: "(b.project_id = %[1]s OR b.shared_with <> '{}' AND b.shared_with && ARRAY['*', %[1]s])",
	shared:  "b.shared_with && ARRAY['*', %[1]s]",
	columns: map[string]column{
		"id":                {expr: "b.id", typ: "uuid"},
		"name":              {expr: "b.name", typ: "text"},
		"description":       {expr: "b.description", typ: "text"},
		"project_id":        {expr: "b.project_id", typ: "text"},
		"tenant_id":         {expr: "b.project_id", typ: "text"},
		"ip_version":        {expr: "b.ip_version", typ: "bigint"},
		"min_prefixlen":     {expr: "b.min_prefixlen", typ: "bigint"},
		"default_prefixlen": {expr: "b.default_prefixlen", typ: "bigint"},
		"max_prefixlen":     {expr: "b.max_prefixlen", typ: "bigint"},
		"default_quota":     {expr: "b.default_quota", typ: "bigint", nullable: true},
		"is_default":        {expr: "b.is_default", typ: "boolean"},
		"address_scope_id":  {expr: "b.address_scope_id", typ: "uuid", nullable: true},
		"created_at":        {expr: "b.created_at", typ: "timestamptz"},
		"updated_at":        {expr: "b.updated_at", typ: "timestamptz"},
		"revision_number":   {expr: "b.revision", typ: "bigint"},
	},
}

var policyList = listing{
	resource: "rbac_policy", table: "x", sel: selectPolicy,
	visible: "x.project_id = %[1]s",
	columns: map[string]column{
		"id":            {expr: "x.id", typ: "uuid"},
		"project_id":    {expr: "x.project_id", typ: "text"},
		"tenant_id":     {expr: "x.project_id", typ: "text"},
		"object_type":   {expr: "x.object_type", typ: "text"},
		"object_id":     {expr: "x.object_id", typ: "uuid"},
		"action":        {expr: "x.action", typ: "text"},
		"target_tenant": {expr: "x.target", typ: "text"},
	},
}

// statement is a text under construction, with its bound parameters.
type statement struct {
	text  strings.Builder
	args  []any
	terms int // conditions written so far
}

func (st *statement) param(v any) string {
	st.args = append(st.args, v)
	return "$" + strconv.Itoa(len(st.args))
}

func (st *statement) and(cond string) {
	if st.terms++; st.terms == 1 {
		st.text.WriteString("\nWHERE ")
	} else {
		st.text.WriteString("\n  AND ")
	}
	st.text.WriteString(cond)
}

// order writes the sort, and before it the condition that rows come after the marker. Ties are broken by id, in the direction
// of the last key: an index of both is then read one way.
func (l listing) order(st *statement, q Query) *signalbox.Error {
	var keys []sortKey
	for _, o := range q.Sort {
		col, ok := l.columns[o.Key]
		if !ok {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonUnknownFilter,
				"%s cannot be sorted by %q", l.rows(), o.Key)
		}
		if col.nullable { // no comparison with NULL is true, and a page begins with comparisons
			keys = append(keys, sortKey{"(" + col.expr + " IS NOT NULL)", o.Desc})
			col.expr = "coalesce(" + col.expr + ", " + nothing[col.typ] + ")"
		}
		keys = append(keys, sortKey{col.expr, o.Desc})
	}
	keys = append(keys, sortKey{l.table + ".id", len(keys) > 0 && keys[len(keys)-1].desc})

	if q.Marker != uuid.Nil {
		st.and(l.after(st, keys, q.Marker))
	}
	for i, k := range keys {
		sep := ", "
		if i == 0 {
			sep = "\nORDER BY "
		}
		st.text.WriteString(sep + k.expr)
		if k.desc {
			st.text.WriteString(" DESC")
		}
	}
	return nil
}

// nothing is any value of a type, to stand for none.
var nothing = map[string]string{
	"uuid": "'00000000-0000-0000-0000-000000000000'::uuid", "inet": "'0.0.0.0'::inet", "cidr": "'0.0.0.0/0'::cidr", "bigint": "0", "text": "''",
}

// sortKey is an expression that a list is sorted by.
type sortKey struct {
	expr string
	desc bool
}

// beyond is the operator that is true of what comes after.
func (k sortKey) beyond() string {
	if k.desc {
		return " < "
	}
	return " > "
}

// after is the condition that a row comes after the marker's, whose values are read by the same expressions. Where all keys run
// one way it is (k1, k2, …) > (m1, m2, …), which an index of the keys begins at.
func (l listing) after(st *statement, keys []sortKey, marker uuid.UUID) string {
	from := l.from()
	m := st.param(marker)
	mixed := false
	var mine, its []string
	for _, k := range keys {
		mixed = mixed || k.desc != keys[0].desc
		mine = append(mine, k.expr)
		its = append(its, "(SELECT "+k.expr+from+" WHERE "+l.table+".id = "+m+")") // its own aliases hide the outer ones
	}
	if mixed {
		return afterMixed(keys, mine, its)
	}
	return "(" + strings.Join(mine, ", ") + ")" + keys[0].beyond() + "(" + strings.Join(its, ", ") + ")"
}

// afterMixed: beyond the marker in the first key in which they differ. That implies that the first key is not before the
// marker's, which an index can be asked.
func afterMixed(keys []sortKey, mine, its []string) string {
	var either []string
	for i, k := range keys {
		var all []string
		for j := range i {
			all = append(all, mine[j]+" = "+its[j])
		}
		either = append(either, strings.Join(append(all, mine[i]+k.beyond()+its[i]), " AND "))
	}
	return mine[0] + strings.TrimRight(keys[0].beyond(), " ") + "= " + its[0] + " AND (" + strings.Join(either, " OR ") + ")"
}
