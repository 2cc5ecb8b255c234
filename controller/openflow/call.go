package openflow

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
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

// Flows reads every flow of the switch: all of them, at one moment, or an error.
func (c *Conn) Flows(ctx context.Context) ([]Installed, error) {
	var out []Installed
	err := c.ask(ctx, multipartFlow, func(body *cursor) error {
		var err error
		if out, err = decodeFlows(out, body); err == nil && len(out) > c.o.MaxFlows {
			err = fmt.Errorf("more than %d flows", c.o.MaxFlows)
		}
		return err
	}, flowsRequest)
	if err != nil {
		return nil, fmt.Errorf("read flows: %w", err)
	}
	return out, nil
}

// Meters reads every meter of the switch: all of them or an error. One that limits something else than
// packets is there with a rate of zero.
func (c *Conn) Meters(ctx context.Context) ([]flow.RateLimit, error) {
	var out []flow.RateLimit
	err := c.ask(ctx, multipartMeterConfig, func(body *cursor) error {
		var err error
		if out, err = decodeMeters(out, body); err == nil && len(out) > c.o.MaxFlows {
			err = fmt.Errorf("more than %d meters", c.o.MaxFlows)
		}
		return err
	}, metersRequest)
	if err != nil {
		return nil, fmt.Errorf("read meters: %w", err)
	}
	return out, nil
}

// What a flow monitor reports (EXT-187): not the flows that there are, not their actions, and our own
// changes only in short, which decodeUpdates passes over.
const (
	monitorAdd    = 1 << 1
	monitorDelete = 1 << 2
	monitorModify = 1 << 3
)

// WatchFlows asks the switch to report changes of its flows that others make (ovs-ofctl, for one) as flow
// events. It returns when every later change will be reported: call it before Flows, and nothing is missed.
//
// A switch whose queue of events grows too long holds them back for a while. It then still reports every
// flow that has changed, but what this connection changed meanwhile may come back as an event too: an event
// whose cookie is that of a flow just added says nothing.
func (c *Conn) WatchFlows(ctx context.Context) error {
	err := c.ask(ctx, multipartExperimenter, nil, monitorRequest)
	if err != nil {
		return fmt.Errorf("watch flows: %w", err)
	}
	return nil
}

func monitorRequest(xid uint32) []byte {
	b := appendHeader(nil, typeMultipartRequest, xid)
	b = append(b, multipartExperimenter>>8, multipartExperimenter&0xff, 0, 0, 0, 0, 0, 0)
	b = appendExperimenter(b, onf, onfFlowMonitor)
	b = binary.BigEndian.AppendUint32(b, 1) // the monitor's number on this connection
	b = append(b, 0, monitorAdd|monitorDelete|monitorModify, 0, 4)
	b = binary.BigEndian.AppendUint32(b, portAny)
	b = append(b, allTables, 0, 0, 0)
	b = append(b, 0, 1, 0, 4, 0, 0, 0, 0) // a match of everything
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// PacketOut lets the switch send a packet through actions, as if it had arrived at inPort (PortController:
// at none). It returns when the message is queued; a refusal comes to Handler.SwitchError.
func (c *Conn) PacketOut(ctx context.Context, inPort uint32, actions []flow.Action, data []byte) error {
	b, err := appendPacketOut(make([]byte, 0, 64+16*len(actions)+len(data)), c.nextXID(1), inPort, actions, data)
	if err == nil {
		err = c.send(ctx, c.fast, b)
	}
	if err != nil {
		return fmt.Errorf("packet-out: %w", err)
	}
	return nil
}

func appendPacketOut(b []byte, xid, inPort uint32, actions []flow.Action, data []byte) ([]byte, error) {
	start := len(b)
	b = appendHeader(b, typePacketOut, xid)
	b = binary.BigEndian.AppendUint32(b, noBuffer)
	b = binary.BigEndian.AppendUint32(b, inPort)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // length of the actions, padding
	before := len(b)
	b, err := appendActions(b, actions)
	if err != nil {
		return b, err
	}
	binary.BigEndian.PutUint16(b[before-8:], uint16(len(b)-before))
	b = append(b, data...)
	return b, finish(b, start)
}
