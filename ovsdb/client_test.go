package ovsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// scripted is a connection on which a peer, once asked for anything, says its lines and hangs up.
type scripted struct {
	net.Conn // nil: any method not below is a fault of ours
	in       io.Reader
	once     sync.Once
	asked    chan struct{}
}

func script(in io.Reader) *scripted { return &scripted{in: in, asked: make(chan struct{})} }

func (s *scripted) Read(p []byte) (int, error) { <-s.asked; return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.asked) })
	return len(p), nil
}
func (s *scripted) Close() error                     { s.once.Do(func() { close(s.asked) }); return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

const onePicture = `{"id":1,"error":null,"result":{
"Open_vSwitch":{"00000000-0000-0000-0000-000000000001":{"initial":{"bridges":["uuid","00000000-0000-0000-0000-0000000000b1"],
 "external_ids":["map",[["system-id","s1"],["hostname","h1"],["local_ip","192.0.2.1"],["bridge_mappings","p1:br-eth1"]]],"ovs_version":"3.1.0"}}},
"Bridge":{"00000000-0000-0000-0000-0000000000b1":{"initial":{"name":"br-int","datapath_id":"00000000000000a1","fail_mode":"secure",
 "ports":["set",[["uuid","00000000-0000-0000-0000-0000000000c1"],["uuid","00000000-0000-0000-0000-0000000000c2"]]]}}},
"Port":{"00000000-0000-0000-0000-0000000000c1":{"initial":{"name":"v1","interfaces":["uuid","00000000-0000-0000-0000-0000000000d1"]}},
 "00000000-0000-0000-0000-0000000000c2":{"initial":{"name":"sb-gre","interfaces":["uuid","00000000-0000-0000-0000-0000000000d2"],"external_ids":["map",[["signalbox","tunnel"]]]}}},
"Interface":{"00000000-0000-0000-0000-0000000000d1":{"initial":{"name":"v1","ofport":3,"external_ids":["map",[["iface-id","2d2a3e5c-1c1d-4c06-9f0a-6a9c63a4c001"]]]}},
 "00000000-0000-0000-0000-0000000000d2":{"initial":{"name":"sb-gre","type":"gre","ofport":4,"options":["map",[["key","flow"]]]}}}}}
`

const oneChange = `{"id":null,"method":"update2","params":["signalbox",{
"Bridge":{"00000000-0000-0000-0000-0000000000b1":{"modify":{"ports":["uuid","00000000-0000-0000-0000-0000000000c2"],"fail_mode":["set",[]]}}},
"Port":{"00000000-0000-0000-0000-0000000000c2":{"delete":null}},
"Interface":{"00000000-0000-0000-0000-0000000000d2":{"delete":null},
 "00000000-0000-0000-0000-0000000000d1":{"modify":{"external_ids":["map",[["iface-id","2d2a3e5c-1c1d-4c06-9f0a-6a9c63a4c001"],["attached-mac","fa:16:3e:00:00:01"]]]}}}}]}
`

// hear runs a client on what a peer says, and returns the mirror's last state and why Run ended.
func hear(said ...string) (State, error) {
	c := New(script(strings.NewReader(strings.Join(said, ""))))
	err := c.Run(context.Background(), func(State) {})
	return c.state(), err
}

func TestPicturesAndDifferences(t *testing.T) {
	before, _ := hear(onePicture)
	v1, ok := before.Interface("v1")
	if !ok || v1.OFPort != 3 || v1.InterfaceID.String() != "2d2a3e5c-1c1d-4c06-9f0a-6a9c63a4c001" || v1.Ours {
		t.Errorf("v1 = %+v", v1)
	}
	if before.TunnelPort(signalbox.GRE) != 4 || before.DatapathID != 0xa1 || !before.FailModeSecure || before.Hostname != "h1" {
		t.Errorf("state %+v", before)
	}
	after, err := hear(onePicture, oneChange)
	if v1, _ := after.Interface("v1"); v1.InterfaceID.String() != "00000000-0000-0000-0000-000000000000" ||
		v1.AttachedMAC.String() != "fa:16:3e:00:00:01" {
		t.Errorf("v1 = %+v", v1)
	}
	if after.TunnelPort(signalbox.GRE) != 0 || after.FailModeSecure || len(after.Interfaces) != 1 {
		t.Errorf("state %+v", after)
	}
	if signalbox.KindOf(err) != signalbox.Unavailable || !strings.Contains(err.Error(), "closed the connection") {
		t.Errorf("Run ended with %v", err)
	}
	if half, err := hear(onePicture[:200]); err == nil || half.DatapathID != 0 {
		t.Errorf("half a picture: %+v, %v", half, err)
	}
}

func TestNonsenseEndsTheConnectionAtOnce(t *testing.T) {
	for name, said := range map[string]string{
		"HTTP":                   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"OpenFlow":               "\x04\x00\x00\x10\x00\x00\x00\x01\x00\x01\x00\x08\x00\x00\x00\x10",
		"an empty object":        `{}`,
		"a number":               "7 ",
		"an answer to nobody":    `{"id":99,"result":[],"error":null}`,
		"an id of another kind":  `{"id":"one","result":[],"error":null}`,
		"a refusal":              `{"id":1,"result":null,"error":"unknown database"}`,
		"an empty answer":        `{"id":1,"result":null,"error":{}}`,
		"a list for a picture":   `{"id":1,"result":[1,2],"error":null}`,
		"an unasked table":       `{"id":1,"result":{"QoS":{}},"error":null}`,
		"a row changed unseen":   `{"id":1,"result":{"Port":{"p":{"modify":{}}}},"error":null}`,
		"an unknown change":      `{"id":1,"result":{"Port":{"p":{"explode":{}}}},"error":null}`,
		"a name of another type": `{"id":1,"result":{"Port":{"p":{"initial":{"name":[]}}}},"error":null}`,
		"two names":              `{"id":1,"result":{"Port":{"p":{"initial":{"name":["set",["a","b"]]}}}},"error":null}`,
		"a set without elements": `{"id":1,"result":{"Port":{"p":{"initial":{"interfaces":["set"]}}}},"error":null}`,
		"a map for a set":        `{"id":1,"result":{"Port":{"p":{"initial":{"interfaces":["map",[]]}}}},"error":null}`,
		"an update2 of one":      onePicture + `{"id":null,"method":"update2","params":["x"]}`,
		"an update2 without any": onePicture + `{"id":null,"method":"update2"}`,
		"a hundred thousand [":   strings.Repeat("[", 100_000),
		"bytes":                  "\xff\xfe\x00",
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go func() {
				_, _ = theirs.Read(make([]byte, 1)) // we have asked
				go func() { _, _ = io.Copy(io.Discard, theirs) }()
				_, _ = io.WriteString(theirs, said) // and does not hang up
			}()
			done := make(chan error, 1)
			go func() { done <- New(ours).Run(context.Background(), func(State) {}) }()
			select {
			case err := <-done:
				if signalbox.KindOf(err) != signalbox.Unavailable {
					t.Errorf("Run ended with %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("Run goes on")
			}
		})
	}
}

func TestEndlessMessageIsCutOff(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"method":"`), &repeat{'x'})
	c := New(script(endless))
	if err := c.Run(context.Background(), func(State) {}); !errors.Is(err, errTooLong) {
		t.Errorf("Run ended with %v", err)
	}
}

type repeat struct{ b byte }

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.b
	}
	return len(p), nil
}

func TestEchoIsAnswered(t *testing.T) {
	ours, theirs := net.Pipe()
	c := New(ours)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, func(State) {}) }()
	buf := make([]byte, 4096)
	_, _ = theirs.Read(buf) // the monitor request
	if _, err := theirs.Write([]byte(`{"method":"echo","params":["hi"],"id":"echo"}`)); err != nil {
		t.Fatal(err)
	}
	n, _ := theirs.Read(buf)
	if got := string(buf[:n]); got != `{"result":["hi"],"error":null,"id":"echo"}` {
		t.Errorf("got %s", got)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ended with %v", err)
	}
}

// silentPeer answers the request for a picture with picture, and, when alive, each echo request; it says
// nothing else. It returns how long, in the test's own time, the client bore with it.
func silentPeer(t *testing.T, picture string, alive bool) (lived time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			dec := json.NewDecoder(theirs)
			for {
				var m message
				if dec.Decode(&m) != nil {
					return
				}
				switch {
				case m.Method == "monitor_cond":
					_, _ = io.WriteString(theirs, picture)
				case m.Method == "echo" && alive:
					_, _ = fmt.Fprintf(theirs, `{"id":%s,"result":[],"error":null}`, m.ID)
				}
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		start := time.Now()
		err = New(ours).Run(ctx, func(State) {})
		lived = time.Since(start)
		_ = theirs.Close()
	})
	return lived, err
}

func TestSilentPeers(t *testing.T) {
	if lived, err := silentPeer(t, "", true); lived != firstPicture {
		t.Errorf("without a picture: lived %v, %v", lived, err)
	}
	if lived, err := silentPeer(t, onePicture, false); lived > 5*probeEvery {
		t.Errorf("dead: lived %v, %v", lived, err)
	}
	if lived, err := silentPeer(t, onePicture, true); lived != time.Hour || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("alive but idle: lived %v, %v", lived, err)
	}
}

func TestEnsureBeforeAPictureIsUnavailable(t *testing.T) {
	c := New(script(strings.NewReader("")))
	if err := c.Ensure(context.Background(), Want{}); signalbox.KindOf(err) != signalbox.Unavailable {
		t.Errorf("got %v", err)
	}
}

func FuzzConnection(f *testing.F) {
	f.Add([]byte(onePicture + oneChange))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"method":"echo","params":[],"id":"echo"}{"id":1,"error":null,"result":{}}`))
	f.Add([]byte(`{"id":1,"error":null,"result":{"Port":{"p":{"insert":{"interfaces":["set",[["uuid"]]],"external_ids":["map",[["a"]]]}}}}}`))
	f.Add([]byte("\x04\x00\x00\x08\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, said []byte) {
		c := New(script(bytes.NewReader(said)))
		if err := c.Run(context.Background(), func(State) {}); err == nil {
			t.Error("Run returned nil")
		}
		s := c.state()
		if len(s.Problems) > maxProblems+1 {
			t.Errorf("%d problems", len(s.Problems))
		}
		_, _ = c.plan(Want{Patches: s.Mappings})
	})
}
