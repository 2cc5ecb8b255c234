package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/google/uuid"
	"github.com/lib/pq" // also registers the driver

	"github.com/signalbox-sdn/signalbox"
)

// The driver is named here and its errors are understood here, and nowhere else but by the feed's listener.
const driverName = "postgres"

// newConnector opens connections that plan each prepared statement once. Left to itself, PostgreSQL plans most of ours anew at
// every execution, as it takes an array parameter for longer than it is; that costs as much as running them. A plan that is
// made once must not be made for a table that is still small: every statement has an index, and shall use it.
func newConnector(dsn string) (driver.Connector, error) {
	c, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, err
	}
	if c.Runtime == nil {
		c.Runtime = make(map[string]string)
	}
	c.Runtime["plan_cache_mode"] = "force_generic_plan"
	c.Runtime["enable_seqscan"] = "off"
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	made, err := pq.NewConnectorConfig(c)
	if err != nil {
		return nil, err
	}
	made.Dialer(new(dialer))
	return connector{made}, nil
}

// SQLSTATE codes (PostgreSQL manual, appendix A).
const (
	codeNoDataFound       = "P0002"
	codeNotNull           = "23502"
	codeRestrict          = "23001" // what ON DELETE RESTRICT says from PostgreSQL 18 on
	codeForeignKey        = "23503"
	codeUnique            = "23505"
	codeCheck             = "23514"
	codeExclusion         = "23P01"
	codeSerialization     = "40001"
	codeDeadlock          = "40P01"
	codeTooManyConns      = "53300"
	classConnection       = "08"
	classCardinality      = "21" // a port names one address twice
	classData             = "22" // a value that its type refuses
	classIntervention     = "57" // shutdown, crash, still starting
	classSystem           = "58"
	constraintNetworkKey  = "networks_key"
	constraintPortKey     = "ports_key"
	constraintRouterKey   = "routers_key"
	constraintHostMAC     = "hosts_mac"
	constraintZone        = "router_gateways_zone"
	constraintGroupKey    = "security_groups_key"
	constraintRuleKey     = "security_group_rules_key"
	constraintAllocations = "allocations_address"
	constraintInterface   = "floatingips_interface"
	constraintGateway     = "floatingips_gateway"
)

// refusals says what a client did when it meets a constraint.
var refusals = map[string]signalbox.Error{
	"networks_pkey":       {Kind: signalbox.Conflict, Msg: "a network with this id exists"},
	"subnets_pkey":        {Kind: signalbox.Conflict, Msg: "a subnet with this id exists"},
	"ports_pkey":          {Kind: signalbox.Conflict, Msg: "a port with this id exists"},
	"subnets_network":     {Kind: signalbox.NotFound, Resource: "network", Msg: "the network is not there"},
	"ports_network":       {Kind: signalbox.NotFound, Resource: "network", Msg: "the network is not there"},
	"allocations_subnet":  {Kind: signalbox.NotFound, Resource: "subnet", Msg: "the subnet is not there"},
	"segments_place":      {Kind: signalbox.Conflict, Reason: signalbox.ReasonSegmentInUse, Msg: "another network has this segment"},
	"segments_range":      {Kind: signalbox.Invalid, Msg: "the segmentation id is out of the network type's range"},
	"segments_physical":   {Kind: signalbox.Invalid, Msg: "a physical network belongs to flat and vlan networks, and to no others"},
	"subnets_overlap":     {Kind: signalbox.Invalid, Reason: signalbox.ReasonOverlappingCIDR, Msg: "another subnet of the network overlaps"},
	"pools_overlap":       {Kind: signalbox.Conflict, Msg: "allocation pools overlap"},
	"pools_pkey":          {Kind: signalbox.Conflict, Msg: "allocation pools overlap"},
	"ports_mac":           {Kind: signalbox.Conflict, Reason: signalbox.ReasonMACInUse, Msg: "another port of the network has this MAC address"},
	"routers_pkey":        {Kind: signalbox.Conflict, Msg: "a router with this id exists"},
	"ports_router":        {Kind: signalbox.NotFound, Resource: "router", Msg: "the router is not there"},
	"router_overlap":      {Kind: signalbox.Invalid, Reason: signalbox.ReasonBadRequest, Msg: "the router has an interface on this subnet, or on one that overlaps it"},
	"router_subnets_once": {Kind: signalbox.Invalid, Reason: signalbox.ReasonBadRequest, Msg: "the router has an interface on this subnet"},

	"router_gateways_pkey":      {Kind: signalbox.Conflict, Reason: signalbox.ReasonRouterInUse, Msg: "the router has a gateway"},
	"router_gateways_router":    {Kind: signalbox.NotFound, Resource: "router", Msg: "the router is not there"},
	"router_gateways_port_once": {Kind: signalbox.Conflict, Reason: signalbox.ReasonPortInUse, Msg: "the port is a router's gateway"},
	"router_gateways_zones":     {Kind: signalbox.Conflict, Msg: "every conntrack zone is taken by a gateway"},
	"floatingips_pkey":          {Kind: signalbox.Conflict, Msg: "a floating IP with this id exists"},
	"floatingips_port_once":     {Kind: signalbox.Conflict, Reason: signalbox.ReasonPortInUse, Msg: "the port is a floating IP's own"},
	"floatingips_fixed":         {Kind: signalbox.Conflict, Reason: signalbox.ReasonFloatingInUse, Msg: "the fixed address has a floating IP of this network"},
	"floatingips_address":       {Kind: signalbox.NotFound, Resource: "port", Msg: "no port has the fixed address"},
	constraintInterface:         {Kind: signalbox.NotFound, Reason: signalbox.ReasonNoPath, Msg: "the router has no interface on the fixed address' subnet"},
	constraintGateway:           {Kind: signalbox.NotFound, Reason: signalbox.ReasonNoPath, Msg: "the router has no gateway on the floating IP's network"},

	"security_groups_pkey":        {Kind: signalbox.Conflict, Msg: "a security group with this id exists"},
	"security_group_rules_pkey":   {Kind: signalbox.Conflict, Msg: "a security group rule with this id exists"},
	"security_group_rules_group":  {Kind: signalbox.NotFound, Resource: "security_group", Msg: "the security group is not there"},
	"security_group_rules_remote": {Kind: signalbox.NotFound, Resource: "security_group", Msg: "the remote security group is not there"},
	"port_security_groups_group":  {Kind: signalbox.NotFound, Resource: "security_group", Msg: "the security group is not there"},

	"subnetpools_default":  {Kind: signalbox.Invalid, Reason: signalbox.ReasonDefaultPool, Msg: "another subnet pool is the default of its family"},
	"subnetpools_scope":    {Kind: signalbox.NotFound, Resource: "address_scope", Msg: "the address scope is not there"},
	"subnets_subnetpool":   {Kind: signalbox.NotFound, Resource: "subnetpool", Msg: "the subnet pool is not there"},
	"subnets_pool_overlap": {Kind: signalbox.Conflict, Reason: signalbox.ReasonPoolTaken, Msg: "another subnet of the pool overlaps"},

	"rbac_policies_once": {Kind: signalbox.Conflict, Reason: signalbox.ReasonPolicyExists, Msg: "An RBAC policy already exists with those values."},

	constraintAllocations: {Kind: signalbox.Conflict, Reason: signalbox.ReasonIPInUse, Msg: "another port has this address"},
}

const exhausted = "no free address is left in the subnet's pools"

// wrap makes a *signalbox.Error of whatever the database, or the way to it, said; nil stays nil, and an error
// of ours stays what it is.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if own := (*signalbox.Error)(nil); errors.As(err, &own) {
		return err
	}
	e := classify(err)
	e.Op, e.Err = op, err
	return &e
}

func classify(err error) signalbox.Error {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return classifySQL(pe)
	}
	if lost(err) {
		return signalbox.Error{Kind: signalbox.Unavailable, Reason: signalbox.ReasonDatabase, Msg: "the database cannot be reached"}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return signalbox.Error{Kind: signalbox.Unavailable, Msg: "given up before the database had answered"}
	}
	return signalbox.Error{Kind: signalbox.Internal, Msg: "database error"}
}

func classifySQL(pe *pq.Error) signalbox.Error {
	if refusal, ok := refusals[pe.Constraint]; ok {
		return refusal
	}
	code := string(pe.Code)
	switch {
	case code == codeNotNull && pe.Table == "allocations" && pe.Column == "ip": // take_address had none to give
		return signalbox.Error{Kind: signalbox.Conflict, Reason: signalbox.ReasonIPExhausted, Msg: exhausted}
	case code == codeNoDataFound: // take_address found no subnet
		return signalbox.Error{Kind: signalbox.NotFound, Resource: "subnet", Msg: "the subnet is not there"}
	case code == codeUnique, code == codeExclusion, code == codeForeignKey, code == codeRestrict:
		return signalbox.Error{Kind: signalbox.Conflict, Msg: "conflicts with what is there (" + pe.Constraint + ")"}
	case code == codeCheck, code == codeNotNull, code[:2] == classData, code[:2] == classCardinality:
		return signalbox.Error{Kind: signalbox.Invalid, Msg: "a value is not acceptable: " + pe.Message}
	case code[:2] == classConnection, code[:2] == classIntervention, code[:2] == classSystem, code == codeTooManyConns:
		return signalbox.Error{Kind: signalbox.Unavailable, Reason: signalbox.ReasonDatabase, Msg: "the database cannot answer now"}
	}
	return signalbox.Error{Kind: signalbox.Internal, Msg: "database error"}
}

// lost reports whether the connection failed, rather than what was said over it.
func lost(err error) bool {
	var ne net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &ne) && !errors.Is(err, context.DeadlineExceeded)
}

// retryable reports whether the transaction did nothing wrong and may succeed when run again: it lost a race,
// or drew a key or a MAC that is still in use since the sequence came round.
func retryable(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return false
	}
	switch string(pe.Code) {
	case codeSerialization, codeDeadlock:
		return true
	case codeUnique:
		switch pe.Constraint {
		case constraintNetworkKey, constraintPortKey, constraintRouterKey, constraintHostMAC, constraintZone,
			constraintGroupKey, constraintRuleKey:
			return true
		}
	}
	return false
}

// inUse turns the refusal to delete a row that others refer to into a conflict of that reason, or a better one.
func inUse(err error, reason signalbox.Reason, resource string, id uuid.UUID) error {
	var pe *pq.Error
	if errors.As(err, &pe) && (pe.Code == codeForeignKey || pe.Code == codeRestrict) {
		switch pe.Constraint {
		case constraintInterface:
			reason = signalbox.ReasonInterfaceNeeded
		case constraintGateway:
			reason = signalbox.ReasonGatewayNeeded
		}
		return &signalbox.Error{Kind: signalbox.Conflict, Reason: reason, Op: "delete " + resource,
			Resource: resource, ID: id.String(), Msg: "the " + resource + " is still in use", Err: err}
	}
	return wrap("delete "+resource, err)
}

// notFound says that there is no such row.
func notFound(op, resource string, id uuid.UUID) error {
	return &signalbox.Error{Kind: signalbox.NotFound, Op: op, Resource: resource, ID: id.String(),
		Msg: resource + " " + id.String() + " could not be found"}
}
