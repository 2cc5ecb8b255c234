//go:build integration

package apiserver_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

func (c *client) updatePort(p object, attributes object) object {
	c.t.Helper()
	return c.must(200, "PUT", portURL(p), object{"port": attributes})
}

func portURL(p object) string { return "/v2.0/ports/" + p["id"].(string) }

// has holds what an object has against what it is to have.
func (c *client) has(got object, want object) {
	c.t.Helper()
	for name, v := range want {
		if !reflect.DeepEqual(got[name], v) {
			c.t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
}

func TestPortsAreBoundWhereTheyAreAskedForOrAre(t *testing.T) {
	dsn, ctx := storetest.StartForTest(t), context.Background()
	c := &client{t: t, handler: newServer(t, dsn, settings)}
	db, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h, err := db.SaveHost(ctx, signalbox.Host{DatapathID: 1, Name: "compute1", Managed: true, Datapath: "netdev"})
	if err != nil {
		t.Fatal(err)
	}
	network := c.network(nil)
	const host, vif, details = "binding:host_id", "binding:vif_type", "binding:vif_details"
	wired := object{"port_filter": true, "connectivity": "l2", "ovs_hybrid_plug": false, "bridge_name": "br-int", "datapath_type": "netdev",
		"bound_drivers": object{"0": "openvswitch"}}

	p := c.create("port", object{"network_id": network})
	c.has(p, object{host: "", vif: "unbound", details: object{}, "binding:vnic_type": "normal", "binding:profile": object{}})
	c.has(c.updatePort(p, object{host: "nowhere"}), object{host: "nowhere", vif: "binding_failed", details: object{}})
	c.has(c.updatePort(p, object{host: "compute1"}), object{host: "compute1", vif: "ovs", details: wired})
	c.has(c.create("port", object{"network_id": network, host: "compute1"}), object{host: "compute1", vif: "ovs", details: wired})
	c.has(c.updatePort(p, object{"binding:vnic_type": "direct"}), object{host: "compute1", vif: "binding_failed", details: object{}})
	c.has(c.updatePort(p, object{"binding:vnic_type": "normal"}), object{vif: "ovs"})
	c.refused(409, "PortBound", "PUT", portURL(p), object{"port": object{"mac_address": "fa:16:3e:00:00:77"}})
	c.has(c.updatePort(p, object{host: nil}), object{host: "", vif: "unbound"})
	c.updatePort(p, object{"mac_address": "fa:16:3e:00:00:77"})

	held := c.create("port", object{"network_id": network})
	place := signalbox.Binding{PortID: uuid.MustParse(held["id"].(string)), HostID: h.ID, Interface: "tap1", By: signalbox.ByInterfaceID}
	if err := db.Bind(ctx, []signalbox.Binding{place}); err != nil {
		t.Fatal(err)
	}
	held = c.must(200, "GET", portURL(held), nil)
	c.has(held, object{host: "compute1", vif: "ovs", details: wired})
	c.has(c.updatePort(held, object{host: "compute2"}), object{host: "compute2", vif: "binding_failed"})
	for query, want := range map[string]int{host + "=compute1": 1, host + "=compute2": 1, host + "=": 1, host + "=compute1&" + host + "=": 2, host + "=compute9": 0,
		"binding:vnic_type=normal": 3, "binding:vnic_type=direct": 0} {
		if got := c.list("ports", "?"+query); len(got) != want {
			t.Errorf("%s: %d ports, want %d", query, len(got), want)
		}
	}
	c.updatePort(held, object{host: ""})
	if got := c.list("ports", "?"+host+"=compute1"); len(got) != 2 {
		t.Errorf("on compute1 are %d ports", len(got))
	}

	profile := object{"b": []any{1.5, nil, true, "x\u0000\""}, "a": object{"deep": object{}}}
	c.has(c.updatePort(p, object{"binding:profile": profile}), object{"binding:profile": profile})
	c.has(c.must(200, "GET", portURL(p), nil), object{"binding:profile": profile})
	c.has(c.updatePort(p, object{"binding:profile": nil}), object{"binding:profile": object{}})
	c.refused(400, "HTTPBadRequest", "PUT", portURL(p), object{"port": object{"binding:profile": "x"}})
	c.refused(400, "InvalidInput", "PUT", portURL(p), object{"port": object{"binding:profile": object{"x": strings.Repeat("x", 4096)}}})
	c.refused(400, "HTTPBadRequest", "PUT", portURL(p), object{"port": object{vif: "ovs"}})

	member := c.as(map[string]string{"X-Project-Id": "m", "X-Roles": "member"})
	mine := member.create("port", object{"network_id": member.network(nil), "binding:vnic_type": "normal"})
	for _, hidden := range []string{host, vif, details, "binding:profile"} {
		if _, shown := mine[hidden]; shown {
			t.Errorf("a member sees %s", hidden)
		}
	}
	for _, name := range []string{host, "binding:profile"} {
		member.refused(403, "PolicyNotAuthorized", "PUT", portURL(mine), object{"port": object{name: nil}})
	}
	member.refused(400, "HTTPBadRequest", "GET", "/v2.0/ports?"+host+"=compute1", nil)
}

func TestPortSecurityAndAddressPairs(t *testing.T) {
	c := newClient(t)
	const security, pairs = "port_security_enabled", "allowed_address_pairs"
	n, open := c.create("network", nil), c.create("network", object{security: false})
	c.has(n, object{security: true})
	c.has(open, object{security: false})
	c.has(c.must(200, "PUT", "/v2.0/networks/"+open["id"].(string), object{"network": object{security: true}}), object{security: true})
	c.has(c.must(200, "PUT", "/v2.0/networks/"+open["id"].(string), object{"network": object{security: false}}), object{security: false})
	c.subnet(n["id"].(string), "10.0.0.0/24", nil)
	c.has(c.dhcpPorts(n["id"].(string))[0], object{security: false})
	c.has(c.create("port", object{"network_id": open["id"]}), object{security: false})
	c.has(c.create("port", object{"network_id": open["id"], security: true}), object{security: true})

	const mac = "fa:16:3e:00:00:55"
	p := c.create("port", object{"network_id": n["id"], "mac_address": mac, pairs: []any{
		object{"ip_address": "10.0.0.99"}, object{"ip_address": "10.1.2.3/8", "mac_address": "00:00:5e:00:01:07"}, object{"ip_address": "2001:db8::/32"}}})
	all := []any{object{"mac_address": mac, "ip_address": "10.0.0.99"}, object{"mac_address": "00:00:5e:00:01:07", "ip_address": "10.0.0.0/8"},
		object{"mac_address": mac, "ip_address": "2001:db8::/32"}}
	c.has(p, object{security: true, pairs: all})
	c.has(c.must(200, "GET", portURL(p), nil), object{pairs: all})
	p = c.updatePort(p, object{"mac_address": "fa:16:3e:00:00:66"})
	if first := p[pairs].([]any)[0].(object); first["mac_address"] != "fa:16:3e:00:00:66" {
		t.Errorf("the pair of the port's own MAC does not follow it: %v", first)
	}
	c.refused(409, "AddressPairAndPortSecurityRequired", "PUT", portURL(p), object{"port": object{security: false}})
	c.has(c.updatePort(p, object{security: false, pairs: nil, "security_groups": []any{}}), object{security: false, pairs: []any{}})
	c.refused(409, "AddressPairAndPortSecurityRequired", "PUT", portURL(p), object{"port": object{pairs: []any{object{"ip_address": "10.0.0.9"}}}})
	c.updatePort(p, object{security: true, pairs: []any{object{"ip_address": "10.0.0.9"}}})

	many := []any{}
	for i := range 11 {
		many = append(many, object{"ip_address": fmt.Sprint("10.0.0.", i)})
	}
	c.has(c.updatePort(p, object{pairs: many[:10]}), object{security: true})
	for name, bad := range map[string]any{"AllowedAddressPairExhausted": many, "AddressPairMissingIP": []any{object{"mac_address": mac}},
		"DuplicateAddressPairInRequest": []any{object{"ip_address": "10.0.0.9"}, object{"ip_address": "10.0.0.9", "mac_address": p["mac_address"]}},
		"HTTPBadRequest":                []any{object{"ip_address": "10.0.0.9", "colour": "red"}}} {
		c.refused(400, name, "PUT", portURL(p), object{"port": object{pairs: bad}})
	}
	for _, bad := range []any{"x", []any{"x"}, []any{object{"ip_address": "10.0.0.0/33"}}, []any{object{"ip_address": 5}},
		[]any{object{"ip_address": "10.0.0.9", "mac_address": nil}}, []any{object{"ip_address": "fe80::1%eth0"}}, []any{object{"ip_address": "::ffff:10.0.0.1"}}} {
		c.refused(400, "HTTPBadRequest", "PUT", portURL(p), object{"port": object{pairs: bad}})
	}
}

func TestDHCPOptionsArePutAndTakenOneByOne(t *testing.T) {
	c := newClient(t)
	const opts = "extra_dhcp_opts"
	option := func(name, value any) object { return object{"opt_name": name, "opt_value": value} }
	shown := func(name, value string, version float64) object {
		return object{"opt_name": name, "opt_value": value, "ip_version": version}
	}
	n := c.network(nil)
	p := c.create("port", object{"network_id": n, opts: []any{option("bootfile-name", "pxelinux.0 quiet"), option("router", ""), option("mtu", nil),
		object{"opt_name": "dns-server", "opt_value": "2001:db8::1", "ip_version": 6}}})
	c.has(p, object{opts: []any{shown("bootfile-name", "pxelinux.0 quiet", 4), shown("router", "", 4), shown("dns-server", "2001:db8::1", 6)}})
	p = c.updatePort(p, object{opts: []any{option("router", nil), option("bootfile-name", "other"), option("dns-server", nil), option("150", "192.0.2.1")}})
	want := object{opts: []any{shown("bootfile-name", "other", 4), shown("dns-server", "2001:db8::1", 6), shown("150", "192.0.2.1", 4)}}
	c.has(p, want)
	c.has(c.updatePort(p, object{opts: []any{}}), want)
	c.has(c.must(200, "GET", portURL(p), nil), want)
	for _, bad := range []any{object{"opt_name": "mtu"}, option("", "x"), option("mtu", ""), option("two words", "x"), option("mtu", strings.Repeat("x", 256)),
		option(strings.Repeat("x", 65), "x"), object{"opt_name": "mtu", "opt_value": "1400", "ip_version": 5}, "mtu", object{"opt_name": "mtu", "opt_value": "1", "x": 1}} {
		c.refused(400, "InvalidInput", "PUT", portURL(p), object{"port": object{opts: []any{bad}}})
	}
	c.refused(400, "HTTPBadRequest", "PUT", portURL(p), object{"port": object{opts: []any{option("mtu", "1400"), option("mtu", "1401")}}})
}

// Neutron trusted ports whose device_owner said that they were the network's own, and let tenants write that on networks of
// others. Nothing here trusts it, and nobody may write it.
func TestOnlyANetworksOwnerSaysWhatIsTrustedThere(t *testing.T) {
	admin := newClient(t)
	shared := admin.network(object{"shared": true})
	admin.subnet(shared, "10.0.0.0/24", nil)
	ports := func(body ...any) object { return object{"ports": body} }
	for name, roles := range map[string]string{
		"CVE-2015-5240":  "member",                // once the port was there
		"CVE-2026-50266": "manager,member,reader", // as their project's managers
	} {
		t.Run(name, func(t *testing.T) {
			admin := &client{t, admin.handler, admin.headers}
			guest := admin.as(map[string]string{"X-Project-Id": "guest", "X-Roles": roles})
			trusted := map[string]any{"port_security_enabled": false, "mac_address": "fa:16:3e:00:00:09",
				"allowed_address_pairs": []any{object{"ip_address": "10.0.0.1"}}, "fixed_ips": []any{object{"ip_address": "10.0.0.1"}}}
			mine := guest.create("port", object{"network_id": shared, "device_owner": "compute:nova"})
			given := admin.create("port", object{"network_id": shared, "project_id": "guest", "device_owner": "network:dhcp"})
			refused := func(name string, value any) {
				t.Helper()
				guest.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", object{"port": object{"network_id": shared, name: value}})
				guest.refused(403, "PolicyNotAuthorized", "POST", "/v2.0/ports", ports(object{"network_id": shared, "name": "x"}, object{"network_id": shared, name: value}))
				for _, p := range []object{mine, given} {
					guest.refused(403, "PolicyNotAuthorized", "PUT", portURL(p), object{"port": object{name: value}})
					guest.refused(403, "PolicyNotAuthorized", "PUT", portURL(p), object{"port": object{"name": "x", "device_id": "", name: value}})
				}
			}
			for name, value := range trusted {
				refused(name, value)
			}
			for _, owner := range []string{"network:dhcp", "network:router_interface", "network:router_gateway", "network:floatingip", "network:"} {
				refused("device_owner", owner)
			}
			if made := guest.list("ports", "?name=x"); len(made) != 0 {
				t.Errorf("refusals have made or changed %v", made)
			}
			own := guest.network(nil)
			guest.subnet(own, "10.0.0.0/24", nil)
			delete(trusted, "fixed_ips") // a router could have that one
			trusted["device_owner"] = "network:dhcp"
			for name, value := range trusted {
				guest.create("port", object{"network_id": own, name: value})
			}
		})
	}
}
