package signalbox

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNamesAreThoseOfHosts(t *testing.T) {
	for name, right := range map[string]bool{
		"": true, "vm1": true, "1vm": true, "a.b": true, "a.b.": true, "42": true, strings.Repeat("a", 63): true, "xn--bcher-kva": true,
		".": false, "a..b": false, ".a": false, "-a": false, "a-": false, "a.b-": false, "a_b": false, "ä": false, "A": false, "a b": false,
		"a.42": false, "a.42.": false, strings.Repeat("a", 64): false,
	} {
		if wrong := CheckName(name); (wrong == "") != right {
			t.Errorf("%q: %q", name, wrong)
		}
	}
}

func TestDomainsAreKeptInOneForm(t *testing.T) {
	for said, want := range map[string]string{"": "", "openstacklocal": "openstacklocal.", "Lab.Example.": "lab.example."} {
		if got, err := ParseDomain(said); got != want || err != nil {
			t.Errorf("%q: %q, %v", said, got, err)
		}
	}
	long := strings.Repeat("abc.", 63) // 252 characters
	if _, err := ParseDomain(long); err != nil {
		t.Errorf("the longest: %v", err)
	}
	for _, bad := range []string{".", "a_b", "example.1", "x" + long} {
		if got, err := ParseDomain(bad); err == nil {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

func TestAddressesAreCalledAsNeutronCallsThem(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("fd00:1::f816:3eff:fec4:8f42")
	for _, test := range []struct {
		name       string
		addr       netip.Addr
		domain     string
		host, full string
	}{
		{"", v4, "lab.example.", "host-10-0-0-3", "host-10-0-0-3.lab.example."},
		{"", v6, "lab.example.", "host-fd00-1--f816-3eff-fec4-8f42", "host-fd00-1--f816-3eff-fec4-8f42.lab.example."},
		{"vm1", v4, "lab.example.", "vm1", "vm1.lab.example."},
		{"vm1.lab.example.", v4, "lab.example.", "vm1.lab.example.", "vm1.lab.example."},
		{"vm1", v4, "", "vm1", "vm1"},
	} {
		p := Port{DNSName: test.name}
		if host, full := p.NameOf(test.addr, test.domain); host != test.host || full != test.full {
			t.Errorf("%q %v in %q: %q, %q", test.name, test.addr, test.domain, host, full)
		}
	}
}
