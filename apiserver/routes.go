package apiserver

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// route is one URL and verb. Every path under /v2.0/ is also answered with ".json" behind it.
type route struct {
	method, path string
	handle       echo.HandlerFunc
}

// routes is everything there is.
func (s *Server) routes() []route {
	networks, subnets, ports := s.networks(), s.subnets(), s.ports()
	routers, floating := s.routers(), s.floatingIPs()
	groups, rules, policies := s.securityGroups(), s.rules(), s.policies()
	availabilities := s.availabilities()
	pools, scopes := s.subnetPools(), s.addressScopes()
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return slices.Concat([]route{
		{get, "/", s.versions},
		{get, "/openapi.json", s.openAPI},
		{get, "/healthz", s.healthy},
		{get, "/readyz", s.ready},
		{get, "/v2.0/", s.index},
		{get, "/v2.0/extensions", s.extensions},
		{get, "/v2.0/extensions/:id", s.extension},

		{get, "/v2.0/networks", networks.list},
		{post, "/v2.0/networks", networks.create},
		{put, "/v2.0/networks", networks.none},
		{del, "/v2.0/networks", networks.none},
		{get, "/v2.0/networks/:id", networks.show},
		{put, "/v2.0/networks/:id", networks.update},
		{del, "/v2.0/networks/:id", networks.remove},

		{get, "/v2.0/subnets", subnets.list},
		{post, "/v2.0/subnets", subnets.create},
		{put, "/v2.0/subnets", subnets.none},
		{del, "/v2.0/subnets", subnets.none},
		{get, "/v2.0/subnets/:id", subnets.show},
		{put, "/v2.0/subnets/:id", subnets.update},
		{del, "/v2.0/subnets/:id", subnets.remove},

		{get, "/v2.0/ports", ports.list},
		{post, "/v2.0/ports", ports.create},
		{put, "/v2.0/ports", ports.none},
		{del, "/v2.0/ports", ports.none},
		{get, "/v2.0/ports/:id", ports.show},
		{put, "/v2.0/ports/:id", ports.update},
		{del, "/v2.0/ports/:id", ports.remove},

		{get, "/v2.0/routers", routers.list},
		{post, "/v2.0/routers", routers.create},
		{put, "/v2.0/routers", routers.none},
		{del, "/v2.0/routers", routers.none},
		{get, "/v2.0/routers/:id", routers.show},
		{put, "/v2.0/routers/:id", routers.update},
		{del, "/v2.0/routers/:id", routers.remove},
		{put, "/v2.0/routers/:id/add_router_interface", routers.addInterface},
		{put, "/v2.0/routers/:id/remove_router_interface", routers.removeInterface},
		{put, "/v2.0/routers/:id/add_extraroutes", routers.addRoutes},
		{put, "/v2.0/routers/:id/remove_extraroutes", routers.removeRoutes},

		{get, "/v2.0/floatingips", floating.list},
		{post, "/v2.0/floatingips", floating.create},
		{put, "/v2.0/floatingips", floating.none},
		{del, "/v2.0/floatingips", floating.none},
		{get, "/v2.0/floatingips/:id", floating.show},
		{put, "/v2.0/floatingips/:id", floating.update},
		{del, "/v2.0/floatingips/:id", floating.remove},

		{get, "/v2.0/security-groups", groups.list},
		{post, "/v2.0/security-groups", groups.create},
		{put, "/v2.0/security-groups", groups.none},
		{del, "/v2.0/security-groups", groups.none},
		{get, "/v2.0/security-groups/:id", groups.show},
		{put, "/v2.0/security-groups/:id", groups.update},
		{del, "/v2.0/security-groups/:id", groups.remove},

		{get, "/v2.0/security-group-rules", rules.list},
		{post, "/v2.0/security-group-rules", rules.create},
		{del, "/v2.0/security-group-rules", rules.none},
		{get, "/v2.0/security-group-rules/:id", rules.show},
		{del, "/v2.0/security-group-rules/:id", rules.remove},

		{get, "/v2.0/subnetpools", pools.list},
		{post, "/v2.0/subnetpools", pools.create},
		{put, "/v2.0/subnetpools", pools.none},
		{del, "/v2.0/subnetpools", pools.none},
		{get, "/v2.0/subnetpools/:id", pools.show},
		{put, "/v2.0/subnetpools/:id", pools.update},
		{del, "/v2.0/subnetpools/:id", pools.remove},
		{put, "/v2.0/subnetpools/:id/add_prefixes", pools.addPrefixes},
		{put, "/v2.0/subnetpools/:id/remove_prefixes", pools.removePrefixes},
		{put, "/v2.0/subnetpools/:id/onboard_network_subnets", pools.onboard},

		{get, "/v2.0/address-scopes", scopes.list},
		{post, "/v2.0/address-scopes", scopes.create},
		{put, "/v2.0/address-scopes", scopes.none},
		{del, "/v2.0/address-scopes", scopes.none},
		{get, "/v2.0/address-scopes/:id", scopes.show},
		{put, "/v2.0/address-scopes/:id", scopes.update},
		{del, "/v2.0/address-scopes/:id", scopes.remove},

		{get, "/v2.0/rbac-policies", policies.list},
		{post, "/v2.0/rbac-policies", policies.create},
		{put, "/v2.0/rbac-policies", policies.none},
		{del, "/v2.0/rbac-policies", policies.none},
		{get, "/v2.0/rbac-policies/:id", policies.show},
		{put, "/v2.0/rbac-policies/:id", policies.update},
		{del, "/v2.0/rbac-policies/:id", policies.remove},

		{get, "/v2.0/availability_zones", s.zones().list},
		{get, "/v2.0/network-ip-availabilities", availabilities.list},
		{get, "/v2.0/network-ip-availabilities/:id", availabilities.show},
	},
		s.quotas().routes(), s.agentRoutes(), s.bindings().routes(),
		tagRoutes("networks", networks), tagRoutes("subnets", subnets), tagRoutes("ports", ports),
		tagRoutes("routers", routers), tagRoutes("floatingips", floating), tagRoutes("security-groups", groups),
		tagRoutes("subnetpools", pools),
	)
}

// free reports whether a route is for everybody: by the versions a client finds out whom to ask for a token, what the
// API is like is no secret, and a load balancer asks whether we live.
func free(r route) bool {
	return r.path == "/" || r.path == "/openapi.json" || r.path == "/healthz" || r.path == "/readyz"
}

// route tells the router.
func (s *Server) route() {
	for _, r := range s.routes() {
		handle := r.handle
		if !free(r) {
			handle = s.authenticated(handle)
		}
		s.echo.Add(r.method, r.path, handle)
		if free(r) { // and whoever asks whether we live may not care for what we say; the API itself has no HEAD, as Neutron's has none
			s.echo.Add(http.MethodHead, r.path, handle)
		}
	}
}
