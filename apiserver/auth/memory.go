package auth

import (
	"container/list"
	"crypto/sha256"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// key stands for a token where it is remembered, so that no token is kept longer than its request takes.
type key [sha256.Size]byte

// verdict is who has a token, or why it is refused, and until when that is believed.
type verdict struct {
	key    key
	caller signalbox.Caller
	err    error
	until  time.Time
}

// memory is a bounded number of verdicts; when it is full, the one goes that nobody has asked for the longest. It is not
// safe for concurrent use.
type memory struct {
	most  int
	order *list.List // of verdicts, the last one asked for in front
	at    map[key]*list.Element
}

func newMemory(most int) *memory {
	return &memory{most: most, order: list.New(), at: map[key]*list.Element{}}
}

// recall is the verdict on a token, if it is remembered and still holds.
func (m *memory) recall(k key, now time.Time) (verdict, bool) {
	e := m.at[k]
	if e == nil {
		return verdict{}, false
	}
	v := e.Value.(verdict)
	if !now.Before(v.until) {
		m.forget(e)
		return verdict{}, false
	}
	m.order.MoveToFront(e)
	return v, true
}

// keep remembers a verdict, of whose token none is remembered.
func (m *memory) keep(v verdict) {
	if len(m.at) >= m.most {
		m.forget(m.order.Back())
	}
	m.at[v.key] = m.order.PushFront(v)
}

func (m *memory) forget(e *list.Element) {
	delete(m.at, m.order.Remove(e).(verdict).key)
}
