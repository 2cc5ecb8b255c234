//go:build integration

package flowpipeline

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

const walkPage = "../docs/packet-walk.md"

const walkOpening = `# A packet's walk

This page is written by a test (` + "`go test -tags integration -run PacketWalk ./flowpipeline -update`" + `), which fails when
the page is stale. It shows every flow of host *a* in this small world, table by table; ` + "`flowpipeline/tables.go`" + `
has the whole path on one screen. Under each table are packets, put to a real Open vSwitch with these flows
(` + "`ofproto/trace`" + `): the tables that they meet, what the last flow is for, and where they end.

`

// How a packet is handed on from table to table, in words.
const walkRegisters = `What tables tell each other: ` + "`reg0`" + ` the network's key, ` + "`reg1`" + ` the sending port's key, ` + "`reg2`" + ` the receiving port's
key, ` + "`reg3[0]`" + ` 1 when the packet came from another host or a physical network, ` + "`reg3[16..31]`" + ` the piece of the
flood list being read, ` + "`reg4[0..7]`" + ` why the controller gets a packet. What a port says of itself is a claim while it is looked up: ` + "`reg10[16..17]`" + ` is of which
kind it is, ` + "`reg10[0..15]`" + ` and ` + "`reg9`" + ` the MAC, ` + "`reg12`" + ` to ` + "`reg15`" + ` the address; ` + "`reg3[5]`" + ` is 1 when the port may claim that,
` + "`reg3[6]`" + ` when it has the address itself, ` + "`reg3[7]`" + ` when it may advertise what it does, or asks by ARP for what it has. While a router has the packet: ` + "`reg5`" + ` the router's key,
` + "`reg6`" + ` the next hop's address, ` + "`reg7`" + ` the key of the network that it goes to, ` + "`reg3[2]`" + ` 1 when it does not fit there;
` + "`reg3[1]`" + ` is 1 once a router has sent it on. Here blue is network 0x1, red 0x2 and green 0x3; vm1 is port 0x12 and r1 0x14.

A routed packet's walk is switching > router > routing > size > nexthop > departure, and from there back to switching on
the next network. The sender's host does all of it; what arrives elsewhere is a frame like any other. Host *a* has no port of
green: it knows green because router main joins it to blue, and gets nobody's broadcasts there.

Out to the external network ext (0x4) it is switching > router > routing > size > exit > *conntrack* > outward > nexthop >
departure > switching. vm1 has a floating IP, which its own host translates: it leaves from 203.0.113.21 and that address's own
MAC. vm2 has none, and host *b* does not reach ext: in its exit table the packet goes, as it came, to main's gateway host, *a*.
Here it comes in from the fabric, switching hands it to the router because *a* is that host, and it leaves from the gateway's
203.0.113.11.

In from ext it is outside > switching > arrival > inward > *conntrack* > inside > router, and from there like any routed packet.
` + "`reg8`" + ` keeps the address that conntrack is to translate: outward and inside let pass only what has become what it should.
OVS plays a translation in a trace, but knows no connection there: that answers come in is proved with real packets.

What a port sends is put to its security groups, sending > *conntrack* > sent > membership, and for each group group > rule; where its rules name
groups also tuple, and for each of these peer > rule; then back to permitted. What it is to receive likewise, from receiving to admitted. Both ask
the same tables from membership to rule, which answer by one bit, ` + "`reg3[3]`" + `: does any rule of any of its groups allow the connection that the
packet is of? ` + "`reg11[0..15]`" + ` is the port's conntrack zone, ` + "`reg3[4]`" + ` 1 when the port is the one that was called, ` + "`reg9`" + ` the group whose rules are
being read, ` + "`reg10`" + ` the one that these name, and ` + "`reg15`" + ` the other end's address, which is looked for there. The chapters of these tables show such a way in
full; in the others *groups* stands for it. Here every packet is the first of its connection.

`

// proof is a packet that shows what a table does.
type proof struct{ what, packet string }

func (l *lab) proofs() map[uint8][]proof {
	const tunnel = "in_port=101,tun_id=1001,tun_src=192.0.2.2,tun_dst=192.0.2.1,eth_src=fa:16:3e:00:00:04,"
	const outside = "in_port=202,dl_vlan=300,eth_src=52:54:00:00:00:fe,"
	const vlan = "in_port=201,dl_vlan=100,eth_src=fa:16:3e:00:00:04,"
	const ping = "icmp,icmp_type=8,icmp_code=0,nw_ttl=64"
	ll := l.port["vm1"].MAC.LinkLocal().String()
	return map[uint8][]proof{
		TableClassify: {
			{"an interface that nobody knows says something", "in_port=19,eth_src=fa:16:3e:00:00:09,eth_dst=ff:ff:ff:ff:ff:ff,arp"},
			{"vm1 sends a frame with a VLAN tag of its own", l.ping("vm1", "vm2") + ",dl_vlan=100"},
			{"r1's own broadcast comes back from the physical network", "in_port=201,dl_vlan=100,eth_src=fa:16:3e:00:00:03,eth_dst=ff:ff:ff:ff:ff:ff,arp"},
		},
		TableSource: {
			{"vm1 speaks neither ARP nor IP", l.from("vm1", "all", "eth_type=0x88cc")},
			{"vm1 answers DHCP", l.udp("vm1", "vm2", "10.0.0.3", "10.0.0.4", [2]int{67, 68})},
			{"vm1 advertises itself as a router", l.icmp6("vm1", "33:33:00:00:00:01", ll, 134, "")},
		},
		TableClaims: {
			{"vm1 sends from its own address", l.udp("vm1", "vm2", "10.0.0.3", "10.0.0.4", [2]int{9, 9})},
			{"vm1 answers ARP as another MAC", l.from("vm1", "vm2", "arp,arp_op=2,arp_sha=fa:16:3e:00:00:04,arp_spa=10.0.0.3,arp_tpa=10.0.0.4")},
		},
		TableHonest: {
			{"vm1 sends from another MAC", l.in("vm1") + ",eth_src=fa:16:3e:00:00:04,eth_dst=fa:16:3e:00:00:04,icmp,nw_src=10.0.0.3"},
			{"vm1 sends from 10.0.0.9", l.udp("vm1", "vm2", "10.0.0.9", "10.0.0.4", [2]int{9, 9})},
			{"vm1 advertises its own address", l.icmp6("vm1", "33:33:00:00:00:01", ll, 136, ",nd_target="+ll+",nd_tll=fa:16:3e:00:00:03")},
			{"vm1 advertises another's address", l.icmp6("vm1", "33:33:00:00:00:01", ll, 136, ",nd_target=fe80::1,nd_tll=fa:16:3e:00:00:03")},
		},
		TableServices: {
			{"vm1 asks who has 10.0.0.4", l.arp("vm1", "vm1", "vm2")},
			{"vm1 asks who has its own 10.0.0.3", l.arp("vm1", "vm1", "vm1")},
			{"vm1 asks for a lease", l.udp("vm1", "all", "0.0.0.0", "255.255.255.255", [2]int{68, 67})},
			{"vm1 renews it at the server's own address", l.udp("vm1", "dhcp-blue", "10.0.0.3", "10.0.0.2", [2]int{68, 67})},
		},
		TableNames: {{"vm1 asks for a name", l.udp("vm1", "dhcp-blue", "10.0.0.3", "10.0.0.2", [2]int{40000, 53})}},
		TableOutside: {
			{"ext's router asks who has 203.0.113.21", outside + "eth_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_spa=203.0.113.254,arp_tpa=203.0.113.21"},
			{"it answers the gateway's question", outside + "eth_dst=fa:16:3e:00:09:0b,arp,arp_op=2,arp_spa=203.0.113.254,arp_tpa=203.0.113.11"},
			{"it announces itself", outside + "eth_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_spa=203.0.113.254,arp_tpa=203.0.113.254"},
		},
		TableArrival: {
			{"a ping of 203.0.113.11", outside + "eth_dst=fa:16:3e:00:09:0b," + ping + ",nw_src=8.8.8.8,nw_dst=203.0.113.11"},
			{"with the last TTL for 203.0.113.21", outside + "eth_dst=fa:16:3e:00:09:15,udp,nw_ttl=1,nw_dst=203.0.113.21"},
			{"for vm1's inner address", outside + "eth_dst=fa:16:3e:00:09:0b,udp,nw_ttl=64,nw_dst=10.0.0.3"},
		},
		TableInward: {{"a ping of 203.0.113.21", outside + "eth_dst=fa:16:3e:00:09:15," + ping + ",nw_src=8.8.8.8,nw_dst=203.0.113.21"}},
		TableInside: {{"for 203.0.113.11, and no connection", outside + "eth_dst=fa:16:3e:00:09:0b,udp,nw_ttl=64,nw_src=8.8.8.8,nw_dst=203.0.113.11"}},
		TableExit:   {{"vm1 pings 8.8.8.8", l.send("vm1", "main-blue", "8.8.8.8", ping)}},
		TableOutward: {
			{"vm2 pings 8.8.8.8, and host b sends it here", tunnel + "eth_dst=fa:16:3e:00:00:01," + ping + ",nw_src=10.0.0.4,nw_dst=8.8.8.8"},
		},
		TableSending: {
			{"vm1 asks who has 10.0.0.77, for which it needs no rule", l.arp("vm1", "vm1", "10.0.0.77")},
			{"vm1 pings vm2", l.ping("vm1", "vm2")},
		},
		TableRule: {
			{"r2, of r1's group, sends to r1", vlan + "eth_dst=fa:16:3e:00:00:03,udp,nw_src=10.0.0.4,nw_dst=10.0.0.3,udp_src=999,udp_dst=53"},
			{"a machine of the VLAN, of no group, calls r1", vlan + "eth_dst=fa:16:3e:00:00:03,tcp,nw_src=10.0.0.99,nw_dst=10.0.0.3,tcp_src=999,tcp_dst=81"},
			{"it calls another of r1's ports", vlan + "eth_dst=fa:16:3e:00:00:03,tcp,nw_src=10.0.0.99,nw_dst=10.0.0.3,tcp_src=999,tcp_dst=22"},
		},
		TableReceiving: {{"vm2 sends to vm1", tunnel + "eth_dst=fa:16:3e:00:00:03,udp,nw_src=10.0.0.4,nw_dst=10.0.0.3,udp_src=999,udp_dst=53"}},
		TableSwitching: {
			{"vm1 pings vm2, on host b", l.ping("vm1", "vm2")},
			{"r1 pings r2, which has the same addresses on another network", l.ping("r1", "r2")},
			{"vm1 sends to a MAC that nobody has", l.from("vm1", "fa:16:3e:99:99:99", "icmp,nw_src=10.0.0.3")},
			{"r2 wants to be routed by our host; its network has no router", vlan + "eth_dst=fa:16:3e:00:00:01,icmp,nw_dst=10.0.1.4"},
			{"host b sends us a frame for vm2, which it has itself", tunnel + "eth_dst=fa:16:3e:00:00:04,icmp"},
		},
		TableFlood: {
			{"vm1 asks everybody who has 10.0.0.77", l.arp("vm1", "vm1", "10.0.0.77")},
			{"r1 asks everybody who has 10.0.0.77", l.arp("r1", "r1", "10.0.0.77")},
			{"vm2's broadcast comes from host b", tunnel + "eth_dst=ff:ff:ff:ff:ff:ff,icmp,nw_src=10.0.0.4"},
		},
		TableRouter: {
			{"vm1 sends with its last TTL", l.send("vm1", "main-blue", "g2", "udp,nw_ttl=1,udp_dst=33434")},
			{"vm1 sends to everybody on green", l.send("vm1", "main-blue", "10.0.1.255", "udp,nw_ttl=64,udp_dst=9")},
		},
		TableEcho: {{"vm1 pings the router's address on green", l.send("vm1", "main-blue", "main-green", ping)}},
		TableRouting: {
			{"vm1 sends to 10.9.0.7, by the static route", l.send("vm1", "main-blue", "10.9.0.7", ping)},
			{"vm1 sends to 8.8.8.8, by the gateway", l.send("vm1", "main-blue", "8.8.8.8", ping)},
		},
		TableSize: {{"vm1 pings g2, on host b", l.send("vm1", "main-blue", "g2", ping)}},
		TableNextHop: {
			{"vm1 pings 10.0.1.77, which no port has", l.send("vm1", "main-blue", "10.0.1.77", ping)},
			{"vm1 pings 203.0.113.77, for which the controller will ask", l.send("vm1", "main-blue", "203.0.113.77", ping)},
		},
		TableDeparture: {{"vm1 pings vm2 by the router", l.send("vm1", "main-blue", "vm2", ping)}},
		TableRefusal:   {{"vm1 sends to a service of the router's", l.send("vm1", "main-blue", "main-blue", "tcp,nw_ttl=64,tcp_dst=22")}},
		TableOutput: {
			{"vm2's ping comes from host b", tunnel + "eth_dst=fa:16:3e:00:00:03,icmp,nw_src=10.0.0.4"},
			{"r2's ping comes from the physical network", vlan + "eth_dst=fa:16:3e:00:00:03,icmp,nw_src=10.0.0.4"},
		},
	}
}

// begins adds to an IPv4 packet what conntrack will say of it: that it is the first of a connection from here to there.
func begins(packet string) string {
	said := map[string]string{}
	for _, field := range strings.Split(packet, ",") {
		name, value, _ := strings.Cut(field, "=")
		said[name] = value
	}
	for name, number := range map[string]string{"icmp": "1", "tcp": "6", "udp": "17"} {
		if _, is := said[name]; !is || said["nw_src"] == "" {
			continue
		}
		from, to := said[name+"_src"], said[name+"_dst"]
		if name == "icmp" {
			from, to = said["icmp_type"], said["icmp_code"]
		}
		packet += fmt.Sprintf(",ct_state=trk|new,ct_nw_proto=%s,ct_nw_src=%s,ct_nw_dst=%s", number, said["nw_src"], or(said["nw_dst"], "0.0.0.0"))
		packet += fmt.Sprintf(",ct_tp_src=%s,ct_tp_dst=%s", or(from, "0"), or(to, "0"))
	}
	return packet
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// asked is where a path asks a port's groups, and is let on.
var asked = regexp.MustCompile(`(sending|receiving) > (sent|received) > [a-z >]*?(permitted|admitted) > `)

func TestPacketWalkIsFresh(t *testing.T) {
	const path = "testdata/traces/walk.txt"
	l := newLab(t, loadTopology(t, path))
	world, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, world, _ = cutLine(world)
	var b strings.Builder
	fmt.Fprintf(&b, "%s```\n%s```\n\n%s", walkOpening, world, walkRegisters)
	flows, proofs := l.compile().Flows(idOf("host", "a"), nil), l.proofs()
	for _, table := range Tables() {
		if guards(table.ID) && !l.guarded {
			continue
		}
		l.printTable(&b, &table, flows)
		for _, p := range proofs[table.ID] {
			l.printProof(t, &b, &table, p)
		}
		b.WriteByte('\n')
	}
	page := strings.TrimRight(b.String(), "\n") + "\n"
	if lines := strings.Count(page, "\n"); lines > 900 {
		t.Errorf("%d lines are too long a walk", lines)
	}
	golden(t, walkPage, page)
}

func cutLine(b []byte) (line, rest []byte, found bool) {
	i := slices.Index(b, '\n')
	return b[:i], b[i+1:], true
}

func (l *lab) printTable(b *strings.Builder, table *Table, flows []flow.Flow) {
	fmt.Fprintf(b, "## %d %s: %s\n\nMatches %s.", table.ID, table.Name, table.Asks, join(table.Match))
	if len(table.Load) > 0 {
		fmt.Fprintf(b, " Writes %s.", join(table.Load))
	}
	var next []string
	for _, id := range table.Next {
		next = append(next, TableName(id))
	}
	if len(next) > 0 {
		fmt.Fprintf(b, " Goes on to %s.", strings.Join(next, ", "))
	}
	b.WriteString("\n\n```\n")
	n := 0
	for i := range flows {
		if f := &flows[i]; f.Table == table.ID {
			n++
			fmt.Fprintf(b, "%-3d%s\n     %s\n", n, l.reason(f), row(f))
		}
	}
	b.WriteString("```\n\n")
}

// printProof writes one packet's walk; it must come through the table that it is to show.
func (l *lab) printProof(t *testing.T, b *strings.Builder, table *Table, p proof) {
	w := l.walk("a", begins(p.packet))
	var path []string
	for _, step := range w.steps {
		if name, _, _ := strings.Cut(step, ":"); len(path) == 0 || path[len(path)-1] != name {
			path = append(path, name)
		}
	}
	if !slices.Contains(path, table.Name) {
		t.Errorf("%s does not come to %s: %v", p.what, table.Name, path)
	}
	_, last, _ := strings.Cut(w.steps[len(w.steps)-1], ": ")
	ends := strings.Join(w.ends, ", ")
	if ends == "drop" || ends == "" {
		ends = "**dropped**"
	}
	way := strings.Join(path, " > ")
	if !guards(table.ID) {
		way = asked.ReplaceAllString(way, "*groups* > ")
	}
	fmt.Fprintf(b, "- *%s*: %s (%s); ends: %s\n", p.what, way, last, ends)
}

func join[T fmt.Stringer](things []T) string {
	var names []string
	for _, t := range things {
		names = append(names, "`"+t.String()+"`")
	}
	return strings.Join(names, ", ")
}
