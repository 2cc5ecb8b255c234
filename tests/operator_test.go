//go:build integration

package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

func TestEveryFlowIsExplained(t *testing.T) {
	w := newWorld(t)
	w.script(t, "cookie by cookie", func(s *script) {
		for _, kind := range append(crossing, signalbox.Local) {
			n := s.network(kind)
			s.boot(n, s.h1)
			s.boot(n, s.h2)
		}
		s.must(s.box.AwaitInSync(s.ctx, patience, s.h1, s.h2, s.h3))
		for _, h := range s.lab.Hosts() {
			dump, err := h.Ofctl(s.ctx, "dump-flows", "br-int")
			s.must(err)
			cmd := exec.CommandContext(s.ctx, s.box.Binary, "flows", "--explain", "-")
			cmd.Stdin = strings.NewReader(dump)
			var said strings.Builder
			cmd.Stdout, cmd.Stderr = &said, &said
			s.must(s.lab.Net.Start(cmd))
			if err := cmd.Wait(); err != nil {
				s.Fatalf("%v: %s", err, said.String())
			}
			flows, reasons := strings.Count(dump, "cookie="), strings.Count(said.String(), "\n    ")
			if flows == 0 || reasons != flows || strings.Contains(said.String(), "not ours") {
				s.Errorf("%s has %d flows, of which %d are explained:\n%s", h.Name, flows, reasons, said.String())
			}
		}
	})
	w.script(t, "by the operator's own command", func(s *script) {
		n := s.network(signalbox.VXLAN)
		stop := s.listensToEvents()
		a, b := s.boot(n, s.h1), s.boot(n, s.h2)
		heard := stop("port " + b.Port.ID + " ACTIVE")
		for _, what := range []string{"binding h1 port " + a.Port.ID + " is at ", "status port " + a.Port.ID + " ACTIVE"} {
			if !strings.Contains(heard, what) {
				s.Errorf("nobody has said %q:\n%s", what, heard)
			}
		}
		s.reaches(a, b)
		if out, code := s.operator("audit"); code != 0 || strings.Count(out, "true") != 3 {
			s.Errorf("nothing was changed, but the audit says %d:\n%s", code, out)
		}
		if out, code := s.operator("audit", "nobody"); code != 1 {
			s.Errorf("an audit of a host that is not there: %d %s", code, out)
		}
		if out, _ := s.operator("flows", "--source", "diff"); strings.Contains(out, "cookie=") {
			s.Errorf("the switches differ:\n%s", out)
		}
		if out, _ := s.operator("flows", s.h1.Name, "--source", "switch", "--port", a.Port.ID, "--explain"); !strings.Contains(out, "n_packets=") || strings.Contains(out, "not ours") {
			s.Errorf("what h1 holds for a port:\n%s", out)
		}
		if out, _ := s.operator("why", b.Port.ID); strings.Count(out, "\n# ") != 2 || strings.Contains(out, ": 0 packets") {
			s.Errorf("two hosts have flows for a port that was reached:\n%s", out)
		}
		s.followsRequest(a)
		if out, _ := s.operator("hosts"); strings.Count(out, "\n") != 4 || !strings.Contains(out, " ms") {
			s.Errorf("three hosts:\n%s", out)
		}
	})
}

// followsRequest changes a wired port, and follows the request by its id from the API server's log to the acknowledgement of
// the host that has it.
func (s *script) followsRequest(g *guest) {
	s.Helper()
	lines := func(process, holds string) (found []string) {
		text, err := os.ReadFile(s.box.Log(process))
		s.must(err)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, holds) {
				found = append(found, line)
			}
		}
		return found
	}
	value := func(line, key string) string {
		_, rest, _ := strings.Cut(line, " "+key+"=")
		rest, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
		return rest
	}
	s.must(s.box.API.Update(s.ctx, "port", g.Port.ID, map[string]any{"admin_state_up": false}))
	s.must(testbed.Await(s.ctx, patience, "the request is followed to the switch", func() error {
		asked := lines("apiserver", "method=PUT path=/v2.0/ports/"+g.Port.ID)
		if len(asked) != 1 {
			return fmt.Errorf("the API server's log has the request %d times", len(asked))
		}
		id := value(asked[0], "request_id")
		told := lines("controller", id)
		if len(told) != 1 {
			return fmt.Errorf("the controller's log has %s %d times", id, len(told))
		}
		for _, done := range lines("controller", "the switch has acknowledged") {
			change, err := strconv.Atoi(value(told[0], "change"))
			s.must(err)
			first, err := strconv.Atoi(value(done, "first_change"))
			s.must(err)
			last, err := strconv.Atoi(value(done, "last_change"))
			s.must(err)
			if first <= change && change <= last && value(done, "host") == s.h1.Name {
				return nil
			}
		}
		return fmt.Errorf("no host has acknowledged %q", told[0])
	}))
	s.becomes(g, signalbox.Down)
	s.must(s.box.API.Update(s.ctx, "port", g.Port.ID, map[string]any{"admin_state_up": true}))
	s.becomes(g, signalbox.Active)
}

// listensToEvents begins to. What it returns waits until something has been said, and gives all that was.
func (s *script) listensToEvents() (until func(said string) string) {
	s.Helper()
	path := filepath.Join(s.TempDir(), "events")
	file, err := os.Create(path)
	s.must(err)
	s.Cleanup(func() { file.Close() })
	ctx, stop := context.WithCancel(s.ctx)
	s.Cleanup(stop)
	cmd := exec.CommandContext(ctx, s.box.Binary, "events", "--kind", "binding,status")
	cmd.Stdout, cmd.Stderr = file, file
	s.must(s.lab.Net.Start(cmd))
	listeners := func() int {
		n, err := s.box.Admin.Counter(s.ctx, "signalbox_event_listeners")
		s.must(err)
		return n
	}
	s.must(testbed.Await(s.ctx, patience, "somebody listens", func() error {
		if listeners() == 0 {
			return errors.New("nobody does")
		}
		return nil
	}))
	return func(said string) string {
		s.Helper()
		var text []byte
		s.must(testbed.Await(s.ctx, patience, said, func() (err error) {
			if text, err = os.ReadFile(path); err == nil && !strings.Contains(string(text), said) {
				err = fmt.Errorf("so far: %s", text)
			}
			return err
		}))
		stop()
		_ = cmd.Wait() // it was killed
		return string(text)
	}
}

// operator runs the signalbox command, and gives what it said and its exit code.
func (s *script) operator(args ...string) (string, int) {
	s.Helper()
	cmd := exec.CommandContext(s.ctx, s.box.Binary, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	s.must(s.lab.Net.Start(cmd))
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() < 0 {
		s.Fatalf("%v: %s", err, said.String())
	}
	return said.String(), cmd.ProcessState.ExitCode()
}

// TestUpLivesThroughKill: `signalbox up`, the one-process way with a private PostgreSQL, is killed under a ping;
// what it had promised is still there when it comes back, and no packet was lost.
func TestUpLivesThroughKill(t *testing.T) {
	ctx := t.Context()
	w := &world{}
	var err error
	if w.lab, err = testbed.NewLab(ctx, testbed.Options{Name: labName()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.close(t) })
	if w.box, err = w.lab.StartUp(ctx, binary(t), testbed.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	if w.h1, err = w.lab.AddHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	if err := w.h1.Join(ctx, testbed.ManagerListens); err != nil {
		t.Fatal(err)
	}
	w.h2, w.h3 = w.h1, w.h1
	w.script(t, "and keeps what it promised", func(s *script) {
		n := s.network(signalbox.GRE)
		a, b := s.boot(n, s.h1), s.boot(n, s.h1)
		s.reaches(a, b)
		for range 3 {
			stop, err := a.StartPing(s.ctx, b.IP, 0)
			s.must(err)
			s.box.KillController()
			s.must(s.box.StartController(s.ctx))
			s.must(s.box.AwaitInSync(s.ctx, patience, s.h1))
			r, err := stop()
			s.must(err)
			if r.Lost() > 1 {
				s.Errorf("%d of %d pings were lost", r.Lost(), r.Sent)
			}
			p, err := s.box.API.Port(s.ctx, b.Port.ID)
			s.must(err)
			if p.FixedIPs[0].Addr != b.IP.String() {
				s.Errorf("the port came back as %+v", p)
			}
		}
		s.reaches(a, b)
	})
}
