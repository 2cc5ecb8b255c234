package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
)

// config is everything that can be set, by the same name everywhere: a key of the YAML file, an
// environment variable (SIGNALBOX_ and the key in capitals) or a flag (with - for _), the later winning.
type config struct {
	DatabaseURL    string `yaml:"database_url"`
	DataDir        string `yaml:"data_dir"`
	APIListen      string `yaml:"api_listen"`
	APIAdminListen string `yaml:"api_admin_listen"`
	OpenFlowListen string `yaml:"openflow_listen"`
	OVSDBListen    string `yaml:"ovsdb_listen"`
	AdminListen    string `yaml:"admin_listen"`
	AdminTLSCert   string `yaml:"admin_tls_cert"`
	AdminTLSKey    string `yaml:"admin_tls_key"`
	AdminToken     string `yaml:"admin_token"`
	OVSDBPort      int    `yaml:"ovsdb_port"`

	TenantNetworkTypes  list   `yaml:"tenant_network_types"`
	ExternalNetworkType string `yaml:"external_network_type"`
	NetworkVLANRanges   list   `yaml:"network_vlan_ranges"`
	FlatNetworks        list   `yaml:"flat_networks"`
	TunnelIDRanges      list   `yaml:"tunnel_id_ranges"`
	VNIRanges           list   `yaml:"vni_ranges"`
	UnderlayMTU         int    `yaml:"underlay_mtu"`
	Quotas              list   `yaml:"quotas"`

	EnableSecurityGroup bool `yaml:"enable_security_group"`

	DHCPLease  time.Duration `yaml:"dhcp_lease"`
	DNSDomain  string        `yaml:"dns_domain"`
	DNSServers list          `yaml:"dns_servers"`
	Project    string        `yaml:"default_project"`
	LogLevel   string        `yaml:"log_level"`

	access `yaml:",inline"`
	notify `yaml:",inline"`
}

// list is a YAML sequence of strings, or one string with commas as the ini files of Quantum had it.
type list string

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	var many []string
	if n.Kind == yaml.SequenceNode {
		if err := n.Decode(&many); err != nil {
			return err
		}
		*l = list(strings.Join(many, ","))
		return nil
	}
	return n.Decode((*string)(l))
}

func defaults() config {
	s := neutron.DefaultSettings()
	return config{
		APIListen: ":9696", APIAdminListen: "127.0.0.1:9698", OpenFlowListen: ":6653", OVSDBListen: ":6640", AdminListen: "127.0.0.1:9697", OVSDBPort: 6640,
		TenantNetworkTypes: list(s.TenantNetworkTypes), ExternalNetworkType: s.ExternalNetworkType, NetworkVLANRanges: list(s.NetworkVLANRanges),
		FlatNetworks: list(s.FlatNetworks), TunnelIDRanges: list(s.TunnelIDRanges), VNIRanges: list(s.VNIRanges), UnderlayMTU: s.UnderlayMTU,
		DHCPLease: 24 * time.Hour, DNSDomain: s.DNSDomain, Project: "default", LogLevel: "info",
		Quotas: list(s.Quotas), EnableSecurityGroup: true,
		access: defaultAccess(), notify: notify{NovaInterface: "public"},
	}
}

func (c *config) settings() neutron.Settings {
	return neutron.Settings{
		TenantNetworkTypes: string(c.TenantNetworkTypes), ExternalNetworkType: c.ExternalNetworkType, NetworkVLANRanges: string(c.NetworkVLANRanges),
		FlatNetworks: string(c.FlatNetworks), TunnelIDRanges: string(c.TunnelIDRanges), VNIRanges: string(c.VNIRanges), UnderlayMTU: c.UnderlayMTU,
		DNSDomain: c.DNSDomain,
		Quotas:    string(c.Quotas),
	}
}

// resolvers are dns_servers, with the port of DNS where they say none.
func (c *config) resolvers() (out []netip.AddrPort, err error) {
	for _, s := range strings.FieldsFunc(string(c.DNSServers), func(r rune) bool { return r == ',' || r == ' ' }) {
		at, err := netip.ParseAddrPort(s)
		if a, bare := netip.ParseAddr(s); bare == nil {
			at, err = netip.AddrPortFrom(a, 53), nil
		}
		if err != nil || at.Port() == 0 {
			return nil, fmt.Errorf("dns_servers: %q is neither an IP address nor one with a port", s)
		}
		out = append(out, at)
	}
	return out, nil
}

// setting describes a flag; its key is the name with _ for -.
type setting struct{ flag, help string }

var (
	databaseSettings = []setting{{"database-url", "PostgreSQL to use, as postgres://user@host/db?sslmode=…"}}
	privateSettings  = []setting{{"data-dir", "without database-url: folder of a private PostgreSQL"}}
	apiSettings      = []setting{
		{"api-listen", "where the Neutron API is served"},
		{"api-admin-listen", "where its operator finds metrics and profiles; beyond loopback it needs what admin-listen needs; empty: nowhere"},
		{"tenant-network-types", "types that tenants' networks get, in order of trial: local, vlan, gre, vxlan, geneve"},
		{"external-network-type", "type of external networks that are asked for without one: flat, vlan …; empty: as tenants'"},
		{"network-vlan-ranges", "physical networks with VLANs: physnet:min:max, or physnet alone for admins"},
		{"flat-networks", "physical networks that may carry a flat network; * for any"},
		{"tunnel-id-ranges", "GRE keys for tenants: min:max"},
		{"vni-ranges", "VXLAN and Geneve ids for tenants: min:max"},
		{"underlay-mtu", "bytes of the largest IP packet between hosts"},
		{"quotas", "how much a project may have, before Neutron's defaults: port:1000, router:-1 for any number; * for every resource"},
		{"default-project", "the project of a request that names none"},
	}
	controllerSettings = []setting{
		{"openflow-listen", "where hosts' br-int connect (ovs-vsctl set-controller)"},
		{"ovsdb-listen", "where hosts' OVSDB connects (ovs-vsctl set-manager tcp:…)"},
		{"ovsdb-port", "where hosts' OVSDB listens (ovs-vsctl set-manager ptcp:…)"},
		{"admin-listen", "the operator's endpoint; beyond loopback it needs admin-tls-cert, admin-tls-key and admin-token"},
		{"enable-security-group", "false: ports may send and receive anything, whatever their security groups say"},
		{"dhcp-lease", "lease time that DHCP gives, as 24h"},
		{"dns-servers", "resolvers to ask for names that are not ours: ADDRESS or ADDRESS:PORT"},
	}
	adminSettings = []setting{
		{"admin-tls-cert", "certificate of the operator's endpoints in PEM, with those between it and its authority; it is read anew when it changes"},
		{"admin-tls-key", "its key"},
		{"admin-token", "what its users send as a bearer token, 16 characters or more; better given in the file or the environment"},
	}
	nameSettings   = []setting{{"dns-domain", "domain of ports' names, and the one that DHCP gives, where a network has none of its own"}}
	commonSettings = []setting{{"config", "YAML file of settings"}, {"log-level", "debug, info, warn or error"}}
)

func addFlags(cmd *cobra.Command, groups ...[]setting) {
	for _, g := range append(groups, commonSettings) {
		for _, s := range g {
			cmd.Flags().String(s.flag, "", s.help)
		}
	}
}

// load puts a command's configuration together.
func load(cmd *cobra.Command) (config, *slog.Logger, error) {
	c := defaults()
	if path, _ := cmd.Flags().GetString("config"); path != "" {
		file, err := os.ReadFile(path)
		if err != nil {
			return c, nil, fmt.Errorf("config: %w", err)
		}
		d := yaml.NewDecoder(bytes.NewReader(file))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, nil, fmt.Errorf("config %s: %w", path, err)
		}
	}
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		key := strings.ReplaceAll(f.Name, "-", "_")
		value, given := os.LookupEnv("SIGNALBOX_" + strings.ToUpper(key))
		if f.Changed {
			value, given = f.Value.String(), true
		}
		if given && key != "config" && err == nil {
			if err = c.set(key, value); err != nil {
				err = fmt.Errorf("--%s: %w", f.Name, err)
			}
		}
	})
	if err != nil {
		return c, nil, err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return c, nil, fmt.Errorf("log_level: %w", err)
	}
	return c, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})), nil
}

// set gives one key a value, read as the file's would be.
func (c *config) set(key, value string) error {
	n := yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Value: key}, {Kind: yaml.ScalarNode, Value: value},
	}}
	return n.Decode(c)
}
