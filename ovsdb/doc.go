// Package ovsdb is what one host's OVSDB says and does: which interface of the integration bridge is
// which port, where the tunnels end, which bridges lead to physical networks; and the few things that
// a host needs made: tunnel ports, patch ports, fail_mode=secure.
//
// # What a host says
//
// In its Open_vSwitch row, external_ids first and other_config where external_ids is silent:
//
//	system-id        the host's stable name, written by Open vSwitch's own start script
//	hostname         the name people know it by, likewise
//	local_ip         the IPv4 address that tunnels end at; absent: the host has no tunnels
//	bridge_mappings  physical networks and their bridges: physnet1:br-eth1,physnet2:br-ex
//
// In the Interface rows of br-int, external_ids (what Nova writes when it plugs a VIF):
//
//	iface-id         the port's UUID
//	attached-mac     the VIF's MAC address
//
// # What we write
//
// Rows of ours carry external_ids:signalbox. Nothing else on the host is touched, but for br-int's
// fail_mode and other_config:disable-in-band.
//
// # The connection
//
// JSON-RPC of RFC 7047 with the update2 notifications of ovsdb-server(7), over one net.Conn: dialled
// (set-manager ptcp:6640) or accepted (set-manager tcp:CONTROLLER:6640). Operations are written in
// libovsdb's notation; reading is done here, because whatever a host sends must end in an error at
// worst. A connection is used once: after it ends, what was missed is unknown, so the next one starts
// from a whole picture.
package ovsdb
