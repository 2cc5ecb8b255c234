package controller

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/flowpipeline"
)

var (
	senderMAC = signalbox.MustMAC("fa:16:3e:00:00:03")
	routerMAC = signalbox.MustMAC("fa:16:3e:00:00:01")
)

func refusalFor(why flowpipeline.PuntReason) refusal {
	return refusal{why: why, router: netip.MustParseAddr("10.0.0.1"), from: routerMAC, mtu: 1400,
		to: &signalbox.Port{MAC: senderMAC, FixedIPs: []signalbox.FixedIP{
			{Addr: netip.MustParseAddr("2001:db8::3")}, {Addr: netip.MustParseAddr("10.0.0.3")}}}}
}

// refused is a frame of the sender to its router: an IPv4 packet of a protocol, with a payload.
func refused(protocol byte, payload ...byte) []byte {
	b := append(routerMAC[:len(routerMAC):len(routerMAC)], senderMAC[:]...)
	b = append(b, 8, 0, 0x45, 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 3, 10, 0, 1, 4)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
	binary.BigEndian.PutUint16(b[24:], checksum(b[14:34]))
	return b
}

func udpFrame(payload int) []byte { return refused(17, make([]byte, 8+payload)...) }

func TestEachRefusalHasItsTypeAndCode(t *testing.T) {
	udp, tcp, esp, ping := udpFrame(40), refused(6, make([]byte, 20)...), refused(50, make([]byte, 20)...), refused(1, 8, 0, 1, 2, 0, 1, 0, 1)
	for name, tt := range map[string]struct {
		why        flowpipeline.PuntReason
		frame      []byte
		kind, code byte
		mtu        uint16
	}{
		"ttl":              {flowpipeline.PuntTimeExceeded, udp, 11, 0, 0},
		"ttl_of_a_ping":    {flowpipeline.PuntTimeExceeded, ping, 11, 0, 0},
		"no_route":         {flowpipeline.PuntNoRoute, udp, 3, 0, 0},
		"no_neighbour":     {flowpipeline.PuntNoNeighbour, tcp, 3, 1, 0},
		"too_large":        {flowpipeline.PuntTooLarge, udp, 3, 4, 1400},
		"no_udp_service":   {flowpipeline.PuntNoService, udp, 3, 3, 0},
		"no_tcp_service":   {flowpipeline.PuntNoService, tcp, 3, 3, 0},
		"no_such_protocol": {flowpipeline.PuntNoService, esp, 3, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out := icmpError(tt.frame, refusalFor(tt.why))
			checkError(t, out, tt.frame)
			if out[34] != tt.kind || out[35] != tt.code || binary.BigEndian.Uint32(out[38:]) != uint32(tt.mtu) {
				t.Errorf("type %d code %d rest %x, not %d, %d, %x", out[34], out[35], out[38:42], tt.kind, tt.code, tt.mtu)
			}
		})
	}
}

// checkError holds an error about a frame to what every one must be.
func checkError(t *testing.T, out, about []byte) {
	t.Helper()
	if len(out) < 14+20+8+20 {
		t.Fatalf("the error is %x", out)
	}
	ip := out[14:]
	if !bytes.Equal(out[:6], senderMAC[:]) || !bytes.Equal(out[6:12], routerMAC[:]) || !bytes.Equal(out[12:14], []byte{8, 0}) {
		t.Errorf("Ethernet header %x", out[:14])
	}
	if !bytes.Equal(ip[12:20], []byte{10, 0, 0, 1, 10, 0, 0, 3}) || ip[0] != 0x45 || ip[8] != 64 || ip[9] != 1 {
		t.Errorf("IP header %x", ip[:20])
	}
	if n := int(binary.BigEndian.Uint16(ip[2:])); n != len(ip) || n > 576 {
		t.Errorf("an IP packet of %d bytes says %d", len(ip), n)
	}
	// What carries its own checksum sums up to nothing.
	if checksum(ip[:20]) != 0 || checksum(ip[20:]) != 0 {
		t.Errorf("checksums %x and %x do not hold", ip[10:12], ip[22:24])
	}
	quote, whole := ip[28:], about[14:]
	total := int(binary.BigEndian.Uint16(whole[2:]))
	if want := whole[:min(total, 576-28)]; !bytes.Equal(quote, want) {
		t.Errorf("quotes %d bytes of %d", len(quote), total)
	}
}

func TestAnErrorQuotesAsMuchAsFitsAndNoPadding(t *testing.T) {
	for _, n := range []int{0, 1, 519, 520, 521, 1400} {
		frame := udpFrame(n)
		checkError(t, icmpError(frame, refusalFor(flowpipeline.PuntNoRoute)), frame)
	}
	padded := append(udpFrame(0), make([]byte, 18)...)
	checkError(t, icmpError(padded, refusalFor(flowpipeline.PuntNoRoute)), padded)
}

func TestSomePacketsAreNotTalkedAbout(t *testing.T) {
	change := func(at int, to ...byte) []byte {
		f := udpFrame(40)
		copy(f[at:], to)
		return f
	}
	longHeader := change(14, 0x46)
	binary.BigEndian.PutUint16(longHeader[16:], 23) // shorter than its header
	for name, frame := range map[string][]byte{
		"an error":                   refused(1, 3, 1, 0, 0, 0, 0, 0, 0),
		"a time exceeded":            refused(1, 11, 0, 0, 0, 0, 0, 0, 0),
		"a redirect":                 refused(1, 5, 0, 0, 0, 0, 0, 0, 0),
		"an unknown type of ICMP":    refused(1, 42, 0, 0, 0, 0, 0, 0, 0),
		"ICMP without a type":        refused(1),
		"a later fragment":           change(20, 0, 1),
		"a later fragment of more":   change(20, 0x20, 100),
		"to multicast":               change(30, 224, 0, 0, 5),
		"to broadcast":               change(30, 255, 255, 255, 255),
		"to loopback":                change(30, 127, 0, 0, 1),
		"from nobody":                change(26, 0, 0, 0, 0),
		"from multicast":             change(26, 224, 0, 0, 1),
		"from another":               change(26, 10, 0, 0, 4),
		"a broadcast frame":          change(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"IPv6":                       change(12, 0x86, 0xdd),
		"a tagged frame":             change(12, 0x81, 0x00),
		"another version":            change(14, 0x55),
		"a short header":             change(14, 0x44),
		"less than it says":          change(16, 0x10, 0),
		"a header beyond its length": longHeader,
		"half a header":              udpFrame(0)[:30],
		"nothing":                    nil,
	} {
		if out := icmpError(frame, refusalFor(flowpipeline.PuntTimeExceeded)); out != nil {
			t.Errorf("%s: %x", name, out)
		}
	}
	first := change(20, 0x20, 0) // more fragments follow
	checkError(t, icmpError(first, refusalFor(flowpipeline.PuntTimeExceeded)), first)

	ping := refused(1, 8, 0, 0, 0, 0, 0, 0, 0)
	if out := icmpError(ping, refusalFor(flowpipeline.PuntNoService)); out != nil {
		t.Errorf("a ping of the router gets %x", out)
	}
	for _, why := range []flowpipeline.PuntReason{0, flowpipeline.PuntDHCP, flowpipeline.PuntFirstPacket, 99} {
		if out := icmpError(udpFrame(0), refusalFor(why)); out != nil {
			t.Errorf("%s gets %x", why, out)
		}
	}
	nameless := refusalFor(flowpipeline.PuntNoRoute)
	nameless.router = netip.Addr{}
	if out := icmpError(udpFrame(0), nameless); out != nil {
		t.Errorf("a router without an address says %x", out)
	}
	unsized := refusalFor(flowpipeline.PuntTooLarge)
	unsized.mtu = 0
	if out := icmpError(udpFrame(0), unsized); out != nil {
		t.Errorf("a network without an MTU says %x", out)
	}
}

func FuzzICMPError(f *testing.F) {
	f.Add(byte(flowpipeline.PuntTooLarge), udpFrame(1400))
	f.Add(byte(flowpipeline.PuntNoService), refused(6, make([]byte, 20)...))
	f.Add(byte(flowpipeline.PuntTimeExceeded), refused(1, 8, 0, 1, 2, 0, 1, 0, 1))
	f.Add(byte(flowpipeline.PuntNoRoute), refused(1, 3, 1, 0, 0))
	options := refused(17, make([]byte, 60)...)
	options[14] = 0x4f
	f.Add(byte(flowpipeline.PuntNoNeighbour), options)
	f.Fuzz(func(t *testing.T, why byte, frame []byte) {
		before := bytes.Clone(frame)
		out := icmpError(frame, refusalFor(flowpipeline.PuntReason(why)))
		if !bytes.Equal(frame, before) {
			t.Fatal("it wrote to the frame")
		}
		if out == nil {
			return
		}
		checkError(t, out, frame)
		// An error about an error would go round for ever.
		back := bytes.Clone(out)
		copy(back[26:], []byte{10, 0, 0, 3, 10, 0, 1, 4})
		if again := icmpError(back, refusalFor(flowpipeline.PuntTimeExceeded)); again != nil {
			t.Fatalf("an error about %x is answered", out)
		}
	})
}
