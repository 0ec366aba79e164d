// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// contextOf is what a program that drives pilotctl has to know of it.
type contextOf struct {
	Version     string           `json:"version"`
	Commands    []contextCommand `json:"commands"`
	ErrorCodes  []string         `json:"error_codes"`
	GlobalFlags []string         `json:"global_flags"`
	Environment []string         `json:"environment"`
	ConfigFile  string           `json:"config_file"`
}

type contextCommand struct {
	Command     string `json:"command"`
	Args        string `json:"args,omitempty"`
	Description string `json:"description"`
	Returns     string `json:"returns,omitempty"`
}

func (a *app) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "context", Short: "choose among clusters, or describe pilotctl to programs", Args: noVerb, ValidArgsFunction: cobra.NoFileCompletions,
		Long: "A context is how a cluster is reached: addresses, pin or CA, and the file with the admin token.\n\n" +
			"Without a verb it describes pilotctl to programs: its commands, error codes, global flags and settings.\n\nIt asks no member.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			c := describe(cmd.Root())
			if a.printer().ForPeople() {
				a.flags.output = "json" // it is for programs
			}
			return a.printValue(c, &contextOf{})
		},
	}
	cmd.AddCommand(contextVerbs(a)...)
	return cmd
}

func describe(root *cobra.Command) contextOf {
	c := contextOf{Version: buildInfo().Version, ConfigFile: "~/.pilot/config.json",
		Environment: []string{"PILOT_ADDR", "PILOT_REGISTRY", "PILOT_ADMIN_TOKEN", "PILOT_TLS_PIN", "PILOT_TLS_CA"}}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.HasSubCommands() && cmd.Name() != "context" && wireOf(cmd) == "" || cmd.Hidden {
			return
		}
		path := strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
		_, args, _ := strings.Cut(cmd.Use, " ")
		row := contextCommand{Command: path, Args: args, Description: cmd.Short}
		if wire := wireOf(cmd); wire != "" {
			row.Returns = "the reply to " + wire
		}
		c.Commands = append(c.Commands, row)
	}
	walk(root)
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { c.GlobalFlags = append(c.GlobalFlags, "--"+f.Name) })
	for code := range hints {
		c.ErrorCodes = append(c.ErrorCodes, code)
	}
	slices.Sort(c.ErrorCodes)
	return c
}

// wireOf is the wire command that the help of a command names.
func wireOf(cmd *cobra.Command) string {
	_, after, _ := strings.Cut(cmd.Long, "Wire command: ")
	name, _, _ := strings.Cut(after, "\n")
	return name
}
