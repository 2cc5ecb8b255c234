package store

// Which address a port gets. The lowest free one of the subnet's pools, without a scan of the pool, and without
// making concurrent creators wait for each other's commit. Four tables do it, with the functions of the baseline
// migration:
//
//	pools           the ranges, each with a mark: so many addresses from its first on were cut off
//	free_addresses  one row for each address below a mark that no port has
//	allocations     one row for each address that a port has
//	subnets         whose row is the lock between those who read the marks and those who move them
//
// Taking an address deletes the lowest free row that no other transaction has its hand on (SKIP LOCKED): one index
// probe, nobody waits, and should the transaction fail, the row is back. The next 128 addresses are cut off the lowest pool
// that has any, those already allocated left out, by one creator in 32 who looks and finds fewer than 96 free rows, or
// else by the first who finds none. That is the same work for a pool of 250 addresses and one of 2^64.
//
// A released address below the mark becomes a free row again, and as the lowest is taken first, it is reused first. One
// above the mark is only forgotten: it will be cut in its turn. An address asked for by name is deleted from
// the free rows, if it is below the mark; above it, the allocation itself keeps it from being cut later.
//
// So an address below the mark is in exactly one of free_addresses and allocations. To keep that true:
//
//	who                          holds until commit   waits for
//	takes a free row             that row             nobody
//	claims by name, or releases  subnet FOR SHARE     a refill, a change of the pools
//	refills                      FOR NO KEY UPDATE    claims, releases, another refill, a change of the pools
//	changes the pools            FOR NO KEY UPDATE    the same, and the takers, whose rows it deletes
//
// Who refills ahead of need does not wait for the lock (others who have it may be at the same), so the lock is seldom
// waited for. Who finds nothing waits for it and then looks again, and lets it go at once when there is something
// now: else all who waited would commit one after the other. And "exhausted" is said only when, under it, no
// pool has a tail, and the free rows that others had in hand were waited for and are gone.
//
// Two transactions that take several addresses each can wait for each other in a ring; PostgreSQL ends one of them and
// DB.Write runs it again.

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// TakeAddress takes the lowest free address of the subnet's pools, for a port that InsertPort or UpdatePort then
// writes in the same transaction. Conflict ReasonIPExhausted; NotFound when there is no such subnet.
func (tx *Tx) TakeAddress(ctx context.Context, subnet uuid.UUID) (netip.Addr, error) {
	var got addr
	err := tx.get(ctx, &got, `SELECT take_address($1)`, subnet)
	var pe *pq.Error
	if errors.As(err, &pe) && pe.Code == codeNoDataFound {
		return netip.Addr{}, notFound("take address", "subnet", subnet)
	} else if err != nil {
		return netip.Addr{}, wrap("take address", err)
	}
	if !got.IsValid() {
		return netip.Addr{}, &signalbox.Error{Kind: signalbox.Conflict, Reason: signalbox.ReasonIPExhausted,
			Op: "take address", Resource: "subnet", ID: subnet.String(), Msg: exhausted}
	}
	if tx.taken == nil {
		tx.taken = make(map[signalbox.FixedIP]bool)
	}
	tx.taken[signalbox.FixedIP{SubnetID: subnet, Addr: got.Addr}] = true
	return got.Addr, nil
}

// claim takes addresses that were asked for by name, rather than by TakeAddress, out of the free rows. Whether
// another port has them is found out when they are written.
func (tx *Tx) claim(ctx context.Context, ips []signalbox.FixedIP) error {
	var subnets, addrs pq.StringArray
	for _, f := range ips {
		if f.Addr.IsValid() && !tx.taken[f] {
			subnets = append(subnets, f.SubnetID.String())
			addrs = append(addrs, f.Addr.String())
		}
	}
	if len(subnets) == 0 {
		return nil
	}
	_, err := tx.exec(ctx, `SELECT claim_address(s, a) FROM unnest($1::uuid[], $2::inet[]) AS t(s, a)`, subnets, addrs)
	return err
}

// replacePools gives a subnet other pools, all of them uncut.
func (tx *Tx) replacePools(ctx context.Context, s *signalbox.Subnet) error {
	for _, text := range []string{
		lockSubnet,
		`DELETE FROM free_addresses WHERE subnet_id = $1`,
		`DELETE FROM pools WHERE subnet_id = $1`,
	} {
		if _, err := tx.exec(ctx, text, s.ID); err != nil {
			return wrap("replace pools", err)
		}
	}
	return tx.insertPools(ctx, s)
}

func (tx *Tx) insertPools(ctx context.Context, s *signalbox.Subnet) error {
	if len(s.Pools) == 0 {
		return nil
	}
	var first, last pq.StringArray
	var size pq.Int64Array
	for _, p := range s.Pools {
		first, last = append(first, p.First.String()), append(last, p.Last.String())
		size = append(size, rangeSize(p))
	}
	_, err := tx.exec(ctx, `
		INSERT INTO pools (subnet_id, first, last, size)
		SELECT $1, f, l, n FROM unnest($2::inet[], $3::inet[], $4::bigint[]) AS t(f, l, n)`, s.ID, first, last, size)
	return wrap("insert pools", err)
}

// rangeSize is how many addresses a range holds, but at most 2^63-1. A range that ends before it begins has none, which
// the schema refuses.
func rangeSize(r signalbox.AddrRange) int64 {
	a, b := r.First.As16(), r.Last.As16()
	low := binary.BigEndian.Uint64(b[8:]) - binary.BigEndian.Uint64(a[8:])
	high := binary.BigEndian.Uint64(b[:8]) - binary.BigEndian.Uint64(a[:8])
	if binary.BigEndian.Uint64(b[8:]) < binary.BigEndian.Uint64(a[8:]) {
		high-- // the borrow
	}
	switch {
	case r.Last.Less(r.First):
		return 0
	case high > 0 || low >= math.MaxInt64:
		return math.MaxInt64
	}
	return int64(low) + 1
}
