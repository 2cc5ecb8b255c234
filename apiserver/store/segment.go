package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/signalbox-sdn/signalbox"
)

// ClaimSegment gives a network the segment that was asked for; the network's row may come before or after it in
// the transaction. Conflict ReasonSegmentInUse; Invalid where the id is out of the type's range or a physical
// network is missing or too much. Segments come free with their network.
func (tx *Tx) ClaimSegment(ctx context.Context, seg signalbox.Segment, network uuid.UUID) error {
	_, err := tx.exec(ctx, `
		INSERT INTO segments (network_id, network_type, physical, segmentation_id) VALUES ($1, $2, $3, $4)`,
		network, string(seg.Type), seg.Physical, int64(seg.ID))
	return wrap("claim segment", err)
}

// RenumberSegment gives the segment of a network another id. Refusals are those of ClaimSegment; NotFound where the network has
// none.
func (tx *Tx) RenumberSegment(ctx context.Context, network uuid.UUID, id uint32) error {
	n, err := tx.exec(ctx, `UPDATE segments SET segmentation_id = $2 WHERE network_id = $1`, network, int64(id))
	if err == nil && n == 0 {
		return notFound("renumber segment", "segment", network)
	}
	return wrap("renumber segment", err)
}

// probes is how many random ids are tried before the ranges are searched in order: enough while less than nine
// tenths are taken.
const probes = 16

// PickSegment finds a free segment id in the ranges, both ends included, and claims it for the network. Ids are picked
// at random, so that concurrent callers seldom wait for each other; rnd(n) gives a number in [0, n). Only
// when these are all taken are the ranges searched. Conflict ReasonNoSegment when none is left.
func (tx *Tx) PickSegment(ctx context.Context, network uuid.UUID, typ signalbox.NetworkType, physical string, ranges [][2]uint32, rnd func(n int) int) (signalbox.Segment, error) {
	seg := signalbox.Segment{Type: typ, Physical: physical}
	var guesses pq.Int64Array
	if n := total(ranges); n > 0 {
		for range probes {
			guesses = append(guesses, pickth(ranges, uint64(rnd(int(n)))))
		}
	}
	id, err := tx.claimFirst(ctx, network, seg, claimGuess, guesses)
	if id != 0 || err != nil {
		seg.ID = id
		return seg, err
	}
	// A search can lose its find to a concurrent caller; then the next one sees it taken. It ends, as each round
	// is lost to a segment that became taken.
	for _, r := range ranges {
		for {
			var free pq.Int64Array
			if err := tx.all(ctx, &free, firstFree, string(typ), physical, int64(r[0]), int64(r[1])); err != nil {
				return seg, wrap("pick segment", err)
			}
			if len(free) == 0 {
				break
			}
			if id, err := tx.claimFirst(ctx, network, seg, claimGuess, free); id != 0 || err != nil {
				seg.ID = id
				return seg, err
			}
		}
	}
	return seg, signalbox.Errorf(signalbox.Conflict, signalbox.ReasonNoSegment,
		"no %s segment is free in the configured ranges", typ)
}

// claimGuess claims the first of the given ids that is free.
const claimGuess = `
INSERT INTO segments (network_id, network_type, physical, segmentation_id)
SELECT $1, $2, $3, g FROM unnest($4::bigint[]) WITH ORDINALITY AS t(g, n)
WHERE NOT EXISTS (SELECT FROM segments s WHERE s.network_type = $2 AND s.physical = $3 AND s.segmentation_id = g
                  AND s.network_type <> 'local')
ORDER BY n LIMIT 1
ON CONFLICT (network_type, physical, segmentation_id) WHERE network_type <> 'local' DO NOTHING
RETURNING segmentation_id`

// firstFree is the lowest free id of a range: its first, or one that follows a taken one. Its cost goes with the ids
// taken, not with the range.
const firstFree = `
SELECT g FROM (SELECT $3::bigint AS g
               UNION ALL
               (SELECT segmentation_id + 1 FROM segments
                WHERE network_type = $1 AND physical = $2 AND network_type <> 'local' AND segmentation_id BETWEEN $3 AND $4 - 1
                ORDER BY segmentation_id)) AS candidate
WHERE NOT EXISTS (SELECT FROM segments s WHERE s.network_type = $1 AND s.physical = $2 AND s.segmentation_id = g
                  AND s.network_type <> 'local')
LIMIT 1`

// claimFirst is the id that was claimed, or 0 when none of them could be.
func (tx *Tx) claimFirst(ctx context.Context, network uuid.UUID, seg signalbox.Segment, text string, ids pq.Int64Array) (uint32, error) {
	var id int64
	err := tx.get(ctx, &id, text, network, string(seg.Type), seg.Physical, ids)
	if isNoRows(err) {
		return 0, nil
	}
	return uint32(id), wrap("pick segment", err)
}

// total is how many ids the ranges hold.
func total(ranges [][2]uint32) (n uint64) {
	for _, r := range ranges {
		if r[0] <= r[1] {
			n += uint64(r[1]-r[0]) + 1
		}
	}
	return n
}

// pickth is the n-th id of the ranges, from 0.
func pickth(ranges [][2]uint32, n uint64) int64 {
	for _, r := range ranges {
		if r[0] > r[1] {
			continue
		}
		if size := uint64(r[1]-r[0]) + 1; n >= size {
			n -= size
			continue
		}
		return int64(r[0]) + int64(n)
	}
	return 0
}
