package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox-sdn/signalbox/controller"
)

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happens, as it happens",
		Long: `Show what happens, as it happens, until interrupted: ports that find and leave their places (binding), what the API is told of
ports and floating IPs (status), switches that were found not to hold what they should, or refuse flows (drift), and switches that come and go
or give the controller another role (role).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := adminOf(cmd)
			if err != nil {
				return err
			}
			kinds, _ := cmd.Flags().GetStringSlice("kind")
			stream, err := a.ask(cmd.Context(), http.MethodGet, "/v1/events?"+url.Values{"kind": kinds}.Encode(), nil)
			if err != nil {
				return err
			}
			defer stream.Close()
			lines := bufio.NewScanner(stream)
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					if err := printEvent(cmd, data); err != nil {
						return err
					}
				}
			}
			if cmd.Context().Err() != nil {
				return nil
			}
			if err := lines.Err(); err != nil {
				return err
			}
			return errors.New("the controller has ended the stream")
		},
	}
	cmd.Flags().StringSlice("kind", nil, "only these: "+strings.Join(controller.EventKinds(), ", "))
	addJSONFlag(cmd)
	addAdminFlag(cmd)
	return cmd
}

func printEvent(cmd *cobra.Command, data string) error {
	if wantsJSON(cmd) {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), data)
		return err
	}
	var e controller.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return err
	}
	words := e.At.Format(time.RFC3339Nano)
	for _, word := range []string{e.Kind, e.Host, e.Object, e.ID, e.What} {
		if word != "" {
			words += " " + word
		}
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), words)
	return err
}
