package main

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// line is a command line taken apart.
type line struct {
	words []string // what stands by itself, in order
	extra []string // options that the command does not know and all that is behind --, as attributes reads them
}

// slots is how many words a command takes for itself. Others belong to an unknown option before them.
type slots struct {
	needed, optional int
	more             bool // any number more
}

// takes says whether the next word is the command's own: what it needs is, wherever it stands; what it may have is
// unless an unknown option stands before it.
func (s slots) takes(n int, afterUnknown bool) bool {
	return n < s.needed || s.more || n < s.needed+s.optional && !afterUnknown
}

// split takes a command line apart and sets the flags that it gives. Unlike pflag it keeps what it does not know.
func split(flags *pflag.FlagSet, args []string, room slots) (line, error) {
	var l line
	unknown := false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			l.extra = append(l.extra, args[i+1:]...)
			return l, nil
		case !isOption(arg):
			if room.takes(len(l.words), unknown) {
				l.words = append(l.words, arg)
			} else if unknown {
				l.extra = append(l.extra, arg)
			} else {
				return l, misused("unrecognized arguments: %s", arg)
			}
		case strings.HasPrefix(arg, "--"):
			used, err := long(flags, arg, args[i+1:])
			if err != nil {
				return l, err
			}
			if unknown = used < 0; unknown {
				l.extra = append(l.extra, arg)
			} else {
				i += used
			}
		default:
			used, err := short(flags, arg, args[i+1:])
			if err != nil {
				return l, err
			}
			unknown, i = false, i+used
		}
	}
	return l, nil
}

// isOption reports whether an argument begins an option; a number below zero does not.
func isOption(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && !isNumber(arg)
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// long sets the flag that --name or --name=value gives, and says how many of the following arguments it took: -1
// where it knows no such flag. A flag with a value may be spelled with _ for -; a switch may not, since what looks like
// one is then an attribute by its own name, with a value: --enable_dhcp False.
//
// Nor may one with a word behind it that is for attributes to read: --dns_domain action=clear.
func long(flags *pflag.FlagSet, arg string, rest []string) (used int, err error) {
	name, value, given := strings.Cut(arg[2:], "=")
	f := flags.Lookup(name)
	if f == nil {
		f = flags.Lookup(strings.ReplaceAll(name, "_", "-"))
		if f != nil && (f.NoOptDefVal != "" || len(rest) > 0 && isModifier(rest[0])) {
			f = nil
		}
	}
	if f == nil {
		return -1, nil
	}
	switch {
	case given:
	case f.NoOptDefVal != "":
		value = f.NoOptDefVal
	case len(rest) == 0 || isOption(rest[0]):
		return 0, misused("argument --%s: expected one argument", f.Name)
	default:
		value, used = rest[0], 1
	}
	return used, set(f, value)
}

// short sets the flags that -x, -xvalue, -x value or -xyz give.
func short(flags *pflag.FlagSet, arg string, rest []string) (used int, err error) {
	for letters := arg[1:]; letters != ""; {
		var f *pflag.Flag
		if letters[0] < 0x80 {
			f = flags.ShorthandLookup(letters[:1])
		}
		if f == nil {
			return 0, misused("unrecognized arguments: %s", arg)
		}
		value := f.NoOptDefVal
		letters = letters[1:]
		if value == "" {
			value, letters = strings.TrimPrefix(letters, "="), ""
			if value == "" {
				if len(rest) == 0 || isOption(rest[0]) {
					return 0, misused("argument -%s: expected one argument", f.Shorthand)
				}
				value, used = rest[0], 1
			}
		}
		if err := set(f, value); err != nil {
			return 0, err
		}
	}
	return used, nil
}

func set(f *pflag.Flag, value string) error {
	if err := f.Value.Set(value); err != nil {
		return misused("argument --%s: %w", f.Name, err)
	}
	return nil
}
