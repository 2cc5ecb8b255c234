package neutron

import (
	"slices"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// standing is what a caller is to a resource. Several may be true at once.
type standing uint8

// What a rule can ask for.
const (
	owner        standing = 1 << iota // it is the caller's project's
	networkOwner                      // the network that it is, or is on, is the caller's project's
	shared                            // that network, or the resource itself, is shared with the caller
	external                          // that network is external to the caller
	service                           // the caller works for all projects, as Nova does

	adminAlone standing = 0
)

// policy is who may do what beside an admin, who may everything; without a rule here it is an admin alone. The rules are
// the defaults of Neutron (neutron/conf/policies), by the names that its refusals give them. What somebody may not get is
// not there for them: every other rule is asked only of what they may.
//
// Which attributes have a rule of their own is said with the attributes, in wire: AdminSet and AdminOnly. Of the lists, the
// store's conditions of visibility say in SQL what the get rules say here. Whoever only reads has been refused every change
// at the edge.
var policy = map[string]standing{
	"create:project_id":      adminAlone, // for another project than the caller's
	"create_port:project_id": service,    // likewise

	"get_network":          owner | shared | external | service,
	"update_network":       owner,
	"delete_network":       owner,
	"update_networks_tags": owner,

	"create_network:shared":                    adminAlone,
	"create_network:router:external":           adminAlone,
	"create_network:provider:network_type":     adminAlone,
	"create_network:provider:physical_network": adminAlone,
	"create_network:provider:segmentation_id":  adminAlone,
	"update_network:shared":                    adminAlone,
	"update_network:router:external":           adminAlone,
	"update_network:provider:segmentation_id":  adminAlone,
	"get_network:provider:network_type":        adminAlone,
	"get_network:provider:physical_network":    adminAlone,
	"get_network:provider:segmentation_id":     adminAlone,

	"get_subnet":          owner | networkOwner | shared | external | service,
	"create_subnet":       networkOwner,
	"update_subnet":       owner | networkOwner,
	"delete_subnet":       owner | networkOwner,
	"update_subnets_tags": owner | networkOwner,

	"get_port":          owner | networkOwner | service,
	"create_port":       networkOwner | shared | service, // an external network is there for routers and floating IPs
	"update_port":       owner | service,
	"delete_port":       owner | networkOwner | service, // a network's owner can clear it
	"update_ports_tags": owner | service,

	"create_port:mac_address":           networkOwner | service,
	"create_port:fixed_ips:ip_address":  networkOwner | service,
	"create_port:device_owner":          networkOwner | service, // one that begins with network:
	"create_port:port_security_enabled": networkOwner | service,
	"create_port:allowed_address_pairs": networkOwner,
	"create_port:binding:host_id":       service,
	"create_port:binding:profile":       service,

	"update_port:mac_address":           service,
	"update_port:fixed_ips:ip_address":  networkOwner | service,
	"update_port:device_owner":          networkOwner | service,
	"update_port:port_security_enabled": networkOwner | service,
	"update_port:allowed_address_pairs": networkOwner,
	"update_port:binding:host_id":       service,
	"update_port:binding:profile":       service,

	"get_port:binding:host_id":     service,
	"get_port:binding:profile":     service,
	"get_port:binding:vif_type":    service,
	"get_port:binding:vif_details": service,

	"get_port_binding":      service,
	"create_port_binding":   service,
	"update_port_binding":   service,
	"delete_port_binding":   service,
	"activate_port_binding": service,

	"get_router":                     owner, // and whoever gets it may change it
	"add_router_interface:port_id":   owner,
	"add_router_interface:subnet_id": owner | networkOwner, // or any guest of a shared network could be its gateway

	"create_router:external_gateway_info:enable_snat":        adminAlone,
	"create_router:external_gateway_info:external_fixed_ips": adminAlone,
	"update_router:external_gateway_info:enable_snat":        adminAlone,
	"update_router:external_gateway_info:external_fixed_ips": adminAlone,

	"get_floatingip":                        owner, // and whoever gets it may change it
	"create_floatingip:floating_ip_address": adminAlone,

	"get_security_group":          owner | shared,
	"update_security_group":       owner,
	"update_security_groups_tags": owner,
	"delete_security_group":       owner,
	"create_security_group_rule":  owner,
	"get_security_group_rule":     owner, // and whoever gets it may delete it

	"delete_security_group:default": adminAlone,

	"get_address_scope":           owner | shared,
	"create_address_scope:shared": adminAlone,
	"update_address_scope":        owner,
	"update_address_scope:shared": adminAlone,
	"delete_address_scope":        owner,

	"get_subnetpool":               owner | shared,
	"create_subnetpool:shared":     adminAlone,
	"create_subnetpool:is_default": adminAlone,
	"update_subnetpool":            owner,
	"update_subnetpool:is_default": adminAlone,
	"delete_subnetpool":            owner,
	"add_prefixes":                 owner,
	"remove_prefixes":              owner,
	"onboard_network_subnets":      owner,
	"update_subnetpools_tags":      owner,

	"create_rbac_policy":               owner,      // the owner of what it is about
	"get_rbac_policy":                  owner,      // and whoever gets it may change it
	"create_rbac_policy:target_tenant": adminAlone, // where that is everyone
	"update_rbac_policy:target_tenant": adminAlone,

	"get_quota": owner,
}

// may reports whether a rule lets a caller who is that to the resource.
func may(c signalbox.Caller, rule string, is standing) bool {
	return c.Admin || policy[rule]&is != 0
}

// must is may as a refusal.
func must(c signalbox.Caller, rule string, is standing) error {
	if may(c, rule, is) {
		return nil
	}
	return forbidden(rule)
}

// to is what a caller is to a resource of a project.
func to(c signalbox.Caller, project string) (is standing) {
	if c.ProjectID == project {
		is |= owner
	}
	if c.Service {
		is |= service
	}
	return is
}

// on is what a caller is to a resource of a project that is on a network.
func on(c signalbox.Caller, project string, n *signalbox.Network) standing {
	is := to(c, project)
	if c.ProjectID == n.ProjectID {
		is |= networkOwner
	}
	if n.SharedTo(c.ProjectID) {
		is |= shared
	}
	if n.ExternalFor(c.ProjectID) {
		is |= external
	}
	return is
}

// toShared is what a caller is to a resource of a project that policies share.
func toShared(c signalbox.Caller, project string, with *signalbox.Sharing) standing {
	is := to(c, project)
	if with.SharedTo(c.ProjectID) {
		is |= shared
	}
	return is
}

// toNetwork is what a caller is to a network itself.
func toNetwork(c signalbox.Caller, n *signalbox.Network) standing { return on(c, n.ProjectID, n) }

// May reports whether a rule lets a caller whatever they ask it of.
func May(c signalbox.Caller, rule string) bool { return may(c, rule, to(c, "")) }

// Shown are the attributes of a resource that a caller who is no admin sees, though others do not.
func Shown(c signalbox.Caller, resource string) (names []string) {
	if !c.Service {
		return nil
	}
	for rule, who := range policy {
		if name, of := strings.CutPrefix(rule, "get_"+resource+":"); of && who&service != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Rule is a rule of policy, and who may do what it is about.
type Rule struct {
	Name string
	Who  []string
}

// Rules are all rules, in the order of their names.
func Rules() []Rule {
	var rules []Rule
	for name, who := range policy {
		rules = append(rules, Rule{name, standings(who)})
	}
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
	return rules
}

// Who says who may do what a rule is about, an attribute's or that of its parts ("part: who"). Of an attribute without a rule
// guarded tells whether it is for an admin alone; nobody: it is for everybody who may do it to the resource.
func Who(rule string, guarded bool) []string {
	if is, ruled := policy[rule]; ruled || guarded {
		return standings(is)
	}
	who := []string{}
	for _, r := range Rules() {
		if part, of := strings.CutPrefix(r.Name, rule+":"); of {
			who = append(who, part+": "+strings.Join(r.Who, ", "))
		}
	}
	return who
}

func standings(who standing) []string {
	all := []string{"admin"}
	for i, name := range []string{"owner", "network's owner", "shared with", "external to", "service"} {
		if who&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return all
}
