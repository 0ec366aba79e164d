// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

// memberTagsCommand is a separate group, as in the newer tool.
func memberTagsCommand(a *app) *cobra.Command {
	get := wireCommand(a, "get <network> [node]", "get_member_tags", between(1, 2), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		r := &protocol.GetMemberTags{NetworkID: network}
		if len(args) == 2 {
			r.TargetNodeID, err = s.nodeArg(args[1])
		}
		return r, err
	})
	get.Example = "  pilotctl member-tags get 1\n  pilotctl member-tags get 1 686"
	set := setMemberTags(a, "set <network> <node> <tag>...", atLeast(3))
	set.Long += "\n\nThe tags take the place of those that the member has."
	set.Example = "  pilotctl member-tags set 1 686 gpu eu-west"
	clearAll := setMemberTags(a, "clear <network> <node>", exactly(2))
	clearAll.Short = "take away the tags that a network gives to a member"
	clearAll.Example = "  pilotctl member-tags clear 1 686"
	return groupCommand("member-tags", "show and set the tags that networks give to their members", get, set, clearAll)
}

func setMemberTags(a *app, use string, args cobra.PositionalArgs) *cobra.Command {
	return roleCommand(a, use, "set_member_tags", args, func(s *session, r *roleRequest) (protocol.Body, error) {
		target, err := s.nodeArg(r.args[1])
		return &protocol.SetMemberTags{NodeID: r.actor, NetworkID: r.network, TargetNodeID: target, Tags: r.args[2:]}, err
	}, nil)
}
