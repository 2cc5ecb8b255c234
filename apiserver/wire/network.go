package wire

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// Networks is the network of the API reference, as far as it works here.
func Networks() *Resource[signalbox.Network] {
	type N = signalbox.Network
	return &Resource[N]{Name: "network", Collection: "networks", Attributes: slices.Concat([]Attribute[N]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(n *N) any { return n.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(n *N) any { return n.Name }},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(n *N) any { return n.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(n *N) any { return n.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(n *N) any { return n.ProjectID }},
		{Name: "admin_state_up", Kind: boolean(), Access: Create | Update | Filter | Sort, Default: true, Value: func(n *N) any { return n.AdminStateUp }},
		{Name: "status", Kind: oneOf(signalbox.Active, signalbox.Down), Access: Filter | Sort, Value: func(*N) any { return signalbox.Active }},
		{Name: "shared", Kind: boolean(), Access: Create | Update | Filter | Sort | AdminSet, Default: false, Value: func(n *N) any { return n.Shared }},
		{Name: "router:external", Kind: boolean(), Access: Create | Update | Filter | Sort | AdminSet, Default: false, Value: func(n *N) any { return n.External }},
		{Name: "mtu", Kind: integer(checkMTU), Access: Create | Update | Filter | Sort, Value: func(n *N) any { return n.MTU }},
		{Name: "port_security_enabled", Kind: boolean(), Access: Create | Update, Default: true, Value: func(n *N) any { return !n.Unsecured }},
		{Name: "dns_domain", Kind: dnsDomain(), Access: Create | Update | Filter, Default: "", Value: func(n *N) any { return n.DNSDomain }},
		{Name: "subnets", Kind: ids(), Value: func(n *N) any { return n.Subnets }},
		{Name: "ipv4_address_scope", Kind: id().showsNull(uuid.Nil), Value: func(n *N) any { return n.IPv4Scope }},
		{Name: "ipv6_address_scope", Kind: id().showsNull(uuid.Nil), Value: func(n *N) any { return n.IPv6Scope }},
		{Name: "provider:network_type", Kind: text(32), Access: Create | Filter | AdminOnly, Value: func(n *N) any { return string(n.Segment.Type) }},
		{Name: "provider:physical_network", Kind: text(64).showsNull(""), Access: Create | Filter | AdminOnly, Value: func(n *N) any { return n.Segment.Physical }},
		{Name: "provider:segmentation_id", Kind: integer(nil).showsNull(0), Access: Create | Update | Filter | AdminOnly, Value: func(n *N) any { return int(n.Segment.ID) }},
	},
		zoned(Create, func(n *N) []string { return n.ZoneHints }),
		tagged(0, func(n *N) []string { return n.Tags }),
		stamped(func(n *N) *signalbox.Meta { return &n.Meta }),
	)}
}

func checkMTU(n int) error {
	if n < 0 {
		return fmt.Errorf("'%d' should be non-negative", n)
	}
	return nil
}
