package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/auth"
)

// access is the settings of who may ask the API, and how much.
type access struct {
	Auth string `yaml:"auth"`

	KeystoneURL           string        `yaml:"keystone_url"`
	KeystonePublicURL     string        `yaml:"keystone_public_url"`
	KeystoneUsername      string        `yaml:"keystone_username"`
	KeystonePassword      string        `yaml:"keystone_password"`
	KeystoneUserDomain    string        `yaml:"keystone_user_domain"`
	KeystoneProject       string        `yaml:"keystone_project"`
	KeystoneProjectDomain string        `yaml:"keystone_project_domain"`
	KeystoneCAFile        string        `yaml:"keystone_ca_file"`
	KeystoneCache         time.Duration `yaml:"keystone_cache"`
	AdminRoles            list          `yaml:"admin_roles"`
	ServiceRoles          list          `yaml:"service_roles"`
	MemberRoles           list          `yaml:"member_roles"`
	ReaderRoles           list          `yaml:"reader_roles"`

	APITLSCert string  `yaml:"api_tls_cert"`
	APITLSKey  string  `yaml:"api_tls_key"`
	AtOnce     int     `yaml:"api_requests_at_once"`
	Rate       float64 `yaml:"api_rate"`
	Burst      int     `yaml:"api_burst"`
}

func defaultAccess() access {
	roles := auth.DefaultRoles()
	join := func(names []string) list { return list(strings.Join(names, ",")) }
	return access{
		Auth: "noauth", KeystoneUserDomain: "Default", KeystoneProject: "service", KeystoneProjectDomain: "Default", KeystoneCache: time.Minute,
		AdminRoles: join(roles.Admin), ServiceRoles: join(roles.Service), MemberRoles: join(roles.Member), ReaderRoles: join(roles.Reader),
		AtOnce: 1024,
	}
}

var accessSettings = []setting{
	{"auth", "who says who asks: noauth (whoever asks) or keystone"},
	{"keystone-url", "Keystone, as http://HOST:5000"},
	{"keystone-public-url", "the same for clients, where it is another"},
	{"keystone-username", "the user as whom this server asks Keystone"},
	{"keystone-password", "its password; better given in the file or the environment"},
	{"keystone-user-domain", "the user's domain, by name"},
	{"keystone-project", "the project of that user, by name"},
	{"keystone-project-domain", "the project's domain, by name"},
	{"keystone-ca-file", "certificate authorities of an https Keystone, in PEM; else the system's"},
	{"keystone-cache", "how long a valid token is not asked for again, and so a revoked one goes on, as 1m"},
	{"admin-roles", "roles that may do everything"},
	{"service-roles", "roles that see to the ports of every project, as Nova does"},
	{"member-roles", "roles that may use what their project has"},
	{"reader-roles", "roles that may look at what their project has"},
	{"api-tls-cert", "certificate of the API in PEM, with those between it and its authority; it is read anew when it changes"},
	{"api-tls-key", "its key"},
	{"api-requests-at-once", "requests that are answered at the same time"},
	{"api-rate", "requests a second that each project may ask; 0: as many as it likes"},
	{"api-burst", "requests that it may ask at once after a pause; 0: as many as in a second"},
}

// door is who says who asks. project is that of a request that names none, under noauth.
func (a *access) door(project string) (apiserver.Authenticator, error) {
	switch a.Auth {
	case "noauth":
		return auth.NoAuth{Project: project}, nil
	case "keystone":
		return a.keystone()
	}
	return nil, fmt.Errorf("auth: %q is not noauth or keystone", a.Auth)
}

func (a *access) keystone() (apiserver.Authenticator, error) {
	for key, value := range map[string]string{
		"keystone_url": a.KeystoneURL, "keystone_username": a.KeystoneUsername, "keystone_password": a.KeystonePassword,
	} {
		if value == "" {
			return nil, fmt.Errorf("auth: keystone needs %s", key)
		}
	}
	if a.KeystoneCache <= 0 {
		return nil, errors.New("keystone_cache: it must be longer than nothing")
	}
	s, err := a.keystoneSettings()
	if err != nil {
		return nil, err
	}
	return auth.NewKeystone(s)
}

// keystoneSettings say which Keystone there is, and who this server is there.
func (a *access) keystoneSettings() (auth.Settings, error) {
	var authorities *tls.Config
	if a.KeystoneCAFile != "" {
		pem, err := os.ReadFile(a.KeystoneCAFile)
		if err != nil {
			return auth.Settings{}, fmt.Errorf("keystone_ca_file: %w", err)
		}
		authorities = &tls.Config{RootCAs: x509.NewCertPool()}
		if !authorities.RootCAs.AppendCertsFromPEM(pem) {
			return auth.Settings{}, errors.New("keystone_ca_file: it holds no certificate")
		}
	}
	return auth.Settings{
		URL: a.KeystoneURL, PublicURL: a.KeystonePublicURL, TLS: authorities, Believe: a.KeystoneCache,
		Account: auth.Account{Username: a.KeystoneUsername, Password: a.KeystonePassword, UserDomain: a.KeystoneUserDomain,
			Project: a.KeystoneProject, ProjectDomain: a.KeystoneProjectDomain},
		Roles: auth.Roles{Admin: a.AdminRoles.words(), Service: a.ServiceRoles.words(), Member: a.MemberRoles.words(), Reader: a.ReaderRoles.words()},
	}, nil
}

func (l list) words() []string {
	return strings.FieldsFunc(string(l), func(r rune) bool { return r == ',' || r == ' ' })
}

// certificate is nil where the API is served without TLS.
func (a *access) certificate(log *slog.Logger) (*apiserver.Certificate, error) {
	switch {
	case a.APITLSCert == "" && a.APITLSKey == "":
		return nil, nil
	case a.APITLSCert == "" || a.APITLSKey == "":
		return nil, errors.New("api_tls_cert and api_tls_key: one is nothing without the other")
	}
	return apiserver.LoadCertificate(a.APITLSCert, a.APITLSKey, log)
}
