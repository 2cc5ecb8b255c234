package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"

	"github.com/signalbox-sdn/signalbox/apiserver/auth"
	"github.com/signalbox-sdn/signalbox/apiserver/nova"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// notify is the settings of which Nova is told of its servers' ports, and as whom.
type notify struct {
	NovaURL           string `yaml:"nova_url"`
	NovaRegion        string `yaml:"nova_region"`
	NovaInterface     string `yaml:"nova_interface"`
	NovaUsername      string `yaml:"nova_username"`
	NovaPassword      string `yaml:"nova_password"`
	NovaUserDomain    string `yaml:"nova_user_domain"`
	NovaProject       string `yaml:"nova_project"`
	NovaProjectDomain string `yaml:"nova_project_domain"`
}

var novaSettings = []setting{
	{"nova-url", "Nova, as http://HOST:8774/v2.1, to be told of its servers' ports"},
	{"nova-region", "instead of nova-url: the region whose Nova Keystone's catalogue names"},
	{"nova-interface", "which of the catalogue's URLs: public, internal or admin"},
	{"nova-username", "the user as whom Nova is told; else keystone-username and what belongs to it"},
	{"nova-password", "its password; better given in the file or the environment"},
	{"nova-user-domain", "the user's domain, by name"},
	{"nova-project", "the project of that user, by name"},
	{"nova-project-domain", "the project's domain, by name"},
}

// serveNova tells Nova, if there is one to be told.
func serveNova(ctx context.Context, c *config, db *store.DB, log *slog.Logger) error {
	n := c.notify
	if n.NovaURL == "" && n.NovaRegion == "" {
		return nil
	}
	if u, err := url.Parse(n.NovaURL); n.NovaURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("nova_url: it is not http://HOST:PORT/v2.1 or https://HOST:PORT/v2.1")
	}
	to := nova.Config{Log: log, URL: func(context.Context) (string, error) { return n.NovaURL, nil }}
	if c.KeystoneURL == "" {
		if n.NovaURL == "" {
			return errors.New("nova_region: there is no keystone_url to ask for Nova's")
		}
		return nova.New(db, to).Run(ctx)
	}
	s, err := c.keystoneSettings()
	if err != nil {
		return err
	}
	if n.NovaUsername != "" {
		s.Account = auth.Account{Username: n.NovaUsername, Password: n.NovaPassword, UserDomain: cmp.Or(n.NovaUserDomain, s.Account.UserDomain),
			Project: cmp.Or(n.NovaProject, s.Account.Project), ProjectDomain: cmp.Or(n.NovaProjectDomain, s.Account.ProjectDomain)}
	}
	session, err := auth.NewSession(s)
	if err != nil {
		return err
	}
	to.TLS, to.Token = s.TLS, session.Token
	if n.NovaURL == "" {
		to.URL = func(ctx context.Context) (string, error) {
			return session.Endpoint(ctx, "compute", n.NovaInterface, n.NovaRegion)
		}
	}
	return nova.New(db, to).Run(ctx)
}
