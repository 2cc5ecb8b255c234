package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// Tags are a column of whatever can be tagged. The change feed does not tell of them (migration 4), so a statement that
// changes them must change nothing else that it tells of.

// TagsForUpdate are a resource's tags, in order, and its revision; others who want to change the row wait for this transaction.
// resource is its name in the API.
func (tx *Tx) TagsForUpdate(ctx context.Context, resource string, id uuid.UUID) (_ []string, revision int64, err error) {
	var row struct {
		Tags     array
		Revision int64
	}
	err = tx.get(ctx, &row, `SELECT tags, revision FROM `+resource+`s WHERE id = $1 FOR NO KEY UPDATE`, id)
	if isNoRows(err) {
		return nil, 0, notFound("read tags", resource, id)
	}
	return tags(row.Tags), row.Revision, wrap("read tags", err)
}

// SetTags writes a resource's tags, which must be in order and each there once, and gives it a new revision.
func (tx *Tx) SetTags(ctx context.Context, resource string, id uuid.UUID, tags []string) error {
	n, err := tx.exec(ctx, `
		UPDATE `+resource+`s SET tags = coalesce($2::text[], '{}'), updated_at = clock_timestamp(), revision = revision + 1 WHERE id = $1`,
		id, pq.StringArray(tags))
	if err == nil && n == 0 {
		return notFound("write tags", resource, id)
	}
	return wrap("write tags", err)
}

// tags are those of a row; none are nil.
func tags(of []string) []string {
	if len(of) == 0 {
		return nil
	}
	return of
}
