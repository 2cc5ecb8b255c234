package main

import (
	"fmt"
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

// estate is facts to compile from: VXLAN networks with DHCP, their ports dealt out over three hosts. Each network is a project with
// its default security group.
type estate struct {
	delta    signalbox.Delta
	switches map[uuid.UUID]*flowpipeline.Switch
}

const (
	estateHosts     = 3
	portsPerNetwork = 36 // a third of them on each host
)

func idOf(kind string, n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %d", kind, n))
}

func newEstate(networks int) *estate {
	e := &estate{delta: signalbox.Delta{Full: true}, switches: map[uuid.UUID]*flowpipeline.Switch{}}
	for h := range estateHosts {
		host := signalbox.Host{ID: idOf("host", h), TunnelIP: netip.AddrFrom4([4]byte{192, 0, 2, byte(h + 1)})}
		e.delta.Hosts = append(e.delta.Hosts, host)
		e.switches[host.ID] = &flowpipeline.Switch{
			Tunnels:    map[signalbox.NetworkType]uint32{signalbox.VXLAN: 60000},
			Interfaces: map[string]flowpipeline.Interface{},
		}
	}
	for n := range networks {
		e.addNetwork(n)
	}
	return e
}

func (e *estate) addNetwork(n int) {
	network, subnet := idOf("network", n), idOf("subnet", n)
	e.delta.Networks = append(e.delta.Networks, signalbox.Network{ID: network, Key: signalbox.NetworkKey(n + 1), AdminStateUp: true,
		Segment: signalbox.Segment{Type: signalbox.VXLAN, ID: uint32(n + 1)}})
	e.delta.Subnets = append(e.delta.Subnets, signalbox.Subnet{ID: subnet, NetworkID: network,
		CIDR: netip.MustParsePrefix("10.0.0.0/24"), EnableDHCP: true})
	e.delta.SecurityGroups = append(e.delta.SecurityGroups, defaultGroup(n))
	server := e.port(n, 0)
	server.Role = signalbox.RoleDHCP
	e.delta.Ports = append(e.delta.Ports, server)
	for i := 1; i <= portsPerNetwork; i++ {
		p := e.port(n, i)
		e.plug(&p)
		e.delta.Ports = append(e.delta.Ports, p)
	}
}

// defaultGroup is a project's first group, as the API makes it.
func defaultGroup(n int) signalbox.SecurityGroup {
	g := signalbox.SecurityGroup{ID: idOf("group", n), Key: signalbox.GroupKey(n + 1), Default: true}
	for _, family := range []signalbox.EtherType{signalbox.IPv4, signalbox.IPv6} {
		for _, r := range []signalbox.SecurityGroupRule{{Direction: signalbox.Egress}, {Direction: signalbox.Ingress, RemoteGroupID: g.ID}} {
			r.Key = signalbox.RuleKey(4*n + len(g.Rules) + 1)
			r.ID, r.GroupID, r.EtherType, r.PortMin, r.PortMax = idOf("rule", int(r.Key)), g.ID, family, signalbox.NoPort, signalbox.NoPort
			g.Rules = append(g.Rules, r)
		}
	}
	return g
}

func (e *estate) port(network, i int) signalbox.Port {
	n := network*(portsPerNetwork+1) + i
	return signalbox.Port{ID: idOf("port", n), Key: signalbox.PortKey(n + 1), NetworkID: idOf("network", network), AdminStateUp: true,
		SecurityGroups: []uuid.UUID{idOf("group", network)}, Zone: signalbox.Zone(1<<15 + n),
		MAC:      signalbox.MAC{0xfa, 0x16, 0x3e, byte(n >> 16), byte(n >> 8), byte(n)},
		FixedIPs: []signalbox.FixedIP{{SubnetID: idOf("subnet", network), Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 2)})}}}
}

// plug puts a port into the host whose turn it is.
func (e *estate) plug(p *signalbox.Port) {
	host, tap := idOf("host", int(p.Key)%estateHosts), signalbox.TapName(p.ID)
	interfaces := e.switches[host].Interfaces
	interfaces[tap] = flowpipeline.Interface{Name: tap, OFPort: uint32(len(interfaces) + 1)}
	p.Binding = &signalbox.Binding{PortID: p.ID, HostID: host, Interface: tap}
}

// compiler knows the facts and compiles for no host yet.
func (e *estate) compiler() *flowpipeline.Compiler {
	c := flowpipeline.NewCompiler()
	c.Facts.EnforceGroups()
	c.Facts.Apply(&e.delta)
	for host, s := range e.switches {
		c.Facts.SetSwitch(host, s)
	}
	return c
}
