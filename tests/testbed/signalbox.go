package testbed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
)

// Settings is what the lab tells signalbox in its configuration file.
type Settings struct {
	DatabaseURL        string   `yaml:"database_url,omitempty"`
	DataDir            string   `yaml:"data_dir,omitempty"`
	APIListen          string   `yaml:"api_listen"`
	OpenFlowListen     string   `yaml:"openflow_listen"`
	OVSDBListen        string   `yaml:"ovsdb_listen"`
	AdminListen        string   `yaml:"admin_listen"`
	APIAdminListen     string   `yaml:"api_admin_listen"`
	TenantNetworkTypes []string `yaml:"tenant_network_types,flow"`
	// ExternalNetworkType is of external networks that are asked for without a type; "": as tenants'.
	ExternalNetworkType string   `yaml:"external_network_type,omitempty"`
	NetworkVLANRanges   []string `yaml:"network_vlan_ranges,flow"`
	FlatNetworks        []string `yaml:"flat_networks,flow"`
	TunnelIDRanges      []string `yaml:"tunnel_id_ranges,flow"`
	VNIRanges           []string `yaml:"vni_ranges,flow"`
	UnderlayMTU         int      `yaml:"underlay_mtu"`
	Quotas              []string `yaml:"quotas,flow"`
	EnableSecurityGroup bool     `yaml:"enable_security_group"`
	NovaURL             string   `yaml:"nova_url,omitempty"`
	DNSServers          []string `yaml:"dns_servers,flow,omitempty"`
	LogLevel            string   `yaml:"log_level"`
}

// DefaultSettings has every network type, tenants' networks being VLANs first.
func DefaultSettings() Settings {
	return Settings{
		APIListen:          fmt.Sprintf(":%d", APIPort),
		OpenFlowListen:     fmt.Sprintf(":%d", OpenFlowPort),
		OVSDBListen:        fmt.Sprintf(":%d", OVSDBPort),
		AdminListen:        fmt.Sprintf("127.0.0.1:%d", AdminPort),
		APIAdminListen:     fmt.Sprintf("127.0.0.1:%d", APIAdminPort),
		TenantNetworkTypes: []string{"vlan", "gre", "vxlan"},
		NetworkVLANRanges:  []string{PhysicalNetwork + ":100:199", ExternalNetwork},
		FlatNetworks:       []string{PhysicalNetwork, ExternalNetwork},
		TunnelIDRanges:     []string{"1:1000"},
		VNIRanges:          []string{"1:1000"},
		UnderlayMTU:        1500,
		Quotas:             []string{"*:-1"}, // a lab is one project

		EnableSecurityGroup: true,
		LogLevel:            "info",
	}
}

// Build compiles the commands signalbox and quantum into dir and gives the path of the first. The working folder must
// be in the module.
func Build(ctx context.Context, dir string) (string, error) {
	_, err := run(ctx, "go", "build", "-buildvcs=false", "-o", dir+"/", "github.com/signalbox-sdn/signalbox/cmd/...")
	return filepath.Join(dir, "signalbox"), err
}

// Signalbox is the lab's control plane: processes in the lab's own namespace.
type Signalbox struct {
	API    *API
	Admin  *Admin
	Binary string // path of the signalbox command; quantum is beside it

	lab      *Lab
	config   string // path of the file with
	settings Settings

	mu         sync.Mutex
	processes  map[string]*Process // by subcommand: apiserver, controller, up
	controller string              // the subcommand that runs the controller
}

// StartSignalbox starts the API server and the controller as two processes on a PostgreSQL of the lab's,
// and waits until both are ready.
func (l *Lab) StartSignalbox(ctx context.Context, binary string, s Settings) (*Signalbox, error) {
	server, err := postgres.Start(ctx, filepath.Join(l.Dir, "postgres"), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.databases = append(l.databases, server)
	l.mu.Unlock()
	s.DatabaseURL = server.DSN()
	box, err := l.signalbox(binary, s)
	if err != nil {
		return nil, err
	}
	box.controller = "controller"
	if err := box.start(ctx, "apiserver"); err != nil {
		return nil, err
	}
	if err := box.start(ctx, "controller"); err != nil {
		return nil, err
	}
	return box, nil
}

// StartUp starts `signalbox up`: everything in one process, with a private PostgreSQL in a data folder.
func (l *Lab) StartUp(ctx context.Context, binary string, s Settings) (*Signalbox, error) {
	s.DataDir = filepath.Join(l.Dir, "data")
	box, err := l.signalbox(binary, s)
	if err != nil {
		return nil, err
	}
	box.controller = "up"
	return box, box.start(ctx, "up")
}

func (l *Lab) signalbox(binary string, s Settings) (*Signalbox, error) {
	box := &Signalbox{lab: l, Binary: binary, config: filepath.Join(l.Dir, "signalbox.yaml"), processes: map[string]*Process{}}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: l.Net.Dial}}
	box.API = &API{client, fmt.Sprintf("http://%s:%d", ControllerIP, APIPort)}
	box.Admin = &Admin{client, fmt.Sprintf("http://127.0.0.1:%d", AdminPort)}
	return box, box.Configure(s)
}

// Settings is what signalbox is told.
func (s *Signalbox) Settings() Settings { return s.settings }

// Configure tells signalbox something else, from its next start on.
func (s *Signalbox) Configure(settings Settings) error {
	text, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	s.settings = settings
	return os.WriteFile(s.config, text, 0o644)
}

// start starts one subcommand and waits until it serves.
func (s *Signalbox) start(ctx context.Context, subcommand string) error {
	cmd := exec.Command(s.Binary, subcommand, "--config", s.config)
	p, err := s.lab.spawn(s.lab.Net, "signalbox "+subcommand, s.Log(subcommand), cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.processes[subcommand] = p
	s.mu.Unlock()
	return Await(ctx, 30*time.Second, p.Name+" is ready", func() error {
		if !p.Alive() {
			return errors.New(p.Obituary())
		}
		var errs []error
		if subcommand != "controller" {
			errs = append(errs, s.API.get(ctx, "/v2.0/", nil))
		}
		if subcommand != "apiserver" {
			errs = append(errs, s.Admin.ready(ctx))
		}
		return errors.Join(errs...)
	})
}

// Log is the path of a subcommand's output.
func (s *Signalbox) Log(subcommand string) string {
	return filepath.Join(s.lab.Dir, "signalbox-"+subcommand+".log")
}

// Controller is the process that runs the controller.
func (s *Signalbox) Controller() *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[s.controller]
}

// KillController ends the controller as kill -9 does.
func (s *Signalbox) KillController() { s.Controller().Kill() }

// StartController starts the controller again after its end.
func (s *Signalbox) StartController(ctx context.Context) error { return s.start(ctx, s.controller) }

// AwaitInSync waits until these hosts are connected and have acknowledged all that is wanted of them.
func (s *Signalbox) AwaitInSync(ctx context.Context, limit time.Duration, hosts ...*Host) error {
	return Await(ctx, limit, "every host in sync", func() error {
		states, err := s.Admin.Hosts(ctx)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			dpid, err := h.DatapathID(ctx)
			if err != nil {
				return err
			}
			state, ok := states[dpid]
			if !ok || !state.Connected || !state.InSync {
				return fmt.Errorf("host %s: %+v", h.Name, state)
			}
		}
		return nil
	})
}
