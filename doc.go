// Package signalbox is the vocabulary that every room of the project shares: networks, subnets, ports,
// hosts, bindings and the errors said about them. Plain values only: nothing here does I/O or knows
// HTTP, SQL or OpenFlow.
package signalbox
