package flowpipeline

import (
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Compile makes a unit's flows. It is pure: all that it knows comes through the Reader.
func Compile(u Unit, r *Reader) Compiled {
	switch u.Kind {
	case HostUnit:
		return compileHost(u, r)
	case RouterUnit:
		return compileRouter(u, r)
	case GatewayUnit:
		return compileGateway(u, r)
	case NetworkUnit:
		return compileNetwork(u, r)
	case FarNetworkUnit:
		return compileFarNetwork(u, r)
	case PortUnit:
		return compilePort(u, r)
	case FarPortUnit:
		return compileFarPort(u, r)
	case NeighboursUnit:
		return compileNeighbours(u, r)
	case SharedUnit:
		return compileShared(u, r)
	case FloatingUnit:
		return compileFloating(u, r)
	case GuardUnit:
		return compileGuard(u, r)
	case GroupUnit:
		return compileGroup(u, r)
	case PeersUnit:
		return compilePeers(u, r)
	case PeerUnit:
		return compilePeer(u, r)
	}
	panic("flowpipeline: a unit of no known kind")
}

// draft gathers a unit's flows. All of them are for one object.
type draft struct {
	kind string
	id   uuid.UUID
	out  Compiled
}

// add puts a flow into the draft. A flow that breaks its table's contract is a programming error and panics.
func (d *draft) add(table uint8, priority uint16, match flow.Match, phrase string, actions ...flow.Action) {
	f := flow.New(table, priority, match, flow.Why{Kind: d.kind, ID: d.id, Phrase: phrase}, actions...)
	if err := check(&f); err != nil {
		panic("flowpipeline: " + err.Error() + ": " + f.String())
	}
	d.out.Flows = append(d.out.Flows, f)
}

// compileHost makes what every host has, whatever is on it.
func compileHost(u Unit, r *Reader) Compiled {
	d := &draft{kind: "host", id: u.Host}
	for _, t := range Tables() {
		switch {
		case guards(t.ID) && !r.Guarded():
			continue
		case t.ID == TableServices && r.Guarded():
			t.Miss = []flow.Action{flow.Goto{Table: TableSending}}
		}
		d.add(t.ID, 0, nil, t.missed()+" what no other flow is for", t.Miss...)
	}
	classifyUnknown(d, r, u.Host)
	refuseServers(d)
	readClaims(d)
	admitHonest(d)
	letOwnARPPass(d)
	keepLinkLocalFrames(d)
	admitToRouting(d, r.Guarded())
	refuseExpiredArrivals(d)
	refuseLargerInward(d)
	refuseLargerAtExit(d)
	refuseLarger(d)
	here, outlets := r.NetworksOn(u.Host), r.Outlets(u.Host)
	routers, far := reach(r, here, outlets)
	d.adopt(u.Host, RouterUnit, routers)
	d.adopt(u.Host, GatewayUnit, outlets)
	d.adopt(u.Host, NetworkUnit, here)
	d.adopt(u.Host, FarNetworkUnit, far)
	if r.Guarded() {
		d.adopt(u.Host, GuardUnit, []uuid.UUID{uuid.Nil})
	}
	return d.out
}

// adopt names children, kind after kind.
func (d *draft) adopt(host uuid.UUID, kind UnitKind, ids []uuid.UUID) {
	for _, id := range ids {
		d.out.Children = append(d.out.Children, Unit{Host: host, Kind: kind, ID: id})
	}
}

// network is a network as one host sees it.
type network struct {
	host    uuid.UUID
	key     uint64
	segment signalbox.Segment
	uplink  uint32 // the port towards other hosts: a tunnel or patch port; 0: there is none
	guarded bool   // security groups are enforced
}

// readNetwork is false when the network carries nothing: it is not there, or its admin state is down.
func readNetwork(r *Reader, host, id uuid.UUID) (network, bool) {
	row := r.Network(id)
	if row == nil || !row.AdminStateUp {
		return network{}, false
	}
	n := network{host: host, key: uint64(row.Key), segment: row.Segment, guarded: r.Guarded()}
	switch t := row.Segment.Type; {
	case t.Tunnelled():
		n.uplink, _ = r.TunnelPort(host, t)
	case t.OnPhysical():
		n.uplink, _ = r.PatchPort(host, row.Segment.Physical)
	}
	return n, true
}

// is matches packets on the network.
func (n *network) is() flow.Cond { return flow.IsSub(Network, n.key) }

// tag is what vlan_vid says of the network's frames on its physical network.
func (n *network) tag() uint64 {
	if n.segment.Type == signalbox.VLAN {
		return vlanPresent | uint64(n.segment.ID)
	}
	return untagged
}

// OXM_OF_VLAN_VID: bit 12 says that there is a tag.
const (
	untagged    = 0
	vlanPresent = 0x1000
)

// compileNetwork makes a network's ways in and its flood list on a host that has a port of it.
func compileNetwork(u Unit, r *Reader) Compiled {
	d := &draft{kind: "network", id: u.ID}
	n, ok := readNetwork(r, u.Host, u.ID)
	if !ok {
		return d.out
	}
	members := r.Members(u.ID)
	exits := r.Exits(u.ID)
	classifyFabric(d, &n, exits)
	switchGroups(d, &n, floodPieces(d, r, &n, members))
	switchUnknown(d, r, &n, u.ID, openPieces(d, r, &n, members))
	d.out.Children = make([]Unit, 0, len(members))
	for i := range members {
		if m := &members[i]; m.Up && (m.Host != uuid.Nil || m.Role != signalbox.RoleVIF) {
			d.out.Children = append(d.out.Children, Unit{Host: u.Host, Kind: PortUnit, ID: m.Port})
		}
	}
	if exits {
		d.adopt(u.Host, NeighboursUnit, []uuid.UUID{u.ID})
	}
	d.adopt(u.Host, SharedUnit, r.SharedMACs(u.ID))
	return d.out
}

// compileFarNetwork makes a network's ways out on a host that routes to it and has no port of it. There is
// nothing to flood: what others send to everybody does not come here. A way in there is on the gateway host
// of a router that joins the network: others send it what is to go out.
func compileFarNetwork(u Unit, r *Reader) Compiled {
	d := &draft{kind: "network", id: u.ID}
	n, ok := readNetwork(r, u.Host, u.ID)
	if !ok {
		return d.out
	}
	if gatewayHostOf(r, u.Host, u.ID) {
		classifyFabric(d, &n, false)
	}
	members := r.Members(u.ID)
	switchUnknown(d, r, &n, u.ID, openPieces(d, r, &n, members))
	for i := range members {
		m := &members[i]
		if m.Up && (m.Host != uuid.Nil || m.Role != signalbox.RoleVIF && m.Role != signalbox.RoleDHCP) {
			d.out.Children = append(d.out.Children, Unit{Host: u.Host, Kind: FarPortUnit, ID: m.Port})
		}
	}
	d.adopt(u.Host, SharedUnit, r.SharedMACs(u.ID))
	return d.out
}

// port is a port as its own host sees it.
type port struct {
	*signalbox.Port
	network
	at     Interface // where it is plugged in; OFPort is 0 while the switch has no such interface
	v4, v6 []voice   // none, where it is not secured
}

// from matches packets that the port sent.
func (p *port) from() flow.Cond { return flow.IsSub(SourcePort, uint64(p.Key)) }

// readPort is a port and its network, as they are on any host; false when either carries nothing.
func readPort(r *Reader, u Unit) (*signalbox.Port, network, bool) {
	row := r.Port(u.ID)
	if row == nil || !row.AdminStateUp {
		return nil, network{}, false
	}
	n, ok := readNetwork(r, u.Host, row.NetworkID)
	return row, n, ok
}

// compilePort makes a port's flows on a host: all of them on its own, the way to it on others.
func compilePort(u Unit, r *Reader) Compiled {
	d := &draft{kind: "port", id: u.ID}
	row, n, ok := readPort(r, u)
	switch {
	case !ok:
	case row.Role == signalbox.RoleDHCP:
		answerARP(d, r, &n, row)
		answerNames(d, r, &n, row)
	case row.Role == signalbox.RoleRouterInterface:
		if compileInterface(d, r, &n, row) {
			answerARP(d, r, &n, row)
		}
	case row.Role == signalbox.RoleRouterGateway, row.Role == signalbox.RoleFloatingIP:
		answerARP(d, r, &n, row)
		nextHop(d, &n, row)
	case row.Binding == nil:
	case row.Binding.HostID == u.Host:
		compileLocalPort(d, r, &port{Port: row, network: n})
	default:
		if switchRemote(d, r, &n, row) {
			answerARP(d, r, &n, row)
			if r.Routed(row.NetworkID) {
				nextHop(d, &n, row)
			}
		}
	}
	return d.out
}

// compileFarPort makes the way to a port on a host that routes to its network. Nobody there asks for it by ARP.
func compileFarPort(u Unit, r *Reader) Compiled {
	d := &draft{kind: "port", id: u.ID}
	row, n, ok := readPort(r, u)
	switch {
	case !ok:
	case row.Role == signalbox.RoleRouterInterface:
		compileInterface(d, r, &n, row)
	case row.Role == signalbox.RoleRouterGateway, row.Role == signalbox.RoleFloatingIP:
		nextHop(d, &n, row)
	case row.Binding != nil && row.Binding.HostID != u.Host && switchRemote(d, r, &n, row):
		nextHop(d, &n, row)
	}
	return d.out
}

// compileInterface makes the way into a router from one of its networks; false when the router is down.
func compileInterface(d *draft, r *Reader, n *network, p *signalbox.Port) bool {
	rt := r.Router(p.RouterID)
	if rt == nil || !rt.AdminStateUp || p.MAC.IsMulticast() {
		return false
	}
	switchToRouter(d, n, p, rt.Key)
	if isGatewayHost(rt, n.host) {
		takeForExit(d, n, p, rt.Key)
	}
	nextHop(d, n, p)
	return true
}

func compileLocalPort(d *draft, r *Reader, p *port) {
	p.at, _ = r.Interface(p.host, p.Binding.Interface)
	d.out.Flows = make([]flow.Flow, 0, 12+4*len(p.FixedIPs))
	classifyPort(d, p)
	if p.Secured() {
		p.v4, p.v6 = voicesOf(p.Port, false), voicesOf(p.Port, true)
		admitClaims(d, p)
	} else {
		admitOpen(d, p)
	}
	letOtherARPPass(d, p)
	answerARP(d, r, &p.network, p.Port)
	puntDHCP(d, r, p)
	admitQuestions(d, r, p)
	switchLocal(d, p)
	if r.Routed(p.NetworkID) {
		nextHop(d, &p.network, p.Port)
		returnEchoes(d, p)
		admitRefusals(d, p)
	}
	outputPort(d, p)
	if p.guarded {
		watchPort(d, r, p)
	}
}

// addresses is the port's addresses of one family, in the order of its row.
func addresses(p *signalbox.Port, v6 bool) []netip.Addr {
	var out []netip.Addr
	for _, ip := range p.FixedIPs {
		if ip.Addr.Is6() == v6 {
			out = append(out, ip.Addr)
		}
	}
	return out
}

// own6 is the IPv6 addresses that a port may use: its own, and the link-local one that its MAC makes.
// A port without any address has neither.
func own6(p *signalbox.Port) []netip.Addr {
	if len(p.FixedIPs) == 0 {
		return nil
	}
	own := addresses(p, true)
	if ll := p.MAC.LinkLocal(); !slices.Contains(own, ll) {
		own = append(own, ll)
	}
	return own
}

// compileShared makes the way to a MAC that ports share. A port's own MAC comes before it.
func compileShared(u Unit, r *Reader) Compiled {
	id, mac, ports := r.SharedMAC(u.ID)
	d := &draft{kind: "network", id: id}
	n, ok := readNetwork(r, u.Host, id)
	if !ok || mac.IsMulticast() {
		return d.out
	}
	var here []recipient
	var away []uuid.UUID
	for _, port := range ports {
		switch p := r.Port(port); {
		case p == nil || !p.AdminStateUp || p.Binding == nil:
		case p.Binding.HostID == u.Host:
			m := memberOf(p)
			here = append(here, n.recipient(&m))
		case !slices.Contains(away, p.Binding.HostID):
			away = append(away, p.Binding.HostID)
		}
	}
	if len(here)+len(away) > 0 {
		switchShared(d, r, &n, id, mac, here, away)
	}
	return d.out
}
