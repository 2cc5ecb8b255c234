//go:build integration

package store_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

func TestWhatMustNeverBeTrueIsRefused(t *testing.T) {
	l := newLab(t)
	n, m := l.network(), l.network()
	s := l.subnet(n.ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	p := l.port(s)
	vlan := signalbox.Segment{Type: signalbox.VLAN, Physical: "default", ID: 100}
	flat := signalbox.Segment{Type: signalbox.Flat, Physical: "default"}
	l.write(func(tx *store.Tx) error { return tx.ClaimSegment(l.ctx, vlan, n.ID) })
	other := l.network()
	l.write(func(tx *store.Tx) error { return tx.ClaimSegment(l.ctx, flat, other.ID) })

	for _, c := range []struct {
		name   string
		kind   signalbox.ErrKind
		reason signalbox.Reason
		fn     func(tx *store.Tx) error
	}{
		{"overlapping CIDR", signalbox.Invalid, signalbox.ReasonOverlappingCIDR, func(tx *store.Tx) error {
			return tx.InsertSubnet(l.ctx, &signalbox.Subnet{ID: uuid.New(), NetworkID: n.ID, CIDR: netip.MustParsePrefix("10.0.0.128/25")})
		}},
		{"the same CIDR on another network is none", 0, "", func(tx *store.Tx) error {
			return tx.InsertSubnet(l.ctx, &signalbox.Subnet{ID: uuid.New(), NetworkID: m.ID, CIDR: s.CIDR})
		}},
		{"overlapping pools", signalbox.Conflict, "", func(tx *store.Tx) error {
			return tx.InsertSubnet(l.ctx, &signalbox.Subnet{ID: uuid.New(), NetworkID: n.ID, CIDR: netip.MustParsePrefix("10.1.0.0/24"),
				Pools: ranges("10.1.0.2-10.1.0.20", "10.1.0.20-10.1.0.30")})
		}},
		{"MAC in use", signalbox.Conflict, signalbox.ReasonMACInUse, func(tx *store.Tx) error {
			q := aPort(n.ID)
			q.MAC = p.MAC
			return tx.InsertPort(l.ctx, q)
		}},
		{"the same MAC on another network is free", 0, "", func(tx *store.Tx) error {
			q := aPort(m.ID)
			q.MAC = p.MAC
			return tx.InsertPort(l.ctx, q)
		}},
		{"address in use", signalbox.Conflict, signalbox.ReasonIPInUse, func(tx *store.Tx) error {
			q := aPort(n.ID)
			q.FixedIPs = p.FixedIPs
			return tx.InsertPort(l.ctx, q)
		}},
		{"port on no network", signalbox.NotFound, "", func(tx *store.Tx) error { return tx.InsertPort(l.ctx, aPort(uuid.New())) }},
		{"segment in use", signalbox.Conflict, signalbox.ReasonSegmentInUse, func(tx *store.Tx) error { return tx.ClaimSegment(l.ctx, vlan, m.ID) }},
		{"flat network twice", signalbox.Conflict, signalbox.ReasonSegmentInUse, func(tx *store.Tx) error { return tx.ClaimSegment(l.ctx, flat, m.ID) }},
		{"VLAN out of range", signalbox.Invalid, "", func(tx *store.Tx) error {
			return tx.ClaimSegment(l.ctx, signalbox.Segment{Type: signalbox.VLAN, Physical: "default", ID: 4095}, m.ID)
		}},
		{"GRE on a physical network", signalbox.Invalid, "", func(tx *store.Tx) error {
			return tx.ClaimSegment(l.ctx, signalbox.Segment{Type: signalbox.GRE, Physical: "default", ID: 1}, m.ID)
		}},
		{"network with ports", signalbox.Conflict, signalbox.ReasonNetworkInUse, func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, n.ID) }},
		{"subnet with addresses", signalbox.Conflict, signalbox.ReasonSubnetInUse, func(tx *store.Tx) error { return tx.DeleteSubnet(l.ctx, s.ID) }},
		{"no such port", signalbox.NotFound, "", func(tx *store.Tx) error { return tx.DeletePort(l.ctx, uuid.New()) }},
		{"no such network", signalbox.NotFound, "", func(tx *store.Tx) error { _, err := tx.NetworkForUpdate(l.ctx, uuid.New()); return err }},
		{"a zero byte in a name", signalbox.Invalid, "", func(tx *store.Tx) error {
			bad := aNetwork()
			bad.Name = "a\x00b"
			return tx.InsertNetwork(l.ctx, bad)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := l.db.Write(l.ctx, c.fn)
			if c.kind == 0 {
				l.must(err)
				return
			}
			l.refused(err, c.kind, c.reason)
		})
	}
}

func TestNetworkGoesWithItsSubnetsAndItsSegmentIsFree(t *testing.T) {
	l := newLab(t)
	n := l.network()
	s := l.subnet(n.ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	seg := signalbox.Segment{Type: signalbox.GRE, ID: 7}
	l.write(func(tx *store.Tx) error { return tx.ClaimSegment(l.ctx, seg, n.ID) })
	got := read(l, func(tx *store.Tx) (*signalbox.Network, error) { return tx.Network(l.ctx, n.ID) })
	if got.Segment != seg || !reflect.DeepEqual(got.Subnets, []uuid.UUID{s.ID}) {
		t.Errorf("got %+v", got)
	}
	p := l.port(s)
	l.deletePort(p.ID)
	l.write(func(tx *store.Tx) error { return tx.DeleteNetwork(l.ctx, n.ID) })
	l.refused(l.db.Read(l.ctx, func(tx *store.Tx) error { _, err := tx.Subnet(l.ctx, s.ID); return err }), signalbox.NotFound, "")
	m := l.network()
	l.write(func(tx *store.Tx) error { return tx.ClaimSegment(l.ctx, seg, m.ID) })
	if m.Key == n.Key {
		t.Error("the key came back")
	}
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	l := newLab(t)
	n := &signalbox.Network{ID: uuid.New(), ProjectID: "p", Name: "ü', \"{}", Description: "d", AdminStateUp: true, Shared: true, External: true,
		MTU: 1450, Segment: signalbox.Segment{Type: signalbox.Local}}
	s := &signalbox.Subnet{ID: uuid.New(), NetworkID: n.ID, ProjectID: "p", Name: "s", Description: "d", CIDR: netip.MustParsePrefix("2001:db8::/64"),
		GatewayIP: netip.MustParseAddr("2001:db8::1"), EnableDHCP: true, Pools: ranges("2001:db8::2-2001:db8::ffff", "2001:db8::1:0-2001:db8::2:0"),
		DNSServers: []netip.Addr{netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("2001:db8::5")},
		HostRoutes: []signalbox.Route{{Destination: netip.MustParsePrefix("2001:db9::/48"), NextHop: netip.MustParseAddr("2001:db8::9")}},
		RAMode:     signalbox.SLAAC, AddressMode: signalbox.SLAAC}
	p := &signalbox.Port{ID: uuid.New(), NetworkID: n.ID, ProjectID: "p", Name: "n", Description: "d", AdminStateUp: true,
		MAC: signalbox.MustMAC("ff:ff:ff:ff:ff:05"), DeviceID: "vm", DeviceOwner: "compute:nova", Role: signalbox.RoleDHCP, Status: signalbox.Down,
		FixedIPs: []signalbox.FixedIP{{SubnetID: s.ID, Addr: netip.MustParseAddr("2001:db8::99")}, {SubnetID: s.ID, Addr: netip.MustParseAddr("2001:db8::7")}}}
	l.write(func(tx *store.Tx) error {
		return errors.Join(tx.InsertNetwork(l.ctx, n), tx.InsertSubnet(l.ctx, s), tx.InsertPort(l.ctx, p))
	})
	n.Subnets = []uuid.UUID{s.ID}
	made := n.UpdatedAt
	normal := func(m *signalbox.Meta) { m.CreatedAt, m.UpdatedAt = m.CreatedAt.UTC(), m.UpdatedAt.UTC() }
	normal(&n.Meta)
	if got := read(l, func(tx *store.Tx) (*signalbox.Network, error) { return tx.Network(l.ctx, n.ID) }); !got.UpdatedAt.After(made) {
		t.Error("a subnet has not revised its network")
	} else if n.Revision, n.UpdatedAt = 4, got.UpdatedAt; !reflect.DeepEqual(got, n) {
		t.Errorf("got  %+v\nwant %+v", got, n)
	}
	if got := read(l, func(tx *store.Tx) (*signalbox.Subnet, error) { return tx.Subnet(l.ctx, s.ID) }); !reflect.DeepEqual(got, s) {
		t.Errorf("got  %+v\nwant %+v", got, s)
	}
	if got := read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }); !reflect.DeepEqual(got, p) {
		t.Errorf("got  %+v\nwant %+v", got, p)
	}
	before := p.Meta
	p.Name = "renamed"
	l.write(func(tx *store.Tx) error { return tx.UpdatePort(l.ctx, p) })
	if p.Revision != before.Revision+1 || !p.UpdatedAt.After(before.UpdatedAt) || p.CreatedAt != before.CreatedAt {
		t.Errorf("meta was %v, is %v", before, p.Meta)
	}
}

func TestConcurrentPickersGetEverySegmentOnce(t *testing.T) {
	l := newLab(t)
	segments := [][2]uint32{{100, 119}, {200, 219}}
	var mu sync.Mutex
	got := map[uint32]bool{}
	refused := 0
	var wg sync.WaitGroup
	for w := range 16 {
		rnd := newRand(uint64(w))
		wg.Go(func() {
			for range 3 {
				n := aNetwork()
				var seg signalbox.Segment
				err := l.db.Write(l.ctx, func(tx *store.Tx) (err error) {
					if seg, err = tx.PickSegment(l.ctx, n.ID, signalbox.VLAN, "default", segments, rnd.IntN); err != nil {
						return err
					}
					return tx.InsertNetwork(l.ctx, n)
				})
				mu.Lock()
				var e *signalbox.Error
				switch {
				case err == nil && !got[seg.ID]:
					got[seg.ID] = true
				case errors.As(err, &e) && e.Reason == signalbox.ReasonNoSegment:
					refused++
				default:
					t.Errorf("segment %v, error %v", seg, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(got) != 40 || refused != 8 {
		t.Errorf("%d segments given, %d refused", len(got), refused)
	}
}

func TestListsAreFilteredSortedAndPaged(t *testing.T) {
	l := newLab(t)
	n, m := l.network(), l.network()
	m.Shared, m.Name = true, "shared"
	l.write(func(tx *store.Tx) error { return tx.UpdateNetwork(l.ctx, m) })
	s := l.subnet(n.ID, "10.0.0.0/24", "10.0.0.2-10.0.0.254")
	var ports []*signalbox.Port
	for i, name := range []string{"c", "a", "b", "a"} {
		p := aPort(n.ID)
		p.Name, p.ProjectID, p.AdminStateUp = name, []string{"p1", "p2"}[i%2], i > 0
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)})}}
		l.write(func(tx *store.Tx) error { return tx.InsertPort(l.ctx, p) })
		ports = append(ports, p)
	}
	by := func(name string, values ...any) store.Query {
		return store.Query{Filters: map[string][]any{name: values}}
	}
	sorted := []store.Order{{Key: "name"}, {Key: "mac_address", Desc: true}}
	twins := "1 3"
	if ports[1].MAC.String() < ports[3].MAC.String() {
		twins = "3 1"
	}
	last := map[string]int{"1 3": 3, "3 1": 1}[twins]
	for _, c := range []struct {
		name string
		q    store.Query
		want string // indexes of ports; sorted by index unless the query sorts
	}{
		{"all", store.Query{}, "0 1 2 3"},
		{"name", by("name", "a", "c"), "0 1 3"},
		{"id", by("id", ports[2].ID, "banana"), "2"},
		{"nonsense matches nothing", by("id", "banana"), ""},
		{"mac", by("mac_address", ports[1].MAC.String()), "1"},
		{"project", by("project_id", "p2"), "1 3"},
		{"admin state", by("admin_state_up", "False"), "0"},
		{"status", by("status", "DOWN"), "0 1 2 3"},
		{"network", by("network_id", n.ID), "0 1 2 3"},
		{"other network", by("network_id", m.ID), ""},
		{"address", by("fixed_ips", "ip_address=10.0.0.12"), "2"},
		{"address and subnet", by("fixed_ips", "ip_address=10.0.0.12", "ip_address=10.0.0.13", "subnet_id="+s.ID.String()), "2 3"},
		{"address and other subnet", by("fixed_ips", "ip_address=10.0.0.12", "subnet_id="+uuid.NewString()), ""},
		{"two attributes", store.Query{Filters: map[string][]any{"name": {"a"}, "tenant_id": {"p2"}, "device_owner": {""}}}, "1 3"},
		{"sorted", store.Query{Sort: sorted}, twins + " 2 0"},
		{"first page", store.Query{Sort: sorted, Limit: 2}, twins},
		{"second page", store.Query{Sort: sorted, Limit: 2, Marker: ports[last].ID}, "2 0"},
		{"visible", store.Query{VisibleTo: "p2"}, "1 3"},
		{"the network's owner sees all", store.Query{VisibleTo: "p1"}, "0 1 2 3"},
		{"an attempt", by("name", "a' OR '1'='1", "x\x00"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var words []string
			rows := read(l, func(tx *store.Tx) ([]signalbox.Port, error) { return tx.Ports(l.ctx, c.q) })
			at := map[uuid.UUID]int{}
			for i := range rows {
				at[rows[i].ID] = i + 1
			}
			if c.q.Sort != nil {
				words = make([]string, len(rows))
			}
			for i, p := range ports {
				if pos := at[p.ID]; pos > 0 && c.q.Sort != nil {
					words[pos-1] = string(rune('0' + i))
				} else if pos > 0 {
					words = append(words, string(rune('0'+i)))
				}
			}
			if got := strings.Join(words, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for _, q := range []store.Query{by("colour", "red"), by("fixed_ips", "colour=red"), {Sort: []store.Order{{Key: "colour"}}}} {
		l.refused(l.db.Read(l.ctx, func(tx *store.Tx) error { _, err := tx.Ports(l.ctx, q); return err }), signalbox.Invalid, signalbox.ReasonUnknownFilter)
	}
	l.refused(l.db.Read(l.ctx, func(tx *store.Tx) error { _, err := tx.Ports(l.ctx, store.Query{Marker: uuid.New()}); return err }), signalbox.NotFound, "")
	for name, want := range map[string]int{"p1": 2, "p2": 1} {
		if got := read(l, func(tx *store.Tx) ([]signalbox.Network, error) {
			return tx.Networks(l.ctx, store.Query{VisibleTo: name})
		}); len(got) != want {
			t.Errorf("%s sees %d networks", name, len(got))
		}
	}
	for name, value := range map[string]any{"cidr": "10.0.0.0/24", "ip_version": 4, "enable_dhcp": false, "network_id": n.ID} {
		if got := read(l, func(tx *store.Tx) ([]signalbox.Subnet, error) { return tx.Subnets(l.ctx, by(name, value)) }); len(got) != 1 {
			t.Errorf("subnets by %s: %d", name, len(got))
		}
	}
	for _, q := range []store.Query{by("gateway_ip", "10.0.0.1"), by("cidr", "10.0.0.1/24")} {
		if got := read(l, func(tx *store.Tx) ([]signalbox.Subnet, error) { return tx.Subnets(l.ctx, q) }); len(got) != 0 {
			t.Errorf("subnets by %v: %d", q.Filters, len(got))
		}
	}
	for name, value := range map[string]any{"provider:network_type": "local", "router:external": false, "admin_state_up": true, "status": "ACTIVE"} {
		if got := read(l, func(tx *store.Tx) ([]signalbox.Network, error) { return tx.Networks(l.ctx, by(name, value)) }); len(got) != 2 {
			t.Errorf("networks by %s: %d", name, len(got))
		}
	}
}

func TestHostKeepsItsIDAndBindingsAreOfTheirPlace(t *testing.T) {
	l := newLab(t)
	n := l.network()
	p, dhcp := aPort(n.ID), aPort(n.ID)
	dhcp.Role = signalbox.RoleDHCP
	l.write(func(tx *store.Tx) error { return errors.Join(tx.InsertPort(l.ctx, p), tx.InsertPort(l.ctx, dhcp)) })
	h1, h2 := l.host(1), l.host(0xfedcba9876543210)
	full := signalbox.Host{DatapathID: h2.DatapathID, Name: "n", TunnelIP: netip.MustParseAddr("192.0.2.1"), Mappings: map[string]string{"default": "br-eth2"}, Managed: true, Datapath: "netdev"}
	got, err := l.db.SaveHost(l.ctx, full)
	l.must(err)
	full.ID, full.MAC = h2.ID, h2.MAC
	if !reflect.DeepEqual(got, full) {
		t.Errorf("got %+v, want %+v", got, full)
	}
	at := func(h signalbox.Host, name string) signalbox.Binding {
		return signalbox.Binding{PortID: p.ID, HostID: h.ID, Interface: name, By: signalbox.ByInterfaceID}
	}
	place := func() *signalbox.Binding {
		return read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }).Binding
	}
	toDHCP, nowhere, gone := at(h1, "x"), at(h1, "x"), at(h1, "x")
	toDHCP.PortID, nowhere.HostID, gone.PortID = dhcp.ID, uuid.New(), uuid.New()
	l.must(l.db.Bind(l.ctx, []signalbox.Binding{at(h1, "tap1"), toDHCP, gone}))
	l.must(l.db.Bind(l.ctx, []signalbox.Binding{nowhere}))
	if b := place(); b == nil || *b != at(h1, "tap1") {
		t.Errorf("at %v", b)
	}
	l.must(l.db.Bind(l.ctx, []signalbox.Binding{at(h1, "tap1"), at(h2, "tap2")})) // the newest wins
	l.must(l.db.Unbind(l.ctx, []signalbox.Binding{at(h1, "tap1"), at(h2, "tap1")}))
	if b := place(); b == nil || *b != at(h2, "tap2") {
		t.Errorf("at %v", b)
	}
	l.must(l.db.Unbind(l.ctx, []signalbox.Binding{at(h2, "tap2")}))
	if b := place(); b != nil {
		t.Errorf("at %v", b)
	}
	var changes int
	count := `SELECT count(*) FROM changes`
	l.must(l.sql().QueryRowContext(l.ctx, count).Scan(&changes))
	_, err = l.db.SaveHost(l.ctx, full)
	l.must(err)
	l.must(l.db.Unbind(l.ctx, []signalbox.Binding{at(h2, "tap2")}))
	var after int
	l.must(l.sql().QueryRowContext(l.ctx, count).Scan(&after))
	if after != changes {
		t.Errorf("%d change rows for nothing new", after-changes)
	}
}

func TestThreeServersMigrateAtOnce(t *testing.T) {
	l := newLab(t)
	_, err := l.sql().ExecContext(l.ctx, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	l.must(err)
	results := make(chan error)
	for range 3 {
		db := l.open()
		go func() { results <- db.Migrate(l.ctx) }()
	}
	for range 3 {
		l.must(<-results)
	}
	l.network()
}
