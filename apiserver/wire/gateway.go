package wire

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
)

// Gateway is what external_gateway_info says of a router's way out. The zero value says that there is none.
type Gateway struct {
	NetworkID  uuid.UUID
	EnableSNAT *bool               // nil: not said
	FixedIPs   []signalbox.FixedIP // nil: not said. The zero UUID and the zero Addr stand for what is left to us
}

func gatewayOf(g *signalbox.Gateway) Gateway {
	if g == nil {
		return Gateway{}
	}
	return Gateway{NetworkID: g.NetworkID, EnableSNAT: &g.EnableSNAT, FixedIPs: g.FixedIPs}
}

// gateway takes two ways to say none, null and {}.
func gateway() Kind {
	return Kind{
		Schema: Schema{Type: "object", Properties: map[string]Schema{
			"network_id": id().Schema, "enable_snat": boolean().Schema, "external_fixed_ips": fixedIPs().Schema}},
		read: readGateway,
		write: func(b []byte, v any) []byte {
			g := v.(Gateway)
			if g.NetworkID == uuid.Nil {
				return append(b, "null"...)
			}
			b = appendID(append(b, `{"network_id":`...), g.NetworkID)
			if g.FixedIPs != nil {
				b = fixedIPs().write(append(b, `,"external_fixed_ips":`...), g.FixedIPs)
			}
			if g.EnableSNAT != nil {
				b = boolean().write(append(b, `,"enable_snat":`...), *g.EnableSNAT)
			}
			return append(b, '}')
		},
	}.takesNull(Gateway{})
}

func readGateway(v any) (any, error) {
	var g Gateway
	o, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("'%s' is not a dictionary", shown(v))
	}
	if len(o) == 0 {
		return g, nil
	}
	if _, named := o["network_id"]; !named {
		return nil, errors.New("network_id is missing")
	}
	for key, v := range o {
		var err error
		switch key {
		case "network_id":
			g.NetworkID, err = as[uuid.UUID](id(), v)
			if err == nil && g.NetworkID == uuid.Nil {
				err = fmt.Errorf("'%s' is no network's", g.NetworkID)
			}
		case "enable_snat":
			var snat bool
			snat, err = as[bool](boolean(), v)
			g.EnableSNAT = &snat
		case "external_fixed_ips":
			if v != nil {
				g.FixedIPs, err = as[[]signalbox.FixedIP](fixedIPs(), v)
			}
		default:
			err = fmt.Errorf("unexpected key '%s'", shown(key))
		}
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

// as reads a value of a kind, whose Go type is V.
func as[V any](k Kind, v any) (out V, err error) {
	value, err := k.read(v)
	if err == nil {
		out = value.(V)
	}
	return out, err
}

// gatewayAdminParts is Neutron's policy: the network is the owner's to choose, how the router appears on it is not.
func gatewayAdminParts(v any) (parts []string) {
	g := v.(Gateway)
	if g.EnableSNAT != nil {
		parts = append(parts, "enable_snat")
	}
	if g.FixedIPs != nil {
		parts = append(parts, "external_fixed_ips")
	}
	return parts
}
