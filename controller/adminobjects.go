package controller

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// ObjectReport is what an object, or a cookie, comes to in the switches.
type ObjectReport struct {
	ID      string         `json:"id"` // of the object; "" for a cookie
	Name    string         `json:"name"`
	Project string         `json:"project"`
	Packets uint64         `json:"packets"` // matched by its flows, on all hosts that answered
	Bytes   uint64         `json:"bytes"`
	Rules   []RuleCount    `json:"rules,omitempty"` // of a security group, also those that nothing has matched
	Hosts   []ObjectAtHost `json:"hosts"`
}

// RuleCount is what a security group's rule has let pass, on all hosts that answered. Of two rules that allow the same, one has
// all the flows.
type RuleCount struct {
	ID      string `json:"id"`
	Allows  string `json:"allows"` // direction, family, protocol, first and last port, and who
	Flows   int    `json:"flows"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// ObjectAtHost is the flows of one host that exist because of an object.
type ObjectAtHost struct {
	Host    string       `json:"host"`
	Packets uint64       `json:"packets"`
	Bytes   uint64       `json:"bytes"`
	Error   string       `json:"error,omitempty"` // why its switch did not tell what it has counted
	Flows   []FlowReport `json:"flows"`
}

// fewFlows is up to how many flows are asked for one by one, by cookie; the switch is read whole for more.
const fewFlows = 200

// getObject shows which flows on which hosts exist because of an object, which is named by its id, its name or its address,
// or by a flow's cookie as 0x…, and what the switches have counted for each.
func (c *Controller) getObject(w http.ResponseWriter, r *http.Request) {
	what := r.PathValue("what")
	var find func(context.Context, *host) (wanted, error)
	var out ObjectReport
	if hex, ok := strings.CutPrefix(what, "0x"); ok {
		n, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			refuse(w, http.StatusBadRequest, "%q is not a cookie", what)
			return
		}
		find = func(_ context.Context, h *host) (wanted, error) { return c.withCookie(h, flow.Cookie(n)), nil }
	} else {
		c.mu.RLock()
		ids := c.loop.called(what)
		if len(ids) == 1 {
			n := c.loop.nameOfObject(ids[0])
			out.ID, out.Name, out.Project = ids[0].String(), n.name, n.project
			if g := c.loop.compiler.Facts.SecurityGroups()[ids[0]]; g != nil {
				for i := range g.Rules {
					out.Rules = append(out.Rules, RuleCount{ID: g.Rules[i].ID.String(), Allows: c.loop.allows(&g.Rules[i])})
				}
			}
		}
		c.mu.RUnlock()
		switch len(ids) {
		case 0:
			refuse(w, http.StatusNotFound, "the controller knows nothing that is called %q", what)
			return
		case 1:
			about := objects{ids[0]: {}}
			for _, rule := range out.Rules {
				about[uuid.MustParse(rule.ID)] = struct{}{}
			}
			find = func(ctx context.Context, h *host) (wanted, error) { return c.wants(ctx, h, about) }
		default:
			refuse(w, http.StatusConflict, "%d objects are called %q: use an id, as %s", len(ids), what, ids[0])
			return
		}
	}
	out.Hosts = []ObjectAtHost{}
	for _, h := range c.hostsInOrder() {
		have, err := find(r.Context(), h)
		if err != nil {
			return // the client has gone
		}
		if len(have.flows) > 0 {
			at := c.counted(r.Context(), h, &have)
			out.Packets, out.Bytes = out.Packets+at.Packets, out.Bytes+at.Bytes
			out.Hosts = append(out.Hosts, at)
		}
	}
	out.countRules()
	answer(w, out)
}

// allows is what a rule lets pass, in the words of its API.
func (l *loop) allows(r *signalbox.SecurityGroupRule) string {
	out, from := string(r.Direction)+" "+string(r.EtherType), "from"
	if r.Direction == signalbox.Egress {
		from = "to"
	}
	if r.Protocol != "" {
		out += " " + string(r.Protocol)
	}
	n, _ := r.Protocol.Number()
	switch icmp := n == signalbox.ProtocolICMP || n == signalbox.ProtocolICMPv6; {
	case icmp && r.PortMin != signalbox.NoPort:
		out += fmt.Sprintf(" type %d", r.PortMin)
		if r.PortMax != signalbox.NoPort {
			out += fmt.Sprintf(" code %d", r.PortMax)
		}
	case icmp, r.PortMin == signalbox.NoPort:
	case r.PortMin == r.PortMax:
		out += fmt.Sprintf(" port %d", r.PortMin)
	default:
		out += fmt.Sprintf(" ports %d-%d", r.PortMin, r.PortMax)
	}
	switch g := l.compiler.Facts.SecurityGroups()[r.RemoteGroupID]; {
	case g != nil:
		return fmt.Sprintf("%s %s group %s (%s)", out, from, g.ID, g.Name)
	case r.RemoteGroupID != uuid.Nil:
		return fmt.Sprintf("%s %s group %s", out, from, r.RemoteGroupID)
	case r.RemotePrefix.Bits() > 0:
		return fmt.Sprintf("%s %s %s", out, from, r.RemotePrefix.Masked())
	}
	return out + " " + from + " anybody"
}

// countRules adds up what the flows of each rule have matched.
func (o *ObjectReport) countRules() {
	at := map[string]*RuleCount{}
	for i := range o.Rules {
		at[o.Rules[i].ID] = &o.Rules[i]
	}
	for _, h := range o.Hosts {
		for _, f := range h.Flows {
			if r := at[f.ID]; r != nil {
				r.Flows++
				if f.Packets != nil {
					r.Packets, r.Bytes = r.Packets+*f.Packets, r.Bytes+*f.Bytes
				}
			}
		}
	}
}

// hostsInOrder is every host that has joined, by name.
func (c *Controller) hostsInOrder() []*host {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*host, 0, len(c.loop.hosts))
	for _, h := range c.loop.hosts {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *host) int { return strings.Compare(a.name(), b.name()) })
	return out
}

// called is the ids of what has an id, a name or an address.
func (l *loop) called(what string) (ids []uuid.UUID) {
	facts := l.compiler.Facts
	if id, err := uuid.Parse(what); err == nil {
		if facts.Port(id) != nil || facts.Network(id) != nil || facts.Router(id) != nil || facts.FloatingIP(id) != nil || facts.Host(id) != nil ||
			facts.SecurityGroupOf(id) != nil {
			return []uuid.UUID{id}
		}
		return nil
	}
	for id, p := range facts.Ports() {
		// A port that only holds a floating IP's address is not what has it.
		if p.Name == what || p.Role != signalbox.RoleFloatingIP && slices.ContainsFunc(p.FixedIPs, func(ip signalbox.FixedIP) bool { return ip.Addr.String() == what }) {
			ids = append(ids, id)
		}
	}
	for id, g := range facts.SecurityGroups() {
		if g.Name == what {
			ids = append(ids, id)
		}
	}
	for id, n := range facts.Networks() {
		if n.Name == what {
			ids = append(ids, id)
		}
	}
	for id, r := range facts.Routers() {
		if r.Name == what {
			ids = append(ids, id)
		}
	}
	for id, ip := range facts.FloatingIPs() {
		if ip.Addr.String() == what {
			ids = append(ids, id)
		}
	}
	return ids
}

// withCookie is the flow that has a cookie, where a host is to hold it.
func (c *Controller) withCookie(h *host, cookie flow.Cookie) wanted {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := wanted{names: map[uuid.UUID]named{}, moment: c.loop.moment(h), whole: true}
	if f, ok := c.loop.compiler.FlowWith(h.row.ID, cookie); ok {
		out.flows = []flow.Flow{f}
		out.names[f.Why.ID] = c.loop.nameOfObject(f.Why.ID)
	}
	return out
}

// counted reports flows with what the host's switch has counted for them.
func (c *Controller) counted(ctx context.Context, h *host, have *wanted) ObjectAtHost {
	out := ObjectAtHost{Host: c.nameOf(h), Flows: make([]FlowReport, 0, len(have.flows))}
	counters, err := countersOf(ctx, have)
	if err != nil {
		out.Error = err.Error()
	}
	for i := range have.flows {
		f := &have.flows[i]
		r := have.explain(f, flowpipeline.TableName)
		if in, there := counters[f.Cookie]; there {
			r.State, r.Packets, r.Bytes = Present, &in.Packets, &in.Bytes
			out.Packets, out.Bytes = out.Packets+in.Packets, out.Bytes+in.Bytes
		} else if err == nil {
			r.State = Missing
		}
		out.Flows = append(out.Flows, r)
	}
	return out
}

func countersOf(ctx context.Context, have *wanted) (map[flow.Cookie]openflow.Installed, error) {
	if have.conn == nil {
		return nil, fmt.Errorf("the host is not connected")
	}
	out := map[flow.Cookie]openflow.Installed{}
	take := func(flows []openflow.Installed, err error) error {
		for _, in := range flows {
			out[in.Cookie] = in
		}
		return err
	}
	if len(have.flows) > fewFlows {
		err := take(have.conn.Flows(ctx))
		return out, err
	}
	for i := range have.flows {
		if err := take(have.conn.FlowsWith(ctx, have.flows[i].Cookie)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
