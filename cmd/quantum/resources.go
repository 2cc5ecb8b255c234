package main

import (
	"context"
	"fmt"
)

// resource is what there is to say of one kind of resource. The verbs make commands of it: PREFIX-create,
// -update, -list, -show and -delete.
type resource struct {
	name, plural string // its keys in JSON
	path         string // the collection's URL behind /v2.0
	prefix       string // of its commands
	title        string // as help calls one
	idsOnly      bool   // a name does not stand for it
	columns      []string
	create       *form // nil: there is no such command
	update       *form
	remove       bool
	listOnly     bool // there is no -show

	// complete makes columns of a list, from other resources or from the attributes themselves, where any of them is to
	// be shown. May be nil.
	complete  func(ctx context.Context, c *client, rows []object) error
	completed []string
	// cells say how a table shows a column, where not as everything else. May be nil.
	cells map[string]func(rawJSON) string
	// indent has a table show nested objects over several lines.
	indent bool
}

// form is what a command that writes takes.
type form struct {
	words    []option // by themselves, in this order
	optional int      // so many of the last words may be absent
	options  []option
	always   map[string]any // attributes that are sent even when nobody gives them
	// settle puts right what depends on more than one attribute. May be nil.
	settle func(ctx context.Context, c *client, body map[string]any) error
}

// resources is everything that has verbs, in the order of help.
func resources() []*resource {
	return []*resource{
		networks(), subnets(), ports(), routers(), floatingIPs(),
		securityGroups(), securityGroupRules(),
		subnetPools(), addressScopes(), rbacPolicies(),
		agents(), availabilityZones(), extensions(),
	}
}

// resourceNamed is the resource of that name in JSON. It must be one of the table's.
func resourceNamed(name string) *resource {
	for _, r := range resources() {
		if r.name == name {
			return r
		}
	}
	panic(fmt.Sprintf("no resource is called %q", name))
}

// What several resources take.
var (
	newName        = option{name: "NAME", attr: "name"}
	rename         = option{name: "name", attr: "name", help: "its name"}
	description    = option{name: "description", attr: "description", help: "what a person wants to know of it"}
	adminStateDown = option{name: "admin-state-down", attr: "admin_state_up", kind: off, help: "create it switched off"}
	adminStateUp   = option{name: "admin-state-up", attr: "admin_state_up", kind: truth, help: "whether it is switched on"}
	shared         = option{name: "shared", attr: "shared", kind: on, help: "let every project use it"}
	zoneHint       = option{name: "availability-zone-hint", attr: "availability_zone_hints", many: true, help: "a zone that it may be in"}
	dnsName        = option{name: "dns-name", attr: "dns_name", help: "its name in DNS"}
	noDNSName      = option{name: "no-dns-name", attr: "dns_name", kind: fixed, value: "", help: "it has no name in DNS"}
	dnsDomain      = option{name: "dns-domain", attr: "dns_domain", help: "its domain in DNS"}
	noDNSDomain    = option{name: "no-dns-domain", attr: "dns_domain", kind: fixed, value: "", help: "it has no domain in DNS"}
)

var switchedOn = map[string]any{"admin_state_up": true}
