package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox-sdn/signalbox/controller"
)

// admin asks a controller's admin endpoint.
type admin string

func addAdminFlag(cmd *cobra.Command) {
	cmd.Flags().String("admin", cmp.Or(os.Getenv("SIGNALBOX_ADMIN"), "http://127.0.0.1:9697"), "the controller's admin endpoint")
}

func adminOf(cmd *cobra.Command) admin {
	a, _ := cmd.Flags().GetString("admin")
	return admin(strings.TrimSuffix(a, "/"))
}

func (a admin) get(ctx context.Context, path string, into any) error {
	return a.do(ctx, http.MethodGet, path, nil, into)
}

func (a admin) do(ctx context.Context, method, path string, body io.Reader, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, string(a)+path, body)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var said struct{ Error string }
		_ = json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&said)
		return fmt.Errorf("%s", cmp.Or(said.Error, res.Status))
	}
	return json.NewDecoder(res.Body).Decode(into)
}

func hostsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List the hosts that have joined",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var hosts []controller.HostReport
			if err := adminOf(cmd).get(cmd.Context(), "/v1/hosts", &hosts); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tDATAPATH\tCONNECTED\tOVSDB\tTUNNEL IP\tPORTS\tFLOWS\tIN SYNC")
			for _, h := range hosts {
				fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%s\t%d\t%d\t%v\n", h.Name, h.DatapathID, h.Connected, h.OVSDB, h.TunnelIP, h.Ports, h.FlowsWanted, h.InSync)
			}
			return w.Flush()
		},
	}
	addAdminFlag(cmd)
	return cmd
}

func flowsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows [HOST]",
		Short: "Show the flows that hosts are to hold, or explain a dump",
		Long: `Show the flows that a host (or, without one, every host) is to hold.

With --explain each flow is followed by the object that it exists for, and why. Given - for a host, the
output of ovs-ofctl is read from standard input and each of its flows explained by its cookie:

  ovs-ofctl -O OpenFlow13 dump-flows br-int | signalbox flows --explain -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			explain, _ := cmd.Flags().GetBool("explain")
			table, _ := cmd.Flags().GetString("table")
			a, out := adminOf(cmd), cmd.OutOrStdout()
			if len(args) == 1 && args[0] == "-" {
				return explainDump(cmd.Context(), a, cmd.InOrStdin(), out)
			}
			hosts, err := a.hostNames(cmd.Context(), args)
			if err != nil {
				return err
			}
			for _, host := range hosts {
				flows, err := a.flows(cmd.Context(), host)
				if err != nil {
					return err
				}
				fmt.Fprintf(out, "# %s: %d flows\n", host, len(flows))
				for _, f := range flows {
					if table == "" || table == f.TableName || table == fmt.Sprint(f.Table) {
						printFlow(out, &f, explain)
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().Bool("explain", false, "say which object each flow is for, and why")
	cmd.Flags().String("table", "", "only this table, by name or number")
	addAdminFlag(cmd)
	return cmd
}

func (a admin) hostNames(ctx context.Context, args []string) ([]string, error) {
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

func (a admin) flows(ctx context.Context, host string) (flows []controller.FlowReport, err error) {
	return flows, a.get(ctx, "/v1/hosts/"+url.PathEscape(host)+"/flows", &flows)
}

func printFlow(w io.Writer, f *controller.FlowReport, explain bool) {
	fmt.Fprintf(w, "cookie=%s, %s\n", f.Cookie, f.Flow)
	if explain {
		fmt.Fprintf(w, "    %s\n", reason(f))
	}
}

// reason is one line: the table's name, the object and what the flow does for it.
func reason(f *controller.FlowReport) string {
	object := f.Kind + " " + f.ID
	switch {
	case f.Kind == "host": // such a flow is the same on every host, and so is its cookie
		object = "any host"
	case f.Name != "":
		object += " (" + f.Name + ")"
	}
	return fmt.Sprintf("%s: %s: %s", f.TableName, object, f.Why)
}

var cookiePattern = regexp.MustCompile(`cookie=(0x[0-9a-f]+)`)

// explainDump copies a dump and puts each flow's reason under it.
func explainDump(ctx context.Context, a admin, dump io.Reader, w io.Writer) error {
	hosts, err := a.hostNames(ctx, nil)
	if err != nil {
		return err
	}
	known := map[string]controller.FlowReport{}
	for _, host := range hosts {
		flows, err := a.flows(ctx, host)
		if err != nil {
			return err
		}
		for _, f := range flows {
			known[f.Cookie] = f
		}
	}
	lines := bufio.NewScanner(dump)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(w, lines.Text())
		if m := cookiePattern.FindStringSubmatch(lines.Text()); m != nil {
			if f, ok := known[m[1]]; ok {
				fmt.Fprintf(w, "    %s\n", reason(&f))
			} else {
				fmt.Fprintln(w, "    not ours")
			}
		}
	}
	return lines.Err()
}
