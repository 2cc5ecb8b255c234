package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Account is who this server is to Keystone. It needs a role that may look at others' tokens: admin or service.
type Account struct {
	Username, Password, UserDomain, Project, ProjectDomain string // names
}

// identity is the exchanges with Keystone. It has one token of its own, which it renews before that ends.
type identity struct {
	url     string // …/v3
	account Account
	client  *http.Client
	now     func() time.Time

	turn    chan struct{} // holds one value; who has taken it may touch what follows
	own     string
	renewAt time.Time
	refused error     // the account could not have a token
	retryAt time.Time // not before this, or Keystone locks the account
}

const (
	answerLimit = 1 << 20         // bytes of an answer of Keystone's
	retryAfter  = 5 * time.Second // an account that has been refused
	renewBefore = time.Minute     // the end of our own token, or a tenth of its life where that is less
)

func newIdentity(s *Settings) *identity {
	dialer := net.Dialer{Timeout: s.Timeout}
	k := &identity{url: s.URL, account: s.Account, now: s.Now, turn: make(chan struct{}, 1), client: &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: s.TLS, TLSHandshakeTimeout: s.Timeout, ForceAttemptHTTP2: true,
			MaxConnsPerHost: s.Connections, MaxIdleConnsPerHost: s.Connections, IdleConnTimeout: time.Minute,
		},
		// A token goes to whom it is meant for, and to nobody that they name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	k.turn <- struct{}{}
	return k
}

// errUnknown: Keystone does not know the token, or knows that it has ended or been revoked.
var errUnknown = errors.New("the token is not valid")

// validate asks what a token is good for. It fails with errUnknown where it is good for nothing; every other failure is
// Keystone's, the network's or our account's.
func (k *identity) validate(ctx context.Context, subject string) (token, error) {
	own := ""
	for range 2 {
		var err error
		if own, err = k.token(ctx, own); err != nil {
			return token{}, err
		}
		status, _, body, err := k.ask(ctx, http.MethodGet, "/auth/tokens?nocatalog", nil, "X-Auth-Token", own, "X-Subject-Token", subject)
		switch {
		case err != nil:
			return token{}, err
		case status == http.StatusOK:
			return parseToken(body)
		case status == http.StatusNotFound:
			return token{}, errUnknown
		case status != http.StatusUnauthorized:
			return token{}, fmt.Errorf("keystone: asked for a token, it answers %d", status)
		}
		// Our own token has been revoked, or Keystone has forgotten its keys.
	}
	return token{}, errors.New("keystone: it gives this server tokens, and does not accept them")
}

// token is a token of our own, other than the one that was not accepted.
func (k *identity) token(ctx context.Context, not string) (string, error) {
	select {
	case <-k.turn:
		defer func() { k.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	now := k.now()
	if k.own != "" && k.own != not && now.Before(k.renewAt) {
		return k.own, nil
	}
	if k.refused != nil && now.Before(k.retryAt) {
		return "", k.refused
	}
	own, t, err := k.login(ctx)
	if err != nil {
		return "", err
	}
	life := t.Expires.Sub(now)
	k.own, k.renewAt, k.refused = own, t.Expires.Add(-min(renewBefore, life/10)), nil
	return own, nil
}

// login has Keystone make a token for our account. Called by whose turn it is.
func (k *identity) login(ctx context.Context) (string, token, error) {
	type named struct {
		Name string `json:"name"`
	}
	type object = map[string]any
	a := k.account
	body, err := json.Marshal(object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{
			"user": object{"name": a.Username, "domain": named{a.UserDomain}, "password": a.Password}}},
		"scope": object{"project": object{"name": a.Project, "domain": named{a.ProjectDomain}}},
	}})
	if err != nil {
		return "", token{}, err
	}
	status, header, answer, err := k.ask(ctx, http.MethodPost, "/auth/tokens?nocatalog", body)
	if err != nil {
		return "", token{}, err
	}
	if status != http.StatusCreated {
		err = fmt.Errorf("keystone: it answers %d to this server's user %q of project %q", status, a.Username, a.Project)
		k.refused, k.retryAt = err, k.now().Add(retryAfter)
		return "", token{}, err
	}
	t, err := parseToken(answer)
	own := header.Get("X-Subject-Token")
	if err == nil && own == "" {
		err = errors.New("keystone: it says that it has made a token, and does not give it")
	}
	return own, t, err
}

// ask is one exchange. headers are names and values in turn.
func (k *identity) ask(ctx context.Context, method, path string, body []byte, headers ...string) (int, http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, k.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "signalbox")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := k.client.Do(r)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("keystone: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	switch {
	case err != nil:
		return 0, nil, nil, fmt.Errorf("keystone: %w", err)
	case len(answer) > answerLimit:
		return 0, nil, nil, fmt.Errorf("keystone: it answers more than %d bytes", answerLimit)
	}
	return res.StatusCode, res.Header, answer, nil
}
