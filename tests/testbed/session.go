package testbed

import (
	"context"
	"fmt"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// Session plays the session that Quantum's presentation shows (Folsom, 2012, the first release with routers): the calls
// of its commands, in its order, with the addresses that they gave there.
type Session struct {
	Net1, Net2, External     Network
	Subnet1, Subnet2, Public Subnet
	Port1, VM                Port
	Router                   Router
	Floating                 FloatingIP
	api                      *API
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
func (a *API) PlaySession(ctx context.Context, said func(command, answer string), boot func(context.Context, Network) (Port, error)) (*Session, error) {
	s := &Session{api: a, said: said}
	s.inside(ctx)
	s.outside(ctx)
	s.joined(ctx)
	s.do("  (a VM boots on net1)", func() (answer string, err error) {
		s.VM, err = boot(ctx, s.Net1)
		return "leases " + s.VM.addresses(), err
	})
	s.gave(s.VM.addresses(), "10.0.0.3")
	s.reached(ctx)
	return s, s.err
}

func (s *Session) inside(ctx context.Context) {
	s.do("quantum net-create net1", s.network(ctx, &s.Net1, Network{Name: "net1"}))
	s.do("quantum subnet-create --name subnet1 net1 10.0.0.0/24", func() (string, error) {
		return s.subnet(ctx, &s.Subnet1, Subnet{Name: "subnet1", NetworkID: s.Net1.ID, CIDR: "10.0.0.0/24"})
	})
	s.gave(s.Subnet1.GatewayIP, "10.0.0.1")
	s.do("quantum port-create --name port1 --fixed-ip subnet_id=subnet1,ip_address=10.0.0.11 net1", func() (answer string, err error) {
		s.Port1, err = s.api.CreatePort(ctx, Port{Name: "port1", NetworkID: s.Net1.ID, FixedIPs: []FixedIP{{SubnetID: s.Subnet1.ID, Addr: "10.0.0.11"}}})
		return s.Port1.addresses() + ", MAC " + s.Port1.MAC, err
	})
	s.gave(s.Port1.addresses(), "10.0.0.11")
	s.do("quantum net-create net2", s.network(ctx, &s.Net2, Network{Name: "net2"}))
	s.do("quantum subnet-create --name subnet2 net2 10.0.1.0/24", func() (string, error) {
		return s.subnet(ctx, &s.Subnet2, Subnet{Name: "subnet2", NetworkID: s.Net2.ID, CIDR: "10.0.1.0/24"})
	})
	s.gave(s.Subnet2.GatewayIP, "10.0.1.1")
}

func (s *Session) outside(ctx context.Context) {
	s.do("quantum net-create net-ext -- --router:external=True", s.network(ctx, &s.External, Network{Name: "net-ext", External: true}))
	s.do("quantum subnet-create --name subnet-ext --gateway 192.168.0.1 net-ext 192.168.0.0/24 -- --enable_dhcp=False", func() (string, error) {
		off := false
		return s.subnet(ctx, &s.Public, Subnet{
			Name: "subnet-ext", NetworkID: s.External.ID, CIDR: "192.168.0.0/24", GatewayIP: "192.168.0.1", EnableDHCP: &off,
		})
	})
}

func (s *Session) joined(ctx context.Context) {
	s.do("quantum router-create routerA", func() (answer string, err error) {
		s.Router, err = s.api.CreateRouter(ctx, Router{Name: "routerA"})
		return "router " + s.Router.ID, err
	})
	public := ""
	s.do("quantum router-gateway-set routerA net-ext", func() (answer string, err error) {
		s.Router, err = s.api.SetGateway(ctx, s.Router.ID, Gateway{NetworkID: s.External.ID})
		if err == nil {
			public = Port{FixedIPs: s.Router.Gateway.FixedIPs}.addresses()
		}
		return "the router takes " + public, err
	})
	s.gave(public, "192.168.0.2")
	for _, end := range []struct {
		subnet *Subnet
		addr   string
	}{{&s.Subnet1, "10.0.0.1"}, {&s.Subnet2, "10.0.1.1"}} {
		var p Port
		s.do("quantum router-interface-add routerA "+end.subnet.Name, func() (string, error) {
			joined, err := s.api.AddInterface(ctx, s.Router.ID, Interface{SubnetID: end.subnet.ID})
			if err == nil {
				p, err = s.api.Port(ctx, joined.PortID)
			}
			return p.addresses(), err
		})
		s.gave(p.addresses(), end.addr)
	}
}

func (s *Session) reached(ctx context.Context) {
	s.do("quantum floatingip-create net-ext", func() (answer string, err error) {
		s.Floating, err = s.api.CreateFloatingIP(ctx, FloatingIP{NetworkID: s.External.ID})
		return s.Floating.Addr, err
	})
	s.gave(s.Floating.Addr, "192.168.0.3")
	s.do("quantum port-list", func() (string, error) {
		ports, err := s.api.Ports(ctx, s.Net1.ID)
		var list []string
		for _, p := range ports {
			list = append(list, p.addresses())
		}
		return "on net1: " + strings.Join(list, " "), err
	})
	s.do(fmt.Sprintf("quantum floatingip-associate %s %s", s.Floating.ID, s.VM.ID), func() (string, error) {
		_, err := s.api.Associate(ctx, s.Floating.ID, s.VM.ID, "")
		return "Associated floatingip " + s.Floating.ID, err
	})
	s.do("quantum floatingip-show "+s.Floating.ID, func() (answer string, err error) {
		s.Floating, err = s.api.FloatingIP(ctx, s.Floating.ID)
		return fmt.Sprintf("%s stands for %s of port %s, by router %s", s.Floating.Addr, s.Floating.FixedAddr, s.Floating.PortID, s.Floating.RouterID), err
	})
	s.gave(s.Floating.FixedAddr, "10.0.0.3")
	s.gave(s.Floating.RouterID, s.Router.ID)
	s.gave(s.Floating.PortID, s.VM.ID)
}

// do plays a command and tells its answer.
func (s *Session) do(command string, call func() (answer string, err error)) {
	if s.err != nil {
		return
	}
	answer, err := call()
	if err != nil {
		s.err = fmt.Errorf("%s: %w", command, err)
		return
	}
	s.said(command, answer)
}

// gave fails unless the last command gave what it gave there.
func (s *Session) gave(got, want string) {
	if s.err == nil && got != want {
		s.err = fmt.Errorf("it gave %q; in the presentation it is %q", got, want)
	}
}

func (s *Session) network(ctx context.Context, made *Network, wanted Network) func() (string, error) {
	return func() (answer string, err error) {
		*made, err = s.api.CreateNetwork(ctx, wanted)
		segment := made.Physical
		if made.Segmentation != 0 {
			segment = strings.TrimSpace(fmt.Sprint(segment, " ", made.Segmentation))
		}
		return fmt.Sprintf("%s (%s)", made.Type, segment), err
	}
}

func (s *Session) subnet(ctx context.Context, made *Subnet, wanted Subnet) (answer string, err error) {
	wanted.IPVersion = 4
	*made, err = s.api.CreateSubnet(ctx, wanted)
	return "gateway " + made.GatewayIP, err
}

// addresses are a port's, as people write them.
func (p Port) addresses() string {
	var list []string
	for _, ip := range p.FixedIPs {
		list = append(list, ip.Addr)
	}
	return strings.Join(list, " ")
}
