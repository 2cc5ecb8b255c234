package main

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/dhcp"
)

// askEvery is how often a switch lets one port ask: flowpipeline's meter.
const askEvery = 10

// measureDHCP is the answering alone, on one core: a frame in, a frame out.
func measureDHCP(s *stage, t *table) {
	const rounds, answers = 5, 20_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	mac := signalbox.MustMAC("fa:16:3e:00:00:01")
	facts := []dhcp.Facts{{
		MAC: mac, Addr: netip.MustParseAddr("10.0.0.3"),
		Subnet: &signalbox.Subnet{CIDR: netip.MustParsePrefix("10.0.0.0/24"), GatewayIP: netip.MustParseAddr("10.0.0.1"),
			DNSServers: []netip.Addr{netip.MustParseAddr("9.9.9.9")}, EnableDHCP: true},
		Server: netip.MustParseAddr("10.0.0.2"), ServerMAC: signalbox.MustMAC("fa:16:3e:00:00:02"),
		MTU: 1450, Hostname: "host-10-0-0-3", Domain: "openstacklocal", Lease: 24 * time.Hour,
	}}
	frame := discover(s, mac)
	var took []time.Duration
	for range rounds {
		s.must(nil)
		took = append(took, timed(func() {
			for range answers {
				if reply, outcome := dhcp.Answer(frame, facts); reply == nil {
					s.Fatalf("no answer: %v", outcome)
				}
			}
		}))
	}
	is := rate(answers, median(took))
	t.add("DHCP answers, made on one core", perSecond(is), fmt.Sprintf("a port may ask %d/s", askEvery), fmt.Sprintf("%.0f ports", is/askEvery), bound{}, 0)
}

// discover is a DHCPDISCOVER as a VM sends it.
func discover(s *stage, mac signalbox.MAC) []byte {
	hw := net.HardwareAddr(mac[:])
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4zero, DstIP: net.IPv4bcast}
	udp := &layers.UDP{SrcPort: 68, DstPort: 67}
	s.must(udp.SetNetworkLayerForChecksum(ip))
	return frame(s,
		&layers.Ethernet{SrcMAC: hw, DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeIPv4}, ip, udp,
		&layers.DHCPv4{Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 0x51b, ClientHWAddr: hw,
			Options: layers.DHCPOptions{
				layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeDiscover)}),
				layers.NewDHCPOption(layers.DHCPOptParamsRequest, []byte{1, 3, 6, 12, 15, 26, 51, 121}),
				layers.NewDHCPOption(layers.DHCPOptEnd, nil),
			}})
}

// whoHas is an ARP request.
func whoHas(s *stage, mac signalbox.MAC, own, wanted netip.Addr) []byte {
	return frame(s,
		&layers.Ethernet{SrcMAC: mac[:], DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPRequest, SourceHwAddress: mac[:], SourceProtAddress: own.AsSlice(),
			DstHwAddress: make([]byte, 6), DstProtAddress: wanted.AsSlice()})
}

func frame(s *stage, of ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	s.must(gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, of...))
	return b.Bytes()
}
