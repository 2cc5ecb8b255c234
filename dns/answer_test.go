package dns

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/signalbox-sdn/signalbox"
)

var (
	guestMAC  = signalbox.MustMAC("fa:16:3e:00:00:03")
	serverMAC = signalbox.MustMAC("fa:16:3e:00:00:02")
	guest     = netip.MustParseAddr("10.0.0.3")
	server    = netip.MustParseAddr("10.0.0.2")
	noon      = time.Unix(1_800_000_000, 0)
	cookies   = &Cookies{Secret: [16]byte{1, 2, 3}}
)

// book is the names of a test: full name to addresses.
type book map[string][]netip.Addr

func (b book) Addrs(name string) (addrs []netip.Addr, known bool) {
	for other := range b {
		known = known || other == name || strings.HasSuffix(other, "."+name)
	}
	return b[name], known
}

func (b book) Called(a netip.Addr) string {
	for name, addrs := range b {
		if slices.Contains(addrs, a) {
			return name
		}
	}
	return ""
}

func facts() *Facts {
	addrs := func(s ...string) (out []netip.Addr) {
		for _, a := range s {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	many := addrs()
	for i := range 100 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}))
	}
	return &Facts{
		Zones:  []string{"lab.example.", "deep.lab.example."},
		Blocks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/20"), netip.MustParsePrefix("fd00:1::/64"), netip.MustParsePrefix("203.0.113.0/24")},
		Names: book{
			"host-10-0-0-2.lab.example.": addrs("10.0.0.2"), "vm.lab.example.": addrs("10.0.0.9", "fd00:1::9"), "six.lab.example.": addrs("fd00:1::6", "203.0.113.6"),
			"a.b.lab.example.": addrs("10.0.0.7"), "many.lab.example.": many,
		},
		Forwards: true, MTU: 1450, Server: server, ServerMAC: serverMAC,
	}
}

// question is a client's query; id 0xabcd.
func question(name string, kind uint16) *miekg.Msg {
	m := new(miekg.Msg)
	m.SetQuestion(name, kind)
	m.Id = 0xabcd
	return m
}

// from is a packet from the guest to the server, made as ours are with the two exchanged.
func from(payload []byte) []byte {
	p := peer{mac: serverMAC, serverMAC: guestMAC, addr: server, server: guest, port: 40000}
	f := p.datagram(payload)
	udp := f[ethernetHeader+ipv4Header:]
	binary.BigEndian.PutUint16(udp[0:], 40000)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	return f
}

func packed(t testing.TB, m *miekg.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// received takes an answer by UDP apart, and checks what must hold of every one.
func received(t testing.TB, frames [][]byte) *miekg.Msg {
	t.Helper()
	if len(frames) != 1 {
		t.Fatalf("%d frames", len(frames))
	}
	f := frames[0]
	if signalbox.MAC(f[:6]) != guestMAC || signalbox.MAC(f[6:12]) != serverMAC {
		t.Errorf("from % x to % x", f[6:12], f[:6])
	}
	packet := f[ethernetHeader:]
	udp := packet[ipv4Header:]
	if !bytes.Equal(packet[12:20], []byte{10, 0, 0, 2, 10, 0, 0, 3}) || signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:ipv4Header], 0)) != 0xffff ||
		signalbox.ChecksumFold(signalbox.ChecksumSum(udp, signalbox.ChecksumSum(packet[12:20], protocolUDP+uint32(len(udp))))) != 0xffff ||
		binary.BigEndian.Uint16(udp) != serverPort || binary.BigEndian.Uint16(udp[2:]) != 40000 || int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		t.Errorf("headers % x", packet[:ipv4Header+udpHeader])
	}
	return unpacked(t, udp[udpHeader:])
}

func unpacked(t testing.TB, b []byte) *miekg.Msg {
	t.Helper()
	m := new(miekg.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	if !m.Response || m.Id != 0xabcd {
		t.Errorf("header %v", m.MsgHdr)
	}
	return m
}

// ask asks by UDP.
func ask(t testing.TB, m *miekg.Msg, f *Facts) (*miekg.Msg, Outcome) {
	t.Helper()
	r, frames, outcome := Read(from(packed(t, m)), cookies, noon)
	if r == nil || frames != nil {
		t.Fatalf("%v, %d frames", outcome, len(frames))
	}
	answer, outcome := r.Queries[0].Answer(f)
	if outcome == Forward {
		if answer != nil || r.Acknowledge(f) != nil {
			t.Error("there is an answer already")
		}
		return nil, outcome
	}
	return received(t, r.Frames(f, [][]byte{answer})), outcome
}

// said is the records of an answer, without their names and times.
func said(rrs []miekg.RR) (out []string) {
	for _, rr := range rrs {
		out = append(out, strings.ReplaceAll(strings.TrimPrefix(rr.String(), rr.Header().String()), "\t", " "))
	}
	return out
}

func TestNamesOfOurs(t *testing.T) {
	for _, test := range []struct {
		name    string
		kind    uint16
		outcome Outcome
		answer  []string
	}{
		{"vm.lab.example.", miekg.TypeA, Answered, []string{"10.0.0.9"}},
		{"vm.lab.example.", miekg.TypeAAAA, Answered, []string{"fd00:1::9"}},
		{"vm.lab.example.", miekg.TypeANY, Answered, []string{"10.0.0.9", "fd00:1::9"}},
		{"vm.lab.example.", miekg.TypeMX, NoData, nil},
		{"six.lab.example.", miekg.TypeA, Answered, []string{"203.0.113.6"}},
		{"many.lab.example.", miekg.TypeAAAA, NoData, nil},
		{"a.b.lab.example.", miekg.TypeA, Answered, []string{"10.0.0.7"}},
		{"b.lab.example.", miekg.TypeA, NoData, nil}, // there is a name below it
		{"c.lab.example.", miekg.TypeA, NoName, nil},
		{"m.lab.example.", miekg.TypeA, NoName, nil},
		{"lab.example.", miekg.TypeA, NoData, nil},
		{"lab.example.", miekg.TypeSOA, Answered, []string{"host-10-0-0-2.lab.example. hostmaster.lab.example. 1 3600 600 86400 5"}},
		{"lab.example.", miekg.TypeNS, Answered, []string{"host-10-0-0-2.lab.example."}},
		{"9.0.0.10.in-addr.arpa.", miekg.TypePTR, Answered, []string{"vm.lab.example."}},
		{"9.0.0.10.in-addr.arpa.", miekg.TypeA, NoData, nil},
		{"8.0.0.10.in-addr.arpa.", miekg.TypePTR, NoName, nil},
		{"0.0.10.in-addr.arpa.", miekg.TypePTR, NoData, nil},
		{"9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.", miekg.TypePTR, Answered, []string{"vm.lab.example."}},
		{"8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.", miekg.TypePTR, NoName, nil},
		{"0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.", miekg.TypeSOA, Answered, []string{"host-10-0-0-2.lab.example. hostmaster.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa. 1 3600 600 86400 5"}},
		{"6.113.0.203.in-addr.arpa.", miekg.TypePTR, Answered, []string{"six.lab.example."}},
		{"6.113.0.203.in-addr.arpa.", miekg.TypeTXT, NoData, nil},
		// Not ours:
		{"7.113.0.203.in-addr.arpa.", miekg.TypePTR, Forward, nil}, // a machine of the outside
		{"10.in-addr.arpa.", miekg.TypePTR, Forward, nil},
		{"0.10.in-addr.arpa.", miekg.TypeSOA, Forward, nil},
		{"9.16.0.10.in-addr.arpa.", miekg.TypePTR, Forward, nil},
		{"09.0.0.10.in-addr.arpa.", miekg.TypePTR, Forward, nil},
		{"example.", miekg.TypeA, Forward, nil},
		{"xlab.example.", miekg.TypeA, Forward, nil},
		{".", miekg.TypeNS, Forward, nil},
		{"www.example.org.", miekg.TypeHTTPS, Forward, nil},
		{"vm.lab.example.", miekg.TypeAXFR, Refused, nil},
		{"vm.lab.example.", miekg.TypeIXFR, Refused, nil},
		{"vm.lab.example.", miekg.TypeTKEY, Refused, nil},
	} {
		asked := test.name
		if len(asked) > 30 {
			asked = asked[:10] + "…"
		}
		t.Run(asked+miekg.TypeToString[test.kind], func(t *testing.T) {
			m, outcome := ask(t, question(test.name, test.kind), facts())
			if outcome != test.outcome {
				t.Fatal(outcome)
			}
			if m == nil {
				return
			}
			if got := said(m.Answer); !slices.Equal(got, test.answer) {
				t.Errorf("answered %q", got)
			}
			if want := map[Outcome]int{NoName: miekg.RcodeNameError, Refused: miekg.RcodeRefused}[outcome]; m.Rcode != want {
				t.Errorf("code %d, want %d", m.Rcode, want)
			}
			denied := outcome == NoData || outcome == NoName
			if denied != (len(m.Ns) == 1) || denied && (m.Ns[0].Header().Rrtype != miekg.TypeSOA || !strings.HasSuffix(test.name, m.Ns[0].Header().Name)) {
				t.Errorf("authority %v", m.Ns)
			}
			if m.Authoritative != (outcome != Refused) || m.Question[0].Name != test.name {
				t.Errorf("%v", m)
			}
		})
	}
}

func TestTheApexOfAReverseZone(t *testing.T) {
	for block, zone := range map[string]string{"10.0.0.0/20": "0.10.in-addr.arpa.", "10.0.0.0/24": "0.0.10.in-addr.arpa.", "10.0.0.64/26": "0.0.10.in-addr.arpa.",
		"0.0.0.0/0": "in-addr.arpa.", "fd00:1::/64": "0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.", "2001:db8::/33": "8.b.d.0.1.0.0.2.ip6.arpa."} {
		if got := reverseZone(netip.MustParsePrefix(block)); got != zone {
			t.Errorf("%s is in %s, want %s", block, got, zone)
		}
	}
	f := facts()
	f.Blocks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	if m, outcome := ask(t, question("0.0.10.in-addr.arpa.", miekg.TypeSOA), f); outcome != Answered || len(m.Answer) != 1 {
		t.Errorf("%v: %v", outcome, m)
	}
}

func TestCaseIsKeptAndDoesNotMatter(t *testing.T) {
	const name = "vM.LaB.eXAmple."
	m, outcome := ask(t, question(name, miekg.TypeA), facts())
	if outcome != Answered || m.Question[0].Name != name || m.Answer[0].Header().Name != name {
		t.Errorf("%v: %v", outcome, m)
	}
	if m, _ := ask(t, question("9.0.0.10.IN-addr.ARPA.", miekg.TypePTR), facts()); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
}

func TestAnswersFitWhatTheClientTakes(t *testing.T) {
	for _, test := range []struct{ says, mtu, limit int }{{0, 1450, 512}, {100, 1450, 512}, {900, 1450, 900}, {4096, 1450, 1232}, {4096, 1000, 972}, {4096, 0, 1232}} {
		m := question("many.lab.example.", miekg.TypeA)
		if test.says > 0 {
			m.SetEdns0(uint16(test.says), true)
		}
		f := facts()
		f.MTU = test.mtu
		a, _ := ask(t, m, f)
		a.Compress = true
		if size := a.Len(); !a.Truncated || size > test.limit || size < test.limit-64 || len(a.Answer) == 0 {
			t.Errorf("%+v: %d bytes with %d addresses, cut: %v", test, size, len(a.Answer), a.Truncated)
		}
		opt := a.IsEdns0()
		if (opt != nil) != (test.says > 0) || opt != nil && (opt.UDPSize() != mostAnswer || !opt.Do()) {
			t.Errorf("%+v: EDNS %v", test, opt)
		}
	}
}

func TestWhatIsNoProperQuery(t *testing.T) {
	good := packed(t, question("vm.lab.example.", miekg.TypeA))
	change := func(f func(m *miekg.Msg)) []byte {
		m := question("vm.lab.example.", miekg.TypeA)
		f(m)
		return packed(t, m)
	}
	opt := func(version uint8, name string) miekg.RR {
		o := &miekg.OPT{Hdr: miekg.RR_Header{Name: name, Rrtype: miekg.TypeOPT}}
		o.SetVersion(version)
		return o
	}
	for name, test := range map[string]struct {
		message []byte
		outcome Outcome
		code    int
	}{
		"nothing":          {nil, Silent, 0},
		"half a header":    {good[:11], Silent, 0},
		"an answer":        {change(func(m *miekg.Msg) { m.Response = true }), Silent, 0},
		"a header alone":   {append(bytes.Clone(good[:4]), make([]byte, 8)...), FormError, miekg.RcodeFormatError},
		"half a question":  {good[:15], FormError, miekg.RcodeFormatError},
		"two questions":    {change(func(m *miekg.Msg) { m.Question = append(m.Question, m.Question[0]) }), FormError, miekg.RcodeFormatError},
		"EDNS twice":       {change(func(m *miekg.Msg) { m.Extra = []miekg.RR{opt(0, "."), opt(0, ".")} }), FormError, miekg.RcodeFormatError},
		"EDNS with a name": {change(func(m *miekg.Msg) { m.Extra = []miekg.RR{opt(0, "a.")} }), FormError, miekg.RcodeFormatError},
		"EDNS 1":           {change(func(m *miekg.Msg) { m.Extra = []miekg.RR{opt(1, ".")} }), NotKnown, miekg.RcodeBadVers},
		"an update":        {change(func(m *miekg.Msg) { m.Opcode = miekg.OpcodeUpdate }), NotKnown, miekg.RcodeNotImplemented},
		"a notify":         {change(func(m *miekg.Msg) { m.Opcode = miekg.OpcodeNotify }), NotKnown, miekg.RcodeNotImplemented},
		"of Chaos":         {change(func(m *miekg.Msg) { m.Question[0].Qclass = miekg.ClassCHAOS }), Refused, miekg.RcodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			r, frames, outcome := Read(from(test.message), cookies, noon)
			if frames != nil || (r == nil) != (test.outcome == Silent) {
				t.Fatalf("%v", outcome)
			}
			if r == nil {
				if outcome != Silent {
					t.Error(outcome)
				}
				return
			}
			answer, outcome := r.Queries[0].Answer(facts())
			if outcome != test.outcome {
				t.Error(outcome)
			}
			frames = r.Frames(facts(), [][]byte{answer})
			if m := received(t, frames); m.Rcode != test.code || len(m.Answer) != 0 {
				t.Errorf("%v", m)
			}
		})
	}
}

func TestOthersNamesAreRefusedWhereNobodyIsToBeAsked(t *testing.T) {
	f := facts()
	f.Forwards = false
	if m, outcome := ask(t, question("7.113.0.203.in-addr.arpa.", miekg.TypePTR), f); outcome != NoName || !m.Authoritative {
		t.Errorf("an address of ours: %v %v", outcome, m)
	}
	if m, outcome := ask(t, question("example.org.", miekg.TypeA), f); outcome != Refused || m.Rcode != miekg.RcodeRefused || m.RecursionAvailable {
		t.Errorf("without resolvers: %v %v", outcome, m)
	}
	m := question("example.org.", miekg.TypeA)
	m.RecursionDesired = false
	if m, outcome := ask(t, m, facts()); outcome != Refused || m.Rcode != miekg.RcodeRefused || !m.RecursionAvailable {
		t.Errorf("without asking for recursion: %v %v", outcome, m)
	}
}

func TestDamagedPacketsAreMalformed(t *testing.T) {
	good := from(packed(t, question("vm.lab.example.", miekg.TypeA)))
	set := func(at int, values ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], values)
		return b
	}
	mended := func(at int, values ...byte) []byte {
		b := set(at, values...)
		copy(b[24:], []byte{0, 0})
		binary.BigEndian.PutUint16(b[24:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(b[14:34], 0)))
		return b
	}
	for name, frame := range map[string][]byte{
		"nothing": nil, "half a header": good[:30], "ARP": set(12, 8, 6), "IP version 6": mended(14, 0x65), "a short IP header": mended(14, 0x44),
		"an IP length beyond the frame": mended(16, 0xff, 0xff), "an IP length within the header": mended(16, 0, 19), "a wrong IP checksum": set(24, 1, 1),
		"SCTP": mended(23, 132), "a first fragment": mended(20, 0x20, 0), "a last fragment": mended(20, 0, 10), "half a UDP header": mended(16, 0, 24),
		"another port": set(36, 0, 54), "a UDP length beyond the packet": set(38, 0xff, 0xff), "a UDP length within its header": set(38, 0, 7),
		"a wrong UDP checksum": set(40, 1, 1), "UDP as TCP": mended(23, 6),
	} {
		if r, frames, outcome := Read(frame, cookies, noon); r != nil || frames != nil || outcome != Malformed {
			t.Errorf("%s: %v", name, outcome)
		}
	}
	partial := bytes.Clone(good)
	binary.BigEndian.PutUint16(partial[40:], signalbox.ChecksumFold(signalbox.ChecksumSum(partial[26:34], protocolUDP+uint32(len(partial)-34))))
	for name, frame := range map[string][]byte{"no UDP checksum": set(40, 0, 0), "one left to the NIC": partial, "padding": append(bytes.Clone(good), make([]byte, 40)...)} {
		if _, _, outcome := Read(frame, cookies, noon); outcome != Asked {
			t.Errorf("%s: %v", name, outcome)
		}
	}
}

func TestEveryOutcomeHasItsOwnName(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Outcomes() {
		if name := o.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("outcome %d is called %q", o, name)
		}
		seen[o.String()] = true
	}
	if outcomes.String() != "unknown" {
		t.Error("what is no outcome has a name")
	}
}

// forwarded is a query that is not ours to answer.
func forwarded(t testing.TB, m *miekg.Msg) (*Request, *Query) {
	t.Helper()
	r, _, _ := Read(from(packed(t, m)), cookies, noon)
	if r == nil {
		t.Fatal("no query")
	}
	if _, outcome := r.Queries[0].Answer(facts()); outcome != Forward {
		t.Fatal(outcome)
	}
	return r, r.Queries[0]
}

// relayed is what a client gets for a resolver's answer.
func relayed(t testing.TB, r *Request, id uint16, message []byte) *miekg.Msg {
	t.Helper()
	answer, ok := r.Queries[0].Relay(id, message)
	if !ok {
		t.Fatal("the answer is none")
	}
	return received(t, r.Frames(facts(), [][]byte{answer}))
}

// resolve is a resolver's answer to a query.
func resolve(t testing.TB, upstream []byte, change func(m *miekg.Msg)) []byte {
	t.Helper()
	asked, m := new(miekg.Msg), new(miekg.Msg)
	if err := asked.Unpack(upstream); err != nil {
		t.Fatal(err)
	}
	m.SetReply(asked)
	for i := range 3 {
		rr, err := miekg.NewRR(fmt.Sprintf("%s 300 IN A 192.0.2.%d", m.Question[0].Name, i))
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	m.SetEdns0(4096, false)
	if change != nil {
		change(m)
	}
	return packed(t, m)
}

func TestOtherNamesAreForwarded(t *testing.T) {
	m := question("wWw.example.ORG.", miekg.TypeA)
	m.CheckingDisabled = true
	r, q := forwarded(t, m)
	up, err := q.Upstream(77)
	if err != nil {
		t.Fatal(err)
	}
	asked := new(miekg.Msg)
	if err := asked.Unpack(up); err != nil || asked.Id != 77 || !asked.RecursionDesired || !asked.CheckingDisabled || asked.Question[0] != m.Question[0] ||
		asked.IsEdns0().UDPSize() != mostAnswer {
		t.Errorf("asked %v: %v", asked, err)
	}
	a := relayed(t, r, 77, resolve(t, up, func(m *miekg.Msg) { m.Question[0].Name = "www.example.org."; m.Authoritative = true }))
	if len(a.Answer) != 3 || a.Question[0].Name != "wWw.example.ORG." || !a.RecursionAvailable || a.Authoritative || !a.CheckingDisabled || a.IsEdns0() != nil {
		t.Errorf("answered %v", a)
	}
	for name, change := range map[string]func(m *miekg.Msg){
		"another id":       func(m *miekg.Msg) { m.Id++ },
		"another name":     func(m *miekg.Msg) { m.Question[0].Name = "example.org." },
		"another type":     func(m *miekg.Msg) { m.Question[0].Qtype = miekg.TypeAAAA },
		"another class":    func(m *miekg.Msg) { m.Question[0].Qclass = miekg.ClassCHAOS },
		"no question":      func(m *miekg.Msg) { m.Question = nil },
		"a question":       func(m *miekg.Msg) { m.Response = false },
		"another question": func(m *miekg.Msg) { m.Question = append(m.Question, m.Question[0]) },
	} {
		if _, ok := q.Relay(77, resolve(t, up, change)); ok {
			t.Errorf("%s is taken for the answer", name)
		}
	}
	if _, ok := q.Relay(77, up[:10]); ok {
		t.Error("half a header is taken for the answer")
	}
	if a := received(t, r.Frames(facts(), [][]byte{q.Fail()})); a.Rcode != miekg.RcodeServerFailure {
		t.Errorf("failed with %v", a)
	}
	a = relayed(t, r, 77, resolve(t, up, func(m *miekg.Msg) { m.Rcode, m.Answer = miekg.RcodeNameError, nil }))
	if a.Rcode != miekg.RcodeNameError {
		t.Errorf("%v", a)
	}
	a = relayed(t, r, 77, resolve(t, up, func(m *miekg.Msg) { m.Rcode, m.Answer = miekg.RcodeBadVers, nil }))
	if a.Rcode != miekg.RcodeServerFailure { // a code that only EDNS can say
		t.Errorf("%v", a)
	}
}

func TestAResolversAnswerIsCutForTheClient(t *testing.T) {
	r, q := forwarded(t, question("example.org.", miekg.TypeTXT))
	up, _ := q.Upstream(1)
	long := func(m *miekg.Msg) {
		m.Answer = nil
		for i := range 20 {
			m.Answer = append(m.Answer, &miekg.TXT{Hdr: miekg.RR_Header{Name: m.Question[0].Name, Rrtype: miekg.TypeTXT, Class: 1}, Txt: []string{strings.Repeat("x", 50+i)}})
		}
	}
	a := relayed(t, r, 1, resolve(t, up, long))
	if !a.Truncated || len(a.Answer) >= 20 {
		t.Errorf("%d records, cut: %v", len(a.Answer), a.Truncated)
	}
	a = relayed(t, r, 1, resolve(t, up, func(m *miekg.Msg) { m.Truncated, m.Answer = true, nil }))
	if !a.Truncated {
		t.Error("it does not say that it was cut before")
	}
}

func FuzzFrame(f *testing.F) {
	m := question("vm.lab.example.", miekg.TypeANY)
	f.Add(from(packed(f, m)))
	f.Add(newConversation().syn())
	f.Add(newConversation().data(packed(f, m), true))
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		answerAny(t, frame)
		if !bytes.Equal(frame, before) {
			t.Error("the request was changed")
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, name := range []string{"vm.lab.example.", "example.org.", "9.0.0.10.in-addr.arpa."} {
		m := question(name, miekg.TypeANY)
		f.Add(packed(f, m))
		m.SetEdns0(4096, true)
		f.Add(packed(f, m))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		answerAny(t, from(message[:min(len(message), 1400)]))
	})
}

// answerAny answers whatever a frame asks, and checks what must hold of any answer.
func answerAny(t *testing.T, frame []byte) {
	r, frames, outcome := Read(frame, cookies, noon)
	if (r != nil) != (outcome == Asked) || r != nil && (len(r.Queries) == 0 || frames != nil) {
		t.Fatalf("%v, and a request: %v", outcome, r != nil)
	}
	if r != nil {
		var answers [][]byte
		for _, q := range r.Queries {
			answer, outcome := q.Answer(facts())
			if outcome == Forward {
				up, err := q.Upstream(1)
				if err != nil {
					t.Fatal(err)
				}
				if err := new(miekg.Msg).Unpack(up); err != nil {
					t.Fatal(err)
				}
				answer = q.Fail()
			}
			if err := new(miekg.Msg).Unpack(answer); err != nil {
				t.Errorf("%v with an answer that is none: %v", outcome, err)
			}
			answers = append(answers, answer)
		}
		frames = r.Frames(facts(), answers)
	}
	for _, f := range frames {
		if signalbox.ChecksumFold(signalbox.ChecksumSum(f[ethernetHeader:ethernetHeader+ipv4Header], 0)) != 0xffff || len(f) > ethernetHeader+1450 {
			t.Errorf("a frame of %d bytes: % x", len(f), f)
		}
	}
}

func FuzzRelay(f *testing.F) {
	r, q := forwarded(f, question("example.org.", miekg.TypeA))
	up, _ := q.Upstream(1)
	f.Add(resolve(f, up, nil))
	f.Fuzz(func(t *testing.T, message []byte) {
		if answer, ok := q.Relay(1, message); ok {
			if m := received(t, r.Frames(facts(), [][]byte{answer})); m.Question[0] != q.msg.Question[0] {
				t.Errorf("%v", m)
			}
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	frame, world := from(packed(b, question("vm.lab.example.", miekg.TypeA))), facts()
	b.ReportAllocs()
	for b.Loop() {
		r, _, _ := Read(frame, cookies, noon)
		answer, outcome := r.Queries[0].Answer(world)
		if outcome != Answered {
			b.Fatal(outcome)
		}
		r.Frames(world, [][]byte{answer})
	}
}
