package dhcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/signalbox-sdn/signalbox"
)

var (
	ours    = signalbox.MustMAC("fa:16:3e:00:00:03")
	servers = signalbox.MustMAC("fa:16:3e:00:00:02")
	ip      = netip.MustParseAddr
)

// fact is the port of these tests: 10.0.0.3 in 10.0.0.0/24.
func fact() Facts {
	return Facts{
		MAC: ours, Addr: ip("10.0.0.3"), Server: ip("10.0.0.2"), ServerMAC: servers, MTU: 1450,
		Hostname: "host-10-0-0-3", Domain: "openstacklocal", Lease: 24 * time.Hour,
		Subnet: &signalbox.Subnet{CIDR: netip.MustParsePrefix("10.0.0.0/24"), GatewayIP: ip("10.0.0.1"),
			DNSServers: []netip.Addr{ip("9.9.9.9"), ip("2620:fe::fe"), ip("149.112.112.112")}},
	}
}

// client is what a client sends; its zero values are the usual ones.
type client struct {
	kind      dhcpv4.MessageType
	requested string // option 50
	server    string // option 54
	ciaddr    string
	to        string // IP destination; broadcast
	asks      []byte // option 55
	broadcast bool
	also      func(*dhcpv4.DHCPv4)
	from      signalbox.MAC // the frame's source; ours
}

func (c client) message() *dhcpv4.DHCPv4 {
	zero := net.IPv4zero.To4()
	m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, TransactionID: [4]byte{1, 2, 3, 4}, NumSeconds: 7,
		ClientIPAddr: zero, YourIPAddr: zero, ServerIPAddr: zero, GatewayIPAddr: zero,
		ClientHWAddr: ours[:], Options: dhcpv4.Options{}}
	if c.kind != 0 {
		m.UpdateOption(dhcpv4.OptMessageType(c.kind))
	}
	if c.requested != "" {
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(ip(c.requested).AsSlice()))
	}
	if c.server != "" {
		m.UpdateOption(dhcpv4.OptServerIdentifier(ip(c.server).AsSlice()))
	}
	if c.ciaddr != "" {
		m.ClientIPAddr = ip(c.ciaddr).AsSlice()
	}
	if c.asks != nil {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionParameterRequestList, c.asks))
	}
	if c.broadcast {
		m.SetBroadcast()
	}
	if c.also != nil {
		c.also(m)
	}
	return m
}

func (c client) frame() []byte {
	d := datagram{srcMAC: ours, dstMAC: signalbox.Broadcast, src: netip.IPv4Unspecified(), dst: limitedBroadcast,
		payload: c.message().ToBytes()}
	if c.from != (signalbox.MAC{}) {
		d.srcMAC = c.from
	}
	if c.ciaddr != "" {
		d.src = ip(c.ciaddr)
	}
	if c.to != "" {
		d.dst = ip(c.to)
	}
	return toServer(d)
}

// toServer is buildFrame in the other direction.
func toServer(d datagram) []byte {
	f := buildFrame(d)
	udp := f[ethernetHeader+ipv4Header:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	return f // the checksum's sum does not mind the exchange
}

// parsed takes a reply apart and checks what must hold of every reply.
func parsed(t testing.TB, frame []byte) (to netip.Addr, m *dhcpv4.DHCPv4) {
	t.Helper()
	if got := signalbox.MAC(frame[0:6]); got != ours {
		t.Errorf("the reply goes to %v", got)
	}
	if got := signalbox.MAC(frame[6:12]); got != servers {
		t.Errorf("the reply comes from %v", got)
	}
	packet := frame[14:]
	if packet[0] != 0x45 || packet[8] != 64 || packet[9] != 17 || int(binary.BigEndian.Uint16(packet[2:])) != len(packet) {
		t.Errorf("IP header % x", packet[:20])
	}
	if signalbox.ChecksumFold(signalbox.ChecksumSum(packet[:20], 0)) != 0xffff {
		t.Error("the IP checksum is wrong")
	}
	udp := packet[20:]
	if binary.BigEndian.Uint16(udp[0:]) != 67 || binary.BigEndian.Uint16(udp[2:]) != 68 || int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		t.Errorf("UDP header % x", udp[:8])
	}
	if signalbox.ChecksumFold(signalbox.ChecksumSum(udp, pseudoHeader(packet[12:20], len(udp)))) != 0xffff || binary.BigEndian.Uint16(udp[6:]) == 0xffff {
		t.Error("the UDP checksum is wrong")
	}
	m, err := dhcpv4.FromBytes(udp[8:])
	if err != nil {
		t.Fatal(err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || m.HopCount != 0 || m.NumSeconds != 0 || !bytes.Equal(m.ClientHWAddr, ours[:]) || len(udp[8:]) < 300 {
		t.Errorf("reply %v", m)
	}
	return addr4(packet[16:]), m
}

// sumless is a reply changed in a place that means nothing, the end of the hardware address, so that its UDP checksum comes out as 0.
func sumless(reply []byte) []byte {
	const header, end = ethernetHeader + ipv4Header + udpHeader, 42
	payload := bytes.Clone(reply[header:])
	copy(payload[end:], reply[header-2:header])
	packet := reply[ethernetHeader:]
	return buildFrame(datagram{dstMAC: signalbox.MAC(reply[0:6]), srcMAC: signalbox.MAC(reply[6:12]), src: addr4(packet[12:]), dst: addr4(packet[16:]), payload: payload})
}

func TestAChecksumOfZeroIsNotTurned(t *testing.T) {
	reply, _ := Answer(client{kind: discover}.frame(), []Facts{fact()})
	frame := sumless(reply)
	parsed(t, frame)
	if sum := binary.BigEndian.Uint16(frame[ethernetHeader+ipv4Header+6:]); sum != 0 {
		t.Errorf("%#x", sum)
	}
}

// say is a reply in a line: type, destination, yiaddr, ciaddr.
func say(t testing.TB, reply []byte) string {
	t.Helper()
	if reply == nil {
		return ""
	}
	to, m := parsed(t, reply)
	return fmt.Sprintf("%v to %v yiaddr %v ciaddr %v", m.MessageType(), to, m.YourIPAddr, m.ClientIPAddr)
}

const (
	discover   = dhcpv4.MessageTypeDiscover
	requesting = dhcpv4.MessageTypeRequest
	inform     = dhcpv4.MessageTypeInform
	decline    = dhcpv4.MessageTypeDecline
	release    = dhcpv4.MessageTypeRelease
)

func TestEveryMessageHasItsAnswer(t *testing.T) {
	const (
		offer    = "OFFER to 10.0.0.3 yiaddr 10.0.0.3 ciaddr 0.0.0.0"
		ack      = "ACK to 10.0.0.3 yiaddr 10.0.0.3 ciaddr 0.0.0.0"
		renewed  = "ACK to 10.0.0.3 yiaddr 10.0.0.3 ciaddr 10.0.0.3"
		nak      = "NAK to 255.255.255.255 yiaddr 0.0.0.0 ciaddr 0.0.0.0"
		informed = "ACK to 10.0.0.3 yiaddr 0.0.0.0 ciaddr 10.0.0.3"
	)
	stranger := signalbox.MustMAC("fa:16:3e:00:00:99")
	for name, c := range map[string]struct {
		says    client
		gets    string
		outcome Outcome
	}{
		"a DISCOVER is offered the port's address":              {client{kind: discover}, offer, Offered},
		"… also when it would like another":                     {client{kind: discover, requested: "10.0.0.77"}, offer, Offered},
		"… also when sent to the server":                        {client{kind: discover, to: "10.0.0.2"}, offer, Offered},
		"… also with an address it has no right to name":        {client{kind: discover, ciaddr: "10.0.0.77"}, offer, Offered},
		"the broadcast flag is honoured":                        {client{kind: discover, broadcast: true}, "OFFER to 255.255.255.255 yiaddr 10.0.0.3 ciaddr 0.0.0.0", Offered},
		"SELECTING us is acknowledged":                          {client{kind: requesting, requested: "10.0.0.3", server: "10.0.0.2"}, ack, Acked},
		"SELECTING us for a foreign address is refused":         {client{kind: requesting, requested: "10.0.0.4", server: "10.0.0.2"}, nak, Refused},
		"SELECTING another server is none of our business":      {client{kind: requesting, requested: "10.0.0.3", server: "10.0.0.9"}, "", OtherServer},
		"SELECTING with the address as its own is acknowledged": {client{kind: requesting, ciaddr: "10.0.0.3", server: "10.0.0.2"}, renewed, Acked},
		"INIT-REBOOT with the port's address is acknowledged":   {client{kind: requesting, requested: "10.0.0.3"}, ack, Acked},
		"INIT-REBOOT with a foreign address is refused":         {client{kind: requesting, requested: "10.0.0.4"}, nak, Refused},
		"INIT-REBOOT from another subnet is refused":            {client{kind: requesting, requested: "192.168.1.7"}, nak, Refused},
		"RENEWING, unicast to the server, is acknowledged":      {client{kind: requesting, ciaddr: "10.0.0.3", to: "10.0.0.2"}, renewed, Acked},
		"RENEWING with another server is none of our business":  {client{kind: requesting, ciaddr: "10.0.0.3", to: "10.0.0.9"}, "", OtherServer},
		"RENEWING a foreign address is refused":                 {client{kind: requesting, ciaddr: "10.0.0.4", to: "10.0.0.2"}, nak, Refused},
		"REBINDING, broadcast, is acknowledged":                 {client{kind: requesting, ciaddr: "10.0.0.3"}, renewed, Acked},
		"… to its address even with the broadcast flag":         {client{kind: requesting, ciaddr: "10.0.0.3", broadcast: true}, renewed, Acked},
		"REBINDING a foreign address is refused":                {client{kind: requesting, ciaddr: "10.0.0.4"}, nak, Refused},
		"a REQUEST for nothing is malformed":                    {client{kind: requesting}, "", Malformed},
		"an INFORM gets no address":                             {client{kind: inform, ciaddr: "10.0.0.3"}, informed, Informed},
		"an INFORM about a foreign address gets nothing":        {client{kind: inform, ciaddr: "10.0.0.4"}, "", Foreign},
		"an INFORM without an address is malformed":             {client{kind: inform}, "", Malformed},
		"a DECLINE is noted":                                    {client{kind: decline, requested: "10.0.0.3", server: "10.0.0.2"}, "", Declined},
		"a DECLINE of a foreign address is ignored":             {client{kind: decline, requested: "10.0.0.4", server: "10.0.0.2"}, "", Foreign},
		"a DECLINE to another server is ignored":                {client{kind: decline, requested: "10.0.0.3", server: "10.0.0.9"}, "", OtherServer},
		"a RELEASE is noted":                                    {client{kind: release, ciaddr: "10.0.0.3", server: "10.0.0.2", to: "10.0.0.2"}, "", Released},
		"a RELEASE of a foreign address is ignored":             {client{kind: release, ciaddr: "10.0.0.4", server: "10.0.0.2"}, "", Foreign},
		"a RELEASE to another server is ignored":                {client{kind: release, ciaddr: "10.0.0.3", server: "10.0.0.9"}, "", OtherServer},
		"an OFFER from a client is unexpected":                  {client{kind: dhcpv4.MessageTypeOffer}, "", Unexpected},
		"an unknown type is unexpected":                         {client{kind: 77}, "", Unexpected},
		"plain BOOTP is malformed":                              {client{}, "", Malformed},
		"a BOOTREPLY is malformed":                              {client{kind: discover, also: func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply }}, "", Malformed},
		"an address of another link type is malformed":          {client{kind: discover, also: func(m *dhcpv4.DHCPv4) { m.HWType = 32 }}, "", Malformed},
		"a hardware address of 16 bytes is malformed":           {client{kind: discover, also: func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = make([]byte, 16) }}, "", Malformed},
		"a relayed request is dropped":                          {client{kind: discover, also: func(m *dhcpv4.DHCPv4) { m.GatewayIPAddr = net.IP{10, 0, 0, 3} }}, "", Relayed},
		"another client behind the port gets nothing":           {client{kind: discover, also: func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = stranger[:] }}, "", WrongMAC},
		"a frame from another source gets nothing":              {client{kind: discover, from: stranger}, "", WrongMAC},
	} {
		t.Run(name, func(t *testing.T) {
			reply, outcome := Answer(c.says.frame(), []Facts{fact()})
			if got := say(t, reply); got != c.gets || outcome != c.outcome {
				t.Errorf("got  %q, %v\nwant %q, %v", got, outcome, c.gets, c.outcome)
			}
		})
	}
}

func TestAPortWithoutServedAddressesGetsNothing(t *testing.T) {
	v6 := fact()
	v6.Addr = ip("2001:db8::3")
	for _, facts := range [][]Facts{nil, {v6}} {
		if reply, outcome := Answer(client{kind: discover}.frame(), facts); reply != nil || outcome != NoAddress {
			t.Errorf("%v", outcome)
		}
	}
}

func TestAPortWithTwoAddressesGetsTheOneItAsksFor(t *testing.T) {
	second := fact()
	second.Addr, second.Server = ip("10.0.1.3"), ip("10.0.1.2")
	second.Subnet = &signalbox.Subnet{CIDR: netip.MustParsePrefix("10.0.1.0/24"), GatewayIP: ip("10.0.1.1")}
	facts := []Facts{fact(), second}
	for _, c := range []struct {
		says    client
		yiaddr  string
		outcome Outcome
	}{
		{client{kind: discover}, "10.0.0.3", Offered},
		{client{kind: discover, requested: "10.0.1.3"}, "10.0.1.3", Offered},
		{client{kind: requesting, requested: "10.0.1.3", server: "10.0.1.2"}, "10.0.1.3", Acked},
		{client{kind: requesting, requested: "10.0.1.3", server: "10.0.0.2"}, "0.0.0.0", Refused},
		{client{kind: requesting, ciaddr: "10.0.1.3", to: "10.0.1.2"}, "10.0.1.3", Acked},
	} {
		reply, outcome := Answer(c.says.frame(), facts)
		_, m := parsed(t, reply)
		if outcome != c.outcome || m.YourIPAddr.String() != c.yiaddr {
			t.Errorf("%+v: %v, %v", c.says, outcome, m.YourIPAddr)
		}
	}
}

// options shows what a reply carries, one option a line, in the library's words.
func options(t *testing.T, says client, f Facts) map[string]string {
	t.Helper()
	reply, outcome := Answer(says.frame(), []Facts{f})
	if reply == nil {
		t.Fatalf("no reply: %v", outcome)
	}
	_, m := parsed(t, reply)
	out := make(map[string]string)
	for line := range strings.Lines(m.Options.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out[name] = value
	}
	return out
}

func wantOptions(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range got {
		if want[name] != value {
			t.Errorf("%s: got %q, want %q", name, value, want[name])
		}
	}
	for name, value := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing: want %q", name, value)
		}
	}
}

func TestAnOfferSaysEverythingToWhoeverDoesNotAsk(t *testing.T) {
	wantOptions(t, options(t, client{kind: discover}, fact()), map[string]string{
		"DHCP Message Type": "OFFER", "Server Identifier": "10.0.0.2",
		"IP Addresses Lease Time": "24h0m0s", "Renew Time Value": "12h0m0s", "Rebinding Time Value": "21h0m0s",
		"Subnet Mask": "ffffff00", "Router": "10.0.0.1", "Domain Name Server": "9.9.9.9, 149.112.112.112",
		"Interface MTU": "[5 170]", "Host Name": "host-10-0-0-3", "DNS Domain Search List": "[openstacklocal]", "Domain Name": "openstacklocal", "Broadcast Address": "10.0.0.255",
	})
}

func TestAClientThatAsksForLittleGetsTheEssentials(t *testing.T) {
	wantOptions(t, options(t, client{kind: requesting, requested: "10.0.0.3", asks: []byte{42}}, fact()), map[string]string{
		"DHCP Message Type": "ACK", "Server Identifier": "10.0.0.2",
		"IP Addresses Lease Time": "24h0m0s", "Renew Time Value": "12h0m0s", "Rebinding Time Value": "21h0m0s",
		"Subnet Mask": "ffffff00", "Router": "10.0.0.1", "Domain Name Server": "9.9.9.9, 149.112.112.112", "Interface MTU": "[5 170]",
	})
}

func TestAnInformIsAnsweredWithoutALease(t *testing.T) {
	wantOptions(t, options(t, client{kind: inform, ciaddr: "10.0.0.3", asks: []byte{15}}, fact()), map[string]string{
		"DHCP Message Type": "ACK", "Server Identifier": "10.0.0.2", "Domain Name": "openstacklocal",
		"Subnet Mask": "ffffff00", "Router": "10.0.0.1", "Domain Name Server": "9.9.9.9, 149.112.112.112", "Interface MTU": "[5 170]",
	})
}

func TestARefusalCarriesNoConfiguration(t *testing.T) {
	says := client{kind: requesting, requested: "10.0.0.4", also: func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptClientIdentifier([]byte{1, 2, 3}))
	}}
	wantOptions(t, options(t, says, fact()), map[string]string{
		"DHCP Message Type": "NAK", "Server Identifier": "10.0.0.2",
		"Message": "10.0.0.4 is not this port's address", "Client identifier": "[1 2 3]",
	})
}

func TestClientIdentifierAndRelayInformationComeBack(t *testing.T) {
	relay := []byte{1, 4, 'e', 't', 'h', '0'}
	says := client{kind: discover, also: func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptClientIdentifier([]byte{1, 0xfa, 0x16, 0x3e, 0, 0, 3}))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, relay))
	}}
	reply, _ := Answer(says.frame(), []Facts{fact()})
	_, m := parsed(t, reply)
	if got := m.Options.Get(dhcpv4.OptionClientIdentifier); !bytes.Equal(got, []byte{1, 0xfa, 0x16, 0x3e, 0, 0, 3}) {
		t.Errorf("client identifier % x", got)
	}
	if got := m.Options.Get(dhcpv4.OptionRelayAgentInformation); !bytes.Equal(got, relay) {
		t.Errorf("relay agent information % x", got)
	}
}

func TestClasslessRoutesHoldTheDefaultRoute(t *testing.T) {
	f := fact()
	f.Subnet.HostRoutes = []signalbox.Route{
		{Destination: netip.MustParsePrefix("192.168.5.0/24"), NextHop: ip("10.0.0.250")},
		{Destination: netip.MustParsePrefix("172.16.0.1/12"), NextHop: ip("10.0.0.251")}, // host bits are not sent
		{Destination: netip.MustParsePrefix("198.51.100.9/32"), NextHop: ip("10.0.0.252")},
		{Destination: netip.MustParsePrefix("2001:db8::/32"), NextHop: ip("2001:db8::1")}, // not of this family
		{Destination: netip.MustParsePrefix("0.0.0.0/0"), NextHop: ip("10.0.0.253")},      // the gateway stands
	}
	want := "route to 192.168.5.0/24 via 10.0.0.250; route to 172.16.0.0/12 via 10.0.0.251; " +
		"route to 198.51.100.9/32 via 10.0.0.252; route to 0.0.0.0/0 via 10.0.0.1"
	const routes, microsoft = "Classless Static Route", "unknown (249)"
	for _, c := range []struct {
		name        string
		asks        []byte
		routes, win bool
	}{
		{"a client without a list", nil, true, false},
		{"a client that asks", []byte{1, 3, 121}, true, false},
		{"a client that does not", []byte{1, 3}, false, false},
		{"an old Windows", []byte{1, 3, 249}, false, true},
		{"a newer one", []byte{1, 3, 121, 249}, true, true},
	} {
		got := options(t, client{kind: discover, asks: c.asks}, f)
		if got["Router"] != "10.0.0.1" {
			t.Errorf("%s: router %q", c.name, got["Router"])
		}
		if (got[routes] == want) != c.routes || got[routes] != "" && got[routes] != want {
			t.Errorf("%s: routes %q", c.name, got[routes])
		}
		if _, ok := got[microsoft]; ok != c.win {
			t.Errorf("%s: option 249 %v", c.name, ok)
		}
	}
}

func TestASubnetWithoutGateway(t *testing.T) {
	f := fact()
	f.Subnet.GatewayIP = netip.Addr{}
	if got := options(t, client{kind: discover}, f); got["Router"] != "" {
		t.Errorf("router %q", got["Router"])
	}
	f.Subnet.HostRoutes = []signalbox.Route{{Destination: netip.MustParsePrefix("192.168.5.0/24"), NextHop: ip("10.0.0.250")}}
	if got := options(t, client{kind: discover}, f); got["Router"] != "" || got["Classless Static Route"] != "route to 192.168.5.0/24 via 10.0.0.250" {
		t.Errorf("options %v", got)
	}
	f.Subnet.HostRoutes = []signalbox.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), NextHop: ip("10.0.0.250")}}
	if got := options(t, client{kind: discover}, f); got["Router"] != "10.0.0.250" || got["Classless Static Route"] != "" {
		t.Errorf("options %v", got)
	}
}

func TestALeaseForEverHasNoTimers(t *testing.T) {
	f := fact()
	f.Lease = -1
	reply, _ := Answer(client{kind: discover}.frame(), []Facts{f})
	_, m := parsed(t, reply)
	if got := m.Options.Get(dhcpv4.OptionIPAddressLeaseTime); !bytes.Equal(got, []byte{255, 255, 255, 255}) {
		t.Errorf("lease % x", got)
	}
	if m.Options.Has(dhcpv4.OptionRenewTimeValue) || m.Options.Has(dhcpv4.OptionRebindingTimeValue) {
		t.Error("it has timers")
	}
}

func TestAReplyFitsWhatTheClientTakes(t *testing.T) {
	f := fact()
	f.MTU = 1400
	for i := range 60 {
		f.Subnet.HostRoutes = append(f.Subnet.HostRoutes, signalbox.Route{
			Destination: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(i)}), 32), NextHop: ip("10.0.0.250")})
	}
	for _, c := range []struct {
		limit  uint16 // option 57; 0: not said
		most   int
		routes bool
	}{{0, 576, false}, {100, 576, false}, {576, 576, false}, {1000, 1000, true}, {65535, 1400, true}} {
		says := client{kind: discover, also: func(m *dhcpv4.DHCPv4) {
			if c.limit > 0 {
				m.UpdateOption(dhcpv4.OptMaxMessageSize(c.limit))
			}
		}}
		reply, _ := Answer(says.frame(), []Facts{f})
		_, m := parsed(t, reply)
		if size := len(reply) - ethernetHeader; size > c.most {
			t.Errorf("a limit of %d, a packet of %d bytes", c.limit, size)
		}
		if m.Options.Has(dhcpv4.OptionClasslessStaticRoute) != c.routes || !m.Options.Has(dhcpv4.OptionRouter) {
			t.Errorf("a limit of %d: %v", c.limit, m.Options)
		}
	}
}

func TestDamagedFramesAreMalformed(t *testing.T) {
	good := client{kind: discover}.frame()
	damage := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	set := func(at int, values ...byte) []byte {
		return damage(func(b []byte) []byte { copy(b[at:], values); return b })
	}
	// mended has a right IP checksum again, so that what is behind it is what is refused.
	mended := func(at int, values ...byte) []byte {
		return damage(func(b []byte) []byte {
			copy(b[at:], values)
			copy(b[24:], []byte{0, 0})
			binary.BigEndian.PutUint16(b[24:], ^signalbox.ChecksumFold(signalbox.ChecksumSum(b[14:34], 0)))
			return b
		})
	}
	for name, c := range map[string]struct {
		frame   []byte
		outcome Outcome
	}{
		"nothing":                        {nil, NotDHCP},
		"half an Ethernet header":        {good[:13], NotDHCP},
		"ARP":                            {set(12, 8, 6), NotDHCP},
		"IPv6":                           {set(12, 0x86, 0xdd), NotDHCP},
		"a VLAN tag":                     {set(12, 0x81, 0), NotDHCP},
		"half an IP header":              {good[:30], Malformed},
		"IP version 6":                   {mended(14, 0x65), Malformed},
		"an IP header of 16 bytes":       {mended(14, 0x44), Malformed},
		"an IP header of 60 bytes":       {set(14, 0x4f), Malformed},
		"an IP length beyond the frame":  {mended(16, 0xff, 0xff), Malformed},
		"an IP length within the header": {mended(16, 0, 19), Malformed},
		"a wrong IP checksum":            {set(24, 1, 1), Malformed},
		"TCP":                            {mended(23, 6), NotDHCP},
		"a first fragment":               {mended(20, 0x20, 0), Malformed},
		"a last fragment":                {mended(20, 0, 10), Malformed},
		"half a UDP header":              {mended(16, 0, 24), Malformed},
		"another port":                   {set(36, 0, 53), NotDHCP},
		"a UDP length beyond the packet": {set(38, 0xff, 0xff), Malformed},
		"a UDP length within its header": {set(38, 0, 7), Malformed},
		"a UDP length short of DHCP":     {damage(func(b []byte) []byte { copy(b[38:], []byte{0, 100, 0, 0}); return b }), Malformed},
		"a wrong UDP checksum":           {set(40, 1, 1), Malformed},
		"a wrong cookie":                 {damage(func(b []byte) []byte { copy(b[40:], []byte{0, 0}); b[278]++; return b }), Malformed},
		"an option beyond the end":       {damage(func(b []byte) []byte { copy(b[40:], []byte{0, 0}); b[283] = 200; return b }), Malformed},
		"no UDP checksum":                {set(40, 0, 0), Offered},
		"a UDP checksum left to the NIC": {damage(func(b []byte) []byte {
			binary.BigEndian.PutUint16(b[40:], signalbox.ChecksumFold(pseudoHeader(b[26:34], len(b)-34)))
			return b
		}), Offered},
		"padding behind the packet": {append(bytes.Clone(good), make([]byte, 40)...), Offered},
	} {
		t.Run(name, func(t *testing.T) {
			if reply, outcome := Answer(c.frame, []Facts{fact()}); outcome != c.outcome || (reply != nil) != (outcome == Offered) {
				t.Errorf("%v, a reply of %d bytes", outcome, len(reply))
			}
		})
	}
}

func TestEveryOutcomeHasItsOwnName(t *testing.T) {
	seen := make(map[string]bool)
	for _, o := range Outcomes() {
		if name := o.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("outcome %d is called %q", o, name)
		}
		seen[o.String()] = true
	}
	if outcomes.String() != "unknown" {
		t.Error("what is no outcome has a name")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, c := range []client{{kind: discover}, {kind: requesting, ciaddr: "10.0.0.3"}, {kind: inform, ciaddr: "10.0.0.3"}} {
		f.Add(c.frame())
	}
	for _, frame := range realFrames(f) {
		f.Add(frame)
	}
	facts := []Facts{fact()}
	facts[0].Options = []signalbox.DHCPOption{{Version: 4, Name: "bootfile-name", Value: "pxelinux.0"}, {Version: 4, Name: "router"}, {Version: 4, Name: "server-ip-address"}}
	facts[0].Subnet.HostRoutes = []signalbox.Route{{Destination: netip.MustParsePrefix("192.168.5.0/24"), NextHop: ip("10.0.0.250")}}
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		reply, outcome := Answer(frame, facts)
		if !bytes.Equal(frame, before) {
			t.Error("the request was changed")
		}
		if (reply != nil) != (outcome <= Informed) {
			t.Errorf("%v with a reply of %d bytes", outcome, len(reply))
		}
		if reply != nil {
			parsed(t, reply)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	frames := realFrames(b)
	facts := []Facts{fact()}
	for _, name := range []string{"udhcpc-discover", "udhcpc-select", "dhclient-reboot"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if reply, outcome := Answer(frames[name], facts); reply == nil {
					b.Fatal(outcome)
				}
			}
		})
	}
}

func TestASubnetThatNamesNoDNSServerHasOurs(t *testing.T) {
	f := fact()
	for servers, want := range map[string]string{"": "10.0.0.2", "0.0.0.0": "", "2620:fe::fe": "", "9.9.9.9": "9.9.9.9", "0.0.0.0 9.9.9.9": "9.9.9.9"} {
		f.Subnet.DNSServers = nil
		for _, s := range strings.Fields(servers) {
			f.Subnet.DNSServers = append(f.Subnet.DNSServers, ip(s))
		}
		if got := options(t, client{kind: discover}, f)["Domain Name Server"]; got != want {
			t.Errorf("%q: a client is told %q, want %q", servers, got, want)
		}
	}
}
