// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

// subscribeCommand prints the replication stream, an object on each line.
func subscribeCommand(a *app) *cobra.Command {
	row := protocol.Must("subscribe_replication")
	cmd := &cobra.Command{Use: "subscribe", Short: "follow the whole state", Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		Long:    longHelp(row, "follow the whole state") + "\n\nThe state is printed now and after changes, a JSON object on each line. An interrupt (Ctrl-C) ends it.",
		Example: "  pilotctl cluster subscribe --token-file ./replication.token --count 1 | jq .total_nodes"}
	file := cmd.Flags().String("token-file", "", "`file` with the replication token; - is standard input")
	deltas := cmd.Flags().Bool("deltas", false, "after the first frame only what has changed")
	count := cmd.Flags().Int("count", 0, "end after this `number` of frames (default: never)")
	must(cmd.RegisterFlagCompletionFunc("count", cobra.NoFileCompletions))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" || *count < 0 {
			return usagef(cmd, "--token-file is required, and --count is 0 or more")
		}
		token, err := readSecret("--token-file", *file)
		if err != nil {
			return err
		}
		whileRead(a, cmd)
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if s.clearTo != "" {
			return s.inClear("the replication token")
		}
		return s.follow(cmd.Context(), token, *deltas, *count)
	}
	return cmd
}

// errEnough ends a stream of which enough was seen.
var errEnough = errors.New("enough")

func (s *session) follow(ctx context.Context, token string, deltas bool, count int) error {
	seen := 0
	err := s.client.Subscribe(ctx, token, deltas, func(frame json.RawMessage) error {
		if _, err := fmt.Fprintf(s.stdout, "%s\n", frame); err != nil {
			return err
		}
		if seen++; seen == count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	return err
}
