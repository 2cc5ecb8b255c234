// Package keystone starts a real Keystone for tests: Debian's python3-keystone, with a database, keys and a port of
// its own. It needs no root and touches no Keystone of the machine's.
package keystone

import (
	"bufio"
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

//go:embed serve.py
var script string

// Names that every Keystone here has from its beginning, beside the roles admin, member, reader and service.
const (
	Domain = "Default"   // of all users and projects
	Region = "RegionOne" // of all endpoints
	Admin  = "admin"     // a user, who has the role admin on the project of the same name
)

const patience = 3 * time.Minute // for a start, on a busy machine

// Server is a running Keystone. Its methods fail the test when Keystone refuses.
type Server struct {
	URL      string // of version 3: http://127.0.0.1:PORT/v3
	Password string // of the user Admin

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}
	once  sync.Once // ends the process
	said  string    // path of the file with what it says
	token string    // of Admin
}

// Start starts a Keystone, which is ended with the test. It is ready when Start returns, after some five seconds of a
// processor's time: let tests share one.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{Password: "of the admin", t: t, ended: make(chan struct{})}
	dir := t.TempDir()
	s.said = filepath.Join(dir, "keystone.log")
	configure(t, dir)
	log, err := os.Create(s.said)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command("/usr/bin/python3", "-", dir, s.Password) // Debian's, which has Keystone
	s.cmd.Stdin, s.cmd.Stderr = strings.NewReader(script), log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	slow := time.AfterFunc(patience, s.Stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	slow.Stop()
	if err != nil {
		t.Fatalf("Keystone does not start within %v:\n%s", patience, s.log())
	}
	s.URL = strings.TrimSpace(line)
	s.token = s.Token(Admin, s.Password, Admin)
	s.role("service")
	return s
}

// start starts the process in a goroutine that keeps its thread until the process has ended: Pdeathsig follows the
// thread, and so ends the Keystone of a test that was itself killed.
func (s *Server) start() error {
	started := make(chan error, 1)
	go func() {
		defer close(s.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_, _ = s.cmd.Process.Wait()
		}
	}()
	return <-started
}

// Stop ends Keystone before the test does.
func (s *Server) Stop() {
	s.once.Do(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
	})
}

func (s *Server) log() []byte {
	b, err := os.ReadFile(s.said)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-2000):]
}

// configure writes keystone.conf and the keys that it names.
func configure(t testing.TB, dir string) {
	t.Helper()
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"keystone.conf": fmt.Sprintf(`
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///%[1]s/keystone.db
sqlite_synchronous = false
[fernet_tokens]
key_repository = %[1]s/keys
[fernet_receipts]
key_repository = %[1]s/keys
[credential]
key_repository = %[1]s/keys
[cache]
enabled = false
[identity]
password_hash_rounds = 4
`, dir)}
	for _, name := range []string{"0", "1"} { // the next and the present one (fernet)
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		files["keys/"+name] = base64.URLEncoding.EncodeToString(key)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.TrimLeft([]byte(text), "\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
