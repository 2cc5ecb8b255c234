package controller

import (
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// hop is an address of an external network that packets are handed to.
type hop struct {
	network uuid.UUID
	addr    netip.Addr
}

// Bounds of what is asked by ARP and of what waits for answers, whatever VMs send.
const (
	askEvery     = time.Second     // the same question, at most
	askFor       = 3 * time.Second // then the packets that wait are refused
	maxQuestions = 1024            // at a time
	maxOfRouter  = 64              // at a time, for the packets of one router
)

// questions is who has been asked for by ARP and has not answered yet, or just now. Any goroutine may use it; it
// does no I/O and holds no other lock.
type questions[P any] struct {
	mu   sync.Mutex
	open map[hop]*question[P]
	of   map[uuid.UUID]int // router -> how many of them
}

type question[P any] struct {
	router uuid.UUID // whose packet was the first
	since  time.Time // of the first request, or of the answer
	asked  time.Time
	mac    signalbox.MAC // who answered; zero: nobody yet
	held   map[uuid.UUID]P
}

func newQuestions[P any]() *questions[P] {
	return &questions[P]{open: map[hop]*question[P]{}, of: map[uuid.UUID]int{}}
}

// verdict is what to do with a packet for a hop.
type verdict uint8

const (
	holdAndAsk verdict = iota // it waits, and now is the time to ask
	hold                      // it waits
	holdLatest                // it waits in the place of an earlier one, which is lost
	pass                      // the answer is here
	overflow                  // too many questions: it is lost
)

// want takes a packet of a router's from a host. One waits for each host and hop, the latest (RFC 1122, 2.3.2.2).
func (q *questions[P]) want(at hop, router, host uuid.UUID, packet P, now time.Time) (verdict, signalbox.MAC) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.open[at]
	if o == nil {
		if len(q.open) >= maxQuestions || q.of[router] >= maxOfRouter {
			return overflow, signalbox.MAC{}
		}
		q.open[at] = &question[P]{router: router, since: now, asked: now, held: map[uuid.UUID]P{host: packet}}
		q.of[router]++
		return holdAndAsk, signalbox.MAC{}
	}
	if o.mac != (signalbox.MAC{}) {
		return pass, o.mac
	}
	_, replaced := o.held[host]
	o.held[host] = packet
	if replaced {
		return holdLatest, signalbox.MAC{}
	}
	return hold, signalbox.MAC{}
}

// answer takes an answer: asked says whether anybody wanted it, and the packets waited for it.
func (q *questions[P]) answer(at hop, mac signalbox.MAC, now time.Time) (packets []P, asked bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.open[at]
	if o == nil {
		return nil, false
	}
	for _, p := range o.held {
		packets = append(packets, p)
	}
	if o.mac == (signalbox.MAC{}) {
		o.since = now // from here on, until flows know it, packets pass by this
	}
	o.mac, o.held = mac, nil
	return packets, true
}

// due is what time asks for: the hops to ask for again, each with a packet that waits for it, and the packets that
// have waited for too long.
func (q *questions[P]) due(now time.Time) (again map[hop]P, late []P) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for at, o := range q.open {
		switch {
		case now.Sub(o.since) >= askFor && now.Sub(o.asked) >= askEvery:
			for _, p := range o.held {
				late = append(late, p)
			}
			delete(q.open, at)
			if q.of[o.router]--; q.of[o.router] == 0 {
				delete(q.of, o.router)
			}
		case o.mac == (signalbox.MAC{}) && now.Sub(o.asked) >= askEvery:
			o.asked = now
			if again == nil {
				again = map[hop]P{}
			}
			for _, p := range o.held {
				again[at] = p
				break
			}
		}
	}
	return again, late
}
