//go:build integration

package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-sdn/signalbox/apiserver/store/storetest"
)

// server is a signalbox process that serves the API.
type server struct {
	cmd  *exec.Cmd
	url  string
	said *bytes.Buffer
}

// serve starts a signalbox process with an API on a free port of loopback, and waits until it answers.
func serve(t *testing.T, binary string, args ...string) *server {
	t.Helper()
	s := &server{said: new(bytes.Buffer)}
	address := freeAddress(t)
	s.url = "http://" + address
	s.cmd = exec.Command(binary, append(args, "--api-listen", address, "--api-admin-listen", "127.0.0.1:0")...)
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t, syscall.SIGTERM) })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(s.url + "/"); err == nil {
			res.Body.Close()
			return s
		}
		if time.Now().After(deadline) {
			s.end(t, syscall.SIGTERM)
			t.Fatalf("signalbox %s does not answer:\n%s", strings.Join(args, " "), s.said)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// end ends the process, if it has not ended.
func (s *server) end(t *testing.T, sig os.Signal) {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	_ = s.cmd.Wait()
	if t.Failed() {
		t.Logf("%s said:\n%s", s.cmd, s.said)
	}
}

// post creates a resource and returns the status and, where it was made, the resource.
func (s *server) post(collection string, attributes map[string]any) (int, map[string]any, error) {
	body, err := json.Marshal(map[string]any{strings.TrimSuffix(collection, "s"): attributes})
	if err != nil {
		return 0, nil, err
	}
	res, err := http.Post(s.url+"/v2.0/"+collection, "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	var made map[string]map[string]any
	if err := json.Unmarshal(answer, &made); err != nil {
		return 0, nil, fmt.Errorf("%w: %s", err, answer)
	}
	return res.StatusCode, made[strings.TrimSuffix(collection, "s")], nil
}

func (s *server) list(t *testing.T, collection string) []map[string]any {
	t.Helper()
	res, err := http.Get(s.url + "/v2.0/" + collection)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var all map[string][]map[string]any
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all[collection]
}

// crowd lets 64 clients do something at once, spread over the servers, and gathers what they made.
func crowd(t *testing.T, servers []*server, collection string, attributes func(client, turn int) map[string]any) []map[string]any {
	t.Helper()
	const clients, turns = 64, 4
	var mu sync.Mutex
	var made []map[string]any
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for turn := range turns {
				status, resource, err := servers[(client+turn)%len(servers)].post(collection, attributes(client, turn))
				mu.Lock()
				switch {
				case err != nil:
					t.Errorf("%s: %v", collection, err)
				case status == http.StatusCreated:
					made = append(made, resource)
				case status != http.StatusConflict && status != http.StatusBadRequest:
					t.Errorf("%s: status %d", collection, status)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return made
}

// unique fails where two resources have one value of what.
func unique(t *testing.T, resources []map[string]any, what string, of func(map[string]any) string) {
	t.Helper()
	seen := map[string]any{}
	for _, r := range resources {
		v := of(r)
		if other, twice := seen[v]; twice {
			t.Errorf("%s %s was given twice: to %v and %v", what, v, other, r["id"])
		}
		seen[v] = r["id"]
	}
}

func text(attribute string) func(map[string]any) string {
	return func(r map[string]any) string { return fmt.Sprint(r[attribute]) }
}

func TestManyClientsOfThreeServersAreNeverGivenOneThingTwice(t *testing.T) {
	binary := binary(t)
	dsn := storetest.StartForTest(t)
	var servers []*server
	for range 3 {
		servers = append(servers, serve(t, binary, "apiserver", "--database-url", dsn,
			"--tenant-network-types", "vlan", "--network-vlan-ranges", "default:100:299", "--quotas", "*:-1", "--log-level", "error"))
	}

	networks := crowd(t, servers, "networks", func(client, turn int) map[string]any {
		return map[string]any{"name": fmt.Sprint(client, turn)}
	})
	if len(networks) != 200 {
		t.Errorf("%d networks were made of 200 VLANs by 256 requests", len(networks))
	}
	unique(t, networks, "VLAN", text("provider:segmentation_id"))

	net := networks[0]["id"]
	subnets := crowd(t, servers, "subnets", func(client, turn int) map[string]any {
		return map[string]any{"network_id": net, "ip_version": 4, "cidr": fmt.Sprintf("10.%d.0.0/%d", client%8, 16+turn), "enable_dhcp": false}
	})
	if len(subnets) != 8 {
		t.Errorf("%d subnets were made where 8 do not overlap", len(subnets))
	}

	shared := networks[1]["id"]
	if status, _, err := servers[0].post("subnets", map[string]any{"network_id": shared, "ip_version": 4, "cidr": "10.0.0.0/23"}); status != http.StatusCreated {
		t.Fatal(status, err)
	}
	ports := crowd(t, servers, "ports", func(int, int) map[string]any { return map[string]any{"network_id": shared} })
	if len(ports) != 256 {
		t.Errorf("%d ports were made by 256 requests", len(ports))
	}
	address := func(p map[string]any) string {
		return fmt.Sprint(p["fixed_ips"].([]any)[0].(map[string]any)["ip_address"])
	}
	unique(t, ports, "address", address)
	unique(t, ports, "MAC", text("mac_address"))
	got := make([]string, len(ports))
	for i, p := range ports {
		got[i] = address(p)
	}
	for i := range 256 { // .1 is the gateway's and .2 DHCP's: the pool is given out from its low end, without gaps
		want := fmt.Sprintf("10.0.%d.%d", (i+3)/256, (i+3)%256)
		if !slices.Contains(got, want) {
			t.Errorf("%s was left out", want)
		}
	}

	same := crowd(t, servers, "ports", func(client, _ int) map[string]any {
		return map[string]any{"network_id": shared, "mac_address": fmt.Sprintf("fa:16:3e:ff:ff:%02x", client%16)}
	})
	if len(same) != 16 {
		t.Errorf("%d ports were made with 16 MACs", len(same))
	}

	for collection, made := range map[string]int{"networks": len(networks), "subnets": len(subnets) + 1, "ports": len(ports) + len(same) + 1} {
		if stored := len(servers[2].list(t, collection)); stored != made {
			t.Errorf("%d %s are stored, %d were answered for", stored, collection, made)
		}
	}
}

func TestPrivateDatabaseOutlivesKill9(t *testing.T) {
	binary := binary(t)
	dir, err := os.MkdirTemp("", "signalbox-data-") // where the user that PostgreSQL runs as can enter
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	up := func() *server {
		return serve(t, binary, "up", "--data-dir", filepath.Join(dir, "postgres"), "--openflow-listen", freeAddress(t), "--ovsdb-listen", freeAddress(t), "--admin-listen", freeAddress(t))
	}
	s := up()
	var names []string
	for i := range 3 {
		name := fmt.Sprintf("before-%d", i)
		if status, _, err := s.post("networks", map[string]any{"name": name}); status != http.StatusCreated {
			t.Fatal(status, err)
		}
		names = append(names, name)
		s.end(t, syscall.SIGKILL)
		s = up()
	}
	var stored []string
	for _, n := range s.list(t, "networks") {
		stored = append(stored, n["name"].(string))
	}
	slices.Sort(stored)
	if !slices.Equal(stored, names) {
		t.Errorf("stored %q, want %q", stored, names)
	}
}
