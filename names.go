package signalbox

import (
	"fmt"
	"net/netip"
	"strings"
)

// MaxName is how long a fully qualified domain name can be, with its last dot: 255 bytes as DNS sends it (RFC 1035, 2.3.4).
const MaxName = 254

// CheckName says what is wrong with a host's or a domain's name in lower case, relative or with its last dot (RFC 1123, 2.1).
// "" is no name, and nothing is wrong with it.
func CheckName(name string) (wrong string) {
	if name == "" {
		return ""
	}
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, label := range labels {
		switch {
		case label == "":
			return "Encountered an empty component"
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Sprintf("Name '%s' must not start or end with a hyphen", label)
		case len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
			return fmt.Sprintf("Name '%s' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen", label)
		}
	}
	if last := labels[len(labels)-1]; len(labels) > 1 && strings.Trim(last, "0123456789") == "" {
		return fmt.Sprintf("TLD '%s' must not be all numeric", last)
	}
	return ""
}

// ParseDomain is a domain as it is kept, in lower case and with its last dot; "" is none. The shortest name has room in it.
func ParseDomain(s string) (string, error) {
	s = strings.ToLower(s)
	if s == "" {
		return "", nil
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	if wrong := CheckName(s); wrong != "" {
		return "", fmt.Errorf("%q is no domain: %s", s, wrong)
	}
	if len(s) > MaxName-len("a.") {
		return "", fmt.Errorf("a domain of %d characters leaves no room for names: the most is %d", len(s), MaxName-len("a."))
	}
	return s, nil
}

// HostName is the name of an address that nobody has given one, as Neutron makes it: host-10-0-0-3.
func HostName(a netip.Addr) string {
	b := a.AppendTo(append(make([]byte, 0, 48), "host-"...))
	for i, c := range b {
		if c == '.' || c == ':' {
			b[i] = '-'
		}
	}
	return string(b)
}

// NameOf is what an address of the port is called in a domain ("" is none): by itself, and fully qualified.
func (p *Port) NameOf(a netip.Addr, domain string) (host, full string) {
	host = p.DNSName
	switch {
	case strings.HasSuffix(host, "."):
		return host, host
	case host == "":
		host = HostName(a)
	}
	if domain == "" {
		return host, host
	}
	return host, host + "." + domain
}
