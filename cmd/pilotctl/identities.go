// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (a *app) identityCommand() *cobra.Command {
	get := a.wireCommand("get <node>", "get_identity", exactly(1), forNodeArg)
	get.Example = "  pilotctl identity get 7"
	set := a.wireCommand("set-external-id <node> <external-id>", "set_external_id", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		if args[1] == "" {
			return nil, usagef(s.cmd, "an empty external id; use clear-external-id to clear it")
		}
		id, err := s.nodeArg(args[0])
		return &protocol.SetExternalID{NodeID: id, ExternalID: args[1]}, err
	})
	set.Long += "\n\nDirectories and blueprints know people by their external ids. Letters A to Z match a to z."
	set.Example = "  pilotctl identity set-external-id 7 alice@example.org"
	clearIt := a.wireCommand("clear-external-id <node>", "set_external_id", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		return &protocol.SetExternalID{NodeID: id}, err
	})
	clearIt.Short, clearIt.Long = "unbind a node from its external identity", longHelp(protocol.Must("set_external_id"), "unbind a node from its external identity")
	clearIt.Example = "  pilotctl identity clear-external-id 7"
	return groupCommand("identity", "bind nodes to external identities", get, set, clearIt)
}
