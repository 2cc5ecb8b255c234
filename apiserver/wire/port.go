package wire

import (
	"cmp"
	"slices"

	"github.com/signalbox-sdn/signalbox"
)

// Ports is the port of the API reference, as far as it works here.
func Ports() *Resource[signalbox.Port] {
	type P = signalbox.Port
	return &Resource[P]{Name: "port", Collection: "ports", Attributes: slices.Concat([]Attribute[P]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(p *P) any { return p.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(p *P) any { return p.Name }},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(p *P) any { return p.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(p *P) any { return p.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(p *P) any { return p.ProjectID }},
		{Name: "network_id", Kind: id(), Access: Create | Required | Filter | Sort, Value: func(p *P) any { return p.NetworkID }},
		{Name: "admin_state_up", Kind: boolean(), Access: Create | Update | Filter | Sort, Default: true, Value: func(p *P) any { return p.AdminStateUp }},
		{Name: "status", Kind: oneOf(signalbox.Active, signalbox.Down), Access: Filter | Sort, Value: func(p *P) any { return p.Status }},
		{Name: "mac_address", Kind: macAddress(), Access: Create | Update | Filter | Sort, Value: func(p *P) any { return p.MAC }},
		{Name: "fixed_ips", Kind: fixedIPs(), Access: Create | Update | Filter, Value: func(p *P) any { return p.FixedIPs }},
		{Name: "device_id", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(p *P) any { return p.DeviceID }},
		{Name: "device_owner", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(p *P) any { return p.DeviceOwner }},
		{Name: "port_security_enabled", Kind: boolean(), Access: Create | Update, Value: func(p *P) any { return p.Secured() }},
		{Name: "allowed_address_pairs", Kind: addressPairs(), Access: Create | Update, Value: func(p *P) any { return p.Pairs }},
		{Name: "extra_dhcp_opts", Kind: dhcpOptions(), Access: Create | Update, Value: func(p *P) any { return p.DHCPOptions }},
		{Name: "dns_name", Kind: dnsName(), Access: Create | Update | Filter, Default: "", Value: func(p *P) any { return p.DNSName }},
		{Name: "dns_assignment", Kind: assignment(), Value: func(p *P) any { return p }},
		{Name: "binding:vnic_type", Kind: oneOf(signalbox.VNICTypes()...), Access: Create | Update | Filter | Sort, Default: signalbox.VNICNormal, Value: func(p *P) any { return cmp.Or(p.VNIC, signalbox.VNICNormal) }},
		{Name: "binding:host_id", Kind: text(255).takesNull(""), Access: Create | Update | Filter | AdminOnly, Value: func(p *P) any { return p.HostName() }},
		{Name: "binding:profile", Kind: profile(), Access: Create | Update | AdminOnly, Value: func(p *P) any { return p.Profile }},
		{Name: "binding:vif_type", Kind: oneOf(signalbox.VIFUnbound, signalbox.VIFOVS, signalbox.VIFFailed), Access: AdminOnly, Value: func(p *P) any { return p.VIF.Type() }},
		{Name: "binding:vif_details", Kind: vifDetails(), Access: AdminOnly, Value: func(p *P) any { return p.VIF }},
		{Name: "security_groups", Kind: groups(), Access: Create | Update | Filter, Value: func(p *P) any { return p.SecurityGroups }},
	},
		tagged(Create, func(p *P) []string { return p.Tags }),
		stamped(func(p *P) *signalbox.Meta { return &p.Meta }),
	)}
}
