package openflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	of "github.com/contiv/libOpenflow/openflow13"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// Change is what a switch is to become different by.
type Change struct {
	AddMeters    []flow.RateLimit // new ones, and new rates of ones that are there
	DeleteMeters []uint32         // by number; one that is not there is no error
	Adds         []flow.Flow
	Deletes      []flow.Cookie // exact
}

// Result is what became of a Change.
type Result struct {
	Added   int           // flow adds that were committed
	Deleted int           // deletes that were committed, whether or not there was such a flow
	Bundles int           // committed
	Barrier time.Duration // from sending the last bundle's commit to the reply to the barrier behind it; 0: there was none
	Failed  []Failure
}

// Failure is a part of a change that could not be sent or that the switch refused.
type Failure struct {
	Flow   *flow.Flow  // the add, or nil
	Cookie flow.Cookie // of the add or the delete
	Meter  uint32      // the meter, where it is about one
	Err    error       // an *Error where the switch spoke
}

func (f Failure) String() string {
	switch {
	case f.Meter != 0:
		return fmt.Sprintf("meter %d: %v", f.Meter, f.Err)
	case f.Flow != nil:
		return fmt.Sprintf("add %s: %v", f.Flow, f.Err)
	}
	return fmt.Sprintf("delete cookie %#x: %v", uint64(f.Cookie), f.Err)
}

// maxFailures bounds what is kept of a switch that refuses everything.
const maxFailures = 1000

// Apply makes a change: first the meters that flows will need, then the flows in atomic bundles, all
// adds before all deletes, then the deletes of meters, and it returns after a barrier's reply: the switch
// forwards by the new flows. Up to Options.BundleSize flow-mods are one bundle; a larger change is cut, and
// each piece is atomic by itself.
//
// The error is nil only if all of it was done. After a refusal Result.Failed names what was refused; the
// bundle that held it changed nothing, nor did anything after it. After another error (the connection's end,
// ctx, a timeout) what the switch has is unknown until Flows has read it.
func (c *Conn) Apply(ctx context.Context, ch Change) (Result, error) {
	select {
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	case <-c.closed:
		return Result{}, c.failure
	}
	c.barrierTook = 0
	r, err := c.apply(ctx, ch)
	r.Barrier = c.barrierTook
	if err != nil {
		err = fmt.Errorf("apply to %s: %w", c.datapath, err)
	}
	return r, err
}

func (c *Conn) apply(ctx context.Context, ch Change) (r Result, err error) {
	if r.Failed, err = c.setMeters(ctx, ch.AddMeters); err != nil {
		return r, err
	}
	for p := (piece{ch.Adds, ch.Deletes}); p.len() > 0; {
		var now piece
		now, p = p.cut(c.o.BundleSize)
		if r.Failed, err = c.commit(ctx, now); err != nil {
			return r, err
		}
		r.Added, r.Deleted, r.Bundles = r.Added+len(now.adds), r.Deleted+len(now.deletes), r.Bundles+1
	}
	if r.Failed, err = c.deleteMeters(ctx, ch.DeleteMeters); err != nil || !ch.empty() {
		return r, err // each of these has waited for its own barrier
	}
	return r, c.barrier(ctx, nil)
}

func (ch *Change) empty() bool {
	return len(ch.AddMeters)+len(ch.DeleteMeters)+len(ch.Adds)+len(ch.Deletes) == 0
}

// piece is what goes into one bundle.
type piece struct {
	adds    []flow.Flow
	deletes []flow.Cookie
}

func (p piece) len() int { return len(p.adds) + len(p.deletes) }

// cut takes up to n flow-mods off the front, adds first.
func (p piece) cut(n int) (front, rest piece) {
	a := min(n, len(p.adds))
	d := min(n-a, len(p.deletes))
	return piece{p.adds[:a], p.deletes[:d]}, piece{p.adds[a:], p.deletes[d:]}
}

// failure describes the i-th flow-mod of the piece.
func (p piece) failure(i int, err error) Failure {
	if i < len(p.adds) {
		return Failure{Flow: &p.adds[i], Cookie: p.adds[i].Cookie, Err: err}
	}
	return Failure{Cookie: p.deletes[i-len(p.adds)], Err: err}
}

// commit makes one bundle. Errors of its flow-mods are known when the reply to its close is, since the
// switch reads in order; an add that cannot even be decoded is left out by Open vSwitch and would not make
// the commit fail, so any error at all means discard.
func (c *Conn) commit(ctx context.Context, p piece) ([]Failure, error) {
	first := c.nextXID(uint32(p.len()))
	mods := c.begin(first, p.len())
	defer c.end()
	bundle := c.nextBundle()

	failures, err := c.fill(ctx, bundle, first, p)
	if len(failures) == 0 {
		failures = c.failures(mods, p)
	}
	if err != nil || len(failures) > 0 {
		if ctx.Err() == nil {
			err = errors.Join(err, c.control(ctx, bundle, of.OFPBCT_DISCARD_REQUEST))
		}
		return failures, refusal(failures, err)
	}
	err = c.seal(ctx, bundle)
	failures = c.failures(mods, p)
	return failures, refusal(failures, err)
}

// fill opens a bundle, sends what goes into it, a few dozen kilobytes at a time, and closes it. A flow
// that has no form in OpenFlow is a failure, and the rest is not sent.
func (c *Conn) fill(ctx context.Context, bundle, first uint32, p piece) (failures []Failure, err error) {
	xid := c.nextXID(2)
	opened, closed := c.expect(xid, 0, nil), c.expect(xid+1, 0, nil)
	defer c.forget(opened.xid)
	defer c.forget(closed.xid)
	b := append(make([]byte, 0, chunkSize), bundleControl(opened.xid, bundle, of.OFPBCT_OPEN_REQUEST)...)
	for i := range p.len() {
		start := len(b)
		if b, err = p.appendMod(b, i, first+uint32(i), bundle); err != nil {
			b, failures = b[:start], []Failure{p.failure(i, err)}
			break
		}
		c.flowMods.Add(1)
		if len(b) > chunkSize-1024 {
			if err := c.send(ctx, c.bulk, b); err != nil {
				return nil, err
			}
			b = make([]byte, 0, chunkSize)
		}
	}
	b = append(b, bundleControl(closed.xid, bundle, of.OFPBCT_CLOSE_REQUEST)...)
	if err := c.send(ctx, c.bulk, b); err != nil {
		return nil, err
	}
	if err := c.wait(ctx, opened); err != nil {
		return failures, err
	}
	return failures, c.wait(ctx, closed)
}

// appendMod writes the i-th flow-mod of the piece as a bundle-add. Both headers carry the same xid, as
// EXT-230 demands.
func (p piece) appendMod(b []byte, i int, xid, bundle uint32) ([]byte, error) {
	start := len(b)
	b = appendBundleAdd(b, xid, bundle)
	var err error
	if i < len(p.adds) {
		b, err = appendFlowAdd(b, xid, &p.adds[i])
	} else {
		b, err = appendFlowDelete(b, xid, p.deletes[i-len(p.adds)])
	}
	if err != nil {
		return b, err
	}
	return b, finish(b, start)
}

func appendBundleAdd(b []byte, xid, bundle uint32) []byte {
	b = appendHeader(b, typeExperimenter, xid)
	b = appendExperimenter(b, onf, onfBundleAdd)
	b = binary.BigEndian.AppendUint32(b, bundle)
	return append(b, 0, 0, byte(bundleFlags>>8), byte(bundleFlags&0xff))
}

func (c *Conn) nextBundle() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bundle++
	return c.bundle
}

// control sends a bundle control message and waits for its reply.
func (c *Conn) control(ctx context.Context, bundle uint32, what uint16) error {
	xid := c.nextXID(1)
	k := c.expect(xid, 0, nil)
	if err := c.send(ctx, c.bulk, bundleControl(xid, bundle, what)); err != nil {
		c.forget(xid)
		return err
	}
	return c.wait(ctx, k)
}

// seal commits a bundle and waits until the switch forwards by it: the barrier goes out in the same breath.
func (c *Conn) seal(ctx context.Context, bundle uint32) error {
	xid := c.nextXID(2)
	committed, forwards := c.expect(xid, 0, nil), c.expect(xid+1, 0, nil)
	defer c.forget(committed.xid)
	defer c.forget(forwards.xid)
	if err := c.send(ctx, c.bulk, append(bundleControl(committed.xid, bundle, of.OFPBCT_COMMIT_REQUEST), barrierRequest(forwards.xid)...)); err != nil {
		return err
	}
	sent := time.Now()
	if err := c.wait(ctx, committed); err != nil {
		return err
	}
	err := c.wait(ctx, forwards)
	if err == nil {
		c.barrierTook = time.Since(sent)
	}
	return err
}

// barrier sends messages and then waits until the switch has done all that it was sent.
func (c *Conn) barrier(ctx context.Context, messages []byte) error {
	xid := c.nextXID(1)
	k := c.expect(xid, 0, nil)
	if err := c.send(ctx, c.bulk, append(messages, barrierRequest(xid)...)); err != nil {
		c.forget(xid)
		return err
	}
	return c.wait(ctx, k)
}

// batch gathers the refusals of consecutively numbered messages.
type batch struct {
	first  uint32
	n      uint32
	errors []*Error
}

func (b *batch) refused(e *Error) bool {
	if b == nil || e.XID-b.first >= b.n {
		return false
	}
	if len(b.errors) < maxFailures {
		b.errors = append(b.errors, e)
	}
	return true
}

func (c *Conn) begin(first uint32, n int) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batch = &batch{first: first, n: uint32(n)}
	return c.batch
}

func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batch = nil
}

// errorsOf are the refusals that have arrived.
func (c *Conn) errorsOf(b *batch) []*Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return b.errors[:len(b.errors):len(b.errors)]
}

func (c *Conn) failures(b *batch, p piece) []Failure {
	var out []Failure
	for _, e := range c.errorsOf(b) {
		out = append(out, p.failure(int(e.XID-b.first), e))
	}
	return out
}

func refusal(failures []Failure, err error) error {
	if len(failures) == 0 {
		return err
	}
	return errors.Join(fmt.Errorf("%d refused, the first: %s", len(failures), failures[0]), err)
}
