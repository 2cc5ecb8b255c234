package dhcp

// Outcome is what became of one frame. Its String is fit to be a metric's label.
type Outcome uint8

// What became of a frame. Up to Informed there is a reply; from Declined on there is none.
const (
	Offered  Outcome = iota // DISCOVER: OFFER
	Acked                   // REQUEST: ACK
	Refused                 // REQUEST for an address that is not the port's: NAK
	Informed                // INFORM: ACK without a lease

	Declined    // DECLINE: somebody else answers ARP for the port's address
	Released    // RELEASE: noted; the address stays the port's
	OtherServer // meant for another DHCP server
	Foreign     // DECLINE, RELEASE or INFORM about an address that is not the port's
	NoAddress   // the port has no IPv4 address that is served
	WrongMAC    // chaddr or the frame's source is not the port's MAC
	Relayed     // giaddr is set: no VM is a relay
	Unexpected  // a message type that no client sends to a server, or one unknown
	NotDHCP     // no IPv4 UDP to port 67
	Malformed   // a length, checksum or field that cannot be right; a fragment; plain BOOTP

	outcomes // their number
)

// String is the outcome in a word or two, joined by underscores.
func (o Outcome) String() string {
	names := [outcomes]string{
		Offered: "offer", Acked: "ack", Refused: "nak", Informed: "inform_ack",
		Declined: "declined", Released: "released", OtherServer: "other_server", Foreign: "foreign_address",
		NoAddress: "no_address", WrongMAC: "wrong_mac", Relayed: "relayed", Unexpected: "unexpected_type",
		NotDHCP: "not_dhcp", Malformed: "malformed",
	}
	if o >= outcomes {
		return "unknown"
	}
	return names[o]
}

// Outcomes lists them all, for counters that should exist before they count.
func Outcomes() []Outcome {
	all := make([]Outcome, outcomes)
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}
