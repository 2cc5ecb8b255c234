package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// actions are the commands that are more than a verb on a resource.
func actions() []*command {
	return append(append(routerActions(), floatingActions()...), append(otherLists(), append(quotas(), tags()...)...)...)
}

var (
	routerWord = option{name: "ROUTER", of: "router"}
	portWord   = option{name: "PORT", of: "port"}
)

// find is the id of what the command's word n names.
func (c *call) find(ctx context.Context, kind string, n int) (string, error) {
	return c.client.find(ctx, kind, c.words[n])
}

func routerActions() []*command {
	router := resourceNamed("router")
	return []*command{
		{
			name: "router-gateway-set", short: "Give a router its way out, to an external network",
			words: []option{routerWord, {name: "EXTERNAL-NETWORK"}},
			options: []option{
				{name: "enable-snat", attr: "enable_snat", kind: on, help: "let what has no floating IP out by the router's address"},
				{name: "disable-snat", attr: "enable_snat", kind: off, help: "do not"},
				{name: "fixed-ip", attr: "external_fixed_ips", kind: pairs, many: true, of: "subnet", keys: []string{"subnet_id", "ip_address"}, help: "the router's address there"},
			},
			run: func(ctx context.Context, c *call) error {
				id, err := c.find(ctx, "router", 0)
				if err != nil {
					return err
				}
				gateway := map[string]any{}
				if gateway["network_id"], err = c.find(ctx, "network", 1); err != nil {
					return err
				}
				if err := fill(ctx, c.client, gateway, c.given); err != nil {
					return err
				}
				return c.put(ctx, router.item(id), "router", "external_gateway_info", gateway, "Set gateway for router "+c.words[0])
			},
		},
		{
			name: "router-gateway-clear", short: "Take a router's way out", words: []option{routerWord},
			run: func(ctx context.Context, c *call) error {
				id, err := c.find(ctx, "router", 0)
				if err != nil {
					return err
				}
				return c.put(ctx, router.item(id), "router", "external_gateway_info", map[string]any{}, "Removed gateway from router "+c.words[0])
			},
		},
		interfaceAction("router-interface-add", "Join a subnet to a router", "add_router_interface", func(router, port string) string {
			return fmt.Sprintf("Added interface %s to router %s.", port, router)
		}),
		interfaceAction("router-interface-delete", "Take a subnet from a router", "remove_router_interface", func(router, _ string) string {
			return fmt.Sprintf("Removed interface from router %s.", router)
		}),
	}
}

// put sets one attribute of a resource and says what has been done.
func (c *call) put(ctx context.Context, path, resource, attr string, v any, done string) error {
	_, err := c.call(ctx, http.MethodPut, path, nil, map[string]any{resource: map[string]any{attr: v}})
	if err == nil {
		fmt.Fprintln(c.out, done)
	}
	return err
}

func interfaceAction(name, short, path string, done func(router, port string) string) *command {
	return &command{
		name: name, short: short, words: []option{routerWord, {name: "SUBNET|subnet=SUBNET|port=PORT"}},
		run: func(ctx context.Context, c *call) error {
			kind, word, said := strings.Cut(c.words[1], "=")
			if !said {
				kind, word = "subnet", c.words[1]
			}
			if kind != "subnet" && kind != "port" {
				return misused("You must specify either subnet or port for INTERFACE parameter.")
			}
			router, err := c.find(ctx, "router", 0)
			if err != nil {
				return err
			}
			id, err := c.client.find(ctx, kind, word)
			if err != nil {
				return err
			}
			end, err := c.call(ctx, http.MethodPut, resourceNamed("router").item(router)+"/"+path, nil, map[string]any{kind + "_id": id})
			if err == nil {
				fmt.Fprintln(c.out, done(c.words[0], end.text("port_id")))
			}
			return err
		},
	}
}

func floatingActions() []*command {
	item := resourceNamed("floatingip").item
	return []*command{
		{
			name: "floatingip-associate", short: "Let a floating IP stand for a port", words: []option{{name: "FLOATINGIP_ID"}, portWord},
			options: []option{{name: "fixed-ip-address", attr: "fixed_ip_address", help: "which of the port's addresses"}},
			run: func(ctx context.Context, c *call) error {
				port, err := c.find(ctx, "port", 1)
				if err != nil {
					return err
				}
				body := map[string]any{"port_id": port}
				if err := fill(ctx, c.client, body, c.given); err != nil {
					return err
				}
				if _, err := c.call(ctx, http.MethodPut, item(c.words[0]), nil, map[string]any{"floatingip": body}); err != nil {
					return err
				}
				fmt.Fprintf(c.out, "Associated floatingip %s\n", c.words[0])
				return nil
			},
		},
		{
			name: "floatingip-disassociate", short: "Take a floating IP from its port", words: []option{{name: "FLOATINGIP_ID"}},
			run: func(ctx context.Context, c *call) error {
				return c.put(ctx, item(c.words[0]), "floatingip", "port_id", nil, "Disassociated floatingip "+c.words[0])
			},
		},
	}
}

// otherLists are lists that are part of another resource, or of one that has no other verb.
func otherLists() []*command {
	host := []string{"id", "host", "admin_state_up", "alive"}
	all := []*command{
		{
			name: "net-external-list", short: "List external networks", passes: true, shows: many,
			run: func(ctx context.Context, c *call) error {
				c.extra["router:external"] = true
				return networks().list(ctx, c, "/networks", c.extra)
			},
		},
		{
			name: "router-port-list", short: "List the ports of a router", words: []option{routerWord}, passes: true, shows: many,
			run: func(ctx context.Context, c *call) error {
				id, err := c.find(ctx, "router", 0)
				if err != nil {
					return err
				}
				c.extra["device_id"] = id
				return ports().list(ctx, c, "/ports", c.extra)
			},
		},
		sublist("dhcp-agent-list-hosting-net", "List the agents that answer DHCP on a network", networks(), "/dhcp-agents", agents(), host),
		sublist("net-list-on-dhcp-agent", "List the networks on which an agent answers DHCP", agents(), "/dhcp-networks", networks(), nil),
		sublist("l3-agent-list-hosting-router", "List the agents that have a router's gateway", routers(), "/l3-agents", agents(), host),
		sublist("router-list-on-l3-agent", "List the routers whose gateway an agent has", agents(), "/l3-routers", routers(), nil),
	}
	return append(all, availability()...)
}

// sublist is a list of one resource that is found below one of another.
func sublist(name, short string, of *resource, suffix string, r *resource, columns []string) *command {
	if columns != nil {
		r.columns = columns
	}
	return &command{
		name: name, short: short, words: []option{of.which()}, passes: true, shows: many,
		run: func(ctx context.Context, c *call) error {
			id, err := of.id(ctx, c.client, c.words[0])
			if err != nil {
				return err
			}
			return r.list(ctx, c, of.item(id)+suffix, c.extra)
		},
	}
}

// availability is how full networks are: a list of its own whose items are found by the network.
func availability() []*command {
	r := &resource{
		name: "network_ip_availability", plural: "network_ip_availabilities", path: "/network-ip-availabilities", prefix: "net-ip-availability",
		columns: []string{"network_id", "network_name", "total_ips", "used_ips"},
	}
	return []*command{
		{
			name: r.prefix + "-list", short: "List how many addresses of each network are used", passes: true, shows: many,
			run: func(ctx context.Context, c *call) error { return r.list(ctx, c, r.path, c.extra) },
		},
		{
			name: r.prefix + "-show", short: "Show how many addresses of a network are used", words: []option{{name: "NETWORK"}}, shows: one,
			run: func(ctx context.Context, c *call) error {
				id, err := c.find(ctx, "network", 0)
				if err != nil {
					return err
				}
				o, err := c.one(ctx, http.MethodGet, r.item(id), r.name, c.view.fieldsQuery(), nil)
				if err != nil {
					return err
				}
				return c.view.show(c.out, r, o)
			},
		},
	}
}

// tags are words on a resource; the commands print nothing when they have done what they were told.
func tags() []*command {
	taggable := []string{"network", "subnet", "port", "router", "floatingip", "security_group", "subnetpool"}
	on := []option{
		{name: "resource-type", attr: "type", choices: taggable, required: true, help: "what it is"},
		{name: "resource", attr: "resource", required: true, help: "its name or id"},
	}
	tag := option{name: "tag", attr: "tag", required: true, help: "the tag"}
	several := tag
	several.many = true
	maybe := tag
	maybe.required = false
	do := func(name, short string, options []option, send func(ctx context.Context, c *call, path string) error) *command {
		return &command{
			name: name, short: short, options: append(append([]option{}, on...), options...),
			run: func(ctx context.Context, c *call) error {
				r := resourceNamed(c.value("resource-type").(string))
				id, err := r.id(ctx, c.client, c.value("resource").(string))
				if err != nil {
					return err
				}
				return send(ctx, c, r.item(id)+"/tags")
			},
		}
	}
	return []*command{
		do("tag-add", "Add a tag to a resource", []option{tag}, func(ctx context.Context, c *call, path string) error {
			_, err := c.call(ctx, http.MethodPut, path+"/"+url.PathEscape(c.value("tag").(string)), nil, nil)
			return err
		}),
		do("tag-replace", "Replace all tags of a resource", []option{several}, func(ctx context.Context, c *call, path string) error {
			_, err := c.call(ctx, http.MethodPut, path, nil, map[string]any{"tags": c.value("tag")})
			return err
		}),
		do("tag-remove", "Remove a tag of a resource, or all", []option{maybe, {name: "all", attr: "tag", kind: fixed, value: "", help: "remove all"}},
			func(ctx context.Context, c *call, path string) error {
				if c.value("all") == nil {
					word, ok := c.value("tag").(string)
					if !ok {
						return misused("--all or --tag must be specified")
					}
					path += "/" + url.PathEscape(word)
				}
				_, err := c.call(ctx, http.MethodDelete, path, nil, nil)
				return err
			}),
	}
}
