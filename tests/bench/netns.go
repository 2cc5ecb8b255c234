package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// insideMark says, in the environment, that this process has been started by apart.
const insideMark = "SIGNALBOX_BENCH_APART"

// apart runs this program once more in a network namespace of its own, and returns how it ended: Open
// vSwitch looks at all its ports again whenever any interface of its namespace comes or goes, and on a
// machine that does something else, too, that would be measured.
func apart() (exit int, err error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideMark+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	signal.Ignore(os.Interrupt) // it is for the inner one, which cleans up
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return 1, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// loopbackUp makes a new network namespace usable.
func loopbackUp() error {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}
