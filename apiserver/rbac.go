package apiserver

import (
	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

func (s *Server) policies() *collection[signalbox.RBACPolicy, neutron.PolicySpec] {
	return &collection[signalbox.RBACPolicy, neutron.PolicySpec]{
		server: s, wire: wire.RBACPolicies(), spec: policySpec,
		creates: s.Service.CreatePolicies, lists: s.Service.Policies, shows: s.Service.Policy,
		updates: s.Service.UpdatePolicy, removes: s.Service.DeletePolicy,
	}
}

// policySpec leaves out the revision: policies have none.
func policySpec(v wire.Values, _ *int64) neutron.PolicySpec {
	return neutron.PolicySpec{
		ProjectID:  wire.Get[string](v, "project_id"),
		ObjectType: wire.Get[string](v, "object_type"),
		ObjectID:   wire.Get[uuid.UUID](v, "object_id"),
		Action:     wire.Get[string](v, "action"),
		Target:     wire.Get[string](v, "target_tenant"),
	}
}
