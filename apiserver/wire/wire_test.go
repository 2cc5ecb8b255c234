package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

func TestAttributeTablesAreConsistent(t *testing.T) {
	checkTable(t, Networks())
	checkTable(t, Subnets())
	checkTable(t, Ports())
	checkTable(t, Routers())
	checkTable(t, SecurityGroups())
	checkTable(t, SecurityGroupRules())
	checkTable(t, Bindings())
	checkTable(t, RBACPolicies())
	checkTable(t, AddressScopes())
	checkTable(t, SubnetPools())
}

func checkTable[T any](t *testing.T, r *Resource[T]) {
	var zero T
	seen, shown := map[string]bool{}, 0
	for _, a := range r.Attributes {
		if a.Access&Unshown == 0 {
			shown++
		}
		settable := a.Access&(Create|Update) != 0
		switch {
		case seen[a.Name]:
			t.Errorf("%s.%s: declared twice", r.Name, a.Name)
		case a.Kind.write == nil || a.Value == nil:
			t.Errorf("%s.%s: cannot be shown", r.Name, a.Name)
		case (settable || a.Access&Filter != 0) && a.Kind.read == nil:
			t.Errorf("%s.%s: cannot be read", r.Name, a.Name)
		case a.Access&Required != 0 && a.Access&Create == 0:
			t.Errorf("%s.%s: required and not settable", r.Name, a.Name)
		case a.Alias != "" && r.attribute(a.Alias) == nil:
			t.Errorf("%s.%s: another name of nothing", r.Name, a.Name)
		case a.Access&AdminSet != 0 && a.Default == nil:
			t.Errorf("%s.%s: without a default, everything is other than it", r.Name, a.Name)
		case a.Kind.Schema.Type == "":
			t.Errorf("%s.%s: has no schema", r.Name, a.Name)
		}
		seen[a.Name] = true
		if a.Default != nil && reflect.TypeOf(a.Default) != reflect.TypeOf(a.Value(&zero)) {
			t.Errorf("%s.%s: the default is a %T, the value a %T", r.Name, a.Name, a.Default, a.Value(&zero))
		}
	}
	var back map[string]any
	if err := json.Unmarshal(r.Append(nil, &zero, View{Admin: true}), &back); err != nil || len(back) != shown {
		t.Errorf("%s: shown as %v, %v", r.Name, back, err)
	}
}

func TestValuesAreConvertedAsNeutronDoes(t *testing.T) {
	subnet := uuid.MustParse("83273865-a2d7-455c-949c-35c8992046ca")
	for _, test := range []struct {
		kind Kind
		json string
		want any // nil: refused
	}{
		{boolean(), `true`, true}, {boolean(), `"True"`, true}, {boolean(), `"false"`, false}, {boolean(), `1`, true}, {boolean(), `"0"`, false},
		{boolean(), `"maybe"`, nil}, {boolean(), `2`, nil}, {boolean(), `null`, nil}, {boolean(), `[]`, nil},
		{integer(nil), `5`, 5}, {integer(nil), `"5"`, 5}, {integer(nil), `-5`, -5},
		{integer(nil), `5.0`, nil}, {integer(nil), `1e3`, nil}, {integer(nil), `99999999999999999999`, nil}, {integer(nil), `"x"`, nil}, {integer(nil), `true`, nil},
		{text(3), `"abc"`, "abc"}, {text(3), `"äöü"`, "äöü"}, {text(3), `"abcd"`, nil}, {text(3), `5`, nil}, {text(3), `null`, nil}, {text(3), `"\u0000"`, nil},
		{id(), `"83273865-a2d7-455c-949c-35c8992046ca"`, subnet}, {id(), `"83273865a2d7455c949c35c8992046ca"`, subnet},
		{id(), `"{83273865-a2d7-455c-949c-35c8992046ca}"`, nil}, {id(), `"urn:uuid:83273865-a2d7-455c-949c-35c8992046ca"`, nil}, {id(), `"x"`, nil},
		{address(), `"10.0.0.1"`, netip.MustParseAddr("10.0.0.1")}, {address(), `"FD00::1"`, netip.MustParseAddr("fd00::1")},
		{address(), `"10.0.0.01"`, nil}, {address(), `"fe80::1%eth0"`, nil}, {address(), `"::ffff:10.0.0.1"`, nil}, {address(), `"10.0.0.1/24"`, nil},
		{block(), `"10.50.0.7/24"`, netip.MustParsePrefix("10.50.0.0/24")}, {block(), `"10.1.0.0/33"`, nil}, {block(), `"10.1.0.0"`, nil}, {block(), `"::ffff:10.0.0.0/120"`, nil},
		{macAddress(), `"FA:16:3E:00:00:01"`, signalbox.MustMAC("fa:16:3e:00:00:01")}, {macAddress(), `"fa-16-3e-00-00-01"`, signalbox.MustMAC("fa:16:3e:00:00:01")},
		{macAddress(), `"01:00:5e:00:00:01"`, signalbox.MustMAC("01:00:5e:00:00:01")}, {macAddress(), `"zz"`, nil}, {macAddress(), `"ff:ff:ff:ff:ff:ff"`, nil}, {macAddress(), `"00:00:00:00:00:00"`, nil},
		{nameservers(), `["1.1.1.1"]`, []netip.Addr{netip.MustParseAddr("1.1.1.1")}}, {nameservers(), `["1.1.1.1","1.1.1.1"]`, nil}, {nameservers(), `["x y"]`, nil},
		{nameservers(), `["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4","1.1.1.5","1.1.1.6"]`, nil},
		{pools(), `[{"start":"10.0.0.1","end":"10.0.0.9"}]`, []signalbox.AddrRange{{First: netip.MustParseAddr("10.0.0.1"), Last: netip.MustParseAddr("10.0.0.9")}}},
		{pools(), `[{"start":"10.0.0.1"}]`, nil}, {pools(), `[{"start":"10.0.0.1","end":"10.0.0.9","x":1}]`, nil}, {pools(), `null`, nil},
		{routes(maxHostRoutes), `[{"destination":"10.9.0.0/16","nexthop":"10.1.0.9"}]`, []signalbox.Route{{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: netip.MustParseAddr("10.1.0.9")}}},
		{routes(maxHostRoutes), `[{"destination":"x","nexthop":"10.1.0.9"}]`, nil},
		{fixedIPs(), `[{"subnet_id":"83273865-a2d7-455c-949c-35c8992046ca"}]`, []signalbox.FixedIP{{SubnetID: subnet}}},
		{fixedIPs(), `[{"ip_address":"10.0.0.1"}]`, []signalbox.FixedIP{{Addr: netip.MustParseAddr("10.0.0.1")}}},
		{fixedIPs(), `[]`, []signalbox.FixedIP{}}, {fixedIPs(), `[{}]`, nil}, {fixedIPs(), `[{"ip":"10.0.0.1"}]`, nil}, {fixedIPs(), `[{"ip_address":"abc"}]`, nil},
		{fixedIPs(), `[{"ip_address":"10.0.0.1"},{"ip_address":"10.0.0.1"}]`, nil},
	} {
		v, err := parse([]byte(test.json))
		if err != nil {
			t.Fatalf("%s: %v", test.json, err)
		}
		got, err := test.kind.read(v)
		if test.want == nil && err == nil || test.want != nil && !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s: %v %v, want %v", test.kind.Schema.Type, test.json, got, err, test.want)
		}
	}
}

func TestNeutronsTwoNamesForBadValuesAreKeptApart(t *testing.T) {
	for body, want := range map[string]signalbox.Reason{
		`{"network":{"admin_state_up":"maybe"}}`: signalbox.ReasonInvalidInput,
		`{"network":{"mtu":"x"}}`:                signalbox.ReasonInvalidInput,
		`{"network":{"mtu":-5}}`:                 "",
		`{"network":{"name":5}}`:                 "",
		`{"network":{"colour":"red"}}`:           "",
	} {
		_, _, err := Networks().DecodeCreate([]byte(body))
		var e *signalbox.Error
		if !errors.As(err, &e) || e.Kind != signalbox.Invalid || e.Reason != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestRefusalsNameTheAttribute(t *testing.T) {
	update := func(body string) error { _, err := Ports().DecodeUpdate([]byte(body)); return err }
	create := func(body string) error { _, _, err := Ports().DecodeCreate([]byte(body)); return err }
	for _, test := range []struct {
		err  error
		name string
	}{
		{create(`{"port":{"colour":1,"binding:colour":"h"}}`), "'binding:colour', 'colour'"},
		{create(`{"port":{"network_id":"x"}}`), "network_id"},
		{create(`{"port":{}}`), "network_id"},
		{create(`{"port":{"network_id":"83273865-a2d7-455c-949c-35c8992046ca","status":"ACTIVE"}}`), "status"},
		{update(`{"port":{"network_id":"83273865-a2d7-455c-949c-35c8992046ca"}}`), "network_id"},
		{update(`{"port":{"tenant_id":"x"}}`), "tenant_id"},
		{update(`{"port":{"fixed_ips":[{"ip_address":"abc"}]}}`), "fixed_ips"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.name) {
			t.Errorf("%v does not name %s", test.err, test.name)
		}
	}
}

func TestGatewaysAreNamedByTheirNetwork(t *testing.T) {
	const id = "83273865-a2d7-455c-949c-35c8992046ca"
	const network = `{"network_id":"` + id + `"`
	for body, want := range map[string]string{
		`null`: `null`, `{}`: `null`, network + `}`: network + `}`,
		network + `,"enable_snat":"False"}`:                           network + `,"enable_snat":false}`,
		network + `,"external_fixed_ips":[]}`:                         network + `,"external_fixed_ips":[]}`,
		network + `,"external_fixed_ips":null}`:                       network + `}`,
		network + `,"external_fixed_ips":[{"ip_address":"10.0.0.5"}]`: "", // not JSON
		network + `,"external_fixed_ips":[{}]}`:                       "",
		network + `,"external_fixed_ips":[{"ip_address":"x"}]}`:       "",
		network + `,"enable_snat":"perhaps"}`:                         "",
		network + `,"colour":"red"}`:                                  "",
		`{"network_id":null}`:                                         "", `{"network_id":"00000000-0000-0000-0000-000000000000"}`: "", `{"enable_snat":true}`: "", `"x"`: "", `[]`: "",
	} {
		all, _, err := Routers().DecodeCreate([]byte(`{"router":{"external_gateway_info":` + body + `}}`))
		if (err == nil) != (want != "") {
			t.Errorf("%s: %v", body, err)
		}
		if err != nil {
			continue
		}
		if got := string(gateway().write(nil, all[0]["external_gateway_info"])); got != want {
			t.Errorf("%s is %s, want %s", body, got, want)
		}
	}
}

func TestInterfacesAreNamedBySubnetOrPort(t *testing.T) {
	const id = "83273865-a2d7-455c-949c-35c8992046ca"
	for body, want := range map[string]string{
		``: "<nil> <nil>", `{}`: "<nil> <nil>",
		`{"subnet_id":"` + id + `"}`:                        id + " <nil>",
		`{"port_id":"` + id + `"}`:                          "<nil> " + id,
		`{"port_id":"` + id + `","subnet_id":"` + id + `"}`: id + " " + id,
		`{"subnet_id":null}`:                                "refused", `{"port_id":"x"}`: "refused", `{"subnet_id":["` + id + `"]}`: "refused",
		`{"router_id":"` + id + `"}`: "refused", `[]`: "refused", `null`: "refused", `{`: "refused", `{"port_id":"` + id + `","port_id":"` + id + `"}`: "refused",
	} {
		subnet, port, err := DecodeInterface([]byte(body))
		got := fmt.Sprint(subnet, " ", port)
		if err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", body, got, err, want)
		}
	}
}

func TestTenantAndProjectAreOne(t *testing.T) {
	for body, want := range map[string]any{
		`{"network":{"tenant_id":"a"}}`:                  "a",
		`{"network":{"project_id":"a"}}`:                 "a",
		`{"network":{"project_id":"a","tenant_id":"a"}}`: "a",
		`{"network":{"project_id":"a","tenant_id":"b"}}`: nil,
		`{"network":{"project_id":""}}`:                  nil,
	} {
		all, _, err := Networks().DecodeCreate([]byte(body))
		if want == nil {
			if err == nil {
				t.Errorf("%s: accepted as %v", body, all)
			}
		} else if err != nil || all[0]["project_id"] != want {
			t.Errorf("%s: %v %v", body, all, err)
		}
	}
}

func TestOnlyWhatAnAdminMaySetNeedsOne(t *testing.T) {
	for body, want := range map[string][]string{
		`{"network":{"shared":false,"router:external":false,"name":"x"}}`: nil,
		`{"network":{"shared":true}}`:                                     {"shared"},
		`{"network":{"provider:network_type":"vlan","shared":true}}`:      {"shared", "provider:network_type"},
	} {
		all, _, err := Networks().DecodeCreate([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := Networks().AdminOnly(all[0], Create); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}

func TestNetworksAreTakenBackByAdminsOnly(t *testing.T) {
	values, err := Networks().DecodeUpdate([]byte(`{"network":{"shared":false,"name":"x"}}`))
	if got := Networks().AdminOnly(values, Update); err != nil || !reflect.DeepEqual(got, []string{"shared"}) {
		t.Errorf("%v %v", got, err)
	}
}

func TestHowARouterAppearsOutsideIsForAdmins(t *testing.T) {
	const network = `{"router":{"external_gateway_info":{"network_id":"83273865-a2d7-455c-949c-35c8992046ca"`
	for body, want := range map[string][]string{
		`{"router":{"external_gateway_info":null}}`: nil,
		network + `}}}`:                    nil,
		network + `,"enable_snat":true}}}`: {"external_gateway_info:enable_snat"},
		network + `,"external_fixed_ips":[{"ip_address":"10.0.0.5"}],"enable_snat":false}}}`: {
			"external_gateway_info:enable_snat", "external_gateway_info:external_fixed_ips"},
	} {
		values, err := Routers().DecodeUpdate([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := Routers().AdminOnly(values, Update); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}

func TestFloatingIPsTellOfThePortTheyStandFor(t *testing.T) {
	type both struct {
		f signalbox.FloatingIP
		p *signalbox.Port
	}
	r := FloatingIPs(func(b *both) (*signalbox.FloatingIP, *signalbox.Port) { return &b.f, b.p })
	view := View{Fields: []string{"subnet_id", "port_id", "fixed_ip_address", "router_id", "port_details"}}
	if got, want := string(r.Append(nil, &both{}, view)), `{"port_id":null,"fixed_ip_address":null,"router_id":null,"port_details":null}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	b := both{p: &signalbox.Port{Name: "n", Status: signalbox.Down, DeviceID: "vm", DeviceOwner: "compute:nova"}}
	view.Fields = view.Fields[4:]
	if got, want := string(r.Append(nil, &b, view)), `{"port_details":{"name":"n","network_id":"00000000-0000-0000-0000-000000000000","admin_state_up":false,`+
		`"status":"DOWN","mac_address":"00:00:00:00:00:00","device_id":"vm","device_owner":"compute:nova"}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFieldsAndViewsNarrowAnAnswer(t *testing.T) {
	n := &signalbox.Network{Name: "a\"\\\n<ü>", Segment: signalbox.Segment{Type: signalbox.VXLAN, ID: 7},
		Meta: signalbox.Meta{CreatedAt: time.Date(2026, 11, 23, 18, 19, 47, 999, time.FixedZone("", 3600))}}
	for _, test := range []struct {
		view View
		want string
	}{
		{View{Fields: []string{"name"}}, `{"name":"a\"\\\u000a<ü>"}`},
		{View{Fields: []string{"colour"}}, `{}`},
		{View{Fields: []string{"created_at"}}, `{"created_at":"2026-11-23T17:19:47Z"}`},
		{View{Fields: []string{"provider:segmentation_id"}}, `{}`},
		{View{Admin: true, Fields: []string{"provider:segmentation_id", "provider:physical_network"}}, `{"provider:physical_network":null,"provider:segmentation_id":7}`},
	} {
		if got := string(Networks().Append(nil, n, test.view)); got != test.want {
			t.Errorf("%v: %s, want %s", test.view, got, test.want)
		}
	}
}

// fewWrites takes so many bytes, and then fails.
type fewWrites struct {
	bytes.Buffer
	left int
}

func (w *fewWrites) Write(b []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return w.Buffer.Write(b)
}

func TestAListIsWrittenInPieces(t *testing.T) {
	networks := make([]signalbox.Network, 2000)
	for i := range networks {
		networks[i].Name = strings.Repeat("n", 100)
	}
	view := View{Fields: []string{"name", "tags"}}
	for n, want := range map[int]string{0: `{"networks":[]}`, 1: `{"networks":[{"name":"` + networks[0].Name + `","tags":[]}]}`} {
		var got strings.Builder
		if err := Networks().WriteAll(&got, networks[:n], view); err != nil || got.String() != want {
			t.Errorf("%d are %s, %v, want %s", n, got.String(), err, want)
		}
	}
	whole := fewWrites{left: 100}
	err := Networks().WriteAll(&whole, networks, view, Link{Rel: "next", Href: "there"})
	var back struct {
		Networks []any
		Links    []Link `json:"networks_links"`
	}
	if err := errors.Join(err, json.Unmarshal(whole.Bytes(), &back)); err != nil || len(back.Networks) != len(networks) || len(back.Links) != 1 {
		t.Errorf("%d networks and %d links, %v", len(back.Networks), len(back.Links), err)
	}
	if writes := 100 - whole.left; writes != 1+whole.Len()/piece {
		t.Errorf("%d bytes were written in %d pieces", whole.Len(), writes)
	}
	short := fewWrites{left: 1}
	if err := Networks().WriteAll(&short, networks, view); !errors.Is(err, io.ErrClosedPipe) || short.left != -1 {
		t.Errorf("%v, and after that %d writes", err, -short.left)
	}
}

func TestASortKeyCountsOnce(t *testing.T) {
	q, _ := url.ParseQuery("sort_key=name&sort_dir=asc&sort_key=tenant_id&sort_dir=desc&sort_key=name&sort_dir=desc&sort_key=project_id&sort_dir=asc&sort_key=id&sort_dir=asc")
	page, err := Networks().ReadPage(q, View{})
	if want := []Order{{"name", false}, {"project_id", true}, {"id", false}}; err != nil || !reflect.DeepEqual(page.Sort, want) {
		t.Errorf("%v %v, want %v", page.Sort, err, want)
	}
}

func TestQueriesAreCheckedAgainstTheTable(t *testing.T) {
	for query, ok := range map[string]bool{
		"name=a&name=b": true, "fields=colour": true, "colour=red": false, "subnets=x": false, "admin_state_up=maybe": false,
		"limit=0": true, "limit=-1": false, "limit=abc": false, "limit=99999999999999999999": false, "marker=nope": false, "page_reverse=perhaps": false,
		"sort_key=name&sort_dir=asc": true, "sort_key=name": false, "sort_key=name&sort_dir=up": false, "sort_key=subnets&sort_dir=asc": false,
		"provider:network_type=vlan": false,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		_, err1 := Networks().Filters(q, View{})
		_, err2 := Networks().ReadPage(q, View{})
		if (err1 == nil && err2 == nil) != ok {
			t.Errorf("%s: %v %v", query, err1, err2)
		}
	}
}
