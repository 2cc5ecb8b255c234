package flow

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/signalbox-sdn/signalbox"
)

// Action is one step of what a flow does: one of the types below, and no other.
type Action interface {
	text(table func(uint8) string) string // as ovs-actions(7) writes it
	append(b []byte) []byte               // canonical bytes, for the cookie
}

type (
	// Output sends the packet to an OpenFlow port; to the port it came from it is dropped, as OpenFlow says.
	Output struct{ Port uint32 }
	// OutputInPort sends the packet back where it came from (OFPP_IN_PORT).
	OutputInPort struct{}
	// ToController sends the whole packet to the controller as a packet-in.
	ToController struct{}
	// Load sets a subfield to a number (NXAST_REG_LOAD, or OXM set-field when the whole field is set).
	//
	// To load 0 into InPort is to forget where the packet came from, so that it may leave there. The field is
	// 16 bits wide for this (NXM_OF_IN_PORT): Open vSwitch refuses to set the one of 32 to 0.
	Load struct {
		Dst   Subfield
		Value Value
	}
	// Move copies a subfield to another of the same length (NXAST_REG_MOVE).
	Move struct{ Src, Dst Subfield }
	// Push keeps a subfield, and Pop takes the last that was kept into another of the same length (NXAST_STACK_PUSH, NXAST_STACK_POP). It is
	// a Move for what Open vSwitch would not move: the connection of an ICMP error that goes the way of the connection's first
	// packet, for one.
	Push struct{ Src Subfield }
	Pop  struct{ Dst Subfield }
	// PushVLAN puts an 802.1Q tag on the packet; its id is then loaded into VLANVID.
	PushVLAN struct{}
	// PopVLAN takes the outer tag off.
	PopVLAN struct{}
	// Resubmit runs the packet through a table and comes back (NXAST_RESUBMIT_TABLE).
	Resubmit struct{ Table uint8 }
	// Goto ends the actions and goes on in a later table. It must be the last.
	Goto struct{ Table uint8 }
	// Meter passes the packet through a meter, which may drop it. It must be the first.
	Meter struct{ ID uint32 }
	// DecTTL takes one from the TTL (OFPAT_DEC_NW_TTL). At 0 and 1 the packet would go to the controller
	// instead, unmetered: match those before.
	DecTTL struct{}
	// CheckLarger sets a bit to whether the frame, from its Ethernet header on, has more bytes than Size
	// (NXAST_CHECK_PKT_LARGER).
	CheckLarger struct {
		Size uint16
		Dst  Subfield // one bit
	}
	// CT passes an IP packet through conntrack, and on in a table, where CTState is known (NXAST_CT). Let it be
	// the last action: what follows gets the packet once more, untracked, yet with its addresses translated.
	// Before a second CT in one zone goes a CTClear: a packet that still has its connection is not looked up.
	CT struct {
		Commit bool // remember the connection; a NAT to an address needs it
		Zone   signalbox.Zone
		Table  uint8 // Stay: the packet goes on with the next action, as it is
		NAT    NAT
		// ZoneFrom is 16 bits that say the zone, when Zone is 0.
		ZoneFrom Subfield
	}
	// CTClear forgets what conntrack has said of the packet (NXAST_CT_CLEAR).
	CTClear struct{}
)

// Stay is the Table of a CT that only remembers the connection.
const Stay uint8 = 255

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

func (a Output) text(func(uint8) string) string     { return "output:" + itoa(uint64(a.Port)) }
func (OutputInPort) text(func(uint8) string) string { return "IN_PORT" }
func (ToController) text(func(uint8) string) string { return "CONTROLLER:65535" }
func (PushVLAN) text(func(uint8) string) string     { return "push_vlan:0x8100" }
func (PopVLAN) text(func(uint8) string) string      { return "pop_vlan" }
func (a Meter) text(func(uint8) string) string      { return "meter:" + itoa(uint64(a.ID)) }
func (a Resubmit) text(t func(uint8) string) string { return "resubmit(," + t(a.Table) + ")" }
func (a Goto) text(t func(uint8) string) string     { return "goto_table:" + t(a.Table) }
func (DecTTL) text(func(uint8) string) string       { return "dec_ttl" }
func (a CheckLarger) text(func(uint8) string) string {
	return fmt.Sprintf("check_pkt_larger(%d)->%s", a.Size, a.Dst)
}

func (a Move) text(func(uint8) string) string {
	return "move:" + a.Src.String() + "->" + a.Dst.String()
}

func (a Push) text(func(uint8) string) string { return "push:" + a.Src.String() }
func (a Pop) text(func(uint8) string) string  { return "pop:" + a.Dst.String() }

func (a Load) text(func(uint8) string) string {
	if a.Dst == InPort.Whole() {
		return "load:" + hexadecimal(a.Value) + "->NXM_OF_IN_PORT[]"
	}
	if a.Dst == a.Dst.Field.Whole() {
		info := fields[a.Dst.Field]
		return "set_field:" + info.form(a.Value) + "->" + info.name
	}
	return fmt.Sprintf("load:%#x->%s", a.Value.Lo, a.Dst)
}

// The first byte of each action's canonical form.
const (
	tagOutput = iota + 1
	tagInPort
	tagController
	tagLoad
	tagMove
	tagPushVLAN
	tagPopVLAN
	tagResubmit
	tagGoto
	tagMeter
	tagDecTTL
	tagCheckLarger
	tagCT
	tagCTClear
	tagCTZoneFrom // before a tagCT
	tagPush
	tagPop
)

func appendActions(b []byte, as []Action) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(as)))
	for _, a := range as {
		b = a.append(b)
	}
	return b
}

func (s Subfield) append(b []byte) []byte { return append(b, byte(s.Field), s.Off, s.Len) }

func (a Output) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, tagOutput), a.Port)
}
func (OutputInPort) append(b []byte) []byte { return append(b, tagInPort) }
func (ToController) append(b []byte) []byte { return append(b, tagController) }
func (a Load) append(b []byte) []byte       { return a.Value.append(a.Dst.append(append(b, tagLoad))) }
func (a Move) append(b []byte) []byte       { return a.Dst.append(a.Src.append(append(b, tagMove))) }
func (a Push) append(b []byte) []byte       { return a.Src.append(append(b, tagPush)) }
func (a Pop) append(b []byte) []byte        { return a.Dst.append(append(b, tagPop)) }
func (PushVLAN) append(b []byte) []byte     { return append(b, tagPushVLAN) }
func (PopVLAN) append(b []byte) []byte      { return append(b, tagPopVLAN) }
func (a Resubmit) append(b []byte) []byte   { return append(b, tagResubmit, a.Table) }
func (a Goto) append(b []byte) []byte       { return append(b, tagGoto, a.Table) }
func (a Meter) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, tagMeter), a.ID)
}
func (DecTTL) append(b []byte) []byte { return append(b, tagDecTTL) }
func (a CheckLarger) append(b []byte) []byte {
	return a.Dst.append(binary.BigEndian.AppendUint16(append(b, tagCheckLarger), a.Size))
}
