package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// keystone answers as the recorded one does, of tokens that the test gives it. The clock is the test's.
type keystone struct {
	*httptest.Server

	mu        sync.Mutex
	now       time.Time
	tokens    map[string]token
	own       int // tokens made for the account
	asked     map[string]int
	broken    int           // answer everything with this status, if it is not 0
	hold      chan struct{} // questions wait until it is closed, if there is one
	asks      chan string   // hears of each question as it comes, if there is one
	forgotten bool          // tokens made for the account are not accepted
}

func newKeystone(t testing.TB) *keystone {
	k := &keystone{now: time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC), tokens: map[string]token{}, asked: map[string]int{}}
	k.Server = httptest.NewServer(http.HandlerFunc(k.serve))
	t.Cleanup(k.Close)
	return k
}

func (k *keystone) serve(w http.ResponseWriter, r *http.Request) {
	subject := r.Header.Get("X-Subject-Token")
	k.mu.Lock()
	k.asked[subject]++
	hold, asks := k.hold, k.asks
	k.mu.Unlock()
	if r.Method == http.MethodGet {
		if asks != nil {
			asks <- subject
		}
		if hold != nil {
			<-hold
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	own := fmt.Sprint("own", k.own)
	switch t, known := k.tokens[subject]; {
	case r.URL.Path == "/v3/auth/catalog" && r.Header.Get("X-Auth-Token") == own && !k.forgotten:
		_, _ = io.WriteString(w, catalogue)
	case k.broken == http.StatusFound:
		http.Redirect(w, r, "/elsewhere", k.broken)
	case k.broken != 0:
		w.WriteHeader(k.broken)
	case r.URL.Path != "/v3/auth/tokens" && r.URL.Path != "/v3/auth/catalog":
		panic(r.URL.Path)
	case r.Method == http.MethodPost:
		k.own++
		w.Header().Set("X-Subject-Token", fmt.Sprint("own", k.own))
		w.WriteHeader(http.StatusCreated)
		describe(w, token{Project: "service", Roles: []string{"service"}, Expires: k.now.Add(time.Hour)})
	case r.Header.Get("X-Auth-Token") != own || k.forgotten:
		w.WriteHeader(http.StatusUnauthorized)
	case !known:
		w.WriteHeader(http.StatusNotFound)
	default:
		describe(w, t)
	}
}

const catalogue = `{"catalog":[{"type":"identity","endpoints":[{"interface":"public","region_id":"a","url":"http://k"}]},
	{"type":"compute","endpoints":[{"interface":"admin","region_id":"a","url":"http://n-admin"},
		{"interface":"public","region_id":"a","url":"http://n/v2.1"},{"interface":"public","region_id":"b","url":"http://n-b/v2.1"}]}]}`

func describe(w http.ResponseWriter, t token) {
	roles := []map[string]string{}
	for _, r := range t.Roles {
		roles = append(roles, map[string]string{"id": "0", "name": r})
	}
	said := map[string]any{"expires_at": t.Expires.Format("2006-01-02T15:04:05.000000Z"), "roles": roles}
	if t.Project != "" {
		said["project"] = map[string]any{"id": t.Project, "name": "p"}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"token": said})
}

// change changes what Keystone knows, or how it answers.
func (k *keystone) change(how func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	how()
}

func (k *keystone) pass(d time.Duration) { k.change(func() { k.now = k.now.Add(d) }) }

// knows lets Keystone have a token that lives for an hour.
func (k *keystone) knows(name string, roles ...string) {
	k.change(func() { k.tokens[name] = token{Project: "p", Roles: roles, Expires: k.now.Add(time.Hour)} })
}

func (k *keystone) times(subject string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked[subject]
}

func (k *keystone) door(t testing.TB, s Settings) *Keystone {
	t.Helper()
	s.URL, s.Account, s.Roles = k.URL, Account{Username: "neutron", Password: "secret"}, DefaultRoles()
	s.Now = func() time.Time {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.now
	}
	d, err := NewKeystone(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func request(token string) *http.Request {
	r := httptest.NewRequest("GET", "/v2.0/networks", nil)
	r.Header.Set("X-Auth-Token", token)
	return r
}

// wants checks how a token is answered: signalbox.Internal stands for no error.
func wants(t *testing.T, d *Keystone, token string, kind signalbox.ErrKind, when string) {
	t.Helper()
	_, err := d.Authenticate(request(token))
	if got := signalbox.KindOf(err); err != nil && got != kind || err == nil && kind != signalbox.Internal {
		t.Errorf("%s: %v (kind %v), want kind %v", when, err, got, kind)
	}
}

const fine = signalbox.Internal

func TestRolesSayWhoSomebodyIs(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{})
	for name, test := range map[string]struct {
		roles []string
		want  signalbox.Caller
	}{
		"a member":           {[]string{"reader", "member"}, signalbox.Caller{ProjectID: "p"}},
		"in capitals":        {[]string{"Member"}, signalbox.Caller{ProjectID: "p"}},
		"a reader":           {[]string{"reader"}, signalbox.Caller{ProjectID: "p", ReadOnly: true}},
		"an admin":           {[]string{"admin"}, signalbox.Caller{ProjectID: "p", Admin: true}},
		"a service":          {[]string{"service"}, signalbox.Caller{ProjectID: "p", Service: true}},
		"a service, as Nova": {[]string{"admin", "service"}, signalbox.Caller{ProjectID: "p", Admin: true, Service: true}},
	} {
		token := strings.Join(test.roles, ",")
		k.knows(token, test.roles...)
		if got, err := d.Authenticate(request(token)); err != nil || got != test.want {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, test.want)
		}
	}
	k.knows("no-role-here", "swiftoperator")
	k.change(func() {
		k.tokens["unscoped"] = token{Roles: []string{"admin"}, Expires: k.now.Add(time.Hour)}
		k.tokens["ended"] = token{Project: "p", Roles: []string{"admin"}, Expires: k.now}
	})
	wants(t, d, "no-role-here", signalbox.Forbidden, "no role")
	wants(t, d, "unscoped", signalbox.Forbidden, "unscoped")
	wants(t, d, "ended", signalbox.Unauthenticated, "ended")
	wants(t, d, "nobody's", signalbox.Unauthenticated, "unknown")
}

func TestWhatCannotBeATokenIsNotAskedFor(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{})
	for _, token := range []string{"", strings.Repeat("x", maxToken+1), "a\nb", "a b", "é"} {
		wants(t, d, token, signalbox.Unauthenticated, token)
		if n := k.times(token); n != 0 {
			t.Errorf("%q: asked %d times", token, n)
		}
	}
}

func TestHoweverManyUseATokenItIsAskedForOnce(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{})
	k.knows("busy", "member")
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { wants(t, d, "busy", fine, "at once") })
	}
	all.Wait()
	if n := k.times("busy"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestARevokedTokenEndsWhenItsTimeIsOver(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{Believe: time.Minute})
	k.knows("a", "member")
	wants(t, d, "a", fine, "new")
	k.change(func() { delete(k.tokens, "a") })
	k.pass(59 * time.Second)
	wants(t, d, "a", fine, "revoked, before its time is over")
	k.pass(time.Second)
	wants(t, d, "a", signalbox.Unauthenticated, "revoked, after it")
}

func TestATokenIsNotBelievedBeyondItsEnd(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{Believe: 24 * time.Hour})
	k.knows("a", "member")
	wants(t, d, "a", fine, "new")
	k.pass(time.Hour)
	k.change(func() { k.broken = http.StatusServiceUnavailable })
	wants(t, d, "a", signalbox.Unavailable, "at its end, with nobody to ask")
}

func TestWithoutKeystoneNobodyNewComesIn(t *testing.T) {
	for name, breaks := range map[string]func(*keystone){
		"gone":         func(k *keystone) { k.Close() },
		"ill":          func(k *keystone) { k.change(func() { k.broken = http.StatusInternalServerError }) },
		"overrun":      func(k *keystone) { k.change(func() { k.broken = http.StatusTooManyRequests }) },
		"elsewhere":    func(k *keystone) { k.change(func() { k.broken = http.StatusFound }) },
		"an odd proxy": func(k *keystone) { k.change(func() { k.broken = http.StatusNoContent }) },
		"not for us":   func(k *keystone) { k.change(func() { k.broken = http.StatusForbidden }) },
		"forgetful":    func(k *keystone) { k.change(func() { k.forgotten = true }) },
	} {
		k := newKeystone(t)
		d := k.door(t, Settings{Believe: time.Minute, Timeout: 2 * time.Second})
		k.knows("known", "member")
		k.knows("new", "admin")
		wants(t, d, "known", fine, name)
		wants(t, d, "bad", signalbox.Unauthenticated, name)
		breaks(k)
		wants(t, d, "known", fine, name+", a known token")
		wants(t, d, "bad", signalbox.Unauthenticated, name+", a refused token")
		wants(t, d, "new", signalbox.Unavailable, name+", a new token")
		k.pass(time.Minute)
		wants(t, d, "known", signalbox.Unavailable, name+", a token known too long")
	}
}

func TestASilentKeystoneKeepsNobodyForEver(t *testing.T) {
	k := newKeystone(t)
	k.hold = make(chan struct{})
	defer close(k.hold)
	d := k.door(t, Settings{Timeout: 50 * time.Millisecond, Connections: 1})
	k.knows("a", "member")
	wants(t, d, "a", signalbox.Unavailable, "nobody answers")
}

// TestWhoLeavesTakesNobodyAlong: the request that asks may be given up while others wait for the same answer.
func TestWhoLeavesTakesNobodyAlong(t *testing.T) {
	k := newKeystone(t)
	k.hold, k.asks = make(chan struct{}), make(chan string, 1)
	d := k.door(t, Settings{})
	k.knows("a", "member")
	ctx, leave := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() { _, _ = d.Authenticate(request("a").WithContext(ctx)) })
	<-k.asks
	both.Go(func() { wants(t, d, "a", fine, "who stays") })
	leave()
	close(k.hold)
	both.Wait()
	if n := k.times("a"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestGuessesMakeNobodyForgotten(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{Tokens: 3, Doubt: time.Second})
	k.knows("a", "member")
	wants(t, d, "a", fine, "a")
	for i := range 10 {
		wants(t, d, fmt.Sprint("guess", i), signalbox.Unauthenticated, "a guess")
	}
	wants(t, d, "guess9", signalbox.Unauthenticated, "again")
	wants(t, d, "a", fine, "a again")
	if k.times("a") != 1 || k.times("guess9") != 1 {
		t.Errorf("asked %v", k.asked)
	}
	if len(d.refused.at) != 3 || d.refused.order.Len() != 3 {
		t.Errorf("%d refusals are remembered", len(d.refused.at))
	}
	wants(t, d, "guess0", signalbox.Unauthenticated, "one forgotten")
	k.knows("guess9", "member")
	k.pass(time.Second)
	wants(t, d, "guess9", fine, "once it is valid")
}

func TestOwnTokenIsRenewedInTimeAndWhenItIsNotAccepted(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{})
	ask := func(i int, own int, when string) {
		t.Helper()
		name := fmt.Sprint("t", i)
		k.knows(name, "member")
		wants(t, d, name, fine, when)
		if k.own != own {
			t.Errorf("%s: %d tokens for the account, want %d", when, k.own, own)
		}
	}
	ask(0, 1, "first")
	k.pass(58 * time.Minute)
	ask(1, 1, "two minutes before its end")
	k.pass(time.Minute)
	ask(2, 2, "one minute before its end")
	k.change(func() { k.own = 10 })
	ask(3, 11, "when Keystone has forgotten it")
}

func TestARefusedAccountIsNotTriedAllTheTime(t *testing.T) {
	k := newKeystone(t)
	d := k.door(t, Settings{})
	k.broken = http.StatusUnauthorized
	for i := range 10 {
		wants(t, d, fmt.Sprint("t", i), signalbox.Unavailable, "refused")
	}
	if n := k.times(""); n != 1 {
		t.Errorf("tried %d times", n)
	}
	k.broken = 0
	k.pass(retryAfter)
	k.knows("a", "member")
	wants(t, d, "a", fine, "later")
}

func TestSettingsThatNameNoKeystoneAreRefused(t *testing.T) {
	for _, url := range []string{"", "keystone", "keystone:5000", "ftp://keystone", "http://"} {
		if _, err := NewKeystone(Settings{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
	for url, want := range map[string]string{
		"http://k:5000": "http://k:5000/v3", "http://k:5000/v3/": "http://k:5000/v3", "https://k/identity/": "https://k/identity/v3",
	} {
		k, err := NewKeystone(Settings{URL: url})
		if err != nil || k.identity.url != want || k.Challenge() != `Keystone uri="`+url+`"` {
			t.Errorf("%s: %v %v", url, k, err)
		}
	}
}
