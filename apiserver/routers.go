package apiserver

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

type routers struct {
	collection[signalbox.Router, neutron.RouterSpec]
}

func (s *Server) routers() *routers {
	return &routers{collection[signalbox.Router, neutron.RouterSpec]{
		server: s, wire: wire.Routers(), spec: routerSpec,
		creates: s.Service.CreateRouters, lists: s.Service.Routers, shows: s.Service.Router,
		updates: s.Service.UpdateRouter, removes: s.Service.DeleteRouter, mayTag: neutron.MayTagRouter,
	}}
}

func routerSpec(v wire.Values, revision *int64) neutron.RouterSpec {
	return neutron.RouterSpec{
		ProjectID:    wire.Get[string](v, "project_id"),
		Name:         wire.Get[string](v, "name"),
		Description:  wire.Get[string](v, "description"),
		AdminStateUp: wire.Get[bool](v, "admin_state_up"),
		Gateway:      gatewaySpec(wire.Get[wire.Gateway](v, "external_gateway_info")),
		Routes:       wire.Get[[]signalbox.Route](v, "routes"),
		ZoneHints:    wire.Get[[]string](v, "availability_zone_hints"),
		Revision:     revision,
	}
}

func gatewaySpec(said *wire.Gateway) *neutron.GatewaySpec {
	if said == nil {
		return nil
	}
	return &neutron.GatewaySpec{NetworkID: said.NetworkID, EnableSNAT: said.EnableSNAT, FixedIPs: said.FixedIPs}
}

func (k *routers) addInterface(c echo.Context) error {
	return k.changeInterface(c, k.server.Service.AddInterface)
}

func (k *routers) removeInterface(c echo.Context) error {
	return k.changeInterface(c, k.server.Service.RemoveInterface)
}

func (k *routers) changeInterface(c echo.Context, change func(context.Context, signalbox.Caller, uuid.UUID, neutron.InterfaceSpec) (*signalbox.Port, error)) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	var spec neutron.InterfaceSpec
	if spec.SubnetID, spec.PortID, err = wire.DecodeInterface(body); err != nil {
		return err
	}
	if spec.Revision, err = ifMatch(c); err != nil {
		return err
	}
	port, err := change(c.Request().Context(), caller(c), id, spec)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, wire.AppendInterface(nil, id, port))
}

func (k *routers) addRoutes(c echo.Context) error {
	return k.changeRoutes(c, k.server.Service.AddRoutes)
}

func (k *routers) removeRoutes(c echo.Context) error {
	return k.changeRoutes(c, k.server.Service.RemoveRoutes)
}

func (k *routers) changeRoutes(c echo.Context, change func(context.Context, signalbox.Caller, uuid.UUID, []signalbox.Route, *int64) (*signalbox.Router, error)) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	values, err := k.wire.DecodeUpdate(body)
	if err != nil {
		return err
	}
	routes := wire.Get[[]signalbox.Route](values, "routes")
	if routes == nil || len(values) > 1 {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Bad router request: it must hold routes, and nothing else.")
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	row, err := change(c.Request().Context(), caller(c), id, *routes, revision)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, k.wire.AppendOne(nil, row, k.view(c)))
}
