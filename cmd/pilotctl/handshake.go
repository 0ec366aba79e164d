// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/spf13/cobra"
)

func (a *app) handshakeCommand() *cobra.Command {
	request := a.wireCommand("request <node> [justification...]", "request_handshake", atLeast(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		peer, err := s.nodeArg(args[0])
		return &protocol.RequestHandshake{FromNodeID: own, ToNodeID: peer, Justification: strings.Join(args[1:], " ")}, err
	})
	poll := a.wireCommand("poll", "poll_handshakes", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		own, err := s.node()
		return &protocol.PollHandshakes{NodeID: own}, err
	})
	poll.Long += "\n\nWhat is shown is taken away; \"more\" says that something is left."
	return groupCommand("handshake", "ask for trust and answer", request, poll, a.respond("accept <node>", true), a.respond("reject <node>", false))
}

func (a *app) respond(use string, accept bool) *cobra.Command {
	cmd := a.wireCommand(use, "respond_handshake", exactly(1), func(s *session, args []string) (protocol.Body, error) {
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
