package apiserver

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) addressScopes() *collection[signalbox.AddressScope, neutron.AddressScopeSpec] {
	return &collection[signalbox.AddressScope, neutron.AddressScopeSpec]{
		server: s, wire: wire.AddressScopes(), spec: addressScopeSpec,
		creates: s.Service.CreateAddressScopes, lists: s.Service.AddressScopes, shows: s.Service.AddressScope,
		updates: s.Service.UpdateAddressScope, removes: s.Service.DeleteAddressScope,
	}
}

// addressScopeSpec leaves out the revision: address scopes have none.
func addressScopeSpec(v wire.Values, _ *int64) neutron.AddressScopeSpec {
	return neutron.AddressScopeSpec{
		ProjectID: wire.Get[string](v, "project_id"),
		Name:      wire.Get[string](v, "name"),
		IPVersion: wire.Get[int](v, "ip_version"),
		Shared:    wire.Get[bool](v, "shared"),
	}
}

type subnetPools struct {
	collection[signalbox.SubnetPool, neutron.SubnetPoolSpec]
}

func (s *Server) subnetPools() *subnetPools {
	return &subnetPools{collection[signalbox.SubnetPool, neutron.SubnetPoolSpec]{
		server: s, wire: wire.SubnetPools(), spec: subnetPoolSpec,
		creates: s.Service.CreateSubnetPools, lists: s.Service.SubnetPools, shows: s.Service.SubnetPool,
		updates: s.Service.UpdateSubnetPool, removes: s.Service.DeleteSubnetPool, mayTag: neutron.MayTagSubnetPool,
	}}
}

func subnetPoolSpec(v wire.Values, revision *int64) neutron.SubnetPoolSpec {
	return neutron.SubnetPoolSpec{
		ProjectID:      wire.Get[string](v, "project_id"),
		Name:           wire.Get[string](v, "name"),
		Description:    wire.Get[string](v, "description"),
		Prefixes:       wire.Get[[]netip.Prefix](v, "prefixes"),
		Min:            wire.Get[int](v, "min_prefixlen"),
		Default:        wire.Get[int](v, "default_prefixlen"),
		Max:            wire.Get[int](v, "max_prefixlen"),
		Quota:          wire.Get[int](v, "default_quota"),
		IsDefault:      wire.Get[bool](v, "is_default"),
		Shared:         wire.Get[bool](v, "shared"),
		AddressScopeID: wire.Get[uuid.UUID](v, "address_scope_id"),
		Revision:       revision,
	}
}

func (k *subnetPools) addPrefixes(c echo.Context) error {
	return k.changePrefixes(c, k.server.Service.AddPrefixes)
}

func (k *subnetPools) removePrefixes(c echo.Context) error {
	return k.changePrefixes(c, k.server.Service.RemovePrefixes)
}

func (k *subnetPools) changePrefixes(c echo.Context, change func(context.Context, signalbox.Caller, uuid.UUID, []netip.Prefix) ([]netip.Prefix, error)) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	prefixes, err := wire.DecodePrefixes(body)
	if err != nil {
		return err
	}
	now, err := change(c.Request().Context(), caller(c), id, prefixes)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, wire.AppendPrefixes(nil, now))
}

func (k *subnetPools) onboard(c echo.Context) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	network, err := wire.DecodeOnboarding(body)
	if err != nil {
		return err
	}
	subnets, err := k.server.Service.OnboardNetwork(c.Request().Context(), caller(c), id, network)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, wire.AppendOnboarded(nil, subnets))
}
