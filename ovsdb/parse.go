package ovsdb

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

const (
	maxText       = 255 // bytes of any name
	maxDeviceName = 15  // bytes of a network device's name on Linux (IFNAMSIZ less its NUL)
	maxOFPort     = 0xfeff
)

// readInterface checks what an Interface row says.
func readInterface(r *interfaceRow) (i Interface, problems []string) {
	complain := func(format string, args ...any) {
		problems = append(problems, "interface "+quote(r.name)+": "+fmt.Sprintf(format, args...))
	}
	i = Interface{Name: clean(r.name), Type: clean(r.kind), Options: r.options, Error: shorten(printable(r.err), maxText)}
	if i.Name == "" {
		complain("a name that is not printable or over %d bytes", maxText)
	}
	if r.ofport > 0 && r.ofport <= maxOFPort {
		i.OFPort = uint32(r.ofport)
	}
	// An interface with a port works. OVS leaves "No usable peer" on the first end of a patch even when the
	// second comes in the same transaction; whether the ends can meet is seen from the bridges.
	if i.Error != "" && i.OFPort == 0 {
		complain("%s", i.Error)
	}
	if v := r.externalIDs["iface-id"]; v != "" {
		id, err := parseUUID(v)
		if err != nil {
			complain("iface-id: %v", err)
		}
		i.InterfaceID = id
	}
	if v := r.externalIDs["attached-mac"]; v != "" {
		mac, err := signalbox.ParseMAC(v)
		if err != nil {
			complain("attached-mac: %s is not a MAC address", quote(v))
		}
		i.AttachedMAC = mac
	}
	return i, problems
}

// parseUUID takes the 36-character form only: uuid.Parse would take four.
func parseUUID(s string) (uuid.UUID, error) {
	if len(s) == 36 {
		if id, err := uuid.Parse(s); err == nil {
			return id, nil
		}
	}
	return uuid.Nil, fmt.Errorf("%s is not a UUID", quote(s))
}

// parseMappings reads bridge_mappings as Neutron writes them: physnet1:br-eth1,physnet2:br-ex. A
// physical network has one bridge, and a bridge one physical network; what breaks that is left out,
// and said in problems.
func parseMappings(s string) (mappings map[string]string, problems []string) {
	mappings = make(map[string]string)
	taken := make(map[string]bool)
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		physical, bridge, ok := strings.Cut(item, ":")
		physical, bridge = strings.TrimSpace(physical), strings.TrimSpace(bridge)
		switch {
		case !ok || clean(physical) == "" || !isDeviceName(bridge):
			problems = append(problems, quote(item)+" is not PHYSICAL_NETWORK:BRIDGE")
		case bridge == IntegrationBridge:
			problems = append(problems, quote(item)+" names the integration bridge")
		case mappings[physical] != "":
			problems = append(problems, "physical network "+physical+" is named twice")
		case taken[bridge]:
			problems = append(problems, "bridge "+bridge+" is named twice")
		default:
			mappings[physical] = bridge
			taken[bridge] = true
		}
		if len(problems) > maxProblems {
			break
		}
	}
	return mappings, problems
}

// parseTunnelIP reads local_ip. Flows carry tunnel destinations as IPv4 addresses.
func parseTunnelIP(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%s is not an IPv4 address of a host", quote(s))
	}
	return a, nil
}

// parseDatapathID reads 16 hexadecimal digits (ovs-vswitchd.conf.db(5), Bridge datapath_id).
func parseDatapathID(s string) (signalbox.DatapathID, error) {
	if len(s) == 16 {
		if n, err := strconv.ParseUint(s, 16, 64); err == nil && n != 0 {
			return signalbox.DatapathID(n), nil
		}
	}
	return 0, fmt.Errorf("%s is not a datapath id", quote(s))
}

// isDeviceName reports whether Linux would take s as a network device's name.
func isDeviceName(s string) bool {
	return s != "" && len(s) <= maxDeviceName && s != "." && s != ".." &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return r == '/' || r == ':' || r > unicode.MaxASCII || !unicode.IsGraphic(r) || unicode.IsSpace(r)
		})
}

// clean is s, or "" when it is too long or has characters that no name should.
func clean(s string) string {
	if len(s) > maxText || printable(s) != s {
		return ""
	}
	return s
}

// printable is s without what could disturb a terminal, a log or the database.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// quote makes a host's words fit for a message.
func quote(s string) string { return strconv.QuoteToASCII(shorten(s, 64)) }

// shorten cuts s to n bytes or fewer, at a rune's edge.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
