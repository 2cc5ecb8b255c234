package neutron

import (
	"context"
	"net/netip"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// RuleSpec is what a request says of a security group rule; nil is what it does not say.
type RuleSpec struct {
	ProjectID, Description *string
	GroupID                *uuid.UUID
	Direction              *signalbox.Direction
	EtherType              *signalbox.EtherType
	Protocol               *signalbox.Protocol
	PortMin, PortMax       *int          // NoPort is like nil
	RemoteGroupID          *uuid.UUID    // Nil is like nil
	RemotePrefix           *netip.Prefix // the zero Prefix is like nil
}

// CreateRules makes all or none. They are of one group.
func (s *Service) CreateRules(ctx context.Context, c signalbox.Caller, specs []RuleSpec) ([]signalbox.SecurityGroupRule, error) {
	group := or(specs[0].GroupID, uuid.Nil)
	rules := make([]signalbox.SecurityGroupRule, len(specs))
	effects := map[string]bool{}
	for i := range specs {
		if or(specs[i].GroupID, uuid.Nil) != group {
			return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonManyGroups, "Only allowed to update rules for one security profile at a time")
		}
		if err := s.planRule(c, &specs[i], &rules[i]); err != nil {
			return nil, err
		}
		effect := rules[i].Effect()
		if effects[effect] {
			return nil, signalbox.Errorf(signalbox.Conflict, signalbox.ReasonRuleTwice, "Duplicate Security Group Rule in POST: %s.", effect)
		}
		effects[effect] = true
	}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		g, err := ownGroup(c, group, "create_security_group_rule")(tx.SecurityGroup(ctx, group)) // whose project it is never changes
		if err != nil {
			return err
		}
		owner := g.ProjectID
		if err := s.admit(ctx, tx, "security_group_rule", len(specs), func(int) (string, error) { return owner, nil }); err != nil {
			return err
		}
		g, err = visibleGroup(c, group)(tx.SecurityGroupForUpdate(ctx, group))
		if err != nil {
			return err
		}
		for i := range specs {
			if said := specs[i].ProjectID; said != nil && *said != g.ProjectID {
				return invalidInput("security group %s belongs to project %s, and so do its rules.", g.ID, g.ProjectID)
			}
		}
		if err := remotesVisible(ctx, tx, c, rules); err != nil {
			return err
		}
		return tx.InsertRules(ctx, group, rules)
	})
	return rules, err
}

// planRule decides everything about a rule but what the database adds to it.
func (s *Service) planRule(c signalbox.Caller, spec *RuleSpec, r *signalbox.SecurityGroupRule) error {
	if _, err := projectOf(c, spec.ProjectID); err != nil {
		return err
	}
	*r = signalbox.SecurityGroupRule{
		ID: s.src.ID(), GroupID: or(spec.GroupID, uuid.Nil), Description: or(spec.Description, ""),
		Direction: or(spec.Direction, signalbox.Ingress), EtherType: or(spec.EtherType, signalbox.IPv4), Protocol: or(spec.Protocol, ""),
		PortMin: or(spec.PortMin, signalbox.NoPort), PortMax: or(spec.PortMax, signalbox.NoPort),
		RemoteGroupID: or(spec.RemoteGroupID, uuid.Nil), RemotePrefix: or(spec.RemotePrefix, netip.Prefix{}),
	}
	if r.EtherType == signalbox.IPv6 {
		r.Protocol = icmpOfIPv6(r.Protocol)
	}
	if err := checkPorts(r); err != nil {
		return err
	}
	if err := checkFamily(r); err != nil {
		return err
	}
	if r.RemoteGroupID != uuid.Nil && r.RemotePrefix.IsValid() {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonManyRemotes, "Only one of remote_ip_prefix or remote_group_id may be provided.")
	}
	return nil
}

// icmpOfIPv6 is a protocol by the name or number that it has above IPv6: who says ICMP there means ICMPv6.
func icmpOfIPv6(p signalbox.Protocol) signalbox.Protocol {
	switch p {
	case signalbox.ICMP, "icmpv6":
		return signalbox.ICMPv6
	case "1":
		return "58"
	}
	return p
}

// checkPorts refuses ports, types and codes that the protocol has not.
func checkPorts(r *signalbox.SecurityGroupRule) error {
	least, most := r.PortMin, r.PortMax
	refuse := func(reason signalbox.Reason, format string, args ...any) error {
		return signalbox.Errorf(signalbox.Invalid, reason, format, args...)
	}
	switch {
	case least == signalbox.NoPort && most == signalbox.NoPort:
		return nil
	case r.Protocol == "":
		return refuse(signalbox.ReasonPortsOfNothing, "Must also specify protocol if port range is given.")
	case r.Protocol.HasPorts():
		if least == 0 || most == 0 {
			return refuse(signalbox.ReasonInvalidPort, "Invalid value for port 0")
		}
		if least == signalbox.NoPort || most == signalbox.NoPort || least > most {
			return refuse(signalbox.ReasonInvalidRange, "For TCP/UDP protocols, port_range_min must be <= port_range_max")
		}
	case r.Protocol.HasTypes():
		if least > 255 {
			return refuse(signalbox.ReasonInvalidICMP, "Invalid value for ICMP type (port_range_min) %d. It must be 0 to 255.", least)
		}
		if most > 255 {
			return refuse(signalbox.ReasonInvalidICMP, "Invalid value for ICMP code (port_range_max) %d. It must be 0 to 255.", most)
		}
		if least == signalbox.NoPort {
			return refuse(signalbox.ReasonICMPWithoutType, "ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", most)
		}
	default:
		return refuse(signalbox.ReasonPortlessProtocol, "Invalid protocol %s for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.", r.Protocol)
	}
	return nil
}

// checkFamily refuses what is not of the rule's family.
func checkFamily(r *signalbox.SecurityGroupRule) error {
	if r.RemotePrefix.IsValid() && r.RemotePrefix.Addr().Is4() != (r.EtherType == signalbox.IPv4) {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonFamilyConflict, "Conflicting value ethertype %s for CIDR %s", r.EtherType, r.RemotePrefix)
	}
	if r.EtherType == signalbox.IPv4 && r.Protocol.OnlyIPv6() {
		return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonProtocolConflict, "Invalid ethertype %s for protocol %s.", r.EtherType, r.Protocol)
	}
	return nil
}

// remotesVisible refuses rules that name a group which the caller may not know of.
func remotesVisible(ctx context.Context, tx *store.Tx, c signalbox.Caller, rules []signalbox.SecurityGroupRule) error {
	var ids []uuid.UUID
	for i := range rules {
		if id := rules[i].RemoteGroupID; id != uuid.Nil {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil
	}
	groups, err := tx.GroupsForShare(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if g, there := groups[id]; !there || !may(c, "get_security_group", toShared(c, g.ProjectID, &g.Sharing)) {
			return notFound("security_group", id)
		}
	}
	return nil
}

// Rule reads one.
func (s *Service) Rule(ctx context.Context, c signalbox.Caller, id uuid.UUID) (r *signalbox.SecurityGroupRule, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		r, err = visibleRule(ctx, tx, c, id)
		return err
	})
	return r, err
}

// visibleRule hides a rule from whom its group does not belong to.
func visibleRule(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID) (*signalbox.SecurityGroupRule, error) {
	r, err := tx.Rule(ctx, id)
	if err == nil && !may(c, "get_security_group_rule", to(c, r.ProjectID)) {
		return nil, notFound("security_group_rule", id)
	}
	return r, err
}

// Rules lists.
func (s *Service) Rules(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.SecurityGroupRule, error) {
	if err := s.touch(ctx, c, q); err != nil {
		return nil, err
	}
	return list(ctx, s, c, "security_group_rule", q, (*store.Tx).Rules)
}

// DeleteRule deletes a rule.
func (s *Service) DeleteRule(ctx context.Context, c signalbox.Caller, id uuid.UUID, revision *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		r, err := visibleRule(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := checkRevision(revision, r.Revision); err != nil {
			return err
		}
		return tx.DeleteRule(ctx, id)
	})
}
