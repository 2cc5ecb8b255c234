package signalbox

import (
	"net/netip"
	"testing"

	"github.com/google/uuid"
)

func TestProtocolsAreNamedAsInNeutron(t *testing.T) {
	for _, test := range []struct {
		said   string
		want   Protocol
		number int // -1: refused
	}{
		{"tcp", "tcp", 6}, {"TCP", "tcp", 6}, {"6", "6", 6}, {"006", "6", 6}, {"icmpv6", "icmpv6", 58}, {"ipv6-icmp", "ipv6-icmp", 58},
		{"0", "0", 0}, {"ip", "ip", 0}, {"255", "255", 255}, {"256", "", -1}, {"-1", "", -1}, {"", "", -1}, {"any", "", -1}, {"+6", "", -1},
	} {
		got, err := ParseProtocol(test.said)
		if got != test.want || (err == nil) != (test.number >= 0) {
			t.Errorf("%q is read as %q, %v", test.said, got, err)
		}
		if n, said := got.Number(); err == nil && (!said || int(n) != test.number) {
			t.Errorf("%q has the number %d", test.said, n)
		}
	}
	if _, said := Protocol("").Number(); said {
		t.Error("any protocol has a number")
	}
}

func TestEffectIsTheSameOfRulesThatAllowTheSame(t *testing.T) {
	rule := func(p Protocol, remote string) *SecurityGroupRule {
		r := &SecurityGroupRule{ID: uuid.New(), Direction: Ingress, EtherType: IPv4, Protocol: p, PortMin: NoPort, PortMax: NoPort}
		if remote != "" {
			r.RemotePrefix = netip.MustParsePrefix(remote)
		}
		return r
	}
	same := [][]*SecurityGroupRule{
		{rule("", ""), rule("", "0.0.0.0/0"), rule("", "10.0.0.1/0")},
		{rule("tcp", "10.0.0.0/8"), rule("6", "10.1.2.3/8")},
		{rule("tcp", "10.0.0.0/9")}, {rule("tcp", "")}, {rule("udp", "10.0.0.0/8")}, {rule("ip", ""), rule("hopopt", "")},
		{{Direction: Egress, EtherType: IPv4, PortMin: NoPort, PortMax: NoPort}},
		{{Direction: Ingress, EtherType: IPv6, PortMin: NoPort, PortMax: NoPort}},
		{{Direction: Ingress, EtherType: IPv4, PortMin: NoPort, PortMax: NoPort, RemoteGroupID: uuid.New()}},
		{{Direction: Ingress, EtherType: IPv4, Protocol: "tcp", PortMin: 1, PortMax: 2}},
		{{Direction: Ingress, EtherType: IPv4, Protocol: "tcp", PortMin: 1, PortMax: 1}},
	}
	for i, a := range same {
		for j, b := range same {
			for _, r := range a {
				for _, s := range b {
					if (r.Effect() == s.Effect()) != (i == j) {
						t.Errorf("%q and %q", r.Effect(), s.Effect())
					}
				}
			}
		}
	}
}
