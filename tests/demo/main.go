// Command demo is `make demo`: a small data centre on this machine that somebody new can watch and touch.
// Three hosts with real Open vSwitch, one Signalbox, VMs on a VLAN network and on two GRE networks that overlap, and
// the session of Quantum's presentation with an internet outside, which a security group lets in.
//
//	demo up     builds it, shows it, and leaves it running
//	demo down   ends it
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/signalbox-sdn/signalbox/tests/testbed"
)

const labName = "demo"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	verb := ""
	if len(os.Args) == 2 {
		verb = os.Args[1]
	}
	var err error
	switch verb {
	case "up":
		err = up(ctx)
	case "down":
		err = down(ctx)
	case "keep": // what `up` leaves running; not for people
		err = keep(ctx)
	default:
		err = errors.New("usage: demo up|down")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// up starts the keeper, a process of its own that outlives us, and shows what it says until it has finished
// the tour.
func up(ctx context.Context) error {
	if pid := testbed.Owner(labName); pid != 0 {
		return fmt.Errorf("it is up already (process %d); `make demo-down` ends it", pid)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tour, end, err := os.Pipe()
	if err != nil {
		return err
	}
	defer tour.Close()
	keeper := exec.Command(self, "keep")
	keeper.ExtraFiles = []*os.File{end}                     // file descriptor 3: the tour is told there
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // closing this terminal does not end it
	if err := keeper.Start(); err != nil {
		return err
	}
	end.Close()
	stop := context.AfterFunc(ctx, func() { _ = keeper.Process.Signal(syscall.SIGTERM) })
	defer stop()
	if _, err := io.Copy(os.Stdout, tour); err != nil {
		return err
	}
	if testbed.Owner(labName) == keeper.Process.Pid {
		return keeper.Process.Release()
	}
	_ = keeper.Wait() // what went wrong has been shown
	return errors.New("the demo is not up")
}

// down asks the keeper to end everything, and sweeps what a killed keeper left.
func down(ctx context.Context) error {
	pid := testbed.Owner(labName)
	if pid == 0 {
		fmt.Println("The demo is not running.")
		return testbed.Sweep()
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	err := testbed.Await(ctx, 30*time.Second, "the demo ends", func() error {
		if testbed.Owner(labName) != 0 {
			return fmt.Errorf("process %d still runs", pid)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println("The demo has ended; nothing of it is left.")
	return testbed.Sweep()
}

// keep builds the lab, gives the tour and then watches over what runs until it is told to end.
func keep(ctx context.Context) error {
	syscall.CloseOnExec(3) // or every process of the lab would hold the other end of the pipe open
	tour := os.NewFile(3, "tour")
	defer tour.Close()
	binary, err := filepath.Abs("bin/signalbox")
	if err != nil {
		return err
	}
	d, err := build(ctx, binary, tour)
	if err == nil {
		err = d.tour(ctx)
	}
	if err != nil {
		fmt.Fprintf(tour, "\n  It went wrong: %v\n", err)
	} else {
		d.whatNext(ctx)
		tour.Close()
		d.watch(ctx)
	}
	if d != nil && d.lab != nil {
		err = errors.Join(err, d.lab.Close())
	}
	return err
}
