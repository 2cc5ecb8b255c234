package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox"
)

// refusal is an error as Neutron's clients know it.
type refusal struct {
	status  int
	name    string
	message string
}

// refuse answers an error.
func (s *Server) refuse(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	r := refusalOf(err)
	if errors.Is(err, echo.ErrNotFound) && !api(c.Request().URL.Path) {
		r = refusal{status: http.StatusNotFound, message: "404 Not Found\n\n" + absent + "\n\n   "}
	}
	if r.status >= http.StatusInternalServerError {
		s.Log.Error("request failed", "request_id", requestID(c), "status", r.status, "error", err)
	}
	switch {
	case r.status == http.StatusUnauthorized: // it is Keystone's word that is missing, and said in Keystone's form
		c.Response().Header().Set("WWW-Authenticate", s.Auth.Challenge())
		err = c.JSON(r.status, map[string]any{"error": map[string]any{"code": r.status, "title": "Unauthorized", "message": r.message}})
	case r.name == "": // outside /v2.0 there is no Neutron to speak for
		err = c.String(r.status, r.message)
	default:
		err = c.JSON(r.status, map[string]any{"NeutronError": map[string]string{"type": r.name, "message": r.message, "detail": ""}})
	}
	if err != nil {
		s.Log.Info("client gone", "request_id", requestID(c), "error", err)
	}
}

// api reports whether a URL is one of the API's, known or not.
func api(path string) bool { return path == "/v2.0" || strings.HasPrefix(path, "/v2.0/") }

// refusalOf is the only place where kinds and reasons of errors meet status codes and Neutron's type names.
func refusalOf(err error) refusal {
	var e *signalbox.Error
	var h *echo.HTTPError
	switch {
	case errors.As(err, &e):
		return refusal{status(e), name(e), message(e)}
	case errors.As(err, &h):
		return routing(h)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return refusal{http.StatusServiceUnavailable, "ServiceUnavailable", unavailable}
	}
	return refusal{http.StatusInternalServerError, "HTTPInternalServerError", internal}
}

const (
	internal    = "Request Failed: internal server error while processing your request."
	unavailable = "The service cannot answer now. Try again."
	absent      = "The resource could not be found."
)

// routing is what the router itself refuses.
func routing(h *echo.HTTPError) refusal {
	switch h.Code {
	case http.StatusNotFound:
		return refusal{h.Code, "HTTPNotFound", absent}
	case http.StatusMethodNotAllowed:
		return refusal{h.Code, "HTTPMethodNotAllowed", "The URL is right, the method is not."}
	}
	return refusal{h.Code, "HTTP" + strings.ReplaceAll(http.StatusText(h.Code), " ", ""), fmt.Sprint(h.Message)}
}

func status(e *signalbox.Error) int {
	switch e.Reason {
	case signalbox.ReasonRevisionMismatch:
		return http.StatusPreconditionFailed
	case signalbox.ReasonNotAcceptable:
		return http.StatusNotAcceptable
	case signalbox.ReasonTooLarge:
		return http.StatusRequestEntityTooLarge
	case signalbox.ReasonTooMany:
		return http.StatusTooManyRequests
	}
	switch e.Kind {
	case signalbox.Invalid:
		return http.StatusBadRequest
	case signalbox.Unauthenticated:
		return http.StatusUnauthorized
	case signalbox.NotFound:
		return http.StatusNotFound
	case signalbox.Conflict:
		return http.StatusConflict
	case signalbox.Forbidden:
		return http.StatusForbidden
	case signalbox.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// name is Neutron's name for an error: by its reason, where it has one that Neutron tells apart.
func name(e *signalbox.Error) string {
	switch e.Reason {
	case signalbox.ReasonBadRequest:
		return "BadRequest"
	case signalbox.ReasonInvalidInput, signalbox.ReasonOverlappingCIDR:
		return "InvalidInput"
	case signalbox.ReasonMACInUse:
		return "MacAddressInUse"
	case signalbox.ReasonIPInUse:
		return "IpAddressAlreadyAllocated"
	case signalbox.ReasonIPExhausted:
		return "IpAddressGenerationFailure"
	case signalbox.ReasonIPNotOnNetwork:
		return "InvalidIpForNetwork"
	case signalbox.ReasonIPNotOnSubnet:
		return "InvalidIpForSubnet"
	case signalbox.ReasonAutoAddress:
		return "AllocationOnAutoAddressSubnet"
	case signalbox.ReasonGatewayInPool:
		return "GatewayConflictWithAllocationPools"
	case signalbox.ReasonPoolInvalid:
		return "InvalidAllocationPool"
	case signalbox.ReasonPoolOutside:
		return "OutOfBoundsAllocationPool"
	case signalbox.ReasonPoolsOverlap:
		return "OverlappingAllocationPools"
	case signalbox.ReasonMTUTooSmall:
		return "NetworkMTUSubnetConflict"
	case signalbox.ReasonSegmentInUse:
		return segmentInUse(e.Resource)
	case signalbox.ReasonNoSegment:
		return "NoNetworkAvailable"
	case signalbox.ReasonNetworkInUse:
		return "NetworkInUse"
	case signalbox.ReasonSubnetInUse:
		return "SubnetInUse"
	case signalbox.ReasonPortInUse:
		return "PortInUse"
	case signalbox.ReasonPortBound:
		return "PortBound"
	case signalbox.ReasonNoBinding:
		return "PortBindingNotFound"
	case signalbox.ReasonBindingExists:
		return "PortBindingAlreadyExists"
	case signalbox.ReasonBindingActive:
		return "PortBindingAlreadyActive"
	case signalbox.ReasonBindingFailed:
		return "PortBindingError"
	case signalbox.ReasonServicePort:
		return "ServicePortInUse"
	case signalbox.ReasonRouterInUse:
		return "RouterInUse"
	case signalbox.ReasonGatewayInUse:
		return "GatewayIpInUse"
	case signalbox.ReasonRouteInUse:
		return "RouterInterfaceInUseByRoute"
	case signalbox.ReasonNoInterface:
		return "RouterInterfaceNotFound"
	case signalbox.ReasonNotOnSubnet:
		return "RouterInterfaceNotFoundForSubnet"
	case signalbox.ReasonGatewayNeeded:
		return "RouterExternalGatewayInUseByFloatingIp"
	case signalbox.ReasonInterfaceNeeded:
		return "RouterInterfaceInUseByFloatingIP"
	case signalbox.ReasonFloatingInUse:
		return "FloatingIPPortAlreadyAssociated"
	case signalbox.ReasonNoPath:
		return "ExternalGatewayForFloatingIPNotFound"
	case signalbox.ReasonExternalInUse:
		return "ExternalNetworkInUse"
	case signalbox.ReasonSubnetMismatch:
		return "SubnetMismatchForPort"
	case signalbox.ReasonInvalidRoutes:
		return "InvalidRoutes"
	case signalbox.ReasonTooManyRoutes:
		return "RoutesExhausted"
	case signalbox.ReasonPairsSecured:
		return "AddressPairAndPortSecurityRequired"
	case signalbox.ReasonTooManyPairs:
		return "AllowedAddressPairExhausted"
	case signalbox.ReasonDuplicatePair:
		return "DuplicateAddressPairInRequest"
	case signalbox.ReasonPairMissingIP:
		return "AddressPairMissingIP"
	case signalbox.ReasonPolicyExists:
		return "DuplicateRbacPolicy"
	case signalbox.ReasonPolicyInUse:
		return "RbacPolicyInUse"
	case signalbox.ReasonSharedInUse:
		return "InvalidSharedSetting"
	case signalbox.ReasonInvalidAction:
		return "InvalidActionForType"
	case signalbox.ReasonRevisionMismatch:
		return "RevisionNumberConstraintFailed"
	case signalbox.ReasonNothingToTag:
		return "TagResourceNotFound"
	case signalbox.ReasonOverQuota:
		return "OverQuota"
	case signalbox.ReasonNoQuota:
		return "TenantQuotaNotFound"
	case signalbox.ReasonNotAcceptable:
		return "HTTPNotAcceptable"
	case signalbox.ReasonTooLarge:
		return "HTTPRequestEntityTooLarge"
	case signalbox.ReasonTooMany:
		return "HTTPTooManyRequests"
	}
	return groupsName(e)
}

// poolsName is name for what concerns subnet pools and address scopes.
func poolsName(e *signalbox.Error) string {
	switch e.Reason {
	case signalbox.ReasonScopeInUse:
		return "AddressScopeInUse"
	case signalbox.ReasonScopeOverlap:
		return "AddressScopePrefixConflict"
	case signalbox.ReasonScopeUpdate:
		return "AddressScopeUpdateError"
	case signalbox.ReasonScopeAffinity:
		return "NetworkAddressScopeAffinityError"
	case signalbox.ReasonPoolAffinity:
		return "NetworkSubnetPoolAffinityError"
	case signalbox.ReasonPoolInUse:
		return "SubnetPoolDeleteError"
	case signalbox.ReasonPoolTaken:
		return "SubnetAllocationError"
	case signalbox.ReasonPoolQuota:
		return "SubnetPoolQuotaExceeded"
	case signalbox.ReasonDefaultPool:
		return "InvalidInput"
	case signalbox.ReasonNoPrefixes:
		return "EmptySubnetPoolPrefixList"
	case signalbox.ReasonMixedPrefixes:
		return "PrefixVersionMismatch"
	case signalbox.ReasonPrefixBounds:
		return "IllegalSubnetPoolPrefixBounds"
	case signalbox.ReasonUnsupportedMin:
		return "UnsupportedMinSubnetPoolPrefix"
	case signalbox.ReasonMinPrefix:
		return "MinPrefixSubnetAllocationError"
	case signalbox.ReasonMaxPrefix:
		return "MaxPrefixSubnetAllocationError"
	case signalbox.ReasonPrefixUpdate:
		return "IllegalSubnetPoolPrefixUpdate"
	case signalbox.ReasonPoolUpdate:
		return "IllegalSubnetPoolUpdate"
	case signalbox.ReasonServiceType:
		return "InvalidSubnetServiceType"
	case signalbox.ReasonServiceTypeText:
		return "InvalidInputSubnetServiceType"
	case signalbox.ReasonNoServiceSubnet:
		return "IpAddressGenerationFailureNoMatchingSubnet"
	case signalbox.ReasonPoolScopeFamily:
		return "IllegalSubnetPoolIpVersionAssociationToAddressScope"
	}
	return nameOfKind(e)
}

// groupsName is name for what concerns security groups.
func groupsName(e *signalbox.Error) string {
	switch e.Reason {
	case signalbox.ReasonGroupInUse:
		return "SecurityGroupInUse"
	case signalbox.ReasonDefaultExists:
		return "SecurityGroupDefaultAlreadyExists"
	case signalbox.ReasonKeepDefault:
		return "SecurityGroupCannotRemoveDefault"
	case signalbox.ReasonDefaultName:
		return "SecurityGroupCannotUpdateDefault"
	case signalbox.ReasonGroupsSecured:
		return "PortSecurityAndIPRequiredForSecurityGroups"
	case signalbox.ReasonStillInGroups:
		return "PortSecurityPortHasSecurityGroup"
	case signalbox.ReasonRuleExists:
		return "SecurityGroupRuleExists"
	case signalbox.ReasonInvalidProtocol:
		return "SecurityGroupRuleInvalidProtocol"
	case signalbox.ReasonInvalidEtherType:
		return "SecurityGroupRuleInvalidEtherType"
	case signalbox.ReasonInvalidPort:
		return "SecurityGroupInvalidPortValue"
	case signalbox.ReasonInvalidRange:
		return "SecurityGroupInvalidPortRange"
	case signalbox.ReasonInvalidICMP:
		return "SecurityGroupInvalidIcmpValue"
	case signalbox.ReasonICMPWithoutType:
		return "SecurityGroupMissingIcmpType"
	case signalbox.ReasonPortsOfNothing:
		return "SecurityGroupProtocolRequiredWithPorts"
	case signalbox.ReasonPortlessProtocol:
		return "SecurityGroupInvalidProtocolForPort"
	case signalbox.ReasonInvalidCIDR:
		return "InvalidCIDR"
	case signalbox.ReasonFamilyConflict:
		return "SecurityGroupRuleParameterConflict"
	case signalbox.ReasonProtocolConflict:
		return "SecurityGroupEthertypeConflictWithProtocol"
	case signalbox.ReasonManyRemotes:
		return "SecurityGroupMultipleRemoteEntites"
	case signalbox.ReasonManyGroups:
		return "SecurityGroupNotSingleGroupRules"
	case signalbox.ReasonRuleTwice:
		return "DuplicateSecurityGroupRuleInPost"
	}
	return poolsName(e)
}

func nameOfKind(e *signalbox.Error) string {
	switch e.Kind {
	case signalbox.Invalid:
		return "HTTPBadRequest"
	case signalbox.NotFound:
		return strings.ReplaceAll(title(e.Resource), " ", "") + "NotFound"
	case signalbox.Conflict:
		return "Conflict"
	case signalbox.Forbidden:
		return "PolicyNotAuthorized"
	case signalbox.Unavailable:
		return "ServiceUnavailable"
	}
	return "HTTPInternalServerError"
}

func segmentInUse(networkType string) string {
	switch signalbox.NetworkType(networkType) {
	case signalbox.VLAN:
		return "VlanIdInUse"
	case signalbox.Flat:
		return "FlatNetworkInUse"
	}
	return "TunnelIdInUse"
}

// message is what the client is told. Of our own faults it learns no more than that they are ours.
func message(e *signalbox.Error) string {
	switch e.Kind {
	case signalbox.Internal:
		return internal
	case signalbox.Unavailable:
		return unavailable
	case signalbox.NotFound:
		if e.Resource != "" {
			return fmt.Sprintf("%s %s could not be found.", title(e.Resource), e.ID)
		}
	}
	return e.Msg
}

// title is a resource's name as it begins a sentence or a type's name.
func title(resource string) string {
	switch resource {
	case "":
		return "HTTP"
	case "floatingip":
		return "Floating IP"
	case "subnetpool":
		return "Subnet Pool"
	case "network_ip_availability":
		return "Network"
	}
	words := strings.Split(resource, "_")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
