package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// kind is how the words of an option become a value of JSON.
type kind int

const (
	text     kind = iota
	number        // a whole number
	truth         // True or False
	document      // JSON
	pairs         // key=value,key=value
	on            // a switch: the attribute is true
	off           // a switch: the attribute is false
	fixed         // a switch: the attribute is the option's value
)

// option is one thing that a command knows how to take: a flag, or a word by itself.
type option struct {
	name     string // without the dashes, "fixed-ip"; of a word what it stands for, "NETWORK"
	attr     string // the attribute that it sets
	kind     kind
	many     bool     // it may be repeated, and the attribute is a list
	of       string   // it names one of this resource, which may be by name. Of pairs: their key of_id does
	keys     []string // of pairs: these and no others; with a ! the pair must be there
	choices  []string // these and no others, however capitalised
	value    any      // of fixed
	required bool     // of a flag: the command does nothing without it
	help     string
}

func (o *option) isSwitch() bool { return o.kind == on || o.kind == off || o.kind == fixed }

// read is the value of one word.
func (o *option) read(word string) (any, error) {
	if o.choices != nil {
		i := slices.IndexFunc(o.choices, func(c string) bool { return strings.EqualFold(c, word) })
		if i < 0 {
			return nil, misused("invalid choice: '%s' (choose from %s)", word, strings.Join(o.choices, ", "))
		}
		word = o.choices[i]
	}
	switch o.kind {
	case number:
		return readNumber(word)
	case truth, on:
		return readTruth(word)
	case off:
		yes, err := readTruth(word)
		return yes == false, err
	case fixed:
		return o.value, nil
	case pairs:
		return o.readPairs(word)
	case document:
		var v any
		if err := json.Unmarshal([]byte(word), &v); err != nil {
			return nil, misused("invalid JSON: %w", err)
		}
		return v, nil
	}
	return word, nil
}

func (o *option) readPairs(word string) (any, error) {
	got, err := readPairs(word)
	if err != nil {
		return nil, err
	}
	var valid, absent, strange []string
	for _, k := range o.keys {
		key, must := strings.CutSuffix(k, "!")
		valid = append(valid, key)
		if _, given := got[key]; must && !given {
			absent = append(absent, key)
		}
	}
	for key := range got {
		if !slices.Contains(valid, key) {
			strange = append(strange, key)
		}
	}
	slices.Sort(strange)
	switch {
	case strange != nil:
		return nil, misused("Invalid key(s) '%s' specified. Valid key(s): '%s'.", strings.Join(strange, ", "), strings.Join(valid, ", "))
	case absent != nil:
		return nil, misused("Required key(s) '%s' not specified.", strings.Join(absent, ", "))
	}
	return got, nil
}

// resolve puts the id in the place of a name.
func (o *option) resolve(ctx context.Context, c *client, v any) (any, error) {
	if o.of == "" {
		return v, nil
	}
	if p, ok := v.(map[string]any); ok {
		key := o.of + "_id"
		if name, given := p[key].(string); given {
			id, err := c.find(ctx, o.of, name)
			p[key] = id
			return p, err
		}
		return p, nil
	}
	return c.find(ctx, o.of, v.(string))
}

// heard is what a command line gave of an option.
type heard struct {
	option *option
	words  []string
	values []any
}

// Set, String and Type make it a flag's value; Type is the hint that help shows.
func (h *heard) Set(word string) error {
	v, err := h.option.read(word)
	if err != nil {
		return err
	}
	if !h.option.many {
		h.words, h.values = nil, nil
	}
	h.words, h.values = append(h.words, word), append(h.values, v)
	return nil
}

func (h *heard) String() string { return "" }

func (h *heard) Type() string {
	switch {
	case h.option.isSwitch():
		return "bool" // so that help shows no hint
	case h.option.keys != nil:
		var keys []string
		for _, k := range h.option.keys {
			key := strings.TrimSuffix(k, "!")
			keys = append(keys, key+"="+strings.ToUpper(key))
		}
		return strings.Join(keys, ",")
	case h.option.choices != nil:
		return strings.Join(h.option.choices, "|")
	case h.option.kind == truth:
		return "True|False"
	}
	return strings.ToUpper(h.option.name[strings.LastIndexAny(h.option.name, "-:")+1:])
}

// declare makes flags of options, and says where to find what they were given.
func declare(flags *pflag.FlagSet, options []option) []*heard {
	all := make([]*heard, len(options))
	for i := range options {
		o := &options[i]
		all[i] = &heard{option: o}
		help := o.help
		if o.many {
			help += " (may be repeated)"
		}
		f := flags.VarPF(all[i], o.name, "", help)
		if o.isSwitch() {
			f.NoOptDefVal = "true"
		}
	}
	return all
}

// agree refuses a command line that lacks an option, or has two that set one attribute.
func agree(given []*heard) error {
	by := map[string]string{}
	for _, h := range given {
		o := h.option
		if h.words == nil {
			if o.required {
				return misused("the following arguments are required: --%s", o.name)
			}
			continue
		}
		if other, twice := by[o.attr]; twice {
			return misused("argument --%s: not allowed with argument --%s", o.name, other)
		}
		by[o.attr] = o.name
	}
	return nil
}

// fill sets in an object what a command line gave, with names resolved.
func fill(ctx context.Context, c *client, body map[string]any, given []*heard) error {
	for _, h := range given {
		if h.words == nil {
			continue
		}
		o := h.option
		for i := range h.values {
			var err error
			if h.values[i], err = o.resolve(ctx, c, h.values[i]); err != nil {
				return err
			}
		}
		body[o.attr] = h.values[0]
		if o.many {
			body[o.attr] = h.values
		}
	}
	return nil
}

// merge adds undeclared attributes to a body: they win, save that lists of both kinds are one.
func merge(body, extra map[string]any) {
	for name, v := range extra {
		known, isList := body[name].([]any)
		more, both := v.([]any)
		if isList && both {
			body[name] = append(known, more...)
			continue
		}
		body[name] = v
	}
}

// usage is how a word is written in a command's synopsis.
func (o *option) usage(optional, many bool) string {
	s := o.name
	if many {
		s += " ..."
	}
	if optional {
		s = fmt.Sprintf("[%s]", s)
	}
	return s
}
