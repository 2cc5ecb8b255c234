// Package ovs starts a private Open vSwitch for one test: its own ovsdb-server and ovs-vswitchd, with the
// dummy datapath, in a directory of its own. It needs no root and touches nothing of the machine's switch.
// OVS is the judge of what flows mean: tests ask it, by trace or by packet.
package ovs

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	schema   = "/usr/share/openvswitch/vswitch.ovsschema"
	patience = 20 * time.Second // for a start, a stop or one command, on a busy machine
)

// Switch is a running Open vSwitch. Its methods fail the test when the command fails.
type Switch struct {
	Dir string // sockets, database and logs

	t        testing.TB
	env      []string
	stopping atomic.Bool
}

// Start starts a switch without bridges. It is stopped, by process id, when the test ends; if either
// daemon dies before that, the test fails and shows the end of its log.
func Start(t testing.TB) *Switch {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbovs-") // not t.TempDir: socket paths must stay under 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Switch{Dir: dir, t: t}
	s.env = append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_DBDIR="+dir, "OVS_LOGDIR="+dir, "OVS_SYSCONFDIR="+dir)

	s.run("ovsdb-tool", "create", s.path("conf.db"), schema)
	s.daemon("ovsdb-server", s.path("conf.db"), "--remote=punix:"+s.path("db.sock"),
		"--remote=db:Open_vSwitch,Open_vSwitch,manager_options", "--unixctl="+s.path("ovsdb.ctl"))
	s.await("ovsdb.ctl")
	s.run("ovs-vsctl", "--db=unix:"+s.path("db.sock"), "--no-wait", "init")
	s.daemon("ovs-vswitchd", "unix:"+s.path("db.sock"), "--enable-dummy=override", "--disable-system", "--unixctl="+s.path("vswitchd.ctl"))
	s.await("vswitchd.ctl")
	return s
}

func (s *Switch) path(name string) string { return filepath.Join(s.Dir, name) }

// DB is the path of ovsdb-server's socket.
func (s *Switch) DB() string { return s.path("db.sock") }

// daemon starts a program in the foreground and watches it. The goroutine that starts it keeps its
// thread until the program ends: Pdeathsig follows the thread, and so ends the daemons of a test
// that was itself killed.
func (s *Switch) daemon(name string, args ...string) {
	s.t.Helper()
	log := s.path(name + ".log")
	cmd := exec.Command(name, append(args, "--log-file="+log, "-vconsole:off", "-vsyslog:off")...)
	cmd.Env = s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		if !s.stopping.Load() {
			s.t.Errorf("%s DIED under the test (%v); this is Open vSwitch's failure, not a verdict on the flows. Its log ends:\n%s", name, err, tail(log))
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("start %s: %v", name, err)
	}
	s.t.Cleanup(func() {
		s.stopping.Store(true)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
}

func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// await waits until a control socket answers.
func (s *Switch) await(socket string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		_, err := s.call(socket, "version")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not answer: %v", socket, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *Switch) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(name, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *Switch) try(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// VSCtl runs ovs-vsctl and returns what it printed, trimmed.
func (s *Switch) VSCtl(args ...string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run("ovs-vsctl", append([]string{"--db=unix:" + s.DB(), "--timeout=20"}, args...)...))
}

// OFCtl runs ovs-ofctl, speaking OpenFlow 1.3, and returns what it printed.
func (s *Switch) OFCtl(args ...string) string {
	s.t.Helper()
	return s.run("ovs-ofctl", append([]string{"-O", "OpenFlow13"}, args...)...)
}

// TryOFCtl is OFCtl for a command that may be refused.
func (s *Switch) TryOFCtl(args ...string) (string, error) {
	return s.try("ovs-ofctl", append([]string{"-O", "OpenFlow13"}, args...)...)
}

// AppCtl runs a command of ovs-vswitchd, as ovs-appctl(8) does.
func (s *Switch) AppCtl(method string, args ...string) string {
	s.t.Helper()
	out, err := s.call("vswitchd.ctl", method, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, strings.Join(args, " "), err)
	}
	return out
}

// Trace runs ofproto/trace: what a packet, written as a flow ("in_port=1,icmp,…"), would meet.
func (s *Switch) Trace(bridge, packet string) string {
	s.t.Helper()
	return s.AppCtl("ofproto/trace", bridge, packet)
}

// AddBridge makes a bridge with the dummy datapath that drops what no flow wants.
func (s *Switch) AddBridge(name string) {
	s.t.Helper()
	s.VSCtl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail-mode=secure")
}

// AddPort adds a dummy interface to a bridge and returns its OpenFlow number.
func (s *Switch) AddPort(bridge, name string) int {
	s.t.Helper()
	s.VSCtl("add-port", bridge, name, "--", "set", "interface", name, "type=dummy")
	n, err := strconv.Atoi(s.VSCtl("get", "interface", name, "ofport"))
	if err != nil || n <= 0 {
		s.t.Fatalf("interface %s has no OpenFlow port: %v", name, err)
	}
	return n
}

// Receive lets a frame arrive on a dummy interface.
func (s *Switch) Receive(port string, frame []byte) {
	s.t.Helper()
	s.AppCtl("netdev-dummy/receive", port, hex.EncodeToString(frame))
}

// call is one JSON-RPC exchange with a daemon's control socket (ovs-appctl(8), 0.4 ms).
func (s *Switch) call(socket, method string, args ...string) (string, error) {
	conn, err := net.DialTimeout("unix", s.path(socket), patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if args == nil {
		args = []string{}
	}
	request := map[string]any{"id": 0, "method": method, "params": args}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return "", err
	}
	var reply struct {
		Result *string
		Error  *string
	}
	if err := json.NewDecoder(conn).Decode(&reply); err != nil {
		return "", err
	}
	switch {
	case reply.Error != nil:
		return "", errors.New(strings.TrimSpace(*reply.Error))
	case reply.Result == nil:
		return "", errors.New("neither a result nor an error")
	}
	return *reply.Result, nil
}

// Listen makes a listener for switches' controller connections on a free loopback port, and closes it
// when the test ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
