package neutron

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-sdn/signalbox"
)

// Settings are the operator's words about network types, by the names that Quantum's and ML2's configuration
// files have for them. Lists are separated by commas.
type Settings struct {
	TenantNetworkTypes  string // tried in this order: "vlan,vxlan"
	ExternalNetworkType string // of external networks that are asked for without a type: "flat"; "": as tenants'
	NetworkVLANRanges   string // "physnet:min:max", or "physnet" for one that only admins take VLANs of
	FlatNetworks        string // names of physical networks, or "*" for any
	TunnelIDRanges      string // "min:max", for gre
	VNIRanges           string // "min:max", for vxlan and geneve
	UnderlayMTU         int    // bytes of the largest IP packet between hosts
	DNSDomain           string // of the names of ports whose network has none of its own; "": none
	Quotas              string // how much a project may have, before Neutron's defaults: "port:1000", "*:-1" for any number of anything
}

// DefaultSettings need nothing of the physical network but that hosts reach each other.
func DefaultSettings() Settings {
	return Settings{TenantNetworkTypes: "vxlan", TunnelIDRanges: "1:65535", VNIRanges: "1:65535", UnderlayMTU: 1500, DNSDomain: "openstacklocal"}
}

// IDRange is an inclusive range of VLAN or tunnel ids.
type IDRange = [2]uint32

// PhysicalNetwork is a physical network that carries VLANs, and those that tenants' networks are given.
type PhysicalNetwork struct {
	Name   string
	Ranges []IDRange
}

// Config is what Settings mean.
type Config struct {
	TenantNetworkTypes  []signalbox.NetworkType
	ExternalNetworkType signalbox.NetworkType // "": as tenants'
	NetworkVLANRanges   []PhysicalNetwork
	FlatNetworks        []string // anyPhysical: any
	TunnelIDRanges      []IDRange
	VNIRanges           []IDRange
	UnderlayMTU         int
	Domain              string         // as signalbox.ParseDomain has it
	Quotas              map[string]int // resource -> how many of it a project may have, or signalbox.Unlimited
}

// anyPhysical stands for every name of a physical network.
const anyPhysical = "*"

// Bounds of ids: IEEE 802.1Q, RFC 2890 (a key of 32 bits), RFC 7348 and RFC 8926 (24 bits).
const (
	maxVLAN = 4094
	maxKey  = 1<<32 - 1
	maxVNI  = 1<<24 - 1
)

// Parse reads the settings. An error names the setting and the part of it that is wrong.
func (s Settings) Parse() (Config, error) {
	c := Config{
		UnderlayMTU: s.UnderlayMTU, FlatNetworks: words(s.FlatNetworks),
		ExternalNetworkType: signalbox.NetworkType(strings.TrimSpace(s.ExternalNetworkType)),
	}
	var errs [6]error
	c.TenantNetworkTypes, errs[0] = parseTypes(s.TenantNetworkTypes)
	c.NetworkVLANRanges, errs[1] = parseVLANRanges(s.NetworkVLANRanges)
	c.TunnelIDRanges, errs[2] = parseRanges("tunnel_id_ranges", s.TunnelIDRanges, maxKey)
	c.VNIRanges, errs[3] = parseRanges("vni_ranges", s.VNIRanges, maxVNI)
	if c.Domain, errs[4] = signalbox.ParseDomain(s.DNSDomain); errs[4] != nil {
		errs[4] = fmt.Errorf("dns_domain: %w", errs[4])
	}
	c.Quotas, errs[5] = parseQuotas(s.Quotas)
	if err := errors.Join(errs[:]...); err != nil {
		return Config{}, err
	}
	return c, c.check()
}

// check refuses a configuration in which no network could ever be made.
func (c Config) check() error {
	const least = 68 + 50 // the smallest IPv4 MTU (RFC 791) inside the largest overhead
	if c.UnderlayMTU < least || c.UnderlayMTU > 65535 {
		return fmt.Errorf("underlay_mtu: %d is not between %d and 65535", c.UnderlayMTU, least)
	}
	for _, t := range c.TenantNetworkTypes {
		if needs := c.lacks(t); needs != "" {
			return fmt.Errorf("tenant_network_types: %s needs %s", t, needs)
		}
	}
	t := c.ExternalNetworkType
	if t == "" {
		return nil
	}
	if _, known := overhead(t); !known {
		return fmt.Errorf("external_network_type: %q is not one of local, flat, vlan, gre, vxlan and geneve", t)
	}
	if needs := c.lacks(t); needs != "" {
		return fmt.Errorf("external_network_type: %s needs %s", t, needs)
	}
	return nil
}

// lacks is the setting without which no segment of a type could be chosen; "": all is there.
func (c Config) lacks(t signalbox.NetworkType) string {
	vlan := slices.ContainsFunc(c.NetworkVLANRanges, func(p PhysicalNetwork) bool { return len(p.Ranges) > 0 })
	flat := slices.ContainsFunc(c.FlatNetworks, func(name string) bool { return name != anyPhysical })
	switch {
	case t == signalbox.Flat && !flat:
		return "flat_networks with a name"
	case t == signalbox.VLAN && !vlan:
		return "network_vlan_ranges with a range"
	case t == signalbox.GRE && len(c.TunnelIDRanges) == 0:
		return "tunnel_id_ranges"
	case (t == signalbox.VXLAN || t == signalbox.Geneve) && len(c.VNIRanges) == 0:
		return "vni_ranges"
	}
	return ""
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func parseTypes(s string) ([]signalbox.NetworkType, error) {
	var types []signalbox.NetworkType
	for _, w := range words(s) {
		t := signalbox.NetworkType(w)
		if _, known := overhead(t); !known || t == signalbox.Flat || slices.Contains(types, t) {
			return nil, fmt.Errorf("tenant_network_types: %q is not one of local, vlan, gre, vxlan and geneve, once", w)
		}
		types = append(types, t)
	}
	if types == nil {
		return nil, errors.New("tenant_network_types: at least one is needed")
	}
	return types, nil
}

// parseVLANRanges reads "physnet:min:max" and "physnet"; a name may come again with another range.
func parseVLANRanges(s string) ([]PhysicalNetwork, error) {
	var all []PhysicalNetwork
	for _, w := range words(s) {
		name, ids, ranged := strings.Cut(w, ":")
		if name == "" || len(name) > 64 {
			return nil, fmt.Errorf("network_vlan_ranges: %q does not start with a physical network of at most 64 characters", w)
		}
		i := slices.IndexFunc(all, func(p PhysicalNetwork) bool { return p.Name == name })
		if i < 0 {
			i, all = len(all), append(all, PhysicalNetwork{Name: name})
		}
		if !ranged {
			continue
		}
		r, err := parseRange("network_vlan_ranges", ids, maxVLAN)
		if err != nil {
			return nil, err
		}
		all[i].Ranges = append(all[i].Ranges, r)
	}
	return all, nil
}

func parseRanges(setting, s string, max uint64) ([]IDRange, error) {
	var ranges []IDRange
	for _, w := range words(s) {
		r, err := parseRange(setting, w, max)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

func parseRange(setting, s string, max uint64) (IDRange, error) {
	first, last, ok := strings.Cut(s, ":")
	lo, err1 := strconv.ParseUint(first, 10, 32)
	hi, err2 := strconv.ParseUint(last, 10, 32)
	if !ok || err1 != nil || err2 != nil || lo < 1 || hi > max || lo > hi {
		return IDRange{}, fmt.Errorf("%s: %q is not min:max with 1 <= min <= max <= %d", setting, s, max)
	}
	return IDRange{uint32(lo), uint32(hi)}, nil
}
