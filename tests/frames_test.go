//go:build integration

package tests

import (
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
)

// frame puts layers together, with lengths and checksums as they should be.
func frame(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err) // the layers are ours
	}
	return b.Bytes()
}

func ethernet(from, to signalbox.MAC, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: from[:], DstMAC: to[:], EthernetType: kind}
}

// arp is an ARP packet whose sender says that ip is at mac; asked of everybody about target.
func arp(from, mac signalbox.MAC, ip, target netip.Addr) []byte {
	return frame(ethernet(from, signalbox.Broadcast, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: mac[:], SourceProtAddress: ip.AsSlice(),
		DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice(),
	})
}

// udp is a datagram with a payload that a test can know again.
func udp(from, to signalbox.MAC, src, dst netip.AddrPort, payload string) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // it is IPv4
	}
	return frame(ethernet(from, to, layers.EthernetTypeIPv4), ip, u, gopacket.Payload(payload))
}

// dhcpMessage is a message of a DHCP client, or, for offers and acknowledgements, of a false server.
func dhcpMessage(kind layers.DHCPMsgType, from signalbox.MAC, xid uint32) []byte {
	src, dst := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	op := layers.DHCPOpRequest
	if kind == layers.DHCPMsgTypeOffer || kind == layers.DHCPMsgTypeAck {
		src, dst, op = netip.MustParseAddrPort("10.0.0.66:67"), netip.MustParseAddrPort("255.255.255.255:68"), layers.DHCPOpReply
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // it is IPv4
	}
	return frame(ethernet(from, signalbox.Broadcast, layers.EthernetTypeIPv4), ip, u, &layers.DHCPv4{
		Operation: op, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: xid, ClientHWAddr: net.HardwareAddr(from[:]),
		Options: layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(kind)})},
	})
}

// Predicates on frames that a Wire heard.

func packet(f []byte) gopacket.Packet {
	return gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.NoCopy)
}

func isARPRequestFor(ip netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		a, ok := packet(f).Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && a.Operation == layers.ARPRequest && netip.AddrFrom4([4]byte(a.DstProtAddress)) == ip
	}
}

func isEchoRequest(f []byte) bool {
	i, ok := packet(f).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	return ok && i.TypeCode.Type() == layers.ICMPv4TypeEchoRequest
}

func isDHCP(f []byte) bool { return packet(f).Layer(layers.LayerTypeDHCPv4) != nil }

func carries(payload string) func([]byte) bool {
	return func(f []byte) bool {
		a := packet(f).ApplicationLayer()
		return a != nil && string(a.Payload()) == payload
	}
}
