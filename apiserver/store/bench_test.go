//go:build integration

package store_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

const clients = 16

// BenchmarkInsertPort is a whole port create as the store sees it, durable, with 16 clients: the network is held, its
// subnets are read, the port is written with the lowest free address. pgbench/s is the yardstick, measured just before: single-row
// insert transactions on the same server with as many clients.
func BenchmarkInsertPort(b *testing.B) {
	l := newLab(b)
	s := l.subnet(l.network().ID, "10.0.0.0/8", "10.0.0.2-10.255.255.254")
	yardstick := pgbench(l)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := createAsNeutron(l, s); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "ports/s")
	b.ReportMetric(yardstick, "pgbench/s")
	b.ReportMetric(rate/yardstick, "of-pgbench")
	b.ReportMetric(0, "ns/op")
}

func createAsNeutron(l *lab, s *signalbox.Subnet) error {
	p := aPort(s.NetworkID)
	return l.db.Write(l.ctx, func(tx *store.Tx) error {
		if _, err := tx.NetworkForShare(l.ctx, s.NetworkID); err != nil {
			return err
		}
		if _, err := tx.Subnets(l.ctx, store.Query{Filters: map[string][]any{"network_id": {s.NetworkID}}}); err != nil {
			return err
		}
		p.FixedIPs = []signalbox.FixedIP{{SubnetID: s.ID}}
		return tx.InsertPort(l.ctx, p)
	})
}

// pgbench is how many single-row insert transactions a second the server does for 16 clients, in 3 seconds.
func pgbench(l *lab) float64 {
	l.t.Helper()
	_, err := l.sql().ExecContext(l.ctx, `CREATE TABLE yardstick (id bigserial PRIMARY KEY, a text, b text)`)
	l.must(err)
	script := filepath.Join(l.t.TempDir(), "insert.sql")
	l.must(os.WriteFile(script, []byte("INSERT INTO yardstick (a, b) VALUES ('some words', 'and some more');\n"), 0o600))
	bin, err := exec.Command("pg_config", "--bindir").Output()
	l.must(err)
	cmd := exec.Command(filepath.Join(strings.TrimSpace(string(bin)), "pgbench"), "-n", "-M", "prepared", "-f", script,
		"-c", fmt.Sprint(clients), "-j", "2", "-T", "3")
	cmd.Env = os.Environ()
	for _, w := range strings.Fields(l.dsn) {
		key, value, _ := strings.Cut(w, "=")
		if name, ok := map[string]string{"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}[key]; ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	m := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		l.t.Fatalf("no tps in %s", out)
	}
	tps, err := strconv.ParseFloat(string(m[1]), 64)
	l.must(err)
	return tps
}

// BenchmarkFeed is from the start of a write to the moment when a follower has it.
func BenchmarkFeed(b *testing.B) {
	l := newLab(b)
	s := l.subnet(l.network().ID, "10.0.0.0/8", "10.0.0.2-10.255.255.254")
	v := l.follow()
	v.await("the subnet", func() bool { return len(v.subnets) == 1 })
	b.ResetTimer()
	for b.Loop() {
		p := l.port(s)
		for deadline := time.Now().Add(5 * time.Second); !v.has(p.ID); {
			if time.Now().After(deadline) {
				b.Fatal("it never came")
			}
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// BenchmarkAdmit is what a quota costs a transaction, by how many rows the project has; limited tells from unlimited.
func BenchmarkAdmit(b *testing.B) {
	l := newLab(b)
	for _, rows := range []int{0, 500, 5000, 20000} {
		for _, limit := range []int{-1, 1 << 30} {
			project := fmt.Sprint("p", rows)
			b.Run(fmt.Sprintf("%d rows/limit %d", rows, limit), func(b *testing.B) {
				if _, err := l.sql().Exec(`
					INSERT INTO routers (id, project_id, name, description, admin_state_up, route_destinations, route_hops)
					SELECT gen_random_uuid(), $1, '', '', true, '{}', '{}' FROM generate_series(1 + (SELECT count(*) FROM routers WHERE project_id = $1), $2)`, project, rows); err != nil {
					b.Fatal(err)
				}
				if _, err := l.sql().Exec(`VACUUM ANALYZE routers`); err != nil { // as it is after a while
					b.Fatal(err)
				}
				l.write(func(tx *store.Tx) error {
					for b.Loop() {
						if yes, err := tx.Admit(l.ctx, "router", project, 1, limit); err != nil || !yes {
							return fmt.Errorf("admitted %v %w", yes, err)
						}
					}
					return nil
				})
			})
		}
	}
}
