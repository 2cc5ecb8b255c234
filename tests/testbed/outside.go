package testbed

import (
	"context"
	"errors"
	"net/netip"
	"strconv"

	"github.com/signalbox-sdn/signalbox"
)

// The world outside: a Linux bridge that hosts reach by a third cable, and machines on it and behind it. To the lab
// a machine outside is a VM that is plugged into no host; its end of the bridge carries frames as they are.

// ConnectExternal gives the host a br-ex with a cable to the external network, and maps it.
func (h *Host) ConnectExternal(ctx context.Context) error {
	if err := h.lab.cable(ctx, h.NS, "nic2", h.Name+"-nic2", outside); err != nil {
		return err
	}
	if _, err := h.Vsctl(ctx, "add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type="+h.lab.Datapath,
		"--", "add-port", "br-ex", "nic2"); err != nil {
		return err
	}
	return h.MapExternal(ctx, true)
}

// MapExternal says in bridge_mappings that br-ex is the external network, or says so no longer.
func (h *Host) MapExternal(ctx context.Context, mapped bool) error {
	mappings := PhysicalNetwork + ":br-eth"
	if mapped {
		mappings += "," + ExternalNetwork + ":br-ex"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mappings = mappings
	_, err := h.Vsctl(ctx, "set", "Open_vSwitch", ".", "external_ids:bridge_mappings="+mappings)
	return err
}

// NewOutsider makes a machine on the external network, with an address.
func (l *Lab) NewOutsider(ctx context.Context, name string, mac signalbox.MAC, address netip.Prefix) (*VM, error) {
	m, err := l.NewVM(ctx, name, mac)
	if err != nil {
		return nil, err
	}
	if err := l.cable(ctx, m.NS, "eth0", m.Name+"-eth0", outside); err != nil {
		return nil, err
	}
	m.pull = m.loseCard
	return m, m.dress(ctx, address)
}

// NewBehind makes a machine behind one outside, which forwards for it over a link that takes packets of mtu bytes:
// its eth1, with the first address of the subnet, is the machine's default router.
func (l *Lab) NewBehind(ctx context.Context, name string, gateway *VM, mac signalbox.MAC, address netip.Prefix, mtu int) (*VM, error) {
	m, err := l.NewVM(ctx, name, mac)
	if err != nil {
		return nil, err
	}
	if err := veth(ctx, m.NS, "eth0", gateway.NS, "eth1"); err != nil {
		return nil, err
	}
	first := netip.PrefixFrom(address.Masked().Addr().Next(), address.Bits())
	for _, args := range [][]string{
		{"ip", "address", "add", first.String(), "dev", "eth1"},
		{"ip", "link", "set", "eth1", "mtu", strconv.Itoa(mtu)},
		{"sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0"},
	} {
		if _, err := gateway.NS.Run(ctx, args...); err != nil {
			return nil, err
		}
	}
	if err := m.dress(ctx, address); err != nil {
		return nil, err
	}
	if _, err := m.NS.Run(ctx, "ip", "link", "set", "eth0", "mtu", strconv.Itoa(mtu)); err != nil {
		return nil, err
	}
	return m, m.Route(ctx, "default", first.Addr())
}

// dress gives the machine's interface its MAC and its address.
func (vm *VM) dress(ctx context.Context, address netip.Prefix) error {
	if _, err := vm.NS.Run(ctx, "ip", "link", "set", "eth0", "address", vm.MAC.String()); err != nil {
		return err
	}
	_, err := vm.NS.Run(ctx, "ip", "address", "add", address.String(), "dev", "eth0")
	return err
}

func (vm *VM) loseCard(ctx context.Context) error {
	_, err := vm.NS.Run(ctx, "ip", "link", "del", "eth0")
	return err
}

// Route tells the machine to go to a destination ("default" for all) by a next hop.
func (vm *VM) Route(ctx context.Context, destination string, via netip.Addr) error {
	_, err := vm.NS.Run(ctx, "ip", "route", "replace", destination, "via", via.String())
	return err
}

// NewTagged makes a machine outside whose frames are tagged with a VLAN on the external network: it is plugged into
// an access port of the br-ex of a host that has joined nothing, for the kernel here knows no VLANs.
func (l *Lab) NewTagged(ctx context.Context, access *Host, vlan int, name string, mac signalbox.MAC, address netip.Prefix) (*VM, error) {
	m, err := l.NewVM(ctx, name, mac)
	if err != nil {
		return nil, err
	}
	if err := veth(ctx, m.NS, "eth0", access.NS, name); err != nil {
		return nil, err
	}
	m.pull = func(ctx context.Context) error {
		_, err := access.Vsctl(ctx, "del-port", "br-ex", name)
		return errors.Join(err, m.loseCard(ctx))
	}
	if _, err := access.Vsctl(ctx, "add-port", "br-ex", name, "tag="+strconv.Itoa(vlan)); err != nil {
		return nil, err
	}
	return m, m.dress(ctx, address)
}
