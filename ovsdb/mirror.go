package ovsdb

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/ovn-org/libovsdb/ovsdb"
)

// maxRows bounds what a host can make us remember, over all tables.
const maxRows = 200_000

// The columns that are monitored. What is not named here is never sent: statistics, for one, which
// change every few seconds.
var columns = map[string][]string{
	"Open_vSwitch": {"bridges", "external_ids", "other_config", "ovs_version"},
	"Bridge":       {"name", "ports", "datapath_id", "datapath_type", "fail_mode", "other_config"},
	"Port":         {"name", "interfaces", "external_ids"},
	"Interface":    {"name", "type", "ofport", "options", "external_ids", "error"},
}

// monitorRequest asks for those columns in the form of monitor_cond.
func monitorRequest() map[string][]ovsdb.MonitorRequest {
	req := make(map[string][]ovsdb.MonitorRequest, len(columns))
	for table, names := range columns {
		req[table] = []ovsdb.MonitorRequest{{Columns: names}}
	}
	return req
}

// mirror is our copy of the monitored columns. Keys are row UUIDs as the server writes them.
type mirror struct {
	roots      map[string]*rootRow
	bridges    map[string]*bridgeRow
	ports      map[string]*portRow
	interfaces map[string]*interfaceRow
}

type (
	rootRow struct {
		bridges     uuidSet
		externalIDs map[string]string
		otherConfig map[string]string
		version     string
	}
	bridgeRow struct {
		name         string
		ports        uuidSet
		datapathID   string
		datapathType string
		failMode     string
		otherConfig  map[string]string
	}
	portRow struct {
		name        string
		interfaces  uuidSet
		externalIDs map[string]string
	}
	interfaceRow struct {
		name        string
		kind        string
		ofport      int64
		options     map[string]string
		externalIDs map[string]string
		err         string

		said     Interface // the above, checked: made once a change, not once a State
		problems []string
	}
)

type uuidSet map[string]struct{}

func newMirror() *mirror {
	return &mirror{
		roots:      make(map[string]*rootRow),
		bridges:    make(map[string]*bridgeRow),
		ports:      make(map[string]*portRow),
		interfaces: make(map[string]*interfaceRow),
	}
}

// rowUpdate is one row's change: a kind (initial, insert, modify, delete) and its columns.
type rowUpdate map[string]json.RawMessage

// update applies the <table-updates2> of ovsdb-server(7), section 4.1.14: one transaction's changes.
func (m *mirror) update(raw json.RawMessage) error {
	var tables map[string]map[string]rowUpdate
	if err := json.Unmarshal(raw, &tables); err != nil {
		return fmt.Errorf("table updates: %w", err)
	}
	for table, rows := range tables {
		var err error
		switch table {
		case "Open_vSwitch":
			err = apply(m.roots, rows)
		case "Bridge":
			err = apply(m.bridges, rows)
		case "Port":
			err = apply(m.ports, rows)
		case "Interface":
			err = apply(m.interfaces, rows)
		default:
			err = fmt.Errorf("not asked for")
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", shorten(table, 64), err)
		}
	}
	if len(m.roots)+len(m.bridges)+len(m.ports)+len(m.interfaces) > maxRows {
		return fmt.Errorf("more than %d rows", maxRows)
	}
	return nil
}

// row is a pointer to one of the row structs.
type row[T any] interface {
	*T
	// column sets a column, or with diff changes it, the way <row-update2> says.
	column(name string, v json.RawMessage, diff bool) error
	// settle is called when all changed columns of a row are in.
	settle()
}

func apply[T any, R row[T]](rows map[string]*T, changes map[string]rowUpdate) error {
	for id, kinds := range changes {
		for kind, v := range kinds {
			switch kind {
			case "initial", "insert":
				rows[id] = new(T)
			case "modify":
				if rows[id] == nil {
					return fmt.Errorf("row %s changed before it was there", shorten(id, 36))
				}
			case "delete":
				delete(rows, id)
				continue
			default:
				return fmt.Errorf("row %s: unknown change %s", shorten(id, 36), shorten(kind, 36))
			}
			if err := setColumns(R(rows[id]), v, kind == "modify"); err != nil {
				return fmt.Errorf("row %s: %w", shorten(id, 36), err)
			}
		}
	}
	return nil
}

func setColumns[T any, R row[T]](r R, v json.RawMessage, diff bool) error {
	var cols map[string]json.RawMessage
	if err := json.Unmarshal(v, &cols); err != nil {
		return err
	}
	for name, value := range cols {
		if err := r.column(name, value, diff); err != nil {
			return fmt.Errorf("column %s: %w", shorten(name, 64), err)
		}
	}
	r.settle()
	return nil
}

func (r *rootRow) column(name string, v json.RawMessage, diff bool) error {
	switch name {
	case "bridges":
		return readUUIDs(&r.bridges, v, diff)
	case "external_ids":
		return readMap(&r.externalIDs, v, diff)
	case "other_config":
		return readMap(&r.otherConfig, v, diff)
	case "ovs_version":
		return readOptional(&r.version, v)
	}
	return nil
}

func (r *bridgeRow) column(name string, v json.RawMessage, diff bool) error {
	switch name {
	case "name":
		return readOptional(&r.name, v)
	case "ports":
		return readUUIDs(&r.ports, v, diff)
	case "datapath_id":
		return readOptional(&r.datapathID, v)
	case "datapath_type":
		return readOptional(&r.datapathType, v)
	case "fail_mode":
		return readOptional(&r.failMode, v)
	case "other_config":
		return readMap(&r.otherConfig, v, diff)
	}
	return nil
}

func (r *portRow) column(name string, v json.RawMessage, diff bool) error {
	switch name {
	case "name":
		return readOptional(&r.name, v)
	case "interfaces":
		return readUUIDs(&r.interfaces, v, diff)
	case "external_ids":
		return readMap(&r.externalIDs, v, diff)
	}
	return nil
}

func (r *interfaceRow) column(name string, v json.RawMessage, diff bool) error {
	switch name {
	case "name":
		return readOptional(&r.name, v)
	case "type":
		return readOptional(&r.kind, v)
	case "ofport":
		return readOptional(&r.ofport, v)
	case "options":
		return readMap(&r.options, v, diff)
	case "external_ids":
		return readMap(&r.externalIDs, v, diff)
	case "error":
		return readOptional(&r.err, v)
	}
	return nil
}

func (r *rootRow) settle()      {}
func (r *bridgeRow) settle()    {}
func (r *portRow) settle()      {}
func (r *interfaceRow) settle() { r.said, r.problems = readInterface(r) }

// tagged reads ["set",[…]], ["map",[…]] and their like (RFC 7047, section 5.1); ok is false for an atom.
func tagged(v json.RawMessage) (tag string, rest json.RawMessage, ok bool, err error) {
	if len(v) == 0 || v[0] != '[' {
		return "", nil, false, nil
	}
	var pair []json.RawMessage
	if err := json.Unmarshal(v, &pair); err != nil {
		return "", nil, false, err
	}
	if len(pair) != 2 {
		return "", nil, false, fmt.Errorf("%d elements where a tag and a value belong", len(pair))
	}
	if err := json.Unmarshal(pair[0], &tag); err != nil {
		return "", nil, false, err
	}
	return tag, pair[1], true, nil
}

// readOptional reads an atom, or a set of at most one: in a difference, too, such a column comes whole.
func readOptional[T string | int64](dst *T, v json.RawMessage) error {
	tag, rest, isTagged, err := tagged(v)
	if err != nil {
		return err
	}
	var x T
	if !isTagged {
		if err := json.Unmarshal(v, &x); err != nil {
			return err
		}
		*dst = x
		return nil
	}
	var set []T
	if err := json.Unmarshal(rest, &set); err != nil {
		return err
	}
	if tag != "set" || len(set) > 1 {
		return fmt.Errorf("a %s of %d where one value belongs", shorten(tag, 20), len(set))
	}
	if len(set) == 1 {
		x = set[0]
	}
	*dst = x
	return nil
}

// readUUIDs reads a set of row references; in a difference the ones named change sides.
func readUUIDs(dst *uuidSet, v json.RawMessage, diff bool) error {
	tag, rest, ok, err := tagged(v)
	if err != nil {
		return err
	}
	var elems [][2]string
	switch {
	case ok && tag == "uuid":
		elems = make([][2]string, 1)
		err = json.Unmarshal(v, &elems[0])
	case ok && tag == "set":
		err = json.Unmarshal(rest, &elems)
	default:
		err = fmt.Errorf("no set of rows")
	}
	if err != nil {
		return err
	}
	if !diff || *dst == nil {
		*dst = make(uuidSet, len(elems))
	}
	for _, e := range elems {
		if _, in := (*dst)[e[1]]; in && diff {
			delete(*dst, e[1])
		} else {
			(*dst)[e[1]] = struct{}{}
		}
	}
	return nil
}

// readMap reads a map of strings. In a difference a pair that is already there is to be removed, any
// other is to be set. The map is replaced, never changed: a State may hold the old one.
func readMap(dst *map[string]string, v json.RawMessage, diff bool) error {
	tag, rest, ok, err := tagged(v)
	if err != nil {
		return err
	}
	if !ok || tag != "map" {
		return fmt.Errorf("no map")
	}
	var pairs [][2]string
	if err := json.Unmarshal(rest, &pairs); err != nil {
		return err
	}
	next := make(map[string]string, len(pairs)+len(*dst))
	if diff {
		maps.Copy(next, *dst)
	}
	for _, p := range pairs {
		if old, in := next[p[0]]; in && diff && old == p[1] {
			delete(next, p[0])
		} else {
			next[p[0]] = p[1]
		}
	}
	*dst = next
	return nil
}
