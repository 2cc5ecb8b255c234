package openflow

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Role is what a controller may do with a switch that has several (OpenFlow 1.3.5, 6.3.4).
type Role uint32

// Roles, by their numbers in OpenFlow.
const (
	Equal  Role = 1 // everything, as others may
	Master Role = 2 // everything, which no other master may
	Slave  Role = 3 // look
)

const noRoleChange = 0 // in a request: nothing but the question

// Roles is all that there are.
func Roles() []Role { return []Role{Equal, Master, Slave} }

func (r Role) String() string {
	switch r {
	case Equal:
		return "equal"
	case Master:
		return "master"
	case Slave:
		return "slave"
	}
	return fmt.Sprintf("role %d", uint32(r))
}

// Role is the one that this connection has by what the switch said last. Before it has said anything it is Equal, which is what a switch
// takes a new connection for.
func (c *Conn) Role() Role {
	if r := Role(c.role.Load()); r != 0 {
		return r
	}
	return Equal
}

// AskRole asks the switch which role this connection has. The Handler is told if it is another than before.
func (c *Conn) AskRole(ctx context.Context) error {
	err := c.ask(ctx, 0, nil, func(xid uint32) []byte {
		b := appendHeader(nil, typeRoleRequest, xid)
		b = binary.BigEndian.AppendUint32(b, noRoleChange)
		b = append(b, make([]byte, 12)...) // padding, and a generation that is of no account
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b
	})
	if err != nil {
		return fmt.Errorf("ask for the role: %w", err)
	}
	return nil
}

// asyncRoleStatusSlave and the number after it: whether a slave, and a master or equal, is told of its role (OFPACPT_ROLE_STATUS_*).
const asyncRoleStatusSlave = 6

// WatchRole has the switch say when another controller's request has changed this connection's role (OFPT_ROLE_STATUS), which it
// does not by itself in OpenFlow 1.3. It returns when the switch has taken that.
func (c *Conn) WatchRole(ctx context.Context) error {
	return c.barrierOn(ctx, func(xid uint32) []byte {
		b := appendExperimenter(appendHeader(nil, typeExperimenter, xid), nicira, niciraSetAsyncConfig2)
		for _, kind := range []uint16{asyncRoleStatusSlave, asyncRoleStatusSlave + 1} {
			b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, kind), 8)
			b = binary.BigEndian.AppendUint32(b, 7) // whoever caused it
		}
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b
	})
}

// barrierOn sends one message and waits until the switch has done or refused it.
func (c *Conn) barrierOn(ctx context.Context, message func(xid uint32) []byte) error {
	xid := c.nextXID(2)
	k := c.expect(xid, 0, nil) // only a refusal has this number
	defer c.forget(xid)
	done := c.expect(xid+1, 0, nil)
	if err := c.send(ctx, c.bulk, append(message(xid), barrierRequest(xid+1)...)); err != nil {
		c.forget(xid + 1)
		return err
	}
	if err := c.wait(ctx, done); err != nil {
		return err
	}
	select {
	case err := <-k.done:
		return err
	default:
		return nil
	}
}

// roleIs takes what a switch says of the role.
func (c *Conn) roleIs(body *cursor, h Handler) error {
	is := Role(body.u32())
	if err := body.err(); err != nil {
		return err
	}
	if is < Equal || is > Slave {
		return fmt.Errorf("there is no %s", is)
	}
	if was := c.Role(); was != is {
		c.role.Store(uint32(is))
		h.RoleChanged(was, is)
	}
	return nil
}

// Description is what a switch says of itself.
type Description struct{ Software string } // version of Open vSwitch, as 3.1.0

// Describe asks a switch what it is.
func (c *Conn) Describe(ctx context.Context) (Description, error) {
	var out Description
	err := c.ask(ctx, multipartDesc, func(body *cursor) (err error) {
		out, err = decodeDescription(body)
		return err
	}, func(xid uint32) []byte {
		b := appendHeader(nil, typeMultipartRequest, xid)
		b = append(b, make([]byte, 8)...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b
	})
	if err != nil {
		return Description{}, fmt.Errorf("describe: %w", err)
	}
	return out, nil
}

func decodeDescription(body *cursor) (Description, error) {
	body.skip(2 * descriptionField)
	d := Description{Software: text(body.take(descriptionField))}
	return d, body.err()
}

const descriptionField = 256 // bytes of manufacturer, hardware and software (DESC_STR_LEN)

// text is what comes before the first zero, where all of it can be shown.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return string(b)
}
