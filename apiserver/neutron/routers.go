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
	Routes                       *[]signalbox.Route // at update only: there are no interfaces before
	Revision                     *int64
}

// CreateRouters makes all or none.
func (s *Service) CreateRouters(ctx context.Context, c signalbox.Caller, specs []RouterSpec) ([]signalbox.Router, error) {
	var made []signalbox.Router
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		made = make([]signalbox.Router, len(specs))
		for i := range specs {
			spec := &specs[i]
			project, err := projectOf(c, spec.ProjectID)
			if err != nil {
				return err
			}
			made[i] = signalbox.Router{ID: s.src.ID(), ProjectID: project, Name: or(spec.Name, ""),
				Description: or(spec.Description, ""), AdminStateUp: or(spec.AdminStateUp, true)}
			if err := tx.InsertRouter(ctx, &made[i]); err != nil {
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
		if err == nil && !c.Owns(r.ProjectID) {
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
	return list(ctx, s, c, q, (*store.Tx).Routers)
}

// UpdateRouter changes what the spec says.
func (s *Service) UpdateRouter(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec RouterSpec) (*signalbox.Router, error) {
	return s.changeRouter(ctx, c, id, spec.Revision, func(r *signalbox.Router) {
		set(&r.Name, spec.Name)
		set(&r.Description, spec.Description)
		set(&r.AdminStateUp, spec.AdminStateUp)
		set(&r.Routes, spec.Routes)
	})
}

// AddRoutes adds static routes behind those there are, and passes over those that are there.
func (s *Service) AddRoutes(ctx context.Context, c signalbox.Caller, id uuid.UUID, routes []signalbox.Route) (*signalbox.Router, error) {
	return s.changeRouter(ctx, c, id, nil, func(r *signalbox.Router) {
		for _, route := range routes {
			if !slices.Contains(r.Routes, route) {
				r.Routes = append(r.Routes, route)
			}
		}
	})
}

// RemoveRoutes removes static routes, and passes over those that are not there.
func (s *Service) RemoveRoutes(ctx context.Context, c signalbox.Caller, id uuid.UUID, routes []signalbox.Route) (*signalbox.Router, error) {
	return s.changeRouter(ctx, c, id, nil, func(r *signalbox.Router) {
		r.Routes = slices.DeleteFunc(r.Routes, func(route signalbox.Route) bool { return slices.Contains(routes, route) })
	})
}

func (s *Service) changeRouter(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64, change func(*signalbox.Router)) (r *signalbox.Router, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if r, err = lockRouter(ctx, tx, c, id); err != nil {
			return err
		}
		if err := checkRevision(revision, r.Revision); err != nil {
			return err
		}
		before := *r
		before.Routes = slices.Clone(r.Routes)
		change(r)
		if !slices.Equal(before.Routes, r.Routes) {
			if err := checkRoutes(ctx, tx, r); err != nil {
				return err
			}
		} else {
			r.Routes = before.Routes
		}
		if reflect.DeepEqual(before, *r) {
			return nil
		}
		return tx.UpdateRouter(ctx, r)
	})
	return r, err
}

// maxRoutes bounds a router's static routes, as Neutron's setting of that name does unless it is set.
const maxRoutes = 30

// checkRoutes refuses static routes that the router could not follow: the next hop must be on a subnet that it joins,
// and must be another than the router.
func checkRoutes(ctx context.Context, tx *store.Tx, r *signalbox.Router) error {
	if len(r.Routes) > maxRoutes {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonTooManyRoutes,
			"Unable to complete operation for %s. The number of routes exceeds the maximum %d.", r.ID, maxRoutes)
	}
	ports, err := tx.RouterPorts(ctx, r.ID)
	if err != nil {
		return err
	}
	joined, err := joinedSubnets(ctx, tx, ports)
	if err != nil {
		return err
	}
	for _, route := range r.Routes {
		switch {
		case route.Destination.Addr().Is4() != route.NextHop.Is4():
			return invalidRoute(route, "destination and nexthop are of different IP versions")
		case !slices.ContainsFunc(joined, func(s signalbox.Subnet) bool { return s.CIDR.Contains(route.NextHop) }):
			return invalidRoute(route, "the nexthop is not connected with router")
		case slices.ContainsFunc(ports, func(p signalbox.Port) bool { return hasAddr(&p, route.NextHop) }):
			return invalidRoute(route, "the nexthop is used by router")
		}
	}
	return nil
}

func invalidRoute(route signalbox.Route, why string) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidRoutes,
		"Invalid format for routes: destination %s, nexthop %s: %s", route.Destination, route.NextHop, why)
}

// DeleteRouter deletes a router that has no interfaces.
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
		return tx.DeleteRouter(ctx, id)
	})
}
