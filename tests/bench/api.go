package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

const (
	clients       = 16
	publicNetwork = "public" // physical network of an external one
)

// measureAPI has 16 clients create ports at an API server, and pgbench insert as many rows with as many
// clients in the same PostgreSQL, in turn.
func measureAPI(s *stage, t *table) {
	const rounds, creates = 3, 3200
	dsn := storetest.StartForTest(s)
	yardstick := newPgbench(s, dsn)
	api, _ := startAPI(s, dsn)
	spread := make([]string, 8)
	for i := range spread {
		spread[i] = api.network(s, fmt.Sprintf("10.%d.0.0/16", i)).ID
	}
	single := []string{api.network(s, "10.0.0.0/8").ID}
	api.createPorts(s, spread, creates/4) // warms both sides up
	yardstick.run(creates / 4)

	var many, one, them []float64
	for range rounds {
		many = append(many, api.createPorts(s, spread, creates))
		one = append(one, api.createPorts(s, single, creates))
		them = append(them, yardstick.run(creates))
	}
	theirs := median(them)
	for _, l := range []struct {
		where string
		rate  float64
	}{{"8 networks", median(many)}, {"one network", median(one)}} {
		t.add("API port creates, 16 clients, "+l.where, perSecond(l.rate), "pgbench inserts "+perSecond(theirs),
			ratio(l.rate/theirs), atLeast(0.3), l.rate/theirs)
	}
}

// client speaks JSON over HTTP.
type client struct {
	http  *http.Client
	base  string
	token string // of Keystone; none where it is empty
}

func newClient(port int) *client {
	return &client{
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: clients}},
		base: fmt.Sprintf("http://127.0.0.1:%d", port),
	}
}

// startAPI starts `signalbox apiserver` and waits until it serves.
func startAPI(s *stage, dsn string, settings ...string) (*client, *process) {
	port := s.freePort()
	p := s.start(fmt.Sprintf("apiserver-%d", port), s.binary, append([]string{"apiserver", "--database-url", dsn, "--api-listen", fmt.Sprintf("127.0.0.1:%d", port), "--api-admin-listen", "",
		"--tenant-network-types", "vxlan", "--vni-ranges", "1:100000", "--flat-networks", publicNetwork, "--quotas", "*:-1"}, settings...)...)
	c := newClient(port)
	s.awaitService(p, c, "/")
	return c, p
}

func (s *stage) awaitService(p *process, c *client, path string) {
	s.await(p.cmd.Path+" serves", 30*time.Second, func() bool {
		select {
		case <-p.ended:
			s.Fatal(testbed.Tail(p.log, 10))
		default:
		}
		return c.call(s.ctx, http.MethodGet, path, nil, nil) == nil
	})
}

// call makes a request; what is 404 for one is an error for another, so every status over 299 is.
func (c *client) call(ctx context.Context, method, path string, body, answer any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("X-Auth-Token", c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode > 299 {
		return &refusal{res.StatusCode, fmt.Sprintf("%s %s: %s: %.300s", method, path, res.Status, out)}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(out, answer)
}

type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// network is a network and its subnet.
type network struct{ ID, Subnet string }

type object map[string]any

func (c *client) network(s *stage, cidr string) network {
	var n struct{ Network struct{ ID string } }
	s.must(c.call(s.ctx, http.MethodPost, "/v2.0/networks", object{"network": object{}}, &n))
	var sub struct{ Subnet struct{ ID string } }
	s.must(c.call(s.ctx, http.MethodPost, "/v2.0/subnets", object{"subnet": object{"network_id": n.Network.ID, "cidr": cidr, "ip_version": 4}}, &sub))
	return network{n.Network.ID, sub.Subnet.ID}
}

// createPorts creates n ports, one a request, dealt out over networks, and returns how many a second.
func (c *client) createPorts(s *stage, networks []string, n int) float64 {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	failed := make(chan error, clients)
	took := timed(func() {
		for range clients {
			wg.Go(func() {
				for i := left.Add(-1); i >= 0; i = left.Add(-1) {
					body := object{"port": object{"network_id": networks[int(i)%len(networks)], "name": "vm", "device_owner": "compute:nova"}}
					if err := c.call(s.ctx, http.MethodPost, "/v2.0/ports", body, nil); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		wg.Wait()
	})
	select {
	case err := <-failed:
		s.must(err)
	default:
	}
	return rate(n, took)
}

// pgbench runs PostgreSQL's own benchmark on a table of its own.
type pgbench struct {
	s              *stage
	db             *sql.DB
	path           string
	insert, choose string // paths of scripts
	page           string
	env            []string
}

func newPgbench(s *stage, dsn string) *pgbench {
	db, err := sql.Open("postgres", dsn) // the driver comes with storetest
	s.must(err)
	s.Cleanup(func() { _ = db.Close() })
	_, err = db.ExecContext(s.ctx, `CREATE TABLE yardstick (id bigserial PRIMARY KEY, a text, b text)`)
	s.must(err)
	var bin string
	s.must(db.QueryRowContext(s.ctx, `SELECT setting FROM pg_config WHERE name = 'BINDIR'`).Scan(&bin))
	p := &pgbench{s: s, db: db, path: filepath.Join(bin, "pgbench"), env: os.Environ()}
	script := func(name, text string) string {
		path := filepath.Join(s.dir, name)
		s.must(os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	p.insert = script("insert.sql", "INSERT INTO yardstick (a, b) VALUES ('some words', 'and some more');\n")
	p.choose = script("select.sql", "\\set n random(1, 1000)\nSELECT a, b FROM yardstick WHERE id = :n;\n")
	p.page = script("page.sql", fmt.Sprintf("SELECT * FROM ports WHERE id > (SELECT gen_random_uuid()) ORDER BY id LIMIT %d;\n", pageSize))
	names := map[string]string{"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
	for _, w := range strings.Fields(dsn) {
		key, value, _ := strings.Cut(w, "=")
		if name := names[key]; name != "" {
			p.env = append(p.env, name+"="+value)
		}
	}
	return p
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// run inserts n rows, each in a transaction of its own, and returns how many a second.
func (p *pgbench) run(n int) float64 { return p.play(p.insert, clients, "-t", strconv.Itoa(n/clients)) }

// inserts is how many rows so many clients insert a second, each in a transaction of its own; selects, how many they read by their
// key; pages, how many pages of the table of ports.
func (p *pgbench) inserts(n int) float64 { return p.play(p.insert, n, "-T", "2") }
func (p *pgbench) selects(n int) float64 { return p.play(p.choose, n, "-T", "2") }
func (p *pgbench) pages(n int) float64   { return p.play(p.page, n, "-T", "2") }

// analyze has PostgreSQL look at how its tables have grown.
func (p *pgbench) analyze() {
	_, err := p.db.ExecContext(p.s.ctx, `VACUUM ANALYZE`)
	p.s.must(err)
}

// play has n clients play a script, as long as the arguments say, and returns how many times a second.
func (p *pgbench) play(script string, n int, until ...string) float64 {
	cmd := exec.CommandContext(p.s.ctx, p.path, append([]string{"-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(n), "-j", "2"}, until...)...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.s.Fatalf("pgbench: %v\n%s", err, out)
	}
	m := tps.FindSubmatch(out)
	if m == nil {
		p.s.Fatalf("pgbench says no tps: %s", out)
	}
	x, err := strconv.ParseFloat(string(m[1]), 64)
	p.s.must(err)
	return x
}
