package auth

import (
	"slices"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// Roles says what the names of roles mean here. They are Keystone's, which knows no difference between upper and
// lower case. A role that is not named here means nothing.
type Roles struct {
	Admin   []string // may do everything
	Service []string // see to the ports of every project
	Member  []string // use what their project has
	Reader  []string // look at it
}

// DefaultRoles are those that Keystone makes itself.
func DefaultRoles() Roles {
	return Roles{Admin: []string{"admin"}, Service: []string{"service"}, Member: []string{"member"}, Reader: []string{"reader"}}
}

// caller is who has these roles on a project; false: they mean nothing here.
func (r Roles) caller(project string, has []string) (signalbox.Caller, bool) {
	any := func(of []string) bool {
		return slices.ContainsFunc(of, func(name string) bool {
			return slices.ContainsFunc(has, func(h string) bool { return strings.EqualFold(h, name) })
		})
	}
	admin, service, member, reader := any(r.Admin), any(r.Service), any(r.Member), any(r.Reader)
	writes := admin || service || member
	return signalbox.Caller{ProjectID: project, Admin: admin, Service: service, ReadOnly: !writes}, writes || reader
}
