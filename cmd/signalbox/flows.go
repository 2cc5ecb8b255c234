package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/signalbox-sdn/signalbox/controller"
)

func flowsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows [HOST]",
		Short: "Show the flows that hosts are to hold or do hold, or explain a dump",
		Long: `Show the flows that a host (or, without one, every host) is to hold, as ovs-ofctl writes them; with --source switch those that
its switch has now, and with --source diff where the two differ: - is wanted and not there, + is there and not wanted.

With --explain each flow is followed by the object that it exists for, and why. Given - for a host, the
output of ovs-ofctl is read from standard input and each of its flows explained by its cookie:

  ovs-ofctl -O OpenFlow13 dump-flows br-int | signalbox flows --explain -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if len(args) == 1 && args[0] == "-" {
				return explainDump(cmd.Context(), a, cmd.InOrStdin(), out)
			}
			hosts, err := a.hostNames(cmd.Context(), args)
			if err != nil {
				return err
			}
			for _, host := range hosts {
				if err := a.show(cmd.Context(), flowsPath(host)+"?"+flowsQuery(cmd).Encode(), out); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().Bool("explain", false, "say which object each flow is for, and why")
	cmd.Flags().Bool("names", false, "name tables; else they have their numbers")
	cmd.Flags().String("source", "wanted", "wanted, switch or diff")
	cmd.Flags().String("table", "", "only this table, by name or number")
	cmd.Flags().String("port", "", "only flows for this port, by its id, name or address")
	cmd.Flags().String("network", "", "only flows for this network and its ports, by its id or name")
	cmd.Flags().String("router", "", "only flows for this router, its ports and its floating IPs, by its id or name")
	cmd.Flags().String("floatingip", "", "only flows for this floating IP, by its id or address")
	cmd.Flags().String("group", "", "only flows for this security group and its rules, by its id or name")
	cmd.Flags().String("rule", "", "only flows for this rule of a security group, by its id")
	addJSONFlag(cmd)
	addAdminFlag(cmd)
	return cmd
}

func flowsPath(host string) string { return "/v1/hosts/" + url.PathEscape(host) + "/flows" }

// flowsQuery asks for what the flags say.
func flowsQuery(cmd *cobra.Command) url.Values {
	query := url.Values{}
	for _, name := range []string{"explain", "names", "source", "table", "port", "network", "router", "floatingip", "group", "rule"} {
		if f := cmd.Flags().Lookup(name); f.Changed {
			query.Set(name, f.Value.String())
		}
	}
	if !wantsJSON(cmd) {
		query.Set("format", "text")
	}
	return query
}

func (a *admin) hostNames(ctx context.Context, args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	var hosts []controller.HostReport
	err := a.get(ctx, "/v1/hosts", &hosts)
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	return names, err
}

var cookiePattern = regexp.MustCompile(`cookie=(0x[0-9a-f]+)`)

// explainDump copies a dump and puts each flow's reason under it.
func explainDump(ctx context.Context, a *admin, dump io.Reader, w io.Writer) error {
	hosts, err := a.hostNames(ctx, nil)
	if err != nil {
		return err
	}
	known := map[string]controller.FlowReport{}
	for _, host := range hosts {
		var have controller.FlowsReport
		if err := a.get(ctx, flowsPath(host), &have); err != nil {
			return err
		}
		for _, f := range have.Flows {
			known[f.Cookie] = f
		}
	}
	lines := bufio.NewScanner(dump)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(w, lines.Text())
		if m := cookiePattern.FindStringSubmatch(lines.Text()); m != nil {
			if f, ok := known[m[1]]; ok {
				fmt.Fprintf(w, "    # %s\n", f.Reason())
			} else {
				fmt.Fprintln(w, "    # not ours")
			}
		}
	}
	return lines.Err()
}
