// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func settingCommand(a *app) *cobra.Command {
	list := wireCommand(a, "list", "list_settings", exactly(0), func(*session, []string) (protocol.Body, error) {
		return &protocol.ListSettings{}, nil
	})
	set := wireCommand(a, "set <name> <value>", "set_setting", exactly(2), func(_ *session, args []string) (protocol.Body, error) {
		return &protocol.SetSetting{Name: args[0], Value: args[1]}, nil
	})
	var names []cobra.Completion
	for i := range protocol.Settings {
		s := &protocol.Settings[i]
		names = append(names, s.Name)
		set.Long += "\n\n" + s.Name + ": " + strings.Join(s.Values, ", ") + " (default " + s.Values[0] + ")\n  " + s.Doc + "."
	}
	set.Example = "  pilotctl setting set trust.mode mutual"
	set.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return names, cobra.ShellCompDirectiveNoFileComp
		case len(args) == 1 && protocol.FindSetting(args[0]) != nil:
			return protocol.FindSetting(args[0]).Values, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return groupCommand("setting", "show and change what the whole registry keeps to", list, set)
}
