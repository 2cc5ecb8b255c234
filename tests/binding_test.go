//go:build integration

package tests

import (
	"errors"
	"fmt"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestBinding(t *testing.T) {
	settings := testbed.DefaultSettings()
	settings.NovaURL = "http://" + novaAddress + "/v2.1"
	w := newWorldAs(t, settings)
	w.script(t, "Nova hears of it", novaHears(newNova(t, w)))
	w.script(t, "iface-id alone", func(s *script) { bindsBy(s, byID) })
	w.script(t, "the tap's name alone", func(s *script) { bindsBy(s, byName) })
	w.script(t, "the first packet's source alone", func(s *script) { bindsBy(s, byMAC) })
	w.script(t, "unplugged and plugged again", unplugAndPlug)
	w.script(t, "moved to another host", func(s *script) { moveNewestWins(s, signalbox.VXLAN) })
	w.script(t, "moved to another host of a VLAN", func(s *script) { moveNewestWins(s, signalbox.VLAN) })
	w.script(t, "moved as Nova does it", moveWhenActivated)
	w.script(t, "renamed and renumbered", renameAndRenumber)

	h4, err := w.lab.AddHost(t.Context(), "h4")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h4.Vsctl(t.Context(), "set-fail-mode", "br-int", "secure"); err != nil {
		t.Fatal(err)
	}
	if err := h4.Join(t.Context(), testbed.NoManager); err != nil {
		t.Fatal(err)
	}
	w.script(t, "without OVSDB, by name and by first packet", func(s *script) {
		n := s.network(signalbox.VLAN)
		a, b := s.port(n, testbed.Port{}), s.port(n, testbed.Port{})
		s.plug(a, h4, byName(a))
		s.plug(b, h4, byMAC(b))
		s.reaches(a, b)
	})
}

func bindsBy(s *script, how func(*guest) testbed.Plug) {
	n := s.network(signalbox.GRE)
	a, b := s.port(n, testbed.Port{}), s.port(n, testbed.Port{})
	s.plug(a, s.h1, how(a))
	s.plug(b, s.h2, how(b))
	s.reaches(a, b)
}

func unplugAndPlug(s *script) {
	n := s.network(signalbox.VLAN)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	for _, h := range []*testbed.Host{s.h2, s.h3} {
		s.must(b.Unplug(s.ctx))
		s.becomes(b, signalbox.Down)
		s.cutOff(a, b.IP)
		s.plug(b, h, byID(b))
		s.reaches(a, b)
	}
}

// moveNewestWins: a live migration. For a moment two hosts have the interface; then the old host's flows go.
// On a VLAN the physical network's switches must learn of it too, although the VM says nothing.
func moveNewestWins(s *script, kind signalbox.NetworkType) {
	n := s.network(kind)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(b.Migrate(s.ctx, s.h3, byID(b)))
	s.reaches(a, b)
	s.must(testbed.Await(s.ctx, patience, "the old host forgets", func() error {
		if flows := s.flowsNaming(s.h2, b.MAC.String()); len(flows) != 0 {
			return fmt.Errorf("%d flows name the port: %q", len(flows), flows)
		}
		return nil
	}))
	s.becomes(b, signalbox.Active)
}

// moveWhenActivated: Nova plugs both ends of a live migration, copies for minutes, and then activates the binding to the new host. Until that
// the VM is reached where it still runs.
func moveWhenActivated(s *script) {
	n := s.network(signalbox.VXLAN)
	a := s.boot(n, s.h1)
	b := s.bootAs(n, s.h2, testbed.Port{Owner: "compute:nova", HostID: s.h2.Name})
	s.reaches(a, b)
	s.must(s.box.API.Bind(s.ctx, b.Port.ID, s.h3.Name))
	there := byID(b)
	_, err := s.h3.Vsctl(s.ctx, "add-port", "br-int", there.Interface, "--", "set", "interface", there.Interface, "type=internal", "external_ids:iface-id="+there.IfaceID)
	s.must(err)
	s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
	s.reaches(a, b)
	if flows := s.flowsNaming(s.h3, b.MAC.String()); len(flows) != 0 {
		s.Errorf("the new host is wired before it counts: %q", flows)
	}
	s.must(s.box.API.Activate(s.ctx, b.Port.ID, s.h3.Name))
	s.must(testbed.Await(s.ctx, patience, "the new host has the port", func() error {
		if len(s.flowsNaming(s.h3, b.MAC.String())) == 0 {
			return errors.New("no flow names it")
		}
		return nil
	}))
	s.cutOff(a, b.IP)
	s.must(s.box.API.Activate(s.ctx, b.Port.ID, s.h2.Name)) // the copy has failed: it goes on where it was
	s.reaches(a, b)
	_, err = s.h3.Vsctl(s.ctx, "del-port", "br-int", there.Interface)
	s.must(err)
	s.reaches(a, b)
}

func renameAndRenumber(s *script) {
	n := s.network(signalbox.GRE)
	a, b := s.boot(n, s.h1), s.boot(n, s.h2)
	s.reaches(a, b)
	s.must(b.Rename(s.ctx, testbed.Plug{Interface: "renamed", IfaceID: b.Port.ID}))
	s.reaches(a, b)
	_, err := s.h2.Vsctl(s.ctx, "set", "interface", "renamed", "ofport_request=777")
	s.must(err)
	s.must(testbed.Await(s.ctx, patience, "flows with the new number", func() error {
		if len(s.flowsNaming(s.h2, "output:777")) == 0 { // a cookie may have its digits
			return fmt.Errorf("no flow names port 777")
		}
		return nil
	}))
	s.reaches(a, b)
}
