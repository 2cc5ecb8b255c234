// Package testbed builds small data centres on one machine: hosts and VMs as network namespaces, a real
// ovsdb-server and ovs-vswitchd per host, real DHCP clients, real TCP. The script tests and `make demo`
// stand on it. It needs root and Linux.
//
//	                 Lab's namespace  NAME-net
//	  signalbox, 192.0.2.1 ── bridge underlay       bridge physnet ── (what a switch between hosts carries:
//	                             │     │                │     │        tagged and untagged frames)
//	Host's namespace  NAME-h1    │     │                │     │
//	           nic0 ── br-phy ───┘     │     nic1 ── br-eth   │
//	           192.0.2.11 on br-phy    └─ h2 …               └─ h2 …
//	           br-int ── vm1's veth
//	                       │
//	VM's namespace  NAME-vm1: eth0
//
// All addresses live inside the lab's own namespaces, so labs never meet and run side by side. A lab
// records every process and namespace that it makes in its folder; Sweep ends what a lab left behind when
// its owner died, and nothing else.
//
// Functions return errors and never print. Nothing here imports package testing.
package testbed
