package apiserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// tagged is a collection whose resources can be tagged.
type tagged interface {
	tags(echo.Context) error
	setTags(echo.Context) error
	clearTags(echo.Context) error
	tag(echo.Context) error
	addTag(echo.Context) error
	dropTag(echo.Context) error
}

// tagRoutes are the tags under a resource's URL.
func tagRoutes(collection string, k tagged) []route {
	all := "/v2.0/" + collection + "/:id/tags"
	one := all + "/:tag"
	return []route{
		{http.MethodGet, all, k.tags},
		{http.MethodPut, all, k.setTags},
		{http.MethodDelete, all, k.clearTags},
		{http.MethodGet, one, k.tag},
		{http.MethodPut, one, k.addTag},
		{http.MethodDelete, one, k.dropTag},
	}
}

func (k *collection[T, S]) tags(c echo.Context) error {
	tags, err := k.readTags(c)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, wire.AppendTags(nil, tags))
}

func (k *collection[T, S]) tag(c echo.Context) error {
	name, err := tagNamed(c)
	if err != nil {
		return err
	}
	tags, err := k.readTags(c)
	if err != nil {
		return err
	}
	if !slices.Contains(tags, name) {
		return noTag(name)
	}
	return c.NoContent(http.StatusNoContent)
}

func (k *collection[T, S]) readTags(c echo.Context) ([]string, error) {
	id, err := k.id(c)
	if err != nil {
		return nil, k.untaggable(c, err)
	}
	row, err := k.shows(c.Request().Context(), caller(c), id)
	if err != nil {
		return nil, k.untaggable(c, err)
	}
	return k.wire.Tags(row), nil
}

func (k *collection[T, S]) setTags(c echo.Context) error {
	body, err := k.server.body(c)
	if err != nil {
		return err
	}
	tags, err := wire.DecodeTags(body)
	if err != nil {
		return err
	}
	if err := k.changeTags(c, func([]string) ([]string, error) { return slices.Clone(tags), nil }); err != nil {
		return err
	}
	return send(c, http.StatusOK, wire.AppendTags(nil, tags))
}

func (k *collection[T, S]) clearTags(c echo.Context) error {
	if err := k.changeTags(c, func([]string) ([]string, error) { return nil, nil }); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (k *collection[T, S]) addTag(c echo.Context) error {
	name, err := tagNamed(c)
	if err != nil {
		return err
	}
	if err := k.changeTags(c, func(tags []string) ([]string, error) { return append(tags, name), nil }); err != nil {
		return err
	}
	return send(c, http.StatusCreated, []byte("null")) // so does Neutron
}

func (k *collection[T, S]) dropTag(c echo.Context) error {
	name, err := tagNamed(c)
	if err != nil {
		return err
	}
	err = k.changeTags(c, func(tags []string) ([]string, error) {
		i := slices.Index(tags, name)
		if i < 0 {
			return nil, noTag(name)
		}
		return slices.Delete(tags, i, i+1), nil
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (k *collection[T, S]) changeTags(c echo.Context, change func([]string) ([]string, error)) error {
	id, err := k.id(c)
	if err != nil {
		return k.untaggable(c, err)
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	err = k.server.Service.ChangeTags(c.Request().Context(), caller(c), k.wire.Name, k.mayTag, id, revision, change)
	return k.untaggable(c, err)
}

// untaggable says that there is nothing to be tagged, as Neutron does; other errors it passes on.
func (k *collection[T, S]) untaggable(c echo.Context, err error) error {
	var e *signalbox.Error
	if errors.As(err, &e) && e.Kind == signalbox.NotFound && e.Resource != resourceTag {
		return signalbox.Errorf(signalbox.NotFound, signalbox.ReasonNothingToTag,
			"Resource %s %s could not be found.", k.wire.Collection, c.Param("id"))
	}
	return err
}

// tagNamed is the tag in the URL.
func tagNamed(c echo.Context) (string, error) { return wire.ReadTag(named(c, "tag")) }

// named is a part of the URL. Where a URL has to be escaped otherwise than Go would, echo hands out its parts as they came.
func named(c echo.Context, part string) string {
	name := c.Param(part)
	if c.Request().URL.RawPath != "" {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	return name
}

const resourceTag = "tag"

func noTag(name string) error {
	return &signalbox.Error{Kind: signalbox.NotFound, Resource: resourceTag, ID: name}
}
