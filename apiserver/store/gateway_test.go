//go:build integration

package store_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// external makes an external network with one subnet.
func (l *lab) external(cidr, pool string) *signalbox.Subnet {
	l.t.Helper()
	n := aNetwork()
	n.External = true
	l.write(func(tx *store.Tx) error { return tx.InsertNetwork(l.ctx, n) })
	return l.subnet(n.ID, cidr, pool)
}

// setGateway gives the router a gateway with the lowest free address of the subnet, in any goroutine.
func (l *lab) setGateway(r *signalbox.Router, s *signalbox.Subnet) (*signalbox.Port, error) {
	return l.plug(r, s, func(tx *store.Tx, p *signalbox.Port) error { return tx.SetGateway(l.ctx, r, p, true) })
}

// plug makes a port with the lowest free address of the subnet the router's, with the router's and the network's lock, as the
// API does it.
func (l *lab) plug(r *signalbox.Router, s *signalbox.Subnet, own func(*store.Tx, *signalbox.Port) error) (*signalbox.Port, error) {
	p := aPort(s.NetworkID)
	return p, l.db.Write(l.ctx, func(tx *store.Tx) error {
		if _, err := tx.RouterForUpdate(l.ctx, r.ID); err != nil {
			return err
		}
		if _, err := tx.NetworkForShare(l.ctx, s.NetworkID); err != nil {
			return err
		}
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID}}
		if err := tx.InsertPort(l.ctx, p); err != nil {
			return err
		}
		return own(tx, p)
	})
}

func (l *lab) clearGateway(r *signalbox.Router) error {
	return l.db.Write(l.ctx, func(tx *store.Tx) error {
		if _, err := tx.RouterForUpdate(l.ctx, r.ID); err != nil {
			return err
		}
		return tx.ClearGateway(l.ctx, r)
	})
}

func (l *lab) readRouter(id uuid.UUID) *signalbox.Router {
	l.t.Helper()
	return read(l, func(tx *store.Tx) (*signalbox.Router, error) { return tx.Router(l.ctx, id) })
}

func TestGatewayIsReadAsWrittenWithItsRouter(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	r := l.router()
	inside, err := l.attach(r, l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254"))
	l.must(err)
	has := func() bool {
		return read(l, func(tx *store.Tx) (bool, error) { return tx.HasGateway(l.ctx, ext.NetworkID) })
	}
	if has() {
		t.Error("a gateway before there is one")
	}
	p, err := l.setGateway(r, ext)
	l.must(err)
	if p.Role != signalbox.RoleRouterGateway || p.RouterID != r.ID || p.DeviceOwner != "network:router_gateway" || p.DeviceID != r.ID.String() {
		t.Errorf("the port is %+v", p)
	}
	if got := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }); !reflect.DeepEqual(got, p) {
		t.Errorf("got  %+v\nwant %+v", got, p)
	}
	want := &signalbox.Gateway{PortID: p.ID, NetworkID: ext.NetworkID, FixedIPs: p.FixedIPs, EnableSNAT: true, Zone: 1}
	if got := l.readRouter(r.ID); !reflect.DeepEqual(got, r) || !reflect.DeepEqual(got.Gateway, want) || r.Revision != 3 || !has() {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
	if got := read(l, func(tx *store.Tx) ([]signalbox.Port, error) { return tx.RouterPorts(l.ctx, r.ID) }); len(got) != 1 || got[0].ID != inside.ID {
		t.Errorf("the interfaces are %+v", got)
	}

	l.write(func(tx *store.Tx) error { // another address, and no SNAT
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: ext.ID, Addr: ext.Pools[0].Last}}
		if err := tx.UpdatePort(l.ctx, p); err != nil {
			return err
		}
		r.Gateway.EnableSNAT = false
		return tx.UpdateGateway(l.ctx, r)
	})
	if got := l.readRouter(r.ID); !reflect.DeepEqual(got, r) || !reflect.DeepEqual(got.Gateway.FixedIPs, p.FixedIPs) || got.Gateway.EnableSNAT || r.Revision != 4 {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}

	l.must(l.clearGateway(r))
	if got := l.readRouter(r.ID); !reflect.DeepEqual(got, r) || got.Gateway != nil || r.Revision != 5 || has() {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
	l.refused(l.db.Read(l.ctx, func(tx *store.Tx) error { _, err := tx.Port(l.ctx, p.ID); return err }), signalbox.NotFound, "")
	again, err := l.setGateway(r, ext)
	l.must(err)
	if again.FixedIPs[0].Addr.String() != "192.0.2.2" || r.Gateway.Zone != 2 { // the address is free again, the zone rests
		t.Errorf("again at %v in zone %d", again.FixedIPs, r.Gateway.Zone)
	}
}

func TestWhatMustNeverBeTrueOfGatewaysIsRefused(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	r, bare := l.router(), l.router()
	p, err := l.setGateway(r, ext)
	l.must(err)
	for _, c := range []struct {
		name   string
		kind   signalbox.ErrKind
		reason signalbox.Reason
		fn     func(tx *store.Tx) error
	}{
		{"two of one router", signalbox.Conflict, signalbox.ReasonRouterInUse, func(tx *store.Tx) error {
			q := aPort(ext.NetworkID)
			if err := tx.InsertPort(l.ctx, q); err != nil {
				return err
			}
			return tx.SetGateway(l.ctx, r, q, true)
		}},
		{"one port of two routers", signalbox.Conflict, signalbox.ReasonPortInUse, func(tx *store.Tx) error { return tx.SetGateway(l.ctx, bare, p, true) }},
		{"no such port", signalbox.NotFound, "", func(tx *store.Tx) error { return tx.SetGateway(l.ctx, bare, aPort(ext.NetworkID), true) }},
		{"no such router", signalbox.NotFound, "", func(tx *store.Tx) error {
			q := aPort(ext.NetworkID)
			if err := tx.InsertPort(l.ctx, q); err != nil {
				return err
			}
			return tx.SetGateway(l.ctx, &signalbox.Router{ID: uuid.New()}, q, true)
		}},
		{"update of none", signalbox.NotFound, "", func(tx *store.Tx) error { return tx.UpdateGateway(l.ctx, bare) }},
		{"end of none", signalbox.NotFound, "", func(tx *store.Tx) error { return tx.ClearGateway(l.ctx, bare) }},
		{"router with a gateway", signalbox.Conflict, signalbox.ReasonRouterInUse, func(tx *store.Tx) error { return tx.DeleteRouter(l.ctx, r.ID) }},
		{"port of a gateway", signalbox.Conflict, signalbox.ReasonPortInUse, func(tx *store.Tx) error { return tx.DeletePort(l.ctx, p.ID) }},
		{"network of a gateway", signalbox.Conflict, signalbox.ReasonNetworkInUse, func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, ext.NetworkID) }},
		{"subnet of a gateway", signalbox.Conflict, signalbox.ReasonSubnetInUse, func(tx *store.Tx) error { return tx.DeleteSubnet(l.ctx, ext.ID) }},
	} {
		t.Run(c.name, func(t *testing.T) { l.refused(l.db.Write(l.ctx, c.fn), c.kind, c.reason) })
	}
}

func TestZonesGoRoundAndRunOut(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	pool := l.sql()
	exec := func(text string, args ...any) {
		t.Helper()
		_, err := pool.ExecContext(l.ctx, text, args...)
		l.must(err)
	}
	zone := func() signalbox.Zone {
		t.Helper()
		r := l.router()
		_, err := l.setGateway(r, ext)
		l.must(err)
		return r.Gateway.Zone
	}
	first := zone()
	exec(`SELECT setval('gateway_zones', 32766)`)
	if a, b := zone(), zone(); first != 1 || a != 32767 || b != 2 { // 1 is taken
		t.Errorf("zones %d, %d, %d", first, a, b)
	}

	// All but one are taken, behind the store's back.
	exec(`ALTER TABLE ports DISABLE TRIGGER USER; ALTER TABLE router_gateways DISABLE TRIGGER USER; ALTER TABLE routers DISABLE TRIGGER USER`)
	exec(`INSERT INTO routers (id, project_id, name, description, admin_state_up, route_destinations, route_hops)
		SELECT lpad(to_hex(n), 32, '0')::uuid, '', '', '', true, '{}', '{}' FROM generate_series(3, 32765) AS n`)
	exec(`INSERT INTO ports (id, network_id, project_id, name, description, admin_state_up, mac, device_id, device_owner, role, router_id, status)
		SELECT id, $1, '', '', '', true, ('02' || substr(id::text, 27, 10))::macaddr, '', '', 'router_gateway', id, 'DOWN' FROM routers WHERE name = ''`, ext.NetworkID)
	exec(`INSERT INTO router_gateways (router_id, port_id, network_id, enable_snat, zone)
		SELECT id, id, $1, true, row_number() OVER (ORDER BY id) + 2 FROM routers WHERE name = ''`, ext.NetworkID)
	if z := zone(); z != 32766 {
		t.Errorf("the last zone is %d", z)
	}
	_, err := l.setGateway(l.router(), ext)
	l.refused(err, signalbox.Conflict, "")
	exec(`DELETE FROM router_gateways WHERE zone = 777`)
	if z := zone(); z != 777 {
		t.Errorf("the free zone is 777, given was %d", z)
	}
}

func TestGatewaysArePlacedWithoutANewRevision(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	r, other, bare := l.router(), l.router(), l.router()
	for _, r := range []*signalbox.Router{r, other} {
		_, err := l.setGateway(r, ext)
		l.must(err)
	}
	h1, h2 := l.host(1), l.host(2)
	v := l.follow()
	place := func(places map[uuid.UUID]uuid.UUID) {
		t.Helper()
		l.must(l.db.PlaceGateways(l.ctx, places))
	}
	at := func(r *signalbox.Router) uuid.UUID { return l.readRouter(r.ID).Gateway.Host }
	place(nil)
	place(map[uuid.UUID]uuid.UUID{r.ID: h1.ID, other.ID: h2.ID, bare.ID: h1.ID, uuid.New(): h1.ID})
	v.await("the places", func() bool {
		return v.routers[r.ID].Gateway.Host == h1.ID && v.routers[other.ID].Gateway.Host == h2.ID
	})
	place(map[uuid.UUID]uuid.UUID{r.ID: uuid.New(), other.ID: h2.ID}) // that host is gone; nothing new
	if at(r) != h1.ID || at(other) != h2.ID || l.readRouter(r.ID).Revision != 2 {
		t.Errorf("at %v and %v", at(r), at(other))
	}
	place(map[uuid.UUID]uuid.UUID{r.ID: h2.ID, other.ID: uuid.Nil})
	v.await("other places", func() bool {
		return v.routers[r.ID].Gateway.Host == h2.ID && v.routers[other.ID].Gateway.Host == uuid.Nil
	})
	if v.told[r.ID] != 3 || v.told[other.ID] != 3 || v.told[bare.ID] != 1 { // the whole view, and two changes
		t.Errorf("told %d, %d and %d times", v.told[r.ID], v.told[other.ID], v.told[bare.ID])
	}
	_, err := l.sql().ExecContext(l.ctx, `DELETE FROM hosts WHERE id = $1`, h2.ID)
	l.must(err)
	if at(r) != uuid.Nil {
		t.Errorf("at a host that is gone: %v", at(r))
	}
	l.network() // rings
	v.awaitTables()
}

func TestFeedTellsOfARouterWhateverChangesOfItsGateway(t *testing.T) {
	l := newLab(t)
	ext := l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254")
	r, other := l.router(), l.router()
	v := l.follow()
	told := 1
	expect := func(what string, cond func(g *signalbox.Gateway) bool) {
		t.Helper()
		told++
		v.await(what, func() bool { return cond(v.routers[r.ID].Gateway) })
		v.awaitTables()
		if v.told[r.ID] != told || v.told[other.ID] != 1 {
			t.Errorf("%s: told of the router %d times, want %d; of the other %d times", what, v.told[r.ID], told, v.told[other.ID])
		}
	}
	p, err := l.setGateway(r, ext)
	l.must(err)
	expect("set", func(g *signalbox.Gateway) bool { return g != nil && g.EnableSNAT })
	r.Gateway.EnableSNAT = false
	l.write(func(tx *store.Tx) error { return tx.UpdateGateway(l.ctx, r) })
	expect("no SNAT", func(g *signalbox.Gateway) bool { return !g.EnableSNAT })
	p.FixedIPs = []signalbox.FixedIP{{SubnetID: ext.ID, Addr: ext.Pools[0].Last}}
	l.write(func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) }) // the port alone: its addresses are the router's
	expect("another address", func(g *signalbox.Gateway) bool { return g.FixedIPs[0] == p.FixedIPs[0] })
	l.must(l.db.SetStatus(l.ctx, map[uuid.UUID]signalbox.Status{p.ID: signalbox.Active})) // no news
	l.must(l.clearGateway(r))
	expect("cleared", func(g *signalbox.Gateway) bool { return g == nil })
	if _, there := v.ports[p.ID]; there {
		t.Error("the port is still there")
	}
}

func TestGatewaysMigrateDownAndUpAgain(t *testing.T) {
	l := newLab(t)
	w := l.way()
	f := l.floating(w.ext)
	l.must(l.associate(f, w.vm))
	l.must(l.db.SaveNeighbours(l.ctx, []signalbox.Neighbour{{NetworkID: w.ext.NetworkID, Addr: w.ext.Pools[0].Last, MAC: signalbox.MAC{2}}}))
	files, err := filepath.Glob("migrations/*.sql")
	l.must(err)
	files = files[2:] // this one, and those that build on it
	pool := l.sql()
	run := func(file string, part func(string) string) {
		text, err := os.ReadFile(file)
		l.must(err)
		_, err = pool.ExecContext(l.ctx, part(string(text)))
		l.must(err)
	}
	for _, file := range slices.Backward(files) {
		run(file, downPart)
	}
	for _, file := range files {
		run(file, upPart)
	}
	l.db = l.open() // its statements are of the tables that there are
	ports := read(l, func(tx *store.Tx) ([]signalbox.Port, error) { return tx.Ports(l.ctx, store.Query{}) })
	if len(ports) != 2 || l.readRouter(w.router.ID).Gateway != nil { // the interface and the VM's
		t.Errorf("%d ports are left: %+v", len(ports), ports)
	}
	_, err = l.setGateway(w.router, w.ext)
	l.must(err)
	l.must(l.associate(l.floating(w.ext), w.vm))
}
