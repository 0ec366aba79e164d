// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func policyCommand(a *app) *cobra.Command {
	get := wireCommand(a, "get <network>", "get_network_policy", exactly(1), func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		return &protocol.NetworkRequest{NetworkID: network}, err
	})
	get.Example = "  pilotctl policy get 1 -o yaml"
	set := a.setPolicy("set <network>")
	return groupCommand("policy", "show and change the policies of networks", get, set, exprPolicyCommand(a))
}

// networkThenFile completes a network and, after it, a JSON file.
func (a *app) networkThenFile(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return live(a, cmd, "network", args)
	}
	return completeFiles("json")(cmd, args[1:], toComplete)
}

// networkPolicy shows the policy, or changes it when a flag says so, as in the
// original tool.
func networkPolicy(a *app) *cobra.Command {
	cmd := a.setPolicy("policy <network>")
	set := cmd.RunE
	get := runner(a, "get_network_policy", func(s *session, args []string) (protocol.Body, error) {
		network, err := s.networkArg(args[0])
		return &protocol.NetworkRequest{NetworkID: network}, err
	})
	cmd.Short, cmd.Long = "show or change a network's policy", longHelp(protocol.Must("set_network_policy"), "show a network's policy, or change it when a flag says so")
	cmd.Example = "  pilotctl network policy 1\n  pilotctl network policy 1 --max-members 100"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if policyChanged(cmd) {
			return set(cmd, args)
		}
		return get(cmd, args)
	}
	return cmd
}

var policyFlags = []string{"max-members", "allowed-ports", "description"}

func policyChanged(cmd *cobra.Command) bool {
	for _, name := range policyFlags {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

func (a *app) setPolicy(use string) *cobra.Command {
	var maxMembers uint32
	var ports, description string
	cmd := roleCommand(a, use, "set_network_policy", exactly(1), func(s *session, r *roleRequest) (protocol.Body, error) {
		body := &protocol.SetNetworkPolicy{NodeID: r.actor, NetworkID: r.network}
		if !policyChanged(s.cmd) {
			return nil, usagef(s.cmd, "nothing to change: give --max-members, --allowed-ports or --description")
		}
		if s.cmd.Flags().Changed("max-members") {
			n := float64(maxMembers)
			body.MaxMembers = &n
		}
		if s.cmd.Flags().Changed("allowed-ports") {
			list, err := parsePorts(s.cmd, ports)
			if err != nil {
				return nil, err
			}
			body.AllowedPorts = &list
		}
		if s.cmd.Flags().Changed("description") {
			body.Description = &description
		}
		return body, nil
	}, nil)
	f := cmd.Flags()
	f.Uint32Var(&maxMembers, "max-members", 0, "how many `members` there may be, 0 for any number")
	f.StringVar(&ports, "allowed-ports", "", "the `ports` that daemons may use, as in 80,443; none clears the list")
	f.StringVar(&description, "description", "", "`text` about the network; \"\" clears it")
	for _, name := range []string{"max-members", "description"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	must(cmd.RegisterFlagCompletionFunc("allowed-ports",
		cobra.FixedCompletions([]cobra.Completion{"none"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.Long += "\n\nWhat no flag names stays as it is."
	cmd.Example = "  pilotctl policy set 1 --max-members 100 --allowed-ports 80,443\n  pilotctl policy set 1 --allowed-ports none"
	return cmd
}

func parsePorts(cmd *cobra.Command, text string) ([]float64, error) {
	list := []float64{}
	if text == "" || text == "none" {
		return list, nil
	}
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 16)
		if err != nil || n == 0 {
			return nil, usagef(cmd, "invalid port %q in --allowed-ports: want numbers from 1 to 65535, as in 80,443", part)
		}
		list = append(list, float64(n))
	}
	return list, nil
}
