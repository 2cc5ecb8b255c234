package flow

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/signalbox-sdn/signalbox"
)

// Field is a packet or metadata field of Open vSwitch (ovs-fields(7)).
type Field uint8

// The fields, in the order in which a match prints and encodes them. Their numbers are part of cookies: a
// new one comes last, or every flow of every switch is sent anew.
const (
	NoField    Field = iota
	InPort           // OpenFlow port number
	TunID            // tunnel key
	TunSrc           // outer IPv4 source
	TunDst           // outer IPv4 destination
	Reg0             // registers are 32 bits; flowpipeline names their bits
	Reg1             //
	Reg2             //
	Reg3             //
	Reg4             //
	Reg5             //
	Reg6             //
	Reg7             //
	EthSrc           //
	EthDst           //
	EthType          //
	VLANVID          // 13 bits: VLAN id and the "tag is present" bit 0x1000 (OXM_OF_VLAN_VID)
	ARPOp            //
	ARPSPA           //
	ARPTPA           //
	ARPSHA           //
	ARPTHA           //
	IPv4Src          //
	IPv4Dst          //
	IPv6Src          //
	IPv6Dst          //
	IPProto          //
	TCPSrc           //
	TCPDst           //
	UDPSrc           //
	UDPDst           //
	ICMPv6Type       //
	NDTarget         //
	NDSLL            //
	NDTLL            //
	IPTTL            //
	ICMPType         // of ICMP over IPv4
	ICMPCode         // likewise
	CTState          // what conntrack says of the packet: the bits CTNew and so on; see CTIs
	CTZone           // 16 bits, read only: the zone of the last CT
	CTMark           // the connection's mark, read only here
	Reg8             //
	Reg9             //
	Reg10            //
	Reg11            //
	Reg12            //
	Reg13            //
	Reg14            //
	Reg15            //
	XXReg3           // Reg12 to Reg15 as one number of 128 bits, for actions: a match of it reads back as one of these
	CTProto          // of a tracked packet's connection, in the direction in which it was made: the IP protocol
	CTIPv4Src        // likewise; these and the next match packets that conntrack knows, or calls new (see ovs-fields(7))
	CTIPv4Dst        //
	CTIPv6Src        //
	CTIPv6Dst        //
	CTPortSrc        // of ICMP the type
	CTPortDst        // of ICMP the code
	IPFrag           // whether an IP packet is in fragments, and which it is: see FirstFragment
	NumFields        // not a field: how many there are
)

type fieldInfo struct {
	name string // as ovs-ofctl writes it in a match
	nxm  string // as ovs-ofctl writes it in load and move actions
	bits uint8
	form func(Value) string
}

var fields = [NumFields]fieldInfo{
	InPort:     {"in_port", "OXM_OF_IN_PORT", 32, decimal},
	TunID:      {"tun_id", "NXM_NX_TUN_ID", 64, hexadecimal},
	TunSrc:     {"tun_src", "NXM_NX_TUN_IPV4_SRC", 32, ipv4},
	TunDst:     {"tun_dst", "NXM_NX_TUN_IPV4_DST", 32, ipv4},
	Reg0:       {"reg0", "NXM_NX_REG0", 32, hexadecimal},
	Reg1:       {"reg1", "NXM_NX_REG1", 32, hexadecimal},
	Reg2:       {"reg2", "NXM_NX_REG2", 32, hexadecimal},
	Reg3:       {"reg3", "NXM_NX_REG3", 32, hexadecimal},
	Reg4:       {"reg4", "NXM_NX_REG4", 32, hexadecimal},
	Reg5:       {"reg5", "NXM_NX_REG5", 32, hexadecimal},
	Reg6:       {"reg6", "NXM_NX_REG6", 32, hexadecimal},
	Reg7:       {"reg7", "NXM_NX_REG7", 32, hexadecimal},
	EthSrc:     {"eth_src", "OXM_OF_ETH_SRC", 48, ethernet},
	EthDst:     {"eth_dst", "OXM_OF_ETH_DST", 48, ethernet},
	EthType:    {"eth_type", "OXM_OF_ETH_TYPE", 16, hexadecimal},
	VLANVID:    {"vlan_vid", "OXM_OF_VLAN_VID", 13, hexadecimal},
	ARPOp:      {"arp_op", "OXM_OF_ARP_OP", 16, decimal},
	ARPSPA:     {"arp_spa", "OXM_OF_ARP_SPA", 32, ipv4},
	ARPTPA:     {"arp_tpa", "OXM_OF_ARP_TPA", 32, ipv4},
	ARPSHA:     {"arp_sha", "OXM_OF_ARP_SHA", 48, ethernet},
	ARPTHA:     {"arp_tha", "OXM_OF_ARP_THA", 48, ethernet},
	IPv4Src:    {"nw_src", "OXM_OF_IPV4_SRC", 32, ipv4},
	IPv4Dst:    {"nw_dst", "OXM_OF_IPV4_DST", 32, ipv4},
	IPv6Src:    {"ipv6_src", "OXM_OF_IPV6_SRC", 128, ipv6},
	IPv6Dst:    {"ipv6_dst", "OXM_OF_IPV6_DST", 128, ipv6},
	IPProto:    {"nw_proto", "OXM_OF_IP_PROTO", 8, decimal},
	TCPSrc:     {"tcp_src", "OXM_OF_TCP_SRC", 16, decimal},
	TCPDst:     {"tcp_dst", "OXM_OF_TCP_DST", 16, decimal},
	UDPSrc:     {"udp_src", "OXM_OF_UDP_SRC", 16, decimal},
	UDPDst:     {"udp_dst", "OXM_OF_UDP_DST", 16, decimal},
	ICMPv6Type: {"icmpv6_type", "OXM_OF_ICMPV6_TYPE", 8, decimal},
	NDTarget:   {"nd_target", "OXM_OF_IPV6_ND_TARGET", 128, ipv6},
	NDSLL:      {"nd_sll", "OXM_OF_IPV6_ND_SLL", 48, ethernet},
	NDTLL:      {"nd_tll", "OXM_OF_IPV6_ND_TLL", 48, ethernet},
	IPTTL:      {"nw_ttl", "NXM_NX_IP_TTL", 8, decimal},
	ICMPType:   {"icmp_type", "OXM_OF_ICMPV4_TYPE", 8, decimal},
	ICMPCode:   {"icmp_code", "OXM_OF_ICMPV4_CODE", 8, decimal},
	CTState:    {"ct_state", "NXM_NX_CT_STATE", 32, hexadecimal},
	CTZone:     {"ct_zone", "NXM_NX_CT_ZONE", 16, decimal},
	CTMark:     {"ct_mark", "NXM_NX_CT_MARK", 32, hexadecimal},
	Reg8:       {"reg8", "NXM_NX_REG8", 32, hexadecimal},
	Reg9:       {"reg9", "NXM_NX_REG9", 32, hexadecimal},
	Reg10:      {"reg10", "NXM_NX_REG10", 32, hexadecimal},
	Reg11:      {"reg11", "NXM_NX_REG11", 32, hexadecimal},
	Reg12:      {"reg12", "NXM_NX_REG12", 32, hexadecimal},
	Reg13:      {"reg13", "NXM_NX_REG13", 32, hexadecimal},
	Reg14:      {"reg14", "NXM_NX_REG14", 32, hexadecimal},
	Reg15:      {"reg15", "NXM_NX_REG15", 32, hexadecimal},
	XXReg3:     {"xxreg3", "NXM_NX_XXREG3", 128, hexadecimal},
	CTProto:    {"ct_nw_proto", "NXM_NX_CT_NW_PROTO", 8, decimal},
	CTIPv4Src:  {"ct_nw_src", "NXM_NX_CT_NW_SRC", 32, ipv4},
	CTIPv4Dst:  {"ct_nw_dst", "NXM_NX_CT_NW_DST", 32, ipv4},
	CTIPv6Src:  {"ct_ipv6_src", "NXM_NX_CT_IPV6_SRC", 128, ipv6},
	CTIPv6Dst:  {"ct_ipv6_dst", "NXM_NX_CT_IPV6_DST", 128, ipv6},
	CTPortSrc:  {"ct_tp_src", "NXM_NX_CT_TP_SRC", 16, decimal},
	CTPortDst:  {"ct_tp_dst", "NXM_NX_CT_TP_DST", 16, decimal},
	IPFrag:     {"ip_frag", "NXM_NX_IP_FRAG", 8, decimal},
}

// Conditions on IPFrag: the first fragment has the ports, and the later ones have not.
var (
	FirstFragment = IsNum(IPFrag, 1)
	LaterFragment = IsNum(IPFrag, 3)
)

func (f Field) String() string {
	if f < NumFields {
		return fields[f].name
	}
	return "field" + strconv.Itoa(int(f))
}

// Bits is the field's width.
func (f Field) Bits() uint8 { return fields[f].bits }

// Whole is the field as a destination or source of an action.
func (f Field) Whole() Subfield { return Subfield{f, 0, f.Bits()} }

// Subfield is a run of bits of a field; Off counts from the least significant bit.
type Subfield struct {
	Field Field
	Off   uint8
	Len   uint8
}

// String is the form that ovs-ofctl's load and move take: NXM_NX_REG0[0..15].
func (s Subfield) String() string {
	name := fields[s.Field].nxm
	switch {
	case s.Off == 0 && s.Len == s.Field.Bits():
		return name + "[]"
	case s.Len == 1:
		return fmt.Sprintf("%s[%d]", name, s.Off)
	}
	return fmt.Sprintf("%s[%d..%d]", name, s.Off, s.Off+s.Len-1)
}

// Value is an unsigned number of up to 128 bits.
type Value struct{ Hi, Lo uint64 }

// Num is a Value of at most 64 bits.
func Num(n uint64) Value { return Value{Lo: n} }

// Addr is an address as a Value: 32 bits for IPv4, 128 for IPv6.
func Addr(a netip.Addr) Value {
	if a.Is4() {
		b := a.As4()
		return Value{Lo: uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])}
	}
	b := a.As16()
	var v Value
	for i := range 8 {
		v.Hi = v.Hi<<8 | uint64(b[i])
		v.Lo = v.Lo<<8 | uint64(b[i+8])
	}
	return v
}

// Ethernet is a MAC as a Value.
func Ethernet(m signalbox.MAC) Value {
	var v Value
	for _, b := range m {
		v.Lo = v.Lo<<8 | uint64(b)
	}
	return v
}

// Ones is a Value of n low bits set: the mask of an exact match on a field of n bits.
func Ones(n uint8) Value {
	switch {
	case n == 0:
		return Value{}
	case n <= 64:
		return Value{Lo: ^uint64(0) >> (64 - n)}
	}
	return Value{Hi: ^uint64(0) >> (128 - n), Lo: ^uint64(0)}
}

// And is the bitwise and.
func (v Value) And(m Value) Value { return Value{v.Hi & m.Hi, v.Lo & m.Lo} }

// Shl shifts left by n bits.
func (v Value) Shl(n uint8) Value {
	switch {
	case n == 0:
		return v
	case n >= 64:
		return Value{Hi: v.Lo << (n - 64)}
	}
	return Value{v.Hi<<n | v.Lo>>(64-n), v.Lo << n}
}

func decimal(v Value) string { return strconv.FormatUint(v.Lo, 10) }

func hexadecimal(v Value) string { return "0x" + strconv.FormatUint(v.Lo, 16) }

func ipv4(v Value) string {
	return netip.AddrFrom4([4]byte{byte(v.Lo >> 24), byte(v.Lo >> 16), byte(v.Lo >> 8), byte(v.Lo)}).String()
}

func ipv6(v Value) string {
	var b [16]byte
	for i := range 8 {
		b[i] = byte(v.Hi >> (56 - 8*i))
		b[i+8] = byte(v.Lo >> (56 - 8*i))
	}
	return netip.AddrFrom16(b).String()
}

func ethernet(v Value) string {
	var m signalbox.MAC
	for i := range m {
		m[i] = byte(v.Lo >> (40 - 8*i))
	}
	return m.String()
}
