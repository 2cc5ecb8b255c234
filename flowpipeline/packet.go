package flowpipeline

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Conditions that more than one table writes. The numbers are IANA's.

func isARP() flow.Cond  { return flow.IsNum(flow.EthType, 0x0806) }
func isIPv4() flow.Cond { return flow.IsNum(flow.EthType, 0x0800) }
func isIPv6() flow.Cond { return flow.IsNum(flow.EthType, 0x86dd) }
func isTCP() flow.Cond  { return flow.IsNum(flow.IPProto, 6) }
func isUDP() flow.Cond  { return flow.IsNum(flow.IPProto, 17) }
func isICMP() flow.Cond { return flow.IsNum(flow.IPProto, 1) }

// The ARP operation of a request, RFC 826.
const (
	arpRequest = 1
	arpReply   = 2
)

// UDP ports of DHCP, RFC 2131 and RFC 8415.
const (
	dhcpServer  = 67
	dhcpClient  = 68
	dhcp6Client = 546
	dhcp6Server = 547
)

// domain is DNS's port of UDP and TCP, RFC 1035.
const domain = 53

// ICMP types, RFC 792.
const (
	echoReply   = 0
	echoRequest = 8
)

// ICMPv6 types.
const (
	mldQuery               = 130 // RFC 2710
	mldReport              = 131 // RFC 2710
	mldDone                = 132 // RFC 2710
	routerSolicitation     = 133 // RFC 4861
	routerAdvertisement    = 134 // RFC 4861, with the next three
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
	redirect               = 137
	mld2Report             = 143 // RFC 3810
)

// icmp6 is the conditions of an ICMPv6 message of a type, and more.
func icmp6(kind uint8, more ...flow.Cond) flow.Match {
	return append(more, isIPv6(), flow.IsNum(flow.IPProto, 58), flow.IsNum(flow.ICMPv6Type, kind))
}

// upperMAC and lowerMAC are the parts of a field with a MAC, as registers have room for them.
func upperMAC(f flow.Field) flow.Subfield { return flow.Subfield{Field: f, Off: 32, Len: 16} }
func lowerMAC(f flow.Field) flow.Subfield { return flow.Subfield{Field: f, Off: 0, Len: 32} }

// within is the condition that an address is in a prefix: none, where the prefix is everything.
func within(field flow.Field, prefix netip.Prefix) flow.Match {
	bits, width := uint8(prefix.Bits()), field.Bits()
	switch bits {
	case 0:
		return nil
	case width:
		return flow.Match{flow.Is(field, flow.Addr(prefix.Addr()))}
	}
	return flow.Match{flow.IsMasked(field, flow.Addr(prefix.Masked().Addr()), flow.Ones(bits).Shl(width-bits))}
}

// inside matches IPv4 packets to an address of a prefix.
func inside(prefix netip.Prefix) flow.Match {
	return append(flow.Match{isIPv4()}, within(flow.IPv4Dst, prefix)...)
}
