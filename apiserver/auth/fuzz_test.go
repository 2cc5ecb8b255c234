package auth

import (
	"net/http"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

func FuzzTokenAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"token":{"methods":["password"],"user":{"id":"1c3d","name":"admin"},"expires_at":"2026-11-24T18:28:28.000000Z",` +
			`"project":{"domain":{"id":"default"},"id":"4e59fef51ae04cc69527e8911f54e504","name":"admin"},"is_domain":false,"roles":[{"id":"7892","name":"reader"},{"name":"admin"}]}}`,
		`{"token":{"expires_at":"2026-11-24T18:28:28Z"}}`, `{"token":{"expires_at":"2026-11-24T18:28:28Z","project":{}}}`,
		`{"token":null}`, `{"error":{"code":404}}`, `[]`, ``, `{"token":{"expires_at":"9999999-1-1"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		said, err := parseToken(body)
		if err == nil && said.Project != "" && !isID(said.Project) {
			t.Errorf("%q is taken as %+v", body, said)
		}
	})
}

func FuzzCatalogue(f *testing.F) {
	for _, seed := range []string{
		`{"catalog":[{"type":"compute","name":"nova","id":"1","endpoints":[{"id":"2","interface":"public","region":"R","region_id":"R","url":"http://n:8774/v2.1"}]}],"links":{}}`,
		`{"catalog":null}`, `{"catalog":[{"type":"compute","endpoints":[null]}]}`, `[]`, ``,
	} {
		f.Add([]byte(seed), "R")
		f.Add([]byte(seed), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, region string) {
		url, err := parseCatalogue(body, "compute", "public", region)
		if (err == nil) == (url == "") {
			t.Errorf("%q gives %q, %v", body, url, err)
		}
	})
}

// FuzzHeaders: whatever a request's headers say, who asks has a project that a database can hold, and no token makes
// anybody anything of which Keystone knows nothing.
func FuzzHeaders(f *testing.F) {
	k := newKeystone(f)
	k.knows("good", "member")
	door := k.door(f, Settings{Tokens: 8})
	f.Add("good", "p", "admin")
	f.Add("", "", "")
	f.Add("a\x00b", "\xff", ",,reader,")
	f.Fuzz(func(t *testing.T, token, project, roles string) {
		r := request("")
		r.Header = http.Header{"X-Auth-Token": {token}, "X-Project-Id": {project}, "X-Roles": {roles}}
		if c, err := (NoAuth{Project: "default"}).Authenticate(r); err == nil && !isID(c.ProjectID) {
			t.Errorf("%q is a project", c.ProjectID)
		} else if err != nil && signalbox.KindOf(err) != signalbox.Invalid {
			t.Error(err)
		}
		c, err := door.Authenticate(r)
		if (err == nil) != (token == "good") || err == nil && c != (signalbox.Caller{ProjectID: "p"}) {
			t.Errorf("%q is %+v %v", token, c, err)
		}
	})
}
