package store

import (
	"context"
	"time"
)

// Prune is prune, for tests that cannot wait an hour.
func (db *DB) Prune(ctx context.Context, keep time.Duration) error { return db.prune(ctx, keep) }
