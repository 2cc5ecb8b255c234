package apiserver

import (
	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) ports() *collection[signalbox.Port, neutron.PortSpec] {
	return &collection[signalbox.Port, neutron.PortSpec]{
		server: s, wire: wire.Ports(), spec: portSpec,
		creates: s.Service.CreatePorts, lists: s.Service.Ports, shows: s.Service.Port,
		updates: s.Service.UpdatePort, removes: s.Service.DeletePort, mayTag: neutron.MayTagPort,
	}
}

func portSpec(v wire.Values, revision *int64) neutron.PortSpec {
	return neutron.PortSpec{
		ProjectID:      wire.Get[string](v, "project_id"),
		Name:           wire.Get[string](v, "name"),
		Description:    wire.Get[string](v, "description"),
		NetworkID:      wire.Get[uuid.UUID](v, "network_id"),
		AdminStateUp:   wire.Get[bool](v, "admin_state_up"),
		MAC:            wire.Get[signalbox.MAC](v, "mac_address"),
		FixedIPs:       wire.Get[[]signalbox.FixedIP](v, "fixed_ips"),
		DeviceID:       wire.Get[string](v, "device_id"),
		DeviceOwner:    wire.Get[string](v, "device_owner"),
		PortSecurity:   wire.Get[bool](v, "port_security_enabled"),
		Pairs:          wire.Get[[]signalbox.AddressPair](v, "allowed_address_pairs"),
		DNSName:        wire.Get[string](v, "dns_name"),
		DHCPOptions:    wire.Get[[]signalbox.DHCPOption](v, "extra_dhcp_opts"),
		Host:           wire.Get[string](v, "binding:host_id"),
		VNIC:           wire.Get[signalbox.VNICType](v, "binding:vnic_type"),
		Profile:        wire.Get[string](v, "binding:profile"),
		Tags:           wire.Get[[]string](v, "tags"),
		SecurityGroups: wire.Get[[]uuid.UUID](v, "security_groups"),
		Revision:       revision,
	}
}
