package signalbox

import (
	"encoding/hex"
	"fmt"
	"net/netip"
)

// MAC is a 48-bit Ethernet address. Unlike net.HardwareAddr it can be compared and used as a map key.
type MAC [6]byte

// Broadcast is ff:ff:ff:ff:ff:ff.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ParseMAC reads the forms that Neutron accepts: six pairs of hexadecimal digits joined by ':' or '-'.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != 17 {
		return m, fmt.Errorf("%q is not a MAC address", s)
	}
	sep := s[2]
	if sep != ':' && sep != '-' {
		return m, fmt.Errorf("%q is not a MAC address", s)
	}
	for i := range 6 {
		if i > 0 && s[3*i-1] != sep {
			return MAC{}, fmt.Errorf("%q is not a MAC address", s)
		}
		if _, err := hex.Decode(m[i:i+1], []byte(s[3*i:3*i+2])); err != nil {
			return MAC{}, fmt.Errorf("%q is not a MAC address", s)
		}
	}
	return m, nil
}

// MustMAC is ParseMAC for literals; it panics on a bad one.
func MustMAC(s string) MAC {
	m, err := ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func (m MAC) String() string { return string(m.AppendTo(make([]byte, 0, 17))) }

// AppendTo appends what String returns.
func (m MAC) AppendTo(b []byte) []byte {
	const digits = "0123456789abcdef"
	for i, x := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b
}

// IsMulticast reports whether the group bit is set (IEEE 802.3).
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// EUI64 is the modified EUI-64 interface identifier of the MAC inside prefix, a /64 (RFC 4291, appendix A).
func (m MAC) EUI64(prefix netip.Prefix) netip.Addr {
	a := prefix.Masked().Addr().As16()
	copy(a[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return netip.AddrFrom16(a)
}

// LinkLocal is the IPv6 link-local address that the MAC's owner forms for itself (RFC 4862).
func (m MAC) LinkLocal() netip.Addr { return m.EUI64(netip.MustParsePrefix("fe80::/64")) }

// MarshalText and UnmarshalText give a MAC its colon form in JSON, YAML and map keys.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (m *MAC) UnmarshalText(b []byte) error {
	parsed, err := ParseMAC(string(b))
	if err == nil {
		*m = parsed
	}
	return err
}
