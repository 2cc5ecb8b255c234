package signalbox

import (
	"errors"
	"fmt"
)

// ErrKind is the broad class of a failure; the HTTP edge turns it into a status code.
type ErrKind int

// Kinds of errors.
const (
	Internal        ErrKind = iota // a fault of ours
	Invalid                        // the request cannot be right
	Unauthenticated                // it does not say who asks, or nobody vouches for it
	NotFound                       // it names something that is not there, or not visible
	Conflict                       // right by itself, but not with what is there
	Forbidden                      // not for this caller
	Unavailable                    // the database or another part cannot answer now
)

// Reason is the exact refusal, where a client could act on it; the HTTP edge names it as Neutron does.
type Reason string

// Error is the one error type that crosses rooms.
type Error struct {
	Kind     ErrKind
	Reason   Reason // may be empty
	Op       string // what was being done: "create port"
	Resource string // "network", "port" …; may be empty
	ID       string // the resource's id; may be empty
	Msg      string // a sentence for the caller
	Err      error  // the cause, for the log only; may be nil
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind and a reason with a formatted message.
func Errorf(kind ErrKind, reason Reason, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of the first Error in err's chain, or Internal.
func KindOf(err error) ErrKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
