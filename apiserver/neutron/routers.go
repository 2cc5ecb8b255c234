package neutron

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// RouterSpec is what a request says of a router; nil is what it does not say.
type RouterSpec struct {
	ProjectID, Name, Description *string // ProjectID: at create only
	AdminStateUp                 *bool
	Gateway                      *GatewaySpec
	ZoneHints                    *[]string
	Routes                       *[]signalbox.Route // at update only: there are no interfaces before
	Revision                     *int64
}

// CreateRouters makes all or none.
func (s *Service) CreateRouters(ctx context.Context, c signalbox.Caller, specs []RouterSpec) ([]signalbox.Router, error) {
	var made []signalbox.Router
	err := s.write(ctx, gatewayChosen(specs...), func(tx *store.Tx) error {
		err := s.admit(ctx, tx, "router", len(specs), func(i int) (string, error) { return projectOf(c, specs[i].ProjectID) })
		if err != nil {
			return err
		}
		made = make([]signalbox.Router, len(specs))
		for i := range specs {
			spec := &specs[i]
			project, err := projectOf(c, spec.ProjectID)
			if err != nil {
				return err
			}
			made[i] = signalbox.Router{ID: s.src.ID(), ProjectID: project, Name: or(spec.Name, ""),
				Description: or(spec.Description, ""), AdminStateUp: or(spec.AdminStateUp, true), ZoneHints: or(spec.ZoneHints, nil)}
			if err := checkZones(made[i].ZoneHints); err != nil {
				return err
			}
			if err := tx.InsertRouter(ctx, &made[i]); err != nil {
				return err
			}
			if spec.Gateway == nil {
				continue
			}
			if err := s.moveGateway(ctx, tx, c, &made[i], spec.Gateway); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// Router reads one.
func (s *Service) Router(ctx context.Context, c signalbox.Caller, id uuid.UUID) (r *signalbox.Router, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		r, err = visibleRouter(c, id)(tx.Router(ctx, id))
		return err
	})
	return r, err
}

// visibleRouter hides a router from whom it does not belong to.
func visibleRouter(c signalbox.Caller, id uuid.UUID) func(*signalbox.Router, error) (*signalbox.Router, error) {
	return func(r *signalbox.Router, err error) (*signalbox.Router, error) {
		if err == nil && !may(c, "get_router", to(c, r.ProjectID)) {
			return nil, notFound("router", id)
		}
		return r, err
	}
}

// lockRouter locks a router of the caller's against everybody. All writers lock it before anything else.
func lockRouter(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.Router, error) {
	return visibleRouter(c, id)(tx.RouterForUpdate(ctx, id))
}

// Routers lists.
func (s *Service) Routers(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Router, error) {
	return list(ctx, s, c, "router", q, (*store.Tx).Routers)
}

// UpdateRouter changes what the spec says.
func (s *Service) UpdateRouter(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec RouterSpec) (*signalbox.Router, error) {
	if err := checkZones(or(spec.ZoneHints, nil)); err != nil {
		return nil, err
	}
	return s.changeRouter(ctx, c, id, spec, func(r *signalbox.Router) {
		set(&r.Name, spec.Name)
		set(&r.Description, spec.Description)
		set(&r.AdminStateUp, spec.AdminStateUp)
		set(&r.Routes, spec.Routes)
		set(&r.ZoneHints, spec.ZoneHints)
	})
}

// AddRoutes adds static routes behind those there are, and passes over those that are there.
func (s *Service) AddRoutes(ctx context.Context, c signalbox.Caller, id uuid.UUID, routes []signalbox.Route, revision *int64) (*signalbox.Router, error) {
	return s.changeRouter(ctx, c, id, RouterSpec{Revision: revision}, func(r *signalbox.Router) {
		for _, route := range routes {
			if !slices.Contains(r.Routes, route) {
				r.Routes = append(r.Routes, route)
			}
		}
	})
}

// RemoveRoutes removes static routes, and passes over those that are not there.
func (s *Service) RemoveRoutes(ctx context.Context, c signalbox.Caller, id uuid.UUID, routes []signalbox.Route, revision *int64) (*signalbox.Router, error) {
	return s.changeRouter(ctx, c, id, RouterSpec{Revision: revision}, func(r *signalbox.Router) {
		r.Routes = slices.DeleteFunc(r.Routes, func(route signalbox.Route) bool { return slices.Contains(routes, route) })
	})
}

// changeRouter changes a router by its gateway, if the spec says anything of that, and by what change does to it.
func (s *Service) changeRouter(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec RouterSpec, change func(*signalbox.Router)) (r *signalbox.Router, err error) {
	err = s.write(ctx, gatewayChosen(spec), func(tx *store.Tx) error {
		if r, err = lockRouter(ctx, tx, c, id); err != nil {
			return err
		}
		if err := checkRevision(spec.Revision, r.Revision); err != nil {
			return err
		}
		before := *r
		before.Routes = slices.Clone(r.Routes)
		change(r)
		if spec.Gateway != nil {
			if err := s.moveGateway(ctx, tx, c, r, spec.Gateway); err != nil {
				return err
			}
		}
		if slices.Equal(before.Routes, r.Routes) {
			r.Routes = before.Routes
			if spec.Gateway != nil {
				err = routesKept(r, checkRoutes(ctx, tx, r))
			}
		} else {
			err = checkRoutes(ctx, tx, r)
		}
		before.Gateway, before.Meta = r.Gateway, r.Meta // which are written
		if err != nil || reflect.DeepEqual(before, *r) {
			return err
		}
		return tx.UpdateRouter(ctx, r)
	})
	return r, err
}

// routesKept says that the routes there are forbid to change the gateway.
func routesKept(r *signalbox.Router, err error) error {
	if !because(err, signalbox.ReasonInvalidRoutes) {
		return err
	}
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonRouteInUse,
		"Gateway cannot be updated for router %s, since it is required by one or more routes.", r.ID)
}

// maxRoutes bounds a router's static routes, as Neutron's setting of that name does unless it is set.
const maxRoutes = 30

// checkRoutes refuses static routes that the router could not follow: the next hop must be on a subnet that it joins or
// that its gateway is on, and must be another than the router.
func checkRoutes(ctx context.Context, tx *store.Tx, r *signalbox.Router) error {
	if len(r.Routes) == 0 {
		return nil
	}
	if len(r.Routes) > maxRoutes {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonTooManyRoutes,
			"Unable to complete operation for %s. The number of routes exceeds the maximum %d.", r.ID, maxRoutes)
	}
	ports, err := tx.RouterPorts(ctx, r.ID)
	if err != nil {
		return err
	}
	held := ends(ports)
	if r.Gateway != nil {
		held = append(held, r.Gateway.FixedIPs...)
	}
	joined, err := subnetsAt(ctx, tx, held)
	if err != nil {
		return err
	}
	for _, route := range r.Routes {
		switch {
		case route.Destination.Addr().Is4() != route.NextHop.Is4():
			return invalidRoute(route, "destination and nexthop are of different IP versions")
		case !slices.ContainsFunc(joined, func(s signalbox.Subnet) bool { return s.CIDR.Contains(route.NextHop) }):
			return invalidRoute(route, "the nexthop is not connected with router")
		case hasAddr(held, route.NextHop):
			return invalidRoute(route, "the nexthop is used by router")
		}
	}
	return nil
}

func invalidRoute(route signalbox.Route, why string) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidRoutes,
		"Invalid format for routes: destination %s, nexthop %s: %s", route.Destination, route.NextHop, why)
}

// DeleteRouter deletes a router that has no interfaces, with its gateway.
func (s *Service) DeleteRouter(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		r, err := lockRouter(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, r.Revision); err != nil {
			return err
		}
		ports, err := tx.RouterPorts(ctx, id)
		if err != nil {
			return err
		}
		if users := users(ports); users != nil {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonRouterInUse,
				"Router %s has ports still attached: %s", id, strings.Join(users, ", "))
		}
		if err := clearGateway(ctx, tx, r); err != nil {
			return err
		}
		return tx.DeleteRouter(ctx, id)
	})
}
