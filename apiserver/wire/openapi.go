package wire

import "encoding/json"

// Shape is a resource's attributes whatever its Go type: what OpenAPI can say of them.
type Shape struct {
	Name, Collection string // "network", "networks"
	Attributes       []Form
}

// Form is one attribute of a Shape.
type Form struct {
	Name    string
	Alias   string // the attribute that this one is another name of; "" for most
	Access  Access
	Schema  Schema
	Default json.RawMessage // nil: none, or one that depends on something
}

// Shape describes the resource.
func (r *Resource[T]) Shape() Shape {
	s := Shape{Name: r.Name, Collection: r.Collection}
	for i := range r.Attributes {
		a := &r.Attributes[i]
		f := Form{Name: a.Name, Alias: a.Alias, Access: a.Access, Schema: a.Kind.Schema}
		if a.Default != nil && a.Access&Unshown == 0 {
			f.Default = a.Kind.write(nil, a.Default)
		}
		s.Attributes = append(s.Attributes, f)
	}
	return s
}

// MarshalJSON writes a schema object of OpenAPI 3.0. An object has no other properties than those that it lists, if it does.
func (s Schema) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	if s.Type != "" {
		out["type"] = s.Type
	}
	if s.Format != "" {
		out["format"] = s.Format
	}
	if s.Enum != nil {
		enum := []any{}
		for _, word := range s.Enum {
			enum = append(enum, word)
		}
		if s.Nullable {
			enum = append(enum, nil)
		}
		out["enum"] = enum
	}
	if s.MaxLength > 0 {
		out["maxLength"] = s.MaxLength
	}
	if s.MaxItems > 0 {
		out["maxItems"] = s.MaxItems
	}
	if s.Nullable {
		out["nullable"] = true
	}
	switch {
	case s.Items != nil:
		out["items"] = s.Items
	case s.Type == "array":
		out["items"] = map[string]any{}
	}
	if s.Properties != nil {
		out["properties"] = s.Properties
		out["additionalProperties"] = false
	}
	return json.Marshal(out)
}
