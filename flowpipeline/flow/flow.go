// Package flow holds OpenFlow flows as plain values: what a flow matches, what it does, the cookie that
// names it and its text form. Nothing here knows the wire.
package flow

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Cookie is a 64-bit hash of the whole flow: table, priority, match and actions. Two flows with one
// cookie are the same flow. Zero and all ones are never used: OpenFlow gives both a meaning of their own.
type Cookie uint64

// Flow is one entry of a flow table. Make it with New, which puts the match in order and names it.
type Flow struct {
	Table    uint8
	Priority uint16
	Match    Match
	Actions  []Action // empty: drop
	Cookie   Cookie
	Why      Why // stays in the controller; not part of the cookie
}

// Why says which object a flow exists for, and what it does for it.
type Why struct {
	Kind   string // "port", "network", "router", "host"
	ID     uuid.UUID
	Phrase string // "answers ARP for 10.0.0.3"
}

// New makes a flow. The match is sorted in place and must not name a field twice.
func New(table uint8, priority uint16, match Match, why Why, actions ...Action) Flow {
	match.sort()
	f := Flow{Table: table, Priority: priority, Match: match, Actions: actions, Why: why}
	f.Cookie = f.hash()
	return f
}

// hash is the first 64 bits of SHA-256 over the flow: tenants choose some of what is hashed (addresses),
// so the hash must not be one in which collisions can be made at will.
func (f *Flow) hash() Cookie {
	var room [512]byte
	b := append(room[:0], f.Table)
	b = binary.BigEndian.AppendUint16(b, f.Priority)
	b = append(b, byte(len(f.Match)))
	for _, c := range f.Match {
		b = append(b, byte(c.Field))
		b = c.Value.append(b)
		b = c.Mask.append(b)
	}
	b = appendActions(b, f.Actions)
	sum := sha256.Sum256(b)
	switch c := Cookie(binary.BigEndian.Uint64(sum[:])); c {
	case 0:
		return 1
	case ^Cookie(0):
		return ^Cookie(0) - 1
	default:
		return c
	}
}

func (v Value) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.Hi)
	return binary.BigEndian.AppendUint64(b, v.Lo)
}

// Compare orders flows as dump-flows is best read: by table, falling priority, then match.
func Compare(a, b Flow) int {
	if c := cmp.Compare(a.Table, b.Table); c != 0 {
		return c
	}
	if c := cmp.Compare(b.Priority, a.Priority); c != 0 {
		return c
	}
	if c := slices.CompareFunc(a.Match, b.Match, compareCond); c != 0 {
		return c
	}
	return cmp.Compare(a.Cookie, b.Cookie)
}

// SameKey reports whether two flows occupy one place in a switch: adding one replaces the other.
func SameKey(a, b *Flow) bool {
	return a.Table == b.Table && a.Priority == b.Priority && slices.Equal(a.Match, b.Match)
}

// Match is the conditions of a flow, all of which must hold.
type Match []Cond

// Cond is a condition on one field: its masked bits equal Value.
type Cond struct {
	Field Field
	Value Value
	Mask  Value // Ones(Field.Bits()) for an exact match
}

// Is is an exact condition.
func Is(f Field, v Value) Cond { return Cond{f, v, Ones(f.Bits())} }

// IsNum is an exact condition on a number.
func IsNum[N ~int | ~uint8 | ~uint16 | ~uint32 | ~uint64](f Field, n N) Cond {
	return Is(f, Num(uint64(n)))
}

// IsMasked is a condition on some bits; bits of v outside m are dropped, as OVS does.
func IsMasked(f Field, v, m Value) Cond { return Cond{f, v.And(m), m} }

// IsSub is a condition on a subfield.
func IsSub(s Subfield, n uint64) Cond {
	return IsMasked(s.Field, Num(n).Shl(s.Off), Ones(s.Len).Shl(s.Off))
}

func compareCond(a, b Cond) int {
	return cmp.Or(cmp.Compare(a.Field, b.Field),
		cmp.Compare(a.Value.Hi, b.Value.Hi), cmp.Compare(a.Value.Lo, b.Value.Lo),
		cmp.Compare(a.Mask.Hi, b.Mask.Hi), cmp.Compare(a.Mask.Lo, b.Mask.Lo))
}

// sort orders the conditions by field and joins conditions on different bits of one register.
// Two conditions on the same bits of a field are a programming error and panic.
func (m *Match) sort() {
	s := *m
	slices.SortFunc(s, func(a, b Cond) int { return cmp.Compare(a.Field, b.Field) })
	out := s[:0]
	for _, c := range s {
		if n := len(out); n > 0 && out[n-1].Field == c.Field {
			last := &out[n-1]
			if last.Mask.And(c.Mask) != (Value{}) {
				panic("flow: a match names the same bits of " + c.Field.String() + " twice")
			}
			last.Value = Value{last.Value.Hi | c.Value.Hi, last.Value.Lo | c.Value.Lo}
			last.Mask = Value{last.Mask.Hi | c.Mask.Hi, last.Mask.Lo | c.Mask.Lo}
			continue
		}
		out = append(out, c)
	}
	*m = out
}

// Get is the condition on a field, if there is one.
func (m Match) Get(f Field) (Cond, bool) {
	for _, c := range m {
		if c.Field == f {
			return c, true
		}
	}
	return Cond{}, false
}

var protocolNames = map[uint64]string{1: "icmp", 6: "tcp", 17: "udp"}

// String is the match as ovs-ofctl(8) reads it, with its shorthands (arp, ip, udp, icmp6 …).
func (m Match) String() string {
	if len(m) == 0 {
		return ""
	}
	var parts []string
	ethType, hasType := m.Get(EthType)
	proto, hasProto := m.Get(IPProto)
	short := ""
	if hasType {
		switch ethType.Value.Lo {
		case 0x0806:
			short = "arp"
		case 0x0800:
			short = "ip"
			if name, ok := protocolNames[proto.Value.Lo]; hasProto && ok {
				short = name
			}
		case 0x86dd:
			short = "ipv6"
			if hasProto && proto.Value.Lo == 58 {
				short = "icmp6"
			} else if name, ok := protocolNames[proto.Value.Lo]; hasProto && ok && name != "icmp" {
				short = name + "6"
			}
		}
	}
	for _, c := range m {
		switch {
		case c.Field == EthType && short != "":
			parts = append(parts, short)
			continue
		case c.Field == IPProto && short != "" && short != "ip" && short != "ipv6":
			continue
		}
		parts = append(parts, c.String())
	}
	return strings.Join(parts, ",")
}

// String is the condition as ovs-ofctl(8) reads it.
func (c Cond) String() string {
	if c.Field == CTState {
		return "ct_state=" + ctStateText(c.Value.Lo, c.Mask.Lo)
	}
	switch c {
	case FirstFragment:
		return "ip_frag=first"
	case LaterFragment:
		return "ip_frag=later"
	}
	info := fields[c.Field]
	s := info.name + "=" + info.form(c.Value)
	if c.Mask != Ones(info.bits) {
		s += "/" + info.form(c.Mask)
	}
	return s
}

// String is the flow as ovs-ofctl add-flow(8) reads it, without the cookie.
func (f *Flow) String() string { return f.text(func(t uint8) string { return itoa(uint64(t)) }) }

// Named is String with the names of tables in the place of their numbers.
func (f *Flow) Named(tableName func(uint8) string) string { return f.text(tableName) }

// ActionText is one action as ovs-ofctl(8) reads it.
func ActionText(a Action, tableName func(uint8) string) string { return a.text(tableName) }

func (f *Flow) text(table func(uint8) string) string {
	var b strings.Builder
	b.WriteString("table=")
	b.WriteString(table(f.Table))
	b.WriteString(", priority=")
	b.WriteString(itoa(uint64(f.Priority)))
	if m := f.Match.String(); m != "" {
		b.WriteByte(',')
		b.WriteString(m)
	}
	b.WriteString(" actions=")
	if len(f.Actions) == 0 {
		b.WriteString("drop")
	}
	for i, a := range f.Actions {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(a.text(table))
	}
	return b.String()
}
