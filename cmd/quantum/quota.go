package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// quotas are the commands on how much each project may have. They name a project by its id, and mean the
// caller's own where none is named.
func quotas() []*command {
	r := &resource{name: "quota", plural: "quotas", path: "/quotas", prefix: "quota", title: "quota"}
	project := []option{{name: "tenant-id", attr: "tenant_id", help: "the project; the caller's own where nobody says"}}
	var limits []option
	for _, of := range []struct{ flag, attr string }{
		{"network", "network"}, {"subnet", "subnet"}, {"port", "port"}, {"router", "router"}, {"floatingip", "floatingip"},
		{"security-group", "security_group"}, {"security-group-rule", "security_group_rule"}, {"subnetpool", "subnetpool"}, {"rbac-policy", "rbac_policy"},
	} {
		limits = append(limits, option{name: of.flag, attr: of.attr, kind: number, help: "how many of these; -1 for any number"})
	}
	shows := func(name, short, suffix string) *command {
		return &command{
			name: name, short: short, words: []option{{name: "TENANT_ID"}}, optional: 1, options: project, shows: one,
			run: func(ctx context.Context, c *call) error {
				id, err := c.project(ctx)
				if err != nil {
					return err
				}
				o, err := c.one(ctx, http.MethodGet, r.item(id)+suffix, r.name, nil, nil)
				if err != nil {
					return err
				}
				return c.view.show(c.out, r, o)
			},
		}
	}
	return []*command{
		r.lists(),
		shows("quota-show", "Show how much a project may have", ""),
		shows("quota-default-show", "Show how much a project may have where nobody says otherwise", "/default"),
		{
			name: "quota-update", short: "Say how much a project may have", words: []option{{name: "TENANT_ID"}}, optional: 1,
			options: append(project[:1:1], limits...), passes: true, shows: one,
			run: func(ctx context.Context, c *call) error { return updateQuota(ctx, c, r) },
		},
		{
			name: "quota-delete", short: "Give a project the default quotas again", words: []option{{name: "TENANT_ID"}}, optional: 1, options: project,
			run: func(ctx context.Context, c *call) error {
				id, err := c.project(ctx)
				if err != nil {
					return err
				}
				if _, err := c.call(ctx, http.MethodDelete, r.item(id), nil, nil); err != nil {
					return err
				}
				fmt.Fprintf(c.out, "Deleted quota: %s\n", id)
				return nil
			},
		},
	}
}

func updateQuota(ctx context.Context, c *call, r *resource) error {
	limits := map[string]any{}
	if err := fill(ctx, c.client, limits, c.given); err != nil {
		return err
	}
	delete(limits, "tenant_id")
	merge(limits, c.extra)
	if len(limits) == 0 {
		return misused("Must specify a valid resource with new quota value")
	}
	id, err := c.project(ctx)
	if err != nil {
		return err
	}
	o, err := c.one(ctx, http.MethodPut, r.item(id), r.name, nil, map[string]any{r.name: limits})
	if err != nil {
		return err
	}
	return c.view.show(c.out, r, o)
}

// project is the project that the command line names, or else the caller's, which the server knows.
func (c *call) project(ctx context.Context) (string, error) {
	if len(c.words) > 0 {
		return c.words[0], nil
	}
	if id, ok := c.value("tenant-id").(string); ok {
		return id, nil
	}
	o, err := c.one(ctx, http.MethodGet, "/quotas/tenant", "tenant", url.Values{}, nil)
	return o.text("tenant_id"), err
}
