// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func memberCommand(a *app) *cobra.Command {
	return groupCommand("member", "show, give and take the roles of members",
		memberRole(a, "role"), promoteMember(a, "promote"), demoteMember(a, "demote"), kickMember(a, "kick"))
}

func memberRole(a *app, verb string) *cobra.Command {
	cmd := wireCommand(a, verb+" <network> <node>", "get_member_role", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		id, err := s.nodeArg(args[1])
		return &protocol.GetMemberRole{NetworkID: network, TargetNodeID: id}, err
	})
	cmd.Example = "  pilotctl member role 1 686"
	return cmd
}

func promoteMember(a *app, verb string) *cobra.Command {
	var length *forFlag
	cmd := roleCommand(a, verb+" <network> <node>", "promote_member", exactly(2), func(s *session, r *roleRequest) (protocol.Body, error) {
		seconds, err := length.seconds(s.cmd)
		if err != nil {
			return nil, err
		}
		target, err := s.nodeArg(r.args[1])
		return &protocol.PromoteMember{NodeID: r.actor, NetworkID: r.network, TargetNodeID: target, ForSeconds: seconds}, err
	}, nil)
	cmd.Long += "\n\nWith --for the node is a member again after that time. Promoting again sets another end, or none."
	cmd.Example = "  pilotctl member promote 1 686\n  pilotctl member promote 1 686 --for 4h"
	length = addFor(cmd, "the role")
	return cmd
}

func demoteMember(a *app, verb string) *cobra.Command {
	cmd := roleCommand(a, verb+" <network> <node>", "demote_member", exactly(2), func(s *session, r *roleRequest) (protocol.Body, error) {
		target, err := s.nodeArg(r.args[1])
		return &protocol.DemoteMember{NodeID: r.actor, NetworkID: r.network, TargetNodeID: target}, err
	}, nil)
	cmd.Example = "  pilotctl member demote 1 686"
	return cmd
}

func kickMember(a *app, verb string) *cobra.Command {
	cmd := roleCommand(a, verb+" <network> <node>", "kick_member", exactly(2), func(s *session, r *roleRequest) (protocol.Body, error) {
		target, err := s.nodeArg(r.args[1])
		if err != nil {
			return nil, err
		}
		r.about = fmt.Sprintf("node %d", target)
		if was, err := s.client.GetMemberRole(s.ctx, r.network, target); err == nil {
			r.about += " (" + clean(was.Role) + ")"
		}
		return &protocol.KickMember{NodeID: r.actor, NetworkID: r.network, TargetNodeID: target}, nil
	}, func(r *roleRequest) string {
		return fmt.Sprintf("removed %s from network %d, and its invites there; it is not banned", r.about, r.network)
	})
	cmd.Long += "\n\nA kicked node may rejoin: an open network can be joined again at once."
	cmd.Example = "  pilotctl member kick 1 686"
	return asking(cmd)
}
