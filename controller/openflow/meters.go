package openflow

import (
	"context"
	"fmt"

	of "github.com/contiv/libOpenflow/openflow13"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Meters reads every meter of the switch: all of them or an error. One that limits something else than
// packets is there with a rate of zero.
func (c *Conn) Meters(ctx context.Context) ([]flow.RateLimit, error) {
	var out []flow.RateLimit
	err := c.ask(ctx, multipartMeterConfig, func(body *cursor) error {
		var err error
		if out, err = decodeMeters(out, body); err == nil && len(out) > c.o.MaxFlows {
			err = fmt.Errorf("more than %d meters", c.o.MaxFlows)
		}
		return err
	}, metersRequest)
	if err != nil {
		return nil, fmt.Errorf("read meters: %w", err)
	}
	return out, nil
}

// setMeters adds meters, or changes those that are there already.
func (c *Conn) setMeters(ctx context.Context, meters []flow.RateLimit) ([]Failure, error) {
	errs, err := c.meterMods(ctx, of.OFPMC_ADD, meters)
	if err != nil {
		return nil, err
	}
	var there []flow.RateLimit
	var failures []Failure
	for i, e := range errs {
		switch {
		case e == nil:
		case e.Type == errorMeterMod && e.Code == codeMeterExists:
			there = append(there, meters[i])
		default:
			failures = append(failures, Failure{Meter: meters[i].ID, Err: e})
		}
	}
	errs, err = c.meterMods(ctx, of.OFPMC_MODIFY, there)
	for i, e := range errs {
		if e != nil {
			failures = append(failures, Failure{Meter: there[i].ID, Err: e})
		}
	}
	return failures, refusal(failures, err)
}

func (c *Conn) deleteMeters(ctx context.Context, ids []uint32) ([]Failure, error) {
	meters := make([]flow.RateLimit, len(ids))
	for i, id := range ids {
		meters[i].ID = id
	}
	errs, err := c.meterMods(ctx, of.OFPMC_DELETE, meters)
	var failures []Failure
	for i, e := range errs {
		if e != nil && (e.Type != errorMeterMod || e.Code != codeUnknownMeter) {
			failures = append(failures, Failure{Meter: ids[i], Err: e})
		}
	}
	return failures, refusal(failures, err)
}

// meterMods sends one command for each meter and a barrier, and gives the refusal of each.
func (c *Conn) meterMods(ctx context.Context, command uint16, meters []flow.RateLimit) ([]*Error, error) {
	if len(meters) == 0 {
		return nil, nil
	}
	first := c.nextXID(uint32(len(meters)))
	mods := c.begin(first, len(meters))
	defer c.end()
	var b []byte
	for i, m := range meters {
		b = append(b, meterMod(first+uint32(i), command, m)...)
	}
	if err := c.barrier(ctx, b); err != nil {
		return nil, err
	}
	out := make([]*Error, len(meters))
	for _, e := range c.errorsOf(mods) {
		out[e.XID-first] = e
	}
	return out, nil
}
