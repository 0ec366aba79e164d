// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// builder makes the request of a command from its arguments.
type builder func(s *session, args []string) (protocol.Body, error)

// wireCommand is a command that sends one wire command and prints the reply.
// Its help comes from the row.
func wireCommand(a *app, use, wire string, args cobra.PositionalArgs, build builder) *cobra.Command {
	row := protocol.Must(wire)
	cmd := &cobra.Command{
		Use:               use,
		Short:             row.Doc,
		Long:              longHelp(row, row.Doc),
		Args:              args,
		ValidArgsFunction: completeArgs(a),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, done, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			return s.send(wire, args, build)
		},
	}
	if row.Lists {
		cmd.Flags().Int("limit", 0, "ask for at most this `number` of entries")
		cmd.Flags().String("cursor", "", "continue after the next_cursor of an earlier `reply`")
	}
	return cmd
}

// send builds, calls and prints.
func (s *session) send(wire string, args []string, build builder) error {
	var body protocol.Body
	if build != nil {
		var err error
		if body, err = build(s, args); err != nil {
			return err
		}
	}
	if err := s.confirm(body); err != nil {
		return err
	}
	raw, err := s.call(wire, body)
	if err != nil {
		return err
	}
	return s.print(raw, protocol.Must(wire).NewReply())
}

// longHelp says what the row says about a command.
func longHelp(row *protocol.Command, doc string) string {
	auth := map[protocol.Auth]string{
		protocol.AuthOpen:             "none",
		protocol.AuthSignature:        "the node's signature (--identity)",
		protocol.AuthSignatureOrAdmin: "the node's signature (--identity) or the admin token",
		protocol.AuthRole:             "the admin token, the network's token or the signature of a member with a fitting role",
		protocol.AuthAdmin:            "the admin token",
		protocol.AuthReplication:      "the replication token",
	}[row.Auth]
	return fmt.Sprintf("%s.\n\nWire command: %s\nAuthorised by: %s", sentence(doc), row.Name, auth)
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// forNode builds a request about the node that the command acts for.
func forNode(s *session, _ []string) (protocol.Body, error) {
	id, err := s.node()
	return &protocol.NodeRequest{NodeID: id}, err
}

// forNodeArg builds a request about the node in the argument, or without one
// about the own node.
func forNodeArg(s *session, args []string) (protocol.Body, error) {
	if len(args) == 0 {
		return forNode(s, args)
	}
	id, err := s.nodeArg(args[0])
	return &protocol.NodeRequest{NodeID: id}, err
}
