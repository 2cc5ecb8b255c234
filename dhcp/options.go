package dhcp

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/signalbox-sdn/signalbox"
)

// form is how an option's value is written, and what that is on the wire.
type form uint8

const (
	guessed   form = iota // an option that no name here is for: as dnsmasq guesses
	text                  // as it is
	addresses             // IPv4, joined by commas
	byte1                 // a number of so many bytes
	byte2
	byte4
	classless // "10.1.0.0/16,10.0.0.1", more of them joined by commas (RFC 3442)
	search    // domain names, joined by commas (RFC 3397)
)

// named is an option by dnsmasq's name, which is what Neutron's clients write.
type named struct {
	code uint8
	form form
}

// serverIPAddress is no option but BOOTP's siaddr, the next server's address, under a number that none can have.
const serverIPAddress = 255

func optionNames() map[string]named {
	return map[string]named{
		"netmask": {1, addresses}, "time-offset": {2, byte4}, "router": {3, addresses}, "dns-server": {6, addresses},
		"log-server": {7, addresses}, "lpr-server": {9, addresses}, "hostname": {12, text}, "boot-file-size": {13, byte2},
		"domain-name": {15, text}, "swap-server": {16, addresses}, "root-path": {17, text}, "extension-path": {18, text},
		"ip-forward-enable": {19, byte1}, "default-ttl": {23, byte1}, "mtu": {26, byte2}, "broadcast": {28, addresses},
		"router-discovery": {31, byte1}, "router-solicitation": {32, addresses}, "static-route": {33, addresses},
		"arp-timeout": {35, byte4}, "tcp-ttl": {37, byte1}, "tcp-keepalive": {38, byte4}, "nis-domain": {40, text},
		"nis-server": {41, addresses}, "ntp-server": {42, addresses}, "netbios-ns": {44, addresses}, "netbios-dd": {45, addresses},
		"netbios-nodetype": {46, byte1}, "netbios-scope": {47, text}, "x-windows-fs": {48, addresses}, "x-windows-dm": {49, addresses},
		"vendor-class": {60, text}, "nis+-domain": {64, text}, "nis+-server": {65, addresses},
		"tftp-server": {66, text}, "bootfile-name": {67, text}, "smtp-server": {69, addresses}, "pop3-server": {70, addresses},
		"nntp-server": {71, addresses}, "irc-server": {74, addresses}, "user-class": {77, text}, "domain-search": {119, search},
		"classless-static-route": {121, classless}, "249": {249, classless}, "tftp-server-address": {150, addresses},
		"server-ip-address": {serverIPAddress, addresses},
	}
}

// chosen is a port's own options, by code; nil where it is to have none. What is no option of ours to give, or cannot be read,
// is left out, as dnsmasq does.
func chosen(options []signalbox.DHCPOption) map[uint8][]byte {
	var out map[uint8][]byte
	for _, o := range options {
		if o.Version != 4 {
			continue
		}
		n, ok := findOption(o.Name)
		if !ok {
			continue
		}
		value, ok := n.form.read(o.Value)
		if !ok && o.Value != "" {
			continue
		}
		if out == nil {
			out = map[uint8][]byte{}
		}
		out[n.code] = value
	}
	return out
}

// findOption knows an option by its name or number. How the lease and the exchange go is not a port's to say.
func findOption(name string) (named, bool) {
	names := optionNames()
	if n, ok := names[name]; ok {
		return n, true
	}
	code, err := strconv.ParseUint(name, 10, 8)
	if err != nil || code == 0 || code >= serverIPAddress {
		return named{}, false
	}
	switch dhcpv4.GenericOptionCode(code) {
	case 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 82:
		return named{}, false
	}
	for _, n := range names {
		if n.code == uint8(code) {
			return n, true
		}
	}
	return named{uint8(code), guessed}, true
}

func (f form) read(s string) ([]byte, bool) {
	switch f {
	case text:
		return []byte(s), s != ""
	case addresses:
		return readAddresses(s)
	case byte1:
		return readNumber(s, 1)
	case byte2:
		return readNumber(s, 2)
	case byte4:
		return readNumber(s, 4)
	case classless:
		return readRoutes(s)
	case search:
		return readNames(s)
	}
	if b, ok := readAddresses(s); ok {
		return b, true
	}
	if b, err := hex.DecodeString(strings.ReplaceAll(s, ":", "")); err == nil && len(s) == 3*len(b)-1 && len(b) > 1 {
		return b, true
	}
	for _, size := range []int{1, 2, 4} {
		if b, ok := readNumber(s, size); ok {
			return b, true
		}
	}
	return []byte(s), s != ""
}

func readAddresses(s string) (out []byte, ok bool) {
	for part := range strings.SplitSeq(s, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(part))
		if err != nil || !a.Is4() {
			return nil, false
		}
		out = append(out, a.AsSlice()...)
	}
	return out, true
}

// readNumber takes negative numbers, too: a time offset has a sign.
func readNumber(s string, size int) ([]byte, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	bits := 8 * size
	if err != nil || n > int64(math.MaxUint32)>>(32-bits) || n < -1<<(bits-1) {
		return nil, false
	}
	return binary.BigEndian.AppendUint64(nil, uint64(n))[8-size:], true
}

func readRoutes(s string) (out []byte, ok bool) {
	parts := strings.Split(s, ",")
	if len(parts)%2 != 0 {
		return nil, false
	}
	for pair := range slices.Chunk(parts, 2) {
		to, err1 := netip.ParsePrefix(strings.TrimSpace(pair[0]))
		by, err2 := netip.ParseAddr(strings.TrimSpace(pair[1]))
		if err1 != nil || err2 != nil || !to.Addr().Is4() || !by.Is4() {
			return nil, false
		}
		out = appendRoute(out, to, by)
	}
	return out, true
}

func readNames(s string) (out []byte, ok bool) {
	for name := range strings.SplitSeq(s, ",") {
		for label := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(name), "."), ".") {
			if len(label) == 0 || len(label) > 63 {
				return nil, false
			}
			out = append(append(out, byte(len(label))), label...)
		}
		out = append(out, 0)
	}
	return out, true
}

// addChosen adds what the port's owner has chosen and the client asks for, and BOOTP's fields, which boot loaders read
// without asking. From then on nothing else is said of any of these options.
func (a *reply) addChosen() {
	own := chosen(a.facts.Options)
	for _, code := range slices.Sorted(maps.Keys(own)) {
		value := own[code]
		switch {
		case code == serverIPAddress:
			if len(value) >= 4 {
				a.ServerIPAddr = value[:4]
			}
			continue
		case code == dhcpv4.OptionTFTPServerName.Code() && len(value) < 64:
			a.ServerHostName = string(value)
		case code == dhcpv4.OptionBootfileName.Code() && len(value) < 128:
			a.BootFileName = string(value)
		}
		if value != nil && a.request.IsOptionRequested(dhcpv4.GenericOptionCode(code)) {
			a.put(dhcpv4.GenericOptionCode(code), value)
		}
	}
	a.own = own
}
