// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func networkCommand(a *app) *cobra.Command {
	members := wireCommand(a, "members <network>", "list_nodes", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		return &protocol.ListNodes{NetworkID: network}, err
	})
	members.Short = "list a network's members and their roles"
	members.Example = "  pilotctl network members 1"
	leave := wireCommand(a, "leave <network>", "leave_network", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		id, err := s.node()
		return &protocol.LeaveNetwork{NodeID: id, NetworkID: network}, err
	})
	leave.Example = "  pilotctl network leave 1"
	list := wireCommand(a, "list", "list_networks", exactly(0), nil)
	list.Example = "  pilotctl network list -o yaml"
	verbs := []*cobra.Command{createNetwork(a), list, joinNetwork(a), leave, members,
		deleteNetwork(a), renameNetwork(a), setEnterprise(a), transferOwnership(a),
		// The original tool has these under network.
		memberRole(a, "role"), promoteMember(a, "promote"), demoteMember(a, "demote"), kickMember(a, "kick"),
		networkPolicy(a), sendInvite(a, "invite"), listInvites(a, "invites"), respondInvite(a, "accept", true), respondInvite(a, "reject", false)}
	return groupCommand("network", "create, join, change and list networks", verbs...)
}

func createNetwork(a *app) *cobra.Command {
	cmd := wireCommand(a, "create <name>", "create_network", between(0, 1), nil)
	cmd.Example = "  pilotctl network create lab --node-id 7\n  pilotctl network create lab --join-rule token --token-file ./lab.token"
	f := cmd.Flags()
	name := f.String("name", "", "`name`, instead of the argument")
	rule := f.String("join-rule", protocol.JoinOpen, "who may join: open, token or invite")
	enterprise := f.Bool("enterprise", false, "switch the enterprise features on")
	token := addSecret(cmd, "token", "that joining asks for")
	admin := addSecret(cmd, "network-admin-token", "that has the owner's rights on this network")
	rules := f.String("rules-file", "", "`file` with the rules of a managed network, in JSON")
	expr := f.String("expr-policy-file", "", "`file` with an expression policy, in JSON")
	must(cmd.RegisterFlagCompletionFunc("join-rule",
		cobra.FixedCompletions([]cobra.Completion{protocol.JoinOpen, protocol.JoinToken, protocol.JoinInvite}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = runner(a, "create_network", func(s *session, args []string) (protocol.Body, error) {
		r := &protocol.CreateNetwork{Name: *name, JoinRule: *rule, Enterprise: *enterprise}
		switch {
		case len(args) == 1 && *name != "":
			return nil, usagef(s.cmd, "the name is given twice")
		case len(args) == 1:
			r.Name = args[0]
		case *name == "":
			return nil, usagef(s.cmd, "no name: %s", s.cmd.UseLine())
		}
		if *rule == protocol.JoinToken && !token.given() {
			return nil, usagef(s.cmd, "--join-rule token needs --token-file")
		}
		var err error
		if r.Token, err = token.read(s.cmd); err != nil {
			return nil, err
		}
		if r.NetworkAdminToken, err = admin.read(s.cmd); err != nil {
			return nil, err
		}
		if err := readNetworkDocs(r, *rules, *expr); err != nil {
			return nil, err
		}
		r.NodeID, err = s.node()
		return r, err
	})
	return cmd
}

// readNetworkDocs reads what daemons are to know about a network.
func readNetworkDocs(r *protocol.CreateNetwork, rules, expr string) error {
	if rules != "" {
		data, err := readDocument(rules)
		if err != nil {
			return err
		}
		read, e := protocol.ParseNetworkRules(string(data))
		if e != nil {
			return e
		}
		r.Rules = read
	}
	if expr != "" {
		data, err := readDocument(expr)
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(data))
		r.ExprPolicy = &text
	}
	return nil
}

func joinNetwork(a *app) *cobra.Command {
	cmd := wireCommand(a, "join <network>", "join_network", exactly(1), nil)
	cmd.Example = "  pilotctl network join 1\n  pilotctl network join 1 --token-file ./lab.token --for 4h"
	token := addSecret(cmd, "token", "that the network asks for")
	inviter := cmd.Flags().String("inviter", "", "the `node` that invites: id, address or hostname")
	completeFlag(a, cmd, "inviter", "node")
	span := addFor(cmd, "the membership")
	cmd.RunE = runner(a, "join_network", func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		r := &protocol.JoinNetwork{NetworkID: network}
		if *inviter != "" {
			if r.InviterID, err = s.nodeArg(*inviter); err != nil {
				return nil, err
			}
		}
		if r.ForSeconds, err = span.seconds(s.cmd); err != nil {
			return nil, err
		}
		if r.Token, err = token.read(s.cmd); err != nil {
			return nil, err
		}
		r.NodeID, err = s.node()
		return r, err
	})
	return cmd
}
