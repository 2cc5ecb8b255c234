package wire

import (
	"strings"
	"unicode/utf8"

	"github.com/signalbox-sdn/signalbox"
)

// maxTag is how many characters a tag has at most.
const maxTag = 255

// tagged are the attributes by which rows are tagged, and found by their tags. Requests may set tags where access says so.
func tagged[T any](access Access, of func(*T) []string) []Attribute[T] {
	value := func(v *T) any { return of(v) }
	return []Attribute[T]{
		{Name: "tags", Kind: tags(), Access: access | Filter, Default: []string{}, Value: value},
		{Name: "tags-any", Kind: tags(), Access: Filter | Unshown, Value: value},
		{Name: "not-tags", Kind: tags(), Access: Filter | Unshown, Value: value},
		{Name: "not-tags-any", Kind: tags(), Access: Filter | Unshown, Value: value},
	}
}

// stamped are the attributes that every row with a Meta has.
func stamped[T any](meta func(*T) *signalbox.Meta) []Attribute[T] {
	return []Attribute[T]{
		{Name: "created_at", Kind: moment(), Access: Sort, Value: func(v *T) any { return meta(v).CreatedAt }},
		{Name: "updated_at", Kind: moment(), Access: Sort, Value: func(v *T) any { return meta(v).UpdatedAt }},
		{Name: "changed_since", Kind: moment(), Access: Filter | Unshown, Value: func(v *T) any { return meta(v).UpdatedAt }},
		{Name: "revision_number", Kind: integer(nil), Access: Filter | Sort, Value: func(v *T) any { return int(meta(v).Revision) }},
	}
}

// tags is a list of texts, each once. A query writes several with commas between them.
func tags() Kind {
	one := text(maxTag)
	read := func(v any) (string, error) {
		t, err := one.read(v)
		if err != nil {
			return "", err
		}
		return t.(string), nil
	}
	return Kind{
		Schema: Schema{Type: "array", Items: &one.Schema},
		read: func(v any) (any, error) {
			return readList(v, signalbox.MaxTags, read, func(t string) string { return "tag '" + t + "'" })
		},
		write: func(b []byte, v any) []byte { return appendList(b, v.([]string), appendString) },
		filter: func(s string) (any, error) {
			if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
				return nil, unconvertible("'%s' is not a list of tags.", shown(s))
			}
			return strings.Split(s, ","), nil
		},
	}
}

// Tags are the tags of v, which has some by its attributes.
func (r *Resource[T]) Tags(v *T) []string {
	return r.attribute("tags").Value(v).([]string)
}

// DecodeTags reads the body of a request that replaces a resource's tags.
func DecodeTags(body []byte) ([]string, error) {
	v, err := parse(body)
	o, _ := v.(object)
	list, given := o["tags"]
	if err != nil || !given || len(o) > 1 {
		return nil, unconvertible("Invalid tags body.")
	}
	value, err := tags().read(list)
	if err != nil {
		return nil, unconvertible("%s.", err)
	}
	return value.([]string), nil
}

// ReadTag reads a tag in a URL.
func ReadTag(s string) (string, error) {
	if _, err := text(maxTag).read(s); err != nil {
		return "", unconvertible("%s.", err)
	}
	return s, nil
}

// AppendTags appends {"tags":[…]}.
func AppendTags(b []byte, list []string) []byte {
	return append(tags().write(append(b, `{"tags":`...), list), '}')
}
