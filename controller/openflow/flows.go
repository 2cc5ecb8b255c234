package openflow

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Flows reads every flow of the switch: all of them, at one moment, or an error.
func (c *Conn) Flows(ctx context.Context) ([]Installed, error) {
	return c.readFlows(ctx, Installed.forgetWire, flowsRequest)
}

// Dump is Flows, and keeps what Text needs: some 200 bytes a flow more.
func (c *Conn) Dump(ctx context.Context) ([]Installed, error) {
	return c.readFlows(ctx, Installed.keepWire, flowsRequest)
}

// FlowsWith reads the flows that have a cookie, which are mostly one. The switch finds them by an index.
func (c *Conn) FlowsWith(ctx context.Context, cookie flow.Cookie) ([]Installed, error) {
	return c.readFlows(ctx, Installed.forgetWire, func(xid uint32) []byte { return flowsWithRequest(xid, cookie) })
}

// readFlows takes each flow as kept makes it of what is only borrowed from the connection's reader.
func (c *Conn) readFlows(ctx context.Context, kept func(Installed) Installed, request func(xid uint32) []byte) ([]Installed, error) {
	var out []Installed
	err := c.ask(ctx, multipartFlow, func(body *cursor) error {
		var err error
		if out, err = decodeFlows(out, body, kept); err == nil && len(out) > c.o.MaxFlows {
			err = fmt.Errorf("more than %d flows", c.o.MaxFlows)
		}
		return err
	}, request)
	if err != nil {
		return nil, fmt.Errorf("read flows: %w", err)
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
