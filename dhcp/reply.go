package dhcp

import (
	"encoding/binary"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/signalbox-sdn/signalbox"
)

const (
	// leastMessage is what any client must take, in bytes of the IP packet (RFC 2131, section 2).
	leastMessage = 576
	// fixedFields is everything before the options: IP, UDP and BOOTP headers, and the magic cookie.
	fixedFields = ipv4Header + udpHeader + 236 + 4
	// optionMicrosoftRoutes is option 121 under the number that Windows asked for before RFC 3442 had one.
	optionMicrosoftRoutes = dhcpv4.GenericOptionCode(249)

	forever = math.MaxUint32 // seconds: RFC 2131, section 3.3
)

// reply is a reply in the making. Options are added in order of need: what no longer fits in the
// message that the client can take is left out.
type reply struct {
	dhcpv4.DHCPv4
	request *request
	facts   *Facts
	room    int              // bytes left for options
	own     map[uint8][]byte // what the port's owner has said, once that is added
}

func (r *request) newReply(f *Facts, t dhcpv4.MessageType) *reply {
	zero := net.IPv4zero.To4()
	a := &reply{request: r, facts: f, room: r.messageLimit(f) - fixedFields - 1, // for the end option
		DHCPv4: dhcpv4.DHCPv4{
			OpCode: dhcpv4.OpcodeBootReply, HWType: r.HWType, TransactionID: r.TransactionID, Flags: r.Flags,
			ClientIPAddr: zero, YourIPAddr: zero, ServerIPAddr: zero, GatewayIPAddr: zero,
			ClientHWAddr: r.ClientHWAddr, Options: make(dhcpv4.Options, 16),
		}}
	a.add(dhcpv4.OptMessageType(t))
	a.add(dhcpv4.OptServerIdentifier(f.Server.AsSlice()))
	a.echo(dhcpv4.OptionClientIdentifier) // RFC 6842
	a.echo(dhcpv4.OptionRelayAgentInformation)
	return a
}

// messageLimit is how large an IP packet the client takes (option 57), and the network carries.
func (r *request) messageLimit(f *Facts) int {
	said, err := r.MaxMessageSize()
	if err != nil {
		return leastMessage
	}
	limit := int(said)
	if f.MTU > 0 {
		limit = min(limit, f.MTU)
	}
	return max(limit, leastMessage)
}

// addLease adds how long the address is the client's and when it should ask again.
func (a *reply) addLease() {
	seconds := a.facts.Lease / time.Second
	if seconds <= 0 || seconds >= forever {
		a.add(dhcpv4.OptIPAddressLeaseTime(forever * time.Second))
		return
	}
	a.add(dhcpv4.OptIPAddressLeaseTime(seconds * time.Second))
	a.add(dhcpv4.OptRenewTimeValue(seconds / 2 * time.Second))         // T1
	a.add(dhcpv4.OptRebindingTimeValue(seconds * 7 / 8 * time.Second)) // T2
}

// addConfiguration adds what the port's owner has chosen, what the client needs to reach anything, asked for or not, and then
// what it asked for. A client without a parameter request list is taken to ask for everything.
func (a *reply) addConfiguration() {
	a.addChosen()
	s := a.facts.Subnet
	gateway, routes := routes(s)
	a.add(dhcpv4.OptSubnetMask(net.CIDRMask(s.CIDR.Bits(), 32)))
	if gateway.IsValid() {
		a.add(dhcpv4.OptRouter(gateway.AsSlice()))
	}
	if servers := nameServers(a.facts); len(servers) > 0 {
		a.add(dhcpv4.OptDNS(servers...))
	}
	if mtu := a.facts.MTU; mtu > 0 && mtu <= math.MaxUint16 {
		a.add(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, binary.BigEndian.AppendUint16(nil, uint16(mtu))))
	}
	if len(routes) > 0 && a.request.IsOptionRequested(dhcpv4.OptionClasslessStaticRoute) {
		a.add(dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, routes))
	}
	if a.facts.Hostname != "" && a.request.IsOptionRequested(dhcpv4.OptionHostName) {
		a.add(dhcpv4.OptHostName(a.facts.Hostname))
	}
	if a.facts.Domain != "" && a.request.IsOptionRequested(dhcpv4.OptionDomainName) {
		a.add(dhcpv4.OptDomainName(a.facts.Domain))
	}
	if search, ok := readNames(a.facts.Domain); ok && a.request.IsOptionRequested(dhcpv4.OptionDNSDomainSearchList) {
		a.add(dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, search))
	}
	if s.CIDR.Bits() < 31 && a.request.IsOptionRequested(dhcpv4.OptionBroadcastAddress) {
		a.add(dhcpv4.OptBroadcastAddress(broadcast(s.CIDR)))
	}
	if len(routes) > 0 && a.request.Options.Has(dhcpv4.OptionParameterRequestList) && a.request.IsOptionRequested(optionMicrosoftRoutes) {
		a.add(dhcpv4.OptGeneric(optionMicrosoftRoutes, routes))
	}
}

// add adds an option if there is room for it.
func (a *reply) add(o dhcpv4.Option) { a.put(o.Code, o.Value.ToBytes()) }

// echo returns an option of the request as it came.
func (a *reply) echo(code dhcpv4.OptionCode) {
	if value := a.request.Options.Get(code); len(value) > 0 {
		a.put(code, value)
	}
}

// put counts two bytes for each part of 255 that a long value is cut into (RFC 3396).
func (a *reply) put(code dhcpv4.OptionCode, value []byte) {
	if _, said := a.own[code.Code()]; said {
		return
	}
	need := len(value) + 2*max(1, (len(value)+254)/255)
	if need > a.room {
		return
	}
	a.room -= need
	a.Options[code.Code()] = value
}

// frame is the finished reply: to the port's MAC always, to whichever IP address.
func (a *reply) frame(to netip.Addr) []byte {
	return buildFrame(datagram{
		srcMAC: a.facts.ServerMAC, dstMAC: a.facts.MAC, src: a.facts.Server, dst: to, payload: a.ToBytes(),
	})
}

// routes are a subnet's default gateway and its host routes in the form of RFC 3442. A client that
// takes classless routes ignores the router option, so the default route is among them. A host route
// to 0.0.0.0/0 stands in for a gateway that the subnet does not have, as in Neutron.
func routes(s *signalbox.Subnet) (gateway netip.Addr, classless []byte) {
	if s.GatewayIP.Is4() {
		gateway = s.GatewayIP
	}
	for _, r := range s.HostRoutes {
		switch {
		case !r.Destination.Addr().Is4() || !r.NextHop.Is4():
		case r.Destination.Bits() > 0:
			classless = appendRoute(classless, r.Destination, r.NextHop)
		case !gateway.IsValid():
			gateway = r.NextHop
		}
	}
	if len(classless) > 0 && gateway.IsValid() {
		classless = appendRoute(classless, netip.PrefixFrom(netip.IPv4Unspecified(), 0), gateway)
	}
	return gateway, classless
}

// appendRoute writes the prefix length, the significant bytes of the destination, and the router.
func appendRoute(b []byte, to netip.Prefix, router netip.Addr) []byte {
	destination, hop := to.Masked().Addr().As4(), router.As4()
	b = append(b, byte(to.Bits()))
	b = append(b, destination[:(to.Bits()+7)/8]...)
	return append(b, hop[:]...)
}

// nameServers are those that the subnet names. Where it names none, the server itself answers; one that is 0.0.0.0 says that
// there is to be none, as in Neutron.
func nameServers(f *Facts) []net.IP {
	if len(f.Subnet.DNSServers) == 0 {
		return []net.IP{f.Server.AsSlice()}
	}
	var servers []net.IP
	for _, a := range f.Subnet.DNSServers {
		if a.Is4() && !a.IsUnspecified() {
			servers = append(servers, a.AsSlice())
		}
	}
	return servers
}

// broadcast is the last address of a prefix.
func broadcast(p netip.Prefix) net.IP {
	a := p.Masked().Addr().As4()
	n := binary.BigEndian.Uint32(a[:]) | uint32(uint64(1)<<(32-p.Bits())-1)
	return binary.BigEndian.AppendUint32(nil, n)
}
