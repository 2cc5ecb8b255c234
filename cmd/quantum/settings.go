package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// settings say where the server is and who asks. Each is a flag or, where that is not given, the first of its
// environment variables that is.
type settings struct {
	env func(string) string

	endpoint, token                   string
	authURL, authType                 string
	username, userID, password        string
	userDomainName, userDomainID      string
	project, projectID                string
	projectDomainName, projectDomain  string
	region, endpointType, serviceType string
	caCert, cert, key                 string
	timeout                           time.Duration
	insecure, verbose                 bool
}

// setting is one of them as text.
type setting struct {
	flags []string // the first is shown by help
	env   []string
	into  *string
	help  string
}

func (s *settings) all() []setting {
	return []setting{
		{[]string{"endpoint", "os-url", "os-endpoint"}, []string{"OS_URL", "OS_ENDPOINT"}, &s.endpoint, "URL of the server; without it Keystone's catalog says"},
		{[]string{"os-token"}, []string{"OS_TOKEN"}, &s.token, "a token, in the place of a name and a password"},
		{[]string{"os-auth-url"}, []string{"OS_AUTH_URL"}, &s.authURL, "URL of Keystone: .../v2.0, .../v3, or its root"},
		{[]string{"os-auth-type", "os-auth-strategy"}, []string{"OS_AUTH_TYPE", "OS_AUTH_STRATEGY"}, &s.authType, "none or noauth: ask no Keystone even where one is named"},
		{[]string{"os-username"}, []string{"OS_USERNAME"}, &s.username, "name of the user"},
		{[]string{"os-user-id"}, []string{"OS_USER_ID"}, &s.userID, "id of the user, in the place of the name"},
		{[]string{"os-password"}, []string{"OS_PASSWORD"}, &s.password, "password"},
		{[]string{"os-user-domain-name"}, []string{"OS_USER_DOMAIN_NAME"}, &s.userDomainName, "domain of the user"},
		{[]string{"os-user-domain-id"}, []string{"OS_USER_DOMAIN_ID", "OS_DEFAULT_DOMAIN"}, &s.userDomainID, "the same by id"},
		{[]string{"os-tenant-name", "os-project-name"}, []string{"OS_TENANT_NAME", "OS_PROJECT_NAME"}, &s.project, "name of the project"},
		{[]string{"os-tenant-id", "os-project-id"}, []string{"OS_TENANT_ID", "OS_PROJECT_ID"}, &s.projectID, "id of the project, in the place of the name"},
		{[]string{"os-project-domain-name"}, []string{"OS_PROJECT_DOMAIN_NAME"}, &s.projectDomainName, "domain of the project"},
		{[]string{"os-project-domain-id"}, []string{"OS_PROJECT_DOMAIN_ID", "OS_DEFAULT_DOMAIN"}, &s.projectDomain, "the same by id"},
		{[]string{"os-region-name"}, []string{"OS_REGION_NAME"}, &s.region, "region of the server"},
		{[]string{"os-endpoint-type", "endpoint-type", "os-interface"}, []string{"OS_ENDPOINT_TYPE", "OS_INTERFACE"}, &s.endpointType, "which of its URLs: public, internal or admin"},
		{[]string{"os-service-type", "service-type"}, []string{"OS_NETWORK_SERVICE_TYPE"}, &s.serviceType, "its type in the catalog"},
		{[]string{"os-cacert"}, []string{"OS_CACERT"}, &s.caCert, "file of the authorities that are believed, besides the system's"},
		{[]string{"os-cert"}, []string{"OS_CERT"}, &s.cert, "file of our own certificate"},
		{[]string{"os-key"}, []string{"OS_KEY"}, &s.key, "file of its key"},
	}
}

// flags declares the settings. A default is not shown by help, where it might be a password of the environment.
func (s *settings) flags(f *pflag.FlagSet) {
	for _, x := range s.all() {
		for i, name := range x.flags {
			f.StringVar(x.into, name, "", fmt.Sprintf("%s (`%s`)", x.help, x.env[0]))
			f.Lookup(name).Hidden = i > 0
		}
	}
	f.DurationVar(&s.timeout, "http-timeout", time.Minute, "how long an answer may take")
	f.BoolVar(&s.insecure, "insecure", false, "believe whatever certificate a server shows")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "show each request, as a curl command, and its answer")
	f.BoolVar(&s.verbose, "debug", false, "the same")
	f.Lookup("debug").Hidden = true
}

// fill takes from the environment what no flag gave.
func (s *settings) fill() {
	for _, x := range s.all() {
		for _, name := range x.env {
			if *x.into == "" {
				*x.into = s.env(name)
			}
		}
	}
	if s.serviceType == "" {
		s.serviceType = "network"
	}
	if s.endpointType = strings.TrimSuffix(s.endpointType, "URL"); s.endpointType == "" {
		s.endpointType = "public"
	}
}

// connect makes a client of the server: with a token from Keystone, or with the endpoint and the token that were given.
func (s settings) connect(ctx context.Context, log io.Writer) (*client, error) {
	s.fill()
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	c := &client{http: &http.Client{Transport: transport, Timeout: s.timeout}, token: s.token}
	if s.verbose {
		c.log = &tracer{log}
	}
	alone := s.endpoint != "" && (s.token != "" || s.authURL == "" || s.authType == "none" || s.authType == "noauth")
	if !alone {
		got, err := s.authenticate(ctx, c)
		if err != nil {
			return nil, err
		}
		c.token = got.token
		if s.endpoint == "" {
			s.endpoint = got.endpoint
		}
	}
	c.base = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(s.endpoint, "/"), "/v2.0"), "/") + "/v2.0"
	return c, nil
}

func (s *settings) transport() (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: s.insecure, MinVersion: tls.VersionTLS12}
	if s.caCert != "" {
		pem, err := os.ReadFile(s.caCert)
		if err != nil {
			return nil, err
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", s.caCert)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if s.cert != "" {
		key := s.key
		if key == "" {
			key = s.cert
		}
		pair, err := tls.LoadX509KeyPair(s.cert, key)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
