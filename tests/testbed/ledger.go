package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A ledger is the record, in a lab's folder, of what the lab has made: one line for the owner, for each
// process and for each namespace, so that whatever a crash leaves behind can be found. Processes are named by
// id and start time, so that a reused id is never hit.
type ledger struct {
	mu   sync.Mutex
	path string
}

const ledgerFile = "ledger"

// labsDir is where every lab of this machine has its folder.
func labsDir() string { return filepath.Join(os.TempDir(), "signalbox-labs") }

// openLedger begins a ledger with its owner. No moment shows it without: who sweeps would take the lab for a dead one's.
func openLedger(dir string) (*ledger, error) {
	begun := &ledger{path: filepath.Join(dir, ledgerFile+".begun")}
	if err := begun.process("owner", os.Getpid()); err != nil {
		return nil, err
	}
	l := &ledger{path: filepath.Join(dir, ledgerFile)}
	return l, os.Rename(begun.path, l.path)
}

func (l *ledger) process(kind string, pid int) error {
	return l.append(fmt.Sprintf("%s %d %d", kind, pid, startTime(pid)))
}

func (l *ledger) namespace(name string) error { return l.append("namespace " + name) }

func (l *ledger) append(line string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// startTime is when the process began, in clock ticks since boot (proc(5), stat field 22); 0 when there is
// no such process.
func startTime(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(b), ") ") // the command's name may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" {
		return 0
	}
	n, _ := strconv.ParseUint(fields[19], 10, 64)
	return n
}

// Sweep ends and removes every lab whose owner is dead: its processes, its namespaces, its folder.
func Sweep() error {
	folders, err := os.ReadDir(labsDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, f := range folders {
		err = errors.Join(err, sweepLab(filepath.Join(labsDir(), f.Name())))
	}
	return err
}

// Owner is the process that owns the lab called name, or 0 when there is no such lab or its owner is dead.
func Owner(name string) int {
	lines, err := readLedger(filepath.Join(labsDir(), name))
	if err != nil {
		return 0
	}
	for _, l := range lines {
		if l.kind == "owner" && l.alive() {
			return l.pid
		}
	}
	return 0
}

type ledgerLine struct {
	kind  string // "owner", "process" or "namespace"
	name  string // of a namespace
	pid   int
	start uint64
}

func (l ledgerLine) alive() bool { return l.start != 0 && startTime(l.pid) == l.start }

func readLedger(dir string) ([]ledgerLine, error) {
	b, err := os.ReadFile(filepath.Join(dir, ledgerFile))
	if err != nil {
		return nil, err
	}
	var lines []ledgerLine
	for text := range strings.Lines(string(b)) {
		var l ledgerLine
		if n, _ := fmt.Sscanf(text, "namespace %s", &l.name); n == 1 {
			l.kind = "namespace"
		} else if n, _ := fmt.Sscanf(text, "%s %d %d", &l.kind, &l.pid, &l.start); n != 3 {
			continue // a line cut short by the crash
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func sweepLab(dir string) error {
	lines, err := readLedger(dir)
	if errors.Is(err, os.ErrNotExist) {
		if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < time.Minute {
			return nil // being made, or removed, this very moment
		}
		return os.RemoveAll(dir)
	}
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.kind == "owner" && l.alive() {
			return nil
		}
	}
	for _, l := range slices.Backward(lines) { // what was made last goes first
		switch {
		case l.kind == "namespace":
			err = errors.Join(err, Namespace(l.name).remove())
		case l.kind == "process" && l.alive():
			err = errors.Join(err, l.end())
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// end asks the process to end and, when it does not, kills it: signalbox ends its PostgreSQL when asked.
func (l ledgerLine) end() error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(l.pid, sig) // an error means that it has ended already
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if !l.alive() {
				return nil
			}
		}
	}
	return fmt.Errorf("process %d does not end", l.pid)
}
