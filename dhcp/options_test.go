package dhcp

import (
	"encoding/hex"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/signalbox-sdn/signalbox"
)

func TestAPortsOptionsComeBeforeItsSubnets(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		code        uint8
		want        string // hexadecimal; "": the reply has it not
	}{
		{"router", "10.0.0.9", 3, "0a000009"},
		{"router", "", 3, ""},
		{"3", "10.0.0.9,10.0.0.8", 3, "0a0000090a000008"},
		{"dns-server", "10.0.0.9, 10.0.0.8", 6, "0a0000090a000008"},
		{"mtu", "1300", 26, "0514"},
		{"mtu", "70000", 26, "05aa"},  // no MTU: the network's stays
		{"mtu", "banana", 26, "05aa"}, // likewise
		{"time-offset", "-3600", 2, "fffff1f0"},
		{"bootfile-name", "pxelinux.0", 67, "7078656c696e75782e30"},
		{"tftp-server", "boot.example", 66, "626f6f742e6578616d706c65"},
		{"tftp-server-address", "192.0.2.1", 150, "c0000201"},
		{"domain-search", "a.example,b", 119, "0161076578616d706c6500016200"},
		{"classless-static-route", "10.1.0.0/16,10.0.0.9,0.0.0.0/0,10.0.0.1", 121, "100a010a000009000a000001"},
		{"classless-static-route", "10.1.0.0/16", 121, ""},
		{"200", "01:02:af", 200, "0102af"},
		{"200", "300", 200, "012c"},
		{"200", "192.0.2.1", 200, "c0000201"},
		{"200", "hello", 200, "68656c6c6f"},
		{"54", "192.0.2.1", 54, "0a000002"}, // whose server it is, is not a port's to say
		{"51", "60", 51, "00015180"},
		{"no-such-option", "x", 6, "0909090995707070"},
	} {
		f := fact()
		f.Options = []signalbox.DHCPOption{{Version: 4, Name: tt.name, Value: tt.value}, {Version: 6, Name: "mtu", Value: "1280"}}
		reply, _ := Answer(client{kind: discover}.frame(), []Facts{f})
		_, m := parsed(t, reply)
		if got := hex.EncodeToString(m.Options.Get(dhcpv4.GenericOptionCode(tt.code))); got != tt.want {
			t.Errorf("%s %q: option %d is %q, want %q", tt.name, tt.value, tt.code, got, tt.want)
		}
	}
}

func TestOptionsThatNobodyAsksForAreNotGiven(t *testing.T) {
	f := fact()
	f.Options = []signalbox.DHCPOption{{Version: 4, Name: "bootfile-name", Value: "x"}, {Version: 4, Name: "server-ip-address", Value: "192.0.2.1"}}
	reply, _ := Answer(client{kind: discover, asks: []byte{1, 3}}.frame(), []Facts{f})
	_, m := parsed(t, reply)
	if m.Options.Has(dhcpv4.OptionBootfileName) || m.BootFileName != "x" || m.ServerIPAddr.String() != "192.0.2.1" {
		t.Errorf("%v", m)
	}
}

// FuzzOption: whatever a port's owner writes, a reply is made, and is one.
func FuzzOption(f *testing.F) {
	for name := range optionNames() {
		f.Add(name, "10.0.0.1")
	}
	for _, value := range []string{"", "1:2", "a.b,c", "10.0.0.0/8,10.0.0.1", "-1", "4294967296"} {
		f.Add("router", value)
		f.Add("199", value)
	}
	frame := client{kind: discover}.frame()
	f.Fuzz(func(t *testing.T, name, value string) {
		facts := fact()
		facts.Options = []signalbox.DHCPOption{{Version: 4, Name: name, Value: value}, {Version: 4, Name: "bootfile-name", Value: value}}
		reply, outcome := Answer(frame, []Facts{facts})
		if outcome != Offered {
			t.Fatalf("%v", outcome)
		}
		parsed(t, reply)
	})
}
