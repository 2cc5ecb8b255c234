package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/signalbox-sdn/signalbox/controller"
)

// put asks for a change and reads the answer.
func (a *admin) put(ctx context.Context, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return a.do(ctx, http.MethodPut, path, bytes.NewReader(b), into)
}

func gatewayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "gateway", Short: "See at which host a router's gateway is, and move it"}
	show := &cobra.Command{
		Use:   "show ROUTER",
		Short: "Show the hosts that translate a router's addresses; ROUTER is its id or name",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r controller.RouterReport
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			if err := a.get(cmd.Context(), "/v1/routers/"+url.PathEscape(args[0]), &r); err != nil {
				return err
			}
			return printGateway(cmd.OutOrStdout(), &r)
		},
	}
	move := &cobra.Command{
		Use:   "move ROUTER HOST",
		Short: "Move a router's gateway to a host",
		Long: `Move a router's gateway to a host, and wait until it is wired there. What goes out by floating IPs that their own
hosts translate goes on; connections from the router's own address end. The gateway stays at that host until the host is
lost or another move is asked for.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r controller.RouterReport
			path := "/v1/routers/" + url.PathEscape(args[0]) + "/gateway-host"
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			if err := a.put(cmd.Context(), path, map[string]string{"host": args[1]}, &r); err != nil {
				return err
			}
			return printGateway(cmd.OutOrStdout(), &r)
		},
	}
	for _, c := range []*cobra.Command{show, move} {
		addAdminFlag(c)
		cmd.AddCommand(c)
	}
	return cmd
}

func printGateway(out io.Writer, r *controller.RouterReport) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tADDRESS\tSTANDS FOR\tHOST\tWIRED")
	if r.Address != "" || r.GatewayHost != "" {
		fmt.Fprintf(w, "gateway\t%s\t\t%s\t%v\n", r.Address, r.GatewayHost, r.Wired)
	}
	for _, f := range r.FloatingIPs {
		fmt.Fprintf(w, "floating IP\t%s\t%s\t%s\t%v\n", f.Floating, f.Fixed, f.Host, f.Wired)
	}
	return w.Flush()
}
