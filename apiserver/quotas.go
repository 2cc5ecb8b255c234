package apiserver

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// quotas are no collection like the others: they are named by projects, and every project has one.
type quotas struct {
	server *Server
	wire   *wire.Resource[signalbox.Quota]
}

func (s *Server) quotas() quotas { return quotas{s, wire.Quotas()} }

func (k quotas) routes() []route {
	const all, one = "/v2.0/quotas", "/v2.0/quotas/:id"
	return []route{
		{http.MethodGet, all, k.list},
		{http.MethodGet, all + "/tenant", k.tenant},
		{http.MethodGet, all + "/project", k.project},
		{http.MethodGet, one, k.show},
		{http.MethodPut, one, k.update},
		{http.MethodDelete, one, k.remove},
		{http.MethodGet, one + "/default", k.defaults},
		{http.MethodGet, one + "/details", k.details},
	}
}

func (k quotas) list(c echo.Context) error {
	all, err := k.server.Service.Quotas(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	return sendAll(c, http.StatusOK, k.wire, all, wire.View{Fields: wire.Fields(c.QueryParams())})
}

// tenant and project tell the caller which project it is.
func (k quotas) tenant(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]any{"tenant": map[string]string{"tenant_id": caller(c).ProjectID}})
}

func (k quotas) project(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]any{"project": map[string]string{"project_id": caller(c).ProjectID}})
}

func (k quotas) show(c echo.Context) error {
	return k.answer(c, func(project string) (*signalbox.Quota, error) {
		return k.server.Service.Quota(c.Request().Context(), caller(c), project)
	})
}

func (k quotas) defaults(c echo.Context) error {
	return k.answer(c, func(project string) (*signalbox.Quota, error) {
		return k.server.Service.DefaultQuota(caller(c), project)
	})
}

func (k quotas) update(c echo.Context) error {
	return k.answer(c, func(project string) (*signalbox.Quota, error) {
		body, err := k.server.body(c)
		if err != nil {
			return nil, err
		}
		values, err := k.wire.DecodeUpdate(body)
		if err != nil {
			return nil, err
		}
		q := signalbox.Quota{ProjectID: project, Limits: map[string]int{}}
		for resource, most := range values {
			q.Limits[resource] = most.(int)
		}
		return k.server.Service.UpdateQuota(c.Request().Context(), caller(c), q)
	})
}

// answer shows a quota of the project in the URL: its limits alone.
func (k quotas) answer(c echo.Context, do func(project string) (*signalbox.Quota, error)) error {
	project, err := wire.ReadProject(named(c, "id"))
	if err != nil {
		return err
	}
	q, err := do(project)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, k.wire.AppendOne(nil, q, wire.View{Fields: signalbox.QuotaResources[:]}))
}

func (k quotas) remove(c echo.Context) error {
	project, err := wire.ReadProject(named(c, "id"))
	if err != nil {
		return err
	}
	if err := k.server.Service.DeleteQuota(c.Request().Context(), caller(c), project); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// details tells limits beside what there is. Nothing is reserved: what is on its way counts once it is there.
func (k quotas) details(c echo.Context) error {
	project, err := wire.ReadProject(named(c, "id"))
	if err != nil {
		return err
	}
	q, used, err := k.server.Service.QuotaUsed(c.Request().Context(), caller(c), project)
	if err != nil {
		return err
	}
	type share struct {
		Limit    int `json:"limit"`
		Used     int `json:"used"`
		Reserved int `json:"reserved"`
	}
	all := map[string]share{}
	for resource, most := range q.Limits {
		all[resource] = share{Limit: most, Used: used[resource]}
	}
	return c.JSON(http.StatusOK, map[string]any{"quota": all})
}
