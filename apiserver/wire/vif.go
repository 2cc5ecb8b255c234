package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// Bounds of Neutron's on what a port can carry about.
const (
	maxProfile      = 4095 // bytes of JSON
	maxAddressPairs = 10
	maxDHCPOptions  = 64
	maxDHCPName     = 64
	maxDHCPValue    = 255
)

// profile is a dictionary that whoever binds a port keeps with it. Its Go value is its JSON, without spaces and with
// its keys in order.
func profile() Kind {
	return Kind{
		Schema: Schema{Type: "object"},
		read: func(v any) (any, error) {
			o, ok := v.(object)
			if !ok {
				return nil, fmt.Errorf("'%s' is not a dictionary", shown(v))
			}
			b := appendValue(nil, o)
			if len(b) > maxProfile {
				return nil, unconvertible("binding:profile value too large")
			}
			return string(b), nil
		},
		write: func(b []byte, v any) []byte {
			if s := v.(string); s != "" {
				return append(b, s...)
			}
			return append(b, "{}"...)
		},
	}.takesNull("{}")
}

// appendValue appends what parse gave.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendValue(b, v[k])
		}
		return append(b, '}')
	case []any:
		return appendList(b, v, appendValue)
	case string:
		return appendString(b, v)
	case json.Number:
		return append(b, v...)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, "null"...)
}

// vifDetails is what a hypervisor needs to know to plug a port in, as ML2 with Open vSwitch says it. The bridge filters
// for every port, and does so itself.
func vifDetails() Kind {
	return Kind{
		Schema: Schema{Type: "object"},
		write: func(b []byte, v any) []byte {
			vif := v.(signalbox.VIF)
			if vif.Type() != signalbox.VIFOVS {
				return append(b, "{}"...)
			}
			b = append(b, `{"port_filter":true,"connectivity":"l2","ovs_hybrid_plug":false,"bridge_name":"br-int","datapath_type":`...)
			b = appendString(b, vif.Datapath)
			return append(b, `,"bound_drivers":{"0":"openvswitch"}}`...)
		},
	}
}

// addressPairs is a list of {"mac_address", "ip_address"}; the address may be a CIDR, and without a MAC, the zero MAC here, it is the port's own.
func addressPairs() Kind {
	item := Schema{Type: "object", Properties: map[string]Schema{"mac_address": macAddress().Schema, "ip_address": {Type: "string", Format: "ip or cidr"}}}
	return Kind{
		Schema: Schema{Type: "array", Items: &item, MaxItems: maxAddressPairs},
		read: func(v any) (any, error) {
			if list, ok := v.([]any); ok && len(list) > maxAddressPairs {
				return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonTooManyPairs,
					"The number of allowed address pair exceeds the maximum %d.", maxAddressPairs)
			}
			return readList(v, maxAddressPairs, readAddressPair, nil)
		},
		write: func(b []byte, v any) []byte {
			return appendList(b, v.([]signalbox.AddressPair), func(b []byte, p signalbox.AddressPair) []byte {
				b = append(b, '{')
				if p.MAC != (signalbox.MAC{}) {
					b = append(appendMAC(append(b, `"mac_address":`...), p.MAC), ',')
				}
				b = append(b, `"ip_address":`...)
				if p.Prefix.IsSingleIP() {
					return append(appendAddr(b, p.Prefix.Addr()), '}')
				}
				return append(appendPrefix(b, p.Prefix), '}')
			})
		},
	}.takesNull([]signalbox.AddressPair{})
}

func readAddressPair(v any) (p signalbox.AddressPair, err error) {
	o, ok := v.(object)
	if !ok {
		return p, fmt.Errorf("'%s' is not a dictionary", shown(v))
	}
	if _, ok := o["ip_address"]; !ok {
		return p, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonPairMissingIP, "AllowedAddressPair must contain ip_address")
	}
	for key, v := range o {
		switch key {
		case "mac_address":
			p.MAC, err = as[signalbox.MAC](macAddress(), v)
		case "ip_address":
			p.Prefix, err = readAddrOrBlock(v)
		default:
			err = fmt.Errorf("unrecognized attribute(s) '%s'", shown(key))
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// readAddrOrBlock is one address as the prefix that holds it alone, or a CIDR.
func readAddrOrBlock(v any) (netip.Prefix, error) {
	if s, _ := v.(string); strings.Contains(s, "/") {
		p, ok := parsePrefix(v)
		if !ok {
			return p, fmt.Errorf("'%s' is not a valid IP subnet", shown(v))
		}
		return p, nil
	}
	a, err := parseAddr(v)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// dhcpOptions is a list of {"opt_name", "opt_value", "ip_version"}. A value of null takes an option away.
func dhcpOptions() Kind {
	item := Schema{Type: "object", Properties: map[string]Schema{
		"opt_name": {Type: "string", MaxLength: maxDHCPName}, "opt_value": {Type: "string", MaxLength: maxDHCPValue, Nullable: true},
		"ip_version": {Type: "integer"}}}
	return Kind{
		Schema: Schema{Type: "array", Items: &item, MaxItems: maxDHCPOptions},
		read: func(v any) (any, error) {
			return readList(v, maxDHCPOptions, readDHCPOption, func(o signalbox.DHCPOption) string {
				return fmt.Sprintf("DHCP option '%s' for IPv%d", o.Name, o.Version)
			})
		},
		write: func(b []byte, v any) []byte {
			return appendList(b, v.([]signalbox.DHCPOption), func(b []byte, o signalbox.DHCPOption) []byte {
				b = appendString(append(b, `{"opt_name":`...), o.Name)
				b = append(b, `,"opt_value":`...)
				if o.Unset {
					b = append(b, "null"...)
				} else {
					b = appendString(b, o.Value)
				}
				return append(strconv.AppendInt(append(b, `,"ip_version":`...), int64(o.Version), 10), '}')
			})
		},
	}.takesNull([]signalbox.DHCPOption{})
}

// readDHCPOption has one refusal for whatever is wrong, as Neutron has.
func readDHCPOption(v any) (signalbox.DHCPOption, error) {
	o, err := dhcpOption(v)
	if err != nil {
		err = unconvertible("No valid key specs matched for: %s: %s.", shown(v), err)
	}
	return o, err
}

func dhcpOption(v any) (out signalbox.DHCPOption, err error) {
	o, ok := v.(object)
	if !ok {
		return out, errors.New("it is no dictionary")
	}
	out.Version = 4
	for key, v := range o {
		switch key {
		case "opt_name":
			out.Name, err = as[string](text(maxDHCPName), v)
		case "opt_value":
			if out.Unset = v == nil; !out.Unset {
				out.Value, err = as[string](text(maxDHCPValue), v)
			}
		case "ip_version":
			out.Version, err = as[int](integer(nil), v)
		default:
			err = fmt.Errorf("unexpected key '%s'", shown(key))
		}
		if err != nil {
			return out, err
		}
	}
	_, said := o["opt_value"]
	switch {
	case !said:
		return out, errors.New("opt_value is missing")
	case out.Name == "" || strings.ContainsAny(out.Name, " \t\r\n\v\f"):
		return out, errors.New("opt_name is no name")
	case out.Version != 4 && out.Version != 6:
		return out, errors.New("ip_version is neither 4 nor 6")
	case out.Value == "" && !out.Unset && out.Name != "router" && out.Name != "classless-static-route":
		return out, errors.New("opt_value is empty")
	}
	return out, nil
}
