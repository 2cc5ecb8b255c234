//go:build integration

package apiserver_test

import (
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/lib/pq" // the driver

	"github.com/signalbox-sdn/signalbox/apiserver"
	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// BenchmarkPortCreate is POST /v2.0/ports over HTTP on loopback by 16 clients, durable. pgbench/s is the yardstick,
// measured just before: single-row insert transactions on the same server, as many clients.
func BenchmarkPortCreate(b *testing.B) {
	const clients = 16
	dsn := storetest.StartForTest(b)
	yardstick := pgbench(b, dsn, clients)
	c := &client{t: b, handler: newServer(b, dsn, settings)}
	n := c.network(nil)
	c.subnet(n, "10.0.0.0/8", nil)
	server := httptest.NewServer(c.handler)
	defer server.Close()
	web := server.Client()
	web.Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	body := `{"port":{"network_id":"` + n + `","name":"vm","device_id":"vm","device_owner":"compute:nova"}}`

	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				r, err := web.Post(server.URL+"/v2.0/ports", "application/json", strings.NewReader(body))
				if err != nil || r.StatusCode != http.StatusCreated {
					b.Error(r, err)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body) // or the connection is not used again
				r.Body.Close()
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

// pgbench is how many single-row insert transactions a second the server does for so many clients, in 3 seconds.
func pgbench(b *testing.B, dsn string, clients int) float64 {
	b.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE yardstick (id bigserial PRIMARY KEY, a text, b text)`); err != nil {
		b.Fatal(err)
	}
	script := filepath.Join(b.TempDir(), "insert.sql")
	if err := os.WriteFile(script, []byte("INSERT INTO yardstick (a, b) VALUES ('some words', 'and some more');\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	bin, err := exec.Command("pg_config", "--bindir").Output()
	if err != nil {
		b.Fatal(err)
	}
	n := strconv.Itoa(clients)
	out, err := exec.Command(filepath.Join(strings.TrimSpace(string(bin)), "pgbench"),
		"-n", "-M", "prepared", "-f", script, "-c", n, "-j", "2", "-T", "3", dsn).CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	m := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		b.Fatalf("pgbench said %s", out)
	}
	tps, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return tps
}

// BenchmarkPortList, with the garbage collector set as for the program, is GET /v2.0/ports over HTTP on loopback: all of 10,000 ports, and pages of 1,000 out of 100,000.
func BenchmarkPortList(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(apiserver.GCPercent))
	for _, size := range []struct {
		ports   int
		queries []string
	}{
		{10_000, []string{""}},
		{100_000, []string{"limit=1000", "limit=1000&marker=", "limit=1000&sort_key=name&sort_dir=asc&marker=", "limit=1000&sort_key=created_at&sort_dir=desc&marker=",
			"limit=1000&device_owner=compute:nova&marker=", "limit=1000&project_id=p1", "device_id=vm", "fixed_ips=ip_address_substr%3D0.0.51&limit=1000"}},
	} {
		dsn := storetest.StartForTest(b)
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			b.Fatal(err)
		}
		fill(b, db, size.ports)
		var middle string
		if err := db.QueryRow(`SELECT id FROM ports ORDER BY id OFFSET $1 LIMIT 1`, size.ports/2).Scan(&middle); err != nil {
			b.Fatal(err)
		}
		db.Close()
		server := httptest.NewServer(newServer(b, dsn, settings))
		defer server.Close()
		for _, query := range size.queries {
			if strings.HasSuffix(query, "marker=") {
				query += middle
			}
			for _, role := range []string{"admin", "member"} {
				b.Run(strconv.Itoa(size.ports)+"/"+role+"?"+strings.TrimSuffix(query, middle), func(b *testing.B) {
					get, err := http.NewRequest(http.MethodGet, server.URL+"/v2.0/ports?"+query, nil)
					if err != nil {
						b.Fatal(err)
					}
					get.Header = http.Header{"X-Project-Id": {"p1"}, "X-Roles": {role}}
					for b.Loop() {
						answer, err := server.Client().Do(get)
						if err != nil || answer.StatusCode != http.StatusOK {
							b.Fatal(answer, err)
						}
						n, _ := io.Copy(io.Discard, answer.Body) // a client that understood it would be measured, too
						answer.Body.Close()
						b.SetBytes(n)
					}
				})
			}
		}
	}
}
