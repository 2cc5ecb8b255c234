package controller

import (
	"net/netip"

	"github.com/signalbox-sdn/signalbox"
)

// ARP for IPv4 over Ethernet, RFC 826.

const (
	arpAsks    = 1
	arpAnswers = 2

	arpHeader = 28
	leastLong = 60 // a frame, without its check sequence
)

// arpRequest is a frame that asks who has an address on behalf of a sender. It goes to everybody, or to who
// had the address before (RFC 1122, 2.3.2.1).
func arpRequest(to, mac signalbox.MAC, ip, wanted [4]byte) []byte {
	frame := make([]byte, 0, leastLong)
	frame = append(frame, to[:]...)
	frame = append(frame, mac[:]...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, arpAsks)
	frame = append(frame, mac[:]...)
	frame = append(frame, ip[:]...)
	frame = append(frame, 0, 0, 0, 0, 0, 0)
	frame = append(frame, wanted[:]...)
	return frame[:leastLong]
}

// gratuitousARP is a request for the sender's own address, to everybody (RFC 5227).
func gratuitousARP(mac signalbox.MAC, ip [4]byte) []byte {
	return arpRequest(signalbox.Broadcast, mac, ip, ip)
}

// claimIn is who a frame says has an address: the sender of an ARP answer, or of a request for its own address.
// It is false for any other frame, and for what no one machine could say of itself.
func claimIn(frame []byte) (addr netip.Addr, mac signalbox.MAC, ok bool) {
	if len(frame) < ethernetHeader+arpHeader || frame[12] != 0x08 || frame[13] != 0x06 {
		return addr, mac, false
	}
	arp := frame[ethernetHeader:]
	if [6]byte(arp[:6]) != [6]byte{0, 1, 0x08, 0x00, 6, 4} || arp[6] != 0 {
		return addr, mac, false
	}
	mac, addr = signalbox.MAC(arp[8:14]), netip.AddrFrom4([4]byte(arp[14:18]))
	announces := arp[7] == arpAsks && addr == netip.AddrFrom4([4]byte(arp[24:28]))
	ok = (arp[7] == arpAnswers || announces) && mac != (signalbox.MAC{}) && !mac.IsMulticast() && oneHost(addr)
	return addr, mac, ok
}
