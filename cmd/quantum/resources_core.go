package main

import (
	"context"
	"net/http"
)

func networks() *resource {
	return &resource{
		name: "network", plural: "networks", path: "/networks", prefix: "net", title: "network",
		columns: []string{"id", "name", "subnets"},
		create: &form{
			words: []option{newName},
			options: []option{
				adminStateDown, shared, description, zoneHint, dnsDomain,
				{name: "provider:network_type", attr: "provider:network_type", help: "what carries it: vlan, vxlan, gre, flat …"},
				{name: "provider:physical_network", attr: "provider:physical_network", help: "the physical network that carries it"},
				{name: "provider:segmentation_id", attr: "provider:segmentation_id", help: "its VLAN, or its key in a tunnel"},
			},
			always: switchedOn,
		},
		update: &form{options: []option{rename, description, dnsDomain, noDNSDomain}},
		remove: true, complete: addCIDRs, completed: []string{"subnets"},
		cells: map[string]func(rawJSON) string{"subnets": showSubnets},
	}
}

func subnets() *resource {
	updatable := []option{
		rename, description,
		{name: "gateway", attr: "gateway_ip", help: "the address of its router"},
		{name: "no-gateway", attr: "gateway_ip", kind: fixed, value: nil, help: "it has no router"},
		{name: "allocation-pool", attr: "allocation_pools", kind: pairs, many: true, keys: []string{"start!", "end!"}, help: "addresses that ports may get"},
		{name: "host-route", attr: "host_routes", kind: pairs, many: true, keys: []string{"destination!", "nexthop!"}, help: "a route that its ports learn"},
		{name: "dns-nameserver", attr: "dns_nameservers", many: true, help: "a name server that its ports learn"},
		{name: "enable-dhcp", attr: "enable_dhcp", kind: on, help: "answer DHCP"},
		{name: "disable-dhcp", attr: "enable_dhcp", kind: off, help: "do not answer DHCP"},
	}
	modes := []string{"slaac", "dhcpv6-stateful", "dhcpv6-stateless"}
	return &resource{
		name: "subnet", plural: "subnets", path: "/subnets", prefix: "subnet", title: "subnet",
		columns: []string{"id", "name", "cidr", "allocation_pools"},
		create: &form{
			words:    []option{{name: "NETWORK", attr: "network_id", of: "network"}, {name: "CIDR", attr: "cidr"}},
			optional: 1,
			options: append([]option{
				{name: "ip-version", attr: "ip_version", kind: number, help: "4 or 6; 4 where neither this nor a subnet pool says"},
				{name: "ipv6-ra-mode", attr: "ipv6_ra_mode", choices: modes, help: "how router advertisements say that addresses are made"},
				{name: "ipv6-address-mode", attr: "ipv6_address_mode", choices: modes, help: "how addresses are made"},
				{name: "subnetpool", attr: "subnetpool_id", of: "subnetpool", help: "the pool that it gets its CIDR from"},
				{name: "use-default-subnetpool", attr: "use_default_subnetpool", kind: on, help: "get its CIDR from the default pool"},
				{name: "prefixlen", attr: "prefixlen", kind: number, help: "how long a prefix to get from a pool"},
			}, updatable...),
			settle: chooseIPVersion,
		},
		update: &form{options: updatable},
		remove: true,
	}
}

// chooseIPVersion says the IP version of a subnet that came without: its pool's, or 4.
func chooseIPVersion(ctx context.Context, c *client, body map[string]any) error {
	if _, given := body["ip_version"]; given {
		return nil
	}
	body["ip_version"] = 4
	pool, ok := body["subnetpool_id"].(string)
	if !ok {
		return nil
	}
	p, err := c.one(ctx, http.MethodGet, "/subnetpools/"+pool, "subnetpool", nil, nil)
	if err == nil {
		body["ip_version"] = p["ip_version"]
	}
	return err
}

func ports() *resource {
	updatable := []option{
		rename, description,
		{name: "fixed-ip", attr: "fixed_ips", kind: pairs, many: true, of: "subnet", keys: []string{"subnet_id", "ip_address"}, help: "an address, or any of a subnet"},
		{name: "device-id", attr: "device_id", help: "whose port it is: a VM's or a router's id"},
		{name: "device-owner", attr: "device_owner", help: "what that is: compute:nova …"},
		{name: "security-group", attr: "security_groups", many: true, of: "security_group", help: "a security group that it is in"},
		{name: "no-security-groups", attr: "security_groups", kind: fixed, value: []any{}, help: "it is in none"},
		{name: "extra-dhcp-opt", attr: "extra_dhcp_opts", kind: pairs, many: true, keys: []string{"opt_name!", "opt_value", "ip_version"}, help: "an option that DHCP gives"},
		{name: "allowed-address-pair", attr: "allowed_address_pairs", kind: pairs, many: true, keys: []string{"ip_address!", "mac_address"}, help: "addresses that it may send from besides its own"},
		{name: "no-allowed-address-pairs", attr: "allowed_address_pairs", kind: fixed, value: []any{}, help: "it sends only from its own"},
		dnsName,
	}
	return &resource{
		name: "port", plural: "ports", path: "/ports", prefix: "port", title: "port",
		columns: []string{"id", "name", "mac_address", "fixed_ips"},
		create: &form{
			words: []option{{name: "NETWORK", attr: "network_id", of: "network"}},
			options: append([]option{
				adminStateDown,
				{name: "mac-address", attr: "mac_address", help: "its MAC; one is made where none is given"},
				{name: "vnic-type", attr: "binding:vnic_type", help: "normal, direct …"},
				{name: "binding-profile", attr: "binding:profile", kind: document, help: "what a hypervisor's driver wants to know, as JSON"},
			}, updatable...),
			always: switchedOn,
			settle: nullOptions,
		},
		update: &form{options: append([]option{adminStateUp, noDNSName}, updatable...), settle: nullOptions},
		remove: true,
	}
}

// nullOptions takes the word null for none, in the value of a DHCP option.
func nullOptions(_ context.Context, _ *client, body map[string]any) error {
	all, _ := body["extra_dhcp_opts"].([]any)
	for _, o := range all {
		if pair, ok := o.(map[string]any); ok && pair["opt_value"] == "null" {
			pair["opt_value"] = nil
		}
	}
	return nil
}

func routers() *resource {
	return &resource{
		name: "router", plural: "routers", path: "/routers", prefix: "router", title: "router",
		columns: []string{"id", "name", "external_gateway_info", "distributed", "ha"},
		create: &form{
			words: []option{newName},
			options: []option{
				adminStateDown, description, zoneHint,
				{name: "distributed", attr: "distributed", kind: truth, help: "whether it is on every host"},
				{name: "ha", attr: "ha", kind: truth, help: "whether another host takes over its gateway"},
			},
			always: switchedOn,
		},
		update: &form{options: []option{
			rename, description, adminStateUp,
			{name: "distributed", attr: "distributed", kind: truth, help: "whether it is on every host"},
			{name: "route", attr: "routes", kind: pairs, many: true, keys: []string{"destination!", "nexthop!"}, help: "a static route; all that it is to have"},
			{name: "no-routes", attr: "routes", kind: fixed, value: []any{}, help: "it has no static routes"},
		}},
		remove: true,
	}
}

func floatingIPs() *resource {
	return &resource{
		name: "floatingip", plural: "floatingips", path: "/floatingips", prefix: "floatingip", title: "floating IP", idsOnly: true,
		columns: []string{"id", "fixed_ip_address", "floating_ip_address", "port_id"},
		create: &form{
			words: []option{{name: "FLOATING_NETWORK", attr: "floating_network_id", of: "network"}},
			options: []option{
				description, dnsName, dnsDomain,
				{name: "port-id", attr: "port_id", of: "port", help: "the port that it stands for"},
				{name: "fixed-ip-address", attr: "fixed_ip_address", help: "which of the port's addresses"},
				{name: "floating-ip-address", attr: "floating_ip_address", help: "the address; one is chosen where none is given"},
				{name: "subnet", attr: "subnet_id", of: "subnet", help: "the subnet to choose from"},
			},
		},
		remove: true,
	}
}
