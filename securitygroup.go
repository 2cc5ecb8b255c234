package signalbox

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// GroupKey is the small number by which flows know a security group, assigned by the database with the row.
type GroupKey uint32

// RuleKey is the small number by which flows know a rule of a security group (a conjunction's id), assigned by the
// database with the row.
type RuleKey uint32

// SecurityGroup says what the ports that are in it may receive and send: what one of its rules allows, and nothing
// else. The replies need no rule.
type SecurityGroup struct {
	ID          uuid.UUID
	Key         GroupKey
	ProjectID   string
	Name        string
	Description string
	Default     bool                // the one that a project's ports are in where nobody said another
	Rules       []SecurityGroupRule // in order of creation
	Tags        []string            // in order, each once
	Sharing
	Meta
}

// Direction is a packet's, as the port's owner sees it.
type Direction string

// Directions.
const (
	Ingress Direction = "ingress" // to the port
	Egress  Direction = "egress"  // from the port
)

// EtherType is the family of addresses that a rule is about.
type EtherType string

// The families.
const (
	IPv4 EtherType = "IPv4"
	IPv6 EtherType = "IPv6"
)

// NoPort is the PortMin or PortMax of a rule that does not say one.
const NoPort = -1

// SecurityGroupRule allows some packets to or from the ports of a group. It never changes but in its description.
type SecurityGroupRule struct {
	ID          uuid.UUID
	Key         RuleKey
	GroupID     uuid.UUID
	ProjectID   string // the group's
	Description string
	Direction   Direction
	EtherType   EtherType
	Protocol    Protocol
	// Of TCP, UDP, SCTP, DCCP and UDP-Lite the destination's ports, first and last, both or neither. Of ICMP the type
	// and the code, of which the code alone may be NoPort. Of others NoPort.
	PortMin, PortMax int
	// The other end: one of these at most, and anybody if none.
	RemoteGroupID uuid.UUID    // whoever is in this group; Nil: not said
	RemotePrefix  netip.Prefix // of the EtherType's family; not masked: what a client wrote is shown to it
	Meta
}

// Effect is what a rule allows, as a text that two rules of a group share if and only if they allow the same.
func (r *SecurityGroupRule) Effect() string {
	protocol, remote := "any", "anybody"
	if n, said := r.Protocol.Number(); said {
		protocol = strconv.Itoa(int(n))
	}
	switch {
	case r.RemoteGroupID != uuid.Nil:
		remote = r.RemoteGroupID.String()
	case r.RemotePrefix.Bits() > 0:
		remote = r.RemotePrefix.Masked().String()
	}
	return fmt.Sprintf("%s %s %s %d %d %s", r.Direction, r.EtherType, protocol, r.PortMin, r.PortMax, remote)
}

// Protocol is an IP protocol as a rule names it: by one of the names that Neutron knows, or by its number in decimal.
// "" is any.
type Protocol string

// Names of protocols that are more than a number here.
const (
	ICMP   Protocol = "icmp"
	ICMPv6 Protocol = "ipv6-icmp"
)

// Numbers of the protocols whose rules can have ports, or types and codes (IANA).
const (
	ProtocolICMP    = 1
	ProtocolTCP     = 6
	ProtocolUDP     = 17
	ProtocolDCCP    = 33
	ProtocolICMPv6  = 58
	ProtocolSCTP    = 132
	ProtocolUDPLite = 136
)

// protocols are the names, and the numbers that IANA gave them.
var protocols = [...]struct {
	name   Protocol
	number uint8
}{
	{"ah", 51}, {"dccp", ProtocolDCCP}, {"egp", 8}, {"esp", 50}, {"gre", 47}, {"hopopt", 0}, {ICMP, ProtocolICMP}, {"igmp", 2}, {"ip", 0},
	{"ipip", 4}, {"ipv6-encap", 41}, {"ipv6-frag", 44}, {ICMPv6, ProtocolICMPv6}, {"icmpv6", ProtocolICMPv6}, {"ipv6-nonxt", 59},
	{"ipv6-opts", 60}, {"ipv6-route", 43}, {"ospf", 89}, {"pgm", 113}, {"rsvp", 46}, {"sctp", ProtocolSCTP}, {"tcp", ProtocolTCP},
	{"udp", ProtocolUDP}, {"udplite", ProtocolUDPLite}, {"vrrp", 112},
}

// ParseProtocol reads a name in any case, or a number from 0 to 255.
func ParseProtocol(s string) (Protocol, error) {
	p := Protocol(strings.ToLower(s))
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		p = Protocol(strconv.FormatUint(n, 10))
	} else if _, known := p.Number(); !known {
		return "", fmt.Errorf("%q is not an IP protocol", s)
	}
	return p, nil
}

// Number is the protocol's number, and false where any will do. 0, called ip or hopopt, is no protocol that a packet could have
// above IP: whoever asks for it means any, as Linux' iptables has it, but it is not the same rule as one that does not say.
func (p Protocol) Number() (n uint8, said bool) {
	for _, known := range protocols {
		if p == known.name {
			return known.number, true
		}
	}
	number, err := strconv.ParseUint(string(p), 10, 8)
	return uint8(number), err == nil
}

// OnlyIPv6 reports whether no IPv4 packet is of the protocol.
func (p Protocol) OnlyIPv6() bool {
	switch n, _ := p.Number(); n {
	case 41, 43, 44, ProtocolICMPv6, 59, 60:
		return true
	}
	return false
}

// HasPorts reports whether rules of the protocol can have ports.
func (p Protocol) HasPorts() bool {
	switch n, _ := p.Number(); n {
	case ProtocolTCP, ProtocolUDP, ProtocolDCCP, ProtocolSCTP, ProtocolUDPLite:
		return true
	}
	return false
}

// HasTypes reports whether rules of the protocol can have an ICMP type and code.
func (p Protocol) HasTypes() bool {
	n, _ := p.Number()
	return n == ProtocolICMP || n == ProtocolICMPv6
}
