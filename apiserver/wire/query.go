package wire

import (
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// Fields are the values of the query's fields parameters, nil if it has none.
func Fields(query url.Values) []string { return said(query["fields"]) }

// said are the values of a parameter that are not empty, nil if there are none: the others mean nothing, as in Neutron.
func said(values []string) (some []string) {
	for _, v := range values {
		if v != "" {
			some = append(some, v)
		}
	}
	return some
}

// notFilters are the parameters of a list's query that say something else than which rows.
var notFilters = [...]string{"fields", "limit", "marker", "page_reverse", "sort_dir", "sort_key"}

// Filters reads the conditions of a list's query: for each attribute the values of which any will do. No
// values means that none can match: what was asked for is not even a possible value.
func (r *Resource[T]) Filters(query url.Values, view View) (map[string][]any, error) {
	filters := map[string][]any{}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(notFilters[:], name) {
			continue
		}
		a := r.attribute(name)
		if a == nil || a.Access&Filter == 0 || !a.shown(view) {
			return nil, invalid("['%s'] is invalid attribute for filtering", shown(name))
		}
		values, err := a.filter(query[name])
		if err != nil {
			return nil, err
		}
		if others, twice := filters[a.canonical()]; twice { // by two names: both must hold
			values = slices.DeleteFunc(values, func(v any) bool { return !slices.Contains(others, v) })
		}
		filters[a.canonical()] = values
	}
	return filters, nil
}

// Passes reports whether v is what filters ask for, where it is not the database that lists. Values of what can be asked for must be
// comparable.
func (r *Resource[T]) Passes(v *T, filters map[string][]any) bool {
	for name, values := range filters {
		if !slices.Contains(values, r.attribute(name).Value(v)) {
			return false
		}
	}
	return true
}

func (a *Attribute[T]) filter(texts []string) ([]any, error) {
	read := a.Kind.filter
	if read == nil {
		read = func(s string) (any, error) { return a.Kind.read(s) }
	}
	values := []any{}
	for _, s := range texts {
		v, err := read(s)
		var refusal *signalbox.Error
		switch {
		case err == nil:
			values = append(values, v)
		case errors.As(err, &refusal):
			return nil, refusal
		}
	}
	return values, nil
}

// Order is one key of a sort.
type Order struct {
	Key  string // an attribute's name
	Desc bool
}

// Page is which part of a list is wanted, in which order.
type Page struct {
	Sort    []Order
	Limit   int       // at most so many; 0: all
	Marker  uuid.UUID // those after this one
	Reverse bool      // those before it instead
}

// ReadPage reads the parameters of pagination and sorting.
func (r *Resource[T]) ReadPage(query url.Values, view View) (p Page, err error) {
	if p.Sort, err = r.sort(said(query["sort_key"]), said(query["sort_dir"]), view); err != nil {
		return p, err
	}
	if s := query.Get("limit"); s != "" {
		if p.Limit, err = strconv.Atoi(s); err != nil || p.Limit < 0 {
			return p, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest,
				"Bad limit request: Limit must be an integer 0 or greater and not '%s'.", shown(s))
		}
	}
	if s := query.Get("marker"); s != "" {
		if p.Marker, err = uuid.Parse(s); err != nil {
			return p, &signalbox.Error{Kind: signalbox.NotFound, Resource: r.Name, ID: shown(s)}
		}
	}
	if s := query.Get("page_reverse"); s != "" {
		v, err := boolean().read(s)
		if err != nil {
			return p, err
		}
		p.Reverse = v.(bool)
	}
	return p, nil
}

func (r *Resource[T]) sort(keys, dirs []string, view View) ([]Order, error) {
	if len(keys) != len(dirs) {
		return nil, invalid("The number of sort_keys and sort_dirs must be same")
	}
	var orders []Order
	for i, key := range keys {
		a := r.attribute(key)
		if a == nil || a.Access&Sort == 0 || !a.shown(view) {
			return nil, invalid("['%s'] is invalid attribute for sort_keys", shown(key))
		}
		if dirs[i] != "asc" && dirs[i] != "desc" {
			return nil, invalid("['%s'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'", shown(dirs[i]))
		}
		if by := a.canonical(); !slices.ContainsFunc(orders, func(o Order) bool { return o.Key == by }) { // else there is no tie left
			orders = append(orders, Order{Key: by, Desc: dirs[i] == "desc"})
		}
	}
	return orders, nil
}

// Link is the URL of another page.
type Link struct{ Rel, Href string }

// Links are the pages beside the one that holds rows. here is the URL of the list without its query. As in
// Neutron a page that came out short has none beyond it, in the direction it was read.
func (r *Resource[T]) Links(rows []T, p Page, here string, query url.Values) []Link {
	if p.Limit == 0 || len(rows) == 0 {
		return nil
	}
	id := &r.Attributes[0]
	link := func(rel string, row *T) Link {
		q := url.Values{}
		for key, values := range query {
			q[key] = values
		}
		q.Set("marker", id.Value(row).(uuid.UUID).String())
		q.Del("page_reverse")
		if rel == "previous" {
			q.Set("page_reverse", "True")
		}
		return Link{Rel: rel, Href: here + "?" + q.Encode()}
	}
	var links []Link
	if len(rows) >= p.Limit || p.Reverse {
		links = append(links, link("next", &rows[len(rows)-1]))
	}
	if len(rows) >= p.Limit || !p.Reverse {
		links = append(links, link("previous", &rows[0]))
	}
	return links
}

func appendLink(b []byte, l Link) []byte {
	b = appendString(append(b, `{"rel":`...), l.Rel)
	b = appendString(append(b, `,"href":`...), l.Href)
	return append(b, '}')
}
