//go:build integration

package openflow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// packet is a frame with IPv4 in it, for tests. Its text is "tcp 10.0.0.5:4000 > 198.51.100.9:80 S",
// "udp 10.0.0.5:53 > 198.51.100.9:53", "icmp8 10.0.0.5:7 > 198.51.100.9:7" (type, identifier) or
// "icmp3/4 10.0.0.1 > 198.51.100.9 (udp 198.51.100.9:53 > 10.0.0.5:53)", an error and what it is about.
type packet struct {
	proto      string // tcp, udp, icmp8, icmp0, icmp3/4
	src, dst   netip.AddrPort
	flags      byte // of TCP
	about      *packet
	complaints string // found while it was parsed
}

var tcpFlags = map[string]byte{"": 0x10, "S": 2, "SA": 0x12, "A": 0x10, "F": 0x11, "R": 4}

func mustPacket(t testing.TB, text string) *packet {
	t.Helper()
	p := &packet{}
	outer, inner, hasInner := strings.Cut(text, " (")
	words := strings.Fields(outer)
	if len(words) < 4 || words[2] != ">" {
		t.Fatalf("no packet: %q", text)
	}
	end := func(s string) netip.AddrPort {
		if !strings.Contains(s, ":") {
			s += ":0"
		}
		return netip.MustParseAddrPort(s)
	}
	p.proto, p.src, p.dst = words[0], end(words[1]), end(words[3])
	p.flags = tcpFlags[strings.Join(words[4:], "")]
	if hasInner {
		p.about = mustPacket(t, strings.TrimSuffix(inner, ")"))
	}
	return p
}

func (p *packet) frame() []byte {
	return append([]byte{0xfa, 0x16, 0x3e, 0, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 2, 0x08, 0x00}, p.ip()...)
}

func (p *packet) ip() []byte {
	var proto byte
	var l4 []byte
	switch {
	case p.proto == "tcp":
		proto, l4 = 6, make([]byte, 20)
		binary.BigEndian.PutUint16(l4, p.src.Port())
		binary.BigEndian.PutUint16(l4[2:], p.dst.Port())
		binary.BigEndian.PutUint32(l4[4:], 1000)
		l4[12], l4[13], l4[14] = 5<<4, p.flags, 0x20
	case p.proto == "udp":
		proto, l4 = 17, make([]byte, 12)
		binary.BigEndian.PutUint16(l4, p.src.Port())
		binary.BigEndian.PutUint16(l4[2:], p.dst.Port())
		l4[5] = 12
	default:
		proto, l4 = 1, make([]byte, 8)
		_, _ = fmt.Sscanf(p.proto, "icmp%d/%d", &l4[0], &l4[1])
		binary.BigEndian.PutUint16(l4[4:], p.src.Port())
		if p.about != nil {
			quoted := p.about.ip()
			l4 = append(l4, quoted[:28]...)
		}
	}
	b := make([]byte, 20, 20+len(l4))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(l4)))
	copy(b[12:], p.src.Addr().AsSlice())
	copy(b[16:], p.dst.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[10:], ^sum(b, 0))
	switch proto {
	case 6:
		binary.BigEndian.PutUint16(l4[16:], ^sum(l4, pseudo(b, len(l4))))
	case 17:
		binary.BigEndian.PutUint16(l4[6:], ^sum(l4, pseudo(b, len(l4))))
	default:
		binary.BigEndian.PutUint16(l4[2:], ^sum(l4, 0))
	}
	return append(b, l4...)
}

// sum is the internet checksum's sum (RFC 1071).
func sum(b []byte, start uint32) uint16 {
	s := start
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func pseudo(ip []byte, n int) uint32 { return uint32(sum(ip[12:20], uint32(ip[9])+uint32(n))) }

// parsePacket reads a frame back, and checks its sums.
func parsePacket(frame []byte) *packet {
	if len(frame) < 14+28 {
		return &packet{proto: "short"}
	}
	ip := frame[14:]
	return parseIP(ip[:min(len(ip), int(binary.BigEndian.Uint16(ip[2:])))], true)
}

func parseIP(ip []byte, whole bool) *packet {
	l4 := ip[20:]
	addr := func(b []byte, port uint16) netip.AddrPort {
		a, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(a, port)
	}
	sport, dport := binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
	p := &packet{}
	if sum(ip[:20], 0) != 0xffff {
		p.complaints += " bad IP checksum"
	}
	l4sum := uint16(0xffff)
	switch ip[9] {
	case 6:
		p.proto = "tcp"
		l4sum = sum(l4, pseudo(ip, len(l4)))
		if whole {
			p.flags = l4[13]
		}
	case 17:
		p.proto = "udp"
		l4sum = sum(l4, pseudo(ip, len(l4)))
	default:
		id := binary.BigEndian.Uint16(l4[4:])
		p.proto, sport, dport = fmt.Sprintf("icmp%d", l4[0]), id, id
		l4sum = sum(l4, 0)
		if l4[0] != 8 && l4[0] != 0 && whole {
			p.proto += fmt.Sprintf("/%d", l4[1])
			sport, dport = 0, 0
			p.about = parseIP(l4[8:], false)
		}
	}
	if whole && l4sum != 0xffff {
		p.complaints += " bad checksum"
	}
	p.src, p.dst = addr(ip[12:16], sport), addr(ip[16:20], dport)
	return p
}

func (p *packet) String() string {
	end := func(a netip.AddrPort) string {
		if a.Port() == 0 {
			return a.Addr().String()
		}
		return a.String()
	}
	s := fmt.Sprintf("%s %s > %s", p.proto, end(p.src), end(p.dst))
	if p.about != nil {
		s += " (" + p.about.String() + ")"
	}
	return s + p.complaints
}
