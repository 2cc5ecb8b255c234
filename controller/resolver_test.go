package controller

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/signalbox-sdn/signalbox"
	ours "github.com/signalbox-sdn/signalbox/dns"
)

// asked is a VM's question by UDP for example.org.
func asked(t *testing.T) *ours.Query {
	t.Helper()
	message, err := new(dns.Msg).SetQuestion("example.org.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, ethernetHeader+ipv4Header+8, 200)
	frame[12], frame[13] = 0x08, 0x00
	ip := frame[ethernetHeader:]
	ip[0], ip[9] = 0x45, protocolUDP
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Header+8+len(message)))
	copy(ip[12:], []byte{10, 0, 0, 3, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:ipv4Header]))
	binary.BigEndian.PutUint16(ip[ipv4Header+2:], 53)
	binary.BigEndian.PutUint16(ip[ipv4Header+4:], uint16(8+len(message)))
	r, _, outcome := ours.Read(append(frame, message...), new(ours.Cookies), time.Now())
	if r == nil {
		t.Fatal(outcome)
	}
	return r.Queries[0]
}

// upstream is a resolver that answers each question with what answer makes of it.
func upstream(t *testing.T, answer func(asked []byte) (answers [][]byte)) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			for _, a := range answer(b[:n]) {
				_, _ = c.WriteTo(a, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func reply(asked []byte, change func(m *dns.Msg)) []byte {
	q := new(dns.Msg)
	if q.Unpack(asked) != nil {
		return nil
	}
	m := new(dns.Msg).SetReply(q)
	change(m)
	b, _ := m.Pack()
	return b
}

// code is the code of an answer.
func code(t *testing.T, answer []byte) int {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	return m.Rcode
}

func TestOnlyTheRightAnswerIsBelieved(t *testing.T) {
	server := upstream(t, func(asked []byte) [][]byte {
		return [][]byte{
			reply(asked, func(m *dns.Msg) { m.Id++ }), reply(asked, func(m *dns.Msg) { m.Question[0].Name = "example.net." }), {1, 2, 3}, {},
			reply(asked, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), reply(asked, func(*dns.Msg) {}),
		}
	})
	r := newResolver([]netip.AddrPort{server}, newMetrics().forwarded)
	answer, ok := r.resolve(context.Background(), asked(t))
	if !ok || code(t, answer) != dns.RcodeNameError {
		t.Error("another answer came")
	}
}

func TestAResolverThatIsAwayIsPassedOver(t *testing.T) {
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	there := upstream(t, func(asked []byte) [][]byte { return [][]byte{reply(asked, func(*dns.Msg) {})} })
	r := newResolver([]netip.AddrPort{gone.LocalAddr().(*net.UDPAddr).AddrPort(), there}, newMetrics().forwarded)
	answered := make(chan map[int][]byte, 1)
	if !r.ask(context.Background(), 1, map[int]*ours.Query{0: asked(t), 3: asked(t)}, func(answers map[int][]byte) { answered <- answers }) {
		t.Fatal("not asked")
	}
	if a := <-answered; len(a) != 2 || code(t, a[0]) != dns.RcodeSuccess || code(t, a[3]) != dns.RcodeSuccess {
		t.Error("it failed")
	}
	r.running.Wait()
	if r.all != 0 || len(r.of) != 0 {
		t.Errorf("%d questions are still under way", r.all)
	}
}

func TestQuestionsUnderWayAreBounded(t *testing.T) {
	silent := upstream(t, func([]byte) [][]byte { return nil })
	r := newResolver([]netip.AddrPort{silent}, newMetrics().forwarded)
	ctx, cancel := context.WithCancel(context.Background())
	answers := make(chan map[int][]byte, 2*maxForwardedOfPort)
	two := map[int]*ours.Query{0: asked(t), 1: asked(t)}
	for port := range signalbox.PortKey(2) {
		for n := range maxForwardedOfPort/2 + 5 {
			if got := r.ask(ctx, port, two, func(a map[int][]byte) { answers <- a }); got != (n < maxForwardedOfPort/2) {
				t.Fatalf("question %d of port %d: %v", n, port, got)
			}
		}
	}
	r.mu.Lock()
	r.all += maxForwarded - 2*maxForwardedOfPort
	r.mu.Unlock()
	if r.ask(ctx, 3, two, nil) {
		t.Error("more than the bound are under way")
	}
	cancel()
	r.running.Wait()
	for range maxForwardedOfPort {
		if a := <-answers; len(a) != 2 || code(t, a[0]) != dns.RcodeServerFailure || code(t, a[1]) != dns.RcodeServerFailure {
			t.Error("no answer is an answer")
		}
	}
}
