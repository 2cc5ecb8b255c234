package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// terminal is what all commands share: where they write, and what they were told of the server.
type terminal struct {
	out      io.Writer
	log      io.Writer
	settings settings
}

// command is one subcommand.
type command struct {
	name, short string
	aliases     []string
	words       []option
	optional    int  // so many of the last words may be absent
	more        bool // the last word may be repeated
	options     []option
	passes      bool // unknown options are the server's to judge
	shows       shape
	run         func(ctx context.Context, c *call) error
}

// call is a command that is being carried out.
type call struct {
	*client
	out   io.Writer
	words []string
	given []*heard       // of the command's options, in their order
	extra map[string]any // of options that it does not know
	view  *view
}

// commands are all subcommands.
func (t *terminal) commands() []*cobra.Command {
	var all []*cobra.Command
	for _, c := range append(verbs(), actions()...) {
		all = append(all, t.build(c))
	}
	return all
}

// build makes a command of cobra's. Cobra's own reading of flags is off, for it would refuse what it does not know;
// help and completion know the flags all the same.
func (t *terminal) build(c *command) *cobra.Command {
	cmd := &cobra.Command{Use: c.synopsis(), Short: c.short, Aliases: c.aliases, DisableFlagParsing: true, DisableFlagsInUseLine: true}
	flags := cmd.Flags()
	given := declare(flags, c.options)
	view := newView(flags, c.shows)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cmd.InheritedFlags() // has cobra merge them into flags
		l, err := split(flags, args, slots{len(c.words) - c.optional, c.optional, c.more})
		if err != nil {
			return err
		}
		if help, _ := flags.GetBool("help"); help {
			return cmd.Help()
		}
		if missing := len(c.words) - c.optional - len(l.words); missing > 0 {
			return misused("the following arguments are required: %s", missingWords(c.words[len(l.words):len(l.words)+missing]))
		}
		extra, err := c.attributes(l.extra)
		if err != nil {
			return err
		}
		if err := errors.Join(agree(given), view.check()); err != nil {
			return err
		}
		client, err := t.settings.connect(cmd.Context(), t.log)
		if err != nil {
			return err
		}
		return c.run(cmd.Context(), &call{client, t.out, l.words, given, extra, view})
	}
	return cmd
}

func (c *command) attributes(extra []string) (map[string]any, error) {
	if len(extra) > 0 && !c.passes {
		return nil, misused("unrecognized arguments: %s", strings.Join(extra, " "))
	}
	return attributes(extra)
}

func missingWords(words []option) string {
	var names []string
	for _, w := range words {
		names = append(names, w.name)
	}
	return strings.Join(names, ", ")
}

// synopsis is the command with its words: "subnet-create [options] NETWORK [CIDR] [--attribute value ...]".
func (c *command) synopsis() string {
	parts := []string{c.name, "[options]"}
	for i, w := range c.words {
		parts = append(parts, w.usage(i >= len(c.words)-c.optional, c.more && i == len(c.words)-1))
	}
	if c.passes {
		parts = append(parts, "[--attribute value ...]")
	}
	return strings.Join(parts, " ")
}

// body is what the command line says of a resource: its words, its options, what it does not know.
func (c *call) body(ctx context.Context, f *form) (map[string]any, error) {
	body := map[string]any{}
	for name, v := range f.always {
		body[name] = v
	}
	for i, word := range c.words {
		if i >= len(f.words) {
			break // an update's first word says which resource
		}
		o := &f.words[i]
		v, err := o.read(word)
		if err != nil {
			return nil, misused("argument %s: %w", o.name, err)
		}
		if body[o.attr], err = o.resolve(ctx, c.client, v); err != nil {
			return nil, err
		}
	}
	if err := fill(ctx, c.client, body, c.given); err != nil {
		return nil, err
	}
	merge(body, c.extra)
	if f.settle != nil {
		if err := f.settle(ctx, c.client, body); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// value is what the command line gave of an option, nil for nothing.
func (c *call) value(name string) any {
	for _, h := range c.given {
		if h.option.name == name && h.words != nil {
			if h.option.many {
				return h.values
			}
			return h.values[0]
		}
	}
	return nil
}
