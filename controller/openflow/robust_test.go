package openflow

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// deaf is a Handler that does not care.
type deaf struct{}

func (deaf) PacketIn(PacketIn)           {}
func (deaf) PortStatus(PortReason, Port) {}
func (deaf) FlowChanged(FlowEvent)       {}
func (deaf) SwitchError(*Error)          {}
func (deaf) RoleChanged(was, is Role)    {}

// captured are messages that Open vSwitch once sent (TestEveryKindOfMessageIsUnderstood -capture).
func captured(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/inbound/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captured messages: %v", err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if out[filepath.Base(p)], err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// FuzzMessage gives one message to a connection that waits for replies of every kind.
func FuzzMessage(f *testing.F) {
	for _, b := range captured(f) {
		f.Add(b)
	}
	f.Add([]byte{version, typeRoleReply, 0, 24, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{version, typeExperimenter, 0, 32, 0, 0, 0, 0, 'O', 'N', 'F', 0, 0, 0, 1911 >> 8, 1911 & 0xff, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _, err := readFrame(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			return
		}
		for _, kind := range []uint16{0, multipartFlow, multipartMeterConfig, multipartExperimenter} {
			c := newConn(nil, Options{MaxFlows: 1000}.withDefaults())
			c.expect(m.xid(), kind, func(body *cursor) error {
				var err error
				switch kind {
				case multipartFlow:
					var flows []Installed
					flows, err = decodeFlows(nil, body, Installed.keepWire)
					for i := range flows {
						_ = flows[i].Text(decimal)
					}
				case multipartDesc:
					_, err = decodeDescription(body)
				case multipartMeterConfig:
					_, err = decodeMeters(nil, body)
				}
				return err
			})
			_ = c.dispatch(bytes.Clone(m), deaf{})
		}
	})
}

// FuzzHandshake lets a peer say anything at all.
func FuzzHandshake(f *testing.F) {
	seeds := captured(f)
	f.Add(conversation(f))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"))
	for _, b := range seeds {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Handshake(t.Context(), &script{in: bytes.NewReader(b)}, Options{})
		if err == nil {
			_ = c.Run(t.Context(), deaf{})
		}
	})
}

// conversation is what a switch says in a handshake and after it.
func conversation(t testing.TB) []byte {
	seeds := captured(t)
	var out []byte
	for i, name := range []string{"type00-00008", "type06-00032", "type19-13-00144", "type12-00080", "type10-00118", "type21-00008"} {
		b := bytes.Clone(seeds[name+".hex"])
		if b == nil {
			t.Fatalf("no %s", name)
		}
		switch i { // as the requests are numbered
		case 1:
			binary.BigEndian.PutUint32(b[4:], 2)
		case 2:
			binary.BigEndian.PutUint32(b[4:], 3)
		}
		out = append(out, b...)
	}
	return out
}

// script is a peer that says what it was told to say and then hangs up.
type script struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6653} }

func TestScriptedHandshakeSucceeds(t *testing.T) {
	c, err := Handshake(t.Context(), &script{in: bytes.NewReader(conversation(t))}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.DatapathID() != 0xa1 || c.Bridge() != "br-int" || len(c.Ports()) != 2 {
		t.Errorf("datapath %s, bridge %q, ports %+v", c.DatapathID(), c.Bridge(), c.Ports())
	}
	if err := c.Run(t.Context(), deaf{}); !errors.Is(err, io.EOF) {
		t.Errorf("Run ended with %v", err)
	}
}

func TestEveryTruncationOfAMessageIsRefusedQuietly(t *testing.T) {
	for name, whole := range captured(t) {
		for n := headerSize; n < len(whole); n++ {
			b := bytes.Clone(whole[:n])
			binary.BigEndian.PutUint16(b[2:], uint16(n))
			c := newConn(nil, Options{}.withDefaults())
			func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("%s cut to %d bytes: %v", name, n, r)
					}
				}()
				_ = c.dispatch(b, deaf{})
			}()
		}
	}
}

func TestPeersThatDoNotSpeakOpenFlowAreRefusedSoon(t *testing.T) {
	for name, tt := range map[string]struct {
		say  []byte
		want error
	}{
		"a web client":         {say: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		"a TLS client":         {say: []byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}},
		"zeros":                {say: make([]byte, 64)},
		"a length of nothing":  {say: []byte{4, 0, 0, 0, 0, 0, 0, 1}},
		"a huge hello":         {say: []byte{4, 0, 0xff, 0xff, 0, 0, 0, 1}},
		"version 1.0":          {say: []byte{1, 0, 0, 8, 0, 0, 0, 1}, want: ErrVersion},
		"1.0 and 1.4 alone":    {say: []byte{5, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x22}, want: ErrVersion},
		"a hello cut short":    {say: []byte{4, 0, 0, 12, 0, 0, 0, 1, 0, 1, 0, 8}},
		"another version next": {say: []byte{4, 0, 0, 8, 0, 0, 0, 1, 1, 6, 0, 8, 0, 0, 0, 2}},
		"features cut short":   {say: []byte{4, 0, 0, 8, 0, 0, 0, 1, 4, 6, 0, 16, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1}},
		"half a header":        {say: []byte{4, 0, 0}},
	} {
		ours, theirs := net.Pipe()
		go func() {
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			_, _ = theirs.Write(tt.say)
			if name == "half a header" {
				_ = theirs.Close()
			}
		}()
		start := time.Now()
		_, err := Handshake(t.Context(), ours, Options{HandshakeTimeout: 20 * time.Second})
		if err == nil || time.Since(start) > 10*time.Second || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v after %v", name, err, time.Since(start))
		}
	}
}

func TestSlowHandshakeEndsInTime(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	go func() { // a byte now and then, each in time by itself
		for _, b := range []byte{4, 0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} {
			if _, err := theirs.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	_, err := Handshake(t.Context(), ours, Options{HandshakeTimeout: 100 * time.Millisecond})
	if !isTimeout(err) {
		t.Errorf("%v", err)
	}
}

func TestCancelledHandshakeReturns(t *testing.T) {
	ours, _ := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := Handshake(ctx, ours, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// live makes a connection that has shaken hands with a peer that the test plays, and runs it.
func live(t *testing.T, o Options) (c *Conn, peer net.Conn, ended <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write(conversation(t)); err != nil {
		t.Fatal(err)
	}
	if c, err = Handshake(t.Context(), nc, o); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(context.Background(), deaf{}) }()
	t.Cleanup(func() { _ = c.Close() })
	return c, peer, done
}

func ends(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("Run goes on")
		return nil
	}
}

func TestSilentSwitchIsProbedAndDropped(t *testing.T) {
	_, peer, ended := live(t, Options{EchoEvery: 50 * time.Millisecond})
	if err := ends(t, ended); err == nil || !strings.Contains(err.Error(), "silent") {
		t.Errorf("Run ended with %v", err)
	}
	said, err := io.ReadAll(peer)
	if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	if !bytes.Contains(said, []byte{version, typeEchoRequest, 0, headerSize}) {
		t.Error("it was never asked for an echo")
	}
}

func TestAnsweringSwitchIsKept(t *testing.T) {
	t.Parallel()
	c, peer, ended := live(t, Options{EchoEvery: 300 * time.Millisecond})
	go func() {
		r := bufio.NewReader(peer)
		for {
			f, _, err := readFrame(r, nil)
			if err != nil {
				return
			}
			if f.kind() == typeEchoRequest {
				f[1] = typeEchoReply
				if _, err := peer.Write(f); err != nil {
					return
				}
			}
		}
	}()
	select {
	case err := <-ended:
		t.Fatalf("dropped: %v", err)
	case <-time.After(3 * time.Second): // over three times the silence that is suffered
	}
	_ = c.Close()
	if err := ends(t, ended); !errors.Is(err, ErrClosed) {
		t.Errorf("Run ended with %v", err)
	}
}

// A switch that sends but never reads must not hold up the reader, nor those who write, for ever.
func TestSwitchThatDoesNotReadIsDropped(t *testing.T) {
	c, peer, ended := live(t, Options{ReplyTimeout: 300 * time.Millisecond})
	go func() {
		echo := []byte{version, typeEchoRequest, 0, headerSize, 0, 0, 0, 9}
		for {
			if _, err := peer.Write(bytes.Repeat(echo, 1000)); err != nil {
				return
			}
		}
	}()
	refused := make(chan error, 1)
	go func() {
		for {
			if err := c.PacketOut(t.Context(), PortController, []flow.Action{flow.Output{Port: 1}}, make([]byte, 60000)); err != nil {
				refused <- err
				return
			}
		}
	}()
	if err := ends(t, ended); !isTimeout(err) {
		t.Errorf("Run ended with %v", err)
	}
	if err := ends(t, refused); !isTimeout(err) {
		t.Errorf("PacketOut ended with %v", err)
	}
}

func TestRequestThatIsNotAnsweredTimesOut(t *testing.T) {
	c, _, _ := live(t, Options{ReplyTimeout: 50 * time.Millisecond})
	if _, err := c.Flows(t.Context()); err == nil || !strings.Contains(err.Error(), "no reply") {
		t.Errorf("Flows: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Apply(ctx, Change{Deletes: []flow.Cookie{1}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) != 0 {
		t.Errorf("%d calls left behind", len(c.calls))
	}
}

// A switch that announces more and more segments is cut off.
func TestEndlessFlowListIsRefused(t *testing.T) {
	c, peer, _ := live(t, Options{MaxFlows: 1000})
	go func() {
		r := bufio.NewReader(peer)
		for {
			f, _, err := readFrame(r, nil)
			if err != nil {
				return
			}
			if f.kind() != typeMultipartRequest || f.body().u16() != multipartFlow {
				continue
			}
			reply := bytes.Clone(captured(t)["type19-1-02000.hex"])
			copy(reply[4:8], f[4:8])
			reply[11] = 1 // more to come
			for {
				if _, err := peer.Write(reply); err != nil {
					return
				}
			}
		}
	}()
	if flows, err := c.Flows(t.Context()); err == nil || flows != nil || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("%d flows, %v", len(flows), err)
	}
}

func TestFlushSaysWhatTheTextOfOvsOfctlSays(t *testing.T) {
	// ovs-ofctl 3.1 ct-flush SWITCH zone=5 ct_nw_src=10.0.0.5 ct_nw_dst=1.2.3.4, and ct-flush-zone SWITCH 5
	const byTuple = "04040060 00000002 00002320 00000020 00000000 00000000" +
		"00000020 00000000 00000014 00000000 00000000 0000ffff 0a000005 00000000" +
		"00010020 00000000 00010014 00000000 00000000 0000ffff 01020304 00000000 00020008 00050000"
	const byZone = "04040018 00000002 00002320 0000001d 00000000 00000005"
	got := flushConnections(2, 5, Tuple{Src: netip.MustParseAddr("10.0.0.5")}, Tuple{Dst: netip.MustParseAddr("1.2.3.4")})
	if hex.EncodeToString(got) != strings.ReplaceAll(byTuple, " ", "") {
		t.Errorf("by tuple %x", got)
	}
	if got := flushWholeZone(2, 5); hex.EncodeToString(got) != strings.ReplaceAll(byZone, " ", "") {
		t.Errorf("by zone %x", got)
	}
}

func TestSwitchThatCannotFlushSaysSo(t *testing.T) {
	c, peer, _ := live(t, Options{})
	go func() {
		r := bufio.NewReader(peer)
		for {
			f, _, err := readFrame(r, nil)
			if err != nil {
				return
			}
			xid := f[4:8]
			switch f.kind() {
			case typeExperimenter:
				_, err = peer.Write(append([]byte{version, typeError, 0, 12, xid[0], xid[1], xid[2], xid[3]}, 0, 1, 0, 3))
			case 20: // a barrier request
				_, err = peer.Write([]byte{version, typeBarrierReply, 0, headerSize, xid[0], xid[1], xid[2], xid[3]})
			}
			if err != nil {
				return
			}
		}
	}()
	var refused *Error
	if err := c.FlushZone(t.Context(), 7); !errors.As(err, &refused) || refused.Type != 1 {
		t.Errorf("FlushZone: %v", err)
	}
	if err := c.FlushConnections(t.Context(), 7, Tuple{Src: netip.MustParseAddr("10.0.0.5")}, Tuple{}); !errors.As(err, &refused) {
		t.Errorf("FlushConnections: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) != 0 {
		t.Errorf("%d calls left behind", len(c.calls))
	}
}
