package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
)

// Where things are inside every lab.
const (
	ControllerIP = "192.0.2.1" // signalbox, in the lab's own namespace
	OpenFlowPort = 6653
	OVSDBPort    = 6640
	APIPort      = 9696
	AdminPort    = 9697
	APIAdminPort = 9698

	hostNumber = 10 // host n has the underlay address 192.0.2.(hostNumber+n)
	underlay   = "underlay"
	physnet    = "physnet"
	outside    = "external"

	// PhysicalNetwork is the name that every host maps to its br-eth.
	PhysicalNetwork = "default"

	// ExternalNetwork is the name by which hosts that ConnectExternal map their br-ex.
	ExternalNetwork = "external"
)

// Options say what a lab is made of.
type Options struct {
	// Name begins the names of the lab's namespaces and names its folder; unique on the machine. At most 20
	// letters, digits and dashes.
	Name string
	// Datapath is the datapath_type of every bridge: "netdev" (userspace, works everywhere; the default) or
	// "system" (the kernel's module).
	Datapath string
	// OnDeath is told when an ovs-vswitchd ends by itself; it is restarted first. May be nil. Called from a
	// goroutine of the lab, one call at a time for each host.
	OnDeath func(h *Host, obituary string)
}

// Lab is a set of hosts on one underlay and one physical network, some of them on an external network too.
type Lab struct {
	Options
	Dir string    // the lab's folder: logs, sockets, databases
	Net Namespace // holds the underlay, and signalbox

	ledger *ledger
	closed chan struct{}
	guards sync.WaitGroup

	mu        sync.Mutex
	hosts     []*Host
	vms       []*VM
	processes []*Process
	spaces    []Namespace
	databases []*postgres.Server
}

// NewLab makes an empty lab. A folder or namespaces left by a dead owner are swept first; a lab of that
// name with a living owner is an error.
func NewLab(ctx context.Context, o Options) (*Lab, error) {
	if err := Sweep(); err != nil {
		return nil, fmt.Errorf("sweep old labs: %w", err)
	}
	if o.Datapath == "" {
		o.Datapath = "netdev"
	}
	l := &Lab{Options: o, Dir: filepath.Join(labsDir(), o.Name), closed: make(chan struct{})}
	if err := os.MkdirAll(labsDir(), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(l.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("lab %q: %w", o.Name, err)
	}
	var err error
	if l.ledger, err = openLedger(l.Dir); err != nil {
		return nil, err
	}
	if err := l.makeSwitches(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// makeSwitches makes the wires between hosts. A Linux bridge without vlan_filtering forwards tagged
// frames as they are, so the physical network carries every VLAN.
func (l *Lab) makeSwitches(ctx context.Context) (err error) {
	if l.Net, err = l.namespace(ctx, "net"); err != nil {
		return err
	}
	for _, bridge := range []string{underlay, physnet, outside} {
		if _, err := l.Net.Run(ctx, "ip", "link", "add", bridge, "type", "bridge"); err != nil {
			return err
		}
		if _, err := l.Net.Run(ctx, "ip", "link", "set", bridge, "up"); err != nil {
			return err
		}
	}
	_, err = l.Net.Run(ctx, "ip", "address", "add", ControllerIP+"/24", "dev", underlay)
	return err
}

func (l *Lab) namespace(ctx context.Context, suffix string) (Namespace, error) {
	name := l.Name + "-" + suffix
	if err := l.ledger.namespace(name); err != nil {
		return "", err
	}
	ns, err := makeNamespace(ctx, name)
	if err == nil {
		l.mu.Lock()
		l.spaces = append(l.spaces, ns)
		l.mu.Unlock()
	}
	return ns, err
}

// Hosts are the lab's hosts in the order in which they were added.
func (l *Lab) Hosts() []*Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.hosts)
}

// VMs are the lab's VMs in the order in which they were made.
func (l *Lab) VMs() []*VM {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.vms)
}

// Close ends every process that the lab started, removes its namespaces and its folder.
func (l *Lab) Close() error {
	close(l.closed)
	l.guards.Wait()
	l.mu.Lock()
	processes, spaces, databases := l.processes, l.spaces, l.databases
	l.mu.Unlock()
	var errs []error
	for _, p := range processes {
		p.ask()
	}
	for _, p := range slices.Backward(processes) {
		errs = append(errs, p.Stop(10*time.Second))
	}
	for _, db := range databases {
		errs = append(errs, db.Stop())
	}
	for _, ns := range slices.Backward(spaces) {
		errs = append(errs, ns.remove())
	}
	return errors.Join(append(errs, os.RemoveAll(l.Dir))...)
}

// Await calls condition until it is true, and fails when ctx ends or the limit is reached first, with
// what condition said last. what names the condition for the error.
func Await(ctx context.Context, limit time.Duration, what string, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %w", what, limit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
