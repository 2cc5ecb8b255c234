//go:build integration

package apiserver_test

import (
	"strings"
	"testing"
)

func TestPortsHaveNames(t *testing.T) {
	c := newClient(t)
	network := c.network(nil)
	c.subnet(network, "10.0.0.0/24", nil)
	assigned := func(p object, host, full string) {
		t.Helper()
		addr := p["fixed_ips"].([]any)[0].(object)["ip_address"]
		c.has(p, object{"dns_assignment": []any{object{"ip_address": addr, "hostname": host, "fqdn": full}}})
	}

	p := c.create("port", object{"network_id": network, "fixed_ips": []any{object{"ip_address": "10.0.0.9"}}})
	c.has(p, object{"dns_name": ""})
	assigned(p, "host-10-0-0-9", "host-10-0-0-9.openstacklocal.")
	p = c.updatePort(p, object{"dns_name": "VM-1"})
	c.has(p, object{"dns_name": "vm-1"})
	assigned(p, "vm-1", "vm-1.openstacklocal.")
	assigned(c.must(200, "GET", portURL(p), nil), "vm-1", "vm-1.openstacklocal.")

	url := "/v2.0/networks/" + network
	c.has(c.must(200, "PUT", url, object{"network": object{"dns_domain": "Lab.Example."}}), object{"dns_domain": "lab.example."})
	c.has(c.must(200, "GET", url, nil), object{"dns_domain": "lab.example."})
	assigned(c.list("ports", "?dns_name=vm-1")[0], "vm-1", "vm-1.lab.example.")
	assigned(c.updatePort(p, object{"dns_name": "vm.lab.example."}), "vm.lab.example.", "vm.lab.example.")
	q := c.create("port", object{"network_id": network, "dns_name": "vm.lab.example."}) // names are not unique
	assigned(q, "vm.lab.example.", "vm.lab.example.")
	if got := len(c.list("ports", "?dns_name=VM.Lab.Example.")); got != 2 {
		t.Errorf("%d ports have the name", got)
	}
	if got := len(c.list("networks", "?dns_domain=lab.example.&dns_domain=other.")); got != 1 {
		t.Errorf("%d networks have the domain", got)
	}
	c.has(c.must(200, "PUT", url, object{"network": object{"dns_domain": ""}}), object{"dns_domain": ""})
	assigned(c.updatePort(p, object{"dns_name": ""}), "host-10-0-0-9", "host-10-0-0-9.openstacklocal.")
}

func TestNamesThatDNSCannotHaveAreRefused(t *testing.T) {
	c := newClient(t)
	network := c.network(object{"dns_domain": "lab.example."})
	for _, name := range []any{"a_b", "-a", "a-", "a..b", ".", "a.42", "vm.openstacklocal.", "lab.example.", "xlab.example.",
		strings.Repeat("a", 64), strings.Repeat("abc.", 63), strings.Repeat("abc.", 80), 42} {
		kind := "HTTPBadRequest"
		if name == 42 {
			kind = "InvalidInput"
		}
		c.refused(400, kind, "POST", "/v2.0/ports", object{"port": object{"network_id": network, "dns_name": name}})
	}
	long := strings.Repeat("abc.", 60) // 240 characters; with the domain's 12 and a dot there is room for one more
	p := c.create("port", object{"network_id": network, "dns_name": long + "d"})
	c.refused(400, "HTTPBadRequest", "PUT", portURL(p), object{"port": object{"dns_name": long + "def"}})
	for _, domain := range []any{"lab.example", ".", "lab_.example.", "a.42.", strings.Repeat("abc.", 64)} {
		c.refused(400, "HTTPBadRequest", "POST", "/v2.0/networks", object{"network": object{"dns_domain": domain}})
	}
}
