package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// API is a small client of the Networking API, as its administrator.
type API struct {
	http *http.Client
	base string
}

// Network, Subnet, Port, Router, Interface and FloatingIP are what the lab says and reads of each resource; empty
// fields are not sent.
type (
	Network struct {
		ID           string `json:"id,omitempty"`
		Name         string `json:"name,omitempty"`
		TenantID     string `json:"tenant_id,omitempty"`
		Status       string `json:"status,omitempty"`
		MTU          int    `json:"mtu,omitempty"`
		External     bool   `json:"router:external,omitempty"`
		Type         string `json:"provider:network_type,omitempty"`
		Physical     string `json:"provider:physical_network,omitempty"`
		Segmentation int    `json:"provider:segmentation_id,omitempty"`
		DNSDomain    string `json:"dns_domain,omitempty"`
	}
	Subnet struct {
		ID         string   `json:"id,omitempty"`
		Name       string   `json:"name,omitempty"`
		NetworkID  string   `json:"network_id,omitempty"`
		CIDR       string   `json:"cidr,omitempty"`
		IPVersion  int      `json:"ip_version,omitempty"`
		GatewayIP  string   `json:"gateway_ip,omitempty"`
		EnableDHCP *bool    `json:"enable_dhcp,omitempty"`
		DNS        []string `json:"dns_nameservers,omitempty"`
		Routes     []Route  `json:"host_routes,omitempty"`
	}
	Route struct {
		Destination string `json:"destination"`
		NextHop     string `json:"nexthop"`
	}
	Port struct {
		ID        string    `json:"id,omitempty"`
		NetworkID string    `json:"network_id,omitempty"`
		Name      string    `json:"name,omitempty"`
		MAC       string    `json:"mac_address,omitempty"`
		FixedIPs  []FixedIP `json:"fixed_ips,omitempty"`
		Owner     string    `json:"device_owner,omitempty"`
		DeviceID  string    `json:"device_id,omitempty"`
		HostID    string    `json:"binding:host_id,omitempty"`
		Secured   *bool     `json:"port_security_enabled,omitempty"`
		Pairs     []Pair    `json:"allowed_address_pairs,omitempty"`
		Options   []Option  `json:"extra_dhcp_opts,omitempty"`
		Status    string    `json:"status,omitempty"`
		AdminUp   *bool     `json:"admin_state_up,omitempty"`
		DNSName   string    `json:"dns_name,omitempty"`
		Groups    *[]string `json:"security_groups,omitempty"` // nil: the default one
		TenantID  string    `json:"tenant_id,omitempty"`
	}
	SecurityGroup struct {
		ID       string `json:"id,omitempty"`
		Name     string `json:"name,omitempty"`
		TenantID string `json:"tenant_id,omitempty"`
		Rules    []Rule `json:"security_group_rules,omitempty"`
	}
	// Rule allows some packets to or from the ports of a group; what is empty is any.
	Rule struct {
		ID           string `json:"id,omitempty"`
		GroupID      string `json:"security_group_id,omitempty"`
		Direction    string `json:"direction,omitempty"`
		EtherType    string `json:"ethertype,omitempty"`
		Protocol     string `json:"protocol,omitempty"`
		Min          *int   `json:"port_range_min,omitempty"`
		Max          *int   `json:"port_range_max,omitempty"`
		RemoteGroup  string `json:"remote_group_id,omitempty"`
		RemotePrefix string `json:"remote_ip_prefix,omitempty"`
	}
	Router struct {
		ID       string   `json:"id,omitempty"`
		Name     string   `json:"name,omitempty"`
		TenantID string   `json:"tenant_id,omitempty"`
		AdminUp  *bool    `json:"admin_state_up,omitempty"`
		Routes   []Route  `json:"routes,omitempty"`
		Gateway  *Gateway `json:"external_gateway_info,omitempty"`
	}
	// Gateway is a router's way out to an external network.
	Gateway struct {
		NetworkID  string    `json:"network_id"`
		EnableSNAT *bool     `json:"enable_snat,omitempty"`
		FixedIPs   []FixedIP `json:"external_fixed_ips,omitempty"`
	}
	// Interface names what joins a subnet to a router: to ask, one of both; an answer has both.
	Interface struct {
		SubnetID string `json:"subnet_id,omitempty"`
		PortID   string `json:"port_id,omitempty"`
	}
	FloatingIP struct {
		ID        string `json:"id,omitempty"`
		NetworkID string `json:"floating_network_id,omitempty"`
		Addr      string `json:"floating_ip_address,omitempty"`
		PortID    string `json:"port_id,omitempty"`
		FixedAddr string `json:"fixed_ip_address,omitempty"`
		RouterID  string `json:"router_id,omitempty"`
		Status    string `json:"status,omitempty"`
	}
	// AddressScope and SubnetPool are where addresses come from.
	AddressScope struct {
		ID        string `json:"id,omitempty"`
		Name      string `json:"name,omitempty"`
		IPVersion int    `json:"ip_version,omitempty"`
	}
	SubnetPool struct {
		ID       string   `json:"id,omitempty"`
		Name     string   `json:"name,omitempty"`
		Prefixes []string `json:"prefixes,omitempty"`
		ScopeID  string   `json:"address_scope_id,omitempty"`
	}
	// Pair is an address, or a block, that a port may use; without a MAC, with its own.
	Pair struct {
		MAC  string `json:"mac_address,omitempty"`
		Addr string `json:"ip_address"`
	}
	// Option is what DHCP tells a port's client beside the subnet's.
	Option struct {
		Name  string `json:"opt_name"`
		Value string `json:"opt_value"`
	}
	FixedIP struct {
		SubnetID string `json:"subnet_id,omitempty"`
		Addr     string `json:"ip_address,omitempty"`
	}
)

// Bind binds a port to one more host, where it waits.
func (a *API) Bind(ctx context.Context, port, host string) error {
	return call(ctx, a.http, http.MethodPost, a.base+"/v2.0/ports/"+port+"/bindings", map[string]any{"binding": map[string]string{"host": host}}, nil)
}

// Activate makes the binding to a host the one that counts.
func (a *API) Activate(ctx context.Context, port, host string) error {
	return call(ctx, a.http, http.MethodPut, a.base+"/v2.0/ports/"+port+"/bindings/"+host+"/activate", nil, nil)
}

// Refusal is an answer outside 200-299.
type Refusal struct {
	Status int
	Body   string
}

func (r *Refusal) Error() string { return fmt.Sprintf("HTTP %d: %s", r.Status, r.Body) }

// CreateNetwork makes a network.
func (a *API) CreateNetwork(ctx context.Context, n Network) (Network, error) {
	return create(ctx, a, "network", n)
}

// CreateSubnet makes a subnet.
func (a *API) CreateSubnet(ctx context.Context, s Subnet) (Subnet, error) {
	return create(ctx, a, "subnet", s)
}

// CreatePort makes a port.
func (a *API) CreatePort(ctx context.Context, p Port) (Port, error) {
	return create(ctx, a, "port", p)
}

// Port reads a port.
func (a *API) Port(ctx context.Context, id string) (Port, error) {
	return show[Port](ctx, a, "port", id)
}

// Ports reads the ports of a network.
func (a *API) Ports(ctx context.Context, network string) ([]Port, error) {
	var answer map[string][]Port
	err := a.get(ctx, "/v2.0/ports?network_id="+url.QueryEscape(network), &answer)
	return answer["ports"], err
}

// CreateRouter makes a router that joins nothing yet.
func (a *API) CreateRouter(ctx context.Context, r Router) (Router, error) {
	return create(ctx, a, "router", r)
}

// AddInterface joins a subnet to a router.
func (a *API) AddInterface(ctx context.Context, router string, i Interface) (joined Interface, err error) {
	err = call(ctx, a.http, http.MethodPut, a.base+"/v2.0/routers/"+router+"/add_router_interface", i, &joined)
	return joined, err
}

// RemoveInterface takes a subnet from a router.
func (a *API) RemoveInterface(ctx context.Context, router string, i Interface) error {
	return call(ctx, a.http, http.MethodPut, a.base+"/v2.0/routers/"+router+"/remove_router_interface", i, nil)
}

// SetGateway gives a router its way out, and reads what it got.
func (a *API) SetGateway(ctx context.Context, router string, g Gateway) (Router, error) {
	return update[Router](ctx, a, "router", router, map[string]any{"external_gateway_info": g})
}

// ClearGateway takes a router's way out.
func (a *API) ClearGateway(ctx context.Context, router string) error {
	return a.Update(ctx, "router", router, map[string]any{"external_gateway_info": nil})
}

// CreateFloatingIP makes a floating IP, associated if a port is named.
func (a *API) CreateFloatingIP(ctx context.Context, f FloatingIP) (FloatingIP, error) {
	return create(ctx, a, "floatingip", f)
}

// FloatingIP reads a floating IP.
func (a *API) FloatingIP(ctx context.Context, id string) (FloatingIP, error) {
	return show[FloatingIP](ctx, a, "floatingip", id)
}

// Associate lets a floating IP stand for a port; fixed chooses among its addresses and may be empty.
func (a *API) Associate(ctx context.Context, id, port, fixed string) (FloatingIP, error) {
	attributes := map[string]any{"port_id": port}
	if fixed != "" {
		attributes["fixed_ip_address"] = fixed
	}
	return update[FloatingIP](ctx, a, "floatingip", id, attributes)
}

// Disassociate takes a floating IP from its port.
func (a *API) Disassociate(ctx context.Context, id string) error {
	return a.Update(ctx, "floatingip", id, map[string]any{"port_id": nil})
}

// DismantleRouter deletes a router after all that keeps it in use: its static routes and its interfaces.
func (a *API) DismantleRouter(ctx context.Context, id string) error {
	errs := []error{a.Update(ctx, "router", id, map[string]any{"routes": []Route{}})}
	var ends map[string][]Port
	errs = append(errs, a.get(ctx, "/v2.0/ports?device_owner="+signalbox.DeviceOwnerRouterInterface+"&device_id="+url.QueryEscape(id), &ends))
	for _, p := range ends["ports"] {
		errs = append(errs, a.RemoveInterface(ctx, id, Interface{PortID: p.ID}))
	}
	return errors.Join(append(errs, a.Delete(ctx, "router", id))...)
}

// CreateSecurityGroup makes a security group, whose ports may send anything and receive nothing.
func (a *API) CreateSecurityGroup(ctx context.Context, g SecurityGroup) (SecurityGroup, error) {
	return createAt(ctx, a, "security_group", "security-groups", g)
}

// SecurityGroup reads a security group with its rules.
func (a *API) SecurityGroup(ctx context.Context, id string) (SecurityGroup, error) {
	var answer map[string]SecurityGroup
	err := a.get(ctx, "/v2.0/security-groups/"+id, &answer)
	return answer["security_group"], err
}

// CreateRule makes a rule of a security group.
func (a *API) CreateRule(ctx context.Context, r Rule) (Rule, error) {
	return createAt(ctx, a, "security_group_rule", "security-group-rules", r)
}

// CreateRules makes many at once, all or none.
func (a *API) CreateRules(ctx context.Context, rules []Rule) error {
	return call(ctx, a.http, http.MethodPost, a.base+"/v2.0/security-group-rules", map[string][]Rule{"security_group_rules": rules}, nil)
}

// Invite lets anybody send to the ports of the default group, by some protocols, and tells the rules' ids. Without a rule only
// the group's own members do.
func (a *API) Invite(ctx context.Context, protocols ...string) (rules []string, err error) {
	var answer struct {
		Groups []SecurityGroup `json:"security_groups"`
	}
	if err := a.get(ctx, "/v2.0/security-groups?name=default", &answer); err != nil {
		return nil, err
	}
	if len(answer.Groups) != 1 {
		return nil, fmt.Errorf("%d groups are called default; a lab is one project", len(answer.Groups))
	}
	for _, protocol := range protocols {
		made, err := a.CreateRule(ctx, Rule{GroupID: answer.Groups[0].ID, Direction: "ingress", Protocol: protocol})
		if err != nil {
			return rules, err
		}
		rules = append(rules, made.ID)
	}
	return rules, nil
}

// CreateAddressScope makes an address scope.
func (a *API) CreateAddressScope(ctx context.Context, k AddressScope) (AddressScope, error) {
	return createAt(ctx, a, "address_scope", "address-scopes", k)
}

// CreateSubnetPool makes a subnet pool.
func (a *API) CreateSubnetPool(ctx context.Context, p SubnetPool) (SubnetPool, error) {
	return create(ctx, a, "subnetpool", p)
}

// Onboard gives a network's subnets to a pool.
func (a *API) Onboard(ctx context.Context, pool, network string) error {
	return call(ctx, a.http, http.MethodPut, a.base+"/v2.0/subnetpools/"+pool+"/onboard_network_subnets", map[string]string{"network_id": network}, nil)
}

// createAt makes what is called otherwise in its URL.
func createAt[T any](ctx context.Context, a *API, resource, path string, what T) (T, error) {
	var answer map[string]T
	err := call(ctx, a.http, http.MethodPost, a.base+"/v2.0/"+path, map[string]T{resource: what}, &answer)
	return answer[resource], err
}

// Update sets attributes of one resource: "network", "subnet", "port", "router" or "floatingip".
func (a *API) Update(ctx context.Context, resource, id string, attributes map[string]any) error {
	return call(ctx, a.http, http.MethodPut, a.base+"/v2.0/"+resource+"s/"+id, map[string]any{resource: attributes}, nil)
}

func update[T any](ctx context.Context, a *API, resource, id string, attributes map[string]any) (T, error) {
	var answer map[string]T
	err := call(ctx, a.http, http.MethodPut, a.base+"/v2.0/"+resource+"s/"+id, map[string]any{resource: attributes}, &answer)
	return answer[resource], err
}

// Delete removes one resource, by its name in its URL: "network", "security-group" …
func (a *API) Delete(ctx context.Context, resource, id string) error {
	return call(ctx, a.http, http.MethodDelete, a.base+"/v2.0/"+resource+"s/"+id, nil, nil)
}

func (a *API) get(ctx context.Context, path string, answer any) error {
	return call(ctx, a.http, http.MethodGet, a.base+path, nil, answer)
}

func show[T any](ctx context.Context, a *API, resource, id string) (T, error) {
	var answer map[string]T
	err := a.get(ctx, "/v2.0/"+resource+"s/"+id, &answer)
	return answer[resource], err
}

func create[T any](ctx context.Context, a *API, resource string, what T) (T, error) {
	var answer map[string]T
	err := call(ctx, a.http, http.MethodPost, a.base+"/v2.0/"+resource+"s", map[string]T{resource: what}, &answer)
	return answer[resource], err
}

func call(ctx context.Context, client *http.Client, method, url string, body, answer any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %w", method, url, &Refusal{resp.StatusCode, strings.TrimSpace(string(out))})
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("%s %s answered %.200q: %w", method, url, out, err)
	}
	return nil
}

// Admin is a client of the controller's admin endpoint.
type Admin struct {
	http *http.Client
	base string
}

// HostState is what the controller says of a host.
type HostState struct {
	Name        string `json:"name"`
	DatapathID  string `json:"datapath_id"`
	Connected   bool   `json:"connected"`
	InSync      bool   `json:"in_sync"`
	FlowsWanted int    `json:"flows_wanted"`
	FlowMods    int    `json:"flow_mods_sent"`
}

// Hosts are the hosts that the controller knows, by datapath id.
func (a *Admin) Hosts(ctx context.Context) (map[string]HostState, error) {
	var list []HostState
	if err := call(ctx, a.http, http.MethodGet, a.base+"/v1/hosts", nil, &list); err != nil {
		return nil, err
	}
	hosts := make(map[string]HostState, len(list))
	for _, h := range list {
		hosts[h.DatapathID] = h
	}
	return hosts, nil
}

// RouterState is what the controller says of a router's way out.
type RouterState struct {
	GatewayHost string `json:"gateway_host"`
	Wired       bool   `json:"wired"`
	FloatingIPs []struct {
		ID    string `json:"id"`
		Host  string `json:"host"`
		Wired bool   `json:"wired"`
	} `json:"floating_ips"`
}

// Router says where a router's gateway is, and its floating IPs.
func (a *Admin) Router(ctx context.Context, id string) (r RouterState, err error) {
	err = call(ctx, a.http, http.MethodGet, a.base+"/v1/routers/"+id, nil, &r)
	return r, err
}

// Drain moves every gateway away from a host.
func (a *Admin) Drain(ctx context.Context, host string) error {
	return call(ctx, a.http, http.MethodPost, a.base+"/v1/hosts/"+host+"/drain", nil, nil)
}

func (a *Admin) ready(ctx context.Context) error {
	return call(ctx, a.http, http.MethodGet, a.base+"/readyz", nil, nil)
}

// FlowMods is how many flow-mods the controller has sent to any host since it started.
func (a *Admin) FlowMods(ctx context.Context) (int, error) {
	return a.Counter(ctx, "signalbox_flow_mods_total")
}

// Metrics is all that the controller counts, in Prometheus' words.
func (a *Admin) Metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// Counter is the sum over all labels of a metric, 0 when there is none of that name.
func (a *Admin) Counter(ctx context.Context, name string) (int, error) {
	text, err := a.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		fields := strings.Fields(rest)
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", line, err)
		}
		sum += v
	}
	return int(sum), nil
}
