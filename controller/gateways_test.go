package controller

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
)

var (
	ext1    = uuid.MustParse("00000000-0000-0000-0000-0000000000e1")
	router1 = uuid.MustParse("00000000-0000-0000-0000-0000000000f1")
)

// exits is a box whose hosts are connected, have the external network and are heard each beat.
type exits struct {
	*box
	now    time.Time
	silent map[*host]bool
}

func newExits(t *testing.T, hosts int, gatewayAt byte) (*exits, []*host) {
	e := &exits{newBox(t), time.Now(), map[*host]bool{}}
	e.began = e.now
	d := signalbox.Delta{
		Networks: []signalbox.Network{{ID: ext1, Key: 9, External: true, AdminStateUp: true, Segment: signalbox.Segment{Type: signalbox.Flat, Physical: "ext"}}},
		Routers: []signalbox.Router{{ID: router1, Key: 1, AdminStateUp: true,
			Gateway: &signalbox.Gateway{PortID: port2, NetworkID: ext1, Zone: 1, Host: uuid.UUID{15: gatewayAt}}}},
		Ports: []signalbox.Port{{ID: port2, Key: 2, NetworkID: ext1, MAC: mac1, AdminStateUp: true, Role: signalbox.RoleRouterGateway, RouterID: router1,
			FixedIPs: []signalbox.FixedIP{{Addr: netip.MustParseAddr("203.0.113.2")}}}},
	}
	var hs []*host
	for i := range hosts {
		row := signalbox.Host{ID: uuid.UUID{15: byte(i + 1)}, DatapathID: signalbox.DatapathID(i + 1), Name: fmt.Sprint("h", i+1), Mappings: map[string]string{"ext": "br-ex"}}
		d.Hosts = append(d.Hosts, row)
		hs = append(hs, newHost(row))
	}
	e.rows(&d)
	return e, hs
}

// connect makes a host come, written to.
func (e *exits) connect(h *host) {
	h.conn, h.synced, h.since, h.lost = &openflow.Conn{}, true, e.now, false
	e.hosts[h.row.DatapathID] = h
}

func (e *exits) disconnect(h *host) { h.conn, h.synced, h.since = nil, false, e.now }

// pass lets time go by; hosts that are not silent are heard.
func (e *exits) pass(d time.Duration) {
	for end := e.now.Add(d); e.now.Before(end); {
		e.now = e.now.Add(beat)
		for _, h := range e.hosts {
			if h.conn != nil && !e.silent[h] {
				h.since = e.now // a bare connection was never heard; the loop takes the later of the two
			}
		}
		if !e.searched && e.now.Sub(e.began) > e.c.cfg.LostAfter {
			e.searched, e.gateways.stale = true, true
		}
		e.watch(e.now)
		e.commit()
	}
}

func (e *exits) expectAt(want byte) {
	e.t.Helper()
	if got := e.compiler.Facts.Router(router1).Gateway.Host; got != (uuid.UUID{15: want}) {
		e.t.Errorf("the gateway is at host %d, not %d", got[15], want)
	}
}

func TestANewGatewayGetsAHostAtOnce(t *testing.T) {
	e, hs := newExits(t, 1, 0)
	e.connect(hs[0])
	e.pass(beat)
	e.expectAt(1)
}

// more adds so many routers whose gateways are nowhere yet.
func (e *exits) more(n int) {
	var d signalbox.Delta
	for i := range n {
		d.Routers = append(d.Routers, signalbox.Router{ID: uuid.UUID{0: 'r', 15: byte(i)}, Key: signalbox.RouterKey(10 + i), AdminStateUp: true,
			Gateway: &signalbox.Gateway{PortID: port2, NetworkID: ext1, Zone: signalbox.Zone(10 + i)}})
	}
	e.rows(&d)
}

// expectLoads asks how many gateways are nowhere, at host 1, at host 2 and so on.
func (e *exits) expectLoads(want ...int) {
	e.t.Helper()
	got := make([]int, len(want))
	for _, r := range e.compiler.Facts.Routers() {
		got[r.Gateway.Host[15]]++
	}
	if !slices.Equal(got, want) {
		e.t.Errorf("gateways by host: %v, want %v", got, want)
	}
}

func TestAfterAStartNewGatewaysWaitForTheHostsThatAreToShareThem(t *testing.T) {
	e, hs := newExits(t, 3, 0)
	e.more(5)
	e.connect(hs[1])
	e.pass(beat)
	e.expectLoads(4, 0, 2, 0)
	e.connect(hs[0])
	hs[0].synced = false
	e.pass(beat)
	e.expectLoads(4, 0, 2, 0)
	hs[0].synced = true
	e.pass(beat)
	e.expectLoads(2, 2, 2, 0)
	e.pass(gatherFor - 4*beat)
	e.expectLoads(2, 2, 2, 0)
	e.pass(3 * beat) // the third host has not come
	e.expectLoads(0, 3, 3, 0)
}

func TestOnARunningSystemANewGatewayWaitsForNobody(t *testing.T) {
	e, hs := newExits(t, 3, 1)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(gatherFor + beat)
	e.disconnect(hs[1])
	e.more(1)
	e.pass(beat)
	e.expectLoads(0, 2, 0, 0)
}

func TestAHostThatComesBackAtOnceKeepsItsGateways(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	e.disconnect(hs[1])
	e.pass(time.Second)
	e.connect(hs[1])
	e.pass(10 * time.Second)
	e.expectAt(2)
}

func TestALostHostsGatewayIsTakenOverAndStays(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	e.disconnect(hs[1])
	e.pass(1500 * time.Millisecond)
	e.expectAt(2)
	e.pass(2 * beat)
	e.expectAt(1)
	e.connect(hs[1])
	e.pass(10 * time.Second)
	e.expectAt(1)
}

func TestASilentHostsGatewayIsTakenOverInTwoSeconds(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	e.silent[hs[1]] = true
	e.pass(2 * time.Second)
	e.expectAt(2)
	e.pass(2 * beat)
	e.expectAt(1)
}

func TestWhereTheLoopItselfWasLateNobodyWasSilent(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	e.silent[hs[0]], e.silent[hs[1]] = true, true
	e.now = e.now.Add(20 * time.Second)
	e.pass(beat)
	delete(e.silent, hs[0])
	delete(e.silent, hs[1])
	e.pass(5 * time.Second)
	e.expectAt(2)
}

func TestWhereAllAreLostTheGatewayStays(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	e.disconnect(hs[0])
	e.disconnect(hs[1])
	e.pass(time.Minute)
	e.expectAt(2)
	e.connect(hs[0])
	e.pass(beat)
	e.expectAt(1)
}

func TestARestartMovesNothingUntilHostsHadTheTimeToComeBack(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.pass(29 * time.Second)
	e.expectAt(2)
	e.pass(3 * time.Second)
	e.expectAt(1)
}

func TestAHostThatLosesItsMappingLosesItsGateways(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	hs[1].row.Mappings, e.gateways.stale = nil, true // as heard does
	e.pass(beat)
	e.expectAt(1)
}

func TestAnOperatorMovesAGatewayAndEmptiesAHost(t *testing.T) {
	e, hs := newExits(t, 2, 1)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	if err := e.moveGateway(router1, hs[1], e.now); err != nil {
		t.Fatal(err)
	}
	e.pass(5 * time.Second)
	e.expectAt(2)
	if n := e.placeGateways(e.now, hs[1].row.ID); n != 1 {
		t.Errorf("%d gateways are moved", n)
	}
	e.pass(5 * time.Second)
	e.expectAt(1)
	e.silent[hs[1]] = true
	e.pass(5 * time.Second)
	if err := e.moveGateway(router1, hs[1], e.now); signalbox.KindOf(err) != signalbox.Conflict {
		t.Errorf("to a silent host: %v", err)
	}
	if err := e.moveGateway(net1, hs[0], e.now); signalbox.KindOf(err) != signalbox.NotFound {
		t.Errorf("of no router: %v", err)
	}
}

func TestADecisionIsNotMadeTwiceWhileItIsWritten(t *testing.T) {
	e, hs := newExits(t, 2, 2)
	e.connect(hs[0])
	e.connect(hs[1])
	e.pass(time.Second)
	hs[1].row.Mappings, e.gateways.stale = nil, true
	e.watch(e.now)
	if n := len(e.writer.due.places); n != 1 {
		t.Fatalf("%d decisions", n)
	}
	e.writer.due = newDecisions() // on its way
	for range 7 {
		e.now = e.now.Add(beat)
		hs[0].since, hs[1].since = e.now, e.now
		e.watch(e.now)
		if n := len(e.writer.due.places); n != 0 {
			t.Fatalf("%d decisions more", n)
		}
	}
}

func TestNobodyOutsideIsBelievedToBeOneOfOurPorts(t *testing.T) {
	e, _ := newExits(t, 1, 0)
	mac2, mac3 := signalbox.MustMAC("fa:16:3e:00:00:02"), signalbox.MustMAC("02:00:00:00:00:03")
	e.rows(&signalbox.Delta{
		Subnets: []signalbox.Subnet{{ID: uuid.UUID{0: 's'}, NetworkID: ext1, CIDR: netip.MustParsePrefix("203.0.113.0/24")}},
		Ports:   []signalbox.Port{vifPort(port1, mac2)},
	})
	for _, tt := range []struct {
		fact, addr string
		mac        signalbox.MAC
		want       bool
	}{
		{"a_machine_outside", "203.0.113.9", mac3, true},
		{"the_gateway's_address", "203.0.113.2", mac3, false},
		{"the_gateway's_mac", "203.0.113.9", mac1, false},
		{"the_mac_of_a_port_elsewhere", "203.0.113.9", mac2, true},
		{"in_no_block", "198.51.100.9", mac3, false},
	} {
		if got := e.credible(e.compiler.Facts.Network(ext1), netip.MustParseAddr(tt.addr), tt.mac); got != tt.want {
			t.Errorf("%s: believed: %v", tt.fact, got)
		}
	}
}

func TestNeighboursAreAskedOneByOneAndForgottenAfterThreeQuestions(t *testing.T) {
	as, now := acquaintances{}, time.Now()
	for i := range 300 {
		n := &signalbox.Neighbour{ID: uuid.NewSHA1(ext1, []byte{byte(i >> 8), byte(i)}), NetworkID: ext1, Addr: netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})}
		as.meet(n, now)
	}
	asked, forgotten, most := map[uuid.UUID]int{}, 0, 0
	for range 40 * int(time.Second/beat) {
		now = now.Add(beat)
		ask, forget := as.ask(now)
		most = max(most, len(ask))
		for _, n := range ask {
			asked[n.ID]++
		}
		for _, n := range forget {
			if asked[n.ID] != refreshTries {
				t.Fatalf("%s is forgotten after %d questions", n.Addr, asked[n.ID])
			}
			delete(as, n.ID)
			forgotten++
		}
	}
	if forgotten != 300 {
		t.Errorf("%d of 300 are forgotten", forgotten)
	}
	if most > maxRefreshes {
		t.Errorf("%d questions at once", most)
	}
}

func TestANeighbourThatAnswersIsAskedEveryHalfMinute(t *testing.T) {
	as, now := acquaintances{}, time.Now()
	n := &signalbox.Neighbour{ID: uuid.New(), NetworkID: ext1, Addr: netip.MustParseAddr("203.0.113.1")}
	as.meet(n, now)
	asked := 0
	for range 600 * int(time.Second/beat) {
		now = now.Add(beat)
		ask, forget := as.ask(now)
		if len(forget) > 0 {
			t.Fatal("it is forgotten")
		}
		if len(ask) > 0 {
			asked++
			as.hear(hop{n.NetworkID, n.Addr}, now)
		}
	}
	if asked < 19 || asked > 21 {
		t.Errorf("asked %d times in ten minutes", asked)
	}
}
