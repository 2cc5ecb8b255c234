package apiserver

import (
	"net/netip"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) floatingIPs() *collection[neutron.FloatingIP, neutron.FloatingIPSpec] {
	return &collection[neutron.FloatingIP, neutron.FloatingIPSpec]{
		server: s, wire: wire.FloatingIPs((*neutron.FloatingIP).Parts), spec: floatingIPSpec,
		creates: s.Service.CreateFloatingIPs, lists: s.Service.FloatingIPs, shows: s.Service.FloatingIP,
		updates: s.Service.UpdateFloatingIP, removes: s.Service.DeleteFloatingIP, mayTag: neutron.MayTagFloatingIP,
	}
}

func floatingIPSpec(v wire.Values, revision *int64) neutron.FloatingIPSpec {
	spec := neutron.FloatingIPSpec{
		ProjectID:   wire.Get[string](v, "project_id"),
		Description: wire.Get[string](v, "description"),
		NetworkID:   wire.Get[uuid.UUID](v, "floating_network_id"),
		SubnetID:    wire.Get[uuid.UUID](v, "subnet_id"),
		Addr:        wire.Get[netip.Addr](v, "floating_ip_address"),
		PortID:      wire.Get[uuid.UUID](v, "port_id"),
		FixedAddr:   wire.Get[netip.Addr](v, "fixed_ip_address"),
		DNSName:     wire.Get[string](v, "dns_name"),
		DNSDomain:   wire.Get[string](v, "dns_domain"),
		Revision:    revision,
	}
	if len(v) == 0 { // an update that says nothing disassociates: so it was in Quantum, and is in Neutron
		spec.PortID = new(uuid.UUID)
	}
	return spec
}
