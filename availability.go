package signalbox

import (
	"math/big"
	"net/netip"

	"github.com/google/uuid"
)

// Availability is how many addresses of a network there are to be given, and how many are.
type Availability struct {
	NetworkID uuid.UUID
	Name      string
	ProjectID string
	Subnets   []SubnetAvailability // oldest first
}

// SubnetAvailability is the same of one subnet: how many addresses its pools have, and how many ports have one of the subnet's,
// be it of a pool or not.
type SubnetAvailability struct {
	SubnetID uuid.UUID
	Name     string
	CIDR     netip.Prefix
	Used     int64
	Total    *big.Int
}

// Sum is how many addresses all subnets have, and how many of these are used.
func (a *Availability) Sum() (total *big.Int, used int64) {
	total = new(big.Int)
	for _, s := range a.Subnets {
		total.Add(total, s.Total)
		used += s.Used
	}
	return total, used
}
