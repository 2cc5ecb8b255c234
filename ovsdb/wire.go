package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxMessage bounds one message in bytes. The first picture of a host with 10,000 interfaces is about 6 MB.
	maxMessage = 32 << 20
	// writeTimeout bounds how long a peer may leave what we send unread.
	writeTimeout = 10 * time.Second
)

var errTooLong = fmt.Errorf("a message of more than %d bytes", maxMessage)

// message is any JSON-RPC 1.0 message: a request or notification has a method, a response has none.
type message struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

type request struct {
	Method string `json:"method"`
	Params any    `json:"params"`
	ID     uint64 `json:"id"`
}

type response struct {
	Result any             `json:"result"`
	Error  any             `json:"error"`
	ID     json.RawMessage `json:"id"`
}

// wire is one JSON-RPC connection. Its read method is the only reader; anybody may write.
type wire struct {
	conn  net.Conn
	heard atomic.Int64  // bytes received so far
	down  chan struct{} // closed when read has returned

	writing sync.Mutex

	mu      sync.Mutex // guards what follows
	lastID  uint64
	pending map[uint64]func(json.RawMessage, error) // called once, by the reader
}

func newWire(conn net.Conn) *wire {
	return &wire{conn: conn, down: make(chan struct{}), pending: make(map[uint64]func(json.RawMessage, error))}
}

// read handles messages until the connection ends or says something that cannot be right. Responses go
// to whoever asked, echo requests are answered, and notify gets the notifications.
func (w *wire) read(notify func(method string, params json.RawMessage) error) error {
	defer close(w.down)
	in := &limited{wire: w, left: maxMessage}
	dec := json.NewDecoder(in)
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the peer closed the connection")
			}
			return fmt.Errorf("reading: %w", err)
		}
		in.left = maxMessage
		if err := w.handle(&m, notify); err != nil {
			return err
		}
	}
}

func (w *wire) handle(m *message, notify func(string, json.RawMessage) error) error {
	switch {
	case m.Method == "":
		return w.deliver(m)
	case isNull(m.ID):
		return notify(m.Method, m.Params)
	case m.Method == "echo":
		return w.write(response{Result: m.Params, ID: m.ID})
	default:
		return w.write(response{Error: "unknown method", ID: m.ID})
	}
}

// deliver hands a response to the call that waits for it.
func (w *wire) deliver(m *message) error {
	var id uint64
	if err := json.Unmarshal(m.ID, &id); err != nil {
		return errors.New("a response without a usable id")
	}
	w.mu.Lock()
	done, ok := w.pending[id]
	delete(w.pending, id)
	w.mu.Unlock()
	if !ok {
		return fmt.Errorf("a response to request %d, which nobody awaits", id)
	}
	if !isNull(m.Error) {
		done(nil, fmt.Errorf("the server refused: %s", shorten(string(m.Error), 300)))
		return nil
	}
	done(m.Result, nil)
	return nil
}

// send writes a request; done gets the answer in the reader's goroutine, unless the connection ends first.
func (w *wire) send(method string, params any, done func(json.RawMessage, error)) (id uint64, err error) {
	w.mu.Lock()
	w.lastID++
	id = w.lastID
	w.pending[id] = done
	w.mu.Unlock()
	return id, w.write(request{Method: method, Params: params, ID: id})
}

// call writes a request and awaits its answer.
func (w *wire) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	type answer struct {
		result json.RawMessage
		err    error
	}
	got := make(chan answer, 1)
	_, err := w.send(method, params, func(r json.RawMessage, err error) { got <- answer{r, err} })
	if err != nil {
		return nil, err
	}
	select {
	case a := <-got:
		return a.result, a.err
	case <-w.down:
		return nil, errors.New("the connection ended before the answer")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// write sends one message. After a failure the peer may have half of it, so the connection is closed.
func (w *wire) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	err = w.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = w.conn.Write(b)
	}
	if err != nil {
		_ = w.conn.Close()
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// limited reads from the connection, at most left bytes for the message being read.
type limited struct {
	wire *wire
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.wire.conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	l.wire.heard.Add(int64(n))
	return n, err
}

func isNull(b json.RawMessage) bool { return len(b) == 0 || string(b) == "null" }
