package openflow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Commands of a flow-mod.
const (
	flowAdd    = 0
	flowDelete = 3 // not strict: by cookie here, whatever the match
)

// Types of instructions and actions, and subtypes of Nicira's actions.
const (
	instructionGoto  = 1
	instructionApply = 4
	instructionMeter = 6

	actionOutput       = 0
	actionPushVLAN     = 17
	actionPopVLAN      = 18
	actionDecTTL       = 24
	actionSetField     = 25
	actionExperimenter = 0xffff

	niciraRegMove       = 6
	niciraRegLoad       = 7
	niciraResubmitTable = 14
	niciraStackPush     = 27
	niciraStackPop      = 28
	niciraConntrack     = 35
	niciraNAT           = 36
	niciraConntrackDrop = 43 // NXAST_CT_CLEAR
	niciraCheckLarger   = 49
	resubmitSameInPort  = 0xfff8
)

const tpidCustomer = 0x8100 // 802.1Q

// appendFlowAdd is the flow-mod that installs f. It does not allocate while b has room: a switch's first
// filling is hundreds of thousands of these.
func appendFlowAdd(b []byte, xid uint32, f *flow.Flow) ([]byte, error) {
	start := len(b)
	b = appendFlowMod(b, xid, flowAdd, f.Table, f.Priority, f.Cookie, 0)
	b, err := appendMatch(b, f.Match)
	if err != nil {
		return b, err
	}
	if b, err = appendInstructions(b, f.Actions); err != nil {
		return b, err
	}
	return b, finish(b, start)
}

// appendFlowDelete is the flow-mod that deletes the flows, of any table, that have exactly this cookie.
func appendFlowDelete(b []byte, xid uint32, cookie flow.Cookie) ([]byte, error) {
	start := len(b)
	b = appendFlowMod(b, xid, flowDelete, allTables, 0, cookie, ^uint64(0))
	b, err := appendMatch(b, nil)
	if err != nil {
		return b, err
	}
	return b, finish(b, start)
}

func appendFlowMod(b []byte, xid uint32, command, table uint8, priority uint16, cookie flow.Cookie, mask uint64) []byte {
	b = appendHeader(b, typeFlowMod, xid)
	b = binary.BigEndian.AppendUint64(b, uint64(cookie))
	b = binary.BigEndian.AppendUint64(b, mask)
	b = append(b, table, command, 0, 0, 0, 0) // no timeouts
	b = binary.BigEndian.AppendUint16(b, priority)
	b = binary.BigEndian.AppendUint32(b, noBuffer)
	b = binary.BigEndian.AppendUint32(b, portAny)
	b = binary.BigEndian.AppendUint32(b, allGroups)
	return append(b, 0, 0, 0, 0) // flags, padding
}

var (
	errMeterNotFirst = errors.New("a meter is not the first action")
	errGotoNotLast   = errors.New("a goto is not the last action")
)

// appendInstructions writes what a flow does: the meter, the actions to apply at once, the goto.
func appendInstructions(b []byte, actions []flow.Action) ([]byte, error) {
	if len(actions) > 0 {
		if m, ok := actions[0].(flow.Meter); ok {
			b = append(b, 0, instructionMeter, 0, 8)
			b = binary.BigEndian.AppendUint32(b, m.ID)
			actions = actions[1:]
		}
	}
	next, hasGoto := flow.Goto{}, false
	if n := len(actions); n > 0 {
		if next, hasGoto = actions[n-1].(flow.Goto); hasGoto {
			actions = actions[:n-1]
		}
	}
	if len(actions) > 0 {
		start := len(b)
		b = append(b, 0, instructionApply, 0, 0, 0, 0, 0, 0)
		var err error
		if b, err = appendActions(b, actions); err != nil {
			return b, err
		}
		if len(b)-start > maxMessage {
			return b, errTooLong
		}
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	}
	if hasGoto {
		b = append(b, 0, instructionGoto, 0, 8, next.Table, 0, 0, 0)
	}
	return b, nil
}

func appendActions(b []byte, actions []flow.Action) ([]byte, error) {
	var err error
	for _, a := range actions {
		switch a := a.(type) {
		case flow.Output:
			b = appendOutput(b, a.Port)
		case flow.OutputInPort:
			b = appendOutput(b, PortInPort)
		case flow.ToController:
			b = appendOutput(b, PortController)
		case flow.Load:
			b, err = appendLoad(b, a)
		case flow.Move:
			b, err = appendMove(b, a)
		case flow.Push:
			b, err = appendStack(b, niciraStackPush, a.Src)
		case flow.Pop:
			b, err = appendStack(b, niciraStackPop, a.Dst)
		case flow.PushVLAN:
			b = append(b, 0, actionPushVLAN, 0, 8, tpidCustomer>>8, tpidCustomer&0xff, 0, 0)
		case flow.PopVLAN:
			b = append(b, 0, actionPopVLAN, 0, 8, 0, 0, 0, 0)
		case flow.DecTTL:
			b = append(b, 0, actionDecTTL, 0, 8, 0, 0, 0, 0)
		case flow.CheckLarger:
			b, err = appendCheckLarger(b, a)
		case flow.Resubmit:
			b = appendNicira(b, 16, niciraResubmitTable)
			b = binary.BigEndian.AppendUint16(b, resubmitSameInPort)
			b = append(b, a.Table, 0, 0, 0)
		case flow.CT:
			b, err = appendConntrack(b, a)
		case flow.CTClear:
			b = append(appendNicira(b, 16, niciraConntrackDrop), 0, 0, 0, 0, 0, 0)
		case flow.Meter:
			err = errMeterNotFirst
		case flow.Goto:
			err = errGotoNotLast
		default:
			err = fmt.Errorf("action %T has no form in OpenFlow", a)
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func appendOutput(b []byte, port uint32) []byte {
	b = append(b, 0, actionOutput, 0, 16)
	b = binary.BigEndian.AppendUint32(b, port)
	return append(b, wholeFrame>>8, wholeFrame&0xff, 0, 0, 0, 0, 0, 0)
}

func appendNicira(b []byte, size uint8, subtype uint16) []byte {
	b = append(b, actionExperimenter>>8, actionExperimenter&0xff, 0, size)
	b = binary.BigEndian.AppendUint32(b, nicira)
	return binary.BigEndian.AppendUint16(b, subtype)
}

// inPortOlder is NXM_OF_IN_PORT, through which a flow may set the in port to 0.
var inPortOlder = oxm{classOlder, 0, 2}

// appendLoad is a set-field of a whole field, NXAST_REG_LOAD of a part of one and of the in port.
func appendLoad(b []byte, a flow.Load) ([]byte, error) {
	if a.Dst == flow.InPort.Whole() {
		if a.Value != flow.Num(a.Value.Lo&0xffff) {
			return b, fmt.Errorf("load of %#x to the in port: it has 16 bits", a.Value.Lo)
		}
		return appendRegLoad(b, inPortOlder, 0, 16, a.Value.Lo), nil
	}
	if a.Dst == a.Dst.Field.Whole() {
		code, err := codeOf(a.Dst.Field)
		if err != nil {
			return b, err
		}
		start := len(b)
		b = append(b, 0, actionSetField, 0, (8+code.size+7)/8*8)
		b = binary.BigEndian.AppendUint32(b, code.header())
		b = appendValue(b, a.Value, code.size)
		return pad(b, start), nil
	}
	code, err := subfieldCode(a.Dst)
	if err != nil {
		return b, err
	}
	if a.Dst.Len > 64 {
		return b, fmt.Errorf("load of %s: only whole fields and up to 64 bits can be loaded", a.Dst)
	}
	return appendRegLoad(b, code, a.Dst.Off, a.Dst.Len, a.Value.Lo), nil
}

func appendRegLoad(b []byte, code oxm, off, bits uint8, value uint64) []byte {
	b = appendNicira(b, 24, niciraRegLoad)
	b = binary.BigEndian.AppendUint16(b, uint16(off)<<6|uint16(bits-1))
	b = binary.BigEndian.AppendUint32(b, code.header())
	return binary.BigEndian.AppendUint64(b, value)
}

// appendMove is NXAST_REG_MOVE.
func appendMove(b []byte, a flow.Move) ([]byte, error) {
	src, err := subfieldCode(a.Src)
	if err != nil {
		return b, err
	}
	dst, err := subfieldCode(a.Dst)
	if err != nil {
		return b, err
	}
	if a.Src.Len != a.Dst.Len {
		return b, fmt.Errorf("move from %s to %s: lengths differ", a.Src, a.Dst)
	}
	b = appendNicira(b, 24, niciraRegMove)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Src.Len))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Src.Off))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Dst.Off))
	b = binary.BigEndian.AppendUint32(b, src.header())
	return binary.BigEndian.AppendUint32(b, dst.header()), nil
}

// appendStack is NXAST_STACK_PUSH or NXAST_STACK_POP.
func appendStack(b []byte, subtype uint16, part flow.Subfield) ([]byte, error) {
	code, err := subfieldCode(part)
	if err != nil {
		return b, err
	}
	b = appendNicira(b, 24, subtype)
	b = binary.BigEndian.AppendUint16(b, uint16(part.Off))
	b = binary.BigEndian.AppendUint32(b, code.header())
	b = binary.BigEndian.AppendUint16(b, uint16(part.Len))
	return append(b, 0, 0, 0, 0, 0, 0), nil
}

// appendCheckLarger is NXAST_CHECK_PKT_LARGER.
func appendCheckLarger(b []byte, a flow.CheckLarger) ([]byte, error) {
	dst, err := subfieldCode(a.Dst)
	if err != nil {
		return b, err
	}
	if a.Dst.Len != 1 {
		return b, fmt.Errorf("check_pkt_larger into %s: its answer is one bit", a.Dst)
	}
	b = appendNicira(b, 24, niciraCheckLarger)
	b = binary.BigEndian.AppendUint16(b, a.Size)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Dst.Off))
	b = binary.BigEndian.AppendUint32(b, dst.header())
	return append(b, 0, 0, 0, 0, 0, 0), nil
}

// Sum is a fingerprint of what a flow matches and does, as it stands on the wire; zero for a flow that has
// no form there. Open vSwitch gives flows back as this package sends them, so an Installed flow whose Sum
// differs from that of the flow with its cookie was changed by hand (ovs-ofctl mod-flows keeps the
// cookie). Another switch may give them back in another form: a difference that a new add does not mend
// is not to be mended again.
func Sum(f *flow.Flow) uint64 {
	var room [512]byte
	b, err := appendMatch(room[:0], f.Match)
	if err == nil {
		b, err = appendInstructions(b, f.Actions)
	}
	if err != nil {
		return 0
	}
	return fingerprint(b)
}

// fingerprint is of an ofp_match and the instructions behind it. The order of the match's fields does not
// count: Open vSwitch puts them in its own.
func fingerprint(b []byte) uint64 {
	c := &cursor{b: b}
	c.skip(2)
	n := int(c.u16())
	fields := c.take(n - 4)
	c.skip(min((8-n%8)%8, len(c.b)))
	sum := fnv(c.b)
	for len(fields) >= 4 {
		size := min(4+int(fields[3]), len(fields))
		sum += fnv(fields[:size])
		fields = fields[size:]
	}
	return sum
}

// fnv is FNV-1a.
func fnv(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, x := range b {
		h = (h ^ uint64(x)) * 1099511628211
	}
	return h
}
