package dhcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
)

const (
	ethernetHeader = 14
	ipv4Header     = 20 // without options
	udpHeader      = 8

	etherTypeIPv4 = 0x0800
	protocolUDP   = 17
	serverPort    = 67
	clientPort    = 68
	timeToLive    = 64
	dontFragment  = 0x4000
	fragmentMask  = 0x3fff // more fragments, and the offset
)

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// datagram is a UDP datagram and the frame's and packet's addresses.
type datagram struct {
	srcMAC, dstMAC signalbox.MAC
	src, dst       netip.Addr
	payload        []byte
}

// parseFrame takes a datagram to port 67 out of an Ethernet frame; the outcome counts when ok is false.
// Ethernet padding behind the packet is fine; what claims to be longer than the frame is not.
func parseFrame(frame []byte) (d datagram, outcome Outcome, ok bool) {
	if len(frame) < ethernetHeader || binary.BigEndian.Uint16(frame[12:]) != etherTypeIPv4 {
		return d, NotDHCP, false
	}
	copy(d.dstMAC[:], frame[0:])
	copy(d.srcMAC[:], frame[6:])
	packet := frame[ethernetHeader:]
	if len(packet) < ipv4Header || packet[0]>>4 != 4 {
		return d, Malformed, false
	}
	header, total := int(packet[0]&15)*4, int(binary.BigEndian.Uint16(packet[2:]))
	if header < ipv4Header || total < header || total > len(packet) || signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:header], 0)) != 0xffff {
		return d, Malformed, false
	}
	if packet[9] != protocolUDP {
		return d, NotDHCP, false
	}
	if binary.BigEndian.Uint16(packet[6:])&fragmentMask != 0 {
		return d, Malformed, false
	}
	d.src, d.dst = addr4(packet[12:]), addr4(packet[16:])
	segment := packet[header:total]
	if len(segment) < udpHeader {
		return d, Malformed, false
	}
	if binary.BigEndian.Uint16(segment[2:]) != serverPort {
		return d, NotDHCP, false
	}
	length := int(binary.BigEndian.Uint16(segment[4:]))
	if length < udpHeader || length > len(segment) || !checksumStands(packet[12:20], segment[:length]) {
		return d, Malformed, false
	}
	d.payload = segment[udpHeader:length]
	return d, 0, true
}

// checksumStands reports whether a UDP checksum is right, absent (RFC 768), or left to hardware: a
// virtual NIC's driver puts the pseudo-header's sum there for a device that is not there to finish it.
func checksumStands(addresses, segment []byte) bool {
	said := binary.BigEndian.Uint16(segment[6:])
	pseudo := pseudoHeader(addresses, len(segment))
	return said == 0 || signalbox.ChecksumFold(signalbox.ChecksumSum(segment, pseudo)) == 0xffff || said == signalbox.ChecksumFold(pseudo)
}

// buildFrame is the inverse of parseFrame, from port 67 to port 68.
func buildFrame(d datagram) []byte {
	length := udpHeader + len(d.payload)
	frame := make([]byte, ethernetHeader+ipv4Header+length)
	copy(frame[0:], d.dstMAC[:])
	copy(frame[6:], d.srcMAC[:])
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv4)

	packet := frame[ethernetHeader:]
	packet[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	binary.BigEndian.PutUint16(packet[6:], dontFragment) // so that an identification of 0 will do (RFC 6864)
	packet[8] = timeToLive
	packet[9] = protocolUDP
	src, dst := d.src.As4(), d.dst.As4()
	copy(packet[12:], src[:])
	copy(packet[16:], dst[:])
	binary.BigEndian.PutUint16(packet[10:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:ipv4Header], 0)))

	segment := packet[ipv4Header:]
	binary.BigEndian.PutUint16(segment[0:], serverPort)
	binary.BigEndian.PutUint16(segment[2:], clientPort)
	binary.BigEndian.PutUint16(segment[4:], uint16(length))
	copy(segment[udpHeader:], d.payload)
	// One of 0 is left as it is, which says that there is none (RFC 768), and not sent as 0xffff: busybox's udhcpc compares with a sum of
	// its own, which is 0, and would not take the answer, however often it asks.
	binary.BigEndian.PutUint16(segment[6:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(segment, pseudoHeader(packet[12:20], length))))
	return frame
}

func pseudoHeader(addresses []byte, length int) uint32 {
	return signalbox.ChecksumSum(addresses, protocolUDP+uint32(length))
}

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }
