package dns

import (
	"slices"
	"strings"

	miekg "github.com/miekg/dns"
)

// Upstream is the question to a resolver, under another id than the client's.
func (q *Query) Upstream(id uint16) ([]byte, error) {
	m := &miekg.Msg{Question: q.msg.Question}
	m.Id, m.RecursionDesired = id, true
	m.CheckingDisabled, m.AuthenticatedData = q.msg.CheckingDisabled, q.msg.AuthenticatedData
	m.SetEdns0(mostAnswer, q.edns != nil && q.edns.Do())
	return m.Pack()
}

// Relay is the answer to the client from a resolver's answer to Upstream. It is false where the message does not answer that: it
// may be anybody's, and the right one may still come.
func (q *Query) Relay(id uint16, message []byte) (answer []byte, ok bool) {
	m := new(miekg.Msg)
	if err := m.Unpack(message); err != nil || !m.Response || m.Id != id || m.Opcode != miekg.OpcodeQuery || len(m.Question) != 1 {
		return nil, false
	}
	asked, said := &q.msg.Question[0], &m.Question[0]
	if said.Qtype != asked.Qtype || said.Qclass != asked.Qclass || !strings.EqualFold(said.Name, asked.Name) {
		return nil, false
	}
	m.Id, m.Question = q.msg.Id, q.msg.Question
	m.RecursionDesired, m.CheckingDisabled = q.msg.RecursionDesired, q.msg.CheckingDisabled
	m.RecursionAvailable, m.Authoritative = true, false
	m.Extra = slices.DeleteFunc(m.Extra, func(rr miekg.RR) bool { return rr.Header().Rrtype == miekg.TypeOPT })
	return q.pack(m), true
}

// Fail tells the client that no resolver has answered.
func (q *Query) Fail() []byte {
	m := q.reply()
	m.RecursionAvailable = true
	m.Rcode = miekg.RcodeServerFailure
	return q.pack(m)
}
