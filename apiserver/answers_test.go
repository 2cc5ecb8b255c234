//go:build integration

package apiserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// held is a server whose every answer must be as the server describes it.
type held struct {
	t    testing.TB
	doc  *openapi3.T
	next http.Handler
}

// hold holds a server to its description, in tests; what a benchmark measures is the server alone, and who fuzzes it looks
// at each answer himself.
func hold(t testing.TB, next http.Handler) http.Handler {
	if _, test := t.(*testing.T); !test {
		return next
	}
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	return held{t, doc, next}
}

func (h held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kept := httptest.NewRecorder()
	path := strings.TrimSuffix(r.URL.EscapedPath(), ".json")
	h.next.ServeHTTP(kept, r)
	if err := h.check(r.Method, path, kept); err != nil {
		h.t.Errorf("%s %s: %d %.2000s is not as /openapi.json says: %v", r.Method, r.URL, kept.Code, kept.Body, err)
	}
	for name, values := range kept.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(kept.Code)
	_, _ = w.Write(kept.Body.Bytes())
}

// long is how many bytes of an answer are not looked at one by one: lists of thousands are of like things.
const long = 1 << 20

func (h held) check(method, path string, w *httptest.ResponseRecorder) error {
	operation := h.operation(method, path)
	if operation == nil {
		if w.Code < 400 && method != http.MethodHead { // that is GET, of whose body the connection takes care
			return errors.New("it is not described")
		}
		return nil
	}
	response := operation.Responses.Value(fmt.Sprint(w.Code))
	if response == nil && w.Code >= 400 {
		response = operation.Responses.Default()
	}
	if response == nil {
		return fmt.Errorf("status %d is not described", w.Code)
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	body := w.Body.Bytes()
	media := response.Value.Content.Get(kind)
	switch {
	case len(response.Value.Content) == 0:
		if len(body) > 0 {
			return errors.New("it has a body")
		}
		return nil
	case media == nil:
		return fmt.Errorf("content of type %q is not described", kind)
	case kind != "application/json" || len(body) > long:
		return nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&v); err != nil {
		return err
	}
	return media.Schema.Value.VisitJSON(v, openapi3.VisitAsResponse(), openapi3.DisableSchemaErrorDetails(), openapi3.EnableFormatValidation(), openapi3.WithStringFormatValidators(formats()))
}

// operation is what answers a request; nil: nothing that is described.
func (h held) operation(method, path string) *openapi3.Operation {
	if method == http.MethodHead {
		return nil
	}
	asked := strings.Split(path, "/")
	var found *openapi3.Operation
	for template, item := range h.doc.Paths.Map() {
		parts := strings.Split(template, "/")
		if len(parts) != len(asked) {
			continue
		}
		same, exact := true, true
		for i := range parts {
			variable := strings.HasPrefix(parts[i], "{")
			same = same && (variable && asked[i] != "" || parts[i] == asked[i])
			exact = exact && !variable
		}
		if same && (found == nil || exact) {
			found = item.GetOperation(method)
		}
	}
	return found
}

// formats are the forms of texts that this API speaks of.
func formats() map[string]openapi3.StringFormatValidator {
	by := func(parse func(string) error) openapi3.StringFormatValidator {
		return openapi3.NewCallbackValidator(parse)
	}
	return map[string]openapi3.StringFormatValidator{
		"uuid": by(func(s string) error { _, err := uuid.Parse(s); return err }),
		"ip":   by(func(s string) error { _, err := netip.ParseAddr(s); return err }),
		"cidr": by(func(s string) error { _, err := netip.ParsePrefix(s); return err }),
		"ip or cidr": by(func(s string) error {
			if _, err := netip.ParseAddr(s); err == nil {
				return nil
			}
			_, err := netip.ParsePrefix(s)
			return err
		}),
		"mac": by(func(s string) error { _, err := signalbox.ParseMAC(s); return err }),
	}
}
