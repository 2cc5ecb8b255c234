// Package dhcp answers a port's DHCP requests (RFC 2131) from the facts about the port: whole Ethernet
// frame in, whole Ethernet frame out. It keeps no leases, because the database has already given the
// address away; it does no I/O and has no clock.
//
// It speaks for the network with authority: a client that asks for an address that is not its port's is
// told so (NAK), and a client that talks to another server is left to it.
package dhcp

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/signalbox-sdn/signalbox"
)

// Facts are what the answers to a port are made of: one for each of its IPv4 addresses whose subnet is served.
type Facts struct {
	MAC       signalbox.MAC     // of the port
	Addr      netip.Addr        // of the port
	Subnet    *signalbox.Subnet // that Addr is from; not changed
	Server    netip.Addr        // the address of the subnet's DHCP port
	ServerMAC signalbox.MAC
	MTU       int                    // bytes; 0: not said
	Hostname  string                 // "": not said
	Domain    string                 // "": not said
	Lease     time.Duration          // zero or less: for ever
	Options   []signalbox.DHCPOption // of the port, which come before the subnet's; not changed
}

func (f *Facts) served() bool {
	return f.Addr.Is4() && f.Server.Is4() && f.Subnet != nil && f.Subnet.CIDR.Addr().Is4()
}

// Answer decides what a frame that a port has sent gets. The reply is nil where the outcome has none.
// frame is read only; the reply shares nothing with it.
func Answer(frame []byte, facts []Facts) (reply []byte, outcome Outcome) {
	d, outcome, ok := parseFrame(frame)
	if !ok {
		return nil, outcome
	}
	m, err := dhcpv4.FromBytes(d.payload)
	if err != nil || m.OpCode != dhcpv4.OpcodeBootRequest || !m.Options.Has(dhcpv4.OptionDHCPMessageType) ||
		m.HWType != iana.HWTypeEthernet || len(m.ClientHWAddr) != len(signalbox.MAC{}) {
		return nil, Malformed
	}
	if !m.GatewayIPAddr.IsUnspecified() {
		return nil, Relayed
	}
	r := request{DHCPv4: m}
	for i := range facts {
		f := &facts[i]
		if f.MAC != d.srcMAC || f.MAC != signalbox.MAC(m.ClientHWAddr) {
			return nil, WrongMAC
		}
		if f.served() && (d.dst == limitedBroadcast || d.dst == f.Server) {
			r.facts = append(r.facts, f)
		}
		r.served = r.served || f.served()
	}
	switch {
	case !r.served:
		return nil, NoAddress
	case len(r.facts) == 0:
		return nil, OtherServer // sent to the address of one
	}
	return r.answer()
}

// request is a well-formed request of the port's own client, and the facts that may answer it.
type request struct {
	*dhcpv4.DHCPv4
	facts  []*Facts
	served bool // the port has a served address, whoever this request is for
}

func (r *request) answer() ([]byte, Outcome) {
	switch r.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return r.discover()
	case dhcpv4.MessageTypeRequest:
		return r.request()
	case dhcpv4.MessageTypeInform:
		return r.inform()
	case dhcpv4.MessageTypeDecline:
		return nil, r.note(r.RequestedIPAddress(), Declined)
	case dhcpv4.MessageTypeRelease:
		return nil, r.note(r.ClientIPAddr, Released)
	default:
		return nil, Unexpected
	}
}

// discover offers the address that the client would like, where it is the port's, or the port's first.
func (r *request) discover() ([]byte, Outcome) {
	f := r.byAddr(toAddr(r.RequestedIPAddress()))
	if f == nil {
		f = r.facts[0]
	}
	return r.lease(f, dhcpv4.MessageTypeOffer), Offered
}

// request covers the four states of RFC 2131, section 4.3.2. In SELECTING the client names the server
// and the address; in INIT-REBOOT the address as an option; in RENEWING and REBINDING as its own.
func (r *request) request() ([]byte, Outcome) {
	if !r.forUs() {
		return nil, OtherServer
	}
	wanted := toAddr(r.RequestedIPAddress())
	if !wanted.IsValid() {
		wanted = toAddr(r.ClientIPAddr)
	}
	if !wanted.IsValid() {
		return nil, Malformed
	}
	if f := r.byAddr(wanted); f != nil {
		return r.lease(f, dhcpv4.MessageTypeAck), Acked
	}
	return r.refuse(wanted), Refused
}

// inform is for a client that has its address and wants the rest (RFC 2131, section 4.3.5).
func (r *request) inform() ([]byte, Outcome) {
	if !r.forUs() {
		return nil, OtherServer
	}
	own := toAddr(r.ClientIPAddr)
	if !own.IsValid() {
		return nil, Malformed
	}
	f := r.byAddr(own)
	if f == nil {
		return nil, Foreign
	}
	a := r.newReply(f, dhcpv4.MessageTypeAck)
	a.ClientIPAddr = r.ClientIPAddr
	a.addConfiguration()
	return a.frame(own), Informed
}

// note is the outcome of a message that gets no reply.
func (r *request) note(address net.IP, outcome Outcome) Outcome {
	switch {
	case !r.forUs():
		return OtherServer
	case r.byAddr(toAddr(address)) == nil:
		return Foreign
	default:
		return outcome
	}
}

// forUs drops the facts of servers that the client does not mean; false when none is left.
func (r *request) forUs() bool {
	server := toAddr(r.ServerIdentifier())
	if !r.Options.Has(dhcpv4.OptionServerIdentifier) {
		return true
	}
	kept := r.facts[:0]
	for _, f := range r.facts {
		if f.Server == server {
			kept = append(kept, f)
		}
	}
	r.facts = kept
	return len(kept) > 0
}

func (r *request) byAddr(a netip.Addr) *Facts {
	for _, f := range r.facts {
		if f.Addr == a {
			return f
		}
	}
	return nil
}

// lease is an OFFER or an ACK of the port's address. Where it goes: RFC 2131, section 4.1.
func (r *request) lease(f *Facts, t dhcpv4.MessageType) []byte {
	a := r.newReply(f, t)
	a.YourIPAddr = f.Addr.AsSlice()
	a.addLease()
	a.addConfiguration()
	to := f.Addr
	if own := toAddr(r.ClientIPAddr); own == f.Addr {
		if t == dhcpv4.MessageTypeAck {
			a.ClientIPAddr = r.ClientIPAddr
		}
	} else if r.IsBroadcast() {
		to = limitedBroadcast
	}
	return a.frame(to)
}

// refuse is a NAK, broadcast always: the client's address is what is wrong. It carries no
// configuration (RFC 2131, table 3).
func (r *request) refuse(wanted netip.Addr) []byte {
	a := r.newReply(r.facts[0], dhcpv4.MessageTypeNak)
	a.add(dhcpv4.OptMessage(wanted.String() + " is not this port's address"))
	return a.frame(limitedBroadcast)
}

// toAddr is the zero Addr for an absent, malformed or unspecified address.
func toAddr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || !a.Is4() || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
