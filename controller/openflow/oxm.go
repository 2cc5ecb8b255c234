package openflow

import (
	"encoding/binary"
	"fmt"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Classes of match fields.
const (
	classOlder  = 0x0000 // NXM_OF: OpenFlow 1.0's fields as Nicira numbered them
	classNicira = 0x0001 // NXM_NX
	classBasic  = 0x8000 // OXM_OF
	classVendor = 0xffff // the body begins with an experimenter's number
)

// oxm is a field's number on the wire.
type oxm struct {
	class uint16
	id    uint8 // 7 bits
	size  uint8 // bytes of one value
}

// fieldCodes are the fields' numbers (OpenFlow 1.3.5, 7.2.3.7; ovs-fields(7)).
var fieldCodes = [flow.NumFields]oxm{
	flow.InPort:     {classBasic, 0, 4},
	flow.TunID:      {classBasic, 38, 8},
	flow.TunSrc:     {classNicira, 31, 4},
	flow.TunDst:     {classNicira, 32, 4},
	flow.Reg0:       {classNicira, 0, 4},
	flow.Reg1:       {classNicira, 1, 4},
	flow.Reg2:       {classNicira, 2, 4},
	flow.Reg3:       {classNicira, 3, 4},
	flow.Reg4:       {classNicira, 4, 4},
	flow.Reg5:       {classNicira, 5, 4},
	flow.Reg6:       {classNicira, 6, 4},
	flow.Reg7:       {classNicira, 7, 4},
	flow.Reg8:       {classNicira, 8, 4},
	flow.EthSrc:     {classBasic, 4, 6},
	flow.EthDst:     {classBasic, 3, 6},
	flow.EthType:    {classBasic, 5, 2},
	flow.VLANVID:    {classBasic, 6, 2},
	flow.ARPOp:      {classBasic, 21, 2},
	flow.ARPSPA:     {classBasic, 22, 4},
	flow.ARPTPA:     {classBasic, 23, 4},
	flow.ARPSHA:     {classBasic, 24, 6},
	flow.ARPTHA:     {classBasic, 25, 6},
	flow.IPv4Src:    {classBasic, 11, 4},
	flow.IPv4Dst:    {classBasic, 12, 4},
	flow.IPv6Src:    {classBasic, 26, 16},
	flow.IPv6Dst:    {classBasic, 27, 16},
	flow.IPProto:    {classBasic, 10, 1},
	flow.TCPSrc:     {classBasic, 13, 2},
	flow.TCPDst:     {classBasic, 14, 2},
	flow.UDPSrc:     {classBasic, 15, 2},
	flow.UDPDst:     {classBasic, 16, 2},
	flow.ICMPv6Type: {classBasic, 29, 1},
	flow.NDTarget:   {classBasic, 31, 16},
	flow.NDSLL:      {classBasic, 32, 6},
	flow.NDTLL:      {classBasic, 33, 6},
	flow.IPTTL:      {classNicira, 29, 1},
	flow.ICMPType:   {classBasic, 19, 1},
	flow.ICMPCode:   {classBasic, 20, 1},
	flow.CTState:    {classNicira, 105, 4},
	flow.CTZone:     {classNicira, 106, 2},
	flow.CTMark:     {classNicira, 107, 4},
	flow.Reg9:       {classNicira, 9, 4},
	flow.Reg10:      {classNicira, 10, 4},
	flow.Reg11:      {classNicira, 11, 4},
	flow.Reg12:      {classNicira, 12, 4},
	flow.Reg13:      {classNicira, 13, 4},
	flow.Reg14:      {classNicira, 14, 4},
	flow.Reg15:      {classNicira, 15, 4},
	flow.XXReg3:     {classNicira, 114, 16},
	flow.CTProto:    {classNicira, 119, 1},
	flow.CTIPv4Src:  {classNicira, 120, 4},
	flow.CTIPv4Dst:  {classNicira, 121, 4},
	flow.CTIPv6Src:  {classNicira, 122, 16},
	flow.CTIPv6Dst:  {classNicira, 123, 16},
	flow.CTPortSrc:  {classNicira, 124, 2},
	flow.CTPortDst:  {classNicira, 125, 2},
	flow.IPFrag:     {classNicira, 26, 1},
}

// actionCodes are the older numbers that some fields also have. Open vSwitch gives loads and moves back
// with these, whichever they were sent with; sent so, a flow reads back byte for byte (see Sum).
var actionCodes = [flow.NumFields]oxm{
	flow.TunID:      {classNicira, 16, 8},
	flow.EthSrc:     {classOlder, 2, 6},
	flow.EthDst:     {classOlder, 1, 6},
	flow.EthType:    {classOlder, 3, 2},
	flow.ARPOp:      {classOlder, 15, 2},
	flow.ARPSPA:     {classOlder, 16, 4},
	flow.ARPTPA:     {classOlder, 17, 4},
	flow.ARPSHA:     {classNicira, 17, 6},
	flow.ARPTHA:     {classNicira, 18, 6},
	flow.IPv4Src:    {classOlder, 7, 4},
	flow.IPv4Dst:    {classOlder, 8, 4},
	flow.IPv6Src:    {classNicira, 19, 16},
	flow.IPv6Dst:    {classNicira, 20, 16},
	flow.IPProto:    {classOlder, 6, 1},
	flow.TCPSrc:     {classOlder, 9, 2},
	flow.TCPDst:     {classOlder, 10, 2},
	flow.UDPSrc:     {classOlder, 11, 2},
	flow.UDPDst:     {classOlder, 12, 2},
	flow.ICMPv6Type: {classNicira, 21, 1},
	flow.NDTarget:   {classNicira, 23, 16},
	flow.NDSLL:      {classNicira, 24, 6},
	flow.NDTLL:      {classNicira, 25, 6},
	flow.ICMPType:   {classOlder, 13, 1},
	flow.ICMPCode:   {classOlder, 14, 1},
}

// subfieldCode is the field's number in a load or a move of bits that the field has.
func subfieldCode(s flow.Subfield) (oxm, error) {
	code, err := codeOf(s.Field)
	switch {
	case err != nil:
		return oxm{}, err
	case s.Len == 0 || int(s.Off)+int(s.Len) > int(s.Field.Bits()):
		return oxm{}, fmt.Errorf("%s has no %d bits from bit %d on", s.Field, s.Len, s.Off)
	case actionCodes[s.Field].size != 0:
		return actionCodes[s.Field], nil
	}
	return code, nil
}

func codeOf(f flow.Field) (oxm, error) {
	if f >= flow.NumFields || fieldCodes[f].size == 0 {
		return oxm{}, fmt.Errorf("%s has no number in OpenFlow", f)
	}
	return fieldCodes[f], nil
}

// header is the 32 bits that name the field, as actions name it too.
func (o oxm) header() uint32 {
	return uint32(o.class)<<16 | uint32(o.id)<<9 | uint32(o.size)
}

// masked is the header of a value followed by a mask.
func (o oxm) masked() uint32 { return o.header() + uint32(o.size) | 1<<8 }

func appendValue(b []byte, v flow.Value, size uint8) []byte {
	switch size {
	case 1:
		return append(b, byte(v.Lo))
	case 2:
		return binary.BigEndian.AppendUint16(b, uint16(v.Lo))
	case 4:
		return binary.BigEndian.AppendUint32(b, uint32(v.Lo))
	case 6:
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, uint16(v.Lo>>32)), uint32(v.Lo))
	case 8:
		return binary.BigEndian.AppendUint64(b, v.Lo)
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, v.Hi), v.Lo)
}

// valueOf is the inverse of appendValue.
func valueOf(b []byte) flow.Value {
	var v flow.Value
	for _, x := range b {
		v = v.Shl(8)
		v.Lo |= uint64(x)
	}
	return v
}

// appendMatch is struct ofp_match with OXM fields. The order of flow's fields puts each after the ones it
// depends on (eth_type before nw_proto before the ports), as the specification demands.
func appendMatch(b []byte, m flow.Match) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 1, 0, 0) // OFPMT_OXM; the length follows
	for _, c := range m {
		code, err := codeOf(c.Field)
		if err != nil {
			return b, err
		}
		switch mask := keptMask(c); mask {
		case flow.Value{}: // matches anything: Open vSwitch would not store it
		case flow.Ones(c.Field.Bits()):
			b = binary.BigEndian.AppendUint32(b, code.header())
			b = appendValue(b, c.Value, code.size)
		default:
			b = binary.BigEndian.AppendUint32(b, code.masked())
			b = appendValue(b, c.Value, code.size)
			b = appendValue(b, mask, code.size)
		}
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return pad(b, start), nil
}

// keptMask is the mask of a condition as Open vSwitch keeps it and gives it back: it has only 8 bits of the
// conntrack state, whatever it was sent.
func keptMask(c flow.Cond) flow.Value {
	if c.Field == flow.CTState {
		return c.Mask.And(flow.Ones(8))
	}
	return c.Mask
}

// match reads struct ofp_match with its padding, and keeps the fields that flow knows.
func (c *cursor) match() flow.Match {
	kind, n := c.u16(), int(c.u16())
	if kind != 1 || n < 4 {
		c.short = true
		return nil
	}
	fields := c.sub(n - 4)
	c.skip((8 - n%8) % 8)
	var m flow.Match
	for len(fields.b) > 0 {
		head := fields.u32()
		body := fields.take(int(head & 0xff))
		f := fieldOf(uint16(head>>16), uint8(head>>9&0x7f))
		if f == flow.NoField {
			continue
		}
		size, masked := int(fieldCodes[f].size), head>>8&1 == 1
		switch {
		case !masked && len(body) == size:
			m = append(m, flow.Is(f, valueOf(body)))
		case masked && len(body) == 2*size:
			m = append(m, flow.IsMasked(f, valueOf(body[:size]), valueOf(body[size:])))
		default:
			fields.short = true
		}
	}
	c.short = c.short || fields.short
	return m
}

func fieldOf(class uint16, id uint8) flow.Field {
	for f, code := range fieldCodes {
		if code.class == class && code.id == id && code.size != 0 {
			return flow.Field(f)
		}
	}
	if class == classNicira && id == 16 { // NXM_NX_TUN_ID, the other name of OXM_OF_TUNNEL_ID
		return flow.TunID
	}
	return flow.NoField
}
