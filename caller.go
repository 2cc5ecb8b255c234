package signalbox

// Caller is who asks, as far as it matters to the answer.
type Caller struct {
	ProjectID string // never empty
	Admin     bool   // may see and do everything, in every project
}

// Owns reports whether a resource of the project is the caller's to change.
func (c Caller) Owns(project string) bool { return c.Admin || c.ProjectID == project }
