package apiserver

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) agents() *collection[signalbox.Agent, neutron.AgentSpec] {
	return &collection[signalbox.Agent, neutron.AgentSpec]{
		server: s, wire: wire.Agents(), spec: agentSpec,
		lists: s.Service.Agents, shows: s.Service.Agent, updates: s.Service.UpdateAgent, removes: s.Service.DeleteAgent,
	}
}

func agentSpec(v wire.Values, _ *int64) neutron.AgentSpec {
	return neutron.AgentSpec{AdminStateUp: wire.Get[bool](v, "admin_state_up"), Description: wire.Get[string](v, "description")}
}

// agentRoutes are agents, and what is at which of them.
func (s *Server) agentRoutes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	agents, networks, routers := s.agents(), s.networks(), s.routers()
	dhcp, l3 := "/v2.0/agents/:id/dhcp-networks", "/v2.0/agents/:id/l3-routers"
	return []route{
		{get, "/v2.0/agents", agents.list},
		{put, "/v2.0/agents", agents.none},
		{del, "/v2.0/agents", agents.none},
		{get, "/v2.0/agents/:id", agents.show},
		{put, "/v2.0/agents/:id", agents.update},
		{del, "/v2.0/agents/:id", agents.remove},

		{get, dhcp, sublist(agents, networks, s.Service.NetworksOfAgent)},
		{get, "/v2.0/networks/:id/dhcp-agents", sublist(networks, agents, s.Service.AgentsOfNetwork)},
		{post, dhcp, s.unscheduled}, {del, dhcp + "/:network", s.unscheduled},
		{get, l3, sublist(agents, &routers.collection, s.Service.RoutersOfAgent)},
		{get, "/v2.0/routers/:id/l3-agents", sublist(&routers.collection, agents, s.Service.AgentsOfRouter)},
		{post, l3, s.unscheduled}, {del, l3 + "/:router", s.unscheduled},
	}
}

// sublist lists rows of one resource that are found by one of another.
func sublist[A, SA, B, SB any](of *collection[A, SA], rows *collection[B, SB], find func(context.Context, signalbox.Caller, uuid.UUID) ([]B, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := of.id(c)
		if err != nil {
			return err
		}
		found, err := find(c.Request().Context(), caller(c), id)
		if err != nil {
			return err
		}
		view := rows.view(c)
		view.Fields = wire.Fields(c.QueryParams())
		return sendAll(c, http.StatusOK, rows.wire, found, view)
	}
}

// unscheduled refuses to put a network or a router at a host, or to take it from there.
func (s *Server) unscheduled(c echo.Context) error {
	return s.Service.Unscheduled(caller(c))
}

// schedules reports whether a route is there only to say that nothing is scheduled.
func schedules(r route) bool {
	return strings.HasPrefix(r.path, "/v2.0/agents/:id/") && r.method != http.MethodGet
}

// zones is the availability zones: one, for either kind of resource.
type zones struct {
	server *Server
	wire   *wire.Resource[wire.Zone]
}

func (s *Server) zones() zones { return zones{s, wire.Zones()} }

func (k zones) list(c echo.Context) error {
	query := c.QueryParams()
	filters, err := k.wire.Filters(query, wire.View{})
	if err != nil {
		return err
	}
	available, err := k.server.Service.ZoneAvailable(c.Request().Context())
	if err != nil {
		return err
	}
	state := "unavailable"
	if available {
		state = "available"
	}
	var all []wire.Zone
	for _, resource := range []string{"network", "router"} {
		if z := (wire.Zone{Name: signalbox.DefaultZone, Resource: resource, State: state}); k.wire.Passes(&z, filters) {
			all = append(all, z)
		}
	}
	return sendAll(c, http.StatusOK, k.wire, all, wire.View{Fields: wire.Fields(query)})
}

// availabilities is how full networks are, which is only to be looked at.
func (s *Server) availabilities() *collection[signalbox.Availability, struct{}] {
	return &collection[signalbox.Availability, struct{}]{
		server: s, wire: wire.Availabilities(), lists: s.Service.Availabilities, shows: s.Service.Availability,
	}
}
