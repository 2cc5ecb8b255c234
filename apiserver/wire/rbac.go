package wire

import (
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// RBACPolicies is the RBAC policy of the API reference. Whether there are objects of its object_type that can be shared, and by
// which action, is not a matter of form.
func RBACPolicies() *Resource[signalbox.RBACPolicy] {
	type P = signalbox.RBACPolicy
	return &Resource[P]{Name: "rbac_policy", Collection: "rbac_policies", Attributes: []Attribute[P]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(p *P) any { return p.ID }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(p *P) any { return p.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(p *P) any { return p.ProjectID }},
		{Name: "object_type", Kind: objectType(), Access: Create | Required | Filter | Sort, Value: func(p *P) any { return p.ObjectType }},
		{Name: "object_id", Kind: id(), Access: Create | Required | Filter | Sort, Value: func(p *P) any { return p.ObjectID }},
		{Name: "action", Kind: text(255), Access: Create | Required | Filter | Sort, Value: func(p *P) any { return string(p.Action) }},
		{Name: "target_tenant", Kind: project(), Access: Create | Update | Required | Filter | Sort, Value: func(p *P) any { return p.Target }},
	}}
}

// objectType is a resource's name, in any case.
func objectType() Kind {
	k := text(255)
	read := k.read
	k.read = func(v any) (any, error) {
		if s, ok := v.(string); ok {
			v = strings.ToLower(strings.TrimSpace(s))
		}
		return read(v)
	}
	return k
}
