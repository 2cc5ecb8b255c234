package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/signalbox-sdn/signalbox"
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
	ports      int // bound, beside the network's own

	controller *process
	start      func() *process
}

// hypervisor is a host: its switch, and the OVSDB that VIFs are plugged into.
type hypervisor struct {
	name string
	sw   *ovs.Switch
	db   *database
}

// members is how many ports a network gets, dealt out over the hosts.
const members = 48

// measureCloud measures what needs the whole: first with a few ports, then with many.
func measureCloud(s *stage, t *table) {
	c := newCloud(s)
	c.grow(100)
	few := c.latency(t, nil)
	c.dhcp(t)
	c.grow(5000)
	c.latency(t, few)
	c.grow(10_000)
	c.memory(t)
}

func newCloud(s *stage) *cloud {
	c := &cloud{stage: s}
	binary, dsn := signalboxBinary(s), storetest.StartForTest(s)
	c.api, _ = startAPI(s, binary, dsn)
	openflow, manager, admin := s.freePort(), s.freePort(), s.freePort()
	c.admin = newClient(admin)
	c.start = func() *process {
		p := s.start("controller", binary, "controller", "--database-url", dsn,
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
	h := &hypervisor{name: fmt.Sprintf("host%d", n), sw: ovs.Start(c.stage)}
	h.sw.AddBridge("br-int")
	h.sw.VSCtl("set", "bridge", "br-int", fmt.Sprintf("other-config:datapath-id=%016x", n),
		"--", "set", "Open_vSwitch", ".", "external_ids:hostname="+h.name, fmt.Sprintf("external_ids:local_ip=192.0.2.%d", n))
	h.sw.VSCtl("set-controller", "br-int", fmt.Sprintf("tcp:127.0.0.1:%d", openflow),
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
	c.await(fmt.Sprintf("three hosts in sync with %d ports", c.ports), time.Minute, func() bool {
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

// grow makes networks and ports, and plugs them in, until there are so many.
func (c *cloud) grow(ports int) {
	began := time.Now()
	for c.ports < ports {
		n := c.api.network(c.stage, "10.0.0.0/24")
		c.networks = append(c.networks, n)
		c.plugMany(c.bulk(n, min(members, ports-c.ports)), func(*port) string { return "" })
	}
	c.settle()
	progress("  %d ports on 3 hosts after %v", c.ports, time.Since(began).Round(time.Second))
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
	rows := make([][]string, len(c.hosts))
	for h := range c.hosts {
		var vifs []vif
		for i := h; i < len(ports); i += len(c.hosts) {
			v := ports[i].vif()
			v.stream = stream(&ports[i])
			vifs = append(vifs, v)
		}
		if len(vifs) == 0 {
			continue
		}
		var err error
		rows[h], err = c.hosts[h].db.plug(vifs...)
		c.must(err)
	}
	c.ports += len(ports)
	return rows
}
