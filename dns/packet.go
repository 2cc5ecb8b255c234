package dns

import (
	"encoding/binary"
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
)

const (
	ethernetHeader = 14
	ipv4Header     = 20 // without options
	udpHeader      = 8
	tcpHeader      = 20 // without options

	etherTypeIPv4 = 0x0800
	protocolTCP   = 6
	protocolUDP   = 17
	serverPort    = 53
	timeToLive    = 64
	dontFragment  = 0x4000
	fragmentMask  = 0x3fff // more fragments, and the offset
)

// peer is who asked, and where: the addresses of a packet to a server.
type peer struct {
	mac, serverMAC signalbox.MAC
	addr, server   netip.Addr
	port           uint16
	tcp            *segment // nil: it came by UDP
}

// parsePacket takes what is for port 53 out of an Ethernet frame. Padding behind the packet is fine; what claims to be longer than
// the frame is not.
func parsePacket(frame []byte) (p peer, payload []byte, ok bool) {
	if len(frame) < ethernetHeader+ipv4Header || binary.BigEndian.Uint16(frame[12:]) != etherTypeIPv4 {
		return p, nil, false
	}
	p.serverMAC, p.mac = signalbox.MAC(frame[0:6]), signalbox.MAC(frame[6:12])
	packet := frame[ethernetHeader:]
	header, total := int(packet[0]&15)*4, int(binary.BigEndian.Uint16(packet[2:]))
	if packet[0]>>4 != 4 || header < ipv4Header || total < header || total > len(packet) || signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:header], 0)) != 0xffff ||
		binary.BigEndian.Uint16(packet[6:])&fragmentMask != 0 {
		return p, nil, false
	}
	p.addr, p.server = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
	rest := packet[header:total]
	switch packet[9] {
	case protocolUDP:
		payload, ok = parseUDP(packet[12:20], rest)
	case protocolTCP:
		p.tcp, payload, ok = parseTCP(packet[12:20], rest)
	}
	if !ok || binary.BigEndian.Uint16(rest[2:]) != serverPort {
		return p, nil, false
	}
	p.port = binary.BigEndian.Uint16(rest)
	return p, payload, true
}

func parseUDP(addresses, b []byte) (payload []byte, ok bool) {
	if len(b) < udpHeader {
		return nil, false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < udpHeader || length > len(b) {
		return nil, false
	}
	said := binary.BigEndian.Uint16(b[6:])
	return b[udpHeader:length], said == 0 || checksumStands(addresses, b[:length], protocolUDP, said) // 0 is none (RFC 768)
}

// checksumStands reports whether a checksum is right, or left to hardware: a virtual NIC's driver puts the pseudo-header's sum
// there for a device that is not there to finish it.
func checksumStands(addresses, b []byte, protocol uint32, said uint16) bool {
	pseudo := signalbox.ChecksumSum(addresses, protocol+uint32(len(b)))
	return signalbox.ChecksumFold(signalbox.ChecksumSum(b, pseudo)) == 0xffff || said == signalbox.ChecksumFold(pseudo)
}

// datagram is a UDP packet to the peer.
func (p *peer) datagram(payload []byte) []byte {
	frame, b := p.packet(protocolUDP, udpHeader, payload)
	binary.BigEndian.PutUint16(b[0:], serverPort)
	binary.BigEndian.PutUint16(b[2:], p.port)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	checksum := ^signalbox.ChecksumFold(signalbox.ChecksumSum(b, p.pseudoHeader(protocolUDP, len(b))))
	if checksum == 0 {
		checksum = 0xffff // 0 would say that there is none
	}
	binary.BigEndian.PutUint16(b[6:], checksum)
	return frame
}

// packet is a frame to the peer, and what is in its IP packet: a header that is to be filled in, and the payload.
func (p *peer) packet(protocol byte, header int, payload []byte) (frame, inside []byte) {
	frame = make([]byte, ethernetHeader+ipv4Header+header+len(payload))
	copy(frame[0:], p.mac[:])
	copy(frame[6:], p.serverMAC[:])
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv4)
	packet := frame[ethernetHeader:]
	packet[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	binary.BigEndian.PutUint16(packet[6:], dontFragment) // so that an identification of 0 will do (RFC 6864)
	packet[8], packet[9] = timeToLive, protocol
	src, dst := p.server.As4(), p.addr.As4()
	copy(packet[12:], src[:])
	copy(packet[16:], dst[:])
	binary.BigEndian.PutUint16(packet[10:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:ipv4Header], 0)))
	copy(packet[ipv4Header+header:], payload)
	return frame, packet[ipv4Header:]
}

func (p *peer) pseudoHeader(protocol uint32, length int) uint32 {
	src, dst := p.server.As4(), p.addr.As4()
	return signalbox.ChecksumSum(dst[:], signalbox.ChecksumSum(src[:], protocol+uint32(length)))
}
