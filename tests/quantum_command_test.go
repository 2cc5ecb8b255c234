//go:build integration

package tests

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
	"github.com/signalbox-sdn/signalbox/tests/keystone"
)

// TestQuantumCommand: the quantum command, as it is built, does and prints what testdata/quantum_session.txt says,
// of a server that lets everybody in and of one that asks a real Keystone; and Keystone tells it where that one is.
func TestQuantumCommand(t *testing.T) {
	binary := binary(t)
	quantum := filepath.Join(filepath.Dir(binary), "quantum")
	session, err := os.ReadFile("testdata/quantum_session.txt")
	if err != nil {
		t.Fatal(err)
	}
	api := func(t *testing.T, access ...string) string {
		return serve(t, binary, append([]string{"apiserver", "--database-url", storetest.StartForTest(t), "--tenant-network-types", "vlan",
			"--network-vlan-ranges", "default:100:299", "--log-level", "error"}, access...)...).url
	}
	t.Run("let in by the server", func(t *testing.T) {
		plays(t, quantum, string(session), "OS_URL="+api(t))
	})
	t.Run("an operator", func(t *testing.T) {
		operator, err := os.ReadFile("testdata/quantum_operator.txt")
		if err != nil {
			t.Fatal(err)
		}
		dsn := storetest.StartForTest(t)
		url := serve(t, binary, "apiserver", "--database-url", dsn, "--tenant-network-types", "vlan", "--network-vlan-ranges", "default:100:299", "--log-level", "error").url
		db, err := store.Open(t.Context(), dsn, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for i, name := range []string{"h1", "h2"} { // as the controller finds them
			h, err := db.SaveHost(t.Context(), signalbox.Host{DatapathID: signalbox.DatapathID(i + 1), Name: name})
			if err == nil {
				err = db.SaveSessions(t.Context(), map[uuid.UUID]signalbox.Session{h.ID: {Up: i == 0, Since: time.Now()}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		plays(t, quantum, string(operator), "OS_URL="+url)
	})
	t.Run("let in by Keystone", func(t *testing.T) {
		k := keystone.Start(t)
		k.User("neutron", "of the server", k.Project("service"), "admin")
		url := api(t, "--auth", "keystone", "--keystone-url", k.URL, "--keystone-username", "neutron", "--keystone-password", "of the server")
		k.Endpoint("network", url)
		demo := k.Project("demo")
		k.User("alice", "secret", demo, "member", "admin")
		k.User("bob", "secret", demo, "member")
		// With one token: with one for each command it would be Keystone's speed that is tested.
		plays(t, quantum, string(session), "OS_URL="+url, "OS_TOKEN="+k.Token("alice", "secret", "demo"))
		who := []string{"OS_USERNAME=alice", "OS_PASSWORD=secret", "OS_TENANT_NAME=demo"}
		plays(t, quantum, "$ quantum net-create net1\nCreated a new network:\n| name | net1 |\n", append(who, "OS_AUTH_URL="+k.URL)...)
		plays(t, quantum, "$ quantum net-list -f value -c name\nnet1\n", append(who, "OS_AUTH_URL="+strings.TrimSuffix(k.URL, "/v3"))...)
		plays(t, quantum, "$ quantum net-list\n! The request you have made requires authentication.\nexit 1\n", append(who, "OS_AUTH_URL="+k.URL, "OS_PASSWORD=wrong")...)
		plays(t, quantum, "$ quantum net-create net-ext -- --router:external=True\n! <what> is disallowed by policy\nexit 1\n", append(who, "OS_AUTH_URL="+k.URL, "OS_USERNAME=bob")...)
		plays(t, quantum, "$ quantum net-list\n! The request you have made requires authentication.\nexit 1\n", "OS_URL="+url, "OS_TOKEN=nonsense")
	})
}

// plays plays a session of the quantum command.
func plays(t *testing.T, quantum, session string, env ...string) {
	t.Helper()
	performed(t, "quantum", session, func(args []string) []string { return performs(t, quantum, env, args) })
}

// performed has the commands of a session performed and fails where something is not as it says.
func performed(t *testing.T, name, session string, perform func(args []string) []string) {
	t.Helper()
	known := map[string]string{}
	for part := range strings.SplitSeq("\n"+session, "\n$ "+name+" ") {
		command, wanted, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(part, "\n") || strings.HasPrefix(part, "#") || part == "" {
			continue // what is said before the first command
		}
		printed := perform(strings.Fields(fillIn(command, known)))
		rest := printed
		for want := range strings.Lines(wanted) {
			if want = strings.TrimSpace(want); want == "" || want[0] == '#' {
				continue
			}
			if rest = after(want, rest, known); rest == nil {
				t.Fatalf("%s %s\nhas not printed, in its place,\n%s\nbut\n%s", name, command, fillIn(want, known), strings.Join(printed, "\n"))
			}
		}
		if !strings.Contains(wanted, "exit ") && len(printed) > 0 && strings.HasPrefix(printed[len(printed)-1], "exit ") {
			t.Fatalf("%s %s:\n%s", name, command, strings.Join(printed, "\n"))
		}
	}
}

// performs runs a command and gives its lines, with spaces as one: what it printed, what it said of itself with !
// before it, and its status where that is not 0.
func performs(t *testing.T, quantum string, env, args []string) (lines []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), quantum, args...)
	cmd.Env = env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status := 0
	if exit != nil {
		status = exit.ExitCode()
	}
	return transcript(out.String(), said.String(), status)
}

// transcript is what a command has printed and said of itself, as performs gives it.
func transcript(out, said string, status int) (lines []string) {
	add := func(prefix, text string) {
		for line := range strings.Lines(text) {
			lines = append(lines, strings.Join(strings.Fields(prefix+line), " "))
		}
	}
	add("", out)
	add("! ", said)
	if status != 0 {
		lines = append(lines, "exit "+strconv.Itoa(status))
	}
	return lines
}

var blank = regexp.MustCompile(`<[a-z0-9]+>`)

// fillIn puts what is known in the place of blanks.
func fillIn(text string, known map[string]string) string {
	return blank.ReplaceAllStringFunc(text, func(b string) string {
		if v, ok := known[b]; ok {
			return v
		}
		return b
	})
}

// after are the lines after the first that is as wanted, nil if none is. It learns what stands where a blank is.
func after(want string, lines []string, known map[string]string) []string {
	want = fillIn(want, known)
	names := blank.FindAllString(want, -1)
	pattern := "^"
	for i, fixed := range blank.Split(want, -1) {
		if i > 0 {
			pattern += "(.+?)"
		}
		pattern += regexp.QuoteMeta(fixed)
	}
	re := regexp.MustCompile(pattern + "$")
	for i, line := range lines {
		if found := re.FindStringSubmatch(line); found != nil {
			for j, name := range names {
				known[name] = found[j+1]
			}
			return append([]string{}, lines[i+1:]...)
		}
	}
	return nil
}
