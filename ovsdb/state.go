package ovsdb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// IntegrationBridge is the bridge that VIFs are plugged into.
const IntegrationBridge = "br-int"

// maxProblems bounds State.Problems.
const maxProblems = 32

// State is a whole, consistent picture of a host: what one transaction left behind, never half of it.
// Its maps and slices are shared with later States and must not be changed.
type State struct {
	SystemID string // external_ids:system-id
	Hostname string // external_ids:hostname; "" when unset
	// TunnelIP is where tunnels to this host end (local_ip); the zero Addr: it has no tunnels.
	TunnelIP netip.Addr
	// Mappings is physical network -> bridge (bridge_mappings), with bridges that are not there, too.
	Mappings   map[string]string
	OVSVersion string

	DatapathID     signalbox.DatapathID // of br-int; 0: there is none, or ovs-vswitchd has yet to make it
	DatapathType   string               // of br-int: "system", "netdev"; OVS takes "" for "system"
	FailModeSecure bool
	// Interfaces of br-int in order of name, but for the bridge's own.
	Interfaces []Interface
	Bridges    []string // names of all bridges, in order

	// Problems are sentences for the operator: what the host says that makes no sense or cannot be done.
	Problems []string
}

// Interface is an interface of the integration bridge. A bond's port has several.
type Interface struct {
	Name        string
	OFPort      uint32            // OpenFlow port; 0: none yet, or OVS failed to make it (see Error)
	InterfaceID uuid.UUID         // external_ids:iface-id; uuid.Nil when unset or no UUID
	AttachedMAC signalbox.MAC     // external_ids:attached-mac; zero when unset
	Type        string            // "" (a device of the system), "internal", "patch", "vxlan" …
	Options     map[string]string // of tunnels and patches; read only
	Ours        bool              // made by Ensure: no VIF
	Error       string            // what OVS says is wrong; with an OFPort it may be out of date
}

// Interface finds an interface of br-int by name.
func (s *State) Interface(name string) (Interface, bool) {
	i, ok := slices.BinarySearchFunc(s.Interfaces, name, func(i Interface, name string) int {
		return strings.Compare(i.Name, name)
	})
	if !ok {
		return Interface{}, false
	}
	return s.Interfaces[i], true
}

// TunnelPort is the OpenFlow port on br-int of the tunnels of type t; 0: there is none yet.
func (s *State) TunnelPort(t signalbox.NetworkType) uint32 {
	i, _ := s.Interface(TunnelPortName(t))
	return ownPort(i)
}

// PatchPort is the OpenFlow port on br-int of the patch towards a mapped bridge; 0: there is none yet.
func (s *State) PatchPort(bridge string) uint32 {
	name, _ := PatchPortNames(bridge)
	i, _ := s.Interface(name)
	return ownPort(i)
}

func ownPort(i Interface) uint32 {
	if !i.Ours {
		return 0
	}
	return i.OFPort
}

// state makes the picture of what the mirror holds. Rows are checked when they change, so that this is
// a copy and a sort.
func (m *mirror) state() State {
	var s State
	var problems problemList
	m.readRoot(&s, &problems)
	for _, b := range m.bridges {
		if name := clean(b.name); name != "" {
			s.Bridges = append(s.Bridges, name)
		}
	}
	slices.Sort(s.Bridges)
	m.checkMappings(&s, &problems)
	if _, b := m.bridge(IntegrationBridge); b != nil {
		m.readBridge(b, &s, &problems)
	} else {
		problems.add("there is no bridge %s", IntegrationBridge)
	}
	s.Problems = problems.list()
	return s
}

func (m *mirror) readRoot(s *State, problems *problemList) {
	if len(m.roots) != 1 {
		problems.add("%d Open_vSwitch rows where one belongs", len(m.roots))
		return
	}
	for _, r := range m.roots {
		said := func(key string) string {
			if v, ok := r.externalIDs[key]; ok {
				return v
			}
			return r.otherConfig[key]
		}
		s.SystemID = problems.text("system-id", said("system-id"))
		s.Hostname = problems.text("hostname", said("hostname"))
		s.OVSVersion = clean(r.version)
		var err error
		if v := said("local_ip"); v != "" {
			if s.TunnelIP, err = parseTunnelIP(v); err != nil {
				problems.add("local_ip: %v", err)
			}
		}
		var bad []string
		s.Mappings, bad = parseMappings(said("bridge_mappings"))
		for _, b := range bad {
			problems.add("bridge_mappings: %s", b)
		}
	}
}

// checkMappings complains of mapped bridges that no patch can lead to.
func (m *mirror) checkMappings(s *State, problems *problemList) {
	_, integration := m.bridge(IntegrationBridge)
	for _, physical := range sortedKeys(s.Mappings) {
		name := s.Mappings[physical]
		_, b := m.bridge(name)
		switch {
		case b == nil:
			problems.add("bridge_mappings: bridge %s of physical network %s does not exist", name, physical)
		case integration != nil && b.datapath() != integration.datapath():
			problems.add("bridge_mappings: bridge %s is in datapath %s and %s in %s: they cannot be joined",
				name, quote(b.datapath()), IntegrationBridge, quote(integration.datapath()))
		}
	}
}

// datapath is the bridge's datapath type; OVS takes "" for "system".
func (b *bridgeRow) datapath() string {
	if b.datapathType == "" {
		return "system"
	}
	return b.datapathType
}

func (m *mirror) readBridge(b *bridgeRow, s *State, problems *problemList) {
	s.DatapathType = clean(b.datapathType)
	s.FailModeSecure = b.failMode == "secure"
	if b.datapathID != "" {
		var err error
		if s.DatapathID, err = parseDatapathID(b.datapathID); err != nil {
			problems.add("datapath_id of %s: %v", IntegrationBridge, err)
		}
	}
	s.Interfaces = make([]Interface, 0, len(b.ports))
	var bad []*interfaceRow
	for id := range b.ports {
		p := m.ports[id]
		if p == nil {
			continue
		}
		for id := range p.interfaces {
			r := m.interfaces[id]
			if r == nil || r.said.Name == IntegrationBridge {
				continue
			}
			if len(r.problems) > 0 {
				bad = append(bad, r)
			}
			if r.said.Name == "" {
				continue
			}
			i := r.said
			i.Ours = p.ours()
			s.Interfaces = append(s.Interfaces, i)
		}
	}
	slices.SortFunc(s.Interfaces, func(a, b Interface) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(bad, func(a, b *interfaceRow) int { return strings.Compare(a.name, b.name) })
	for _, r := range bad {
		for _, p := range r.problems {
			problems.add("%s", p)
		}
	}
}

// bridge finds a bridge by name; nil when there is none.
func (m *mirror) bridge(name string) (id string, b *bridgeRow) {
	for id, b := range m.bridges {
		if b.name == name {
			return id, b
		}
	}
	return "", nil
}

func (p *portRow) ours() bool { return p.externalIDs[mark] != "" }

// problemList gathers sentences, and counts those over the limit.
type problemList struct {
	said []string
	more int
}

func (l *problemList) add(format string, args ...any) {
	if len(l.said) == maxProblems {
		l.more++
		return
	}
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

// text is s when it is fit to be stored and shown; otherwise "", and a problem.
func (l *problemList) text(key, s string) string {
	t := clean(s)
	if t != s {
		l.add("%s: %s is not a printable name of at most %d bytes", key, quote(s), maxText)
	}
	return t
}

func (l *problemList) list() []string {
	if l.more > 0 {
		return append(l.said, fmt.Sprintf("and %d more", l.more))
	}
	return l.said
}
