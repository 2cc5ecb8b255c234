// Package apiserver is the HTTP edge of the Neutron API: routes.go has every URL, collection.go what the verbs
// do, errors.go what refusals are called. What a request means is neutron's to say; what its JSON may hold,
// wire's. The server keeps nothing: any number of them may run on one database.
package apiserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
)

// Authenticator says who asks. It fails with a signalbox.Error.
type Authenticator interface {
	Authenticate(r *http.Request) (signalbox.Caller, error)
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
}

// Server answers API requests.
type Server struct {
	Config
	echo *echo.Echo
}

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
	s := &Server{Config: c, echo: echo.New()}
	s.echo.HTTPErrorHandler = s.refuse
	s.echo.Pre(withoutSuffix)
	s.echo.Use(
		s.observe,
		middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: s.panicked}),
		middleware.ContextTimeoutWithConfig(middleware.ContextTimeoutConfig{
			Timeout: c.Timeout, ErrorHandler: func(err error, _ echo.Context) error { return err },
		}),
		acceptsJSON,
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
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
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
