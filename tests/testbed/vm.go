package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/signalbox-sdn/signalbox"
)

// VM is a guest: a namespace with one interface, eth0, whose other end can be plugged into a host's br-int.
type VM struct {
	Name string
	NS   Namespace
	MAC  signalbox.MAC

	lab  *Lab
	dir  string
	mu   sync.Mutex
	host *Host
	tap  string                      // the interface's name on the host
	pull func(context.Context) error // takes a machine outside off the external network; nil: it is a guest
}

// Plug says how a VIF is named and described on its host; each field alone lets the controller find the
// port.
type Plug struct {
	Interface string // its name on the host, at most 15 bytes
	IfaceID   string // external_ids:iface-id, the port's id; "" for none
}

// NewVM makes a guest that is plugged into nothing and has no address.
func (l *Lab) NewVM(ctx context.Context, name string, mac signalbox.MAC) (*VM, error) {
	ns, err := l.namespace(ctx, name)
	if err != nil {
		return nil, err
	}
	vm := &VM{Name: name, NS: ns, MAC: mac, lab: l, dir: filepath.Join(l.Dir, name)}
	l.mu.Lock()
	l.vms = append(l.vms, vm)
	l.mu.Unlock()
	return vm, nil
}

// Plug puts the VM's interface on a host, as Nova does: a tap on br-int and its external_ids, in one
// transaction. The guest's addresses are gone, for the interface is new.
func (vm *VM) Plug(ctx context.Context, h *Host, p Plug) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.host != nil {
		return fmt.Errorf("VM %s is plugged into %s already", vm.Name, vm.host.Name)
	}
	if err := vm.wire(ctx, h, p.Interface); err != nil {
		return err
	}
	vm.host, vm.tap = h, p.Interface
	args := []string{"add-port", "br-int", p.Interface}
	if p.IfaceID != "" {
		args = append(args, "--", "set", "interface", p.Interface, "external_ids:iface-id="+p.IfaceID,
			`external_ids:attached-mac="`+vm.MAC.String()+`"`, "external_ids:iface-status=active", "external_ids:vm-uuid="+vm.Name)
	}
	_, err := h.Vsctl(ctx, args...)
	return err
}

// wire lays a veth between the guest and the host. The host's end gets a MAC above the guest's, as
// libvirt does it.
func (vm *VM) wire(ctx context.Context, h *Host, tap string) error {
	if err := veth(ctx, vm.NS, "eth0", h.NS, tap); err != nil {
		return err
	}
	if _, err := h.NS.Run(ctx, "ip", "link", "set", tap, "address", "fe"+vm.MAC.String()[2:]); err != nil {
		return err
	}
	_, err := vm.NS.Run(ctx, "ip", "link", "set", "eth0", "address", vm.MAC.String())
	return err
}

// Unplug takes the VM's interface off its host.
func (vm *VM) Unplug(ctx context.Context) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.host == nil {
		return fmt.Errorf("VM %s is not plugged", vm.Name)
	}
	if _, err := vm.host.Vsctl(ctx, "del-port", "br-int", vm.tap); err != nil {
		return err
	}
	_, err := vm.NS.Run(ctx, "ip", "link", "del", "eth0")
	vm.host, vm.tap = nil, ""
	return err
}

// Migrate moves the VM to another host as a live migration does: the guest keeps its addresses and its router and goes on,
// the new host gets the interface, and only then does the old one lose it.
func (vm *VM) Migrate(ctx context.Context, to *Host, p Plug) error {
	addresses, err := vm.addresses(ctx)
	if err != nil {
		return err
	}
	routes, err := vm.NS.Run(ctx, "ip", "route", "show", "default")
	if err != nil {
		return err
	}
	var card *net.Interface
	if err := vm.NS.Do(func() (err error) { card, err = net.InterfaceByName("eth0"); return err }); err != nil {
		return err
	}
	vm.mu.Lock()
	from, tap := vm.host, vm.tap
	vm.host, vm.tap = nil, ""
	vm.mu.Unlock()
	if _, err := vm.NS.Run(ctx, "ip", "link", "set", "eth0", "down", "name", "old0"); err != nil {
		return err
	}
	if err := vm.Plug(ctx, to, p); err != nil {
		return err
	}
	for _, a := range addresses {
		if err := vm.Configure(ctx, a, card.MTU); err != nil {
			return err
		}
	}
	if way := strings.Fields(routes); len(way) > 2 && way[1] == "via" {
		if _, err := vm.NS.Run(ctx, "ip", "route", "replace", "default", "via", way[2]); err != nil {
			return err
		}
	}
	if _, err := from.Vsctl(ctx, "del-port", "br-int", tap); err != nil {
		return err
	}
	_, err = vm.NS.Run(ctx, "ip", "link", "del", "old0")
	return err
}

// Rename gives the VM's interface on its host another name: off br-int, renamed, and on again.
func (vm *VM) Rename(ctx context.Context, p Plug) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if _, err := vm.host.Vsctl(ctx, "del-port", "br-int", vm.tap); err != nil {
		return err
	}
	if _, err := vm.host.NS.Run(ctx, "ip", "link", "set", vm.tap, "down"); err != nil {
		return err
	}
	if _, err := vm.host.NS.Run(ctx, "ip", "link", "set", vm.tap, "name", p.Interface, "up"); err != nil {
		return err
	}
	vm.tap = p.Interface
	args := []string{"add-port", "br-int", vm.tap}
	if p.IfaceID != "" {
		args = append(args, "--", "set", "interface", vm.tap, "external_ids:iface-id="+p.IfaceID)
	}
	_, err := vm.host.Vsctl(ctx, args...)
	return err
}

// Remove unplugs the VM where it is plugged and ends it.
func (vm *VM) Remove(ctx context.Context) error {
	var errs []error
	if vm.Host() != nil {
		errs = append(errs, vm.Unplug(ctx))
	}
	if vm.pull != nil {
		errs = append(errs, vm.pull(ctx)) // a namespace that goes takes its cables with it only some time later
	}
	errs = append(errs, vm.NS.remove())
	vm.lab.mu.Lock()
	vm.lab.vms = slices.DeleteFunc(vm.lab.vms, func(o *VM) bool { return o == vm })
	vm.lab.mu.Unlock()
	return errors.Join(errs...)
}

// Spawn starts a daemon in the guest. It ends with the lab.
func (vm *VM) Spawn(args ...string) (*Process, error) {
	return vm.lab.spawn(vm.NS, args[0]+" of "+vm.Name, filepath.Join(vm.dir, args[0]+".out"), exec.Command(args[0], args[1:]...))
}

// Host is where the VM is plugged, or nil.
func (vm *VM) Host() *Host {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.host
}

// Configure gives eth0 an address and the network's MTU by hand. With a larger MTU, what does not fit through
// a tunnel vanishes silently.
func (vm *VM) Configure(ctx context.Context, address netip.Prefix, mtu int) error {
	if _, err := vm.NS.Run(ctx, "ip", "link", "set", "eth0", "mtu", strconv.Itoa(mtu)); err != nil {
		return err
	}
	_, err := vm.NS.Run(ctx, "ip", "address", "replace", address.String(), "dev", "eth0")
	return err
}

// addresses are the IPv4 addresses of eth0.
func (vm *VM) addresses(ctx context.Context) ([]netip.Prefix, error) {
	out, err := vm.NS.Run(ctx, "ip", "-brief", "-4", "address", "show", "dev", "eth0")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(out)
	var found []netip.Prefix
	for _, f := range fields[min(2, len(fields)):] {
		if p, err := netip.ParsePrefix(f); err == nil {
			found = append(found, p)
		}
	}
	return found, nil
}
