package main

import (
	"context"
	"strings"
)

func securityGroups() *resource {
	return &resource{
		name: "security_group", plural: "security_groups", path: "/security-groups", prefix: "security-group", title: "security group",
		columns: []string{"id", "name", "security_group_rules"},
		create:  &form{words: []option{newName}, options: []option{description}},
		update:  &form{options: []option{rename, description}},
		remove:  true, indent: true,
		cells: map[string]func(rawJSON) string{"security_group_rules": showRules},
	}
}

func securityGroupRules() *resource {
	return &resource{
		name: "security_group_rule", plural: "security_group_rules", path: "/security-group-rules", prefix: "security-group-rule",
		title: "security group rule", idsOnly: true,
		columns: []string{"id", "security_group", "direction", "ethertype", "port/protocol", "remote"},
		create: &form{
			words: []option{{name: "SECURITY_GROUP", attr: "security_group_id", of: "security_group"}},
			options: []option{
				description,
				{name: "direction", attr: "direction", choices: []string{"ingress", "egress"}, help: "as the port's owner sees it; ingress where nobody says"},
				{name: "ethertype", attr: "ethertype", help: "IPv4 or IPv6"},
				{name: "protocol", attr: "protocol", help: "tcp, udp, icmp, icmpv6, another name, or a number"},
				{name: "port-range-min", attr: "port_range_min", help: "the first port; of ICMP its type"},
				{name: "port-range-max", attr: "port_range_max", help: "the last port; of ICMP its code"},
				{name: "remote-ip-prefix", attr: "remote_ip_prefix", help: "the CIDR of the other end"},
				{name: "remote-group-id", attr: "remote_group_id", of: "security_group", help: "the security group of the other end"},
			},
			always: map[string]any{"direction": "ingress"},
			settle: chooseEthertype,
		},
		remove: true, complete: describeRules, completed: []string{"security_group", "port/protocol", "remote"},
	}
}

// chooseEthertype says the family of a rule that came without.
func chooseEthertype(_ context.Context, _ *client, body map[string]any) error {
	if _, given := body["ethertype"]; given {
		return nil
	}
	body["ethertype"] = "IPv4"
	if p, _ := body["protocol"].(string); strings.EqualFold(p, "icmpv6") {
		body["ethertype"] = "IPv6"
	}
	return nil
}

func subnetPools() *resource {
	updatable := []option{
		description,
		{name: "min-prefixlen", attr: "min_prefixlen", kind: number, help: "the shortest prefix that it gives"},
		{name: "max-prefixlen", attr: "max_prefixlen", kind: number, help: "the longest prefix that it gives"},
		{name: "default-prefixlen", attr: "default_prefixlen", kind: number, help: "the prefix that it gives to who does not say"},
		{name: "is-default", attr: "is_default", kind: truth, help: "whether subnets get from it where no pool is named"},
		{name: "address-scope", attr: "address_scope_id", of: "address_scope", help: "the address scope that it is in"},
	}
	prefix := option{name: "pool-prefix", attr: "prefixes", many: true, help: "a CIDR that it gives from"}
	needed := prefix
	needed.required = true
	return &resource{
		name: "subnetpool", plural: "subnetpools", path: "/subnetpools", prefix: "subnetpool", title: "subnet pool",
		columns: []string{"id", "name", "prefixes", "default_prefixlen", "address_scope_id", "is_default"},
		create:  &form{words: []option{newName}, options: append([]option{needed, shared}, updatable...)},
		update: &form{options: append([]option{rename, prefix,
			{name: "no-address-scope", attr: "address_scope_id", kind: fixed, value: nil, help: "it is in no address scope"}}, updatable...)},
		remove: true,
	}
}

func addressScopes() *resource {
	return &resource{
		name: "address_scope", plural: "address_scopes", path: "/address-scopes", prefix: "address-scope", title: "address scope",
		columns: []string{"id", "name", "ip_version"},
		create:  &form{words: []option{newName, {name: "IP_VERSION", attr: "ip_version", kind: number}}, options: []option{shared}},
		update:  &form{options: []option{rename, {name: "shared", attr: "shared", kind: truth, help: "whether every project uses it"}}},
		remove:  true,
	}
}

func rbacPolicies() *resource {
	return &resource{
		name: "rbac_policy", plural: "rbac_policies", path: "/rbac-policies", prefix: "rbac", title: "RBAC policy", idsOnly: true,
		columns: []string{"id", "object_type", "object_id"},
		create: &form{
			words: []option{{name: "RBAC_OBJECT", attr: "object_id"}},
			options: []option{
				{name: "type", attr: "object_type", required: true, help: "what is shared: network, subnetpool, address_scope, security_group"},
				{name: "target-tenant", attr: "target_tenant", help: "the project that it is shared with; * for all, which is where nobody says"},
				{name: "action", attr: "action", choices: []string{"access_as_shared", "access_as_external"}, required: true, help: "how"},
			},
			always: map[string]any{"target_tenant": "*"},
			settle: resolveShared,
		},
		update: &form{options: []option{{name: "target-tenant", attr: "target_tenant", help: "the project that it is shared with; * for all"}}},
		remove: true,
	}
}

// resolveShared finds what an RBAC policy shares, by the type that it names.
func resolveShared(ctx context.Context, c *client, body map[string]any) (err error) {
	kind, _ := body["object_type"].(string)
	kind = strings.ReplaceAll(kind, "-", "_")
	body["object_type"] = kind
	for _, r := range resources() {
		if name, ok := body["object_id"].(string); ok && r.name == kind && !r.idsOnly {
			body["object_id"], err = c.find(ctx, kind, name)
		}
	}
	return err
}

func agents() *resource {
	return &resource{
		name: "agent", plural: "agents", path: "/agents", prefix: "agent", title: "agent", idsOnly: true,
		columns: []string{"id", "agent_type", "host", "availability_zone", "alive", "admin_state_up", "binary"},
		update:  &form{options: []option{{name: "admin-state-down", attr: "admin_state_up", kind: off, help: "switch it off"}, description}},
		remove:  true, indent: true,
		cells: map[string]func(rawJSON) string{"alive": showAlive},
	}
}

func availabilityZones() *resource {
	return &resource{
		name: "availability_zone", plural: "availability_zones", path: "/availability_zones", prefix: "availability-zone",
		title: "availability zone", listOnly: true,
		columns: []string{"name", "resource", "state"},
	}
}

func extensions() *resource {
	return &resource{
		name: "extension", plural: "extensions", path: "/extensions", prefix: "ext", title: "extension", idsOnly: true,
		columns: []string{"alias", "name"},
	}
}
