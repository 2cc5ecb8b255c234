//go:build integration

package flowpipeline

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
)

// packet is what the tests put on a wire and find there: a ping, its answer, a UDP datagram or an ARP message.
type packet struct {
	src, dst signalbox.MAC
	vlan     uint16 // 0: no tag
	kind     string // "ping", "pong", "udp", "ask", "answer", "unreachable"
	from, to netip.Addr
	ttl      byte
	ports    [2]uint16 // of UDP; every ping has the identifier 7
	size     int       // of the IP packet; 0: as small as can be
	about    *packet   // what an ICMP error quotes
}

// String is "udp 10.0.0.3:9 > 10.0.1.3:9 ttl 64".
func (p packet) String() string {
	switch p.kind {
	case "udp":
		return fmt.Sprintf("udp %s:%d > %s:%d ttl %d", p.from, p.ports[0], p.to, p.ports[1], p.ttl)
	case "ask", "answer":
		return fmt.Sprintf("%s %s > %s", p.kind, p.from, p.to)
	case "unreachable":
		return fmt.Sprintf("unreachable %s > %s ttl %d (%s)", p.from, p.to, p.ttl, p.about)
	}
	return fmt.Sprintf("%s %s > %s ttl %d", p.kind, p.from, p.to, p.ttl)
}

func internetSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word += uint32(b[i+1])
		}
		sum += word
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func (p packet) bytes() []byte {
	b := append(append([]byte{}, p.dst[:]...), p.src[:]...)
	if p.vlan != 0 {
		b = binary.BigEndian.AppendUint16(append(b, 0x81, 0), p.vlan)
	}
	if p.kind != "ask" && p.kind != "answer" {
		return append(append(b, 8, 0), p.ip()...)
	}
	op, target := byte(arpRequest), signalbox.MAC{}
	if p.kind == "answer" {
		op, target = arpReply, p.dst
	}
	from, to := p.from.As4(), p.to.As4()
	b = append(append(append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, op), p.src[:]...), from[:]...)
	return append(append(b, target[:]...), to[:]...)
}

// ip is the IPv4 packet, with the checksums that conntrack asks for. UDP has none.
func (p packet) ip() []byte {
	from, to := p.from.As4(), p.to.As4()
	proto, body := byte(1), []byte{echoRequest, 0, 0, 0, 0, 7, 0, 1}
	switch p.kind {
	case "pong":
		body[0] = echoReply
	case "udp":
		proto = 17
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.ports[0]), p.ports[1])
		body = append(binary.BigEndian.AppendUint16(body, uint16(max(8, p.size-20))), 0, 0)
	case "unreachable":
		body = append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, p.about.ip()...)
	}
	if n := p.size - 20 - len(body); n > 0 {
		body = append(body, make([]byte, n)...)
	}
	if proto == 1 {
		binary.BigEndian.PutUint16(body[2:], internetSum(body))
	}
	head := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, p.ttl, proto, 0, 0}
	head = append(append(head, from[:]...), to[:]...)
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(body)))
	binary.BigEndian.PutUint16(head[10:], internetSum(head))
	return append(head, body...)
}

func parsePacket(b []byte) packet {
	p := packet{dst: signalbox.MAC(b[:6]), src: signalbox.MAC(b[6:12])}
	b = b[12:]
	if b[0] == 0x81 && b[1] == 0 {
		p.vlan, b = binary.BigEndian.Uint16(b[2:])&0xfff, b[4:]
	}
	if b[0] == 8 && b[1] == 6 {
		b = b[2:]
		p.kind = map[byte]string{arpRequest: "ask", arpReply: "answer"}[b[7]]
		p.from, p.to = netip.AddrFrom4([4]byte(b[14:])), netip.AddrFrom4([4]byte(b[24:]))
		if sender := signalbox.MAC(b[8:14]); sender != p.src {
			p.kind += " that lies"
		}
		return p
	}
	p.readIP(b[2:])
	return p
}

func (p *packet) readIP(b []byte) {
	if sum := internetSum(b[:20]); sum != 0 {
		p.kind = "bad checksum "
	}
	p.ttl, p.from, p.to = b[8], netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	body := b[20:binary.BigEndian.Uint16(b[2:])]
	switch {
	case b[9] == 17:
		p.kind += "udp"
		p.ports = [2]uint16{binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])}
	case body[0] == 3:
		p.kind, p.about = p.kind+"unreachable", &packet{}
		p.about.readIP(body[8:])
	default:
		p.kind += map[byte]string{echoRequest: "ping", echoReply: "pong"}[body[0]]
	}
}
