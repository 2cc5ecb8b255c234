package signalbox

import (
	"context"
	"slices"
)

type requestsKey struct{}

// WithRequests is ctx for what is done because of these API requests, by the ids that the log knows them by. Only logs are
// the wiser for it.
func WithRequests(ctx context.Context, ids ...string) context.Context {
	return context.WithValue(ctx, requestsKey{}, slices.Compact(slices.Sorted(slices.Values(ids))))
}

// RequestsOf is the requests that ctx is for, in rising order. It belongs to ctx.
func RequestsOf(ctx context.Context) []string {
	ids, _ := ctx.Value(requestsKey{}).([]string)
	return ids
}
