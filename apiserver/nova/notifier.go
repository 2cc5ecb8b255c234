// Package nova tells Nova what happens to its servers' ports: that a port works or no longer does, that it is gone, that its addresses
// are others. Nova waits for that when it starts a server, and shows it to the server's owner. docs/adr/0014-nova.md says
// what can be relied on.
package nova

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// Config says which Nova is told, and as whom.
type Config struct {
	// URL is that of the Compute API, http://HOST:8774/v2.1. It is asked for again when nobody answers there.
	URL func(context.Context) (string, error)
	// Token is a token whose owner may tell Nova of events, other than the one given, which was not accepted. nil: none is sent.
	Token   func(ctx context.Context, not string) (string, error)
	TLS     *tls.Config // nil: the system's certificate authorities
	Log     *slog.Logger
	Every   time.Duration // how often is looked for events; default 500 ms
	Timeout time.Duration // of one answer of Nova's; default 10 s
}

const (
	atOnce     = 100            // events in one request
	keep       = 24 * time.Hour // an event that is older helps nobody
	firstPause = 2 * time.Second
	mostPause  = 5 * time.Minute  // between two attempts at an event that Nova has refused
	mostWait   = 30 * time.Second // between two attempts at a Nova that does not answer
)

// Notifier sends events. Any number may share one database.
type Notifier struct {
	db     *store.DB
	c      Config
	client *http.Client

	// Run's goroutine alone uses these:
	url, token string // as they were good last
	spoilt     int    // requests of this round that Nova has refused as a whole
}

// New makes a Notifier. Events begin to be written when one runs for the first time.
func New(db *store.DB, c Config) *Notifier {
	if c.Every == 0 {
		c.Every = 500 * time.Millisecond
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	return &Notifier{db: db, c: c, client: &http.Client{
		Timeout: c.Timeout,
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: c.Timeout}).DialContext, TLSClientConfig: c.TLS, TLSHandshakeTimeout: c.Timeout,
			ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		},
		// A token goes to whom it is meant for, and to nobody that they name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Run sends events until ctx ends, and then finishes what it has begun.
func (n *Notifier) Run(ctx context.Context) error {
	for wait := n.c.Every; ; {
		more, err := n.round(ctx)
		pause := n.c.Every
		switch {
		case err != nil:
			wait = min(2*wait, mostWait)
			pause = wait
			n.c.Log.Warn("Nova is not told", "error", err, "again_in", pause)
		case more:
			wait, pause = n.c.Every, 0
		default:
			wait = n.c.Every
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// round sends what is due. more: there was too much of it for once. Once begun, it is not given up: what Nova has accepted must not be
// sent again.
func (n *Notifier) round(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*n.c.Timeout)
	defer cancel()
	events, expired, err := n.db.TakeNovaEvents(ctx, store.NovaListener{Most: atOnce, Hold: 7 * n.c.Timeout, Keep: keep})
	if expired > 0 {
		n.c.Log.Error("events were not accepted by Nova in a day and are dropped", "events", expired)
	}
	if err != nil || len(events) == 0 {
		return false, err
	}
	all := merge(events)
	n.spoilt = 0
	err = n.tell(ctx, all)
	var done, refused, rest []int64
	for _, e := range all {
		switch e.outcome {
		case accepted, dropped:
			done = append(done, e.ids...)
		case tryLater:
			refused = append(refused, e.ids...)
		default:
			rest = append(rest, e.ids...)
		}
	}
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.c.Timeout)
	defer cancel()
	return len(events) == atOnce, errors.Join(err, n.db.SettleNovaEvents(settling, done, refused, rest, firstPause, mostPause))
}

// news is one thing to tell, which may have happened more than once.
type news struct {
	store.NovaEvent
	ids     []int64
	outcome outcome
}

// outcome is what has become of it.
type outcome int

const (
	untold   outcome = iota
	accepted         // Nova knows
	dropped          // Nova will never want to know
	tryLater         // Nova did not want to know now
)

// merge makes one of events that say the same, at the place of the last.
func merge(events []store.NovaEvent) []*news {
	type what struct{ name, server, port string }
	var out []*news
	seen := map[what]*news{}
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		w := what{e.Name, e.ServerID.String(), e.PortID.String()}
		if seen[w] == nil {
			seen[w] = &news{NovaEvent: e}
			out = append(out, seen[w])
		}
		seen[w].ids = append(seen[w].ids, e.ID)
	}
	slices.Reverse(out)
	return out
}
