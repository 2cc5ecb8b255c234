package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

// openDoors makes the API and the admin endpoint reachable from this machine's loopback, under the ports that
// they have inside the lab.
func (d *demo) openDoors() error {
	for port, inside := range map[int]string{testbed.APIPort: testbed.ControllerIP, testbed.AdminPort: "127.0.0.1", testbed.APIAdminPort: "127.0.0.1"} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		d.doors = append(d.doors, l)
		go d.serveDoor(l, fmt.Sprintf("%s:%d", inside, port))
	}
	return nil
}

// serveDoor passes connections on until the listener is closed.
func (d *demo) serveDoor(l net.Listener, inside string) {
	for {
		outer, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer outer.Close()
			inner, err := d.lab.Net.Dial(context.Background(), "tcp", inside)
			if err != nil {
				return // the caller sees its connection close: signalbox is down just now
			}
			defer inner.Close()
			go func() {
				_, _ = io.Copy(inner, outer)
				_ = inner.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(outer, inner)
		}()
	}
}

// watch restarts Signalbox when it ends by itself (or by the reader's kill -9), until ctx ends. The lab does
// the same for each ovs-vswitchd.
func (d *demo) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			for _, l := range d.doors {
				l.Close()
			}
			return
		case <-d.box.Controller().Done():
			d.note("signalbox ended and is started again")
			if err := d.box.StartController(ctx); err != nil {
				d.note(err.Error())
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Second): // do not spin on what cannot start
				}
			}
		}
	}
}

func (d *demo) switchDied(h *testbed.Host, obituary string) {
	d.note("ovs-vswitchd of " + h.Name + " died and is started again:\n" + obituary)
}

// note appends to the demo's own log, which stays in the lab's folder.
func (d *demo) note(text string) {
	f, err := os.OpenFile(filepath.Join(d.lab.Dir, "demo.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%s %s\n", time.Now().Format(time.TimeOnly), text)
}
