package flowpipeline

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// guard puts the ports into groups of so many members each, with so many rules each, of which the last two name a group: the
// one itself and the next.
func (e *estate) guard(groups, members, rules int) *estate {
	for g := range groups {
		row := signalbox.SecurityGroup{ID: id("security_group", g), Key: signalbox.GroupKey(g + 1)}
		for i := range rules {
			port := 1000 + i
			rule := signalbox.SecurityGroupRule{ID: id("rule", g*rules+i), Key: signalbox.RuleKey(g*rules + i + 1), Direction: signalbox.Ingress,
				EtherType: signalbox.IPv4, Protocol: "tcp", PortMin: port, PortMax: port}
			switch i {
			case 0:
				rule.Direction, rule.Protocol, rule.PortMin, rule.PortMax = signalbox.Egress, "", signalbox.NoPort, signalbox.NoPort
			case rules - 2:
				rule.RemoteGroupID = row.ID
			case rules - 1:
				rule.RemoteGroupID = id("security_group", (g+1)%groups)
			}
			row.Rules = append(row.Rules, rule)
		}
		e.delta.SecurityGroups = append(e.delta.SecurityGroups, row)
	}
	var ports []*signalbox.Port
	for i := range e.delta.Ports {
		if p := &e.delta.Ports[i]; p.Role == signalbox.RoleVIF {
			ports = append(ports, p)
		}
	}
	perNetwork := len(ports) / len(e.delta.Networks)
	for i, p := range ports {
		p.Zone = signalbox.Zone(32768 + i/len(e.hosts))
		// No two have one address.
		p.FixedIPs[0].Addr = netip.AddrFrom4([4]byte{10, byte(i / perNetwork), byte(i % perNetwork >> 8), byte(i % perNetwork)})
		for n := range max(1, groups*members/len(ports)) {
			p.SecurityGroups = append(p.SecurityGroups, id("security_group", (i*groups/len(ports)+n)%groups))
		}
	}
	return e
}

func (e *estate) compileGuarded() *Compiler {
	c := NewCompiler()
	c.Facts.EnforceGroups()
	c.Facts.Apply(&e.delta)
	for host, s := range e.switches {
		c.Facts.SetSwitch(host, s)
	}
	for _, host := range e.hosts {
		c.AddHost(host)
	}
	c.Step()
	return c
}

// What security groups add to a host's flows, and what a change of one costs, in all hosts.
func BenchmarkGroups(b *testing.B) {
	for _, tt := range []struct {
		name                   string
		plain, e               *estate
		groups, members, rules int
	}{
		{"5000_ports_20_groups_of_250_and_6_rules", newEstate(3, 100, 50).route(10), newEstate(3, 100, 50).route(10), 20, 250, 6},
		{"5000_ports_100_groups_of_1000_and_50_rules", newEstate(3, 100, 50).route(10), newEstate(3, 100, 50).route(10), 100, 1000, 50},
	} {
		host := tt.e.hosts[0]
		plain := tt.plain.compile(host).Size(host)
		e := tt.e.guard(tt.groups, tt.members, tt.rules)
		c := e.compileGuarded()
		report := func(b *testing.B, changed int) {
			b.ReportMetric(float64(c.Size(host)), "flows")
			b.ReportMetric(float64(c.Size(host)-plain), "flows-of-groups")
			b.ReportMetric(float64(changed), "changed-flows")
		}
		count := func() (changed int) {
			for _, ch := range c.Step() {
				changed += len(ch.Adds) + len(ch.Deletes)
			}
			return changed
		}
		member := e.delta.Ports[0]
		b.Run(tt.name+"/member", func(b *testing.B) {
			defer cpu(b)()
			var changed int
			for i := range b.N {
				next := member
				next.SecurityGroups = append([]uuid.UUID{}, member.SecurityGroups...)
				if i%2 == 0 {
					next.SecurityGroups = append(next.SecurityGroups, id("security_group", tt.groups/2))
				}
				c.Facts.SetPort(&next)
				changed = count()
			}
			report(b, changed)
		})
		c.Facts.SetPort(&member)
		c.Step()
		b.Run(tt.name+"/rule", func(b *testing.B) {
			defer cpu(b)()
			var changed int
			for i := range b.N {
				next := e.delta.SecurityGroups[0]
				if i%2 == 0 {
					next.Rules = append(next.Rules[:len(next.Rules):len(next.Rules)], signalbox.SecurityGroupRule{ID: id("rule", 1<<20), Key: 1 << 20,
						Direction: signalbox.Ingress, EtherType: signalbox.IPv4, RemotePrefix: netip.MustParsePrefix("192.0.2.0/24"),
						Protocol: "udp", PortMin: 53, PortMax: 53})
				}
				c.Facts.SetSecurityGroup(&next)
				changed = count()
			}
			report(b, changed)
		})
		b.Run(tt.name+"/port", func(b *testing.B) {
			defer cpu(b)()
			var changed int
			for range b.N {
				c.Facts.Drop(signalbox.Ref{Kind: signalbox.KindPort, ID: member.ID})
				count()
				next := member
				c.Facts.SetPort(&next)
				changed = count()
			}
			report(b, changed)
		})
	}
}

// Groups cost a host a flow for each rule and each member's address that its ports need, and one for each port that it holds.
func TestGroupsAreNoProduct(t *testing.T) {
	const groups, members, rules, ports = 20, 25, 6, 500
	plain, e := newEstate(3, 10, 50), newEstate(3, 10, 50).guard(groups, members, rules)
	host := e.hosts[0]
	added := e.compileGuarded().Size(host) - plain.compile(host).Size(host)
	held := 0
	for i := range e.delta.Ports {
		if e.delta.Ports[i].Binding.HostID == host {
			held++
		}
	}
	want := held + groups*(members+rules+1)
	if fixed := added - want; fixed < 40 || fixed > 80 { // what every host has
		t.Errorf("%d flows for groups; %d by the rules, members and ports: %s", added, want, fmt.Sprint(fixed))
	}
}

// A host of 1,667 ports, and of what these need to know of 3,333 others.
func TestAHostOfManyPortsHasRoomForItsFlows(t *testing.T) {
	const most = 40_000
	e := newEstate(3, 100, 50).route(10).guard(20, 250, 6)
	e.hosts = e.hosts[:1]
	c := e.compileGuarded()
	if got := c.Size(e.hosts[0]); got > most || got < most/2 {
		t.Errorf("%d flows; at most %d are aimed at", got, most)
	}
}
