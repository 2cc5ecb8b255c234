//go:build integration

package flowpipeline

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/signalbox-sdn/signalbox"
)

// reload gives every switch what the topology is now. Conntrack stays as it is.
func (l *lab) reload() {
	c := l.compile()
	for _, host := range l.hosts {
		l.OFCtl("del-flows", "br-"+host)
		l.OFCtl("del-meters", "br-"+host)
		l.load(c, host)
	}
	l.AppCtl("revalidator/purge")
}

// reloadGroups does so for the tables that groups alone have flows in.
func (l *lab) reloadGroups() {
	c := l.compile()
	for _, host := range l.hosts {
		var b strings.Builder
		for table := TableMembership; table <= TableRule; table += 2 {
			fmt.Fprintf(&b, "delete table=%d\n", table)
		}
		for _, f := range c.Flows(idOf("host", host), nil) {
			if f.Table >= TableMembership && f.Table <= TableRule {
				fmt.Fprintf(&b, "add cookie=%#x, %s\n", uint64(f.Cookie), &f)
				l.why[host+fmt.Sprintf("%#x", uint64(f.Cookie))] = TableName(f.Table) + ": " + l.reason(&f)
			}
		}
		path := filepath.Join(l.Dir, host+".groups")
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			l.t.Fatal(err)
		}
		l.OFCtl("add-flows", "br-"+host, path)
	}
}

// between is a packet from one port straight to another.
func (w *wire) between(from, to, kind string, ports ...uint16) packet {
	a, b := w.port[from], w.port[to]
	p := packet{src: a.MAC, dst: b.MAC, kind: kind, from: a.FixedIPs[0].Addr, to: b.FixedIPs[0].Addr, ttl: 64}
	copy(p.ports[:], ports)
	return p
}

// arrives reports whether a port's packet comes out at another's interface.
func (w *wire) arrives(to string, p packet) bool {
	w.t.Helper()
	at := w.hostOf(to) + " " + w.port[to].Binding.Interface + ":"
	return slices.ContainsFunc(w.fromPort(w.who[p.src], p), func(s string) bool { return strings.HasPrefix(s, at) })
}

// attempt is a packet and whether it is to arrive.
type attempt struct {
	fact, from, to, kind string
	ports                [2]uint16
	arrives              bool
}

func (w *wire) try(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		if got := w.arrives(a.to, w.between(a.from, a.to, a.kind, a.ports[:]...)); got != a.arrives {
			t.Errorf("%s: %s from %s to %s arrives: %v", a.fact, a.kind, a.from, a.to, got)
		}
	}
}

const groupWorld = "testdata/groups.txt"

func TestGroupsSayWhatPortsMaySendAndReceive(t *testing.T) {
	w := newWire(t, groupWorld)
	w.try(t, []attempt{
		{"rule with a block", "vm1", "vm2", "udp", [2]uint16{1000, 53}, true},
		{"another port", "vm1", "vm2", "udp", [2]uint16{1000, 54}, false},
		{"of a group, and the block does not count", "vm3", "vm2", "udp", [2]uint16{1000, 53}, true},
		{"outside the block", "vm3", "vm1", "udp", [2]uint16{1001, 53}, false},
		{"on one host, by a group that the sender is in", "vm3", "vm1", "udp", [2]uint16{1002, 5000}, true},
		{"by a group that the sender is not in", "vm1", "vm2", "udp", [2]uint16{1003, 5000}, false},
		{"not to be received", "vm1", "vm3", "udp", [2]uint16{1004, 9}, false},
		{"in no group: sends nothing", "vm5", "vm1", "ping", [2]uint16{}, false},
		{"in no group: sends nothing to an open one", "vm5", "vm4", "ping", [2]uint16{}, false},
		{"in no group: receives nothing", "vm1", "vm5", "ping", [2]uint16{}, false},
		{"security off: receives all", "vm1", "vm4", "udp", [2]uint16{1005, 9}, true},
		{"security off: sends what others may receive", "vm4", "vm1", "ping", [2]uint16{}, true},
		{"security off: and no more", "vm4", "vm1", "udp", [2]uint16{1006, 9}, false},
		{"the other tenant, with the same addresses", "r1", "r2", "udp", [2]uint16{1003, 5000}, true},
		{"both ways", "r2", "r1", "ping", [2]uint16{}, true},
	})
	ask := w.between("vm5", "vm1", "ask")
	ask.dst = signalbox.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	w.sees(t, "ARP is answered for a port that may do nothing", w.fromPort("vm5", ask), "a tap5: vm1 to vm5: answer 10.0.0.3 > 10.0.0.7")
	ask.from = ask.to
	ask.from, ask.to = w.port["vm5"].FixedIPs[0].Addr, netip.MustParseAddr("10.0.0.99")
	w.sees(t, "and reaches the others", w.fromPort("vm5", ask), "a physnet1 VLAN 100: vm5 to : ask 10.0.0.7 > 10.0.0.99",
		"a tap1: vm5 to : ask 10.0.0.7 > 10.0.0.99", "a tap3: vm5 to : ask 10.0.0.7 > 10.0.0.99",
		"b tap2: vm5 to : ask 10.0.0.7 > 10.0.0.99", "b tap4: vm5 to : ask 10.0.0.7 > 10.0.0.99")
}

// Each copy of a broadcast is for another port, and judged by that one's groups.
func TestEachCopyIsJudgedByItsReceiversGroups(t *testing.T) {
	w := newWire(t, groupWorld)
	shout := func(from string, port uint16) packet {
		p := w.between(from, "vm1", "udp", 1000, port)
		p.dst = signalbox.Broadcast
		return p
	}
	said := func(port, text string) []string {
		var all []string
		for _, at := range strings.Fields(port) {
			at = strings.ReplaceAll(at, "/", " ")
			all = append(all, at+": "+text)
		}
		return all
	}
	w.sees(t, "vm1 and vm2 may hear it, and vm4, whose security is off", w.fromPort("vm3", shout("vm3", 5000)),
		said("a/physnet1/VLAN/100 a/tap1 b/tap2 b/tap4", "vm3 to : udp 10.0.0.5:1000 > 10.0.0.3:5000 ttl 64")...)
	w.sees(t, "vm2 may, which is in vm3's group, and vm4", w.fromPort("vm3", shout("vm3", 5001)),
		said("a/physnet1/VLAN/100 b/tap2 b/tap4", "vm3 to : udp 10.0.0.5:1000 > 10.0.0.3:5001 ttl 64")...)
	w.sees(t, "from vm4 on the other host", w.fromPort("vm4", shout("vm4", 80)),
		said("b/physnet1/VLAN/100", "vm4 to : udp 10.0.0.6:1000 > 10.0.0.3:80 ttl 64")...)

	w.port["vm1"].Zone = 0
	w.reload()
	w.sees(t, "a port that has no zone yet hears nothing", w.fromPort("vm3", shout("vm3", 5000)),
		said("a/physnet1/VLAN/100 b/tap2 b/tap4", "vm3 to : udp 10.0.0.5:1000 > 10.0.0.3:5000 ttl 64")...)
	w.sees(t, "nor what is for it alone", w.fromPort("vm3", w.between("vm3", "vm1", "udp", 1000, 5000)))
	w.sees(t, "and says nothing", w.fromPort("vm1", w.between("vm1", "vm4", "ping")))
}

func TestAnswersAndErrorsNeedNoRule(t *testing.T) {
	w := newWire(t, groupWorld)
	w.try(t, []attempt{
		{"not before anything was asked", "vm4", "vm1", "udp", [2]uint16{9, 2000}, false},
		{"asks", "vm1", "vm4", "udp", [2]uint16{2000, 9}, true},
		{"answered", "vm4", "vm1", "udp", [2]uint16{9, 2000}, true},
		{"goes on", "vm1", "vm4", "udp", [2]uint16{2000, 9}, true},
		{"another port is no answer", "vm4", "vm1", "udp", [2]uint16{9, 2001}, false},
		{"ping", "vm1", "vm4", "ping", [2]uint16{}, true},
		{"pong", "vm4", "vm1", "pong", [2]uint16{}, true},
		{"one who may only be called", "vm3", "vm1", "udp", [2]uint16{2002, 5000}, true},
		{"answers", "vm1", "vm3", "udp", [2]uint16{5000, 2002}, true},
	})
	about := w.between("vm1", "vm4", "udp", 2000, 9)
	problem := w.between("vm4", "vm1", "unreachable")
	problem.about = &about
	if !w.arrives("vm1", problem) {
		t.Error("an error about what vm1 sent does not arrive")
	}
	about = w.between("vm1", "vm3", "udp", 5000, 2002) // whom a rule lets call by the group that it is in
	problem = w.between("vm3", "vm1", "unreachable")
	problem.about = &about
	if !w.arrives("vm1", problem) {
		t.Error("an error about what vm1 answered does not arrive")
	}
	problem = w.between("vm4", "vm1", "unreachable")
	problem.about = &about
	about = w.between("vm1", "vm4", "udp", 2001, 9)
	if w.arrives("vm1", problem) {
		t.Error("an error about what vm1 never sent arrives")
	}
}

// What was allowed once and is no more stops with the next packet, both ways, and nothing else does.
func TestWhatIsRevokedStopsAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		revoke func(w *topology)
	}{
		{"the rule is deleted", func(w *topology) {
			g := w.group["web"]
			g.Rules = slices.DeleteFunc(g.Rules, func(r signalbox.SecurityGroupRule) bool { return r.PortMin == 5000 })
		}},
		{"the peer leaves the group that the rule names", func(w *topology) { w.port["vm3"].SecurityGroups = w.port["vm3"].SecurityGroups[1:] }},
		{"the port leaves its group for one with the other rules", func(w *topology) {
			twin := *w.group["web"]
			twin.ID, twin.Key, twin.Rules = idOf("group", "twin"), 77, nil
			for i, r := range w.group["web"].Rules {
				if r.PortMin != 5000 {
					r.Key = signalbox.RuleKey(7700 + i)
					twin.Rules = append(twin.Rules, r)
				}
			}
			w.group["twin"] = &twin
			w.port["vm1"].SecurityGroups[0] = twin.ID
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, groupWorld)
			others := []attempt{
				{"another connection", "vm1", "vm4", "udp", [2]uint16{3000, 9}, true},
				{"its answer", "vm4", "vm1", "udp", [2]uint16{9, 3000}, true},
				{"another tenant's with the same addresses", "r1", "r2", "udp", [2]uint16{3001, 5000}, true},
				{"its answer", "r2", "r1", "udp", [2]uint16{5000, 3001}, true},
				{"the revoked one's twin at another port of the same host", "vm2", "vm4", "udp", [2]uint16{5000, 3002}, true},
			}
			revoked := func(passes bool) []attempt {
				return []attempt{
					{"the connection", "vm3", "vm1", "udp", [2]uint16{3002, 5000}, passes},
					{"its answer", "vm1", "vm3", "udp", [2]uint16{5000, 3002}, passes},
				}
			}
			w.try(t, revoked(true))
			w.try(t, others)
			rules, in1, in3 := slices.Clone(w.group["web"].Rules), slices.Clone(w.port["vm1"].SecurityGroups), slices.Clone(w.port["vm3"].SecurityGroups)
			tt.revoke(w.topology)
			w.reload()
			if got := w.arrives("vm3", w.between("vm1", "vm3", "udp", 5000, 3002)); got {
				t.Error("an answer arrives although what it answers is no longer allowed")
			}
			w.try(t, revoked(false))
			w.try(t, others)
			w.group["web"].Rules, w.port["vm1"].SecurityGroups, w.port["vm3"].SecurityGroups = rules, in1, in3
			w.reload()
			w.try(t, revoked(true))
		})
	}
}

// What the datapath remembers is as wide as the rules are: no port, where none of the port's own rules for that direction asks for one.
func TestRemembersOfConnectionsWhatRulesLookAt(t *testing.T) {
	l := newLab(t, loadTopology(t, groupWorld))
	web, other := l.port["vm1"], l.port["vm4"]
	q := probe{proto: 6, a: 80}
	for _, tt := range []struct {
		fact, packet string
		ports        bool
	}{
		{"web may send anything", l.from("vm1", "vm4", q.match(web, other)), false},
		{"web may receive by port", fmt.Sprintf("in_port=201,dl_vlan=100,eth_src=%s,eth_dst=%s,%s", other.MAC, web.MAC, q.match(other, web)), true},
	} {
		var ports bool
		for line := range strings.Lines(l.walk("a", tt.packet).text) {
			ports = ports || strings.HasPrefix(line, "Megaflow:") && strings.Contains(line, "ct_tp_dst")
		}
		if ports != tt.ports {
			t.Errorf("%s: the datapath remembers ports: %v", tt.fact, ports)
		}
	}
}

// A datagram in pieces is judged by its first, which has the ports: none of the others may come alone.
func TestFragmentsShareTheFateOfTheirDatagram(t *testing.T) {
	w := newWire(t, groupWorld)
	send := func(port uint16) int {
		whole := w.between("vm1", "vm2", "udp", 4000, port)
		whole.size = 2020
		w.fragments(whole, 1400) // Open vSwitch takes smaller ones for an attack
		count := 0
		for _, s := range w.sent() {
			if s.host == "a" && s.name == "physnet1" {
				w.Receive("b-physnet1", s.frame)
			}
		}
		for _, s := range w.sent() {
			if s.host == "b" && s.name == "tap2" {
				count++
			}
		}
		return count
	}
	if got := send(53); got != 2 {
		t.Errorf("%d pieces of an allowed datagram arrive, not 2", got)
	}
	if got := send(54); got != 0 {
		t.Errorf("%d pieces of a datagram arrive that is not allowed", got)
	}
}

// fragments lets a port send a packet in two pieces, the first with so many bytes behind the IP header.
func (w *wire) fragments(p packet, first int) {
	frame := p.bytes()
	head, body := slices.Clone(frame[14:34]), frame[34:]
	from := w.who[p.src]
	for i, piece := range [][]byte{body[:first], body[first:]} {
		h := slices.Clone(head)
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(piece)))
		binary.BigEndian.PutUint16(h[4:], 99)
		offset := uint16(0x2000)
		if i == 1 {
			offset = uint16(first / 8)
		}
		binary.BigEndian.PutUint16(h[6:], offset)
		binary.BigEndian.PutUint16(h[10:], 0)
		binary.BigEndian.PutUint16(h[10:], internetSum(h))
		w.Receive(w.hostOf(from)+"-"+w.port[from].Binding.Interface, slices.Concat(frame[:14], h, piece))
	}
}

// Outside, a port is known by other addresses: its groups see those that have not been translated yet.
func TestGroupsAndTranslation(t *testing.T) {
	text, err := os.ReadFile(outsideWorld)
	if err != nil {
		t.Fatal(err)
	}
	w := newWireOf(t, parseTopology(t, outsideWorld, string(text)+`
guard
group all
rule all egress - - - v4 -
rule all ingress udp 1111 1111 v4 192.0.2.0/24
rule all ingress icmp 8 0 v4 203.0.113.21/32
member blue1 all
member blue4 all
`))
	w.sees(t, "asks by its floating IP", w.fromPort("blue1", w.byRouter("blue1", "udp", machine)),
		"a public VLAN 300: 203.0.113.21 to 203.0.113.99: udp 203.0.113.21:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "answered", w.fromOutside(w.outside(machine, "udp", "203.0.113.21")),
		"a tap1: main-blue to blue1: udp 203.0.113.99:53 > 10.0.0.3:1111 ttl 63")
	call := w.outside(upstream, "udp", "203.0.113.21")
	call.ports = [2]uint16{40000, 1111}
	w.sees(t, "called by one who may not", w.fromOutside(call))
	call.from = netip.MustParseAddr("192.0.2.200")
	w.sees(t, "called by one who may", w.fromOutside(call), "a tap1: main-blue to blue1: udp 192.0.2.200:40000 > 10.0.0.3:1111 ttl 63")
	reply := w.byRouter("blue1", "udp", "192.0.2.200")
	reply.ports = [2]uint16{1111, 40000}
	w.sees(t, "and replies", w.fromPort("blue1", reply), "a public VLAN 300: 203.0.113.21 to 203.0.113.254: udp 203.0.113.21:1111 > 192.0.2.200:40000 ttl 63")
	w.sees(t, "pings itself by its floating IP, from which a rule lets it", w.fromPort("blue1", w.byRouter("blue1", "ping", "203.0.113.21")),
		"a tap1: main-blue to blue1: ping 203.0.113.21 > 10.0.0.3 ttl 62")
	own := w.byRouter("blue1", "udp", "203.0.113.21")
	own.ports = [2]uint16{5, 1112}
	w.sees(t, "nothing else by that way", w.fromPort("blue1", own))
	w.sees(t, "pings its router", w.fromPort("blue1", w.byRouter("blue1", "ping", "10.0.0.1")), "a tap1: main-blue to blue1: pong 10.0.0.1 > 10.0.0.3 ttl 64")
	w.sees(t, "asks by the gateway", w.fromPort("blue4", w.byRouter("blue4", "udp", machine)),
		"a public VLAN 300: main-ext to 203.0.113.99: udp 203.0.113.11:1111 > 203.0.113.99:53 ttl 63")
	w.sees(t, "answered there", w.fromOutside(w.outside(machine, "udp", "203.0.113.11")),
		"a tap4: main-blue to blue4: udp 203.0.113.99:53 > 10.0.0.6:1111 ttl 63")
	out := w.byRouter("tan4", "udp", machine)
	w.sees(t, "in no group, no way out", w.fromPort("tan4", out))
	out.ports = [2]uint16{dhcpClient, dhcpServer}
	w.sees(t, "nor one that looks like DHCP", w.fromPort("tan4", out))
	call.ports = [2]uint16{dhcpServer, dhcpClient}
	w.sees(t, "nor one in", w.fromOutside(call))
}

// may is the whole model: what the API's words say that a port may send to a peer, or receive from one. A peer is in a group
// if any port that is has its address.
func (w *topology) may(p, peer *signalbox.Port, d signalbox.Direction, q probe) bool {
	var in []uuid.UUID
	for _, other := range w.port {
		if slices.ContainsFunc(other.FixedIPs, func(ip signalbox.FixedIP) bool { return ip.Addr == peer.FixedIPs[0].Addr }) {
			in = append(in, other.SecurityGroups...)
		}
	}
	for _, g := range w.group {
		for _, r := range g.Rules {
			n, said := r.Protocol.Number()
			named := r.RemoteGroupID == uuid.Nil || slices.Contains(in, r.RemoteGroupID)
			within := !r.RemotePrefix.IsValid() || r.RemotePrefix.Contains(peer.FixedIPs[0].Addr)
			service := r.PortMin == signalbox.NoPort || q.proto != 1 && r.PortMin <= q.a && q.a <= r.PortMax ||
				q.proto == 1 && r.PortMin == q.a && (r.PortMax == signalbox.NoPort || r.PortMax == q.b)
			if slices.Contains(p.SecurityGroups, g.ID) && r.Direction == d && r.EtherType == signalbox.IPv4 && (!said || n == 0 || int(n) == q.proto) &&
				named && within && service {
				return true
			}
		}
	}
	return false
}

// probe is a protocol, and a port or a type and code.
type probe struct{ proto, a, b int }

func (q probe) match(from, to *signalbox.Port) string {
	s := fmt.Sprintf("nw_ttl=64,nw_src=%s,nw_dst=%s", from.FixedIPs[0].Addr, to.FixedIPs[0].Addr)
	known := fmt.Sprintf(",ct_state=trk|new,ct_nw_src=%s,ct_nw_dst=%s,ct_nw_proto=%d", from.FixedIPs[0].Addr, to.FixedIPs[0].Addr, q.proto)
	switch q.proto {
	case 1:
		return fmt.Sprintf("icmp,icmp_type=%d,icmp_code=%d,%s%s,ct_tp_src=%d,ct_tp_dst=%d", q.a, q.b, s, known, q.a, q.b)
	case 6, 17:
		name := map[int]string{6: "tcp", 17: "udp"}[q.proto]
		return fmt.Sprintf("%s,%s_src=999,%s_dst=%d,%s%s,ct_tp_src=999,ct_tp_dst=%d", name, name, name, q.a, s, known, q.a)
	}
	return fmt.Sprintf("ip,nw_proto=%d,%s%s", q.proto, s, known)
}

// Open vSwitch is asked what the flows mean, and the model what the API says.
func TestWhatFlowsAllowIsWhatTheAPISays(t *testing.T) {
	l := newLab(t, loadTopology(t, groupWorld))
	names := []string{"vm1", "vm2", "vm3", "vm5", "r1", "r2"}
	rapid.Check(t, func(rt *rapid.T) {
		l.group = map[string]*signalbox.SecurityGroup{}
		for n := range worldGroups {
			g := &signalbox.SecurityGroup{ID: id("security_group", n), Key: signalbox.GroupKey(n + 1)}
			for range rapid.IntRange(0, 5).Draw(rt, "rules") {
				rule := drawRule(rt)
				rule.ID, rule.Key = idOf("rule", fmt.Sprint(n, len(g.Rules))), signalbox.RuleKey(n*100+len(g.Rules)+1)
				g.Rules = append(g.Rules, rule)
			}
			l.group[fmt.Sprint(n)] = g
		}
		for _, name := range names {
			p := l.port[name]
			p.SecurityGroups, p.Pairs = nil, nil
			for n := range worldGroups {
				if rapid.IntRange(0, 2).Draw(rt, "in") == 0 {
					p.SecurityGroups = append(p.SecurityGroups, id("security_group", n))
				}
			}
		}
		l.reloadGroups()
		for range 12 {
			from, to := rapid.SampledFrom(names).Draw(rt, "from"), rapid.SampledFrom(names).Draw(rt, "to")
			a, b := l.port[from], l.port[to]
			if a.NetworkID != b.NetworkID || l.hostOf(from) == l.hostOf(to) {
				continue // a trace forgets what it was told of connections once one is remembered: the hosts are asked apart
			}
			q := probe{proto: rapid.SampledFrom([]int{1, 6, 17, 17, 47}).Draw(rt, "protocol")}
			switch q.proto {
			case 1:
				q.a, q.b = rapid.SampledFrom([]int{0, 8, 13}).Draw(rt, "type"), rapid.IntRange(0, 1).Draw(rt, "code")
			case 6, 17:
				q.a = rapid.SampledFrom([]int{0, 1, 2, 28, 29, 53, 79, 80, 81, 107, 108, 1000, 1080, 1081, 2000, 2001, 65535}).Draw(rt, "port")
			}
			sent := l.walk(l.hostOf(from), l.from(from, to, q.match(a, b)))
			if got, want := !slices.Contains(sent.ends, "drop"), l.may(a, b, signalbox.Egress, q); got != want {
				rt.Fatalf("%s sends %+v to %s: %v, and should %v\n%s", from, q, to, got, want, sent.text)
			}
			tag := map[string]string{"v": "100", "r": "101"}[to[:1]]
			received := l.walk(l.hostOf(to), fmt.Sprintf("in_port=201,dl_vlan=%s,eth_src=%s,eth_dst=%s,%s", tag, a.MAC, b.MAC, q.match(a, b)))
			if got, want := !slices.Contains(received.ends, "drop"), l.may(b, a, signalbox.Ingress, q); got != want {
				rt.Fatalf("%s receives %+v from %s: %v, and should %v\n%s", to, q, from, got, want, received.text)
			}
		}
	})
}
