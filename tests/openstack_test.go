//go:build integration

package tests

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
	"github.com/signalbox-sdn/signalbox/tests/keystone"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

//go:embed testdata/openstack_shell.py
var openstackShell string

// TestOpenStackCommand: Debian's openstack command does and prints what testdata/openstack_session.txt says, of a server that
// lets everybody in, and of one that it finds and is let into by a real Keystone.
func TestOpenStackCommand(t *testing.T) {
	binary, err := testbed.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	session, err := os.ReadFile("testdata/openstack_session.txt")
	if err != nil {
		t.Fatal(err)
	}
	api := func(t *testing.T, access ...string) string {
		return serve(t, binary, append([]string{"apiserver", "--database-url", storetest.StartForTest(t), "--tenant-network-types", "vxlan",
			"--vni-ranges", "1:1000", "--flat-networks", "public", "--log-level", "error"}, access...)...).url
	}
	t.Run("let in by the server", func(t *testing.T) {
		performed(t, "openstack", string(session), openstackCommand(t, "OS_AUTH_TYPE=none", "OS_ENDPOINT="+api(t)))
	})
	t.Run("let in by Keystone", func(t *testing.T) {
		k := keystone.Start(t)
		k.User("neutron", "of the server", k.Project("service"), "admin")
		url := api(t, "--auth", "keystone", "--keystone-url", k.URL, "--keystone-username", "neutron", "--keystone-password", "of the server")
		k.Endpoint("network", url)
		demo := k.Project("demo")
		k.User("alice", "secret", demo, "member", "admin")
		k.User("bob", "secret", demo, "member")
		// The session with one token: with one for each command it would be Keystone's speed that is tested.
		performed(t, "openstack", string(session), openstackCommand(t, "OS_AUTH_TYPE=admin_token", "OS_ENDPOINT="+url, "OS_TOKEN="+k.Token("alice", "secret", "demo")))
		performed(t, "openstack", sessionOfAMember, openstackCommand(t, k.Environment("bob", "secret", "demo")...))
		performed(t, "openstack", sessionOfNobody, openstackCommand(t, k.Environment("bob", "wrong", "demo")...))
	})
}

const (
	sessionOfAMember = `
$ openstack network create net1 -f json
"name": "net1",
"provider:network_type": null,
"status": "ACTIVE",
$ openstack network create --external net2
! Error while executing command: HttpException: 403, <what> is disallowed by policy
exit 1
$ openstack network list -f value -c Name
net1
$ openstack network delete net1
`
	sessionOfNobody = `
$ openstack network list
! The request you have made requires authentication. (HTTP 401) <request>
exit 1
`
)

// openstackCommand is the openstack command, told who it is by an environment. It is started once, for all that it performs.
func openstackCommand(t *testing.T, env ...string) func(args []string) []string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-c", openstackShell) // Debian's, which has the client; it ends with its input
	cmd.Env = append(env, "HOME="+t.TempDir())
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Logf("openstack: %v\n%s", err, &said)
		}
	})
	ask, answers := json.NewEncoder(in), bufio.NewReader(out)
	return func(args []string) []string {
		t.Helper()
		var answer struct {
			Status   int
			Out, Err string
		}
		if err := ask.Encode(args); err != nil {
			t.Fatalf("openstack: %v\n%s", err, &said)
		}
		line, err := answers.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &answer)
		}
		if err != nil {
			t.Fatalf("openstack %s: %v\n%s", strings.Join(args, " "), err, &said)
		}
		if answer.Status == 0 && slices.Contains(args, "json") && !json.Valid([]byte(answer.Out)) {
			t.Fatalf("openstack %s: this is no JSON: %s", strings.Join(args, " "), answer.Out)
		}
		return transcript(answer.Out, answer.Err, answer.Status)
	}
}
