package testbed

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a daemon that the lab started and will end. Its output goes to a file in the lab's folder.
type Process struct {
	Name string
	Log  string // path of the file that holds its output

	cmd      *exec.Cmd
	done     chan struct{} // closed when it has ended
	err      error         // how it ended; valid after done
	expected atomic.Bool   // we ended it ourselves
}

// spawn starts cmd in ns. The caller has set the arguments and, if wanted, Env; the log is appended to.
func (l *Lab) spawn(ns Namespace, name, logPath string, cmd *exec.Cmd) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // a Ctrl-C at the terminal is for us; we end our children in order
	if err := ns.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Log: logPath, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := l.ledger.process("process", cmd.Process.Pid); err != nil {
		p.Kill()
		return nil, err
	}
	l.mu.Lock()
	l.processes = append(l.processes, p)
	l.mu.Unlock()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Alive reports whether the process is running.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process at once (SIGKILL) and waits for its end.
func (p *Process) Kill() {
	p.expected.Store(true)
	_ = p.cmd.Process.Kill() // an error means that it has ended already
	<-p.done
}

// Stop asks the process to end, waits, and kills it when it does not within the limit.
func (p *Process) Stop(limit time.Duration) error {
	p.ask()
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of being asked", p.Name, limit)
	}
}

// ask asks the process to end and does not wait.
func (p *Process) ask() {
	p.expected.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended already
}

// Obituary says how an ended process died and the last it said.
func (p *Process) Obituary() string {
	end := "exit status 0"
	if p.err != nil {
		end = p.err.Error()
	}
	return fmt.Sprintf("%s ended: %s\n%s", p.Name, end, Tail(p.Log, 12))
}

// Tail is the last n lines of a file, or why it cannot be read.
func Tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// lockedBuffer collects what a process says while somebody may already read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
