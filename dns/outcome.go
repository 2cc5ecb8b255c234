package dns

// Outcome is what became of one frame. Its String is fit to be a metric's label.
type Outcome uint8

// What became of a frame.
const (
	Asked     Outcome = iota // a query that is to be answered; no outcome of its own
	Answered                 // with records of ours
	NoData                   // the name is ours and has no such record
	NoName                   // there is no such name of ours
	Forward                  // not ours to answer: to be forwarded
	Refused                  // not ours, and nobody to ask or not to be asked; another class; a transfer
	FormError                // a message, but no proper query
	NotKnown                 // an operation, or a version of EDNS, that is none of ours
	Transport                // TCP's own: a connection opened or closed, or not known
	Silent                   // an answer, or less than a header
	Malformed                // no packet to port 53, or a damaged one

	outcomes // their number
)

// String is the outcome in a word or two, joined by underscores.
func (o Outcome) String() string {
	names := [outcomes]string{
		Asked: "asked", Answered: "answered", NoData: "no_data", NoName: "no_name", Forward: "forwarded", Refused: "refused",
		FormError: "format_error", NotKnown: "not_implemented", Transport: "tcp", Silent: "no_query", Malformed: "malformed",
	}
	if o >= outcomes {
		return "unknown"
	}
	return names[o]
}

// Outcomes lists those that a frame can end with, for counters that should exist before they count.
func Outcomes() []Outcome {
	all := make([]Outcome, 0, outcomes)
	for o := Answered; o < outcomes; o++ {
		all = append(all, o)
	}
	return all
}
