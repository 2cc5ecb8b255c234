// Command signalbox is the whole of Signalbox in one binary: the API server, the controller, or both with
// a private PostgreSQL, and the operator's view of what the switches are to hold.
package main

import (
	"context"
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
	root.AddCommand(upCommand(), apiserverCommand(), controllerCommand(), migrateCommand(), hostsCommand(), flowsCommand(), gatewayCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "signalbox:", err)
		os.Exit(1)
	}
}
