// Package auth says who is asking. There is one way here today: NoAuth, which believes what it is told and is
// for machines where that is right (a lab, a test, a private socket behind a proxy that asks).
package auth

import (
	"net/http"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// NoAuth takes the caller's word. The project is the header X-Project-Id, else X-Tenant-Id, else Project;
// an admin may name any other in a request's body. Everybody is an admin, save who says otherwise by an X-Roles
// header that does not list admin. A token is not looked at, so that a client configured for Keystone cannot
// take this for it: X-Auth-Token alone makes nobody anything that no header at all would not.
type NoAuth struct {
	Project string // of a request that names none; must not be empty
}

// Authenticate fails only where a header is not a project id at all.
func (n NoAuth) Authenticate(r *http.Request) (signalbox.Caller, error) {
	c := signalbox.Caller{ProjectID: n.Project, Admin: true}
	for _, h := range []string{"X-Tenant-Id", "X-Project-Id"} {
		if p := r.Header.Get(h); p != "" {
			c.ProjectID = p
		}
	}
	if len(c.ProjectID) > 255 || !printable(c.ProjectID) {
		return signalbox.Caller{}, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "the project's id is not text of at most 255 bytes")
	}
	if roles := r.Header.Values("X-Roles"); len(roles) > 0 {
		c.Admin = false
		for role := range strings.SplitSeq(strings.Join(roles, ","), ",") {
			c.Admin = c.Admin || strings.EqualFold(strings.TrimSpace(role), "admin")
		}
	}
	return c, nil
}

// printable reports whether s is ASCII without control characters. A header can carry other bytes, which no
// project's id has and no database would take.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
