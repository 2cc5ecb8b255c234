//go:build integration

package tests

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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
var openstackScript string

// TestOpenStackCommand: Debian's openstack command does and prints what testdata/openstack_session.txt says, of a server that asks
// a real Keystone; it is told by Keystone where that server is; and one that lets everybody in it finds by itself.
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
		dsn := storetest.StartForTest(t)
		hasHost(t, dsn)
		return serve(t, binary, append([]string{"apiserver", "--database-url", dsn, "--tenant-network-types", "vxlan",
			"--vni-ranges", "1:1000", "--flat-networks", "public", "--log-level", "error"}, access...)...).url
	}
	shell := startOpenStack(t)
	t.Run("let in by the server", func(t *testing.T) {
		shell.plays(t, sessionOfAnybody, "OS_AUTH_TYPE=none", "OS_ENDPOINT="+api(t))
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
		shell.plays(t, string(session), "OS_AUTH_TYPE=admin_token", "OS_ENDPOINT="+url, "OS_TOKEN="+k.Token("alice", "secret", "demo"))
		// The command asks for quotas of computes and volumes, too.
		others := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"quota_set":{"id":"of the project"}}`)
		}))
		t.Cleanup(others.Close)
		k.Endpoint("compute", others.URL)
		k.Endpoint("volumev3", others.URL)
		shell.plays(t, sessionOfAnAdmin, k.Environment("alice", "secret", "demo")...)
		shell.plays(t, sessionOfAMember, k.Environment("bob", "secret", "demo")...)
		shell.plays(t, sessionOfNobody, k.Environment("bob", "wrong", "demo")...)
	})
}

const sessionOfAnybody = `
$ openstack network create net1 -f json
"name": "net1",
"provider:network_type": "vxlan",
$ openstack subnet create --network net1 --subnet-range 10.0.0.0/24 sub1 -f value -c gateway_ip
10.0.0.1
$ openstack port create --network net1 port1 -f value -c status
DOWN
$ openstack router create router1 -f value -c status
ACTIVE
$ openstack router add subnet router1 sub1
$ openstack port list --router router1 -f value -c Status
DOWN
$ openstack network show net2
! Error while executing command: No Network found for net2
exit 1
`

// The sessions of those who give a name and a password with each command, and are told by Keystone where the server is.
const (
	sessionOfAnAdmin = `
$ openstack quota set --ports 7 --networks 1 demo
$ openstack quota show demo -f json
"floating-ips": 50,
"networks": 1,
"ports": 7,
$ openstack network create --dns-domain example.org. net1 -f json
"dns_domain": "example.org.",
"id": "<net>",
"project_id": "<demo>",
$ openstack network rbac create --target-project service --action access_as_shared --type network net1 -f json
"action": "access_as_shared",
"id": "<rbac>",
"object_id": "<net>",
"object_type": "network",
"project_id": "<demo>",
"target_project_id": "<service>"
$ openstack network rbac list --long -f json
"ID": "<rbac>",
"Object ID": "<net>",
"Action": "access_as_shared"
$ openstack network rbac delete <rbac>
$ openstack network delete net1
`
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
`
	sessionOfNobody = `
$ openstack network list
! The request you have made requires authentication. (HTTP 401) <request>
exit 1
`
)

// openstackShell is the openstack command, started once for all that it performs.
type openstackShell struct {
	*testing.T
	ask     *json.Encoder
	answers *bufio.Reader
	said    bytes.Buffer
}

func startOpenStack(t *testing.T) *openstackShell {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-c", openstackScript) // Debian's, which has the client; it ends with its input
	cmd.Env = []string{"HOME=" + t.TempDir()}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	s := &openstackShell{T: t, ask: json.NewEncoder(in), answers: bufio.NewReader(out)}
	cmd.Stderr = &s.said
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Logf("openstack: %v\n%s", err, &s.said)
		}
	})
	return s
}

// plays plays a session. Who it is, an environment says: as options, for the command reads its own environment but once.
func (s *openstackShell) plays(t *testing.T, session string, env ...string) {
	t.Helper()
	var options []string
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		options = append(options, "--"+strings.ToLower(strings.ReplaceAll(name, "_", "-")), value)
	}
	performed(t, "openstack", session, func(args []string) []string {
		t.Helper()
		var answer struct {
			Status   int
			Out, Err string
		}
		err := s.ask.Encode(slices.Concat(options, args))
		line, eof := s.answers.ReadBytes('\n')
		if err = errors.Join(err, eof); err == nil {
			err = json.Unmarshal(line, &answer)
		}
		if err != nil {
			t.Fatalf("openstack %s: %v\n%s", strings.Join(args, " "), err, &s.said)
		}
		if answer.Status == 0 && slices.Contains(args, "json") && !json.Valid([]byte(answer.Out)) {
			t.Fatalf("openstack %s: this is no JSON: %s", strings.Join(args, " "), answer.Out)
		}
		return transcript(answer.Out, answer.Err, answer.Status)
	})
}
