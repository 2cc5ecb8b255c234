package neutron

import (
	"reflect"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

func TestSettingsAreReadAsQuantumWroteThem(t *testing.T) {
	c, err := Settings{
		TenantNetworkTypes: "vlan, gre", ExternalNetworkType: "flat", NetworkVLANRanges: "default:100:199,public,default:300:310", FlatNetworks: "*,public",
		TunnelIDRanges: "1:1000", VNIRanges: "5:5,7:9", UnderlayMTU: 9000, Quotas: "*:7, port:1000,router:-1",
	}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		TenantNetworkTypes: []signalbox.NetworkType{signalbox.VLAN, signalbox.GRE}, ExternalNetworkType: signalbox.Flat,
		NetworkVLANRanges: []PhysicalNetwork{{"default", []IDRange{{100, 199}, {300, 310}}}, {"public", nil}},
		FlatNetworks:      []string{"*", "public"},
		TunnelIDRanges:    []IDRange{{1, 1000}},
		VNIRanges:         []IDRange{{5, 5}, {7, 9}},
		UnderlayMTU:       9000,
		Quotas: map[string]int{"network": 7, "subnet": 7, "port": 1000, "router": signalbox.Unlimited, "floatingip": 7,
			"security_group": 7, "security_group_rule": 7, "subnetpool": 7, "rbac_policy": 7},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, want %+v", c, want)
	}
	if c, err := DefaultSettings().Parse(); err != nil || c.Quotas["port"] != 500 || len(c.Quotas) != len(signalbox.QuotaResources) {
		t.Errorf("the default settings: %v %v", c.Quotas, err)
	}
}

func TestSettingsThatCannotWorkAreRefusedByName(t *testing.T) {
	for name, test := range map[string]struct {
		setting string
		change  func(*Settings)
	}{
		"no type":               {"tenant_network_types", func(s *Settings) { s.TenantNetworkTypes = " " }},
		"an unknown type":       {"tenant_network_types", func(s *Settings) { s.TenantNetworkTypes = "token-ring" }},
		"flat for tenants":      {"tenant_network_types", func(s *Settings) { s.TenantNetworkTypes = "flat" }},
		"a type twice":          {"tenant_network_types", func(s *Settings) { s.TenantNetworkTypes = "vxlan,vxlan" }},
		"vlan without a range":  {"tenant_network_types", func(s *Settings) { s.TenantNetworkTypes, s.NetworkVLANRanges = "vlan", "physnet1" }},
		"gre without a range":   {"tenant_network_types", func(s *Settings) { s.TenantNetworkTypes, s.TunnelIDRanges = "gre", "" }},
		"vxlan without a range": {"tenant_network_types", func(s *Settings) { s.VNIRanges = "" }},
		"an unknown outside":    {"external_network_type", func(s *Settings) { s.ExternalNetworkType = "token-ring" }},
		"flat on anything":      {"external_network_type", func(s *Settings) { s.ExternalNetworkType, s.FlatNetworks = "flat", "*" }},
		"vlan outside nowhere":  {"external_network_type", func(s *Settings) { s.ExternalNetworkType = "vlan" }},
		"VLAN 4095":             {"network_vlan_ranges", func(s *Settings) { s.NetworkVLANRanges = "p:1:4095" }},
		"VLAN 0":                {"network_vlan_ranges", func(s *Settings) { s.NetworkVLANRanges = "p:0:9" }},
		"half a range":          {"network_vlan_ranges", func(s *Settings) { s.NetworkVLANRanges = "p:1" }},
		"no physical network":   {"network_vlan_ranges", func(s *Settings) { s.NetworkVLANRanges = ":1:2" }},
		"a range reversed":      {"tunnel_id_ranges", func(s *Settings) { s.TunnelIDRanges = "9:1" }},
		"a VNI of 25 bits":      {"vni_ranges", func(s *Settings) { s.VNIRanges = "1:16777216" }},
		"words for numbers":     {"vni_ranges", func(s *Settings) { s.VNIRanges = "one:two" }},
		"a domain with _":       {"dns_domain", func(s *Settings) { s.DNSDomain = "my_cloud" }},
		"no room in the MTU":    {"underlay_mtu", func(s *Settings) { s.UnderlayMTU = 100 }},
		"a quota of what":       {"quotas", func(s *Settings) { s.Quotas = "banana:1" }},
		"a quota of nothing":    {"quotas", func(s *Settings) { s.Quotas = "port" }},
		"a quota below none":    {"quotas", func(s *Settings) { s.Quotas = "port:-2" }},
	} {
		s := DefaultSettings()
		test.change(&s)
		if _, err := s.Parse(); err == nil || !strings.HasPrefix(err.Error(), test.setting+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
