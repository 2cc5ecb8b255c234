package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StartPostgres starts a PostgreSQL that only the lab can reach, on a Unix socket in the lab's folder, and
// gives the URL of an empty database. It is not durable: a test's data need not outlive the machine.
func (l *Lab) StartPostgres(ctx context.Context) (url string, err error) {
	bin, err := postgresBin(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(l.Dir, "postgres")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	who, err := postgresUser() // initdb and postgres refuse to run as root
	if err != nil {
		return "", err
	}
	if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
		return "", err
	}
	as := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, args[0]), args[1:]...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: who}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if _, err := finish(as("initdb", "-D", data, "-U", "signalbox", "-A", "trust", "-E", "UTF8", "--no-sync"), (*exec.Cmd).Start); err != nil {
		return "", err
	}
	p, err := l.spawn(l.Net, "postgres", filepath.Join(l.Dir, "postgres.log"), as("postgres", "-D", data, "-k", dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "jit=off"))
	if err != nil {
		return "", err
	}
	p.stop = syscall.SIGINT // fast shutdown: does not wait for clients to leave
	err = Await(ctx, 15*time.Second, "postgres answers", func() error {
		_, err := finish(as("psql", "-h", dir, "-U", "signalbox", "-d", "postgres", "-c", "select 1"), (*exec.Cmd).Start)
		return err
	})
	return fmt.Sprintf("postgres://signalbox@/postgres?host=%s&sslmode=disable", dir), err
}

// postgresBin is the folder of the server's programs, which Debian keeps out of PATH.
func postgresBin(ctx context.Context) (string, error) {
	if out, err := run(ctx, "pg_config", "--bindir"); err == nil {
		if dir := strings.TrimSpace(out); executable(filepath.Join(dir, "initdb")) {
			return dir, nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL server is installed: tests/setup/install.sh installs one")
	}
	return found[len(found)-1], nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

func postgresUser() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}
