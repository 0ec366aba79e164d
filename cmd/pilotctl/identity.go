// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func identityCommand(a *app) *cobra.Command {
	get := wireCommand(a, "get <node>", "get_identity", exactly(1), forNodeArg)
	get.Example = "  pilotctl identity get 7"
	set := wireCommand(a, "set-external-id <node> <external-id>", "set_external_id", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		if args[1] == "" {
			return nil, usagef(s.cmd, "an empty external id; use clear-external-id to clear it")
		}
		id, err := s.nodeArg(args[0])
		return &protocol.SetExternalID{NodeID: id, ExternalID: args[1]}, err
	})
	set.Long += "\n\nDirectories and blueprints know people by their external ids. Letters A to Z match a to z."
	set.Example = "  pilotctl identity set-external-id 7 alice@example.org"
	clearIt := wireCommand(a, "clear-external-id <node>", "set_external_id", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.nodeArg(args[0])
		return &protocol.SetExternalID{NodeID: id}, err
	})
	clearIt.Short, clearIt.Long = "unbind a node from its external identity", longHelp(protocol.Must("set_external_id"), "unbind a node from its external identity")
	clearIt.Example = "  pilotctl identity clear-external-id 7"
	return groupCommand("identity", "bind nodes to external identities", get, set, clearIt)
}

// validateToken asks what an identity token is worth.
func validateToken(a *app) *cobra.Command {
	cmd := wireCommand(a, "validate", "validate_token", exactly(0), nil)
	file := cmd.Flags().String("token-file", "", "`file` with the identity token; - is standard input")
	cmd.RunE = runner(a, "validate_token", func(s *session, _ []string) (protocol.Body, error) {
		if *file == "" {
			return nil, usagef(s.cmd, "--token-file is required")
		}
		token, err := readSecret("--token-file", *file)
		return &protocol.ValidateToken{Token: protocol.Secret(token)}, err
	})
	cmd.Example = "  pilotctl idp validate --token-file ./alice.jwt"
	return cmd
}

// identityWebhook sets the webhook that verifies identity tokens.
func identityWebhook(a *app) *cobra.Command {
	cmd := wireCommand(a, "webhook [url]", "set_identity_webhook", between(0, 1), nil)
	cmd.Example = "  pilotctl idp webhook https://id.example.org/verify\n  pilotctl idp webhook --off"
	off := addOff(cmd)
	cmd.RunE = runner(a, "set_identity_webhook", func(s *session, args []string) (protocol.Body, error) {
		if *off == (len(args) == 1) || len(args) == 1 && args[0] == "" {
			return nil, usagef(s.cmd, "give a URL, or --off")
		}
		r := &protocol.SetIdentityWebhook{}
		if !*off {
			r.URL = args[0]
		}
		return r, nil
	})
	return cmd
}
