package store

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

// sentAddr is what inet_send writes of an address.
func sentAddr(a netip.Addr) []byte {
	family := byte(2)
	if a.Is6() {
		family = 3
	}
	return append([]byte{family, byte(a.BitLen()), 0, byte(a.BitLen() / 8)}, a.AsSlice()...)
}

func TestPartsGoToTheirOwners(t *testing.T) {
	one, two, stranger := uuid.New(), uuid.New(), uuid.New()
	subnets, groups := []uuid.UUID{uuid.New(), uuid.New()}, []uuid.UUID{uuid.New(), uuid.New()}
	v4, v6 := netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("2001:db8::3")
	var addresses, memberships []byte
	address := func(port, subnet uuid.UUID, a netip.Addr) {
		addresses = slices.Concat(addresses, port[:], subnet[:], sentAddr(a))
	}
	address(one, subnets[1], v6)
	address(stranger, subnets[0], v4)
	address(one, subnets[0], v4)
	for _, g := range groups {
		memberships = slices.Concat(memberships, two[:], g[:], stranger[:], g[:])
	}
	ports := []signalbox.Port{{ID: one}, {ID: two}}
	if err := join(ports, addresses, memberships); err != nil {
		t.Fatal(err)
	}
	want := []signalbox.FixedIP{{SubnetID: subnets[1], Addr: v6}, {SubnetID: subnets[0], Addr: v4}}
	if !slices.Equal(ports[0].FixedIPs, want) || ports[1].FixedIPs != nil {
		t.Errorf("addresses are %v and %v, want %v and none", ports[0].FixedIPs, ports[1].FixedIPs, want)
	}
	if !slices.Equal(ports[1].SecurityGroups, groups) || ports[0].SecurityGroups != nil {
		t.Errorf("groups are %v and %v, want none and %v", ports[0].SecurityGroups, ports[1].SecurityGroups, groups)
	}
	if err := join(ports, addresses[:len(addresses)-1], nil); err == nil {
		t.Error("an address without its end is taken")
	}
	if err := join(ports, nil, memberships[:20]); err == nil {
		t.Error("a group without its end is taken")
	}
}

func FuzzJoin(f *testing.F) {
	f.Add(sentAddr(netip.MustParseAddr("10.0.0.3")), []byte("a group"))
	f.Add(make([]byte, 56), make([]byte, 32))
	f.Add(binary.BigEndian.AppendUint32(make([]byte, 32), 16), []byte{})
	f.Fuzz(func(t *testing.T, addresses, groups []byte) {
		ports := make([]signalbox.Port, 1)
		if join(ports, addresses, groups) != nil {
			return
		}
		if n := len(ports[0].FixedIPs); n > len(addresses)/40 {
			t.Errorf("%d bytes are %d addresses", len(addresses), n)
		}
		if n := len(ports[0].SecurityGroups); n > len(groups)/32 {
			t.Errorf("%d bytes are %d groups", len(groups), n)
		}
	})
}

func TestUUIDsAreAnArray(t *testing.T) {
	a, b := uuid.MustParse("00000000-0000-0000-0000-00000000000a"), uuid.MustParse("10000000-0000-0000-0000-00000000000b")
	for want, ids := range map[string]uuids{
		"{}":                                 nil,
		"{0000000000000000000000000000000a}": {a},
		"{0000000000000000000000000000000a,1000000000000000000000000000000b}": {a, b},
	} {
		if got, err := ids.Value(); got != want || err != nil {
			t.Errorf("%v is %v, %v", ids, got, err)
		}
	}
}
