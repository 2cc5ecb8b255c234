package main

import (
	"strconv"
	"strings"
)

// attributes reads what the old client called values: options that nobody declared.
//
//	--name value             text
//	--name=value             text
//	--name                   true
//	--name a b               a list of texts
//	--name list=true a       a list of one
//	--name type=int 5        of another type: int, bool, str, or dict, which is written key=value,key=value
//	--name action=clear      null
//
// A - in a name is a _.
func attributes(specs []string) (map[string]any, error) {
	given := map[string]any{}
	for rest := specs; len(rest) > 0; {
		s, n, err := readSpec(rest)
		if err != nil {
			return nil, err
		}
		if _, twice := given[s.name]; twice {
			return nil, misused("Duplicated options %s", strings.Join(specs, " "))
		}
		if given[s.name], err = s.value(); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return given, nil
}

// spec is one undeclared option.
type spec struct {
	name        string
	values      []string
	kind        string // "", or as type= says
	list, clear bool
}

// readSpec reads the option that specs begin with, and says how many arguments it is made of.
func readSpec(specs []string) (s spec, n int, err error) {
	name, value, complete := strings.Cut(specs[0], "=")
	bare, isLong := strings.CutPrefix(name, "--")
	if !isLong || bare == "" || bare[0] == '-' {
		return s, 0, misspelled(specs)
	}
	s.name = strings.ReplaceAll(bare, "-", "_")
	if complete {
		s.values = []string{value}
	}
	for n = 1; n < len(specs) && !strings.HasPrefix(specs[n], "--"); n++ {
		word := specs[n]
		kind, isKind := strings.CutPrefix(word, "type=")
		switch {
		case isKind && s.kind == "":
			s.kind = kind
		case word == "list=true":
			s.list = true
		case word == "action=clear":
			s.clear = true
		case complete || isOption(word):
			return s, 0, misspelled(specs)
		default:
			s.values = append(s.values, word)
		}
	}
	return s, n, nil
}

// isModifier reports whether a word says how to read an undeclared option.
func isModifier(word string) bool {
	return word == "list=true" || word == "action=clear" || strings.HasPrefix(word, "type=")
}

func misspelled(specs []string) error {
	return misused("Invalid values_specs %s", strings.Join(specs, " "))
}

// value is what the option stands for.
func (s spec) value() (any, error) {
	if len(s.values) == 0 {
		switch {
		case s.clear:
			return nil, nil
		case s.kind != "" || s.list:
			return nil, misused("argument --%s: expected at least one argument", s.name)
		}
		return true, nil
	}
	all := make([]any, len(s.values))
	for i, word := range s.values {
		var err error
		if all[i], err = typed(s.kind, word); err != nil {
			return nil, misused("argument --%s: %w", s.name, err)
		}
	}
	if len(all) == 1 && !s.list {
		return all[0], nil
	}
	return all, nil
}

// typed reads a word as a value of a type.
func typed(kind, word string) (any, error) {
	switch kind {
	case "", "str":
		return word, nil
	case "int":
		return readNumber(word)
	case "bool":
		return readTruth(word)
	case "dict":
		return readPairs(word)
	}
	return nil, misused("type %s is not supported", kind)
}

func readNumber(word string) (any, error) {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return nil, misused("invalid int value: '%s'", word)
	}
	return n, nil
}

func readTruth(word string) (any, error) {
	switch strings.ToLower(word) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, misused("invalid choice: '%s' (choose from True, False)", word)
}

// readPairs reads key=value,key=value. What has no = goes on with the value before it, so that a value may hold commas.
func readPairs(word string) (map[string]any, error) {
	pairs := map[string]any{}
	last := ""
	for i, part := range strings.Split(word, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok:
			pairs[key], last = value, key
		case i == 0:
			return nil, misused("missing value for key '%s'", part)
		default:
			pairs[last] = pairs[last].(string) + "," + part
		}
	}
	return pairs, nil
}
