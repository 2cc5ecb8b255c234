package openflow

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

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
