package flow

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Bits of CTState (ovs-fields(7), CONNECTION TRACKING FIELDS).
const (
	CTNew     = 1 << iota // the first packet of a connection that is not committed yet
	CTEst                 // of a committed connection
	CTRel                 // about another connection: an ICMP error
	CTReply               // against the direction in which the connection was made
	CTInvalid             // conntrack could make nothing of it
	CTTracked             // it has been through CT
	CTSNAT                // its source has been translated
	CTDNAT                // its destination has been translated
)

// ctNames are the bits as ovs-ofctl writes them, the lowest first.
var ctNames = [...]string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}

// CTIs is the condition that some bits of CTState are set and some are not.
func CTIs(set, clear uint64) Cond { return IsMasked(CTState, Num(set), Num(set|clear)) }

// ctStateText is +new-est for a condition on some of the bits and new|trk for one on all that there are.
func ctStateText(value, mask uint64) string {
	const all = 1<<len(ctNames) - 1
	set, clear, first := "+", "-", ""
	if mask&all == all {
		if value == 0 {
			return "0"
		}
		set, clear, first = "|", "", "|"
	}
	var b strings.Builder
	for i, name := range ctNames {
		switch {
		case mask>>i&1 == 0:
		case value>>i&1 == 1:
			b.WriteString(set + name)
		case clear != "":
			b.WriteString(clear + name)
		}
	}
	return strings.TrimPrefix(b.String(), first)
}

// NATKind is what a CT does to addresses.
type NATKind uint8

// Kinds of NAT.
const (
	NoNAT   NATKind = iota
	NATKept         // as the connection has it, if it has any
	NATSrc          // a new connection's source becomes Addr; another's is kept
	NATDst          // a new connection's destination becomes Addr; another's is kept
)

// NAT is how a CT translates. It is one of the values that the functions below return; the zero value leaves
// addresses alone.
type NAT struct {
	Kind      NATKind
	Addr      netip.Addr // IPv4; of NATSrc and NATDst
	FirstPort uint16     // 0: the connection's own port where that is free, else another
	LastPort  uint16     // FirstPort or more
}

// KeepNAT translates packets of connections that were committed with a NAT, errors about them included.
func KeepNAT() NAT { return NAT{Kind: NATKept} }

// SourceNAT gives new connections the source addr, and translates like KeepNAT what belongs to older ones.
func SourceNAT(addr netip.Addr) NAT { return NAT{Kind: NATSrc, Addr: addr} }

// DestinationNAT gives new connections the destination addr, and translates like KeepNAT what belongs to
// older ones.
func DestinationNAT(addr netip.Addr) NAT { return NAT{Kind: NATDst, Addr: addr} }

// WithPorts is n with the ports from first to last. Where none is left a new connection is not translated
// and not remembered: match the public address in the CT's table.
func (n NAT) WithPorts(first, last uint16) NAT {
	n.FirstPort, n.LastPort = first, last
	return n
}

// String is n as ovs-actions(7) writes it, and empty for none.
func (n NAT) String() string {
	if n.Kind == NoNAT {
		return ""
	}
	if n.Kind == NATKept {
		return "nat"
	}
	s := "nat(src="
	if n.Kind == NATDst {
		s = "nat(dst="
	}
	s += n.Addr.String()
	if n.FirstPort != 0 {
		s += ":" + itoa(uint64(n.FirstPort))
		if n.LastPort > n.FirstPort {
			s += "-" + itoa(uint64(n.LastPort))
		}
	}
	return s + ")"
}

func (n NAT) append(b []byte) []byte {
	b = append(b, byte(n.Kind))
	if n.Kind != NATSrc && n.Kind != NATDst {
		return b
	}
	b = Addr(n.Addr).append(b)
	b = binary.BigEndian.AppendUint16(b, n.FirstPort)
	return binary.BigEndian.AppendUint16(b, n.LastPort)
}

func (a CT) text(table func(uint8) string) string {
	s := "ct("
	if a.Commit {
		s += "commit,"
	}
	if a.Table != Stay {
		s += "table=" + table(a.Table) + ","
	}
	if a.ZoneFrom == (Subfield{}) {
		s += "zone=" + itoa(uint64(a.Zone))
	} else {
		s += "zone=" + a.ZoneFrom.String()
	}
	if nat := a.NAT.String(); nat != "" {
		s += "," + nat
	}
	return s + ")"
}

func (a CT) append(b []byte) []byte {
	commit := byte(0)
	if a.Commit {
		commit = 1
	}
	if a.ZoneFrom != (Subfield{}) {
		b = a.ZoneFrom.append(append(b, tagCTZoneFrom))
	}
	b = binary.BigEndian.AppendUint16(append(b, tagCT, commit), uint16(a.Zone))
	return a.NAT.append(append(b, a.Table))
}

func (CTClear) text(func(uint8) string) string { return "ct_clear" }
func (CTClear) append(b []byte) []byte         { return append(b, tagCTClear) }
