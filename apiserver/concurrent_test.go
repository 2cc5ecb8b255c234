//go:build integration

package apiserver_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// creators is how many clients ask at once, servers how many API servers they ask.
const (
	creators = 64
	servers  = 3
)

// crowd is many clients of several servers on one database.
func crowd(t *testing.T) []*client {
	dsn := storetest.StartForTest(t)
	s := settings
	s.VNIRanges = "1:200" // so few that choices collide
	s.NetworkVLANRanges = "physnet1:1:40"
	var some, all []*client
	for range servers {
		some = append(some, &client{t: t, handler: newServer(t, dsn, s)})
	}
	for i := range creators {
		all = append(all, some[i%servers])
	}
	return all
}

// together runs do for every client at once, and counts the answers by status and error name.
func together(clients []*client, do func(i int, c *client) (int, object)) map[string]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := map[string]int{}
	for i, c := range clients {
		wg.Go(func() {
			status, answer := do(i, c)
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprintf("%d%s", status, errorName(answer))]++
		})
	}
	wg.Wait()
	return answers
}

func want(t *testing.T, what string, answers map[string]int, wanted map[string]int) {
	t.Helper()
	if fmt.Sprint(answers) != fmt.Sprint(wanted) {
		t.Errorf("%s: answers %v, want %v", what, answers, wanted)
	}
}

// distinct reports what appears more than once.
func distinct(t *testing.T, what string, items []object, key func(object) string) {
	t.Helper()
	seen := map[string]bool{}
	for _, i := range items {
		k := key(i)
		if seen[k] {
			t.Errorf("%s %s appears twice", what, k)
		}
		seen[k] = true
	}
}

func TestManyCreatorsNeverGetOneAddressOrMAC(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/24", nil)
	port := func(more object) func(int, *client) (int, object) {
		return func(_ int, c *client) (int, object) {
			attributes := object{"network_id": n}
			for k, v := range more {
				attributes[k] = v
			}
			return c.call("POST", "/v2.0/ports", object{"port": attributes})
		}
	}
	want(t, "any address", together(clients, port(nil)), map[string]int{"201": creators})
	want(t, "one MAC", together(clients, port(object{"mac_address": "fa:16:3e:00:00:01"})),
		map[string]int{"201": 1, "409MacAddressInUse": creators - 1})
	want(t, "one address", together(clients, port(object{"fixed_ips": []any{object{"ip_address": "10.0.0.200"}}})),
		map[string]int{"201": 1, "409IpAddressAlreadyAllocated": creators - 1})
	want(t, "three servers' worth of bulk", together(clients[:16], func(_ int, c *client) (int, object) {
		return c.call("POST", "/v2.0/ports", object{"ports": []any{object{"network_id": n}, object{"network_id": n}, object{"network_id": n}}})
	}), map[string]int{"201": 16})

	ports := c.list("ports", "")
	if len(ports) != 1+creators+1+1+48 {
		t.Errorf("%d ports", len(ports))
	}
	distinct(t, "address", ports, func(p object) string { return addrs(p)[0] })
	distinct(t, "MAC", ports, func(p object) string { return p["mac_address"].(string) })

	rest := 253 - len(ports)
	full := together(clients, port(nil))
	for range 2 {
		for k, v := range together(clients, port(nil)) {
			full[k] += v
		}
	}
	want(t, "until it is full", full, map[string]int{"201": rest, "409IpAddressGenerationFailure": 3*creators - rest})
}

func TestManyCreatorsNeverGetOneSegment(t *testing.T) {
	clients := crowd(t)
	create := func(attributes object) func(int, *client) (int, object) {
		return func(int, *client) (int, object) {
			return clients[0].call("POST", "/v2.0/networks", object{"network": attributes})
		}
	}
	any := func(_ int, c *client) (int, object) {
		return c.call("POST", "/v2.0/networks", object{"network": object{}})
	}
	for range 3 {
		want(t, "any segment", together(clients, any), map[string]int{"201": creators})
	}
	want(t, "one VLAN", together(clients, create(object{
		"provider:network_type": "vlan", "provider:physical_network": "physnet1", "provider:segmentation_id": 7})),
		map[string]int{"201": 1, "409VlanIdInUse": creators - 1})
	want(t, "until all are taken", together(clients, any), // 8 tunnel ids and 39 VLANs
		map[string]int{"201": 47, "409NoNetworkAvailable": creators - 47})
	networks := clients[0].list("networks", "")
	if len(networks) != 240 {
		t.Errorf("%d networks", len(networks))
	}
	distinct(t, "segment", networks, func(n object) string {
		return fmt.Sprint(n["provider:network_type"], n["provider:physical_network"], n["provider:segmentation_id"])
	})
}

func TestManyCreatorsNeverGetOverlappingSubnets(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	n := c.network(nil)
	want(t, "one block", together(clients, func(i int, c *client) (int, object) {
		cidr := fmt.Sprintf("10.0.0.0/%d", 16+i%8)
		return c.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "cidr": cidr}})
	}), map[string]int{"201": 1, "400InvalidInput": creators - 1})
	want(t, "a block each", together(clients, func(i int, c *client) (int, object) {
		cidr := fmt.Sprintf("10.1.%d.0/24", i)
		return c.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 4, "cidr": cidr}})
	}), map[string]int{"201": creators})
	if got := len(c.list("subnets", "")); got != 1+creators {
		t.Errorf("%d subnets", got)
	}
	distinct(t, "DHCP address", c.dhcpPorts(n), func(p object) string { return addrs(p)[0] })
}

// TestDeletionsAndCreationsLeaveNoOrphans: a port is on a network that is there, whoever was first.
func TestDeletionsAndCreationsLeaveNoOrphans(t *testing.T) {
	clients := crowd(t)
	c := clients[0]
	var networks []string
	for range creators / 4 {
		n := c.network(nil)
		c.subnet(n, "10.0.0.0/24", nil)
		networks = append(networks, n)
	}
	answers := together(clients, func(i int, c *client) (int, object) {
		n := networks[i/4]
		switch i % 4 {
		case 0:
			return c.call("DELETE", "/v2.0/networks/"+n, nil)
		case 1:
			return c.call("POST", "/v2.0/subnets", object{"subnet": object{"network_id": n, "ip_version": 6, "cidr": "fd00::/64",
				"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}})
		}
		return c.call("POST", "/v2.0/ports", object{"port": object{"network_id": n}})
	})
	for answer := range answers {
		switch answer {
		case "201", "204", "404NetworkNotFound", "409NetworkInUse":
		default:
			t.Errorf("answers %v", answers)
		}
	}
	there := map[string]bool{}
	for _, n := range c.list("networks", "") {
		there[n["id"].(string)] = true
	}
	slaac := map[string]bool{}
	for _, s := range c.list("subnets", "") {
		if !there[s["network_id"].(string)] {
			t.Errorf("orphan: %v", s)
		}
		slaac[s["network_id"].(string)] = slaac[s["network_id"].(string)] || s["ipv6_ra_mode"] == "slaac"
	}
	for _, p := range c.list("ports", "") {
		if !there[p["network_id"].(string)] {
			t.Errorf("orphan: %v", p)
		}
		if p["device_owner"] == "" && slaac[p["network_id"].(string)] != (len(addrs(p)) == 2) {
			t.Errorf("SLAAC %v, but the port has %v", slaac[p["network_id"].(string)], addrs(p))
		}
	}
}
