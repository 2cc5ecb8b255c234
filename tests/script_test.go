//go:build integration

package tests

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// patience is how long a script waits for something that should take well under a second, on a busy machine.
const patience = 30 * time.Second

// world is a running Signalbox with its hosts. Scripts share one and leave nothing in it.
type world struct {
	lab        *testbed.Lab
	box        *testbed.Signalbox
	h1, h2, h3 *testbed.Host
	access     *testbed.Host // has joined nothing: machines outside may be plugged into its VLANs
}

var labs atomic.Int64

// labName is unique on the machine.
func labName() string { return fmt.Sprintf("sb%d-%d", os.Getpid(), labs.Add(1)) }

// TestMain builds the commands once, for all worlds.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "signalbox-commands-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	build = sync.OnceValues(func() (string, error) { return testbed.Build(context.Background(), dir) })
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

var build func() (string, error)

// binary is the path of the signalbox command as it is in this tree; quantum is beside it.
func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newWorld makes a lab with three hosts that have joined in both ways that OVSDB can be offered, and are in
// sync.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAs(t, testbed.DefaultSettings())
}

func newWorldAs(t *testing.T, settings testbed.Settings) *world {
	t.Helper()
	ctx := t.Context()
	var w world
	var err error
	w.lab, err = testbed.NewLab(ctx, testbed.Options{
		Name: labName(),
		OnDeath: func(h *testbed.Host, obituary string) {
			fmt.Fprintf(os.Stderr, "\nOpen vSwitch of %s died by itself and was restarted; a failure near here may be its:\n%s\n", h.Name, obituary)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.close(t) })
	if w.box, err = w.lab.StartSignalbox(ctx, binary(t), settings); err != nil {
		t.Fatal(err)
	}
	for i, h := range []**testbed.Host{&w.h1, &w.h2, &w.h3} {
		if *h, err = w.lab.AddHost(ctx, fmt.Sprintf("h%d", i+1)); err != nil {
			t.Fatal(err)
		}
		if err := (*h).Join(ctx, []testbed.Manager{testbed.ManagerListens, testbed.ManagerDials}[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.box.AwaitInSync(ctx, patience, w.h1, w.h2, w.h3); err != nil {
		t.Fatal(err)
	}
	return &w
}

// close ends the world; after a failure it shows what the processes said last, and keeps their logs.
func (w *world) close(t *testing.T) {
	if t.Failed() {
		kept, err := os.MkdirTemp("", "signalbox-failed-")
		if err == nil {
			err = keepLogs(w.lab.Dir, kept)
		}
		t.Logf("logs are kept in %s (%v)", kept, err)
		for _, p := range []string{"apiserver", "controller"} {
			t.Logf("warnings and errors of the %s:\n%s", p, complaints(w.lab.Dir+"/signalbox-"+p+".log"))
		}
	}
	if err := w.lab.Close(); err != nil {
		t.Error(err)
	}
}

// script is one story told in a world: what it makes is gone when it has ended.
type script struct {
	*testing.T
	*world
	ctx      context.Context
	guests   []*guest
	ports    []string // ids of ports that no guest has
	nets     []*network
	routers  []*router
	floating []testbed.FloatingIP
	groups   []string      // ids of security groups
	rules    []string      // ids of rules of the default one
	origins  [][2]string   // address scopes and subnet pools, by name in the URL and id
	machines []*testbed.VM // of the world outside
	counter  int
	pictured sync.Once
}

// script runs one story as a subtest. However it went, the controller is then restarted and must send no
// flow-mod: whatever happened is in the database and in the switches.
func (w *world) script(t *testing.T, name string, tell func(s *script)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		s := &script{T: t, world: w, ctx: t.Context()}
		defer s.clean()
		tell(s)
		s.restartChangesNothing()
	})
}

// restartChangesNothing kills the controller, starts it again, and fails when it sends any flow-mod.
func (s *script) restartChangesNothing() {
	s.Helper()
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	s.box.KillController()
	s.must(s.box.StartController(s.ctx))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	sent, err := s.box.Admin.FlowMods(s.ctx)
	s.must(err)
	if sent != 0 {
		s.Errorf("a restart of the controller sent %d flow-mods; nothing had changed", sent)
	}
}

func (s *script) clean() {
	ctx := context.WithoutCancel(s.ctx)
	var errs []error
	if !s.box.Controller().Alive() { // the story broke off
		errs = append(errs, s.box.StartController(ctx))
	}
	for _, f := range s.floating {
		errs = append(errs, s.box.API.Delete(ctx, "floatingip", f.ID))
	}
	for _, g := range s.guests {
		errs = append(errs, g.Remove(ctx), s.box.API.Delete(ctx, "port", g.Port.ID))
	}
	for _, id := range s.ports {
		errs = append(errs, s.box.API.Delete(ctx, "port", id))
	}
	for _, id := range s.rules {
		errs = append(errs, s.box.API.Delete(ctx, "security-group-rule", id))
	}
	for _, id := range s.groups {
		errs = append(errs, s.box.API.Delete(ctx, "security-group", id))
	}
	for _, r := range s.routers {
		errs = append(errs, s.box.API.DismantleRouter(ctx, r.ID))
	}
	for _, m := range s.machines {
		errs = append(errs, m.Remove(ctx))
	}
	for _, n := range s.nets {
		errs = append(errs, s.box.API.Delete(ctx, "network", n.ID))
	}
	for _, of := range slices.Backward(s.origins) {
		errs = append(errs, s.box.API.Delete(ctx, of[0], of[1]))
	}
	if err := errors.Join(errs...); err != nil {
		s.Errorf("clean up: %v", err)
	}
}

// Error, Errorf, Fatal and Fatalf are those of testing, and take a picture of the first failure while what failed is still there.
func (s *script) Error(args ...any) { s.Helper(); s.picture(); s.T.Error(args...) }
func (s *script) Errorf(format string, args ...any) {
	s.Helper()
	s.picture()
	s.T.Errorf(format, args...)
}
func (s *script) Fatal(args ...any) { s.Helper(); s.picture(); s.T.Fatal(args...) }
func (s *script) Fatalf(format string, args ...any) {
	s.Helper()
	s.picture()
	s.T.Fatalf(format, args...)
}

func (s *script) picture() {
	s.Helper()
	s.pictured.Do(func() {
		s.Logf("%s: how things were at the first failure:\n%s", time.Now().UTC().Format(time.StampMilli), s.lab.Picture(s.ctx, s.box))
	})
}

func (s *script) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// network is a network with one subnet.
type network struct {
	testbed.Network
	Subnet testbed.Subnet
}

const cidr = "10.0.0.0/24" // of every network of a script that does not say otherwise: they overlap

// network makes a network of a type, with the subnet 10.0.0.0/24.
func (s *script) network(kind signalbox.NetworkType) *network {
	s.Helper()
	return s.networkAs(testbed.Network{Type: string(kind)}, testbed.Subnet{CIDR: cidr})
}

// networkAs makes a network that has a type, and its subnet. One that is to name no DNS server has an empty list of them.
func (s *script) networkAs(wanted testbed.Network, sub testbed.Subnet) *network {
	s.Helper()
	wanted.Name = wanted.Type
	if signalbox.NetworkType(wanted.Type).OnPhysical() {
		wanted.Physical = testbed.PhysicalNetwork
	}
	made, err := s.box.API.CreateNetwork(s.ctx, wanted)
	s.must(err)
	n := &network{Network: made}
	s.nets = append(s.nets, n)
	if sub.NetworkID, sub.IPVersion = made.ID, 4; sub.DNS == nil {
		sub.DNS = []string{"192.0.2.53"}
	}
	n.Subnet, err = s.box.API.CreateSubnet(s.ctx, sub)
	s.must(err)
	return n
}

// guest is a VM with its port.
type guest struct {
	*testbed.VM
	Port testbed.Port
	IP   netip.Addr
	net  *network
}

// port makes a port, and a VM with its MAC that is not plugged in yet.
func (s *script) port(n *network, wanted testbed.Port) *guest {
	s.Helper()
	wanted.NetworkID = n.ID
	made, err := s.box.API.CreatePort(s.ctx, wanted)
	s.must(err)
	g := &guest{Port: made, net: n}
	if len(made.FixedIPs) > 0 {
		g.IP = netip.MustParseAddr(made.FixedIPs[0].Addr)
	}
	mac, err := signalbox.ParseMAC(made.MAC)
	s.must(err)
	s.counter++
	g.VM, err = s.lab.NewVM(s.ctx, fmt.Sprintf("vm%d", s.counter), mac)
	s.must(err)
	s.guests = append(s.guests, g)
	return g
}

// boot makes a port and a VM on a host, plugged by iface-id, with its address, and waits until it is ACTIVE.
func (s *script) boot(n *network, h *testbed.Host) *guest {
	s.Helper()
	return s.bootAs(n, h, testbed.Port{})
}

func (s *script) bootAs(n *network, h *testbed.Host, wanted testbed.Port) *guest {
	s.Helper()
	g := s.port(n, wanted)
	s.plug(g, h, byID(g))
	return g
}

// byID names the interface so that nothing but its iface-id tells which port it is.
func byID(g *guest) testbed.Plug {
	return testbed.Plug{Interface: "vif" + g.Port.ID[:8], IfaceID: g.Port.ID}
}

func byName(g *guest) testbed.Plug { return testbed.Plug{Interface: "tap" + g.Port.ID[:11]} }

func byMAC(g *guest) testbed.Plug { return testbed.Plug{Interface: "any" + g.Port.ID[:8]} }

// plug plugs the VM in, gives it its address and waits until its port is ACTIVE. A port that is found by its
// first packet is made to send one.
func (s *script) plug(g *guest, h *testbed.Host, p testbed.Plug) {
	s.Helper()
	s.must(g.Plug(s.ctx, h, p))
	s.must(g.Configure(s.ctx, netip.PrefixFrom(g.IP, 24), g.net.MTU))
	s.becomes(g, signalbox.Active)
}

// becomes waits for a port's status. The guest sends something meanwhile, as guests do.
func (s *script) becomes(g *guest, want signalbox.Status) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, "port of "+g.Name+" is "+string(want), func() error {
		if g.Host() != nil {
			if _, err := g.NS.Run(s.ctx, "ping", "-c", "1", "-W", "0.01", "10.0.0.254"); err == nil {
				s.Error("10.0.0.254 answers")
			}
		}
		p, err := s.box.API.Port(s.ctx, g.Port.ID)
		if err == nil && p.Status != string(want) {
			err = fmt.Errorf("status %s", p.Status)
		}
		return err
	}))
}

// reaches fails unless `to` answers the guest's pings. The first may be lost while a tunnel's peer is found.
func (s *script) reaches(from, to *guest) {
	s.Helper()
	s.connects(from.VM, to.IP)
}

// connects waits until an address answers a machine's pings, and fails when one is lost then.
func (s *script) connects(from *testbed.VM, to netip.Addr) {
	s.Helper()
	_, err := from.ReachableIn(s.ctx, to, patience)
	s.must(err)
	s.losesNone(from, to, testbed.PingOptions{})
}

// losesNone fails when a ping is lost. For some milliseconds after a change Open vSwitch forwards by what it has cached of its tables
// before that, also on ways that work already: so a loss counts when it is there again after every switch has gone through its cache.
func (s *script) losesNone(from *testbed.VM, to netip.Addr, o testbed.PingOptions) {
	s.Helper()
	r, err := from.Ping(s.ctx, to, o)
	s.must(err)
	if r.Lost() != 0 {
		s.Logf("%s to %s: %d of %d pings lost, once", from.Name, to, r.Lost(), r.Sent)
		for _, h := range s.lab.Hosts() {
			if err := h.RefreshCache(s.ctx); err != nil {
				s.Log(err) // it may be switched off
			}
		}
		r, err = from.Ping(s.ctx, to, o)
		s.must(err)
	}
	if r.Lost() != 0 {
		s.Errorf("%s to %s: %d of %d pings lost", from.Name, to, r.Lost(), r.Sent)
	}
}

// reachesNot fails when an address answers the guest's pings.
func (s *script) reachesNot(from *guest, to netip.Addr) {
	s.Helper()
	r, err := from.Ping(s.ctx, to, testbed.PingOptions{Count: 2})
	s.must(err)
	if r.Received != 0 {
		s.Errorf("%s reaches %s", from.Name, to)
	}
}

// cutOff waits until an address stops answering the guest's pings.
func (s *script) cutOff(from *guest, to netip.Addr) {
	s.Helper()
	s.must(testbed.Await(s.ctx, patience, from.Name+" is cut off from "+to.String(), func() error {
		r, err := from.Ping(s.ctx, to, testbed.PingOptions{Count: 2})
		if err == nil && r.Received != 0 {
			err = errors.New("it still answers")
		}
		return err
	}))
}

// tap opens a raw socket on a guest's interface for the rest of the script.
func (s *script) tap(g *guest) *testbed.Wire {
	s.Helper()
	return s.wire(g.Tap())
}

func (s *script) wire(w *testbed.Wire, err error) *testbed.Wire {
	s.Helper()
	s.must(err)
	s.Cleanup(func() { w.Close() })
	return w
}

// flowsNaming are a host's flows whose text holds a word.
func (s *script) flowsNaming(h *testbed.Host, word string) []string {
	s.Helper()
	flows, err := h.Flows(s.ctx)
	s.must(err)
	var found []string
	for _, f := range flows {
		if strings.Contains(f, word) {
			found = append(found, f)
		}
	}
	return found
}

// complaints are the first lines of a log at a level above INFO.
func complaints(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[:min(len(lines), 20)], "")
}

// keepLogs copies a lab's log files, one folder deep.
func keepLogs(from, to string) error {
	var errs []error
	for _, pattern := range []string{"*.log", "*/*.log", "*.yaml"} {
		paths, err := filepath.Glob(filepath.Join(from, pattern))
		errs = append(errs, err)
		for _, path := range paths {
			name := strings.ReplaceAll(strings.TrimPrefix(path, from+"/"), "/", "-")
			b, err := os.ReadFile(path)
			errs = append(errs, err, os.WriteFile(filepath.Join(to, name), b, 0o644))
		}
	}
	return errors.Join(errs...)
}
