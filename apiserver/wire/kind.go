package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// Kind is what an attribute's value can be: how a client writes it, which Go value that is, and how it is
// shown. The Go type that read returns is the one that write takes.
type Kind struct {
	Schema Schema

	read  func(v any) (any, error) // v as parse gives it; a plain error is a reason in a caller's words
	write func(b []byte, v any) []byte
	null  any // what null stands for; nil: null is refused

	// filter reads a value of a query string, where it is not what read makes of the string.
	filter func(s string) (any, error)
}

// Schema says the same in the words of OpenAPI.
type Schema struct {
	Type       string // "string", "boolean", "integer", "array", "object"
	Format     string // "uuid", "date-time", "ipv4" …
	Enum       []string
	MaxLength  int // of a string, in characters
	MaxItems   int // of an array
	Nullable   bool
	Items      *Schema
	Properties map[string]Schema
}

// takesNull is the kind that reads null as zero.
func (k Kind) takesNull(zero any) Kind {
	k.null = zero
	k.Schema.Nullable = true
	return k
}

// showsNull is the kind that writes zero, which must be comparable, as null.
func (k Kind) showsNull(zero any) Kind {
	write := k.write
	k.Schema.Nullable = true
	k.write = func(b []byte, v any) []byte {
		if v == zero {
			return append(b, "null"...)
		}
		return write(b, v)
	}
	return k
}

// unconvertible is the refusal of a value that is not even of the right sort. Neutron has one type name for
// this and another for a value that is of the right sort and still wrong.
func unconvertible(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidInput, "Invalid input for operation: "+format, args...)
}

// shown is a client's value as it can be quoted back: short, and as written.
func shown(v any) string {
	s := "null"
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
	case bool:
		s = strconv.FormatBool(v)
	case []any:
		s = "a list"
	case object:
		s = "an object"
	}
	const limit = 300
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// text is a string of at most max characters. NUL is refused: no text column of PostgreSQL can hold it.
func text(max int) Kind {
	return Kind{
		Schema: Schema{Type: "string", MaxLength: max},
		read: func(v any) (any, error) {
			s, ok := v.(string)
			if !ok || strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
				return nil, fmt.Errorf("'%s' is not a valid string", shown(v))
			}
			if utf8.RuneCountInString(s) > max {
				return nil, fmt.Errorf("'%s' exceeds maximum length of %d", shown(v), max)
			}
			return s, nil
		},
		write: func(b []byte, v any) []byte { return appendString(b, v.(string)) },
	}
}

// project is a text that is not empty.
func project() Kind {
	k := text(255)
	read := k.read
	k.read = func(v any) (any, error) {
		if v == "" {
			return nil, errors.New("a project must be named")
		}
		return read(v)
	}
	return k
}

// boolean takes what Neutron takes for a truth value.
func boolean() Kind {
	return Kind{
		Schema: Schema{Type: "boolean"},
		read: func(v any) (any, error) {
			switch v := v.(type) {
			case bool:
				return v, nil
			case string, json.Number:
				switch strings.ToLower(shown(v)) {
				case "true", "1":
					return true, nil
				case "false", "0":
					return false, nil
				}
			}
			return nil, unconvertible("'%s' cannot be converted to boolean.", shown(v))
		},
		write: func(b []byte, v any) []byte { return strconv.AppendBool(b, v.(bool)) },
	}
}

// integer takes a number or its digits as a string. check refuses what is a number and still wrong; it may be nil.
func integer(check func(int) error) Kind {
	return Kind{
		Schema: Schema{Type: "integer"},
		read: func(v any) (any, error) {
			var n int
			err := error(strconv.ErrSyntax)
			switch v.(type) {
			case string, json.Number:
				n, err = strconv.Atoi(shown(v))
			}
			if err != nil {
				return nil, unconvertible("'%s' is not an integer.", shown(v))
			}
			if check != nil {
				if err := check(n); err != nil {
					return nil, err
				}
			}
			return n, nil
		},
		write: func(b []byte, v any) []byte { return strconv.AppendInt(b, int64(v.(int)), 10) },
	}
}

// oneOf is one of a few words. T is the vocabulary's type for them.
func oneOf[T ~string](words ...T) Kind {
	enum := make([]string, len(words))
	for i, w := range words {
		enum[i] = string(w)
	}
	return Kind{
		Schema: Schema{Type: "string", Enum: enum},
		read: func(v any) (any, error) {
			s, _ := v.(string)
			for _, w := range words {
				if s == string(w) {
					return w, nil
				}
			}
			return nil, fmt.Errorf("%s is not in valid_values", shown(v))
		},
		write: func(b []byte, v any) []byte { return appendString(b, string(v.(T))) },
	}
}

// id is a UUID in one of the two forms that Neutron takes: with its dashes, or without.
func id() Kind {
	return Kind{
		Schema: Schema{Type: "string", Format: "uuid"},
		read: func(v any) (any, error) {
			s, _ := v.(string)
			if u, err := uuid.Parse(s); err == nil && (len(s) == 36 || len(s) == 32) {
				return u, nil
			}
			return nil, fmt.Errorf("'%s' is not a valid UUID", shown(v))
		},
		write: func(b []byte, v any) []byte { return appendID(b, v.(uuid.UUID)) },
	}
}

// ids is a list of UUIDs, which no request sets.
func ids() Kind {
	one := id()
	return Kind{
		Schema: Schema{Type: "array", Items: &one.Schema},
		write:  func(b []byte, v any) []byte { return appendList(b, v.([]uuid.UUID), appendID) },
	}
}

// moment is a time to the second in UTC, which no request sets.
func moment() Kind {
	return Kind{
		Schema: Schema{Type: "string", Format: "date-time"},
		read: func(v any) (any, error) {
			s, _ := v.(string)
			for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05"} {
				if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
					return t, nil
				}
			}
			return nil, unconvertible("The input %s must be in the following format: YYYY-MM-DDTHH:MM:SSZ", shown(v))
		},
		write: func(b []byte, v any) []byte {
			b = append(b, '"')
			b = v.(time.Time).UTC().AppendFormat(b, time.RFC3339)
			return append(b, '"')
		},
	}
}

func appendID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(append(b, '"'), id[:4])
	b = hex.AppendEncode(append(b, '-'), id[4:6])
	b = hex.AppendEncode(append(b, '-'), id[6:8])
	b = hex.AppendEncode(append(b, '-'), id[8:10])
	b = hex.AppendEncode(append(b, '-'), id[10:])
	return append(b, '"')
}

func appendList[T any](b []byte, list []T, write func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = write(b, v)
	}
	return append(b, ']')
}
