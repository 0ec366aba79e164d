package main

import (
	"github.com/spf13/cobra"
)

func (a *app) directoryCommand() *cobra.Command {
	return groupCommand("directory", "keep a network as a directory of people says",
		a.validateListing())
}

const listingFileHelp = `
The file is CSV with a line of column names, or JSON or YAML; - is standard
input. Entries have external_id, role (owner, admin or member), disabled and
display_name; email and groups are accepted. In CSV, groups are separated by ;`

func (a *app) validateListing() *cobra.Command {
	return &cobra.Command{
		Use: "validate <file>", Short: "check a directory listing without a registry", Args: exactly(1),
		Long:              "Check a directory listing without a registry. Everything that is wrong is told at once, with its line; the exit code is then 2.\n" + listingFileHelp,
		Example:           "  pilotctl directory validate people.csv",
		ValidArgsFunction: completeFiles("csv", "yaml", "yml", "json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkOutput(cmd); err != nil {
				return err
			}
			l, d, err := readListing(args[0])
			if err != nil {
				return err
			}
			return a.reportValid(d, validated{File: args[0], Entries: len(l.Entries)})
		},
	}
}
