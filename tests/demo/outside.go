package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// Who is outside, and what the session's addresses are there.
var (
	outsideRouter = netip.MustParsePrefix("192.168.0.1/24")
	internetAddr  = netip.MustParsePrefix("203.0.113.9/24")
	routerAddr    = netip.MustParseAddr("192.168.0.2")
	floatingAddr  = netip.MustParseAddr("192.168.0.3")
)

// outside plays the session of Quantum's presentation, and shows what comes of it: two VMs and the internet.
func (d *demo) outside(ctx context.Context) error {
	d.say("\n5. The session that Quantum's presentation of 2012 shows, command by command. There is an internet outside: a router")
	d.say("   %s and a machine %s behind it. %s and %s map the physical network external to br-ex.",
		outsideRouter.Addr(), internetAddr.Addr(), d.hosts[0].Name, d.hosts[1].Name)
	if err := d.makeInternet(ctx); err != nil {
		return err
	}
	var vm1 *guest
	var err error
	d.session, err = d.box.PlaySession(ctx,
		func(command, answer string) { d.say("     %s\n         %s", command, answer) },
		func(ctx context.Context, n testbed.Network) (port testbed.Port, err error) {
			if vm1, err = d.boot(ctx, "vm1", n, d.hosts[0], testbed.Port{}); err != nil {
				return port, err
			}
			return vm1.port, d.lease(ctx, vm1, testbed.Udhcpc)
		})
	if err != nil {
		return err
	}
	if d.vm2, err = d.boot(ctx, "vm2", d.session.Net2, d.hosts[2], testbed.Port{}); err != nil {
		return err
	}
	d.say("   A second VM, on net2 and on %s, which has no br-ex:", d.hosts[2].Name)
	if err := d.lease(ctx, d.vm2, testbed.Udhcpc); err != nil {
		return err
	}
	if err := d.openDoor(ctx); err != nil {
		return err
	}
	d.say("   The internet reaches vm1 by its floating IP; both VMs reach the internet, vm1 as its floating IP, vm2 as the router;")
	d.say("   and they reach each other through the router, which is on every host:")
	return d.pingAround(ctx, vm1)
}

func (d *demo) makeInternet(ctx context.Context) error {
	edge, err := d.lab.NewOutsider(ctx, "edge", signalbox.MAC{2, 0, 0, 0, 0, 1}, outsideRouter)
	if err != nil {
		return err
	}
	d.internet, err = d.lab.NewBehind(ctx, "internet", edge, signalbox.MAC{2, 0, 0, 0, 0, 9}, internetAddr, 1500)
	return err
}

// openDoor shows the floating IP before and after a rule lets somebody in by it.
func (d *demo) openDoor(ctx context.Context) error {
	d.say("   vm1's security group lets in what its own members send, and nobody else's. The internet is nobody yet:")
	r, err := d.internet.Ping(ctx, floatingAddr, testbed.PingOptions{})
	if err != nil {
		return err
	}
	d.say("     internet pings vm1's floating IP (%s): %d sent, %d received", floatingAddr, r.Sent, r.Received)
	if r.Received != 0 {
		return errors.New("no rule allows that")
	}
	d.say("   until there is a rule:")
	printed, err := d.box.Quantum(ctx, "security-group-rule-create", "--protocol", "icmp", "default")
	if err != nil {
		return err
	}
	d.rule = testbed.Shown(printed, "id")
	d.say("     quantum security-group-rule-create --protocol icmp default\n         rule %s", d.rule)
	return nil
}

// spareHost is the host on the external network that routerA's gateway is not at.
func (d *demo) spareHost(ctx context.Context) string {
	at, err := d.box.Admin.Router(ctx, d.session.Router.ID)
	if err == nil && at.GatewayHost == d.hosts[0].Name {
		return d.hosts[1].Name
	}
	return d.hosts[0].Name
}

// pingAround pings from outside in, from inside out, and across the router; what goes out must be seen as it should be.
func (d *demo) pingAround(ctx context.Context, vm1 *guest) error {
	ear, err := d.internet.Tap()
	if err != nil {
		return err
	}
	defer ear.Close()
	for _, way := range []struct {
		from *testbed.VM
		name string
		to   netip.Addr
		as   netip.Addr // by which the internet knows who asks
	}{
		{d.internet, "vm1's floating IP", floatingAddr, netip.Addr{}},
		{vm1.VM, "the internet", internetAddr.Addr(), floatingAddr},
		{d.vm2.VM, "the internet", internetAddr.Addr(), routerAddr},
		{vm1.VM, "vm2", d.vm2.ip, netip.Addr{}},
		{d.vm2.VM, "vm1's floating IP", floatingAddr, netip.Addr{}},
	} {
		if _, err := way.from.ReachableIn(ctx, way.to, patience); err != nil {
			return err
		}
		r, err := way.from.Ping(ctx, way.to, testbed.PingOptions{})
		if err != nil {
			return err
		}
		seen := ""
		if way.as.IsValid() {
			seen = fmt.Sprintf("; seen there as %s", way.as)
			if ear.Count(func(f []byte) bool { return isEcho(f) && netip.AddrFrom4([4]byte(f[26:30])) == way.as }) == 0 {
				return fmt.Errorf("the internet has not heard %s", way.as)
			}
		}
		d.say("     %s pings %s (%s): %d sent, %d received%s", way.from.Name, way.name, way.to, r.Sent, r.Received, seen)
		if r.Lost() != 0 {
			return errors.New("pings were lost")
		}
	}
	return nil
}
