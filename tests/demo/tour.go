package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

const patience = 30 * time.Second

// demo is the running data centre.
type demo struct {
	out    io.Writer
	binary string
	lab    *testbed.Lab
	box    *testbed.Signalbox
	hosts  []*testbed.Host
	doors  []net.Listener // on this machine's loopback, leading into the lab

	// Of the last chapter.
	session  *testbed.Session
	internet *testbed.VM
	vm2      *guest
	rule     string // id of the one that lets the internet ping
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// build makes the hosts and starts Signalbox; the hosts join as an operator would join them.
func build(ctx context.Context, binary string, out io.Writer) (*demo, error) {
	d := &demo{out: out, binary: binary}
	d.say("Signalbox demo: three hosts, one controller, real Open vSwitch, real packets.\n")
	var err error
	d.lab, err = testbed.NewLab(ctx, testbed.Options{Name: labName, OnDeath: d.switchDied})
	if err != nil {
		return nil, err
	}
	d.say("1. Signalbox starts: API server, controller and a private PostgreSQL, in one process.")
	if d.box, err = d.lab.StartUp(ctx, binary, testbed.SessionSettings()); err != nil {
		return d, err
	}
	d.say("     signalbox up --config %s", filepath.Join(d.lab.Dir, "signalbox.yaml"))
	d.say("\n2. Three hosts join. Nothing of ours is installed on them; these two lines are all:")
	d.say("     ovs-vsctl set-controller br-int tcp:%s:%d", testbed.ControllerIP, testbed.OpenFlowPort)
	d.say("     ovs-vsctl set-manager %s", testbed.ManagerListens)
	for n := range 3 {
		h, err := d.lab.AddHost(ctx, fmt.Sprintf("host%d", n+1))
		if err != nil {
			return d, err
		}
		if n < 2 {
			if err := h.ConnectExternal(ctx); err != nil {
				return d, err
			}
		}
		if err := h.Join(ctx, testbed.ManagerListens); err != nil {
			return d, err
		}
		d.hosts = append(d.hosts, h)
	}
	if err := d.box.AwaitInSync(ctx, patience, d.hosts...); err != nil {
		return d, err
	}
	for _, h := range d.hosts {
		flows, err := h.Flows(ctx)
		if err != nil {
			return d, err
		}
		d.say("     %s  %s  in sync, %d flows", h.Name, h.IP, len(flows))
	}
	return d, d.openDoors()
}

// guest is a VM of the tour.
type guest struct {
	*testbed.VM
	port testbed.Port
	ip   netip.Addr
}

func (d *demo) network(ctx context.Context, name string, kind signalbox.NetworkType, cidr string) (testbed.Network, error) {
	n := testbed.Network{Name: name, Type: string(kind)}
	if kind.OnPhysical() {
		n.Physical = testbed.PhysicalNetwork
	}
	n, err := d.box.API.CreateNetwork(ctx, n)
	if err != nil {
		return n, err
	}
	_, err = d.box.API.CreateSubnet(ctx, testbed.Subnet{NetworkID: n.ID, CIDR: cidr, IPVersion: 4})
	return n, err
}

// boot makes a port and plugs a VM with it into a host, as Nova does; an address by hand where wanted.
func (d *demo) boot(ctx context.Context, name string, n testbed.Network, h *testbed.Host, want testbed.Port) (*guest, error) {
	want.NetworkID, want.Name = n.ID, name
	port, err := d.box.API.CreatePort(ctx, want)
	if err != nil {
		return nil, err
	}
	mac, err := signalbox.ParseMAC(port.MAC)
	if err != nil {
		return nil, err
	}
	g := &guest{port: port, ip: netip.MustParseAddr(port.FixedIPs[0].Addr)}
	if g.VM, err = d.lab.NewVM(ctx, name, mac); err != nil {
		return nil, err
	}
	if err := g.Plug(ctx, h, testbed.Plug{Interface: "tap" + port.ID[:11], IfaceID: port.ID}); err != nil {
		return nil, err
	}
	return g, testbed.Await(ctx, patience, "port of "+name, func() error {
		p, err := d.box.API.Port(ctx, port.ID)
		if err == nil && p.Status != string(signalbox.Active) {
			err = fmt.Errorf("status %s", p.Status)
		}
		return err
	})
}

// lease gets the guest its address by a real DHCP client.
func (d *demo) lease(ctx context.Context, g *guest, client testbed.Client) error {
	l, err := g.DHCP(ctx, client, patience)
	if err != nil {
		return err
	}
	d.say("     %-9s on %s: %s leased %s from %s, router %s, MTU %d, in %v", g.Name, g.Host().Name, client, l.Address, l.Server,
		l.Router, l.MTU, l.Acquired.Round(time.Millisecond))
	return nil
}

// ping shows one guest reaching another.
func (d *demo) ping(ctx context.Context, a, b *guest) error {
	if _, err := a.ReachableIn(ctx, b.ip, patience); err != nil {
		return err
	}
	r, err := a.Ping(ctx, b.ip, testbed.PingOptions{})
	if err != nil {
		return err
	}
	d.say("     %s (%s) pings %s (%s, %s): %d sent, %d received", a.Name, a.Host().Name, b.Name, b.Host().Name, b.ip, r.Sent, r.Received)
	if r.Lost() != 0 {
		return errors.New("pings were lost")
	}
	return nil
}

// tour makes networks and VMs, and shows what they can and cannot do.
func (d *demo) tour(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{d.overVLAN, d.overGRE, d.outside} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) overVLAN(ctx context.Context) error {
	n, err := d.network(ctx, "web", signalbox.VLAN, "10.1.0.0/24")
	if err != nil {
		return err
	}
	d.say("\n3. Network web is VLAN %d. Two VMs boot on different hosts and ask for addresses by DHCP:", n.Segmentation)
	web1, err := d.boot(ctx, "web1", n, d.hosts[0], testbed.Port{})
	if err != nil {
		return err
	}
	web2, err := d.boot(ctx, "web2", n, d.hosts[1], testbed.Port{})
	if err != nil {
		return err
	}
	if err := errors.Join(d.lease(ctx, web1, testbed.Udhcpc), d.lease(ctx, web2, testbed.Dhclient)); err != nil {
		return err
	}
	d.say("   and reach each other across hosts, over the VLAN:")
	return errors.Join(d.ping(ctx, web1, web2), d.ping(ctx, web2, web1))
}

// overGRE shows two tenants with the same addresses and the same MACs on the same hosts.
func (d *demo) overGRE(ctx context.Context) error {
	twin := func(last string) testbed.Port {
		return testbed.Port{MAC: "fa:16:3e:00:00:" + last, FixedIPs: []testbed.FixedIP{{Addr: "10.2.0." + last}}}
	}
	var nets []testbed.Network
	var sides [2][2]*guest
	for i, colour := range []string{"red", "blue"} {
		n, err := d.network(ctx, colour, signalbox.GRE, "10.2.0.0/24")
		if err != nil {
			return err
		}
		nets = append(nets, n)
		for j, last := range []string{"11", "12"} {
			g, err := d.boot(ctx, fmt.Sprintf("%s%d", colour, j+1), n, d.hosts[1+j], twin(last))
			if err != nil {
				return err
			}
			if err := g.Configure(ctx, netip.PrefixFrom(g.ip, 24), n.MTU); err != nil {
				return err
			}
			sides[i][j] = g
		}
	}
	d.say("\n4. Networks red and blue are GRE keys %d and %d, with the same CIDR, the same addresses, the same MACs,", nets[0].Segmentation, nets[1].Segmentation)
	d.say("   on the same two hosts. Each reaches its own, over GRE:")
	var ears [2]*testbed.Wire
	for i := range ears {
		w, err := sides[i][1].Tap()
		if err != nil {
			return err
		}
		defer w.Close()
		ears[i] = w
	}
	for i := range sides {
		before := [2]int{ears[0].Count(isEcho), ears[1].Count(isEcho)}
		if err := d.ping(ctx, sides[i][0], sides[i][1]); err != nil {
			return err
		}
		red, blue := ears[0].Count(isEcho)-before[0], ears[1].Count(isEcho)-before[1]
		d.say("       meanwhile red2 heard %d echo requests, blue2 heard %d", red, blue)
		if [2]int{red, blue}[i] == 0 || [2]int{red, blue}[1-i] != 0 {
			return errors.New("the networks are not apart")
		}
	}
	return nil
}

// isEcho reports whether a frame is an ICMP echo request over IPv4.
func isEcho(f []byte) bool {
	return len(f) > 34 && f[12] == 8 && f[13] == 0 && f[23] == 1 && f[14+int(f[14]&15)*4] == 8
}

// whatNext says what to try; every line can be pasted as it is.
func (d *demo) whatNext(ctx context.Context) {
	bin := d.binary
	if here, err := os.Getwd(); err == nil {
		bin = strings.TrimPrefix(bin, here+"/")
	}
	quantum := filepath.Join(filepath.Dir(bin), "quantum")
	h := d.hosts[1]
	d.say("\nAll of it is running. Try:\n")
	for _, line := range []string{
		"export OS_URL=http://127.0.0.1:9696",
		quantum + " port-list",
		quantum + " -v net-create mine",
		bin + " hosts",
		fmt.Sprintf("OVS_RUNDIR=%s ovs-ofctl -O OpenFlow13 dump-flows br-int", h.Dir),
		fmt.Sprintf("OVS_RUNDIR=%s ovs-ofctl -O OpenFlow13 dump-flows br-int | %s flows --explain -", h.Dir, bin),
		fmt.Sprintf("OVS_RUNDIR=%s ovs-ofctl -O OpenFlow13 del-flows br-int      # and look again", h.Dir),
		fmt.Sprintf("ip netns exec %s ping 10.2.0.12", d.lab.VMs()[2].NS),
		fmt.Sprintf("ip netns exec %s ping 192.168.0.3      # from the internet to vm1, by its floating IP", d.internet.NS),
		fmt.Sprintf("%s security-group-rule-delete %s      # under that ping: it stops", quantum, d.rule),
		quantum + " security-group-rule-create --protocol icmp default      # and it goes on",
		bin + " why default      # the group's rules, and what each has let pass",
		fmt.Sprintf("ip netns exec %s ping 203.0.113.9      # from vm2, by routerA's own address", d.vm2.NS),
		fmt.Sprintf("%s gateway show %s", bin, d.session.Router.ID),
		fmt.Sprintf("%s gateway move %s %s      # under that ping", bin, d.session.Router.ID, d.spareHost(ctx)),
		fmt.Sprintf("%s floatingip-associate %s vm2      # and 192.168.0.3 is vm2", quantum, d.session.Floating.ID),
		fmt.Sprintf("kill -9 %d      # the controller, under that ping: it goes on, and a new one starts", d.box.Controller().PID()),
		fmt.Sprintf("tail -f %s", d.box.Log("up")),
	} {
		d.say("  %s", line)
	}
	d.say("\n`make demo-down` ends it.")
}
