package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
	"github.com/signalbox-sdn/signalbox/controller"
)

func upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the API server and the controller, on a private PostgreSQL unless told of another",
		Args:  cobra.NoArgs,
		RunE:  serving(serveAPI, serveNova, serveController),
	}
	addFlags(cmd, databaseSettings, privateSettings, apiSettings, accessSettings, novaSettings, nameSettings, controllerSettings, adminSettings)
	return cmd
}

func apiserverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apiserver",
		Short: "Run the API server alone; any number share one database",
		Args:  cobra.NoArgs,
		RunE:  serving(serveAPI, serveNova),
		PreRun: func(*cobra.Command, []string) {
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(apiserver.GCPercent)
			}
		},
	}
	addFlags(cmd, databaseSettings, apiSettings, accessSettings, novaSettings, nameSettings, adminSettings)
	return cmd
}

func controllerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller alone",
		Args:  cobra.NoArgs,
		RunE:  serving(serveController),
	}
	addFlags(cmd, databaseSettings, nameSettings, controllerSettings, adminSettings)
	return cmd
}

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date and end",
		Args:  cobra.NoArgs,
		RunE:  serving(),
	}
	addFlags(cmd, databaseSettings)
	return cmd
}

// service is something that runs until ctx ends.
type service func(ctx context.Context, c *config, db *store.DB, log *slog.Logger) error

// serving is a command that opens the database, brings its schema up to date and runs services on it.
func serving(services ...service) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		c, log, err := load(cmd)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(cmd.Context())
		defer cancel(nil)
		dsn := c.DatabaseURL
		if dsn == "" {
			if c.DataDir == "" {
				return errors.New("no database: give --database-url (or, to up, --data-dir for a private PostgreSQL)")
			}
			private, err := postgres.Start(ctx, c.DataDir, log)
			if err != nil {
				return err
			}
			defer func() {
				if err := private.Stop(); err != nil {
					log.Error("stopping the private PostgreSQL", "error", err)
				}
			}()
			go func() {
				<-private.Done()
				cancel(errors.New("the private PostgreSQL has ended"))
			}()
			dsn = private.DSN()
		}
		db, err := store.Open(ctx, dsn, store.Options{Log: log})
		if err != nil {
			return err
		}
		defer db.Close()
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		for _, serve := range services {
			g.Go(func() error { return serve(gctx, &c, db, log) })
		}
		err = g.Wait()
		if cmd.Context().Err() == nil && context.Cause(ctx) != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

func serveAPI(ctx context.Context, c *config, db *store.DB, log *slog.Logger) error {
	cfg, err := c.settings().Parse()
	if err != nil {
		return err
	}
	door, err := c.door(c.Project)
	if err != nil {
		return err
	}
	certificate, err := c.certificate(log)
	if err != nil {
		return err
	}
	if err := c.checkAdmin(); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", c.APIListen)
	if err != nil {
		return fmt.Errorf("api_listen: %w", err)
	}
	admin, err := c.apiAdmin(log)
	if err != nil {
		ln.Close()
		return err
	}
	server := apiserver.New(apiserver.Config{
		Service: neutron.New(db, cfg, neutron.Source{ID: uuid.New, Intn: rand.IntN}),
		Auth:    door, Log: log, Certificate: certificate, AtOnce: c.AtOnce, Rate: c.Rate, Burst: c.Burst, Pool: db.Stats,
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx, ln) })
	if admin != nil {
		log.Info("the API server's admin endpoint listens", "address", admin.Addr().String())
		g.Go(func() error { return controller.ServeAdmin(ctx, admin, c.AdminToken, log, server.Admin()) })
	}
	return g.Wait()
}

func serveController(ctx context.Context, c *config, db *store.DB, log *slog.Logger) error {
	if err := c.checkAdmin(); err != nil {
		return err
	}
	var ls controller.Listeners
	for _, l := range []struct {
		key, address string
		ln           *net.Listener
	}{
		{"openflow_listen", c.OpenFlowListen, &ls.OpenFlow},
		{"ovsdb_listen", c.OVSDBListen, &ls.OVSDB},
		{"admin_listen", c.AdminListen, &ls.Admin},
	} {
		ln, err := net.Listen("tcp", l.address)
		if err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
		*l.ln = ln
	}
	domain, err := signalbox.ParseDomain(c.DNSDomain)
	if err != nil {
		return fmt.Errorf("dns_domain: %w", err)
	}
	resolvers, err := c.resolvers()
	if err != nil {
		return err
	}
	admin, err := c.secureAdmin("admin_listen", ls.Admin, log)
	if err != nil {
		return err
	}
	ls.Admin = admin
	log.Info("the controller waits for hosts", "openflow", ls.OpenFlow.Addr(), "ovsdb", ls.OVSDB.Addr(), "admin", ls.Admin.Addr())
	return controller.New(controller.Config{
		TunnelTypes: []signalbox.NetworkType{signalbox.GRE, signalbox.VXLAN, signalbox.Geneve},
		OVSDBPort:   c.OVSDBPort,
		Lease:       c.DHCPLease,
		AdminToken:  c.AdminToken,
		Domain:      domain,
		DNSServers:  resolvers,

		EnableSecurityGroup: c.EnableSecurityGroup,
	}, db, log).Run(ctx, ls)
}
