package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// shape is what a command shows.
type shape int

const (
	none shape = iota
	one        // an object: its attributes below each other
	many       // a list: a line for each
)

// view is how a person wants to see it.
type view struct {
	shape   shape
	format  string
	columns []string // to show, of those that there are; nil: the resource's own choice
	fields  []string // to ask the server for; nil: all
	details bool     // of a list: all columns
	quote   string   // of csv
	prefix  string   // of shell
	page    int      // of a list: how many to ask for at a time; 0 for all
	keys    []string // of a list: what to sort by, and in which directions
	dirs    []string
}

// newView declares the flags of a shape.
func newView(flags *pflag.FlagSet, s shape) *view {
	v := &view{shape: s}
	if s == none {
		return v
	}
	flags.StringVarP(&v.format, "format", "f", "table", "the `FORMAT` to write in: "+strings.Join(v.formats(), ", "))
	flags.StringArrayVarP(&v.columns, "column", "c", nil, "a `COLUMN` to show (may be repeated)")
	flags.StringArrayVarP(&v.fields, "field", "F", nil, "an `ATTRIBUTE` to ask the server for (may be repeated)")
	flags.BoolVarP(&v.details, "show-details", "D", false, "show all there is")
	if s == one {
		flags.StringVar(&v.prefix, "prefix", "", "of shell: a `TEXT` to write before each name")
		return v
	}
	flags.StringVar(&v.quote, "quote", "nonnumeric", "of csv: `WHAT` to put in quotes: all, minimal, none, nonnumeric")
	flags.IntVarP(&v.page, "page-size", "P", 0, "how many to ask the server for at a time, a `NUMBER`")
	flags.StringArrayVar(&v.keys, "sort-key", nil, "an `ATTRIBUTE` to sort by (may be repeated)")
	flags.StringArrayVar(&v.dirs, "sort-dir", nil, "the `DIRECTION`, asc or desc, of each sort key (may be repeated)")
	return v
}

func (v *view) formats() []string {
	if v.shape == one {
		return []string{"table", "json", "value", "shell", "yaml"}
	}
	return []string{"table", "json", "value", "csv", "yaml"}
}

func (v *view) check() error {
	if v.shape == none {
		return nil
	}
	if !slices.Contains(v.formats(), v.format) {
		return misused("argument -f: invalid choice: '%s' (choose from %s)", v.format, strings.Join(v.formats(), ", "))
	}
	if v.shape == many && !slices.Contains([]string{"all", "minimal", "none", "nonnumeric"}, v.quote) {
		return misused("argument --quote: invalid choice: '%s' (choose from all, minimal, none, nonnumeric)", v.quote)
	}
	for _, d := range v.dirs {
		if d != "asc" && d != "desc" {
			return misused("argument --sort-dir: invalid choice: '%s' (choose from asc, desc)", d)
		}
	}
	return nil
}

func (v *view) fieldsQuery() url.Values {
	if v.fields == nil {
		return url.Values{}
	}
	return url.Values{"fields": v.fields}
}

// listQuery asks for what is wanted. A key without a direction is ascending.
func (v *view) listQuery() url.Values {
	q := v.fieldsQuery()
	if v.page > 0 {
		q.Set("limit", strconv.Itoa(v.page))
	}
	for i, key := range v.keys {
		dir := "asc"
		if i < len(v.dirs) {
			dir = v.dirs[i]
		}
		q.Add("sort_key", key)
		q.Add("sort_dir", dir)
	}
	return q
}

// show writes one object: its attributes in order of their names.
func (v *view) show(w io.Writer, r *resource, o object) error {
	names := slices.Sorted(maps.Keys(o))
	if v.columns != nil {
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(v.columns, n) })
	}
	values := make([]rawJSON, len(names))
	for i, n := range names {
		values[i] = o[n]
	}
	switch v.format {
	case "json":
		return writeJSON(w, pairUp(names, values))
	case "yaml":
		return writeYAML(w, yamlMap(names, values))
	case "value":
		return writeValues(w, values)
	case "shell":
		return writeShell(w, v.prefix, names, values)
	}
	t := table{header: []string{"Field", "Value"}}
	for i, n := range names {
		t.rows = append(t.rows, []string{n, r.lines(values[i])})
	}
	return t.write(w)
}

// list writes many objects: the columns that were asked for, or that the resource chooses, as far as there are any.
func (v *view) list(w io.Writer, r *resource, rows []object) error {
	names := v.chosen(r, rows)
	if len(rows) > 0 && len(names) == 0 {
		return fmt.Errorf("no recognized column names in %s; recognized columns are %s", strings.Join(v.columns, ", "),
			strings.Join(slices.Sorted(maps.Keys(rows[0])), ", "))
	}
	cells := make([][]rawJSON, len(rows))
	for i, o := range rows {
		cells[i] = make([]rawJSON, len(names))
		for j, n := range names {
			cells[i][j] = o[n]
		}
	}
	switch v.format {
	case "json":
		return writeJSONList(w, names, cells)
	case "yaml":
		return writeYAMLList(w, names, cells)
	case "value":
		return writeValueLines(w, cells)
	case "csv":
		return writeCSV(w, v.quote, names, cells)
	}
	t := table{header: names, right: make([]bool, len(names))}
	for i, row := range cells {
		line := make([]string, len(names))
		for j, cell := range row {
			line[j] = r.cell(names[j], cell)
			t.right[j] = t.right[j] || i == 0 && isNumber(string(cell))
		}
		t.rows = append(t.rows, line)
	}
	return t.write(w)
}

// wants reports whether any of these columns may be shown.
func (v *view) wants(columns []string) bool {
	asked := v.columns
	if asked == nil {
		asked = v.fields
	}
	return asked == nil || slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(asked, c) })
}

func (v *view) chosen(r *resource, rows []object) []string {
	if len(rows) == 0 {
		return nil
	}
	want := r.columns
	switch {
	case v.columns != nil:
		want = v.columns
	case v.fields != nil:
		want = v.fields
	case v.details || want == nil:
		return slices.Sorted(maps.Keys(rows[0]))
	}
	var names []string
	for _, n := range want {
		if _, there := rows[0][n]; there {
			names = append(names, n)
		}
	}
	return names
}

// cell is a value as a list's table shows it.
func (r *resource) cell(column string, v rawJSON) string {
	if show := r.cells[column]; show != nil {
		return show(v)
	}
	return lines(v, false)
}

// lines is a value as the table of one object shows it.
func (r *resource) lines(v rawJSON) string { return lines(v, r.indent) }
