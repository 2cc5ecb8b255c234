//go:build integration

package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
)

// ownerFolder, when set in the environment, makes the test binary an owner that starts a server there and waits to be killed.
const ownerFolder = "SIGNALBOX_TEST_OWNER_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerFolder); dir != "" {
		s, err := postgres.Start(context.Background(), dir, slog.New(slog.DiscardHandler))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("pid", s.Pid())
		<-s.Done()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// folder is a data folder that the user postgres can reach.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbpg-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "pg")
}

func start(t *testing.T, dir string) *postgres.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := postgres.Start(ctx, dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func exec1(t *testing.T, dsn, statement string) string {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out sql.NullString
	if err := db.QueryRow(statement).Scan(&out); err != nil && err != sql.ErrNoRows {
		t.Fatal(err)
	}
	return out.String
}

func TestRowSurvivesARestart(t *testing.T) {
	dir := folder(t)
	s := start(t, dir)
	exec1(t, s.DSN(), "CREATE TABLE t AS SELECT 'kept'::text AS word")
	for _, c := range []struct{ setting, want string }{{"fsync", "on"}, {"synchronous_commit", "on"}, {"jit", "off"}, {"listen_addresses", ""}} {
		if got := exec1(t, s.DSN(), "SHOW "+c.setting); got != c.want {
			t.Errorf("%s is %q", c.setting, got)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	if got := exec1(t, start(t, dir).DSN(), "SELECT word FROM t"); got != "kept" {
		t.Errorf("got %q", got)
	}
}

func TestRowSurvivesKillOfThePostmaster(t *testing.T) {
	dir := folder(t)
	s := start(t, dir)
	exec1(t, s.DSN(), "CREATE TABLE t AS SELECT 'kept'::text AS word")
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := exec1(t, start(t, dir).DSN(), "SELECT word FROM t"); got != "kept" {
		t.Errorf("got %q", got)
	}
}

// The owner is killed outright, several times; whatever its server is at, the next owner starts.
func TestRowSurvivesKillOfTheOwner(t *testing.T) {
	dir := folder(t)
	s := start(t, dir)
	exec1(t, s.DSN(), "CREATE TABLE t AS SELECT 'kept'::text AS word")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		owner, _ := startOwner(t, dir)
		if err := owner.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = owner.Wait() // it was killed, as it says
	}
	if got := exec1(t, start(t, dir).DSN(), "SELECT word FROM t"); got != "kept" {
		t.Errorf("got %q", got)
	}
}

func TestServerDiesWithItsOwner(t *testing.T) {
	owner, pid := startOwner(t, folder(t))
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // it was killed, as it says
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("postmaster %d lives on", pid)
		}
	}
}

// startOwner runs this test binary as an owner, and returns it with its postmaster's process id.
func startOwner(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerFolder+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Process.Kill() }) // it may have ended
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	return owner, pid
}

func TestFolderHasOneOwner(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	if _, err := postgres.Start(t.Context(), dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v", err)
	}
}

func TestInitdbCutShortIsDoneAgain(t *testing.T) {
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

func TestPidFileOfSomebodyElseIsNoHindrance(t *testing.T) {
	dir := folder(t)
	s := start(t, dir)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	pidFile := fmt.Sprintf("%d\n%s\n", os.Getpid(), filepath.Join(dir, "data"))
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(pidFile), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

func TestLongPathGetsAShortSocket(t *testing.T) {
	dir := filepath.Join(folder(t), strings.Repeat("long", 20), "pg")
	s := start(t, dir)
	if got := exec1(t, s.DSN(), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestUnreachableFolderIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root runs PostgreSQL as another user: nothing to see")
		return
	}
	shut := folder(t)
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Start(t.Context(), filepath.Join(shut, "pg"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "may not enter "+shut) {
		t.Errorf("got %v", err)
	}
}
