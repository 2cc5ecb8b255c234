package dns

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// TCP without a connection's state: whatever a VM does, nothing is kept for it. Our first sequence number is a cookie over the
// connection's names, the client's first number and the time, so that a segment with a query shows by itself whether its
// connection was opened here. One query is answered, and the answer ends with our FIN. Nothing is sent twice: a client whose
// query has not been acknowledged sends it again, and is answered again.

// Cookies make and know the first sequence numbers of connections.
type Cookies struct {
	Secret [16]byte // random, the same as long as connections are to be known
}

// cookieAge is how long a cookie is made; it is known for as long again.
const cookieAge = 32 * time.Second

// segment is what a TCP header says, and from Read on how much of the data an answer acknowledges.
type segment struct {
	seq, ack uint32
	flags    byte
	window   uint16
	next     uint32 // the sequence number that we expect
}

const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

const (
	leastSegment = 536  // that every host takes (RFC 9293, 3.7.1)
	mostSegment  = 1220 // data of one segment, in either direction
	ourWindow    = 8192
)

func parseTCP(addresses, b []byte) (s *segment, payload []byte, ok bool) {
	if len(b) < tcpHeader {
		return nil, nil, false
	}
	header := int(b[12]>>4) * 4
	if header < tcpHeader || header > len(b) || !checksumStands(addresses, b, protocolTCP, binary.BigEndian.Uint16(b[16:])) {
		return nil, nil, false
	}
	return &segment{
		seq: binary.BigEndian.Uint32(b[4:]), ack: binary.BigEndian.Uint32(b[8:]), flags: b[13], window: binary.BigEndian.Uint16(b[14:]),
	}, b[header:], true
}

func (c *Cookies) of(p *peer, first uint32, now time.Time) uint32 {
	h := hmac.New(sha256.New, c.Secret[:])
	a, b := p.addr.As4(), p.server.As4()
	said := append(append(append(make([]byte, 0, 32), p.mac[:]...), a[:]...), b[:]...)
	said = binary.BigEndian.AppendUint16(said, p.port)
	said = binary.BigEndian.AppendUint32(said, first)
	said = binary.BigEndian.AppendUint64(said, uint64(now.Unix()/int64(cookieAge/time.Second)))
	h.Write(said)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// opened reports whether the segment's connection was opened here, and its data begins at this place of what the client sends.
func (c *Cookies) opened(p *peer, place uint32, now time.Time) bool {
	first := p.tcp.seq - 1 - place
	return p.tcp.ack-1 == c.of(p, first, now) || p.tcp.ack-1 == c.of(p, first, now.Add(-cookieAge))
}

// take is what a segment brings: a query, if it has a whole one, and the segment to send at once, if there is one. Clients send a
// query with its length before it, in one segment or the length alone first (RFC 7766, section 8).
func (c *Cookies) take(p *peer, data []byte, now time.Time) (query, reply []byte) {
	s := p.tcp
	s.next = s.seq + uint32(len(data))
	switch {
	case s.flags&rst != 0, s.flags&(syn|ack) == syn|ack:
		return nil, nil
	case s.flags&syn != 0:
		s.next = s.seq + 1
		return nil, p.segment(c.of(p, s.seq, now), syn|ack, nil)
	case s.flags&ack == 0:
		return nil, nil
	case len(data) == 0:
		if s.flags&fin == 0 {
			return nil, nil
		}
		s.next++
		return nil, p.segment(s.ack, ack, nil)
	}
	if c.opened(p, 0, now) && len(data) >= 2 {
		switch length := int(binary.BigEndian.Uint16(data)); {
		case len(data) == 2:
			return nil, p.segment(s.ack, ack, nil)
		case len(data) >= 2+length:
			query = data[2 : 2+length]
			s.next = s.seq + 2 + uint32(length)
		}
	} else if c.opened(p, 2, now) {
		query = data
	}
	if query == nil {
		return nil, p.segment(s.ack, rst|ack, nil)
	}
	if s.flags&fin != 0 && s.next == s.seq+uint32(len(data)) {
		s.next++
	}
	return query, nil
}

// acknowledge is the segment that says that the query is here, where the answer takes longer.
func (p *peer) acknowledge() []byte { return p.segment(p.tcp.ack, ack, nil) }

// stream is a message in segments, the last of which ends the connection.
func (p *peer) stream(message []byte, mtu int) (frames [][]byte) {
	data := append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message))), message...)
	most := mostSegment
	if mtu > 0 {
		most = max(leastSegment, min(most, mtu-ipv4Header-tcpHeader))
	}
	for seq := p.tcp.ack; ; {
		n := min(most, len(data))
		flags := byte(ack)
		if n == len(data) {
			flags |= psh | fin
		}
		frames = append(frames, p.segment(seq, flags, data[:n]))
		if data = data[n:]; len(data) == 0 {
			return frames
		}
		seq += uint32(n)
	}
}

// segment is a TCP packet to the peer. One that opens a connection says how large segments may be.
func (p *peer) segment(seq uint32, flags byte, data []byte) []byte {
	header := tcpHeader
	if flags&syn != 0 {
		header += 4
	}
	frame, b := p.packet(protocolTCP, header, data)
	binary.BigEndian.PutUint16(b[0:], serverPort)
	binary.BigEndian.PutUint16(b[2:], p.port)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], p.tcp.next)
	b[12], b[13] = byte(header/4)<<4, flags
	binary.BigEndian.PutUint16(b[14:], ourWindow)
	if flags&syn != 0 {
		b[20], b[21] = 2, 4 // maximum segment size
		binary.BigEndian.PutUint16(b[22:], mostSegment)
	}
	binary.BigEndian.PutUint16(b[16:], ^fold(sum(b, p.pseudoHeader(protocolTCP, len(b)))))
	return frame
}
