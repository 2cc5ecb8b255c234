package auth

import (
	"net/http"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// NoAuth takes the caller's word, and is for machines where that is right: a lab, a test, a private socket behind a
// proxy that asks. The project is the header X-Project-Id, else X-Tenant-Id, else Project; an admin may name any other
// in a request's body. Everybody is an admin, save who says otherwise by an X-Roles header: then the roles that it
// lists count, by the names that Keystone gives them, and one who has none of these is a member. A token is not looked
// at, so that a client configured for Keystone cannot take this for it: X-Auth-Token alone makes nobody anything that
// no header at all would not.
type NoAuth struct {
	Project string // of a request that names none; must not be empty
}

// Challenge is empty: there is nobody to be sent to.
func (NoAuth) Challenge() string { return "" }

// Authenticate fails only where a header is not a project id at all.
func (n NoAuth) Authenticate(r *http.Request) (signalbox.Caller, error) {
	project := n.Project
	for _, h := range []string{"X-Tenant-Id", "X-Project-Id"} {
		if p := r.Header.Get(h); p != "" {
			project = p
		}
	}
	if !isID(project) {
		return signalbox.Caller{}, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "the project's id is not text of at most 255 bytes")
	}
	said := r.Header.Values("X-Roles")
	if len(said) == 0 {
		return signalbox.Caller{ProjectID: project, Admin: true}, nil
	}
	roles := strings.Split(strings.Join(said, ","), ",")
	for i := range roles {
		roles[i] = strings.TrimSpace(roles[i])
	}
	c, known := DefaultRoles().caller(project, roles)
	c.ReadOnly = c.ReadOnly && known
	return c, nil
}

// isID reports whether s can be a project's id: ASCII without control characters. A header can carry other bytes,
// which no project's id has and no database would take.
func isID(s string) bool { return s != "" && len(s) <= 255 && printable(s) }

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
