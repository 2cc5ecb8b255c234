//go:build integration

package openflow

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// The facts about Open vSwitch's conntrack on which gateways and floating IPs rest. In them a VM F has the
// floating IP P, G is a gateway's address and X is somewhere outside.

var shorthands = strings.NewReplacer("F2", "10.0.0.6", "P2", "192.0.2.6", "F", "10.0.0.5", "P", "192.0.2.5", "G", "192.0.2.1", "R", "10.0.0.1", "X", "198.51.100.9", "Y", "203.0.113.7")

func short(s string) netip.Addr { return netip.MustParseAddr(shorthands.Replace(s)) }

// translator is a switch whose port 1 leads inside and whose port 2 leads outside; what is sent through it
// comes to the controller from the last table, as it would leave.
type translator struct {
	t *testing.T
	s *ovs.Switch
	c *Conn
	h *heard
}

const lastTable = 9

func translate(t *testing.T, flows ...flow.Flow) *translator {
	h := newHeard()
	s, c := connect(t, h)
	flows = append(flows, flow.New(lastTable, 0, nil, flow.Why{}, flow.ToController{}))
	mustApply(t, c, Change{Adds: flows})
	return &translator{t, s, c, h}
}

func from(port int, actions ...flow.Action) flow.Flow {
	return flow.New(0, 1, flow.Match{flow.IsNum(flow.InPort, port), isIPv4}, flow.Why{}, actions...)
}

// send lets a packet arrive at a port ("in" or "out") and is what became of it, with the state that conntrack
// gave it.
func (x *translator) send(side, text string) string {
	x.t.Helper()
	port := map[string]string{"in": "p1", "out": "p2"}[side]
	x.s.Receive(port, mustPacket(x.t, shorthands.Replace(text)).frame())
	return x.arrived()
}

// arrived is the next packet that comes to the controller.
func (x *translator) arrived() string {
	x.t.Helper()
	p := next(x.t, x.h.packets)
	state, _ := strings.CutPrefix(flow.CTIs(p.Reg(flow.CTState), 0).String(), "ct_state=")
	return fmt.Sprint(parsePacket(p.Data), " ", state)
}

type step struct{ side, packet, want string }

func (x *translator) steps(steps ...step) {
	x.t.Helper()
	for _, s := range steps {
		if got, want := x.send(s.side, s.packet), shorthands.Replace(s.want); got != want {
			x.t.Errorf("%s from %sside became\n%s, want\n%s", s.packet, s.side, got, want)
		}
	}
}

func snat(addr string) flow.CT {
	return flow.CT{Commit: true, Zone: 7, Table: lastTable, NAT: flow.SourceNAT(short(addr))}
}

func dnat(addr string) flow.CT {
	return flow.CT{Commit: true, Zone: 7, Table: lastTable, NAT: flow.DestinationNAT(short(addr))}
}

func TestOneActionTranslatesNewOldAndAnsweringPackets(t *testing.T) {
	x := translate(t, from(1, snat("P")), from(2, dnat("F")))
	x.steps(
		step{"in", "tcp F:4000 > X:80 S", "tcp P:4000 > X:80 +new+trk+snat"},
		step{"out", "tcp X:80 > P:4000 SA", "tcp X:80 > F:4000 +est+rpl+trk+dnat"},
		step{"in", "tcp F:4000 > X:80 A", "tcp P:4000 > X:80 +est+trk+snat"},
		step{"out", "tcp X:5000 > P:22 S", "tcp X:5000 > F:22 +new+trk+dnat"},
		step{"in", "tcp F:22 > X:5000 SA", "tcp P:22 > X:5000 +est+rpl+trk+snat"},
		step{"out", "tcp X:5000 > P:22 A", "tcp X:5000 > F:22 +est+trk+dnat"},
		step{"in", "udp F:4000 > X:53", "udp P:4000 > X:53 +new+trk+snat"},
		step{"out", "udp X:53 > P:4000", "udp X:53 > F:4000 +est+rpl+trk+dnat"},
		step{"out", "udp X:5000 > P:53", "udp X:5000 > F:53 +new+trk+dnat"},
		step{"in", "udp F:53 > X:5000", "udp P:53 > X:5000 +est+rpl+trk+snat"},
		step{"in", "icmp8 F:7 > X:7", "icmp8 P:7 > X:7 +new+trk+snat"},
		step{"out", "icmp0 X:7 > P:7", "icmp0 X:7 > F:7 +est+rpl+trk+dnat"},
		step{"out", "icmp8 X:9 > P:9", "icmp8 X:9 > F:9 +new+trk+dnat"},
		step{"in", "icmp0 F:9 > X:9", "icmp0 P:9 > X:9 +est+rpl+trk+snat"},
		// Errors about them: outside and inside are rewritten, and the sender inside becomes the public address.
		step{"out", "icmp3/4 Y > P (tcp P:4000 > X:80)", "icmp3/4 Y > F (tcp F:4000 > X:80) +rel+rpl+trk+dnat"},
		step{"out", "icmp3/4 Y > P (tcp P:22 > X:5000)", "icmp3/4 Y > F (tcp F:22 > X:5000) +rel+trk+dnat"},
		step{"out", "icmp11/0 Y > P (udp P:4000 > X:53)", "icmp11/0 Y > F (udp F:4000 > X:53) +rel+rpl+trk+dnat"},
		step{"out", "icmp3/4 Y > P (icmp8 P:7 > X:7)", "icmp3/4 Y > F (icmp8 F:7 > X:7) +rel+rpl+trk+dnat"},
		step{"in", "icmp3/4 R > X (tcp X:5000 > F:22)", "icmp3/4 P > X (tcp X:5000 > P:22) +rel+rpl+trk+snat"},
		step{"in", "icmp3/4 R > X (tcp X:80 > F:4000)", "icmp3/4 P > X (tcp X:80 > P:4000) +rel+trk+snat"},
		step{"in", "icmp3/3 F > X (udp X:5000 > F:53)", "icmp3/3 P > X (udp X:5000 > P:53) +rel+rpl+trk+snat"},
		step{"in", "icmp11/0 R > X (icmp8 X:9 > F:9)", "icmp11/0 P > X (icmp8 X:9 > P:9) +rel+rpl+trk+snat"},
		// Of no connection: it goes on with its private addresses, and is for the table behind to drop.
		step{"in", "icmp3/4 R > X (tcp X:5000 > F:33)", "icmp3/4 R > X (tcp X:5000 > F:33) +inv+trk"},
	)
}

// Two passes through one zone need a ct_clear between them: a packet that still carries its connection is not
// looked up again, and its second translation does not happen.
func TestFloatingAddressesReachEachOtherInOneZone(t *testing.T) {
	pair := func(public, private string) []flow.Flow {
		leave, enter := snat(public), dnat(private)
		leave.Table = 2
		return []flow.Flow{
			flow.New(0, 1, flow.Match{isIPv4, flow.Is(flow.IPv4Src, flow.Addr(short(private)))}, flow.Why{}, leave),
			flow.New(2, 1, flow.Match{isIPv4, flow.Is(flow.IPv4Dst, flow.Addr(short(public)))}, flow.Why{}, flow.CTClear{}, enter),
		}
	}
	x := translate(t, append(pair("P", "F"), pair("P2", "F2")...)...)
	x.steps(
		step{"in", "tcp F:4000 > P2:80 S", "tcp P:4000 > F2:80 +new+trk+dnat"},
		step{"in", "tcp F2:80 > P:4000 SA", "tcp P2:80 > F:4000 +est+rpl+trk+dnat"},
		step{"in", "tcp F:4000 > P2:80 A", "tcp P:4000 > F2:80 +est+trk+dnat"},
		step{"in", "udp F:4000 > P2:53", "udp P:4000 > F2:53 +new+trk+dnat"},
		step{"in", "udp F2:53 > P:4000", "udp P2:53 > F:4000 +est+rpl+trk+dnat"},
		step{"in", "icmp8 F:7 > P2:7", "icmp8 P:7 > F2:7 +new+trk+dnat"},
		step{"in", "icmp0 F2:7 > P:7", "icmp0 P2:7 > F:7 +est+rpl+trk+dnat"},
		step{"in", "icmp3/3 F2 > P (udp P:4000 > F2:53)", "icmp3/3 P2 > F (udp F:4000 > P2:53) +rel+rpl+trk+dnat"},
		step{"in", "icmp3/3 F > P2 (udp P2:53 > F:4000)", "icmp3/3 P > F2 (udp F2:53 > P:4000) +rel+trk+dnat"},
		// And its own.
		step{"in", "tcp F:4001 > P:80 S", "tcp P:4001 > F:80 +new+trk+dnat"},
		step{"in", "tcp F:80 > P:4001 SA", "tcp P:80 > F:4001 +est+rpl+trk+dnat"},
		step{"in", "udp F:4001 > P:53", "udp P:4001 > F:53 +new+trk+dnat"},
		step{"in", "udp F:53 > P:4001", "udp P:53 > F:4001 +est+rpl+trk+dnat"},
		step{"in", "icmp8 F:8 > P:8", "icmp8 P:8 > F:8 +new+trk+dnat"},
		step{"in", "icmp0 F:8 > P:8", "icmp0 P:8 > F:8 +est+rpl+trk+dnat"},
	)
}

func TestErrorThatTheControllerMakesIsTranslatedBack(t *testing.T) {
	x := translate(t, from(2, dnat("F")))
	x.steps(
		step{"out", "udp X:5000 > P:53", "udp X:5000 > F:53 +new+trk+dnat"},
		step{"out", "icmp8 X:5 > P:5", "icmp8 X:5 > F:5 +new+trk+dnat"},
	)
	keep := flow.CT{Zone: 7, Table: lastTable, NAT: flow.KeepNAT()}
	for _, e := range [][2]string{
		{"icmp3/4 R > X (udp X:5000 > F:53)", "icmp3/4 P > X (udp X:5000 > P:53) +rel+rpl+trk+snat"},
		{"icmp11/0 R > X (icmp8 X:5 > F:5)", "icmp11/0 P > X (icmp8 X:5 > P:5) +rel+rpl+trk+snat"},
	} {
		for _, ct := range []flow.CT{keep, snat("P")} {
			if err := x.c.PacketOut(t.Context(), PortController, []flow.Action{ct}, mustPacket(t, shorthands.Replace(e[0])).frame()); err != nil {
				t.Fatal(err)
			}
			if got, want := x.arrived(), shorthands.Replace(e[1]); got != want {
				t.Errorf("%s became %s, want %s", e[0], got, want)
			}
		}
	}
}

// Open vSwitch in userspace does not give a ping another identifier: a second with the same one, to the same
// address, goes untranslated too.
func TestConnectionWithoutAFreePortKeepsItsPrivateAddress(t *testing.T) {
	one := snat("G")
	one.NAT = one.NAT.WithPorts(5000, 5000)
	x := translate(t, from(1, one), from(2, flow.CT{Zone: 7, Table: lastTable, NAT: flow.KeepNAT()}))
	x.steps(
		step{"in", "udp F:4000 > X:53", "udp G:5000 > X:53 +new+trk+snat"},
		step{"in", "udp F2:4000 > X:53", "udp F2:4000 > X:53 +new+trk"},
		step{"in", "udp F2:4000 > X:54", "udp G:5000 > X:54 +new+trk+snat"},
		step{"in", "icmp8 F:7 > X:7", "icmp8 G:7 > X:7 +new+trk+snat"},
		step{"in", "icmp8 F2:7 > X:7", "icmp8 F2:7 > X:7 +new+trk"},
		step{"out", "udp X:53 > G:5000", "udp X:53 > F:4000 +est+rpl+trk+dnat"},
		step{"out", "udp X:53 > G:5001", "udp X:53 > G:5001 +new+trk"},
	)
}

// The pipeline sends held packets on in this way.
func TestPacketOutRunsThroughTablesAndConntrackWithRegisters(t *testing.T) {
	x := translate(t,
		flow.New(3, 1, flow.Match{isIPv4, flow.IsNum(flow.InPort, PortController), flow.IsNum(flow.Reg0, 5), flow.IsSub(flow.Subfield{Field: flow.Reg1, Off: 4, Len: 8}, 9)}, flow.Why{}, snat("P")),
	)
	actions := []flow.Action{
		flow.Load{Dst: flow.Reg0.Whole(), Value: flow.Num(5)},
		flow.Load{Dst: flow.Subfield{Field: flow.Reg1, Off: 4, Len: 8}, Value: flow.Num(9)},
		flow.Resubmit{Table: 3},
	}
	if err := x.c.PacketOut(t.Context(), PortController, actions, mustPacket(t, shorthands.Replace("udp F:4000 > X:53")).frame()); err != nil {
		t.Fatal(err)
	}
	p := next(t, x.h.packets)
	if got, want := parsePacket(p.Data).String(), shorthands.Replace("udp P:4000 > X:53"); got != want {
		t.Errorf("it became %s, want %s", got, want)
	}
	if p.InPort != PortController || p.Reg(flow.Reg0) != 5 || p.Reg(flow.Reg1) != 0x90 || p.Reg(flow.CTZone) != 7 || p.Reg(flow.CTState) != flow.CTNew|flow.CTTracked|flow.CTSNAT {
		t.Errorf("it came with %s", p.Match)
	}
}

func TestPacketWhoseInPortIsForgottenLeavesWhereItCameFrom(t *testing.T) {
	s, c := connect(t, newHeard())
	mustApply(t, c, Change{Adds: []flow.Flow{
		from(1, flow.CT{Zone: 7, Table: 3}),
		flow.New(3, 1, flow.Match{isIPv4}, flow.Why{}, flow.Load{Dst: flow.InPort.Whole(), Value: flow.Num(0)}, flow.CT{Zone: 8, Table: 4}),
		flow.New(4, 0, nil, flow.Why{}, flow.Output{Port: 1}),
	}})
	s.Receive("p1", mustPacket(t, "udp 10.0.0.5:4000 > 10.0.0.6:53").frame())
	await(t, func() string {
		if out := s.OFCtl("dump-ports", "br-int", "p1"); !strings.Contains(out, "tx pkts=1,") {
			return "p1 has not sent the packet back: " + out
		}
		return ""
	})
}

// connections are what conntrack remembers, as "zone original > reply" addresses.
func (x *translator) connections() []string {
	x.t.Helper()
	var out []string
	for _, m := range connectionText.FindAllStringSubmatch(x.s.AppCtl("dpctl/dump-conntrack"), -1) {
		out = append(out, fmt.Sprintf("%s %s>%s %s>%s", m[5], m[1], m[2], m[3], m[4]))
	}
	slices.Sort(out)
	return out
}

var connectionText = regexp.MustCompile(`orig=\(src=([0-9.]+),dst=([0-9.]+),.*reply=\(src=([0-9.]+),dst=([0-9.]+),.*zone=(\d+)`)

func TestFlushForgetsTheConnectionsThatItNamesAndNoOther(t *testing.T) {
	x := translate(t)
	made := []struct { // and how conntrack will remember it
		ct           flow.CT
		packet, kept string
	}{
		{snat("P"), "udp F:1 > X:53", "F>X X>P"},
		{snat("P"), "tcp F:2 > Y:80 S", "F>Y Y>P"},
		{snat("P"), "icmp8 F:3 > X:3", "F>X X>P"},
		{dnat("F"), "udp X:4 > P:53", "X>P F>X"},
		{dnat("F"), "icmp8 Y:5 > P:5", "Y>P F>Y"},
		{snat("P2"), "udp F2:6 > X:53", "F2>X X>P2"},
		{snat("P2"), "icmp8 F2:3 > X:3", "F2>X X>P2"},
		{dnat("F2"), "udp X:7 > P2:53", "X>P2 F2>X"},
	}
	fill := func() {
		for _, zone := range []signalbox.Zone{7, 8} {
			for _, m := range made {
				m.ct.Zone = zone
				if err := x.c.PacketOut(t.Context(), PortController, []flow.Action{m.ct}, mustPacket(t, shorthands.Replace(m.packet)).frame()); err != nil {
					t.Fatal(err)
				}
				x.arrived()
			}
		}
	}
	check := func(name string, gone ...string) {
		t.Helper()
		var want []string
		for _, m := range made {
			want = append(want, shorthands.Replace("8 "+m.kept))
			if !slices.Contains(gone, m.kept) {
				want = append(want, shorthands.Replace("7 "+m.kept))
			}
		}
		slices.Sort(want)
		if got := x.connections(); !slices.Equal(got, want) {
			t.Errorf("%s: left are\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	everyone := []string{"F>X X>P", "F>Y Y>P", "X>P F>X", "Y>P F>Y", "F2>X X>P2", "X>P2 F2>X"}
	a := short
	for name, tt := range map[string]struct {
		original, reply Tuple
		gone            []string
	}{
		"of a source":                       {Tuple{Src: a("F")}, Tuple{}, everyone[:2]},
		"of a destination":                  {Tuple{Dst: a("P")}, Tuple{}, everyone[2:4]},
		"of both":                           {Tuple{Src: a("F"), Dst: a("Y")}, Tuple{}, everyone[1:2]},
		"answered by an address":            {Tuple{}, Tuple{Src: a("F")}, everyone[2:4]},
		"answered to an address":            {Tuple{}, Tuple{Dst: a("P")}, everyone[:2]},
		"of a source, answered elsewhere":   {Tuple{Src: a("F2")}, Tuple{Dst: a("P2")}, everyone[4:5]},
		"of a source, not answered to that": {Tuple{Src: a("F2")}, Tuple{Dst: a("P")}, nil},
		"of nobody":                         {Tuple{Src: a("R")}, Tuple{}, nil},
	} {
		fill()
		if err := x.c.FlushConnections(t.Context(), 7, tt.original, tt.reply); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(name, tt.gone...)
	}
	if err := x.c.FlushConnections(t.Context(), 7, Tuple{}, Tuple{}); err == nil {
		t.Error("a flush of everything was sent")
	}
	fill()
	if err := x.c.FlushZone(t.Context(), 7); err != nil {
		t.Error(err)
	}
	check("of the zone", everyone...)
}

// What an address was translated to stays with a connection until it is flushed.
func TestConnectionKeepsItsTranslationUntilItIsFlushed(t *testing.T) {
	gateway := from(1, snat("G"))
	x := translate(t, gateway)
	x.steps(step{"in", "udp F:4000 > X:53", "udp G:4000 > X:53 +new+trk+snat"})
	mustApply(t, x.c, Change{Adds: []flow.Flow{from(1, snat("P"))}})
	x.steps(step{"in", "udp F:4000 > X:53", "udp G:4000 > X:53 +new+trk+snat"}) // new: it has no answer yet
	x.s.AppCtl("revalidator/purge")                                             // or packets may take the old way for some milliseconds after the barrier
	if err := x.c.FlushConnections(t.Context(), 7, Tuple{Src: short("F")}, Tuple{}); err != nil {
		t.Fatal(err)
	}
	x.steps(step{"in", "udp F:4000 > X:53", "udp P:4000 > X:53 +new+trk+snat"})
}
