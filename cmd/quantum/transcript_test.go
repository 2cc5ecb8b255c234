package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the transcripts' outputs and docs/quantum.md")

// TestTranscripts: for the answers of a server that a transcript begins with, each command sends these requests
// (→), prints this, complains so (!), and exits with this status (exit N, where it is not 0).
//
//	> [STATUS] METHOD PATH[?QUERY]      an answer, and its body below
//	# a remark
//	$ quantum …                         a command, and below it what comes of it
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || files == nil {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if got == string(want) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s (-update rewrites it):\n%s", file, firstDifference(string(want), got))
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return "one is longer than the other"
}

// section is what a transcript's line beginning with a mark starts.
type section struct{ head, body string }

func sections(script string) (all []section) {
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "# ") {
			all = append(all, section{head: line})
			continue
		}
		all[len(all)-1].body += line
	}
	return all
}

// stage is a server that gives recorded answers.
type stage struct {
	*httptest.Server
	answers map[string]section // by method and path, with a query or without
	asked   []string
}

func newStage(t testing.TB) *stage {
	s := &stage{answers: map[string]section{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, strings.TrimSpace(fmt.Sprintf("→ %s %s %s", r.Method, r.URL, body)))
	a, ok := s.answers[r.Method+" "+r.URL.String()]
	if !ok {
		a, ok = s.answers[r.Method+" "+r.URL.Path]
	}
	status := http.StatusOK
	if !ok {
		status, a.body = http.StatusNotImplemented, "the transcript has no answer"
	}
	if len(a.head) > 0 && a.head[0] >= '1' && a.head[0] <= '9' {
		_, _ = fmt.Sscan(a.head, &status)
	}
	w.Header().Set("X-Subject-Token", "a-token")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.ReplaceAll(a.body, "SERVER", s.URL))
}

// answer learns an answer from the head of its section.
func (s *stage) answer(x section) {
	words := strings.Fields(strings.TrimPrefix(x.head, "> "))
	key := strings.Join(words[max(0, len(words)-2):], " ")
	x.head = words[0]
	s.answers[key] = x
}

// replay plays a transcript and writes what came of it.
func replay(t *testing.T, script string) string {
	s := newStage(t)
	var out strings.Builder
	for _, x := range sections(script) {
		out.WriteString(x.head)
		switch x.head[0] {
		case '>':
			s.answer(x)
			out.WriteString(x.body)
		case '#':
			out.WriteString(x.body)
		case '$':
			out.WriteString(strings.ReplaceAll(s.perform(t, strings.Fields(x.head)[2:]), s.URL, "SERVER"))
		}
	}
	return out.String()
}

// perform runs one command. Variables of the environment may stand before it, after the word env.
func (s *stage) perform(t *testing.T, args []string) string {
	s.asked = nil
	env := map[string]string{"OS_URL": s.URL}
	args = slices.Clone(args)
	for len(args) > 0 && strings.HasPrefix(args[0], "OS_") {
		name, value, _ := strings.Cut(strings.ReplaceAll(args[0], "SERVER", s.URL), "=")
		env[name], args = value, args[1:]
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "SERVER", s.URL)
	}
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), args, func(name string) string { return env[name] }, &stdout, &stderr)
	var out strings.Builder
	for _, a := range s.asked {
		fmt.Fprintln(&out, a)
	}
	out.Write(stdout.Bytes())
	for line := range strings.Lines(stderr.String()) {
		out.WriteString("! " + line)
	}
	if status != 0 {
		fmt.Fprintf(&out, "exit %d\n", status)
	}
	return out.String()
}
