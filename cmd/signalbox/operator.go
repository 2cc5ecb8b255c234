package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox-sdn/signalbox/controller"
)

// admin asks a controller's admin endpoint.
type admin struct {
	url, token string
	client     *http.Client
}

// adminPatience is how long an answer may take: an audit of many large switches takes its time.
const adminPatience = 5 * time.Minute

func addAdminFlag(cmd *cobra.Command) {
	cmd.Flags().String("admin", cmp.Or(os.Getenv("SIGNALBOX_ADMIN"), "http://127.0.0.1:9697"), "the controller's admin endpoint; its token is asked of SIGNALBOX_ADMIN_TOKEN")
	cmd.Flags().String("admin-ca", os.Getenv("SIGNALBOX_ADMIN_CA"), "certificate authorities of an https endpoint, in PEM; else the system's")
}

func adminOf(cmd *cobra.Command) (*admin, error) {
	address, _ := cmd.Flags().GetString("admin")
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	a := &admin{url: strings.TrimSuffix(address, "/"), token: os.Getenv("SIGNALBOX_ADMIN_TOKEN"), client: http.DefaultClient}
	if file, _ := cmd.Flags().GetString("admin-ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("admin-ca: %w", err)
		}
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(pem) {
			return nil, errors.New("admin-ca: it holds no certificate")
		}
		a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}, Proxy: http.ProxyFromEnvironment}}
	}
	return a, nil
}

func (a *admin) get(ctx context.Context, path string, into any) error {
	return a.do(ctx, http.MethodGet, path, nil, into)
}

// do asks and reads JSON.
func (a *admin) do(ctx context.Context, method, path string, body io.Reader, into any) error {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	answer, err := a.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	return json.NewDecoder(answer).Decode(into)
}

// ask gives the body of a good answer, which is the caller's to close.
func (a *admin) ask(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, body)
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		var said struct{ Error string }
		if json.Unmarshal(text, &said) != nil { // it is not ours, or not of this version; net/http says so in words
			said.Error = strings.TrimSpace(string(text))
		}
		if res.StatusCode == http.StatusUnauthorized {
			said.Error = cmp.Or(said.Error, res.Status) + "; it is taken from SIGNALBOX_ADMIN_TOKEN"
		}
		return nil, fmt.Errorf("%s", cmp.Or(said.Error, res.Status))
	}
	return res.Body, nil
}

// show copies an answer as it is.
func (a *admin) show(ctx context.Context, path string, to io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	answer, err := a.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(to, answer)
	return err
}

func table(cmd *cobra.Command) *tabwriter.Writer {
	return tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
}

func addJSONFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "all that there is to say, as JSON")
}

func wantsJSON(cmd *cobra.Command) bool {
	yes, _ := cmd.Flags().GetBool("json")
	return yes
}

func hostsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List the hosts that have joined",
		Long: `List the hosts that have joined: since when each is connected or away, and as what the switch takes this controller (role: a slave may
not write to it); how many flows it is to hold (wanted) and holds (present), and whether it has acknowledged all (in sync); how many differed when its switch
was read whole the last time (compared); what was sent last, and what went wrong since the controller began.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return a.show(cmd.Context(), "/v1/hosts", cmd.OutOrStdout())
			}
			var hosts []controller.HostReport
			if err := a.get(cmd.Context(), "/v1/hosts", &hosts); err != nil {
				return err
			}
			w := table(cmd)
			fmt.Fprintln(w, "NAME\tDATAPATH\tVERSION\tCONNECTED\tSINCE\tROLE\tOVSDB\tTUNNEL IP\tPORTS\tWANTED\tPRESENT\tIN SYNC\tCOMPARED\tLAST BUNDLE\tERRORS")
			now := time.Now()
			for _, h := range hosts {
				present, compared := "-", "-"
				if c := h.Compared; c != nil {
					present, compared = fmt.Sprint(c.Present), fmt.Sprintf("%d differed %s ago", c.Differing, now.Sub(c.At).Round(time.Second))
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%v\t%s\t%s\t%s\n", h.Name, h.DatapathID, cmp.Or(h.Version, "-"), h.Connected,
					h.Since.Format(time.RFC3339), cmp.Or(h.Role, "-"), cmp.Or(h.OVSDB, "-"), cmp.Or(h.TunnelIP, "-"), h.Ports, h.FlowsWanted, present,
					h.InSync, compared, bundle(h.LastBundle), mistakes(h.Errors))
			}
			return w.Flush()
		},
	}
	addJSONFlag(cmd)
	addAdminFlag(cmd)
	return cmd
}

// mistakes is what went wrong, in words; "-": nothing did.
func mistakes(e controller.HostErrors) string {
	var out []string
	for _, n := range []struct {
		of    uint64
		words string
	}{{e.Bundles, "bundles broken"}, {e.Refused, "flows refused"}, {e.Switch, "messages refused"}, {e.Disconnects, "disconnects"}} {
		if n.of > 0 {
			out = append(out, fmt.Sprintf("%d %s", n.of, n.words))
		}
	}
	return cmp.Or(strings.Join(out, ", "), "-")
}

func bundle(b *controller.Bundle) string {
	switch {
	case b == nil:
		return "-"
	case b.Error != "":
		return "failed"
	}
	out := fmt.Sprintf("+%d -%d in %.1f ms", b.Adds, b.Deletes, 1000*b.Seconds)
	if b.Refused > 0 {
		out += fmt.Sprintf(", %d refused", b.Refused)
	}
	return out
}

func whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why OBJECT",
		Short: "Show which flows on which hosts exist because of an object, and what they have carried",
		Long: `Show which flows on which hosts exist because of a port, a network, a router, a floating IP, a security group or one of its rules,
with the packets and bytes that each switch has counted; of a group, also what each rule has let pass: all packets of the connections that it
allows, answers and what is long established too, and so nothing for rules that are never hit. OBJECT is an id, a name, an address of a port or of a floating IP, or a flow's cookie, as 0x….`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			path := "/v1/objects/" + url.PathEscape(args[0])
			if wantsJSON(cmd) {
				return a.show(cmd.Context(), path, cmd.OutOrStdout())
			}
			var o controller.ObjectReport
			if err := a.get(cmd.Context(), path, &o); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if o.ID != "" {
				fmt.Fprintf(out, "# %s (%s) of %s: %d packets, %d bytes\n", o.ID, o.Name, o.Project, o.Packets, o.Bytes)
			}
			for _, r := range o.Rules {
				fmt.Fprintf(out, "# rule %s (%s): %d packets, %d bytes, %d flows\n", r.ID, r.Allows, r.Packets, r.Bytes, r.Flows)
			}
			for _, h := range o.Hosts {
				fmt.Fprintf(out, "# %s: %d flows, %d packets, %d bytes %s\n", h.Host, len(h.Flows), h.Packets, h.Bytes, h.Error)
				for i := range h.Flows {
					h.Flows[i].Print(out, true)
				}
			}
			if len(o.Hosts) == 0 {
				fmt.Fprintln(out, "# no host has a flow for it")
			}
			return nil
		},
	}
	addJSONFlag(cmd)
	addAdminFlag(cmd)
	return cmd
}

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit [HOST...]",
		Short: "Compare what switches hold with what they are to hold",
		Long: `Read the switches of these hosts, or of all, whole and compare them with what they are to hold. The exit code is 0 if they hold
just that, 2 if any differs, 3 if any could not be compared or had changes on the way all the time, and 1 for other errors. What
differs is only shown, unless with --repair; the controller mends it in any case when it notices, or at its own next comparison.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			query := url.Values{"host": args}
			if repair, _ := cmd.Flags().GetBool("repair"); repair {
				query.Set("repair", "true")
			}
			var hosts []controller.AuditReport
			if err := a.do(cmd.Context(), http.MethodPost, "/v1/audit?"+query.Encode(), nil, &hosts); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				err = enc.Encode(hosts)
			} else {
				err = printAudit(cmd, hosts)
			}
			return cmp.Or(err, verdict(hosts))
		},
	}
	cmd.Flags().Bool("repair", false, "have what differs mended at once")
	addJSONFlag(cmd)
	addAdminFlag(cmd)
	return cmd
}

func printAudit(cmd *cobra.Command, hosts []controller.AuditReport) error {
	w := table(cmd)
	fmt.Fprintln(w, "HOST\tWANTED\tPRESENT\tMISSING\tSURPLUS\tCHANGED\tMETERS\tSETTLED\tERROR")
	for _, h := range hosts {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t%s\n", h.Host, h.Wanted, h.Present, h.Missing, h.Surplus, h.Changed, len(h.Meters), h.Settled, cmp.Or(h.Error, "-"))
	}
	for _, h := range hosts {
		if len(h.Flows)+len(h.Meters) > 0 {
			fmt.Fprintf(w, "# %s\n", h.Host)
		}
		for _, m := range h.Meters {
			fmt.Fprintf(w, "    # meter %d is %s, and is to be %s\n", m.ID, meter(m.Found), meter(m.Wanted))
		}
		for i := range h.Flows {
			h.Flows[i].Print(w, true)
		}
	}
	return w.Flush()
}

func meter(m *controller.Rate) string {
	if m == nil {
		return "not there"
	}
	return fmt.Sprintf("%d packets/s, bursts of %d", m.PacketsPerSecond, m.Burst)
}

// verdict is nil where every host was compared and holds what it should.
func verdict(hosts []controller.AuditReport) error {
	differ, unknown := 0, 0
	for i := range hosts {
		switch h := &hosts[i]; {
		case h.Error != "" || !h.Settled:
			unknown++
		case !h.Same():
			differ++
		}
	}
	switch {
	case differ > 0:
		return &exitError{2, fmt.Errorf("%d of %d hosts do not hold what they should", differ, len(hosts))}
	case unknown > 0:
		return &exitError{3, fmt.Errorf("%d of %d hosts could not be compared", unknown, len(hosts))}
	}
	return nil
}
