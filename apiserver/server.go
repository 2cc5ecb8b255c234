// Package apiserver is the HTTP edge of the Neutron API: routes.go has every URL, collection.go what the verbs
// do, errors.go what refusals are called. What a request means is neutron's to say; what its JSON may hold,
// wire's. The server keeps nothing: any number of them may run on one database.
package apiserver

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
)

// Authenticator says who asks. It fails with a signalbox.Error. Challenge is what tells a client in WWW-Authenticate
// what was missing, where that was Unauthenticated.
type Authenticator interface {
	Authenticate(r *http.Request) (signalbox.Caller, error)
	Challenge() string
}

// Config is what a Server is made of. Service and Auth are required.
type Config struct {
	Service   *neutron.Service
	Auth      Authenticator
	Log       *slog.Logger     // default: slog.Default()
	NewID     func() uuid.UUID // names requests; default: uuid.New
	Now       func() time.Time // default: time.Now
	BodyLimit int64            // bytes of a request's body; default 1 MiB
	Timeout   time.Duration    // of one request, the database's part included; default 30 s
	AtOnce    int              // requests that are answered at the same time; default 1,024. What is over is a 503
	Rate      float64          // requests a second that each project may ask; 0: as many as it likes
	Burst     int              // requests that it may ask at once after a pause; default: Rate, and at least 1

	// Pool, if there is one, tells of the connections to the database, for metrics.
	Pool func() sql.DBStats

	// Certificate, if there is one, has the API served by TLS.
	Certificate *Certificate
}

// Server answers API requests.
type Server struct {
	Config
	echo     *echo.Echo
	pace     *pace
	metrics  *metrics
	document func() []byte // the API's description
}

// GCPercent is what a process that is an API server and nothing else should give debug.SetGCPercent: it keeps next to nothing, and
// makes much for a moment, so that collecting garbage at Go's pace is a quarter of the work of a long list.
const GCPercent = 400

// New makes a Server.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.NewID == nil {
		c.NewID = uuid.New
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = 1 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.AtOnce == 0 {
		c.AtOnce = 1024
	}
	s := &Server{Config: c, echo: echo.New(), pace: newPace(c.Rate, c.Burst)}
	s.metrics = newMetrics(s.routes(), c.Pool)
	s.document = sync.OnceValue(s.describe)
	s.echo.HTTPErrorHandler = s.refuse
	s.echo.Pre(withoutSuffix)
	s.echo.Use(
		s.observe,
		atOnce(c.AtOnce),
		middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: s.panicked}),
		middleware.ContextTimeoutWithConfig(middleware.ContextTimeoutConfig{
			Timeout: c.Timeout, ErrorHandler: func(err error, _ echo.Context) error { return err },
		}),
		acceptsJSON, inParts, wholeQuery,
	)
	s.route()
	return s
}

// Handler is the whole API.
func (s *Server) Handler() http.Handler { return s.echo }

// Run serves until ctx ends, then answers what it has begun and returns nil. It owns l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.echo,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       s.Timeout,
		WriteTimeout:      2*s.Timeout + time.Minute, // from the headers' end on: reading, answering, and a slow client
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10, // a token, and a query that names some hundred things
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	serve := server.Serve
	if s.Certificate != nil {
		server.TLSConfig = s.Certificate.TLS()
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(l) }()
	s.Log.Info("api server listens", "address", l.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Timeout)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		server.Close()
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
