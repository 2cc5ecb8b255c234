package signalbox

import (
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// AddressScope is a room in which no address means two things: the blocks of its pools do not overlap.
type AddressScope struct {
	ID        uuid.UUID
	ProjectID string
	Name      string
	IPVersion int // 4 or 6
	Sharing
}

// NoQuota is the Quota of a pool of which each project may have as much as there is.
const NoQuota = -1

// SubnetPool is blocks of addresses that subnets of any network are cut from, so that they never overlap.
type SubnetPool struct {
	ID               uuid.UUID
	ProjectID        string
	Name             string
	Description      string
	Prefixes         []netip.Prefix // of one family, as few as can be, in ascending order
	MinPrefixLen     int            // of the largest subnet
	DefaultPrefixLen int            // of a subnet that does not say
	MaxPrefixLen     int            // of the smallest
	Quota            int            // of each project: addresses in IPv4, blocks of /64 in IPv6; NoQuota, or 0 as in Neutron: any
	Default          bool           // subnets of the family are cut from it where one asks for just any pool; one is
	AddressScopeID   uuid.UUID      // Nil: in none
	Tags             []string       // in order, each once
	Sharing
	Meta
}

// IPVersion is 4 or 6.
func (p *SubnetPool) IPVersion() int { return ipVersion(p.Prefixes[0]) }

func ipVersion(block netip.Prefix) int {
	if block.Addr().Is4() {
		return 4
	}
	return 6
}

// IsServiceType reports whether a subnet can be for ports of a device owner.
func IsServiceType(owner string) bool {
	for _, prefix := range []string{"network:", "compute:", "neutron:"} {
		if strings.HasPrefix(owner, prefix) {
			return true
		}
	}
	return false
}
