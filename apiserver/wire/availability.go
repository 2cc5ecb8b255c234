package wire

import (
	"math/big"
	"strconv"

	"github.com/signalbox-sdn/signalbox"
)

// Availabilities is the network IP availability of the API reference. Its counts can be larger than any integer of a machine.
func Availabilities() *Resource[signalbox.Availability] {
	type A = signalbox.Availability
	total := func(a *A) any { n, _ := a.Sum(); return n }
	used := func(a *A) any { _, n := a.Sum(); return big.NewInt(n) }
	return &Resource[A]{Name: "network_ip_availability", Collection: "network_ip_availabilities", Attributes: []Attribute[A]{
		{Name: "network_id", Kind: id(), Access: Filter, Value: func(a *A) any { return a.NetworkID }},
		{Name: "network_name", Kind: text(255), Access: Filter, Value: func(a *A) any { return a.Name }},
		{Name: "project_id", Kind: project(), Access: Filter, Value: func(a *A) any { return a.ProjectID }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Filter, Value: func(a *A) any { return a.ProjectID }},
		{Name: "ip_version", Kind: integer(nil), Access: Filter | Unshown, Value: func(*A) any { return 0 }},
		{Name: "total_ips", Kind: count(), Value: total},
		{Name: "used_ips", Kind: count(), Value: used},
		{Name: "subnet_ip_availability", Kind: subnetAvailabilities(), Value: func(a *A) any { return a.Subnets }},
	}}
}

// count is a number of any size.
func count() Kind {
	return Kind{
		Schema: Schema{Type: "integer"},
		write:  func(b []byte, v any) []byte { return v.(*big.Int).Append(b, 10) },
	}
}

func subnetAvailabilities() Kind {
	one := Schema{Type: "object", Properties: map[string]Schema{
		"subnet_id": id().Schema, "subnet_name": text(255).Schema, "cidr": {Type: "string"}, "ip_version": integer(nil).Schema,
		"total_ips": count().Schema, "used_ips": count().Schema,
	}}
	return Kind{
		Schema: Schema{Type: "array", Items: &one},
		write: func(b []byte, v any) []byte {
			return appendList(b, v.([]signalbox.SubnetAvailability), appendSubnetAvailability)
		},
	}
}

func appendSubnetAvailability(b []byte, s signalbox.SubnetAvailability) []byte {
	version := 6
	if s.CIDR.Addr().Is4() {
		version = 4
	}
	b = appendID(append(b, `{"subnet_id":`...), s.SubnetID)
	b = appendString(append(b, `,"subnet_name":`...), s.Name)
	b = appendPrefix(append(b, `,"cidr":`...), s.CIDR)
	b = strconv.AppendInt(append(b, `,"ip_version":`...), int64(version), 10)
	b = s.Total.Append(append(b, `,"total_ips":`...), 10)
	b = strconv.AppendInt(append(b, `,"used_ips":`...), s.Used, 10)
	return append(b, '}')
}
