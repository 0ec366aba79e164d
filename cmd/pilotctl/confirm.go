// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/cmd/internal/ask"
	"github.com/pilotregistry/pilotregistry/protocol"
)

// asking gives a command that takes something away the flags to agree with it
// and to look first.
func asking(cmd *cobra.Command) *cobra.Command {
	ask.Flags(cmd)
	return cmd
}

// errLooked ends a command that was only to say what it would do.
var errLooked = errors.New("only looked")

// looked is what --dry-run answers.
type looked struct {
	DryRun bool   `json:"dry_run"`
	Would  string `json:"would"`
}

// confirm asks whether a change is meant. It returns nil to go on.
func (s *session) confirm(body protocol.Body) error {
	if !ask.Needed(s.cmd) || !takesAway(body) {
		return nil
	}
	loss := s.loss(body)
	if ask.DryRun(s.cmd) {
		if err := s.printValue(looked{true, loss}, &looked{}); err != nil {
			return err
		}
		return errLooked
	}
	err := ask.Confirm(s.cmd, s.stderr, s.flags.json, loss)
	s.renew()
	return err
}

// takesAway is false for a request that only gives.
func takesAway(body protocol.Body) bool {
	r, is := body.(*protocol.SetNetworkEnterprise)
	return !is || !r.Enterprise
}

// loss says what goes with a request. What cannot be read is left out: the
// decision is asked for all the same.
func (s *session) loss(body protocol.Body) string {
	switch b := body.(type) {
	case *protocol.DeleteNetwork:
		return "delete " + s.describe(b.NetworkID) + " with its members' roles, invites and policy"
	case *protocol.SetNetworkEnterprise:
		return "take every role of " + s.describe(b.NetworkID) + " away"
	case *protocol.KickMember:
		return fmt.Sprintf("remove node %d from %s", b.TargetNodeID, s.describe(b.NetworkID))
	case *protocol.NodeRequest:
		text := fmt.Sprintf("take node %d out of the registry", b.NodeID)
		if n, err := s.client.Lookup(s.ctx, b.NodeID); err == nil && n.Hostname != "" {
			text += " (" + clean(n.Hostname) + ")"
		}
		return text + ", with its networks and trust"
	case *protocol.ClusterTarget:
		text := "remove member " + clean(b.MemberID)
		if reply, err := s.client.ClusterMembers(s.ctx); err == nil {
			for _, m := range reply.Members {
				if m.ID == b.MemberID {
					text += fmt.Sprintf(" (%s, %s, %s)", clean(m.Address), clean(m.Suffrage), clean(m.Role))
				}
			}
		}
		return text + " from the cluster for good"
	case *protocol.SinkName:
		return "delete the sink " + clean(b.Name) + " and its dead letters"
	case *protocol.DeadLetters:
		if b.EventID == 0 {
			return "drop all dead letters of the sink " + clean(b.Name)
		}
		return fmt.Sprintf("drop the dead letter of event %d of the sink %s", b.EventID, clean(b.Name))
	case *protocol.PersonRequest:
		return "erase what is known of " + clean(b.ExternalID) + "; it cannot be undone"
	}
	return "take something away"
}
