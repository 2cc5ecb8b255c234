// Package neutron is what a request means: what holds when it does not say, what it may not ask, and what else
// must happen with it. Each call of a Service is one transaction, or nothing.
package neutron

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// Source is where what must not repeat comes from. Both are called from many goroutines at once.
type Source struct {
	ID   func() uuid.UUID
	Intn func(n int) int // uniform in [0,n)
}

// Service does what requests ask.
type Service struct {
	db  *store.DB
	cfg Config
	src Source

	gathered gather
}

// New makes a Service.
func New(db *store.DB, cfg Config, src Source) *Service {
	s := &Service{db: db, cfg: cfg, src: src}
	s.gathered.s = s
	return s
}

// Ping reports whether the database answers.
func (s *Service) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Query is which of a collection, and in which order. See store.Query.
type Query struct {
	Filters map[string][]any
	Sort    []Order
	Marker  uuid.UUID
	Limit   int
}

// Order is one key of a sort.
type Order = store.Order

// nothing reports whether a filter was asked that no row can pass.
func (q *Query) nothing() bool {
	for _, values := range q.Filters {
		if len(values) == 0 {
			return true
		}
	}
	return false
}

func (q *Query) visibleTo(c signalbox.Caller, resource string) store.Query {
	sq := store.Query{Filters: q.Filters, Sort: q.Sort, Marker: q.Marker, Limit: q.Limit, Asker: c.ProjectID}
	if !May(c, "get_"+resource) {
		sq.VisibleTo = c.ProjectID
	}
	return sq
}

func by(attribute string, value any) store.Query {
	return store.Query{Filters: map[string][]any{attribute: {value}}}
}

// list reads what a query asks of the table of a resource.
func list[T any](ctx context.Context, s *Service, c signalbox.Caller, resource string, q Query, read func(*store.Tx, context.Context, store.Query) ([]T, error)) (rows []T, err error) {
	if q.nothing() {
		return nil, nil
	}
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		rows, err = read(tx, ctx, q.visibleTo(c, resource))
		return err
	})
	return rows, err
}

// attempts bounds how often a write is tried anew when what we chose ourselves (a MAC, an address, a segment)
// turned out to have been chosen by another at the same moment.
const attempts = 20

// write runs fn in a transaction, again while its refusal is one that another choice of ours can avoid.
func (s *Service) write(ctx context.Context, ours []signalbox.Reason, fn func(*store.Tx) error) error {
	var err error
	for range attempts {
		if err = s.db.Write(ctx, fn); err == nil {
			return nil
		}
		again := false
		for _, r := range ours {
			again = again || because(err, r)
		}
		if !again {
			return err
		}
	}
	return err
}

// or is what a request said, or else what holds otherwise.
func or[T any](said *T, otherwise T) T {
	if said != nil {
		return *said
	}
	return otherwise
}

// set changes a field to what a request said of it, if it did.
func set[T any](field *T, said *T) {
	if said != nil {
		*field = *said
	}
}

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func invalidInput(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonInvalidInput, "Invalid input for operation: "+format, args...)
}

func notFound(resource string, id uuid.UUID) error {
	return &signalbox.Error{Kind: signalbox.NotFound, Resource: resource, ID: id.String(), Msg: resource + " " + id.String() + " could not be found"}
}

func forbidden(rule string) error {
	return signalbox.Errorf(signalbox.Forbidden, "", "rule:%s is disallowed by policy", rule)
}

// projectOf is the project a new resource belongs to.
func projectOf(c signalbox.Caller, said *string) (string, error) {
	return projectBy("create:project_id", c, said)
}

// projectBy is projectOf by another rule.
func projectBy(rule string, c signalbox.Caller, said *string) (string, error) {
	if said == nil || *said == c.ProjectID {
		return c.ProjectID, nil
	}
	if !May(c, rule) {
		return "", signalbox.Errorf(signalbox.Invalid, "",
			"Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges")
	}
	return *said, nil
}

// checkRevision refuses an update that was meant for an older state of the row.
func checkRevision(said *int64, is int64) error {
	if said != nil && *said != is {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonRevisionMismatch, "Constrained to %d, but current revision is %d", *said, is)
	}
	return nil
}
