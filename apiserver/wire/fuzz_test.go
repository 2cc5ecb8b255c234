package wire

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

// seed gives the bodies and queries that were recorded of a real Neutron.
func seed(f *testing.F, add func(path string, body []byte)) {
	file, err := os.Open("../testdata/neutron-zed.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Path string
			Body json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			f.Fatal(err)
		}
		add(e.Path, e.Body)
	}
	if err := lines.Err(); err != nil {
		f.Fatal(err)
	}
}

// FuzzBody: no body makes the decoder panic; one that it accepts is JSON by the standard library's word, too, holds
// only attributes that may be set, and each value can be shown and then reads the same.
func FuzzBody(f *testing.F) {
	seed(f, func(_ string, body []byte) {
		if body != nil {
			f.Add([]byte(body))
		}
	})
	f.Add([]byte(`{"subnet":{"host_routes":null,"gateway_ip":null}}`))
	f.Add([]byte(`{"port":{"fixed_ips":[{"ip_address":"::"}],"mac_address":"ff-ff-ff-ff-ff-05"}}`))
	f.Add([]byte(`{"port":{"allowed_address_pairs":[{"ip_address":"10.0.0.7/8","mac_address":"00:00:5e:00:01:01"},{"ip_address":"::"}],
		"extra_dhcp_opts":[{"opt_name":"router","opt_value":""},{"opt_name":"150","opt_value":null,"ip_version":"6"}]}}`))
	f.Add([]byte(`{"port":{"binding:profile":{"a":[1e3,{"b":null}],"\u0000":true},"binding:host_id":null,"binding:vnic_type":"direct"}}`))
	f.Add([]byte(`{"router":{"external_gateway_info":{}}}`))
	f.Add([]byte(`{"router":{"external_gateway_info":{"network_id":"83273865a2d7455c949c35c8992046ca","enable_snat":"0",
		"external_fixed_ips":[{"subnet_id":"d7ea997b-73ea-4044-b5fa-90daf36c2609"},{"ip_address":"198.51.100.9"}]}}}`))
	f.Add([]byte(`{"floatingip":{"floating_network_id":"d7ea997b-73ea-4044-b5fa-90daf36c2609","subnet_id":null,"floating_ip_address":"198.51.100.9"}}`))
	f.Add([]byte(`{"floatingip":{"port_id":null,"fixed_ip_address":"10.0.0.3"}}`))
	f.Add([]byte(`{"port":{"security_groups":null}}`))
	f.Add([]byte(`{"binding":{"host":"h","vnic_type":"normal","profile":null,"tenant_id":"p"}}`))
	f.Add([]byte(`{"subnetpool":{"prefixes":["10.0.0.7/8","fd00::/8"],"min_prefixlen":"8","default_quota":null,"address_scope_id":null,"is_default":1}}`))
	f.Add([]byte(`{"address_scope":{"name":"k","ip_version":"6","shared":"true"}}`))
	f.Add([]byte(`{"subnet":{"subnetpool_id":null,"prefixlen":"26","use_default_subnetpool":true,"service_types":["compute:nova","network:x"]}}`))
	f.Add([]byte(`{"quota":{"network":"-1","port":2147483648,"project_id":"p"}}`))
	f.Add([]byte(`{"agent":{"admin_state_up":false,"description":null}}`))
	f.Add([]byte(`{"network":{"availability_zone_hints":["nova"]}}`))
	f.Add([]byte(`{"rbac_policy":{"object_type":" Network","object_id":"24a0c74d-6292-41b6-b090-e7c88c895d3d","action":"access_as_shared","target_tenant":"*"}}`))
	f.Add([]byte(`{"security_group_rule":{"security_group_id":"24a0c74d-6292-41b6-b090-e7c88c895d3d","direction":"egress","ethertype":"ipv6","protocol":58,
		"port_range_min":"1","port_range_max":null,"remote_ip_prefix":"fd00::7"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		accepted(t, Networks(), body)
		accepted(t, Subnets(), body)
		accepted(t, Ports(), body)
		accepted(t, Routers(), body)
		accepted(t, FloatingIPs(alone), body)
		accepted(t, SecurityGroups(), body)
		accepted(t, SecurityGroupRules(), body)
		accepted(t, Bindings(), body)
		accepted(t, RBACPolicies(), body)
		accepted(t, AddressScopes(), body)
		accepted(t, SubnetPools(), body)
		accepted(t, Quotas(), body)
		accepted(t, Agents(), body)
	})
}

func accepted[T any](t *testing.T, r *Resource[T], body []byte) {
	all, _, err := r.DecodeCreate(body)
	check(t, r, body, all, err, Create)
	one, err := r.DecodeUpdate(body)
	check(t, r, body, []Values{one}, err, Update)
}

func check[T any](t *testing.T, r *Resource[T], body []byte, all []Values, err error, verb Access) {
	if err != nil {
		if signalbox.KindOf(err) != signalbox.Invalid {
			t.Fatalf("%q: refused as %v", body, err)
		}
		return
	}
	if !json.Valid(body) {
		t.Fatalf("%q is not JSON, and was accepted", body)
	}
	for _, values := range all {
		r.AdminOnly(values, verb)
		for name, v := range values {
			a := r.attribute(name)
			if a.Access&verb == 0 {
				t.Fatalf("%q: %s was accepted", body, name)
			}
			if a.Kind.null != nil && reflect.DeepEqual(v, a.Kind.null) {
				continue
			}
			if leaves(v) {
				continue // what was left to us is shown only once it is chosen
			}
			form := a.Kind.write(nil, v)
			if string(form) == "null" {
				continue // a zero that is shown as none: whether it may be asked for is not a matter of form
			}
			again, err := parse(form)
			if err != nil {
				t.Fatalf("%q: %s is shown as no JSON: %v", body, name, err)
			}
			if back, err := a.read(again); err != nil || !reflect.DeepEqual(back, v) {
				t.Fatalf("%q: %s is %v, and read again %v %v", body, name, v, back, err)
			}
		}
	}
}

// alone is a floating IP whose port is not known.
func alone(f *signalbox.FloatingIP) (*signalbox.FloatingIP, *signalbox.Port) { return f, nil }

// leaves reports whether a value leaves an address to us.
func leaves(v any) bool {
	list, _ := v.([]signalbox.FixedIP)
	if g, ok := v.(Gateway); ok {
		list = g.FixedIPs
	}
	for _, f := range list {
		if !f.Addr.IsValid() {
			return true
		}
	}
	return false
}

// FuzzInterface: no body makes the reader panic; what it refuses is the client's fault, and what it takes is shown as JSON.
func FuzzInterface(f *testing.F) {
	seed(f, func(_ string, body []byte) {
		if body != nil {
			f.Add([]byte(body))
		}
	})
	f.Add([]byte(`{"subnet_id":"83273865a2d7455c949c35c8992046ca"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		subnet, port, err := DecodeInterface(body)
		if err != nil {
			if signalbox.KindOf(err) != signalbox.Invalid || subnet != nil || port != nil {
				t.Fatalf("%q: %v %v, refused as %v", body, subnet, port, err)
			}
			return
		}
		var p signalbox.Port
		if subnet != nil {
			p.FixedIPs = []signalbox.FixedIP{{SubnetID: *subnet}}
		}
		if port != nil {
			p.ID = *port
		}
		if answer := AppendInterface(nil, p.ID, &p); !json.Valid(answer) {
			t.Fatalf("%q: answered %s", body, answer)
		}
	})
}

// FuzzQuery: no query makes the reader panic, and what it accepts is of the Go type that the attribute has.
func FuzzQuery(f *testing.F) {
	seed(f, func(path string, _ []byte) {
		if _, query, ok := strings.Cut(path, "?"); ok {
			f.Add(query)
		}
	})
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		Fields(q)
		asked(t, Networks(), q)
		asked(t, Subnets(), q)
		asked(t, Ports(), q)
		asked(t, Routers(), q)
		asked(t, FloatingIPs(alone), q)
		asked(t, SecurityGroups(), q)
		asked(t, SecurityGroupRules(), q)
		if filters, err := Bindings().Filters(q, View{}); err == nil {
			Bindings().Passes(&signalbox.PortBinding{}, filters)
		}
		asked(t, RBACPolicies(), q)
		asked(t, AddressScopes(), q)
		asked(t, SubnetPools(), q)
		asked(t, Agents(), q)
		asked(t, Availabilities(), q)
	})
}

func asked[T any](t *testing.T, r *Resource[T], q url.Values) {
	var row T
	if filters, err := r.Filters(q, View{Admin: true}); err == nil {
		for name, values := range filters {
			a := r.attribute(name)
			for _, v := range values {
				if a.Kind.filter == nil && reflect.TypeOf(v) != reflect.TypeOf(a.Value(&row)) {
					t.Fatalf("%v: %s is a %T", q, name, v)
				}
			}
		}
	}
	page, err := r.ReadPage(q, View{Admin: true})
	if err != nil {
		return
	}
	for _, l := range r.Links([]T{row}, page, "http://here", q) {
		if _, err := url.Parse(l.Href); err != nil {
			t.Fatalf("%v: link %q: %v", q, l.Href, err)
		}
		if !json.Valid(appendLink(nil, l)) {
			t.Fatalf("%v: link %q is shown as no JSON", q, l.Href)
		}
	}
}

// FuzzPoolActions: no body makes the readers of what is done with a pool panic, and what they refuse is the client's fault.
func FuzzPoolActions(f *testing.F) {
	f.Add([]byte(`{"prefixes":["10.0.0.7/8","fd00::/8"]}`))
	f.Add([]byte(`{"network_id":"83273865a2d7455c949c35c8992046ca"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := DecodePrefixes(body)
		if err != nil && signalbox.KindOf(err) != signalbox.Invalid {
			t.Fatalf("%q: refused as %v", body, err)
		}
		if answer := AppendPrefixes(nil, list); err == nil && !json.Valid(answer) {
			t.Fatalf("%q: answered %s", body, answer)
		}
		if _, err := DecodeOnboarding(body); err != nil && signalbox.KindOf(err) != signalbox.Invalid {
			t.Fatalf("%q: refused as %v", body, err)
		}
	})
}
