package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// wiretap is a wire between a switch and the controller that remembers when what went over it: without it, there
// is no telling the controller's time from the switch's.
type wiretap struct {
	address string

	mu      sync.Mutex
	ports   map[string]time.Time // interface -> when the switch said that it is there
	changes []time.Time          // when the controller began a change: a meter or a bundle
	replied time.Time            // when the switch last replied to a barrier
}

// tap listens for a switch and passes everything on, both ways, to the controller's port.
func tap(s *stage, openflow int) *wiretap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	w := &wiretap{address: l.Addr().String(), ports: map[string]time.Time{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.pass(from, fmt.Sprintf("127.0.0.1:%d", openflow)) })
		}
	})
	s.Cleanup(func() { l.Close() }) // the wires end with their ends
	return w
}

func (w *wiretap) pass(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return // the switch will try again
	}
	defer to.Close()
	go func() {
		copyFrames(from, to, w.said)
		from.Close()
	}()
	copyFrames(to, from, w.heard)
}

// copyFrames copies OpenFlow messages and shows each to look before it goes on.
func copyFrames(to, from net.Conn, look func(frame []byte)) {
	in := bufio.NewReaderSize(from, 64<<10)
	out := bufio.NewWriterSize(to, 64<<10)
	frame := make([]byte, 64<<10)
	for {
		head, err := in.Peek(8)
		if err != nil {
			return
		}
		n := max(8, int(binary.BigEndian.Uint16(head[2:])))
		if _, err := io.ReadFull(in, frame[:n]); err != nil {
			return
		}
		look(frame[:n])
		if _, err := out.Write(frame[:n]); err != nil {
			return
		}
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}

// heard takes what a switch says: a barrier's reply (type 21), or a port status (type 12) of a new port (OpenFlow 1.3.5,
// A.3.7, A.4.3 and A.2.1).
func (w *wiretap) heard(frame []byte) {
	if frame[1] == 21 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.replied = time.Now()
		return
	}
	if frame[1] != 12 || len(frame) < 48 || frame[8] != 0 {
		return
	}
	name, _, _ := bytes.Cut(frame[32:48], []byte{0})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports[string(name)] = time.Now()
}

// said takes what the controller says: a meter-mod (type 29), or the opening of a bundle (ONF EXT-230: experimenter
// message 2300, type 0).
func (w *wiretap) said(frame []byte) {
	opens := frame[1] == 4 && len(frame) >= 24 && binary.BigEndian.Uint32(frame[12:]) == 2300 && binary.BigEndian.Uint16(frame[20:]) == 0
	if !opens && frame[1] != 29 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, time.Now())
}

// port is when the switch told of an interface.
func (w *wiretap) port(name string) (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok = w.ports[name]
	return at, ok
}

// changeAfter is when the controller began the first change after a time; not ok if there was none.
func (w *wiretap) changeAfter(t time.Time) (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.changes {
		if at.After(t) {
			return at, true
		}
	}
	return at, false
}

// lastReply is when the switch last replied to a barrier.
func (w *wiretap) lastReply() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replied
}

// forget makes room.
func (w *wiretap) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = nil
	clear(w.ports)
}
