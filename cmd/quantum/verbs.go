package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// verbs are the commands that every resource has: create, update, list, show and delete, as far as it has them.
func verbs() []*command {
	var all []*command
	for _, r := range resources() {
		if r.create != nil {
			all = append(all, r.creates())
		}
		if r.update != nil {
			all = append(all, r.updates())
		}
		all = append(all, r.lists())
		if !r.listOnly {
			all = append(all, r.shows())
		}
		if r.remove {
			all = append(all, r.deletes())
		}
	}
	return all
}

// owner is an option of every command that creates.
var owner = option{name: "tenant-id", attr: "tenant_id", help: "the project that is to own it; an admin's to say"}

func article(title string) string {
	if strings.ContainsAny(title[:1], "aeiou") || strings.HasPrefix(title, "RBAC") {
		return "an " + title
	}
	return "a " + title
}

func plural(title string) string {
	if stem, ok := strings.CutSuffix(title, "cy"); ok {
		return stem + "cies"
	}
	return title + "s"
}

func (r *resource) creates() *command {
	return &command{
		name: r.prefix + "-create", short: "Create " + article(r.title),
		words: r.create.words, optional: r.create.optional, options: append([]option{owner}, r.create.options...),
		passes: true, shows: one,
		run: func(ctx context.Context, c *call) error {
			body, err := c.body(ctx, r.create)
			if err != nil {
				return err
			}
			made, err := c.one(ctx, http.MethodPost, r.path, r.name, nil, map[string]any{r.name: body})
			if err != nil {
				return err
			}
			if c.view.format == "table" {
				fmt.Fprintf(c.out, "Created a new %s:\n", r.name)
			}
			return c.view.show(c.out, r, made)
		},
	}
}

// which is the word by which a command is told of one resource.
func (r *resource) which() option {
	return option{name: strings.ToUpper(r.name)}
}

// id is the id of the resource that a word names.
func (r *resource) id(ctx context.Context, c *client, word string) (string, error) {
	if r.idsOnly {
		return word, nil
	}
	return c.find(ctx, r.name, word)
}

// item is the URL of one resource.
func (r *resource) item(id string) string { return r.path + "/" + url.PathEscape(id) }

func (r *resource) updates() *command {
	return &command{
		name: r.prefix + "-update", short: "Change " + article(r.title),
		words: []option{r.which()}, options: r.update.options, passes: true,
		run: func(ctx context.Context, c *call) error {
			body, err := c.body(ctx, r.update)
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return misused("Must specify new values to update %s", r.name)
			}
			id, err := r.id(ctx, c.client, c.words[0])
			if err != nil {
				return err
			}
			if _, err := c.call(ctx, http.MethodPut, r.item(id), nil, map[string]any{r.name: body}); err != nil {
				return err
			}
			fmt.Fprintf(c.out, "Updated %s: %s\n", r.name, c.words[0])
			return nil
		},
	}
}

func (r *resource) shows() *command {
	return &command{
		name: r.prefix + "-show", short: "Show " + article(r.title), aliases: r.aliases("show"),
		words: []option{r.which()}, shows: one,
		run: func(ctx context.Context, c *call) error {
			id, err := r.id(ctx, c.client, c.words[0])
			if err != nil {
				return err
			}
			o, err := c.one(ctx, http.MethodGet, r.item(id), r.name, c.view.fieldsQuery(), nil)
			if err != nil {
				return err
			}
			return c.view.show(c.out, r, o)
		},
	}
}

// aliases are other names of a command.
func (r *resource) aliases(verb string) []string {
	if r.name == "extension" {
		return []string{"extension-" + verb}
	}
	return nil
}

// deletes deletes all that it can of what it is told, and then says what it could not.
func (r *resource) deletes() *command {
	return &command{
		name: r.prefix + "-delete", short: "Delete " + article(r.title),
		words: []option{r.which()}, more: true,
		run: func(ctx context.Context, c *call) error {
			var refused []string
			for _, word := range c.words {
				id, err := r.id(ctx, c.client, word)
				if err == nil {
					_, err = c.call(ctx, http.MethodDelete, r.item(id), nil, nil)
				}
				if err != nil {
					refused = append(refused, err.Error())
					continue
				}
				fmt.Fprintf(c.out, "Deleted %s: %s\n", r.name, word)
			}
			if refused != nil {
				return fmt.Errorf("%s", strings.Join(refused, "\n"))
			}
			return nil
		},
	}
}

func (r *resource) lists() *command {
	return &command{
		name: r.prefix + "-list", short: "List " + plural(r.title), aliases: r.aliases("list"),
		passes: true, shows: many,
		run: func(ctx context.Context, c *call) error {
			return r.list(ctx, c, r.path, c.extra)
		},
	}
}

// list lists what is at a URL and passes a filter.
func (r *resource) list(ctx context.Context, c *call, path string, filter map[string]any) error {
	query := c.view.listQuery()
	for name, v := range filter {
		query[filterName(name)] = queryValues(v)
	}
	rows, err := c.client.list(ctx, path, r.plural, query)
	if err != nil {
		return err
	}
	if r.complete != nil && c.view.wants(r.completed) {
		if err := r.complete(ctx, c.client, rows); err != nil {
			return err
		}
	}
	return c.view.list(c.out, r, rows)
}

// filterName is an attribute as a filter: those that have a dash there had it taken as every undeclared option's is.
func filterName(attr string) string {
	if slices.Contains([]string{"tags_any", "not_tags", "not_tags_any"}, attr) {
		return strings.ReplaceAll(attr, "_", "-")
	}
	return attr
}

// queryValues is a value in a URL's query.
func queryValues(v any) []string {
	switch v := v.(type) {
	case nil:
		return []string{""}
	case bool:
		return []string{map[bool]string{true: "True", false: "False"}[v]}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, queryValues(e)...)
		}
		return all
	case map[string]any:
		var all []string
		for key, e := range v {
			all = append(all, fmt.Sprintf("%s=%v", key, e))
		}
		slices.Sort(all)
		return all
	}
	return []string{fmt.Sprint(v)}
}
