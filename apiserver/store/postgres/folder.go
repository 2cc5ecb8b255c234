package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxSocketPath is the longest path that a unix socket can have (unix(7): 108 bytes with the final zero).
const maxSocketPath = 107

// folder is a private server's place on disk:
//
//	lock         held (flock) by the process that owns the server
//	data/        PostgreSQL's own
//	server.log   what the postmaster says
//	run/         the socket, unless the path would be too long
//
// It belongs to the user that the server runs as: ours, or postgres when we are root, because
// PostgreSQL refuses root.
type folder struct {
	path      string // absolute
	bin       string // where PostgreSQL's programs are
	socketDir string
	uid, gid  uint32
}

func (f folder) data() string    { return filepath.Join(f.path, "data") }
func (f folder) logFile() string { return filepath.Join(f.path, "server.log") }

// openFolder makes the folder where it is missing and sees that the server's user owns it and can reach it.
func openFolder(dir, bin string) (folder, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return folder{}, err
	}
	f := folder{path: path, bin: bin, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	if f.uid == 0 {
		if f.uid, f.gid, err = postgresUser(); err != nil {
			return folder{}, err
		}
	}
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return folder{}, err
	}
	if f.path, err = filepath.EvalSymlinks(f.path); err != nil { // /proc tells of real paths
		return folder{}, err
	}
	if os.Geteuid() == 0 {
		if err := reachable(filepath.Dir(f.path), f.uid, f.gid); err != nil {
			return folder{}, err
		}
	}
	if err := f.own(f.path); err != nil {
		return folder{}, err
	}
	f.socketDir = filepath.Join(f.path, "run")
	if len(f.socketDir)+len("/.s.PGSQL.5432.lock") > maxSocketPath {
		f.socketDir = filepath.Join("/tmp", "signalbox-"+identity(f.path))
	}
	return f, f.private(f.socketDir)
}

// private makes a folder that only the server's user can enter, or sees that it is one: a folder in /tmp
// with the right name may have been put there by anybody.
func (f folder) private(dir string) error {
	if err := os.Mkdir(dir, 0o700); err == nil {
		return f.own(dir)
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); !ok || !fi.IsDir() || st.Uid != f.uid || fi.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is not a folder that only uid %d can enter: remove it", dir, f.uid)
	}
	return nil
}

// own gives a path to the server's user; a no-op unless we are root.
func (f folder) own(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, int(f.uid), int(f.gid))
}

// lock makes us the folder's owner until the file is closed or we die.
func (f folder) lock() (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(f.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // the error that matters is the lock's
		return nil, fmt.Errorf("another process uses this folder (%w)", err)
	}
	return file, nil
}

// initialise runs initdb unless that was done. It works beside and renames, so that an initdb cut short
// is never taken for a database.
func (f folder) initialise(ctx context.Context, log *slog.Logger) error {
	if _, err := os.Stat(filepath.Join(f.data(), "PG_VERSION")); err == nil {
		return nil
	}
	log.Info("making a PostgreSQL database", "folder", f.path, "binaries", f.bin, "uid", f.uid)
	half := f.data() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	if err := os.Mkdir(half, 0o700); err != nil {
		return err
	}
	if err := f.own(half); err != nil {
		return err
	}
	// Whoever can enter the socket's folder is the owner: there is nobody else to tell apart.
	if err := run(ctx, f.command("initdb", "--pgdata="+half, "--username="+role, "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions")); err != nil {
		return err
	}
	create := f.command("postgres", "--single", "-D", half, "postgres")
	create.Stdin = strings.NewReader("CREATE DATABASE " + database + ";\n")
	if err := run(ctx, create); err != nil {
		return err
	}
	return os.Rename(half, f.data())
}

// clear ends what a dead owner left running in the folder, and removes the pid file that would make
// PostgreSQL refuse to start. The lock must be held: then no living owner is left, and a server found here is
// an orphan.
func (f folder) clear(ctx context.Context, log *slog.Logger) error {
	pids, err := f.processes()
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		log.Warn("a PostgreSQL was left running by a dead owner: stopping it", "folder", f.path, "pids", pids)
		if err := f.stopOrphans(ctx); err != nil {
			return err
		}
	}
	// No process works in the folder, so whatever pid the file names is somebody else's by now.
	if err := os.Remove(filepath.Join(f.data(), "postmaster.pid")); err == nil {
		log.Warn("removed the pid file of a dead PostgreSQL; it will recover", "folder", f.path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// stopOrphans asks the postmaster to shut down; where it is dead, its children end by themselves. What does
// not end in time is told so more sharply.
func (f folder) stopOrphans(ctx context.Context) error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		deadline := time.Now().Add(stopWait)
		for asked := 0; time.Now().Before(deadline); {
			pids, err := f.processes()
			if err != nil || len(pids) == 0 {
				return err
			}
			if pm, err := f.postmaster(); err == nil && pm.pid != asked {
				for _, pid := range pids {
					if pid == pm.pid {
						_ = syscall.Kill(pid, sig) // it may have ended just now
						asked = pid
					}
				}
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(poll):
			}
		}
	}
	return errors.New("a PostgreSQL left by a dead owner does not end")
}

// processes are the PostgreSQL processes that work in the data folder: each of them has it as its working folder.
func (f folder) processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err != nil || cwd != f.data() {
			continue // gone, or another user's
		}
		if exe, err := os.Readlink(filepath.Join(proc, "exe")); err == nil && strings.HasPrefix(filepath.Base(exe), "postgres") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// postmaster is what the pid file says.
type postmaster struct {
	pid    int
	status string // "starting", "ready", "stopping" …
}

// postmaster reads data/postmaster.pid, whose first line is the process id and whose eighth is the
// status (PostgreSQL's src/include/utils/pidfile.h). The file may be half written: then a part is missing.
func (f folder) postmaster() (postmaster, error) {
	b, err := os.ReadFile(filepath.Join(f.data(), "postmaster.pid"))
	if err != nil {
		return postmaster{}, err
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return postmaster{}, err
	}
	pm := postmaster{pid: pid}
	if len(lines) > 7 {
		pm.status = strings.TrimSpace(lines[7])
	}
	return pm, nil
}

// postgresUser is the user that root runs PostgreSQL as.
func postgresUser() (uid, gid uint32, err error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return 0, 0, fmt.Errorf("PostgreSQL refuses to run as root, and there is no user postgres to run it as (Debian's package postgresql makes one): %w", err)
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), err
}

// reachable checks that the user may pass through every folder down to dir; PostgreSQL's own complaint
// does not name the one that stops it.
func reachable(dir string, uid, gid uint32) error {
	for at := dir; ; at = filepath.Dir(at) {
		fi, err := os.Stat(at)
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: no owner is known", at)
		}
		pass := os.FileMode(0o001)
		switch {
		case st.Uid == uid:
			pass = 0o100
		case st.Gid == gid:
			pass = 0o010
		}
		if fi.Mode().Perm()&pass == 0 {
			return fmt.Errorf("the user that PostgreSQL runs as (uid %d) may not enter %s: choose a data folder elsewhere", uid, at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// identity is a short word that names a folder and no other of this machine.
func identity(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return ""
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%x-%x", st.Dev, st.Ino)
}
