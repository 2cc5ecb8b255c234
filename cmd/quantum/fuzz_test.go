package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// FuzzCommandLine: no command line makes the reader panic, and what it keeps of it can be sent.
func FuzzCommandLine(f *testing.F) {
	for _, seed := range []string{
		"net1 10.0.0.0/24 --name subnet1", "net-ext 192.168.0.0/24 -- --enable_dhcp=False", "net1 --no-gateway -fjson -c id",
		"net1 --allocation-pool start=1,end=2 --host-route destination=a,nexthop=b,c", "--tags list=true a b --mtu type=int -5",
		"a b c", "--", "-", "---x", "--=", "-f", "--x type=dict a=1,b --y action=clear", "--gateway -1 --dns_domain action=clear", "net1 -DDvh",
	} {
		f.Add(seed)
	}
	form := subnets().create
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Fields(text)
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		given := declare(flags, form.options)
		newView(flags, one)
		l, err := split(flags, args, slots{needed: 1, optional: 1})
		if err != nil {
			return
		}
		for _, word := range append(slices.Clone(l.words), l.extra...) {
			if !slices.Contains(args, word) {
				t.Fatalf("%q is not of %q", word, args)
			}
		}
		extra, err := attributes(l.extra)
		if err != nil || agree(given) != nil {
			return
		}
		body := map[string]any{}
		for _, h := range given {
			if h.words != nil {
				body[h.option.attr] = h.values
			}
		}
		merge(body, extra)
		if _, err := json.Marshal(body); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		for _, v := range extra {
			queryValues(v)
		}
	})
}

// FuzzAnswer: whatever a server answers, a command ends, with output or with a complaint.
func FuzzAnswer(f *testing.F) {
	for i, seed := range []string{
		`{"networks":[{"id":"1","name":"a","subnets":["2"]}],"subnets":[{"id":"2","cidr":"10.0.0.0/24"}],"network":{"id":"1"}}`,
		`{"security_groups":[{"id":"1","name":"x"}],"security_group_rules":[{"id":"1","security_group_id":"1","protocol":"icmp","port_range_min":0}]}`,
		`{"security_group_rules":[null]}`, `{"networks":null}`, `{"networks":[{"subnets":{}}]}`, `{"networks":[{}],"networks_links":[{"rel":"next","href":":"}]}`,
		`{"networks":[{"id":"1"}],"networks_links":[{"rel":"next","href":"?marker=1"}]}`,
		`{"NeutronError":{"message":"no","detail":"x"}}`, `{"error":{"message":"no"}}`, `[]`, `<html>`, "", `{"network":{"a":1e999,"b":"\ud800"}}`,
	} {
		for n := range uint(4) {
			f.Add(int(n/3)*204, uint(i)*3+n, seed)
		}
	}
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Subject-Token", "t")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	f.Cleanup(server.Close)
	commands := [][]string{
		{"net-list"}, {"net-list", "-D", "-f", "yaml"}, {"net-list", "-f", "csv"}, {"net-list", "-f", "json"}, {"security-group-rule-list"}, {"security-group-list", "-f", "value"},
		{"net-show", "1"}, {"net-show", "1", "-f", "shell"}, {"net-show", "1", "-f", "yaml"}, {"net-create", "a", "-f", "json"},
		{"router-interface-add", "r", "s"}, {"net-delete", "a", "b"}, {"quota-show"}, {"agent-list"},
	}
	f.Fuzz(func(t *testing.T, code int, which uint, answer string) {
		status, body = 200+max(0, code%400), answer
		endpoint := "--endpoint"
		if which%16 == 15 {
			endpoint = "--os-auth-url"
		}
		var stdout, stderr bytes.Buffer
		args := append([]string{endpoint, server.URL, "--os-token", "t", "-v"}, commands[which%uint(len(commands))]...)
		if got := run(t.Context(), args, func(string) string { return "" }, &stdout, &stderr); got == 0 && stderr.Len() == 0 {
			t.Fatalf("%q says nothing of its request", args)
		}
	})
}

// FuzzSpaced: JSON written with spaces is the same JSON.
func FuzzSpaced(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2,{"b":"c, d: \"e\\"}]}`, `"\\"`, ` [ ] `, "1", `{"a":"\\\""}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want, got bytes.Buffer
		if json.Compact(&want, []byte(text)) != nil {
			return
		}
		if err := json.Compact(&got, []byte(spaced(rawJSON(text)))); err != nil || got.String() != want.String() {
			t.Fatalf("%q became %q: %v", want.String(), got.String(), err)
		}
	})
}

// FuzzTable: every line of a table is as wide as the others, whatever is in it.
func FuzzTable(f *testing.F) {
	f.Add("name", "網路\nsecond line", "é\u0301 \u200d\u200b\t\r\x1b[2J\xff")
	f.Add("", "\n\n", "ﾊﾝｶｸ 全角")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var out strings.Builder
		if err := (&table{header: []string{"one", a}, right: []bool{true, false}, rows: [][]string{{a, b}, {c, a}}}).write(&out); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for _, l := range lines {
			if columns(l) != columns(lines[0]) {
				t.Fatalf("%q is not as wide as %q", l, lines[0])
			}
		}
	})
}
