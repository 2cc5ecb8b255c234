// Package dns answers what VMs ask their subnet's DHCP address: whole Ethernet frames in, whole Ethernet frames out. It knows
// the names that are ours from the facts, and for any other makes the question to a resolver and the answer from a
// resolver's. It keeps nothing, does no I/O and has no clock.
//
// UDP and TCP over IPv4; messages as in RFC 1035, with EDNS (RFC 6891). Case is kept as it was asked. Of TCP what a connection's first
// segment asks is answered.
package dns

import (
	"net/netip"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/signalbox-sdn/signalbox"
)

// Facts are what a port can know of names.
type Facts struct {
	Zones     []string       // domains all of whose names are ours, in lower case and with the last dot
	Blocks    []netip.Prefix // addresses whose names are ours
	Names     Names          // in Zones and Blocks
	Forwards  bool           // there is somebody to ask for other names
	MTU       int            // bytes; 0: not said
	Server    netip.Addr     // that was asked
	ServerMAC signalbox.MAC  // that answers come from
}

// Names is what is called how.
type Names interface {
	// Addrs is the addresses of a full name in lower case, and whether there is such a name, or one below it.
	Addrs(name string) (addrs []netip.Addr, known bool)
	// Called is the full name of an address; "" when it has none.
	Called(a netip.Addr) string
}

// Request is what a frame asks: one query, or several by TCP.
type Request struct {
	peer
	Queries []*Query
}

// Query is a message that is to be answered.
type Query struct {
	msg   *miekg.Msg
	edns  *miekg.OPT // nil: without EDNS
	wrong Outcome    // why it is no proper query; Asked: it is one, of one question, of the Internet
	tcp   bool
	limit int // bytes of the answer
	mtu   int // bytes; 0: not known
}

// Server is the address that was asked.
func (r *Request) Server() netip.Addr { return r.server }

// Frames are the answers on their way back, one for each query.
func (r *Request) Frames(f *Facts, answers [][]byte) [][]byte {
	r.serverMAC = f.ServerMAC
	if r.tcp != nil {
		return r.stream(answers, f.MTU)
	}
	return [][]byte{r.datagram(answers[0])}
}

// Acknowledge says that the queries are here, where the answers take longer; nothing is said of that by UDP.
func (r *Request) Acknowledge(f *Facts) [][]byte {
	r.serverMAC = f.ServerMAC
	if r.tcp != nil {
		return [][]byte{r.segment(r.tcp.ack, ack, nil)}
	}
	return nil
}

// TCP reports whether the query came by TCP.
func (q *Query) TCP() bool { return q.tcp }

// Bounds of answers by UDP, in bytes: what every client takes, and what is not cut into fragments anywhere.
const (
	leastAnswer = 512  // RFC 1035, 2.3.4
	mostAnswer  = 1232 // RFC 9715, 3.1
)

// Seconds that answers are good for.
const (
	keepAnswer = 60
	keepDenial = 5 // a VM may come at any moment
)

// Read is what a frame asks: a request that is to be answered, if and only if the outcome is Asked, or frames that are to be sent at
// once. frame is only read, and nothing shares it.
func Read(frame []byte, cookies *Cookies, now time.Time) (r *Request, frames [][]byte, outcome Outcome) {
	p, payload, ok := parsePacket(frame)
	if !ok {
		return nil, nil, Malformed
	}
	messages := [][]byte{payload}
	outcome = Silent
	if p.tcp != nil {
		var reply []byte
		if messages, reply = cookies.take(&p, payload, now); reply != nil {
			frames = [][]byte{reply}
		}
		outcome = Transport
	}
	r = &Request{peer: p}
	for _, m := range messages {
		if q := readQuery(&p, m); q != nil {
			r.Queries = append(r.Queries, q)
		}
	}
	if r.Queries == nil {
		return nil, frames, outcome
	}
	if p.tcp != nil { // nothing is sent that the client has not made room for
		for _, q := range r.Queries {
			q.limit = max(leastAnswer, int(p.tcp.window)/len(r.Queries)-2)
		}
	}
	return r, nil, Asked
}

// readQuery takes a message apart; nil where it gets no answer.
func readQuery(p *peer, message []byte) *Query {
	q := &Query{msg: new(miekg.Msg), tcp: p.tcp != nil, limit: leastAnswer}
	err := q.msg.Unpack(message)
	if len(message) < 12 || q.msg.Response {
		return nil
	}
	q.wrong = q.check(err)
	return q
}

// check says what is wrong with a message as a query.
func (q *Query) check(err error) Outcome {
	if q.msg.Opcode != miekg.OpcodeQuery {
		return NotKnown
	}
	if err != nil || len(q.msg.Question) != 1 || !q.readEDNS() {
		return FormError
	}
	switch {
	case q.edns != nil && q.edns.Version() != 0:
		return NotKnown
	case q.msg.Question[0].Qclass != miekg.ClassINET:
		return Refused
	}
	switch kind := q.msg.Question[0].Qtype; {
	case kind == miekg.TypeOPT, kind > 127 && kind < 255, kind == 0: // transfers among them, and what is no record (RFC 6895, 3.1)
		return Refused
	}
	return Asked
}

// readEDNS is false when the message has EDNS twice, or where it cannot be.
func (q *Query) readEDNS() bool {
	for _, rr := range q.msg.Extra {
		opt, ok := rr.(*miekg.OPT)
		if !ok {
			continue
		}
		if q.edns != nil || opt.Hdr.Name != "." {
			return false
		}
		q.edns = opt
		if !q.tcp {
			q.limit = min(max(leastAnswer, int(opt.UDPSize())), mostAnswer)
		}
	}
	return true
}

// reply is an answer that says nothing yet.
func (q *Query) reply() *miekg.Msg {
	m := &miekg.Msg{Question: q.msg.Question}
	m.Id, m.Response, m.Opcode = q.msg.Id, true, q.msg.Opcode
	m.RecursionDesired, m.CheckingDisabled = q.msg.RecursionDesired, q.msg.CheckingDisabled
	return m
}

// refuse is the answer to what is no proper query.
func (q *Query) refuse() []byte {
	m := q.reply()
	switch q.wrong {
	case Refused:
		m.Rcode = miekg.RcodeRefused
	case NotKnown:
		m.Rcode = miekg.RcodeBadVers
		if q.edns == nil {
			m.Rcode, m.Question = miekg.RcodeNotImplemented, nil // whatever was there
		}
	default:
		m.Rcode, m.Question, q.edns = miekg.RcodeFormatError, nil, nil
	}
	return q.pack(m)
}

// pack writes a message. Where it is too long for the client it is cut, and says so.
func (q *Query) pack(m *miekg.Msg) []byte {
	if q.edns != nil {
		opt := &miekg.OPT{Hdr: miekg.RR_Header{Name: ".", Rrtype: miekg.TypeOPT}}
		opt.SetUDPSize(mostAnswer)
		if q.edns.Do() {
			opt.SetDo()
		}
		m.Extra = append(m.Extra, opt)
	}
	limit := q.limit
	if !q.tcp && q.mtu > 0 {
		limit = max(leastAnswer, min(limit, q.mtu-ipv4Header-udpHeader))
	}
	m.Truncate(limit)
	m.Compress = true
	b, err := m.Pack()
	if err != nil || len(b) > limit { // a resolver's answer that cannot be said again
		header := q.reply().MsgHdr
		header.Rcode = miekg.RcodeServerFailure
		b, _ = (&miekg.Msg{MsgHdr: header}).Pack() // of a header alone it never fails
	}
	return b
}

// Answer answers what is ours, and what is no proper query. Where the outcome is Forward there is no answer yet.
func (q *Query) Answer(f *Facts) (answer []byte, outcome Outcome) {
	q.mtu = f.MTU
	if q.wrong != Asked {
		return q.refuse(), q.wrong
	}
	m := q.reply()
	m.RecursionAvailable = f.Forwards
	switch outcome = q.lookUp(f, m); outcome {
	case NoName:
		m.Rcode = miekg.RcodeNameError
	case Forward:
		if f.Forwards && q.msg.RecursionDesired {
			return nil, Forward
		}
		m.Rcode, outcome = miekg.RcodeRefused, Refused
	}
	return q.pack(m), outcome
}

// lookUp fills in what is known of the question.
func (q *Query) lookUp(f *Facts, m *miekg.Msg) Outcome {
	name := strings.ToLower(q.msg.Question[0].Name)
	if zone := zoneOf(name, f.Zones); zone != "" {
		m.Authoritative = true
		return q.forward(f, m, name, zone)
	}
	if block, ok := parseReverse(name); ok {
		for _, ours := range f.Blocks {
			if ours.Bits() <= block.Bits() && ours.Contains(block.Addr()) {
				outcome := q.reverse(f, m, block, reverseZone(ours))
				if outcome == NoName && f.Forwards && !block.Addr().IsPrivate() {
					return Forward // of a machine that is no port, and that the world may know
				}
				m.Authoritative = true
				return outcome
			}
		}
	}
	return Forward
}

// zoneOf is the innermost of the zones that a name is in; "": none.
func zoneOf(name string, zones []string) (found string) {
	for _, z := range zones {
		if len(z) > len(found) && (name == z || strings.HasSuffix(name, "."+z)) {
			found = z
		}
	}
	return found
}

// forward looks for a name's addresses.
func (q *Query) forward(f *Facts, m *miekg.Msg, name, zone string) Outcome {
	if name == zone {
		return q.apex(f, m, zone)
	}
	addrs, known := f.Names.Addrs(name)
	kind := q.msg.Question[0].Qtype
	for _, a := range addrs {
		switch {
		case a.Is4() && (kind == miekg.TypeA || kind == miekg.TypeANY):
			m.Answer = append(m.Answer, &miekg.A{Hdr: q.header(miekg.TypeA), A: a.AsSlice()})
		case a.Is6() && (kind == miekg.TypeAAAA || kind == miekg.TypeANY):
			m.Answer = append(m.Answer, &miekg.AAAA{Hdr: q.header(miekg.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	return q.conclude(f, m, zone, known)
}

// reverse looks for an address's name. A shorter name than an address's has such below it.
func (q *Query) reverse(f *Facts, m *miekg.Msg, block netip.Prefix, zone string) Outcome {
	if strings.EqualFold(q.msg.Question[0].Name, zone) {
		return q.apex(f, m, zone)
	}
	known := !block.IsSingleIP()
	if !known {
		called := f.Names.Called(block.Addr())
		known = called != ""
		if kind := q.msg.Question[0].Qtype; known && (kind == miekg.TypePTR || kind == miekg.TypeANY) {
			m.Answer = append(m.Answer, &miekg.PTR{Hdr: q.header(miekg.TypePTR), Ptr: called})
		}
	}
	return q.conclude(f, m, zone, known)
}

// apex is what a zone has by itself.
func (q *Query) apex(f *Facts, m *miekg.Msg, zone string) Outcome {
	kind := q.msg.Question[0].Qtype
	soa := q.authority(f, zone)
	if kind == miekg.TypeSOA || kind == miekg.TypeANY {
		m.Answer = append(m.Answer, soa)
	}
	if kind == miekg.TypeNS || kind == miekg.TypeANY {
		m.Answer = append(m.Answer, &miekg.NS{Hdr: q.header(miekg.TypeNS), Ns: soa.Ns})
	}
	return q.conclude(f, m, zone, true)
}

// conclude is the outcome of what was found. A denial says how long it is good for (RFC 2308).
func (q *Query) conclude(f *Facts, m *miekg.Msg, zone string, known bool) Outcome {
	if len(m.Answer) > 0 {
		return Answered
	}
	m.Ns = append(m.Ns, q.authority(f, zone))
	if known {
		return NoData
	}
	return NoName
}

func (q *Query) header(kind uint16) miekg.RR_Header {
	return miekg.RR_Header{Name: q.msg.Question[0].Name, Rrtype: kind, Class: miekg.ClassINET, Ttl: keepAnswer}
}

func (q *Query) authority(f *Facts, zone string) *miekg.SOA {
	server := f.Names.Called(f.Server)
	if server == "" {
		server = zone
	}
	mailbox := "hostmaster." + zone
	if len(mailbox) > signalbox.MaxName {
		mailbox = "."
	}
	return &miekg.SOA{
		Hdr: miekg.RR_Header{Name: zone, Rrtype: miekg.TypeSOA, Class: miekg.ClassINET, Ttl: keepDenial},
		Ns:  server, Mbox: mailbox, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: keepDenial,
	}
}
