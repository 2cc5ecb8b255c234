package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
)

// Namespace is a named network namespace, as `ip netns` makes and lists them.
type Namespace string

func makeNamespace(ctx context.Context, name string) (Namespace, error) {
	if _, err := run(ctx, "ip", "netns", "add", name); err != nil {
		return "", err
	}
	ns := Namespace(name)
	_, err := ns.Run(ctx, "ip", "link", "set", "lo", "up")
	return ns, err
}

// Do calls fn on a thread that has entered the namespace. Sockets opened and processes started by fn, in
// this goroutine, belong to the namespace for good and may be used from anywhere afterwards.
func (ns Namespace) Do(fn func() error) error {
	result := make(chan error, 1)
	go func() { result <- ns.do(fn) }()
	return <-result
}

func (ns Namespace) do(fn func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("own namespace: %w", err)
	}
	defer home.Close()
	there, err := netns.GetFromName(string(ns))
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("namespace %s: %w", ns, err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", ns, err)
	}
	err = fn()
	if back := netns.Set(home); back != nil {
		return errors.Join(err, back) // the thread stays locked, so it dies with this goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Start starts cmd inside the namespace. The caller waits for it.
func (ns Namespace) Start(cmd *exec.Cmd) error { return ns.Do(cmd.Start) }

// Run runs a command inside the namespace to its end and gives its standard output. The error holds what
// it said on standard error.
func (ns Namespace) Run(ctx context.Context, args ...string) (string, error) {
	return finish(exec.CommandContext(ctx, args[0], args[1:]...), ns.Start)
}

// Dial connects from inside the namespace. addr is an IP literal and a port.
func (ns Namespace) Dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = ns.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen listens for TCP inside the namespace.
func (ns Namespace) Listen(ctx context.Context, addr string) (l net.Listener, err error) {
	err = ns.Do(func() error {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", addr)
		return err
	})
	return l, err
}

// ListenPacket opens a UDP socket inside the namespace.
func (ns Namespace) ListenPacket(ctx context.Context, addr string) (c net.PacketConn, err error) {
	err = ns.Do(func() error {
		c, err = new(net.ListenConfig).ListenPacket(ctx, "udp", addr)
		return err
	})
	return c, err
}

// remove deletes the namespace and with it every interface in it. It is no error when it is gone already.
func (ns Namespace) remove() error {
	_, err := run(context.Background(), "ip", "netns", "del", string(ns))
	if err != nil && strings.Contains(err.Error(), "No such file") {
		return nil
	}
	return err
}

// run runs a command in our own namespace.
func run(ctx context.Context, args ...string) (string, error) {
	return finish(exec.CommandContext(ctx, args[0], args[1:]...), (*exec.Cmd).Start)
}

func finish(cmd *exec.Cmd, start func(*exec.Cmd) error) (string, error) {
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), err
}
