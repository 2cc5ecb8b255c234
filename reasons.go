package signalbox

// The refusals that a client can act on. Who finds one says it; the HTTP edge knows Neutron's name for it.
const (
	ReasonOverlappingCIDR Reason = "overlapping cidr"   // another subnet of the network holds some of these addresses
	ReasonMACInUse        Reason = "mac in use"         // another port of the network has this MAC
	ReasonIPInUse         Reason = "ip in use"          // another port of the subnet has this address
	ReasonIPExhausted     Reason = "ip exhausted"       // the subnet's pools hold no free address
	ReasonSegmentInUse    Reason = "segment in use"     // another network has this VLAN, tunnel id or physical network
	ReasonNoSegment       Reason = "no segment"         // every segment of the configured ranges is taken
	ReasonNetworkInUse    Reason = "network in use"     // ports are left on the network
	ReasonSubnetInUse     Reason = "subnet in use"      // ports hold addresses of the subnet
	ReasonPortInUse       Reason = "port in use"        // another resource depends on the port
	ReasonUnknownFilter   Reason = "unknown filter"     // a list was asked by an attribute that it cannot be filtered or sorted by
	ReasonBusy            Reason = "try again"          // a transaction lost against others too often
	ReasonDatabase        Reason = "database not there" // no connection, or it broke
)
