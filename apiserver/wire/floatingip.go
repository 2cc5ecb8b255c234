package wire

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// FloatingIPs is the floating IP of the API reference, as far as it works here. Of a T, parts are the floating IP and
// the port that it stands for, nil where it stands for none: answers tell of both.
func FloatingIPs[T any](parts func(*T) (*signalbox.FloatingIP, *signalbox.Port)) *Resource[T] {
	type F = signalbox.FloatingIP
	of := func(value func(*F) any) func(*T) any {
		return func(t *T) any {
			f, _ := parts(t)
			return value(f)
		}
	}
	noID, noAddr := uuid.Nil, netip.Addr{}
	optionalID, optionalAddr := id().takesNull(noID).showsNull(noID), address().takesNull(noAddr).showsNull(noAddr)
	return &Resource[T]{Name: "floatingip", Collection: "floatingips", Attributes: slices.Concat([]Attribute[T]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: of(func(f *F) any { return f.ID })},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: of(func(f *F) any { return f.Description })},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: of(func(f *F) any { return f.ProjectID })},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: of(func(f *F) any { return f.ProjectID })},
		{Name: "status", Kind: oneOf(signalbox.Active, signalbox.Down), Access: Filter | Sort, Value: of(func(f *F) any { return f.Status })},
		{Name: "floating_network_id", Kind: id(), Access: Create | Required | Filter | Sort, Value: of(func(f *F) any { return f.NetworkID })},
		{Name: "floating_ip_address", Kind: optionalAddr, Access: Create | Filter | Sort | AdminSet, Default: noAddr, Value: of(func(f *F) any { return f.Addr })},
		{Name: "subnet_id", Kind: optionalID, Access: Create | Unshown, Default: noID, Value: of(func(*F) any { return noID })},
		{Name: "port_id", Kind: optionalID, Access: Create | Update | Filter, Default: noID, Value: of(func(f *F) any { return f.PortID })},
		{Name: "fixed_ip_address", Kind: optionalAddr, Access: Create | Update | Filter | Sort, Default: noAddr, Value: of(func(f *F) any { return f.FixedAddr })},
		{Name: "router_id", Kind: optionalID, Access: Filter | Sort, Value: of(func(f *F) any { return f.RouterID })},
		{Name: "dns_name", Kind: dnsName(), Access: Create, Default: "", Value: of(func(f *F) any { return f.DNSName })},
		{Name: "dns_domain", Kind: dnsDomain(), Access: Create, Default: "", Value: of(func(f *F) any { return f.DNSDomain })},
		{Name: "port_details", Kind: portDetails(), Value: func(t *T) any { _, p := parts(t); return p }},
	},
		tagged(0, func(t *T) []string { f, _ := parts(t); return f.Tags }),
		stamped(func(t *T) *signalbox.Meta { f, _ := parts(t); return &f.Meta }),
	)}
}

// portDetails is what a floating IP tells of the port that it stands for, which no request sets.
func portDetails() Kind {
	shown := []string{"name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner"}
	ports := Ports()
	return Kind{
		Schema: Schema{Type: "object", Nullable: true},
		write: func(b []byte, v any) []byte {
			p := v.(*signalbox.Port)
			if p == nil {
				return append(b, "null"...)
			}
			return ports.Append(b, p, View{Fields: shown})
		},
	}
}
