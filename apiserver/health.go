package apiserver

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// healthy says that the process lives.
func (s *Server) healthy(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// ready says that requests can be answered: the database is there. Where it is not, that is a 503.
func (s *Server) ready(c echo.Context) error {
	if err := s.Service.Ping(c.Request().Context()); err != nil {
		return err
	}
	return c.String(http.StatusOK, "ready\n")
}
