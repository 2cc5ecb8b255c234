package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// tracer shows requests and answers to who asked for them by -v. What opens doors is not shown: the token, and
// what is said to get one.
type tracer struct{ w io.Writer }

// request shows a request as a curl command, which can be pasted where OS_TOKEN is set.
func (t *tracer) request(r *http.Request, body []byte) {
	if t == nil {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "REQ: curl -i -X %s %s", r.Method, quoted(r.URL.String()))
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "X-Auth-Token" {
			b.WriteString(` -H "X-Auth-Token: $OS_TOKEN"`)
			continue
		}
		fmt.Fprintf(&b, " -H %s", quoted(name+": "+r.Header.Get(name)))
	}
	switch {
	case len(body) == 0:
	case isLogin(r):
		b.WriteString(" -d @credentials")
	default:
		fmt.Fprintf(&b, " -d %s", quoted(string(body)))
	}
	fmt.Fprintln(t.w, b.String())
}

// response shows an answer, with the id by which the server's log knows it.
func (t *tracer) response(r *http.Request, res *http.Response, body []byte) {
	if t == nil {
		return
	}
	line := fmt.Sprintf("RESP: %d", res.StatusCode)
	if id := res.Header.Get("X-Openstack-Request-Id"); id != "" {
		line += " " + id
	}
	if isLogin(r) && res.StatusCode/100 == 2 {
		body = []byte("(a token)")
	}
	if len(body) > 0 {
		line += " " + strings.TrimSpace(string(body))
	}
	fmt.Fprintln(t.w, line)
}

func isLogin(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/tokens")
}

// quoted is a word of a shell's command line.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
