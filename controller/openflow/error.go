package openflow

import "fmt"

// Error is a refusal by the switch (OFPT_ERROR).
type Error struct {
	Type   uint16
	Code   uint16
	Vendor uint32 // the experimenter whose code it is; 0 for OpenFlow's own
	XID    uint32 // of the refused message
}

const typeVendorError = 0xffff

func (e *Error) Error() string {
	words := errorWords(e.Type, e.Code)
	if words == "" {
		words = "refused"
	}
	if e.Vendor != 0 {
		return fmt.Sprintf("%s (experimenter %#x, error %d)", words, e.Vendor, e.Code)
	}
	return fmt.Sprintf("%s (OpenFlow error type %d, code %d)", words, e.Type, e.Code)
}

// Errors that are acted on.
const (
	errorBadRequest  = 1
	codeIsSlave      = 10
	errorFlowMod     = 5
	codeTableFull    = 1
	errorMeterMod    = 12
	codeMeterExists  = 1
	codeUnknownMeter = 3
)

// TableFull reports whether a flow was refused because its table has no room for it.
func (e *Error) TableFull() bool { return e.Type == errorFlowMod && e.Code == codeTableFull }

// IsSlave reports whether a message was refused because its sender has the role of a slave.
func (e *Error) IsSlave() bool { return e.Type == errorBadRequest && e.Code == codeIsSlave }

// errorClasses name the types of errors (OpenFlow 1.3.5, 7.4.4).
var errorClasses = [...]string{
	"hello failed", "bad request", "bad action", "bad instruction", "bad match", "flow-mod failed", "group-mod failed",
	"port-mod failed", "table-mod failed", "queue operation failed", "switch configuration failed", "role request failed",
	"meter-mod failed", "table features failed",
}

// errorCodes name the codes of the types that our messages can meet.
var errorCodes = map[uint16][]string{
	0: {"no common version", "not permitted"},
	1: {"wrong version", "unknown message", "unknown multipart request", "unknown experimenter", "unknown experimenter's message",
		"not permitted", "wrong length", "buffer used up", "unknown buffer", "no such table", "refused to a slave controller", "no such port",
		"bad packet", "too many multipart requests"},
	2: {"unknown action", "wrong length", "unknown experimenter", "unknown experimenter's action", "no such output port", "bad argument",
		"not permitted", "too many actions", "no such queue", "no such group", "does not fit the match", "order not supported", "bad tag",
		"field cannot be set", "wrong length of a set-field", "bad argument of a set-field"},
	3: {"unknown instruction", "instruction not supported", "no such table", "metadata not supported", "metadata mask not supported",
		"unknown experimenter", "unknown experimenter's instruction", "wrong length", "not permitted"},
	4: {"unknown match type", "wrong length", "bad tag", "bad data-link mask", "bad network mask", "bad wildcards", "unknown field", "bad value",
		"bad mask", "field lacks its prerequisite", "duplicate field", "not permitted"},
	5:  {"unknown reason", "table is full", "no such table", "overlaps another flow", "not permitted", "bad timeout", "unknown command", "bad flags"},
	12: {"unknown reason", "meter exists", "invalid meter", "no such meter", "unknown command", "bad flags", "bad rate", "bad burst", "bad band", "bad band value", "too many meters", "too many bands"},
}

// bundleCodes name the ONF bundle errors from 2300 on (EXT-230).
var bundleCodes = [...]string{
	"unknown reason", "not permitted", "no such bundle", "bundle exists", "bundle is closed", "too many bundles", "unknown bundle control",
	"bad bundle flags", "wrong length of a bundled message", "bundled message's xid differs", "message cannot be bundled",
	"messages cannot be bundled together", "too many messages", "a message of the bundle failed", "bundle timed out", "bundle is in use",
}

func errorWords(kind, code uint16) string {
	switch {
	case kind == typeVendorError && code >= 2300 && int(code-2300) < len(bundleCodes):
		return "bundle failed: " + bundleCodes[code-2300]
	case int(kind) >= len(errorClasses):
		return ""
	}
	if codes := errorCodes[kind]; int(code) < len(codes) {
		return errorClasses[kind] + ": " + codes[code]
	}
	return errorClasses[kind]
}
