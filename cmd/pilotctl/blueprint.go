package main

import (
	"github.com/spf13/cobra"
)

func (a *app) blueprintCommand() *cobra.Command {
	return groupCommand("blueprint", "describe networks in files, and make them so",
		a.validateBlueprint())
}

// completeFiles offers files with the usual endings.
func completeFiles(endings ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

const blueprintFileHelp = `
The file is JSON or YAML; - is standard input.`

func (a *app) validateBlueprint() *cobra.Command {
	return &cobra.Command{
		Use: "validate <file>", Short: "check a blueprint without a registry", Args: exactly(1),
		Long: "Check a blueprint without a registry. Everything that is wrong is told at once, with its line; the exit code is then 2.\n" +
			"What depends on the network, as a limit below its number of members, is seen by: pilotctl blueprint plan\n" + blueprintFileHelp,
		Example:           "  pilotctl blueprint validate prod-fleet.yaml",
		ValidArgsFunction: completeFiles("yaml", "yml", "json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			b, d, err := readBlueprint(args[0])
			if err != nil {
				return err
			}
			return a.reportValid(d, validated{File: args[0], Name: b.Name, Roles: len(b.Roles)})
		},
	}
}

// validated is what a check of a file found out.
type validated struct {
	File     string    `json:"file"`
	Name     string    `json:"name,omitempty"`
	Entries  int       `json:"entries,omitempty"`
	Roles    int       `json:"roles,omitempty"`
	Valid    bool      `json:"valid"`
	Problems []problem `json:"problems,omitempty"`
}

// reportValid prints what was found; problems are an error, and with -o json
// or yaml also data.
func (a *app) reportValid(d *document, v validated) error {
	v.Valid, v.Problems = len(d.problems) == 0, d.problems
	if !v.Valid && (a.flags.output == "table" || a.flags.json) {
		return d.err()
	}
	if err := a.printValue(v, &validated{}); err != nil {
		return err
	}
	return d.err()
}
