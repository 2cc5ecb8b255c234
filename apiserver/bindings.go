package apiserver

import (
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// bindings are those of one port, each named by its host.
type bindings struct {
	server *Server
	wire   *wire.Resource[signalbox.PortBinding]
}

func (s *Server) bindings() bindings { return bindings{s, wire.Bindings()} }

const portBindings = "/v2.0/ports/:id/bindings"

func (k bindings) routes() []route {
	const one = portBindings + "/:host"
	return []route{
		{http.MethodGet, portBindings, k.list},
		{http.MethodPost, portBindings, k.create},
		{http.MethodGet, one, k.show},
		{http.MethodPut, one, k.update},
		{http.MethodDelete, one, k.remove},
		{http.MethodPut, one + "/activate", k.activate},
	}
}

func (k bindings) port(c echo.Context) (uuid.UUID, error) { return k.server.ports().id(c) }

func bindingSpec(v wire.Values) neutron.BindingSpec {
	return neutron.BindingSpec{
		Host:    wire.Get[string](v, "host"),
		VNIC:    wire.Get[signalbox.VNICType](v, "vnic_type"),
		Profile: wire.Get[string](v, "profile"),
	}
}

func (k bindings) list(c echo.Context) error {
	port, err := k.port(c)
	if err != nil {
		return err
	}
	filters, err := k.wire.Filters(c.QueryParams(), wire.View{})
	if err != nil {
		return err
	}
	all, err := k.server.Service.Bindings(c.Request().Context(), caller(c), port)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b signalbox.PortBinding) bool { return !k.wire.Passes(&b, filters) })
	return sendAll(c, http.StatusOK, k.wire, all, wire.View{Fields: wire.Fields(c.QueryParams())})
}

func (k bindings) create(c echo.Context) error {
	port, err := k.port(c)
	if err != nil {
		return err
	}
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	all, bulk, err := k.wire.DecodeCreate(body)
	if err != nil {
		return err
	}
	if bulk {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Bindings are made one at a time.")
	}
	b, err := k.server.Service.CreateBinding(c.Request().Context(), caller(c), port, bindingSpec(all[0]))
	if err != nil {
		return err
	}
	return send(c, http.StatusCreated, k.wire.AppendOne(nil, b, wire.View{}))
}

func (k bindings) show(c echo.Context) error {
	port, err := k.port(c)
	if err != nil {
		return err
	}
	b, err := k.server.Service.Binding(c.Request().Context(), caller(c), port, named(c, "host"))
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, k.wire.AppendOne(nil, b, wire.View{Fields: wire.Fields(c.QueryParams())}))
}

func (k bindings) update(c echo.Context) error {
	port, err := k.port(c)
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
	b, err := k.server.Service.UpdateBinding(c.Request().Context(), caller(c), port, named(c, "host"), bindingSpec(values))
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, k.wire.AppendOne(nil, b, wire.View{}))
}

func (k bindings) remove(c echo.Context) error {
	port, err := k.port(c)
	if err != nil {
		return err
	}
	if err := k.server.Service.DeleteBinding(c.Request().Context(), caller(c), port, named(c, "host")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// activate answers the binding with nothing around it, as Neutron does. What is in the request's body does not matter.
func (k bindings) activate(c echo.Context) error {
	port, err := k.port(c)
	if err != nil {
		return err
	}
	b, err := k.server.Service.ActivateBinding(c.Request().Context(), caller(c), port, named(c, "host"))
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, k.wire.Append(nil, b, wire.View{}))
}
