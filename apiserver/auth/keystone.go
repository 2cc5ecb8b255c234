package auth

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// Settings say which Keystone is asked, and how long it is believed.
type Settings struct {
	URL       string // http://HOST:5000, with or without /v3
	PublicURL string // where clients are sent who have no token; default: URL
	Account   Account
	Roles     Roles
	TLS       *tls.Config // nil: the system's certificate authorities

	// Believe is how long a token that was found valid is taken for valid without asking again, and so how long one
	// that has been revoked may still be used. It is never longer than the token lives. Default 1 min.
	Believe time.Duration
	Doubt   time.Duration // the same of one that was refused; default 5 s
	Tokens  int           // that are remembered, of the valid and of the refused each; default 10,000

	Timeout     time.Duration    // of Keystone's answer; default 10 s
	Connections int              // to Keystone, and questions to it, at once; default 16
	Now         func() time.Time // default: time.Now
}

// Keystone believes a Keystone: the caller is who has the token in X-Auth-Token, on the project that it is scoped to.
// It is safe for concurrent use. However many ask at once, each token is asked for once. While Keystone does not answer,
// tokens go on that are remembered, until they would have to be asked for again; nobody else comes in.
type Keystone struct {
	s         Settings
	challenge string
	identity  *identity
	slots     chan struct{} // one for each question on its way

	mu      sync.Mutex
	valid   *memory
	refused *memory // apart, so that whoever guesses makes nobody be forgotten
	asking  map[key]*question
}

// question is a token on its way to Keystone.
type question struct {
	verdict verdict       // once it is answered
	done    chan struct{} // closed then
}

// maxToken bounds what is asked for, in bytes: Fernet's tokens have some 250, the largest PKI tokens had 8 KiB.
const maxToken = 16 << 10

// NewKeystone does not ask anything yet.
func NewKeystone(s Settings) (*Keystone, error) {
	if s.PublicURL == "" {
		s.PublicURL = s.URL
	}
	if !printable(s.PublicURL) || strings.Contains(s.PublicURL, `"`) {
		return nil, errors.New("the public URL of Keystone is none")
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	return &Keystone{
		s: s, challenge: `Keystone uri="` + s.PublicURL + `"`, identity: newIdentity(&s), slots: make(chan struct{}, s.Connections),
		valid: newMemory(s.Tokens), refused: newMemory(s.Tokens), asking: map[key]*question{},
	}, nil
}

// complete fills in what is not said.
func (s *Settings) complete() error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("the URL of Keystone is not http://HOST:PORT or https://HOST:PORT")
	}
	s.URL = strings.TrimSuffix(strings.TrimRight(s.URL, "/"), "/v3") + "/v3"
	orDefault(&s.Believe, time.Minute)
	orDefault(&s.Doubt, 5*time.Second)
	orDefault(&s.Tokens, 10_000)
	orDefault(&s.Timeout, 10*time.Second)
	orDefault(&s.Connections, 16)
	if s.Now == nil {
		s.Now = time.Now
	}
	return nil
}

func orDefault[T time.Duration | int](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}

// Challenge tells whom to ask for a token, in WWW-Authenticate.
func (k *Keystone) Challenge() string { return k.challenge }

// Authenticate fails with Unauthenticated without a valid token, with Forbidden where the token is good for no project
// or for nothing here, and with Unavailable where Keystone cannot be asked.
func (k *Keystone) Authenticate(r *http.Request) (signalbox.Caller, error) {
	token := r.Header.Get("X-Auth-Token")
	if token == "" || len(token) > maxToken || !printable(token) || strings.Contains(token, " ") {
		return signalbox.Caller{}, unauthenticated(nil)
	}
	id := key(sha256.Sum256([]byte(token)))
	q, mine, v := k.recall(id)
	switch {
	case q == nil:
		return v.caller, v.err
	case mine:
		// Others may wait for the answer when this request has been given up.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), k.s.Timeout)
		defer cancel()
		k.answer(q, k.judge(ctx, id, token))
	}
	select {
	case <-q.done:
		return q.verdict.caller, q.verdict.err
	case <-r.Context().Done():
		return signalbox.Caller{}, unavailable(r.Context().Err())
	}
}

// recall is the verdict on a token, or where there is none the question that will bring it; mine: the caller has to ask.
func (k *Keystone) recall(id key) (q *question, mine bool, v verdict) {
	now := k.s.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range []*memory{k.valid, k.refused} {
		if v, ok := m.recall(id, now); ok {
			return nil, false, v
		}
	}
	if q = k.asking[id]; q != nil {
		return q, false, v
	}
	q = &question{done: make(chan struct{})}
	k.asking[id] = q
	return q, true, v
}

// judge asks Keystone. A verdict that does not hold until later than now is not to be remembered.
func (k *Keystone) judge(ctx context.Context, id key, subject string) verdict {
	v := verdict{key: id}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		v.err = unavailable(ctx.Err())
		return v
	}
	t, err := k.identity.validate(ctx, subject)
	now := k.s.Now()
	v.until = now.Add(k.s.Doubt)
	switch {
	case errors.Is(err, errUnknown), err == nil && !t.Expires.After(now):
		v.err = unauthenticated(err)
	case err != nil:
		v.err, v.until = unavailable(err), now
	case t.Project == "":
		v.err = forbidden("The token is not scoped to a project.")
	default:
		known := false
		if v.caller, known = k.s.Roles.caller(t.Project, t.Roles); !known {
			v.err = forbidden("None of the token's roles allows anything here.")
			break
		}
		if v.until = now.Add(k.s.Believe); t.Expires.Before(v.until) {
			v.until = t.Expires
		}
	}
	return v
}

// answer gives the verdict to all who wait for it, and remembers it.
func (k *Keystone) answer(q *question, v verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.asking, v.key)
	if v.until.After(k.s.Now()) {
		m := k.valid
		if v.err != nil {
			m = k.refused
		}
		m.keep(v)
	}
	q.verdict = v
	close(q.done)
}

func unauthenticated(cause error) error {
	return &signalbox.Error{Kind: signalbox.Unauthenticated, Msg: "The request you have made requires authentication.", Err: cause}
}

func forbidden(why string) error { return &signalbox.Error{Kind: signalbox.Forbidden, Msg: why} }

func unavailable(cause error) error {
	return &signalbox.Error{Kind: signalbox.Unavailable, Op: "authenticate", Msg: "Keystone does not answer", Err: cause}
}
