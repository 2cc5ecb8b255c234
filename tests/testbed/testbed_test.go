//go:build integration

package testbed

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// newLab makes a lab with two hosts, each with one VM, and br-int as a plain learning switch.
func newLab(t *testing.T) (l *Lab, a, b *VM) {
	t.Helper()
	ctx := t.Context()
	l, err := NewLab(ctx, Options{Name: fmt.Sprintf("bed%d", os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	var vms [2]*VM
	for i := range vms {
		n := i + 1
		h, err := l.AddHost(ctx, fmt.Sprintf("h%d", n))
		if err != nil {
			t.Fatal(err)
		}
		vms[i], err = l.NewVM(ctx, fmt.Sprintf("vm%d", n), signalbox.MAC{0xfa, 0x16, 0x3e, 0, 0, byte(n)})
		if err != nil {
			t.Fatal(err)
		}
		if err := vms[i].Plug(ctx, h, Plug{Interface: "tapx", IfaceID: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := vms[i].Configure(ctx, netip.PrefixFrom(address(n), 24), 1450); err != nil {
			t.Fatal(err)
		}
	}
	return l, vms[0], vms[1]
}

func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }

func TestUnderlayCarriesTunnelsVLANsAndRoutes(t *testing.T) {
	l, a, b := newLab(t)
	ctx := t.Context()
	for _, h := range l.Hosts() {
		if _, err := h.NS.Run(ctx, "ping", "-c", "1", "-W", "5", ControllerIP); err != nil {
			t.Fatal(err)
		}
	}
	peers := l.Hosts()
	for _, kind := range []string{"vxlan", "gre"} {
		t.Run(kind, func(t *testing.T) {
			for i, h := range peers {
				if _, err := h.Vsctl(ctx, "add-port", "br-int", "tun", "--", "set", "interface", "tun", "type="+kind,
					"options:remote_ip="+peers[1-i].IP, "options:key=7"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := a.ReachableIn(ctx, address(2), 10*time.Second); err != nil {
				t.Error(err)
			}
			for _, h := range peers {
				if _, err := h.Vsctl(ctx, "del-port", "br-int", "tun"); err != nil {
					t.Fatal(err)
				}
			}
			if r, err := a.Ping(ctx, address(2), PingOptions{Count: 1}); err != nil || r.Received != 0 {
				t.Errorf("without the tunnel: %+v, %v", r, err)
			}
		})
	}
	t.Run("vlan", func(t *testing.T) {
		for _, h := range peers {
			if _, err := h.Vsctl(ctx, "add-port", "br-int", "to-eth", "--", "set", "interface", "to-eth", "type=patch", "options:peer=to-int",
				"--", "add-port", "br-eth", "to-int", "--", "set", "interface", "to-int", "type=patch", "options:peer=to-eth",
				"--", "set", "port", "tapx", "tag=100"); err != nil {
				t.Fatal(err)
			}
		}
		wire, err := peers[1].TapPhysical()
		if err != nil {
			t.Fatal(err)
		}
		defer wire.Close()
		if _, err := a.ReachableIn(ctx, address(2), 10*time.Second); err != nil {
			t.Error(err)
		}
		if err := b.Serve(ctx, 5000); err != nil {
			t.Fatal(err)
		}
		s, err := a.StartStream(ctx, address(2), 5000)
		if err != nil {
			t.Fatal(err)
		}
		if err := Await(ctx, 10*time.Second, "a megabyte", func() error {
			if n := s.Bytes(); n < 1<<20 {
				return fmt.Errorf("%d bytes", n)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if wire.Count(func([]byte) bool { return true }) == 0 {
			t.Error("nothing was heard on the physical network")
		}
	})
}

func TestDeadSwitchIsNoticedAndRestarted(t *testing.T) {
	l, a, _ := newLab(t)
	h := a.Host()
	told := make(chan string, 1)
	l.OnDeath = func(_ *Host, obituary string) { told <- obituary }
	pid := h.SwitchPID()
	if err := syscall.Kill(pid, syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	select {
	case obituary := <-told:
		if !strings.Contains(obituary, "abort") {
			t.Errorf("obituary: %s", obituary)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody noticed")
	}
	if h.SwitchPID() == pid {
		t.Error("it was not restarted")
	}
	if _, err := h.NS.Run(t.Context(), "ping", "-c", "2", "-W", "5", ControllerIP); err != nil {
		t.Errorf("the underlay did not come back: %v", err)
	}
}

func TestSweepRemovesOnlyLabsOfTheDead(t *testing.T) {
	ctx := context.Background()
	l, err := NewLab(ctx, Options{Name: fmt.Sprintf("bed%d", os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dead, err := NewLab(ctx, Options{Name: l.Name + "x"})
	if err != nil {
		t.Fatal(err)
	}
	left, err := dead.spawn(dead.Net, "sleep", dead.Dir+"/sleep.out", exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	// The owner's line now names a process that started at another time: it is as if it had died.
	book, err := os.ReadFile(dead.ledger.path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(book), "\n")
	if err := os.WriteFile(dead.ledger.path, []byte(fmt.Sprintf("owner %d 1\n", os.Getpid())+rest), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left.Done():
	case <-time.After(5 * time.Second):
		t.Error("the dead owner's process is still there")
	}
	if _, err := os.Stat(dead.Dir); err == nil {
		t.Error("the dead owner's folder is still there")
	}
	if out, _ := run(ctx, "ip", "netns", "list"); strings.Contains(out, dead.Name+"-") || !strings.Contains(out, l.Name+"-net") {
		t.Errorf("namespaces after the sweep:\n%s", out)
	}
	if Owner(l.Name) != os.Getpid() || Owner(dead.Name) != 0 {
		t.Error("Owner is wrong")
	}
	if err := dead.Close(); err != nil {
		t.Error(err)
	}
}

// TestOutsideCarriesPlainAndTaggedFrames: machines outside reach each other, also through a gateway whose link behind
// takes less, and those of a VLAN reach only each other.
func TestOutsideCarriesPlainAndTaggedFrames(t *testing.T) {
	l, a, b := newLab(t)
	ctx := t.Context()
	for _, h := range l.Hosts() {
		if err := h.ConnectExternal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	must := func(vm *VM, err error) *VM {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return vm
	}
	outside := func(n byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 0, n}), 24) }
	mac := func(n byte) signalbox.MAC { return signalbox.MAC{2, 0, 0, 0, 0, n} }
	gateway := must(l.NewOutsider(ctx, "gw", mac(1), outside(1)))
	far := must(l.NewBehind(ctx, "far", gateway, mac(9), netip.MustParsePrefix("203.0.113.9/24"), 1300))
	peer := must(l.NewOutsider(ctx, "peer", mac(2), outside(2)))
	one := must(l.NewTagged(ctx, a.Host(), 7, "one", mac(3), outside(1)))
	must(l.NewTagged(ctx, b.Host(), 7, "two", mac(4), outside(2)))
	if err := peer.Route(ctx, "default", outside(1).Addr()); err != nil {
		t.Fatal(err)
	}
	sent, err := b.Host().TapExternal()
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Close()
	for _, m := range []*VM{gateway, one} {
		if _, err := m.ReachableIn(ctx, outside(2).Addr(), 5*time.Second); err != nil {
			t.Error(err)
		}
	}
	from := func(mac signalbox.MAC) int {
		return sent.Count(func(f []byte) bool { return signalbox.MAC(f[6:12]) == mac })
	}
	if from(mac(4)) == 0 || from(mac(2)) != 0 {
		t.Error("the tagged answer is not what left by the second host's cable")
	}
	if _, err := peer.ReachableIn(ctx, netip.MustParseAddr("203.0.113.9"), 5*time.Second); err != nil {
		t.Error(err)
	}
	refused, err := peer.PingRefused(ctx, netip.MustParseAddr("203.0.113.9"), PingOptions{Size: 1400})
	if want := (Refused{outside(1).Addr(), "Frag needed and DF set (mtu = 1300)"}); err != nil || refused != want {
		t.Errorf("%+v, %v", refused, err)
	}
	stop, err := far.StartPing(ctx, outside(2).Addr(), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // the stretch that is measured
	if r, err := stop(); err != nil || r.Received < 5 || r.Silence == 0 || r.Silence > time.Second {
		t.Errorf("%+v, %v", r, err)
	}
}
