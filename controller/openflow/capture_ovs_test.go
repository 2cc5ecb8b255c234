//go:build integration

package openflow

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

var capture = flag.Bool("capture", false, "write what Open vSwitch says to testdata/inbound, where the fuzz targets find their seeds")

// tap is a connection that keeps what was read from it.
type tap struct {
	net.Conn
	mu  sync.Mutex
	got bytes.Buffer
}

func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got.Write(b[:n])
	return n, err
}

// frames are the different kinds of messages that were read: the first of each, and of each length.
func (c *tap) frames(t *testing.T) map[string][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string][]byte{}
	r := bufio.NewReader(&c.got)
	for {
		f, _, err := readFrame(r, nil)
		if err != nil {
			return out
		}
		name := fmt.Sprintf("type%02d", f.kind())
		if f.kind() == typeMultipartReply {
			s, err := decodeSegment(f.body())
			if err != nil {
				t.Fatal(err)
			}
			name += fmt.Sprintf("-%d", s.kind)
		}
		if name = fmt.Sprintf("%s-%05d", name, len(f)); out[name] == nil && len(f) < 4000 {
			out[name] = f
		}
	}
}

// TestEveryKindOfMessageIsUnderstood lets a switch say all that it says in a session of ours. With -capture
// the messages become the seeds of the fuzz targets.
func TestEveryKindOfMessageIsUnderstood(t *testing.T) {
	s, l := ovs.Start(t), ovs.Listen(t)
	s.AddBridge("br-int")
	s.AddPort("br-int", "p1")
	s.VSCtl("set-controller", "br-int", "tcp:"+l.Addr().String(), "--", "set", "bridge", "br-int", `other_config:datapath-id=00000000000000a1`)
	var tapped *tap
	h := newHeard()
	c := accept(t, l, h, func(nc net.Conn) net.Conn { tapped = &tap{Conn: nc}; return tapped })
	if err := c.WatchFlows(t.Context()); err != nil {
		t.Fatal(err)
	}
	meters := []flow.RateLimit{{ID: 5, PacketsPerSecond: 100, Burst: 50}}
	mustApply(t, c, Change{AddMeters: meters, Adds: everyFlow()[:20]})
	mustApply(t, c, Change{AddMeters: meters, Adds: []flow.Flow{flow.New(9, 9, flow.Match{flow.IsNum(flow.InPort, 1)}, flow.Why{}, flow.ToController{})}})
	if _, err := c.Apply(t.Context(), Change{Adds: []flow.Flow{flow.New(0, 2, nil, flow.Why{}, flow.Meter{ID: 77})}}); err == nil {
		t.Error("a flow through no meter was taken")
	}
	_, err1 := c.Flows(t.Context())
	_, err2 := c.Meters(t.Context())
	resubmit := []flow.Action{flow.Load{Dst: flow.Reg5.Whole(), Value: flow.Num(5)}, flow.Load{Dst: flow.TunDst.Whole(), Value: testAddr}, flow.Resubmit{Table: 9}}
	err3 := c.PacketOut(t.Context(), 1, resubmit, make([]byte, 60))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	next(t, h.packets)
	translated := flow.New(9, 8, flow.Match{isIPv4, flow.CTIs(flow.CTNew, 0)}, flow.Why{}, flow.ToController{})
	mustApply(t, c, Change{Adds: []flow.Flow{translated, from(1, snat("P"))}})
	_, err1 = c.Flows(t.Context())
	err2 = c.PacketOut(t.Context(), PortController, []flow.Action{snat("P")}, mustPacket(t, shorthands.Replace("udp F:4000 > X:53")).frame())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	next(t, h.packets)
	s.OFCtl("add-flow", "br-int", "table=8,cookie=8,actions=drop")
	s.AddPort("br-int", "p2")
	next(t, h.ports)
	await(t, func() string {
		if len(h.events()) == 0 {
			return "no flow event"
		}
		return ""
	})
	frames := tapped.frames(t)
	kinds := map[string]bool{}
	for name := range frames {
		kinds[name[:strings.LastIndexByte(name, '-')]] = true
	}
	want := "type00 type01 type04 type06 type10 type12 type19-1 type19-10 type19-13 type19-65535 type21"
	if got := strings.Join(slices.Sorted(maps.Keys(kinds)), " "); got != want {
		t.Errorf("kinds of messages: %s; want %s", got, want)
	}
	if *capture {
		for name, b := range frames {
			if err := os.WriteFile(filepath.Join("testdata", "inbound", name+".hex"), []byte(hex.EncodeToString(b)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
