// Package storetest gives tests databases of their own on a private PostgreSQL.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver

	"github.com/signalbox-sdn/signalbox/apiserver/store"
	"github.com/signalbox-sdn/signalbox/apiserver/store/postgres"
)

// template is the migrated database that every test's is a copy of.
const template = "signalbox_template"

// shared is the test process's server: started by the first that needs it, stopped when the last has gone.
var shared struct {
	sync.Mutex
	users  int
	dir    string
	server *postgres.Server
	made   int // databases
}

// Main runs a package's tests and lets them all use one server, where otherwise each test that comes when none
// is running pays for a new one (a second). For use in TestMain.
func Main(m *testing.M) {
	shared.Lock()
	shared.users++
	shared.Unlock()
	code := m.Run()
	if err := release(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// StartForTest gives the test a fresh, migrated database, and returns its data source name. The server goes with its
// last user.
func StartForTest(t testing.TB) (dsn string) {
	t.Helper()
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	dsn, err := acquire()
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

func acquire() (string, error) {
	shared.Lock()
	defer shared.Unlock()
	shared.users++
	if shared.server == nil {
		if err := start(); err != nil {
			return "", err
		}
	}
	shared.made++
	name := fmt.Sprintf("test_%d", shared.made)
	if err := admin(fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)); err != nil {
		return "", err
	}
	return dsnOf(name), nil
}

func release() error {
	shared.Lock()
	defer shared.Unlock()
	shared.users--
	if shared.users > 0 || shared.dir == "" {
		return nil
	}
	var err error
	if shared.server != nil {
		err = shared.server.Stop()
	}
	if rerr := os.RemoveAll(shared.dir); err == nil {
		err = rerr
	}
	shared.server, shared.dir = nil, ""
	return err
}

// folders begin with this.
const folders = "sbstore-"

// sweep removes the folders of test processes that were killed: those whose lock nobody holds.
func sweep() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), folders+"*", "pg", "lock")) // fails on a bad pattern only
	for _, path := range locks {
		lock, err := os.Open(path)
		if err != nil {
			continue
		}
		fi, err := lock.Stat()
		if err == nil && time.Since(fi.ModTime()) > time.Minute && // it is locked a moment after it is made
			syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(filepath.Dir(path))) // or the next will
		}
		_ = lock.Close() // only read
	}
}

// start is called with the lock held.
func start() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sweep()
	dir, err := os.MkdirTemp("", folders)
	if err != nil {
		return err
	}
	shared.dir = dir
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	server, err := postgres.Start(ctx, dir+"/pg", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	shared.server = server
	if err := admin("CREATE DATABASE " + template); err != nil {
		return err
	}
	db, err := store.Open(ctx, dsnOf(template), store.Options{})
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx); err != nil {
		_ = db.Close() // the first error says more
		return err
	}
	return db.Close() // a template must have no users
}

// dsnOf is the server's address with another database.
func dsnOf(name string) string {
	var words []string
	for _, w := range strings.Fields(shared.server.DSN()) {
		if strings.HasPrefix(w, "dbname=") {
			w = "dbname=" + name
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func admin(statement string) error {
	db, err := sql.Open("postgres", shared.server.DSN())
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}
