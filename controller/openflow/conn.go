package openflow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-sdn/signalbox"
)

// Options of a connection. The zero value of each field means its default.
type Options struct {
	Log *slog.Logger // default: slog.Default()

	// HandshakeTimeout is the whole handshake's time. Default 10 s.
	HandshakeTimeout time.Duration
	// EchoEvery is how long a switch may be silent before it is asked for an echo. Default 5 s.
	EchoEvery time.Duration
	// DropAfter is how long a switch may be silent before it is dropped. Default: three times EchoEvery.
	DropAfter time.Duration
	// ReplyTimeout is the time of one exchange: of a read of all flows, of a bundle's commit, and of
	// one write to a switch that does not read. Default 30 s.
	ReplyTimeout time.Duration
	// BundleSize is how many flow-mods go into one bundle. A switch does nothing else while it commits
	// one, 10 to 25 µs a flow, and more where it has thousands of ports. Default 2,500.
	BundleSize int
	// MaxFlows is how many flows Flows accepts from a switch before it calls that nonsense. Default 4 million.
	MaxFlows int
}

func (o Options) withDefaults() Options {
	set(&o.HandshakeTimeout, 10*time.Second)
	set(&o.EchoEvery, 5*time.Second)
	set(&o.DropAfter, 3*o.EchoEvery)
	set(&o.ReplyTimeout, 30*time.Second)
	set(&o.BundleSize, 2_500)
	set(&o.MaxFlows, 4<<20)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

func set[T time.Duration | int](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Handler is told what a switch says unasked, in the order in which it said it, from Run's goroutine.
// Its methods return soon and do not wait for a method of the Conn: no reply is read meanwhile.
type Handler interface {
	PacketIn(PacketIn)
	PortStatus(PortReason, Port)
	FlowChanged(FlowEvent) // after WatchFlows
	RoleChanged(was, is Role)
	SwitchError(*Error) // a refusal that no waiting call takes: of a PacketOut, for example
}

// Conn is a connection to one switch.
type Conn struct {
	nc       net.Conn
	r        *bufio.Reader
	room     []byte // of the frame being read
	o        Options
	datapath signalbox.DatapathID
	ports    []Port
	early    []portChange // reported during the handshake, before anyone listened

	fast chan []byte // requests, packet-outs: not behind a large change
	bulk chan []byte // changes
	echo chan []byte // answers to the switch's echo requests

	lastRead atomic.Int64 // time.Duration since opened
	opened   time.Time
	flowMods atomic.Uint64
	role     atomic.Uint32

	changing    chan struct{} // holds a token while a change is under way
	barrierTook time.Duration // of the change that holds the token

	mu      sync.Mutex
	xid     uint32
	bundle  uint32
	calls   map[uint32]*call
	batch   *batch
	closed  chan struct{}
	failure error // why closed; set before closed is closed
}

type portChange struct {
	reason PortReason
	port   Port
}

const (
	chunkSize  = 32 << 10 // of a change, in one write
	fastQueue  = 256
	bulkQueue  = 4
	echoQueue  = 8
	readBuffer = 32 << 10
)

func newConn(nc net.Conn, o Options) *Conn {
	return &Conn{
		nc: nc, r: bufio.NewReaderSize(nc, readBuffer), o: o, opened: time.Now(),
		fast: make(chan []byte, fastQueue), bulk: make(chan []byte, bulkQueue), echo: make(chan []byte, echoQueue),
		changing: make(chan struct{}, 1),
		calls:    map[uint32]*call{},
		closed:   make(chan struct{}),
	}
}

// DatapathID is the switch's name for itself.
func (c *Conn) DatapathID() signalbox.DatapathID { return c.datapath }

// RemoteAddr is where the switch connects from.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Bridge is the name of the bridge: that of its local port.
func (c *Conn) Bridge() string {
	for _, p := range c.ports {
		if p.No == PortLocal {
			return p.Name
		}
	}
	return ""
}

// Ports are the ports that the switch had at the handshake. Changes since then come to the Handler.
func (c *Conn) Ports() []Port { return slices.Clone(c.ports) }

// FlowMods is how many flow-mods, adds and deletes, were ever sent on this connection.
func (c *Conn) FlowMods() uint64 { return c.flowMods.Load() }

// Heard is when the switch last said anything.
func (c *Conn) Heard() time.Time { return c.opened.Add(time.Duration(c.lastRead.Load())) }

// ErrClosed is the end of a connection that we closed.
var ErrClosed = errors.New("openflow: connection closed")

// Close ends the connection; Run returns soon after.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	return nil
}

// fail ends the connection for a reason; the first one stays.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return
	default:
	}
	c.failure = err
	close(c.closed)
	_ = c.nc.Close() // wakes the reader and the writer; its error would say nothing of use
}

// Run serves the connection until it ends or ctx does, and says why. It is called once.
func (c *Conn) Run(ctx context.Context, h Handler) error {
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	var writer sync.WaitGroup
	writer.Go(c.write)
	defer writer.Wait()
	for _, e := range c.early {
		h.PortStatus(e.reason, e.port)
	}
	c.early = nil
	c.fail(c.read(h))
	return c.failure
}

// read dispatches what arrives. One deadline holds for a whole message, so that neither silence nor a
// trickle of bytes keeps a dead connection alive.
func (c *Conn) read(h Handler) error {
	for {
		if err := c.nc.SetReadDeadline(time.Now().Add(c.o.DropAfter)); err != nil {
			return err
		}
		f, room, err := readFrame(c.r, c.room)
		if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			return fmt.Errorf("openflow: silent for %v", c.o.DropAfter)
		}
		if err != nil {
			return fmt.Errorf("openflow: read: %w", err)
		}
		c.room = room
		c.lastRead.Store(int64(time.Since(c.opened)))
		if err := c.dispatch(f, h); err != nil {
			return fmt.Errorf("openflow: message of type %d: %w", f.kind(), err)
		}
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// write sends what is queued. A switch that does not read for ReplyTimeout is dropped.
func (c *Conn) write() {
	probe := time.NewTicker(c.o.EchoEvery)
	defer probe.Stop()
	for {
		b := c.nextWrite(probe.C)
		if b == nil {
			return
		}
		err := c.nc.SetWriteDeadline(time.Now().Add(c.o.ReplyTimeout))
		if err == nil {
			_, err = c.nc.Write(b)
		}
		if err != nil {
			c.fail(fmt.Errorf("openflow: write: %w", err))
			return
		}
	}
}

// nextWrite waits for something to send; nil means that the connection has ended. Small messages go
// before the next piece of a large change.
func (c *Conn) nextWrite(probe <-chan time.Time) []byte {
	select {
	case b := <-c.echo:
		return b
	case b := <-c.fast:
		return b
	default:
	}
	for {
		select {
		case b := <-c.echo:
			return b
		case b := <-c.fast:
			return b
		case b := <-c.bulk:
			return b
		case <-probe:
			if time.Since(c.opened)-time.Duration(c.lastRead.Load()) >= c.o.EchoEvery {
				return echoRequest(c.nextXID(1))
			}
		case <-c.closed:
			return nil
		}
	}
}

// send queues a message, waiting while the queue is full.
func (c *Conn) send(ctx context.Context, queue chan<- []byte, b []byte) error {
	select {
	case queue <- b:
		return nil
	case <-c.closed:
		return c.failure
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// nextXID takes n consecutive message numbers, none of them zero: that one the switch uses for what it
// says unasked.
func (c *Conn) nextXID(n uint32) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.xid + 1
	if first == 0 || first+n-1 < first {
		first = 1
	}
	c.xid = first + n - 1
	return first
}
