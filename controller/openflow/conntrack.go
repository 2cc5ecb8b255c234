package openflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Flags of NXAST_CT and NXAST_NAT, and what an NXAST_NAT carries.
const (
	conntrackCommit = 1 << 0

	natSource      = 1 << 0
	natDestination = 1 << 1

	natAddr      = 1 << 0
	natFirstPort = 1 << 4
	natLastPort  = 1 << 5
)

// appendConntrack is NXAST_CT, with an NXAST_NAT inside for a translation.
func appendConntrack(b []byte, a flow.CT) ([]byte, error) {
	start := len(b)
	var flags uint16
	if a.Commit {
		flags = conntrackCommit
	}
	if a.Table == flow.Stay && !a.Commit {
		return b, errors.New("a ct that does not commit goes on in a table")
	}
	var field uint32 // that the zone comes from: none
	zone := uint16(a.Zone)
	if from := a.ZoneFrom; from != (flow.Subfield{}) {
		code, err := subfieldCode(from)
		switch {
		case err != nil:
			return b, err
		case from.Len != 16 || a.Zone != 0:
			return b, fmt.Errorf("a zone from %s: it takes 16 bits, and no other zone", from)
		}
		field, zone = code.header(), uint16(from.Off)<<6|uint16(from.Len-1)
	}
	b = appendNicira(b, 24, niciraConntrack)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, field)
	b = binary.BigEndian.AppendUint16(b, zone)
	b = append(b, a.Table, 0, 0, 0, 0, 0) // padding, no helper
	b, err := appendNAT(b, a)
	b[start+3] = uint8(len(b) - start) // at most 24+24
	return b, err
}

// appendNAT is NXAST_NAT, or nothing.
func appendNAT(b []byte, a flow.CT) ([]byte, error) {
	var flags, has uint16
	switch a.NAT.Kind {
	case flow.NoNAT:
		return b, nil
	case flow.NATKept:
		return append(appendNicira(b, 16, niciraNAT), 0, 0, 0, 0, 0, 0), nil
	case flow.NATSrc:
		flags, has = natSource, natAddr
	case flow.NATDst:
		flags, has = natDestination, natAddr
	default:
		return b, fmt.Errorf("nat of kind %d", a.NAT.Kind)
	}
	first, last := a.NAT.FirstPort, a.NAT.LastPort
	switch {
	case !a.Commit:
		return b, fmt.Errorf("%s in a ct that does not commit", a.NAT)
	case !a.NAT.Addr.Is4():
		return b, fmt.Errorf("%s: not an IPv4 address", a.NAT)
	case last < first:
		return b, fmt.Errorf("%s: no ports from %d to %d", a.NAT, first, last)
	}
	if first != 0 {
		has |= natFirstPort
	}
	if last > first {
		has |= natLastPort
	}
	start := len(b)
	b = appendNicira(b, 24, niciraNAT)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, has)
	addr := a.NAT.Addr.As4()
	b = append(b, addr[:]...)
	if has&natFirstPort != 0 {
		b = binary.BigEndian.AppendUint16(b, first)
	}
	if has&natLastPort != 0 {
		b = binary.BigEndian.AppendUint16(b, last)
	}
	return pad(b, start), nil
}

// Tuple selects connections by the addresses of one direction. An address that is not valid selects any.
type Tuple struct{ Src, Dst netip.Addr }

func (t Tuple) any() bool { return t == Tuple{} }

// Nicira's messages, and the properties of NXT_CT_FLUSH.
const (
	niciraFlushZone        = 29
	niciraFlushConnections = 32

	flushOriginal = 0
	flushReply    = 1
	flushZone     = 2
	flushSrc      = 0
	flushDst      = 1
)

// FlushConnections lets the switch forget the connections of a zone that were made with the addresses of
// original and are answered with those of reply: of a connection with a translation the reply has the
// translated addresses. It returns when they are gone, or with an *Error from a switch that cannot (Open vSwitch
// before 3.1; Nicira's extension NXT_CT_FLUSH). One of the tuples must select something.
//
// A switch's datapath forwards by what it has cached for some milliseconds after flows were changed and a
// barrier has passed, longer where it has much to forward: meanwhile a packet may make the connection again, with
// the translation of before. Whoever changes a translation flushes a second time a little later.
func (c *Conn) FlushConnections(ctx context.Context, zone signalbox.Zone, original, reply Tuple) error {
	if original.any() && reply.any() {
		return errors.New("flush connections: no address is given")
	}
	return c.flush(ctx, func(xid uint32) []byte { return flushConnections(xid, zone, original, reply) })
}

// FlushZone lets the switch forget all connections of a zone (NXT_CT_FLUSH_ZONE). It returns when they are gone.
func (c *Conn) FlushZone(ctx context.Context, zone signalbox.Zone) error {
	return c.flush(ctx, func(xid uint32) []byte { return flushWholeZone(xid, zone) })
}

// flush sends a request that has no answer but a refusal, and waits until the switch has seen to it.
func (c *Conn) flush(ctx context.Context, request func(xid uint32) []byte) error {
	xid := c.nextXID(2)
	refused, done := c.expect(xid, 0, nil), c.expect(xid+1, 0, nil)
	defer c.forget(refused.xid)
	defer c.forget(done.xid)
	err := c.send(ctx, c.fast, append(request(refused.xid), barrierRequest(done.xid)...))
	if err == nil {
		err = c.wait(ctx, done)
	}
	select {
	case refusal := <-refused.done:
		err = errors.Join(refusal, err)
	default:
	}
	if err != nil {
		return fmt.Errorf("flush connections: %w", err)
	}
	return nil
}

func flushWholeZone(xid uint32, zone signalbox.Zone) []byte {
	b := appendExperimenter(appendHeader(nil, typeExperimenter, xid), nicira, niciraFlushZone)
	b = binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 0, 0, 0), uint16(zone))
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// flushConnections is NXT_CT_FLUSH: a protocol (any) and nested properties.
func flushConnections(xid uint32, zone signalbox.Zone, original, reply Tuple) []byte {
	b := appendExperimenter(appendHeader(nil, typeExperimenter, xid), nicira, niciraFlushConnections)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = appendTuple(b, flushOriginal, original)
	b = appendTuple(b, flushReply, reply)
	b = appendProperty(b, flushZone, []byte{byte(zone >> 8), byte(zone), 0, 0})
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func appendTuple(b []byte, kind uint16, t Tuple) []byte {
	if t.any() {
		return b
	}
	inner := make([]byte, 4, 64) // what is nested begins at a multiple of 8
	if t.Src.IsValid() {
		inner = appendAddrProperty(inner, flushSrc, t.Src)
	}
	if t.Dst.IsValid() {
		inner = appendAddrProperty(inner, flushDst, t.Dst)
	}
	return appendProperty(b, kind, inner)
}

// appendAddrProperty writes an address in 16 bytes, an IPv4 address as ::ffff:a.b.c.d.
func appendAddrProperty(b []byte, kind uint16, a netip.Addr) []byte {
	wide := a.As16()
	return appendProperty(b, kind, wide[:])
}

// appendProperty is OpenFlow's type, length and value, filled up to a multiple of 8 bytes.
func appendProperty(b []byte, kind uint16, value []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(value)))
	return pad(append(b, value...), start)
}
