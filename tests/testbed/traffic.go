package testbed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// PingResult is what ping counted. Silence is the longest time without an answer, from the start to the end; of
// StartPing only.
type PingResult struct {
	Sent, Received int
	Silence        time.Duration
}

// Lost is how many echoes did not come back.
func (r PingResult) Lost() int { return r.Sent - r.Received }

// PingOptions say how to ping; the zero value is three echoes, 0.2 seconds apart.
type PingOptions struct {
	Count    int           // 0: 3, or without end in StartPing
	Interval time.Duration // 0: 200 ms
	Size     int           // bytes of payload; 0: 56. With a size, packets are not to be fragmented.
	TTL      int           // 0: the guest's default, 64
}

// Ping sends echoes to an address and counts the answers. That none comes back is no error. The last has more than half a second for
// its answer, or more than a second and a half where it is the third or a later one; ping by itself waits for it but twice as long as for
// the others, which on a busy machine makes a loss of a delay. While answers lack it sends more, which are not counted.
func (vm *VM) Ping(ctx context.Context, to netip.Addr, o PingOptions) (PingResult, error) {
	if o.Count == 0 {
		o.Count = 3
	}
	limit := 1 + o.Count/3
	cmd := pingCommand(ctx, to, o)
	cmd.Args = slices.DeleteFunc(cmd.Args, func(arg string) bool { return arg == "-q" })
	cmd.Args = slices.Insert(cmd.Args, 1, "-w", strconv.Itoa(limit))
	out, err := finish(cmd, vm.NS.Start)
	if _, err := readPing(out, err); err != nil {
		return PingResult{}, err
	}
	answered := map[int]bool{}
	for _, m := range pingSequence.FindAllStringSubmatch(out, -1) {
		if n, _ := strconv.Atoi(m[1]); n <= o.Count {
			answered[n] = true
		}
	}
	return PingResult{Sent: o.Count, Received: len(answered)}, nil
}

var pingSequence = regexp.MustCompile(`(?m)^\d+ bytes from .* icmp_seq=(\d+)`)

func pingCommand(ctx context.Context, to netip.Addr, o PingOptions) *exec.Cmd {
	if o.Interval == 0 {
		o.Interval = 200 * time.Millisecond
	}
	args := []string{"-n", "-q", "-W", "1", "-i", fmt.Sprintf("%.3f", o.Interval.Seconds())}
	if o.Count > 0 {
		args = append(args, "-c", strconv.Itoa(o.Count))
	}
	if o.Size > 0 {
		args = append(args, "-M", "do", "-s", strconv.Itoa(o.Size))
	}
	if o.TTL > 0 {
		args = append(args, "-t", strconv.Itoa(o.TTL))
	}
	return exec.CommandContext(ctx, "ping", append(args, to.String())...)
}

// Refused is what a router told by ICMP about an echo that it did not pass on, in ping's words.
type Refused struct {
	By   netip.Addr
	Says string
}

var pingRefused = regexp.MustCompile(`(?m)^From (\S+) icmp_seq=1 (.+)$`)

// PingRefused sends one echo and gives the router's refusal, which may take the time in which a next hop is looked for
// in vain. An echo that is answered, or not heard of again, is an error.
func (vm *VM) PingRefused(ctx context.Context, to netip.Addr, o PingOptions) (Refused, error) {
	o.Count = 1
	cmd := pingCommand(ctx, to, o)
	cmd.Args[slices.Index(cmd.Args, "-W")+1] = "5"
	cmd.Args = slices.DeleteFunc(cmd.Args, func(arg string) bool { return arg == "-q" })
	out, err := finish(cmd, vm.NS.Start)
	m := pingRefused.FindStringSubmatch(out)
	if m == nil {
		return Refused{}, fmt.Errorf("%s pings %s: not refused: %q, %w", vm.Name, to, out, err)
	}
	by, err := netip.ParseAddr(m[1])
	return Refused{by, m[2]}, err
}

var pingSummary = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

func readPing(out string, err error) (PingResult, error) {
	m := pingSummary.FindStringSubmatch(out)
	if m == nil {
		return PingResult{}, fmt.Errorf("ping said %q: %w", out, err)
	}
	sent, _ := strconv.Atoi(m[1])
	received, _ := strconv.Atoi(m[2])
	return PingResult{Sent: sent, Received: received}, nil
}

var pingAnswer = regexp.MustCompile(`(?m)^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=(\d+)`)

// heard reads from what ping -D prints the longest time without an answer, and which echoes count: all that were sent, or, where the last
// answer is not a second old, those up to that one. The others may be under way.
func heard(out string, sent int, start, end time.Time) (silence time.Duration, count int) {
	last, highest := start, 0
	for _, m := range pingAnswer.FindAllStringSubmatch(out, -1) {
		seconds, _ := strconv.ParseFloat(m[1], 64)
		at := time.UnixMicro(int64(seconds * 1e6))
		silence, last = max(silence, at.Sub(last)), at
		if n, _ := strconv.Atoi(m[2]); n > highest {
			highest = n
		}
	}
	if highest > 0 && end.Sub(last) < time.Second {
		sent = min(sent, highest)
	}
	return max(silence, end.Sub(last)), sent
}

// StartPing pings until stop is called, which gives the count.
func (vm *VM) StartPing(ctx context.Context, to netip.Addr, interval time.Duration) (stop func() (PingResult, error), err error) {
	cmd := pingCommand(ctx, to, PingOptions{Interval: interval})
	cmd.Args[slices.Index(cmd.Args, "-q")] = "-D"
	var out lockedBuffer
	cmd.Stdout = &out
	start := time.Now()
	if err := vm.NS.Start(cmd); err != nil {
		return nil, err
	}
	if err := vm.lab.ledger.process("process", cmd.Process.Pid); err != nil {
		return nil, err
	}
	return func() (PingResult, error) {
		end := time.Now()
		_ = cmd.Process.Signal(syscall.SIGINT) // makes it print its summary
		err := cmd.Wait()
		r, err := readPing(out.String(), err)
		r.Silence, r.Sent = heard(out.String(), r.Sent, start, end)
		return r, err
	}, nil
}

// ReachableIn waits until `to` answers a ping, and says how long that took.
func (vm *VM) ReachableIn(ctx context.Context, to netip.Addr, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	err := Await(ctx, limit, fmt.Sprintf("%s reaches %s", vm.Name, to), func() error {
		r, err := vm.Ping(ctx, to, PingOptions{Count: 1})
		if err == nil && r.Received == 0 {
			err = errors.New("no answer")
		}
		return err
	})
	return time.Since(start), err
}

// Serve answers TCP on a port of the VM: whatever a client sends is sent back. It ends with ctx.
func (vm *VM) Serve(ctx context.Context, port int) error {
	l, err := vm.NS.Listen(ctx, fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // the client judges
			}()
		}
	}()
	return nil
}

// Stream is a TCP connection that sends numbered blocks to an echoing server and checks what comes back.
type Stream struct {
	conn  net.Conn
	done  chan struct{}
	err   error // valid after done
	bytes atomic.Int64
}

// StartStream connects to a server made by Serve and keeps the connection busy until Stop.
func (vm *VM) StartStream(ctx context.Context, to netip.Addr, port int) (*Stream, error) {
	dial, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := vm.NS.Dial(dial, "tcp", netip.AddrPortFrom(to, uint16(port)).String())
	if err != nil {
		return nil, err
	}
	s := &Stream{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = s.pump()
	}()
	return s, nil
}

// stall is the longest silence that a stream forgives.
const stall = 10 * time.Second

func (s *Stream) pump() error {
	block, back := make([]byte, 4096), make([]byte, 4096)
	for n := byte(0); ; n++ {
		for i := range block {
			block[i] = n
		}
		if err := s.conn.SetDeadline(time.Now().Add(stall)); err != nil {
			return err
		}
		if _, err := s.conn.Write(block); err != nil {
			return err
		}
		if _, err := io.ReadFull(s.conn, back); err != nil {
			return err
		}
		if string(block) != string(back) {
			return errors.New("the echo differs from what was sent")
		}
		s.bytes.Add(int64(len(block)))
	}
}

// Bytes is how much has gone there and back.
func (s *Stream) Bytes() int64 { return s.bytes.Load() }

// Stop ends the stream, and tells what broke it before that, if anything did.
func (s *Stream) Stop() error {
	s.conn.Close()
	<-s.done
	if errors.Is(s.err, net.ErrClosed) || errors.Is(s.err, os.ErrClosed) {
		return nil
	}
	return s.err
}

// ServeDatagrams sends back what comes to a UDP port of the VM, which is to have one address of each version. It ends with ctx.
func (vm *VM) ServeDatagrams(ctx context.Context, port int) error {
	conn, err := vm.NS.ListenPacket(ctx, fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		for b := make([]byte, 65536); ; {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteTo(b[:n], from) // the client judges
			}
		}
	}()
	return nil
}

// Datagrams is a stream of numbered datagrams to an echoing server, of which each is to come back.
type Datagrams struct {
	conn        net.Conn
	quiet, Halt func() // Halt ends it at once
	quit        chan struct{}
	sending     sync.WaitGroup
	hearing     sync.WaitGroup
	sent, heard atomic.Int64
	last        atomic.Int64 // when one came back, Unix time in nanoseconds
}

// StartDatagrams sends a datagram of so many bytes, at least 8, to a server made by ServeDatagrams every few milliseconds until Stop.
func (vm *VM) StartDatagrams(ctx context.Context, to netip.Addr, port int, every time.Duration, size int) (*Datagrams, error) {
	conn, err := vm.NS.Dial(ctx, "udp", netip.AddrPortFrom(to, uint16(port)).String())
	if err != nil {
		return nil, err
	}
	d := &Datagrams{conn: conn, quit: make(chan struct{})}
	d.quiet = sync.OnceFunc(func() {
		close(d.quit)
		d.sending.Wait()
	})
	d.Halt = sync.OnceFunc(func() {
		d.quiet()
		conn.Close()
		d.hearing.Wait()
	})
	d.sending.Go(func() { d.send(every, make([]byte, size)) })
	d.hearing.Go(func() { d.hear(make([]byte, 65536)) })
	return d, nil
}

func (d *Datagrams) send(every time.Duration, b []byte) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-d.quit:
			return
		case <-tick.C:
		}
		binary.BigEndian.PutUint64(b, uint64(d.sent.Add(1)))
		_, _ = d.conn.Write(b) // what is not sent does not come back either
	}
}

func (d *Datagrams) hear(b []byte) {
	seen := map[uint64]bool{}
	for {
		n, err := d.conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 8 {
			continue // an ICMP error: the next may come back
		}
		if number := binary.BigEndian.Uint64(b); !seen[number] {
			seen[number] = true
			d.last.Store(time.Now().UnixNano())
			d.heard.Add(1)
		}
	}
}

// Heard is how many have come back.
func (d *Datagrams) Heard() int { return int(d.heard.Load()) }

// Last is when one came back last.
func (d *Datagrams) Last() time.Time { return time.Unix(0, d.last.Load()) }

// Stop sends no more, waits a moment for those under way, and gives how many were sent and how many of them did not come back.
func (d *Datagrams) Stop() (sent, lost int) {
	d.quiet()
	for deadline := time.Now().Add(2 * time.Second); d.heard.Load() < d.sent.Load() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	d.Halt()
	return int(d.sent.Load()), int(d.sent.Load() - d.heard.Load())
}
