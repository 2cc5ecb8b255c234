package main

import (
	"encoding/json"
	"fmt"
	"net"
	"sync"
)

// database is a connection to a host's OVSDB that plugs and unplugs interfaces with the transactions that
// ovs-vsctl makes (RFC 7047), without the start of a process for each.
type database struct {
	conn net.Conn

	mu    sync.Mutex
	last  int
	calls map[int]chan<- message
	gone  error // why the connection ended
}

type message struct {
	ID     *json.RawMessage  `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
	Result json.RawMessage   `json:"result"`
	Error  json.RawMessage   `json:"error"`
}

const schema = "Open_vSwitch"

func dialDatabase(s *stage, socket string) *database {
	conn, err := net.Dial("unix", socket)
	s.must(err)
	d := &database{conn: conn, calls: map[int]chan<- message{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.read()
	}()
	s.Cleanup(func() {
		conn.Close()
		<-ended
	})
	return d
}

func (d *database) read() {
	in := json.NewDecoder(d.conn)
	for {
		var m message
		if err := in.Decode(&m); err != nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.gone = err
			for _, c := range d.calls {
				close(c)
			}
			d.calls = nil
			return
		}
		switch m.Method {
		case "":
			d.replied(m)
		case "echo":
			d.send(object{"id": m.ID, "result": m.Params, "error": nil})
		}
	}
}

func (d *database) replied(m message) {
	var id int
	if m.ID == nil || json.Unmarshal(*m.ID, &id) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.calls[id]; c != nil {
		delete(d.calls, id)
		c <- m
	}
}

func (d *database) send(m object) error {
	b, err := json.Marshal(m)
	if err == nil {
		_, err = d.conn.Write(b)
	}
	return err
}

func (d *database) call(method string, params ...any) (json.RawMessage, error) {
	reply := make(chan message, 1)
	d.mu.Lock()
	if d.gone != nil {
		defer d.mu.Unlock()
		return nil, d.gone
	}
	d.last++
	id := d.last
	d.calls[id] = reply
	d.mu.Unlock()
	if err := d.send(object{"id": id, "method": method, "params": params}); err != nil {
		return nil, err
	}
	m, ok := <-reply
	if !ok {
		return nil, fmt.Errorf("OVSDB: %w", d.gone)
	}
	if len(m.Error) > 0 && string(m.Error) != "null" {
		return nil, fmt.Errorf("OVSDB %s: %s", method, m.Error)
	}
	return m.Result, nil
}

// transact makes one transaction and returns the ids of the rows that its operations inserted, "" for others.
func (d *database) transact(ops ...any) ([]string, error) {
	out, err := d.call("transact", append([]any{schema}, ops...)...)
	if err != nil {
		return nil, err
	}
	var results []struct {
		UUID    []string
		Error   string
		Details string
	}
	if err := json.Unmarshal(out, &results); err != nil {
		return nil, err
	}
	ids := make([]string, len(results))
	for i, r := range results {
		if r.Error != "" {
			return nil, fmt.Errorf("OVSDB: %s: %s", r.Error, r.Details)
		}
		if len(r.UUID) == 2 {
			ids[i] = r.UUID[1]
		}
	}
	return ids, nil
}

// vif is an interface to plug.
type vif struct {
	name, port, mac string
	stream          string // path of a socket that its packets come and go by; "": none
}

// plug adds interfaces to br-int, as a hypervisor does, and returns the ids of their rows in table Port.
func (d *database) plug(vifs ...vif) ([]string, error) {
	var ops []any
	var added []any
	for i, v := range vifs {
		row := object{"name": v.name, "type": "dummy",
			"external_ids": pairs("iface-id", v.port, "attached-mac", v.mac, "iface-status", "active")}
		if v.stream != "" {
			row["options"] = pairs("pstream", "punix:"+v.stream)
		}
		ops = append(ops,
			object{"op": "insert", "table": "Interface", "uuid-name": fmt.Sprintf("i%d", i), "row": row},
			object{"op": "insert", "table": "Port", "uuid-name": fmt.Sprintf("p%d", i), "row": object{
				"name": v.name, "interfaces": []string{"named-uuid", fmt.Sprintf("i%d", i)}}})
		added = append(added, []string{"named-uuid", fmt.Sprintf("p%d", i)})
	}
	ids, err := d.transact(append(ops, mutatePorts("insert", added))...)
	if err != nil {
		return nil, err
	}
	rows := make([]string, len(vifs))
	for i := range rows {
		rows[i] = ids[2*i+1]
	}
	return rows, nil
}

// made waits until Open vSwitch has given an interface its OpenFlow port.
func (d *database) made(name string) error {
	_, err := d.transact(object{"op": "wait", "timeout": 60_000, "table": "Interface", "where": []any{[]string{"name", "==", name}},
		"columns": []string{"ofport"}, "until": "!=", "rows": []any{object{"ofport": []any{"set", []any{}}}}})
	return err
}

// unplug takes ports out of br-int.
func (d *database) unplug(rows ...string) error {
	gone := make([]any, len(rows))
	for i, id := range rows {
		gone[i] = []string{"uuid", id}
	}
	_, err := d.transact(mutatePorts("delete", gone))
	return err
}

func mutatePorts(how string, ports []any) object {
	return object{"op": "mutate", "table": "Bridge", "where": []any{[]string{"name", "==", "br-int"}},
		"mutations": []any{[]any{"ports", how, []any{"set", ports}}}}
}

// pairs is a map of OVSDB.
func pairs(kv ...string) []any {
	var out [][]string
	for i := 0; i < len(kv); i += 2 {
		out = append(out, kv[i:i+2])
	}
	return []any{"map", out}
}
