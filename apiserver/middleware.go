package apiserver

import (
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
)

// headerRequestID names an exchange in the client's logs and in ours.
const headerRequestID = "X-Openstack-Request-Id"

// withoutSuffix lets every URL of the API be written with ".json" behind it.
func withoutSuffix(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if strings.HasPrefix(u.Path, "/v2.0/") {
			u.Path = cut(u.Path)
			u.RawPath = cut(u.RawPath)
		}
		return next(c)
	}
}

func cut(path string) string {
	if short, ok := strings.CutSuffix(path, ".json"); ok && !strings.HasSuffix(short, "/") {
		return short
	}
	return path
}

// observe names the request, answers its error if it has one, and says in the log how it went. The log has no header
// and no query: a token may be in the one, and names of things in the other.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.Now()
		s.metrics.underWay.Inc()
		defer s.metrics.underWay.Dec()
		id := "req-" + s.NewID().String()
		c.Response().Header().Set(headerRequestID, id)
		c.SetRequest(c.Request().WithContext(signalbox.WithRequests(c.Request().Context(), id)))
		if err := next(c); err != nil {
			c.Error(err)
		}
		r, took := c.Request(), s.Now().Sub(start)
		s.metrics.answered(c, took)
		s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("request_id", id), slog.String("global_request_id", globalID(r)),
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", c.Response().Status),
			slog.Int64("bytes", c.Response().Size), slog.String("project", project(c)), slog.String("remote", r.RemoteAddr),
			slog.Float64("ms", float64(took.Microseconds())/1000))
		return nil
	}
}

// globalID is what a client of ours calls what it does for a client of its own: Nova, say, starting a VM. It is taken as
// oslo.middleware takes it, by its form alone; anything else has no place in a log.
func globalID(r *http.Request) string {
	said := r.Header.Get(headerRequestID)
	id, ok := strings.CutPrefix(said, "req-")
	if _, err := uuid.Parse(id); !ok || err != nil || len(id) != 36 {
		return ""
	}
	return said
}

func (s *Server) panicked(c echo.Context, err error, stack []byte) error {
	s.Log.Error("panic", "request_id", requestID(c), "error", err, "stack", string(stack))
	return err
}

func requestID(c echo.Context) string { return c.Response().Header().Get(headerRequestID) }

// acceptsJSON refuses a client that would not read our answer.
func acceptsJSON(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		accept := strings.Join(c.Request().Header.Values("Accept"), ",")
		if accept == "" {
			return next(c)
		}
		for part := range strings.SplitSeq(accept, ",") {
			switch media, _, _ := mime.ParseMediaType(part); media {
			case "*/*", "application/*", "application/json":
				return next(c)
			}
		}
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonNotAcceptable, "The only representation there is is application/json.")
	}
}

// inParts refuses a URL that goes on behind its last part, all of which echo takes for that part. A slash that is escaped in
// the URL is none here: then echo hands out the parts as they came.
func inParts(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for _, part := range c.ParamValues() {
			if strings.Contains(part, "/") {
				return echo.ErrNotFound
			}
		}
		return next(c)
	}
}

// wholeQuery refuses a query that cannot be read. What of it can would be another question: a list with one condition less is
// a list of more.
func wholeQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := url.ParseQuery(c.Request().URL.RawQuery); err != nil {
			return signalbox.Errorf(signalbox.Invalid, "", "The query cannot be read: %s", err)
		}
		return next(c)
	}
}

// callerKey is where a request's context keeps its caller.
const callerKey = "caller"

// authenticated is a handler that knows who asks, that they may change what it changes, if it does, and that they do not
// ask too often. Whoever only reads is refused here, once for all URLs, before anything is looked up.
func (s *Server) authenticated(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		who, err := s.Auth.Authenticate(c.Request())
		if err != nil {
			return err
		}
		c.Set(callerKey, who)
		if method := c.Request().Method; who.ReadOnly && method != http.MethodGet && method != http.MethodHead {
			return signalbox.Errorf(signalbox.Forbidden, "", "%s %s is disallowed by policy: the token's roles only read", method, c.Request().URL.Path)
		}
		if wait := s.pace.take(who.ProjectID, s.Now()); wait > 0 {
			return tooMany(c, wait)
		}
		return next(c)
	}
}

func caller(c echo.Context) signalbox.Caller {
	who, _ := c.Get(callerKey).(signalbox.Caller)
	return who
}

func project(c echo.Context) string { return caller(c).ProjectID }
