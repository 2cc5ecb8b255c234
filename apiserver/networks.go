package apiserver

import (
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) networks() *collection[signalbox.Network, neutron.NetworkSpec] {
	return &collection[signalbox.Network, neutron.NetworkSpec]{
		server: s, wire: wire.Networks(), spec: networkSpec,
		creates: s.Service.CreateNetworks, lists: s.Service.Networks, shows: s.Service.Network,
		updates: s.Service.UpdateNetwork, removes: s.Service.DeleteNetwork, mayTag: neutron.MayTagNetwork,
	}
}

func networkSpec(v wire.Values, revision *int64) neutron.NetworkSpec {
	return neutron.NetworkSpec{
		ProjectID:      wire.Get[string](v, "project_id"),
		Name:           wire.Get[string](v, "name"),
		Description:    wire.Get[string](v, "description"),
		AdminStateUp:   wire.Get[bool](v, "admin_state_up"),
		Shared:         wire.Get[bool](v, "shared"),
		External:       wire.Get[bool](v, "router:external"),
		PortSecurity:   wire.Get[bool](v, "port_security_enabled"),
		DNSDomain:      wire.Get[string](v, "dns_domain"),
		MTU:            wire.Get[int](v, "mtu"),
		Type:           wire.Get[string](v, "provider:network_type"),
		Physical:       wire.Get[string](v, "provider:physical_network"),
		SegmentationID: wire.Get[int](v, "provider:segmentation_id"),
		ZoneHints:      wire.Get[[]string](v, "availability_zone_hints"),
		Revision:       revision,
	}
}
