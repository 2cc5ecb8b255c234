package controller

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/dns"
)

// Bounds of what is asked of resolvers, whatever VMs ask.
const (
	maxForwarded       = 1024                    // at a time
	maxForwardedOfPort = 32                      // at a time
	answerWithin       = 1500 * time.Millisecond // then another resolver is asked, or the same one again
	forwardFor         = 5 * time.Second         // as long as most clients wait
	forwardRounds      = 2
)

// resolver asks the operator's resolvers for names that are not ours. It keeps no answers: they do that.
type resolver struct {
	servers []netip.AddrPort // in the order of trial
	results *prometheus.CounterVec

	running sync.WaitGroup
	mu      sync.Mutex
	all     int
	of      map[signalbox.PortKey]int
}

// What can become of a forwarded question.
const (
	forwardAnswered = "answered"
	forwardSilent   = "silent"
	forwardOverflow = "overflow"
)

func newResolver(servers []netip.AddrPort, results *prometheus.CounterVec) *resolver {
	return &resolver{servers: servers, results: results, of: map[signalbox.PortKey]int{}}
}

// ask asks for a port, and calls done with the answers, each either a resolver's or the news that there is none, from another
// goroutine. It is false, and nothing is asked, while too much is under way. ctx ends it.
func (r *resolver) ask(ctx context.Context, port signalbox.PortKey, queries map[int]*dns.Query, done func(answers map[int][]byte)) bool {
	if !r.begin(port, len(queries)) {
		r.results.WithLabelValues(forwardOverflow).Add(float64(len(queries)))
		return false
	}
	r.running.Go(func() {
		defer r.end(port, len(queries))
		ctx, cancel := context.WithTimeout(ctx, forwardFor)
		defer cancel()
		done(r.resolveAll(ctx, queries))
	})
	return true
}

func (r *resolver) begin(port signalbox.PortKey, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all+n > maxForwarded || r.of[port]+n > maxForwardedOfPort {
		return false
	}
	r.all += n
	r.of[port] += n
	return true
}

func (r *resolver) end(port signalbox.PortKey, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all -= n
	if r.of[port] -= n; r.of[port] == 0 {
		delete(r.of, port)
	}
}

// resolveAll resolves queries beside each other.
func (r *resolver) resolveAll(ctx context.Context, queries map[int]*dns.Query) map[int][]byte {
	answers := fail(queries)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, q := range queries {
		wg.Go(func() {
			answer, ok := r.resolve(ctx, q)
			if !ok {
				r.results.WithLabelValues(forwardSilent).Inc()
				return
			}
			r.results.WithLabelValues(forwardAnswered).Inc()
			mu.Lock()
			defer mu.Unlock()
			answers[i] = answer
		})
	}
	wg.Wait()
	return answers
}

// fail is the news that there is no answer.
func fail(queries map[int]*dns.Query) map[int][]byte {
	answers := make(map[int][]byte, len(queries))
	for i, q := range queries {
		answers[i] = q.Fail()
	}
	return answers
}

// resolve asks one resolver after the other.
func (r *resolver) resolve(ctx context.Context, q *dns.Query) (answer []byte, ok bool) {
	for range forwardRounds {
		for _, server := range r.servers {
			began := time.Now()
			if answer, ok := exchange(ctx, server, q); ok {
				return answer, true
			}
			if ctx.Err() != nil {
				return nil, false
			}
			if time.Since(began) < answerWithin/10 && server == r.servers[len(r.servers)-1] {
				pause(ctx, answerWithin/10) // refused at once: it may be starting
			}
		}
	}
	return nil, false
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// exchange asks one resolver once, by the transport that the client chose, from a port that the system chooses at random and
// under an id of its own: whoever wants to answer in the resolver's place has to guess both.
func exchange(ctx context.Context, server netip.AddrPort, q *dns.Query) (answer []byte, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var random [2]byte
	_, _ = rand.Read(random[:]) // it never fails
	id := binary.BigEndian.Uint16(random[:])
	question, err := q.Upstream(id)
	if err != nil {
		return nil, false
	}
	network := "udp"
	if q.TCP() {
		network = "tcp"
		question = append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(question); err != nil {
		return nil, false
	}
	for { // until the right one comes
		message, err := receive(conn, q.TCP())
		if err != nil {
			return nil, false
		}
		if answer, ok := q.Relay(id, message); ok {
			return answer, true
		}
	}
}

// receive reads one message.
func receive(conn net.Conn, tcp bool) ([]byte, error) {
	if !tcp {
		b := make([]byte, 4096) // more than is asked for
		n, err := conn.Read(b)
		return b[:n], err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, b)
	return b, err
}
