package controller

import (
	"log/slog"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/ovsdb"
)

// box is a loop without connections: what the sides say is said by the test, and what the loop decides
// is read from its writer and given back as the database would.
type box struct {
	*loop
	t *testing.T
}

func newBox(t *testing.T, ports ...signalbox.Port) *box {
	c := New(Config{}, nil, slog.New(slog.DiscardHandler))
	b := &box{c.loop, t}
	b.rows(&signalbox.Delta{Full: true, Networks: []signalbox.Network{{ID: net1, Key: 1, AdminStateUp: true}}, Ports: ports})
	return b
}

var (
	net1  = uuid.MustParse("00000000-0000-0000-0000-0000000000a1")
	port1 = uuid.MustParse("11111111-1111-1111-1111-111111111111")
	port2 = uuid.MustParse("22222222-2222-2222-2222-222222222222")
	mac1  = signalbox.MustMAC("fa:16:3e:00:00:01")
)

func vifPort(id uuid.UUID, mac signalbox.MAC) signalbox.Port {
	return signalbox.Port{ID: id, Key: signalbox.PortKey(id[0]), NetworkID: net1, MAC: mac, AdminStateUp: true}
}

// host adds a host that has been heard out.
func (b *box) host(n byte) *host {
	h := newHost(signalbox.Host{ID: uuid.UUID{15: n}, DatapathID: signalbox.DatapathID(n), Name: string('a' + rune(n))})
	h.ready, h.told = true, true
	b.hosts[h.row.DatapathID] = h
	return h
}

// plug makes an interface appear, with what OVSDB says of it (Nil: nothing).
func (b *box) plug(h *host, name string, ofport uint32, stated uuid.UUID) *vif {
	v := &vif{name: name, ofport: ofport, stated: stated}
	h.vifs[name] = v
	if stated != uuid.Nil {
		h.naming[stated] = map[string]struct{}{name: {}}
	}
	b.identify(h, v, true)
	b.commit()
	return v
}

// hearOut makes a host ready, as the end of its first words does.
func (b *box) hearOut(h *host) {
	h.ready = true
	b.identifyAll(h)
	b.commit()
}

func (b *box) unplug(h *host, name string) {
	b.unplugged(h, h.vifs[name])
	b.commit()
}

// commit does what the database would with what the loop has decided, until it decides no more.
func (b *box) commit() {
	for range 10 {
		d := b.writer.due
		if d.empty() {
			return
		}
		b.writer.due = newDecisions()
		var delta signalbox.Delta
		for was := range d.unbinds {
			if p := *b.compiler.Facts.Port(was.PortID); p.Binding != nil && *p.Binding == was {
				p.Binding = nil
				delta.Ports = append(delta.Ports, p)
			}
		}
		b.rows(&delta)
		delta = signalbox.Delta{}
		for _, is := range d.binds {
			p := *b.compiler.Facts.Port(is.PortID)
			p.Binding = &is
			delta.Ports = append(delta.Ports, p)
		}
		for router, host := range d.places {
			r := *b.compiler.Facts.Router(router)
			g := *r.Gateway
			g.Host, r.Gateway = host, &g
			delta.Routers = append(delta.Routers, r)
		}
		b.rows(&delta)
	}
	b.t.Fatal("the loop goes on deciding")
}

func (b *box) at(port uuid.UUID) (where string) {
	p := b.compiler.Facts.Port(port)
	if p == nil || p.Binding == nil {
		return "nowhere"
	}
	return b.hostByID(p.Binding.HostID).name() + " " + p.Binding.Interface + " by " + string(p.Binding.By)
}

func (b *box) expect(port uuid.UUID, want string) {
	b.t.Helper()
	if got := b.at(port); got != want {
		b.t.Errorf("the port is at %s, want %s", got, want)
	}
}

func TestInterfaceIDBindsAPort(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	b.plug(b.host(1), "eth7", 5, port1)
	b.expect(port1, "b eth7 by iface-id")
}

func TestTapNameBindsAPort(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	b.plug(b.host(1), signalbox.TapName(port1), 5, uuid.Nil)
	b.expect(port1, "b "+signalbox.TapName(port1)+" by name")
}

func TestInterfaceIDIsStrongerThanTheName(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1), vifPort(port2, mac1))
	b.plug(b.host(1), signalbox.TapName(port1), 5, port2)
	b.expect(port1, "nowhere")
	b.expect(port2, "b "+signalbox.TapName(port1)+" by iface-id")
}

func TestFirstPacketBindsTheOnePortWithItsMAC(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	h := b.host(1)
	b.plug(h, "veth3", 5, uuid.Nil)
	b.expect(port1, "nowhere")
	b.firstPacket(h, 5, mac1)
	b.commit()
	b.expect(port1, "b veth3 by mac")
}

func TestFirstPacketThatFitsTwoPortsBindsNone(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1), vifPort(port2, mac1))
	h := b.host(1)
	b.plug(h, "veth3", 5, uuid.Nil)
	b.firstPacket(h, 5, mac1)
	b.commit()
	b.expect(port1, "nowhere")
	b.expect(port2, "nowhere")
}

func TestFirstPacketDoesNotTakeABoundPort(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	a, thief := b.host(1), b.host(2)
	b.plug(a, "eth7", 5, port1)
	b.plug(thief, "veth3", 5, uuid.Nil)
	b.firstPacket(thief, 5, mac1)
	b.commit()
	b.expect(port1, "b eth7 by iface-id")
}

func TestNewestPlaceWins(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	from, to := b.host(1), b.host(2)
	b.plug(from, "eth7", 5, port1)
	b.plug(to, "eth9", 3, port1)
	b.expect(port1, "c eth9 by iface-id")
	b.identifyAll(from) // the old host is heard again: that is no news
	b.commit()
	b.expect(port1, "c eth9 by iface-id")
	b.unplug(from, "eth7")
	b.expect(port1, "c eth9 by iface-id")
}

func TestAPortIsWhereTheAPIAsksForIt(t *testing.T) {
	p := vifPort(port1, mac1)
	b := newBox(t, p)
	from, to := b.host(1), b.host(2)
	b.rows(&signalbox.Delta{Hosts: []signalbox.Host{from.row, to.row}})
	ask := func(host string) {
		p := *b.compiler.Facts.Port(port1)
		p.Host = host
		b.rows(&signalbox.Delta{Ports: []signalbox.Port{p}})
		b.commit()
	}
	ask(from.row.Name)
	b.plug(from, "eth7", 5, port1)
	b.plug(to, "eth9", 3, port1) // the hypervisor prepares a migration
	b.expect(port1, "b eth7 by iface-id")
	ask(to.row.Name)
	b.expect(port1, "c eth9 by iface-id")
	b.identifyAll(from)
	b.commit()
	b.expect(port1, "c eth9 by iface-id")
	ask(from.row.Name) // it has failed
	b.expect(port1, "b eth7 by iface-id")
	b.unplug(from, "eth7")
	b.expect(port1, "c eth9 by iface-id") // the only place there is
	b.plug(from, "eth7", 5, port1)
	b.expect(port1, "b eth7 by iface-id")
	ask("elsewhere")
	b.plug(to, "eth10", 4, port1)
	b.expect(port1, "c eth10 by iface-id") // the newest, as nobody is asked for
}

func TestPortFallsBackToAPlaceThatIsLeft(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	from, to := b.host(1), b.host(2)
	b.plug(from, "eth7", 5, port1)
	b.plug(to, "eth9", 3, port1)
	b.unplug(to, "eth9")
	b.expect(port1, "b eth7 by iface-id")
}

func TestUnpluggedPortIsNowhere(t *testing.T) {
	b := newBox(t, vifPort(port1, mac1))
	h := b.host(1)
	b.plug(h, "eth7", 5, port1)
	b.unplug(h, "eth7")
	b.expect(port1, "nowhere")
}

func TestPortCreatedAfterItsInterfaceIsBound(t *testing.T) {
	b := newBox(t)
	h := b.host(1)
	b.plug(h, "eth7", 5, port1)
	b.rows(&signalbox.Delta{Ports: []signalbox.Port{vifPort(port1, mac1)}})
	b.commit()
	b.expect(port1, "b eth7 by iface-id")
}

func TestRestartDoesNotMoveAPortThatIsPluggedTwice(t *testing.T) {
	p := vifPort(port1, mac1)
	p.Binding = &signalbox.Binding{PortID: port1, HostID: uuid.UUID{15: 1}, Interface: "eth7", By: signalbox.ByInterfaceID}
	b := newBox(t, p)
	held, other := b.host(1), b.host(2)
	held.ready, other.ready = false, false
	held.vifs["eth7"] = &vif{name: "eth7", ofport: 5, stated: port1}
	other.vifs["eth9"] = &vif{name: "eth9", ofport: 3, stated: port1}
	b.hearOut(other)
	b.hearOut(held)
	b.expect(port1, "b eth7 by iface-id")
}

func TestRestartEndsABindingWhoseInterfaceIsGone(t *testing.T) {
	p := vifPort(port1, mac1)
	p.Binding = &signalbox.Binding{PortID: port1, HostID: uuid.UUID{15: 1}, Interface: "eth7", By: signalbox.ByInterfaceID}
	b := newBox(t, p)
	held, other := b.host(1), b.host(2)
	held.ready, other.ready = false, false
	other.vifs["eth9"] = &vif{name: "eth9", ofport: 3, stated: port1}
	other.naming[port1] = map[string]struct{}{"eth9": {}}
	b.hearOut(other)
	b.hearOut(held)
	b.expect(port1, "c eth9 by iface-id")
}

func TestBindingStandsUntilOVSDBSpeaks(t *testing.T) {
	p := vifPort(port1, mac1)
	p.Binding = &signalbox.Binding{PortID: port1, HostID: uuid.UUID{15: 1}, Interface: "eth7", By: signalbox.ByInterfaceID}
	b := newBox(t, p)
	h := b.host(1)
	h.told = false
	h.vifs["eth7"] = &vif{name: "eth7", ofport: 5}
	b.hearOut(h)
	b.expect(port1, "b eth7 by iface-id")
	b.takeInterfaces(h, ovsdb.State{Interfaces: []ovsdb.Interface{{Name: "eth7", InterfaceID: port1}}})
	b.commit()
	b.expect(port1, "b eth7 by iface-id")
	b.takeInterfaces(h, ovsdb.State{Interfaces: []ovsdb.Interface{{Name: "eth7"}}})
	b.commit()
	b.expect(port1, "nowhere")
}

func TestBindingEndsWhenOVSDBKnowsBetter(t *testing.T) {
	p := vifPort(port1, mac1)
	p.Binding = &signalbox.Binding{PortID: port1, HostID: uuid.UUID{15: 1}, Interface: "eth7", By: signalbox.ByInterfaceID}
	b := newBox(t, p)
	h := b.host(1)
	h.told = false
	h.vifs["eth7"] = &vif{name: "eth7", ofport: 5}
	b.hearOut(h)
	b.takeInterfaces(h, ovsdb.State{Interfaces: []ovsdb.Interface{{Name: "eth7"}}})
	b.commit()
	b.expect(port1, "nowhere")
}

func TestServicePortIsNeverBound(t *testing.T) {
	p := vifPort(port1, mac1)
	p.Role = signalbox.RoleDHCP
	b := newBox(t, p)
	b.plug(b.host(1), "eth7", 5, port1)
	b.plug(b.host(2), signalbox.TapName(port1), 5, uuid.Nil)
	b.expect(port1, "nowhere")
}

func TestDeviceOwnerIsNoCredential(t *testing.T) {
	p := vifPort(port1, mac1)
	p.DeviceOwner = signalbox.DeviceOwnerDHCP // a tenant's words
	b := newBox(t, p)
	b.plug(b.host(1), "eth7", 5, port1)
	b.expect(port1, "b eth7 by iface-id")
}
