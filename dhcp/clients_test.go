//go:build integration

package dhcp

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/signalbox-sdn/signalbox"
)

var capture = flag.Bool("capture", false, "write what the clients send to testdata")

const (
	patience = 20 * time.Second
	// wireDelay is the length of the wire: udhcpc opens its socket for the answer to a renewal only after
	// it has asked, and misses one that is there at once (it then asks everybody).
	wireDelay = 20 * time.Millisecond
)

// lan is two namespaces joined by a veth pair: a client's, with eth0, and the server's, where a
// goroutine gives each frame to Answer.
type lan struct {
	t       *testing.T
	program string // the client
	client  string // its namespace
	dir     string

	mu    sync.Mutex
	bend  func([]byte) []byte // done to every reply; nil: nothing
	facts []Facts
	seen  []string // request and outcome, in order
}

func newLAN(t *testing.T, program string, facts Facts) *lan {
	t.Helper()
	l := &lan{t: t, program: program, client: fmt.Sprintf("sbdhcp%dc", os.Getpid()), dir: t.TempDir(), facts: []Facts{facts}}
	server := fmt.Sprintf("sbdhcp%ds", os.Getpid())
	for _, ns := range []string{l.client, server} {
		l.run("ip", "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	}
	l.run("ip", "link", "add", "eth0", "address", facts.MAC.String(), "netns", l.client, "type", "veth", "peer", "name", "wire", "netns", server)
	l.run("ip", "-n", l.client, "link", "set", "eth0", "up")
	l.run("ip", "-n", server, "link", "set", "wire", "up")

	ctx, cancel := context.WithCancel(context.Background())
	opened, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		l.serve(ctx, server, opened)
	}()
	t.Cleanup(func() { cancel(); <-done })
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lan) run(name string, args ...string) {
	l.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// serve answers frames on the server's end of the wire.
func (l *lan) serve(ctx context.Context, namespace string, opened chan<- error) {
	fd, err := openWire(namespace)
	opened <- err
	if err != nil {
		return
	}
	defer unix.Close(fd)
	buf := make([]byte, 65536)
	for ctx.Err() == nil {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err != nil { // the timeout: look at ctx
			continue
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if reply := l.answer(buf[:n]); reply != nil {
			time.Sleep(wireDelay)
			_, _ = unix.Write(fd, reply)
		}
	}
}

// openWire opens a packet socket in a namespace. The thread that enters it is not used again.
func openWire(namespace string) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		ns, nsErr := os.Open("/var/run/netns/" + namespace)
		if err = nsErr; err != nil {
			return
		}
		defer ns.Close()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, all); err != nil {
			return
		}
		var index uint32
		if ifr, ifErr := unix.NewIfreq("wire"); ifErr != nil {
			err = ifErr
		} else if err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err == nil {
			index = ifr.Uint32()
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: int(index)})
		}
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
		}
	}()
	<-done
	return fd, err
}

func (l *lan) answer(frame []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	reply, outcome := Answer(frame, l.facts)
	if outcome == NotDHCP {
		return nil
	}
	l.seen = append(l.seen, describe(frame)+": "+outcome.String())
	if *capture && l.facts[0].Addr == fact().Addr {
		l.save(frame)
	}
	if reply != nil && l.bend != nil {
		reply = l.bend(reply)
	}
	return reply
}

// describe names a request by its type, and a REQUEST by its state.
func describe(frame []byte) string {
	d, _, ok := parseFrame(frame)
	if !ok {
		return "damaged"
	}
	m, err := dhcpv4.FromBytes(d.payload)
	if err != nil {
		return "damaged"
	}
	switch {
	case m.MessageType() != dhcpv4.MessageTypeRequest:
		return strings.ToLower(m.MessageType().String())
	case m.Options.Has(dhcpv4.OptionServerIdentifier):
		return "select"
	case !m.ClientIPAddr.IsUnspecified() && d.dst == limitedBroadcast:
		return "rebind"
	case !m.ClientIPAddr.IsUnspecified():
		return "renew"
	default:
		return "reboot"
	}
}

func (l *lan) save(frame []byte) {
	path := filepath.Join("testdata", l.program+"-"+describe(frame)+".hex")
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		l.t.Error(err)
	}
	if err := os.WriteFile(path, []byte(hex.EncodeToString(frame)+"\n"), 0o644); err != nil {
		l.t.Error(err)
	}
}

// await waits until the server has seen a request end so.
func (l *lan) await(want string) {
	l.t.Helper()
	l.awaitThat(want, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, s := range l.seen {
			if s == want {
				return true
			}
		}
		return false
	})
}

func (l *lan) awaitThat(what string, ok func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.t.Fatalf("not within %v: %s; seen: %q", patience, what, l.seen)
		}
	}
}

func (l *lan) forget(f Facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.facts = nil, []Facts{f}
}

// start runs a client in its namespace and ends it with the test. Its script is always ours: a
// client's own would write the machine's resolv.conf.
func (l *lan) start(args ...string) *exec.Cmd {
	l.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.client, l.program}, args...)...)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return cmd
}

func (l *lan) file(name, text string, mode os.FileMode) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func withRoutes() Facts {
	f := fact()
	f.Subnet.HostRoutes = []signalbox.Route{{Destination: netip.MustParsePrefix("192.168.5.0/24"), NextHop: ip("10.0.0.250")}}
	return f
}

func TestUdhcpcGetsRenewsAndReleasesItsLease(t *testing.T) {
	l := newLAN(t, "udhcpc", withRoutes())
	said := filepath.Join(l.dir, "said")
	// The server has no ARP here, so the script tells its neighbour.
	script := l.file("script", `#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
ip neigh replace "$serverid" lladdr `+servers.String()+` dev "$interface"
echo "ip=$ip mask=$mask router=$router dns=$dns mtu=$mtu lease=$lease domain=$domain hostname=$hostname staticroutes=$staticroutes" > `+said+`.$1.new
mv `+said+`.$1.new `+said+`.$1
`, 0o755)
	cmd := l.start("-f", "-i", "eth0", "-s", script, "-O", "staticroutes", "-O", "mtu")
	read := func(event string) (text string) {
		l.awaitThat(event, func() bool {
			b, err := os.ReadFile(said + "." + event)
			text = strings.TrimSpace(string(b))
			return err == nil
		})
		return text
	}
	want := "ip=10.0.0.3 mask=24 router=10.0.0.1 dns=9.9.9.9 149.112.112.112 mtu=1450 lease=86400 domain=openstacklocal hostname=host-10-0-0-3 " +
		"staticroutes=192.168.5.0/24 10.0.0.250 0.0.0.0/0 10.0.0.1"
	if got := read("bound"); got != want {
		t.Errorf("bound with\n%s, want\n%s", got, want)
	}
	_ = cmd.Process.Signal(syscall.SIGUSR1) // ip netns exec has become udhcpc
	l.await("renew: ack")
	if got := read("renew"); got != want {
		t.Errorf("renewed with\n%s, want\n%s", got, want)
	}
	_ = cmd.Process.Signal(syscall.SIGUSR2)
	l.await("release: released")
}

// TestClientsTakeAnswersWithoutAChecksum: of one answer in 65,536 the checksum comes out as 0. A client that takes such an offer asks for it.
func TestClientsTakeAnswersWithoutAChecksum(t *testing.T) {
	for program, args := range map[string][]string{"udhcpc": {"-f", "-T", "1", "-i", "eth0", "-s", "/bin/true"}, "dhclient": {"-d", "-sf", "/bin/true", "eth0"}} {
		t.Run(program, func(t *testing.T) {
			l := newLAN(t, program, fact())
			l.mu.Lock()
			l.bend = sumless
			l.mu.Unlock()
			if program == "dhclient" {
				args = append([]string{"-lf", filepath.Join(l.dir, "leases"), "-pf", filepath.Join(l.dir, "pid")}, args...)
			}
			l.start(args...)
			l.await("select: ack")
		})
	}
}

func TestDhclientGetsItsLeaseAndIsToldWhenItIsWrong(t *testing.T) {
	l := newLAN(t, "dhclient", withRoutes())
	said := filepath.Join(l.dir, "said")
	script := l.file("script", "#!/bin/sh\nenv | grep ^new_ > "+said+".new\nmv "+said+".new "+said+".$reason\n", 0o755)
	conf := l.file("conf", "option rfc3442 code 121 = array of unsigned integer 8;\n"+
		"request subnet-mask, routers, domain-name-servers, host-name, domain-name, interface-mtu, broadcast-address, rfc3442;\n", 0o644)
	// once is one life of the client: what it was told for a reason, BOUND or REBOOT.
	once := func(reason, address string) (text string) {
		t.Helper()
		leases := filepath.Join(l.dir, "leases")
		cmd := l.start("-d", "-1", "-sf", script, "-cf", conf,
			"-lf", leases, "-pf", filepath.Join(l.dir, "pid"), "eth0")
		l.awaitThat(reason, func() bool {
			b, err := os.ReadFile(said + "." + reason)
			text = string(b)
			return err == nil
		})
		l.awaitThat("the lease on disk", func() bool {
			b, err := os.ReadFile(leases)
			return err == nil && strings.Contains(string(b), "fixed-address "+address+";") && strings.HasSuffix(string(b), "}\n")
		})
		if !strings.Contains(text, "new_ip_address="+address+"\n") {
			t.Errorf("%s with\n%s", reason, text)
		}
		_ = cmd.Process.Kill() // a reboot, not a shutdown
		_ = cmd.Wait()
		if err := os.Remove(said + "." + reason); err != nil {
			t.Fatal(err)
		}
		return text
	}
	bound := once("BOUND", "10.0.0.3")
	for _, want := range []string{"subnet_mask=255.255.255.0", "routers=10.0.0.1",
		"domain_name_servers=9.9.9.9 149.112.112.112", "interface_mtu=1450", "dhcp_lease_time=86400", "dhcp_server_identifier=10.0.0.2",
		"host_name=host-10-0-0-3", "domain_name=openstacklocal", "broadcast_address=10.0.0.255", "rfc3442=24 192 168 5 10 0 0 250 0 10 0 0 1"} {
		if !strings.Contains(bound, "new_"+want+"\n") {
			t.Errorf("it was not told %s:\n%s", want, bound)
		}
	}
	l.await("discover: offer")
	l.await("select: ack")

	l.forget(withRoutes())
	once("REBOOT", "10.0.0.3")
	l.await("reboot: ack")

	moved := withRoutes()
	moved.Addr = ip("10.0.0.4")
	l.forget(moved)
	once("BOUND", "10.0.0.4") // refused, and then told better
	l.await("reboot: nak")
	l.await("select: ack")
}

func TestDhclientRenewsWithTheServerAlone(t *testing.T) {
	f := withRoutes()
	f.Lease = 4 * time.Second
	l := newLAN(t, "dhclient", f)
	script := l.file("script", "#!/bin/sh\n[ -n \"$new_ip_address\" ] || exit 0\nip addr replace $new_ip_address/24 dev eth0\n"+
		"ip neigh replace 10.0.0.2 lladdr "+servers.String()+" dev eth0\n", 0o755)
	l.start("-d", "-1", "-sf", script, "-cf", l.file("conf", "", 0o644),
		"-lf", filepath.Join(l.dir, "leases"), "-pf", filepath.Join(l.dir, "pid"), "eth0")
	l.await("renew: ack")
}
