//go:build integration

package flowpipeline

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

const claimsWorld = `
host a 192.0.2.1 vxlan=101
network blue vxlan 1001
subnet blue 10.0.0.0/24 dhcp
subnet blue 2001:db8::/64
server dhcp-blue blue fa:16:3e:00:00:02 10.0.0.2
router main
interface main blue fa:16:3e:00:00:01 10.0.0.1
port vm1 blue fa:16:3e:00:00:03 10.0.0.3,2001:db8::3 on a tap1 11
pair vm1 10.0.0.99
pair vm1 00:00:5e:00:01:07 10.0.0.98
pair vm1 00:00:5e:00:02:07 2001:db8:0:0:99::/80
port wide4 blue fa:16:3e:00:00:04 10.0.0.4 on a tap2 12
pair wide4 0.0.0.0/0
port wide6 blue fa:16:3e:00:00:05 10.0.0.5 on a tap3 13
pair wide6 ::/0
port bare blue fa:16:3e:00:00:06 - on a tap4 14
port open1 blue fa:16:3e:00:00:07 10.0.0.7 on a tap5 15
open open1
`

// speaker is what a port may claim, said without the flows: each MAC with its blocks.
type speaker map[string][]string

func (s speaker) may(mac string, a netip.Addr) bool {
	return slices.ContainsFunc(s[mac], func(block string) bool { return netip.MustParsePrefix(block).Contains(a) })
}

func (s speaker) may4(mac string) bool {
	return slices.ContainsFunc(s[mac], func(block string) bool { return netip.MustParsePrefix(block).Addr().Is4() })
}

// Every packet that small sets of MACs and addresses can make is put to the switch, and to a model of a few lines.
func TestAPortMayClaimWhatIsItsOwnHoweverItDoes(t *testing.T) {
	l := newLab(t, parseTopology(t, "claims", claimsWorld))
	const vrrp, vrrp6, alien, none = "00:00:5e:00:01:07", "00:00:5e:00:02:07", "fa:16:3e:00:00:77", ""
	local := func(mac string) string { return signalbox.MustMAC(mac).LinkLocal().String() }
	for port, s := range map[string]speaker{
		"vm1": {l.mac("vm1"): {"10.0.0.3/32", "10.0.0.99/32", "2001:db8::3/128", local(l.mac("vm1")) + "/128"},
			vrrp: {"10.0.0.98/32"}, vrrp6: {"2001:db8:0:0:99::/80", local(vrrp6) + "/128"}},
		"wide4": {l.mac("wide4"): {"10.0.0.4/32", "0.0.0.0/0", local(l.mac("wide4")) + "/128"}},
		"wide6": {l.mac("wide6"): {"10.0.0.5/32", "::/0", local(l.mac("wide6")) + "/128"}},
		"bare":  {l.mac("bare"): nil},
	} {
		own := l.mac(port)
		macs := []string{own, alien}
		if port == "vm1" {
			macs = append(macs, vrrp, vrrp6)
		}
		options := append([]string{none}, macs...)
		v4 := []string{"10.0.0.99", "10.0.0.98", "10.0.0.77", "0.0.0.0"}
		// The last two have an IPv4 address of the port's in them, and are none.
		v6 := []string{"2001:db8::3", local(own), local(vrrp6), "2001:db8:0:0:99::5", "2001:db8::77", "::", "::10.0.0.3", "::ffff:10.0.0.99"}
		if ips := addresses(l.port[port], false); len(ips) > 0 {
			v4 = append(v4, ips[0].String())
		}
		count := 0
		put := func(frame, packet string, want bool) {
			count++
			w := l.walk("a", l.in(port)+",eth_src="+frame+",eth_dst=ff:ff:ff:ff:ff:ff,"+packet)
			got := slices.ContainsFunc(w.steps, func(s string) bool { return strings.HasPrefix(s, "services: ") })
			if got != want {
				t.Errorf("%s as %s says %s: passes %v, and should %v\n%s", port, frame, packet, got, want, w.text)
			}
		}
		address := netip.MustParseAddr
		for _, frame := range macs {
			for _, src := range v4 {
				put(frame, "udp,nw_dst=10.0.0.2,udp_dst=9,nw_src="+src, s.may(frame, address(src)))
				for _, said := range macs {
					honest := said == frame && s.may(said, address(src))
					arp := "arp,arp_sha=" + said + ",arp_spa=" + src
					put(frame, arp+",arp_op=2,arp_tpa=10.0.0.3", honest)
					probe := said == frame && src == "0.0.0.0" && s.may4(said)
					put(frame, arp+",arp_op=1,arp_tpa=10.0.0.3", honest || probe)
					put(frame, arp+",arp_op=1,arp_tpa=10.0.0.77", honest || probe)
				}
			}
			asks := "udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67"
			_, known := s[frame]
			put(frame, asks, known)
			put(frame, "icmp6,ipv6_src=::,icmpv6_type=143", known || s.may(frame, netip.IPv6Unspecified()))
			for _, src := range v6 {
				from := s.may(frame, address(src))
				put(frame, "udp6,udp_dst=9,ipv6_src="+src, from)
				put(frame, "icmp6,icmpv6_type=136,icmpv6_code=1,ipv6_src="+src, from && s.may(frame, netip.IPv6Unspecified()))
				for _, target := range v6 {
					for _, option := range options {
						said := func(field string) string {
							if option == none {
								return ""
							}
							return "," + field + "=" + option
						}
						honest := option == none || option == frame
						probe := option == none && src == "::" && s.may(frame, address(target))
						put(frame, fmt.Sprintf("icmp6,ipv6_src=%s,icmpv6_type=135,nd_target=%s%s", src, target, said("nd_sll")), honest && from || probe)
						put(frame, fmt.Sprintf("icmp6,ipv6_src=%s,icmpv6_type=136,nd_target=%s%s", src, target, said("nd_tll")),
							honest && from && s.may(frame, address(target)))
					}
				}
			}
		}
		t.Logf("%s: %d packets", port, count)
	}
}

func TestAPortHearsWhoElseHasItsAddress(t *testing.T) {
	l := newLab(t, parseTopology(t, "claims", claimsWorld))
	const vrrp = "00:00:5e:00:01:07"
	others := func(but string) string {
		return strings.Join(slices.DeleteFunc([]string{"tap1", "tap2", "tap3", "tap4", "tap5"}, func(tap string) bool { return tap == but }), " + ")
	}
	asks := func(port, mac, spa, tpa string) string {
		return l.in(port) + ",eth_src=" + mac + ",eth_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_sha=" + mac + ",arp_spa=" + spa + ",arp_tpa=" + tpa
	}
	l.play(t, []scene{
		{"announces", "a", asks("vm1", l.mac("vm1"), "10.0.0.3", "10.0.0.3"), others("tap1"), ""},
		{"probes", "a", asks("vm1", l.mac("vm1"), "0.0.0.0", "10.0.0.3"), others("tap1"), ""},
		{"asks_from_its_pair's_address", "a", asks("vm1", l.mac("vm1"), "10.0.0.99", "10.0.0.3"), others("tap1"), ""},
		{"asks_from_its_pair's_MAC", "a", asks("vm1", vrrp, "10.0.0.98", "10.0.0.3"), others("tap1"), ""},
		{"for_another's", "a", asks("vm1", l.mac("vm1"), "10.0.0.3", "10.0.0.4"), "tap1", "port wide4 answers ARP"},
		{"another_asks", "a", asks("wide4", l.mac("wide4"), "10.0.0.4", "10.0.0.3"), "tap2", "port vm1 answers ARP"},
		{"announces_what_is_in_its_block_too", "a", asks("wide4", l.mac("wide4"), "10.0.0.4", "10.0.0.4"), others("tap2"), ""},
		{"of_all_that_it_may_claim_only_its_own", "a", asks("wide4", l.mac("wide4"), "10.0.0.4", "10.0.0.1"), "tap2", "port main-blue answers ARP"},
		{"lies_while_it_asks_for_its_own", "a", asks("vm1", l.mac("vm1"), "10.0.0.4", "10.0.0.3"), "drop", "honest"},
		{"security_off_announces", "a", asks("open1", l.mac("open1"), "10.0.0.7", "10.0.0.7"), others("tap5"), ""},
		{"security_off_asks_for_another's", "a", asks("open1", l.mac("open1"), "10.0.0.7", "10.0.0.3"), "tap5", "port vm1 answers ARP"},
	})
}
