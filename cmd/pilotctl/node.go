// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func heartbeatCommand(a *app) *cobra.Command {
	return wireCommand(a, "heartbeat", "heartbeat", exactly(0), forNode)
}

func lookupCommand(a *app) *cobra.Command {
	cmd := wireCommand(a, "lookup <node>", "lookup", exactly(1), forNodeArg)
	cmd.Example = "  pilotctl lookup 7\n  pilotctl lookup 0:0000.0000.0007\n  pilotctl lookup alpha"
	return cmd
}

func resolveCommand(a *app) *cobra.Command {
	return wireCommand(a, "resolve <node>", "resolve", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		id, err := s.nodeArg(args[0])
		return &protocol.Resolve{NodeID: id, RequesterID: own}, err
	})
}

func deregisterCommand(a *app) *cobra.Command {
	return asking(wireCommand(a, "deregister", "deregister", exactly(0), forNode))
}

func findCommand(a *app, use string) *cobra.Command {
	return wireCommand(a, use+" <hostname>", "resolve_hostname", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		return &protocol.ResolveHostname{Hostname: args[0], RequesterID: s.ownNode()}, nil
	})
}

func nodeCommand(a *app) *cobra.Command {
	list := wireCommand(a, "list", "list_nodes", exactly(0), nil)
	network := list.Flags().String("network", "0", "the `network`, by id or name; 0, all nodes, needs the admin token")
	completeFlag(a, list, "network", "network")
	list.RunE = runner(a, "list_nodes", func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.networkArg(*network)
		return &protocol.ListNodes{NetworkID: id}, err
	})
	group := groupCommand("node", "change and list nodes",
		setHostname(a, "set-hostname <name>"), clearHostname(a, "clear-hostname"), setTags(a, "set-tags <tag>..."), clearTags(a, "clear-tags"),
		setVisibilityArg(a), setTaskExec(a, "enable-tasks", true), setTaskExec(a, "disable-tasks", false), setSignedRegister(a), list)
	group.AddCommand(nextVerbs(a)...)
	return group
}

// runner is wireCommand's RunE with a builder that needs the command's flags.
func runner(a *app, wire string, build builder) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		return s.send(wire, args, build)
	}
}

func setHostname(a *app, use string) *cobra.Command {
	return wireCommand(a, use, "set_hostname", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		if args[0] == "" {
			return nil, usagef(s.cmd, "an empty hostname; use clear-hostname to clear it")
		}
		id, err := s.node()
		return &protocol.SetHostname{NodeID: id, Hostname: args[0]}, err
	})
}

func clearHostname(a *app, use string) *cobra.Command {
	cmd := wireCommand(a, use, "set_hostname", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetHostname{NodeID: id}, err
	})
	cmd.Short, cmd.Long = "clear a node's hostname", longHelp(protocol.Must("set_hostname"), "clear a node's hostname")
	return cmd
}

func setTags(a *app, use string) *cobra.Command {
	return wireCommand(a, use, "set_tags", atLeast(1), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetTags{NodeID: id, Tags: args}, err
	})
}

func clearTags(a *app, use string) *cobra.Command {
	cmd := wireCommand(a, use, "set_tags", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetTags{NodeID: id}, err
	})
	cmd.Short, cmd.Long = "remove a node's tags", longHelp(protocol.Must("set_tags"), "remove a node's tags")
	return cmd
}

func setVisibilityArg(a *app) *cobra.Command {
	cmd := wireCommand(a, "set-visibility public|private", "set_visibility", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		if args[0] != "public" && args[0] != "private" {
			return nil, usagef(s.cmd, "invalid visibility %q: want public or private", args[0])
		}
		id, err := s.node()
		return &protocol.SetVisibility{NodeID: id, Public: args[0] == "public"}, err
	})
	cmd.ValidArgsFunction = cobra.FixedCompletions([]cobra.Completion{"public", "private"}, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

func setVisibility(a *app, use string, public bool) *cobra.Command {
	cmd := wireCommand(a, use, "set_visibility", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetVisibility{NodeID: id, Public: public}, err
	})
	doc := "make a node private"
	if public {
		doc = "make a node public"
	}
	cmd.Short, cmd.Long = doc, longHelp(protocol.Must("set_visibility"), doc)
	return cmd
}

func setTaskExec(a *app, use string, enabled bool) *cobra.Command {
	cmd := wireCommand(a, use, "set_task_exec", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetTaskExec{NodeID: id, Enabled: enabled}, err
	})
	doc := "say that a node does not execute tasks"
	if enabled {
		doc = "say that a node executes tasks"
	}
	cmd.Short, cmd.Long = doc, longHelp(protocol.Must("set_task_exec"), doc)
	return cmd
}

func setSignedRegister(a *app) *cobra.Command {
	cmd := wireCommand(a, "signed-register on|off", "set_signed_register", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		if args[0] != "on" && args[0] != "off" {
			return nil, usagef(s.cmd, "invalid state %q: want on or off", args[0])
		}
		id, err := s.node()
		return &protocol.SetSignedRegister{NodeID: id, Required: args[0] == "on"}, err
	})
	cmd.Long += "\n\nWith on, only the owner of the node's key can register it, and so say where the node is.\nThe node's program has to sign its registrations as signed requests."
	cmd.Example = "  pilotctl node signed-register on\n  pilotctl node signed-register off --node-id 7 --admin-token-file ./admin"
	cmd.ValidArgsFunction = cobra.FixedCompletions([]cobra.Completion{"on", "off"}, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

// aliases are the one-word commands that users of the original tool know.
func aliases(a *app) []*cobra.Command {
	return []*cobra.Command{
		setHostname(a, "set-hostname <name>"), clearHostname(a, "clear-hostname"), setTags(a, "set-tags <tag>..."), clearTags(a, "clear-tags"),
		setVisibility(a, "set-public", true), setVisibility(a, "set-private", false),
		setTaskExec(a, "enable-tasks", true), setTaskExec(a, "disable-tasks", false),
		respond(a, "approve <node>", true), respond(a, "reject <node>", false), trustPair(a, "untrust <node>", "revoke_trust"),
		applyBlueprint(a, "provision"), provisionStatus(a, "provision-status"), a.syncDirectory("directory-sync"), directoryStatus(a, "directory-status"),
		auditExportAlias(a),
	}
}

// punchCommand asks for the endpoints of two nodes that want to meet.
func punchCommand(a *app) *cobra.Command {
	cmd := wireCommand(a, "punch <node> [node]", "punch", between(1, 2), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		r := &protocol.Punch{RequesterID: own, NodeA: own}
		if len(args) == 2 {
			if r.NodeA, err = s.nodeArg(args[0]); err != nil {
				return nil, err
			}
		}
		r.NodeB, err = s.nodeArg(args[len(args)-1])
		return r, err
	})
	cmd.Long += "\n\nOf two nodes one is usually the own one: with one argument it is."
	return cmd
}
