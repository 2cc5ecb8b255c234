//go:build integration

package tests

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// resolverAt is where the lab's resolver listens, in the controller's namespace.
const resolverAt = "127.0.0.1:5353"

func TestDNS(t *testing.T) {
	settings := testbed.DefaultSettings()
	settings.DNSServers = []string{resolverAt}
	w := newWorldAs(t, settings)
	w.script(t, "names both ways", namesBothWays)
	w.script(t, "names of a router's networks", namesBehindARouter)
	w.script(t, "other names come from resolvers", otherNames)
}

// unnamed is a network whose subnet names no DNS server.
func (s *script) unnamed(kind signalbox.NetworkType, block, domain string) *network {
	s.Helper()
	return s.networkAs(testbed.Network{Type: string(kind), DNSDomain: domain}, testbed.Subnet{CIDR: block, DNS: []string{}})
}

// ask asks a server from a guest: by "udp" or "tcp".
func (s *script) ask(g *guest, transport string, server netip.Addr, m *dns.Msg) *dns.Msg {
	s.Helper()
	a, err := s.tryAsk(g, transport, server, m)
	s.must(err)
	return a
}

func (s *script) tryAsk(g *guest, transport string, server netip.Addr, m *dns.Msg) (*dns.Msg, error) {
	c, err := g.NS.Dial(s.ctx, transport, netip.AddrPortFrom(server, 53).String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	a, _, err := (&dns.Client{Net: transport, Timeout: patience}).ExchangeWithConn(m, &dns.Conn{Conn: c})
	if err == nil && transport == "tcp" {
		err = closesAfter(c)
	}
	return a, err
}

// closesAfter fails unless the other side ends the connection.
func closesAfter(c net.Conn) error {
	if n, err := c.Read(make([]byte, 1)); err == nil {
		return fmt.Errorf("%d bytes follow the answer", n)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func question(name string, kind uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, kind) }

// records are an answer's, in order and without their times.
func records(m *dns.Msg) []string {
	out := []string{}
	for _, rr := range m.Answer {
		out = append(out, strings.Join(slices.Delete(strings.Fields(rr.String()), 1, 3), " "))
	}
	return out
}

// resolves fails unless the question has this answer, by UDP and by TCP.
func (s *script) resolves(g *guest, server netip.Addr, name string, kind uint16, code int, want ...string) {
	s.Helper()
	for _, transport := range []string{"udp", "tcp"} {
		a := s.ask(g, transport, server, question(name, kind))
		if got := records(a); a.Rcode != code || !slices.Equal(got, want) {
			s.Errorf("%s %s by %s: %s %q, want %q", name, dns.TypeToString[kind], transport, dns.RcodeToString[a.Rcode], got, want)
		}
	}
}

// server is the address of a network's DHCP port.
func (s *script) server(n *network) netip.Addr {
	s.Helper()
	ports, err := s.box.API.Ports(s.ctx, n.ID)
	s.must(err)
	for _, p := range ports {
		if p.Owner == signalbox.DeviceOwnerDHCP {
			return netip.MustParseAddr(p.FixedIPs[0].Addr)
		}
	}
	s.Fatal("no DHCP port")
	return netip.Addr{}
}

func namesBothWays(s *script) {
	n := s.unnamed(signalbox.VXLAN, cidr, "")
	web, other := s.bootAs(n, s.h1, testbed.Port{DNSName: "Web"}), s.boot(n, s.h2)
	server := s.server(n)
	lease, err := web.DHCP(s.ctx, testbed.Udhcpc, patience, "-O", "domain", "-O", "search")
	s.must(err)
	if !slices.Equal(lease.DNS, []string{server.String()}) || lease.Hostname != "web" || lease.Everything["domain"] != "openstacklocal" || lease.Everything["search"] != "openstacklocal" {
		s.Errorf("DHCP says DNS %v, host name %q, domain %q, search %q", lease.DNS, lease.Hostname, lease.Everything["domain"], lease.Everything["search"])
	}
	unnamed := signalbox.HostName(other.IP) + ".openstacklocal."
	reverse, err := dns.ReverseAddr(web.IP.String())
	s.must(err)
	for _, g := range []*guest{web, other} {
		s.resolves(g, server, "web.openstacklocal.", dns.TypeA, dns.RcodeSuccess, "web.openstacklocal. A "+web.IP.String())
		s.resolves(g, server, "wEb.OpenStackLocal.", dns.TypeA, dns.RcodeSuccess, "wEb.OpenStackLocal. A "+web.IP.String())
		s.resolves(g, server, unnamed, dns.TypeA, dns.RcodeSuccess, unnamed+" A "+other.IP.String())
		s.resolves(g, server, reverse, dns.TypePTR, dns.RcodeSuccess, reverse+" PTR web.openstacklocal.")
		s.resolves(g, server, "web.openstacklocal.", dns.TypeAAAA, dns.RcodeSuccess)
		s.resolves(g, server, "db.openstacklocal.", dns.TypeA, dns.RcodeNameError)
	}
	s.libraryFinds(other, server, "web", web.IP)
	s.lengthFirst(other, server, "web.openstacklocal.")
	s.must(s.box.API.Update(s.ctx, "port", web.Port.ID, map[string]any{"dns_name": "db"}))
	s.must(testbed.Await(s.ctx, patience, "the new name", func() error {
		a, err := s.tryAsk(other, "udp", server, question("db.openstacklocal.", dns.TypeA))
		if err == nil && len(a.Answer) != 1 {
			err = fmt.Errorf("answered %v", a)
		}
		return err
	}))
	s.resolves(other, server, "web.openstacklocal.", dns.TypeA, dns.RcodeNameError)
	s.resolves(other, server, reverse, dns.TypePTR, dns.RcodeSuccess, reverse+" PTR db.openstacklocal.")

	s.must(s.box.API.Update(s.ctx, "subnet", n.Subnet.ID, map[string]any{"dns_nameservers": []string{"192.0.2.53"}}))
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2))
	s.must(testbed.Await(s.ctx, patience, "no answer where the subnet names another server", func() error {
		if flows := s.flowsNaming(s.h1, "tp_dst=53"); len(flows) > 0 {
			return fmt.Errorf("%q", flows)
		}
		return nil
	}))
}

// libraryFinds fails unless a guest's C library finds a name in the domain that it searches: by UDP, and by TCP, where it asks for both
// families at once. Its resolv.conf is in a mount namespace of its own.
func (s *script) libraryFinds(g *guest, server netip.Addr, name string, want netip.Addr) {
	s.Helper()
	conf := filepath.Join(s.TempDir(), "resolv.conf")
	for _, options := range []string{"ndots:1", "use-vc"} {
		s.must(os.WriteFile(conf, []byte(fmt.Sprintf("nameserver %s\nsearch openstacklocal\noptions attempts:1 %s\n", server, options)), 0o644))
		out, err := g.NS.Run(s.ctx, "unshare", "--mount", "sh", "-ec", `mount --bind "$0" /etc/resolv.conf; exec getent ahosts "$1"`, conf, name)
		if err != nil || !strings.HasPrefix(out, want.String()+" ") {
			s.Errorf("with %s, %s is %q, %v", options, name, out, err)
		}
	}
}

// lengthFirst asks by TCP with a query's length in a segment of its own.
func (s *script) lengthFirst(g *guest, server netip.Addr, name string) {
	s.Helper()
	c, err := g.NS.Dial(s.ctx, "tcp", netip.AddrPortFrom(server, 53).String())
	s.must(err)
	defer c.Close()
	m, err := question(name, dns.TypeA).Pack()
	s.must(err)
	_, err = c.Write([]byte{byte(len(m) >> 8), byte(len(m))})
	s.must(err)
	_, err = c.Write(m)
	s.must(err)
	s.must(c.SetReadDeadline(time.Now().Add(patience)))
	a, err := (&dns.Conn{Conn: c}).ReadMsg()
	s.must(err)
	if len(a.Answer) != 1 {
		s.Errorf("%v", a)
	}
	s.must(closesAfter(c))
}

func namesBehindARouter(s *script) {
	blue, green := s.unnamed(signalbox.VXLAN, cidr, ""), s.unnamed(signalbox.VLAN, "10.0.1.0/24", "green.example.")
	b, g := s.bootAs(blue, s.h1, testbed.Port{DNSName: "b"}), s.bootAs(green, s.h1, testbed.Port{DNSName: "g"})
	s.resolves(b, s.server(blue), "g.green.example.", dns.TypeA, dns.RcodeServerFailure) // not known here, and no resolver answers
	s.router(blue, green)
	s.must(testbed.Await(s.ctx, patience, "the other network's name", func() error {
		a, err := s.tryAsk(b, "udp", s.server(blue), question("g.green.example.", dns.TypeA))
		if err == nil && len(a.Answer) != 1 {
			err = fmt.Errorf("answered %v", a)
		}
		return err
	}))
	reverse, err := dns.ReverseAddr(g.IP.String())
	s.must(err)
	s.resolves(b, s.server(blue), reverse, dns.TypePTR, dns.RcodeSuccess, reverse+" PTR g.green.example.")
	s.resolves(g, s.server(green), "b.openstacklocal.", dns.TypeA, dns.RcodeSuccess, "b.openstacklocal. A "+b.IP.String())
}

// resolve serves example.org in the controller's namespace for the rest of the script: an address, a long text, and nothing else.
func (s *script) resolve() {
	s.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		limit := dns.MaxMsgSize
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			limit = 1232
		}
		header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 300}
		switch name := strings.ToLower(q.Question[0].Name); {
		case name == "www.example.org." && header.Rrtype == dns.TypeA:
			a.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(192, 0, 2, 80)}}
		case name == "big.example.org." && header.Rrtype == dns.TypeTXT:
			for i := range 30 {
				a.Answer = append(a.Answer, &dns.TXT{Hdr: header, Txt: []string{strings.Repeat("x", 200) + fmt.Sprint(i)}})
			}
		default:
			a.Rcode = dns.RcodeNameError
		}
		a.Truncate(limit)
		_ = w.WriteMsg(a)
	})
	packets, err := s.lab.Net.ListenPacket(s.ctx, resolverAt)
	s.must(err)
	listener, err := s.lab.Net.Listen(s.ctx, resolverAt)
	s.must(err)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}} {
		done, begun := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(begun) }
		go func() {
			defer close(done)
			if err := server.ActivateAndServe(); err != nil {
				s.Error(err)
			}
		}()
		<-begun
		s.Cleanup(func() {
			_ = server.Shutdown()
			<-done
		})
	}
}

func otherNames(s *script) {
	s.resolve()
	n := s.unnamed(signalbox.VXLAN, cidr, "")
	g := s.boot(n, s.h1)
	server := s.server(n)
	s.resolves(g, server, "wWw.example.org.", dns.TypeA, dns.RcodeSuccess, "wWw.example.org. A 192.0.2.80")
	s.resolves(g, server, "none.example.org.", dns.TypeA, dns.RcodeNameError)

	short := s.ask(g, "udp", server, question("big.example.org.", dns.TypeTXT))
	whole := s.ask(g, "tcp", server, question("big.example.org.", dns.TypeTXT))
	if !short.Truncated || whole.Truncated || len(whole.Answer) != 30 {
		s.Errorf("by UDP %d records, cut: %v; by TCP %d, cut: %v", len(short.Answer), short.Truncated, len(whole.Answer), whole.Truncated)
	}
	edns := question("big.example.org.", dns.TypeTXT)
	edns.SetEdns0(4096, false)
	wider := s.ask(g, "udp", server, edns)
	if wider.Compress = true; !wider.Truncated || len(wider.Answer) <= len(short.Answer) || wider.Len() > 1232 {
		s.Errorf("by UDP with EDNS %d records in %d bytes", len(wider.Answer), wider.Len())
	}
	unasked := question("www.example.org.", dns.TypeA)
	unasked.RecursionDesired = false
	if a := s.ask(g, "udp", server, unasked); a.Rcode != dns.RcodeRefused {
		s.Errorf("without recursion: %v", a)
	}
}

// questionsDelayNobody: while one guest asks as fast as it can, another's leases and questions on the same host take less than a
// second each, and none of its messages has to be sent twice.
func questionsDelayNobody(s *script) {
	n := s.unnamed(signalbox.VXLAN, cidr, "")
	bad, good := s.boot(n, s.h1), s.boot(n, s.h1)
	server := s.server(n)
	stop := s.questions(bad, server)
	defer stop()
	var slowest time.Duration
	for range 4 {
		began := time.Now()
		s.ask(good, "udp", server, question(signalbox.HostName(bad.IP)+".openstacklocal.", dns.TypeA))
		slowest = max(slowest, time.Since(began))
		lease, err := good.DHCP(s.ctx, testbed.Udhcpc, patience)
		s.must(err)
		if lease.Acquired > time.Second || lease.Asked != 2 {
			s.Errorf("a lease took %v and %d messages", lease.Acquired, lease.Asked)
		}
	}
	sent := stop()
	s.Logf("%d questions of the other guest; the slowest of ours took %v", sent, slowest)
	if slowest > time.Second || sent < 10_000 {
		s.Errorf("a question took %v beside %d of another guest's", slowest, sent)
	}
}

// questions makes a guest ask one question after the other until it is stopped, which says how many it has asked. It returns when
// that is under way.
func (s *script) questions(g *guest, server netip.Addr) (stop func() int) {
	s.Helper()
	packed, err := question("web.openstacklocal.", dns.TypeA).Pack()
	s.must(err)
	conn, err := g.NS.Dial(s.ctx, "udp", netip.AddrPortFrom(server, 53).String())
	s.must(err)
	underway, done, sent := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for {
			if _, err := conn.Write(packed); err != nil {
				return // closed
			}
			if sent++; sent == 1000 {
				close(underway)
			}
		}
	}()
	stop = func() int {
		conn.Close()
		<-done
		return sent
	}
	select {
	case <-underway:
	case <-done:
		s.Fatal("the other guest cannot ask")
	}
	return stop
}
