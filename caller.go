package signalbox

// Caller is who asks, as far as it matters to the answer.
type Caller struct {
	ProjectID string // never empty
	Admin     bool   // may see and do everything, in every project
	Service   bool   // is another service, that sees to ports of every project
	ReadOnly  bool   // may look at what the project has, and change nothing; not of an admin or a service
}
