package openflow

import (
	"bytes"
	"fmt"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Port is a port of the switch, as it describes it.
type Port struct {
	No        uint32
	Name      string // at most 15 bytes
	MAC       signalbox.MAC
	AdminDown bool // taken out of service by its owner
	LinkDown  bool // no carrier
}

// PortReason says what happened to a port.
type PortReason uint8

// Reasons of a port status.
const (
	PortAdded PortReason = iota
	PortDeleted
	PortModified
)

func (r PortReason) String() string {
	switch r {
	case PortAdded:
		return "added"
	case PortDeleted:
		return "deleted"
	case PortModified:
		return "modified"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// PacketIn is a packet that a flow sent to the controller. Its Data is the receiver's to keep.
type PacketIn struct {
	InPort    uint32
	Table     uint8
	Cookie    flow.Cookie // of the flow that sent it
	Reason    uint8       // 0 table miss, 1 action, 2 TTL
	Match     flow.Match  // what the pipeline held: in_port, registers and tunnel fields that are not zero
	Data      []byte      // an Ethernet frame
	Truncated bool        // Data is only a beginning
}

// Reg is the value that a register, or another 64-bit field of the match, held; zero if not present.
func (p *PacketIn) Reg(f flow.Field) uint64 {
	c, _ := p.Match.Get(f)
	return c.Value.Lo
}

// Installed is a flow that the switch has.
type Installed struct {
	Table    uint8
	Priority uint16
	Cookie   flow.Cookie
	Packets  uint64
	Bytes    uint64
	Sum      uint64 // of its match and instructions, to compare with Sum of a flow

	wire []byte // its match and instructions; nil where Text is not to be asked
}

func (i Installed) keepWire() Installed   { i.wire = bytes.Clone(i.wire); return i }
func (i Installed) forgetWire() Installed { i.wire = nil; return i }

// FlowEventKind says what happened to a flow.
type FlowEventKind uint16

// Kinds of flow events. A flow that replaces another (same table, priority and match) is FlowAdded with its
// own cookie, and nothing is said of the one that has gone: after an add by somebody else, read the flows.
// FlowModified is other actions under the same cookie, which a read does not show.
const (
	FlowAdded FlowEventKind = iota
	FlowDeleted
	FlowModified
)

func (k FlowEventKind) String() string {
	switch k {
	case FlowAdded:
		return "added"
	case FlowDeleted:
		return "deleted"
	case FlowModified:
		return "modified"
	}
	return fmt.Sprintf("event %d", uint16(k))
}

// FlowEvent is a change of the switch's flows that was not made through this connection.
type FlowEvent struct {
	Kind     FlowEventKind
	Table    uint8
	Priority uint16
	Cookie   flow.Cookie
}

type features struct {
	datapath  signalbox.DatapathID
	tables    uint8
	auxiliary uint8
}

func decodeFeatures(c *cursor) (features, error) {
	f := features{datapath: signalbox.DatapathID(c.u64())}
	c.skip(4) // buffers
	f.tables, f.auxiliary = c.u8(), c.u8()
	c.skip(2 + 4 + 4)
	return f, c.err()
}

// helloVersions are the versions that a HELLO offers, as a bitmap (OpenFlow 1.3.5, 6.3.1): the first word
// of its bitmap, or else all up to the one in its header.
func helloVersions(f frame) (uint32, error) {
	c := f.body()
	for len(c.b) > 0 {
		kind, n := c.u16(), int(c.u16())
		body := c.take(n - 4)
		c.skip(min((8-n%8)%8, len(c.b)))
		if c.err() != nil {
			return 0, c.err()
		}
		if kind == 1 && len(body) >= 4 {
			return (&cursor{b: body}).u32(), nil
		}
	}
	return 1<<(min(f.version(), 30)+1) - 1, nil
}

const portSize = 64

func (c *cursor) port() Port {
	c = c.sub(portSize)
	p := Port{No: c.u32()}
	c.skip(4)
	copy(p.MAC[:], c.take(6))
	c.skip(2)
	name, _, _ := bytes.Cut(c.take(16), []byte{0})
	p.Name = string(name)
	p.AdminDown, p.LinkDown = c.u32()&1 != 0, c.u32()&1 != 0
	return p
}

func decodePortStatus(c *cursor) (PortReason, Port, error) {
	reason := PortReason(c.u8())
	c.skip(7)
	if len(c.b) < portSize {
		return 0, Port{}, errShort
	}
	return reason, c.port(), nil
}

func decodePorts(c *cursor) ([]Port, error) {
	if len(c.b)%portSize != 0 {
		return nil, errShort
	}
	ports := make([]Port, 0, len(c.b)/portSize)
	for len(c.b) > 0 {
		ports = append(ports, c.port())
	}
	return ports, nil
}

func decodePacketIn(c *cursor) (PacketIn, error) {
	c.skip(4) // buffer: none was asked for
	total := int(c.u16())
	p := PacketIn{Reason: c.u8(), Table: c.u8(), Cookie: flow.Cookie(c.u64())}
	p.Match = c.match()
	c.skip(2)
	if c.err() != nil {
		return PacketIn{}, c.err()
	}
	p.InPort = uint32(p.Reg(flow.InPort))
	p.Data = bytes.Clone(c.b)
	p.Truncated = len(p.Data) < total
	return p, nil
}

func decodeError(f frame) (*Error, error) {
	c := f.body()
	e := &Error{XID: f.xid(), Type: c.u16(), Code: c.u16()}
	if e.Type == typeVendorError {
		e.Vendor = c.u32()
	}
	return e, c.err()
}

// segment is one message of a multipart reply.
type segment struct {
	kind uint16
	more bool
	body *cursor
}

func decodeSegment(c *cursor) (segment, error) {
	s := segment{kind: c.u16(), more: c.u16()&1 != 0}
	c.skip(4)
	s.body = c
	return s, c.err()
}

// element is the next of a list of structures that begin with their own length; least is what it must have.
func (c *cursor) element(least int) *cursor {
	peek := *c
	n := int(peek.u16())
	if peek.short || n < least || n < 2 {
		c.short, c.b = true, nil
		return &cursor{short: true}
	}
	e := c.sub(n)
	e.skip(2)
	return e
}

const flowStatsSize = 48 // before the match

func decodeFlows(out []Installed, c *cursor, kept func(Installed) Installed) ([]Installed, error) {
	for len(c.b) > 0 {
		e := c.element(flowStatsSize + 8)
		f := Installed{Table: e.u8()}
		e.skip(1 + 8) // padding, age
		f.Priority = e.u16()
		e.skip(2 + 2 + 2 + 4) // timeouts, flags, padding
		f.Cookie, f.Packets, f.Bytes = flow.Cookie(e.u64()), e.u64(), e.u64()
		f.wire, f.Sum = e.b, fingerprint(e.b)
		if e.short || c.short {
			return nil, errShort
		}
		out = append(out, kept(f))
	}
	return out, nil
}

const (
	meterConfigSize = 8
	meterBandSize   = 12
	bandDrop        = 1
	flagPacketRate  = 1 << 1
)

// decodeMeters reads meter configurations. A meter of another form than ours (in bits, or with several
// bands) is there with a rate of zero, so that it equals none that is wanted.
func decodeMeters(out []flow.RateLimit, c *cursor) ([]flow.RateLimit, error) {
	for len(c.b) > 0 {
		e := c.element(meterConfigSize)
		flags := e.u16()
		m := flow.RateLimit{ID: e.u32()}
		for bands := 0; len(e.b) > 0; bands++ {
			kind := e.u16()
			n := int(e.u16())
			band := e.sub(n - 4)
			rate, burst := band.u32(), band.u32()
			e.short = e.short || band.short || n < meterBandSize
			if e.short {
				break
			}
			if bands == 0 && kind == bandDrop && flags&flagPacketRate != 0 {
				m.PacketsPerSecond, m.Burst = rate, burst
			} else {
				m.PacketsPerSecond, m.Burst = 0, 0
			}
		}
		if e.short || c.short {
			return nil, errShort
		}
		if m.ID <= lastMeter { // above are the switch's own
			out = append(out, m)
		}
	}
	return out, nil
}

const (
	updateAbbreviated = 3 // our own changes
	updateSize        = 24
)

// decodeUpdates reads a flow monitor's report and passes on the changes that others made.
func decodeUpdates(c *cursor, each func(FlowEvent)) error {
	for len(c.b) > 0 {
		e := c.element(8)
		kind := FlowEventKind(e.u16())
		if kind == updateAbbreviated {
			continue
		}
		e.skip(2) // why it was deleted
		event := FlowEvent{Kind: kind, Priority: e.u16()}
		e.skip(2 + 2 + 2) // timeouts, length of the match
		event.Table = e.u8()
		e.skip(1)
		event.Cookie = flow.Cookie(e.u64())
		if e.short || c.short {
			return errShort
		}
		each(event)
	}
	return c.err()
}

// experimenterHead reads the two numbers that every experimenter's message begins with.
func (c *cursor) experimenterHead() (experimenter, kind uint32) { return c.u32(), c.u32() }
