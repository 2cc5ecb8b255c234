//go:build integration

package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// way is a VM's port that a router joins to an external network.
type way struct {
	router  *signalbox.Router
	inside  *signalbox.Subnet
	ext     *signalbox.Subnet
	vm      *signalbox.Port
	door    *signalbox.Port // the router's interface
	gateway *signalbox.Port
}

func (l *lab) way() way {
	l.t.Helper()
	w := way{router: l.router(), ext: l.external("192.0.2.0/24", "192.0.2.2-192.0.2.254"),
		inside: l.subnet(l.network().ID, "10.0.0.0/24", "10.0.0.1-10.0.0.254")}
	var err error
	w.door, err = l.attach(w.router, w.inside)
	l.must(err)
	w.gateway, err = l.setGateway(w.router, w.ext)
	l.must(err)
	w.vm = l.port(w.inside)
	return w
}

// floating makes a floating IP with the subnet's lowest free address.
func (l *lab) floating(s *signalbox.Subnet) *signalbox.FloatingIP {
	l.t.Helper()
	f := &signalbox.FloatingIP{ID: uuid.New(), ProjectID: "p1"}
	l.write(func(tx *store.Tx) error {
		p := aPort(s.NetworkID)
		p.Role, p.DeviceID, p.DeviceOwner = signalbox.RoleFloatingIP, f.ID.String(), signalbox.DeviceOwnerFloatingIP
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID}}
		f.OwnPortID = p.ID
		if err := tx.InsertPort(l.ctx, p); err != nil {
			return err
		}
		return tx.InsertFloatingIP(l.ctx, f)
	})
	return f
}

var errNoPath = errors.New("no router leads there")

// associate is what an API call does, with all its locks, in any goroutine: the floating IP shall stand for the port's
// first address.
func (l *lab) associate(f *signalbox.FloatingIP, p *signalbox.Port) error {
	return l.db.Write(l.ctx, func(tx *store.Tx) error {
		router, err := tx.RouterBetween(l.ctx, p.FixedIPs[0].SubnetID, f.NetworkID)
		if err != nil || router == uuid.Nil {
			return errors.Join(err, errNoPath)
		}
		if _, err := tx.RouterForShare(l.ctx, router); err != nil {
			return err
		}
		if _, err := tx.PortForUpdate(l.ctx, p.ID); err != nil {
			return err
		}
		now, err := tx.FloatingIPForUpdate(l.ctx, f.ID)
		if err != nil {
			return err
		}
		now.PortID, now.FixedAddr, now.RouterID = p.ID, p.FixedIPs[0].Addr, router
		if err := tx.UpdateFloatingIP(l.ctx, now); err != nil {
			return err
		}
		*f = *now
		return nil
	})
}

func (l *lab) disassociate(id uuid.UUID) error {
	return l.db.Write(l.ctx, func(tx *store.Tx) error {
		f, err := tx.FloatingIPForUpdate(l.ctx, id)
		if err != nil {
			return err
		}
		f.PortID, f.FixedAddr, f.RouterID = uuid.Nil, netip.Addr{}, uuid.Nil
		return tx.UpdateFloatingIP(l.ctx, f)
	})
}

func (l *lab) readFloating(id uuid.UUID) *signalbox.FloatingIP {
	l.t.Helper()
	return read(l, func(tx *store.Tx) (*signalbox.FloatingIP, error) { return tx.FloatingIP(l.ctx, id) })
}

func TestFloatingIPIsReadAsWritten(t *testing.T) {
	l := newLab(t)
	w := l.way()
	f := l.floating(w.ext)
	own := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, f.OwnPortID) })
	want := &signalbox.FloatingIP{ID: f.ID, ProjectID: "p1", NetworkID: w.ext.NetworkID, OwnPortID: own.ID, Addr: own.FixedIPs[0].Addr,
		MAC: own.MAC, Status: signalbox.Down, Meta: f.Meta}
	if got := l.readFloating(f.ID); f.Revision != 1 || !reflect.DeepEqual(f, want) || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	f.Description = "the web"
	l.write(func(tx *store.Tx) error { return tx.UpdateFloatingIP(l.ctx, f) })
	l.must(l.associate(f, w.vm))
	want.Description, want.PortID, want.FixedAddr, want.RouterID, want.Meta = "the web", w.vm.ID, w.vm.FixedIPs[0].Addr, w.router.ID, f.Meta
	if got := l.readFloating(f.ID); f.Revision != 3 || !reflect.DeepEqual(f, want) || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	g := &signalbox.FloatingIP{ID: uuid.New(), PortID: w.vm.ID, FixedAddr: netip.MustParseAddr("10.0.0.99"), RouterID: w.router.ID}
	l.write(func(tx *store.Tx) error { // associated from the beginning, with the port's second address
		w.vm.FixedIPs = append(w.vm.FixedIPs, signalbox.FixedIP{SubnetID: w.inside.ID, Addr: g.FixedAddr})
		own := aPort(w.ext.NetworkID)
		own.Role, own.FixedIPs, g.OwnPortID = signalbox.RoleFloatingIP, []signalbox.FixedIP{{SubnetID: w.ext.ID}}, own.ID
		return errors.Join(tx.UpdatePort(l.ctx, w.vm), tx.InsertPort(l.ctx, own), tx.InsertFloatingIP(l.ctx, g))
	})
	if got := l.readFloating(g.ID); got.PortID != w.vm.ID || got.FixedAddr.String() != "10.0.0.99" || !reflect.DeepEqual(got, g) {
		t.Errorf("got  %+v\nwant %+v", got, g)
	}
	behind := read(l, func(tx *store.Tx) ([]signalbox.FloatingIP, error) {
		return tx.FloatingIPsBehind(l.ctx, w.router.ID, w.inside.ID)
	})
	if !reflect.DeepEqual(behind, []signalbox.FloatingIP{*f, *g}) {
		t.Errorf("behind the interface: %+v", behind)
	}

	l.write(func(tx *store.Tx) error { return tx.DeleteFloatingIP(l.ctx, f.ID) })
	gone := func(fn func(tx *store.Tx) error) {
		t.Helper()
		l.refused(l.db.Write(l.ctx, fn), signalbox.NotFound, "")
	}
	gone(func(tx *store.Tx) error { _, err := tx.FloatingIP(l.ctx, f.ID); return err })
	gone(func(tx *store.Tx) error { _, err := tx.FloatingIPForUpdate(l.ctx, f.ID); return err })
	gone(func(tx *store.Tx) error { return tx.UpdateFloatingIP(l.ctx, f) })
	gone(func(tx *store.Tx) error { return tx.DeleteFloatingIP(l.ctx, f.ID) })
	gone(func(tx *store.Tx) error { _, err := tx.Port(l.ctx, f.OwnPortID); return err })
	if again := l.floating(w.ext); again.Addr != f.Addr {
		t.Errorf("the address was %v, the lowest free one is %v", f.Addr, again.Addr)
	}
}

func TestWhatMustNeverBeTrueOfFloatingIPsIsRefused(t *testing.T) {
	l := newLab(t)
	w := l.way()
	elsewhere := l.way()
	f, free, foreign := l.floating(w.ext), l.floating(w.ext), l.floating(elsewhere.ext)
	l.must(l.associate(f, w.vm))
	to := func(f *signalbox.FloatingIP, p *signalbox.Port, addr string, r *signalbox.Router) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			wrong := *f
			wrong.PortID, wrong.FixedAddr, wrong.RouterID = p.ID, netip.MustParseAddr(addr), r.ID
			return tx.UpdateFloatingIP(l.ctx, &wrong)
		}
	}
	lone := l.port(l.subnet(l.network().ID, "10.9.0.0/24", "10.9.0.2-10.9.0.254"))
	vm := w.vm.FixedIPs[0].Addr.String()
	for _, c := range []struct {
		name   string
		kind   signalbox.ErrKind
		reason signalbox.Reason
		fn     func(tx *store.Tx) error
	}{
		{"two of one address", signalbox.Conflict, signalbox.ReasonFloatingInUse, to(free, w.vm, vm, w.router)},
		{"an address that the port has not", signalbox.NotFound, "", to(free, w.vm, "10.0.0.200", w.router)},
		{"a port that is gone", signalbox.NotFound, "", to(free, aPort(w.inside.NetworkID), vm, w.router)},
		{"no interface on the subnet", signalbox.NotFound, signalbox.ReasonNoPath, to(free, lone, lone.FixedIPs[0].Addr.String(), w.router)},
		{"no gateway on the network", signalbox.NotFound, signalbox.ReasonNoPath, to(foreign, w.vm, vm, w.router)},
		{"no router", signalbox.NotFound, signalbox.ReasonNoPath, to(free, lone, lone.FixedIPs[0].Addr.String(), &signalbox.Router{})},
		{"an own port that is none", signalbox.NotFound, "", func(tx *store.Tx) error {
			return tx.InsertFloatingIP(l.ctx, &signalbox.FloatingIP{ID: uuid.New(), OwnPortID: w.vm.ID})
		}},
		{"one own port for two", signalbox.Conflict, signalbox.ReasonPortInUse, func(tx *store.Tx) error {
			return tx.InsertFloatingIP(l.ctx, &signalbox.FloatingIP{ID: uuid.New(), OwnPortID: f.OwnPortID})
		}},
		{"its own port's end", signalbox.Conflict, signalbox.ReasonPortInUse, func(tx *store.Tx) error { return tx.DeletePort(l.ctx, f.OwnPortID) }},
		{"its interface's end", signalbox.Conflict, signalbox.ReasonInterfaceNeeded, func(tx *store.Tx) error { return tx.DeletePort(l.ctx, w.door.ID) }},
		{"its gateway's end", signalbox.Conflict, signalbox.ReasonGatewayNeeded, func(tx *store.Tx) error { return tx.ClearGateway(l.ctx, w.router) }},
		{"its router's end", signalbox.Conflict, signalbox.ReasonRouterInUse, func(tx *store.Tx) error { return tx.DeleteRouter(l.ctx, w.router.ID) }},
		{"its network's end", signalbox.Conflict, signalbox.ReasonNetworkInUse, func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, w.ext.NetworkID) }},
		{"its subnet's end", signalbox.Conflict, signalbox.ReasonSubnetInUse, func(tx *store.Tx) error { return tx.DeleteSubnet(l.ctx, w.ext.ID) }},
		{"an address has one of each external network", 0, "", func(tx *store.Tx) error {
			second := l.router()
			door, err := l.attach(second, w.inside)
			if err != nil {
				return err
			}
			if _, err = l.setGateway(second, elsewhere.ext); err != nil {
				return err
			}
			return errors.Join(l.associate(foreign, w.vm), l.disassociate(foreign.ID), tx.DeletePort(l.ctx, door.ID))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := *l
			l.t = t
			err := l.db.Write(l.ctx, c.fn)
			if c.kind == 0 {
				l.must(err)
				return
			}
			l.refused(err, c.kind, c.reason)
		})
	}
	l.must(l.disassociate(f.ID)) // and then all may go
	l.deletePort(w.door.ID)
	l.must(l.clearGateway(w.router))
	l.write(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteRouter(l.ctx, w.router.ID), tx.DeleteFloatingIP(l.ctx, f.ID), tx.DeleteFloatingIP(l.ctx, free.ID),
			tx.DeleteNetwork(l.ctx, w.ext.NetworkID))
	})
}

func TestRouterBetweenPrefersTheSubnetsGateway(t *testing.T) {
	l := newLab(t)
	w := l.way()
	between := func() uuid.UUID {
		return read(l, func(tx *store.Tx) (uuid.UUID, error) { return tx.RouterBetween(l.ctx, w.inside.ID, w.ext.NetworkID) })
	}
	other := l.router()
	door, err := l.attach(other, w.inside)
	l.must(err)
	if between() != w.router.ID {
		t.Error("a router without a gateway leads out")
	}
	_, err = l.setGateway(other, w.ext)
	l.must(err)
	if between() != w.router.ID {
		t.Error("not the oldest")
	}
	w.inside.GatewayIP = door.FixedIPs[0].Addr
	l.write(func(tx *store.Tx) error { return tx.UpdateSubnet(l.ctx, w.inside) })
	if between() != other.ID {
		t.Error("not the one that has the subnet's gateway address")
	}
	l.deletePort(door.ID)
	l.deletePort(w.door.ID)
	if got := between(); got != uuid.Nil {
		t.Errorf("%v without an interface", got)
	}
}

func TestFloatingIPIsDisassociatedWithWhatItStandsFor(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(l *lab, tx *store.Tx, w *way) error
	}{
		{"the port goes", func(l *lab, tx *store.Tx, w *way) error { return tx.DeletePort(l.ctx, w.vm.ID) }},
		{"the address goes", func(l *lab, tx *store.Tx, w *way) error {
			w.vm.FixedIPs = []signalbox.FixedIP{{SubnetID: w.inside.ID, Addr: netip.MustParseAddr("10.0.0.50")}}
			return tx.UpdatePort(l.ctx, w.vm)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			w := l.way()
			f, bystander := l.floating(w.ext), l.floating(w.ext)
			l.must(l.associate(f, w.vm))
			l.must(l.associate(bystander, l.port(w.inside)))
			l.must(l.db.SetFloatingStatus(l.ctx, map[uuid.UUID]signalbox.Status{f.ID: signalbox.Active}))
			before := l.readFloating(f.ID)
			v := l.follow()
			l.write(func(tx *store.Tx) error { // another address beside it changes nothing
				w.vm.FixedIPs = append(w.vm.FixedIPs, signalbox.FixedIP{SubnetID: w.inside.ID, Addr: netip.MustParseAddr("10.0.0.50")})
				return tx.UpdatePort(l.ctx, w.vm)
			})
			if got := l.readFloating(f.ID); !reflect.DeepEqual(got, before) {
				t.Errorf("got  %+v\nwant %+v", got, before)
			}
			l.write(func(tx *store.Tx) error { return c.end(l, tx, &w) })
			got := l.readFloating(f.ID)
			want := *before
			want.PortID, want.FixedAddr, want.RouterID, want.Status, want.Meta = uuid.Nil, netip.Addr{}, uuid.Nil, signalbox.Down, got.Meta
			if !reflect.DeepEqual(*got, want) || got.Revision != before.Revision+1 || !got.UpdatedAt.After(before.UpdatedAt) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			v.await("the end", func() bool { f := v.floating[f.ID]; return !f.Associated() })
			v.awaitTables()
			if v.told[f.ID] != 2 || v.told[bystander.ID] != 1 || v.told[w.router.ID] != 1 {
				t.Errorf("told %d times; of the bystander %d, of the router %d times", v.told[f.ID], v.told[bystander.ID], v.told[w.router.ID])
			}
		})
	}
}

func TestFloatingStatusIsEvidence(t *testing.T) {
	l := newLab(t)
	w := l.way()
	f, idle := l.floating(w.ext), l.floating(w.ext)
	l.must(l.associate(f, w.vm))
	v := l.follow()
	set := func(s signalbox.Status) {
		t.Helper()
		l.must(l.db.SetFloatingStatus(l.ctx, map[uuid.UUID]signalbox.Status{f.ID: s, idle.ID: s, uuid.New(): s}))
	}
	l.must(l.db.SetFloatingStatus(l.ctx, nil))
	set(signalbox.Active)
	set(signalbox.Active)
	if got, other := l.readFloating(f.ID), l.readFloating(idle.ID); got.Status != signalbox.Active || got.Revision != f.Revision+1 || other.Status != signalbox.Down {
		t.Errorf("%+v, and what stands for nothing: %+v", got, other)
	}
	l.network()
	v.await("the network that came after", func() bool { return len(v.networks) == 3 })
	if v.told[f.ID] != 1 || v.floating[f.ID].Status != signalbox.Down {
		t.Errorf("told %d times", v.told[f.ID])
	}
	f.Description = "renamed"
	l.write(func(tx *store.Tx) error { return tx.UpdateFloatingIP(l.ctx, f) })
	if f.Status != signalbox.Active { // it stands for what it stood for
		t.Errorf("a new description made it %s", f.Status)
	}
	l.must(l.associate(f, l.port(w.inside)))
	if f.Status != signalbox.Down || l.readFloating(f.ID).Status != signalbox.Down {
		t.Errorf("nobody has seen it work for the other port, and it is %s", f.Status)
	}
	l.write(func(tx *store.Tx) error { return tx.DeleteFloatingIP(l.ctx, f.ID) })
	v.await("the end", func() bool { return len(v.floating) == 1 })
	v.awaitTables()
	if v.fulls != 1 {
		t.Errorf("%d whole views, 1 was enough", v.fulls)
	}
}

func TestFloatingIPsAreListed(t *testing.T) {
	l := newLab(t)
	w := l.way()
	var all []*signalbox.FloatingIP
	for i := range 4 {
		f := l.floating(w.ext)
		f.ProjectID, f.Description = []string{"p1", "p2"}[i%2], fmt.Sprint("f", i)
		l.write(func(tx *store.Tx) error { return tx.UpdateFloatingIP(l.ctx, f) })
		all = append(all, f)
	}
	l.must(l.associate(all[1], w.vm))
	l.must(l.db.SetFloatingStatus(l.ctx, map[uuid.UUID]signalbox.Status{all[1].ID: signalbox.Active}))
	by := func(name string, values ...any) store.Query {
		return store.Query{Filters: map[string][]any{name: values}}
	}
	newest := []store.Order{{Key: "floating_ip_address", Desc: true}}
	for _, c := range []struct {
		name string
		q    store.Query
		want string // indexes; sorted by index unless the query sorts
	}{
		{"all", store.Query{}, "0 1 2 3"},
		{"id", by("id", all[2].ID, "banana"), "2"},
		{"network", by("floating_network_id", w.ext.NetworkID), "0 1 2 3"},
		{"another network", by("floating_network_id", w.inside.NetworkID), ""},
		{"address", by("floating_ip_address", all[3].Addr, "10.0.0.1"), "3"},
		{"fixed address", by("fixed_ip_address", w.vm.FixedIPs[0].Addr.String()), "1"},
		{"port", by("port_id", w.vm.ID), "1"},
		{"another port", by("port_id", w.door.ID), ""},
		{"router", by("router_id", w.router.ID), "1"},
		{"project", by("project_id", "p2"), "1 3"},
		{"tenant", by("tenant_id", "p1"), "0 2"},
		{"status", by("status", "DOWN"), "0 2 3"},
		{"description", by("description", "f0", "f3"), "0 3"},
		{"revision", by("revision_number", 2), "0 2 3"},
		{"visible", store.Query{VisibleTo: "p2"}, "1 3"},
		{"sorted", store.Query{Sort: newest}, "3 2 1 0"},
		{"first page", store.Query{Sort: newest, Limit: 2}, "3 2"},
		{"second page", store.Query{Sort: newest, Limit: 2, Marker: all[2].ID}, "1 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := map[uuid.UUID]int{}
			rows := read(l, func(tx *store.Tx) ([]signalbox.FloatingIP, error) { return tx.FloatingIPs(l.ctx, c.q) })
			words := make([]string, len(rows))
			for i := range rows {
				at[rows[i].ID] = i
			}
			n := 0
			for i, f := range all {
				pos, ok := at[f.ID]
				if !ok {
					continue
				}
				if c.q.Sort == nil {
					pos = n
				}
				words[pos] = fmt.Sprint(i)
				n++
			}
			if got := strings.Join(words, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for _, q := range []store.Query{by("colour", "red"), {Sort: []store.Order{{Key: "colour"}}}} {
		l.refused(l.db.Read(l.ctx, func(tx *store.Tx) error { _, err := tx.FloatingIPs(l.ctx, q); return err }), signalbox.Invalid, signalbox.ReasonUnknownFilter)
	}
	l.refused(l.db.Read(l.ctx, func(tx *store.Tx) error { _, err := tx.FloatingIPs(l.ctx, store.Query{Marker: uuid.New()}); return err }), signalbox.NotFound, "")
}

// Everybody does what the API calls do, at once, with the locks in their order: nobody's transaction is ended for another's
// sake, every refusal has its reason, and the view equals the tables in the end.
func TestConcurrentGatewaysAndFloatingIPsDoNotDeadlock(t *testing.T) {
	l := newLab(t)
	var log bytes.Buffer // slog's handlers lock
	db, err := store.Open(l.ctx, l.dsn, store.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	l.must(err)
	first := l.db
	t.Cleanup(func() { l.must(db.Close()) })
	l.db = db
	w := l.way()
	l.must(l.clearGateway(w.router))
	hosts := []uuid.UUID{l.host(1).ID, l.host(2).ID, uuid.Nil}
	var floating []*signalbox.FloatingIP
	for range 3 {
		floating = append(floating, l.floating(w.ext))
	}
	v := l.follow()
	var wg sync.WaitGroup
	for n := range 8 {
		rnd := newRand(uint64(n))
		wg.Go(func() {
			var mine *signalbox.Port // a VM's port
			for range 60 {
				r, f := *w.router, *floating[rnd.IntN(len(floating))]
				var err error
				switch rnd.IntN(8) {
				case 0:
					_, err = l.setGateway(&r, w.ext)
				case 1:
					err = l.clearGateway(&r)
				case 2:
					_, err = l.attachAlone(&r, w.inside)
				case 3:
					err = l.detach(&r)
				case 4:
					err = l.disassociate(f.ID)
				case 5:
					err = l.db.PlaceGateways(l.ctx, map[uuid.UUID]uuid.UUID{r.ID: hosts[rnd.IntN(len(hosts))]})
				case 6:
					err = l.db.SetFloatingStatus(l.ctx, map[uuid.UUID]signalbox.Status{floating[0].ID: signalbox.Active, floating[1].ID: signalbox.Down, floating[2].ID: signalbox.Active})
				case 7:
					switch {
					case mine == nil:
						mine, err = create(l.ctx, l.db, w.inside)
					case rnd.IntN(4) == 0:
						id := mine.ID
						mine = nil
						err = l.db.Write(l.ctx, func(tx *store.Tx) error {
							if _, err := tx.PortForUpdate(l.ctx, id); err != nil {
								return err
							}
							return tx.DeletePort(l.ctx, id)
						})
					default:
						err = l.associate(&f, mine)
					}
				}
				if e := (*signalbox.Error)(nil); errors.As(err, &e) && (e.Kind == signalbox.Internal || e.Kind == signalbox.Unavailable || e.Kind == signalbox.Conflict && e.Reason == "") {
					t.Errorf("refused with %v", err)
				}
			}
		})
	}
	wg.Wait()
	l.db = first
	for _, f := range floating { // their statuses were no news
		l.write(func(tx *store.Tx) error {
			now, err := tx.FloatingIPForUpdate(l.ctx, f.ID)
			return errors.Join(err, tx.UpdateFloatingIP(l.ctx, now))
		})
	}
	l.write(func(tx *store.Tx) error { // nor was the revision that it got with its interfaces
		now, err := tx.RouterForUpdate(l.ctx, w.router.ID)
		now.Name = "renamed"
		return errors.Join(err, tx.UpdateRouter(l.ctx, now))
	})
	v.awaitTables()
	if strings.Contains(log.String(), "deadlock") {
		t.Errorf("deadlocks:\n%s", log.String())
	}
	for _, f := range floating {
		l.write(func(tx *store.Tx) error { return tx.DeleteFloatingIP(l.ctx, f.ID) })
	}
	if l.readRouter(w.router.ID).Gateway != nil {
		l.must(l.clearGateway(w.router))
	}
	ports := read(l, func(tx *store.Tx) ([]signalbox.Port, error) {
		return tx.Ports(l.ctx, store.Query{Filters: map[string][]any{"network_id": {w.ext.NetworkID}}})
	})
	if len(ports) != 0 {
		t.Errorf("%d ports are left outside", len(ports))
	}
}

// attachAlone is attach with the router's and the network's lock, as the API does it.
func (l *lab) attachAlone(r *signalbox.Router, s *signalbox.Subnet) (*signalbox.Port, error) {
	return l.plug(r, s, func(tx *store.Tx, p *signalbox.Port) error { return tx.AttachPort(l.ctx, p, r.ID) })
}

// detach deletes the router's interfaces.
func (l *lab) detach(r *signalbox.Router) error {
	return l.db.Write(l.ctx, func(tx *store.Tx) error {
		if _, err := tx.RouterForUpdate(l.ctx, r.ID); err != nil {
			return err
		}
		ports, err := tx.RouterPorts(l.ctx, r.ID)
		for i := range ports {
			err = errors.Join(err, tx.DeletePort(l.ctx, ports[i].ID))
		}
		return err
	})
}
