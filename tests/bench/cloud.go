package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
	"github.com/signalbox-sdn/signalbox/controller"
	"github.com/signalbox-sdn/signalbox/tests/ovs"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// cloud is the whole of Signalbox, as processes, with three real Open vSwitches.
type cloud struct {
	*stage
	api, admin *client
	hosts      []*hypervisor
	networks   []network
	dsn        string
	ports      int // bound to the three hosts, beside the network's own
	away       int // bound to hosts that are away

	strangers []signalbox.Host // those

	controller *process
	start      func() *process
}

// hypervisor is a host: its switch, the OVSDB that VIFs are plugged into, and the wire to the controller.
type hypervisor struct {
	name string
	sw   *ovs.Switch
	db   *database
	wire *wiretap
}

const (
	members     = 48  // ports that a network gets, dealt out over the three hosts
	membersAway = 240 // or, where most of them are on other hosts
)

// measureCloud measures what needs the whole: first with a few ports, then with many.
func measureCloud(s *stage, t *table) {
	c := newCloud(s)
	c.grow(100)
	few := c.latency(t, 300)
	c.dhcp(t)
	c.growAway(5000)
	compare(t, c.latency(t, 300), few)
	c.grow(5000)
	compare(t, c.latency(t, 50), few)
	t.add("  an OVS without controller, as many ports, adds one", milliseconds(plainPlug(s, c.ports/len(c.hosts))), "", "", bound{}, 0)
	c.grow(10_000)
	c.memory(t)
}

func newCloud(s *stage) *cloud {
	dsn := storetest.StartForTest(s)
	c := &cloud{stage: s, dsn: dsn}
	c.api, _ = startAPI(s, dsn)
	openflow, manager, admin := s.freePort(), s.freePort(), s.freePort()
	c.admin = newClient(admin)
	c.start = func() *process {
		p := s.start("controller", s.binary, "controller", "--database-url", dsn,
			"--openflow-listen", fmt.Sprintf("127.0.0.1:%d", openflow), "--ovsdb-listen", fmt.Sprintf("127.0.0.1:%d", manager),
			"--ovsdb-port", fmt.Sprint(s.freePort()), "--admin-listen", fmt.Sprintf("127.0.0.1:%d", admin))
		s.awaitService(p, c.admin, "/readyz")
		return p
	}
	c.controller = c.start()
	for i := range 3 {
		c.hosts = append(c.hosts, c.join(i+1, openflow, manager))
	}
	c.settle()
	return c
}

// join starts a switch and gives it to the controller in an operator's two lines.
func (c *cloud) join(n, openflow, manager int) *hypervisor {
	h := &hypervisor{name: fmt.Sprintf("host%d", n), sw: ovs.Start(c.stage), wire: tap(c.stage, openflow)}
	h.sw.AddBridge("br-int")
	h.sw.VSCtl("set", "bridge", "br-int", fmt.Sprintf("other-config:datapath-id=%016x", n),
		"--", "set", "Open_vSwitch", ".", "external_ids:hostname="+h.name, fmt.Sprintf("external_ids:local_ip=192.0.2.%d", n))
	h.sw.VSCtl("set-controller", "br-int", "tcp:"+h.wire.address,
		"--", "set", "controller", "br-int", "max_backoff=1000",
		"--", "set-manager", fmt.Sprintf("tcp:127.0.0.1:%d", manager))
	h.db = dialDatabase(c.stage, h.sw.DB())
	return h
}

// settle waits until the controller has found every port and every switch has acknowledged everything.
func (c *cloud) settle() {
	var hosts []controller.HostReport
	defer func() {
		if r := recover(); r != nil {
			c.Fatalf("%v: %+v\n%s", r, hosts, testbed.Tail(c.controller.log, 5))
		}
	}()
	c.await(fmt.Sprintf("three hosts in sync with %d ports", c.ports), 3*time.Minute, func() bool {
		hosts = nil
		if err := c.admin.call(c.ctx, http.MethodGet, "/v1/hosts", nil, &hosts); err != nil {
			return false
		}
		ready, found := 0, 0
		for _, h := range hosts {
			if h.InSync && h.OVSDB != "" {
				ready++
			}
			found += h.Ports
		}
		return ready == len(c.hosts) && found == c.ports
	})
}

// port is a port as the API shows it.
type port struct {
	ID       string `json:"id"`
	MAC      string `json:"mac_address"`
	FixedIPs []struct {
		Addr netip.Addr `json:"ip_address"`
	} `json:"fixed_ips"`
}

// vif is the port's interface. Its name says nothing to the controller: the iface-id must.
func (p *port) vif() vif { return vif{name: "vif" + p.ID[:8], port: p.ID, mac: p.MAC} }

func (p *port) hw() signalbox.MAC { return signalbox.MustMAC(p.MAC) }

// grow makes networks and ports, and plugs them in, until there are so many. Open vSwitch looks at every port of a
// bridge each time that one is added, so many are plugged at once.
func (c *cloud) grow(ports int) {
	const atOnce = 10 // networks
	began := time.Now()
	for c.ports < ports {
		var made []port
		for range atOnce {
			if more := ports - c.ports - len(made); more > 0 {
				n := c.api.network(c.stage, "10.0.0.0/24")
				c.networks = append(c.networks, n)
				made = append(made, c.bulk(n, min(members, more))...)
			}
		}
		c.plugMany(made, func(*port) string { return "" })
	}
	c.settle()
	progress("  %d ports on 3 hosts after %v", c.ports, time.Since(began).Round(time.Second))
}

// growAway makes networks and ports until there are so many, of which each of the three hosts holds only one a
// network: the others are bound to hosts that are away, so that the three have all flows towards them and Open
// vSwitch does not have the interfaces, each of which makes every change of a bridge slower.
func (c *cloud) growAway(ports int) {
	began := time.Now()
	var here []port
	for c.ports+len(here)+c.away < ports {
		n := c.api.network(c.stage, "10.0.0.0/24")
		c.networks = append(c.networks, n)
		made := c.bulk(n, membersAway)
		here = append(here, made[:len(c.hosts)]...)
		c.bindAway(made[len(c.hosts):])
	}
	c.plugMany(here, func(*port) string { return "" })
	c.settle()
	progress("  %d ports on 3 hosts, %d on others after %v", c.ports, c.away, time.Since(began).Round(time.Second))
}

// bindAway binds ports to hosts that are away, by turns.
func (c *cloud) bindAway(ports []port) {
	db, err := store.Open(c.ctx, c.dsn, store.Options{})
	c.must(err)
	defer db.Close()
	for i := len(c.strangers); i < 3; i++ {
		h, err := db.SaveHost(c.ctx, signalbox.Host{DatapathID: signalbox.DatapathID(100 + i), Name: fmt.Sprintf("away%d", i+1),
			TunnelIP: netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}), Managed: true})
		c.must(err)
		c.strangers = append(c.strangers, h)
	}
	there := make([]signalbox.Binding, len(ports))
	for i, p := range ports {
		there[i] = signalbox.Binding{PortID: uuid.MustParse(p.ID), HostID: c.strangers[i%len(c.strangers)].ID, Interface: p.vif().name, By: signalbox.ByInterfaceID}
	}
	c.must(db.Bind(c.ctx, there))
	c.away += len(there)
}

// bulk creates ports in one request.
func (c *cloud) bulk(n network, count int) []port {
	wanted := make([]object, count)
	for i := range wanted {
		wanted[i] = object{"network_id": n.ID, "name": fmt.Sprintf("vm%d", i), "device_owner": "compute:nova"}
	}
	var made struct{ Ports []port }
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/ports", object{"ports": wanted}, &made))
	return made.Ports
}

// plugMany deals ports out over the hosts and returns the rows of each host's OVSDB.
func (c *cloud) plugMany(ports []port, stream func(*port) string) [][]string {
	vifs := make([][]vif, len(c.hosts))
	for i := range ports {
		v := ports[i].vif()
		v.stream = stream(&ports[i])
		vifs[i%len(c.hosts)] = append(vifs[i%len(c.hosts)], v)
	}
	rows := make([][]string, len(c.hosts))
	for i, h := range c.hosts {
		var err error
		rows[i], err = h.db.plug(vifs[i]...)
		c.must(err)
	}
	c.ports += len(ports)
	return rows
}
