package apiserver

import (
	"net/netip"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) securityGroups() *collection[signalbox.SecurityGroup, neutron.SecurityGroupSpec] {
	return &collection[signalbox.SecurityGroup, neutron.SecurityGroupSpec]{
		server: s, wire: wire.SecurityGroups(), spec: securityGroupSpec,
		creates: s.Service.CreateSecurityGroups, lists: s.Service.SecurityGroups, shows: s.Service.SecurityGroup,
		updates: s.Service.UpdateSecurityGroup, removes: s.Service.DeleteSecurityGroup, mayTag: neutron.MayTagSecurityGroup,
	}
}

func securityGroupSpec(v wire.Values, revision *int64) neutron.SecurityGroupSpec {
	return neutron.SecurityGroupSpec{
		ProjectID:   wire.Get[string](v, "project_id"),
		Name:        wire.Get[string](v, "name"),
		Description: wire.Get[string](v, "description"),
		Revision:    revision,
	}
}

// rules has no updates: a rule is deleted, and another made.
func (s *Server) rules() *collection[signalbox.SecurityGroupRule, neutron.RuleSpec] {
	return &collection[signalbox.SecurityGroupRule, neutron.RuleSpec]{
		server: s, wire: wire.SecurityGroupRules(), spec: ruleSpec,
		creates: s.Service.CreateRules, lists: s.Service.Rules, shows: s.Service.Rule, removes: s.Service.DeleteRule,
	}
}

func ruleSpec(v wire.Values, _ *int64) neutron.RuleSpec {
	return neutron.RuleSpec{
		ProjectID:     wire.Get[string](v, "project_id"),
		Description:   wire.Get[string](v, "description"),
		GroupID:       wire.Get[uuid.UUID](v, "security_group_id"),
		Direction:     wire.Get[signalbox.Direction](v, "direction"),
		EtherType:     wire.Get[signalbox.EtherType](v, "ethertype"),
		Protocol:      wire.Get[signalbox.Protocol](v, "protocol"),
		PortMin:       wire.Get[int](v, "port_range_min"),
		PortMax:       wire.Get[int](v, "port_range_max"),
		RemoteGroupID: wire.Get[uuid.UUID](v, "remote_group_id"),
		RemotePrefix:  wire.Get[netip.Prefix](v, "remote_ip_prefix"),
	}
}
