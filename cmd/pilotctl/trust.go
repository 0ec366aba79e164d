// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func trustCommand(a *app) *cobra.Command {
	check := wireCommand(a, "check <node> [node]", "check_trust", between(1, 2), func(s *session, args []string) (protocol.Body, error) {
		r := &protocol.Trust{}
		var err error
		if len(args) == 1 {
			if r.NodeID, err = s.node(); err != nil {
				return nil, err
			}
		} else if r.NodeID, err = s.nodeArg(args[0]); err != nil {
			return nil, err
		}
		r.PeerID, err = s.nodeArg(args[len(args)-1])
		return r, err
	})
	return groupCommand("trust", "establish, end and check trust",
		trustPair(a, "report <node>", "report_trust"), trustPair(a, "revoke <node>", "revoke_trust"), check)
}

func trustPair(a *app, use, wire string) *cobra.Command {
	return wireCommand(a, use, wire, exactly(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.Trust{NodeID: own, PeerID: peer}, err
	})
}
