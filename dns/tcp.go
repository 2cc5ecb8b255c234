package dns

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// TCP without a connection's state: whatever a VM does, nothing is kept for it. Our first sequence number is a cookie over the
// connection's addresses and the time, with the end of the client's first number in it: a segment with a query shows by itself
// whether its connection was opened here, and where in it the query stands. What the first segment asks is answered, and the
// answer ends with our FIN. Nothing is sent twice: a client whose query has not been acknowledged sends it again, and
// is answered again.

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
	ourWindow    = 4096
	mostQueries  = 4 // of one connection
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

// placeMask is the part of a cookie that tells of the client's number: enough for all that it may send before it is answered.
const placeMask = ourWindow - 1

// of is the cookie of a connection, but for the client's number, and what that is hidden by.
func (c *Cookies) of(p *peer, now time.Time) (cookie, mask uint32) {
	h := hmac.New(sha256.New, c.Secret[:])
	a, b := p.addr.As4(), p.server.As4()
	said := append(append(append(make([]byte, 0, 24), p.mac[:]...), a[:]...), b[:]...)
	said = binary.BigEndian.AppendUint16(said, p.port)
	said = binary.BigEndian.AppendUint64(said, uint64(now.Unix()/int64(cookieAge/time.Second)))
	h.Write(said)
	sum := h.Sum(nil)
	return binary.BigEndian.Uint32(sum) &^ placeMask, binary.BigEndian.Uint32(sum[4:]) & placeMask
}

// opened reports whether the segment's connection was opened here and nothing of ours has come there since, and where in
// what the client sends its data begins.
func (c *Cookies) opened(p *peer, now time.Time) (place uint32, ok bool) {
	said := p.tcp.ack - 1
	for _, at := range []time.Time{now, now.Add(-cookieAge)} {
		if cookie, mask := c.of(p, at); said&^placeMask == cookie {
			return (p.tcp.seq - 1 - (said ^ mask)) & placeMask, true
		}
	}
	return 0, false
}

// take is what a segment brings: queries, if it has whole ones, and the segment to send at once, if there is one.
func (c *Cookies) take(p *peer, data []byte, now time.Time) (queries [][]byte, reply []byte) {
	s := p.tcp
	s.next = s.seq + uint32(len(data))
	switch {
	case s.flags&rst != 0, s.flags&(syn|ack) == syn|ack:
		return nil, nil
	case s.flags&syn != 0:
		s.next = s.seq + 1
		cookie, mask := c.of(p, now)
		return nil, p.segment(cookie|(s.seq^mask)&placeMask, syn|ack, nil)
	case s.flags&ack == 0:
		return nil, nil
	case len(data) == 0:
		if s.flags&fin == 0 {
			return nil, nil
		}
		s.next++
		return nil, p.segment(s.ack, ack, nil)
	}
	place, ok := c.opened(p, now)
	switch {
	case !ok:
	case place == 0 && len(data) == 2: // a length, and its query in the next segment
		return nil, p.segment(s.ack, ack, nil)
	case place == 0:
		var taken int
		queries, taken = split(data)
		s.next = s.seq + uint32(taken)
	case place == 2:
		queries = [][]byte{data}
	default:
		return nil, nil // after a query that is being answered; what comes again after the answer is not known any more
	}
	if queries == nil {
		return nil, p.segment(s.ack, rst|ack, nil)
	}
	if s.flags&fin != 0 && s.next == s.seq+uint32(len(data)) {
		s.next++
	}
	return queries, nil
}

// split takes the whole messages out of what a client sends (RFC 7766, section 8), at most so many as are answered.
func split(data []byte) (messages [][]byte, taken int) {
	for len(messages) < mostQueries && len(data) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(data))
		if end > len(data) {
			break
		}
		messages = append(messages, data[2:end])
		taken += end
		data = data[end:]
	}
	return messages, taken
}

// stream is messages in segments, the last of which ends the connection.
func (p *peer) stream(messages [][]byte, mtu int) (frames [][]byte) {
	var data []byte
	for _, m := range messages {
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(m))), m...)
	}
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
	binary.BigEndian.PutUint16(b[16:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(b, p.pseudoHeader(protocolTCP, len(b)))))
	return frame
}
