// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
	"github.com/pilotregistry/pilotregistry/protocol/client"
)

// placeholderRE finds the arguments in the use of a command.
var placeholderRE = regexp.MustCompile(`[<\[]([a-z-]+)(\.\.\.)?[>\]]`)

// offers are the live names for an argument or flag, by its placeholder.
var offers = map[string]func(s *session, given []string) []cobra.Completion{
	"node":     offerNodes,
	"hostname": offerNodes,
	"network":  offerNetworks,
	"member":   offerClusterMembers,
	"sink":     offerSinks,
	"token":    offerJoinTokens,
}

// completeArgs offers live names for the arguments of a command, by the
// placeholders in its use.
func completeArgs(a *app) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		_, rest, _ := strings.Cut(cmd.Use, " ")
		rest, _, _ = strings.Cut(rest, " --")
		all := placeholderRE.FindAllStringSubmatch(rest, -1)
		if len(args) >= len(all) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return live(a, cmd, all[len(args)][1], args)
	}
}

// completeFlag offers live names for a flag.
func completeFlag(a *app, cmd *cobra.Command, flag, kind string) {
	must(cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return live(a, cmd, kind, args)
	}))
}

func live(a *app, cmd *cobra.Command, kind string, args []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	offer := offers[kind]
	if offer == nil {
		return nil, none
	}
	s, done, err := a.open(cmd)
	if err != nil {
		return nil, none
	}
	defer done()
	return offer(s, args), none
}

// offerNodes are the nodes of the network that was given before, or all nodes
// if the admin token is at hand.
func offerNodes(s *session, given []string) []cobra.Completion {
	network := uint16(0)
	_, rest, _ := strings.Cut(s.cmd.Use, " ")
	if len(given) > 0 && strings.HasPrefix(rest, "<network>") {
		var err error
		if network, err = s.networkArg(given[0]); err != nil {
			return nil
		}
	}
	if network != 0 {
		return offerMembers(s, network)
	}
	reply, err := s.client.ListNodes(s.ctx, 0, client.WithLimit(offered))
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, n := range reply.Nodes {
		if n.Hostname != "" {
			out = append(out, cobra.CompletionWithDesc(clean(n.Hostname), fmt.Sprintf("node %d", n.NodeID)))
			continue
		}
		out = append(out, cobra.CompletionWithDesc(fmt.Sprint(n.NodeID), n.Address))
	}
	return out
}

// offered is how many names a shell is given at once.
const offered = 1000

func offerNetworks(s *session, _ []string) []cobra.Completion {
	reply, err := s.client.ListNetworks(s.ctx, client.WithLimit(offered))
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, n := range reply.Networks {
		out = append(out, cobra.CompletionWithDesc(fmt.Sprint(n.ID), clean(n.Name)), cobra.CompletionWithDesc(clean(n.Name), fmt.Sprintf("network %d", n.ID)))
	}
	return out
}

func offerClusterMembers(s *session, _ []string) []cobra.Completion {
	reply, err := s.client.ClusterMembers(s.ctx)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, m := range reply.Members {
		out = append(out, cobra.CompletionWithDesc(m.ID, clean(m.Role+" "+m.Suffrage+" "+m.Address)))
	}
	return out
}

func offerSinks(s *session, _ []string) []cobra.Completion {
	reply, err := client.Call[protocol.AuditSinkListReply](s.ctx, s.client, "audit_sink_list", nil)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for i := range reply.Sinks {
		out = append(out, cobra.CompletionWithDesc(clean(reply.Sinks[i].Name), clean(reply.Sinks[i].Kind)))
	}
	return out
}

func offerJoinTokens(s *session, _ []string) []cobra.Completion {
	reply, err := client.Call[protocol.ClusterJoinTokenListReply](s.ctx, s.client, "cluster_join_token_list", nil)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, t := range reply.JoinTokens {
		out = append(out, cobra.CompletionWithDesc(clean(t.Name), "until "+clean(t.ExpiresAt)))
	}
	return out
}
