package flowpipeline

import (
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

func TestNamedRegisterBitsAreOfOneThingAtATime(t *testing.T) {
	all, names := Registers(), map[string]bool{}
	for i := range all {
		r := &all[i]
		if !isRegister(r.Field) || r.Len == 0 || r.Off+r.Len > r.Field.Bits() {
			t.Errorf("%s is %v, which is no part of a register", r.Name, r.Subfield)
		}
		if names[r.Name] || contracts[r.First] == nil || contracts[r.Last] == nil || r.First > r.Last {
			t.Errorf("%s is named twice, or lives between no tables: %d and %d", r.Name, r.First, r.Last)
		}
		names[r.Name] = true
		for j := range i {
			other := &all[j]
			if other.Field == r.Field && other.Off < r.Off+r.Len && r.Off < other.Off+other.Len && other.First <= r.Last && r.First <= other.Last {
				t.Errorf("%s and %s share bits of %s between the same tables", r.Name, other.Name, r.Field)
			}
		}
	}
}

// What a table may read or write of registers lives there.
func TestTablesTouchOnlyRegistersThatLiveThere(t *testing.T) {
	for _, table := range Tables() {
		lives := func(field flow.Field, off, length uint8) bool {
			for _, r := range Registers() {
				if r.Lives(table.ID) && r.Field == field && r.Off <= off && off+length <= r.Off+r.Len {
					return true
				}
			}
			return false
		}
		for _, f := range table.Match {
			any := false
			for _, r := range Registers() {
				any = any || r.Field == f && r.Lives(table.ID)
			}
			if isRegister(f) && !any {
				t.Errorf("%s matches %s, of which no bit lives there", table.Name, f)
			}
		}
		for _, s := range table.Load {
			if isRegister(s.Field) && !lives(s.Field, s.Off, s.Len) || s.Field == flow.XXReg3 && !lives(flow.Reg12, 0, 32) {
				t.Errorf("%s writes %s, which does not live there", table.Name, s)
			}
		}
	}
}

func TestTablesAreInTheOrderOfTheWalk(t *testing.T) {
	tables := Tables()
	if tables[0].ID != 0 {
		t.Error("packets begin in table 0")
	}
	for i, table := range tables {
		if i > 0 && tables[i-1].ID >= table.ID {
			t.Errorf("%s comes after %s", tables[i-1].Name, table.Name)
		}
		for _, next := range table.Next {
			back := (table.ID == TableDeparture || table.ID == TableArrival) && next == TableSwitching
			if next <= table.ID && !back || contracts[next] == nil {
				t.Errorf("%s sends packets to %d, which is not a later table", table.Name, next)
			}
		}
	}
}

func TestTablesAreFoundByNameAndNumber(t *testing.T) {
	for _, table := range Tables() {
		for _, s := range []string{table.Name, strconv.Itoa(int(table.ID))} {
			if got, err := ParseTable(s); err != nil || got != table.ID {
				t.Errorf("%q is %d, %v", s, got, err)
			}
		}
		if TableName(table.ID) != table.Name {
			t.Errorf("%d is called %s", table.ID, TableName(table.ID))
		}
	}
	if _, err := ParseTable("nowhere"); err == nil {
		t.Error("there is a table called nowhere")
	}
	if got := TableName(99); got != "99" {
		t.Errorf("table 99 is called %s", got)
	}
}

func TestAFlowThatBreaksItsContractIsRefused(t *testing.T) {
	why := flow.Why{}
	for name, tt := range map[string]struct {
		f    flow.Flow
		want string
	}{
		"good":        {flow.New(TableOutput, 1, flow.Match{flow.IsSub(TargetPort, 1)}, why, flow.Output{Port: 1}), ""},
		"no_table":    {flow.New(99, 1, nil, why), "no table 99"},
		"match":       {flow.New(TableOutput, 1, flow.Match{flow.IsNum(flow.InPort, 1)}, why), "may not match in_port"},
		"load":        {flow.New(TableOutput, 1, nil, why, flow.Load{Dst: Network, Value: flow.Num(1)}), "may not do"},
		"other_bits":  {flow.New(TableSwitching, 1, nil, why, flow.Load{Dst: flow.Reg3.Whole()}), "may not do"},
		"move":        {flow.New(TableClassify, 1, nil, why, flow.Move{Src: flow.EthSrc.Whole(), Dst: flow.EthDst.Whole()}), "may not do"},
		"back":        {flow.New(TableSwitching, 1, nil, why, flow.Goto{Table: TableServices}), "may not do"},
		"resubmit":    {flow.New(TableSource, 1, nil, why, flow.Resubmit{Table: TableOutput}), "may not do"},
		"output":      {flow.New(TableSource, 1, nil, why, flow.Output{Port: 1}), "may not do"},
		"punt":        {flow.New(TableFlood, 1, nil, why, flow.ToController{}), "may not do"},
		"answer":      {flow.New(TableFlood, 1, nil, why, flow.OutputInPort{}), "may not do"},
		"meter":       {flow.New(TableFlood, 1, nil, why, flow.Meter{ID: 1}), "may not do"},
		"no_way_back": {flow.New(TableDeparture, 1, nil, why, flow.Resubmit{Table: TableRouting}), "may not do"},
		"goto_back":   {flow.New(TableDeparture, 1, nil, why, flow.Goto{Table: TableSwitching}), "may not do"},
		"hop":         {flow.New(TableRouting, 1, nil, why, flow.DecTTL{}), "may not do"},
		"size":        {flow.New(TableRouting, 1, nil, why, flow.CheckLarger{Size: 1514, Dst: Larger}), "may not do"},
		"track":       {flow.New(TableSwitching, 1, nil, why, flow.CT{Zone: 1, Table: TableArrival}), "may not do"},
		"untrack":     {flow.New(TableExit, 1, nil, why, flow.CTClear{}), "may not do"},
		"tag":         {flow.New(TableServices, 1, nil, why, flow.PushVLAN{}), "may not do"},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(&tt.f)
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestADraftRefusesABrokenContract(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "may not match in_port") {
			t.Errorf("recovered %v", r)
		}
	}()
	(&draft{}).add(TableOutput, 1, flow.Match{flow.IsNum(flow.InPort, 1)}, "")
}

// Meter ids of most are below 2^18, those of names are behind 2^19 (zones' are between), and never the same for two purposes or interfaces, up to OpenFlow's last
// physical port (OFPP_MAX of OpenFlow 1.0, which OVS keeps: 0xff00).
func TestMeterIDsAreUnique(t *testing.T) {
	seen := make([]bool, 1<<18)
	for ofport := uint32(1); ofport <= 0xff00; ofport++ {
		for _, m := range []flow.RateLimit{dhcpMeter(ofport), firstPacketMeter(ofport), refusalMeter(ofport), neighbourMeter(ofport)} {
			if m.ID == 0 || m.ID >= 1<<18 || seen[m.ID] {
				t.Fatalf("meter %d of port %d", m.ID, ofport)
			}
			seen[m.ID] = true
		}
		if m := namesMeter(ofport); m.ID != 1<<19+ofport {
			t.Fatalf("meter %d of port %d", m.ID, ofport)
		}
	}
}

func TestPiecesStayEvenForKeysInStrides(t *testing.T) {
	for _, stride := range []uint32{1, 2, 3, 7, 64, 100, 128, 1000, 1024, 65536} {
		var keys []uint32
		for i := range uint32(2000) {
			keys = append(keys, 5+i*stride)
		}
		longest := 0
		ps := pieces(keys, func(k uint32) uint32 { return k })
		for _, p := range ps {
			longest = max(longest, len(p))
		}
		if len(ps) != 32 || longest > 3*pieceSize {
			t.Errorf("stride %d: %d pieces, the longest of %d", stride, len(ps), longest)
		}
	}
	if ps := pieces([]uint32(nil), func(k uint32) uint32 { return k }); len(ps) != 1 || len(ps[0]) != 0 {
		t.Error("nobody makes one empty piece")
	}
}

// A port that comes costs one piece of the flood list, not the list.
func TestAPortThatComesChangesOnePiece(t *testing.T) {
	count := func(n int) map[flow.Cookie]bool {
		d := &draft{}
		var ms []Member
		for i := range n {
			ms = append(ms, Member{Key: signalbox.PortKey(1 + i), Up: true, Host: idOf("host", "a")})
		}
		floodPieces(d, &Reader{facts: NewFacts(nil)}, &network{host: idOf("host", "a"), key: 1}, ms)
		cookies := map[flow.Cookie]bool{}
		for _, f := range d.out.Flows {
			cookies[f.Cookie] = true
		}
		return cookies
	}
	before, after := count(500), count(501)
	var fresh int
	for c := range after {
		if !before[c] {
			fresh++
		}
	}
	if fresh != 1 || len(after) != 8 {
		t.Errorf("%d of %d pieces changed", fresh, len(after))
	}
}

func isRegister(f flow.Field) bool {
	return f >= flow.Reg0 && f <= flow.Reg7 || f >= flow.Reg8 && f <= flow.Reg15
}
