package controller

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// FlowReport is a flow as the admin endpoint shows it, with its reason.
type FlowReport struct {
	Cookie    string  `json:"cookie"`
	Table     uint8   `json:"table"`
	TableName string  `json:"table_name"`
	Priority  uint16  `json:"priority"`
	Flow      string  `json:"flow"` // as ovs-ofctl add-flow reads it
	State     State   `json:"state,omitempty"`
	Packets   *uint64 `json:"packets,omitempty"` // that it has matched, where the switch was asked
	Bytes     *uint64 `json:"bytes,omitempty"`
	Kind      string  `json:"object_kind,omitempty"` // "": the flow is not ours
	ID        string  `json:"object_id,omitempty"`
	Name      string  `json:"object_name,omitempty"`
	Project   string  `json:"object_project,omitempty"`
	Why       string  `json:"why,omitempty"`
	Found     string  `json:"found,omitempty"` // what the switch has in the place of a changed one
}

// FlowsReport is the flows of one host.
type FlowsReport struct {
	Host    string       `json:"host"`
	Source  string       `json:"source"`
	Settled bool         `json:"settled"` // it is of one moment, at which nothing was on its way to the switch
	Flows   []FlowReport `json:"flows"`
}

// tableNames is how flows are to name tables.
type tableNames func(uint8) string

func numbered(table uint8) string { return strconv.Itoa(int(table)) }

// explain reports a flow that is wanted.
func (w *wanted) explain(f *flow.Flow, names tableNames) FlowReport {
	object := w.names[f.Why.ID]
	return FlowReport{
		Cookie: fmt.Sprintf("0x%x", uint64(f.Cookie)), Table: f.Table, TableName: flowpipeline.TableName(f.Table),
		Priority: f.Priority, Flow: f.Named(names), Kind: f.Why.Kind, ID: f.Why.ID.String(), Name: object.name, Project: object.project, Why: f.Why.Phrase,
	}
}

// explainHeld reports a flow of a comparison.
func (cmp *comparison) explainHeld(h held, names tableNames) FlowReport {
	var r FlowReport
	in := h.installed
	if h.flow != nil {
		r = cmp.explain(h.flow, names)
	} else {
		r = FlowReport{Cookie: fmt.Sprintf("0x%x", uint64(in.Cookie)), Table: in.Table, TableName: flowpipeline.TableName(in.Table),
			Priority: in.Priority, Flow: in.Text(names)}
	}
	r.State = h.state
	if in != nil {
		r.Packets, r.Bytes = &in.Packets, &in.Bytes
		if h.state == Changed {
			r.Found = in.Text(names)
		}
	}
	return r
}

// Reason is one line: the table's name, the object and what the flow does for it.
func (f *FlowReport) Reason() string {
	object := f.Kind + " " + f.ID
	switch f.Kind {
	case "":
		return f.TableName + ": not ours"
	case "host": // such a flow is the same on every host, and so is its cookie
		object = "any host"
	default:
		if f.Name != "" {
			object += " (" + f.Name + ")"
		}
		if f.Project != "" {
			object += " of " + f.Project
		}
	}
	return fmt.Sprintf("%s: %s: %s", f.TableName, object, f.Why)
}

// Print writes the flow as ovs-ofctl dump-flows does, so that ovs-ofctl add-flows takes it, and its reason, if it is to be
// explained, as a comment below. A flow that is not as it should be has a sign before it, as in ovs-ofctl diff-flows: - where
// it is wanted and not there, + where it is there and not wanted.
func (f *FlowReport) Print(w io.Writer, explain bool) {
	sign, counted := "", ""
	switch f.State {
	case Missing, Changed:
		sign = "-"
	case Surplus:
		sign = "+"
	}
	if f.Packets != nil {
		counted = fmt.Sprintf("n_packets=%d, n_bytes=%d, ", *f.Packets, *f.Bytes)
	}
	if f.Found != "" {
		fmt.Fprintf(w, "-cookie=%s, %s\n+cookie=%s, %s%s\n", f.Cookie, f.Flow, f.Cookie, counted, f.Found)
	} else {
		fmt.Fprintf(w, "%scookie=%s, %s%s\n", sign, f.Cookie, counted, f.Flow)
	}
	if explain {
		fmt.Fprintf(w, "    # %s\n", f.Reason())
	}
}

// selection is which flows are asked for.
type selection struct {
	table string
	about objects // nil: all
}

func (s *selection) picks(table uint8) bool {
	return s.table == "" || s.table == numbered(table) || s.table == flowpipeline.TableName(table)
}

// selectionIn reads ?table=, ?port=, ?network=, ?router=, ?floatingip=, ?group= and ?rule=, which are ids or names; false when it has refused what is there.
func (c *Controller) selectionIn(w http.ResponseWriter, r *http.Request) (selection, bool) {
	q := r.URL.Query()
	s := selection{table: q.Get("table")}
	if s.table != "" && !knownTable(&s) {
		refuse(w, http.StatusBadRequest, "there is no table %q", s.table)
		return s, false
	}
	for _, kind := range []string{"port", "network", "router", "floatingip", "group", "rule"} {
		if !q.Has(kind) {
			continue
		}
		id, ok := c.find(w, kind, q.Get(kind))
		if !ok {
			return s, false
		}
		c.mu.RLock()
		around := c.loop.around(kind, id)
		c.mu.RUnlock()
		for id := range around {
			if !s.about.holds(id) {
				delete(around, id)
			}
		}
		s.about = around
	}
	return s, true
}

func knownTable(s *selection) bool {
	for _, t := range flowpipeline.Tables() {
		if s.picks(t.ID) {
			return true
		}
	}
	return false
}

// around is an object and what belongs to it: a network's ports, a router's ports and floating IPs, a security group's rules;
// nil: there is no such.
func (l *loop) around(kind string, id uuid.UUID) objects {
	facts, out := l.compiler.Facts, objects{id: {}}
	switch {
	case kind == "port" && facts.Port(id) != nil:
	case kind == "network" && facts.Network(id) != nil:
		for _, m := range facts.Members(id) {
			out[m.Port] = struct{}{}
		}
	case kind == "router" && facts.Router(id) != nil:
		for _, p := range facts.InterfacesOf(id) {
			out[p.ID] = struct{}{}
		}
		for _, ip := range facts.FloatingIPsOf(id) {
			out[ip] = struct{}{}
		}
		if g := facts.Router(id).Gateway; g != nil {
			out[g.PortID] = struct{}{}
		}
	case kind == "group" && facts.SecurityGroups()[id] != nil:
		for _, rule := range facts.SecurityGroups()[id].Rules {
			out[rule.ID] = struct{}{}
		}
	case kind == "floatingip" && facts.FloatingIP(id) != nil:
	case kind == "rule" && facts.SecurityGroups()[id] == nil && facts.SecurityGroupOf(id) != nil:
	default:
		return nil
	}
	return out
}

// getFlows shows a host's flows: those that are wanted, or with ?source=switch those that the switch has now, or with
// ?source=diff where the two differ. With ?format=text as ovs-ofctl writes them, with ?names=true naming tables, and with
// ?explain=true and their reasons.
func (c *Controller) getFlows(w http.ResponseWriter, r *http.Request) {
	c.mu.RLock()
	h := c.loop.hostNamed(r.PathValue("host"))
	c.mu.RUnlock()
	if h == nil {
		refuseHost(w, r.PathValue("host"))
		return
	}
	s, ok := c.selectionIn(w, r)
	if !ok {
		return
	}
	names := tableNames(numbered)
	if r.URL.Query().Get("names") == "true" {
		names = flowpipeline.TableName
	}
	out := FlowsReport{Host: c.nameOf(h), Source: r.URL.Query().Get("source")}
	var err error
	switch out.Source {
	case "", "wanted":
		out.Source = "wanted"
		err = c.reportWanted(r.Context(), h, &s, names, &out)
	case "switch", "diff":
		err = c.reportHeld(r.Context(), h, &s, names, &out)
	default:
		refuse(w, http.StatusBadRequest, "source=%q is not wanted, switch or diff", out.Source)
		return
	}
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "the flows of %s: %s", out.Host, err)
		return
	}
	if r.URL.Query().Get("format") == "text" {
		out.print(w, r.URL.Query().Get("explain") == "true")
	} else {
		out.write(w)
	}
}

func (c *Controller) reportWanted(ctx context.Context, h *host, s *selection, names tableNames, out *FlowsReport) error {
	have, err := c.wants(ctx, h, s.about)
	out.Settled = have.whole && have.moment.settled()
	out.Flows = make([]FlowReport, 0, len(have.flows))
	for i := range have.flows {
		if f := &have.flows[i]; s.picks(f.Table) {
			out.Flows = append(out.Flows, have.explain(f, names))
		}
	}
	return err
}

func (c *Controller) reportHeld(ctx context.Context, h *host, s *selection, names tableNames, out *FlowsReport) error {
	cmp, err := c.compareNow(ctx, h)
	out.Settled, out.Flows = cmp.settled, []FlowReport{}
	for _, held := range cmp.held {
		switch table, _ := held.place(); {
		case !s.picks(table):
		case s.about != nil && (held.flow == nil || !s.about.holds(held.flow.Why.ID)):
		case out.Source == "switch" && held.state == Missing, out.Source == "diff" && held.state == Present:
		default:
			out.Flows = append(out.Flows, cmp.explainHeld(held, names))
		}
	}
	return err
}

// print writes the flows as text.
func (f *FlowsReport) print(w http.ResponseWriter, explain bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	b := bufio.NewWriter(w)
	defer b.Flush()
	fmt.Fprintf(b, "# %s: %d flows (%s)\n", f.Host, len(f.Flows), f.Source)
	if !f.Settled {
		fmt.Fprintf(b, "# changes were on their way: these flows are not of one moment\n")
	}
	for i := range f.Flows {
		f.Flows[i].Print(b, explain)
	}
}

// write writes the flows as JSON, one at a time: a hundred thousand are tens of megabytes.
func (f *FlowsReport) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	b := bufio.NewWriter(w)
	defer b.Flush()
	host, _ := json.Marshal(f.Host) // a string can be written
	fmt.Fprintf(b, "{\"host\": %s, \"source\": %q, \"settled\": %v, \"flows\": [\n", host, f.Source, f.Settled)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for i := range f.Flows {
		if i > 0 {
			b.WriteByte(',')
		}
		_ = enc.Encode(&f.Flows[i]) // a client that has gone is nobody to tell
	}
	b.WriteString("]}\n")
}
