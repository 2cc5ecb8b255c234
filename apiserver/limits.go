package apiserver

import (
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
)

// headerRetryAfter is in whole seconds (RFC 9110, section 10.2.3).
const headerRetryAfter = "Retry-After"

// atOnce answers most requests at the same time, and refuses what is over: a client that has to wait long asks again,
// and then there are two to wait for.
func atOnce(most int) echo.MiddlewareFunc {
	places := make(chan struct{}, most)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				return next(c)
			default:
				c.Response().Header().Set(headerRetryAfter, "1")
				return signalbox.Errorf(signalbox.Unavailable, "", "%d requests are being answered", most)
			}
		}
	}
}

// pace lets each project ask so many requests a second, and so many more after a pause. For each it needs to know but
// when it would be up to date, had each of its requests come in its own time (the generic cell rate algorithm).
type pace struct {
	every time.Duration // one request's time; 0: there is no limit
	slack time.Duration // how far ahead of that a project may be

	mu  sync.Mutex
	due map[string]time.Time // by project
}

// paceMost bounds the projects that are remembered. One that is forgotten has a burst more, at most.
const paceMost = 10_000

func newPace(rate float64, burst int) *pace {
	p := &pace{due: map[string]time.Time{}}
	if rate > 0 {
		p.every = time.Duration(float64(time.Second) / rate)
		if burst == 0 {
			burst = int(rate)
		}
		p.slack = p.every * time.Duration(max(burst-1, 0))
	}
	return p
}

// take takes the time for one request, or says how long until there is some.
func (p *pace) take(project string, now time.Time) time.Duration {
	if p.every == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.due[project]
	if due.Before(now) {
		due = now
	}
	if wait := due.Sub(now) - p.slack; wait > 0 {
		return wait
	}
	if len(p.due) >= paceMost {
		p.forget(now)
	}
	p.due[project] = due.Add(p.every)
	return 0
}

// forget forgets the projects of which there is nothing to know, or all if none is such.
func (p *pace) forget(now time.Time) {
	for project, due := range p.due {
		if !due.After(now) {
			delete(p.due, project)
		}
	}
	if len(p.due) >= paceMost {
		clear(p.due)
	}
}

func tooMany(c echo.Context, wait time.Duration) error {
	seconds := int((wait + time.Second - 1) / time.Second)
	c.Response().Header().Set(headerRetryAfter, strconv.Itoa(seconds))
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonTooMany, "The project asks too often. Try again in %d s.", seconds)
}
