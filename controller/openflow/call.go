package openflow

import (
	"context"
	"fmt"
	"time"
)

// call is a request that waits for its reply. absorb runs on the reader's goroutine, for each segment
// or for the one answer; what it has gathered is the caller's when done is told.
type call struct {
	xid    uint32
	absorb func(*cursor) error // nil: the answer's content does not matter
	kind   uint16              // of multipart
	done   chan error
}

// expect registers a call for the reply to a message numbered xid. It must be ended by wait.
func (c *Conn) expect(xid uint32, kind uint16, absorb func(*cursor) error) *call {
	k := &call{xid: xid, kind: kind, absorb: absorb, done: make(chan error, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[xid] = k
	return k
}

// wait is until the reply, the refusal (an *Error), the end of the connection, of ctx or of ReplyTimeout.
func (c *Conn) wait(ctx context.Context, k *call) error {
	timeout := time.NewTimer(c.o.ReplyTimeout)
	defer timeout.Stop()
	defer c.forget(k.xid)
	select {
	case err := <-k.done:
		return err
	case <-c.closed:
		return c.failure
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timeout.C:
		return fmt.Errorf("openflow: no reply in %v", c.o.ReplyTimeout)
	}
}

// forget drops a call. A reply on its way is then nobody's; a reply being absorbed is finished first,
// because absorbing happens under the lock: no caller sees its result change after wait.
func (c *Conn) forget(xid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, xid)
}

// ask sends one request and waits for its reply.
func (c *Conn) ask(ctx context.Context, kind uint16, absorb func(*cursor) error, request func(xid uint32) []byte) error {
	xid := c.nextXID(1)
	k := c.expect(xid, kind, absorb)
	if err := c.send(ctx, c.fast, request(xid)); err != nil {
		c.forget(xid)
		return err
	}
	return c.wait(ctx, k)
}

// answered gives a reply of one message to the call that waits for it.
func (c *Conn) answered(xid uint32, body *cursor) error {
	return c.absorb(xid, 0, body, true)
}

// segmentArrived gives a part of a multipart reply to the call that waits for it.
func (c *Conn) segmentArrived(xid uint32, s segment) error {
	return c.absorb(xid, s.kind, s.body, !s.more)
}

func (c *Conn) absorb(xid uint32, kind uint16, body *cursor, last bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[xid]
	if k == nil {
		return nil
	}
	if k.kind != kind {
		return fmt.Errorf("reply of kind %d to a request of kind %d", kind, k.kind)
	}
	var err error
	if k.absorb != nil {
		err = k.absorb(body)
	}
	if err != nil || last {
		delete(c.calls, xid)
		k.done <- err
	}
	return err
}

// refused gives a refusal to the call or the batch of messages that it is about, if one waits.
func (c *Conn) refused(e *Error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.calls[e.XID]; k != nil {
		delete(c.calls, e.XID)
		k.done <- e
		return true
	}
	return c.batch.refused(e)
}
