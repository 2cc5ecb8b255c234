// Package wire is JSON in and out. What a resource's attributes are called, who may set them and when, and
// what values they take is data (network.go, port.go, securitygroup.go …); one decoder and one encoder read it. The
// same data says which filters a list takes, and can be turned into an OpenAPI document.
package wire

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// Access says who may do what with an attribute, in the manner of the API reference's C, U and R. Every
// attribute can be read, unless it is Unshown.
type Access uint

// The bits of Access.
const (
	Create    Access = 1 << iota // a request that creates may set it
	Update                       // one that updates may
	Required                     // one that creates must
	Filter                       // a list can be narrowed by it
	Sort                         // it can be ordered by it
	AdminSet                     // only an admin, or whom policy lets, may set it to other than its default, or back to that
	AdminOnly                    // only they may set it, filter by it or see it
	Unshown                      // no answer has it
)

// Attribute is one attribute of a resource whose Go value is a T.
type Attribute[T any] struct {
	Name    string
	Kind    Kind
	Access  Access
	Default any          // what it is when a create does not say; nil where that depends on something
	Value   func(*T) any // of the Go type that Kind reads
	Alias   string       // the attribute that this one is another name of; "" for most

	// AdminParts are the parts of a value, by name, that only an admin may set. nil: there are none.
	AdminParts func(v any) []string
}

// Resource is the attributes of a resource, in the order they are shown.
type Resource[T any] struct {
	Name, Collection string         // "network", "networks"
	Attributes       []Attribute[T] // of what can be listed by pages, first the id
}

// Values are the attributes that a request gave, under their names (aliases resolved), each as the Go type of
// its Kind.
type Values map[string]any

// Get is the value that a request gave, or nil if it gave none.
func Get[V any](v Values, name string) *V {
	if x, ok := v[name].(V); ok {
		return &x
	}
	return nil
}

func invalid(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, "", format, args...)
}

func (r *Resource[T]) attribute(name string) *Attribute[T] {
	for i := range r.Attributes {
		if r.Attributes[i].Name == name {
			return &r.Attributes[i]
		}
	}
	return nil
}

// DecodeCreate reads the body of a POST: one object under the resource's name, or a list of them under the
// collection's, in which case bulk is set and there is at least one.
func (r *Resource[T]) DecodeCreate(body []byte) (all []Values, bulk bool, err error) {
	root, err := r.root(body)
	if err != nil {
		return nil, false, err
	}
	list, bulk := root[r.Collection].([]any)
	if !bulk {
		list = []any{root[r.Name]}
	}
	if len(list) == 0 {
		return nil, true, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Resources required")
	}
	for _, v := range list {
		values, err := r.decode(v, Create)
		if err != nil {
			return nil, bulk, err
		}
		all = append(all, values)
	}
	return all, bulk, nil
}

// DecodeUpdate reads the body of a PUT.
func (r *Resource[T]) DecodeUpdate(body []byte) (Values, error) {
	root, err := r.root(body)
	if err != nil {
		return nil, err
	}
	return r.decode(root[r.Name], Update)
}

// root is the outermost object of a body, which has one key.
func (r *Resource[T]) root(body []byte) (object, error) {
	missing := invalid("Unable to find '%s' in request body", r.Name)
	if len(body) == 0 {
		return nil, missing
	}
	v, err := parse(body)
	root, ok := v.(object)
	if err != nil || !ok {
		return nil, invalid("Body contains invalid data")
	}
	_, one := root[r.Name]
	_, many := root[r.Collection].([]any)
	if !one && !many {
		return nil, missing
	}
	if len(root) > 1 {
		return nil, invalid("Body contains invalid data: it must hold '%s' or '%s' and nothing else", r.Name, r.Collection)
	}
	return root, nil
}

func (r *Resource[T]) decode(v any, verb Access) (Values, error) {
	obj, ok := v.(object)
	if !ok {
		return nil, invalid("Body contains invalid data: '%s' must be an object", r.Name)
	}
	if err := r.refuseUnknown(obj); err != nil {
		return nil, err
	}
	values := make(Values, len(obj))
	for i := range r.Attributes {
		a := &r.Attributes[i]
		raw, given := obj[a.Name]
		switch {
		case !given && verb == Create && a.Access&Required != 0:
			return nil, invalid("Failed to parse request. Required attribute '%s' not specified", a.Name)
		case !given:
			continue
		case a.Access&verb == 0 && verb == Create:
			return nil, invalid("Attribute '%s' not allowed in POST", a.Name)
		case a.Access&verb == 0:
			return nil, invalid("Cannot update read-only attribute %s", a.Name)
		}
		value, err := a.read(raw)
		if err != nil {
			return nil, err
		}
		name := a.canonical()
		if other, twice := values[name]; twice && other != value {
			return nil, invalid("'%s' and '%s' do not match", name, a.Name)
		}
		values[name] = value
	}
	return values, nil
}

func (r *Resource[T]) refuseUnknown(obj object) error {
	var unknown []string
	for name := range obj {
		if r.attribute(name) == nil {
			unknown = append(unknown, "'"+shown(name)+"'")
		}
	}
	if unknown == nil {
		return nil
	}
	slices.Sort(unknown)
	return invalid("Unrecognized attribute(s) %s", strings.Join(unknown, ", "))
}

func (a *Attribute[T]) canonical() string {
	if a.Alias != "" {
		return a.Alias
	}
	return a.Name
}

func (a *Attribute[T]) read(raw any) (any, error) {
	if raw == nil && a.Kind.null != nil {
		return a.Kind.null, nil
	}
	value, err := a.Kind.read(raw)
	var already *signalbox.Error
	if err != nil && !errors.As(err, &already) {
		err = invalid("Invalid input for %s. Reason: %s.", a.Name, err)
	}
	return value, err
}

// AdminOnly are the names, in order, of what values set that only an admin may: "attribute", or "attribute:part". What a
// create says is not set where it is the default; what an update says is, for the default may not be what there was.
func (r *Resource[T]) AdminOnly(values Values, verb Access) []string {
	var names []string
	for i := range r.Attributes {
		a := &r.Attributes[i]
		v, given := values[a.Name]
		if !given {
			continue
		}
		if a.Access&AdminOnly != 0 || a.Access&AdminSet != 0 && (verb == Update || v != a.Default) {
			names = append(names, a.Name)
		}
		if a.AdminParts != nil {
			for _, part := range a.AdminParts(v) {
				names = append(names, a.Name+":"+part)
			}
		}
	}
	return names
}

// View is how much of a resource an answer shows.
type View struct {
	Admin  bool     // what only admins may see, too
	Also   []string // of that, what somebody may see who is no admin
	Fields []string // only these; nil for all. Unknown names are ignored, as in Neutron
}

// shown reports whether an attribute is for the eyes of whom a view is for.
func (a *Attribute[T]) shown(view View) bool {
	return a.Access&AdminOnly == 0 || view.Admin || slices.Contains(view.Also, a.Name)
}

// shown are the attributes that a view has, in order.
func (r *Resource[T]) shown(view View) (all []*Attribute[T]) {
	for i := range r.Attributes {
		a := &r.Attributes[i]
		if a.Access&Unshown == 0 && a.shown(view) && (view.Fields == nil || slices.Contains(view.Fields, a.Name)) {
			all = append(all, a)
		}
	}
	return all
}

// Append appends v as a JSON object.
func (r *Resource[T]) Append(b []byte, v *T, view View) []byte {
	return appendObject(b, v, r.shown(view))
}

func appendObject[T any](b []byte, v *T, shown []*Attribute[T]) []byte {
	b = append(b, '{')
	for i, a := range shown {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), a.Name...), '"', ':') // names need no escaping
		b = a.Kind.write(b, a.Value(v))
	}
	return append(b, '}')
}

// AppendOne appends {"network":{…}}.
func (r *Resource[T]) AppendOne(b []byte, v *T, view View) []byte {
	b = fmt.Appendf(b, `{"%s":`, r.Name)
	return append(r.Append(b, v, view), '}')
}

// piece is how many bytes of a list are written at once.
const piece = 64 << 10

// WriteAll writes {"networks":[…]}, and the links to the pages beside it if there are any. It writes in pieces: of a long list its reader
// has the beginning while the rest is made, and nobody ever has the whole. The only errors are w's.
func (r *Resource[T]) WriteAll(w io.Writer, vs []T, view View, links ...Link) error {
	shown := r.shown(view)
	b := fmt.Appendf(nil, `{"%s":[`, r.Collection)
	for i := range vs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendObject(b, &vs[i], shown)
		if len(b) < piece {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	b = append(b, ']')
	if len(links) > 0 {
		b = fmt.Appendf(b, `,"%s_links":`, r.Collection)
		b = appendList(b, links, appendLink)
	}
	_, err := w.Write(append(b, '}'))
	return err
}
