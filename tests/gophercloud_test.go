//go:build integration

package tests

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/common/extensions"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/agents"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/attributestags"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/dns"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/external"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/extradhcpopts"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/addressscopes"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/extraroutes"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/mtu"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/networkipavailabilities"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/portsbinding"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/portsecurity"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/provider"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/rbacpolicies"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/subnetpools"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// TestGophercloud: what a Go program does with gophercloud, of which Terraform is one, it can do here.
func TestGophercloud(t *testing.T) {
	binary, err := testbed.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dsn := storetest.StartForTest(t)
	hasHost(t, dsn)
	api := serve(t, binary, "apiserver", "--database-url", dsn, "--tenant-network-types", "vxlan", "--vni-ranges", "1:1000",
		"--network-vlan-ranges", "physical:100:299", "--flat-networks", "public", "--log-level", "error").url
	client, err := openstack.NewNetworkV2(&gophercloud.ProviderClient{
		EndpointLocator: func(gophercloud.EndpointOpts) (string, error) { return api + "/", nil },
	}, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	for name, play := range map[string]func(*gopher){
		"networks": (*gopher).networks, "subnets": (*gopher).subnets, "ports": (*gopher).ports, "routers": (*gopher).routers,
		"floating IPs": (*gopher).floatingIPs, "security groups": (*gopher).securityGroups, "pages": (*gopher).pages,
		"tags": (*gopher).tags, "revisions": (*gopher).revisions, "extensions": (*gopher).extensions, "absent": (*gopher).absent,
		"quotas": (*gopher).quotas, "policies": (*gopher).policies, "names": (*gopher).names, "agents": (*gopher).agents,
		"availability": (*gopher).availability, "pools": (*gopher).pools,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(&gopher{T: t, ctx: t.Context(), client: client})
		})
	}
}

// gopher is a test that uses gophercloud.
type gopher struct {
	*testing.T
	ctx    context.Context
	client *gophercloud.ServiceClient
}

// result is what gophercloud answers with.
type result[T any] interface{ Extract() (T, error) }

// got is the resource in an answer, which must be no refusal.
func got[T any](g *gopher, r result[T]) T {
	g.Helper()
	v, err := r.Extract()
	if err != nil {
		g.Fatal(err)
	}
	return v
}

// refuses fails where a request is answered by another status.
func (g *gopher) refuses(status int, err error) {
	g.Helper()
	if !gophercloud.ResponseCodeIs(err, status) {
		g.Fatalf("not %d but %v", status, err)
	}
}

func (g *gopher) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

// equal fails where something is not as it should be.
func equal[T any](g *gopher, what string, is, want T) {
	g.Helper()
	if a, b := fmt.Sprintf("%+v", is), fmt.Sprintf("%+v", want); a != b {
		g.Fatalf("%s: %s, not %s", what, a, b)
	}
}

// all are the rows of a list, over all of its pages.
func all[T any](g *gopher, list pagination.Pager, extract func(pagination.Page) ([]T, error)) []T {
	g.Helper()
	page, err := list.AllPages(g.ctx)
	g.must(err)
	rows, err := extract(page)
	g.must(err)
	return rows
}

// said are values with a space between any two.
func said(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func pointer[T any](v T) *T { return &v }

func (g *gopher) network() *networks.Network {
	g.Helper()
	n := got(g, networks.Create(g.ctx, g.client, networks.CreateOpts{Name: g.Name()}))
	g.Cleanup(func() { _ = networks.Delete(context.Background(), g.client, n.ID).ExtractErr() })
	return n
}

func (g *gopher) subnet(network *networks.Network, cidr string) *subnets.Subnet {
	g.Helper()
	return got(g, subnets.Create(g.ctx, g.client, subnets.CreateOpts{NetworkID: network.ID, CIDR: cidr, IPVersion: gophercloud.IPv4}))
}

func (g *gopher) port(network *networks.Network) *ports.Port {
	g.Helper()
	return got(g, ports.Create(g.ctx, g.client, ports.CreateOpts{NetworkID: network.ID}))
}

// outside makes an external network and its subnet.
func (g *gopher) outside(cidr string) *networks.Network {
	g.Helper()
	n := got(g, networks.Create(g.ctx, g.client, external.CreateOptsExt{CreateOptsBuilder: networks.CreateOpts{Name: g.Name()}, External: pointer(true)}))
	g.subnet(n, cidr)
	return n
}

// networks: the life of one, of a kind that an admin names, with what extensions add.
func (g *gopher) networks() {
	type network struct {
		networks.Network
		provider.NetworkProviderExt
		external.NetworkExternalExt
		mtu.NetworkMTUExt
		portsecurity.PortSecurityExt
	}
	var n network
	made := networks.Create(g.ctx, g.client, vlan{portsecurity.NetworkCreateOptsExt{
		CreateOptsBuilder: external.CreateOptsExt{CreateOptsBuilder: mtu.CreateOptsExt{
			CreateOptsBuilder: networks.CreateOpts{Name: "n", Description: "d", AdminStateUp: pointer(true), Shared: pointer(true)}, MTU: 1400,
		}, External: pointer(true)}, PortSecurityEnabled: pointer(false),
	}, 123})
	g.must(made.ExtractInto(&n))
	equal(g, "segment", n.NetworkProviderExt, provider.NetworkProviderExt{NetworkType: "vlan", PhysicalNetwork: "physical", SegmentationID: "123"})
	equal(g, "external, shared, up, secure", []bool{n.External, n.Shared, n.AdminStateUp, n.PortSecurityEnabled}, []bool{true, true, true, false})
	equal(g, "MTU, status", said(n.MTU, n.Status), "1400 ACTIVE")
	if since := time.Since(n.CreatedAt); since < -time.Minute || since > time.Hour {
		g.Errorf("made at %v", n.CreatedAt)
	}
	changed := got(g, networks.Update(g.ctx, g.client, n.ID, networks.UpdateOpts{Name: pointer("m"), Description: pointer(""), Shared: pointer(false)}))
	equal(g, "changed", said(changed.Name, changed.Description, changed.Shared), "m  false")
	found := all(g, networks.List(g.client, external.ListOptsExt{ListOptsBuilder: networks.ListOpts{ID: n.ID, Name: "m"}, External: pointer(true)}), networks.ExtractNetworks)
	equal(g, "found", len(found), 1)
	g.must(networks.Delete(g.ctx, g.client, n.ID).ExtractErr())
	_, err := networks.Get(g.ctx, g.client, n.ID).Extract()
	g.refuses(http.StatusNotFound, err)
	_, err = networks.Create(g.ctx, g.client, vlan{networks.CreateOpts{}, 5000}).Extract()
	g.refuses(http.StatusBadRequest, err)
}

// vlan makes a network one of a VLAN, by the attributes that Neutron has for it; gophercloud knows segments alone.
type vlan struct {
	networks.CreateOptsBuilder
	id int
}

func (o vlan) ToNetworkCreateMap() (map[string]any, error) {
	body, err := o.CreateOptsBuilder.ToNetworkCreateMap()
	if err != nil {
		return nil, err
	}
	n := body["network"].(map[string]any)
	n["provider:network_type"], n["provider:physical_network"], n["provider:segmentation_id"] = "vlan", "physical", o.id
	return body, nil
}

func (g *gopher) subnets() {
	n := g.network()
	s := got(g, subnets.Create(g.ctx, g.client, subnets.CreateOpts{
		NetworkID: n.ID, CIDR: "10.1.0.0/24", IPVersion: gophercloud.IPv4, Name: "s", Description: "d", GatewayIP: pointer("10.1.0.254"),
		AllocationPools: []subnets.AllocationPool{{Start: "10.1.0.10", End: "10.1.0.20"}, {Start: "10.1.0.30", End: "10.1.0.40"}},
		DNSNameservers:  []string{"8.8.8.8", "1.1.1.1"}, HostRoutes: []subnets.HostRoute{{DestinationCIDR: "10.9.0.0/16", NextHop: "10.1.0.5"}},
		EnableDHCP: pointer(true),
	}))
	equal(g, "pools", len(s.AllocationPools), 2)
	equal(g, "servers, in their order", s.DNSNameservers, []string{"8.8.8.8", "1.1.1.1"})
	equal(g, "routes", s.HostRoutes, []subnets.HostRoute{{DestinationCIDR: "10.9.0.0/16", NextHop: "10.1.0.5"}})
	equal(g, "gateway, version, DHCP", said(s.GatewayIP, s.IPVersion, s.EnableDHCP), "10.1.0.254 4 true")
	changed := got(g, subnets.Update(g.ctx, g.client, s.ID, subnets.UpdateOpts{
		Name: pointer("t"), GatewayIP: pointer(""), DNSNameservers: pointer([]string{}), HostRoutes: pointer([]subnets.HostRoute{}), EnableDHCP: pointer(false),
		AllocationPools: []subnets.AllocationPool{{Start: "10.1.0.50", End: "10.1.0.60"}},
	}))
	equal(g, "changed", said(changed.Name, changed.GatewayIP, changed.DNSNameservers, changed.HostRoutes, changed.EnableDHCP, changed.AllocationPools),
		"t  [] [] false [{10.1.0.50 10.1.0.60}]")
	six := got(g, subnets.Create(g.ctx, g.client, subnets.CreateOpts{NetworkID: n.ID, CIDR: "2001:db8::/64", IPVersion: gophercloud.IPv6, IPv6AddressMode: "slaac", IPv6RAMode: "slaac"}))
	equal(g, "modes", six.IPv6AddressMode+six.IPv6RAMode, "slaacslaac")
	equal(g, "of the network", len(all(g, subnets.List(g.client, subnets.ListOpts{NetworkID: n.ID}), subnets.ExtractSubnets)), 2)
	equal(g, "of version 6", all(g, subnets.List(g.client, subnets.ListOpts{NetworkID: n.ID, IPVersion: 6}), subnets.ExtractSubnets)[0].ID, six.ID)
	equal(g, "subnets of the network", len(got(g, networks.Get(g.ctx, g.client, n.ID)).Subnets), 2)
	_, err := subnets.Create(g.ctx, g.client, subnets.CreateOpts{NetworkID: n.ID, CIDR: "10.1.0.0/16", IPVersion: gophercloud.IPv4}).Extract()
	g.refuses(http.StatusBadRequest, err)
	for _, id := range []string{s.ID, six.ID} {
		g.must(subnets.Delete(g.ctx, g.client, id).ExtractErr())
	}
	_, err = subnets.Get(g.ctx, g.client, s.ID).Extract()
	g.refuses(http.StatusNotFound, err)
}

func (g *gopher) ports() {
	n := g.network()
	s := g.subnet(n, "10.2.0.0/24")
	type port struct {
		ports.Port
		portsbinding.PortsBindingExt
		portsecurity.PortSecurityExt
		extradhcpopts.ExtraDHCPOptsExt
	}
	var p port
	g.must(ports.Create(g.ctx, g.client, extradhcpopts.CreateOptsExt{
		CreateOptsBuilder: portsbinding.CreateOptsExt{
			CreateOptsBuilder: portsecurity.PortCreateOptsExt{
				CreateOptsBuilder: ports.CreateOpts{NetworkID: n.ID, Name: "p", MACAddress: "fa:16:3e:00:00:11", DeviceID: "vm", DeviceOwner: "compute:nova",
					FixedIPs:            []ports.IP{{SubnetID: s.ID, IPAddress: "10.2.0.7"}},
					AllowedAddressPairs: []ports.AddressPair{{IPAddress: "10.2.0.100", MACAddress: "fa:16:3e:00:00:12"}, {IPAddress: "10.2.0.128/25"}}},
				PortSecurityEnabled: pointer(true)},
			HostID: "host-1", VNICType: "normal", Profile: map[string]any{"capabilities": []string{"switchdev"}}},
		ExtraDHCPOpts: []extradhcpopts.CreateExtraDHCPOpt{{OptName: "bootfile-name", OptValue: "pxelinux.0", IPVersion: 4}},
	}).ExtractInto(&p))
	equal(g, "addresses", p.FixedIPs, []ports.IP{{SubnetID: s.ID, IPAddress: "10.2.0.7"}})
	equal(g, "pairs", p.AllowedAddressPairs, []ports.AddressPair{{IPAddress: "10.2.0.100", MACAddress: "fa:16:3e:00:00:12"}, {IPAddress: "10.2.0.128/25", MACAddress: "fa:16:3e:00:00:11"}})
	equal(g, "options", p.ExtraDHCPOpts, []extradhcpopts.ExtraDHCPOpt{{OptName: "bootfile-name", OptValue: "pxelinux.0", IPVersion: 4}})
	equal(g, "host, VNIC, profile", said(p.HostID, p.VNICType, p.Profile), "host-1 normal map[capabilities:[switchdev]]")
	equal(g, "secure, in groups", said(p.PortSecurityEnabled, len(p.SecurityGroups)), "true 1")

	g.must(ports.Update(g.ctx, g.client, p.ID, extradhcpopts.UpdateOptsExt{
		UpdateOptsBuilder: portsbinding.UpdateOptsExt{
			UpdateOptsBuilder: portsecurity.PortUpdateOptsExt{
				UpdateOptsBuilder:   ports.UpdateOpts{Name: pointer("q"), SecurityGroups: &[]string{}, AllowedAddressPairs: &[]ports.AddressPair{}, FixedIPs: []ports.IP{{SubnetID: s.ID, IPAddress: "10.2.0.8"}}},
				PortSecurityEnabled: pointer(false)},
			HostID: pointer(""), Profile: map[string]any{}},
		ExtraDHCPOpts: []extradhcpopts.UpdateExtraDHCPOpt{{OptName: "bootfile-name", IPVersion: 4}},
	}).ExtractInto(&p))
	equal(g, "changed", said(p.Name, p.FixedIPs[0].IPAddress, p.HostID, len(p.SecurityGroups), len(p.AllowedAddressPairs), len(p.ExtraDHCPOpts), p.PortSecurityEnabled), "q 10.2.0.8  0 0 0 false")

	other := g.port(n)
	for what, opts := range map[string]ports.ListOpts{
		"by address":        {FixedIPs: []ports.FixedIPOpts{{IPAddress: "10.2.0.8"}}},
		"by part and net":   {NetworkID: n.ID, FixedIPs: []ports.FixedIPOpts{{IPAddressSubstr: "2.0.8", SubnetID: s.ID}}},
		"by device":         {NetworkID: n.ID, DeviceID: "vm", DeviceOwner: "compute:nova"},
		"by MAC":            {MACAddress: "FA:16:3E:00:00:11", NetworkID: n.ID},
		"by name and state": {Name: "q", AdminStateUp: pointer(true), Status: "DOWN", NetworkID: n.ID},
	} {
		found := all(g, ports.List(g.client, opts), ports.ExtractPorts)
		if len(found) != 1 || found[0].ID != p.ID {
			g.Errorf("%s: %v", what, found)
		}
	}
	in := all(g, ports.List(g.client, ports.ListOpts{SecurityGroups: other.SecurityGroups, NetworkID: n.ID}), ports.ExtractPorts)
	equal(g, "in the default group", []string{in[0].ID}, []string{other.ID})
	_, err := ports.Create(g.ctx, g.client, ports.CreateOpts{NetworkID: n.ID, FixedIPs: []ports.IP{{IPAddress: "10.2.0.8"}}}).Extract()
	g.refuses(http.StatusConflict, err)
	g.refuses(http.StatusConflict, networks.Delete(g.ctx, g.client, n.ID).ExtractErr())
	for _, id := range []string{p.ID, other.ID} {
		g.must(ports.Delete(g.ctx, g.client, id).ExtractErr())
	}
	g.must(networks.Delete(g.ctx, g.client, n.ID).ExtractErr())
}

func (g *gopher) routers() {
	outside := g.outside("192.0.2.0/24")
	n := g.network()
	s, second := g.subnet(n, "10.3.0.0/24"), g.subnet(n, "10.3.1.0/24")
	r := got(g, routers.Create(g.ctx, g.client, routers.CreateOpts{Name: "r", AdminStateUp: pointer(true), GatewayInfo: &routers.GatewayInfo{NetworkID: outside.ID}}))
	equal(g, "gateway", said(r.GatewayInfo.NetworkID == outside.ID, *r.GatewayInfo.EnableSNAT, len(r.GatewayInfo.ExternalFixedIPs)), "true true 1")
	i := got(g, routers.AddInterface(g.ctx, g.client, r.ID, routers.AddInterfaceOpts{SubnetID: s.ID}))
	equal(g, "interface", i.SubnetID, s.ID)
	p := got(g, ports.Create(g.ctx, g.client, ports.CreateOpts{NetworkID: n.ID, FixedIPs: []ports.IP{{SubnetID: second.ID}}}))
	equal(g, "interface by port", got(g, routers.AddInterface(g.ctx, g.client, r.ID, routers.AddInterfaceOpts{PortID: p.ID})).PortID, p.ID)
	_, err := routers.AddInterface(g.ctx, g.client, r.ID, routers.AddInterfaceOpts{SubnetID: s.ID}).Extract()
	g.refuses(http.StatusBadRequest, err)

	one, two := routers.Route{DestinationCIDR: "172.16.0.0/16", NextHop: "10.3.0.9"}, routers.Route{DestinationCIDR: "172.17.0.0/16", NextHop: "10.3.0.9"}
	equal(g, "routes", got(g, routers.Update(g.ctx, g.client, r.ID, routers.UpdateOpts{Routes: &[]routers.Route{one}})).Routes, []routers.Route{one})
	equal(g, "routes and one", len(got(g, extraroutes.Add(g.ctx, g.client, r.ID, extraroutes.Opts{Routes: &[]routers.Route{two}})).Routes), 2)
	equal(g, "routes but one", got(g, extraroutes.Remove(g.ctx, g.client, r.ID, extraroutes.Opts{Routes: &[]routers.Route{one}})).Routes, []routers.Route{two})
	equal(g, "no routes", len(got(g, routers.Update(g.ctx, g.client, r.ID, routers.UpdateOpts{Routes: &[]routers.Route{}})).Routes), 0)

	quiet := got(g, routers.Update(g.ctx, g.client, r.ID, routers.UpdateOpts{GatewayInfo: &routers.GatewayInfo{NetworkID: outside.ID, EnableSNAT: pointer(false)}}))
	equal(g, "SNAT", *quiet.GatewayInfo.EnableSNAT, false)
	equal(g, "no gateway", got(g, routers.Update(g.ctx, g.client, r.ID, routers.UpdateOpts{GatewayInfo: &routers.GatewayInfo{}})).GatewayInfo.NetworkID, "")
	g.refuses(http.StatusConflict, routers.Delete(g.ctx, g.client, r.ID).ExtractErr())
	for _, opts := range []routers.RemoveInterfaceOpts{{SubnetID: s.ID}, {PortID: p.ID}} {
		got(g, routers.RemoveInterface(g.ctx, g.client, r.ID, opts))
	}
	equal(g, "found", len(all(g, routers.List(g.client, routers.ListOpts{ID: r.ID, Name: "r"}), routers.ExtractRouters)), 1)
	g.must(routers.Delete(g.ctx, g.client, r.ID).ExtractErr())
	g.must(networks.Delete(g.ctx, g.client, outside.ID).ExtractErr())
}

func (g *gopher) floatingIPs() {
	outside := g.outside("198.51.100.0/24")
	n := g.network()
	s := g.subnet(n, "10.4.0.0/24")
	r := got(g, routers.Create(g.ctx, g.client, routers.CreateOpts{Name: "r", GatewayInfo: &routers.GatewayInfo{NetworkID: outside.ID}}))
	got(g, routers.AddInterface(g.ctx, g.client, r.ID, routers.AddInterfaceOpts{SubnetID: s.ID}))
	p := g.port(n)
	f := got(g, floatingips.Create(g.ctx, g.client, floatingips.CreateOpts{FloatingNetworkID: outside.ID, FloatingIP: "198.51.100.77", Description: "d"}))
	equal(g, "address, port", f.FloatingIP+f.PortID, "198.51.100.77")
	f = got(g, floatingips.Update(g.ctx, g.client, f.ID, floatingips.UpdateOpts{PortID: &p.ID}))
	equal(g, "associated", said(f.PortID == p.ID, f.RouterID == r.ID, f.FixedIP), "true true "+p.FixedIPs[0].IPAddress)
	equal(g, "found", len(all(g, floatingips.List(g.client, floatingips.ListOpts{PortID: p.ID, FloatingNetworkID: outside.ID}), floatingips.ExtractFloatingIPs)), 1)
	_, err := routers.RemoveInterface(g.ctx, g.client, r.ID, routers.RemoveInterfaceOpts{SubnetID: s.ID}).Extract()
	g.refuses(http.StatusConflict, err)
	equal(g, "dissociated", got(g, floatingips.Update(g.ctx, g.client, f.ID, floatingips.UpdateOpts{PortID: new(string)})).PortID, "")
	at := got(g, floatingips.Create(g.ctx, g.client, floatingips.CreateOpts{FloatingNetworkID: outside.ID, PortID: p.ID, FixedIP: p.FixedIPs[0].IPAddress}))
	equal(g, "at once", at.FixedIP, p.FixedIPs[0].IPAddress)
	_, err = floatingips.Create(g.ctx, g.client, floatingips.CreateOpts{FloatingNetworkID: n.ID}).Extract()
	g.refuses(http.StatusBadRequest, err)
	for _, id := range []string{f.ID, at.ID} {
		g.must(floatingips.Delete(g.ctx, g.client, id).ExtractErr())
	}
	_, err = floatingips.Get(g.ctx, g.client, f.ID).Extract()
	g.refuses(http.StatusNotFound, err)
}

func (g *gopher) securityGroups() {
	made := got(g, groups.Create(g.ctx, g.client, groups.CreateOpts{Name: "web", Description: "d"}))
	equal(g, "rules at first", len(made.Rules), 2)
	rule := got(g, rules.Create(g.ctx, g.client, rules.CreateOpts{Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: made.ID,
		Protocol: rules.ProtocolTCP, PortRangeMin: 80, PortRangeMax: 81, RemoteIPPrefix: "10.0.0.0/8", Description: "http"}))
	equal(g, "rule", said(rule.Direction, rule.EtherType, rule.Protocol, rule.PortRangeMin, rule.PortRangeMax, rule.RemoteIPPrefix), "ingress IPv4 tcp 80 81 10.0.0.0/8")
	bulk, err := rules.CreateBulk(g.ctx, g.client, []rules.CreateOpts{
		{Direction: rules.DirIngress, EtherType: rules.EtherType6, SecGroupID: made.ID, Protocol: rules.ProtocolIPv6ICMP},
		{Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: made.ID, RemoteGroupID: made.ID},
	}).Extract()
	g.must(err)
	equal(g, "rules at once", len(bulk), 2)
	equal(g, "TCP rules", len(all(g, rules.List(g.client, rules.ListOpts{SecGroupID: made.ID, Protocol: "tcp"}), rules.ExtractRules)), 1)
	_, err = rules.Create(g.ctx, g.client, rules.CreateOpts{Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: made.ID,
		Protocol: rules.ProtocolTCP, PortRangeMin: 80, PortRangeMax: 81, RemoteIPPrefix: "10.0.0.0/8"}).Extract()
	g.refuses(http.StatusConflict, err)
	g.must(rules.Delete(g.ctx, g.client, rule.ID).ExtractErr())
	_, err = rules.Get(g.ctx, g.client, rule.ID).Extract()
	g.refuses(http.StatusNotFound, err)

	equal(g, "rules in the end", len(got(g, groups.Get(g.ctx, g.client, made.ID)).Rules), 4)
	equal(g, "renamed", got(g, groups.Update(g.ctx, g.client, made.ID, groups.UpdateOpts{Name: "www", Description: pointer("")})).Name, "www")
	equal(g, "found", len(all(g, groups.List(g.client, groups.ListOpts{ID: made.ID, Name: "www"}), groups.ExtractGroups)), 1)
	equal(g, "the default one", len(all(g, groups.List(g.client, groups.ListOpts{Name: "default", ProjectID: made.ProjectID}), groups.ExtractGroups)), 1)
	p := got(g, ports.Create(g.ctx, g.client, ports.CreateOpts{NetworkID: g.network().ID, SecurityGroups: &[]string{made.ID}}))
	g.refuses(http.StatusConflict, groups.Delete(g.ctx, g.client, made.ID).ExtractErr())
	g.must(ports.Delete(g.ctx, g.client, p.ID).ExtractErr())
	g.must(groups.Delete(g.ctx, g.client, made.ID).ExtractErr())
}

// pages: all of a list comes, whatever the size of a page, and each row once.
func (g *gopher) pages() {
	n := g.network()
	var want []string
	for range 7 {
		want = append(want, g.port(n).ID)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 2, 3, 7, 8} {
		count := 0
		var read []string
		g.must(ports.List(g.client, ports.ListOpts{NetworkID: n.ID, Limit: limit}).EachPage(g.ctx, func(_ context.Context, page pagination.Page) (bool, error) {
			rows, err := ports.ExtractPorts(page)
			for _, p := range rows {
				read = append(read, p.ID)
			}
			count++
			return true, err
		}))
		equal(g, fmt.Sprintf("in pages of %d", limit), read, want)
		if least := (len(want) + limit - 1) / limit; count < least {
			g.Errorf("in pages of %d there were %d, fewer than %d", limit, count, least)
		}
		found := all(g, ports.List(g.client, ports.ListOpts{NetworkID: n.ID, Limit: limit, SortKey: "id", SortDir: "desc"}), ports.ExtractPorts)
		equal(g, "backwards", len(found), len(want))
		equal(g, "its first", found[0].ID, want[len(want)-1])
	}
	_, err := ports.List(g.client, ports.ListOpts{Marker: n.ID, Limit: 2}).AllPages(g.ctx)
	g.refuses(http.StatusNotFound, err)
}

func (g *gopher) tags() {
	n := g.network()
	s := g.subnet(n, "10.5.0.0/24")
	p := g.port(n)
	r := got(g, routers.Create(g.ctx, g.client, routers.CreateOpts{}))
	group := got(g, groups.Create(g.ctx, g.client, groups.CreateOpts{Name: "g"}))
	f := got(g, floatingips.Create(g.ctx, g.client, floatingips.CreateOpts{FloatingNetworkID: g.outside("203.0.113.0/24").ID}))
	for kind, id := range map[string]string{"networks": n.ID, "subnets": s.ID, "ports": p.ID, "routers": r.ID, "floatingips": f.ID, "security-groups": group.ID} {
		tags, err := attributestags.ReplaceAll(g.ctx, g.client, kind, id, attributestags.ReplaceAllOpts{Tags: []string{"red", "a b"}}).Extract()
		g.must(err)
		equal(g, kind, len(tags), 2)
		g.must(attributestags.Add(g.ctx, g.client, kind, id, "blue").ExtractErr())
		has, err := attributestags.Confirm(g.ctx, g.client, kind, id, "blue").Extract()
		g.must(err)
		equal(g, kind+" have blue", has, true)
		g.must(attributestags.Delete(g.ctx, g.client, kind, id, "red").ExtractErr())
		has, err = attributestags.Confirm(g.ctx, g.client, kind, id, "red").Extract()
		if has || err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			g.Errorf("%s have red: %v, %v", kind, has, err)
		}
		left, err := attributestags.List(g.ctx, g.client, kind, id).Extract()
		g.must(err)
		slices.Sort(left)
		equal(g, kind, left, []string{"a b", "blue"})
	}
	for opts, want := range map[networks.ListOpts]int{
		{ID: n.ID, Tags: "blue,a b"}: 1, {ID: n.ID, Tags: "blue,red"}: 0, {ID: n.ID, TagsAny: "blue,red"}: 1, {ID: n.ID, NotTags: "blue,red"}: 1, {ID: n.ID, NotTagsAny: "blue,red"}: 0,
	} {
		equal(g, fmt.Sprintf("%+v", opts), len(all(g, networks.List(g.client, opts), networks.ExtractNetworks)), want)
	}
	g.must(attributestags.DeleteAll(g.ctx, g.client, "networks", n.ID).ExtractErr())
	equal(g, "no tags", len(got(g, networks.Get(g.ctx, g.client, n.ID)).Tags), 0)
}

// revisions: who insists on one that has passed changes nothing.
func (g *gopher) revisions() {
	n := g.network()
	seen := n.RevisionNumber
	changed := got(g, networks.Update(g.ctx, g.client, n.ID, networks.UpdateOpts{Name: pointer("a"), RevisionNumber: &seen}))
	if changed.RevisionNumber <= seen {
		g.Errorf("revision %d after %d", changed.RevisionNumber, seen)
	}
	_, err := networks.Update(g.ctx, g.client, n.ID, networks.UpdateOpts{Name: pointer("b"), RevisionNumber: &seen}).Extract()
	g.refuses(http.StatusPreconditionFailed, err)
	equal(g, "name", got(g, networks.Get(g.ctx, g.client, n.ID)).Name, "a")
	p := g.port(n)
	past := p.RevisionNumber - 1
	_, err = ports.Update(g.ctx, g.client, p.ID, ports.UpdateOpts{Name: pointer("b"), RevisionNumber: &past}).Extract()
	g.refuses(http.StatusPreconditionFailed, err)
	equal(g, "by revision", len(all(g, ports.List(g.client, ports.ListOpts{ID: p.ID, RevisionNumber: &p.RevisionNumber}), ports.ExtractPorts)), 1)
}

func (g *gopher) extensions() {
	page, err := extensions.List(g.client).AllPages(g.ctx)
	g.must(err)
	list, err := extensions.ExtractExtensions(page)
	g.must(err)
	for _, alias := range []string{"provider", "router", "security-group", "standard-attr-tag", "pagination", "binding"} {
		if !slices.ContainsFunc(list, func(e extensions.Extension) bool { return e.Alias == alias }) {
			g.Errorf("%s is not among the extensions", alias)
		}
		equal(g, "alias", got(g, extensions.Get(g.ctx, g.client, alias)).Alias, alias)
	}
	_, err = extensions.Get(g.ctx, g.client, "trunk").Extract()
	g.refuses(http.StatusNotFound, err)
}

func (g *gopher) quotas() {
	const project = "one with a quota"
	id := url.PathEscape(project)
	most := got(g, quotas.Get(g.ctx, g.client, id))
	equal(g, "by default", said(most.Network, most.Subnet, most.Port, most.Router, most.FloatingIP, most.SecurityGroup, most.SecurityGroupRule, most.RBACPolicy, most.SubnetPool),
		"100 100 500 10 50 10 100 10 -1")
	set := got(g, quotas.Update(g.ctx, g.client, id, quotas.UpdateOpts{Network: pointer(1), Port: pointer(-1)}))
	equal(g, "networks, ports, routers", said(set.Network, set.Port, set.Router), "1 -1 10")
	n := got(g, networks.Create(g.ctx, g.client, networks.CreateOpts{ProjectID: project}))
	_, err := networks.Create(g.ctx, g.client, networks.CreateOpts{ProjectID: project}).Extract()
	g.refuses(http.StatusConflict, err)
	detail := got(g, quotas.GetDetail(g.ctx, g.client, id))
	equal(g, "networks in detail", said(detail.Network.Used, detail.Network.Reserved, detail.Network.Limit), "1 0 1")
	g.must(networks.Delete(g.ctx, g.client, n.ID).ExtractErr())
	_, err = g.client.Delete(g.ctx, g.client.ServiceURL("quotas", id), nil)
	g.must(err)
	equal(g, "networks, again by default", got(g, quotas.Get(g.ctx, g.client, id)).Network, 100)
}

// policies: a network is shown to whom its owner shows it, and to nobody else.
func (g *gopher) policies() {
	n := g.network()
	made := got(g, rbacpolicies.Create(g.ctx, g.client, rbacpolicies.CreateOpts{Action: rbacpolicies.ActionAccessShared, ObjectType: "network", ObjectID: n.ID, TargetTenant: "friend"}))
	equal(g, "policy", said(made.Action, made.ObjectType, made.ObjectID == n.ID, made.TargetTenant), "access_as_shared network true friend")
	sees := func(project string) int {
		as := *g.client
		as.MoreHeaders = map[string]string{"X-Project-Id": project, "X-Roles": "member"}
		return len(all(g, networks.List(&as, networks.ListOpts{ID: n.ID}), networks.ExtractNetworks))
	}
	equal(g, "who sees it", said(sees("friend"), sees("stranger")), "1 0")
	equal(g, "to another", got(g, rbacpolicies.Update(g.ctx, g.client, made.ID, rbacpolicies.UpdateOpts{TargetTenant: "stranger"})).TargetTenant, "stranger")
	equal(g, "who sees it then", said(sees("friend"), sees("stranger")), "0 1")
	found := all(g, rbacpolicies.List(g.client, rbacpolicies.ListOpts{ObjectID: n.ID, Action: rbacpolicies.ActionAccessShared}), rbacpolicies.ExtractRBACPolicies)
	equal(g, "found", found[0].ID, made.ID)
	_, err := rbacpolicies.Create(g.ctx, g.client, rbacpolicies.CreateOpts{Action: rbacpolicies.ActionAccessShared, ObjectType: "network", ObjectID: n.ID, TargetTenant: "stranger"}).Extract()
	g.refuses(http.StatusConflict, err)
	g.must(rbacpolicies.Delete(g.ctx, g.client, made.ID).ExtractErr())
	equal(g, "who sees it in the end", said(sees("friend"), sees("stranger")), "0 0")
}

// names: of a port within the domain of its network.
func (g *gopher) names() {
	type network struct {
		networks.Network
		dns.NetworkDNSExt
	}
	type port struct {
		ports.Port
		dns.PortDNSExt
	}
	var n network
	g.must(networks.Create(g.ctx, g.client, dns.NetworkCreateOptsExt{CreateOptsBuilder: networks.CreateOpts{Name: "named"}, DNSDomain: "example.org."}).ExtractInto(&n))
	equal(g, "domain", n.DNSDomain, "example.org.")
	g.subnet(&n.Network, "10.6.0.0/24")
	var p port
	g.must(ports.Create(g.ctx, g.client, dns.PortCreateOptsExt{CreateOptsBuilder: ports.CreateOpts{NetworkID: n.ID}, DNSName: "web"}).ExtractInto(&p))
	equal(g, "name, whole name", said(p.DNSName, p.DNSAssignment[0]["hostname"], p.DNSAssignment[0]["fqdn"]), "web web web.example.org.")
	g.must(ports.Update(g.ctx, g.client, p.ID, dns.PortUpdateOptsExt{UpdateOptsBuilder: ports.UpdateOpts{}, DNSName: pointer("www")}).ExtractInto(&p))
	found := all(g, ports.List(g.client, dns.PortListOptsExt{ListOptsBuilder: ports.ListOpts{NetworkID: n.ID}, DNSName: "www"}), ports.ExtractPorts)
	equal(g, "found", len(found), 1)
	_, err := ports.Create(g.ctx, g.client, dns.PortCreateOptsExt{CreateOptsBuilder: ports.CreateOpts{NetworkID: n.ID}, DNSName: "not a name"}).Extract()
	g.refuses(http.StatusBadRequest, err)
}

// hasHost gives a database a host whose bridge a controller has just been connected to.
func hasHost(t *testing.T, dsn string) {
	t.Helper()
	db, err := store.Open(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h, err := db.SaveHost(t.Context(), signalbox.Host{DatapathID: 1, Name: "h1"})
	if err == nil {
		err = db.SaveSessions(t.Context(), map[uuid.UUID]signalbox.Session{h.ID: {Up: true, Since: time.Now()}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (g *gopher) agents() {
	found := all(g, agents.List(g.client, agents.ListOpts{Host: "h1", Alive: pointer(true)}), agents.ExtractAgents)
	equal(g, "agents", len(found), 1)
	a := found[0]
	equal(g, "agent", said(a.AgentType, a.Binary, a.Alive, a.AdminStateUp), "Open vSwitch agent ovs-vswitchd true true")
	off := got(g, agents.Update(g.ctx, g.client, a.ID, agents.UpdateOpts{AdminStateUp: pointer(false), Description: pointer("in the cellar")}))
	equal(g, "switched off", said(off.AdminStateUp, off.Description), "false in the cellar")
	list, err := agents.ListDHCPNetworks(g.ctx, g.client, a.ID).Extract()
	g.must(err)
	equal(g, "networks that it serves", len(list), 0)
	g.refuses(http.StatusConflict, agents.Delete(g.ctx, g.client, a.ID).ExtractErr())
}

// availability: how full a network is.
func (g *gopher) availability() {
	n := g.network()
	s := g.subnet(n, "10.7.0.0/29")
	g.port(n)
	full := got(g, networkipavailabilities.Get(g.ctx, g.client, n.ID))
	equal(g, "of the network", said(full.TotalIPs, full.UsedIPs), "5 2") // DHCP's is the other
	equal(g, "of its subnet", said(full.SubnetIPAvailabilities[0].SubnetID == s.ID, full.SubnetIPAvailabilities[0].UsedIPs), "true 2")
	found := all(g, networkipavailabilities.List(g.client, networkipavailabilities.ListOpts{NetworkID: n.ID}), networkipavailabilities.ExtractNetworkIPAvailabilities)
	equal(g, "found", len(found), 1)
}

// pools: what subnets are cut from.
func (g *gopher) pools() {
	made := got(g, subnetpools.Create(g.ctx, g.client, subnetpools.CreateOpts{Name: "pool", Description: "d", Prefixes: []string{"10.80.0.0/16"},
		DefaultPrefixLen: 26, MinPrefixLen: 24, MaxPrefixLen: 28}))
	equal(g, "prefix lengths, version, prefixes", said(made.DefaultPrefixLen, made.MinPrefixLen, made.MaxPrefixLen, made.IPversion, made.Prefixes), "26 24 28 4 [10.80.0.0/16]")
	n := g.network()
	s := got(g, subnets.Create(g.ctx, g.client, subnets.CreateOpts{NetworkID: n.ID, IPVersion: gophercloud.IPv4, SubnetPoolID: made.ID}))
	equal(g, "cut", said(s.CIDR, s.SubnetPoolID == made.ID), "10.80.0.0/26 true")
	long := got(g, subnets.Create(g.ctx, g.client, subnets.CreateOpts{NetworkID: n.ID, IPVersion: gophercloud.IPv4, SubnetPoolID: made.ID, Prefixlen: 28}))
	equal(g, "cut short", strings.HasSuffix(long.CIDR, "/28"), true)
	_, err := subnets.Create(g.ctx, g.client, subnets.CreateOpts{NetworkID: n.ID, IPVersion: gophercloud.IPv4, SubnetPoolID: made.ID, Prefixlen: 20}).Extract()
	g.refuses(http.StatusBadRequest, err)
	prefixes, err := subnetpools.AddPrefixes(g.ctx, g.client, made.ID, subnetpools.PrefixesOpsOpts{Prefixes: []string{"10.90.0.0/24"}}).Extract()
	g.must(err)
	equal(g, "prefixes and one", len(prefixes), 2)
	prefixes, err = subnetpools.RemovePrefixes(g.ctx, g.client, made.ID, subnetpools.PrefixesOpsOpts{Prefixes: []string{"10.90.0.0/24"}}).Extract()
	g.must(err)
	equal(g, "prefixes but one", prefixes, []string{"10.80.0.0/16"})
	equal(g, "renamed", got(g, subnetpools.Update(g.ctx, g.client, made.ID, subnetpools.UpdateOpts{Name: "swimming"})).Name, "swimming")
	equal(g, "found", len(all(g, subnetpools.List(g.client, subnetpools.ListOpts{Name: "swimming", IPVersion: 4}), subnetpools.ExtractSubnetPools)), 1)
	g.refuses(http.StatusBadRequest, subnetpools.Delete(g.ctx, g.client, made.ID).ExtractErr())
	for _, id := range []string{s.ID, long.ID} {
		g.must(subnets.Delete(g.ctx, g.client, id).ExtractErr())
	}
	g.must(subnetpools.Delete(g.ctx, g.client, made.ID).ExtractErr())
	_, err = subnetpools.Get(g.ctx, g.client, made.ID).Extract()
	g.refuses(http.StatusNotFound, err)

	scope := got(g, addressscopes.Create(g.ctx, g.client, addressscopes.CreateOpts{Name: "scope", IPVersion: 4}))
	scoped := got(g, subnetpools.Create(g.ctx, g.client, subnetpools.CreateOpts{Name: "scoped", Prefixes: []string{"10.81.0.0/16"}, AddressScopeID: scope.ID}))
	equal(g, "of the scope", scoped.AddressScopeID, scope.ID)
	equal(g, "scope renamed", got(g, addressscopes.Update(g.ctx, g.client, scope.ID, addressscopes.UpdateOpts{Name: pointer("other")})).Name, "other")
	equal(g, "scopes", len(all(g, addressscopes.List(g.client, addressscopes.ListOpts{Name: "other", IPVersion: 4}), addressscopes.ExtractAddressScopes)), 1)
	g.refuses(http.StatusConflict, addressscopes.Delete(g.ctx, g.client, scope.ID).ExtractErr())
	g.must(subnetpools.Delete(g.ctx, g.client, scoped.ID).ExtractErr())
	g.must(addressscopes.Delete(g.ctx, g.client, scope.ID).ExtractErr())
}

// absent: what is not there is said to be so, in a way that gophercloud understands, and what is wrong is told.
func (g *gopher) absent() {
	const nobody = "11111111-2222-3333-4444-555555555555"
	_, err := ports.Create(g.ctx, g.client, ports.CreateOpts{NetworkID: nobody}).Extract()
	g.refuses(http.StatusNotFound, err)
	g.refuses(http.StatusNotFound, ports.Delete(g.ctx, g.client, nobody).ExtractErr())
	_, err = networks.Create(g.ctx, g.client, networks.CreateOpts{Name: strings.Repeat("x", 256)}).Extract()
	g.refuses(http.StatusBadRequest, err)
	if !strings.Contains(err.Error(), "exceeds maximum length of 255") {
		g.Errorf("no reason: %v", err)
	}
	_, err = g.client.Get(g.ctx, g.client.ServiceURL("trunks"), nil, nil)
	g.refuses(http.StatusNotFound, err)
}
