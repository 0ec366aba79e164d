// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func handshakeCommand(a *app) *cobra.Command {
	request := wireCommand(a, "request <node> [justification...]", "request_handshake", atLeast(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.RequestHandshake{FromNodeID: own, ToNodeID: peer, Justification: strings.Join(args[1:], " ")}, err
	})
	poll := wireCommand(a, "poll", "poll_handshakes", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		own, err := s.node()
		return &protocol.PollHandshakes{NodeID: own}, err
	})
	poll.Long += "\n\nWhat is shown is taken away; \"more\" says that something is left."
	return groupCommand("handshake", "ask for trust and answer", request, poll, respond(a, "accept <node>", true), respond(a, "reject <node>", false))
}

func respond(a *app, use string, accept bool) *cobra.Command {
	cmd := wireCommand(a, use, "respond_handshake", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.RespondHandshake{NodeID: own, PeerID: peer, Accept: accept}, err
	})
	doc := "reject a handshake request"
	if accept {
		doc = "accept a handshake request"
	}
	cmd.Short, cmd.Long = doc, longHelp(protocol.Must("respond_handshake"), doc)
	return cmd
}
