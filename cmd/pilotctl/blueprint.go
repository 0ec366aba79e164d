// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/pilotregistry/pilotregistry/protocol"
)

func blueprintCommand(a *app) *cobra.Command {
	return groupCommand("blueprint", "describe networks in files, and make them so",
		validateBlueprint(a), planBlueprint(a), applyBlueprint(a, "apply"), exportBlueprint(a), diffBlueprint(a), provisionStatus(a, "status"))
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
The file is JSON or YAML, in UTF-8 or UTF-16; - is standard input. Keys at the
top that begin with x- are your own.`

func validateBlueprint(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "validate <file>", Short: "check a blueprint without a registry", Args: exactly(1),
		Long: "Check a blueprint without a registry. All mistakes are listed at once, with their lines; the exit code is then 2.\n" +
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

// blueprintRun is what the commands on a blueprint file have in common: the
// file is read and found valid before anything is sent.
func blueprintRun(a *app, do func(s *session, b *blueprint) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.checkOutput(cmd); err != nil {
			return err
		}
		b, d, err := readBlueprint(args[0])
		if err != nil {
			return err
		}
		if err := d.err(); err != nil {
			return err
		}
		s, done, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		return do(s, b)
	}
}

func planBlueprint(a *app) *cobra.Command {
	cmd := wireCommand(a, "plan <file>", "provision_network", exactly(1), nil)
	cmd.Short = "show what applying a blueprint would change"
	cmd.Long = longHelp(protocol.Must("provision_network"), cmd.Short) +
		"\n\nThe exit code is 2 when something would change, 0 when nothing would." + "\n" + blueprintFileHelp
	cmd.Example = "  pilotctl blueprint plan prod-fleet.yaml\n  pilotctl blueprint plan prod-fleet.yaml --out prod-fleet.plan"
	cmd.ValidArgsFunction = completeFiles("yaml", "yml", "json")
	out := addOut(cmd)
	cmd.RunE = blueprintRun(a, func(s *session, b *blueprint) error {
		return s.plan("blueprint", b, *out, &provisionReply{}, func() (json.RawMessage, error) { return s.provisioner.provision(s, b, change{dryRun: true}) })
	})
	return cmd
}

func applyBlueprint(a *app, use string) *cobra.Command {
	cmd := wireCommand(a, use+" <file>", "provision_network", exactly(1), nil)
	cmd.Long += "\n\nThe network is found by its name, or made. All of it becomes so in one step, or nothing." +
		"\nWith --revision or --plan nothing is changed when the network is not as it was looked at." + "\n" + blueprintFileHelp
	cmd.Example = "  pilotctl blueprint apply prod-fleet.yaml\n  pilotctl blueprint apply prod-fleet.yaml --plan prod-fleet.plan"
	cmd.ValidArgsFunction = completeFiles("yaml", "yml", "json")
	revision := addRevision(cmd)
	cmd.RunE = blueprintRun(a, func(s *session, b *blueprint) error {
		c, err := revision.change(s.cmd, "blueprint", b)
		if err != nil {
			return err
		}
		raw, err := s.provisioner.provision(s, b, c)
		if err != nil {
			return err
		}
		return s.print(raw, &provisionReply{})
	})
	return cmd
}

func provisionStatus(a *app, use string) *cobra.Command {
	cmd := wireCommand(a, use, "get_provision_status", exactly(0), nil)
	cmd.Example = "  pilotctl blueprint status"
	return cmd
}
