//go:build integration

package flowpipeline

import "testing"

func TestQuestionsForNamesGoToTheController(t *testing.T) {
	l := newLab(t, parseTopology(t, "names", `
host a 192.0.2.1 vxlan=101
network blue vxlan 1001
network red vxlan 1002
network grey vxlan 1003
subnet blue 10.0.0.0/24 dhcp
subnet blue 10.0.9.0/24
subnet red 10.0.0.0/24
subnet grey 10.0.0.0/24 dhcp 9.9.9.9
server dhcp-blue blue fa:16:3e:00:00:02 10.0.0.2
server dhcp-grey grey fa:16:3e:00:02:02 10.0.0.2
port vm1 blue fa:16:3e:00:00:03 10.0.0.3 on a tap1 11
port vm2 blue fa:16:3e:00:00:04 10.0.0.4 on a tap2 12
port other blue fa:16:3e:00:00:05 10.0.9.5 on a tap5 15
port red1 red fa:16:3e:00:01:03 10.0.0.3 on a tap3 13
port grey1 grey fa:16:3e:00:02:03 10.0.0.3 on a tap4 14
`))
	tcp := func(port, more string) string {
		return l.from(port, "fa:16:3e:00:00:02", "tcp,nw_src="+l.addr(port)+",nw_dst=10.0.0.2,tcp_src=40000,"+more)
	}
	udp := func(port, to, dst string, number int) string {
		return l.udp(port, to, l.addr(port), dst, [2]int{40000, number})
	}
	const asked = "takes questions for names to the controller"
	l.play(t, []scene{
		{"by_udp", "a", udp("vm1", "dhcp-blue", "10.0.0.2", 53), "controller", asked},
		{"by_tcp", "a", tcp("vm1", "tcp_dst=53"), "controller", asked},
		{"whatever_mac_is_asked", "a", udp("vm1", "vm2", "10.0.0.2", 53), "controller", asked},
		{"another_port_of_the_server", "a", udp("vm1", "dhcp-blue", "10.0.0.2", 54), "drop", "switching"},
		{"another_tcp_port_of_the_server", "a", tcp("vm1", "tcp_dst=853"), "drop", "switching"},
		{"another_guest", "a", udp("vm1", "vm2", "10.0.0.4", 53), "tap2", ""},
		{"from_another's_address", "a", l.udp("vm1", "dhcp-blue", "10.0.0.4", "10.0.0.2", [2]int{40000, 53}), "drop", "honest"},
		{"from_a_subnet_without_dhcp", "a", udp("other", "dhcp-blue", "10.0.0.2", 53), "drop", "names"},
		{"on_a_network_without_a_server", "a", udp("red1", "dhcp-blue", "10.0.0.2", 53), "drop", "switching"},
		{"where_the_subnet_names_a_server", "a", udp("grey1", "dhcp-grey", "10.0.0.2", 53), "drop", "switching"},
	})
}
