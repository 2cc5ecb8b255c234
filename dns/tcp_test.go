package dns

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/signalbox-sdn/signalbox"
)

// conversation is a client's side of a TCP connection.
type conversation struct {
	peer
	seq, next uint32 // ours to send next, and what we expect
	window    uint16
}

func newConversation() *conversation {
	return &conversation{peer: peer{mac: serverMAC, serverMAC: guestMAC, addr: server, server: guest, port: serverPort}, seq: 1000, window: 64240}
}

// send is a segment of the client's.
func (c *conversation) send(flags byte, data []byte) []byte {
	c.tcp = &segment{next: c.next}
	f := c.segment(c.seq, flags, data)
	b := f[ethernetHeader+ipv4Header:]
	binary.BigEndian.PutUint16(b[0:], 40000)
	binary.BigEndian.PutUint16(b[14:], c.window)
	copy(b[16:], []byte{0, 0})
	binary.BigEndian.PutUint16(b[16:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(b, c.pseudoHeader(protocolTCP, len(b)))))
	return f
}

func (c *conversation) syn() []byte { return c.send(syn, nil) }

// open takes the handshake's other half.
func (c *conversation) open(t testing.TB) {
	t.Helper()
	q, frames, outcome := Read(c.syn(), cookies, noon)
	if q != nil || outcome != Transport || len(frames) != 1 {
		t.Fatalf("%v, %d frames", outcome, len(frames))
	}
	s, _ := heard(t, frames[0])
	if s.flags != syn|ack || s.ack != c.seq+1 {
		t.Fatalf("%+v", s)
	}
	c.seq, c.next = c.seq+1, s.seq+1
}

// data is a message with its length before it, if it is to be whole.
func (c *conversation) data(message []byte, whole bool) []byte {
	if whole {
		message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	}
	return c.send(psh|ack, message)
}

// heard takes a segment to the client apart.
func heard(t testing.TB, frame []byte) (*segment, []byte) {
	t.Helper()
	packet := frame[ethernetHeader:]
	s, data, ok := parseTCP(packet[12:20], packet[ipv4Header:])
	if !ok || signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:ipv4Header], 0)) != 0xffff || binary.BigEndian.Uint16(packet[ipv4Header+2:]) != 40000 {
		t.Fatalf("% x", packet)
	}
	return s, data
}

// listen puts answers together, and checks that their segments follow each other and end the connection.
func (c *conversation) listen(t testing.TB, frames [][]byte) (answers []*miekg.Msg) {
	t.Helper()
	var all []byte
	for i, f := range frames {
		s, data := heard(t, f)
		if s.seq != c.next || s.ack != c.seq || (s.flags&fin != 0) != (i == len(frames)-1) || len(data) > mostSegment {
			t.Errorf("segment %d: %+v, expected %d and acknowledged %d", i, s, c.next, c.seq)
		}
		all, c.next = append(all, data...), c.next+uint32(len(data))
	}
	messages, taken := split(all)
	if taken != len(all) || len(messages) == 0 {
		t.Fatalf("% x", all)
	}
	for _, m := range messages {
		answers = append(answers, unpacked(t, m))
	}
	return answers
}

// answered is what a frame's request gets.
func answered(t testing.TB, frame []byte, now time.Time) [][]byte {
	t.Helper()
	r, frames, outcome := Read(frame, cookies, now)
	if outcome != Asked || frames != nil || r.Server() != server {
		t.Fatalf("%v, %d frames", outcome, len(frames))
	}
	var answers [][]byte
	for _, q := range r.Queries {
		answer, outcome := q.Answer(facts())
		if !q.TCP() || outcome == Forward {
			t.Fatal(outcome)
		}
		answers = append(answers, answer)
	}
	return r.Frames(facts(), answers)
}

func TestAQueryByTCP(t *testing.T) {
	c := newConversation()
	c.open(t)
	message := packed(t, question("many.lab.example.", miekg.TypeA))
	frame := c.data(message, true)
	for range 2 { // the second time it is a retransmission
		c := *c
		frames := answered(t, frame, noon.Add(cookieAge))
		c.seq += 2 + uint32(len(message))
		if m := c.listen(t, frames); len(m) != 1 || len(m[0].Answer) != 100 || m[0].Truncated || len(frames) < 2 {
			t.Errorf("%d answers in %d segments", len(m), len(frames))
		}
	}
	c.seq, c.next = c.seq+2+uint32(len(message)), c.next+5000
	if _, frames, _ := Read(c.send(ack, nil), cookies, noon); frames != nil {
		t.Error("an acknowledgement is answered")
	}
	_, frames, _ := Read(c.send(fin|ack, nil), cookies, noon)
	if s, data := heard(t, frames[0]); s.flags != ack || s.ack != c.seq+1 || s.seq != c.next || len(data) != 0 {
		t.Errorf("the end: %+v", s)
	}
}

func TestAQueryWhoseLengthComesBefore(t *testing.T) {
	c := newConversation()
	c.open(t)
	message := packed(t, question("vm.lab.example.", miekg.TypeA))
	_, frames, _ := Read(c.send(ack, binary.BigEndian.AppendUint16(nil, uint16(len(message)))), cookies, noon)
	c.seq += 2
	if s, _ := heard(t, frames[0]); s.flags != ack || s.ack != c.seq {
		t.Fatalf("%+v", s)
	}
	frames = answered(t, c.data(message, false), noon)
	c.seq += uint32(len(message))
	if m := c.listen(t, frames); len(m) != 1 || len(m[0].Answer) != 1 {
		t.Errorf("%v", m)
	}
}

// TestQueriesThatComeTogether: C libraries ask for both families in one segment.
func TestQueriesThatComeTogether(t *testing.T) {
	c := newConversation()
	c.open(t)
	var data []byte
	sent := 0
	for i, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA, miekg.TypeMX, miekg.TypeTXT, miekg.TypeA} {
		m := packed(t, question("vm.lab.example.", kind))
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(m))), m...)
		if i < mostQueries {
			sent = len(data)
		}
	}
	frames := answered(t, c.send(psh|ack, data), noon)
	c.seq += uint32(sent) // no more is acknowledged
	m := c.listen(t, frames)
	if len(m) != mostQueries || len(m[0].Answer) != 1 || len(m[1].Answer) != 1 || m[1].Question[0].Qtype != miekg.TypeAAAA || len(m[2].Answer) != 0 {
		t.Errorf("%v", m)
	}
}

func TestAForwardedQueryByTCPIsAcknowledgedAtOnce(t *testing.T) {
	c := newConversation()
	c.open(t)
	message := packed(t, question("example.org.", miekg.TypeA))
	r, _, _ := Read(c.data(message, true), cookies, noon)
	_, outcome := r.Queries[0].Answer(facts())
	frames := r.Acknowledge(facts())
	c.seq += 2 + uint32(len(message))
	if s, data := heard(t, frames[0]); outcome != Forward || s.flags != ack || s.ack != c.seq || len(data) != 0 {
		t.Errorf("%v: %+v", outcome, s)
	}
	// Another query that comes before the answer must not end the connection.
	more := *c
	if r, frames, outcome := Read(more.data(message, true), cookies, noon); r != nil || frames != nil || outcome != Transport {
		t.Errorf("a second query: %v, %d frames", outcome, len(frames))
	}
	up, _ := r.Queries[0].Upstream(5)
	answer, ok := r.Queries[0].Relay(5, resolve(t, up, nil))
	if m := c.listen(t, r.Frames(facts(), [][]byte{answer})); !ok || len(m[0].Answer) != 3 {
		t.Errorf("%v", m)
	}
}

func TestAnAnswerByTCPFitsTheClientsWindow(t *testing.T) {
	c := newConversation()
	c.open(t)
	c.window = 1000
	message := packed(t, question("many.lab.example.", miekg.TypeA))
	frames := answered(t, c.data(message, true), noon)
	c.seq += 2 + uint32(len(message))
	m := c.listen(t, frames)[0]
	if m.Compress = true; !m.Truncated || m.Len() > 1000 {
		t.Errorf("%d addresses, cut: %v", len(m.Answer), m.Truncated)
	}
}

func TestSegmentsOfNoConnectionAreReset(t *testing.T) {
	message := packed(t, question("vm.lab.example.", miekg.TypeA))
	for name, test := range map[string]func(c *conversation) ([]byte, time.Time){
		"never opened":     func(c *conversation) ([]byte, time.Time) { c.next = 7; return c.data(message, true), noon },
		"opened long ago":  func(c *conversation) ([]byte, time.Time) { return c.data(message, true), noon.Add(3 * cookieAge) },
		"half a length":    func(c *conversation) ([]byte, time.Time) { return c.send(ack, []byte{0}), noon },
		"half a query":     func(c *conversation) ([]byte, time.Time) { return c.send(ack, []byte{0, 200, 1, 2, 3}), noon },
		"after the answer": func(c *conversation) ([]byte, time.Time) { c.next += placeMask + 1; return c.data(message, true), noon },
		"of another port": func(c *conversation) ([]byte, time.Time) {
			c.server = netip.MustParseAddr("10.0.0.4")
			return c.data(message, true), noon
		},
	} {
		c := newConversation()
		c.open(t)
		frame, now := test(c)
		r, frames, outcome := Read(frame, cookies, now)
		if r != nil || outcome != Transport || len(frames) != 1 {
			t.Errorf("%s: %v, %d frames", name, outcome, len(frames))
			continue
		}
		if s, _ := heard(t, frames[0]); s.flags != rst|ack || s.seq != c.next {
			t.Errorf("%s: %+v", name, s)
		}
	}
	c := newConversation()
	c.open(t)
	for _, flags := range []byte{rst, rst | ack, syn | ack, 0, fin, ack} {
		if r, frames, outcome := Read(c.send(flags, nil), cookies, noon); r != nil || frames != nil || outcome != Transport {
			t.Errorf("flags %x are answered", flags)
		}
	}
}
