// Command signalbox is the whole of Signalbox in one binary: the API server, the controller, or both with
// a private PostgreSQL, and the operator's view of what the switches are to hold.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "signalbox",
		Short:         "A virtual-network service: Neutron's API in front, every host's br-int behind",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(upCommand(), apiserverCommand(), controllerCommand(), migrateCommand(), hostsCommand(), flowsCommand(), whyCommand(),
		auditCommand(), eventsCommand(), gatewayCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "signalbox:", err)
		code := 1
		if e := (*exitError)(nil); errors.As(err, &e) {
			code = e.code
		}
		os.Exit(code)
	}
}

// exitError is an error that has an exit code of its own; others have 1.
type exitError struct {
	code int
	error
}
