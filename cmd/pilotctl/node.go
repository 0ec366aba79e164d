// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func (a *app) heartbeatCommand() *cobra.Command {
	return a.wireCommand("heartbeat", "heartbeat", exactly(0), forNode)
}

func (a *app) lookupCommand() *cobra.Command {
	cmd := a.wireCommand("lookup <node>", "lookup", exactly(1), forNodeArg)
	cmd.Example = "  pilotctl lookup 7\n  pilotctl lookup 0:0000.0000.0007\n  pilotctl lookup alpha"
	return cmd
}

func (a *app) resolveCommand() *cobra.Command {
	return a.wireCommand("resolve <node>", "resolve", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		own, err := s.node()
		if err != nil {
			return nil, err
		}
		id, err := s.nodeArg(args[0])
		return &protocol.Resolve{NodeID: id, RequesterID: own}, err
	})
}

func (a *app) deregisterCommand() *cobra.Command {
	return asking(a.wireCommand("deregister", "deregister", exactly(0), forNode))
}

func (a *app) findCommand(use string) *cobra.Command {
	return a.wireCommand(use+" <hostname>", "resolve_hostname", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		return &protocol.ResolveHostname{Hostname: args[0], RequesterID: s.ownNode()}, nil
	})
}

func (a *app) nodeCommand() *cobra.Command {
	list := a.wireCommand("list", "list_nodes", exactly(0), nil)
	network := list.Flags().String("network", "0", "the `network`, by id or name; 0, all nodes, needs the admin token")
	completeFlag(a, list, "network", "network")
	list.RunE = a.runner("list_nodes", func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.networkArg(*network)
		return &protocol.ListNodes{NetworkID: id}, err
	})
	group := groupCommand("node", "change and list nodes",
		a.setHostname("set-hostname <name>"), a.clearHostname("clear-hostname"), a.setTags("set-tags <tag>..."), a.clearTags("clear-tags"),
		a.setVisibilityArg(), a.setTaskExec("enable-tasks", true), a.setTaskExec("disable-tasks", false), a.setSignedRegister(), list)
	group.AddCommand(nextVerbs(a)...)
	return group
}

// runner is wireCommand's RunE with a builder that needs the command's flags.
func (a *app) runner(wire string, build builder) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		return s.send(wire, args, build)
	}
}

func (a *app) setHostname(use string) *cobra.Command {
	return a.wireCommand(use, "set_hostname", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		if args[0] == "" {
			return nil, usagef(s.cmd, "an empty hostname; use clear-hostname to clear it")
		}
		id, err := s.node()
		return &protocol.SetHostname{NodeID: id, Hostname: args[0]}, err
	})
}

func (a *app) clearHostname(use string) *cobra.Command {
	cmd := a.wireCommand(use, "set_hostname", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetHostname{NodeID: id}, err
	})
	cmd.Short, cmd.Long = "clear a node's hostname", longHelp(protocol.Must("set_hostname"), "clear a node's hostname")
	return cmd
}

func (a *app) setTags(use string) *cobra.Command {
	return a.wireCommand(use, "set_tags", atLeast(1), func(s *session, args []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetTags{NodeID: id, Tags: args}, err
	})
}

func (a *app) clearTags(use string) *cobra.Command {
	cmd := a.wireCommand(use, "set_tags", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
		id, err := s.node()
		return &protocol.SetTags{NodeID: id}, err
	})
	cmd.Short, cmd.Long = "remove a node's tags", longHelp(protocol.Must("set_tags"), "remove a node's tags")
	return cmd
}

func (a *app) setVisibilityArg() *cobra.Command {
	cmd := a.wireCommand("set-visibility public|private", "set_visibility", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		if args[0] != "public" && args[0] != "private" {
			return nil, usagef(s.cmd, "invalid visibility %q: want public or private", args[0])
		}
		id, err := s.node()
		return &protocol.SetVisibility{NodeID: id, Public: args[0] == "public"}, err
	})
	cmd.ValidArgsFunction = cobra.FixedCompletions([]cobra.Completion{"public", "private"}, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

func (a *app) setVisibility(use string, public bool) *cobra.Command {
	cmd := a.wireCommand(use, "set_visibility", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
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

func (a *app) setTaskExec(use string, enabled bool) *cobra.Command {
	cmd := a.wireCommand(use, "set_task_exec", exactly(0), func(s *session, _ []string) (protocol.Body, error) {
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

func (a *app) setSignedRegister() *cobra.Command {
	cmd := a.wireCommand("signed-register on|off", "set_signed_register", exactly(1), func(s *session, args []string) (protocol.Body, error) {
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
func (a *app) aliases() []*cobra.Command {
	return []*cobra.Command{
		a.setHostname("set-hostname <name>"), a.clearHostname("clear-hostname"), a.setTags("set-tags <tag>..."), a.clearTags("clear-tags"),
		a.setVisibility("set-public", true), a.setVisibility("set-private", false),
		a.setTaskExec("enable-tasks", true), a.setTaskExec("disable-tasks", false),
		a.respond("approve <node>", true), a.respond("reject <node>", false), a.trustPair("untrust <node>", "revoke_trust"),
		a.applyBlueprint("provision"), a.provisionStatus("provision-status"), a.syncDirectory("directory-sync"), a.directoryStatus("directory-status"),
		a.auditExportAlias(),
	}
}

// punchCommand asks for the endpoints of two nodes that want to meet.
func (a *app) punchCommand() *cobra.Command {
	cmd := a.wireCommand("punch <node> [node]", "punch", between(1, 2), func(s *session, args []string) (protocol.Body, error) {
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
