package controller

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// town is a controller with a few networks and ports, known by their names.
type town struct {
	*Controller
	t        *testing.T
	networks map[string]*signalbox.Network
	ports    map[string]*signalbox.Port
}

func newTown(t *testing.T) *town {
	c := New(Config{Domain: "cloud.example."}, nil, slog.New(slog.DiscardHandler))
	return &town{Controller: c, t: t, networks: map[string]*signalbox.Network{}, ports: map[string]*signalbox.Port{}}
}

func idOf(name string) uuid.UUID { return uuid.NewSHA1(uuid.Nil, []byte(name)) }

// network has one subnet, a /24.
func (w *town) network(name, project, domain, block string) {
	n := signalbox.Network{ID: idOf(name), Key: signalbox.NetworkKey(len(w.networks) + 1), ProjectID: project, DNSDomain: domain, AdminStateUp: true, MTU: 1450}
	w.networks[name] = &n
	w.tell(&signalbox.Delta{Networks: []signalbox.Network{n},
		Subnets: []signalbox.Subnet{{ID: idOf(name + " subnet"), NetworkID: n.ID, CIDR: netip.MustParsePrefix(block), EnableDHCP: true}}})
}

func (w *town) port(name, network, project, dnsName string, role signalbox.Role, addrs ...string) {
	p := signalbox.Port{ID: idOf("port " + name), Key: signalbox.PortKey(len(w.ports) + 1), NetworkID: idOf(network), ProjectID: project, DNSName: dnsName, Role: role,
		AdminStateUp: true, MAC: signalbox.MAC{0xfa, 0, 0, 0, 0, byte(len(w.ports) + 1)}}
	if old := w.ports[name]; old != nil {
		p.Key = old.Key
	}
	for _, a := range addrs {
		p.FixedIPs = append(p.FixedIPs, signalbox.FixedIP{SubnetID: idOf(network + " subnet"), Addr: netip.MustParseAddr(a)})
	}
	if role == signalbox.RoleRouterInterface {
		p.RouterID = idOf("router")
	}
	w.ports[name] = &p
	w.tell(&signalbox.Delta{Ports: []signalbox.Port{p}})
}

func (w *town) tell(d *signalbox.Delta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loop.rows(d)
}

// addrs is what a port hears of a name: addresses, or whether there is such a name.
func (w *town) addrs(port, server, name string) string {
	w.t.Helper()
	f, ok := w.loop.dnsFacts(w.ports[port].Key, netip.MustParseAddr(server))
	if !ok {
		return "no server"
	}
	addrs, known := f.Names.Addrs(name)
	if len(addrs) == 0 {
		return fmt.Sprint(known)
	}
	return fmt.Sprint(addrs)
}

func TestWhoLearnsWhichNames(t *testing.T) {
	w := newTown(t)
	w.network("blue", "a", "", "10.0.0.0/24")
	w.network("green", "a", "green.example.", "10.0.1.0/24")
	w.network("alien", "b", "alien.example.", "10.0.2.0/24")
	for i, network := range []string{"blue", "green", "alien"} {
		w.port("dhcp "+network, network, "a", "", signalbox.RoleDHCP, fmt.Sprintf("10.0.%d.2", i))
	}
	w.port("one", "blue", "a", "web", "", "10.0.0.3", "fd00::3")
	w.port("two", "blue", "a", "web", "", "10.0.0.4")
	w.port("theirs", "blue", "b", "web", "", "10.0.0.5")
	w.port("db", "blue", "b", "db", "", "10.0.0.6")
	w.port("bare", "blue", "a", "", "", "10.0.0.7", "fd00:1::f816:3eff:fec4:8f42")
	w.port("deep", "blue", "a", "x.y.z", "", "10.0.0.8")
	w.port("full", "blue", "a", "f.cloud.example.", "", "10.0.0.9")
	w.port("g", "green", "a", "g", "", "10.0.1.3")
	w.port("h", "alien", "b", "h", "", "10.0.2.3")

	const server = "10.0.0.2"
	check := func(port, name, want string) {
		t.Helper()
		if got := w.addrs(port, server, name); got != want {
			t.Errorf("%s hears of %s: %s, want %s", port, name, got, want)
		}
	}
	check("one", "web.cloud.example.", "[10.0.0.3 fd00::3 10.0.0.4]")
	check("theirs", "web.cloud.example.", "[10.0.0.5]")
	check("one", "db.cloud.example.", "[10.0.0.6]")
	check("one", "host-10-0-0-7.cloud.example.", "[10.0.0.7]")
	check("one", "host-fd00-1--f816-3eff-fec4-8f42.cloud.example.", "[fd00:1::f816:3eff:fec4:8f42]")
	check("one", "host-fd00-1-0-0-f816-3eff-fec4-8f42.cloud.example.", "false")
	check("one", "host-10-0-0-3.cloud.example.", "false") // it has another name
	check("one", "10-0-0-7.cloud.example.", "false")
	check("one", "x.y.z.cloud.example.", "[10.0.0.8]")
	check("one", "y.z.cloud.example.", "true")
	check("one", "z.cloud.example.", "true")
	check("one", "x.cloud.example.", "false")
	check("one", "f.cloud.example.", "[10.0.0.9]")
	check("one", "f.cloud.example.cloud.example.", "false")
	check("one", "g.green.example.", "false")
	if got := w.addrs("g", server, "web.cloud.example."); got != "no server" {
		t.Errorf("who is elsewhere is answered: %s", got)
	}
	if got := w.addrs("one", "10.0.0.3", "web.cloud.example."); got != "no server" {
		t.Errorf("a VM's address is a server: %s", got)
	}

	w.tell(&signalbox.Delta{Routers: []signalbox.Router{{ID: idOf("router"), Key: 1, AdminStateUp: true}}})
	for i, network := range []string{"blue", "green", "alien"} {
		w.port("end "+network, network, "", "", signalbox.RoleRouterInterface, fmt.Sprintf("10.0.%d.1", i))
	}
	check("one", "g.green.example.", "[10.0.1.3]")
	check("theirs", "g.green.example.", "false")
	check("one", "h.alien.example.", "false")
	check("theirs", "h.alien.example.", "[10.0.2.3]")
	f, _ := w.loop.dnsFacts(w.ports["one"].Key, netip.MustParseAddr(server))
	if want := []string{"cloud.example.", "green.example."}; !slices.Equal(f.Zones, want) || len(f.Blocks) != 2 {
		t.Errorf("zones %v, blocks %v", f.Zones, f.Blocks)
	}
	for addr, want := range map[string]string{"10.0.0.3": "web.cloud.example.", "10.0.0.7": "host-10-0-0-7.cloud.example.", "10.0.0.9": "f.cloud.example.",
		"10.0.1.3": "g.green.example.", "10.0.2.3": "", "10.0.0.99": ""} {
		if got := f.Names.Called(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is called %q, want %q", addr, got, want)
		}
	}

	w.port("one", "blue", "a", "www", "", "10.0.0.3")
	check("one", "web.cloud.example.", "[10.0.0.4]")
	check("one", "www.cloud.example.", "[10.0.0.3]")
	w.tell(&signalbox.Delta{Gone: []signalbox.Ref{{Kind: signalbox.KindPort, ID: w.ports["two"].ID}, {Kind: signalbox.KindPort, ID: w.ports["deep"].ID}}})
	check("one", "web.cloud.example.", "[10.0.0.5]") // nobody else has it
	check("one", "z.cloud.example.", "false")
	n := *w.networks["blue"]
	n.DNSDomain = "new.example."
	w.tell(&signalbox.Delta{Networks: []signalbox.Network{n}})
	check("one", "www.new.example.", "[10.0.0.3]")
	check("one", "www.cloud.example.", "false")
}
