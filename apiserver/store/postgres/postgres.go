// Package postgres runs a private PostgreSQL for one Signalbox: the installed binaries, a data folder of
// its own, a unix socket that nobody else can reach. It is PostgreSQL as it is, with fsync on: the same
// SQL as a cluster that somebody else runs, and as durable.
//
// A server belongs to the process that started it. When that process dies, by whatever signal, the
// server is told to shut down; when either of them was killed outright, the next Start clears what is left
// and lets PostgreSQL recover.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	role     = "signalbox" // the superuser of the private server
	database = "signalbox"
	port     = 5432 // names the socket file; nothing listens on the network

	// stopWait is how long a shutdown may take before the next sharper kind is tried.
	stopWait = 30 * time.Second
	// poll is how often a state that cannot be waited for is looked at.
	poll = 10 * time.Millisecond
)

// Server is a running private PostgreSQL.
type Server struct {
	dir    folder
	log    *slog.Logger
	child  *os.Process
	exited chan struct{} // closed when the postmaster has ended
	err    error         // how it ended; read after exited
	lock   *os.File
}

// Start starts the private server whose folder is dir, making the folder at the first time, and
// returns when it accepts connections. A server that was left behind by a dead owner is stopped first.
// It fails when another process uses the folder, when no PostgreSQL is installed, or when ctx ends.
func Start(ctx context.Context, dir string, log *slog.Logger) (*Server, error) {
	s, err := start(ctx, dir, log)
	if err != nil {
		return nil, fmt.Errorf("private PostgreSQL in %s: %w", dir, err)
	}
	return s, nil
}

func start(ctx context.Context, dir string, log *slog.Logger) (_ *Server, err error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	f, err := openFolder(dir, bin)
	if err != nil {
		return nil, err
	}
	lock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close() // only the lock mattered
		}
	}()
	if err := f.clear(ctx, log); err != nil {
		return nil, err
	}
	if err := f.initialise(ctx, log); err != nil {
		return nil, err
	}
	s := &Server{dir: f, log: log, lock: lock, exited: make(chan struct{})}
	if err := s.launch(); err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	log.Info("private PostgreSQL is up", "folder", f.path, "socket", f.socketDir, "pid", s.child.Pid)
	return s, nil
}

// DSN is the server's address in the form that lib/pq and psql understand.
func (s *Server) DSN() string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", s.dir.socketDir, port, role, database)
}

// Done is closed when the server has ended, asked to or not.
func (s *Server) Done() <-chan struct{} { return s.exited }

// Pid is the postmaster's process id.
func (s *Server) Pid() int { return s.child.Pid }

// Stop shuts the server down: open sessions are ended, everything committed is on disk. It may be called twice.
func (s *Server) Stop() error {
	err := s.stop()
	if filepath.Dir(s.dir.socketDir) != s.dir.path {
		_ = os.Remove(s.dir.socketDir) // leaves it where the server did not end
	}
	if cerr := s.lock.Close(); cerr != nil && !errors.Is(cerr, os.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	if err == nil {
		s.log.Info("private PostgreSQL is stopped", "folder", s.dir.path)
	}
	return err
}

// stop tries PostgreSQL's fast shutdown, then its immediate one, then kills.
func (s *Server) stop() error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := s.child.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop pid %d: %w", s.child.Pid, err)
		}
		select {
		case <-s.exited:
			return nil
		case <-time.After(stopWait):
			s.log.Warn("PostgreSQL does not stop", "pid", s.child.Pid, "signal", sig.String())
		}
	}
	return fmt.Errorf("pid %d survived SIGKILL", s.child.Pid)
}

// launch starts the postmaster and the goroutine that waits for its end. That goroutine keeps its thread
// for as long as the child lives: the kernel sends the parent-death signal when the *thread* that forked
// ends, not the process (prctl(2), PR_SET_PDEATHSIG).
func (s *Server) launch() error {
	logFile, err := os.OpenFile(s.dir.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := s.dir.command("postgres", append([]string{"-D", s.dir.data()}, s.dir.settings()...)...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr.Pdeathsig = syscall.SIGINT // a fast shutdown
	cmd.SysProcAttr.Setpgid = true             // a terminal's ^C is for us to pass on

	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.err = cmd.Wait()
			close(s.exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.child = cmd.Process
	return nil
}

// settings are the few in which a private server differs from a default one.
func (f folder) settings() []string {
	var args []string
	for _, kv := range []string{
		"listen_addresses=", // the socket only
		"unix_socket_directories=" + f.socketDir,
		"unix_socket_permissions=0700",
		"port=" + strconv.Itoa(port),
		"max_connections=200",
		"shared_buffers=128MB",
		"fsync=on", "synchronous_commit=on", "full_page_writes=on", // durable, whatever a configuration file says
		"jit=off", // our statements are short: compiling them costs more than it saves
		"log_checkpoints=off",
		"log_min_messages=warning",
	} {
		args = append(args, "-c", kv)
	}
	return args
}

// ready waits until the postmaster says that it accepts connections; recovery may take its time.
func (s *Server) ready(ctx context.Context) error {
	begun, told := time.Now(), false
	for {
		if pm, err := s.dir.postmaster(); err == nil && pm.pid == s.child.Pid && pm.status == "ready" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.exited:
			return fmt.Errorf("postgres ended (%v); the end of its log:\n%s", s.err, tail(s.dir.logFile()))
		case <-time.After(poll):
		}
		if !told && time.Since(begun) > 3*time.Second {
			s.log.Info("PostgreSQL is recovering", "folder", s.dir.path)
			told = true
		}
	}
}

// command makes a command that runs one of PostgreSQL's programs as the folder's owner.
func (f folder) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(f.bin, program), args...)
	cmd.Dir = f.path
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"), "HOME=" + f.path}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: f.uid, Gid: f.gid}
	}
	return cmd
}

// run runs a command to its end and puts what it said into the error.
func run(ctx context.Context, cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // it may have ended by itself
	defer stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// tail is the last 2 KB of a text file, or why it cannot be read.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > 2048 {
		if _, err := f.Seek(-2048, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
