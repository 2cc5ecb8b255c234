//go:build integration

package flowpipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// lab is a topology's flows in a real Open vSwitch, a bridge a host. It judges what the flows mean.
type lab struct {
	t *testing.T
	*topology
	*ovs.Switch
	why   map[string]string // host and cookie -> table and reason
	names map[string]string // the datapath's port number -> interface, or tunnel type, or physical network
}

func newLab(t *testing.T, w *topology) *lab {
	t.Helper()
	l := &lab{t: t, topology: w, Switch: ovs.Start(t), why: map[string]string{}, names: map[string]string{}}
	c := l.compile()
	for _, host := range l.hosts {
		l.plug(host)
		l.load(c, host)
	}
	l.nameDatapathPorts()
	return l
}

// plug makes a host's bridge with the ports that its switch is said to have. All are dummies, so that a
// trace shows a tunnel's key and peer as they were set, and needs no route to it.
func (l *lab) plug(host string) {
	br, s := "br-"+host, l.switches[host]
	l.AddBridge(br)
	var commands []string
	port := func(name string, no uint32) {
		commands = append(commands, "--", "add-port", br, host+"-"+name,
			"--", "set", "interface", host+"-"+name, "type=dummy", "ofport_request="+strconv.Itoa(int(no)),
			"options:tx_pcap="+l.captured(host, name))
	}
	for _, i := range s.Interfaces {
		port(i.Name, i.OFPort)
	}
	for physical, no := range s.Patches {
		port(physical, no)
	}
	for kind, no := range s.Tunnels {
		port(string(kind), no)
	}
	l.VSCtl(commands[1:]...)
}

// captured is the file of what a host sends out of an interface.
func (l *lab) captured(host, name string) string { return filepath.Join(l.Dir, host+"-"+name+".pcap") }

// load puts a host's meters and flows into its bridge. OVS must take every one.
func (l *lab) load(c *Compiler, host string) {
	br, id := "br-"+host, idOf("host", host)
	for _, m := range sortedMeters(c, id) {
		l.OFCtl("add-meter", br, fmt.Sprintf("meter=%d,pktps,burst,band=type=drop,rate=%d,burst_size=%d", m.ID, m.PacketsPerSecond, m.Burst))
	}
	var b strings.Builder
	flows := c.Flows(id, nil)
	for i := range flows {
		f := &flows[i]
		fmt.Fprintf(&b, "cookie=%#x, %s\n", uint64(f.Cookie), f)
		l.why[host+fmt.Sprintf("%#x", uint64(f.Cookie))] = TableName(f.Table) + ": " + l.reason(f)
	}
	path := filepath.Join(l.Dir, br+".flows")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.OFCtl("add-flows", br, path)
	held := strings.Count(l.OFCtl("dump-flows", br), "cookie=")
	if held != len(flows) {
		l.t.Fatalf("%s holds %d flows of %d", br, held, len(flows))
	}
}

// dpPort finds an interface, its OpenFlow port and its datapath port in dpif/show.
var dpPort = regexp.MustCompile(`(?m)^\s+(\S+) \d+/(\d+):`)

func (l *lab) nameDatapathPorts() {
	for _, m := range dpPort.FindAllStringSubmatch(l.AppCtl("dpif/show"), -1) {
		_, name, _ := strings.Cut(m[1], "-")
		l.names[m[2]] = name
	}
}

var (
	traceStep    = regexp.MustCompile(`(?m)^\s*\d+\. .*cookie (0x[0-9a-f]+)`)
	traceActions = regexp.MustCompile(`(?m)^Datapath actions: (.*)$`)
	traceTunnel  = regexp.MustCompile(`(?m)^\s*(?:set_field:(\S+)->tun_id|set_field:(\S+)->tun_dst|output:(\d+))$`)
	vlanOfPacket = regexp.MustCompile(`dl_vlan=(\d+)`)
	vlanAction   = regexp.MustCompile(`^push_vlan\(vid=(\d+)`)
)

// walk is what a packet meets: the reasons of the flows, in order, and where it, or its copies, end up.
type walk struct {
	steps []string
	ends  []string
	text  string
}

func (l *lab) walk(host, packet string) walk {
	l.t.Helper()
	out := l.Trace("br-"+host, packet)
	w := walk{text: out}
	for _, m := range traceStep.FindAllStringSubmatch(out, -1) {
		why, ok := l.why[host+m[1]]
		if !ok {
			l.t.Fatalf("nothing explains cookie %s in\n%s", m[1], out)
		}
		w.steps = append(w.steps, why)
	}
	passes, tunnels := traceActions.FindAllStringSubmatch(out, -1), l.tunnels(host, out)
	if len(passes) == 0 {
		l.t.Fatalf("no actions in\n%s", out)
	}
	tag := ""
	if m := vlanOfPacket.FindStringSubmatch(packet); m != nil {
		tag = " VLAN " + m[1]
	}
	for _, m := range passes { // one more for each time through conntrack, where tags have been taken off
		var ends []string
		ends, tunnels = l.endsFrom(m[1], tag, tunnels)
		w.ends, tag = append(w.ends, ends...), ""
	}
	return w
}

// tunnels is the key and peer of each copy sent to a tunnel port, in order.
func (l *lab) tunnels(host, trace string) []string {
	var key, peer string
	var copies []string
	for _, m := range traceTunnel.FindAllStringSubmatch(trace, -1) {
		switch {
		case m[1] != "":
			key = strconv.Itoa(int(number(m[1])))
		case m[2] != "":
			peer = m[2]
		default:
			for kind, no := range l.switches[host].Tunnels {
				if number(m[3]) == no {
					copies = append(copies, fmt.Sprintf("%s %s to %s", kind, key, peer))
				}
			}
		}
	}
	return copies
}

// endsFrom reads datapath actions: "tap1", "vxlan 1001 to 192.0.2.2", "physnet1 VLAN 100", "controller", "drop".
// What depends on the packet's size is "more than 1464 bytes: controller". It returns also the tunnel copies that are left
// for the actions behind these. The tag is what the packet has so far.
func (l *lab) endsFrom(actions, tag string, tunnels []string) (ends, left []string) {
	for _, a := range splitActions(actions) {
		switch {
		case a == "drop":
			ends = append(ends, a)
		case strings.HasPrefix(a, "ct("), a == "ct_clear", strings.HasPrefix(a, "recirc("):
		case strings.HasPrefix(a, "meter("), strings.HasPrefix(a, "set("):
		case strings.HasPrefix(a, "push_vlan("):
			tag = " VLAN " + vlanAction.FindStringSubmatch(a)[1]
		case a == "pop_vlan":
			tag = ""
		case strings.HasPrefix(a, "userspace("):
			ends = append(ends, "controller")
		case strings.HasPrefix(a, "check_pkt_len("):
			branches := splitActions(strings.TrimSuffix(strings.TrimPrefix(a, "check_pkt_len("), ")"))
			size := strings.TrimPrefix(branches[0], "size=")
			for i, branch := range []string{"gt(", "le("} {
				var inner []string
				inner, tunnels = l.endsFrom(strings.TrimSuffix(strings.TrimPrefix(branches[1+i], branch), ")"), tag, tunnels)
				for _, end := range inner {
					ends = append(ends, []string{"more than ", "up to "}[i]+size+" bytes: "+end)
				}
			}
		default:
			name := l.names[a]
			switch {
			case name == "":
				l.t.Fatalf("what is %q in %s?", a, actions)
			case signalbox.NetworkType(name).Tunnelled():
				name, tunnels = tunnels[0], tunnels[1:]
			}
			ends = append(ends, name+tag)
		}
	}
	return ends, tunnels
}

// splitActions splits at the commas outside brackets.
func splitActions(s string) []string {
	var parts []string
	depth, from := 0, 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}

// Packets as ofproto/trace reads them.

func (l *lab) in(port string) string {
	p := l.port[port]
	return fmt.Sprintf("in_port=%d", l.switches[l.hostOf(port)].Interfaces[p.Binding.Interface].OFPort)
}

func (l *lab) hostOf(port string) string { return l.topology.names[l.port[port].Binding.HostID] }

// from is a frame of a port to a MAC, and more.
func (l *lab) from(port, to, more string) string {
	return fmt.Sprintf("%s,eth_src=%s,eth_dst=%s,%s", l.in(port), l.port[port].MAC, l.mac(to), more)
}

func (l *lab) mac(name string) string {
	switch p := l.port[name]; {
	case p != nil:
		return p.MAC.String()
	case name == "all":
		return "ff:ff:ff:ff:ff:ff"
	}
	return name
}

func (l *lab) addr(name string) string {
	if p := l.port[name]; p != nil {
		return p.FixedIPs[0].Addr.String()
	}
	return name
}

// ping is an ICMP echo from one port to another.
func (l *lab) ping(from, to string) string {
	return l.from(from, to, "icmp,nw_ttl=64,nw_src="+l.addr(from)+",nw_dst="+l.addr(to))
}

// send is a packet of a port to an address, by a router's interface.
func (l *lab) send(from, by, to, more string) string {
	return l.from(from, by, more+",nw_src="+l.addr(from)+",nw_dst="+l.addr(to))
}

// arp is a request of a port for an address.
func (l *lab) arp(from, sender, target string) string {
	return l.from(from, "all", fmt.Sprintf("arp,arp_op=1,arp_sha=%s,arp_spa=%s,arp_tpa=%s", l.port[from].MAC, l.addr(sender), l.addr(target)))
}

func (l *lab) udp(from, to, src, dst string, ports [2]int) string {
	return l.from(from, to, fmt.Sprintf("udp,nw_ttl=64,nw_src=%s,nw_dst=%s,udp_src=%d,udp_dst=%d", src, dst, ports[0], ports[1]))
}

func (l *lab) icmp6(from, to, src string, kind int, more string) string {
	return l.from(from, to, fmt.Sprintf("icmp6,nw_ttl=255,ipv6_src=%s,ipv6_dst=ff02::1,icmpv6_type=%d,icmpv6_code=0%s", src, kind, more))
}
