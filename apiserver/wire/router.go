package wire

import (
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// maxRouterRoutes bounds a list of them. How many a router may have in all is less, and not for this room to say.
const maxRouterRoutes = 100

// Routers is the router of the API reference, as far as it works here.
func Routers() *Resource[signalbox.Router] {
	type R = signalbox.Router
	return &Resource[R]{Name: "router", Collection: "routers", Attributes: slices.Concat([]Attribute[R]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(r *R) any { return r.ID }},
		{Name: "name", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(r *R) any { return r.Name }},
		{Name: "description", Kind: text(255), Access: Create | Update | Filter | Sort, Default: "", Value: func(r *R) any { return r.Description }},
		{Name: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(r *R) any { return r.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Filter | Sort, Value: func(r *R) any { return r.ProjectID }},
		{Name: "admin_state_up", Kind: boolean(), Access: Create | Update | Filter | Sort, Default: true, Value: func(r *R) any { return r.AdminStateUp }},
		{Name: "status", Kind: oneOf(signalbox.Active, signalbox.Down), Access: Filter | Sort, Value: func(*R) any { return signalbox.Active }},
		{Name: "external_gateway_info", Kind: gateway(), Access: Create | Update, AdminParts: gatewayAdminParts, Value: func(r *R) any { return gatewayOf(r.Gateway) }},
		{Name: "routes", Kind: routes(maxRouterRoutes).takesNull([]signalbox.Route{}), Access: Update, Default: []signalbox.Route{}, Value: func(r *R) any { return r.Routes }},
	},
		zoned(Create|Update, func(r *R) []string { return r.ZoneHints }),
		tagged(0, func(r *R) []string { return r.Tags }),
		stamped(func(r *R) *signalbox.Meta { return &r.Meta }),
	)}
}

func badRouter(format string, args ...any) error {
	return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest, "Bad router request: "+format, args...)
}

// DecodeInterface reads the body of add_router_interface and remove_router_interface; nil is what it does not say.
func DecodeInterface(body []byte) (subnet, port *uuid.UUID, err error) {
	if len(body) == 0 {
		return nil, nil, nil
	}
	v, err := parse(body)
	o, ok := v.(object)
	if err != nil || !ok {
		return nil, nil, invalid("Body contains invalid data")
	}
	for name, v := range o {
		said := map[string]**uuid.UUID{"subnet_id": &subnet, "port_id": &port}[name]
		if said == nil {
			return nil, nil, invalid("Unrecognized attribute(s) '%s'", shown(name))
		}
		u, err := id().read(v)
		if err != nil {
			return nil, nil, badRouter("Invalid input for %s. Reason: %s.", name, err)
		}
		named := u.(uuid.UUID)
		*said = &named
	}
	return subnet, port, nil
}

// AppendInterface appends what answers these: the router, and the port that is or was its interface.
func AppendInterface(b []byte, router uuid.UUID, p *signalbox.Port) []byte {
	subnets := make([]uuid.UUID, len(p.FixedIPs))
	for i, f := range p.FixedIPs {
		subnets[i] = f.SubnetID
	}
	b = appendID(append(b, `{"id":`...), router)
	b = appendString(append(b, `,"tenant_id":`...), p.ProjectID)
	b = appendID(append(b, `,"port_id":`...), p.ID)
	b = appendID(append(b, `,"network_id":`...), p.NetworkID)
	if len(subnets) > 0 {
		b = appendID(append(b, `,"subnet_id":`...), subnets[0])
	}
	b = appendList(append(b, `,"subnet_ids":`...), subnets, appendID)
	return append(b, '}')
}
