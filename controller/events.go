package controller

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// Event is something that has happened, for whoever listens to it now. Nothing is kept: who comes later reads how things are.
type Event struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`             // binding, status, drift, role; lost: that so many were not sent
	Host   string    `json:"host,omitempty"`   // where
	Object string    `json:"object,omitempty"` // what: port, floatingip
	ID     string    `json:"id,omitempty"`
	What   string    `json:"what"`
}

// EventKinds is the kinds of events that one can ask for.
func EventKinds() []string { return []string{"binding", "status", "drift", "role"} }

// news hands events to those who listen. It never waits for any of them.
type news struct {
	mu     sync.Mutex
	listen map[*listener]struct{}
}

type listener struct {
	events chan Event
	lost   int // that there was no room for
}

// backlog is how many events may wait for a listener who is slow.
const backlog = 1024

func newNews() *news { return &news{listen: map[*listener]struct{}{}} }

func (n *news) say(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.listen) == 0 {
		return
	}
	e.At = time.Now().UTC()
	for l := range n.listen {
		l.hear(e)
	}
}

// hear takes an event if there is room. After a gap it first says that there was one, so that nobody takes what follows for all.
func (l *listener) hear(e Event) {
	room := cap(l.events) - len(l.events) // nobody else sends
	if l.lost > 0 && room >= 2 {
		l.events <- Event{At: e.At, Kind: "lost", What: fmt.Sprintf("%d events", l.lost)}
		l.lost = 0
	}
	if l.lost > 0 || room == 0 {
		l.lost++
		return
	}
	l.events <- e
}

func (n *news) join() *listener {
	l := &listener{events: make(chan Event, backlog)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listen[l] = struct{}{}
	return l
}

func (n *news) leave(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listen, l)
}

func (n *news) listeners() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.listen)
}

func (c *Controller) sayBinding(b signalbox.Binding, verb string) {
	c.mu.RLock()
	host := c.loop.nameByID(b.HostID)
	c.mu.RUnlock()
	c.news.say(Event{Kind: "binding", Host: host, Object: string(signalbox.KindPort), ID: b.PortID.String(),
		What: fmt.Sprintf("%s %s, known by %s", verb, b.Interface, b.By)})
}

// aliveEvery is how often a silent stream says that it lives, so that nobody between takes it for dead.
const aliveEvery = 15 * time.Second

// readWithin is how long a client that reads nothing is kept, when it has not even room for more.
const readWithin = 30 * time.Second

// getEvents streams events as they happen (text/event-stream, as in the HTML standard, 9.2), of the kinds that ?kind= names, or
// all. A client that reads too slowly loses events, and is told how many.
func (c *Controller) getEvents(w http.ResponseWriter, r *http.Request) {
	kinds := r.URL.Query()["kind"]
	for _, k := range kinds {
		if !slices.Contains(EventKinds(), k) {
			refuse(w, http.StatusBadRequest, "kind=%q is none of %q", k, EventKinds())
			return
		}
	}
	l := c.news.join()
	defer c.news.leave(l)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	_, err := fmt.Fprint(w, ": signalbox\n\n")
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for err == nil {
		_ = out.SetWriteDeadline(time.Now().Add(aliveEvery + readWithin)) // who reads nothing is not waited for
		if err = out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
			_, err = fmt.Fprint(w, ": alive\n\n")
		case e := <-l.events:
			if len(kinds) > 0 && e.Kind != "lost" && !slices.Contains(kinds, e.Kind) {
				continue
			}
			text, _ := json.Marshal(e) // strings and a time
			_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.Kind, text)
		}
	}
}
