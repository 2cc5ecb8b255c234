package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// Agents is the agent of the API reference: one for each host, which is the host's Open vSwitch.
func Agents() *Resource[signalbox.Agent] {
	type A = signalbox.Agent
	always := func(s string) func(*A) any { return func(*A) any { return s } }
	return &Resource[A]{Name: "agent", Collection: "agents", Attributes: []Attribute[A]{
		{Name: "id", Kind: id(), Access: Filter | Sort, Value: func(a *A) any { return a.ID }},
		{Name: "agent_type", Kind: text(255), Access: Filter, Value: always("Open vSwitch agent")},
		{Name: "binary", Kind: text(255), Access: Filter, Value: always("ovs-vswitchd")},
		{Name: "topic", Kind: text(255), Access: Filter, Value: always("N/A")},
		{Name: "host", Kind: text(255), Access: Filter | Sort, Value: func(a *A) any { return a.Name }},
		{Name: "availability_zone", Kind: text(255), Access: Filter, Value: always(signalbox.DefaultZone)},
		{Name: "admin_state_up", Kind: boolean(), Access: Update | Filter | Sort, Value: func(a *A) any { return !a.Closed }},
		{Name: "alive", Kind: boolean(), Access: Filter | Sort, Value: func(a *A) any { return a.Alive }},
		{Name: "description", Kind: text(255).takesNull("").showsNull(""), Access: Update | Filter | Sort, Value: func(a *A) any { return a.Description }},
		{Name: "created_at", Kind: clock(), Value: func(a *A) any { return a.CreatedAt }},
		{Name: "started_at", Kind: clock(), Value: func(a *A) any { return a.StartedAt }},
		{Name: "heartbeat_timestamp", Kind: clock(), Value: func(a *A) any { return a.HeardAt }},
		{Name: "configurations", Kind: configurations(), Value: func(a *A) any { return a }},
	}}
}

// clock is a moment as Neutron writes it of agents alone.
func clock() Kind {
	return Kind{
		Schema: Schema{Type: "string"},
		write: func(b []byte, v any) []byte {
			b = v.(time.Time).UTC().AppendFormat(append(b, '"'), time.DateTime)
			return append(b, '"')
		},
	}
}

// configurations is what a host's Open vSwitch is set to, as far as it matters to networks.
func configurations() Kind {
	name := Schema{Type: "string"}
	return Kind{
		Schema: Schema{Type: "object", Properties: map[string]Schema{
			"bridge_mappings": {Type: "object"}, "datapath_type": name, "devices": {Type: "integer"},
			"tunnel_types": {Type: "array", Items: &name}, "tunneling_ip": name,
		}},
		write: func(b []byte, v any) []byte {
			a := v.(*signalbox.Agent)
			mappings := object{}
			for physical, bridge := range a.Mappings {
				mappings[physical] = bridge
			}
			tunnels, at := []any{}, ""
			if a.TunnelIP.IsValid() {
				tunnels, at = []any{string(signalbox.GRE), string(signalbox.VXLAN), string(signalbox.Geneve)}, a.TunnelIP.String()
			}
			return appendValue(b, object{
				"bridge_mappings": mappings, "datapath_type": a.Datapath, "devices": json.Number(strconv.Itoa(a.Ports)), "tunnel_types": tunnels, "tunneling_ip": at,
			})
		},
	}
}

// Zone is an availability zone for one kind of resource.
type Zone struct{ Name, Resource, State string }

// Zones is the availability zone of the API reference.
func Zones() *Resource[Zone] {
	return &Resource[Zone]{Name: "availability_zone", Collection: "availability_zones", Attributes: []Attribute[Zone]{
		{Name: "name", Kind: text(255), Access: Filter, Value: func(z *Zone) any { return z.Name }},
		{Name: "resource", Kind: oneOf("network", "router"), Access: Filter, Value: func(z *Zone) any { return z.Resource }},
		{Name: "state", Kind: oneOf("available", "unavailable"), Access: Filter, Value: func(z *Zone) any { return z.State }},
	}}
}

// maxZones bounds a list of availability zones.
const maxZones = 10

// zoned are the attributes of what can be asked to be in availability zones. Requests may do so where access says so; all is in zone.
func zoned[T any](access Access, hints func(*T) []string) []Attribute[T] {
	return []Attribute[T]{
		{Name: "availability_zone_hints", Kind: zones(), Access: access, Default: []string{}, Value: func(v *T) any { return hints(v) }},
		{Name: "availability_zones", Kind: zones(), Value: func(*T) any { return []string{signalbox.DefaultZone} }},
	}
}

// zones is a list of names of availability zones, each once.
func zones() Kind {
	one := text(255)
	return Kind{
		Schema: Schema{Type: "array", Items: &one.Schema},
		read: func(v any) (any, error) {
			return readList(v, maxZones, func(v any) (string, error) {
				s, err := one.read(v)
				if err != nil {
					return "", err
				}
				return s.(string), nil
			}, func(z string) string { return "availability zone '" + z + "'" })
		},
		write: func(b []byte, v any) []byte { return appendList(b, v.([]string), appendString) },
	}
}
