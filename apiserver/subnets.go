package apiserver

import (
	"net/netip"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) subnets() *collection[signalbox.Subnet, neutron.SubnetSpec] {
	return &collection[signalbox.Subnet, neutron.SubnetSpec]{
		server: s, wire: wire.Subnets(), spec: subnetSpec,
		creates: s.Service.CreateSubnets, lists: s.Service.Subnets, shows: s.Service.Subnet,
		updates: s.Service.UpdateSubnet, removes: s.Service.DeleteSubnet, mayTag: neutron.MayTagSubnet,
	}
}

func subnetSpec(v wire.Values, revision *int64) neutron.SubnetSpec {
	return neutron.SubnetSpec{
		ProjectID:    wire.Get[string](v, "project_id"),
		Name:         wire.Get[string](v, "name"),
		Description:  wire.Get[string](v, "description"),
		NetworkID:    wire.Get[uuid.UUID](v, "network_id"),
		IPVersion:    wire.Get[int](v, "ip_version"),
		CIDR:         wire.Get[netip.Prefix](v, "cidr"),
		GatewayIP:    wire.Get[netip.Addr](v, "gateway_ip"),
		EnableDHCP:   wire.Get[bool](v, "enable_dhcp"),
		Pools:        wire.Get[[]signalbox.AddrRange](v, "allocation_pools"),
		DNSServers:   wire.Get[[]netip.Addr](v, "dns_nameservers"),
		HostRoutes:   wire.Get[[]signalbox.Route](v, "host_routes"),
		RAMode:       wire.Get[signalbox.IPv6Mode](v, "ipv6_ra_mode"),
		AddressMode:  wire.Get[signalbox.IPv6Mode](v, "ipv6_address_mode"),
		SubnetPoolID: wire.Get[uuid.UUID](v, "subnetpool_id"),
		AnyPool:      wire.Get[bool](v, "use_default_subnetpool"),
		PrefixLen:    wire.Get[int](v, "prefixlen"),
		ServiceTypes: wire.Get[[]string](v, "service_types"),
		Revision:     revision,
	}
}
