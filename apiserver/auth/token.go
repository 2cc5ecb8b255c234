package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// token is what Keystone says of a token.
type token struct {
	Project string // its id; empty where the token is good for none
	Roles   []string
	Expires time.Time
}

// parseToken reads the answer to GET or POST /v3/auth/tokens (Identity API v3, "Authentication and token management").
func parseToken(body []byte) (token, error) {
	var answer struct {
		Token *struct {
			Expires string `json:"expires_at"`
			Project *struct {
				ID string `json:"id"`
			} `json:"project"`
			Roles []struct {
				Name string `json:"name"`
			} `json:"roles"`
		} `json:"token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return token{}, fmt.Errorf("not a token's description: %w", err)
	}
	said := answer.Token
	if said == nil {
		return token{}, errors.New("not a token's description")
	}
	expires, err := time.Parse(time.RFC3339, said.Expires)
	if err != nil {
		return token{}, fmt.Errorf("a token without an end: %w", err)
	}
	t := token{Expires: expires}
	if said.Project != nil {
		if t.Project = said.Project.ID; !isID(t.Project) {
			return token{}, errors.New("a token of a project that cannot be")
		}
	}
	for _, r := range said.Roles {
		t.Roles = append(t.Roles, r.Name)
	}
	return t, nil
}
