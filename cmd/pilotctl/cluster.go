// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pilotregistry/pilotregistry/cmd/internal/failure"
	"github.com/pilotregistry/pilotregistry/cmd/internal/output"
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func clusterCommand(a *app) *cobra.Command {
	target := func(use, wire string, args cobra.PositionalArgs) *cobra.Command {
		cmd := wireCommand(a, use, wire, args, nil)
		cmd.RunE = runner(a, wire, func(s *session, args []string) (protocol.Body, error) {
			r := &protocol.ClusterTarget{}
			if len(args) > 0 {
				var err error
				if r.MemberID, err = s.memberArg(args[0]); err != nil {
					return nil, err
				}
			}
			r.Force, _ = s.cmd.Flags().GetBool("force")
			return r, nil
		})
		return cmd
	}
	remove := target("remove <member>", "cluster_remove", exactly(1))
	asking(remove)
	remove.Flags().Bool("force", false, "remove the member even when that endangers the quorum")
	token := wireCommand(a, "join-token", "cluster_join_token", exactly(0), nil)
	token.Aliases, token.SuggestFor = []string{"add"}, []string{"invite"} // as pilot-registry calls it
	nonvoter := token.Flags().Bool("nonvoter", false, "the new member stays without a vote")
	ttl := token.Flags().Duration("ttl", time.Hour, "how long the token is good, at most 168h")
	token.RunE = runner(a, "cluster_join_token", func(s *session, _ []string) (protocol.Body, error) {
		if *ttl < time.Second || *ttl > 7*24*time.Hour {
			return nil, usagef(s.cmd, "invalid --ttl %v: want 1s to 168h", *ttl)
		}
		return &protocol.ClusterJoinToken{NonVoter: *nonvoter, TTLSeconds: uint32(*ttl / time.Second)}, nil
	})
	token.AddCommand(wireCommand(a, "list", "cluster_join_token_list", exactly(0), nil),
		wireCommand(a, "revoke <token>", "cluster_join_token_revoke", exactly(1), func(_ *session, args []string) (protocol.Body, error) {
			return &protocol.ClusterJoinTokenName{Name: args[0]}, nil
		}))
	return groupCommand("cluster", "show and change the cluster",
		clusterStatus(a), wireCommand(a, "id", "cluster_id", exactly(0), nil), wireCommand(a, "members", "cluster_members", exactly(0), nil),
		target("transfer-leadership [member]", "cluster_transfer_leadership", between(0, 1)),
		token, target("promote <member>", "cluster_promote", exactly(1)),
		target("repair <member>", "cluster_repair", exactly(1)), remove, snapshotCommand(a), subscribeCommand(a))
}

func clusterStatus(a *app) *cobra.Command {
	cmd := wireCommand(a, "status", "cluster_status", exactly(0), nil)
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
			return unreadable(err, raw)
		}
		if !a.printer().ForPeople() {
			return cmp.Or(a.print(raw, &r), noLeader(r))
		}
		return cmp.Or(a.printStatus(r), noLeader(r))
	}
	return cmd
}

// noLeader is an error when nothing can be written: scripts ask the status for that.
func noLeader(r protocol.ClusterStatusReply) error {
	if r.LeaderID != "" {
		return nil
	}
	return &failure.Error{Err: errors.New("there is no leader: nothing can be written"), Code: protocol.CodeNoLeader, Exit: failure.Unavailable,
		Hint: hints[protocol.CodeNoLeader]}
}

// printStatus puts each problem on a separate line, and below it what to do.
func (a *app) printStatus(r protocol.ClusterStatusReply) error {
	problems, steps := r.Problems, r.NextSteps
	if len(steps) == 0 && r.Next != "" { // of a member of an older version
		steps = []string{r.Next}
	}
	r.Problems, r.NextSteps, r.Next = nil, nil, ""
	if err := a.printer().Value(&r); err != nil || len(problems) == 0 {
		return err
	}
	fmt.Fprintf(a.stdout, "\nPROBLEMS\n")
	for i, p := range problems {
		output.Paragraph(a.stdout, "  ", p)
		if i < len(steps) && steps[i] != "" {
			output.Paragraph(a.stdout, "    next: ", steps[i])
		}
	}
	return nil
}
