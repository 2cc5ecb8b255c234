// Package store keeps Signalbox's truth in PostgreSQL: networks, subnets, ports, routers, their addresses and
// segments; gateways and floating IPs; security groups; the hosts and which of them holds which port; the neighbours met outside; and
// the feed that tells the controller what changed. It is the only room that knows SQL. What a request means is
// decided above it, in neutron; what must never be true of the data (two ports with one address, overlapping
// subnets …) is refused here, by the schema's constraints, whatever runs beside.
package store
