// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func deleteNetwork(a *app) *cobra.Command {
	cmd := roleCommand(a, "delete <network>", "delete_network", exactly(1), func(s *session, r *roleRequest) (protocol.Body, error) {
		r.about = s.describe(r.network)
		return &protocol.DeleteNetwork{NodeID: r.actor, NetworkID: r.network}, nil
	}, func(r *roleRequest) string {
		return fmt.Sprintf("deleted %s, its members' roles, invites and policy", r.about)
	})
	cmd.Long += "\n\nThe nodes stay registered. The network's id is not used again."
	cmd.Example = "  pilotctl network delete 1\n  pilotctl network delete lab --dry-run"
	return asking(cmd)
}

// describe names a network with what a reader knows it by. It is prose: that
// it cannot be read is not a failure.
func (s *session) describe(id uint16) string {
	if reply, err := s.client.ListNetworks(s.ctx); err == nil {
		for _, n := range reply.Networks {
			if n.ID == id {
				return fmt.Sprintf("network %d (%s, %s)", id, clean(n.Name), plural(n.Members, "member"))
			}
		}
	}
	return fmt.Sprintf("network %d", id)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func renameNetwork(a *app) *cobra.Command {
	cmd := roleCommand(a, "rename <network> <name>", "rename_network", exactly(2), func(_ *session, r *roleRequest) (protocol.Body, error) {
		return &protocol.RenameNetwork{NodeID: r.actor, NetworkID: r.network, Name: r.args[1]}, nil
	}, nil)
	cmd.Example = "  pilotctl network rename 1 prod-fleet"
	return cmd
}

func setEnterprise(a *app) *cobra.Command {
	cmd := wireCommand(a, "enterprise <network> on|off", "set_network_enterprise", exactly(2), nil)
	cmd.Long += "\n\nSwitching it off takes every role away, the owner's too; policy, tokens and invites stay.\n" +
		"Switching it on gives roles in order of joining."
	cmd.Example = "  pilotctl network enterprise 1 on"
	asking(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return []cobra.Completion{"on", "off"}, cobra.ShellCompDirectiveNoFileComp
		}
		return completeArgs(a)(cmd, args, text)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if args[1] != "on" && args[1] != "off" {
			return usagef(cmd, "invalid state %q: want on or off", args[1])
		}
		network, err := s.networkArg(args[0])
		if err != nil {
			return err
		}
		r := &protocol.SetNetworkEnterprise{NetworkID: network, Enterprise: args[1] == "on"}
		if err := s.confirm(r); err != nil {
			return err
		}
		raw, err := s.call("set_network_enterprise", r)
		if err != nil {
			return err
		}
		if args[1] == "off" {
			s.say("network %d has no roles any more; only tokens change it until it is an enterprise network again", network)
		}
		return s.print(raw, &protocol.SetNetworkEnterpriseReply{})
	}
	return cmd
}

func transferOwnership(a *app) *cobra.Command {
	var to string
	cmd := roleCommand(a, "transfer-ownership <network> --to <node>", "transfer_ownership", exactly(1), func(s *session, r *roleRequest) (protocol.Body, error) {
		if to == "" {
			return nil, usagef(s.cmd, "--to is missing: name the member that is to own the network")
		}
		owner, err := s.nodeArg(to)
		return &protocol.TransferOwnership{NodeID: r.actor, NetworkID: r.network, NewOwnerID: owner}, err
	}, nil)
	cmd.Long += "\n\nThe old owner becomes an admin, in the same step."
	cmd.Example = "  pilotctl network transfer-ownership 1 --to 686"
	cmd.Flags().StringVar(&to, "to", "", "the `node` that is to own the network: id, address or hostname")
	must(cmd.RegisterFlagCompletionFunc("to", func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.membersOfArg(cmd, args), cobra.ShellCompDirectiveNoFileComp
	}))
	return cmd
}
