package neutron

import (
	"context"
	"sync"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// gather lets port creations that come at the same time share a transaction, as a database lets commits share
// a write to disk: while some are on their way, those that come meanwhile wait, and go together. Each caller still
// gets all of its port or nothing, after the commit; where a shared transaction is refused, each has its own.
// Nobody waits who comes alone, nor long behind a transaction that has to wait itself.
type gather struct {
	s *Service

	mu      sync.Mutex
	waiting []*creation
	busy    bool // a transaction that has not waited too long is on its way
}

const (
	gatherMost     = 64                    // ports in one transaction
	gatherSlow     = 50 * time.Millisecond // after which others no longer wait for a transaction
	gatherPatience = 30 * time.Second      // of a transaction, which outlives the request that it began with
)

// creation is one caller's wish on its way.
type creation struct {
	portWish
	asked []string // the requests that it is for
	made  signalbox.Port
	err   error
	done  chan struct{}
}

// create makes one port. When ctx ends first, the port may come to be nevertheless.
func (g *gather) create(ctx context.Context, w portWish) (signalbox.Port, error) {
	mine := &creation{portWish: w, asked: signalbox.RequestsOf(ctx), done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, mine)
	g.next(context.WithoutCancel(ctx))
	g.mu.Unlock()
	select {
	case <-mine.done:
		return mine.made, mine.err
	case <-ctx.Done():
		return signalbox.Port{}, ctx.Err()
	}
}

// next sends off what waits, unless others are on their way. Called with mu held.
func (g *gather) next(ctx context.Context) {
	if g.busy || len(g.waiting) == 0 {
		return
	}
	g.busy = true
	now := g.waiting[:min(len(g.waiting), gatherMost)]
	g.waiting = g.waiting[len(now):]
	go func() {
		over := sync.OnceFunc(func() {
			g.mu.Lock()
			g.busy = false
			g.next(ctx)
			g.mu.Unlock()
		})
		slow := time.AfterFunc(gatherSlow, over)
		defer slow.Stop()
		g.grant(ctx, now)
		over()
	}()
}

func (g *gather) grant(ctx context.Context, cs []*creation) {
	ctx, cancel := context.WithTimeout(ctx, gatherPatience)
	defer cancel()
	wishes := make([]portWish, len(cs))
	var asked []string
	for i, c := range cs {
		wishes[i] = c.portWish
		asked = append(asked, c.asked...)
	}
	ctx = signalbox.WithRequests(ctx, asked...)
	var made []signalbox.Port
	var err error
	if len(cs) > 1 {
		if made, err = g.s.createTogether(ctx, wishes); refused(err) {
			for _, c := range cs {
				g.grant(ctx, []*creation{c})
			}
			return
		}
	} else {
		made, err = g.s.createInTurn(ctx, wishes)
	}
	for i, c := range cs {
		if c.err = err; err == nil {
			c.made = made[i]
		}
		close(c.done)
	}
}
