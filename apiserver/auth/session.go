package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Session is this server as a client of the cloud's other services. It is safe for concurrent use.
type Session struct{ identity *identity }

// NewSession does not ask anything yet. Of the settings, URL, Account, TLS, Timeout and Now count.
func NewSession(s Settings) (*Session, error) {
	if err := s.complete(); err != nil {
		return nil, err
	}
	return &Session{newIdentity(&s)}, nil
}

// Token is a token of the account's, other than not, which was not accepted; "" if none was.
func (s *Session) Token(ctx context.Context, not string) (string, error) {
	return s.identity.token(ctx, not)
}

// Endpoint is the URL of a service, as "compute", for those who come by an interface, as "public", in a region, or in any
// where region is "": as Keystone's catalogue has it.
func (s *Session) Endpoint(ctx context.Context, service, iface, region string) (string, error) {
	own := ""
	for range 2 {
		var err error
		if own, err = s.Token(ctx, own); err != nil {
			return "", err
		}
		status, _, body, err := s.identity.ask(ctx, http.MethodGet, "/auth/catalog", nil, "X-Auth-Token", own)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusOK:
			return parseCatalogue(body, service, iface, region)
		case status != http.StatusUnauthorized:
			return "", fmt.Errorf("keystone: asked for its catalogue, it answers %d", status)
		}
	}
	return "", fmt.Errorf("keystone: it gives this server tokens, and does not accept them")
}

// parseCatalogue finds a URL in the answer to GET /v3/auth/catalog (Identity API v3, "Get service catalog").
func parseCatalogue(body []byte, service, iface, region string) (string, error) {
	var answer struct {
		Catalog []struct {
			Type      string `json:"type"`
			Endpoints []struct {
				Interface string `json:"interface"`
				Region    string `json:"region_id"`
				URL       string `json:"url"`
			} `json:"endpoints"`
		} `json:"catalog"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("keystone: not a catalogue: %w", err)
	}
	for _, s := range answer.Catalog {
		if s.Type != service {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Interface == iface && (region == "" || e.Region == region) && strings.HasPrefix(e.URL, "http") {
				return e.URL, nil
			}
		}
	}
	return "", fmt.Errorf("keystone: its catalogue has no %s endpoint of %s in region %q", iface, service, region)
}
