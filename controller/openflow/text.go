package openflow

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Text is what a flow that Dump has read matches and does, as ovs-ofctl(8) reads it as far as this package knows the
// words; what it does not know, which no flow of ours has, is there by its number: class:id=value/mask, and action(type,
// bytes). tableName names tables.
func (i *Installed) Text(tableName func(uint8) string) string {
	c := &cursor{b: i.wire}
	match := matchText(c)
	actions := instructionsText(c, tableName)
	if c.err() != nil {
		actions = append(actions, "…") // a decoder that read on would say nonsense
	}
	if len(actions) == 0 {
		actions = []string{"drop"}
	}
	if match != "" {
		match = "," + match
	}
	return fmt.Sprintf("table=%s, priority=%d%s actions=%s", tableName(i.Table), i.Priority, match, strings.Join(actions, ","))
}

// matchText reads struct ofp_match with its padding, and leaves nothing out.
func matchText(c *cursor) string {
	c.skip(2)
	n := int(c.u16())
	fields := c.sub(n - 4)
	c.skip(min((8-n%8)%8, len(c.b)))
	var known flow.Match
	var others []string
	for len(fields.b) > 0 {
		head := fields.u32()
		body := fields.take(int(head & 0xff))
		if fields.short {
			c.short = true
			break
		}
		f, masked := fieldOf(uint16(head>>16), uint8(head>>9&0x7f)), head>>8&1 == 1
		value, mask := body, []byte(nil)
		if masked {
			value, mask = body[:len(body)/2], body[len(body)/2:]
		}
		switch {
		case f == flow.NoField || len(value) != int(fieldCodes[f].size):
			text := fmt.Sprintf("%#x:%d=%#x", head>>16, head>>9&0x7f, value)
			if masked {
				text += fmt.Sprintf("/%#x", mask)
			}
			others = append(others, text)
		case masked:
			known = append(known, flow.IsMasked(f, valueOf(value), valueOf(mask)))
		default:
			known = append(known, flow.Is(f, valueOf(value)))
		}
	}
	if text := known.String(); text != "" {
		others = append([]string{text}, others...)
	}
	return strings.Join(others, ",")
}

func instructionsText(c *cursor, tableName func(uint8) string) (out []string) {
	for len(c.b) > 0 && !c.short {
		kind, n := c.u16(), int(c.u16())
		body := c.sub(n - 4)
		c.short = c.short || body.short
		switch {
		case c.short:
		case kind == instructionGoto && n == 8:
			out = append(out, flow.ActionText(flow.Goto{Table: body.u8()}, tableName))
		case kind == instructionMeter && n == 8:
			out = append(out, flow.ActionText(flow.Meter{ID: body.u32()}, tableName))
		case kind == instructionApply:
			body.skip(4)
			out = append(out, actionsText(body, tableName)...)
			c.short = c.short || body.short
		default:
			out = append(out, fmt.Sprintf("instruction(%d,%#x)", kind, body.b))
		}
	}
	return out
}

func actionsText(c *cursor, tableName func(uint8) string) (out []string) {
	for len(c.b) > 0 {
		kind, n := c.u16(), int(c.u16())
		body := c.take(n - 4)
		if c.short {
			return out
		}
		if a := actionOf(kind, body); a != nil {
			out = append(out, flow.ActionText(a, tableName))
		} else if kind == actionOutput && len(body) == 12 {
			out = append(out, reservedPorts[binary.BigEndian.Uint32(body)])
		} else {
			out = append(out, fmt.Sprintf("action(%d,%#x)", kind, body))
		}
	}
	return out
}

// reservedPorts are those that no flow of ours sends to (OpenFlow 1.3.5, A.2.1).
var reservedPorts = map[uint32]string{
	0xfffffff9: "TABLE", 0xfffffffa: "NORMAL", 0xfffffffb: "FLOOD", 0xfffffffc: "ALL", 0xfffffffe: "LOCAL", 0xffffffff: "ANY",
}

// actionOf is the inverse of appendActions for one action; nil for one that no flow of ours has in that form.
func actionOf(kind uint16, body []byte) flow.Action {
	c := &cursor{b: body}
	switch kind {
	case actionOutput:
		return outputOf(c)
	case actionPushVLAN:
		if c.u16() == tpidCustomer {
			return flow.PushVLAN{}
		}
	case actionPopVLAN:
		return flow.PopVLAN{}
	case actionDecTTL:
		return flow.DecTTL{}
	case actionSetField:
		head := c.u32()
		f := fieldOf(uint16(head>>16), uint8(head>>9&0x7f))
		if value := c.take(int(head & 0xff)); f != flow.NoField && len(value) == int(fieldCodes[f].size) && head>>8&1 == 0 {
			return flow.Load{Dst: f.Whole(), Value: valueOf(value)}
		}
	case actionExperimenter:
		if c.u32() == nicira {
			return niciraOf(c.u16(), c)
		}
	}
	return nil
}

func outputOf(c *cursor) flow.Action {
	switch port := c.u32(); {
	case port == PortInPort:
		return flow.OutputInPort{}
	case port == PortController:
		return flow.ToController{}
	case reservedPorts[port] == "":
		return flow.Output{Port: port}
	}
	return nil
}

func niciraOf(subtype uint16, c *cursor) flow.Action {
	switch subtype {
	case niciraRegLoad:
		where, head := c.u16(), c.u32()
		if dst, ok := subfieldOf(head, where>>6, where&0x3f+1); ok {
			return flow.Load{Dst: dst, Value: flow.Num(c.u64())}
		}
	case niciraRegMove:
		bits, from, to := c.u16(), c.u16(), c.u16()
		src, ok := subfieldOf(c.u32(), from, bits)
		dst, also := subfieldOf(c.u32(), to, bits)
		if ok && also {
			return flow.Move{Src: src, Dst: dst}
		}
	case niciraStackPush, niciraStackPop:
		off, head, bits := c.u16(), c.u32(), c.u16()
		part, ok := subfieldOf(head, off, bits)
		switch {
		case ok && subtype == niciraStackPush:
			return flow.Push{Src: part}
		case ok:
			return flow.Pop{Dst: part}
		}
	case niciraResubmitTable:
		if c.u16() == resubmitSameInPort {
			return flow.Resubmit{Table: c.u8()}
		}
	case niciraConntrackDrop:
		return flow.CTClear{}
	case niciraCheckLarger:
		size, off := c.u16(), c.u16()
		if dst, ok := subfieldOf(c.u32(), off, 1); ok {
			return flow.CheckLarger{Size: size, Dst: dst}
		}
	case niciraConntrack:
		// Only without a translation: with one it is shown by its bytes, which is little to lose.
		flags, zoneField, zone, table := c.u16(), c.u32(), c.u16(), c.u8()
		ct, known := flow.CT{Table: table, Zone: signalbox.Zone(zone), Commit: flags&conntrackCommit != 0}, true
		if zoneField != 0 {
			ct.Zone = 0
			ct.ZoneFrom, known = subfieldOf(zoneField, zone>>6, zone&0x3f+1)
		}
		if c.skip(5); known && flags&^conntrackCommit == 0 && len(c.b) == 0 && (table != flow.Stay || ct.Commit) && !c.short {
			return ct
		}
	}
	return nil
}

// subfieldOf finds a field by its number in a load or a move, either of the two that some have.
func subfieldOf(head uint32, off, bits uint16) (flow.Subfield, bool) {
	class, id := uint16(head>>16), uint8(head>>9&0x7f)
	f := fieldOf(class, id)
	for i, code := range actionCodes {
		if f == flow.NoField && code.size != 0 && code.class == class && code.id == id {
			f = flow.Field(i)
		}
	}
	if oxm := inPortOlder; class == oxm.class && id == oxm.id {
		return flow.InPort.Whole(), true
	}
	if f == flow.NoField || bits == 0 || off+bits > uint16(f.Bits()) {
		return flow.Subfield{}, false
	}
	return flow.Subfield{Field: f, Off: uint8(off), Len: uint8(bits)}, true
}
