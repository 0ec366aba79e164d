package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (a *app) networkCommand() *cobra.Command {
	members := a.wireCommand("members <network>", "list_nodes", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		return &protocol.ListNodes{NetworkID: network}, err
	})
	role := a.wireCommand("role <network> <node>", "get_member_role", exactly(2), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		id, err := s.nodeArg(args[1])
		return &protocol.GetMemberRole{NetworkID: network, TargetNodeID: id}, err
	})
	leave := a.wireCommand("leave <network>", "leave_network", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		id, err := s.node()
		return &protocol.LeaveNetwork{NodeID: id, NetworkID: network}, err
	})
	cmds := []*cobra.Command{a.joinNetwork(), leave, members, role}
	for _, c := range cmds {
		c.ValidArgsFunction = a.completeNetworks
	}
	cmds = append(cmds, a.createNetwork(), a.wireCommand("list", "list_networks", exactly(0), nil))
	return groupCommand("network", "create, join and list networks", cmds...)
}

func (a *app) createNetwork() *cobra.Command {
	cmd := a.wireCommand("create <name>", "create_network", between(0, 1), nil)
	cmd.Example = "  pilotctl network create lab --node-id 7\n  pilotctl network create lab --join-rule token --token-file ./lab.token"
	f := cmd.Flags()
	name := f.String("name", "", "`name`, instead of the argument")
	rule := f.String("join-rule", protocol.JoinOpen, "who may join: open, token or invite")
	enterprise := f.Bool("enterprise", false, "switch the enterprise features on")
	token := f.String("token-file", "", "`file` with the token that joining asks for")
	admin := f.String("network-admin-token-file", "", "`file` with an admin token of this network")
	must(cmd.RegisterFlagCompletionFunc("join-rule",
		cobra.FixedCompletions([]cobra.Completion{protocol.JoinOpen, protocol.JoinToken, protocol.JoinInvite}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = a.runner("create_network", func(s *session, args []string) (protocol.Body, error) {
		r := &protocol.CreateNetwork{Name: *name, JoinRule: *rule, Enterprise: *enterprise}
		switch {
		case len(args) == 1 && *name != "":
			return nil, usagef(s.cmd, "the name is given twice")
		case len(args) == 1:
			r.Name = args[0]
		case *name == "":
			return nil, usagef(s.cmd, "no name: %s", s.cmd.UseLine())
		}
		if *rule == protocol.JoinToken && *token == "" {
			return nil, usagef(s.cmd, "--join-rule token needs --token-file")
		}
		var err error
		if r.Token, err = secretFlag("--token-file", *token); err != nil {
			return nil, err
		}
		if r.NetworkAdminToken, err = secretFlag("--network-admin-token-file", *admin); err != nil {
			return nil, err
		}
		r.NodeID, err = s.node()
		return r, err
	})
	return cmd
}

func (a *app) joinNetwork() *cobra.Command {
	cmd := a.wireCommand("join <network>", "join_network", exactly(1), nil)
	token := cmd.Flags().String("token-file", "", "`file` with the network's token")
	inviter := cmd.Flags().Uint32("inviter", 0, "`id` of the node that invites")
	cmd.RunE = a.runner("join_network", func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		if err != nil {
			return nil, err
		}
		r := &protocol.JoinNetwork{NetworkID: network, InviterID: *inviter}
		if r.Token, err = secretFlag("--token-file", *token); err != nil {
			return nil, err
		}
		r.NodeID, err = s.node()
		return r, err
	})
	return cmd
}

// secretFlag reads the file of a flag that may be absent.
func secretFlag(flag, path string) (protocol.Secret, error) {
	if path == "" {
		return "", nil
	}
	secret, err := readSecret(flag, path)
	return protocol.Secret(secret), err
}
