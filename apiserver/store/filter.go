package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

func (l listing) where(st *statement, q Query) *signalbox.Error {
	for _, name := range sortedKeys(q.Filters) {
		values := q.Filters[name]
		if name == "fixed_ips" && l.resource == "port" {
			cond, err := fixedIPFilter(st, values)
			if err != nil {
				return err
			}
			st.and(cond)
			continue
		}
		if name == "security_groups" && l.resource == "port" {
			st.and("EXISTS (SELECT FROM port_security_groups m WHERE m.port_id = p.id AND " + anyOf(st, column{expr: "m.group_id", typ: "uuid"}, values) + ")")
			continue
		}
		if name == "binding:host_id" && l.resource == "port" {
			st.and(hostFilter(st, values))
			continue
		}
		if name == "ip_version" && l.resource == "network" {
			st.and("EXISTS (SELECT FROM subnets v WHERE v.network_id = n.id AND " + anyOf(st, column{expr: "family(v.cidr)", typ: "bigint"}, values) + ")")
			continue
		}
		if tagFilter(name) {
			st.and(l.tagged(st, name, values))
			continue
		}
		if name == "changed_since" {
			st.and(l.table + ".updated_at >= ANY(" + st.param(moments(values)) + "::timestamptz[])")
			continue
		}
		if name == "shared" && l.shared != "" {
			st.and(anyOf(st, column{expr: "(" + fmt.Sprintf(l.shared, st.param(q.Asker)) + ")", typ: "boolean"}, values))
			continue
		}
		col, ok := l.columns[name]
		if !ok {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonUnknownFilter,
				"%s cannot be filtered by %q", l.rows(), name)
		}
		st.and(anyOf(st, col, values))
	}
	if q.VisibleTo != "" {
		st.and(fmt.Sprintf(l.visible, st.param(q.VisibleTo)))
	}
	return nil
}

// anyOf is the condition that a column has one of the values.
func anyOf(st *statement, col column, values []any) string {
	possible := valueTexts(col.typ, values)
	condition := col.expr + " = ANY(" + st.param(possible) + "::" + col.typ + "[])"
	if col.sparse && !slices.Contains(possible, "") {
		condition = col.expr + " <> '' AND " + condition
	}
	return condition
}

// valueTexts are those of a filter's values that can be of a PostgreSQL type.
func valueTexts(typ string, values []any) pq.StringArray {
	possible := pq.StringArray{}
	for _, v := range values {
		if s, ok := valueText(typ, v); ok {
			possible = append(possible, s)
		}
	}
	return possible
}

func tagFilter(name string) bool {
	return name == "tags" || name == "tags-any" || name == "not-tags" || name == "not-tags-any"
}

// tagged is a condition on a row's tags: that it has all of them, any of them, or not so. Each value is several.
func (l listing) tagged(st *statement, name string, values []any) string {
	var tags pq.StringArray
	for _, v := range values {
		if several, ok := v.([]string); ok {
			tags = append(tags, several...)
		} else {
			tags = append(tags, fmt.Sprint(v))
		}
	}
	column, operator := l.table+".tags", " @> "
	if strings.HasSuffix(name, "-any") {
		operator = " && "
	}
	condition := column + operator + st.param(tags) + "::text[]"
	if strings.HasPrefix(name, "not-") {
		return "NOT " + condition
	}
	return column + " <> '{}' AND " + condition // by the first half PostgreSQL knows the index to be enough
}

// fixedIPFilter is the condition that one of a port's addresses has one of the ip_addresses, has a part that is one of the
// ip_address_substrs, and has one of the subnet_ids named, where any are named.
func fixedIPFilter(st *statement, values []any) (string, *signalbox.Error) {
	byKey := map[string][]any{}
	for _, v := range values {
		key, value, _ := strings.Cut(fmt.Sprint(v), "=")
		byKey[key] = append(byKey[key], value)
	}
	cond := "EXISTS (SELECT FROM allocations a WHERE a.port_id = p.id"
	for _, key := range sortedKeys(byKey) {
		switch key {
		case "ip_address":
			cond += " AND " + anyOf(st, column{expr: "a.ip", typ: "inet"}, byKey[key])
		case "ip_address_substr":
			cond += " AND " + containsAny(st, "host(a.ip)", byKey[key])
		case "subnet_id":
			cond += " AND " + anyOf(st, column{expr: "a.subnet_id", typ: "uuid"}, byKey[key])
		default:
			return "", signalbox.Errorf(signalbox.Invalid, signalbox.ReasonUnknownFilter,
				"fixed_ips can be filtered by ip_address, ip_address_substr and subnet_id, not by %q", key)
		}
	}
	return cond + ")", nil
}

// containsAny is the condition that a text has one of the values as a part. No index helps with that (the trigrams of
// addresses are of digits alone, and all alike): it is asked of those rows that the other conditions leave.
func containsAny(st *statement, expr string, values []any) string {
	parts := pq.StringArray{}
	for _, v := range values {
		if s, ok := valueText("text", v); ok {
			parts = append(parts, s)
		}
	}
	return "EXISTS (SELECT FROM unnest(" + st.param(parts) + "::text[]) AS part WHERE strpos(" + expr + ", part) > 0)"
}

// valueText is a filter's value in the text form of a PostgreSQL type, or false when it cannot be one.
func valueText(typ string, v any) (string, bool) {
	s := fmt.Sprint(v)
	switch typ {
	case "uuid":
		id, err := uuid.Parse(s)
		return id.String(), err == nil
	case "boolean":
		return boolText(s)
	case "bigint":
		n, err := strconv.ParseInt(s, 10, 64)
		return strconv.FormatInt(n, 10), err == nil
	case "macaddr":
		m, err := signalbox.ParseMAC(s)
		return m.String(), err == nil
	case "inet":
		a, err := netip.ParseAddr(s)
		return a.String(), err == nil && a.Zone() == ""
	case "cidr":
		p, err := netip.ParsePrefix(s)
		return p.String(), err == nil && p == p.Masked()
	case "timestamptz":
		return "", false // rows are sorted by it, not found by it
	}
	return s, !strings.ContainsRune(s, 0) // a text with a zero byte cannot be in PostgreSQL
}

// moments are times as PostgreSQL reads them.
func moments(values []any) (out pq.StringArray) {
	for _, v := range values {
		if t, ok := v.(time.Time); ok {
			out = append(out, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return out
}

func boolText(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "true", "1":
		return "true", true
	case "false", "0":
		return "false", true
	}
	return "", false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
