package testbed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is a raw socket on an interface: it sends any frame, and keeps every frame that arrives.
type Wire struct {
	f    *os.File
	done chan struct{}

	mu     sync.Mutex
	frames [][]byte
}

// maxFrames bounds what a Wire keeps; later frames are counted as lost by Frames' error.
const maxFrames = 100_000

// Tap opens a Wire on the VM's eth0. It hears what arrives at the VM, not what the VM sends. The caller
// closes it.
func (vm *VM) Tap() (*Wire, error) { return openWire(vm.NS, "eth0") }

// TapAll opens a Wire that hears what arrives at any interface of the VM, also of those that are yet to come. It cannot
// send. The caller closes it.
func (vm *VM) TapAll() (*Wire, error) { return openWire(vm.NS, "") }

// TapUnderlay opens a Wire on the host's underlay interface: what other hosts send to this one.
func (h *Host) TapUnderlay() (*Wire, error) { return openWire(h.NS, "nic0") }

// TapPhysical opens a Wire on the host's interface to the physical network.
func (h *Host) TapPhysical() (*Wire, error) { return openWire(h.NS, "nic1") }

// TapTrunk opens a Wire on the physical network's end of the same cable: what this host sends there.
func (h *Host) TapTrunk() (*Wire, error) { return openWire(h.lab.Net, h.Name+"-nic1") }

// TapExternal opens a Wire on the external network's end of the host's third cable: what this host sends out.
func (h *Host) TapExternal() (*Wire, error) { return openWire(h.lab.Net, h.Name+"-nic2") }

// openWire opens a Wire on an interface of a namespace, or, where no name is given, on all of them.
func openWire(ns Namespace, device string) (*Wire, error) {
	w := &Wire{done: make(chan struct{})}
	err := ns.Do(func() error {
		all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		// Of no protocol until it is bound, or it would hear every interface of the namespace until then.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		w.f = os.NewFile(uintptr(fd), "packet:"+device)
		// Outgoing frames would be heard too: packet(7), PACKET_IGNORE_OUTGOING.
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		from := &unix.SockaddrLinklayer{Protocol: uint16(all)}
		if device != "" {
			card, err := net.InterfaceByName(device)
			if err != nil {
				return err
			}
			from.Ifindex = card.Index
		}
		return os.NewSyscallError("bind", unix.Bind(fd, from))
	})
	if err != nil {
		if w.f != nil {
			w.f.Close()
		}
		return nil, fmt.Errorf("raw socket on %s of %s: %w", device, ns, err)
	}
	go w.listen()
	return w, nil
}

func (w *Wire) listen() {
	defer close(w.done)
	buf := make([]byte, 65536)
	for {
		n, err := w.f.Read(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue // said once when the interface goes down; frames may follow
		}
		if err != nil {
			return
		}
		w.mu.Lock()
		if len(w.frames) < maxFrames {
			w.frames = append(w.frames, append([]byte(nil), buf[:n]...))
		}
		w.mu.Unlock()
	}
}

// Send puts a frame, from its destination MAC on and without checksum, on the wire.
func (w *Wire) Send(frame []byte) error {
	for {
		_, err := w.f.Write(frame)
		if !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		time.Sleep(time.Millisecond) // the queue is full: packet(7)
	}
}

// Count is how many of the frames heard so far satisfy want.
func (w *Wire) Count(want func(frame []byte) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, f := range w.frames {
		if want(f) {
			n++
		}
	}
	return n
}

// First is the first frame heard that satisfies want, or nil.
func (w *Wire) First(want func(frame []byte) bool) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.frames, want); i >= 0 {
		return w.frames[i]
	}
	return nil
}

// Hear waits for the first frame that satisfies want, heard since the Wire was opened.
func (w *Wire) Hear(ctx context.Context, limit time.Duration, what string, want func(frame []byte) bool) ([]byte, error) {
	var found []byte
	err := Await(ctx, limit, "hear "+what, func() error {
		if found = w.First(want); found == nil {
			return errors.New("not heard yet")
		}
		return nil
	})
	return found, err
}

// Close ends the Wire.
func (w *Wire) Close() error {
	err := w.f.Close()
	<-w.done
	return err
}
