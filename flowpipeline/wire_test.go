//go:build integration

package flowpipeline

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// A wire is a lab whose hosts' physical networks are connected as by a hub, and in which real packets go through the
// switches' own datapath and conntrack. Tunnels are not connected.
type wire struct {
	*lab
	read map[string]int           // how much of each capture has been read
	who  map[signalbox.MAC]string // has a MAC
}

func newWire(t *testing.T, path string) *wire { return newWireOf(t, loadTopology(t, path)) }

func newWireOf(t *testing.T, of *topology) *wire {
	w := &wire{newLab(t, of), map[string]int{}, map[signalbox.MAC]string{}}
	for name, p := range w.port {
		w.who[p.MAC] = name
	}
	for name, h := range w.host {
		w.who[h.MAC] = "host-" + name
	}
	for _, n := range w.heard {
		w.who[n.MAC] = n.Addr.String()
	}
	return w
}

// sighting is a frame at a host's interface.
type sighting struct {
	host, name string
	frame      []byte
}

// describe is "a public VLAN 300: 203.0.113.21 to 203.0.113.99: udp 203.0.113.21:9 > 203.0.113.99:9 ttl 63": where, the
// owners of the MACs, and the packet.
func (w *wire) describe(s sighting) string {
	p := parsePacket(s.frame)
	at := s.host + " " + s.name
	if p.vlan != 0 {
		at += fmt.Sprintf(" VLAN %d", p.vlan)
	}
	w.suspect(s, p)
	return fmt.Sprintf("%s: %s to %s: %s", at, w.who[p.src], w.who[p.dst], p)
}

// suspect holds every frame that leaves a host to what must never leave one.
func (w *wire) suspect(s sighting, p packet) {
	if s.name == "public" && p.from.IsPrivate() && !netip.MustParsePrefix("10.0.6.0/24").Contains(p.from) {
		w.t.Errorf("an inner address goes out: %s", p)
	}
	sender := w.port[w.who[p.src]]
	if _, physical := w.switches[s.host].Patches[s.name]; !physical || sender == nil || sender.RouterID == uuid.Nil {
		return
	}
	for _, r := range w.router {
		if r.ID == sender.RouterID && !isGatewayHost(r, idOf("host", s.host)) {
			t := "host %s, which is not its router's gateway host, shows the MAC of %s on %s"
			w.t.Errorf(t, s.host, w.who[p.src], s.name)
		}
	}
}

// put lets a packet arrive at a host's interface and returns what then leaves, anywhere, sorted. What is on a physical
// network comes to the other hosts.
func (w *wire) put(host, name string, p packet) (seen []string) {
	w.t.Helper()
	arriving := []sighting{{host, name, p.bytes()}}
	for hops := 0; len(arriving) > 0; hops++ {
		if hops > 6 {
			w.t.Fatalf("packets go round: %v", seen)
		}
		for _, s := range arriving {
			w.Receive(s.host+"-"+s.name, s.frame)
		}
		arriving = nil
		for _, s := range w.sent() {
			seen = append(seen, w.describe(s))
			for _, other := range w.hosts {
				if _, connected := w.switches[other].Patches[s.name]; connected && other != s.host {
					arriving = append(arriving, sighting{other, s.name, s.frame})
				}
			}
		}
	}
	slices.Sort(seen)
	return seen
}

// sent is the frames that were captured since it was last asked. The dummy datapath and the control socket have one
// thread: two exchanges after a frame was handed in, it has been through every table.
func (w *wire) sent() (frames []sighting) {
	for range 3 {
		w.AppCtl("version")
	}
	for _, host := range w.hosts {
		s := w.switches[host]
		var names []string
		for name := range s.Patches {
			names = append(names, name)
		}
		for kind := range s.Tunnels {
			names = append(names, string(kind))
		}
		for name := range s.Interfaces {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			for _, frame := range w.since(w.captured(host, name)) {
				frames = append(frames, sighting{host, name, frame})
			}
		}
	}
	return frames
}

// since is the frames of a capture that are new: pcap(5), 24 bytes before the first and 16 before each.
func (w *wire) since(path string) (frames [][]byte) {
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	at := max(w.read[path], 24)
	for at+16 <= len(b) {
		n := int(binary.NativeEndian.Uint32(b[at+8:]))
		frames = append(frames, b[at+16:at+16+n])
		at += 16 + n
	}
	w.read[path] = at
	return frames
}

// hears shows what a host's switch sends to the controller: each packet-in as ovs-ofctl prints it, on one line.
func (w *wire) hears(host string) {
	w.t.Helper()
	control := w.Dir + "/" + host + ".ctl"
	cmd := exec.Command("ovs-ofctl", "--unixctl="+control, "-O", "OpenFlow13", "monitor", "unix:"+w.Dir+"/br-"+host+".mgmt", "65535", "-P", "nxt_packet_in")
	file, err := os.Create(w.Dir + "/" + host + ".heard")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(control); err == nil {
			return // it makes this when it is connected
		} else if time.Now().After(deadline) {
			w.t.Fatal(err)
		}
	}
}

var packetIn = regexp.MustCompile(`(?m)^NXT_PACKET_IN.*\n.*$`)

// punts is what a host's controller has heard so far.
func (w *wire) punts(host string) []string {
	b, err := os.ReadFile(w.Dir + "/" + host + ".heard")
	if err != nil {
		w.t.Fatal(err)
	}
	return packetIn.FindAllString(string(b), -1)
}

// awaitPunt waits until a host's controller has heard a packet in which every part is found.
func (w *wire) awaitPunt(host string, parts ...string) {
	w.t.Helper()
	var heard []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		heard = w.punts(host)
		for _, in := range heard {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(in, part) }) {
				return
			}
		}
	}
	w.t.Errorf("host %s's controller has not heard of %q, only\n%s", host, parts, strings.Join(heard, "\n"))
}

// byRouter is a packet of a port to an address, by its network's router.
func (w *wire) byRouter(port, kind, to string) packet {
	p := w.port[port]
	out := packet{src: p.MAC, kind: kind, from: p.FixedIPs[0].Addr, to: netip.MustParseAddr(to), ttl: 64, ports: [2]uint16{1111, 53}}
	for _, by := range w.port {
		if by.Role == signalbox.RoleRouterInterface && by.NetworkID == p.NetworkID {
			out.dst = by.MAC
		}
	}
	return out
}

// fromPort lets a port send.
func (w *wire) fromPort(port string, p packet) []string {
	w.t.Helper()
	return w.put(w.hostOf(port), w.port[port].Binding.Interface, p)
}

// outside is a packet of a neighbour to an outer address, as the external network delivers it.
func (w *wire) outside(from, kind, to string) packet {
	out := packet{kind: kind, from: netip.MustParseAddr(from), to: netip.MustParseAddr(to), ttl: 64, ports: [2]uint16{53, 1111}, vlan: 300}
	for _, n := range w.heard {
		if n.Addr == out.from {
			out.src = n.MAC
		}
	}
	for _, p := range w.port {
		if p.FixedIPs[0].Addr == out.to {
			out.dst = p.MAC
		}
	}
	if strings.HasPrefix(to, "198.") {
		out.vlan = 0
	}
	return out
}

// fromOutside lets the external network deliver a packet to every host that has it.
func (w *wire) fromOutside(p packet) (seen []string) {
	w.t.Helper()
	for _, host := range []string{"a", "c"} {
		seen = append(seen, w.put(host, "public", p)...)
	}
	return seen
}

// sees compares what was seen, in any order.
func (w *wire) sees(t *testing.T, fact string, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: seen\n  %s\nand not\n  %s", fact, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
