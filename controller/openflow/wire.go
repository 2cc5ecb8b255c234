package openflow

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// version is OpenFlow 1.3's number on the wire, the only one spoken here.
const version = 4

// Types of messages (OpenFlow 1.3.5, A.1).
const (
	typeHello            = 0
	typeError            = 1
	typeEchoRequest      = 2
	typeEchoReply        = 3
	typeExperimenter     = 4
	typeFeaturesReply    = 6
	typePacketIn         = 10
	typePortStatus       = 12
	typePacketOut        = 13
	typeFlowMod          = 14
	typeMultipartRequest = 18
	typeMultipartReply   = 19
	typeBarrierReply     = 21
	typeRoleRequest      = 24
	typeRoleReply        = 25
)

// Experimenters, their messages, and multipart types.
const (
	onf    = 0x4f4e4600
	nicira = 0x00002320

	onfFlowMonitor        = 1870 // multipart and cancel
	onfRoleStatus         = 1911
	onfFlowMonitorPaused  = 1871
	onfFlowMonitorResumed = 1872
	onfBundleControl      = 2300
	onfBundleAdd          = 2301

	niciraSetAsyncConfig2 = 27

	multipartDesc         = 0
	multipartFlow         = 1
	multipartMeterConfig  = 10
	multipartPortDesc     = 13
	multipartExperimenter = 0xffff
)

// Reserved port numbers (OpenFlow 1.3.5, A.2.1), for PacketOut.
const (
	PortInPort     uint32 = 0xfffffff8 // back where it came from
	PortTable      uint32 = 0xfffffff9 // through the flow tables, as if it had arrived at the in port
	PortController uint32 = 0xfffffffd // the in port of a packet that came from nowhere
	PortLocal      uint32 = 0xfffffffe // the bridge's own interface
	portAny        uint32 = 0xffffffff
)

const (
	allTables  = 0xff
	allGroups  = 0xffffffff
	noBuffer   = 0xffffffff
	wholeFrame = 0xffff // OFPCML_NO_BUFFER: packet-ins carry the packet, not a part of it
	lastMeter  = 0xffff0000
)

const (
	headerSize = 8
	maxMessage = 0xffff // the length field has 16 bits
)

// frame is one whole message. The header has been checked to say the frame's length.
type frame []byte

func (f frame) version() byte { return f[0] }
func (f frame) kind() byte    { return f[1] }
func (f frame) xid() uint32   { return binary.BigEndian.Uint32(f[4:]) }
func (f frame) body() *cursor { return &cursor{b: f[headerSize:]} }

// readFrame reads one message into room, growing it where needed. The frame is good until the next call
// with the same room.
func readFrame(r *bufio.Reader, room []byte) (frame, []byte, error) {
	head, err := r.Peek(headerSize)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, room, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if n < headerSize {
		return nil, room, fmt.Errorf("message of type %d says it is %d bytes long", head[1], n)
	}
	if cap(room) < n {
		room = make([]byte, max(n, 2*cap(room)))
	}
	room = room[:n]
	if _, err := io.ReadFull(r, room); err != nil {
		return nil, room, err
	}
	return room, room, nil
}

// appendHeader starts a message whose length is put in later, by finish.
func appendHeader(b []byte, kind byte, xid uint32) []byte {
	b = append(b, version, kind, 0, 0)
	return binary.BigEndian.AppendUint32(b, xid)
}

var errTooLong = errors.New("longer than an OpenFlow message can be (64 KiB)")

// finish writes the length of the message that starts at start and ends with b.
func finish(b []byte, start int) error {
	n := len(b) - start
	if n > maxMessage {
		return errTooLong
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	return nil
}

func appendExperimenter(b []byte, experimenter, kind uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, experimenter), kind)
}

// pad fills up to a multiple of 8 bytes from start.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// cursor reads fields in order. Reading past the end gives zeros and is remembered: whoever decodes looks
// at err once, at the end, before using what it has read.
type cursor struct {
	b     []byte
	short bool
}

var errShort = errors.New("message ends in the middle of a field")

func (c *cursor) err() error {
	if c.short {
		return errShort
	}
	return nil
}

// take is the next n bytes, or nil. They are part of the message: copy what is to be kept.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.short, c.b = true, nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

// sub is a cursor on the next n bytes.
func (c *cursor) sub(n int) *cursor {
	b := c.take(n)
	return &cursor{b: b, short: c.short}
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}
