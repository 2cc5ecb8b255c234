package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/controller"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

// region is a cloud with routers and an external network that all its hosts reach.
type region struct {
	*cloud
	public  string // the external network
	routers []joined
}

// joined is what a router joins: those ports on its networks that are plugged in. Port i is on host i modulo their number.
type joined struct{ ports []port }

const (
	routers         = 100
	networksARouter = 10
	portsANetwork   = 20
)

// measureRouters measures what routers cost: with one of them, and with many.
func measureRouters(s *stage, t *table) {
	c := &region{cloud: newCloud(s)}
	c.reachOutside()
	c.join(1)
	few := c.floating(t)
	c.join(routers)
	c.flows(t)
	c.grown(t)
	many := c.floating(t)
	x := many.all.Seconds() / few.all.Seconds()
	t.add("  that against one router", milliseconds(many.all), "at one router "+milliseconds(few.all), ratio(x), bound{}, 0)
	c.anew(t, many.restart)
	t.add("  gateways that it moved, as of hosts that did not come back in time", fmt.Sprintf("%.0f", c.metric("signalbox_gateway_moves_total")), "", "", bound{}, 0)
}

// reachOutside gives each host a bridge to the external network.
func (c *region) reachOutside() {
	for _, h := range c.hosts {
		h.sw.AddBridge("br-ex")
		h.sw.VSCtl("set", "Open_vSwitch", ".", "external_ids:bridge_mappings="+publicNetwork+":br-ex")
	}
	c.await("three hosts mapped to the external network", patience, func() bool {
		return !slices.ContainsFunc(c.reports(), func(h controller.HostReport) bool { return h.Mappings[publicNetwork] == "" })
	})
	var made struct{ Network struct{ ID string } }
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/networks", object{"network": object{"router:external": true,
		"provider:network_type": "flat", "provider:physical_network": publicNetwork}}, &made))
	c.public = made.Network.ID
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/subnets", object{"subnet": object{"network_id": c.public, "cidr": "203.0.112.0/22", "ip_version": 4}}, nil))
}

// join makes routers until there are so many, each with its networks. One port of each network is plugged in on each of the
// three hosts. The others are bound to hosts that are away, for the sake of the three Open vSwitches: with thousands of
// interfaces they answer nobody for minutes.
func (c *region) join(routers int) {
	const atOnce = 10 // routers
	began := time.Now()
	for len(c.routers) < routers {
		var here []port
		for range min(atOnce, routers-len(c.routers)) {
			r := c.router()
			c.routers = append(c.routers, r)
			here = append(here, r.ports...)
		}
		c.plugMany(here, func(*port) string { return "" })
		progress("  routers: %d, ports: %d after %v", len(c.routers), c.ports+c.away, time.Since(began).Round(time.Second))
	}
	for _, r := range c.routers {
		for _, p := range r.ports { // a host learns of a network when the database has heard that it holds a port of it
			var wired controller.PortReport
			if c.must(c.admin.call(c.ctx, http.MethodGet, "/v1/ports/"+p.ID+"?wait=60s", nil, &wired)); !wired.Wired {
				c.Fatalf("not wired within a minute: %+v", wired)
			}
		}
	}
	c.settle()
	progress("  in sync after %v", time.Since(began).Round(time.Second))
}

// router makes a router with a gateway and its networks.
func (c *region) router() joined {
	var made struct{ Router struct{ ID string } }
	c.must(c.api.call(c.ctx, http.MethodPost, "/v2.0/routers", object{"router": object{"external_gateway_info": object{"network_id": c.public}}}, &made))
	var r joined
	var away []port
	for i := range networksARouter {
		n := c.api.network(c.stage, fmt.Sprintf("10.0.%d.0/24", i))
		c.must(c.api.call(c.ctx, http.MethodPut, "/v2.0/routers/"+made.Router.ID+"/add_router_interface", object{"subnet_id": n.Subnet}, nil))
		all := c.bulk(n, portsANetwork)
		r.ports, away = append(r.ports, all[:len(c.hosts)]...), append(away, all[len(c.hosts):]...)
	}
	c.bindAway(away)
	return r
}

func (c *region) reports() (hosts []controller.HostReport) {
	c.must(c.admin.call(c.ctx, http.MethodGet, "/v1/hosts", nil, &hosts))
	return hosts
}

// flows is how many each host has, and would have if the ports that are away were dealt out over the three as well: that
// is compiled from the same database.
func (c *region) flows(t *table) {
	var here, dealt []int
	for _, h := range c.reports() {
		here = append(here, h.FlowsWanted)
	}
	compiler, hosts := c.dealtOut()
	for _, h := range hosts {
		compiler.AddHost(h)
		compiler.Step()
		dealt = append(dealt, compiler.Size(h))
		compiler.DropHost(h)
	}
	all := c.ports + c.away
	t.add(fmt.Sprintf("flows a host, %d routers x %d networks x %d ports on 3 hosts", len(c.routers), networksARouter, portsANetwork), fmt.Sprint(median(dealt)),
		fmt.Sprintf("with %d of them elsewhere %d", c.away, median(here)), fmt.Sprintf("%.1f a port", float64(median(dealt))/float64(all)), bound{}, 0)
}

// dealtOut is a compiler that knows all that the database holds, but that no port is away, and the hosts that are not.
func (c *region) dealtOut() (*flowpipeline.Compiler, []uuid.UUID) {
	facts := c.facts()
	var hosts []uuid.UUID
	switches := map[uuid.UUID]*flowpipeline.Switch{}
	for _, h := range facts.Hosts {
		if h.Mappings[publicNetwork] != "" {
			hosts = append(hosts, h.ID)
			switches[h.ID] = &flowpipeline.Switch{
				Tunnels: map[signalbox.NetworkType]uint32{signalbox.VXLAN: 1 << 16}, Patches: map[string]uint32{publicNetwork: 1<<16 + 1},
				Interfaces: map[string]flowpipeline.Interface{},
			}
		}
	}
	for i := range facts.Ports {
		if b := facts.Ports[i].Binding; b != nil {
			b.HostID = hosts[i%len(hosts)]
			interfaces := switches[b.HostID].Interfaces
			facts.Ports[i].Zone = signalbox.Zone(1<<15 + i) // each of its own, wherever it is
			interfaces[b.Interface] = flowpipeline.Interface{Name: b.Interface, OFPort: uint32(len(interfaces) + 1)}
		}
	}
	compiler := flowpipeline.NewCompiler()
	compiler.Facts.EnforceGroups()
	compiler.Facts.Apply(&facts)
	for _, h := range hosts {
		compiler.Facts.SetSwitch(h, switches[h])
	}
	return compiler, hosts
}

// facts is all that the database holds.
func (c *region) facts() (all signalbox.Delta) {
	db, err := store.Open(c.ctx, c.dsn, store.Options{})
	c.must(err)
	defer db.Close()
	enough := errors.New("enough")
	if err := db.Follow(c.ctx, func(d signalbox.Delta) error { all = d; return enough }); !errors.Is(err, enough) {
		c.must(err)
	}
	return all
}
