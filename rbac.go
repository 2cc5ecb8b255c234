package signalbox

import (
	"slices"

	"github.com/google/uuid"
)

// Everyone is the target of a policy that opens something to every project.
const Everyone = "*"

// RBACAction is what a policy lets a project do with an object.
type RBACAction string

// The actions.
const (
	AccessAsShared   RBACAction = "access_as_shared"   // use it as if it were the project's own, where that is not the owner's alone
	AccessAsExternal RBACAction = "access_as_external" // of a network: lead routers to it, and take floating IPs from it
)

// RBACPolicy opens one object of a project's to another project.
type RBACPolicy struct {
	ID         uuid.UUID
	ProjectID  string // whose policy it is, which need not be whose object
	ObjectType string // the resource's name in the API: "network" …
	ObjectID   uuid.UUID
	Action     RBACAction
	Target     string // a project, or Everyone
}

// reaches reports whether targets of policies take in a project.
func reaches(targets []string, project string) bool {
	return slices.Contains(targets, Everyone) || slices.Contains(targets, project)
}

// Sharing is what policies say of an object.
type Sharing struct {
	Shared     bool     // with every project
	SharedWith []string // the projects that policies share it with, in order; Everyone: all. Read only
}

// SharedTo reports whether a policy shares the object with a project.
func (s *Sharing) SharedTo(project string) bool { return reaches(s.SharedWith, project) }
