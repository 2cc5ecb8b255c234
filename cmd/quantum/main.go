// Command quantum is the command line of the Networking API, as Quantum had it in 2012: subcommands like
// net-create, names for ids, tables, and whatever this program does not know passed on to the server as it is.
// It speaks to any Neutron, of which Signalbox is one.
//
// What there is to say of a resource is data (resources.go, resources_core.go, resources_more.go); what its commands do
// with that is in verbs.go, and the commands that are no verb of a resource are in actions.go and quota.go. A command
// line is taken apart by args.go, options.go and attributes.go; auth.go and client.go speak to the servers; view.go,
// formats.go and table.go write.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// usageError is a command line that says nothing that could be done.
type usageError struct{ error }

func misused(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs one command line and gives its exit status: 0, 1 for what the server or the network refused, 2 for
// what was not understood here.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	root := newRoot(env, stdout, stderr)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	var misuse usageError
	hint := "quantum help"
	switch {
	case cmd == root: // it asks no server, so it is the command line
	case errors.As(err, &misuse):
		hint += " " + cmd.Name()
	default:
		return 1
	}
	fmt.Fprintf(stderr, "Try '%s' for more information.\n", hint)
	return 2
}

// newRoot is the whole command, writing to these and reading settings from an environment.
func newRoot(env func(string) string, stdout, stderr io.Writer) *cobra.Command {
	t := &terminal{out: stdout, log: stderr, settings: settings{env: env}}
	root := &cobra.Command{
		Use:   "quantum",
		Short: "The command line of the Networking API (Quantum, Neutron, Signalbox)",
		Long: "The command line of the Networking API (Quantum, Neutron, Signalbox).\n\n" +
			"Names stand for ids where they are unique. What a command does not know, as --mtu 1400, is passed to the server as an\n" +
			"attribute, or as a filter of a list; behind -- everything is. Where to go comes from the environment (OS_AUTH_URL,\n" +
			"OS_USERNAME, OS_PASSWORD, OS_TENANT_NAME …) or the options below; with --endpoint alone there is no Keystone.",
		Version:                    version(),
		Args:                       cobra.ArbitraryArgs,
		SilenceUsage:               true,
		SilenceErrors:              true,
		TraverseChildren:           true,
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return misused("Unknown command %q%s", args[0], suggestion(cmd, args[0]))
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	t.settings.flags(root.PersistentFlags())
	root.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-")) // as the old client took them
	})
	root.AddCommand(t.commands()...)
	return root
}

func suggestion(cmd *cobra.Command, name string) string {
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		return "; did you mean " + strings.Join(like, ", ") + "?"
	}
	return ""
}

// version is the module's, as the Go tool stamped it.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}
