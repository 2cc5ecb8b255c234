//go:build integration

package controller

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
)

// ask asks the admin endpoint.
func (w *wire) ask(method, path string) (status int, body string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.c.adminRoutes().ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	return rec.Code, rec.Body.String()
}

// read asks and decodes a good answer.
func (w *wire) read(method, path string, into any) {
	w.t.Helper()
	status, body := w.ask(method, path)
	if status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, path, err, body)
	}
}

// only is the one host that has joined.
func (w *wire) only() *host {
	w.c.mu.RLock()
	defer w.c.mu.RUnlock()
	for _, h := range w.c.loop.hosts {
		return h
	}
	w.t.Fatal("no host has joined")
	return nil
}

// TestOperatorsWindow: what the operator is shown of a switch is what ovs-ofctl shows of it. What the test changes in the
// switch it changes over the controller's own connection, of which the switch tells nobody: so nothing is mended before
// it has been looked at.
func TestOperatorsWindow(t *testing.T) {
	t.Parallel()
	w := startRouted(t, newRoutedCloud())
	h := w.only()
	name := w.c.nameOf(h)
	path := "/v1/hosts/" + name + "/flows"
	w.await("the host is in sync", func() bool {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		return h.inSync()
	})

	var wanted, has FlowsReport
	w.read("GET", path, &wanted)
	w.read("GET", path+"?source=switch", &has)
	dumped := strings.Count(w.OFCtl("dump-flows", "br-int"), "cookie=")
	if len(wanted.Flows) != dumped || len(has.Flows) != dumped || !has.Settled {
		t.Fatalf("%d flows are wanted, %d are read, and ovs-ofctl dumps %d", len(wanted.Flows), len(has.Flows), dumped)
	}
	for i, f := range has.Flows {
		if f.State != Present || f.Flow != wanted.Flows[i].Flow || f.Why == "" || f.Packets == nil {
			t.Fatalf("%+v is not %+v", f, wanted.Flows[i])
		}
	}

	t.Run("filters", func(t *testing.T) {
		port, network, router := uuid.UUID{0: 'p', 1: 0x11, 15: 0x11}, uuid.UUID{0: 'n', 15: 1}, uuid.UUID{0: 'r', 15: 1}
		for query, picks := range map[string]func(*FlowReport) bool{
			"?port=" + port.String(): func(f *FlowReport) bool { return f.ID == port.String() },
			"?table=routing":         func(f *FlowReport) bool { return f.TableName == "routing" },
			"?table=54&source=switch&router=" + router.String(): func(f *FlowReport) bool {
				return f.Table == 54 && (f.ID == router.String() || f.ID[:4] == "7021" || f.ID[:4] == "7022" || f.ID[:4] == "7023")
			},
			"?port=10.0.0.3": func(f *FlowReport) bool { return f.ID == port.String() },
			"?network=" + network.String() + "&port=" + port.String(): func(f *FlowReport) bool { return f.ID == port.String() },
		} {
			var got FlowsReport
			w.read("GET", path+query, &got)
			n := 0
			for i := range wanted.Flows {
				if picks(&wanted.Flows[i]) {
					n++
				}
			}
			if n == 0 || len(got.Flows) != n {
				t.Errorf("%s: %d flows, not %d", query, len(got.Flows), n)
			}
		}
		for query, status := range map[string]int{
			"?port=7": 404, "?table=cellar": 400, "?source=hearsay": 400, "?router=" + port.String(): 404,
		} {
			if got, body := w.ask("GET", path+query); got != status {
				t.Errorf("%s: %d %s, not %d", query, got, body, status)
			}
		}
	})

	t.Run("text", func(t *testing.T) {
		_, text := w.ask("GET", path+"?source=switch&format=text&explain=true&names=true")
		if n := strings.Count(text, "\n    # "); n != dumped || strings.Contains(text, "not ours") {
			t.Errorf("%d flows are explained, of %d:\n%s", n, dumped, text)
		}
		// ovs-ofctl reads the text, reasons and all, and finds nothing to change.
		_, text = w.ask("GET", path+"?source=switch&format=text&explain=true")
		file := filepath.Join(t.TempDir(), "flows")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := w.TryOFCtl("diff-flows", "br-int", file); err != nil || out != "" {
			t.Errorf("ovs-ofctl takes the text for other flows: %s %v", out, err)
		}
	})

	audit := func(query string) AuditReport {
		t.Helper()
		var out []AuditReport
		w.read("POST", "/v1/audit"+query, &out)
		if len(out) != 1 || out[0].Host != name || out[0].Error != "" {
			t.Fatalf("%+v", out)
		}
		return out[0]
	}
	if a := audit(""); !a.Same() || !a.Settled || a.Present != dumped {
		t.Errorf("nothing was changed: %+v", a)
	}

	// One flow more, one less, and one that does something else under its cookie.
	w.c.mu.RLock()
	flows, conn := w.c.loop.compiler.Flows(h.row.ID, nil), h.conn
	w.c.mu.RUnlock()
	gone, changed := flows[len(flows)-1], flows[len(flows)-2]
	changed.Actions = []flow.Action{flow.Output{Port: 77}}
	foreign := flow.New(7, 9, flow.Match{flow.IsNum(flow.InPort, 7)}, flow.Why{}, flow.Output{Port: 8})
	if _, err := conn.Apply(t.Context(), openflow.Change{Adds: []flow.Flow{changed, foreign}, Deletes: []flow.Cookie{gone.Cookie}}); err != nil {
		t.Fatal(err)
	}
	if a := audit("?host=" + name); a.Missing != 1 || a.Surplus != 1 || a.Changed != 1 || len(a.Flows) != 3 || a.Present != dumped-2 {
		t.Errorf("three flows were changed: %+v", a)
	}
	_, diff := w.ask("GET", path+"?source=diff&format=text&explain=true")
	for _, line := range []string{
		fmt.Sprintf("+cookie=%#x, n_packets=0, n_bytes=0, table=7, priority=9,in_port=7 actions=output:8\n    # ", uint64(foreign.Cookie)),
		fmt.Sprintf("-cookie=%#x, %s\n", uint64(gone.Cookie), gone.String()),
		"actions=output:77\n", "not ours", gone.Why.Phrase,
	} {
		if !strings.Contains(diff, line) {
			t.Errorf("the difference does not say %q:\n%s", line, diff)
		}
	}
	w.OFCtl("add-meter", "br-int", "meter=9,pktps,bands=type=drop,rate=7")
	if a := audit(""); len(a.Meters) != 1 || a.Meters[0].ID != 9 || a.Meters[0].Wanted != nil || a.Meters[0].Found.PacketsPerSecond != 7 {
		t.Errorf("one meter too many: %+v", a.Meters)
	}
	audit("?repair=true")
	w.await("the switch is mended", func() bool { a := audit(""); return a.Same() })
	var hosts []HostReport
	w.read("GET", "/v1/hosts", &hosts)
	if r := hosts[0]; r.Compared == nil || r.Compared.Present == 0 || r.LastBundle == nil || r.LastBundle.Seconds <= 0 || r.Role != "equal" || r.Errors != (HostErrors{}) {
		t.Errorf("%+v", r)
	}
	if _, text := w.ask("GET", "/metrics"); !strings.Contains(text, `signalbox_repaired_flows_total{host="`+name+`"}`) {
		t.Error("the repair was not counted")
	}
	if status, _ := w.ask("POST", "/v1/audit?host=nobody"); status != 404 {
		t.Errorf("a host that has not joined was audited: %d", status)
	}
}

// TestObjectsSayWhatTheyCost: from an object to its flows, and what they have carried.
func TestObjectsSayWhatTheyCost(t *testing.T) {
	t.Parallel()
	w := startRouted(t, newRoutedCloud())
	port := uuid.UUID{0: 'p', 1: 0x11, 15: 0x11}
	frame := make([]byte, 60) // of no protocol, from the port's MAC to nobody
	copy(frame, []byte{2, 0, 0, 0, 0, 9, 0xfa, 0x16, 0x3e, 0, 0, 0x11, 0x88, 0xb5})
	w.Receive(signalbox.TapName(port), frame)
	var o ObjectReport
	w.await("the packet is counted", func() bool {
		w.read("GET", "/v1/objects/"+port.String(), &o)
		return o.Packets > 0
	})
	if len(o.Hosts) != 1 || o.Bytes < 60 || o.Hosts[0].Packets != o.Packets {
		t.Errorf("%+v", o)
	}
	for _, f := range o.Hosts[0].Flows {
		if f.ID != port.String() || f.State != Present || f.Packets == nil {
			t.Errorf("%+v", f)
		}
	}
	var byAddress, byCookie ObjectReport
	w.read("GET", "/v1/objects/10.0.0.3", &byAddress)
	w.read("GET", "/v1/objects/"+o.Hosts[0].Flows[0].Cookie, &byCookie)
	if byAddress.ID != port.String() || len(byCookie.Hosts) != 1 || len(byCookie.Hosts[0].Flows) != 1 || byCookie.Hosts[0].Flows[0].ID != port.String() {
		t.Errorf("%+v, %+v", byAddress, byCookie)
	}
	for what, status := range map[string]int{"nobody": 404, uuid.NewString(): 404, "0xyz": 400} {
		if got, body := w.ask("GET", "/v1/objects/"+what); got != status {
			t.Errorf("%s: %d %s, not %d", what, got, body, status)
		}
	}
}

// TestRulesThatAreNeverHit: of a security group the operator learns what each rule has let pass.
func TestRulesThatAreNeverHit(t *testing.T) {
	t.Parallel()
	d := newRoutedCloud()
	group, out, in := uuid.UUID{0: 'g', 15: 1}, uuid.UUID{0: 'g', 15: 2}, uuid.UUID{0: 'g', 15: 3}
	d.SecurityGroups = append(d.SecurityGroups, signalbox.SecurityGroup{ID: group, Key: 1, Name: "web", ProjectID: "tenant", Rules: []signalbox.SecurityGroupRule{
		{ID: out, Key: 1, GroupID: group, Direction: signalbox.Egress, EtherType: signalbox.IPv4, PortMin: signalbox.NoPort, PortMax: signalbox.NoPort},
		{ID: in, Key: 2, GroupID: group, Direction: signalbox.Ingress, EtherType: signalbox.IPv4, Protocol: "tcp", PortMin: 80, PortMax: 80},
	}})
	for i := range d.Ports {
		if d.Ports[i].Role == signalbox.RoleVIF {
			d.Ports[i].SecurityGroups = []uuid.UUID{group}
		}
	}
	w := startRouted(t, d)
	w.Receive(signalbox.TapName(uuid.UUID{0: 'p', 1: 0x11, 15: 0x11}), packet(64, 17, "10.0.4.3", udp(32)...))
	var o ObjectReport
	w.await("the rule is hit", func() bool {
		w.read("GET", "/v1/objects/web", &o)
		return len(o.Rules) == 2 && o.Rules[0].Packets > 0
	})
	hit, never := o.Rules[0], o.Rules[1]
	if hit.ID != out.String() || hit.Flows == 0 || hit.Bytes < 42 || never.ID != in.String() || never.Flows == 0 || never.Packets != 0 || never.Allows == "" {
		t.Errorf("%+v", o.Rules)
	}
	var one ObjectReport
	w.read("GET", "/v1/objects/"+in.String(), &one)
	if len(one.Hosts) != 1 || one.Hosts[0].Flows[0].Kind != "rule" || one.Hosts[0].Flows[0].Name != "web" || one.Project != "tenant" {
		t.Errorf("%+v", one)
	}
	var flows FlowsReport
	w.read("GET", "/v1/hosts/"+w.c.nameOf(w.only())+"/flows?group="+group.String(), &flows)
	kinds := map[string]int{}
	for _, f := range flows.Flows {
		kinds[f.Kind]++
	}
	if len(kinds) != 2 || kinds["rule"] != hit.Flows+never.Flows || kinds["group"] == 0 {
		t.Errorf("the group's flows are for %v", kinds)
	}
}

// TestWhatHappensIsTold: what somebody does to a switch is drift, and the port that is unplugged has left.
func TestWhatHappensIsTold(t *testing.T) {
	t.Parallel()
	w := startRouted(t, newRoutedCloud())
	l := w.c.news.join()
	defer w.c.news.leave(l)
	heard := map[string][]Event{}
	hears := func(kind, what string) {
		t.Helper()
		w.await(kind+" "+what, func() bool {
			for {
				select {
				case e := <-l.events:
					heard[e.Kind] = append(heard[e.Kind], e)
					continue
				default:
				}
				break
			}
			return slices.ContainsFunc(heard[kind], func(e Event) bool { return strings.Contains(e.What, what) })
		})
	}
	w.OFCtl("add-flow", "br-int", "table=7,cookie=0x77,priority=9,in_port=7,actions=output:8")
	hears("drift", "somebody has added a flow of table 7: cookie=0x77")
	hears("drift", "1 surplus")
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x13, 15: 0x13})
	w.VSCtl("del-port", "br-int", tap)
	hears("binding", "left "+tap+", known by ")
	w.VSCtl("del-controller", "br-int")
	hears("role", "none")
}

// TestFullTable: a switch whose table is full is not hammered. What does not fit is shown, its port does not work, and when there
// is room again all is well without anybody's doing.
func TestFullTable(t *testing.T) {
	t.Parallel()
	w := startRouted(t, newRoutedCloud())
	h := w.only()
	l := w.c.news.join()
	defer w.c.news.leave(l)
	report := func() HostReport {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		return w.c.loop.report(h)
	}
	w.await("the host is in sync", func() bool { return report().InSync })
	source := strings.Count(w.OFCtl("dump-flows", "br-int", "table=12"), "cookie=")
	w.VSCtl("--", "--id=@t", "create", "Flow_Table", "flow_limit=1", "overflow_policy=refuse", "--", "set", "Bridge", "br-int", "flow_tables:12=@t")
	w.OFCtl("del-flows", "br-int", "table=12")
	w.await("the switch refuses all but one", func() bool {
		r := report()
		return len(r.Refused) == source-1 && !r.InSync && r.LastBundle.Refused == source-1
	})
	if r := report(); r.Errors.Refused < uint64(source-1) || r.Errors.Bundles != 0 || !strings.Contains(fmt.Sprint(r.Refused), "table is full") {
		t.Errorf("%+v", r)
	}
	if _, text := w.ask("GET", "/metrics"); !strings.Contains(text, `signalbox_refused_flows_total{host="`) || strings.Contains(text, `signalbox_refused_flows_total{host="`+h.name()+`"} 0`) {
		t.Error("the refusals are not counted")
	}
	var out []AuditReport
	if w.read("POST", "/v1/audit", &out); out[0].Missing != source-1 {
		t.Errorf("the audit says %+v, of %d flows", out[0], source-1)
	}
	// It is tried again after a second, then two, then four: three times while this waits for the third.
	before := w.c.loop.hosts[h.row.DatapathID].conn.FlowMods()
	tried := report().Errors.Refused
	w.await("it is tried again", func() bool { return report().Errors.Refused > tried })
	if sent := w.only().conn.FlowMods() - before; sent > 3*uint64(source) {
		t.Errorf("%d flow-mods were sent to a switch that has no room", sent)
	}
	told := 0
	for len(l.events) > 0 {
		if e := <-l.events; strings.Contains(e.What, "the switch refuses") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it was said %d times", told)
	}
	w.VSCtl("clear", "Bridge", "br-int", "flow_tables")
	w.await("there is room again", func() bool { return report().InSync })
	w.await("that is said", func() bool {
		for len(l.events) > 0 {
			if e := <-l.events; e.What == "the switch takes all flows again" {
				return true
			}
		}
		return false
	})
}

// TestSlave: while another controller is the master of a switch, nothing is sent to it, and the operator sees that. When it may, the
// controller goes on.
func TestSlave(t *testing.T) {
	t.Parallel()
	w, claim := startBehindProxy(t, newRoutedCloud())
	h := w.only()
	l := w.c.news.join()
	defer w.c.news.leave(l)
	report := func() HostReport {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		return w.c.loop.report(h)
	}
	w.await("the host is in sync", func() bool { return report().InSync })
	if r := report(); r.Role != "equal" || r.Version == "" {
		t.Errorf("%+v", r)
	}
	claim(openflow.Slave)
	w.await("the controller is a slave", func() bool { r := report(); return r.Role == "slave" && !r.InSync })
	w.VSCtl("add-port", "br-int", "other") // what is changed by others is not mended now
	w.OFCtl("add-flow", "br-int", "table=7,cookie=0x77,priority=9,in_port=7,actions=output:8")
	sent := h.conn.FlowMods()
	audit := func() AuditReport {
		var out []AuditReport
		w.read("POST", "/v1/audit?repair=true", &out)
		return out[0]
	}
	w.await("the audit sees it", func() bool { return audit().Surplus == 1 })
	if _, text := w.ask("GET", "/metrics"); !strings.Contains(text, `signalbox_host_role{host="`+h.name()+`",role="slave"} 1`) {
		t.Error("the role is no metric")
	}
	if n := h.conn.FlowMods(); n != sent {
		t.Errorf("a slave has sent %d flow-mods", n-sent)
	}
	claim(openflow.Master)
	w.await("the controller goes on", func() bool { a := audit(); return a.Same() && report().Role == "master" })
	var roles []string
	for len(l.events) > 0 {
		if e := <-l.events; e.Kind == "role" {
			roles = append(roles, e.What)
		}
	}
	if want := []string{"slave: it was equal", "master: it was slave"}; !slices.Equal(roles, want) {
		t.Errorf("the roles were %q", roles)
	}
}

// startBehindProxy is startRouted with somebody between the switch and the controller, who claims roles in the controller's name.
func startBehindProxy(t *testing.T, d signalbox.Delta) (*wire, func(openflow.Role)) {
	t.Helper()
	var mu sync.Mutex
	var toSwitch net.Conn
	w := startThrough(t, newMemory(d), func(controller string) string {
		ln := ovs.Listen(t)
		go func() {
			for {
				down, err := ln.Accept()
				if err != nil {
					return
				}
				up, err := net.Dial("tcp", controller)
				if err != nil {
					return
				}
				mu.Lock()
				toSwitch = down
				mu.Unlock()
				go func() { _, _ = io.Copy(up, down); up.Close() }()
				go func() {
					defer down.Close()
					for head := make([]byte, 8); ; { // whole messages, between which there is room for one
						if _, err := io.ReadFull(up, head); err != nil {
							return
						}
						body := make([]byte, int(head[2])<<8|int(head[3]))
						copy(body, head)
						if _, err := io.ReadFull(up, body[8:]); err != nil {
							return
						}
						mu.Lock()
						_, err := down.Write(body)
						mu.Unlock()
						if err != nil {
							return
						}
					}
				}()
			}
		}()
		return ln.Addr().String()
	})
	generation := byte(0)
	return w, func(r openflow.Role) {
		mu.Lock()
		defer mu.Unlock()
		generation++
		m := []byte{4, 24, 0, 24, 0, 0, 0, 0, 0, 0, 0, byte(r), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, generation}
		if _, err := toSwitch.Write(m); err != nil {
			t.Error(err)
		}
	}
}

// TestAuditWhilePortsComeAndGo: it finds no difference that is only a change on its way, and says so where a switch is away.
func TestAuditWhilePortsComeAndGo(t *testing.T) {
	t.Parallel()
	w := startRouted(t, newRoutedCloud())
	tap := signalbox.TapName(uuid.UUID{0: 'p', 1: 0x13, 15: 0x13})
	h := w.only()
	w.await("the host is in sync", func() bool {
		w.c.mu.RLock()
		defer w.c.mu.RUnlock()
		return h.inSync()
	})
	audit := func() (a AuditReport) {
		status, body := w.ask("POST", "/v1/audit")
		var out []AuditReport
		if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusOK || len(out) != 1 {
			t.Errorf("%d %s: %v", status, body, err)
			return a
		}
		return out[0]
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if a := audit(); a.Settled && !a.Same() || a.Error != "" {
				t.Errorf("%+v", a)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 15 {
		w.VSCtl("del-port", "br-int", tap)
		w.VSCtl("add-port", "br-int", tap, "--", "set", "interface", tap, "type=dummy")
	}
	close(stop)
	<-done
	w.await("all has come to rest", func() bool { a := audit(); return a.Settled && a.Same() })
	w.VSCtl("del-controller", "br-int")
	w.await("the switch is away", func() bool { return audit().Error == "the host is not connected" })
}
