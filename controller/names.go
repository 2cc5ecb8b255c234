package controller

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/dns"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// answerDNS answers what is asked of a DHCP port's address, or has a resolver asked, and returns what was done.
func (s *session) answerDNS(ctx context.Context, p openflow.PacketIn) string {
	key := signalbox.PortKey(p.Reg(flowpipeline.SourcePort.Field))
	r, frames, outcome := dns.Read(p.Data, &s.c.cookies, time.Now())
	if r == nil {
		s.hand(ctx, key, frames)
		return outcome.String()
	}
	s.c.mu.RLock()
	facts, ok := s.c.loop.dnsFacts(key, r.Server())
	s.c.mu.RUnlock()
	if !ok {
		return "out of date" // the flow that sent it is on its way out
	}
	answers, others := make([][]byte, len(r.Queries)), map[int]*dns.Query{}
	for i, q := range r.Queries {
		if answers[i], outcome = q.Answer(facts); outcome == dns.Forward {
			others[i] = q
		}
	}
	if len(others) == 0 {
		s.hand(ctx, key, r.Frames(facts, answers))
		return outcome.String()
	}
	s.hand(ctx, key, r.Acknowledge(facts))
	finish := func(found map[int][]byte) {
		for i, a := range found {
			answers[i] = a
		}
		s.hand(ctx, key, r.Frames(facts, answers))
	}
	if !s.c.resolver.ask(ctx, key, others, finish) {
		finish(fail(others))
		return "overflow"
	}
	return outcome.String()
}

// hand gives frames to a port of this host, wherever it is plugged in by now. One that has left gets nothing.
func (s *session) hand(ctx context.Context, key signalbox.PortKey, frames [][]byte) {
	actions := []flow.Action{
		flow.Load{Dst: flowpipeline.TargetPort, Value: flow.Num(uint64(key))},
		flow.Resubmit{Table: flowpipeline.TableOutput},
	}
	for _, f := range frames {
		if err := s.conn.PacketOut(ctx, openflow.PortController, actions, f); err != nil {
			if ctx.Err() == nil {
				s.log.Warn("sending a DNS answer", "port_key", key, "error", err)
			}
			return
		}
	}
}

// dnsFacts is what a port that asks a server can know; false where there is no such port, or no such server for it.
func (l *loop) dnsFacts(key signalbox.PortKey, server netip.Addr) (*dns.Facts, bool) {
	rows := l.compiler.Facts
	p := rows.Port(l.ports.byKey[key])
	if p == nil {
		return nil, false
	}
	own, at := rows.Network(p.NetworkID), rows.PortAt(p.NetworkID, server)
	if own == nil || at == nil || at.Role != signalbox.RoleDHCP {
		return nil, false
	}
	d := &directory{c: l.c, project: p.ProjectID, networks: l.networksFrom(p)}
	f := &dns.Facts{Names: d, Forwards: len(l.c.cfg.DNSServers) > 0, MTU: own.MTU, Server: server, ServerMAC: at.MAC}
	zone := func(domain string) {
		if domain != "" && !slices.Contains(f.Zones, domain) {
			f.Zones = append(f.Zones, domain)
		}
	}
	zone(l.c.cfg.Domain)
	for _, id := range d.networks {
		if n := rows.Network(id); n != nil {
			zone(l.domainOf(n))
		}
		for _, s := range rows.SubnetsOf(id) {
			if subnet := rows.Subnet(s); subnet != nil {
				f.Blocks = append(f.Blocks, subnet.CIDR)
			}
		}
	}
	return f, true
}

// networksFrom is the networks whose names a port can ask for: its own first, and those that routers join to it, if they belong
// to the port's own project. Others' routers bring nobody names that they did not ask for.
func (l *loop) networksFrom(p *signalbox.Port) []uuid.UUID {
	rows := l.compiler.Facts
	out := []uuid.UUID{p.NetworkID}
	for _, router := range rows.RoutersOn(p.NetworkID) {
		for _, end := range rows.InterfacesOf(router) {
			n := rows.Network(end.NetworkID)
			if n != nil && n.ProjectID == p.ProjectID && !slices.Contains(out, n.ID) {
				out = append(out, n.ID)
			}
		}
	}
	return out
}

// maxNamesakes bounds the answer that ports with one name make, and what it costs.
const maxNamesakes = 100

// directory is the names of some networks, as a project's port asks for them. It holds the controller's lock while it looks.
type directory struct {
	c        *Controller
	project  string
	networks []uuid.UUID // in the order of trial
}

// Addrs implements dns.Names. The first network that has the name answers.
func (d *directory) Addrs(name string) (addrs []netip.Addr, known bool) {
	d.c.mu.RLock()
	defer d.c.mu.RUnlock()
	for _, id := range d.networks {
		ports, exists := d.c.loop.portsCalled(id, name)
		known = known || exists
		ports = d.prefer(ports, id)
		for _, p := range ports[:min(len(ports), maxNamesakes)] {
			for _, ip := range p.FixedIPs {
				if _, full := p.NameOf(ip.Addr, d.domain(id)); full == name {
					addrs = append(addrs, ip.Addr)
				}
			}
		}
		if len(addrs) > 0 {
			return addrs, true
		}
	}
	return nil, known
}

// Called implements dns.Names.
func (d *directory) Called(a netip.Addr) string {
	d.c.mu.RLock()
	defer d.c.mu.RUnlock()
	for _, id := range d.networks {
		if p := d.c.loop.compiler.Facts.PortAt(id, a); p != nil {
			_, full := p.NameOf(a, d.domain(id))
			if strings.HasSuffix(full, ".") && len(full) <= signalbox.MaxName {
				return full
			}
			return ""
		}
	}
	return ""
}

// domain is the domain of a network's names; "": none.
func (d *directory) domain(network uuid.UUID) string {
	if n := d.c.loop.compiler.Facts.Network(network); n != nil {
		return d.c.loop.domainOf(n)
	}
	return ""
}

// prefer keeps, of ports that have one name, those of the project that asks, else those of the network's, else all: on a
// network that projects share nobody can take a name from another.
func (d *directory) prefer(ports []*signalbox.Port, network uuid.UUID) []*signalbox.Port {
	projects := []string{d.project}
	if n := d.c.loop.compiler.Facts.Network(network); n != nil {
		projects = append(projects, n.ProjectID)
	}
	for _, project := range projects {
		var own []*signalbox.Port
		for _, p := range ports {
			if p.ProjectID == project {
				own = append(own, p)
			}
		}
		if len(own) > 0 {
			return own
		}
	}
	return ports
}

// portsCalled is the ports of a network that have a full name, in order, and whether there is any such name, or one below it.
func (l *loop) portsCalled(network uuid.UUID, name string) (ports []*signalbox.Port, known bool) {
	rows := l.compiler.Facts
	n := rows.Network(network)
	if n == nil {
		return nil, false
	}
	keys := []called{{network, name}}
	if domain := l.domainOf(n); domain != "" {
		if relative, ok := strings.CutSuffix(name, "."+domain); ok {
			keys = append(keys, called{network, relative})
			if p := rows.PortAt(network, addrCalled(relative)); p != nil && p.DNSName == "" {
				ports = append(ports, p)
			}
		}
	}
	for _, key := range keys {
		for id, itself := range l.ports.called[key] {
			known = true
			if p := rows.Port(id); p != nil && itself {
				ports = append(ports, p)
			}
		}
	}
	slices.SortFunc(ports, func(a, b *signalbox.Port) int { return cmp.Compare(a.Key, b.Key) })
	return ports, known || len(ports) > 0
}

// addrCalled is the inverse of signalbox.HostName; the zero Addr where a name is none of its kind.
func addrCalled(name string) netip.Addr {
	for _, separator := range []string{".", ":"} {
		a, err := netip.ParseAddr(strings.ReplaceAll(strings.TrimPrefix(name, "host-"), "-", separator))
		if err == nil && signalbox.HostName(a) == name {
			return a
		}
	}
	return netip.Addr{}
}

// called is a name on a network, as a port has it: relative, or with its last dot.
type called struct {
	network uuid.UUID
	name    string
}

// names is a port's name and all that it is below.
func names(p *signalbox.Port) []called {
	var out []called
	for rest, more := p.DNSName, p.DNSName != ""; more && rest != ""; _, rest, more = strings.Cut(rest, ".") {
		out = append(out, called{p.NetworkID, rest})
	}
	return out
}
