package apiserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// collection is the five verbs on one resource: T is the resource, S what a request says of it.
type collection[T, S any] struct {
	server *Server
	wire   *wire.Resource[T]
	spec   func(wire.Values, *int64) S // the second is the revision that the client has seen

	creates func(context.Context, signalbox.Caller, []S) ([]T, error)
	lists   func(context.Context, signalbox.Caller, neutron.Query) ([]T, error)
	shows   func(context.Context, signalbox.Caller, uuid.UUID) (*T, error)
	updates func(context.Context, signalbox.Caller, uuid.UUID, S) (*T, error)
	removes func(context.Context, signalbox.Caller, uuid.UUID, *int64) error
	mayTag  neutron.MayTag // nil: it has no tags
}

func (k *collection[T, S]) create(c echo.Context) error {
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	all, bulk, err := k.wire.DecodeCreate(body)
	if err != nil {
		return err
	}
	specs := make([]S, len(all))
	for i, values := range all {
		if err := k.allow(c, wire.Create, values); err != nil {
			return err
		}
		specs[i] = k.spec(values, nil)
	}
	made, err := k.creates(c.Request().Context(), caller(c), specs)
	if err != nil {
		return err
	}
	if bulk {
		return sendAll(c, http.StatusCreated, k.wire, made, k.view(c))
	}
	return send(c, http.StatusCreated, k.wire.AppendOne(nil, &made[0], k.view(c)))
}

func (k *collection[T, S]) list(c echo.Context) error {
	query := c.QueryParams()
	filters, err := k.wire.Filters(query, k.view(c))
	if err != nil {
		return err
	}
	page, err := k.wire.ReadPage(query, k.view(c))
	if err != nil {
		return err
	}
	rows, err := k.lists(c.Request().Context(), caller(c), neutron.Query{
		Filters: filters, Sort: orders(page), Marker: page.Marker, Limit: page.Limit,
	})
	if err != nil {
		return err
	}
	if page.Reverse {
		slices.Reverse(rows)
	}
	view := k.view(c)
	view.Fields = wire.Fields(query)
	links := k.wire.Links(rows, page, here(c, c.Request().URL.Path), query)
	return sendAll(c, http.StatusOK, k.wire, rows, view, links...)
}

func (k *collection[T, S]) show(c echo.Context) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	row, err := k.shows(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	view := k.view(c)
	view.Fields = wire.Fields(c.QueryParams())
	return send(c, http.StatusOK, k.wire.AppendOne(nil, row, view))
}

func (k *collection[T, S]) update(c echo.Context) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
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
	if err := k.allow(c, wire.Update, values); err != nil {
		if _, unseen := k.shows(c.Request().Context(), caller(c), id); unseen != nil {
			return unseen // whom it is not there for learns no more
		}
		return err
	}
	row, err := k.updates(c.Request().Context(), caller(c), id, k.spec(values, revision))
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, k.wire.AppendOne(nil, row, k.view(c)))
}

func (k *collection[T, S]) remove(c echo.Context) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	if err := k.removes(c.Request().Context(), caller(c), id, revision); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// none answers a verb that needs an id and has none: Neutron looks for the one called None.
func (k *collection[T, S]) none(echo.Context) error { return k.notFound("None") }

func (k *collection[T, S]) notFound(id string) error {
	return &signalbox.Error{Kind: signalbox.NotFound, Resource: k.wire.Name, ID: id}
}

// id is the one in the URL. What is not a UUID names nothing.
func (k *collection[T, S]) id(c echo.Context) (uuid.UUID, error) {
	text := c.Param("id")
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return id, k.notFound(text)
	}
	return id, nil
}

// view is how much the caller sees of the resource.
func (k *collection[T, S]) view(c echo.Context) wire.View {
	return wire.View{Admin: caller(c).Admin, Also: neutron.Shown(caller(c), k.wire.Name)}
}

// allow refuses attributes that are not the caller's to set.
func (k *collection[T, S]) allow(c echo.Context, verb wire.Access, values wire.Values) error {
	rule := "create_" + k.wire.Name
	if verb == wire.Update {
		rule = "update_" + k.wire.Name
	}
	for _, name := range k.wire.AdminOnly(values, verb) {
		if !neutron.May(caller(c), rule+":"+name) {
			return signalbox.Errorf(signalbox.Forbidden, "", "(rule:%s and rule:%s:%s) is disallowed by policy", rule, rule, name)
		}
	}
	return nil
}

// ifMatch is the revision that a request insists on: If-Match: revision_number=N.
func ifMatch(c echo.Context) (*int64, error) {
	text := c.Request().Header.Get("If-Match")
	if text == "" {
		return nil, nil
	}
	number, ok := strings.CutPrefix(text, "revision_number=")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil {
		return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "If-Match must read revision_number=N")
	}
	return &n, nil
}

// orders is a page's order for the database: a page before a marker is the one after it in a list that runs
// the other way.
func orders(p wire.Page) []neutron.Order {
	var sort []neutron.Order
	for _, o := range p.Sort {
		sort = append(sort, neutron.Order{Key: o.Key, Desc: o.Desc != p.Reverse})
	}
	if p.Reverse && sort == nil {
		sort = append(sort, neutron.Order{Key: "id", Desc: true})
	}
	return sort
}

func send(c echo.Context, status int, body []byte) error {
	return c.Blob(status, echo.MIMEApplicationJSON, body)
}

func sendAll[T any](c echo.Context, status int, r *wire.Resource[T], rows []T, view wire.View, links ...wire.Link) error {
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	c.Response().WriteHeader(status)
	return r.WriteAll(c.Response(), rows, view, links...)
}

// body reads a request's body, up to the limit.
func (s *Server) body(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, s.BodyLimit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonTooLarge, "The body is larger than %d bytes.", over.Limit)
	case err != nil:
		return nil, signalbox.Errorf(signalbox.Invalid, "", "The body could not be read.")
	case !utf8.Valid(body): // of which the decoder would make something else
		return nil, signalbox.Errorf(signalbox.Invalid, "", "Body contains invalid data")
	}
	return body, nil
}
