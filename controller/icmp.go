package controller

import (
	"encoding/binary"
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

// A router tells a sender by ICMP why its packet does not go on (RFC 792, RFC 1812 4.3 and 5.2.7). Switches
// cannot make such a packet: it quotes the one that it is about.

// refusal is what an ICMP error says besides the packet that it quotes.
type refusal struct {
	why    flowpipeline.PuntReason
	router netip.Addr           // whose address it comes from
	from   signalbox.MAC        // the MAC that the sender's network knows the router by
	to     *signalbox.Port      // the sender, or what stands for one outside
	on     signalbox.NetworkKey // the network that it is to be sent on
	sent   netip.Addr           // the destination that the sender gave the packet, where that was translated since
	mtu    int                  // of the next network, in bytes; PuntTooLarge only
}

// Types and codes, RFC 792 and RFC 1812.
const (
	icmpUnreachable  = 3
	icmpTimeExceeded = 11

	codeNetwork        = 0
	codeHost           = 1
	codeProtocol       = 2
	codePort           = 3
	codeFragmentNeeded = 4
)

const (
	ethernetHeader = 14
	ipv4Header     = 20  // without options
	icmpHeader     = 8   //
	icmpLargest    = 576 // an error's IP packet at most, RFC 1812 4.3.2.3
)

// icmpError is the frame that tells a sender why its frame was refused; nil when nothing may be said
// (RFC 1122 3.2.2): about what is no whole IPv4 header, about another ICMP error, a later fragment, what was
// for many or came from anybody but the port that it is said to be of.
func icmpError(frame []byte, r refusal) []byte {
	ip, ok := ipv4Of(frame)
	if !ok || !r.router.Is4() || !mayBeToldOf(ip, r.to) || signalbox.MAC(frame[:6]).IsMulticast() {
		return nil
	}
	kind, code, ok := r.says(ip[9])
	if !ok {
		return nil
	}
	quote := ip[:min(len(ip), icmpLargest-ipv4Header-icmpHeader)]
	out := make([]byte, ethernetHeader+ipv4Header+icmpHeader, ethernetHeader+ipv4Header+icmpHeader+len(quote))
	copy(out, r.to.MAC[:])
	copy(out[6:], r.from[:])
	out[12], out[13] = 0x08, 0x00

	head := out[ethernetHeader:]
	head[0] = 0x45
	head[1] = 0xc0 // internetwork control, RFC 1812 4.3.2.5
	binary.BigEndian.PutUint16(head[2:], uint16(ipv4Header+icmpHeader+len(quote)))
	head[8], head[9] = 64, protocolICMP
	src := r.router.As4()
	copy(head[12:], src[:])
	copy(head[16:], ip[12:16])
	binary.BigEndian.PutUint16(head[10:], checksum(head[:ipv4Header]))

	body := head[ipv4Header:]
	body[0], body[1] = kind, code
	if code == codeFragmentNeeded && kind == icmpUnreachable {
		binary.BigEndian.PutUint16(body[6:], uint16(min(r.mtu, 0xffff))) // RFC 1191
	}
	out = append(out, quote...)
	if r.sent.Is4() {
		readdress(out[len(out)-len(quote):], r.sent.As4())
	}
	body = out[ethernetHeader+ipv4Header:]
	binary.BigEndian.PutUint16(body[2:], checksum(body))
	return out
}

// readdress gives an IPv4 header another destination. What is inside has the address in its own checksum; who gets the
// quote does not look at that, since it need not be whole.
func readdress(ip []byte, dst [4]byte) {
	header := int(ip[0]&15) * 4
	copy(ip[16:20], dst[:])
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:header]))
}

// IP protocols, IANA.
const (
	protocolICMP = 1
	protocolTCP  = 6
	protocolUDP  = 17
)

// says is the type and code of the error about a packet of a protocol; false when there is none to make.
func (r *refusal) says(protocol byte) (kind, code byte, ok bool) {
	switch r.why {
	case flowpipeline.PuntTimeExceeded:
		return icmpTimeExceeded, 0, true // in transit
	case flowpipeline.PuntNoRoute:
		return icmpUnreachable, codeNetwork, true
	case flowpipeline.PuntNoNeighbour:
		return icmpUnreachable, codeHost, true
	case flowpipeline.PuntTooLarge:
		return icmpUnreachable, codeFragmentNeeded, r.mtu > 0
	case flowpipeline.PuntNoService:
		switch protocol {
		case protocolTCP, protocolUDP:
			return icmpUnreachable, codePort, true
		case protocolICMP:
			return 0, 0, false
		}
		return icmpUnreachable, codeProtocol, true
	}
	return 0, 0, false
}

// ipv4Of is the IPv4 packet of an untagged frame, without what pads the frame; false when there is no
// header, or less of the packet than it says.
func ipv4Of(frame []byte) ([]byte, bool) {
	if len(frame) < ethernetHeader+ipv4Header || frame[12] != 0x08 || frame[13] != 0x00 {
		return nil, false
	}
	ip := frame[ethernetHeader:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || header < ipv4Header || total < header || total > len(ip) {
		return nil, false
	}
	return ip[:total], true
}

// mayBeToldOf reports whether an ICMP error may be sent about a packet, and to this port.
func mayBeToldOf(ip []byte, to *signalbox.Port) bool {
	src, dst := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	offset := binary.BigEndian.Uint16(ip[6:]) & 0x1fff
	if offset != 0 || !oneHost(src) || !oneHost(dst) || !holds(to, src) {
		return false
	}
	if ip[9] != protocolICMP {
		return true
	}
	// As Linux has it: an unknown type could be an error.
	header := int(ip[0]&15) * 4
	if len(ip) <= header {
		return false
	}
	switch ip[header] {
	case 0, 8, 13, 14, 15, 16, 17, 18: // echo, timestamp, information, address mask
		return true
	}
	return false
}

// oneHost reports whether an address can be one host's: not "this network", loopback, multicast or above.
func oneHost(a netip.Addr) bool {
	first := a.As4()[0]
	return first != 0 && first != 127 && first < 224
}

func holds(p *signalbox.Port, a netip.Addr) bool {
	for _, ip := range p.FixedIPs {
		if ip.Addr == a {
			return true
		}
	}
	return false
}

// checksum is the Internet checksum of bytes whose own checksum field is zero.
func checksum(b []byte) uint16 { return ^signalbox.ChecksumFold(signalbox.ChecksumSum(b, 0)) }
