// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (a *app) clusterStatus() *cobra.Command {
	cmd := a.wireCommand("status", "cluster_status", exactly(0), nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		raw, err := s.call("cluster_status", nil)
		if err != nil {
			return err
		}
		var r protocol.ClusterStatusReply
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("unreadable reply: %w", err)
		}
		if a.flags.json || a.flags.output != "table" {
			return a.print(raw, &r)
		}
		return a.printStatus(r)
	}
	return cmd
}

// printStatus puts each problem on a line of its own, and below it what to do.
func (a *app) printStatus(r protocol.ClusterStatusReply) error {
	problems, steps := r.Problems, r.NextSteps
	if len(steps) == 0 && r.Next != "" { // of a member of an older version
		steps = []string{r.Next}
	}
	r.Problems, r.NextSteps, r.Next = nil, nil, ""
	if err := printTable(a.stdout, &r); err != nil || len(problems) == 0 {
		return err
	}
	fmt.Fprintf(a.stdout, "\nPROBLEMS\n")
	for i, p := range problems {
		fmt.Fprintf(a.stdout, "  %s\n", clean(p))
		if i < len(steps) && steps[i] != "" {
			fmt.Fprintf(a.stdout, "    next: %s\n", clean(steps[i]))
		}
	}
	return nil
}
