package auth

import (
	"testing"
	"time"
)

func TestASessionFindsServicesAndHasOneTokenAtATime(t *testing.T) {
	k := newKeystone(t)
	s, err := NewSession(Settings{URL: k.URL, Account: Account{Username: "nova", Password: "secret"}, Now: func() time.Time {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string]string{"": "http://n/v2.1", "a": "http://n/v2.1", "b": "http://n-b/v2.1", "c": ""} {
		if got, err := s.Endpoint(t.Context(), "compute", "public", region); got != want || (err == nil) != (want != "") {
			t.Errorf("in region %q Nova is at %q %v, want %q", region, got, err, want)
		}
	}
	token := func(not, want, when string) {
		t.Helper()
		if got, err := s.Token(t.Context(), not); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", when, got, err, want)
		}
	}
	token("", "own1", "the one that it has")
	token("own1", "own2", "another than one that was not accepted")
	token("own1", "own2", "which another has found out before")
	k.pass(59*time.Minute + time.Second)
	token("", "own3", "before it ends")
	k.change(func() { k.forgotten = true })
	if got, err := s.Endpoint(t.Context(), "compute", "public", ""); err == nil {
		t.Errorf("a Keystone that does not know its own tokens says %q", got)
	}
	k.change(func() { k.broken = 503 })
	if got, err := s.Endpoint(t.Context(), "compute", "public", ""); err == nil {
		t.Errorf("a broken Keystone says %q", got)
	}
}
