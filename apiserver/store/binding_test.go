//go:build integration

package store_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// No two ports of a host share a conntrack zone, a port keeps its own while it stays, and none is given out again at once.
func TestBoundPortsHaveZonesOfTheirOwn(t *testing.T) {
	l := newLab(t)
	n := l.network()
	h1, h2 := l.host(1), l.host(2)
	var ports []*signalbox.Port
	for range 6 {
		ports = append(ports, aPort(n.ID))
	}
	l.write(func(tx *store.Tx) error { return tx.InsertPorts(l.ctx, ports) })
	zone := func(p *signalbox.Port) signalbox.Zone {
		return read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }).Zone
	}
	bind := func(p *signalbox.Port, h signalbox.Host, name string) {
		l.must(l.db.Bind(l.ctx, []signalbox.Binding{{PortID: p.ID, HostID: h.ID, Interface: name, By: signalbox.ByName}}))
	}
	if z := zone(ports[0]); z != 0 {
		t.Errorf("a port that is nowhere has zone %d", z)
	}
	exec := func(sql string) {
		_, err := l.sql().ExecContext(l.ctx, sql)
		l.must(err)
	}
	exec(`SELECT setval('port_zones', 65533)`)
	seen := map[signalbox.Zone]string{}
	for i, p := range ports {
		bind(p, h1, fmt.Sprint("tap", i))
		if z := zone(p); z < 32768 || seen[z] != "" {
			t.Errorf("port %d has zone %d, which %s has too", i, z, seen[z])
		} else {
			seen[z] = fmt.Sprint("port ", i)
		}
	}
	was := zone(ports[0])
	bind(ports[0], h1, "vnet0")
	if z := zone(ports[0]); z != was {
		t.Errorf("on the same host the zone changes from %d to %d", was, z)
	}
	exec(fmt.Sprintf(`SELECT setval('port_zones', %d)`, was)) // the next is ports[1]'s here, and free there
	bind(ports[0], h2, "tap0")
	bind(ports[0], h1, "tap0")
	if z := zone(ports[0]); seen[z] != "" {
		t.Errorf("back on its host the port has %s's zone", seen[z])
	}
	l.must(l.db.Unbind(l.ctx, []signalbox.Binding{{PortID: ports[0].ID, HostID: h1.ID, Interface: "tap0"}}))
	if z := zone(ports[0]); z != 0 {
		t.Errorf("a port that has left has zone %d", z)
	}
}

// A port that is older than security groups is in its project's default one, and one that asked for none stays in none.
func TestPortsOlderThanGroupsAreInTheDefaultOne(t *testing.T) {
	l := newLab(t)
	n := l.network()
	older, asked := aPort(n.ID), aPort(n.ID)
	older.ProjectID = "elders"
	l.write(func(tx *store.Tx) error { return tx.InsertPorts(l.ctx, []*signalbox.Port{older, asked}) })
	text, err := os.ReadFile("migrations/00019_enforcement.sql")
	l.must(err)
	for _, sql := range []string{
		`UPDATE goose_db_version SET tstamp = now() - interval '1 hour' WHERE version_id = 5`,
		fmt.Sprintf(`UPDATE ports SET created_at = now() - interval '2 hours' WHERE id = '%s'`, older.ID),
		downPart(string(text)), upPart(string(text)),
	} {
		_, err := l.sql().ExecContext(l.ctx, sql)
		l.must(err)
	}
	l.db = l.open()
	groups := func(p *signalbox.Port) []uuid.UUID {
		return read(l, func(tx *store.Tx) (*signalbox.Port, error) { return tx.Port(l.ctx, p.ID) }).SecurityGroups
	}
	if got := groups(asked); len(got) != 0 {
		t.Errorf("a port that asked for no group is in %v", got)
	}
	in := groups(older)
	if len(in) != 1 {
		t.Fatalf("the older port is in %v", in)
	}
	g := read(l, func(tx *store.Tx) (*signalbox.SecurityGroup, error) { return tx.SecurityGroup(l.ctx, in[0]) })
	var effects []string
	for i := range g.Rules {
		effects = append(effects, g.Rules[i].Effect())
	}
	slices.Sort(effects)
	want := []string{"egress IPv4 any -1 -1 anybody", "egress IPv6 any -1 -1 anybody",
		"ingress IPv4 any -1 -1 " + g.ID.String(), "ingress IPv6 any -1 -1 " + g.ID.String()}
	if !g.Default || g.ProjectID != "elders" || !slices.Equal(effects, want) {
		t.Errorf("its group is %+v with %q", g, effects)
	}
	var stored int
	l.must(l.sql().QueryRowContext(l.ctx, `SELECT count(*) FROM security_group_rules WHERE group_id = $1 AND effect = ANY(string_to_array($2, ';'))`,
		g.ID, fmt.Sprintf("%s;%s;%s;%s", want[0], want[1], want[2], want[3])).Scan(&stored))
	if stored != 4 {
		t.Errorf("%d of the 4 rules are kept as the program says them", stored)
	}
}
