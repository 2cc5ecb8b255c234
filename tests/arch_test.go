// Package tests holds what is true of the whole project: its architecture, and, with the build tag
// integration, scripts that drive it from the API to packets between VMs on real Open vSwitch.
package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/signalbox-sdn/signalbox"

// rooms says which of our own packages each may import, and why no other. The root package is "".
var rooms = map[string]struct {
	may []string
	why string
}{
	"":                          {nil, "the vocabulary knows nobody, so everybody may know it"},
	"flowpipeline/flow":         {[]string{""}, "flows are values: whoever reads them needs no compiler"},
	"nat":                       {[]string{""}, "who translates what is a decision about facts, not about OpenFlow"},
	"dhcp":                      {[]string{""}, "a request and facts in, bytes out: testable without a switch"},
	"dns":                       {[]string{""}, "a request and facts in, bytes out: testable without a switch"},
	"ovsdb":                     {[]string{""}, "it reports what a host says; what to do about it is the controller's"},
	"apiserver/ipam":            {[]string{""}, "choosing addresses is pure"},
	"apiserver/wire":            {[]string{""}, "the form of JSON has no say in its meaning"},
	"apiserver/auth":            {[]string{""}, "who asks is decided without knowing what is asked"},
	"flowpipeline":              {[]string{"", "flowpipeline/flow", "nat"}, "flows are a pure function of facts: no wire, no database, no clock"},
	"controller/openflow":       {[]string{"", "flowpipeline/flow"}, "the wire carries flows, whatever they mean"},
	"apiserver/store":           {[]string{""}, "rows in, rows out: meaning is decided above"},
	"apiserver/store/storetest": {[]string{"", "apiserver/store", "apiserver/store/postgres"}, "it lends tests a database; no product code imports it"},
	"apiserver/store/postgres":  {nil, "it starts a server; what is kept there it does not know"},
	"apiserver/neutron":         {[]string{"", "apiserver/ipam", "apiserver/store"}, "what a request means does not depend on how it came"},
	"apiserver/nova":            {[]string{"", "apiserver/store"}, "what Nova is told is in the database, whoever wrote it"},
	"apiserver":                 {[]string{"", "apiserver/wire", "apiserver/neutron", "apiserver/auth"}, "handlers are thin: the database is neutron's to touch"},
	"controller": {[]string{"", "flowpipeline", "flowpipeline/flow", "controller/openflow", "ovsdb", "dhcp", "dns", "nat"},
		"it declares the store that it needs; the API server is another process"},
}

// libraries says in which rooms an outside module may be imported, so that replacing it is an afternoon.
var libraries = map[string][]string{
	"github.com/labstack/echo":        {"apiserver"},
	"github.com/jmoiron/sqlx":         {"apiserver/store"},
	"github.com/lib/pq":               {"apiserver/store"},
	"github.com/pressly/goose":        {"apiserver/store"},
	"github.com/ovn-org/libovsdb":     {"ovsdb"},
	"github.com/cenkalti/rpc2":        {"ovsdb"},
	"github.com/contiv/libOpenflow":   {"controller/openflow"},
	"github.com/insomniacslk/dhcp":    {"dhcp"},
	"github.com/miekg/dns":            {"dns"},
	"github.com/spf13/cobra":          {"cmd"},
	"gopkg.in/yaml.v3":                {"cmd", "tests"},
	"github.com/prometheus":           {"controller", "apiserver", "cmd"},
	"github.com/vishvananda":          {"tests"},
	"github.com/gopacket/gopacket":    {"tests"},
	"github.com/getkin/kin-openapi":   {},   // tests of the API server hold its answers to its own description
	"github.com/google/uuid":          {""}, // ids are part of the vocabulary: everybody
	"github.com/spf13/pflag":          {"cmd"},
	"golang.org/x/sync":               {"controller", "cmd"},
	"golang.org/x/sys":                {"cmd", "tests"},
	"golang.org/x/text":               {"cmd"},
	"honnef.co/go/tools":              {},
	"pgregory.net/rapid":              {"tests"},
	"github.com/stretchr/testify":     {},
	"github.com/golang/mock":          {},
	"go.uber.org/mock":                {},
	"github.com/contiv/ofnet":         {},
	"github.com/digitalocean/go-open": {},
}

type pkg struct {
	ImportPath, Name, Dir              string
	Standard                           bool
	Imports, TestImports, XTestImports []string
	GoFiles                            []string
}

// room is the package's path inside the module: "" for the root.
func (p pkg) room() string { return roomOf(p.ImportPath) }

func roomOf(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// outside reports whether a path names a package of neither ours nor the standard library.
func outside(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".") && !ours(path)
}

// under reports whether room is dir or below it; the root holds everything.
func under(room, dir string) bool {
	return dir == "" || room == dir || strings.HasPrefix(room, dir+"/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Imports,TestImports,XTestImports,GoFiles", "-tags", "integration", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, p := range packages(t) {
		room := p.room()
		if under(room, "cmd") || under(room, "tests") {
			continue // they wire everything together
		}
		rule, ok := rooms[room]
		if !ok {
			t.Errorf("%s is a new room: say here what it may import and why, and add an ADR", room)
			continue
		}
		for _, path := range p.Imports {
			if ours(path) && !slices.Contains(rule.may, roomOf(path)) {
				t.Errorf("%s imports %s: it may not, because %s", room, roomOf(path), rule.why)
			}
		}
	}
}

func TestControllerAndAPIServerNeverMeet(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if under(p.room(), "controller") && ours(path) && under(roomOf(path), "apiserver") ||
				under(p.room(), "apiserver") && ours(path) && under(roomOf(path), "controller") {
				t.Errorf("%s imports %s: they run as two processes and share only Postgres", p.ImportPath, path)
			}
		}
	}
}

func TestEachLibraryLivesInItsRoom(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			if !outside(path) || slices.Contains(p.Imports, "testing") {
				continue
			}
			known := false
			for prefix, homes := range libraries {
				if !strings.HasPrefix(path, prefix) {
					continue
				}
				known = true
				if !slices.ContainsFunc(homes, func(home string) bool { return under(p.room(), home) }) {
					t.Errorf("%s imports %s, which lives in %q", p.ImportPath, path, homes)
				}
			}
			if !known {
				t.Errorf("%s imports %s: give the library a room here", p.ImportPath, path)
			}
		}
	}
}

func TestPackageNamesSayWhatIsInside(t *testing.T) {
	empty := []string{"util", "utils", "common", "helper", "helpers", "types", "base", "manager", "misc", "shared", "lib", "pkg", "internal"}
	for _, p := range packages(t) {
		for part := range strings.SplitSeq(p.room(), "/") {
			if slices.Contains(empty, part) {
				t.Errorf("%s: a package called %q says nothing of what is inside", p.ImportPath, part)
			}
		}
		if strings.ToLower(p.Name) != p.Name || strings.Contains(p.Name, "_") {
			t.Errorf("%s: package %s is not one lower-case noun", p.ImportPath, p.Name)
		}
	}
}

// TestPackagesKeepNoState: a package-level variable may hold a table or an error that nobody writes to after
// the program has started, and there is no init.
func TestPackagesKeepNoState(t *testing.T) {
	for _, p := range packages(t) {
		if under(p.room(), "tests") || slices.Contains(p.Imports, "testing") {
			continue // it is a test's
		}
		fset := token.NewFileSet()
		var files []*ast.File
		names := map[string]bool{}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
			for _, spec := range variables(f) {
				for _, id := range spec.Names {
					names[id.Name] = true
				}
				if kind := stateful(spec); kind != "" {
					t.Errorf("%s: package state: %s", fset.Position(spec.Pos()), kind)
				}
			}
		}
		for _, f := range files {
			for _, at := range writes(f, names) {
				t.Errorf("%s: a package-level variable is written to", fset.Position(at))
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: init runs behind everybody's back", fset.Position(fn.Pos()))
				}
			}
		}
	}
}

// variables are the variable declarations at a file's top level.
func variables(f *ast.File) []*ast.ValueSpec {
	var found []*ast.ValueSpec
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, s := range g.Specs {
				found = append(found, s.(*ast.ValueSpec))
			}
		}
	}
	return found
}

// stateful names what makes a variable state by its very type: a lock, a counter, a channel, a pool.
func stateful(spec *ast.ValueSpec) (kind string) {
	ast.Inspect(spec, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ChanType:
			kind = "a channel"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				kind = x.Name + "." + n.Sel.Name
			}
		}
		return true
	})
	return kind
}

// writes finds assignments, increments and taken addresses of package-level variables inside functions. A
// local variable of the same name is not one.
func writes(f *ast.File, names map[string]bool) []token.Pos {
	var found []token.Pos
	note := func(e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.Ident:
				if names[x.Name] && !local(f, x) {
					found = append(found, x.Pos())
				}
				return
			default:
				return
			}
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						note(e)
					}
				}
			case *ast.IncDecStmt:
				note(n.X)
			}
			return true
		})
	}
	return found
}

// local reports whether the parser resolved the name to something declared inside a function of the file.
func local(f *ast.File, id *ast.Ident) bool {
	return id.Obj != nil && f.Scope.Lookup(id.Name) != id.Obj
}

func TestNothingIsLeftForLater(t *testing.T) {
	marks := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:", "t.Sk" + "ip"}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == ".git" || name == "bin" || name == ".cache" {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".sh", ".sql", ".md", ".yaml"}, filepath.Ext(path)) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for n, line := range strings.Split(string(b), "\n") {
			for _, m := range marks {
				if strings.Contains(line, m) {
					t.Errorf("%s:%d: %s", path, n+1, m)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
