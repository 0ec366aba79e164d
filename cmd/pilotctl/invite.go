// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func inviteCommand(a *app) *cobra.Command {
	return groupCommand("invite", "send, list and answer invites to networks",
		sendInvite(a, "send"), listInvites(a, "list"), respondInvite(a, "accept", true), respondInvite(a, "reject", false))
}

func sendInvite(a *app, verb string) *cobra.Command {
	var length *forFlag
	cmd := roleCommand(a, verb+" <network> <node>", "invite_to_network", exactly(2), func(s *session, r *roleRequest) (protocol.Body, error) {
		seconds, err := length.seconds(s.cmd)
		if err != nil {
			return nil, err
		}
		inviter, err := s.node()
		if err != nil {
			return nil, err
		}
		target, err := s.nodeArg(r.args[1])
		return &protocol.InviteToNetwork{InviterID: inviter, NetworkID: r.network, TargetNodeID: target, ForSeconds: seconds}, err
	}, nil)
	cmd.Long += "\n\nAn invite waits 30 days. With --for the membership ends that long after the accept."
	cmd.Example = "  pilotctl invite send 1 686\n  pilotctl invite send 1 686 --for 30d"
	length = addFor(cmd, "the membership")
	return cmd
}

func listInvites(a *app, verb string) *cobra.Command {
	cmd := wireCommand(a, verb, "poll_invites", exactly(0), forNode)
	cmd.Long += "\n\nListing takes nothing away."
	cmd.Example = "  pilotctl invite list --identity ./bob.json"
	return cmd
}

func respondInvite(a *app, verb string, accept bool) *cobra.Command {
	cmd := wireCommand(a, verb+" <network>", "respond_invite", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		own, err := s.node()
		return &protocol.RespondInvite{NodeID: own, NetworkID: network, Accept: accept}, err
	})
	doc := "reject an invite to a network"
	if accept {
		doc = "accept an invite to a network"
	}
	cmd.Short, cmd.Long = doc, longHelp(protocol.Must("respond_invite"), doc)
	cmd.Example = "  pilotctl invite " + verb + " 1 --identity ./bob.json"
	cmd.ValidArgsFunction = a.completeInvites
	return cmd
}

// completeInvites offers the networks that the own node is invited to.
func (a *app) completeInvites(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, none
	}
	s, done, err := a.open(cmd)
	if err != nil {
		return nil, none
	}
	defer done()
	reply, err := s.client.PollInvites(s.ctx, s.ownNode())
	if err != nil {
		return nil, none
	}
	var out []cobra.Completion
	for _, i := range reply.Invites {
		out = append(out, cobra.CompletionWithDesc(fmt.Sprint(i.NetworkID), fmt.Sprintf("from node %d", i.InviterID)))
	}
	return out, none
}
