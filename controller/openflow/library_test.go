package openflow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	of "github.com/contiv/libOpenflow/openflow13"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// The library has its own tables of numbers and its own framing; this file writes flows by them, as a
// second opinion on every byte of ours. Open vSwitch gives the third (conn_ovs_test.go).

// libraryField finds a field by the name that a flow's text has for it.
func libraryField(t testing.TB, name string, masked bool) *of.MatchField {
	f, err := of.FindFieldHeaderByName(name, masked)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func oxmName(f flow.Field) string {
	if f == flow.TunID {
		return "OXM_OF_TUNNEL_ID"
	}
	return strings.TrimSuffix(f.Whole().String(), "[]")
}

// nxmName is the older name that a field goes by in loads and moves, where there is one of the same width.
func nxmName(f flow.Field) string {
	name := strings.TrimSuffix(f.Whole().String(), "[]")
	if f == flow.InPort || f == flow.VLANVID || !strings.HasPrefix(name, "OXM_OF_") {
		return name
	}
	name = strings.TrimPrefix(name, "OXM_OF_")
	name = strings.Replace(name, "IPV4_", "IP_", 1)
	name = strings.Replace(name, "IPV6_ND_", "ND_", 1)
	name = strings.Replace(name, "ICMPV4_", "ICMP_", 1)
	for _, class := range []string{"NXM_OF_", "NXM_NX_"} {
		if _, err := of.FindFieldHeaderByName(class+name, false); err == nil {
			return class + name
		}
	}
	return name
}

func libraryValue(v flow.Value, size uint8) *of.ByteArrayField {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, v.Hi), v.Lo)
	return &of.ByteArrayField{Data: b[16-size:], Length: size}
}

func libraryAction(t testing.TB, a flow.Action) of.Action {
	output := func(port uint32) of.Action {
		out := of.NewActionOutput(port)
		out.MaxLen = 0xffff
		return out
	}
	switch a := a.(type) {
	case flow.Output:
		return output(a.Port)
	case flow.OutputInPort:
		return output(of.P_IN_PORT)
	case flow.ToController:
		return output(of.P_CONTROLLER)
	case flow.PushVLAN:
		return of.NewActionPushVlan(0x8100)
	case flow.PopVLAN:
		return of.NewActionPopVlan()
	case flow.DecTTL:
		return of.NewActionDecNwTtl()
	case flow.Resubmit:
		return of.NewNXActionResubmitTableAction(of.OFPP_IN_PORT, a.Table)
	case flow.Move:
		return of.NewNXActionRegMove(uint16(a.Src.Len), uint16(a.Src.Off), uint16(a.Dst.Off),
			libraryField(t, nxmName(a.Src.Field), false), libraryField(t, nxmName(a.Dst.Field), false))
	case flow.CT:
		return libraryConntrack(t, a)
	case flow.Load:
		if a.Dst.Field == flow.InPort {
			return of.NewNXActionRegLoad(of.NewNXRangeByOfsNBits(0, 16).ToOfsBits(), libraryField(t, "NXM_OF_IN_PORT", false), a.Value.Lo)
		}
		if a.Dst == a.Dst.Field.Whole() {
			f := libraryField(t, oxmName(a.Dst.Field), false)
			f.Value = libraryValue(a.Value, f.Length)
			return of.NewActionSetField(*f)
		}
		bits := of.NewNXRangeByOfsNBits(int(a.Dst.Off), int(a.Dst.Len))
		return of.NewNXActionRegLoad(bits.ToOfsBits(), libraryField(t, nxmName(a.Dst.Field), false), a.Value.Lo)
	}
	t.Fatalf("no translation of %T", a)
	return nil
}

func libraryConntrack(t testing.TB, a flow.CT) of.Action {
	ct := of.NewNXActionConnTrack().ZoneImm(uint16(a.Zone)).Table(a.Table)
	if from := a.ZoneFrom; from != (flow.Subfield{}) {
		ct.ZoneRange(libraryField(t, nxmName(from.Field), false), of.NewNXRangeByOfsNBits(int(from.Off), int(from.Len)))
	}
	if a.Commit {
		ct.Commit()
	}
	if a.NAT.Kind == flow.NoNAT {
		return ct
	}
	nat := of.NewNXActionCTNAT()
	switch a.NAT.Kind {
	case flow.NATSrc:
		_ = nat.SetSNAT()
	case flow.NATDst:
		_ = nat.SetDNAT()
	}
	if a.NAT.Addr.IsValid() {
		nat.SetRangeIPv4Min(a.NAT.Addr.AsSlice())
	}
	if a.NAT.FirstPort != 0 {
		nat.SetRangeProtoMin(&a.NAT.FirstPort)
	}
	if a.NAT.LastPort != 0 {
		nat.SetRangeProtoMax(&a.NAT.LastPort)
	}
	return ct.AddAction(nat)
}

func libraryFlowMod(t testing.TB, f *flow.Flow) *of.FlowMod {
	m := of.NewFlowMod()
	m.Cookie, m.TableId, m.Priority = uint64(f.Cookie), f.Table, f.Priority
	for _, c := range f.Match {
		c.Mask = keptMask(c)
		exact := c.Mask == flow.Ones(c.Field.Bits())
		field := libraryField(t, oxmName(c.Field), !exact)
		size := field.Length
		if !exact {
			size /= 2
			field.Mask = libraryValue(c.Mask, size)
		}
		field.Value = libraryValue(c.Value, size)
		m.Match.AddField(*field)
	}
	apply := of.NewInstrApplyActions()
	var last of.Instruction
	for _, a := range f.Actions {
		switch a := a.(type) {
		case flow.Meter:
			m.AddInstruction(of.NewInstrMeter(a.ID))
		case flow.Goto:
			last = of.NewInstrGotoTable(a.Table)
		default:
			if err := apply.AddAction(libraryAction(t, a), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(apply.Actions) > 0 {
		m.AddInstruction(apply)
	}
	if last != nil {
		m.AddInstruction(last)
	}
	return m
}

func libraryBundleAdd(t testing.TB, xid, bundle uint32, m *of.FlowMod) []byte {
	m.Header.Xid = xid
	add := of.NewBundleAdd(&of.BundleAdd{BundleID: bundle, Flags: of.OFPBCT_ATOMIC | of.OFPBCT_ORDERED, Message: m})
	add.Header.Xid = xid
	b, err := add.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unknownToTheLibrary(a flow.Action) bool {
	switch a := a.(type) {
	case flow.CheckLarger, flow.CTClear, flow.Push, flow.Pop:
		return true
	case flow.CT: // of a first port without a last one it makes a panic
		return a.NAT.FirstPort != 0 && a.NAT.LastPort == a.NAT.FirstPort
	}
	return false
}

func TestFlowsAreEncodedAsTheLibraryEncodesThem(t *testing.T) {
	flows := everyFlow()
	for i := range flows {
		if slices.ContainsFunc(flows[i].Actions, unknownToTheLibrary) {
			continue // Open vSwitch alone judges this one
		}
		ours, err := piece{adds: flows}.appendMod(nil, i, 77, 5)
		if err != nil {
			t.Errorf("%s: %v", &flows[i], err)
			continue
		}
		if theirs := libraryBundleAdd(t, 77, 5, libraryFlowMod(t, &flows[i])); !bytes.Equal(ours, theirs) {
			t.Errorf("%s\nours   %x\ntheirs %x", &flows[i], ours, theirs)
		}
	}
}

func TestDeletesAreEncodedAsTheLibraryEncodesThem(t *testing.T) {
	ours, err := piece{deletes: []flow.Cookie{0x123456789}}.appendMod(nil, 0, 77, 5)
	if err != nil {
		t.Fatal(err)
	}
	m := of.NewFlowMod()
	m.Command, m.TableId, m.Cookie, m.CookieMask, m.Priority = of.FC_DELETE, 0xff, 0x123456789, ^uint64(0), 0
	if theirs := libraryBundleAdd(t, 77, 5, m); !bytes.Equal(ours, theirs) {
		t.Errorf("\nours   %x\ntheirs %x", ours, theirs)
	}
}

func TestFlowsWithoutAFormInOpenFlowAreRefused(t *testing.T) {
	part := func(f flow.Field, off, n uint8) flow.Subfield { return flow.Subfield{Field: f, Off: off, Len: n} }
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	long := make([]flow.Action, 5000)
	for i := range long {
		long[i] = flow.Output{Port: uint32(i)}
	}
	for name, actions := range map[string][]flow.Action{
		"a meter after another action":     {flow.Output{Port: 1}, flow.Meter{ID: 1}},
		"a goto before another action":     {flow.Goto{Table: 1}, flow.Output{Port: 1}},
		"two gotos":                        {flow.Goto{Table: 1}, flow.Goto{Table: 2}},
		"a load of no field":               {flow.Load{Dst: flow.NoField.Whole()}},
		"a load past the end of a field":   {flow.Load{Dst: part(flow.Reg0, 30, 3)}},
		"a load of no bits":                {flow.Load{Dst: part(flow.Reg0, 1, 0)}},
		"a load of more than 64 bits":      {flow.Load{Dst: part(flow.IPv6Dst, 1, 100)}},
		"a move between different lengths": {flow.Move{Src: part(flow.Reg0, 0, 8), Dst: flow.Reg1.Whole()}},
		"a push of no field":               {flow.Push{Src: flow.NoField.Whole()}},
		"a move from no field":             {flow.Move{Src: flow.NoField.Whole(), Dst: flow.Reg1.Whole()}},
		"an answer of more than one bit":   {flow.CheckLarger{Dst: flow.Reg0.Whole()}},
		"a load of a large in port":        {flow.Load{Dst: flow.InPort.Whole(), Value: flow.Num(1 << 16)}},
		"a CT that comes back nowhere":     {flow.CT{Table: flow.Stay}},
		"a CT with two zones":              {flow.CT{Zone: 1, ZoneFrom: part(flow.Reg0, 0, 16)}},
		"a zone of other than 16 bits":     {flow.CT{ZoneFrom: part(flow.Reg0, 0, 15)}},
		"a zone from no field":             {flow.CT{ZoneFrom: part(flow.NumFields, 0, 16)}},
		"a NAT that is not committed":      {flow.CT{NAT: flow.SourceNAT(v4)}},
		"a NAT to IPv6":                    {flow.CT{Commit: true, NAT: flow.SourceNAT(v6)}},
		"a NAT to no address":              {flow.CT{Commit: true, NAT: flow.NAT{Kind: flow.NATDst}}},
		"a NAT to ports from behind":       {flow.CT{Commit: true, NAT: flow.SourceNAT(v4).WithPorts(9, 8)}},
		"a NAT of another kind":            {flow.CT{Commit: true, NAT: flow.NAT{Kind: 9}}},
		"an answer to no field":            {flow.CheckLarger{Dst: flow.NoField.Whole()}},
		"more than a message holds":        long,
	} {
		f := flow.Flow{Cookie: 1, Actions: actions}
		if _, err := (piece{adds: []flow.Flow{f}}).appendMod(nil, 0, 1, 1); err == nil {
			t.Errorf("%s was encoded", name)
		}
		if Sum(&f) != 0 && name != "more than a message holds" {
			t.Errorf("%s has a sum", name)
		}
	}
	if _, err := appendMatch(nil, flow.Match{{Field: flow.NumFields}}); err == nil {
		t.Error("a match of no field was encoded")
	}
}

func TestEncodedMatchReadsBack(t *testing.T) {
	for _, m := range everyMatch() {
		m = flow.New(0, 0, m, flow.Why{}).Match
		b, err := appendMatch(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		c := &cursor{b: b}
		if got := c.match(); c.err() != nil || len(c.b) != 0 || fmt.Sprint(got) != fmt.Sprint(m) {
			t.Errorf("%s reads back as %s (%v, %d bytes left)", m, got, c.err(), len(c.b))
		}
	}
}

func BenchmarkEncodeFlowAdd(b *testing.B) {
	flows := manyFlows(1000, 0)
	b.Run("ours", func(b *testing.B) {
		room := make([]byte, 0, 1<<12)
		p := piece{adds: flows}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := p.appendMod(room, i%len(flows), 1, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			libraryBundleAdd(b, 1, 1, libraryFlowMod(b, &flows[i%len(flows)]))
		}
	})
}
