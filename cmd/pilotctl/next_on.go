// SPDX-License-Identifier: Apache-2.0

//go:build nextver

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// nextVerbs are the verbs of nodes that only the synthetic next version has.
func nextVerbs(a *app) []*cobra.Command {
	return []*cobra.Command{wireCommand(a, "set-motto <motto>", "set_motto", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetMotto{NodeID: id, Motto: args[0]}, err
	})}
}
