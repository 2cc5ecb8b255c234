package apiserver_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/signalbox-sdn/signalbox/apiserver"
)

var update = flag.Bool("update", false, "rewrite the documents that are made from the code")

// description is what the API says of itself, whoever asks.
var description = sync.OnceValues(func() (doc *openapi3.T, err error) {
	return openapi3.NewLoader().LoadFromData(described())
})

func described() []byte {
	return get(without(apiserver.Config{}).Handler(), "/openapi.json").Body.Bytes()
}

func TestTheDescriptionIsOpenAPI(t *testing.T) {
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Summary == "" {
				t.Errorf("%s %s: it is not said what that does: if it is a resource's, name that in Server.resources, else describe it", method, path)
			}
		}
	}
}

// TestReferenceIsTheAPIThatThereIs: the end of docs/api.md is every resource with its attributes, and who may do what.
func TestReferenceIsTheAPIThatThereIs(t *testing.T) {
	const file, heading = "../docs/api.md", "\n## Resources\n"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(doc), heading)
	if !found {
		t.Fatalf("%s has no %q", file, heading)
	}
	want := before + heading + referenceOf(t)
	if want == string(doc) {
		return
	}
	if !*update {
		t.Fatalf("%s is out of date: make goldens rewrites it", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// access is what the description says beside OpenAPI's words.
type access struct {
	Create, Update, Get    *[]string
	Required, Filter, Sort bool
}

type property struct {
	Type, Format, Description string
	Enum                      []any
	MaxLength, MaxItems       int
	Nullable                  bool
	Items                     *property
	Properties                map[string]property
	Default                   json.RawMessage
	Access                    access `json:"x-access"`
	Collection                string `json:"x-collection"` // of a resource
}

// kind is a property's type in a few words.
func (p property) kind() string {
	var words []string
	for _, w := range p.Enum {
		if w != nil {
			words = append(words, fmt.Sprintf("`%v`", w))
		}
	}
	kind := p.Type
	switch {
	case words != nil:
		kind = strings.Join(words, " ")
	case p.Items != nil && p.Items.Type != "":
		kind = "list of " + p.Items.kind()
	case p.Properties != nil:
		kind = "{" + strings.Join(slices.Sorted(maps.Keys(p.Properties)), ", ") + "}"
	case p.Format != "":
		kind = p.Format
	case p.MaxLength > 0:
		kind = fmt.Sprintf("text of %d", p.MaxLength)
	}
	if p.MaxItems > 0 {
		kind += fmt.Sprintf(", at most %d", p.MaxItems)
	}
	if p.Nullable {
		kind += ", or null"
	}
	return kind
}

// who is a cell: nobody, everybody who may do it to the resource, or those named.
func who(list *[]string) string {
	switch {
	case list == nil:
		return ""
	case len(*list) == 0:
		return "yes"
	}
	return strings.Join(*list, ", ")
}

func referenceOf(t *testing.T) string {
	var doc struct {
		Paths      map[string]map[string]struct{ Summary string }
		Components struct{ Schemas map[string]property }
		Policy     map[string][]string `json:"x-policy"`
	}
	if err := json.Unmarshal(described(), &doc); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			if !strings.Contains(path, "/tags") {
				fmt.Fprintf(&b, "\n- `%s %s`: %s", strings.ToUpper(method), path, doc.Paths[path][method].Summary)
			}
		}
	}
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		asked, resource := doc.Components.Schemas[name+"_create"], doc.Components.Schemas[name]
		if resource.Collection == "" {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n| attribute | is | create | update | shown | lists |\n|---|---|---|---|---|---|\n", name)
		for _, attribute := range slices.Sorted(maps.Keys(resource.Properties)) {
			p := resource.Properties[attribute]
			create := who(p.Access.Create)
			if p.Access.Required {
				create = strings.Replace(create, "yes", "must", 1)
			}
			if d := asked.Properties[attribute].Default; d != nil && create != "" {
				create += ", else `" + string(d) + "`"
			}
			shown := "yes"
			if p.Access.Get != nil {
				shown = who(p.Access.Get)
			}
			var lists []string
			if p.Access.Filter {
				lists = append(lists, "filter")
			}
			if p.Access.Sort {
				lists = append(lists, "sort")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", attribute, p.kind(), create, who(p.Access.Update), shown, strings.Join(lists, ", "))
		}
	}
	b.WriteString("\n## Who may do what\n\nThe defaults of Neutron's policy, by its names. Whoever gets a router, a floating IP, a rule of a security group or an RBAC policy may change it; everything else without a rule here is for an admin alone.\n\n| rule | who |\n|---|---|\n")
	for _, rule := range slices.Sorted(maps.Keys(doc.Policy)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", rule, strings.Join(doc.Policy[rule], ", "))
	}
	return b.String()
}
