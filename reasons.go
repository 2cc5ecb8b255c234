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
	ReasonRouterInUse     Reason = "router in use"      // the router has interfaces
	ReasonGatewayInUse    Reason = "gateway in use"     // a router's interface has the subnet's gateway address
	ReasonRouteInUse      Reason = "route in use"       // a router's static route goes by the interface
	ReasonNoInterface     Reason = "no interface"       // the port is no interface of the router
	ReasonNotOnSubnet     Reason = "not on subnet"      // the router has no interface on the subnet
	ReasonGatewayNeeded   Reason = "gateway needed"     // floating IPs need the router's gateway
	ReasonInterfaceNeeded Reason = "interface needed"   // floating IPs need the router's interface
	ReasonFloatingInUse   Reason = "floating ip in use" // the fixed address has a floating IP on that network already
	ReasonExternalInUse   Reason = "external in use"    // gateways or floating IPs use the external network
	ReasonNoPath          Reason = "no path"            // no router joins the port's subnet to the external network
	ReasonGroupInUse      Reason = "group in use"       // ports are in the security group
	ReasonDefaultExists   Reason = "default exists"     // the default security group is there, and its name is its own
	ReasonKeepDefault     Reason = "keep default group" // only an admin may delete the default security group
	ReasonDefaultName     Reason = "default's name"     // the default security group keeps its name
	ReasonRuleExists      Reason = "rule exists"        // another rule of the group allows just the same
	ReasonPolicyExists    Reason = "policy exists"      // another policy says the same
	ReasonPolicyInUse     Reason = "policy in use"      // what a policy lets a project have is there
	ReasonSharedInUse     Reason = "shared in use"      // others have ports on the network that would no longer be shared
	ReasonNothingToTag    Reason = "nothing to tag"     // the resource whose tags were asked for is not there
	ReasonStillInGroups   Reason = "still in groups"    // port security cannot go before the port's security groups
	ReasonNoBinding       Reason = "no binding"         // the port has none to that host
	ReasonBindingExists   Reason = "binding exists"     // the port has one to that host
	ReasonBindingActive   Reason = "binding active"     // that one counts already
	ReasonBindingFailed   Reason = "binding failed"     // the host is none of ours, or cannot plug in what is asked for
	ReasonUnknownFilter   Reason = "unknown filter"     // a list was asked by an attribute that it cannot be filtered or sorted by
	ReasonOverQuota       Reason = "over quota"         // the project may have no more of it
	ReasonNoQuota         Reason = "no quota"           // the project has no limits of its own
	ReasonBusy            Reason = "try again"          // a transaction lost against others too often
	ReasonDatabase        Reason = "database not there" // no connection, or it broke
)

// Refusals of what a request asks for, whatever else is there.
const (
	ReasonBadRequest       Reason = "bad request"        // the request as a whole does not say enough, or too much
	ReasonInvalidInput     Reason = "invalid input"      // a value cannot be read, or not beside another of the same request
	ReasonGatewayInPool    Reason = "gateway in pool"    // the gateway's address would be given to ports
	ReasonPoolInvalid      Reason = "pool invalid"       // a pool that ends before it begins, or mixes families
	ReasonPoolOutside      Reason = "pool outside"       // a pool leaves its subnet
	ReasonPoolsOverlap     Reason = "pools overlap"      // two pools share an address
	ReasonIPNotOnNetwork   Reason = "ip not on network"  // no subnet of the network can give this address to a port
	ReasonIPNotOnSubnet    Reason = "ip not on subnet"   // the named subnet cannot give this address to a port
	ReasonAutoAddress      Reason = "auto address"       // addresses of a SLAAC subnet follow from the MAC and cannot be chosen
	ReasonMTUTooSmall      Reason = "mtu too small"      // IPv6 needs 1280 bytes (RFC 8200)
	ReasonPortBound        Reason = "port bound"         // a host holds the port
	ReasonInvalidRoutes    Reason = "invalid routes"     // a route's next hop is not where the router could send to
	ReasonTooManyRoutes    Reason = "too many routes"    // more static routes than a router may have
	ReasonSubnetMismatch   Reason = "subnet mismatch"    // the named port is not on the named subnet
	ReasonInvalidProtocol  Reason = "invalid protocol"   // no IP protocol that rules can name
	ReasonInvalidEtherType Reason = "invalid ethertype"  // neither IPv4 nor IPv6
	ReasonInvalidPort      Reason = "invalid port"       // no port of a transport protocol
	ReasonInvalidRange     Reason = "invalid port range" // ports of which the last is before the first, or is missing
	ReasonInvalidICMP      Reason = "invalid icmp"       // no type or code of ICMP
	ReasonICMPWithoutType  Reason = "icmp without type"  // a code belongs to a type
	ReasonPortsOfNothing   Reason = "ports of nothing"   // ports without a protocol
	ReasonPortlessProtocol Reason = "portless protocol"  // ports of a protocol that has none
	ReasonInvalidCIDR      Reason = "invalid cidr"       // no block of addresses
	ReasonFamilyConflict   Reason = "family conflict"    // the remote prefix is not of the rule's family
	ReasonProtocolConflict Reason = "protocol conflict"  // the protocol is not of the rule's family
	ReasonManyRemotes      Reason = "many remotes"       // a rule with two kinds of other end
	ReasonManyGroups       Reason = "many groups"        // rules of several groups in one request
	ReasonInvalidAction    Reason = "invalid action"     // no action of policies, or not of those on such objects
	ReasonRuleTwice        Reason = "rule twice"         // a request has two rules that allow the same
	ReasonServicePort      Reason = "service port"       // the port belongs to a service and lives as long as that
	ReasonRevisionMismatch Reason = "revision mismatch"  // the row has changed since the client read it
	ReasonGroupsSecured    Reason = "groups secured"     // security groups are part of port security, and so need it
	ReasonPairsSecured     Reason = "pairs secured"      // address pairs widen port security, and so need it
	ReasonTooManyPairs     Reason = "too many pairs"     // more address pairs than a port may have
	ReasonDuplicatePair    Reason = "duplicate pair"     // an address pair is there twice
	ReasonPairMissingIP    Reason = "pair missing ip"    // an address pair without an address
	ReasonMethod           Reason = "method not allowed" // the URL is right, the verb is not
	ReasonNotAcceptable    Reason = "not acceptable"     // the client takes no JSON
	ReasonTooLarge         Reason = "body too large"     // the request's body is over the limit
	ReasonTooMany          Reason = "too many requests"  // the project asks more often than it may
)
