// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func poloCommand(a *app) *cobra.Command {
	get := wireCommand(a, "get [node]", "get_polo_score", between(0, 1), forNodeArg)
	set := wireCommand(a, "set <node> <score>", "set_polo_score", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		if err != nil {
			return nil, err
		}
		n, err := s.intArg("score", args[1])
		return &protocol.SetPoloScore{NodeID: id, RequesterID: s.ownNode(), PoloScore: &n}, err
	})
	add := wireCommand(a, "add <node> <delta>", "update_polo_score", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		if err != nil {
			return nil, err
		}
		n, err := s.intArg("delta", args[1])
		return &protocol.UpdatePoloScore{NodeID: id, RequesterID: s.ownNode(), Delta: &n}, err
	})
	add.Example = "  pilotctl polo add 7 5\n  pilotctl polo add 7 -5"
	return groupCommand("polo", "show and change polo scores", get, set, add)
}
