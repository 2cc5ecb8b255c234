package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stage is where one part plays: it stands in for the test that tests/ovs and store/storetest are made for,
// and takes down what was put up. Of testing.TB it has what those two use.
type stage struct {
	testing.TB
	ctx    context.Context
	dir    string
	binary string // the signalbox command

	mu       sync.Mutex
	cleanups []func()
	errors   []error
}

// failure is what a part gives up with.
type failure struct{ error }

// onStage runs a part, cleans up after it, and says what went wrong.
func onStage(ctx context.Context, binary string, play func(*stage)) (err error) {
	s := &stage{ctx: ctx, binary: binary}
	defer func() {
		r := recover()
		for len(s.cleanups) > 0 {
			last := s.cleanups[len(s.cleanups)-1]
			s.cleanups = s.cleanups[:len(s.cleanups)-1]
			last()
		}
		f, gaveUp := r.(failure)
		if r != nil && !gaveUp {
			panic(r)
		}
		err = errors.Join(append(s.errors, f.error)...)
	}()
	s.dir, err = os.MkdirTemp("", "sbbench-")
	s.must(err)
	s.Cleanup(func() { _ = os.RemoveAll(s.dir) })
	play(s)
	return nil
}

// TempDir is a new folder, which goes with the stage's.
func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp(s.dir, "")
	s.must(err)
	return dir
}

func (s *stage) Helper()                  {}
func (s *stage) Context() context.Context { return s.ctx }
func (s *stage) Cleanup(f func())         { s.cleanups = append(s.cleanups, f) }
func (s *stage) Fatal(args ...any)        { panic(failure{errors.New(fmt.Sprint(args...))}) }
func (s *stage) Fatalf(f string, args ...any) {
	panic(failure{fmt.Errorf(f, args...)})
}

func (s *stage) Error(args ...any) { s.Errorf("%s", fmt.Sprint(args...)) }
func (s *stage) Errorf(f string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors = append(s.errors, fmt.Errorf(f, args...))
}

// must gives the part up on an error, or when the user has lost patience.
func (s *stage) must(err error) {
	if err = errors.Join(err, s.ctx.Err()); err != nil {
		panic(failure{err})
	}
}

// await looks until a condition holds.
func (s *stage) await(what string, limit time.Duration, holds func() bool) {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(5 * time.Millisecond) {
		s.must(nil)
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// freePort is a TCP port of the loopback that nobody listens on.
func (s *stage) freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// process is a program that the stage started and will end.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start starts a program; its output goes to a file. The goroutine keeps its thread, whose death would
// be the program's (prctl(2), PR_SET_PDEATHSIG).
func (s *stage) start(name, path string, args ...string) *process {
	p := &process{cmd: exec.Command(path, args...), log: filepath.Join(s.dir, name+".log"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	s.must(err)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			out.Close()
			close(p.ended)
		}
	}()
	s.must(<-started)
	s.Cleanup(p.stop)
	return p
}

// stop asks, and then insists.
func (p *process) stop() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = p.cmd.Process.Signal(sig) // it may have ended by itself
		select {
		case <-p.ended:
			return
		case <-time.After(20 * time.Second):
		}
	}
}

// cpu is the time that the process's threads have run.
func (p *process) cpu() time.Duration { return cpuTime(p.cmd.Process.Pid) }

// cpuTime is the time that a process's threads have run (proc(5), schedstat; nanoseconds, where stat has ticks).
func cpuTime(pid int) (ran time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // it fails on a bad pattern only
	for _, path := range threads {
		var ns int64
		if b, err := os.ReadFile(path); err == nil {
			_, _ = fmt.Sscan(string(b), &ns) // a thread that has just ended
		}
		ran += time.Duration(ns)
	}
	return ran
}

// median sorts its argument.
func median[T int | float64 | time.Duration](of []T) T { return percentile(of, 50) }

// percentile is the smallest value that at least p in a hundred do not exceed. It sorts its argument.
func percentile[T int | float64 | time.Duration](of []T, p int) T {
	slices.Sort(of)
	return of[max(0, (len(of)*p+99)/100-1)]
}
