package openflow

import (
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

func decimal(table uint8) string { return strconv.Itoa(int(table)) }

// TestTextOfOurOwnFlows: what we send reads back, as text, as what it is.
func TestTextOfOurOwnFlows(t *testing.T) {
	var flows []flow.Flow
	for _, m := range everyMatch() {
		flows = append(flows, flow.New(7, 3, m, flow.Why{}))
	}
	for _, p := range everyAction() {
		if strings.Contains((&flow.Flow{Actions: p.actions}).String(), "nat") {
			continue // shown by its bytes
		}
		flows = append(flows, flow.New(7, 3, p.match, flow.Why{}, p.actions...))
	}
	for i := range flows {
		f := &flows[i]
		b, err := appendMatch(nil, f.Match)
		if err == nil {
			b, err = appendInstructions(b, f.Actions)
		}
		if err != nil {
			t.Fatal(err)
		}
		in := Installed{Table: f.Table, Priority: f.Priority, wire: b}
		if got := in.Text(decimal); got != f.String() {
			t.Errorf("%s\nreads back as %s", f, got)
		}
		for n := range b { // whatever is cut off, nothing is made up and nothing panics
			in.wire = b[:n]
			if n > 4 && in.Text(decimal) == "" {
				t.Error("nothing is said of a flow that is cut short")
			}
		}
	}
}

func TestTextOfWhatIsNotOurs(t *testing.T) {
	b := []byte{0, 1, 0, 10, 0x80, 0, 72 << 1, 2, 0xab, 0xcd, 0, 0, 0, 0, 0, 0} // a field that no flow of ours has
	b = append(b, 0, instructionApply, 0, 8+16+8, 0, 0, 0, 0)
	b = appendOutput(b, 0xfffffffa)
	b = append(b, 0, 22, 0, 8, 0, 0, 0, 5)                         // group 5
	b = append(b, 0, 2, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) // write_metadata, cut short
	in := Installed{Table: 7, Priority: 9, wire: b}
	const want = "table=7, priority=9,0x8000:72=0xabcd actions=NORMAL,action(22,0x00000005),instruction(2,0x000000000000000000000001)"
	if got := in.Text(decimal); got != want {
		t.Errorf("%s, not\n%s", got, want)
	}
}
