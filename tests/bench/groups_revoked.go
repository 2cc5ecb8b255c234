package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// train is a busy stream of datagrams, whose sender and receiver look at one clock.
type train struct {
	began          time.Time
	arrived, first atomic.Int64 // when the last one did, and the first that did when first was 0, in nanoseconds since began
	stop           func()
}

const (
	// spacing is between two datagrams of a train, as far as the machine's timers go.
	spacing = 100 * time.Microsecond
	// silence is how long nothing must have arrived for the last one to have been the last.
	silence = 200 * time.Millisecond

	trainPort = 3000
)

func (l *lab) train(way leg) *train {
	t := &train{began: time.Now()}
	in, err := way.to.NS.ListenPacket(l.ctx, fmt.Sprintf(":%d", trainPort))
	l.must(err)
	out, err := way.from.NS.Dial(l.ctx, "udp", netip.AddrPortFrom(way.addr, trainPort).String())
	l.must(err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for b := make([]byte, 2048); ; {
			_, _, err := in.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if now := int64(time.Since(t.began)); err == nil {
				t.arrived.Store(now)
				t.first.CompareAndSwap(0, now)
			}
		}
	})
	wg.Go(func() {
		for b := make([]byte, 64); ; time.Sleep(spacing) {
			if _, err := out.Write(b); errors.Is(err, net.ErrClosed) {
				return
			} // where there is no way just now it goes on all the same
		}
	})
	t.stop = sync.OnceFunc(func() {
		in.Close()
		out.Close()
		wg.Wait()
	})
	l.Cleanup(t.stop)
	return t
}

// last waits until nothing arrives any more, and tells when the last one did.
func (l *lab) last(t *train) time.Time {
	var at time.Duration
	l.await("the stream stops", patience, func() bool {
		at = time.Duration(t.arrived.Load())
		return time.Since(t.began)-at > silence
	})
	return t.began.Add(at)
}

// runs waits until one arrives.
func (l *lab) runs(t *train) {
	since := int64(time.Since(t.began))
	l.await("the stream passes", patience, func() bool { return t.arrived.Load() > since })
}

// lag is from when a change is asked for, and from when that is answered, to the last packet that passed.
type lag struct {
	what            string
	asked, answered []time.Duration
}

// ends takes the lag of a change that ends a stream.
func (l *lab) ends(t *train, g *lag, change func()) {
	l.runs(t)
	asked := time.Now()
	change()
	answered := time.Now()
	last := l.last(t)
	g.asked = append(g.asked, last.Sub(asked))
	g.answered = append(g.answered, max(0, last.Sub(answered)))
}

// slowest is a median with the greatest. It sorts its argument.
func slowest(of []time.Duration) string {
	return fmt.Sprintf("%s (at most %s)", milliseconds(median(of)), milliseconds(slices.Max(of)))
}

const (
	changes = 20  // of each kind
	crowd   = 250 // members of the group that a rule names
)

// revocation is a sender on the second host, whose receivers are on the first.
type revocation struct {
	*lab
	n              segment
	sender         *guest
	unnamed, named string // groups that let nobody in, of which a rule of allowing names the second
	allowing       string
}

func in(groups ...string) testbed.Port { return testbed.Port{Groups: &groups} }

func (r *revocation) join(g *guest, groups ...string) {
	r.must(r.box.API.Update(r.ctx, "port", g.port.ID, map[string]any{"security_groups": groups}))
}

// receiver boots one, which may have the address of one that is gone, and a stream to it.
func (r *revocation) receiver(group string) (*guest, *train) {
	g := r.guestAs(r.n, r.hosts[0], in(group))
	_, err := r.sender.NS.Run(r.ctx, "ip", "neighbour", "flush", "dev", "eth0")
	r.must(err)
	return g, r.train(r.sender.to(g))
}

// measureRevoked takes the time from what forbids a stream to its last packet; beside it, how long a flow that is deleted by
// hand lets pass.
func measureRevoked(s *stage, t *table) {
	l := newLab(s)
	n := l.segment("10.0.0.0/22")
	r := &revocation{lab: l, n: n, unnamed: l.group(0), named: l.group(0)}
	r.allowing = l.group(9, testbed.Rule{RemoteGroup: r.named})
	r.sender = l.guestAs(n, l.hosts[1], in(r.unnamed))
	l.guestAs(n, l.hosts[1], in(r.unnamed, r.named)) // or the sender would be the first and the last there of its groups
	lags := []*lag{r.ruleGoes(9), r.ruleGoes(999), r.receiverLeaves()}
	for range crowd - 2 {
		_, err := l.box.API.CreatePort(l.ctx, testbed.Port{NetworkID: n.ID, Groups: &[]string{r.named}})
		l.must(err)
	}
	_, stream := r.receiver(r.allowing)
	leaves, joins, mods := r.memberComesAndGoes(stream)
	lags = append(lags, leaves, r.portGoes())
	byHand := r.flowGoes(stream)
	for _, g := range lags {
		x := median(g.asked).Seconds() / median(byHand.asked).Seconds()
		t.add("last packet after "+g.what, slowest(g.asked), "after "+byHand.what+" "+slowest(byHand.asked), ratio(x), bound{}, 0)
		t.add("  after the answer to that", slowest(g.answered), "of that "+slowest(byHand.answered), "", bound{}, 0)
	}
	t.add(fmt.Sprintf("first packet after a member joins %d that a rule names", crowd-1), slowest(joins), "", "", bound{}, 0)
	for i, where := range []string{"host of that rule's port", "member's host"} {
		t.add("  flow-mods on the "+where, fmt.Sprintf("%d (at most %d)", median(mods[i]), slices.Max(mods[i])), "", "", bound{}, 0)
	}
}

func (r *revocation) ruleGoes(others int) *lag {
	group := r.group(others)
	_, stream := r.receiver(group)
	defer stream.stop()
	g := &lag{what: fmt.Sprintf("a rule of %d is deleted", others+1)}
	for range changes {
		rule, err := r.box.API.CreateRule(r.ctx, testbed.Rule{GroupID: group, Direction: "ingress", Protocol: "udp", RemoteGroup: r.unnamed})
		r.must(err)
		r.ends(stream, g, func() { r.must(r.box.API.Delete(r.ctx, "security-group-rule", rule.ID)) })
	}
	return g
}

func (r *revocation) receiverLeaves() *lag {
	r.join(r.sender, r.named)
	receiver, stream := r.receiver(r.allowing)
	defer stream.stop()
	g := &lag{what: "the receiver leaves its group"}
	for range changes {
		r.ends(stream, g, func() { r.join(receiver, r.unnamed) })
		r.join(receiver, r.allowing)
	}
	return g
}

// memberComesAndGoes also takes the time until a new member's packets pass, and the flow-mods that it costs each host.
func (r *revocation) memberComesAndGoes(stream *train) (leaves *lag, joins []time.Duration, mods [2][]int) {
	leaves = &lag{what: fmt.Sprintf("a member of %d leaves the group that a rule names", crowd)}
	for range changes {
		r.ends(stream, leaves, func() { r.join(r.sender, r.unnamed) })
		before := r.flowMods()
		asked := time.Since(stream.began)
		stream.first.Store(0)
		r.join(r.sender, r.named)
		r.await("the stream passes again", patience, func() bool { return stream.first.Load() != 0 })
		joins = append(joins, time.Duration(stream.first.Load())-asked)
		for i, n := range r.flowMods() {
			mods[i] = append(mods[i], n-before[i])
		}
	}
	return leaves, joins, mods
}

// flowMods are those that each host has been sent.
func (r *revocation) flowMods() (sent []int) {
	r.must(r.box.AwaitInSync(r.ctx, patience, r.hosts...))
	states, err := r.box.Admin.Hosts(r.ctx)
	r.must(err)
	for _, h := range r.hosts {
		dpid, err := h.DatapathID(r.ctx)
		r.must(err)
		sent = append(sent, states[dpid].FlowMods)
	}
	return sent
}

func (r *revocation) portGoes() *lag {
	g := &lag{what: "the receiver's port is deleted"}
	for range changes / 2 {
		receiver, stream := r.receiver(r.allowing)
		r.ends(stream, g, func() { r.must(r.box.API.Delete(r.ctx, "port", receiver.port.ID)) })
		stream.stop()
		r.must(receiver.Remove(r.ctx))
	}
	return g
}

// flowGoes deletes by hand the flow by which the sender is a member, while no controller is there to mend it.
func (r *revocation) flowGoes(stream *train) *lag {
	receiving := r.hosts[0]
	flows := func() []string {
		r.must(r.box.AwaitInSync(r.ctx, patience, r.hosts...))
		list, err := receiving.Flows(r.ctx)
		r.must(err)
		return list
	}
	var g lag
	r.ends(stream, &g, func() { r.join(r.sender, r.unnamed) })
	without := flows()
	r.join(r.sender, r.named)
	r.runs(stream)
	member := slices.DeleteFunc(flows(), func(f string) bool { return slices.Contains(without, f) })
	if len(member) != 1 {
		r.Fatalf("a member is the flows %q", member)
	}
	_, text, _ := strings.Cut(member[0], ", ") // behind its cookie
	text, _, _ = strings.Cut(text, " actions=")
	r.box.KillController()
	g = lag{what: "ovs-ofctl deletes a flow"}
	for range changes {
		r.ends(stream, &g, func() {
			_, err := receiving.Ofctl(r.ctx, "--strict", "del-flows", "br-int", text)
			r.must(err)
		})
		_, err := receiving.Ofctl(r.ctx, "add-flow", "br-int", member[0])
		r.must(err)
	}
	return &g
}
