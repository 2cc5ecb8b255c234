// Package openflow speaks OpenFlow 1.3 with one switch: bytes to values and values to bytes. It is the
// only room that knows the wire.
//
// Handshake makes a Conn of an accepted connection; Run serves it until it ends. While Run runs, Apply,
// PacketOut, Flows, Meters and WatchFlows may be called from any goroutine except Run's own: a Handler
// that waited for one of them would wait for itself.
//
// What leaves by the session's ordinary messages is framed by libOpenflow; flows, and all that arrives, go
// through this package's own codec (docs/adr/0001-openflow-codec.md). The extensions used are the ONF
// bundles and flow monitor for 1.3 (EXT-230, EXT-187) and Nicira's registers, tunnel fields, register load
// and move, and resubmit, as Open vSwitch implements them (ovs-fields(7), ovs-actions(7)).
package openflow
