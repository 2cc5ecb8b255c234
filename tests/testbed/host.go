package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Host is a machine with Open vSwitch and nothing of ours: its own ovsdb-server and ovs-vswitchd, br-int
// for the VMs, br-phy that holds the underlay's interface and address, br-eth for the physical network.
type Host struct {
	Name string
	NS   Namespace
	IP   string // on the underlay: tunnels end here, and signalbox sees the host under this address
	Dir  string // OVS_RUNDIR: ovs-ofctl, ovs-vsctl and ovs-appctl find the host's daemons by it

	lab      *Lab
	mu       sync.Mutex // one restart at a time
	ovsdb    *Process
	vswitchd *Process
	mappings string // bridge_mappings
}

// Manager says how the host's OVSDB is offered to the controller.
type Manager string

// The ways to offer OVSDB, as an operator would type them after `ovs-vsctl set-manager`.
const (
	NoManager      Manager = ""                              // OpenFlow alone
	ManagerListens Manager = "ptcp:6640"                     // the controller dials the host
	ManagerDials   Manager = "tcp:" + ControllerIP + ":6640" // the host dials the controller
)

// AddHost makes a host and starts its Open vSwitch. It has joined nothing yet.
func (l *Lab) AddHost(ctx context.Context, name string) (*Host, error) {
	l.mu.Lock()
	number := hostNumber + 1 + len(l.hosts)
	l.mu.Unlock()
	ns, err := l.namespace(ctx, name)
	if err != nil {
		return nil, err
	}
	h := &Host{Name: name, NS: ns, IP: fmt.Sprintf("192.0.2.%d", number), Dir: filepath.Join(l.Dir, name), lab: l,
		mappings: PhysicalNetwork + ":br-eth"}
	l.mu.Lock()
	l.hosts = append(l.hosts, h)
	l.mu.Unlock()
	for _, step := range []func(context.Context) error{h.plugIn, h.startDatabase, h.startSwitch, h.makeBridges} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("host %s: %w", name, err)
		}
	}
	l.guards.Add(1)
	go h.guard()
	return h, nil
}

// plugIn lays the host's two cables.
func (h *Host) plugIn(ctx context.Context) error {
	for nic, bridge := range map[string]string{"nic0": underlay, "nic1": physnet} {
		if err := h.lab.cable(ctx, h.NS, nic, h.Name+"-"+nic, bridge); err != nil {
			return err
		}
	}
	return nil
}

// cable lays a cable from an interface of a namespace to a bridge of the lab's, where its end is called far.
func (l *Lab) cable(ctx context.Context, ns Namespace, nic, far, bridge string) error {
	if err := veth(ctx, ns, nic, l.Net, far); err != nil {
		return err
	}
	_, err := l.Net.Run(ctx, "ip", "link", "set", far, "master", bridge, "up")
	return err
}

// veth makes a cable whose two ends are up, without checksum offload: packets pass through userspace.
func veth(ctx context.Context, a Namespace, nameA string, b Namespace, nameB string) error {
	_, err := a.Run(ctx, "ip", "link", "add", nameA, "type", "veth", "peer", "name", nameB, "netns", string(b))
	if err != nil {
		return err
	}
	for _, end := range []struct {
		ns   Namespace
		name string
	}{{a, nameA}, {b, nameB}} {
		if _, err := end.ns.Run(ctx, "ethtool", "-K", end.name, "tx", "off"); err != nil {
			return err
		}
		if _, err := end.ns.Run(ctx, "ip", "link", "set", end.name, "up"); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) startDatabase(ctx context.Context) error {
	db := filepath.Join(h.Dir, "conf.db")
	if _, err := os.Stat(db); err != nil {
		if err := os.MkdirAll(h.Dir, 0o755); err != nil {
			return err
		}
		if _, err := run(ctx, "ovsdb-tool", "create", db, "/usr/share/openvswitch/vswitch.ovsschema"); err != nil {
			return err
		}
	}
	p, err := h.daemon("ovsdb-server", db, "--remote=punix:"+h.Dir+"/db.sock",
		"--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
	if err != nil {
		return err
	}
	h.ovsdb = p
	return h.ready(ctx, h.ovsdb, func() error {
		_, err := h.Vsctl(ctx, "--no-wait", "init", "--", "set", "Open_vSwitch", ".",
			"external_ids:system-id="+h.lab.Name+"-"+h.Name, "external_ids:hostname="+h.Name,
			"external_ids:local_ip="+h.IP, "external_ids:bridge_mappings="+h.mappings)
		return err
	})
}

func (h *Host) startSwitch(ctx context.Context) error {
	p, err := h.daemon("ovs-vswitchd", "unix:"+h.Dir+"/db.sock", "--disable-system")
	if err != nil {
		return err
	}
	h.vswitchd = p
	return h.ready(ctx, h.vswitchd, func() error {
		_, err := h.Appctl(ctx, "version")
		return err
	})
}

func (h *Host) daemon(name string, args ...string) (*Process, error) {
	args = append(args, "--unixctl="+h.Dir+"/"+name+".ctl", "--pidfile="+h.Dir+"/"+name+".pid", "--no-chdir",
		"--log-file="+h.Dir+"/"+name+".log", "--verbose=console:off")
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), h.Env()...)
	return h.lab.spawn(h.NS, name+" of "+h.Name, filepath.Join(h.Dir, name+".out"), cmd)
}

// ready waits until a daemon answers, or gives its obituary when it dies first.
func (h *Host) ready(ctx context.Context, p *Process, answers func() error) error {
	return Await(ctx, 15*time.Second, p.Name+" answers", func() error {
		if !p.Alive() {
			return errors.New(p.Obituary())
		}
		return answers()
	})
}

func (h *Host) makeBridges(ctx context.Context) error {
	var args []string
	for _, b := range []struct{ bridge, nic string }{{"br-int", ""}, {"br-phy", "nic0"}, {"br-eth", "nic1"}} {
		args = append(args, "--", "--may-exist", "add-br", b.bridge, "--", "set", "bridge", b.bridge, "datapath_type="+h.lab.Datapath)
		if b.nic != "" {
			args = append(args, "--", "--may-exist", "add-port", b.bridge, b.nic)
		}
	}
	if _, err := h.Vsctl(ctx, args[1:]...); err != nil {
		return err
	}
	return h.addressUnderlay(ctx)
}

// addressUnderlay does what the host's network configuration does at boot, and after each restart of
// ovs-vswitchd: the bridge's interface is new then.
func (h *Host) addressUnderlay(ctx context.Context) error {
	return Await(ctx, 10*time.Second, "br-phy of "+h.Name, func() error {
		if _, err := h.NS.Run(ctx, "ip", "address", "replace", h.IP+"/24", "dev", "br-phy"); err != nil {
			return err
		}
		_, err := h.NS.Run(ctx, "ip", "link", "set", "br-phy", "up")
		return err
	})
}

// Join makes the host the controller's, in an operator's words. Only the back-off is a lab's: scripts restart
// the controller every few seconds, and should not wait eight more each time.
func (h *Host) Join(ctx context.Context, m Manager) error {
	if m != NoManager { // before the controller hears of the host: it dials then, and again only seconds later
		if _, err := h.Vsctl(ctx, "set-manager", string(m), "--", "set", "manager", string(m), "max_backoff=1000"); err != nil {
			return err
		}
	}
	_, err := h.Vsctl(ctx, "set-controller", "br-int", fmt.Sprintf("tcp:%s:%d", ControllerIP, OpenFlowPort),
		"--", "set", "controller", "br-int", "max_backoff=1000")
	return err
}

// Leave takes the host from the controller.
func (h *Host) Leave(ctx context.Context) error {
	_, err := h.Vsctl(ctx, "del-controller", "br-int", "--", "del-manager")
	return err
}

// Env is the environment that points the OVS tools at this host.
func (h *Host) Env() []string {
	return []string{"OVS_RUNDIR=" + h.Dir, "OVS_DBDIR=" + h.Dir, "OVS_LOGDIR=" + h.Dir}
}

// Vsctl runs ovs-vsctl on the host.
func (h *Host) Vsctl(ctx context.Context, args ...string) (string, error) {
	return h.tool(ctx, append([]string{"ovs-vsctl", "--timeout=15"}, args...)...)
}

// Ofctl runs ovs-ofctl on the host, in OpenFlow 1.3.
func (h *Host) Ofctl(ctx context.Context, args ...string) (string, error) {
	return h.tool(ctx, append([]string{"ovs-ofctl", "--timeout=15", "-O", "OpenFlow13"}, args...)...)
}

// Appctl runs ovs-appctl on the host's ovs-vswitchd.
func (h *Host) Appctl(ctx context.Context, args ...string) (string, error) {
	return h.tool(ctx, append([]string{"ovs-appctl", "--timeout=15", "--target=" + h.Dir + "/ovs-vswitchd.ctl"}, args...)...)
}

func (h *Host) tool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), h.Env()...)
	return finish(cmd, h.NS.Start)
}

// Flows are the lines of `ovs-ofctl dump-flows br-int` without counters and ages, sorted by table and
// priority as the switch has them.
func (h *Host) Flows(ctx context.Context) ([]string, error) {
	out, err := h.Ofctl(ctx, "--no-stats", "dump-flows", "br-int")
	if err != nil {
		return nil, err
	}
	var flows []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "cookie=") {
			flows = append(flows, line)
		}
	}
	return flows, nil
}

// RefreshCache waits until ovs-vswitchd has compared all that it has cached of how packets go with its tables as they are now. It does
// so by itself after each change, some milliseconds later.
func (h *Host) RefreshCache(ctx context.Context) error {
	for range 2 { // the first may be the end of a round that began before
		if _, err := h.Appctl(ctx, "revalidator/wait"); err != nil {
			return err
		}
	}
	return nil
}

// DatapathID is br-int's.
func (h *Host) DatapathID(ctx context.Context) (string, error) {
	out, err := h.Vsctl(ctx, "get", "bridge", "br-int", "datapath_id")
	return strings.Trim(strings.TrimSpace(out), `"`), err
}

// SwitchPID is the process id of the host's ovs-vswitchd.
func (h *Host) SwitchPID() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.vswitchd.PID()
}

// RestartSwitch ends ovs-vswitchd and starts it again: every flow and tunnel is gone, and the database is
// as it was.
func (h *Host) RestartSwitch(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.vswitchd.Stop(10 * time.Second); err != nil {
		return err
	}
	return h.reviveSwitch(ctx)
}

// Reboot ends both daemons as a power cut does, and starts them again.
func (h *Host) Reboot(ctx context.Context) error {
	h.PowerOff()
	return h.PowerOn(ctx)
}

// PowerOff ends both daemons as a power cut does. Their peers hear of it: the kernel that lives on resets the
// connections. Unplug the cables for a death that nobody is told of.
func (h *Host) PowerOff() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vswitchd.Kill()
	h.ovsdb.Kill()
}

// PowerOn starts the daemons after PowerOff.
func (h *Host) PowerOn(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.startDatabase(ctx); err != nil {
		return err
	}
	return h.reviveSwitch(ctx)
}

// Cables pulls a host's cables, or puts them back ("up" or "down"): "nic0" the underlay, "nic1" the physical
// network, "nic2" the external one. With the first its connections go silent, and nobody is told.
func (h *Host) Cables(ctx context.Context, state string, nics ...string) error {
	for _, nic := range nics {
		if _, err := h.lab.Net.Run(ctx, "ip", "link", "set", h.Name+"-"+nic, state); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) reviveSwitch(ctx context.Context) error {
	if err := h.startSwitch(ctx); err != nil {
		return err
	}
	return h.addressUnderlay(ctx)
}

// guard restarts an ovs-vswitchd that ended by itself: Debian 12's can abort in userspace connection
// tracking, which is nobody's fault here but must be said.
func (h *Host) guard() {
	defer h.lab.guards.Done()
	for {
		h.mu.Lock()
		p := h.vswitchd
		h.mu.Unlock()
		select {
		case <-h.lab.closed:
			return
		case <-p.Done():
		}
		if p.expected.Load() {
			select {
			case <-h.lab.closed:
				return
			case <-time.After(20 * time.Millisecond): // whoever ended it is starting the next
			}
			continue
		}
		h.replaceDead(p)
	}
}

func (h *Host) replaceDead(dead *Process) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	obituary := dead.Obituary() + "\n" + Tail(filepath.Join(h.Dir, "ovs-vswitchd.log"), 5)
	if err := h.reviveSwitch(ctx); err != nil {
		obituary += "\nand it does not start again: " + err.Error()
	}
	if h.lab.OnDeath != nil {
		h.lab.OnDeath(h, obituary)
	}
}
