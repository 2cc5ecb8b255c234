package testbed

import (
	"context"
	"fmt"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// Session plays the session that Quantum's presentation shows (Folsom, 2012, the first release with routers): its
// commands as they stand, by the quantum command, in its order, with the addresses that they gave there.
type Session struct {
	Net1, Net2, External     Network
	Subnet1, Subnet2, Public Subnet
	Port1, VM                Port
	Router                   Router
	Floating                 FloatingIP
	box                      *Signalbox
	said                     func(command, answer string)
	err                      error // the first; nothing is done after it
}

// SessionSettings are those by which the session gets its external network: flat, on br-ex.
func SessionSettings() Settings {
	s := DefaultSettings()
	s.ExternalNetworkType = string(signalbox.Flat)
	s.FlatNetworks = []string{ExternalNetwork}
	return s
}

// PlaySession tells each command with what it gave, and fails where that is another address than in the presentation.
// boot is to boot a VM on the network, which gets its address by DHCP, and to give its port.
func (b *Signalbox) PlaySession(ctx context.Context, said func(command, answer string), boot func(context.Context, Network) (Port, error)) (*Session, error) {
	s := &Session{box: b, said: said}
	s.inside(ctx)
	s.outside(ctx)
	s.joined(ctx)
	s.step("  (a VM boots on net1)", func() (answer string, err error) {
		s.VM, err = boot(ctx, s.Net1)
		return "leases " + s.VM.addresses(), err
	})
	s.gave(s.VM.addresses(), "10.0.0.3")
	s.reached(ctx)
	return s, s.err
}

func (s *Session) inside(ctx context.Context) {
	s.network(ctx, "quantum net-create net1", &s.Net1)
	s.subnet(ctx, "quantum subnet-create --name subnet1 net1 10.0.0.0/24", &s.Subnet1)
	s.gave(s.Subnet1.GatewayIP, "10.0.0.1")
	s.quantum(ctx, "quantum -v port-create --name port1 --fixed-ip subnet_id=subnet1,ip_address=10.0.0.11 net1", func(printed string) (answer string, err error) {
		s.Port1, err = s.box.API.Port(ctx, Shown(printed, "id"))
		return s.Port1.addresses() + ", MAC " + s.Port1.MAC, err
	})
	s.gave(s.Port1.addresses(), "10.0.0.11")
	s.network(ctx, "quantum net-create net2", &s.Net2)
	s.subnet(ctx, "quantum subnet-create --name subnet2 net2 10.0.1.0/24", &s.Subnet2)
	s.gave(s.Subnet2.GatewayIP, "10.0.1.1")
}

func (s *Session) outside(ctx context.Context) {
	s.network(ctx, "quantum net-create net-ext -- --router:external=True", &s.External)
	s.subnet(ctx, "quantum subnet-create --name subnet-ext --gateway 192.168.0.1 net-ext 192.168.0.0/24 -- --enable_dhcp=False", &s.Public)
}

func (s *Session) joined(ctx context.Context) {
	s.quantum(ctx, "quantum router-create routerA", func(printed string) (answer string, err error) {
		s.Router, err = show[Router](ctx, s.box.API, "router", Shown(printed, "id"))
		return "router " + s.Router.ID, err
	})
	public := ""
	s.quantum(ctx, "quantum router-gateway-set routerA net-ext", func(string) (answer string, err error) {
		s.Router, err = show[Router](ctx, s.box.API, "router", s.Router.ID)
		if err == nil && s.Router.Gateway != nil {
			public = Port{FixedIPs: s.Router.Gateway.FixedIPs}.addresses()
		}
		return "the router takes " + public, err
	})
	s.gave(public, "192.168.0.2")
	for _, end := range []struct{ subnet, addr string }{{"subnet1", "10.0.0.1"}, {"subnet2", "10.0.1.1"}} {
		var p Port
		s.quantum(ctx, "quantum router-interface-add routerA "+end.subnet, func(printed string) (answer string, err error) {
			_, rest, _ := strings.Cut(printed, "Added interface ")
			id, _, _ := strings.Cut(rest, " ")
			p, err = s.box.API.Port(ctx, id)
			return p.addresses(), err
		})
		s.gave(p.addresses(), end.addr)
	}
}

func (s *Session) reached(ctx context.Context) {
	s.quantum(ctx, "quantum floatingip-create net-ext", func(printed string) (answer string, err error) {
		s.Floating, err = s.box.API.FloatingIP(ctx, Shown(printed, "id"))
		return s.Floating.Addr, err
	})
	s.gave(s.Floating.Addr, "192.168.0.3")
	s.quantum(ctx, "quantum port-list", func(printed string) (string, error) {
		for line := range strings.Lines(printed) {
			if strings.Contains(line, s.VM.ID) {
				return strings.TrimSpace(line), nil
			}
		}
		return "", fmt.Errorf("the VM's port is not in it:\n%s", printed)
	})
	s.quantum(ctx, fmt.Sprintf("quantum floatingip-associate %s %s", s.Floating.ID, s.VM.ID), func(printed string) (string, error) {
		return strings.TrimSpace(printed), nil
	})
	s.quantum(ctx, "quantum floatingip-show "+s.Floating.ID, func(printed string) (answer string, err error) {
		s.gave(Shown(printed, "fixed_ip_address"), "10.0.0.3")
		s.gave(Shown(printed, "router_id"), s.Router.ID)
		s.gave(Shown(printed, "port_id"), s.VM.ID)
		s.Floating, err = s.box.API.FloatingIP(ctx, s.Floating.ID)
		return fmt.Sprintf("%s stands for %s of port %s, by router %s", s.Floating.Addr, s.Floating.FixedAddr, s.Floating.PortID, s.Floating.RouterID), err
	})
}

// quantum plays a command and tells what it gave, which read makes of what it printed.
func (s *Session) quantum(ctx context.Context, command string, read func(printed string) (answer string, err error)) {
	s.step(command, func() (string, error) {
		printed, err := s.box.Quantum(ctx, strings.Fields(command)[1:]...)
		if err != nil {
			return "", err
		}
		return read(printed)
	})
}

// step does something and tells of it.
func (s *Session) step(command string, do func() (answer string, err error)) {
	if s.err != nil {
		return
	}
	answer, err := do()
	if err != nil {
		s.err = fmt.Errorf("%s: %w", command, err)
	}
	if s.err == nil {
		s.said(command, answer)
	}
}

// gave fails unless the last command gave what it gave there.
func (s *Session) gave(got, want string) {
	if s.err == nil && got != want {
		s.err = fmt.Errorf("it gave %q; in the presentation it is %q", got, want)
	}
}

func (s *Session) network(ctx context.Context, command string, made *Network) {
	s.quantum(ctx, command, func(printed string) (answer string, err error) {
		*made, err = show[Network](ctx, s.box.API, "network", Shown(printed, "id"))
		segment := made.Physical
		if made.Segmentation != 0 {
			segment = strings.TrimSpace(fmt.Sprint(segment, " ", made.Segmentation))
		}
		return fmt.Sprintf("%s (%s)", made.Type, segment), err
	})
}

func (s *Session) subnet(ctx context.Context, command string, made *Subnet) {
	s.quantum(ctx, command, func(printed string) (answer string, err error) {
		*made, err = show[Subnet](ctx, s.box.API, "subnet", Shown(printed, "id"))
		return "gateway " + made.GatewayIP, err
	})
}

// addresses are a port's, as people write them.
func (p Port) addresses() string {
	var list []string
	for _, ip := range p.FixedIPs {
		list = append(list, ip.Addr)
	}
	return strings.Join(list, " ")
}
