package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the advisory lock that lets one process migrate while others wait. The number says
// nothing; it must only be nobody else's.
const migrationLock = 0x5167_6e61_6c62_6f78 // "Qgnalbox"

// Migrate brings the database's schema up to this program's. Several processes may call it at once: one works and
// the others wait for it.
func (db *DB) Migrate(ctx context.Context) error {
	return wrap("migrate", db.migrate(ctx))
}

func (db *DB) migrate(ctx context.Context) error {
	pool, err := sql.Open(driverName, db.dsn) // two connections, whatever the other pool is at
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // releases the lock as well
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	done, err := provider.Up(ctx)
	for _, m := range done {
		db.log.Info("schema migrated", "version", m.Source.Version, "took", m.Duration)
	}
	return err
}
