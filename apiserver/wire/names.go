package wire

import (
	"fmt"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// maxName is how many characters Neutron takes of a name.
const maxName = 255

// dnsName is a host's name, relative or fully qualified; "" is none. Case is not kept.
func dnsName() Kind {
	return Kind{
		Schema: Schema{Type: "string", MaxLength: maxName},
		read: func(v any) (any, error) {
			s, ok := v.(string)
			if !ok {
				return nil, unconvertible("Input value %s must be string type.", shown(v))
			}
			s = strings.ToLower(s)
			wrong := signalbox.CheckName(s)
			if len(s) > maxName {
				wrong = fmt.Sprintf("'%s' exceeds the %d character FQDN limit", shown(v), maxName)
			}
			if wrong != "" {
				return nil, fmt.Errorf("'%s' not a valid PQDN or FQDN. Reason: %s", shown(v), wrong)
			}
			return s, nil
		},
		write:  func(b []byte, v any) []byte { return appendString(b, v.(string)) },
		filter: func(s string) (any, error) { return strings.ToLower(s), nil },
	}.takesNull("")
}

// dnsDomain is a domain with its last dot; "" is none.
func dnsDomain() Kind {
	k := dnsName()
	read := k.read
	k.read = func(v any) (any, error) {
		if s, _ := v.(string); s != "" && !strings.HasSuffix(s, ".") {
			return nil, fmt.Errorf("'%s' is not a FQDN", shown(v))
		}
		name, err := read(v)
		if err != nil {
			return nil, err
		}
		return signalbox.ParseDomain(name.(string))
	}
	return k
}

// assignment is what a port's addresses are called, which no request sets.
func assignment() Kind {
	one := Schema{Type: "string"}
	item := Schema{Type: "object", Properties: map[string]Schema{"ip_address": address().Schema, "hostname": one, "fqdn": one}}
	return Kind{
		Schema: Schema{Type: "array", Items: &item},
		write: func(b []byte, v any) []byte {
			p := v.(*signalbox.Port)
			return appendList(b, p.FixedIPs, func(b []byte, f signalbox.FixedIP) []byte {
				host, full := p.NameOf(f.Addr, p.Domain)
				b = appendAddr(append(b, `{"ip_address":`...), f.Addr)
				b = appendString(append(b, `,"hostname":`...), host)
				return append(appendString(append(b, `,"fqdn":`...), full), '}')
			})
		},
	}
}
