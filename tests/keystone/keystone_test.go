//go:build integration

package keystone_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/auth"
	"github.com/signalbox-sdn/signalbox/tests/keystone"
)

// TestTokensOfARealKeystoneAreGoodForWhatItSays: the API's door before a Keystone, with a clock that the test moves.
func TestTokensOfARealKeystoneAreGoodForWhatItSays(t *testing.T) {
	s := keystone.Start(t)
	service := s.Project("service")
	s.User("neutron", "secret", service, "service")
	project := s.Project("demo")
	s.User("alice", "secret", project, "member")
	s.User("bob", "secret", project, "reader")
	s.User("carol", "secret", project)
	s.Endpoint("network", "http://127.0.0.1:9696")
	s.Endpoint("compute", "http://127.0.0.1:8774/v2.1")

	var passed time.Duration
	settings := auth.Settings{
		URL: strings.TrimSuffix(s.URL, "/v3"), Roles: auth.DefaultRoles(), Timeout: time.Minute,
		Account: auth.Account{Username: "neutron", Password: "secret", UserDomain: keystone.Domain, Project: "service", ProjectDomain: keystone.Domain},
		Now:     func() time.Time { return time.Now().Add(passed) },
	}
	door, err := auth.NewKeystone(settings)
	if err != nil {
		t.Fatal(err)
	}
	session, err := auth.NewSession(settings)
	if err != nil {
		t.Fatal(err)
	}
	if nova, err := session.Endpoint(t.Context(), "compute", "public", keystone.Region); nova != "http://127.0.0.1:8774/v2.1" {
		t.Errorf("Nova is at %q %v", nova, err)
	}
	if elsewhere, err := session.Endpoint(t.Context(), "compute", "public", "Elsewhere"); err == nil {
		t.Errorf("in a region that there is not, Nova is at %q", elsewhere)
	}
	api := apiserver.New(apiserver.Config{Auth: door, Log: slog.New(slog.DiscardHandler), Timeout: time.Minute}).Handler()
	ask := func(when, method, token string, want int) {
		t.Helper()
		r := httptest.NewRequest(method, "/v2.0/", nil)
		if method == "POST" {
			r = httptest.NewRequest(method, "/v2.0/networks", strings.NewReader("no JSON"))
		}
		r.Header.Set("X-Auth-Token", token)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", when, w.Code, w.Body, want)
		}
		if want == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Keystone uri=") {
			t.Errorf("%s: the client is not told whom to ask: %v", when, w.Header())
		}
	}
	member, reader := s.Token("alice", "secret", "demo"), s.Token("bob", "secret", "demo")
	own, err := session.Token(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	ask("our own account", "GET", own, 200)
	ask("a member reads", "GET", member, 200)
	ask("a member writes", "POST", member, 400) // which is no JSON: it has got in
	ask("a reader reads", "GET", reader, 200)
	ask("a reader writes", "POST", reader, 403)
	ask("an admin", "POST", s.Token(keystone.Admin, s.Password, keystone.Admin), 400)
	ask("no project", "GET", s.Token("carol", "secret", ""), 403)
	ask("nobody", "GET", "", 401)
	ask("a made-up token", "GET", "gAAAAABmade-up", 401)

	s.Revoke(reader)
	ask("revoked just now", "GET", reader, 200)
	passed += time.Minute
	ask("revoked a minute ago", "GET", reader, 401)

	ask("a member still", "GET", member, 200)
	unknown := s.Token("alice", "secret", "demo")
	s.Stop()
	ask("known, without Keystone", "GET", member, 200)
	ask("unknown, without Keystone", "GET", unknown, 503)
	ask("made up, without Keystone", "GET", "gAAAAABmade-up-too", 503)
	passed += time.Minute
	ask("known too long, without Keystone", "GET", member, 503)
}
