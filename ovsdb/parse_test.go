package ovsdb

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestBridgeMappings(t *testing.T) {
	for in, want := range map[string]struct {
		mappings map[string]string
		problems int
	}{
		"":                                 {},
		"physnet1:br-eth1":                 {mappings: map[string]string{"physnet1": "br-eth1"}},
		" physnet1 : br-eth1 , p2:br-ex, ": {mappings: map[string]string{"physnet1": "br-eth1", "p2": "br-ex"}},
		"physnet1":                         {problems: 1},
		"physnet1:":                        {problems: 1},
		":br-eth1":                         {problems: 1},
		"a:b:c":                            {problems: 1},
		"p1:br-int":                        {problems: 1},
		"p1:br-a,p1:br-b":                  {mappings: map[string]string{"p1": "br-a"}, problems: 1},
		"p1:br-a,p2:br-a":                  {mappings: map[string]string{"p1": "br-a"}, problems: 1},
		"p1:a-bridge-too-long":             {problems: 1},
		"p1:br/1,p2:br 2,p3:\x1b[31m":      {problems: 3},
		"p\x00:br-a":                       {problems: 1},
	} {
		got, problems := parseMappings(in)
		if !maps.Equal(got, want.mappings) || len(problems) != want.problems {
			t.Errorf("parseMappings(%q) = %v, %q", in, got, problems)
		}
	}
}

func TestTunnelAddresses(t *testing.T) {
	for in, ok := range map[string]bool{
		"192.0.2.1": true, " 10.0.0.1 ": true, "0.0.0.0": false, "224.0.0.1": false, "2001:db8::1": false,
		"::ffff:10.0.0.1": false, "host": false, "10.0.0.1/24": false,
	} {
		if _, err := parseTunnelIP(in); (err == nil) != ok {
			t.Errorf("parseTunnelIP(%q): %v", in, err)
		}
	}
}

func TestPatchPortNamesAreStableAndFit(t *testing.T) {
	seen := make(map[string]string)
	for _, bridge := range []string{"br-ex", "br-eth1", "br-physical", "br-physical1", "br-physical2", "br-physical-net", "br-physical-nex"} {
		here, there := PatchPortNames(bridge)
		if len(here) > 15 || !strings.HasPrefix(here, "int-br-") || !strings.HasPrefix(there, "phy-br-") || here[4:] != there[4:] {
			t.Errorf("%s: %s and %s", bridge, here, there)
		}
		if other := seen[here]; other != "" {
			t.Errorf("%s and %s share %s", bridge, other, here)
		}
		seen[here] = bridge
	}
	// Names are on people's hosts: they must not change between releases.
	for bridge, want := range map[string]string{"br-eth1": "int-br-eth1", "br-physical-net": "int-br-ph345bb2"} {
		if got, _ := PatchPortNames(bridge); got != want {
			t.Errorf("%s: %s, want %s", bridge, got, want)
		}
	}
}

func FuzzBridgeMappings(f *testing.F) {
	f.Add("physnet1:br-eth1,physnet2:br-ex")
	f.Add("a:b:c,,:,\xff:x")
	f.Fuzz(func(t *testing.T, s string) {
		mappings, problems := parseMappings(s)
		for physical, bridge := range mappings {
			if clean(physical) != physical || !isDeviceName(bridge) {
				t.Errorf("%q: %q", physical, bridge)
			}
		}
		for _, p := range problems {
			if !utf8.ValidString(p) || len(p) > 1000 {
				t.Errorf("problem %q", p)
			}
		}
	})
}

func FuzzInterface(f *testing.F) {
	f.Add("tap1", "", int64(1), "2d2a3e5c-1c1d-4c06-9f0a-6a9c63a4c001", "fa:16:3e:00:00:01", "")
	f.Add("\x00%s", "gre", int64(-1), "{2d2a3e5c-1c1d-4c06-9f0a-6a9c63a4c001}", "zz", "could not open \x1b[31m")
	f.Fuzz(func(t *testing.T, name, kind string, ofport int64, id, mac, problem string) {
		i, problems := readInterface(&interfaceRow{name: name, kind: kind, ofport: ofport, err: problem,
			externalIDs: map[string]string{"iface-id": id, "attached-mac": mac}})
		if i.OFPort > maxOFPort || clean(i.Name) != i.Name || len(i.Error) > maxText+len("…") {
			t.Errorf("%+v", i)
		}
		for _, p := range problems {
			if strings.Contains(p, "%!") && !strings.Contains(name+id+mac+problem, "%") {
				t.Errorf("badly formatted: %q", p)
			}
		}
	})
}

// crowd is a first picture of n plugged VIFs.
func crowd(n int) json.RawMessage {
	var ports, rows, ifaces []string
	for i := range n {
		ports = append(ports, fmt.Sprintf(`["uuid","00000000-0000-0000-0001-%012d"]`, i))
		rows = append(rows, fmt.Sprintf(`"00000000-0000-0000-0001-%012d":{"initial":{"name":"tap%d","interfaces":["uuid","00000000-0000-0000-0002-%012d"]}}`, i, i, i))
		ifaces = append(ifaces, fmt.Sprintf(`"00000000-0000-0000-0002-%012d":{"initial":{"name":"tap%d","ofport":%d,"external_ids":["map",[["iface-id","2d2a3e5c-1c1d-4c06-9f0a-%012d"],["attached-mac","fa:16:3e:00:00:01"]]]}}`, i, i, i+1, i))
	}
	return json.RawMessage(fmt.Sprintf(`{"Bridge":{"b":{"initial":{"name":"br-int","datapath_id":"00000000000000a1","ports":["set",[%s]]}}},"Port":{%s},"Interface":{%s}}`,
		strings.Join(ports, ","), strings.Join(rows, ","), strings.Join(ifaces, ",")))
}

func BenchmarkFirstPictureOf2000(b *testing.B) {
	picture := crowd(2000)
	for b.Loop() {
		m := newMirror()
		if err := m.update(picture); err != nil {
			b.Fatal(err)
		}
		_ = m.state()
	}
}

func BenchmarkOneMoreAmong2000(b *testing.B) {
	m := newMirror()
	if err := m.update(crowd(2000)); err != nil {
		b.Fatal(err)
	}
	plug := json.RawMessage(`{"Bridge":{"b":{"modify":{"ports":["uuid","p"]}}},"Port":{"p":{"insert":{"name":"x","interfaces":["uuid","i"]}}},
"Interface":{"i":{"insert":{"name":"x","external_ids":["map",[["iface-id","2d2a3e5c-1c1d-4c06-9f0a-6a9c63a4c001"]]]}}}}`)
	for b.Loop() {
		if err := m.update(plug); err != nil {
			b.Fatal(err)
		}
		_ = m.state()
	}
}
