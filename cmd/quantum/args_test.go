package main

import (
	"reflect"
	"testing"

	"github.com/spf13/pflag"
)

// TestWordsGoWhereTheOldClientPutThem: which words are a command's own, and which belong to an unknown option.
func TestWordsGoWhereTheOldClientPutThem(t *testing.T) {
	for _, c := range []struct {
		args         []string
		words, extra []string
	}{
		{[]string{"net1", "10.0.0.0/24"}, []string{"net1", "10.0.0.0/24"}, nil},
		{[]string{"--name", "s", "net1"}, []string{"net1"}, nil},
		{[]string{"net1", "--mtu", "1400"}, []string{"net1"}, []string{"--mtu", "1400"}},
		{[]string{"net1", "--mtu", "1400", "--name", "s", "10.0.0.0/24"}, []string{"net1", "10.0.0.0/24"}, []string{"--mtu", "1400"}},
		{[]string{"--mtu", "net1"}, []string{"net1"}, []string{"--mtu"}}, // what is needed comes first
		{[]string{"net1", "--", "--name", "x", "-c"}, []string{"net1"}, []string{"--name", "x", "-c"}},
		{[]string{"net1", "--enable_dhcp", "False"}, []string{"net1"}, []string{"--enable_dhcp", "False"}},
		{[]string{"net1", "--enable-dhcp", "10.0.0.0/24"}, []string{"net1", "10.0.0.0/24"}, nil},
		{[]string{"net1", "--ip_version", "6"}, []string{"net1"}, nil},
		{[]string{"net1", "--offset", "-5"}, []string{"net1"}, []string{"--offset", "-5"}},
		{[]string{"-fjson", "net1"}, []string{"net1"}, nil},
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		declare(flags, subnets().create.options)
		newView(flags, one)
		l, err := split(flags, c.args, slots{needed: 1, optional: 1})
		if err != nil || !reflect.DeepEqual(l, line{c.words, c.extra}) {
			t.Errorf("%q: %q, %v; want %q and %q", c.args, l, err, c.words, c.extra)
		}
	}
}

func TestUndeclaredOptionsAreTyped(t *testing.T) {
	for _, c := range []struct {
		args []string
		want map[string]any
	}{
		{[]string{"--a", "x"}, map[string]any{"a": "x"}},
		{[]string{"--a-b=x=y"}, map[string]any{"a_b": "x=y"}},
		{[]string{"--a"}, map[string]any{"a": true}},
		{[]string{"--a", "x", "y"}, map[string]any{"a": []any{"x", "y"}}},
		{[]string{"--a", "list=true", "x"}, map[string]any{"a": []any{"x"}}},
		{[]string{"--a", "type=int", "-5", "--b"}, map[string]any{"a": int64(-5), "b": true}},
		{[]string{"--a=5", "type=int"}, map[string]any{"a": int64(5)}},
		{[]string{"--a", "type=bool", "FALSE"}, map[string]any{"a": false}},
		{[]string{"--a", "type=dict", "x=1,y=2,3"}, map[string]any{"a": map[string]any{"x": "1", "y": "2,3"}}},
		{[]string{"--a", "type=dict", "list=true", "x=1"}, map[string]any{"a": []any{map[string]any{"x": "1"}}}},
		{[]string{"--a", "action=clear"}, map[string]any{"a": nil}},
		{[]string{"--router:external=True"}, map[string]any{"router:external": "True"}},
	} {
		got, err := attributes(c.args)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, %v; want %v", c.args, got, err, c.want)
		}
	}
	for _, args := range [][]string{{"x"}, {"-a"}, {"---a"}, {"--"}, {"--a", "type=int"}, {"--a", "list=true"}, {"--a=1", "2"}, {"--a", "--a"}, {"--a", "-x"}, {"--a", "type=dict", "x"}} {
		if got, err := attributes(args); err == nil {
			t.Errorf("%q is taken for %v", args, got)
		}
	}
}
